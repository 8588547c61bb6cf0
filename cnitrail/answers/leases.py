"""Every interval in which an interface held an address."""

from collections.abc import Iterator
from datetime import datetime

from cnitrail.answers.filters import Filter
from cnitrail.model import (
    Actor,
    Attachment,
    AttachmentEntry,
    Basis,
    Bound,
    History,
    Interface,
    Lease,
    LeaseEntry,
)


def leases(history: History, wanted: Filter) -> Iterator[LeaseEntry]:
    """The leases that a filter keeps, by address and start.

    A lease is kept where it meets the time range, and where any of its attachments in that range was
    on an instance that was asked for. ``--actor`` and ``--agent`` match who assigned, or released.
    """
    for lease in history.leases:
        interface = history.interfaces[lease.eni]
        if takes_interface(wanted, interface) and _takes(wanted, lease):
            entry = _entry(history, lease, interface)
            if _takes_people(wanted, entry) and _takes_instances(history, wanted, entry, interface):
                yield entry


def takes_interface(wanted: Filter, interface: Interface) -> bool:
    """Whether an interface has the ids that were asked for."""
    return (
        wanted.takes_value("eni", interface.eni)
        and wanted.takes_value("vpc", interface.vpc)
        and wanted.takes_value("subnet", interface.subnet)
        and wanted.takes_value("account", interface.account)
        and wanted.takes_value("region", interface.region)
    )


def meets_time(start: datetime | None, end: datetime | None, wanted: Filter) -> bool:
    """Whether an interval meets the time range that was asked for."""
    too_early = end is not None and wanted.since is not None and end < wanted.since
    too_late = start is not None and wanted.until is not None and start > wanted.until
    return not too_early and not too_late


def actor_of(history: History, bound: Bound) -> Actor | None:
    """Who made the call that a bound was observed in."""
    if bound.basis is not Basis.OBSERVED or bound.event is None:
        return None
    return history.actors[bound.event.key]


def attachment_entry(attachment: Attachment) -> AttachmentEntry:
    """An attachment as it is shown."""
    return AttachmentEntry(
        instance=attachment.instance,
        device_index=attachment.device_index,
        attachment=attachment.attachment,
        start=attachment.start.time,
        start_basis=attachment.start.basis,
        end=attachment.end.shown,
        end_basis=attachment.end.basis,
        how=attachment.how,
    )


def _takes(wanted: Filter, lease: Lease) -> bool:
    events = (lease.start.event, lease.end.event)
    named = not wanted.event or any(event and wanted.takes_event(event.name) for event in events)
    return (
        named and wanted.takes_addresses((lease.held,)) and meets_time(lease.reach(), lease.end.time, wanted)
    )


def _takes_people(wanted: Filter, entry: LeaseEntry) -> bool:
    if not wanted.actor and not wanted.agent:
        return True
    people = (entry.assigned_by, entry.released_by)
    return any(person is not None and wanted.takes_actor(person) for person in people)


def _takes_instances(history: History, wanted: Filter, entry: LeaseEntry, interface: Interface) -> bool:
    then = [each for each in entry.attachments if meets_time(each.start, each.end, wanted)]
    instances = [attachment.instance for attachment in then]
    if not entry.attachments and interface.mark is not None:
        instances = [interface.mark[0]]
    clusters = {
        name
        for instance in instances or [None]
        for time in _times(history, entry, interface, instance)
        for name in history.cluster_of(interface.eni, instance, time).names
    }
    person = entry.assigned_by
    if person is not None and (not clusters or person.basis.cluster != "role-name"):
        clusters.update(filter(None, (person.cluster,)))
    return wanted.takes_value("instance", *instances) and wanted.takes_value("cluster", *clusters)


def _times(
    history: History, entry: LeaseEntry, interface: Interface, instance: str | None
) -> Iterator[datetime | None]:
    """The times of a lease at which tags may name another cluster than before: its start, and each later."""
    node = history.instances.get(instance or "")
    yield entry.start
    for tagged in (*interface.tagged, *(node.tagged if node else ())):
        since, end = tagged.since, entry.end
        if (entry.start is None or entry.start <= since) and (end is None or since <= end):
            yield since


def _entry(history: History, lease: Lease, interface: Interface) -> LeaseEntry:
    start, end = lease.start, lease.end
    return LeaseEntry(
        ip=lease.held,
        kind=lease.kind,
        account=interface.account,
        region=interface.region,
        vpc=interface.vpc,
        subnet=interface.subnet,
        eni=lease.eni,
        eni_kind=interface.kind,
        start=start.time,
        start_basis=start.basis,
        start_event=start.event.event_id if start.event else None,
        assigned_by=actor_of(history, start),
        end=end.shown,
        end_basis=end.basis,
        end_event=end.event.event_id if end.event else None,
        released_by=actor_of(history, end),
        attachments=tuple(attachment_entry(each) for each in interface.attachments if _meets(each, lease)),
        unproven=interface.eni in history.unproven,
    )


def _meets(attachment: Attachment, lease: Lease) -> bool:
    reach = lease.reach()
    over = attachment.end.time is not None and reach is not None and attachment.end.time < reach
    ahead = (
        attachment.start.time is not None
        and lease.end.time is not None
        and attachment.start.time > lease.end.time
    )
    return not over and not ahead
