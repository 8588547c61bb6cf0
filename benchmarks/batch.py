"""Measures `cnitrail who --batch`: CPU per question and peak memory, for several mixes of questions.

    python benchmarks/batch.py [--events 100000] [--questions 100000 1000000] [--format jsonl]

The history is that of ``history.py``: nodes that take and release addresses of small pools, so that each
address has a new holder all the time, in several VPCs. The questions are, each mix with as many:

- ``hot``: about 20 addresses, in the order of time, as from the flow log of a few services,
- ``steady``: about all addresses while they were held, in the order of time, as from a flow log,
- ``shuffled``: the same in any order, so that hardly any answer is asked for twice in a while,
- ``anywhere``: as ``steady``, without the VPC: an address may be in all of them at once,
- ``unknown``: about addresses that no event names.

Each is a whole process; what one with a single question takes, to read the evidence, is subtracted.
"""

import argparse
import gzip
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path
from random import Random

from history import BEGIN, synthetic_records
from measuring import Taken, taken

import cnitrail

_PER_FILE = 5_000
_FOLDER = "AWSLogs/111111111111/CloudTrail/eu-west-1"
_HOT = 20


@dataclass(frozen=True)
class Held:
    """A lease: an address of a VPC from one second to another."""

    ip: str
    vpc: str
    start: datetime
    seconds: int


Asked = tuple[str, datetime, str]
"""The address, time and VPC of a question (empty: any)."""


def write_trail(folder: Path, events: int) -> None:
    """Write the log files of a history."""
    records = list(synthetic_records(events))
    for number in range(0, events, _PER_FILE):
        when = BEGIN + timedelta(seconds=number)
        name = f"111111111111_CloudTrail_eu-west-1_{when:%Y%m%dT%H%MZ}_{number:016d}.json.gz"
        path = folder / _FOLDER / f"{when:%Y/%m/%d}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        document = b'{"Records":[' + b",".join(records[number : number + _PER_FILE]) + b"]}"
        path.write_bytes(gzip.compress(document, 1))


def held_addresses(trail: Path) -> list[Held]:
    """Return the leases of a history."""
    history = cnitrail.read(trail).history
    end = history.events[-1].time
    return [
        Held(
            str(lease.held),
            lease.vpc or "",
            lease.start.time,
            int(((lease.end.time or end) - lease.start.time).total_seconds()),
        )
        for lease in history.leases
        if lease.start.time is not None
    ]


def of_lease(chance: Random, lease: Held) -> Asked:
    """Return a question about a lease, at any time of it."""
    return lease.ip, lease.start + timedelta(seconds=chance.randint(0, lease.seconds)), lease.vpc


def hot(chance: Random, number: int, leases: list[Held]) -> Iterator[Asked]:
    """Yield questions about the leases of a few addresses, in the order of time."""
    names = {(lease.ip, lease.vpc) for lease in chance.sample(leases, _HOT)}
    return steady(chance, number, [lease for lease in leases if (lease.ip, lease.vpc) in names])


def steady(chance: Random, number: int, leases: list[Held]) -> Iterator[Asked]:
    """Yield questions about all leases, in the order of time."""
    return iter(sorted(shuffled(chance, number, leases), key=itemgetter(1)))


def shuffled(chance: Random, number: int, leases: list[Held]) -> Iterator[Asked]:
    """Yield questions about all leases, in any order."""
    return (of_lease(chance, chance.choice(leases)) for _ in range(number))


def anywhere(chance: Random, number: int, leases: list[Held]) -> Iterator[Asked]:
    """Yield questions about all leases that name no VPC, in the order of time."""
    return ((ip, at, "") for ip, at, _ in steady(chance, number, leases))


def unknown(chance: Random, number: int, _leases: list[Held]) -> Iterator[Asked]:
    """Yield questions about addresses that no event names."""
    ids = (chance.randrange(1 << 16) for _ in range(number))
    return ((f"10.9.{some >> 8}.{some & 255}", BEGIN + timedelta(seconds=some), "") for some in ids)


MIXES: dict[str, Callable[[Random, int, list[Held]], Iterator[Asked]]] = {
    "hot": hot,
    "steady": steady,
    "shuffled": shuffled,
    "anywhere": anywhere,
    "unknown": unknown,
}


def write_questions(path: Path, mix: str, number: int, leases: list[Held]) -> None:
    """Write the questions of a mix."""
    with path.open("w") as file:
        file.write("ip,at,vpc\n")
        for ip, at, vpc in MIXES[mix](Random(mix), number, leases):
            file.write(f"{ip},{at:%Y-%m-%dT%H:%M:%SZ},{vpc}\n")


def ask(questions: Path, trail: Path, output: str) -> Taken:
    """Return what a whole process takes to answer the questions."""
    command = [sys.executable, "-m", "cnitrail", "who", "-q", "--batch", str(questions), str(trail)]
    return taken([*command, "-o", output], Path("/dev/null"), cores=1)


def main() -> None:
    """Measure each mix, and print a line for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--questions", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--format", default="jsonl")
    parser.add_argument("--mixes", nargs="+", default=list(MIXES))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_trail(folder / "trail", given.events)
        questions = folder / "questions.csv"
        leases = held_addresses(folder / "trail")
        write_questions(questions, "hot", 1, leases)
        runs = [ask(questions, folder / "trail", given.format) for _ in range(2)]
        single = min(runs, key=lambda run: run.cpu)
        print(
            f"{given.events:,} events: {single.cpu:.1f} CPU s and {single.process_mb:.0f} MB for one question"
        )
        print(f"{'questions':10} {'number':>10} {'CPU s':>8} {'µs each':>8} {'peak MB':>8} {'more MB':>8}")
        for mix in given.mixes:
            for number in given.questions:
                write_questions(questions, mix, number, leases)
                run = ask(questions, folder / "trail", given.format)
                more = run.cpu - single.cpu
                print(
                    f"{mix:10} {number:>10,} {more:>8.1f} {more / number * 1e6:>8.1f} "
                    f"{run.process_mb:>8.0f} {run.process_mb - single.process_mb:>8.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
