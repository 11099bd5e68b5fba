"""Every operation that the endpoint serves, by boto3.

Run by `keystead exec --from keystore/lab.toml`. Arguments: `allowed` or `denied`, then the operations that are served.
As `allowed` the caller is the administrator and each operation does what AWS documents; as `denied` it is a user without
any permission on a key, and each operation is refused. What is served and not called here fails the test.
"""

import base64
import sys

import boto3
from botocore.exceptions import ClientError

KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:us-east-1:111122223333:key/{KEY}"
CONTEXT = {"project": "tour"}

mode, served = sys.argv[1], set(sys.argv[2:])
kms = boto3.client("kms")
called = set()


def call(operation, **parameters):
    called.add(operation)
    name = "".join("_" + c.lower() if c.isupper() else c for c in operation).lstrip("_")
    return getattr(kms, name)(**parameters)


def refused(code, operation, words="", **parameters):
    try:
        call(operation, **parameters)
    except ClientError as error:
        told = error.response["Error"]
        assert told["Code"] == code and words in told["Message"], (operation, told)
        assert error.response["ResponseMetadata"]["RequestId"], operation
        return
    raise AssertionError(f"{operation} was allowed")


def keys_lives():
    made = call(
        "CreateKey",
        Description="first",
        Tags=[{"TagKey": "team", "TagValue": "ml"}, {"TagKey": "_custom_id_", "TagValue": "my-own-id"}],
    )["KeyMetadata"]
    key = made["KeyId"]
    assert key == "my-own-id" and made["Arn"].endswith(":key/my-own-id") and made["KeyState"] == "Enabled", made
    assert made["KeyManager"] == "CUSTOMER" and made["EncryptionAlgorithms"] == ["SYMMETRIC_DEFAULT"], made
    refused("AlreadyExistsException", "CreateKey", Tags=[{"TagKey": "_custom_id_", "TagValue": "my-own-id"}])
    refused("TagException", "CreateKey", "are reserved", Tags=[{"TagKey": "aws:x", "TagValue": "y"}])
    refused("UnsupportedOperationException", "CreateKey", KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    call("UpdateKeyDescription", KeyId=key, Description="second")
    call("TagResource", KeyId=key, Tags=[{"TagKey": "stage", "TagValue": "test"}])
    call("UntagResource", KeyId=key, TagKeys=["team"])
    tags = call("ListResourceTags", KeyId=key)["Tags"]
    assert {"TagKey": "stage", "TagValue": "test"} in tags and "team" not in [tag["TagKey"] for tag in tags], tags
    call("CreateAlias", AliasName="alias/mine", TargetKeyId=key)
    refused("AlreadyExistsException", "CreateAlias", AliasName="alias/mine", TargetKeyId=KEY)
    refused("InvalidAliasNameException", "CreateAlias", AliasName="alias/aws/mine", TargetKeyId=KEY)
    assert call("DescribeKey", KeyId="alias/mine")["KeyMetadata"]["Description"] == "second"
    refused("NotFoundException", "DescribeKey", "Invalid keyId", KeyId="no key!")
    refused("NotFoundException", "DescribeKey", "Invalid keyId 'no-key'", KeyId="no-key")
    refused("NotFoundException", "DescribeKey", "Invalid keyId no-key", KeyId=ARN.replace(KEY, "no-key"))
    nobodys = "00000000-0000-0000-0000-000000000000"
    refused("NotFoundException", "DescribeKey", f"key/{nobodys}' does not exist", KeyId=nobodys)
    for alias in "alias/mine", "arn:aws:kms:us-east-1:111122223333:alias/mine":
        refused("InvalidArnException", "EnableKey", "Key Aliases are not supported", KeyId=alias)
        refused("InvalidArnException", "TagResource", KeyId=alias, Tags=[{"TagKey": "a", "TagValue": "b"}])
    refused("ValidationException", "CreateAlias", 'must start with the prefix "alias/"', AliasName="mine", TargetKeyId=KEY)
    call("UpdateAlias", AliasName="alias/mine", TargetKeyId=KEY)
    assert [a["TargetKeyId"] for a in call("ListAliases", KeyId=KEY)["Aliases"] if a["AliasName"] == "alias/mine"]
    call("DeleteAlias", AliasName="alias/mine")

    policy = call("GetKeyPolicy", KeyId=key, PolicyName="default")
    assert policy["PolicyName"] == "default" and "Enable IAM User Permissions" in policy["Policy"]
    call("PutKeyPolicy", KeyId=key, PolicyName="default", Policy=policy["Policy"])
    refused("MalformedPolicyDocumentException", "PutKeyPolicy", KeyId=key, Policy="{")
    assert call("ListKeyPolicies", KeyId=key)["PolicyNames"] == ["default"]

    call("EnableKeyRotation", KeyId=key, RotationPeriodInDays=180)
    status = call("GetKeyRotationStatus", KeyId=key)
    assert status["KeyRotationEnabled"] and status["RotationPeriodInDays"] == 180, status
    call("RotateKeyOnDemand", KeyId=key)
    rotations = call("ListKeyRotations", KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [r["KeyMaterialState"] for r in rotations] == ["NON_CURRENT", "CURRENT"], rotations
    call("DisableKeyRotation", KeyId=key)

    call("DisableKey", KeyId=key)
    refused("DisabledException", "Encrypt", KeyId=key, Plaintext=b"x")
    call("EnableKey", KeyId=key)
    gone = call("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    assert gone["KeyState"] == "PendingDeletion" and gone["PendingWindowInDays"] == 7, gone
    refused("KMSInvalidStateException", "Encrypt", KeyId=key, Plaintext=b"x")
    refused("ValidationException", "ScheduleKeyDeletion", KeyId=KEY, PendingWindowInDays=6)
    assert call("CancelKeyDeletion", KeyId=key)["KeyId"] == made["Arn"]


def cryptography():
    for name in (KEY, ARN, "alias/models", "arn:aws:kms:us-east-1:111122223333:alias/models"):
        sealed = call("Encrypt", KeyId=name, Plaintext=b"weights", EncryptionContext=CONTEXT)
        assert sealed["KeyId"] == ARN and sealed["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    blob = sealed["CiphertextBlob"]
    opened = call("Decrypt", CiphertextBlob=blob, EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == b"weights" and opened["KeyId"] == ARN and len(opened["KeyMaterialId"]) == 64
    refused("InvalidCiphertextException", "Decrypt", CiphertextBlob=blob, EncryptionContext={"project": "x"})
    refused("InvalidCiphertextException", "Decrypt", CiphertextBlob=blob[:-1], EncryptionContext=CONTEXT)
    other = kms.create_key()["KeyMetadata"]["Arn"]
    refused("IncorrectKeyException", "Decrypt", CiphertextBlob=blob, KeyId=other, EncryptionContext=CONTEXT)
    refused("ValidationException", "Encrypt", "Value at 'plaintext'", KeyId=KEY, Plaintext=b"x" * 4097)
    algorithm = "RSAES_OAEP_SHA_256"
    words = f"Algorithm {algorithm} is incompatible with key spec SYMMETRIC_DEFAULT."
    refused("InvalidKeyUsageException", "Encrypt", words, KeyId=KEY, Plaintext=b"x", EncryptionAlgorithm=algorithm)
    moved = call("ReEncrypt", CiphertextBlob=blob, SourceEncryptionContext=CONTEXT, DestinationKeyId=other)
    assert moved["SourceKeyId"] == ARN and moved["KeyId"] == other, moved
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == b"weights"

    for wish, length in ({"KeySpec": "AES_128"}, 16), ({"KeySpec": "AES_256"}, 32), ({"NumberOfBytes": 64}, 64):
        made = call("GenerateDataKey", KeyId=KEY, EncryptionContext=CONTEXT, **wish)
        assert len(made["Plaintext"]) == length
        again = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
        assert again["Plaintext"] == made["Plaintext"]
    refused("ValidationException", "GenerateDataKey", "either", KeyId=KEY, KeySpec="AES_128", NumberOfBytes=16)
    refused("ValidationException", "GenerateDataKey", "either", KeyId=KEY)
    refused("ValidationException", "GenerateDataKey", "enum value set", KeyId=KEY, KeySpec="AES_512")
    hidden = call("GenerateDataKeyWithoutPlaintext", KeyId=KEY, KeySpec="AES_256")
    assert "Plaintext" not in hidden and len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == 32
    assert len(call("GenerateRandom", NumberOfBytes=40)["Plaintext"]) == 40

    # A material of one's own: what it sealed opens under another key of the same material alone with the same id.
    material = base64.b64encode(b"m" * 32).decode()
    own = kms.create_key(Tags=[{"TagKey": "_custom_key_material_", "TagValue": material}])["KeyMetadata"]["KeyId"]
    assert kms.list_resource_tags(KeyId=own)["Tags"] == []
    refused("ValidationException", "CreateKey", Tags=[{"TagKey": "_custom_key_material_", "TagValue": "c2hvcnQ="}])


BOB = "arn:aws:iam::111122223333:user/bob"


def grants():
    key = kms.create_key()["KeyMetadata"]["Arn"]
    made = boto3.client("iam").create_access_key(UserName="bob")["AccessKey"]
    bobs = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    bob = boto3.client("kms", **bobs)
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    as_bob("AccessDeniedException", bob.decrypt, CiphertextBlob=blob, EncryptionContext=CONTEXT)

    wish = {
        "KeyId": key,
        "GranteePrincipal": BOB,
        "RetiringPrincipal": BOB,
        "Operations": ["Decrypt", "DescribeKey"],
        "Constraints": {"EncryptionContextSubset": CONTEXT},
        "Name": "for-bob",
    }
    refused("DryRunOperationException", "CreateGrant", **wish, DryRun=True)
    assert call("ListGrants", KeyId=key)["Grants"] == []
    first, again = call("CreateGrant", **wish), call("CreateGrant", **wish)
    assert first["GrantId"] == again["GrantId"] and first["GrantToken"] != again["GrantToken"]
    opened = bob.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT, GrantTokens=[first["GrantToken"]])
    assert opened["Plaintext"] == b"x"
    as_bob("AccessDeniedException", bob.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)
    as_bob("InvalidGrantTokenException", bob.describe_key, KeyId=key, GrantTokens=["none-of-ours"])
    (listed,) = call("ListGrants", KeyId=key, GranteePrincipal=BOB)["Grants"]
    assert listed["Constraints"] == wish["Constraints"] and listed["Operations"] == wish["Operations"], listed
    assert listed["Name"] == "for-bob" and listed["GranteePrincipal"] == BOB, listed
    assert listed["IssuingAccount"] == "arn:aws:iam::111122223333:root", listed
    assert [g["GrantId"] for g in call("ListRetirableGrants", RetiringPrincipal=BOB)["Grants"]] == [first["GrantId"]]

    for number in range(3):
        kms.create_grant(KeyId=key, GranteePrincipal=BOB, Operations=["Encrypt"], Name=f"page-{number}")
    pages = kms.get_paginator("list_grants").paginate(KeyId=key, PaginationConfig={"PageSize": 2})
    names = sorted(grant["Name"] for page in pages for grant in page["Grants"])
    assert names == ["for-bob", "page-0", "page-1", "page-2"], names
    refused("InvalidMarkerException", "ListGrants", KeyId=key, Marker="no marker!")
    refused("ValidationException", "ListGrants", KeyId=key, Limit=101)

    refused("InvalidArnException", "CreateGrant", **{**wish, "GranteePrincipal": BOB + "-s-brother"})
    refused("ValidationException", "CreateGrant", "'granteePrincipal'", KeyId=key, Operations=["Decrypt"])
    refused("ValidationException", "CreateGrant", **{**wish, "Operations": ["Sign"]})
    refused("UnsupportedOperationException", "CreateGrant", **{**wish, "Constraints": {"SourceArn": "arn:aws:ec2:us-east-1:111122223333:x"}})
    refused("NotFoundException", "RevokeGrant", KeyId=key, GrantId="0" * 64)
    refused("ValidationException", "RetireGrant")
    refused("DryRunOperationException", "RetireGrant", KeyId=key, GrantId=first["GrantId"], DryRun=True)
    bob.retire_grant(GrantToken=again["GrantToken"])
    refused("InvalidGrantTokenException", "RetireGrant", GrantToken=first["GrantToken"])
    as_bob("AccessDeniedException", bob.decrypt, CiphertextBlob=blob, EncryptionContext=CONTEXT)
    granted = call("CreateGrant", KeyId=key, GranteePrincipal=BOB, Operations=["Encrypt"])["GrantId"]
    refused("DryRunOperationException", "RevokeGrant", KeyId=key, GrantId=granted, DryRun=True)
    call("RevokeGrant", KeyId=key, GrantId=granted)


def as_bob(code, operation, **parameters):
    try:
        operation(**parameters)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return
    raise AssertionError(f"{code} was expected")


def dry_runs():
    blob = kms.encrypt(KeyId=KEY, Plaintext=b"x")["CiphertextBlob"]
    for operation, wish in (
        ("Encrypt", {"KeyId": KEY, "Plaintext": b"x"}),
        ("Decrypt", {"CiphertextBlob": blob}),
        ("Decrypt", {"KeyId": KEY, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}),
        ("ReEncrypt", {"CiphertextBlob": blob, "DestinationKeyId": KEY}),
        ("ReEncrypt", {"SourceKeyId": KEY, "DestinationKeyId": KEY, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}),
        ("GenerateDataKey", {"KeyId": KEY, "KeySpec": "AES_256"}),
        ("GenerateDataKeyWithoutPlaintext", {"KeyId": KEY, "KeySpec": "AES_256"}),
    ):
        refused("DryRunOperationException", operation, "would have succeeded", **wish, DryRun=True)
    refused("InvalidCiphertextException", "Decrypt", CiphertextBlob=blob[:-1], DryRun=True)
    refused("ValidationException", "Decrypt", "'keyId'", DryRunModifiers=["IGNORE_CIPHERTEXT"], DryRun=True)
    refused("ValidationException", "Decrypt", KeyId=KEY, DryRunModifiers=["IGNORE_CIPHERTEXT"])
    refused("ValidationException", "Decrypt", "'ciphertextBlob'", KeyId=KEY)


def last_usage():
    key = kms.create_key()["KeyMetadata"]["Arn"]
    unused = call("GetKeyLastUsage", KeyId=key)
    assert unused["KeyId"] == key and unused["KeyLastUsage"] == {}, unused
    assert unused["TrackingStartDate"] == unused["KeyCreationDate"], unused
    answer = kms.encrypt(KeyId=key, Plaintext=b"x")
    usage = call("GetKeyLastUsage", KeyId=key)["KeyLastUsage"]
    assert usage["Operation"] == "Encrypt", usage
    assert usage["KmsRequestId"] == answer["ResponseMetadata"]["RequestId"], usage
    trail = boto3.client("cloudtrail")
    wish = [{"AttributeKey": "EventId", "AttributeValue": usage["CloudTrailEventId"]}]
    (event,) = trail.lookup_events(LookupAttributes=wish)["Events"]
    assert event["EventName"] == "Encrypt" and event["Resources"][0]["ResourceName"] == key, event
    pages = trail.get_paginator("lookup_events").paginate(PaginationConfig={"PageSize": 20})
    ids = [event["EventId"] for page in pages for event in page["Events"]]
    assert len(ids) > 40 and len(ids) == len(set(ids)), len(ids)
    as_bob("InvalidMaxResultsException", trail.lookup_events, MaxResults=51)


def pages():
    made = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(5)}
    called.add("ListKeys")
    listed = [key["KeyId"] for page in kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}) for key in page["Keys"]]
    assert made <= set(listed) and len(listed) == len(set(listed)), listed
    assert kms.list_keys(ResourceOwners=["OTHER_ACCOUNTS_VIA_RAM"])["Keys"] == []
    assert kms.list_keys(ResourceOwners=["SELF", "OTHER_ACCOUNTS_VIA_RAM"])["Keys"]
    first = kms.list_keys(Limit=1)
    assert first["Truncated"] and len(first["Keys"]) == 1
    refused("InvalidMarkerException", "ListAliases", Marker=first["NextMarker"])
    refused("ValidationException", "ListAliases", Limit=101)
    for number in range(3):
        kms.create_alias(AliasName=f"alias/page-{number}", TargetKeyId=KEY)
    pages = kms.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": 1})
    names = [alias["AliasName"] for page in pages for alias in page["Aliases"]]
    assert sum(name.startswith("alias/page-") for name in names) == 3 and names == sorted(names), names


def denied():
    # A blob that names the key and was made nowhere.
    blob = b"KSC\x01" + bytes([len(ARN)]) + ARN.encode() + bytes(32 + 32 + 16)
    of_key = ("CancelKeyDeletion DescribeKey DisableKey DisableKeyRotation EnableKey EnableKeyRotation GetKeyPolicy "
              "GetKeyLastUsage GetKeyRotationStatus ListGrants ListKeyPolicies ListKeyRotations ListResourceTags RotateKeyOnDemand ScheduleKeyDeletion")
    wishes = {operation: {"KeyId": KEY} for operation in of_key.split()}
    wishes |= {
        "CreateAlias": {"AliasName": "alias/x", "TargetKeyId": KEY},
        "CreateGrant": {"KeyId": KEY, "GranteePrincipal": BOB, "Operations": ["Decrypt"]},
        "CreateKey": {},
        "Decrypt": {"CiphertextBlob": blob},
        "DeleteAlias": {"AliasName": "alias/models"},
        "Encrypt": {"KeyId": KEY, "Plaintext": b"x"},
        "GenerateDataKey": {"KeyId": KEY, "KeySpec": "AES_256"},
        "GenerateDataKeyWithoutPlaintext": {"KeyId": KEY, "KeySpec": "AES_256"},
        "GenerateRandom": {"NumberOfBytes": 1},
        "ListAliases": {},
        "ListKeys": {},
        "ListRetirableGrants": {"RetiringPrincipal": BOB},
        "PutKeyPolicy": {"KeyId": KEY, "Policy": "{}"},
        "ReEncrypt": {"CiphertextBlob": blob, "DestinationKeyId": KEY},
        "RetireGrant": {"KeyId": ARN.replace("111122223333", "444455556666"), "GrantId": "0" * 64},
        "RevokeGrant": {"KeyId": KEY, "GrantId": "0" * 64},
        "TagResource": {"KeyId": KEY, "Tags": [{"TagKey": "a", "TagValue": "b"}]},
        "UntagResource": {"KeyId": KEY, "TagKeys": ["a"]},
        "UpdateAlias": {"AliasName": "alias/models", "TargetKeyId": KEY},
        "UpdateKeyDescription": {"KeyId": KEY, "Description": "x"},
    }
    for operation in sorted(served):
        refused("AccessDeniedException", operation, BOB, **wishes[operation])
    as_bob("AccessDeniedException", boto3.client("cloudtrail").lookup_events)
    for operation in ("Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "Decrypt", "ReEncrypt"):
        refused("AccessDeniedException", operation, BOB, **wishes[operation], DryRun=True)


if mode == "allowed":
    keys_lives()
    cryptography()
    pages()
    grants()
    dry_runs()
    last_usage()
else:
    denied()
assert called >= served, f"served and not called: {sorted(served - called)}"
print(len(called))
