"""The AWS Encryption SDK for Python on the other side of encryption_sdk.rs.

Called with a directory. `cases.json` in it describes messages that Keystead sealed. Opens each, tries to open it
damaged and with another key, seals the same plaintext for Keystead, and prints as JSON what came of it.
"""

import json
import pathlib
import sys

import aws_encryption_sdk
from aws_encryption_sdk.identifiers import Algorithm, CommitmentPolicy, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKey

CLIENT = aws_encryption_sdk.EncryptionSDKClient(
    commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
)


def raw_key(case, key):
    wrapping_key = WrappingKey(
        wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
        wrapping_key=key,
        wrapping_key_type=EncryptionKeyType.SYMMETRIC,
    )
    return RawMasterKey(provider_id=case["namespace"], key_id=case["name"], wrapping_key=wrapping_key)


def denied(message, provider):
    """The name of the error that opening ends in; None when it opens."""
    try:
        CLIENT.decrypt(source=message, key_provider=provider)
    except Exception as error:  # Which one is the client's business; that there is one is the test's.
        return type(error).__name__
    return None


def damaged(message, at):
    changed = bytearray(message)
    changed[at] ^= 1
    return bytes(changed)


def attempt(directory, case):
    key = bytes.fromhex(case["key"])
    provider = raw_key(case, key)
    message = (directory / case["sealed"]).read_bytes()
    expected = (directory / case["plaintext"]).read_bytes()
    plaintext, header = CLIENT.decrypt(source=message, key_provider=provider)

    sealed, _ = CLIENT.encrypt(
        source=expected,
        key_provider=provider,
        algorithm=Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        encryption_context=case["context"],
        frame_length=case["frame_length"],
    )
    (directory / case["answer"]).write_bytes(sealed)

    tampered = {
        "another key": denied(message, raw_key(case, bytes(32))),
        "a bit of the header": denied(damaged(message, 10), provider),
        "a bit of the body": denied(damaged(message, case["header_bytes"] + 24), provider),
        "a bit of the last tag": denied(damaged(message, -1), provider),
        "the end cut off": denied(message[:-1], provider),
    }
    if case["context"]:
        value = next(iter(case["context"].values())).encode()
        changed = value[:-1] + b"?"
        assert message.count(value) == 1
        tampered["another context"] = denied(message.replace(value, changed), provider)
    return {
        "opened": plaintext == expected,
        "context": dict(header.encryption_context),
        "frame_length": header.frame_length,
        "denied": tampered,
    }


def main():
    directory = pathlib.Path(sys.argv[1])
    cases = json.loads((directory / "cases.json").read_text())
    print(json.dumps([attempt(directory, case) for case in cases]))


main()
