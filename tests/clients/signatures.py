"""Signs random requests as botocore does, and prints each as a line of JSON: what goes over the wire.

Arguments: how many, and the seed. In their headers, or (every third) in their query.
"""

import json
import random
import string
import sys
from urllib.parse import quote, urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

count, seed = int(sys.argv[1]), int(sys.argv[2])
rng = random.Random(seed)
LETTERS = string.ascii_letters + string.digits + " -_.~!$&'()*+,;=:@%/?#äß😀\u00a0"


def text(most, letters=LETTERS):
    return "".join(rng.choice(letters) for _ in range(rng.randint(0, most)))


def path():
    # A dot as the last segment is left out: botocore drops the slash before it, and RFC 3986 does not.
    segments = [rng.choice([".", "..", "", text(6).replace("/", "")]) for _ in range(rng.randint(0, 4))]
    segments.append(rng.choice(["", "x" + text(6).replace("/", "")]))
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


for number in range(count):
    pairs = [(text(5), text(8)) for _ in range(rng.randint(0, 4))]
    query = "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in pairs if key)
    url = "http://" + rng.choice(["127.0.0.1:4599", "localhost", "kms.test:80"]) + path() + ("?" + query if query else "")
    in_query = number % 3 == 2
    # botocore takes the body of a request that is signed in its query for more of the query.
    body = b"" if in_query else text(40).encode()
    headers = {"X-Amz-Target": "TrentService." + text(8, string.ascii_letters)}
    for _ in range(rng.randint(0, 3)):
        headers["X-" + text(6, string.ascii_letters) + "h"] = text(12, string.ascii_letters + "  \t,;:") + "v"
    request = AWSRequest(method=rng.choice(["POST", "GET", "PUT"]), url=url, headers=headers, data=body)
    token = "t/+=" + text(9, string.ascii_letters) if rng.random() < 0.5 else None
    secret = text(30, string.ascii_letters + "/+") + "s"
    service = rng.choice(["kms", "iam", "sts"])
    credentials = Credentials("AKIDEXAMPLE", secret, token)
    signer = SigV4QueryAuth if in_query else SigV4Auth
    signer(credentials, service, "us-east-1").add_auth(request)
    sent = request.prepare()
    parts = urlsplit(sent.url)
    wire = [(name, value if isinstance(value, str) else value.decode()) for name, value in sent.headers.items()]
    if not any(name.lower() == "host" for name, _ in wire):
        wire.append(("Host", parts.netloc if not parts.netloc.endswith(":80") else parts.netloc[:-3]))
    print(json.dumps({
        "method": sent.method,
        "path": parts.path,
        "query": parts.query,
        "headers": wire,
        "body": list(body),
        "secret": secret,
    }))
