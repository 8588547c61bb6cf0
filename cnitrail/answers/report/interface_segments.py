"""The ENIs that a report is about, split by the instance that each belonged to over time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from cnitrail.intervals import Interval, between, meet
from cnitrail.model import Attachment, History, Interface, Lease, TimelineEntry


class InterfaceSegment(Struct, frozen=True, kw_only=True):
    """An ENI from one attachment to the next one elsewhere, and what it held during that time.

    ``since`` and ``until`` are None if nothing bounds it.
    """

    instance: str | None
    interface: Interface
    since: datetime | None
    until: datetime | None
    attachments: tuple[Attachment, ...]
    leases: tuple[Lease, ...]

    def events(self) -> set[str]:
        """Return the keys of the events with which attachments and leases start and end."""
        bounded: tuple[Attachment | Lease, ...] = (*self.attachments, *self.leases)
        events = [one.start.event for one in bounded] + [one.end.event for one in bounded]
        return {event.key for event in events if event is not None}


def segments(history: History, entries: Sequence[TimelineEntry]) -> dict[str | None, list[InterfaceSegment]]:
    """Return the segments of each instance that calls are about, between the first call and the last.

    All ENIs of an instance belong to it, also those that no call names; and so does an ENI that lost
    an address to another one.
    """
    if not entries:
        return {}
    start, end = entries[0].time, entries[-1].time
    enis = {entry.eni for entry in entries if entry.eni}
    enis |= {moved.from_eni for entry in entries for moved in entry.moved}
    guesses = {entry.eni: entry.instance for entry in entries if entry.instance}
    instances = {entry.instance for entry in entries if entry.instance} | {
        attachment.instance
        for eni in enis
        if eni in history.interfaces
        for attachment in history.interfaces[eni].attachments
        if attachment.instance and meet(attachment.start.time, attachment.end.time, start, end)
    }
    chosen = [
        interface
        for interface in history.interfaces.values()
        if interface.eni in enis
        or any(attachment.instance in instances for attachment in interface.attachments)
    ]
    leases: dict[str, list[Lease]] = {interface.eni: [] for interface in chosen}
    for lease in history.leases:
        if lease.eni in leases:
            leases[lease.eni].append(lease)
    found: dict[str | None, list[InterfaceSegment]] = {
        entry.instance: [] for entry in entries if entry.instance
    }
    for interface in chosen:
        if not meet(interface.created.time, interface.deleted.time, start, end):
            continue
        for segment in _split(interface, leases[interface.eni], guesses.get(interface.eni)):
            if meet(segment.since, segment.until, start, end) and (
                segment.instance in instances or interface.eni in enis
            ):
                found.setdefault(segment.instance, []).append(segment)
    return found


def _split(interface: Interface, leases: Sequence[Lease], guess: str | None) -> Iterator[InterfaceSegment]:
    """Yield the segments of an ENI; without a known attachment, one segment on the likely instance."""
    attached = interface.attachments
    firsts = [
        place
        for place, attachment in enumerate(attached)
        if place == 0 or attachment.instance != attached[place - 1].instance
    ]
    if len(firsts) < 2:
        yield InterfaceSegment(
            instance=(attached[0].instance if attached else None) or guess,
            interface=interface,
            since=None,
            until=None,
            attachments=attached,
            leases=tuple(leases),
        )
        return
    for first, after in zip(firsts, [*firsts[1:], len(attached)], strict=True):
        since = _begin(attached[first], attached[first - 1]) if first else None
        until = _begin(attached[after], attached[after - 1]) if after < len(attached) else None
        yield InterfaceSegment(
            instance=attached[first].instance or guess,
            interface=interface,
            since=since,
            until=until,
            attachments=attached[first:after],
            leases=tuple(
                [lease for lease in leases if meet(lease.possible_start(), lease.end.time, since, until)]
            ),
        )


def _begin(attachment: Attachment, previous: Attachment) -> datetime | None:
    return attachment.start.time or previous.end.time


def clip(
    start: datetime | None, end: datetime | None, since: datetime | None, until: datetime | None
) -> Interval | None:
    """What two intervals share; None where they do not meet, or in one second only."""
    first = since if start is None or (since is not None and start < since) else start
    last = until if end is None or (until is not None and until < end) else end
    both = between(first, last)
    return both if both.start < both.end else None


def changes(intervals: Iterable[Interval], start: datetime) -> tuple[int, list[tuple[datetime, int]]]:
    """How many intervals hold just before a time, and how their number changes from then on, by time."""
    before = 0
    deltas: dict[datetime, int] = defaultdict(int)
    for interval in intervals:
        if interval.end < start:
            continue
        if interval.start < start:
            before += 1
        else:
            deltas[interval.start] += 1
        deltas[interval.end] -= 1
    return before, sorted((time, delta) for time, delta in deltas.items() if delta)
