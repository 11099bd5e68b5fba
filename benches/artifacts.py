#!/usr/bin/env python3
"""How fast files, tensors and folders are sealed and opened, beside cp, age and the AWS Encryption SDK.

    cargo build --release
    python3 benches/artifacts.py [files] [tensor] [folder] [growth]   # all without a name
        [--size GIB] [--rounds N] [--place DIR]

All contenders of a table run in turn in each round, on the same data in the same place (/dev/shm unless told
otherwise); the table shows medians and ratios. `age` is measured when it is installed; the AWS Encryption SDK for Python
and its command line are installed into target/bench-python from a package index.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

PROJECT = pathlib.Path(__file__).resolve().parent.parent
KEYSTEAD = PROJECT / "target/release/keystead"
ENVIRONMENTS = PROJECT / "target/bench-python"
SDK_PACKAGE = "aws-encryption-sdk==4.0.7"
# It wants an older SDK, and so an environment of its own.
CLI_PACKAGE = "aws-encryption-sdk-cli==4.3.0"
MIB = 1 << 20
GIB = 1 << 30

# The SDK, file to file: its frame length is the argument.
SDK = """
import sys, aws_encryption_sdk as sdk
from aws_encryption_sdk.identifiers import *
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKey
mode, source, target, frame = sys.argv[1:]
key = RawMasterKey(provider_id="lab", key_id="key", wrapping_key=WrappingKey(
    wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING, wrapping_key=open("key", "rb").read(),
    wrapping_key_type=EncryptionKeyType.SYMMETRIC))
more = dict(frame_length=int(frame), algorithm=Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY) if mode == "e" else {}
with open(source, "rb") as reader, open(target, "wb") as writer:
    with sdk.EncryptionSDKClient().stream(mode=mode, source=reader, key_provider=key, **more) as stream:
        while chunk := stream.read(max(int(frame), 65536)):
            writer.write(chunk)
