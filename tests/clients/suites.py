"""The AWS Encryption SDK for Python on the other side of suites.rs, for every algorithm suite and raw wrapping key.

`suites.py seal DIRECTORY` writes `keys.json` (raw AES keys as hex, RSA keys as PEM) and, for each suite, content type
and wrapping key, a message, which `messages.json` describes. `suites.py open DIRECTORY` opens the messages that
`sealed.json` describes, and prints for each whether the plaintext came out.
"""

import json
import os
import pathlib
import sys

import aws_encryption_sdk
from aws_encryption_sdk.identifiers import Algorithm, CommitmentPolicy, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKey
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

NAMESPACE = "keystead tests"
AES = {bits: getattr(WrappingAlgorithm, f"AES_{bits}_GCM_IV12_TAG16_NO_PADDING") for bits in (128, 192, 256)}
RSA = [
    WrappingAlgorithm.RSA_PKCS1,
    WrappingAlgorithm.RSA_OAEP_SHA1_MGF1,
    WrappingAlgorithm.RSA_OAEP_SHA256_MGF1,
    WrappingAlgorithm.RSA_OAEP_SHA384_MGF1,
    WrappingAlgorithm.RSA_OAEP_SHA512_MGF1,
]
ANY = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT)
UNCOMMITTED = aws_encryption_sdk.EncryptionSDKClient(
    commitment_policy=CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
)


def master_key(wrapping, keys):
    """The client's wrapping key for the name of a wrapping algorithm."""
    algorithm = WrappingAlgorithm[wrapping]
    if algorithm in RSA:
        key, kind = keys["rsa"].encode(), EncryptionKeyType.PRIVATE
    else:
        key, kind = bytes.fromhex(keys[wrapping]), EncryptionKeyType.SYMMETRIC
    wrapping_key = WrappingKey(wrapping_algorithm=algorithm, wrapping_key=key, wrapping_key_type=kind)
    return RawMasterKey(provider_id=NAMESPACE, key_id=wrapping, wrapping_key=wrapping_key)


def new_keys():
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    keys = {algorithm.name: os.urandom(bits // 8).hex() for bits, algorithm in AES.items()}
    return {"rsa": pem.decode(), **keys}


def seal(directory):
    keys = new_keys()
    providers = {wrapping.name: master_key(wrapping.name, keys) for wrapping in [*AES.values(), *RSA]}
    (directory / "keys.json").write_text(json.dumps(keys))
    messages = []
    for suite in Algorithm:
        client = ANY if suite.is_committing() else UNCOMMITTED
        for frame_length in (0, 128):
            for wrapping in providers:
                # 0, 1, one frame exactly, and several.
                for length in (0, 1, 128, 400):
                    name = f"{suite.name} {frame_length} {wrapping} {length}"
                    plaintext = bytes(at % 251 for at in range(length))
                    sealed, _ = client.encrypt(
                        source=plaintext,
                        key_provider=providers[wrapping],
                        algorithm=suite,
                        encryption_context={"model": "tiny"},
                        frame_length=frame_length,
                    )
                    (directory / name).write_bytes(sealed)
                    described = {"suite": suite.algorithm_id, "wrapping": wrapping, "length": length}
                    messages.append({"name": name, **described})
    (directory / "messages.json").write_text(json.dumps(messages))


def open_all(directory):
    keys = json.loads((directory / "keys.json").read_text())
    opened, providers = [], {}
    for message in json.loads((directory / "sealed.json").read_text()):
        wrapping = message["wrapping"]
        if wrapping not in providers:
            providers[wrapping] = master_key(wrapping, keys)
        provider = providers[wrapping]
        plaintext, _ = ANY.decrypt(source=(directory / message["name"]).read_bytes(), key_provider=provider)
        opened.append(plaintext == bytes(at % 251 for at in range(message["length"])))
    print(json.dumps(opened))


if __name__ == "__main__":
    {"seal": seal, "open": open_all}[sys.argv[1]](pathlib.Path(sys.argv[2]))
