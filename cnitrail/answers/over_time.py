"""Values that change only at known seconds, each computed when it is first asked for."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeVar

from msgspec import Struct

Value = TypeVar("Value")

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
FIRST_SECOND: Final = -62_135_596_800
LAST_SECOND: Final = 253_402_300_799
"""The seconds at the ends of the calendar (years 1 and 9999)."""


def second_of(time: datetime) -> int:
    """Return the Unix second that an aware time lies in."""
    return (time - _EPOCH) // timedelta(seconds=1)


def time_of(second: int) -> datetime:
    """Return the beginning of a Unix second (aware, UTC)."""
    return _EPOCH + timedelta(seconds=second)


class Stretch(Struct, Generic[Value], frozen=True, gc=False):
    """The seconds from ``first`` to ``last``, both included, in which a value stays the same."""

    first: int
    last: int
    value: Value


class OverTime(Generic[Value]):
    """A value by second.

    ``changes`` are sorted lists of the seconds at which it may begin to be another one. Several values may
    share a list.
    """

    def __init__(self, changes: Sequence[Sequence[int]], evaluate: Callable[[int], Value]) -> None:
        self._changes = changes
        self._evaluate = evaluate
        self._known: dict[int, Stretch[Value]] = {}

    def at(self, second: int) -> Stretch[Value]:
        """Return the stretch that a second lies in."""
        first, last = FIRST_SECOND, LAST_SECOND
        for seconds in self._changes:
            place = bisect_right(seconds, second)
            if place:
                first = max(first, seconds[place - 1])
            if place < len(seconds):
                last = min(last, seconds[place] - 1)
        known = self._known.get(first)
        if known is None:
            known = self._known[first] = Stretch(first, last, self._evaluate(first))
        return known

    def mapped(self, change: Callable[[Value], Value]) -> "OverTime[Value]":
        """Return a value that changes at the same seconds, made from each of this one's."""
        return OverTime(self._changes, lambda second: change(self.at(second).value))

    def during(self, first: int, last: int) -> Iterator[Stretch[Value]]:
        """Yield the stretches of the seconds from one to another, both included, in order."""
        second = first
        while second <= last:
            stretch = self.at(second)
            yield stretch
            second = stretch.last + 1
