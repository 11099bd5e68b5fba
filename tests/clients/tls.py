"""boto3 over TLS: with AWS_CA_BUNDLE it calls, without it trusts nobody. Run by `keystead exec --tls`."""

import os
import socket
import ssl
import urllib.parse

import boto3
import botocore.exceptions

kms = boto3.client("kms")
policy_only_by_tls = """{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"},
  {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "kms:GenerateDataKey", "Resource": "*",
   "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}"""
key = kms.create_key(Policy=policy_only_by_tls)["KeyMetadata"]["KeyId"]
assert len(kms.generate_data_key(KeyId=key, KeySpec="AES_256")["Plaintext"]) == 32
assert boto3.client("sts").get_caller_identity()["Arn"].endswith(":user/admin")

bundle = os.environ.pop("AWS_CA_BUNDLE")
try:
    boto3.session.Session().client("kms").list_keys()
    raise SystemExit("a server of an unknown authority was believed")
except botocore.exceptions.SSLError as error:
    assert "certificate verify failed" in str(error), error

endpoint = urllib.parse.urlparse(os.environ["AWS_ENDPOINT_URL"])
context = ssl.create_default_context(cafile=bundle)
with socket.create_connection((endpoint.hostname, endpoint.port)) as plain:
    with context.wrap_socket(plain, server_hostname="localhost") as stream:
        assert stream.version() == "TLSv1.3", stream.version()
context.maximum_version = ssl.TLSVersion.TLSv1_2
try:
    with socket.create_connection((endpoint.hostname, endpoint.port)) as plain:
        context.wrap_socket(plain, server_hostname="localhost")
    raise SystemExit("TLS 1.2 was spoken")
except ssl.SSLError as error:
    assert "PROTOCOL_VERSION" in str(error), error
print("done")
