"""The AWS Encryption SDK for Python with a KMS key of a served keystore.

Arguments: `seal` or `open`, the key's ARN, the file to read, the file to write. Its context is project=tour.
"""

import sys

import aws_encryption_sdk
from aws_encryption_sdk import CommitmentPolicy, StrictAwsKmsMasterKeyProvider

what, key, source, target = sys.argv[1:]
client = aws_encryption_sdk.EncryptionSDKClient(
    commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
)
provider = StrictAwsKmsMasterKeyProvider(key_ids=[key])
with open(source, "rb") as file:
    data = file.read()
if what == "seal":
    # Without a signature: Keystead writes and reads the suite that has none.
    suite = aws_encryption_sdk.Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
    data, _ = client.encrypt(
        source=data, key_provider=provider, encryption_context={"project": "tour"}, algorithm=suite
    )
else:
    data, header = client.decrypt(source=data, key_provider=provider)
    assert header.encryption_context["project"] == "tour", header.encryption_context
with open(target, "wb") as file:
    file.write(data)
