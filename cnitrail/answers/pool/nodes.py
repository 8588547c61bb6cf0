"""The nodes of a history: the interfaces that were on each, and the calls that touched them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct

from cnitrail.answers.filters import Filter
from cnitrail.answers.leases import takes_interface
from cnitrail.model import Attachment, Basis, Event, History, Instance, Interface, Lease, Subject


class Stay(Struct, frozen=True):
    """An interface on a node, and what it held in its whole life."""

    interface: Interface
    attachment: Attachment
    leases: tuple[Lease, ...]


class Call(Struct, frozen=True):
    """What one call did, or tried to do, to one interface of a node."""

    event: Event
    subject: Subject
    eni: str | None


class Node(Struct, frozen=True):
    """An instance, with the stays of interfaces on it and the calls about it, both in time."""

    instance: Instance
    stays: tuple[Stay, ...]
    calls: tuple[Call, ...]
    since: datetime

    @property
    def until(self) -> datetime | None:
        """When it was terminated, where the evidence tells."""
        return self.instance.ended.time

    @property
    def complete(self) -> bool:
        """Whether the evidence has it from its launch on."""
        return self.instance.launched.basis is Basis.OBSERVED

    @property
    def cluster(self) -> str | None:
        """The one cluster that its tags, or those of its interfaces, name."""
        named = {stay.interface.cluster for stay in self.stays} - {None}
        return self.instance.cluster or (named.pop() if len(named) == 1 else None)


def nodes(history: History, wanted: Filter) -> Iterator[Node]:
    """The instances with interfaces, as far as a filter keeps them: by their first sign, then by id."""
    leases: dict[str, list[Lease]] = defaultdict(list)
    for lease in history.leases:
        leases[lease.eni].append(lease)
    stays: dict[str, list[Stay]] = defaultdict(list)
    for interface in history.interfaces.values():
        held = tuple(leases[interface.eni])
        for attachment in interface.attachments:
            if attachment.instance is not None and interface.kind != "branch":
                stays[attachment.instance].append(Stay(interface, attachment, held))
    calls = _calls(history)
    found = [
        node
        for name, of_node in stays.items()
        if _takes(wanted, node := _node(history.instances[name], of_node, calls[name]))
    ]
    return iter(sorted(found, key=lambda node: (node.since, node.instance.instance)))


def _node(instance: Instance, stays: list[Stay], calls: list[Call]) -> Node:
    starts = [stay.attachment.start.time for stay in stays if stay.attachment.start.time is not None]
    signs = [*starts, *(call.event.time for call in calls[:1])]
    stays.sort(key=lambda stay: (stay.attachment.start.time or min(signs), stay.interface.eni))
    return Node(instance, tuple(stays), tuple(calls), instance.launched.time or min(signs))


def _takes(wanted: Filter, node: Node) -> bool:
    return (
        wanted.takes_value("instance", node.instance.instance)
        and wanted.takes_value("cluster", node.cluster)
        and any(takes_interface(wanted, stay.interface) for stay in node.stays)
    )


def _calls(history: History) -> dict[str, list[Call]]:
    """The calls about each instance and its interfaces, in the order of the history."""
    calls: dict[str, list[Call]] = defaultdict(list)
    for event in history.events:
        for subject in event.subjects:
            eni = subject.eni or history.attachments.get(subject.attachment or "")
            instance = subject.instance or _carrier(history.interfaces.get(eni or ""), subject, event)
            if instance is not None:
                calls[instance].append(Call(event, subject, eni))
    return calls


def _carrier(interface: Interface | None, subject: Subject, event: Event) -> str | None:
    """The instance that an interface is on at a call, or was on last, or was made for."""
    on = _last(interface.attachments, event.time) if interface is not None else None
    if on is not None:
        return on
    mark = subject.mark or (interface.mark_at(event.time) if interface is not None else None)
    return mark[0] if mark is not None else None


def _last(attachments: Iterable[Attachment], time: datetime) -> str | None:
    begun = [each for each in attachments if each.start.time is None or each.start.time <= time]
    return begun[-1].instance if begun else None
