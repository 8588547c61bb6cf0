"""Measures the start-up of commands: `python benchmarks/startup.py [--rounds 25]`.

Each command is a whole process; CPU seconds (user and system), minimum of all rounds, in which the commands
take turns, from compiled bytecode as in an installed package. The unit is `python -c 'import click'`: the
minimum cost of any command line.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
STORY = str(ROOT / "fixtures" / "ironman")
UNIT = "python -c 'import click'"
AT = "2022-10-05T14:00Z"


def commands(store: str) -> dict[str, list[str]]:
    """Return the commands to measure, by display name."""
    bare = [sys.executable, "-c"]
    ours = [sys.executable, "-m", "cnitrail"]
    run([*ours, "collect", STORY, "--to", store])
    return {
        "python -c 'pass'": [*bare, "pass"],
        UNIT: [*bare, "import click"],
        "cnitrail --help": [*ours, "--help"],
        "cnitrail --version": [*ours, "--version"],
        "cnitrail timeline DIR": [*ours, "timeline", STORY],
        "cnitrail timeline DIR -o jsonl": [*ours, "timeline", STORY, "-o", "jsonl"],
        "cnitrail timeline FILE.db": [*ours, "timeline", store],
        "cnitrail timeline FILE.db -o jsonl": [*ours, "timeline", store, "-o", "jsonl"],
        "cnitrail who IP DIR": [*ours, "who", "192.168.53.76", STORY, "--at", AT],
        "cnitrail leases DIR": [*ours, "leases", STORY],
        "cnitrail state DIR": [*ours, "state", STORY, "--at", AT],
        "cnitrail collect DIR (nothing new)": [*ours, "collect", STORY, "--to", store],
    }


def run(command: list[str]) -> float:
    """Return the CPU seconds of a process and its children."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    rounds = parser.parse_args().rounds
    with TemporaryDirectory() as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ |= {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": folder}
        asked = commands(os.path.join(folder, "small.db"))
        least = {name: run(command) for name, command in asked.items()}
        for _ in range(rounds):
            for name, command in asked.items():
                least[name] = min(least[name], run(command))
    print(f"least CPU of {rounds} rounds; `{UNIT}` took {least[UNIT] * 1000:.0f} ms\n")
    print("| command | ÷ `import click` |")
    print("|---|---|")
    for name, seconds in least.items():
        print(f"| `{name}` | {seconds / least[UNIT]:.2f} |")


if __name__ == "__main__":
    main()
