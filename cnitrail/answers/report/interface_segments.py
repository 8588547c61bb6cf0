"""Which interfaces a report is about, and which part of each one's life belongs to which instance."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from cnitrail.model import Attachment, Bound, History, Interface, Lease, TimelineEntry


class Scene(Struct, frozen=True):
    """An interface, from one attachment to the next one elsewhere, and what it held then.

    ``since`` and ``until`` are None where nothing bounds it.
    """

    instance: str | None
    interface: Interface
    since: datetime | None
    until: datetime | None
    stays: tuple[Attachment, ...]
    leases: tuple[Lease, ...]

    def bounds(self) -> Iterator[Bound]:
        """Every start and end in it."""
        for stay in self.stays:
            yield from (stay.start, stay.end)
        for lease in self.leases:
            yield from (lease.start, lease.end)


def scenes(history: History, entries: Sequence[TimelineEntry]) -> dict[str | None, list[Scene]]:
    """The scenes of each instance that calls are about, between the first call and the last.

    All interfaces of an instance belong to it, also those that no call names; and so does an
    interface that lost an address to another.
    """
    if not entries:
        return {}
    start, end = entries[0].time, entries[-1].time
    enis = {entry.eni for entry in entries if entry.eni}
    enis |= {moved.from_eni for entry in entries for moved in entry.moved}
    guesses = {entry.eni: entry.instance for entry in entries if entry.instance}
    instances = {entry.instance for entry in entries if entry.instance} | {
        each.instance
        for eni in enis
        if eni in history.interfaces
        for each in history.interfaces[eni].attachments
        if each.instance and _meet(each.start.time, each.end.time, start, end)
    }
    chosen = [
        interface
        for interface in history.interfaces.values()
        if interface.eni in enis or any(each.instance in instances for each in interface.attachments)
    ]
    leases: dict[str, list[Lease]] = {interface.eni: [] for interface in chosen}
    for lease in history.leases:
        if lease.eni in leases:
            leases[lease.eni].append(lease)
    found: dict[str | None, list[Scene]] = {entry.instance: [] for entry in entries if entry.instance}
    for interface in chosen:
        if not _meet(interface.created.time, interface.deleted.time, start, end):
            continue
        for scene in _scenes(interface, leases[interface.eni], guesses.get(interface.eni)):
            if _meet(scene.since, scene.until, start, end) and (
                scene.instance in instances or interface.eni in enis
            ):
                found.setdefault(scene.instance, []).append(scene)
    return found


def _scenes(interface: Interface, leases: Sequence[Lease], guess: str | None) -> Iterator[Scene]:
    """The parts of an interface's life; where no attachment is known, one part on the likely instance."""
    attached = interface.attachments
    if not attached:
        yield Scene(guess, interface, None, None, (), tuple(leases))
        return
    firsts = [
        place
        for place, each in enumerate(attached)
        if place == 0 or each.instance != attached[place - 1].instance
    ]
    for first, after in zip(firsts, [*firsts[1:], len(attached)], strict=True):
        since = _begin(attached[first], attached[first - 1]) if first else None
        until = _begin(attached[after], attached[after - 1]) if after < len(attached) else None
        held = tuple(each for each in leases if _meet(each.reach(), each.end.time, since, until))
        instance = attached[first].instance or guess
        yield Scene(instance, interface, since, until, attached[first:after], held)


def _begin(attachment: Attachment, previous: Attachment) -> datetime | None:
    return attachment.start.time or previous.end.time


def _meet(
    start: datetime | None, end: datetime | None, since: datetime | None, until: datetime | None
) -> bool:
    """Whether two intervals meet; None is no bound."""
    too_late = start is not None and until is not None and start > until
    too_early = end is not None and since is not None and end < since
    return not too_late and not too_early


Interval = tuple[datetime | None, datetime | None]


def clip(
    start: datetime | None, end: datetime | None, since: datetime | None, until: datetime | None
) -> Interval | None:
    """What two intervals share; None where they do not meet, or in one second only."""
    starts = [each for each in (start, since) if each is not None]
    ends = [each for each in (end, until) if each is not None]
    first, last = max(starts, default=None), min(ends, default=None)
    return None if first is not None and last is not None and first >= last else (first, last)


def changes(intervals: Iterable[Interval], start: datetime) -> tuple[int, list[tuple[datetime, int]]]:
    """How many intervals hold just before a time, and how their number changes from then on, by time."""
    before = 0
    deltas: dict[datetime, int] = defaultdict(int)
    for first, last in intervals:
        if last is not None and last < start:
            continue
        if first is None or first < start:
            before += 1
        else:
            deltas[first] += 1
        if last is not None:
            deltas[last] -= 1
    return before, sorted((time, delta) for time, delta in deltas.items() if delta)
