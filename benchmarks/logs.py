"""Generates log files for benchmarks: `python benchmarks/logs.py DIR [SET…]`, unless they exist already.

They are invented (see `account.py`), and always the same. Layout, names, content before gzip and compression
ratio are those of real trails. Next to each set is its answer: the relevant events in it, as generated.
"""

import hashlib
import json
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zlib import compressobj

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "fixtures"))

from account import BEGIN, Life, Node, Place, RecordedTrail, background, nodes  # noqa: E402
from calls import Record  # noqa: E402
from trail import GRID, LogFile  # noqa: E402

from cnitrail.decode import NAMES  # noqa: E402

ASKED_FOR = tuple(name for name in NAMES if name != "AssumeRole")
"""The names of the events to find. Here, only AWS services call AssumeRole, which is irrelevant."""

LABEL = "Synthetic: invented CloudTrail records to measure with. Accounts, keys and ids are nobody's.\n"
ACCOUNTS = ("111111111111", "222222222222", "333333333333", "444444444444")
REGIONS = ("eu-west-1", "us-east-1", "eu-central-1", "us-west-2", "ap-northeast-1")

Event = tuple[str, str, str]
"""A relevant event: ID, time as in the record, and name."""


@dataclass(frozen=True)
class Plan:
    """The parameters of a set: accounts and Regions, and for each the files, records per file, and nodes.

    With ``merged``, each account and Region has one file with all its records.
    """

    accounts: int
    regions: int
    files: int
    records: int
    nodes_a_day: float
    merged: bool = False

    @property
    def places(self) -> list[Place]:
        """Every Region of every account."""
        return [
            Place(account, region)
            for account in ACCOUNTS[: self.accounts]
            for region in REGIONS[: self.regions]
        ]


PLANS = {
    "trail": Plan(1, 2, files=500, records=333, nodes_a_day=58),
    "large": Plan(4, 5, files=500, records=333, nodes_a_day=58),
    "fifth": Plan(1, 2, files=100, records=333, nodes_a_day=58),
    "small": Plan(1, 5, files=1000, records=7, nodes_a_day=1),
    "many": Plan(4, 5, files=1000, records=7, nodes_a_day=1),
    "full": Plan(1, 3, files=900, records=333, nodes_a_day=58, merged=True),
}
"""`trail` is the logs of an incident, `fifth` its beginning, `large` ten of them; `small` is a quiet
account, `many` four of those. The files of `full` have the size that CloudTrail's may have at most, 50 MB
compressed."""


@dataclass(frozen=True)
class Logs:
    """A set of log files on disk, with its counts."""

    path: Path
    files: int
    files_with_events: int
    records: int
    events: int
    json_bytes: int
    stored_bytes: int

    @property
    def answer(self) -> set[Event]:
        """The relevant events in the set."""
        lines = _beside(self.path, "tsv").read_text().splitlines()
        return {(id_, time, name) for id_, time, name in (line.split("\t") for line in lines)}

    def __str__(self) -> str:
        stored, text = self.stored_bytes / 1e6, self.json_bytes / 1e6
        return (
            f"{self.files:,} files, {text:.0f} MB of JSON in {stored:.0f} MB ({text / stored:.1f}×), "
            f"{self.records:,} records, {self.events:,} ({self.events / self.records:.1%}) relevant, "
            f"in {self.files_with_events / self.files:.0%} of the files"
        )


def made(home: Path, name: str) -> Logs:
    """Return a set by its name; generate it if it does not exist, or the generator has changed."""
    root = home / name
    description = _beside(root, "json")
    if description.exists():
        fields = json.loads(description.read_text())
        if fields.pop("makers") == _makers():
            return Logs(root, **fields)
        description.unlink()
        shutil.rmtree(root)
    elif root.exists():
        sys.exit(f"{root}: this benchmark has not made what is there; name another directory")
    print(f"making {root} …", file=sys.stderr)
    root.mkdir(parents=True)
    (home / "SYNTHETIC.txt").write_text(LABEL)
    logs = _write(PLANS[name], root)
    fields = {key: value for key, value in asdict(logs).items() if key != "path"}
    description.write_text(json.dumps({"makers": _makers(), **fields}))
    return logs


