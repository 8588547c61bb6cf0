"""Pool size: what the ENIs of nodes held over time."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import astuple, replace

from cnitrail.answers.filters import Filter
from cnitrail.answers.leases import takes_interface
from cnitrail.answers.pool.nodes import InterfaceStay, Node
from cnitrail.intervals import Interval
from cnitrail.model import PREFIX_SIZE, Bound, HoldingKind
from cnitrail.model.pool import EventRef, PoolSize

_FIELDS = {
    HoldingKind.PRIMARY: "primary",
    HoldingKind.SECONDARY: "secondary",
    HoldingKind.PREFIX: "prefixes",
}


class _StockCount(Struct):
    """Numbers of ENIs, primary and secondary addresses and IPv4 prefixes, or a change of them."""

    enis: int = 0
    primary: int = 0
    secondary: int = 0
    prefixes: int = 0

    def add(self, more: "_StockCount", less: "_StockCount | None" = None) -> None:
        less = less or _StockCount()
        self.enis += more.enis - less.enis
        self.primary += more.primary - less.primary
        self.secondary += more.secondary - less.secondary
        self.prefixes += more.prefixes - less.prefixes


class _SizeChange(Struct):
    count: _StockCount = field(default_factory=_StockCount)
    events: dict[str, EventRef] = field(default_factory=dict)

    def note(self, what: str, number: int, bound: Bound) -> None:
        setattr(self.count, what, getattr(self.count, what) + number)
        if bound.event is not None:
            self.events[bound.event.key] = ref(bound)


def ref(bound: Bound) -> EventRef:
    """Return a reference to the event of a bound."""
    assert bound.event is not None
    return EventRef(bound.event.time, bound.event.name, bound.event.event_id)


def sizes(node: Node, wanted: Filter) -> tuple[PoolSize, ...]:
    """Return the size of a node's pool at every second at which it changes.

    An ENI counts while it is attached, with what it holds then. What has no known start counts from the
    node's first event.
    """
    changes: dict[datetime, _SizeChange] = defaultdict(_SizeChange)
    for stay in node.stays:
        if takes_interface(wanted, stay.interface):
            _count(changes, node, stay)
    return tuple(_running(changes))


def _count(changes: dict[datetime, _SizeChange], node: Node, stay: InterfaceStay) -> None:
    start, end = stay.attachment.start, stay.attachment.end
    begun = start.time or node.since
    changes[begun].note("enis", 1, start)
    if end.time is not None:
        changes[end.time].note("enis", -1, end)
    for lease in stay.leases:
        what = _FIELDS.get(lease.kind)
        if what is None:
            continue
        reach = lease.possible_start()
        given = reach is not None and reach > begun
        first, since = (reach, lease.start) if given else (begun, start)
        taken = lease.end.time is not None and (end.time is None or lease.end.time < end.time)
        until = lease.end if taken else end
        assert first is not None
        if until.time is None or until.time > first:
            changes[first].note(what, 1, since)
            if until.time is not None:
                changes[until.time].note(what, -1, until)


def _size(time: datetime, count: _StockCount, events: tuple[EventRef, ...]) -> PoolSize:
    pool = count.secondary + PREFIX_SIZE * count.prefixes
    enis, primary, secondary, prefixes = astuple(count)
    return PoolSize(
        time=time,
        events=events,
        enis=enis,
        primary=primary,
        secondary=secondary,
        prefixes=prefixes,
        pool=pool,
        held=pool + primary,
    )


def together(nodes: Sequence[tuple[PoolSize, ...]]) -> tuple[PoolSize, ...]:
    """Return the sum of the sizes of several nodes."""
    changes: dict[datetime, _SizeChange] = defaultdict(_SizeChange)
    for sizes in nodes:
        before = _StockCount()
        for size in sizes:
            now = _StockCount(size.enis, size.primary, size.secondary, size.prefixes)
            changes[size.time].count.add(now, before)
            changes[size.time].events.update(
                {f"{event.event_id} {event.event}": event for event in size.events}
            )
            before = now
    return tuple(_running(changes))


def _running(changes: dict[datetime, _SizeChange]) -> Iterator[PoolSize]:
    count = _StockCount()
    for time in sorted(changes):
        count.add(changes[time].count)
        yield _size(time, count, tuple(changes[time].events.values()))


def within(sizes: tuple[PoolSize, ...], wanted: Filter) -> tuple[PoolSize, ...]:
    """Return the sizes in a time range, beginning with the size at its start."""
    shown = [size for size in sizes if wanted.takes_time(size.time)]
    before = [size for size in sizes if wanted.since is not None and size.time < wanted.since]
    if before and wanted.since is not None and (not shown or shown[0].time > wanted.since):
        shown.insert(0, replace(before[-1], time=wanted.since, events=()))
    return tuple(shown)


def mean(sizes: Sequence[PoolSize], since: datetime, until: datetime) -> float:
    """Return the average of ``pool`` over a span of time; 0 if nothing is known to be held."""
    if not sizes:
        return 0.0
    whole = Interval(since, until)
    parts = [
        (size.pool, Interval(size.time, later).intersection(whole))
        for size, later in _with_ends(sizes, until)
    ]
    total = sum(pool * part.length.total_seconds() for pool, part in parts if part is not None)
    seconds = whole.length.total_seconds()
    return total / seconds if seconds else 0.0


def _with_ends(sizes: Sequence[PoolSize], until: datetime) -> Iterator[tuple[PoolSize, datetime]]:
    ends = [*(size.time for size in sizes[1:]), until]
    return zip(sizes, ends, strict=True)
