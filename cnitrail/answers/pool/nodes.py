"""Nodes: the Kubernetes nodes among the instances, with the ENIs on each and the calls about them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct

from cnitrail.answers.filters import Filter
from cnitrail.answers.leases import takes_interface
from cnitrail.model import (
    OPEN,
    OWN_INTERFACE_EFFECTS,
    UNKNOWN,
    Attachment,
    Basis,
    CallOutcome,
    Effect,
    Event,
    History,
    Instance,
    Interface,
    Lease,
    Management,
    Manager,
    Subject,
    Tagged,
)
from cnitrail.model.callers import may_mark
from cnitrail.timeclamp import FIRST

_MARKED_KINDS = ("cni", "cilium", "trunk")
"""Kinds of ENIs that only Kubernetes nodes have."""


class InterfaceStay(Struct, frozen=True):
    """An ENI on a node, and everything that it ever held."""

    interface: Interface
    attachment: Attachment
    leases: tuple[Lease, ...]


class InterfaceCall(Struct, frozen=True):
    """What one call did, or tried to do, to one ENI of a node.

    ``claimed`` means that only a description or tag names the node, which the caller may have chosen.
    """

    event: Event
    subject: Subject
    eni: str | None
    claimed: bool = False


class InstanceCount(Struct, frozen=True):
    """How many instances with ENIs are Kubernetes nodes, and how many are not known to be."""

    nodes: int
    others: int


class Node(Struct, frozen=True, kw_only=True):
    """An instance, with the stays of ENIs on it and the calls about it, both in time order.

    ``is_kubernetes`` is whether anything shows that it is a node of a cluster: a tag of it, what manages its
    addresses, an ENI that only nodes have, or a call of the VPC CNI.
    """

    instance: Instance
    management: Management
    is_kubernetes: bool
    stays: tuple[InterfaceStay, ...]
    calls: tuple[InterfaceCall, ...]
    since: datetime
    clusters: tuple[str, ...]
    """All clusters that its tags, or those of its ENIs, ever named."""

    @property
    def until(self) -> datetime | None:
        """When it was terminated; None if the evidence does not show that."""
        return self.instance.ended.time

    @property
    def complete(self) -> bool:
        """True if the evidence has its launch."""
        return self.instance.launched.basis is Basis.OBSERVED

    @property
    def cluster(self) -> str | None:
        """The cluster that it was in; None if that is not known, or if there were several."""
        return self.clusters[0] if len(self.clusters) == 1 else None


def nodes(history: History, wanted: Filter) -> Iterator[Node]:
    """Yield the Kubernetes nodes that a filter keeps: by first event, then by ID.

    An instance that is not known to be a node is yielded only if the filter names it.
    """
    found = [node for node in _instances(history) if _takes(wanted, node)]
    return iter(sorted(found, key=lambda node: (node.since, node.instance.instance)))


def count_instances(history: History) -> InstanceCount:
    """Return how many instances are nodes."""
    kinds = [node.is_kubernetes for node in _instances(history)]
    return InstanceCount(sum(kinds), len(kinds) - sum(kinds))


def _instances(history: History) -> Iterator[Node]:
    """Yield every instance with an ENI, or for which an ENI or addresses were requested."""
    leases: dict[str, list[Lease]] = defaultdict(list)
    for lease in history.leases:
        leases[lease.eni].append(lease)
    stays: dict[str, list[InterfaceStay]] = defaultdict(list)
    for interface in history.interfaces.values():
        held = tuple(leases[interface.eni])
        for attachment in interface.attachments:
            if attachment.instance is not None and interface.kind != "branch":
                stays[attachment.instance].append(InterfaceStay(interface, attachment, held))
    calls = _calls(history)
    requested = [name for name, of_instance in calls.items() if _requests(of_instance)]
    for name in dict.fromkeys((*stays, *requested)):
        yield _node(history, name, stays[name], calls[name])


def _requests(calls: Iterable[InterfaceCall]) -> bool:
    """Return whether an ENI or addresses were requested for an instance, by more than a claim."""
    return any(call.event.effect in (Effect.CREATE, Effect.ASSIGN) and not call.claimed for call in calls)


def _node(history: History, name: str, stays: list[InterfaceStay], calls: list[InterfaceCall]) -> Node:
    instance = history.instances.get(name) or _unseen(name, calls[0].event)
    starts = [stay.attachment.start.time for stay in stays if stay.attachment.start.time is not None]
    signs = [*starts, *(call.event.time for call in calls[:1])]
    first = min(signs, default=FIRST)
    stays.sort(key=lambda stay: (stay.attachment.start.time or first, stay.interface.eni))
    clusters = _clusters(history, instance, stays)
    management = history.manager_of_node(name)
    is_kubernetes = (
        bool(clusters)
        or management.manager not in (Manager.UNKNOWN, Manager.NOT_KUBERNETES, Manager.AWS_SERVICE)
        or any(stay.interface.kind in _MARKED_KINDS for stay in stays)
        or any(history.actors[call.event.key].ipamd for call in calls if not call.claimed)
    )
    return Node(
        instance=instance,
        management=management,
        is_kubernetes=is_kubernetes,
        stays=tuple(stays),
        calls=tuple(calls),
        since=instance.launched.time or first,
        clusters=tuple(sorted(clusters)),
    )


def _unseen(name: str, event: Event) -> Instance:
    """Return an instance that only failed calls name."""
    return Instance(
        instance=name,
        account=event.account,
        region=event.region,
        vpc=None,
        subnet=None,
        instance_type=None,
        tagged=(),
        launched=UNKNOWN,
        ended=OPEN,
    )


def _clusters(history: History, instance: Instance, stays: Iterable[InterfaceStay]) -> set[str]:
    """Return the clusters that the tags of an instance or its ENIs ever named."""
    enis: list[tuple[str | None, tuple[Tagged, ...]]] = [
        (stay.interface.eni, stay.interface.tagged) for stay in stays
    ]
    return {
        name
        for eni, tagged in enis or [(None, ())]
        for time in (*(one.since for one in (*instance.tagged, *tagged)), None)
        for name in history.cluster_of(eni, instance.instance, time).names
    }


def _takes(wanted: Filter, node: Node) -> bool:
    instance = node.instance
    return (
        (node.is_kubernetes or wanted.names_instances)
        and wanted.takes_instance(instance.instance)
        and wanted.takes_value("cluster", *node.clusters)
        and (
            any(takes_interface(wanted, stay.interface) for stay in node.stays)
            if node.stays
            else _takes_without_eni(wanted, node)
        )
    )


def _takes_without_eni(wanted: Filter, node: Node) -> bool:
    """Return True if a node without a known ENI has what was asked for."""
    return (
        not wanted.eni
        and wanted.takes_value("vpc", node.instance.vpc)
        and wanted.takes_value("subnet", *(call.subject.subnet for call in node.calls))
        and wanted.takes_value("account", node.instance.account)
        and wanted.takes_value("region", node.instance.region)
    )


def _calls(history: History) -> dict[str, list[InterfaceCall]]:
    """Return the calls about each instance and its ENIs, in time order."""
    calls: dict[str, list[InterfaceCall]] = defaultdict(list)
    for event in history.events:
        if event.key in history.set_aside or event.outcome is CallOutcome.DRY_RUN:
            continue
        for subject in event.subjects:
            eni = subject.eni or history.attachments.get(subject.attachment or "")
            instance = subject.instance or _carrier(history, eni, subject, event)
            if instance is not None:
                calls[instance].append(InterfaceCall(event, subject, eni))
            elif (claimed := _claimed(history, eni, subject)) is not None:
                calls[claimed].append(InterfaceCall(event, subject, eni, claimed=True))
    return calls


def _carrier(history: History, eni: str | None, subject: Subject, event: Event) -> str | None:
    """Return the instance that an ENI is on at a call, or was on last, or was created for.

    The VPC CNI of a node calls for that node only: a failed call on an ENI of which nothing is known is the
    caller's.
    """
    interface = history.interfaces.get(eni or "")
    if interface is not None:
        return history.last_instance_of(interface.eni, event.time)
    if event.effect not in OWN_INTERFACE_EFFECTS:
        return None
    actor, mark = history.actors[event.key], subject.details.mark
    if mark is not None:
        return mark.instance if may_mark(actor, mark.instance) else None
    return history.calling_instance(actor) if actor.ipamd is not None else None


def _claimed(history: History, eni: str | None, subject: Subject) -> str | None:
    """Return the known instance that a caller wrote on an ENI that was never attached; else None."""
    interface, details = history.interfaces.get(eni or ""), subject.details
    named = details.served or (details.mark.instance if details.mark is not None else None)
    if interface is not None and named is None:
        created = interface.created.event.subjects if interface.created.event is not None else ()
        served = (one.details.served for one in created if one.eni == interface.eni)
        claims = (claim.mark.instance for claim in interface.claimed)
        named = next(served, None) or next(claims, None)
    return named if named in history.instances else None
