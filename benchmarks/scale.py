"""Measures what grows with the logs, and prints one table.

    python benchmarks/scale.py [--data DIR] [--quick] [PART …]

The parts, all by default (some 20 minutes; `--quick` takes a tenth of the data):

    scan       logs in which 1% of the records matter, beside decompression alone and other tools
    commands   relevant events only: every command, per event, beside `timeline -o jsonl`, and how it grows
    store      questions to a store of a million events, beside a timeline of one small story
    batch      a million questions of `who --batch`
    code       instructions, counted by valgrind, of the scan and of a relevant event

Every way is a whole process, start-up included, and each answer is checked or counted. "÷" is to what the row
says, measured in the same round; seconds depend on the machine. What S3 costs is measured by s3.py, and the
inputs that attackers choose by cliffs.py. Linux.
"""

import argparse
import gzip
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from statistics import median

from history import BEGIN
from logs import HERE, made
from measuring import Taken, taken
from scan import LIMIT, WAYS, Bench, Pair
from stages import write_files, write_store

from cnitrail.store import schema

SMALL_STORY = HERE.parent / "fixtures" / "ironman"
CNITRAIL = (sys.executable, "-m", "cnitrail")
ROUNDS = 5


@dataclass(frozen=True)
class Row:
    """A line of the table: what was done, the cost in numbers, the ratio, and the goal for it."""

    what: str
    cost: str
    ratio: str
    goal: str = ""

    def __str__(self) -> str:
        return f"| {self.what} | {self.cost} | {self.ratio} | {self.goal} |"


@dataclass(frozen=True)
class Asked:
    """Where data lies, and how much of it is wanted."""

    data: Path
    quick: bool

    @property
    def sizes(self) -> tuple[int, int]:
        """Two numbers of relevant events."""
        return (10_000, 100_000) if self.quick else (100_000, 1_000_000)

    def kept(self, name: str, write: Callable[[str, int], str], events: int, form: str = "") -> str:
        """Return the path of data that is written once, and again if what defines its ``form`` changes."""
        digest = f"-{sha256(form.encode()).hexdigest()[:8]}" if form else ""
        folder = self.data / f"{name}{digest}-{events}"
        done = folder.with_suffix(".path")
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            done.write_text(write(str(folder), events))
        return done.read_text()


def run(*arguments: object, cores: int = 0) -> Taken:
    """Run cnitrail once."""
    with tempfile.TemporaryDirectory() as folder:
        return taken([*CNITRAIL, *map(str, arguments)], Path(folder, "output"), cores=cores, tree=False)


