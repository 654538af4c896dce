"""The service behind the matrix of real clients: TLS, an echo, a Basic-protected git repository.

    upstream.py CERT KEY REPOSITORIES LOG

Prints its port. Writes one JSON line per request to LOG: what arrived, as the service saw it.
"""

import json
import os
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CERT, KEY, REPOSITORIES, LOG = sys.argv[1:]
lock = threading.Lock()


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def note(self, body):
        seen = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body.decode("latin-1")}
        with lock, open(LOG, "a") as log:
            print(json.dumps(seen), file=log)
        return seen

    def answer(self, status, content_type, body, *headers):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def git(self, body):
        if "Authorization" not in self.headers:
            return self.answer(401, "text/plain", b"who are you?", ("WWW-Authenticate", 'Basic realm="git"'))
        path, _, query = self.path.removeprefix("/git").partition("?")
        environment = {
            "GIT_PROJECT_ROOT": REPOSITORIES,
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH": os.environ["PATH"],
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": "someone",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(fields.pop("Status", "200").split()[0])
        self.answer(status, fields.pop("Content-Type", "text/plain"), rest, *fields.items())

    def handle_any(self):
        body = self.body()
        seen = self.note(body)
        if self.path.startswith("/git/"):
            return self.git(body)
        # As hostile as a debugging endpoint: everything that came goes back.
        self.answer(200, "application/json", json.dumps(seen).encode())

    do_GET = do_POST = do_PUT = do_HEAD = handle_any

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERT, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
