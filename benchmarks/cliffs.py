"""Looks for costs that grow faster than the evidence, with what broken data and attackers may log.

    python benchmarks/cliffs.py [--size 5000] [--cases attachments addresses enis]

Each case of fixtures/extremes.py is measured at a size and at twice that size, command by command:

- ``attachments``: one ENI is attached and detached so many times, on two instances in turn,
- ``addresses``: one call assigns so many addresses,
- ``enis``: calls move one address to so many ENIs within one second.

The exponent is that between both sizes: 1 is linear. ``read`` also builds the history; other commands are
asked of that.
"""

import argparse
import gzip
import json
import math
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from ipaddress import ip_address
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fixtures"))

from extremes import CASES, SUBNET, extreme

import cnitrail
from cnitrail.answers.filters import Filter
from cnitrail.answers.over_time import LAST_SECOND
from cnitrail.answers.who import HolderIndex
from cnitrail.model import Answer
from cnitrail.render.writers import writer

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def commands(case: cnitrail.Case, ip: str) -> dict[str, Callable[[], list[object]]]:
    """Return what each command finds, with the options of its name."""
    at, holders = BEGIN + timedelta(hours=1), HolderIndex(case.history, case.coverage)
    questions = [at + timedelta(seconds=number) for number in range(20)]
    return {
        "timeline": lambda: [*case.timeline()],
        "timeline --ip": lambda: [*case.timeline(ip=ip)],
        "leases": lambda: [*case.leases()],
        "state": lambda: [*case.state(at)],
        "who": lambda: [case.who(ip, time) for time in questions],
        "who --batch": lambda: [case.remembered_answers.who(ip_address(ip), time) for time in questions],
        "findings": lambda: [*case.findings()],
        "report": lambda: [case.report()],
        "flows": lambda: holders.over_time(ip_address(ip), Filter()).during(0, LAST_SECOND),
        "explain": lambda: [case.explain(ip)],
        "pool": lambda: [*case.pool()],
        "subnet": lambda: [*case.subnet(SUBNET.id, at)],
    }


def measure(name: str, size: int, only: list[str]) -> dict[str, float]:
    """Return the CPU seconds of each command."""
    _, ip = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.json.gz"
        path.write_bytes(gzip.compress(json.dumps({"Records": [*extreme(name, size)]}).encode(), 1))
        begin = time.process_time()
        case = cnitrail.read(path)
        took = {"read": time.process_time() - begin}
    assert case.history.leases
    for command, ask in commands(case, ip).items():
        if only and command not in only:
            continue
        begin = time.process_time()
        found = ask()
        took[command] = time.process_time() - begin
        if command in ("timeline", "leases", "state", "pool", "subnet", "report", "findings"):
            for output in ("html", "md") if command == "report" else ("table", "jsonl", "csv"):
                begin = time.process_time()
                answer = Answer(
                    command=command,
                    query=defaultdict(str, at=BEGIN + timedelta(hours=1)),
                    evidence=case.evidence,
                    entries=found,
                )
                writer(command, output)(answer, StringIO())
                took[f"{command} -o {output}"] = time.process_time() - begin
    return took


def main() -> None:
    """Measure each case at two sizes, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=5_000)
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--measure")
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, given.size, given.only)))
        return
    for name in given.cases:
        small, large = (ask(name, size, given.only) for size in (given.size, 2 * given.size))
        print(f"{name}: {given.size:,} and {2 * given.size:,}")
        print(f"  {'command':22} {'µs each':>10} {'µs each':>10} {'exponent':>8}")
        for command, seconds in small.items():
            exponent = math.log2(max(large[command], 1e-4) / max(seconds, 1e-4))
            one, other = seconds / given.size * 1e6, large[command] / given.size / 2 * 1e6
            print(f"  {command:22} {one:10.1f} {other:10.1f} {exponent:8.2f}", flush=True)


def ask(name: str, size: int, only: list[str]) -> dict[str, float]:
    """Measure a case in a process of its own."""
    command = [sys.executable, __file__, "--measure", name, "--size", str(size), "--only", *only]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
