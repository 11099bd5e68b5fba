"""Serves an export of the log as the bucket and the trail that `aws cloudtrail validate-logs` asks for, and runs it.

Arguments: the `aws` program, the directory of the export, a file with what `keystead audit public-keys` printed, the
account, the bucket and the trail. Prints what the command printed, and ends as it ended.
"""

import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import urllib.parse
import xml.sax.saxutils

aws, directory, keys, account, bucket, trail = sys.argv[1:]
root = pathlib.Path(directory)
public_keys = json.loads(pathlib.Path(keys).read_text())
arn = f"arn:aws:cloudtrail:us-east-1:{account}:trail/{trail}"


class Stub(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, body, kind="application/x-amz-json-1.1", headers=()):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers["X-Amz-Target"].rsplit(".", 1)[1]
        trails = {"trailList": [{"Name": trail, "S3BucketName": bucket, "TrailARN": arn, "HomeRegion": "us-east-1",
                                 "IsMultiRegionTrail": False, "IsOrganizationTrail": False}]}
        self.answer(json.dumps({"DescribeTrails": trails, "ListPublicKeys": public_keys}[operation]).encode())

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        key = urllib.parse.unquote(url.path).removeprefix(f"/{bucket}").strip("/")
        if "location" in query:
            return self.answer(b"<LocationConstraint></LocationConstraint>", "application/xml")
        if not key:
            return self.list(query.get("prefix", ""), query.get("marker", ""))
        path = root / key
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        beside = root / f"{key}.metadata.json"
        metadata = json.loads(beside.read_text()) if beside.exists() else {}
        self.answer(path.read_bytes(), "application/json", [(f"x-amz-meta-{name}", metadata[name]) for name in metadata])

    def list(self, prefix, marker):
        files = (path for path in root.rglob("*.json.gz") if path.is_file())
        names = sorted(name for name in (path.relative_to(root).as_posix() for path in files)
                       if name.startswith(prefix) and name > marker)
        contents = "".join(f"<Contents><Key>{xml.sax.saxutils.escape(name)}</Key></Contents>" for name in names)
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
        self.answer(body.encode(), "application/xml")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub)
threading.Thread(target=server.serve_forever, daemon=True).start()
environment = {
    "PATH": os.environ["PATH"],
    "HOME": str(root),
    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
done = subprocess.run(
    [aws, "cloudtrail", "validate-logs", "--trail-arn", arn, "--verbose", "--start-time", "2026-01-01T00:00:00Z",
     "--end-time", "2126-01-01T00:00:00Z"],
    env=environment, capture_output=True, text=True)
print(done.stdout + done.stderr)
server.shutdown()
sys.exit(done.returncode)
