"""Leases: every interval in which an ENI held an address."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from cnitrail.answers.filters import Filter
from cnitrail.intervals import meet, through
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
from cnitrail.model.reason import ReasonCode
from cnitrail.timeclamp import FIRST, LAST

if TYPE_CHECKING:
    from cnitrail.answers.pods.around_calls import PodAddresses


def leases(history: History, wanted: Filter) -> Iterator[LeaseEntry]:
    """Yield the leases that a filter keeps, by address and start.

    A lease is kept if it overlaps the time range, and if any of its attachments in that range was to an
    instance that was asked for. Filters of callers and events match the calls that assigned or released the
    address, filters of pods those that had it.
    """
    pods = _pod_addresses(history, wanted) if wanted.names_pods else None
    is_everything = wanted == Filter()
    for lease in history.leases:
        if pods is not None and next(pods.pods_in(lease), None) is None:
            continue
        interface = history.interfaces[lease.eni]
        if is_everything:
            yield _entry(history, lease, interface)
        elif takes_interface(wanted, interface) and _takes(wanted, lease):
            entry = _entry(history, lease, interface)
            if _takes_callers(wanted, entry) and _takes_instances(history, wanted, entry, interface):
                yield entry


def _pod_addresses(history: History, wanted: Filter) -> "PodAddresses":
    from cnitrail.answers.pods.around_calls import PodAddresses

    return PodAddresses(history, wanted)


def takes_interface(wanted: Filter, interface: Interface) -> bool:
    """Return True if an interface has the IDs that were asked for."""
    return (
        wanted.takes_value("eni", interface.eni)
        and wanted.takes_value("vpc", interface.vpc)
        and wanted.takes_value("subnet", interface.subnet)
        and wanted.takes_value("account", interface.account)
        and wanted.takes_value("region", interface.region)
    )


def meets_time(start: datetime | None, end: datetime | None, wanted: Filter) -> bool:
    """Return whether an interval overlaps the time range that was asked for."""
    return meet(start, end, wanted.since, wanted.until)


def doubt_of(lease: Lease, at: datetime) -> ReasonCode | None:
    """Return why another interface may have the address of a lease at a time; None if nothing shows that."""
    if lease.certainty.contested:
        return ReasonCode.ORDER_UNKNOWN
    taken = lease.certainty.takeover_from
    return ReasonCode.MAY_BE_TAKEN if taken is not None and taken <= at else None


def actor_of(history: History, bound: Bound) -> Actor | None:
    """Return who made the call that a bound was observed in; None if it was not observed."""
    if bound.basis is not Basis.OBSERVED or bound.event is None:
        return None
    return history.actors[bound.event.key]


def attachment_entry(attachment: Attachment) -> AttachmentEntry:
    """Return an attachment as it is shown."""
    return AttachmentEntry(
        instance=attachment.instance,
        device_index=attachment.device_index,
        attachment=attachment.attachment,
        start=attachment.start.shown,
        start_basis=attachment.start.basis,
        end=attachment.end.shown,
        end_basis=attachment.end.basis,
        how=attachment.how,
    )


def _takes(wanted: Filter, lease: Lease) -> bool:
    events = (lease.start.event, lease.end.event)
    is_asked = bool(wanted.event or wanted.event_id)
    named = not is_asked or any(event and wanted.takes_event(event) for event in events)
    return (
        named
        and wanted.takes_addresses((lease.held,))
        and meets_time(lease.possible_start(), lease.end.time, wanted)
    )


def _takes_callers(wanted: Filter, entry: LeaseEntry) -> bool:
    if not wanted.names_callers:
        return True
    callers = (entry.assigned_by, entry.released_by)
    return any(caller is not None and wanted.takes_actor(caller) for caller in callers)


def _takes_instances(history: History, wanted: Filter, entry: LeaseEntry, interface: Interface) -> bool:
    instances = [
        attachment.instance
        for attachment in entry.attachments
        if meets_time(attachment.start, attachment.end, wanted)
    ]
    if not entry.attachments and interface.mark is not None:
        instances = [interface.mark.instance]
    clusters = {
        name
        for instance in instances or [None]
        for time in _tagging_times(history, entry, interface, instance)
        for name in history.cluster_of(interface.eni, instance, time).names
    }
    caller = entry.assigned_by
    if caller is not None and (not clusters or caller.basis.cluster != "role-name"):
        clusters.update(filter(None, (caller.cluster,)))
    return wanted.takes_instance(*instances) and wanted.takes_value("cluster", *clusters)


def _tagging_times(
    history: History, entry: LeaseEntry, interface: Interface, instance: str | None
) -> Iterator[datetime | None]:
    """Yield the start of a lease, and the times during it from which tags may name another cluster."""
    node = history.instances.get(instance or "")
    yield entry.start
    for tagged in (*interface.tagged, *(node.tagged if node else ())):
        if through(entry.start, entry.end).includes(tagged.since):
            yield tagged.since


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
        attachments=tuple(
            attachment_entry(attachment)
            for attachment in interface.attachments.during(
                lease.possible_start() or FIRST, lease.end.time or LAST
            )
            if overlaps(attachment, lease)
        ),
        unproven=interface.eni in history.unproven,
        doubt=doubt_of(lease, LAST),
    )


def overlaps(attachment: Attachment, lease: Lease) -> bool:
    """Return whether the ENI may have held the address of a lease during an attachment."""
    return meet(attachment.start.time, attachment.end.time, lease.possible_start(), lease.end.time)
