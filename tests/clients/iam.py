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

arn = user["Arn"]
names, key = ["kms:ListKeys", "kms:Decrypt"], "arn:aws:kms:us-east-1:111122223333:key/1"
simulated = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=names)["EvaluationResults"]
assert [(r["EvalActionName"], r["EvalDecision"]) for r in simulated] == [
    ("kms:ListKeys", "allowed"),
    ("kms:Decrypt", "implicitDeny"),
], simulated
matched = simulated[0]["MatchedStatements"][0]
assert (matched["SourcePolicyId"], matched["SourcePolicyType"]) == ("lists-keys", "user"), matched
assert matched["StartPosition"]["Column"] > 1 and simulated[0]["MissingContextValues"] == [], simulated
guarded = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": {"StringEquals": {"kms:ViaService": "s3"}}}]})
wish = {"PolicyInputList": [guarded], "ActionNames": names, "ResourceArns": [key]}
for entries, decision, missing in (
    ([], "implicitDeny", ["kms:ViaService"]),
    ([{"ContextKeyName": "kms:ViaService", "ContextKeyValues": ["s3"], "ContextKeyType": "string"}], "allowed", []),
):
    pages = iam.get_paginator("simulate_custom_policy").paginate(
        **wish, ContextEntries=entries, PaginationConfig={"PageSize": 1}
    )
    results = [result for page in pages for result in page["EvaluationResults"]]
    assert [result["EvalDecision"] for result in results] == [decision] * 2, results
    (specific,) = results[1]["ResourceSpecificResults"]
    assert specific["EvalResourceName"] == key and specific["MissingContextValues"] == missing, specific
refused("InvalidInput", iam.simulate_custom_policy, PolicyInputList=["{"], ActionNames=names)
refused("NoSuchEntity", iam.simulate_principal_policy, PolicySourceArn=arn + "-s-sister", ActionNames=names)

made = iam.create_access_key(UserName="eve")["AccessKey"]
keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
eve, eves_iam = boto3.client("kms", **keys), boto3.client("iam", **keys)
assert "Keys" in eve.list_keys()
assert eves_iam.get_user(UserName="eve")["User"]["UserName"] == "eve"
words = refused("AccessDeniedException", eve.create_key)
assert words.startswith("User: arn:aws:iam::111122223333:user/team/eve is not authorized to perform: kms:CreateKey"), words
refused("AccessDenied", eves_iam.list_users)
refused("AccessDenied", eves_iam.simulate_principal_policy, PolicySourceArn=arn, ActionNames=names)
refused("AccessDenied", eves_iam.simulate_custom_policy, PolicyInputList=[policy], ActionNames=names)
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
