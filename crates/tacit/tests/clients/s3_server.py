"""A storage service that verifies signatures, with one bucket and one access key. Prints where it is and the key as JSON."""

import json
import os
import sys

# The four requests below come before anybody has a key; every other one must be signed.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
url = f"http://{host}:{port}"
nobody = {"endpoint_url": url, "region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
iam = boto3.client("iam", **nobody)
iam.create_user(UserName="tacit")
policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
iam.put_user_policy(UserName="tacit", PolicyName="all", PolicyDocument=json.dumps(policy))
key = iam.create_access_key(UserName="tacit")["AccessKey"]
boto3.client("s3", **nobody).create_bucket(Bucket="receipts")
print(json.dumps({"port": port, "id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}), flush=True)
sys.stdin.read()
