"""Users and their access keys by boto3, run by `keystead exec` as the administrator.

A user made over the wire signs with a key made over the wire: it may what its policy says, and nothing once the key is
inactive.
"""

import json

import boto3
from botocore.exceptions import ClientError

iam, kms = boto3.client("iam"), boto3.client("kms")


def refused(code, act, **parameters):
    try:
        act(**parameters)
    except ClientError as error:
        told = error.response["Error"]
        assert told["Code"] == code, told
        return told["Message"]
    raise AssertionError(f"{code} was expected")


user = iam.create_user(UserName="eve", Path="/team/", Tags=[{"Key": "team", "Value": "ml ops"}])["User"]
assert user["Arn"] == "arn:aws:iam::111122223333:user/team/eve" and user["CreateDate"].year > 2000, user
refused("EntityAlreadyExists", iam.create_user, UserName="eve")
refused("NoSuchEntity", iam.get_user, UserName="nobody")
statement = {"Effect": "Allow", "Action": ["kms:ListKeys", "iam:GetUser"], "Resource": "*"}
policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
iam.put_user_policy(UserName="eve", PolicyName="lists-keys", PolicyDocument=policy)
assert iam.get_user_policy(UserName="eve", PolicyName="lists-keys")["PolicyDocument"]["Statement"] == [statement]
refused("MalformedPolicyDocument", iam.put_user_policy, UserName="eve", PolicyName="bad", PolicyDocument="{")
assert [tag["Value"] for tag in iam.list_user_tags(UserName="eve")["Tags"]] == ["ml ops"]

made = iam.create_access_key(UserName="eve")["AccessKey"]
keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
eve, eves_iam = boto3.client("kms", **keys), boto3.client("iam", **keys)
assert "Keys" in eve.list_keys()
assert eves_iam.get_user(UserName="eve")["User"]["UserName"] == "eve"
words = refused("AccessDeniedException", eve.create_key)
assert words.startswith("User: arn:aws:iam::111122223333:user/team/eve is not authorized to perform: kms:CreateKey"), words
refused("AccessDenied", eves_iam.list_users)
refused("InvalidSignatureException", boto3.client("kms", **{**keys, "aws_secret_access_key": "x"}).list_keys)
refused("SignatureDoesNotMatch", boto3.client("iam", **{**keys, "aws_secret_access_key": "x"}).list_users)
refused("UnrecognizedClientException", boto3.client("kms", **keys, aws_session_token="none").list_keys)

iam.update_access_key(UserName="eve", AccessKeyId=made["AccessKeyId"], Status="Inactive")
refused("UnrecognizedClientException", eve.list_keys)
refused("InvalidClientTokenId", eves_iam.get_user, UserName="eve")
iam.update_access_key(UserName="eve", AccessKeyId=made["AccessKeyId"], Status="Active")
assert "Keys" in eve.list_keys()
iam.delete_access_key(UserName="eve", AccessKeyId=made["AccessKeyId"])
refused("UnrecognizedClientException", eve.list_keys)
refused("InvalidAction", boto3.client("iam").list_server_certificates)
print("done")
