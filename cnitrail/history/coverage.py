"""Signs of what was read, and what digests prove → which times the evidence covers, and where it has holes.

A trail delivers a file about every five minutes while anything happens in an account and Region
(https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html).
A gap that is long against the evidence's own rhythm is a hole; with too few signs to tell one, against a
trail's. If digests prove that nothing was delivered, a gap is none. What is known to be unread is a hole of
its own, and so is a time in which the trail did not record the calls that matter.

Digests prove deliveries, and an event is delivered some minutes after it happened, on the average about
five as that page says. That no event is later than a lag (``DELIVERY_LAG`` unless asked otherwise) is
assumed, not known: AWS goes on for 30 days to try a delivery that failed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from cnitrail.model import (
    DELIVERY_LAG,
    USUAL_LAG,
    AccountRegion,
    Coverage,
    Event,
    Hole,
    HoleReason,
    Lost,
    Moment,
    Period,
    Proven,
    Reach,
    Sign,
    Unproven,
)
from cnitrail.timeclamp import FIRST, LAST, shifted

_LEAST_SIGNS = 10
"""Fewer signs tell no rhythm: some holes among them would pass for it."""

_LEAST_HOLE = timedelta(minutes=15)
_RHYTHM = 10
"""A gap is a hole if longer than this many median gaps, which are robust until half of all are holes."""

_SECOND = timedelta(seconds=1)

_SOON = timedelta(minutes=5)
"""How long before a file's stamp an event has happened that is delivered soon: it is the average."""


def cover(
    signs: Iterable[Sign],
    events: Iterable[Event | Moment],
    proven: Iterable[Proven] = (),
    unproven: Iterable[Unproven] = (),
    missing: Iterable[Sign] = (),
    lag: timedelta = DELIVERY_LAG,
    *,
    lost: Iterable[Lost] = (),
    answered: Iterable[AccountRegion] = (),
    assume_complete: bool = False,
) -> Coverage:
    """The coverage that delivered files and unrelated records show; events widen it at its ends.

    ``signs`` are the stamps of log files, and the times of records that are of no matter; relevant
    events alone have no rhythm that a gap could break. ``proven`` are deliveries: events up to ``lag``
    before the end of such a span are proven, but for those times that are named as ``unproven``.
    ``missing`` are the stamps of log files that digests list, but that are not there, and ``lost`` is what
    else is known not to have been read. Of the accounts and Regions that are ``answered`` AWS itself gave
    all events; ``assume_complete`` says so of all evidence, by the word of whoever asks.
    """
    lost, answered = tuple(lost), frozenset(answered)
    unproven = [*unproven, *(_doubt_of(each, lag) for each in lost)]
    times, absent = _by_place(signs), _by_place(missing)
    moments: dict[AccountRegion, list[datetime]] = defaultdict(list)
    for event in events:
        moments[event.account, event.region].append(event.time)
    sure = _proven_events(proven, unproven, lag)
    places = sorted({*times, *moments, *sure}, key=lambda place: (place[0] or "", place[1] or ""))
    return Coverage(
        tuple(
            _reach(
                place,
                sorted(times.get(place, ())),
                moments.get(place, ()),
                sure.get(place, ()),
                absent.get(place, ()),
                [each for each in lost if _is_of(each, place)],
                vouched=assume_complete or place in answered,
            )
            for place in places
        ),
        tuple(each for each in lost if each.enis or each.addresses),
    )


def _is_of(lost: Lost, place: AccountRegion) -> bool:
    """Whether something unread may be of an account and Region."""
    return all(
        named is None or mine is None or named == mine
        for named, mine in zip((lost.account, lost.region), place, strict=True)
    )


def _doubt_of(lost: Lost, lag: timedelta) -> Unproven:
    """The time of which digests do not vouch for all, as not all was read; events may come late."""
    start, end = _span(lost)
    return Unproven(lost.account, lost.region, shifted(start, -lag), end)


def _span(lost: Lost) -> tuple[datetime, datetime]:
    """The time of something unread; of a single moment, the seconds around it."""
    around = _SECOND if lost.start is not None and lost.start == lost.end else timedelta()
    start = FIRST if lost.start is None else shifted(lost.start, -around)
    return start, LAST if lost.end is None else shifted(lost.end, around)


def _by_place(signs: Iterable[Sign]) -> dict[AccountRegion, set[datetime]]:
    times: dict[AccountRegion, set[datetime]] = {}
    for account, region, time in signs:
        times.setdefault((account, region), set()).add(time)
    return times


