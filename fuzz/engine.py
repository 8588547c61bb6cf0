"""Tries a target with many inputs. Faults are unexpected exceptions, hangs and excessive memory use.

An input is determined by the seed, the target's name and the input's number, so it can be made again even if
the process that tried it died.
"""

import resource
import signal
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from types import FrameType
from typing import Final

from msgspec import Struct

from fuzz.minimize import minimized
from fuzz.mutate import mutated_bytes
from fuzz.targets import Target

SECONDS: Final = 20
"""Maximum CPU time for one input."""

MEMORY: Final = 256 * 1024 * 1024
"""Maximum increase of the peak memory of a process by one input, in bytes."""

_REPOSITORY: Final = Path(__file__).parents[1]


class Fault(Struct, frozen=True):
    """An input that caused a fault; faults of one ``kind`` most likely have one cause."""

    kind: str
    why: str
    data: bytes


class Hang(BaseException):
    """Raised if an input takes too long. Not an ``Exception``, so that no handler catches it."""


class TooMuch(Exception):
    """Raised if an input takes too much memory."""


_COSTLY: Final = (Hang.__name__, TooMuch.__name__)
"""Faults that are too expensive to repeat while the input is minimized."""


def input_of(target: Target, seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """Return the input with a number: one from the corpus, mutated once or twice; 2% are not mutated."""
    chance = Random(f"{seed}/{target.name}/{number}")
    data = chance.choice(seeds)
    for _ in range(chance.choice((1,) * 40 + (2,) * 9 + (0,))):
        data = changed(target, data, chance)
    return data


def changed(target: Target, data: bytes, chance: Random) -> bytes:
    """Return a mutation of an input."""
    try:
        return target.mutate(data, chance)
    except RecursionError:  # nested too deeply for a structural mutation
        return mutated_bytes(data, chance)


def attempt(target: Target, data: bytes, *, seconds: float = SECONDS, memory: int = MEMORY) -> Fault | None:
    """Try one input. Return its fault, if any."""
    before = peak_memory()
    previous = signal.signal(signal.SIGPROF, _give_up)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        target.check(data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _check_memory(before + memory)
    except (Exception, Hang) as error:  # noqa: BLE001  any exception is a fault
        signal.setitimer(signal.ITIMER_PROF, 0)
        return Fault(_kind(error), traceback.format_exc(limit=-12), data)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
    return None


def attempts(
    target: Target,
    seeds: Sequence[bytes],
    seed: int,
    numbers: range,
    *,
    begin: Callable[[int], None] = lambda _: None,
) -> list[Fault]:
    """Try inputs by number. Return one fault of each kind, with a minimized input.

    ``begin`` is called with each number before its input is tried.
    """
    faults: dict[str, Fault] = {}
    for number in numbers:
        begin(number)
        fault = attempt(target, input_of(target, seeds, seed, number))
        if fault is not None and fault.kind not in faults:
            faults[fault.kind] = fault if fault.kind.startswith(_COSTLY) else _minimized(target, fault)
    return list(faults.values())


def _minimized(target: Target, fault: Fault) -> Fault:
    def fails(data: bytes) -> bool:
        again = attempt(target, data)
        return again is not None and again.kind == fault.kind

    return Fault(fault.kind, fault.why, minimized(fault.data, fails))


def peak_memory() -> int:
    """Return the peak memory of this process (resident set), in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _check_memory(memory: int) -> None:
    if peak_memory() > memory:
        raise TooMuch(f"{peak_memory() >> 20} MB")


def _give_up(_signal: int, _frame: FrameType | None) -> None:
    raise Hang


def _kind(error: BaseException) -> str:
    """Return the type of an error and the line of our own code that raised it."""
    places = [
        f"{Path(frame.filename).relative_to(_REPOSITORY)}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(_REPOSITORY)
    ]
    return f"{type(error).__name__} at {places[-1] if places else 'an unknown line'}"
