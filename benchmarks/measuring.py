"""Measures a process from start to end: `measuring.py FILE CORES tree|alone COMMAND…`.

It runs in its own small process, because the peak memory of a child is never less than its parent's at the
fork. The command's output is written to FILE; the measurement is printed as JSON. The command may use CORES
of the cores of this process (0: all). With ``tree``, the memory of all its processes together is sampled,
which itself takes time.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

PAUSE = 0.01


@dataclass(frozen=True)
class Taken:
    """Wall and CPU seconds, and peak memory in MB.

    ``process_mb`` is the largest process. ``tree_mb`` is all of them together: the private pages of each, and
    the largest amount of shared pages.
    """

    wall: float
    cpu: float
    process_mb: float
    tree_mb: float


def taken(command: list[str], output: Path, *, cores: int = 0, tree: bool = False) -> Taken:
    """Run a command once. Exit if it fails."""
    mode = "tree" if tree else "alone"
    wrapped = [sys.executable, "-S", __file__, str(output), str(cores), mode, *command]
    ran = subprocess.run(wrapped, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"failed: {' '.join(command)[:400]}\n{ran.stderr[-4000:]}")
    return Taken(**json.loads(ran.stdout))


def _run(output: str, cores: str, mode: str, *command: str) -> None:
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, allowed[-int(cores) :])
    watch = _Watch()
    with open(output, "wb") as file:
        begin = time.perf_counter()
        child = subprocess.Popen(command, stdout=file, stdin=subprocess.DEVNULL)
        if mode == "tree":
            watch.begin(child.pid)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begin
    watch.end()
    if status:
        sys.exit(f"status {os.waitstatus_to_exitcode(status)}")
    took = Taken(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, watch.peak / 1e6)
    print(json.dumps(asdict(took)))


class _Watch:
    """Samples the memory of a process and its descendants until it is stopped."""

    def __init__(self) -> None:
        self.peak = 0
        self._stop = Event()
        self._thread: Thread | None = None

    def begin(self, pid: int) -> None:
        self._thread = Thread(target=self._look, args=(pid,))
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _look(self, pid: int) -> None:
        while not self._stop.wait(PAUSE):
            pages = [_pages(process) for process in _family(pid)]
            shared = max((process.shared for process in pages), default=0)
            self.peak = max(self.peak, sum(process.own for process in pages) + shared)


class _Pages(NamedTuple):
    """The private and the shared memory of a process in bytes."""

    own: int
    shared: int


def _family(pid: int) -> list[int]:
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return [pid, *(process for child in children for process in _family(child))]


def _pages(pid: int) -> _Pages:
    """Return a file of a process in /proc; empty if the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return _Pages(0, 0)
    own, shared = (
        sum(
            int(line.split()[1]) * 1024 for line in lines if line.startswith((f"{kind}Clean", f"{kind}Dirty"))
        )
        for kind in ("Private_", "Shared_")
    )
    return _Pages(own, shared)


if __name__ == "__main__":
    _run(*sys.argv[1:])
