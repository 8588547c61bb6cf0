"""Signs of what was read → which times the evidence covers, and where it has holes.

A trail delivers a file about every five minutes while anything happens in an account and Region
(https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html).
A gap that is long against the evidence's own rhythm is a hole; where the evidence has no rhythm (a
few records, picked by hand), a gap tells nothing and is none.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

from cnitrail.model import Coverage, Event, Hole, Moment, Reach, Sign

_LEAST_SIGNS = 5
_LEAST_HOLE = timedelta(minutes=15)
_RHYTHM = 2
"""A hole is longer than this many usual gaps (the third quartile of all)."""

DELIVERY = timedelta(minutes=15)
"""How long before a file's stamp its events may have happened, as a rule."""


def cover(signs: Iterable[Sign], events: Iterable[Event | Moment]) -> Coverage:
    """The coverage that delivered files and unrelated records show; events widen it at its ends.

    ``signs`` are the stamps of log files, and the times of records that are of no matter; relevant
    events alone have no rhythm that a gap could break.
    """
    times: dict[tuple[str | None, str | None], set[datetime]] = {}
    for account, region, time in signs:
        times.setdefault((account, region), set()).add(time)
    moments: dict[tuple[str | None, str | None], list[datetime]] = defaultdict(list)
    for event in events:
        moments[event.account, event.region].append(event.time)
    reaches = []
    for key in sorted({*times, *moments}, key=lambda key: (key[0] or "", key[1] or "")):
        seen = sorted(times.get(key, ()))
        known = [*seen[:1], *seen[-1:], *moments.get(key, ())]
        reaches.append(Reach(*key, first=min(known), last=max(known), holes=_holes(seen)))
    return Coverage(tuple(reaches))


def _holes(seen: list[datetime]) -> tuple[Hole, ...]:
    if len(seen) < _LEAST_SIGNS:
        return ()
    gaps = sorted(later - earlier for earlier, later in pairwise(seen))
    usual = gaps[len(gaps) * 3 // 4]
    least = max(_LEAST_HOLE, usual * _RHYTHM)
    return tuple(
        Hole(earlier - DELIVERY, later) for earlier, later in pairwise(seen) if later - earlier > least
    )
