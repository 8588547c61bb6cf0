"""The seconds at which an answer about the pod of one address may begin to be another one."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from cnitrail.answers.over_time import second_of
from cnitrail.model.pods import COOLDOWN, PodBoundary, PodLease, PodSpan, WatchedNode
from cnitrail.timeclamp import shifted


def pod_change_points(
    leases: Sequence[PodLease], watched: Iterable[WatchedNode], spans: Sequence[PodSpan]
) -> list[int]:
    """Return the change points of an address with some pod leases, on nodes whose logs were read."""
    times = {time for lease in leases for time in _of_lease(lease)}
    times |= {time for node in watched for time in (node.span.start, node.span.end, node.complete_from)}
    known = [time for time in times if time is not None]
    known += [time for span in spans for time in _of_span(span, known)]
    seconds = {second_of(time) for time in known}
    return sorted({second + step for second in seconds for step in (-1, 0, 1)})


def _of_lease(lease: PodLease) -> Iterator[datetime | None]:
    for bound in (lease.start, lease.end):
        yield from _of_bound(bound)
    yield lease.shown_until
    if lease.end.latest is not None:
        yield shifted(lease.end.latest, COOLDOWN)


def _of_bound(bound: PodBoundary) -> Iterator[datetime | None]:
    yield from (bound.earliest, bound.latest)


def _of_span(span: PodSpan, known: Sequence[datetime]) -> Iterator[datetime]:
    """Yield when a log begins and ends, and the first gap in it after each of the known times."""
    yield from (span.first, span.last)
    for time in known:
        place = bisect_left(span.gaps, time, key=lambda gap: gap.end)
        for gap in span.gaps[place : place + 1]:
            yield from (gap.start, gap.end)
