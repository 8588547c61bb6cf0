"""From a node or a cluster to its instances and ENIs: in listings of EC2, or as CloudTrail shows them."""

from __future__ import annotations

from collections import defaultdict
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cnitrail.history.kinds import clusters_of_tags
from cnitrail.model import HoldingKind
from cnitrail.text import clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from cnitrail.model import Instance, LiveInterface, Present, StateEntry
    from cnitrail.model.checkup import Check
    from cnitrail.model.subnet import LiveSubnet

GONE: Final = frozenset({"terminated", "shutting-down"})
"""The states of instances that are gone for good."""

_IPV4: Final = frozenset({HoldingKind.PRIMARY, HoldingKind.SECONDARY, HoldingKind.PREFIX})
"""What takes a slot of an ENI: a prefix counts as one address."""


class NodeTarget(Struct, frozen=True, kw_only=True):
    """What ``--node`` and ``--cluster`` named; ``node`` is an instance, or its primary address."""

    name: str | None = None
    node: str | IPv4Address | None = None
    cluster: str | None = None

    @property
    def text(self) -> str:
        """Return what was named, in words."""
        if self.node is not None and self.cluster is not None:
            return f"node {self.name} or cluster {self.cluster}"
        return f"node {self.name}" if self.node is not None else f"cluster {self.cluster}"

    @property
    def is_named(self) -> bool:
        """Return whether a node or a cluster was named at all."""
        return self.node is not None or self.cluster is not None


class NodeEni(Struct, frozen=True, kw_only=True):
    """An ENI of a node: ``slots`` is how many IPv4 addresses and prefixes it has."""

    eni: str
    device_index: int | None
    subnet: str | None
    slots: int
    status: str | None
    attached: datetime | None


class DoctorNode(Struct, frozen=True, kw_only=True):
    """An instance with its ENIs. ``at`` is None for the state that EC2 lists now.

    ``unattached`` are ENIs that were created for it and are attached to nothing.
    """

    instance: str
    instance_type: str | None
    state: str | None
    enis: tuple[NodeEni, ...]
    unattached: tuple[NodeEni, ...] = ()
    at: datetime | None = None


class FoundNodes(Struct, frozen=True, kw_only=True):
    """The nodes that a target means, with the subnets that EC2 describes.

    ``checks`` say what could not be asked. ``origin`` is where the nodes come from, None if nothing could
    be asked.
    """

    nodes: tuple[DoctorNode, ...] = ()
    subnets: Mapping[str, LiveSubnet] = {}
    checks: tuple[Check, ...] = ()
    origin: str | None = None


def saved_nodes(present: Present, subnets: Mapping[str, LiveSubnet], target: NodeTarget) -> FoundNodes:
    """Return the nodes of a target in saved listings; all of their instances if it names none.

    Listings of nothing but subnets do not say what nodes there are.
    """
    names = [name for name in present.instances if _is_meant(present, name, target)]
    of_enis = {eni.instance for eni in present.interfaces.values() if eni.instance is not None}
    names += sorted(name for name in of_enis - present.instances.keys() if _is_meant(present, name, target))
    lists_nodes = bool(present.instances or present.interfaces or not subnets)
    return FoundNodes(
        nodes=tuple(nodes_of(present, names)),
        subnets=subnets,
        origin="the saved listing" if lists_nodes else None,
    )


def _is_meant(present: Present, name: str, target: NodeTarget) -> bool:
    """Return whether an instance of a listing is the node, or of the cluster, that was named."""
    enis = [eni for eni in present.interfaces.values() if eni.instance == name]
    if isinstance(target.node, IPv4Address):
        return any(
            eni.device_index in {0, None} and holding.kind is HoldingKind.PRIMARY
            for eni in enis
            for holding in eni.addresses
            if holding.held == target.node
        )
    if target.node is not None:
        return name == target.node
    if target.cluster is None:
        return True
    instance = present.instances.get(name)
    own, _ = clusters_of_tags(dict(instance.tags)) if instance is not None else ((), False)
    return target.cluster in {*own, *(eni.cluster for eni in enis)}


def nodes_of(present: Present, names: Iterable[str]) -> Iterator[DoctorNode]:
    """Yield instances of listings as nodes."""
    enis: dict[str, list[LiveInterface]] = defaultdict(list)
    created_for: dict[str, list[LiveInterface]] = defaultdict(list)
    for eni in present.interfaces.values():
        if eni.instance is not None:
            enis[eni.instance].append(eni)
        elif eni.mark is not None and eni.instance_known:
            created_for[eni.mark.instance].append(eni)
    for name in names:
        instance = present.instances.get(name)
        yield DoctorNode(
            instance=name,
            instance_type=instance.instance_type if instance else None,
            state=instance.state if instance else None,
            enis=_sorted(map(_live_eni, enis[name])),
            unattached=_sorted(map(_live_eni, created_for[name])),
        )


def _live_eni(eni: LiveInterface) -> NodeEni:
    return NodeEni(
        eni=eni.eni,
        device_index=eni.device_index,
        subnet=eni.subnet,
        slots=sum(holding.kind in _IPV4 for holding in eni.addresses),
        status=eni.attachment_status,
        attached=eni.attached,
    )


def evidence_nodes(
    entries: Iterable[StateEntry],
    left: Mapping[str, Sequence[StateEntry]],
    instances: Mapping[str, Instance | None],
    at: datetime,
) -> FoundNodes:
    """Return instances as CloudTrail shows them at a time.

    ``entries`` are the ENIs of that time, ``left`` those that outlived their instance, by that instance.
    """
    enis: dict[str, list[StateEntry]] = defaultdict(list)
    for entry in entries:
        if entry.instance is not None:
            enis[entry.instance].append(entry)
    nodes = [
        DoctorNode(
            instance=name,
            instance_type=instance.instance_type if instance is not None else None,
            state="terminated" if instance is not None and instance.has_ended(at) else None,
            enis=_sorted(_rebuilt_eni(entry) for entry in enis[name] if entry.attached is not False),
            unattached=_sorted(
                _rebuilt_eni(entry) for entry in (*enis[name], *left.get(name, ())) if entry.attached is False
            ),
            at=at,
        )
        for name, instance in instances.items()
    ]
    return FoundNodes(nodes=tuple(nodes), origin=f"CloudTrail at {clock(at)}")


def _rebuilt_eni(entry: StateEntry) -> NodeEni:
    return NodeEni(
        eni=entry.eni,
        device_index=entry.device_index,
        subnet=entry.subnet,
        slots=sum(held.kind in _IPV4 for held in entry.addresses),
        status=None,
        attached=entry.attached_since,
    )


def _sorted(enis: Iterable[NodeEni]) -> tuple[NodeEni, ...]:
    return tuple(
        sorted(enis, key=lambda eni: (eni.device_index if eni.device_index is not None else 999, eni.eni))
    )
