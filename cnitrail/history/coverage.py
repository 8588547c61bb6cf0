"""What was read, and what digests prove → which times the evidence covers, and where it has holes.

A trail delivers a file about every five minutes while anything happens in an account and Region
(https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html).
A gap is a hole if it is long for the rhythm of the evidence or, with too few signs to know one, for the
rhythm of a trail; unless digests prove that nothing was delivered in it. What is known to be unread is also
a hole, and so is a time in which the trail did not record EC2's write calls.

Digests prove deliveries, and an event is delivered some minutes after it happened, about five on average
as that page says. That no event is later than a lag (``DELIVERY_LAG`` by default) is assumed, not known:
AWS retries a failed delivery for 30 days.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise, starmap

from cnitrail.intervals import Interval, difference, union
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
    Proven,
    Reach,
    Sign,
    Unproven,
)
from cnitrail.model.coverage import may_be_one_place
from cnitrail.model.rhythm import MIN_HOLE, Rhythm, rhythm_of
from cnitrail.timeclamp import FIRST, LAST, shifted

_RHYTHM = 10
"""A gap is a hole if it is longer than this many median gaps; robust until half of all gaps are holes."""

_SECOND = timedelta(seconds=1)

_SOON = timedelta(minutes=5)
"""Average time from an event to the timestamp of its log file."""


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
    rhythms: Mapping[AccountRegion, Rhythm] | None = None,
) -> Coverage:
    """Return the coverage that log files and unrelated records show; relevant events extend it at its ends.

    ``signs`` are the timestamps of log files, and the times of unrelated records: relevant events alone have
    no rhythm that a gap could break. ``proven`` are deliveries: events up to ``lag`` before the end of such a
    span are proven, except in times that are ``unproven``. ``missing`` are the timestamps of log files that
    digests list, but that are not there, and ``lost`` is whatever else is known to be unread. For the
    accounts and Regions in ``answered``, AWS itself returned all events; ``assume_complete`` is the user's
    statement that all evidence is complete. ``rhythms`` are in place of the signs of their accounts and
    Regions, without digests.
    """
    lost = tuple(lost if not assume_complete else (unread for unread in lost if not _is_lacking(unread)))
    answered = frozenset(answered)
    unproven = [*unproven, *(_unproven_by(unread, lag) for unread in lost if not _is_lacking(unread))]
    times, absent = _by_place(signs), _by_place(missing)
    moments = _first_and_last(events)
    sure = _proven_events(proven, unproven, lag)
    rhythms = {**(rhythms or {}), **{place: rhythm_of(sorted(seen)) for place, seen in times.items()}}
    places = sorted({*rhythms, *moments, *sure}, key=lambda place: (place[0] or "", place[1] or ""))
    return Coverage(
        tuple(
            _reach(
                place,
                rhythms.get(place),
                sorted(times.get(place, ())) if place in sure else (),
                moments.get(place, ()),
                sure.get(place, ()),
                absent.get(place, ()),
                [unread for unread in lost if _may_be_of(unread, place)],
                is_complete=assume_complete or place in answered,
            )
            for place in places
        ),
        tuple(
            unread
            for unread in lost
            if unread.enis
            or unread.addresses
            or unread.reason in (HoleReason.NOT_READ, HoleReason.NOT_IN_TABLE)
        ),
        assumed_complete=assume_complete,
    )


def _is_lacking(lost: Lost) -> bool:
    """Return whether a table lacks something: no file was unread, and another source may have it."""
    return lost.reason is HoleReason.NOT_IN_TABLE


def _may_be_of(lost: Lost, place: AccountRegion) -> bool:
    """Return whether something unread may be of an account and Region."""
    return may_be_one_place((lost.account, lost.region), place)


def _unproven_by(lost: Lost, lag: timedelta) -> Unproven:
    """Return the time that is not proven because something was unread: events may be delivered late."""
    span = _span(lost)
    return Unproven(lost.account, lost.region, shifted(span.start, -lag), span.end)


def _span(lost: Lost) -> Interval:
    """Return the time of something unread; for a single moment, the seconds around it."""
    around = _SECOND if lost.start is not None and lost.start == lost.end else timedelta()
    start = FIRST if lost.start is None else shifted(lost.start, -around)
    return Interval(start, LAST if lost.end is None else shifted(lost.end, around))


def _first_and_last(events: Iterable[Event | Moment]) -> dict[AccountRegion, tuple[datetime, datetime]]:
    """Return the times of the first and the last event of each account and Region."""
    ends: dict[AccountRegion, tuple[datetime, datetime]] = {}
    for event in events:
        place, time = (event.account, event.region), event.time
        first, last = ends.get(place, (time, time))
        if time <= first or time >= last:
            ends[place] = min(first, time), max(last, time)
    return ends


def _by_place(signs: Iterable[Sign]) -> dict[AccountRegion, set[datetime]]:
    times: dict[AccountRegion, set[datetime]] = {}
    for account, region, time in signs:
        times.setdefault((account, region), set()).add(time)
    return times


def _proven_events(
    proven: Iterable[Proven], unproven: Iterable[Unproven], lag: timedelta
) -> dict[AccountRegion, tuple[Interval, ...]]:
    """Return the times in which all events are proven, by account and Region."""
    spans: dict[AccountRegion, list[Interval]] = defaultdict(list)
    for span in proven:
        spans[span.account, span.region].append(Interval(span.start, span.end))
    doubts: dict[AccountRegion, list[Interval]] = defaultdict(list)
    for doubt in unproven:
        doubts[doubt.account, doubt.region].append(Interval(doubt.start, doubt.end))
    sure = {}
    for (account, region), deliveries in spans.items():
        ended = [period for period in union(deliveries) if period.length > lag]
        matching = ((account, region), (account, None), (None, region), (None, None))
        sure[account, region] = tuple(
            difference(
                (Interval(period.start, period.end - lag) for period in ended),
                [doubt for named in matching for doubt in doubts.get(named, ())],
            )
        )
    return {place: periods for place, periods in sure.items() if periods}


def _reach(
    place: AccountRegion,
    rhythm: Rhythm | None,
    seen: Sequence[datetime],
    moments: Sequence[datetime],
    proven: Sequence[Interval],
    missing: Iterable[datetime],
    unread: Iterable[Lost],
    *,
    is_complete: bool,
) -> Reach:
    """Return the coverage of one account and Region: from when to when it was read, and what of it was not.

    ``moments`` are the times of its first and last relevant events; all other arguments are as in ``cover``,
    of this place.
    """
    unread = tuple(unread)
    ends = (rhythm.first, rhythm.last) if rhythm is not None else ()
    known = [*ends, *moments, *_ends(proven)]
    if is_complete:
        known += [time for lost in unread if (time := _complete_since(lost)) is not None]
    whole = Interval(min(known), max(known))
    lacking = difference(_within(whole, map(_span, filter(_is_lacking, unread))), proven)
    gaps = (
        [] if is_complete else difference([*_before(rhythm, moments), *_gaps(rhythm, seen, proven)], proven)
    )
    gaps = difference(gaps, lacking)
    absent = union(_within(whole, (Interval(shifted(time, -USUAL_LAG), time) for time in missing)))
    holes = [
        *(Hole(max(gap.start, whole.start), gap.end) for gap in gaps),
        *(
            Hole(period.start, period.end, True, HoleReason.MISSING)
            for period in difference(absent, [*proven, *gaps])
        ),
        *(Hole(period.start, period.end, False, HoleReason.NOT_IN_TABLE) for period in lacking),
        *_unread((lost for lost in unread if not _is_lacking(lost)), whole, gaps),
    ]
    account, region = place
    return Reach(
        account=account,
        region=region,
        first=whole.start,
        last=whole.end,
        holes=tuple(sorted(holes)),
        proven=tuple(proven),
        merely_read=tuple(difference([whole], [*proven, *holes])),
        known=is_complete or bool(rhythm or proven),
    )


def _complete_since(lost: Lost) -> datetime | None:
    """Return the time from which on a lookup that ended early is complete; None for anything else."""
    return lost.end if lost.reason is HoleReason.NOT_READ else None


def _within(whole: Interval, periods: Iterable[Interval]) -> Iterator[Interval]:
    """Yield the parts of periods that are in a whole."""
    for period in periods:
        part = period.intersection(whole)
        if part is not None:
            yield part


def _unread(lost: Iterable[Lost], whole: Interval, gaps: Sequence[Interval]) -> Iterator[Hole]:
    """Yield the holes of what is known to be unread, within the time that the evidence covers."""
    by_reason: dict[HoleReason, list[Interval]] = defaultdict(list)
    for unread in lost:
        by_reason[unread.reason].append(_span(unread))
    for reason, periods in by_reason.items():
        partial = reason in (HoleReason.UNREAD, HoleReason.ALTERED)
        for period in difference(union(_within(whole, periods)), gaps):
            yield Hole(period.start, period.end, partial, reason)


def _before(rhythm: Rhythm | None, moments: Sequence[datetime]) -> Iterator[Interval]:
    """Yield the time of events that were delivered late, before the first sign: others may be missing."""
    start = shifted(rhythm.first, -_SOON) if rhythm is not None else FIRST
    if moments and min(moments) < start:
        yield Interval(min(moments), start)


def _gaps(rhythm: Rhythm | None, seen: Sequence[datetime], proven: Sequence[Interval]) -> list[Interval]:
    """Return the long gaps between signs, except if digests prove that nothing was delivered in them.

    ``seen`` are the signs, if there are proofs.
    """
    least = max(MIN_HOLE, rhythm.usual * _RHYTHM) if rhythm is not None else MIN_HOLE
    times = sorted([*seen, *_ends(proven)])
    gaps = starmap(Interval, pairwise(times)) if proven else rhythm.gaps if rhythm is not None else ()
    long = [gap for gap in gaps if gap.length > least]
    return union(Interval(shifted(gap.start, -USUAL_LAG), gap.end) for gap in difference(long, proven))


def _ends(periods: Iterable[Interval]) -> Iterator[datetime]:
    for period in periods:
        yield period.start
        yield period.end
