import os, urllib.request
request = urllib.request.Request(os.environ["URL"] + "/echo", data=b'{"a":1}', headers={"Authorization": "Bearer " + os.environ["API_KEY"]})
print(urllib.request.urlopen(request, timeout=30).read().decode())
