"""Measures how fast the answer of a query engine is read: `python benchmarks/tables.py [--records N …] …`.

    python benchmarks/tables.py [--records 100000 400000] [--shapes now crawler ocsf] [--days 30] [--rounds 2]

writes the same relevant records as JSON lines, as log files, and as the rows that DuckDB returns for the
statement of a table in each shape. `read` is until every record is decoded, `timeline` is the whole command
with `-o jsonl`. Each is a process of its own, in turns; the rows come from a file, which costs about as much
as an answer of Athena. CPU time and peak memory are for each record, without those of an input of one log
file; the ratio is that to JSON lines. With `--days 1`, all records are in one part of the answer.
"""

import argparse
import gzip
import json
import math
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from history import BEGIN, synthetic_records
from measuring import Taken, taken
from msgspec.structs import replace

from cnitrail import sources
from cnitrail.__main__ import run
from cnitrail.decode import NAMES, RELEVANT_CALLS
from cnitrail.model import Growth, Scope
from cnitrail.model.table import QueryProgress, QueryState
from cnitrail.sources.sql.description import TableDescription
from cnitrail.sources.sql.engine import Cells, QueryResult
from cnitrail.sources.sql.shapes import shape_of
from cnitrail.sources.sql.source import TableSource
from cnitrail.sources.sql.statement import statement
from cnitrail.workflows.scan_pool import ScanPool

TABLE = "athena://default.cloudtrail_logs"
ACCOUNT = "111111111111"
LOGS, LINES = "log files", "JSON lines"
RECORDS_IN_A_FILE = 100
RECORDS_IN_A_TABLE = 10_000
STEPS = ("read", "timeline")


class FileEngine:
    """An engine with its answer in a file, a JSON array in each line, and its table in another one."""

    name = "athena"
    uri = TABLE
    table = '"default"."cloudtrail_logs"'

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self) -> TableDescription:
        """Return the table."""
        return msgspec.json.decode((self._folder / "table.json").read_bytes(), type=TableDescription)

    def run(self, _statement: str) -> Iterator[QueryProgress]:
        """Yield that the query runs."""
        yield QueryProgress(state=QueryState.RUNNING, query="q-1", elapsed=timedelta())

    def result(self) -> QueryResult:
        """Return the query."""
        return QueryResult(query="q-1", statement="")

    def rows(self) -> Iterator[Cells]:
        """Yield the rows of the file."""
        decoder = msgspec.json.Decoder(tuple[str | None, ...])
        with (self._folder / "rows.jsonl").open("rb") as lines:
            yield from map(decoder.decode, lines)

    def stop(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


# --- what is read ---------------------------------------------------------------------------------------


def log_files(records: int, days: int) -> Iterator[tuple[str, list[bytes]]]:
    """Yield log files by their names, which are in the order of their delivery, over a number of days."""
    payloads = map(whole, synthetic_records(records))
    files = math.ceil(records / RECORDS_IN_A_FILE)
    for number in range(files):
        delivered = BEGIN + number * timedelta(days=days) / files
        name = f"{ACCOUNT}_CloudTrail_eu-west-1_{delivered:%Y%m%dT%H%MZ}_{number:016}.json.gz"
        folder = f"AWSLogs/{ACCOUNT}/CloudTrail/eu-west-1/{delivered:%Y/%m/%d}"
        yield f"{folder}/{name}", list(islice(payloads, RECORDS_IN_A_FILE))


def whole(payload: bytes) -> bytes:
    """Return a synthetic record with the fields that every record of an API call has."""
    entry = json.loads(payload)
    role = entry["userIdentity"]["arn"].split("/")[1]
    issuer = {
        "type": "Role",
        "principalId": "AROAEXAMPLEEXAMPLE123",
        "arn": f"arn:aws:iam::{ACCOUNT}:role/{role}",
        "accountId": ACCOUNT,
        "userName": role,
    }
    entry["userIdentity"] |= {
        "principalId": f"AROAEXAMPLEEXAMPLE123:{role}",
        "accessKeyId": "ASIAEXAMPLEEXAMPLE01",
        "sessionContext": {
            "sessionIssuer": issuer,
            "attributes": {"creationDate": "2026-01-01T00:00:00Z", "mfaAuthenticated": "false"},
            "ec2RoleDelivery": "2.0",
        },
    }
    entry |= {
        "requestID": entry["eventID"][::-1],
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "eventCategory": "Management",
    }
    return json.dumps(entry, separators=(",", ":")).encode()


def write(folder: Path, records: int, days: int, shapes: list[str]) -> None:
    """Write the records as log files, as JSON lines, and as answers."""
    with (folder / f"{LINES}.jsonl").open("wb") as lines:
        for name, payloads in log_files(records, days):
            path = folder / LOGS / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(b'{"Records":[' + b",".join(payloads) + b"]}", 6))
            lines.writelines(payload + b"\n" for payload in payloads)
    for shape in shapes:
        (folder / shape).mkdir()
        write_answer(folder / shape, records, days, shape)


