"""Which instance a Kubernetes node is."""

from ipaddress import IPv4Address

from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.model import Held, History, HoldingKind
from cnitrail.parse import parse_node


def instances_of_node(history: History, node: str | IPv4Address) -> tuple[str, ...]:
    """Return the instances that a node's name may mean, as ``parse_node`` reads it, sorted.

    A name with an address means every instance whose primary address it was at some time: EC2 gives the
    address of a terminated node to another one. ``instances_of_name`` also asks the pod evidence.
    """
    if isinstance(node, str):
        return (node,) if node in history.instances else ()
    return tuple(
        sorted(
            {
                attachment.instance
                for group in history.holders.get(node, ())
                for lease in group
                if lease.kind is HoldingKind.PRIMARY
                for attachment in history.interfaces[lease.eni].attachments
                if attachment.device_index == 0 and attachment.instance is not None
            }
        )
    )


def primary_addresses(history: History) -> frozenset[Held]:
    """Return the addresses by which instances are named as nodes."""
    return frozenset(lease.held for lease in history.leases if lease.kind is HoldingKind.PRIMARY)


def with_nodes(history: History, wanted: Filter) -> Filter:
    """Return a filter with the instances of the nodes that it names.

    A name that means no instance of the history stays as it is, and selects nothing.
    """
    named = (name for node in wanted.node for name in _instances(history, node))
    return replace(wanted, node=tuple(dict.fromkeys(named))) if wanted.node else wanted


def _instances(history: History, node: str) -> tuple[str, ...]:
    """Return the instances of a node: an ID means itself, also if only a failed call names it."""
    return instances_of_name(history, node) or (node,)


def instances_of_name(history: History, node: str) -> tuple[str, ...]:
    """Return the instances of a node by its name: those that kubelets name, and those of its address."""
    try:
        meant = parse_node(node)
    except ValueError:
        return history.pods.nodes.get(node, ())
    if isinstance(meant, str):
        return (meant,)
    return tuple(sorted({*instances_of_node(history, meant), *history.pods.nodes.get(node, ())}))
