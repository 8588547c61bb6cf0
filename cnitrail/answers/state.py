"""State: the ENIs, their attachments and their addresses at a time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from ipaddress import ip_network

from cnitrail.answers.filters import Filter, meets
from cnitrail.answers.leases import doubt_of, takes_interface
from cnitrail.answers.pods.entries import pod_leases
from cnitrail.answers.who.indexes import LeaseGroup, with_rivals
from cnitrail.model import (
    Effect,
    HeldEntry,
    History,
    Interface,
    Lease,
    StateEntry,
    order_of,
)
from cnitrail.timeclamp import end_of_second


def state(history: History, at: datetime, wanted: Filter) -> Iterator[StateEntry]:
    """Yield every interface that existed at the end of the second of a time, if a filter keeps it.

    An interface that no event creates exists from the first sign of it. Sorted by instance, device index
    and ENI.
    """
    end = end_of_second(at)
    held = held_at(history, history.leases, end)
    entries = [
        entry
        for eni, interface in history.interfaces.items()
        if takes_interface(wanted, interface)
        and (entry := interface_state(history, interface, held.get(eni, ()), end)) is not None
    ]
    entries.sort(key=lambda entry: (entry.instance or "~", entry.device_index or 0, entry.eni))
    pods = _PodPlaces(history, wanted, end) if wanted.names_pods else None
    for entry in entries:
        if _takes(wanted, entry) and (pods is None or pods.are_on(entry)):
            yield entry


def left_behind(history: History, at: datetime) -> dict[str, list[StateEntry]]:
    """Return the interfaces that outlived their instance by the end of a second, by the instance."""
    left: dict[str, list[StateEntry]] = defaultdict(list)
    for entry in state(history, at, Filter()):
        departure = history.departure(entry.eni, end_of_second(at))
        event = departure.end.event if departure is not None else None
        if departure is None or departure.instance is None or event is None:
            continue
        if event.effect is Effect.TERMINATE:
            left[departure.instance].append(entry)
    return left


class _PodPlaces:
    """Where the pods that a filter asks for may have had their addresses at a time."""

    def __init__(self, history: History, wanted: Filter, at: datetime) -> None:
        leases = [lease for lease in pod_leases(history, wanted) if lease.perhaps_held(at, at)]
        self._enis = {lease.eni for lease in leases if lease.eni is not None}
        self._elsewhere = [lease for lease in leases if lease.eni is None]

    def are_on(self, entry: StateEntry) -> bool:
        """Return whether one of them may have had an address of an ENI."""
        return entry.eni in self._enis or any(
            lease.instance in (entry.instance, None)
            and any(meets(ip_network(lease.ip), address.ip) for address in entry.addresses)
            for lease in self._elsewhere
        )


def held_at(history: History, leases: Iterable[Lease], end: datetime) -> Mapping[str, Sequence[Lease]]:
    """Return the leases that may cover the end of a second, by ENI.

    If calls of one second gave an address to several ENIs, it may be on any of them.
    """
    found = [lease for lease in leases if _may_cover(lease, end)]
    contested = [lease for lease in found if lease.certainty.rivals and doubt_of(lease, end)]
    if contested:
        names = {lease.held for lease in contested}
        groups = [LeaseGroup(one) for held in names for one in history.holders[held]]
        found = with_rivals(history, groups, found, contested, end)
    held: dict[str, list[Lease]] = defaultdict(list)
    for lease in found:
        held[lease.eni].append(lease)
    return held


def _may_cover(lease: Lease, end: datetime) -> bool:
    start = lease.possible_start()
    return (start is None or start <= end) and (lease.end.time is None or lease.end.time > end)


def interface_state(
    history: History, interface: Interface, held: Sequence[Lease], end: datetime
) -> StateEntry | None:
    """Return an interface at the end of a second, with its leases then; None if it does not exist then."""
    return _entry(history, interface, held, end) if _exists(interface, end, bool(held)) else None


def _exists(interface: Interface, end: datetime, holds: bool) -> bool:
    """Return whether an ENI exists: one that holds an address outlived the termination of its instance."""
    if holds:
        return True
    created, deleted = interface.created.time, interface.deleted.time
    if (created is not None and created > end) or (deleted is not None and deleted <= end):
        return False
    return created is not None or interface.attachment_at(end) is not None


def _takes(wanted: Filter, entry: StateEntry) -> bool:
    return (
        wanted.takes_instance(entry.instance)
        and wanted.takes_value("cluster", *entry.clusters)
        and wanted.takes_addresses(address.ip for address in entry.addresses)
    )


def _entry(history: History, interface: Interface, held: Sequence[Lease], at: datetime) -> StateEntry:
    attachment = interface.attachment_at(at)
    name, basis = history.instance_of(interface.eni, at)
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
