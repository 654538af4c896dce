import os, requests
r = requests.post(os.environ["URL"] + "/echo", json={"a": 1}, headers={"Authorization": "Bearer " + os.environ["API_KEY"]}, timeout=30)
r.raise_for_status()
print(r.text)
