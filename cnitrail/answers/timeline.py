"""Timeline: who assigned, moved or released which addresses, and when."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.model import (
    OWN_INTERFACE_EFFECTS,
    Attachment,
    Basis,
    CallOutcome,
    Cluster,
    Effect,
    Event,
    Held,
    History,
    InstanceBasis,
    Interface,
    Lease,
    Moved,
    Subject,
    TimelineEntry,
    held_of,
    is_prefix,
    order_of,
)
from cnitrail.model.callers import may_mark
from cnitrail.model.pods import PodEntry
from cnitrail.timeclamp import FIRST

if TYPE_CHECKING:
    from cnitrail.answers.pods.around_calls import PodAddresses

_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}")

_CALL_BASIS = {Effect.LAUNCH: InstanceBasis.LAUNCH, Effect.ATTACH: InstanceBasis.ATTACH}
"""How an instance is known that the call itself names."""


def timeline(history: History, wanted: Filter) -> Iterator[TimelineEntry]:
    """Yield the entries that a filter keeps: by time, within a second cause before effect, by event ID."""
    return (entry for _, entry in calls(history, wanted))


def newest(
    entries: Sequence[TimelineEntry], limit: int | None, *, first: bool = False
) -> Sequence[TimelineEntry]:
    """Return the newest entries, ``limit`` at most: by time as they are, or the newest ``first``."""
    kept = entries if limit is None else entries[max(len(entries) - limit, 0) :]
    return kept[::-1] if first else kept


def calls(history: History, wanted: Filter) -> Iterator[tuple[Event, TimelineEntry]]:
    """Yield the same entries in the same order, each with its event."""
    ended, carried = _leases_by_ending_event(history), _carried(history)
    is_everything = wanted == Filter()
    pods = _pod_addresses(history, wanted) if wanted.names_pods else None
    for event in history.events:
        if not (is_everything or _takes_call(wanted, history, event)):
            continue
        for entry in _entries(history, event, ended.get(event.key, ()), carried):
            if not (is_everything or takes_place(wanted, entry)):
                continue
            if pods is None:
                yield event, entry
            elif around := _pods_around(pods, entry):
                yield event, replace(entry, pods=around)


def _pod_addresses(history: History, wanted: Filter) -> "PodAddresses":
    from cnitrail.answers.pods.around_calls import PodAddresses

    return PodAddresses(history, wanted)


def _pods_around(pods: "PodAddresses", entry: TimelineEntry) -> tuple[PodEntry, ...]:
    """Return the pods that had an address of a call while its ENI, or one that it took it from, held that."""
    from cnitrail.answers.pods.entries import pod_entry

    enis = (entry.eni, *(moved.from_eni for moved in entry.moved))
    return tuple(map(pod_entry, pods.pods_of_call(_addresses(entry), enis, entry.time)))


def _takes_call(wanted: Filter, history: History, event: Event) -> bool:
    """Return True if an event has the time, the name, the outcome and the caller that were asked for."""
    return (
        wanted.takes_time(event.time)
        and wanted.takes_event(event)
        and wanted.failed in (None, event.outcome is CallOutcome.FAILED)
        and wanted.takes_actor(history.actors[event.key])
    )


def takes_place(wanted: Filter, entry: TimelineEntry) -> bool:
    """Return True if an entry is about the resources and addresses that were asked for."""
    losers = entry.moved
    return (
        wanted.takes_instance(entry.instance, *(loser.from_instance for loser in losers))
        and wanted.takes_value("eni", entry.eni, *(loser.from_eni for loser in losers))
        and wanted.takes_value("vpc", entry.vpc, *(loser.from_vpc for loser in losers))
        and wanted.takes_value("subnet", entry.subnet, *(loser.from_subnet for loser in losers))
        and wanted.takes_value("account", entry.account)
        and wanted.takes_value("region", entry.region)
        and wanted.takes_value("cluster", *_clusters(entry))
        and wanted.takes_addresses(_addresses(entry))
    )


def _clusters(entry: TimelineEntry) -> Iterator[str | None]:
    """Yield the clusters that a call concerns.

    The caller's counts as well, unless tags name a cluster and only its role name names another.
    """
    yield from entry.clusters
    for loser in entry.moved:
        yield from loser.from_clusters
    if not entry.clusters or entry.actor.basis.cluster != "role-name":
        yield entry.actor.cluster


def _addresses(entry: TimelineEntry) -> Iterator[Held]:
    yield from entry.added
    yield from entry.shown
    yield from entry.removed
    yield from entry.carried
    for requested in entry.requested_addresses:
        read = held_of(requested)
        if read is not None:
            yield read


def _leases_by_ending_event(history: History) -> dict[str, list[Lease]]:
    """Return the leases that each call ended without naming them: a release names what it ends."""
    ended: dict[str, list[Lease]] = defaultdict(list)
    for lease in history.leases:
        if lease.end.event is not None and not lease.released:
            ended[lease.end.event.key].append(lease)
    return ended


_Carried = Mapping[tuple[str, str | None], tuple[Held, ...]]
"""The addresses that ENIs held when a call attached or detached them, by event key and ENI."""


def _carried(history: History) -> _Carried:
    """Return the addresses that ENIs held when a call attached or detached them, by event key and ENI.

    A trunk carries those of its branches, too: they leave the instance with it.
    """
    moves = _moves(history)
    leases: dict[str, list[Lease]] = {eni: [] for eni in moves}
    for lease in history.leases:
        if lease.eni in leases:
            leases[lease.eni].append(lease)
    carried: dict[tuple[str, str | None], tuple[Held, ...]] = {}
    for eni, calls_on_it in moves.items():
        for (event, moved), held in zip(calls_on_it, _held_at(calls_on_it, leases[eni]), strict=True):
            others = carried.get((event.key, moved), ())
            carried[event.key, moved] = tuple(sorted((*others, *held), key=order_of))
    return carried


_Move = tuple[Event, str]
"""A call that attached or detached an ENI, and the ENI that it named: of a branch, maybe its trunk."""


def _moves(history: History) -> dict[str, list[_Move]]:
    """Return the calls that attached or detached each ENI, by time."""
    moves: dict[str, list[_Move]] = defaultdict(list)
    for event in history.events:
        if event.effect not in _MOVES or event.failure is not None or event.key in history.set_aside:
            continue
        for eni in (subject.eni or _eni_of(history, subject) for subject in event.subjects):
            if eni is not None:
                moves[eni].append((event, eni))
    for branch in (interface for interface in history.interfaces.values() if interface.kind == "branch"):
        with_trunk = list(_detached_with_trunk(history, branch))
        if with_trunk:
            moves[branch.eni] = sorted([*moves[branch.eni], *with_trunk], key=lambda move: move[0].time)
    return moves


def _detached_with_trunk(history: History, branch: Interface) -> Iterator[_Move]:
    for event in (attachment.end.event for attachment in branch.attachments):
        if event is None or event.effect is not Effect.DETACH:
            continue
        for trunk in (_eni_of(history, subject) for subject in event.subjects):
            if trunk is not None and trunk != branch.eni:
                yield event, trunk


_MOVES = (Effect.ATTACH, Effect.DETACH)


def _held_at(moves: list[_Move], leases: list[Lease]) -> Iterator[list[Held]]:
    """Yield the addresses that one ENI held in the second of each call; the calls are by time."""
    waiting = sorted(leases, key=_start, reverse=True)
    held: list[Lease] = []
    for event, _ in moves:
        while waiting and _start(waiting[-1]) <= event.time:
            held.append(waiting.pop())
        held = [lease for lease in held if lease.end.time is None or lease.end.time >= event.time]
        yield [lease.held for lease in held]


def _start(lease: Lease) -> datetime:
    return lease.possible_start() or FIRST


def _entries(
    history: History, event: Event, ended: Sequence[Lease], carried: _Carried
) -> Iterator[TimelineEntry]:
    """Yield an entry for every interface that the event touches, or would touch if it were used."""
    if event.key in history.set_aside:
        for subject in event.subjects:
            yield _set_aside(history, event, subject)
        return
    for subject in event.subjects:
        for touched in _touched(history, event, subject, ended):
            yield _entry(history, event, touched, _place(history, event, touched), ended, carried)


def _touched(history: History, event: Event, subject: Subject, ended: Sequence[Lease]) -> Sequence[Subject]:
    """Return what a call touched: the interfaces that were on an instance which it terminated."""
    if event.effect is not Effect.TERMINATE or event.failure is not None:
        return (subject,)
    enis = sorted({lease.eni for lease in ended if _was_on(history, lease.eni, event, subject)})
    return [replace(subject, eni=eni) for eni in enis] or (subject,)


def _was_on(history: History, eni: str, event: Event, subject: Subject) -> bool:
    """Return True if an interface was on the instance that the event ends."""
    return any(
        attachment.instance == subject.instance and attachment.end.event is event
        for attachment in history.interfaces[eni].attachments
    )


class _Whereabouts(Struct, frozen=True, gc=False, kw_only=True):
    """Where a call took place, as the history shows it."""

    eni: str | None
    interface: Interface | None = None
    attachment: Attachment | None = None
    instance: str | None = None
    instance_basis: InstanceBasis | None = None
    cluster: Cluster = Cluster()
    claimed_instance: str | None = None


def _place(history: History, event: Event, subject: Subject) -> _Whereabouts:
    eni = subject.eni or _eni_of(history, subject)
    interface = history.interfaces.get(eni or "")
    attachment = _attachment(interface, subject, event.time)
    instance, basis = _instance(history, event, subject, interface, attachment)
    return _Whereabouts(
        eni=eni,
        interface=interface,
        attachment=attachment,
        instance=instance,
        instance_basis=basis,
        cluster=history.cluster_of(eni, instance, event.time),
        claimed_instance=_claimed(subject, interface, event.time, instance),
    )


def _set_aside(history: History, event: Event, subject: Subject) -> TimelineEntry:
    """Return the entry of a call that is not used: what its record names is only claimed."""
    named = (*(holding.held for holding in subject.added), *subject.removed)
    requested = tuple(dict.fromkeys((*subject.requested_addresses, *map(str, named))))
    unused = replace(subject, added=(), removed=(), reassign=False, requested_addresses=requested)
    return _entry(
        history, event, unused, _Whereabouts(eni=subject.eni, claimed_instance=subject.instance), (), {}
    )


def _entry(
    history: History,
    event: Event,
    subject: Subject,
    place: _Whereabouts,
    ended: Sequence[Lease],
    carried: _Carried,
) -> TimelineEntry:
    eni, interface, attachment, cluster = place.eni, place.interface, place.attachment, place.cluster
    instance, details = history.instances.get(place.instance or ""), subject.details
    eni_kind = vpc = subnet = None
    if interface is not None:
        eni_kind, vpc, subnet = interface.kind, interface.vpc, interface.subnet
    attachment_id, device_index = subject.attachment, details.device_index
    if attachment is not None:
        attachment_id = attachment_id or attachment.attachment
        device_index = attachment.device_index if device_index is None else device_index
    added, shown = tuple([holding.held for holding in subject.added]), ()
    if details.existing:
        added, shown = shown, added
    removed = subject.removed
    if event.effect in (Effect.DELETE, Effect.TERMINATE):
        removed = tuple(sorted((lease.held for lease in ended if lease.eni == eni), key=order_of))
    return TimelineEntry(  # by position: 46 names would take ten times as long
        event.time,
        event.event_id,
        event.name,
        event.effect,
        event.outcome,
        event.failure,
        event.account,
        event.region,
        history.actors[event.key],
        eni,
        eni_kind,
        attachment_id,
        device_index,
        place.instance,
        place.instance_basis,
        instance.instance_type if instance is not None else details.instance_type,
        cluster.name,
        vpc or subject.vpc,
        subnet or subject.subnet,
        added,
        removed,
        shown,
        subject.requested,
        subject.requested_addresses,
        _moved(history, subject, ended, event.time) if subject.reassign else (),
        details.trunk,
        details.public_address,
        details.allocation,
        event.origins,
        cluster.names,
        cluster.basis,
        place.claimed_instance,
        history.set_aside.get(event.key),
        event.key in history.proven if history.proven is not None else None,
        event.damaged,
        bool(event.disputed),
        event.key if event.corrects else None,
        event.trail,
        event.omitted,
        details.resource,
        carried.get((event.key, eni), ()) if event.effect in _MOVES else (),
        details.force,
        subject.requested_kind,
        details.cidr,
        details.changes,
    )


def _claimed(
    subject: Subject, interface: Interface | None, time: datetime, instance: str | None
) -> str | None:
    """Return the instance that a caller wrote on an interface which is not known to be on it; else None.

    Of two claims in a row, each names another instance, so that the last two are enough.
    """
    details = subject.details
    is_claimed = details.served or details.mark or (interface is not None and interface.claimed)
    if not is_claimed:
        return None
    claims = interface.claimed if interface is not None else ()
    before = bisect_right(claims, time, key=attrgetter("time"))
    written = (
        *(claims[place].mark.instance for place in range(before - 1, max(before - 3, -1), -1)),
        details.mark.instance if details.mark is not None else None,
        details.served,
    )
    return next((name for name in written if name not in (None, instance)), None)


def _eni_of(history: History, subject: Subject) -> str | None:
    """Return the interface of an attachment or association; None if the evidence does not connect them."""
    if subject.attachment is not None:
        return history.attachments.get(subject.attachment)
    if subject.details.association is not None:
        return history.associations.get(subject.details.association, (None, None))[0]
    return None


def _attachment(interface: Interface | None, subject: Subject, time: datetime) -> Attachment | None:
    if interface is None:
        return None
    name = subject.attachment or subject.details.association
    known = interface.attachments.named(name) if name is not None else None
    return known or interface.attachment_at(time)


def _instance(
    history: History,
    event: Event,
    subject: Subject,
    interface: Interface | None,
    attachment: Attachment | None,
) -> tuple[str | None, InstanceBasis | None]:
    """Return the instance that the interface was on at that moment, and how that is known."""
    if subject.instance is not None:
        known = attachment is not None and attachment.instance == subject.instance
        return subject.instance, attachment.how if attachment and known else _CALL_BASIS.get(event.effect)
    if attachment is not None and attachment.instance is not None:
        return attachment.instance, attachment.how
    if subject.details.association is not None:
        instance = history.associations.get(subject.details.association, (None, None))[1]
        if instance is not None:
            return instance, InstanceBasis.ATTACH
    eni = interface.eni if interface is not None else None
    made_for = history.made_for(eni, event.time) if eni else _made_for(history, event, subject)
    if made_for[0] is not None:
        return made_for
    caller = history.calling_instance(history.actors[event.key])
    if (
        caller is not None
        and event.effect in OWN_INTERFACE_EFFECTS
        and subject.details.resource is None
        and _is_its_own(subject, interface, caller)
    ):
        return caller, InstanceBasis.SESSION
    return None, None


def _made_for(history: History, event: Event, subject: Subject) -> tuple[str | None, InstanceBasis | None]:
    """Return the instance for which the VPC CNI tried to create an interface, and how that is known."""
    mark = subject.details.mark
    if mark is None or event.effect is not Effect.CREATE:
        return None, None
    return mark if may_mark(history.actors[event.key], mark.instance) else (None, None)


def _never_elsewhere(interface: Interface | None, instance: str) -> bool:
    """Return True if no event shows an interface on another instance."""
    return interface is None or interface.attachments.are_only_on(instance)


def _is_its_own(subject: Subject, interface: Interface | None, caller: str) -> bool:
    """Return True if a node that calls with its own role may mean an interface of its own.

    An operator that runs on one node calls for all nodes, and names them in the description.
    """
    others = set(_INSTANCE_ID.findall(subject.details.description or "")) - {caller}
    return not others and _never_elsewhere(interface, caller)


def _moved(history: History, subject: Subject, ended: Sequence[Lease], time: datetime) -> tuple[Moved, ...]:
    """Return the addresses that a call took from another interface, if the history shows which."""
    return tuple(
        _loss(history, lease, time)
        for lease in ended
        if lease.eni != subject.eni and lease.end.basis is Basis.IMPLIED and not is_prefix(lease.held)
    )


def _loss(history: History, lease: Lease, time: datetime) -> Moved:
    """Return an address that an interface lost, with the instance, VPC and clusters of that interface."""
    loser = history.interfaces[lease.eni]
    attachment = history.attachment_of(lease.eni, time)
    instance = attachment.instance if attachment is not None else None
    clusters = history.cluster_of(lease.eni, instance, time).names
    return Moved(
        ip=lease.held,
        from_eni=lease.eni,
        from_instance=instance,
        from_vpc=loser.vpc,
        from_subnet=loser.subnet,
        from_clusters=clusters,
    )
