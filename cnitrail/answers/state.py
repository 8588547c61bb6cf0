"""State: the ENIs, their attachments and their addresses at a time."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import ip_network

from cnitrail.answers.filters import Filter, meets
from cnitrail.answers.leases import doubt_of, takes_interface
from cnitrail.answers.pods.entries import pod_leases
from cnitrail.model import (
    Attachment,
    Bound,
    Effect,
    HeldEntry,
    History,
    Interface,
    Lease,
    StateEntry,
    order_of,
)
from cnitrail.timeclamp import shifted


def state(history: History, at: datetime, wanted: Filter) -> Iterator[StateEntry]:
    """Yield every interface that existed at the end of the second of a time, if a filter keeps it.

    An interface that no event creates exists from the first sign of it. Sorted by instance, device index
    and ENI.
    """
    at = at.replace(microsecond=0)
    held: dict[str, list[Lease]] = defaultdict(list)
    for lease in history.leases:
        if holds(lease, at):
            held[lease.eni].append(lease)
    entries = [
        entry
        for eni, interface in history.interfaces.items()
        if takes_interface(wanted, interface)
        and (entry := interface_state(history, interface, held[eni], at)) is not None
    ]
    entries.sort(key=lambda entry: (entry.instance or "~", entry.device_index or 0, entry.eni))
    pods = _PodPlaces(history, wanted, at) if wanted.names_pods else None
    for entry in entries:
        if _takes(wanted, entry) and (pods is None or pods.are_on(entry)):
            yield entry


def left_behind(history: History, at: datetime) -> dict[str, list[StateEntry]]:
    """Return the interfaces that outlived their instance by the end of a second, by the instance."""
    left: dict[str, list[StateEntry]] = defaultdict(list)
    for entry in state(history, at, Filter()):
        departure = history.departure(entry.eni, at)
        event = departure.end.event if departure is not None else None
        if departure is None or departure.instance is None or event is None:
            continue
        if event.effect is Effect.TERMINATE:
            left[departure.instance].append(entry)
    return left


class _PodPlaces:
    """Where the pods that a filter asks for may have had their addresses at the end of a second."""

    def __init__(self, history: History, wanted: Filter, at: datetime) -> None:
        end = shifted(at, timedelta(microseconds=999_999))
        leases = [lease for lease in pod_leases(history, wanted) if lease.perhaps_held(end, end)]
        self._enis = {lease.eni for lease in leases if lease.eni is not None}
        self._elsewhere = [lease for lease in leases if lease.eni is None]

    def are_on(self, entry: StateEntry) -> bool:
        """Return whether one of them may have had an address of an ENI."""
        return entry.eni in self._enis or any(
            lease.instance in (entry.instance, None)
            and any(meets(ip_network(lease.ip), address.ip) for address in entry.addresses)
            for lease in self._elsewhere
        )


def _after(bound: Bound, at: datetime) -> bool:
    """Return True if a start is later than a second."""
    return bound.time is not None and bound.time > at


def _before(bound: Bound, at: datetime) -> bool:
    """Return True if an end is over by the end of a second."""
    return bound.time is not None and bound.time <= at


def interface_state(
    history: History, interface: Interface, held: list[Lease], at: datetime
) -> StateEntry | None:
    """Return an interface at the end of a second, with its leases then; None if it does not exist then."""
    return _entry(history, interface, held, at) if _exists(interface, at, bool(held)) else None


def holds(lease: Lease, at: datetime) -> bool:
    """Return whether a lease may cover the end of a second."""
    reach = lease.possible_start()
    return (reach is None or reach <= at) and not _before(lease.end, at)


def _exists(interface: Interface, at: datetime, holds: bool) -> bool:
    """Return whether an ENI exists: one that holds an address outlived the termination of its instance."""
    if holds:
        return True
    if _after(interface.created, at) or _before(interface.deleted, at):
        return False
    return interface.created.time is not None or _attachment(interface, at) is not None


def _attachment(interface: Interface, at: datetime) -> Attachment | None:
    for attachment in reversed(interface.attachments):
        if not _after(attachment.start, at) and not _before(attachment.end, at):
            return attachment
    return None


def _takes(wanted: Filter, entry: StateEntry) -> bool:
    return (
        wanted.takes_instance(entry.instance)
        and wanted.takes_value("cluster", *entry.clusters)
        and wanted.takes_addresses(address.ip for address in entry.addresses)
    )


def _entry(history: History, interface: Interface, held: list[Lease], at: datetime) -> StateEntry:
    attachment = _attachment(interface, at)
    name, basis = (
        (attachment.instance, attachment.how)
        if attachment is not None and attachment.instance is not None
        else history.instance_of(interface.eni, at)
    )
    instance = history.instances.get(name or "")
    cluster = history.cluster_of(interface.eni, name, at)
    return StateEntry(
        eni=interface.eni,
        eni_kind=interface.kind,
        account=interface.account,
        region=interface.region,
        vpc=interface.vpc,
        subnet=interface.subnet,
        cluster=cluster.name,
        clusters=cluster.names,
        instance_basis=basis,
        unproven=interface.eni in history.unproven,
        management=history.manager_of(interface.eni),
        attached=history.is_attached(interface, attachment, at),
        instance=name,
        instance_type=instance.instance_type if instance else None,
        device_index=attachment.device_index if attachment else None,
        attachment=attachment.attachment if attachment else None,
        attached_since=attachment.start.shown if attachment else None,
        attached_basis=attachment.start.basis if attachment else None,
        addresses=tuple(
            HeldEntry(
                ip=lease.held,
                kind=lease.kind,
                start=lease.start.time,
                start_basis=lease.start.basis,
                end=lease.end.shown,
                end_basis=lease.end.basis,
                doubt=doubt_of(lease, at),
            )
            for lease in sorted(held, key=lambda lease: order_of(lease.held))
        ),
    )
