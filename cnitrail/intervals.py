"""Intervals of time, all by one convention: half-open, ``[start, end)``.

The start belongs to an interval and the end does not, so intervals that follow each other share nothing.
An interval whose end is not after its start is empty. ``between`` takes None for a side without a bound.
``through`` is for bounds that both belong to an interval, such as the first and the last second of a lease.
"""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from cnitrail.timeclamp import FIRST, LAST, shifted


class Interval(Struct, frozen=True, gc=False, order=True):
    """The time from ``start`` (included) until ``end`` (not included); aware, UTC."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """Return how long it is; zero if it is empty."""
        return max(self.end - self.start, timedelta())

    def includes(self, time: datetime) -> bool:
        """Return whether a time is in it."""
        return self.start <= time < self.end

    def contains(self, other: "Interval") -> bool:
        """Return whether both bounds of another interval are within its own bounds."""
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: "Interval") -> bool:
        """Return whether the two share time.

        An empty interval also counts as overlapping if it is between the other's bounds: a question about a
        single moment is one.
        """
        return self.start < other.end and other.start < self.end

    def intersection(self, other: "Interval") -> "Interval | None":
        """Return the time that the two share; None if they share none."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Interval(start, end) if start < end else None


def between(start: datetime | None, end: datetime | None) -> Interval:
    """Return an interval; None for a side without a bound, which is then an end of the calendar."""
    return Interval(FIRST if start is None else start, LAST if end is None else end)


def through(start: datetime | None, last: datetime | None) -> Interval:
    """Return the interval from a time to another one that also belongs to it.

    CloudTrail's clock has one-second steps: within the second in which one ENI lost an address and another
    one got it, either may have held it. So the second of a bound belongs to both.
    """
    return between(start, None if last is None else shifted(last, datetime.resolution))


def meet(
    start: datetime | None, last: datetime | None, other_start: datetime | None, other_last: datetime | None
) -> bool:
    """Return whether two intervals share a time, as those of ``through`` overlap; None is no bound."""
    return (start is None or other_last is None or start <= other_last) and (
        other_start is None or last is None or other_start <= last
    )


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the time in any of some intervals, in order; those that overlap or follow each other are one."""
    joined: list[Interval] = []
    for interval in sorted(intervals, key=lambda interval: (interval.start, interval.end)):
        if interval.start >= interval.end:
            continue
        if joined and interval.start <= joined[-1].end:
            joined[-1] = Interval(joined[-1].start, max(joined[-1].end, interval.end))
        else:
            joined.append(Interval(interval.start, interval.end))
    return joined


def difference(intervals: Iterable[Interval], cuts: Iterable[Interval]) -> list[Interval]:
    """Return what is left of each interval, in the given order, without the time in any of the cuts."""
    left: list[Interval] = []
    joined = union(cuts)
    for interval in intervals:
        start = interval.start
        for cut in joined[bisect_right(joined, start, key=lambda cut: cut.end) :]:
            if cut.start >= interval.end:
                break
            if start < cut.start:
                left.append(Interval(start, cut.start))
            start = max(start, cut.end)
        if start < interval.end:
            left.append(Interval(start, interval.end))
    return left


def total_length(intervals: Iterable[Interval]) -> timedelta:
    """Return the sum of the lengths; time in two intervals counts twice."""
    return sum((interval.length for interval in intervals), timedelta())
