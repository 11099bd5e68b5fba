"""Collects the published Signature Version 4 test suite into suite.json, one case an object.

The suite is that of https://github.com/awslabs/aws-c-auth (tests/aws-signing-test-suite, Apache-2.0), as the crate
`aws-sigv4` carries it. Usage: python3 collect.py DIRECTORY-OF-THE-SUITE > suite.json
"""

import json
import pathlib
import sys

FILES = {
    "request": "request.txt",
    "header_signed": "header-signed-request.txt",
    "header_canonical": "header-canonical-request.txt",
    "header_string_to_sign": "header-string-to-sign.txt",
    "query_signed": "query-signed-request.txt",
    "query_canonical": "query-canonical-request.txt",
    "query_string_to_sign": "query-string-to-sign.txt",
}

cases = []
for folder in sorted(pathlib.Path(sys.argv[1], "v4").iterdir()):
    context = folder / "context.json"
    if not context.exists():
        continue  # two cases of an older form, whose parts do not belong together
    case = {"name": folder.name, "context": json.loads(context.read_text())}
    for name, file in FILES.items():
        case[name] = (folder / file).read_bytes().decode()
    cases.append(case)

source = "aws-c-auth v0.9.0, tests/aws-signing-test-suite/v4 (Apache-2.0), by way of the crate aws-sigv4 1.6.4"
json.dump({"source": source, "cases": cases}, sys.stdout, indent=1, ensure_ascii=False)
print()
