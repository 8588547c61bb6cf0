"""Values that change only at known seconds, each computed when it is first asked for."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import eq
from typing import Final, Generic, TypeVar

from msgspec import Struct

Value = TypeVar("Value")

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_SECOND: Final = timedelta(seconds=1)
FIRST_SECOND: Final = -62_135_596_800
LAST_SECOND: Final = 253_402_300_799
"""The seconds at the ends of the calendar (years 1 and 9999)."""


def second_of(time: datetime) -> int:
    """Return the Unix second that an aware time lies in."""
    return (time - _EPOCH) // _SECOND


def time_of(second: int) -> datetime:
    """Return the beginning of a Unix second (aware, UTC)."""
    return _EPOCH + timedelta(seconds=second)


def bounds_around(second: int, changes: Iterable[Sequence[int]]) -> tuple[int, int]:
    """Return the first and last second between the changes around one, of sorted lists of changes."""
    first, last = FIRST_SECOND, LAST_SECOND
    for seconds in changes:
        place = bisect_right(seconds, second)
        if place and seconds[place - 1] > first:
            first = seconds[place - 1]
        if place < len(seconds) and seconds[place] <= last:
            last = seconds[place] - 1
    return first, last


class Stretch(Struct, Generic[Value], frozen=True, gc=False):
    """The seconds from ``first`` to ``last``, both included, in which a value stays the same."""

    first: int
    last: int
    value: Value


class IntervalBounds(Struct, frozen=True, gc=False, kw_only=True):
    """A set of intervals, by when they start and when they end.

    They start from ``first_from`` to ``first_to``, and end from ``last_from`` to ``last_to`` (Unix seconds,
    all included).
    """

    first_from: int = FIRST_SECOND
    first_to: int = LAST_SECOND
    last_from: int = FIRST_SECOND
    last_to: int = LAST_SECOND

    @classmethod
    def of(cls, stretches: Sequence[Stretch[Value]]) -> "IntervalBounds":
        """Return the intervals that start in the first stretch and end in the last one."""
        first, last = stretches[0], stretches[-1]
        return cls(first_from=first.first, first_to=first.last, last_from=last.first, last_to=last.last)

    def include(self, first: int, last: int) -> bool:
        """Return whether an interval is one of them."""
        return self.first_from <= first <= self.first_to and self.last_from <= last <= self.last_to

    def intersection(self, other: "IntervalBounds") -> "IntervalBounds":
        """Return the intervals that are in both sets."""
        return IntervalBounds(
            first_from=max(self.first_from, other.first_from),
            first_to=min(self.first_to, other.first_to),
            last_from=max(self.last_from, other.last_from),
            last_to=min(self.last_to, other.last_to),
        )


ALL_INTERVALS: Final = IntervalBounds()


class OverTime(Generic[Value]):
    """A value by second.

    ``changes`` are sorted lists of the seconds at which it may begin to be another one. Several values may
    share a list. ``is_same`` compares two values: adjacent stretches whose values are the same are merged.
    """

    def __init__(
        self,
        changes: Sequence[Sequence[int]],
        evaluate: Callable[[int], Value],
        is_same: Callable[[Value, Value], bool] = eq,
    ) -> None:
        self._changes = changes
        self._evaluate = evaluate
        self._is_same = is_same
        self._firsts: list[int] = []
        self._known: list[Stretch[Value]] = []

    def at(self, second: int) -> Stretch[Value]:
        """Return the stretch that a second lies in."""
        place = bisect_right(self._firsts, second)
        if place:
            known = self._known[place - 1]
            if second <= known.last:
                return known
        first, last = bounds_around(second, self._changes)
        return self._added(place, Stretch(first, last, self._evaluate(first)))

    def during(self, first: int, last: int) -> list[Stretch[Value]]:
        """Return the stretches of the seconds from one to another, both included, in order."""
        found: list[Stretch[Value]] = []
        second = first
        while second <= last:
            stretch = self.at(second)
            if found and stretch.first <= found[-1].first:
                found.pop()
            found.append(stretch)
            second = stretch.last + 1
        return found

    def _added(self, place: int, found: Stretch[Value]) -> Stretch[Value]:
        """Return a stretch that was not known, as one with those around it that have its value."""
        begin = end = place
        first, last, value = found.first, found.last, found.value
        if place and self._continues(self._known[place - 1], found):
            begin, first, value = place - 1, self._known[place - 1].first, self._known[place - 1].value
        if place < len(self._known) and self._continues(found, self._known[place]):
            end, last = place + 1, self._known[place].last
        whole = Stretch(first, last, value)
        self._firsts[begin:end] = [first]
        self._known[begin:end] = [whole]
        return whole

    def _continues(self, before: Stretch[Value], after: Stretch[Value]) -> bool:
        return before.last + 1 == after.first and self._is_same(before.value, after.value)
