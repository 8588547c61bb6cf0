"""A long run on all processors.

A process tries a part of the inputs of one target. If it dies, or hangs in native code that no signal
interrupts, the input that it was trying is reported.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from time import monotonic
from typing import Any, Final
from unittest.mock import patch

from msgspec import Struct

from fuzz.engine import SECONDS, Fault, attempts, input_of, peak_memory
from fuzz.seeds import seeds_in
from fuzz.targets import Target

MAX_PART: Final = 10_000
"""Maximum number of inputs that are tried in one process."""

_STALL_SECONDS: Final = 15 * SECONDS
"""Time without a next input after which a process is killed."""

_PROCESSES: Final = get_context("fork")
_IN_MEMORY: Final = next(filter(os.path.isdir, ("/dev/shm",)), None)
"""Directory for temporary files; None for the system's own."""


class Part(Struct, frozen=True):
    """A range of the inputs of a target."""

    target: Target
    numbers: range


class Outcome(Struct, frozen=True, kw_only=True):
    """The result of a part: inputs tried, seconds, peak memory in bytes, and faults."""

    part: Part
    inputs: int
    seconds: float
    peak: int
    faults: list[Fault]


def parts_of(targets: Sequence[Target], inputs: int) -> list[Part]:
    """Return parts in which the targets get inputs in proportion to their shares."""
    shares = sum(target.share for target in targets)
    parts = []
    for target in targets:
        count = -(-inputs * target.share // shares)
        parts += [
            Part(target, range(start, min(start + MAX_PART, count))) for start in range(0, count, MAX_PART)
        ]
    return parts


def run(parts: Sequence[Part], seed: int) -> Iterator[Outcome]:
    """Try all parts and yield their results. All temporary files are removed at the end."""
    with tempfile.TemporaryDirectory("fuzz", dir=_IN_MEMORY) as folder, patch("tempfile.tempdir", folder):
        yield from _run(parts, seed)


def _run(parts: Sequence[Part], seed: int) -> Iterator[Outcome]:
    waiting = list(reversed(parts))
    working: list[_Worker] = []
    try:
        while waiting or working:
            while waiting and len(working) < (os.cpu_count() or 1):
                working.append(_Worker(waiting.pop(), seed))
            wait([worker.results for worker in working], timeout=1)
            for worker in list(working):
                if worker.is_done():
                    working.remove(worker)
                    yield worker.outcome()
    finally:
        for worker in working:
            worker.stop()


class _Worker:
    """A process that tries a part."""

    def __init__(self, part: Part, seed: int) -> None:
        self._part, self._seed = part, seed
        self._start = self._last_progress = monotonic()
        self._number: Any = _PROCESSES.Value("q", part.numbers.start, lock=False)
        self._seen = part.numbers.start
        self.results, sender = _PROCESSES.Pipe(duplex=False)
        self._process = _PROCESSES.Process(target=_work, args=(part, seed, self._number, sender))
        self._process.start()
        sender.close()

    def is_done(self) -> bool:
        """Whether the process has ended, or must be killed because it makes no progress."""
        if self._number.value != self._seen:
            self._seen, self._last_progress = self._number.value, monotonic()
        return self.results.poll() or monotonic() - self._last_progress > _STALL_SECONDS

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()

    def outcome(self) -> Outcome:
        """Return the result of the part."""
        seconds, number = monotonic() - self._start, self._number.value
        try:
            faults, peak = self.results.recv() if self.results.poll() else (None, 0)
        except EOFError:  # it died
            faults, peak = None, 0
        hangs = not self.results.poll()
        self.stop()
        if faults is None:
            kind = "Hang in native code" if hangs else f"process ended with {self._process.exitcode}"
            data = input_of(self._part.target, seeds_in(self._part.target.corpus), self._seed, number)
            faults = [Fault(kind, kind, data)]
        return Outcome(
            part=self._part,
            inputs=number - self._part.numbers.start + 1,
            seconds=seconds,
            peak=peak,
            faults=faults,
        )


def _work(part: Part, seed: int, current: Any, sender: Connection) -> None:
    def begin(number: int) -> None:
        current.value = number

    faults = attempts(part.target, seeds_in(part.target.corpus), seed, part.numbers, begin=begin)
    sender.send((faults, peak_memory()))