def printed(*arguments: object) -> str:
    """Return what cnitrail prints."""
    command = [*CNITRAIL, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def iso(time: datetime) -> str:
    """Return a time as an option takes it."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def scan(asked: Asked) -> Iterator[Row]:
    """Yield the rows of logs as they are."""
    bench = Bench(asked.data)
    timeline_goals = {"trail": "", "large": "≤ 2"}
    for plan, goal in (("trail", "≤ 1.25"), ("large", "≤ 1.1")):
        if plan == "large" and asked.quick:
            continue
        logs = made(asked.data, plan)
        ways = [way for way in WAYS if not way.lacks and (not way.seldom or plan == "trail")]
        for name, pairs in bench.pairs(ways, logs, ROUNDS).items():
            wall, cpu = median(pair.wall for pair in pairs), median(pair.cpu for pair in pairs)
            goals = {"cnitrail, scan alone**, two": goal, "timeline -o jsonl**": timeline_goals[plan]}
            wanted = next((goals[part] for part in goals if part in name and "one core" not in name), "")
            yield Row(
                f"{name}, {logs.json_bytes / 1e9:.1f} GB of JSON",
                f"{wall:.2f} s, CPU {cpu:.2f} s",
                f"{_ratio(pairs):.2f} of {LIMIT.name}",
                wanted,
            )


def _ratio(pairs: list[Pair]) -> float:
    return median(pair.wall_ratio for pair in pairs)


COMMANDS: dict[str, tuple[str, str]] = {
    "leases -o jsonl": ("", "leases {} -o jsonl"),
    "state -o jsonl": ("", "state {} --at 2026-01-01T12:00Z -o jsonl"),
    "findings -o jsonl": ("≤ 1.5", "findings {} -o jsonl"),
    "report -o md": ("≤ 2", "report {} -o md"),
    "report -o html": ("≤ 2", "report {} -o html"),
    "pool -o jsonl": ("", "pool {} -o jsonl"),
    "who 10.0.0.9": ("", "who 10.0.0.9 {} --at 2026-01-01T12:00Z -o json"),
    "explain 10.0.0.9": ("", "explain 10.0.0.9 {} --at 2026-01-01T12:00Z -o json"),
}
"""Commands with their goals, as multiples of `timeline -o jsonl`."""


def commands(asked: Asked) -> Iterator[Row]:
    """Yield the rows of relevant events: CPU, memory, and how both grow."""
    few, many = (asked.kept("relevant", write_files, size) for size in asked.sizes)
    story = run("timeline", SMALL_STORY, "-o", "jsonl", "--workers", 1)

    def both(line: str) -> tuple[Taken, Taken]:
        first, second = (run(*line.format(path).split(), "--workers", 1) for path in (few, many))
        return first, second

    base = both("timeline {} -o jsonl")
    rows = {"timeline -o jsonl": ("≤ 40 µs, 1 kB", base)}
    rows |= {name: (goal, both(line)) for name, (goal, line) in COMMANDS.items()}
    for name, (goal, (first, second)) in rows.items():
        cost = (second.cpu - story.cpu) / asked.sizes[1] * 1e6
        memory = (second.process_mb - story.process_mb) / asked.sizes[1] * 1e6
        growth = math.log((second.cpu - story.cpu) / (first.cpu - story.cpu), asked.sizes[1] / asked.sizes[0])
        yield Row(
            f"{name}, {asked.sizes[1]:,} relevant events",
            f"{cost:.0f} µs, {memory / 1000:.2f} kB an event",
            f"{second.cpu / base[1].cpu:.2f} of timeline, exponent {growth:.2f}",
            f"{goal}, exponent ≤ 1.05" if goal else "exponent ≤ 1.05",
        )


def store(asked: Asked) -> Iterator[Row]:
    """Yield the rows of a store: any question about one address, ENI or instance, and a time."""
    size = asked.sizes[1]
    path = asked.kept("store", write_store, size, Path(schema.__file__).read_text())
    at, day = BEGIN + timedelta(seconds=size // 2), timedelta(hours=12)
    minutes = ("--since", iso(at), "--until", iso(at + timedelta(minutes=5)))
    found = printed("timeline", path, *minutes, "--event", "AssignPrivateIpAddresses", "-o", "jsonl")
    event = json.loads(found.splitlines()[0])
    address, eni, instance = event["added"][0], event["eni"], event["instance"]
    then = ("--at", event["time"])
    around = ("--since", iso(at - day), "--until", iso(at + day))
    questions: dict[str, tuple[object, ...]] = {
        "who ADDRESS --at": ("who", address, path, *then),
        "explain ADDRESS --at": ("explain", address, path, *then),
        "timeline --ip, a day": ("timeline", path, "--ip", address, *around),
        "timeline --ip": ("timeline", path, "--ip", address),
        "timeline --eni": ("timeline", path, "--eni", eni),
        "timeline --instance": ("timeline", path, "--instance", instance),
        "leases --ip, a day": ("leases", path, "--ip", address, *around),
    }
    for name, question in questions.items():
        pairs = [(run("timeline", SMALL_STORY), run(*question)) for _ in range(ROUNDS)]
        yield Row(
            f"{name}, store of {size:,} events",
            f"CPU {median(taken.cpu for _, taken in pairs):.2f} s",
            f"{median(taken.cpu / story.cpu for story, taken in pairs):.1f} of a small timeline",
            "≤ 3",
        )


def batch(asked: Asked) -> Iterator[Row]:
    """Yield the row of many questions."""
    few, number = asked.kept("relevant", write_files, asked.sizes[0]), asked.sizes[1]
    leases = [json.loads(line) for line in printed("leases", few, "-o", "jsonl").splitlines()]
    asks = [f"{lease['ip']},{lease['start']}" for lease in leases if lease["start"]]
    with tempfile.TemporaryDirectory() as folder:
        one, all_of_them = Path(folder, "one.csv"), Path(folder, "all.csv")
        one.write_text(f"ip,at\n{asks[0]}\n")
        with all_of_them.open("w") as file:
            file.write("ip,at\n")
            file.writelines(f"{asks[at % len(asks)]}\n" for at in range(number))
        rebuilt, answered = (
            run("who", "--batch", asked_for, few, "-o", "jsonl", "--workers", 1)
            for asked_for in (one, all_of_them)
        )
    yield Row(
        f"who --batch, {number:,} questions to {asked.sizes[0]:,} events",
        f"CPU {answered.cpu - rebuilt.cpu:.1f} s, {answered.process_mb - rebuilt.process_mb:.0f} MB more",
        f"{(answered.cpu - rebuilt.cpu) / number * 1e6:.0f} µs a question",
        "≤ 30 s" if not asked.quick else "≤ 3 s",
    )


def code(asked: Asked) -> Iterator[Row]:
    """Yield the rows of instructions, which do not depend on what else the machine does."""
    if not shutil.which("valgrind"):
        yield Row("instructions", "valgrind is not installed", "")
        return
    logs = sorted(made(asked.data, "trail").path.rglob("*.gz"))[::16]
    with tempfile.TemporaryDirectory() as folder:
        sets = {}
        for number in (20, 60):
            sets[number] = Path(folder, str(number))
            sets[number].mkdir()
            for log in logs[:number]:
                shutil.copy(log, sets[number])
        size = sum(len(gzip.decompress(log.read_bytes())) for log in logs[20:60]) / 1e6
        limit, scanned = (
            _difference([str(HERE / "ways" / way), "{}", "any", *more], sets[20], sets[60])
            for way, more in (("decompress.py", ("libdeflate", "1")), ("bare_scan.py", ("1",)))
        )
        few, many = (write_files(tempfile.mkdtemp(dir=folder), number) for number in (500, 1500))
        event = _difference(["-m", "cnitrail", "timeline", "{}", "-o", "jsonl", "--workers", "1"], few, many)
    yield Row("decompression alone, instructions", f"{limit / size / 1e6:.2f} M a MB", "1.00")
    yield Row(
        "cnitrail, scan alone, instructions",
        f"{scanned / size / 1e6:.2f} M a MB",
        f"{scanned / limit:.2f} of it",
    )
    yield Row("timeline -o jsonl, instructions", f"{event / 1000 / 1e3:.0f} k a relevant event", "")


def _difference(arguments: list[str], few: object, many: object) -> int:
    """Return the instructions that a Python program takes for more data than it takes for less."""
    first, second = (_instructions([argument.format(data) for argument in arguments]) for data in (few, many))
    return second - first


def _instructions(arguments: list[str]) -> int:
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run(
        [*command, sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "0"},
    )
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    assert found, done.stderr
    return int(found[1].replace(",", ""))


PARTS = {"scan": scan, "commands": commands, "store": store, "batch": batch, "code": code}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="|".join(PARTS), default=list(PARTS))
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "cnitrail-benchmark")
    parser.add_argument("--quick", action="store_true", help="a tenth of the data")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    os.environ["PYTHONPATH"] = str(HERE.parent)
    here = os.path.dirname(sys.executable)  # what a way runs as `python` is this one, also in no active venv
    os.environ["PATH"] = os.pathsep.join((here, os.environ["PATH"]))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process compiles cnitrail again
    asked.data.mkdir(parents=True, exist_ok=True)
    print("| what | cost | ratio | goal |\n|---|---|---|---|", flush=True)
    for part in asked.parts:
        for row in PARTS[part](Asked(asked.data, quick=asked.quick)):
            print(row, flush=True)


if __name__ == "__main__":
    main()
