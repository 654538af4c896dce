"""The Python SDK of the Model Context Protocol, driven line by line.

Arguments: `stdio` or `http`, and `legacy` (handshake) or `auto` (each message alone). The environment says which binary,
server and token. Each line on standard input is {"tool": …, "arguments": …}; each answer is one line of JSON. The first
line is what the server said of itself.
"""

import asyncio
import json
import os
import sys

from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types import Implementation

TRANSPORT, MODE = sys.argv[1:3]
ADDR, TOKEN = os.environ["TACIT_ADDR"], os.environ["TACIT_TOKEN"]


def say(what):
    print(json.dumps(what), flush=True)


async def drive(server):
    async with Client(server, mode=MODE, client_info=Implementation(name="python-sdk", version="1")) as client:
        listed = await client.list_tools()
        tools = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed.tools]
        say({"tools": tools, "instructions": client.instructions, "protocol": client.protocol_version})
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            call = json.loads(line)
            result = await client.call_tool(call["tool"], call["arguments"])
            text = "".join(block.text for block in result.content)
            say({"is_error": bool(result.is_error), "structured": result.structured_content, "text": text})


async def main():
    if TRANSPORT == "stdio":
        environment = {name: value for name, value in os.environ.items() if name.startswith("TACIT_")}
        await drive(StdioServerParameters(command=os.environ["TACIT_TEST_BINARY"], args=["mcp"], env=environment))
        return
    async with create_mcp_http_client(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        await drive(streamable_http_client(f"{ADDR}/v1/workspaces/default/mcp", http_client=http))


asyncio.run(main())