def _proven_events(
    proven: Iterable[Proven], unproven: Iterable[Unproven], lag: timedelta
) -> dict[AccountRegion, tuple[Period, ...]]:
    """Of each account and Region the times of which every event is proven; none has no time at all."""
    spans: dict[AccountRegion, list[Period]] = defaultdict(list)
    for span in proven:
        spans[span.account, span.region].append(Period(span.start, span.end))
    doubts: dict[AccountRegion, list[Unproven]] = defaultdict(list)
    for doubt in unproven:
        doubts[doubt.account, doubt.region].append(doubt)
    sure = {}
    for (account, region), deliveries in spans.items():
        ended = [each for each in _merged(deliveries) if each.end - each.start > lag]
        about = ((account, region), (account, None), (None, region), (None, None))
        sure[account, region] = _without(
            (Period(each.start, each.end - lag) for each in ended),
            [doubt for place in about for doubt in doubts.get(place, ())],
        )
    return {place: periods for place, periods in sure.items() if periods}


def _reach(
    place: AccountRegion,
    seen: Sequence[datetime],
    moments: Sequence[datetime],
    proven: Sequence[Period],
    missing: Iterable[datetime],
    unread: Iterable[Lost],
    *,
    vouched: bool,
) -> Reach:
    known = [*seen[:1], *seen[-1:], *moments, *_ends(proven)]
    whole = Period(min(known), max(known))
    gaps = () if vouched else _without([*_before(seen, moments), *_gaps(seen, proven)], proven)
    absent = _merged(
        Period(max(shifted(time, -USUAL_LAG), whole.start), min(time, whole.end)) for time in missing
    )
    holes = [
        *(Hole(max(each.start, whole.start), each.end) for each in gaps),
        *(Hole(*_bounds(each), True, HoleReason.MISSING) for each in _without(absent, [*proven, *gaps])),
        *_unread(unread, whole, gaps),
    ]
    return Reach(
        *place,
        first=whole.start,
        last=whole.end,
        holes=tuple(sorted(holes)),
        proven=tuple(proven),
        merely_read=_without([whole], [*proven, *holes]),
        known=vouched or bool(seen or proven),
    )


def _bounds(period: Period) -> tuple[datetime, datetime]:
    return period.start, period.end


def _unread(lost: Iterable[Lost], whole: Period, gaps: Sequence[Period]) -> Iterator[Hole]:
    """The holes of what is known to be unread, within the time that the evidence reaches over."""
    by_reason: dict[HoleReason, list[Period]] = defaultdict(list)
    for each in lost:
        start, end = _span(each)
        if start <= whole.end and whole.start <= end:
            by_reason[each.reason].append(Period(max(start, whole.start), min(end, whole.end)))
    for reason, periods in by_reason.items():
        partial = reason in (HoleReason.UNREAD, HoleReason.ALTERED)
        for period in _without(_merged(periods), gaps):
            yield Hole(*_bounds(period), partial, reason)


def _before(seen: Sequence[datetime], moments: Sequence[datetime]) -> Iterator[Period]:
    """The time of events that came late, before all that came soon: what else was of it may be lost."""
    begun = shifted(seen[0], -_SOON) if seen else FIRST
    if moments and min(moments) < begun:
        yield Period(min(moments), begun)


def _gaps(seen: Sequence[datetime], proven: Sequence[Period]) -> list[Period]:
    """The gaps between signs, but for those in which digests prove that nothing was to be read."""
    gaps = sorted(later - earlier for earlier, later in pairwise(seen))
    usual = gaps[len(gaps) // 2] if len(seen) >= _LEAST_SIGNS else timedelta()
    least = max(_LEAST_HOLE, usual * _RHYTHM)
    times = sorted([*seen, *_ends(proven)]) if proven else seen
    long = [Period(earlier, later) for earlier, later in pairwise(times) if later - earlier > least]
    return _merged(Period(shifted(gap.start, -USUAL_LAG), gap.end) for gap in _without(long, proven))


def _ends(periods: Iterable[Period]) -> Iterator[datetime]:
    for each in periods:
        yield each.start
        yield each.end


def _merged(periods: Iterable[Period]) -> list[Period]:
    """Periods by time; those that meet or overlap are one."""
    merged: list[Period] = []
    for each in sorted(periods):
        if merged and each.start <= merged[-1].end:
            last = merged.pop()
            merged.append(Period(last.start, max(last.end, each.end)))
        else:
            merged.append(each)
    return merged


def _without(periods: Iterable[Period], cuts: Iterable[Period | Unproven]) -> tuple[Period, ...]:
    """What of periods lies outside of others."""
    ordered = sorted(cuts, key=lambda cut: cut.start)
    left = []
    for each in periods:
        start = each.start
        for cut in ordered:
            if cut.start >= each.end:
                break
            if start < cut.start:
                left.append(Period(start, cut.start))
            start = max(start, cut.end)
        if start < each.end:
            left.append(Period(start, each.end))
    return tuple(left)
