"""Swimlanes: the timeline and the leases by instance and interface, as charts draw them."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import zip_longest

from msgspec import Struct, field
from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.answers.leases import attachment_entry, leases
from cnitrail.answers.timeline import timeline
from cnitrail.intervals import Interval, between
from cnitrail.model import Attachment, History, LeaseEntry, LeaseSegment, Swimlane, TimelineEntry
from cnitrail.timeclamp import FIRST, LAST

_Key = tuple[str | None, str | None]
"""An instance and an interface."""


_ANY_CALL: dict[str, tuple[()]] = dict.fromkeys(
    ("actor", "agent", "access_key", "source_ip", "event", "event_id"), ()
)


class _Draft(Struct):
    """A swimlane that is being filled."""

    attachments: list[Attachment] = field(default_factory=list)
    stretches: list[LeaseSegment] = field(default_factory=list)
    calls: list[TimelineEntry] = field(default_factory=list)


def lanes(history: History, wanted: Filter) -> Iterator[Swimlane]:
    """Yield the swimlanes of the calls and leases that a filter keeps, by instance and interface.

    Filters by caller and event apply to calls only: a lease is drawn whoever assigned the address.
    """
    drafts: dict[_Key, _Draft] = defaultdict(_Draft)
    for entry in timeline(history, wanted):
        drafts[entry.instance, entry.eni].calls.append(entry)
    for lease in leases(history, replace(wanted, **_ANY_CALL)):
        for instance, start, end in _instances(history.interfaces[lease.eni].attachments):
            segment = _segment(lease, start, end)
            if segment is not None:
                drafts[instance, lease.eni].stretches.append(segment)
    for name in {eni for _, eni in drafts if eni is not None}:
        interface = history.interfaces.get(name)
        for attachment in interface.attachments if interface else ():
            drafts[attachment.instance, name].attachments.append(attachment)
    for instance, eni in sorted(drafts, key=_order):
        draft = drafts[instance, eni]
        if instance is None or draft.calls or wanted.takes_instance(instance):
            yield _lane(history, instance, eni, draft)


def _order(key: _Key) -> tuple[bool, str, bool, str]:
    """Sort by instance and interface, those without a name last."""
    instance, eni = key
    return instance is None, instance or "", eni is None, eni or ""


def _lane(history: History, instance: str | None, eni: str | None, draft: _Draft) -> Swimlane:
    interface, known = history.interfaces.get(eni or ""), history.instances.get(instance or "")
    return Swimlane(
        instance=instance,
        instance_type=known.instance_type if known else None,
        eni=eni,
        eni_kind=interface.kind if interface else None,
        attachments=tuple(map(attachment_entry, draft.attachments)),
        stretches=tuple(draft.stretches),
        calls=tuple(draft.calls),
    )


def _instances(attachments: tuple[Attachment, ...]) -> Iterator[tuple[str | None, datetime, datetime]]:
    """Yield the instance of an interface over all of time; None if it is on none, or if that is not known."""
    since = FIRST
    for attachment, following in zip_longest(attachments, attachments[1:]):
        start = attachment.start.time or since
        until = following.start.time if following else None
        end = attachment.end.time or until or LAST
        yield None, since, start
        yield attachment.instance, start, end
        since = end
    yield None, since, LAST


def _segment(lease: LeaseEntry, start: datetime, end: datetime) -> LeaseSegment | None:
    """Return the part of a lease between two times; None if there is none."""
    held, there = between(lease.start, lease.end), Interval(start, end)
    both = held if held.start == held.end and there.includes(held.start) else held.intersection(there)
    if both is None:
        return None
    return LeaseSegment(
        lease, both.start if both.start > FIRST else None, both.end if both.end < LAST else None
    )
