"""Measures how fast the forms of CloudTrail records are read: `python benchmarks/forms.py [--records N] …`.

    python benchmarks/forms.py [--records 70000] [--rounds 5] [--rows 100000] [--only TEXT …]

writes the same invented records, none of them relevant, in many forms, runs `cnitrail timeline -o jsonl` on
each in its own process, in turns, and prints a table for RESULTS.md. A ratio is that to the trail's form, for
the whole process and without start-up. A naive loop over the JSON lines with `json.loads` is one of the ways.
All records must be counted. Parquet needs the extra `parquet`; rows of tables are compared with the same
number of records of a trail.
"""

import argparse
import bz2
import csv
import gzip
import io
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from backports import zstd
from measuring import Taken, taken

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from export_forms import (  # noqa: E402
    athena_csv,
    csv_text,
    lake_csv,
    parquet,
    security_lake_rows,
    tailpipe_rows,
)

ACCOUNT = "111122223333"
LEVEL = 6
NAIVE = (
    "import json,sys\nfor line in open(sys.argv[1], 'rb'):\n    if line.strip():\n        json.loads(line)\n"
)

Record = dict[str, object]


def records(number: int) -> list[Record]:
    """Return invented data events of about 1,200 bytes, which are the most frequent records of all."""
    random = Random(1)
    return [_record(index, random) for index in range(number)]


def _record(index: int, random: Random) -> Record:
    issuer = {
        "type": "Role",
        "principalId": "AROAEXAMPLEEXAMPLE123",
        "arn": f"arn:aws:iam::{ACCOUNT}:role/app",
        "accountId": ACCOUNT,
        "userName": "app",
    }
    session = {
        "sessionIssuer": issuer,
        "attributes": {"creationDate": "2024-05-14T09:00:00Z", "mfaAuthenticated": "false"},
    }
    return {
        "eventVersion": "1.09",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROAEXAMPLEEXAMPLE123:app",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/app/app",
            "accountId": ACCOUNT,
            "accessKeyId": "ASIAEXAMPLEEXAMPLE01",
            "sessionContext": session,
        },
        "eventTime": f"2024-05-14T10:{index // 60 % 60:02}:{index % 60:02}Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2.15.38 md/awscrt#0.19.19 ua/2.0 os/linux#5.10 lang/python#3.11.8",
        "requestParameters": {"bucketName": "example", "key": f"{random.getrandbits(128):032x}"},
        "responseElements": None,
        "requestID": f"{random.getrandbits(64):016X}",
        "eventID": f"{index:08x}-0000-4000-8000-{random.getrandbits(48):012x}",
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": False,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Data",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": "example.s3.eu-west-1.amazonaws.com",
        },
    }


def compact(value: object) -> str:
    """Return JSON as CloudTrail writes it."""
    return json.dumps(value, separators=(",", ":"))


# --- forms: each one is a function from the records to the bytes of a file ------------------------------


def trail(entries: list[Record]) -> bytes:
    """Return a log file, not compressed."""
    return compact({"Records": entries}).encode()


def trails(entries: list[Record]) -> bytes:
    """Return log files one after the other, as `zcat` writes them."""
    return b"".join(trail(entries[start : start + 500]) for start in range(0, len(entries), 500))


def lines(entries: list[Record]) -> bytes:
    """Return JSON lines."""
    return "".join(f"{compact(entry)}\n" for entry in entries).encode()


def sorted_lines(entries: list[Record]) -> bytes:
    """Return JSON lines with keys in alphabetical order, the first of which not every record has."""
    data = {"additionalEventData": {"bytesTransferredIn": 0}}
    both = (entry | data if index % 2 else entry for index, entry in enumerate(entries))
    return lines([dict(sorted(entry.items())) for entry in both])


def lookup_events(entries: list[Record]) -> bytes:
    """Return the output of `aws cloudtrail lookup-events`."""
    events = [
        {
            "EventId": entry["eventID"],
            "EventName": entry["eventName"],
            "ReadOnly": "true",
            "EventTime": "2024-05-14T10:00:00+00:00",
            "EventSource": entry["eventSource"],
            "Username": "app",
            "Resources": [],
            "CloudTrailEvent": compact(entry),
        }
        for entry in entries
    ]
    return json.dumps({"Events": events}, indent=4).encode()


def log_events(entries: list[Record]) -> bytes:
    """Return the output of `aws logs filter-log-events`."""
    events = [
        {
            "logStreamName": f"{ACCOUNT}_CloudTrail_eu-west-1",
            "timestamp": 1715680800000,
            "message": compact(entry),
            "ingestionTime": 1715680900000,
            "eventId": f"3826{index:052}",
        }
        for index, entry in enumerate(entries)
    ]
    return json.dumps({"events": events, "searchedLogStreams": []}, indent=4).encode()


def with_prefixes(entries: list[Record]) -> bytes:
    """Return the lines of an export task: a time before each record."""
    return "".join(f"2024-05-14T10:05:03.000Z {compact(entry)}\n" for entry in entries).encode()


