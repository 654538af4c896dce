import os, httpx
with httpx.Client(http2=os.environ.get("HTTP2") == "1", timeout=30) as client:
    r = client.post(os.environ["URL"] + "/echo", json={"a": 1}, headers={"Authorization": "Bearer " + os.environ["API_KEY"]})
r.raise_for_status()
print(r.text)