def write_answer(folder: Path, records: int, days: int, shape: str) -> None:
    """Write the table of a shape, and its answer: of parts of the table, whose order is that of the whole."""
    from duck_engine import SHAPES

    files = log_files(records, days)
    table: TableDescription | None = None
    encoder = msgspec.json.Encoder()
    with (folder / "rows.jsonl").open("wb") as rows:
        while some := list(islice(files, RECORDS_IN_A_TABLE // RECORDS_IN_A_FILE)):
            engine = SHAPES[shape].engine(
                (f"s3://logs/{name}", [json.loads(payload) for payload in payloads])
                for name, payloads in some
            )
            table = table or engine.describe()
            kind = shape_of(table, TABLE)
            query = statement(kind, engine.describe(), engine.table, RELEVANT_CALLS)
            list(engine.run(query.text))
            rows.writelines(encoder.encode(row) + b"\n" for row in engine.rows())
            engine.close()
    (folder / "table.json").write_bytes(encoder.encode(table))


# --- how it is read -------------------------------------------------------------------------------------


def read(source: str, folder: Path, step: str) -> None:
    """Read one source in this process."""
    schemes = sources._SCHEMES  # noqa: SLF001  the only place of an engine
    schemes["athena://"] = replace(
        schemes["athena://"], open=lambda _, scope: TableSource(FileEngine(folder / source), scope)
    )
    uri = {LOGS: str(folder / LOGS), LINES: str(folder / f"{LINES}.jsonl")}.get(source, TABLE)
    if step == "timeline":
        sys.argv = ["cnitrail", "timeline", uri, "-o", "jsonl", "-q"]
        run()
    opened = sources.open_source(uri, Scope(event_names=NAMES, relevant_calls=RELEVANT_CALLS))
    for _ in ScanPool(Growth()).scan(opened):
        pass


def measured(source: str, folder: Path, step: str) -> Taken:
    """Return the CPU time and memory of a process that reads a source."""
    command = [sys.executable, __file__, "--read", source, "--step", step, "--folder", str(folder)]
    return taken(command, folder / "output")


def compare(folder: Path, base: Path, records: int, names: list[str], rounds: int) -> None:
    """Print rows of the table in Markdown for some number of records."""
    for step in STEPS:
        costs: dict[str, tuple[float, float]] = {}
        runs = {name: [measured(name, folder, step) for _ in range(rounds)] for name in names}
        for name, took in runs.items():
            start = min((measured(name, base, step) for _ in range(rounds)), key=lambda run: run.cpu)
            extra = records - RECORDS_IN_A_FILE
            cpu = min(run.cpu for run in took) - start.cpu
            memory = min(run.process_mb for run in took) - start.process_mb
            costs[name] = (cpu / extra * 1e6, memory / extra * 1e6)
        for name, (cpu, memory) in costs.items():
            ratio = cpu / costs[LINES][0]
            print(f"| {step} | {records:,} | {name} | {cpu:.0f} | {ratio:.2f} | {memory:,.0f} |", flush=True)


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, nargs="+", default=[100_000, 400_000])
    parser.add_argument("--shapes", nargs="+", default=["now", "crawler", "ocsf"])
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.read:
        read(asked.read, asked.folder, asked.step)
        return
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    print("| step | records | source | CPU µs a record | ÷ JSON lines | bytes a record |")
    print("|---|---|---|---|---|---|")
    names = [LINES, LOGS, *asked.shapes]
    with TemporaryDirectory() as base:
        write(Path(base), RECORDS_IN_A_FILE, 1, asked.shapes)
        for records in asked.records:
            with TemporaryDirectory() as folder:
                write(Path(folder), records, asked.days, asked.shapes)
                compare(Path(folder), Path(base), records, names, asked.rounds)


if __name__ == "__main__":
    main()
