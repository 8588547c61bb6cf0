"""Pod counts from pod evidence: between how many addresses of a pool surely were in use, and perhaps."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import ClassVar

from cnitrail.answers.pool.constraints import Range
from cnitrail.answers.pool.nodes import Node
from cnitrail.answers.pool.pods import DECIDED
from cnitrail.intervals import Interval, between, union
from cnitrail.model import Address, Basis, History
from cnitrail.model.pods import COOLDOWN, PodLease
from cnitrail.timeclamp import shifted

_SECOND = timedelta(seconds=1)
"""CloudTrail's times are of whole seconds: a call may be so much later."""

_FIRST_MINUTES = timedelta(minutes=3)
"""If the log of a node begins so soon after its launch, no pod had an address before: ``WatchedNode`` leaves
out the first minute, and an instance needs a minute until ipamd runs."""


class PodBounds:
    """How many addresses of a node's pool pods may have used, by the leases of pods.

    All that surely were in use are the least. The most is known only while the node's ``ipamd.log`` is there
    since its launch: a pod that had its address before the log begins may not be in it. An address in
    cooldown counts as perhaps used, because ipamd does not assign it.
    """

    def __init__(self, node: Node, history: History) -> None:
        enis = {stay.interface.eni for stay in node.stays if stay.interface.kind != "branch"}
        name = node.instance.instance
        leases = [lease for lease in history.pods.leases if lease.ip.version == 4]
        self._surely = _Steps(_surely(lease for lease in leases if lease.eni in enis))
        self._perhaps = _Steps(
            _perhaps(lease for lease in leases if lease.instance in (name, None) or lease.eni in enis)
        )
        launch = node.instance.launched
        launched = launch.time if launch.basis is Basis.OBSERVED else None
        self._watched = [
            watched.span
            for watched in history.pods.watched
            if watched.instance == name
            and launched is not None
            and watched.span.start <= shifted(launched, _FIRST_MINUTES)
        ]

    source: ClassVar[str] = "pod-evidence"

    @property
    def are_known(self) -> bool:
        """Whether the evidence shows any pod with an address of the pool, or all times without one."""
        return bool(self._surely.times or self._watched)

    def at(self, time: datetime, most: int) -> Range:
        """Return how many there may have been when a call was decided; ``most`` is the most that can be."""
        return self._within(shifted(time, -DECIDED), shifted(time, _SECOND), most)

    def steady(
        self, since: datetime, until: datetime
    ) -> Iterator[tuple[datetime, datetime, Callable[[int], Range]]]:
        """Yield a time as a whole, and the parts of it in which no pod is known to come or go.

        With each a function that returns how many there may have been, given the most that can be.
        """
        yield since, until, partial(self._within, since, until)
        changes = sorted({*self._surely.changes(since, until), *self._perhaps.changes(since, until)})
        for start, end in pairwise([since, *changes, until] if changes else []):
            yield start, end, partial(self._within, start, end)

    def _within(self, start: datetime, end: datetime, most: int) -> Range:
        least = min(*self._surely.within(start, end), most)
        if not any(span.start <= start and end <= span.end for span in self._watched):
            return Range(least, most)
        return Range(least, max(least, min(max(self._perhaps.within(start, end)), most)))


class _Steps:
    """A number of addresses over time."""

    def __init__(self, held: Iterable[tuple[Address, Interval]]) -> None:
        deltas: dict[datetime, int] = defaultdict(int)
        by_address: dict[Address, list[Interval]] = defaultdict(list)
        for ip, span in held:
            by_address[ip].append(span)
        for spans in by_address.values():
            for span in union(spans):
                deltas[span.start] += 1
                deltas[span.end] -= 1
        self.times = sorted(deltas)
        self._numbers = [0]
        for time in self.times:
            self._numbers.append(self._numbers[-1] + deltas[time])

    def within(self, start: datetime, end: datetime) -> Sequence[int]:
        """Return the numbers from one time until another."""
        return self._numbers[bisect_right(self.times, start) : bisect_left(self.times, end) + 1]

    def changes(self, since: datetime, until: datetime) -> Sequence[datetime]:
        """Return when the number changes between two times."""
        return self.times[bisect_right(self.times, since) : bisect_left(self.times, until)]


def _surely(leases: Iterable[PodLease]) -> Iterator[tuple[Address, Interval]]:
    for lease in leases:
        begun, ended = lease.start.latest, lease.end.earliest
        if not lease.doubts and begun is not None and ended is not None and begun < ended:
            yield lease.ip, Interval(begun, ended)


def _perhaps(leases: Iterable[PodLease]) -> Iterator[tuple[Address, Interval]]:
    for lease in leases:
        end = lease.end.latest
        yield lease.ip, between(lease.start.earliest, end and shifted(end, COOLDOWN))
