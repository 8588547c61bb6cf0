"""Compares verification with the AWS CLI: `python benchmarks/verify.py [--hours 100] [--rounds 5]`.

Both verify the same trail of twelve log files per hour, from one loopback server that has it in memory and
also serves CloudTrail's API; in turn, in rounds, so the ratio is valid on any machine. `aws` must be on the
path. Prints a section for benchmarks/RESULTS.md.
"""

import argparse
import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "fixtures")]

from measuring import Taken, taken  # noqa: E402
from signed_trail import BUCKET, START, SignedTrail, public_keys, records  # noqa: E402

ARN = "arn:aws:cloudtrail:eu-west-1:111111111111:trail/audit"
LOGS = 12
EVENTS = 200


def trail(hours: int) -> SignedTrail:
    """Return a trail of some hours, with log files of about 10 kB before gzip."""
    made = SignedTrail()
    for hour in range(hours):
        made.hour(
            *(
                records(*(f"Event{hour}-{file}-{event:028}" for event in range(EVENTS)))
                for file in range(LOGS)
            )
        )
    return made


class Server(ThreadingHTTPServer):
    """A loopback server for the trail's bucket and for CloudTrail."""

    daemon_threads = True
    request_queue_size = 128
    made: SignedTrail


class Handler(BaseHTTPRequestHandler):
    """Serves S3 objects and listings, public keys and trails."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""

    def do_POST(self) -> None:
        """Serve CloudTrail's API."""
        self.rfile.read(int(self.headers["Content-Length"]))
        known = {"TrailARN": ARN, "S3BucketName": BUCKET, "IsOrganizationTrail": False}
        body = json.dumps({"trailList": [known], **json.loads(public_keys())}).encode()
        self._answer(200, {"Content-Type": "application/x-amz-json-1.1"}, body)

    def do_GET(self) -> None:
        """Serve an S3 object or listing."""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        key = unquote(parts.path).removeprefix(f"/{BUCKET}").removeprefix("/")
        stored = self.server.made.objects.get(key)
        if stored is not None:
            headers = {f"x-amz-meta-{name}": value for name, value in stored.metadata.items()}
            status = 206 if "Range" in self.headers else 200
            size = len(stored.body)
            headers |= {"ETag": _etag(stored.body), "Last-Modified": "Tue, 04 Mar 2025 09:00:00 GMT"}
            headers |= {"Content-Range": f"bytes 0-{size - 1}/{size}"} if status == 206 else {}
            self._answer(status, headers, stored.body)
        elif "location" in query:
            self._answer(200, {}, b"<LocationConstraint>eu-west-1</LocationConstraint>")
        else:
            self._answer(200, {"Content-Type": "application/xml"}, self._listing(query).encode())

    def _listing(self, query: dict[str, str]) -> str:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("start-after") or query.get("marker") or ""
        objects = self.server.made.objects
        keys = [key for key in sorted(objects) if key.startswith(prefix)]
        if delimiter:
            below = {prefix + key[len(prefix) :].partition("/")[0] + "/" for key in keys}
            folders = "".join(
                f"<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>" for prefix in sorted(below)
            )
            return f"<ListBucketResult><IsTruncated>false</IsTruncated>{folders}</ListBucketResult>"
        rest = [key for key in keys if key > after]
        page, more = rest[:1000], len(rest) > 1000
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(objects[key].body)}</Size>"
            f"<ETag>{_etag(objects[key].body)}</ETag></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if more else ""
        ended = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return f"<ListBucketResult>{ended}{contents}{token}</ListBucketResult>"

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'


def serve(hours: int) -> None:
    """Run the server in its own process, and send its URL."""
    server = Server(("127.0.0.1", 0), Handler)
    server.made = trail(hours)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", action="store_true")
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.hours)
        return
    command = [sys.executable, __file__, "--serve", "--hours", str(asked.hours)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        tempfile.TemporaryDirectory() as to,
    ):
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        _set(url)
        try:
            report(asked.hours, measured(asked.hours, asked.rounds, Path(to)))
        finally:
            server.terminate()


def _set(url: str) -> None:
    """Return the environment with the server and credentials for both."""
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def measured(hours: int, rounds: int, to: Path) -> dict[str, list[Taken]]:
    """Return the measurements of all ways and rounds. Exit if not everything is valid."""
    end = START + timedelta(hours=hours + 1)
    cnitrail = [sys.executable, "-m", "cnitrail"]
    subprocess.run([*cnitrail, "sync", f"s3://{BUCKET}", "--to", str(to / "copy"), "-q"], check=True)
    times = ("--start-time", f"{START:%Y-%m-%dT%H:%M:%SZ}", "--end-time", f"{end:%Y-%m-%dT%H:%M:%SZ}")
    ways = {
        "aws cloudtrail validate-logs": ["aws", "cloudtrail", "validate-logs", "--trail-arn", ARN, *times],
        "cnitrail verify s3://": [*cnitrail, "verify", f"s3://{BUCKET}"],
        "cnitrail verify of a copy": [*cnitrail, "verify", str(to / "copy")],
    }
    took: dict[str, list[Taken]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, command in ways.items():
            took[name].append(taken(command, to / "output"))
            said = (to / "output").read_text()
            for number in (hours, hours * LOGS):
                if not re.search(rf"\b{number:,}/{number:,} |\b{number}/{number} ", said):
                    sys.exit(f"{name} did not find {number} to be valid:\n{said[-2000:]}")
    return took


def report(hours: int, took: dict[str, list[Taken]]) -> None:
    """Print a table: medians, and the ratio to the first way."""
    files = hours * (LOGS + 1)
    print(f"{files:,} files: {hours} digests, {hours * LOGS:,} log files\n")
    print("| | files/s | of the AWS CLI's | CPU s | MB |\n|---|---|---|---|---|")
    first: float | None = None
    for name, rounds in took.items():
        wall, cpu = (statistics.median(getattr(run, field) for run in rounds) for field in ("wall", "cpu"))
        first = first or wall
        most = max(run.process_mb for run in rounds)
        print(f"| `{name}` | {files / wall:,.0f} | {first / wall:.1f}× | {cpu:.2f} | {most:.0f} |")


if __name__ == "__main__":
    main()
