"""Tries a target with many inputs, and finds what it must not do: raise, hang, or take much memory.

An input follows from a seed, the target's name and the input's number. So nothing need be kept to know
which input it was, even where the process that tried it is gone.
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

from fuzz.minimise import minimised
from fuzz.mutate import mutated_bytes
from fuzz.targets import Target

SECONDS: Final = 20
"""The longest that one input may take of a processor, however busy it is with other things."""

MEMORY: Final = 256 * 1024 * 1024
"""The most that one input may add to the peak memory of a process, in bytes."""

_REPOSITORY: Final = Path(__file__).parents[1]


class Fault(Struct, frozen=True):
    """What an input did that none may do; faults of one ``kind`` have one cause, most likely."""

    kind: str
    why: str
    data: bytes


class Hang(BaseException):
    """An input takes too long. Nothing that catches errors catches this."""


class TooMuch(Exception):
    """An input takes too much memory."""


_COSTLY: Final = (Hang.__name__, TooMuch.__name__)
"""Faults that are not done again and again to find the least input."""


def input_of(target: Target, seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """The input of a number: one of the corpus, changed once or twice; two in a hundred are as they are."""
    chance = Random(f"{seed}/{target.name}/{number}")
    data = chance.choice(seeds)
    for _ in range(chance.choice((1,) * 40 + (2,) * 9 + (0,))):
        data = changed(target, data, chance)
    return data


def changed(target: Target, data: bytes, chance: Random) -> bytes:
    """Another input of a target, whatever it is made of."""
    try:
        return target.mutate(data, chance)
    except RecursionError:  # nested too deeply to be taken apart
        return mutated_bytes(data, chance)


def attempt(target: Target, data: bytes, *, seconds: float = SECONDS, memory: int = MEMORY) -> Fault | None:
    """Try one input; None where all is well."""
    before = peak_memory()
    previous = signal.signal(signal.SIGPROF, _give_up)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        target.check(data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _stay_below(before + memory)
    except (Exception, Hang) as error:  # noqa: BLE001  what it may be is what is to be found out
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
    """Try the inputs of some numbers; the faults, one of each kind, with the least input that does it.

    ``begin`` is told each number before.
    """
    faults: dict[str, Fault] = {}
    for number in numbers:
        begin(number)
        fault = attempt(target, input_of(target, seeds, seed, number))
        if fault is not None and fault.kind not in faults:
            faults[fault.kind] = fault if fault.kind.startswith(_COSTLY) else _least(target, fault)
    return list(faults.values())


def _least(target: Target, fault: Fault) -> Fault:
    def fails(data: bytes) -> bool:
        again = attempt(target, data)
        return again is not None and again.kind == fault.kind

    return Fault(fault.kind, fault.why, minimised(fault.data, fails))


def peak_memory() -> int:
    """The most memory that this process has had at a time (its resident set), in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _stay_below(memory: int) -> None:
    if peak_memory() > memory:
        raise TooMuch(f"{peak_memory() >> 20} MB")


def _give_up(_signal: int, _frame: FrameType | None) -> None:
    raise Hang


def _kind(error: BaseException) -> str:
    """An error, with the place in our own code where it was raised."""
    places = [
        f"{Path(frame.filename).relative_to(_REPOSITORY)}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(_REPOSITORY)
    ]
    return f"{type(error).__name__} at {places[-1] if places else 'an unknown place'}"