def _beside(root: Path, kind: str) -> Path:
    return root.with_name(f"{root.name}.{kind}")


def _makers() -> str:
    """Return a digest of the generator; if it changes, the sets are generated again."""
    sources = [Path(__file__), HERE / "account.py", *(HERE.parent / "fixtures").glob("*.py")]
    texts = sorted(source.read_bytes() for source in sources)
    return hashlib.sha256(b"".join([*texts, repr(sorted(ASKED_FOR)).encode()])).hexdigest()


@dataclass(frozen=True)
class _Interval:
    """The input of a file: account and Region, time, and the records of nodes in it."""

    plan: Plan
    place: Place
    since: datetime
    recorded: list[Record]
    alive: list[Node]


@dataclass(frozen=True)
class _Written:
    """The content of a file before gzip, and the relevant events in it."""

    path: str
    text: bytes
    records: int
    events: list[Event]


def _intervals(plan: Plan, place: Place) -> Iterator[_Interval]:
    begin = datetime.fromisoformat(BEGIN).replace(tzinfo=UTC)
    trail, living = (
        RecordedTrail(place),
        nodes(place, plan.files * GRID / timedelta(hours=1), plan.nodes_a_day),
    )
    for node in living:
        Life(trail, place, node).record()
    recorded = defaultdict(list)
    for time, record in trail.recorded:
        recorded[(time - begin) // GRID].append(record)
    for at in range(plan.files):
        second = at * GRID.total_seconds()
        alive = [node for node in living if node.born < second < node.dies]
        yield _Interval(plan, place, begin + at * GRID, recorded[at], alive)


def _written(interval: _Interval) -> _Written:
    place, since = interval.place, interval.since
    number = max(0, interval.plan.records - len(interval.recorded))
    drawn = background(place, interval.alive, since, GRID, number)
    records = sorted([*interval.recorded, *drawn], key=lambda record: str(record["eventID"]))
    file = LogFile("benchmark", place.account, place.region, since + 2 * GRID, records)
    events = [
        (record["eventID"], record["eventTime"], record["eventName"])
        for record in records
        if record["eventName"] in ASKED_FOR
    ]
    text = file.text.replace(b"==", rb"\u003d\u003d")  # real files have base64 padding as escapes
    return _Written(file.path, text, len(records), events)


def _merged(files: Iterator[_Written]) -> _Written:
    begin, end = b'{"Records":[', b"]}"
    all_of_them = list(files)
    text = b",".join(file.text.removeprefix(begin).removesuffix(end) for file in all_of_them)
    events = [event for file in all_of_them for event in file.events]
    records = sum(file.records for file in all_of_them)
    return _Written(all_of_them[-1].path, begin + text + end, records, events)


def _write(plan: Plan, root: Path) -> Logs:
    events: list[Event] = []
    sizes: list[int] = []
    stored_bytes = files_with_events = records = 0
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for place in plan.places:
            files = pool.map(_written, _intervals(plan, place), chunksize=4)
            for file in [_merged(files)] if plan.merged else files:
                path = root / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                stored_bytes += path.write_bytes(_zipped(file.text))
                sizes.append(len(file.text))
                records += file.records
                files_with_events += bool(file.events)
                events += file.events
    _beside(root, "tsv").write_text("".join("\t".join(event) + "\n" for event in events))
    return Logs(root, len(sizes), files_with_events, records, len(events), sum(sizes), stored_bytes)


def _zipped(text: bytes) -> bytes:
    pack = compressobj(6, wbits=31)
    return pack.compress(text) + pack.flush()


def main() -> None:
    """Generate the named sets, or all, and print their counts."""
    home, *names = sys.argv[1:] or sys.exit(f"usage: {sys.argv[0]} DIR [{'|'.join(PLANS)} …]")
    for name in names or PLANS:
        print(f"{home}/{name}: {made(Path(home), name)}")


if __name__ == "__main__":
    main()
