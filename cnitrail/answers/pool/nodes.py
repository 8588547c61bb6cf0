"""Nodes: the instances of a history, with the ENIs on each and the calls about them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct

from cnitrail.answers.filters import Filter
from cnitrail.answers.leases import takes_interface
from cnitrail.model import (
    Attachment,
    Basis,
    CallOutcome,
    Effect,
    Event,
    History,
    Instance,
    Interface,
    Lease,
    Subject,
)
from cnitrail.model.callers import may_mark
from cnitrail.timeclamp import FIRST


class InterfaceStay(Struct, frozen=True):
    """An ENI on a node, and everything that it ever held."""

    interface: Interface
    attachment: Attachment
    leases: tuple[Lease, ...]


class InterfaceCall(Struct, frozen=True):
    """What one call did, or tried to do, to one ENI of a node."""

    event: Event
    subject: Subject
    eni: str | None


class Node(Struct, frozen=True, kw_only=True):
    """An instance, with the stays of ENIs on it and the calls about it, both in time order."""

    instance: Instance
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
    """Yield the instances with ENIs that a filter keeps: by first event, then by ID."""
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
    found = [
        node
        for name, of_node in stays.items()
        if _takes(wanted, node := _node(history, history.instances[name], of_node, calls[name]))
    ]
    return iter(sorted(found, key=lambda node: (node.since, node.instance.instance)))


def _node(
    history: History, instance: Instance, stays: list[InterfaceStay], calls: list[InterfaceCall]
) -> Node:
    starts = [stay.attachment.start.time for stay in stays if stay.attachment.start.time is not None]
    signs = [*starts, *(call.event.time for call in calls[:1])]
    first = min(signs, default=FIRST)
    stays.sort(key=lambda stay: (stay.attachment.start.time or first, stay.interface.eni))
    clusters = {
        name
        for stay in stays
        for time in (*_tagging(instance, stay), None)
        for name in history.cluster_of(stay.interface.eni, instance.instance, time).names
    }
    since = instance.launched.time or first
    return Node(
        instance=instance,
        stays=tuple(stays),
        calls=tuple(calls),
        since=since,
        clusters=tuple(sorted(clusters)),
    )


def _tagging(instance: Instance, stay: InterfaceStay) -> Iterator[datetime]:
    """Yield the times at which tags were written that name a cluster."""
    return (tagged.since for tagged in (*instance.tagged, *stay.interface.tagged))


def _takes(wanted: Filter, node: Node) -> bool:
    return (
        wanted.takes_value("instance", node.instance.instance)
        and wanted.takes_value("cluster", *node.clusters)
        and any(takes_interface(wanted, stay.interface) for stay in node.stays)
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
    return calls


def _carrier(history: History, eni: str | None, subject: Subject, event: Event) -> str | None:
    """Return the instance that an ENI is on at a call, or was on last, or was created for."""
    interface = history.interfaces.get(eni or "")
    if interface is not None:
        mark = interface.mark_at(event.time)
        return _last(interface.attachments, event.time) or (mark[0] if mark is not None else None)
    mark = subject.mark if event.effect is Effect.CREATE else None
    return mark[0] if mark is not None and may_mark(history.actors[event.key], mark[0]) else None


def _last(attachments: Iterable[Attachment], time: datetime) -> str | None:
    begun = [
        attachment
        for attachment in attachments
        if attachment.start.time is None or attachment.start.time <= time
    ]
    return begun[-1].instance if begun else None