"""


def run(command, **more):
    """Wall seconds and the peak of resident memory in MiB."""
    command = [str(part) for part in command]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)
    words = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{words.decode(errors='replace')}")
    return seconds, usage.ru_maxrss / 1024


def measure(contenders, rounds, place):
    """Runs each in turn, so many times; medians of seconds, and the most memory."""
    results = {name: [] for name, _, _ in contenders}
    for _ in range(rounds):
        for name, command, made in contenders:
            for path in made:
                path = place / path
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            results[name].append(run(command, cwd=place))
    return {name: (statistics.median(s for s, _ in runs), max(m for _, m in runs)) for name, runs in results.items()}


def table(title, results, amount, unit, base):
    print(f"\n{title}")
    print(f"  {'':<34} {'seconds':>8} {unit:>10} {'MiB':>7} {'ratio':>7}")
    for name, (seconds, memory) in results.items():
        print(f"  {name:<34} {seconds:>8.3f} {amount / seconds:>10.2f} {memory:>7.0f} {seconds / results[base][0]:>6.2f}x")
    print(f"  ratio: of the time of `{base}`", flush=True)


def python(package):
    """The directory of commands of an environment with this package, made when there is none."""
    place = ENVIRONMENTS / package.replace("==", "-")
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin/python", "-m", "pip", "install", "--quiet", package], check=True)
        (place / "complete").touch()
    return place / "bin"


def noise(path, size):
    """A file that does not compress."""
    block = os.urandom(16 * MIB)
    with open(path, "wb") as file:
        for at in range(0, size, len(block)):
            file.write(block[: min(len(block), size - at)])


def files(place, rounds, size):
    noise(place / "model", size)
    sdk, raw = python(SDK_PACKAGE) / "python", ["--raw-aes", "lab,key,key"]
    encrypt = [
        ("cp", ["cp", "model", "copy"], ["copy"]),
        ("keystead encrypt", [KEYSTEAD, "encrypt", "model", *raw, "-o", "sealed"], ["sealed"]),
        ("SDK for Python, 4 KiB (its default)", [sdk, "-c", SDK, "e", "model", "s4", "4096"], ["s4"]),
        ("SDK for Python, 1 MiB (its best)", [sdk, "-c", SDK, "e", "model", "s1", str(MIB)], ["s1"]),
    ]
    decrypt = [
        ("cp", ["cp", "sealed", "copy"], ["copy"]),
        ("keystead decrypt", [KEYSTEAD, "decrypt", "sealed", *raw, "-o", "opened"], ["opened"]),
        ("SDK for Python, 4 KiB (its default)", [sdk, "-c", SDK, "d", "s4", "opened", "4096"], ["opened"]),
        ("SDK for Python, 1 MiB (its best)", [sdk, "-c", SDK, "d", "s1", "opened", str(MIB)], ["opened"]),
    ]
    if shutil.which("age"):
        subprocess.run(["age-keygen", "-o", place / "age.key"], check=True, capture_output=True)
        recipient = [line for line in (place / "age.key").read_text().splitlines() if "public key" in line][0].split()[-1]
        encrypt.append(("age", ["age", "-r", recipient, "-o", "model.age", "model"], ["model.age"]))
        decrypt.append(("age", ["age", "-d", "-i", "age.key", "-o", "opened", "model.age"], ["opened"]))
    table(f"Sealing {size / GIB:g} GiB, file to file", measure(encrypt, rounds, place), size / GIB, "GiB/s", "cp")
    table(f"Opening {size / GIB:g} GiB, file to file", measure(decrypt, rounds, place), size / GIB, "GiB/s", "cp")
    same = subprocess.run(["cmp", place / "model", place / "opened"]).returncode
    sys.exit("what came out is not what went in") if same else None


def safetensors(path, size):
    """A model of `size` bytes in tensors of 64 MiB; answers how many."""
    count = size // (64 * MIB)
    header = {}
    for number in range(count):
        begin = number * 64 * MIB
        header[f"layer.{number}"] = {"dtype": "F32", "shape": [4096, 4096], "data_offsets": [begin, begin + 64 * MIB]}
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        block = os.urandom(16 * MIB)
        for _ in range(count * 4):
            file.write(block)
    return count


def tensor(place, rounds, size):
    count = safetensors(place / "model", size)
    raw = ["--raw-aes", "lab,key,key"]
    run([KEYSTEAD, "encrypt", "model", *raw, "-o", "sealed"], cwd=place)
    with open(place / "model", "rb") as model, open(place / "part", "wb") as part:
        part.write(model.read(64 * MIB))
    run([KEYSTEAD, "encrypt", "part", *raw, "-o", "part.sealed"], cwd=place)
    name = f"layer.{count // 2}"
    contenders = [
        ("those bytes alone, decrypted", [KEYSTEAD, "decrypt", "part.sealed", *raw, "-o", "out"], ["out"]),
        ("tensors --get", [KEYSTEAD, "tensors", "sealed", *raw, "--get", name, "-o", "out.npy"], ["out.npy"]),
        ("tensors (listing)", [KEYSTEAD, "tensors", "sealed", *raw], []),
    ]
    title = f"One tensor of 64 MiB out of {size / GIB:g} GiB"
    table(title, measure(contenders, 3 * rounds, place), 64, "MiB/s", contenders[0][0])
    listing = subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=pread64,read,readv", "-o", place / "trace", KEYSTEAD, "tensors", "sealed", *raw], cwd=place, stdout=subprocess.DEVNULL) if shutil.which("strace") else None
    if listing and listing.wait() == 0:
        reads = [int(line.rsplit("= ", 1)[1]) for line in (place / "trace").read_text().splitlines() if line.rsplit("= ", 1)[-1].isdigit()]
        print(f"  opening and listing read {sum(reads) / MIB:.2f} MiB in all")


def folder(place, rounds, count):
    source = place / "files"
    source.mkdir()
    for number in range(count):
        (source / f"{number:05}").write_bytes(os.urandom(10 * 1024))
    keystore = ["--keystore", "keystore.d", "--key-file", "keystore.key"]
    for command in (["init"], ["key", "create", "--alias", "alias/models"]):
        run([KEYSTEAD, *command, *keystore], cwd=place)
    commands = python(CLI_PACKAGE)
    cli = commands / "aws-encryption-cli"
    server = subprocess.Popen(
        [KEYSTEAD, "serve", "--ephemeral", "--auth", "none", "--listen", "127.0.0.1:0", "--port-file", "port"],
        cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (place / "port").exists():
            time.sleep(0.01)
        endpoint = f"http://127.0.0.1:{(place / 'port').read_text().strip()}"
        environment = {**os.environ, "AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "us-east-1",
                       "AWS_ACCESS_KEY_ID": "123456789012", "AWS_SECRET_ACCESS_KEY": "none"}
        make = "import boto3; print(boto3.client('kms').create_key()['KeyMetadata']['Arn'])"
        key = subprocess.run([commands / "python", "-c", make], env=environment, check=True, capture_output=True, text=True).stdout.strip()
        (place / "cli").mkdir()
        contenders = [
            ("keystead encrypt DIR/", [KEYSTEAD, "encrypt", "files/", "--key", "alias/models", "-o", "sealed", *keystore], ["sealed"]),
            ("aws-encryption-cli", ["env", *[f"{k}={v}" for k, v in environment.items() if k.startswith("AWS_")], cli,
             "--encrypt", "--recursive", "--input", "files", "--output", "cli", "--wrapping-keys", f"key={key}",
             "--suppress-metadata", "--commitment-policy", "require-encrypt-require-decrypt"], []),
        ]
        title = f"{count} files of 10 KiB, one GenerateDataKey each"
        table(title, measure(contenders, rounds, place), count, "files/s", contenders[0][0])
    finally:
        server.terminate()
        server.wait()


def growth(place, rounds, sizes):
    raw = ["--raw-aes", "lab,key,key"]
    print("\nTime by size (verify opens all and writes nothing; decrypt where there is room for both files)")
    print(f"  {'':<8} {'cp s':>10} {'GiB/s':>6} {'encrypt s':>10} {'GiB/s':>6} {'verify s':>10} {'GiB/s':>6} {'decrypt s':>10} {'GiB/s':>6}")
    for size in sizes:
        with open(place / "model", "wb") as model:
            model.truncate(size * GIB)
        (place / "opened").unlink(missing_ok=True)
        # Half a gigabyte and a fifth of the rest is left to others: in memory a full disk is a full memory.
        room = (shutil.disk_usage(place).free - GIB // 2) * 0.8
        copied = measure([("c", ["cp", "--sparse=never", "model", "copy"], ["copy"])], rounds, place)
        (place / "copy").unlink()
        works = [("e", [KEYSTEAD, "encrypt", "model", *raw, "-o", "sealed"], ["sealed"])]
        works.append(("v", [KEYSTEAD, "verify", "sealed", *raw], []))
        if room > 2 * size * GIB:
            works.append(("d", [KEYSTEAD, "decrypt", "sealed", *raw, "-o", "opened"], ["opened"]))
        results = measure(works, rounds, place)
        results.update(copied)
        names = ["c"] + [name for name, _, _ in works]
        cells = [f"{results[name][0]:>10.2f} {size / results[name][0]:>6.2f}" for name in names]
        print(f"  {size:>3} GiB", *cells, flush=True)
        (place / "sealed").unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", help="files, tensor, folder, growth; all of them without a name")
    parser.add_argument("--size", type=float, default=2, help="of the model, in GiB")
    parser.add_argument("--files", type=int, default=10_000, help="in the folder")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1, 4, 16], help="of `growth`, in GiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--place", default="/dev/shm", help="where the files lie")
    arguments = parser.parse_args()
    if not KEYSTEAD.exists():
        sys.exit("build it first: cargo build --release")
    os.environ["NO_COLOR"] = "1"
    known = {
        "files": lambda place: files(place, arguments.rounds, int(arguments.size * GIB)),
        "tensor": lambda place: tensor(place, arguments.rounds, int(arguments.size * GIB)),
        "folder": lambda place: folder(place, min(arguments.rounds, 3), arguments.files),
        "growth": lambda place: growth(place, min(arguments.rounds, 3), arguments.sizes),
    }
    for name in arguments.tables or known:
        if name not in known:
            parser.error(f"there is no table {name}: there are {', '.join(known)}")
        with tempfile.TemporaryDirectory(dir=arguments.place) as place:
            place = pathlib.Path(place)
            (place / "key").write_bytes(os.urandom(32))
            (place / "key").chmod(0o600)
            known[name](place)


if __name__ == "__main__":
    main()
