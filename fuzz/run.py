"""A long run: the targets in processes of their own, as many at a time as there are processors.

A process tries a part of the inputs of one target. One that dies, or that no alarm wakes from native
code, is told with the input that it was trying.
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

LONGEST_PART: Final = 10_000
"""The most inputs of one part; with a new process nothing is left of those before."""

_PATIENCE: Final = 15 * SECONDS
"""After so many seconds without a next input a process is given up."""
_PROCESSES: Final = get_context("fork")
_IN_MEMORY: Final = next(filter(os.path.isdir, ("/dev/shm",)), None)
"""Where files are written that nobody keeps; None where the system says."""


class Part(Struct, frozen=True):
    """Some inputs of a target, by their numbers."""

    target: Target
    numbers: range


class Outcome(Struct, frozen=True):
    """What came of a part: how many inputs were tried in how many seconds, the peak memory in bytes."""

    part: Part
    inputs: int
    seconds: float
    peak: int
    faults: list[Fault]


def parts_of(targets: Sequence[Target], inputs: int) -> list[Part]:
    """The inputs, shared out among targets, in parts."""
    shares = sum(target.share for target in targets)
    parts = []
    for target in targets:
        count = -(-inputs * target.share // shares)
        parts += [
            Part(target, range(start, min(start + LONGEST_PART, count)))
            for start in range(0, count, LONGEST_PART)
        ]
    return parts


def run(parts: Sequence[Part], seed: int) -> Iterator[Outcome]:
    """Try all parts; what came of each, as it ends. Their files go when all is done, killed or not."""
    with tempfile.TemporaryDirectory("fuzz", dir=_IN_MEMORY) as folder, patch("tempfile.tempdir", folder):
        yield from _run(parts, seed)


def _run(parts: Sequence[Part], seed: int) -> Iterator[Outcome]:
    waiting = list(reversed(parts))
    working: list[_Worker] = []
    try:
        while waiting or working:
            while waiting and len(working) < (os.cpu_count() or 1):
                working.append(_Worker(waiting.pop(), seed))
            wait([worker.told for worker in working], timeout=1)
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
        self._begun = self._moved = monotonic()
        self._number: Any = _PROCESSES.Value("q", part.numbers.start, lock=False)
        self._seen = part.numbers.start
        self.told, telling = _PROCESSES.Pipe(duplex=False)
        self._process = _PROCESSES.Process(target=_work, args=(part, seed, self._number, telling))
        self._process.start()
        telling.close()

    def is_done(self) -> bool:
        """Whether the process has ended, or must be ended: it has not moved for too long."""
        if self._number.value != self._seen:
            self._seen, self._moved = self._number.value, monotonic()
        return self.told.poll() or monotonic() - self._moved > _PATIENCE

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()

    def outcome(self) -> Outcome:
        """What came of the part."""
        seconds, number = monotonic() - self._begun, self._number.value
        try:
            faults, peak = self.told.recv() if self.told.poll() else (None, 0)
        except EOFError:  # it died
            faults, peak = None, 0
        hangs = not self.told.poll()
        self.stop()
        if faults is None:
            kind = "Hang in native code" if hangs else f"process ended with {self._process.exitcode}"
            data = input_of(self._part.target, seeds_in(self._part.target.corpus), self._seed, number)
            faults = [Fault(kind, kind, data)]
        return Outcome(self._part, number - self._part.numbers.start + 1, seconds, peak, faults)


def _work(part: Part, seed: int, current: Any, telling: Connection) -> None:
    def begin(number: int) -> None:
        current.value = number

    faults = attempts(part.target, seeds_in(part.target.corpus), seed, part.numbers, begin=begin)
    telling.send((faults, peak_memory()))