def insights_csv(entries: list[Record]) -> bytes:
    """Return the CSV of Logs Insights."""
    rows = [{"@timestamp": "2024-05-14 10:05:03.000", "@message": compact(entry)} for entry in entries]
    return csv_text(rows)


def zipped(text: bytes) -> bytes:
    """Return a zip archive with one file."""
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("logs/trail.json", text)
    return stored.getvalue()


def tarred(text: bytes) -> bytes:
    """Return a tar archive with one file."""
    stored = io.BytesIO()
    with tarfile.open(fileobj=stored, mode="w") as archive:
        info = tarfile.TarInfo("logs/trail.json")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return stored.getvalue()


@dataclass(frozen=True)
class Form:
    """A form by name; ``of_rows`` are measured with another number of records."""

    name: str
    write: Callable[[list[Record]], bytes]
    of_rows: bool = False


TRAIL = "trail"
LINES = "JSON lines"
FORMS = (
    Form(TRAIL, trail),
    Form("trail, files one after the other", trails),
    Form(LINES, lines),
    Form("JSON lines, keys by name", sorted_lines),
    Form("pretty-printed, indent of 2", lambda entries: json.dumps({"Records": entries}, indent=2).encode()),
    Form("LookupEvents", lookup_events),
    Form("filter-log-events", log_events),
    Form("lines with a time before", with_prefixes),
    Form("CSV with `@message`", insights_csv),
    Form("trail, gzip", lambda entries: gzip.compress(trail(entries), LEVEL)),
    Form("trail, zstd", lambda entries: zstd.compress(trail(entries))),
    Form("trail, xz", lambda entries: lzma.compress(trail(entries), preset=1)),
    Form("trail, bzip2", lambda entries: bz2.compress(trail(entries))),
    Form("trail, zip", lambda entries: zipped(trail(entries))),
    Form("trail, tar", lambda entries: tarred(trail(entries))),
    Form("rows: trail", trail, of_rows=True),
    Form("rows: Athena, CSV", athena_csv, of_rows=True),
    Form("rows: CloudTrail Lake, CSV", lake_csv, of_rows=True),
    Form("rows: tailpipe, Parquet", lambda entries: parquet(tailpipe_rows(entries)), of_rows=True),
    Form("rows: Security Lake, Parquet", lambda entries: parquet(security_lake_rows(entries)), of_rows=True),
)


def least(before: Taken | None, now: Taken) -> Taken:
    """Return the measurement that took less CPU time."""
    return now if before is None or now.cpu < before.cpu else before


def check(source: Path, number: int) -> None:
    """Exit if not all records of a file are counted."""
    command = [sys.executable, "-m", "cnitrail", "timeline", str(source)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if re.search(rf"\b{number:,} (?:records|events)\b", ran.stdout + ran.stderr) is None:
        sys.exit(f"{source}: not {number:,} records\n{ran.stdout[-1000:]}{ran.stderr[-1000:]}")


def main() -> None:
    """Write the files, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=70_000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[""])
    options = parser.parse_args()
    os.environ |= {"PYTHONPATH": str(HERE.parent)}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    csv.field_size_limit(1 << 30)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
        measure(folder, options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    """Measure the forms in turns, and print the table."""
    commands: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    timeline = [sys.executable, "-m", "cnitrail", "timeline", "-o", "jsonl"]
    for number, form in enumerate(FORMS):
        if form.name in (TRAIL, LINES, "rows: trail") or any(text in form.name for text in options.only):
            path = folder / f"{number}"
            asked_for = options.rows if form.of_rows else options.records
            path.write_bytes(form.write(records(asked_for)))
            check(path, asked_for)
            sizes[form.name] = path.stat().st_size
            commands[form.name] = [*timeline, str(path)]
            if form.name == LINES:
                commands["JSON lines, naive loop"] = [sys.executable, "-c", NAIVE, str(path)]
    small = folder / "small"
    small.write_bytes(trail(records(1)))
    commands["start-up"] = [*timeline, str(small)]
    found: dict[str, Taken] = {}
    for _ in range(options.rounds):
        for name, command in commands.items():
            found[name] = least(found.get(name), taken(command, folder / "out"))
    start = found.pop("start-up").cpu
    print(f"{options.records:,} records, {options.rows:,} rows; start-up {start:.2f} s\n")
    print("| form | stored MB | CPU s | ÷ trail | without start-up | peak MB |")
    print("|---|---|---|---|---|---|")
    for name, took in found.items():
        base = found["rows: trail" if name.startswith("rows") else TRAIL]
        net = (took.cpu - start) / (base.cpu - start)
        size = f"{sizes[name] / 1e6:.1f}" if name in sizes else ""
        ratio = took.cpu / base.cpu
        print(f"| {name} | {size} | {took.cpu:.2f} | {ratio:.2f} | {net:.2f} | {took.process_mb:.0f} |")


if __name__ == "__main__":
    main()
