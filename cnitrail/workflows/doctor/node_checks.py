"""The ENIs and addresses of nodes against the limits of their instance types."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from cnitrail.limits import limits_of
from cnitrail.model.checkup import Check, CheckCause, CheckCode, CheckStatus
from cnitrail.text import clock, counted, duration, short_list
from cnitrail.workflows.doctor.nodes import GONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from cnitrail.model import Limits, Skipped
    from cnitrail.workflows.doctor.nodes import DoctorNode, FoundNodes, NodeEni, NodeTarget

_STUCK: Final = timedelta(minutes=5)
"""An attachment takes seconds. After minutes the operating system or EC2 hangs."""

_FARGATE: Final = "fargate-"
"""How the name of a Fargate node begins."""

_MAX_NODES: Final = 20
"""Nodes with a problem that have a row of their own."""


def node_checks(target: NodeTarget, found: FoundNodes, now: datetime) -> Iterator[Check]:
    """Yield how the nodes of a target are: their ENIs and addresses against their limits."""
    if not found.nodes:
        if found.origin is not None:
            yield _not_found(target, found.origin)
    elif len(found.nodes) == 1:
        yield _node_check(found.nodes[0])
        yield from _eni_checks(found.nodes[0], now, every=True)
    else:
        yield from _several_checks(target, found)
        for node in found.nodes:
            yield from _eni_checks(node, now, every=False)


def unread_checks(skipped: Iterable[Skipped]) -> tuple[Check, ...]:
    """Return what could not be read of listings: nodes and addresses may be missing."""
    return tuple(
        Check(
            code=CheckCode.NODE,
            status=CheckStatus.FAILED,
            text=f"Not read in {part.source}: {part.reason}",
            cause=CheckCause.NO_ANSWER,
        )
        for part in skipped
    )


def _several_checks(target: NodeTarget, found: FoundNodes) -> Iterator[Check]:
    """Yield how many of several nodes have free slots, and a row for each that has none."""
    if isinstance(target.node, IPv4Address):
        names = short_list(node.instance for node in found.nodes)
        yield Check(
            code=CheckCode.NODE,
            status=CheckStatus.WARNING,
            text=f"{len(found.nodes)} instances have the address {target.node}, in different VPCs: {names}",
            hint="name the node by its instance ID (--node i-…)",
        )
    checks = [_node_check(node) for node in found.nodes]
    problems = [check for check in checks if check.status is not CheckStatus.OK]
    with_room = len(checks) - len(problems)
    yield Check(
        code=CheckCode.NODE,
        status=CheckStatus.OK,
        text=f"{target.text if target.is_named else found.origin} has {counted(len(checks), 'instance')}; "
        f"{with_room} of them with free slots for IPs",
    )
    yield from problems[:_MAX_NODES]
    if len(problems) > _MAX_NODES:
        text = f"{len(problems) - _MAX_NODES} more instances have no free slot or are not running"
        yield Check(code=CheckCode.NODE, status=CheckStatus.WARNING, text=text)


def _not_found(target: NodeTarget, origin: str) -> Check:
    """Return that nothing is known of a target."""
    from shlex import quote

    if not target.is_named:
        return Check(
            code=CheckCode.NODE,
            status=CheckStatus.SKIPPED,
            text=f"No instance in {origin}",
            hint="save aws ec2 describe-instances --output json of the node's Region for --live",
        )
    if target.name is not None and target.name.startswith(_FARGATE):
        return _fargate(target)
    by = "tags of EC2 instances" if target.node is None else "instance ID or primary address"
    hints = {
        "EC2": "check the name, the Region (--region) and the account (--profile)",
        "the saved": "check the name, and which account and Region the files are of",
        "CloudTrail": "check the name; the node may be older than the evidence",
    }
    hint = next(hint for start, hint in hints.items() if origin.startswith(start))
    return Check(
        code=CheckCode.NODE,
        status=CheckStatus.FAILED,
        text=f"No instance of {target.text} in {origin} (by {by})",
        hint=hint,
        commands=(f"cnitrail explain {quote(target.name or target.cluster or '')}",),
        resource=target.name or target.cluster,
    )


def _fargate(target: NodeTarget) -> Check:
    """Return that a node of Fargate has no instance to check."""
    return Check(
        code=CheckCode.NODE,
        status=CheckStatus.SKIPPED,
        text=f"{target.name} is a Fargate node: no EC2 instance; the VPC CNI did not assign its IP",
        hint="see which ENI has its IP",
        commands=(f"cnitrail explain {target.node}",),
        resource=target.name,
        cause=CheckCause.NOT_ASKED,
    )


def _node_check(node: DoctorNode) -> Check:
    """Return how many ENIs and addresses a node has, against the limits of its instance type."""
    limits = limits_of(node.instance_type) if node.instance_type else None
    kind = f" ({node.instance_type})" if node.instance_type else ""
    when = f" at {clock(node.at)}" if node.at else ""
    if node.state is not None and node.state != "running":
        return Check(
            code=CheckCode.NODE,
            status=CheckStatus.FAILED if node.state in GONE else CheckStatus.WARNING,
            text=f"{node.instance}{kind} is {node.state}",
            hint="look at its last events",
            commands=(f"cnitrail timeline --instance {node.instance} --since 2h",),
            resource=node.instance,
        )
    used = sum(eni.slots for eni in node.enis)
    if limits is None:
        why = f"the limits of {node.instance_type} are unknown" if kind else "its type is unknown"
        text = (
            f"{node.instance}{kind} has {counted(len(node.enis), 'ENI')} with {used} IPv4 slots used{when}; "
            f"{why}"
        )
        return Check(code=CheckCode.NODE, status=CheckStatus.OK, text=text, resource=node.instance)
    free = _free_slots(node, limits)
    more = max(limits.enis - len(node.enis), 0) if limits.cards == 1 else 0
    text = (
        f"{node.instance}{kind} has {len(node.enis)} of {counted(limits.enis, 'ENI')} and {used} of "
        f"{limits.addresses} IPv4 slots{when}; {free} free on its ENIs, {more * limits.secondary_per_eni} "
        "on ENIs it may still get"
    )
    if free or more or limits.cards > 1:
        return Check(code=CheckCode.NODE, status=CheckStatus.OK, text=text, resource=node.instance)
    return Check(
        code=CheckCode.NODE,
        status=CheckStatus.WARNING,
        text=f"{node.instance}{kind} is full{when}: {len(node.enis)} of {counted(limits.enis, 'ENI')}, "
        f"{used} of {limits.addresses} IPv4 slots",
        hint="use fewer pods per node, a larger instance type, or prefix delegation",
        commands=(f"cnitrail pool --instance {node.instance} --since 2h",),
        resource=node.instance,
    )


def _free_slots(node: DoctorNode, limits: Limits) -> int:
    return sum(max(limits.ipv4_per_eni - eni.slots, 0) for eni in node.enis)


def _eni_checks(node: DoctorNode, now: datetime, *, every: bool) -> Iterator[Check]:
    """Yield the ENIs of a node: ``every`` one, or only those that are stuck or attached to nothing."""
    limits = limits_of(node.instance_type) if node.instance_type else None
    for eni in node.enis:
        if eni.status in {"attaching", "detaching"}:
            yield _moving(eni, node.instance, now)
        elif every:
            most = f" of {limits.ipv4_per_eni}" if limits else ""
            device = f"device {eni.device_index}" if eni.device_index is not None else "device unknown"
            yield Check(
                code=CheckCode.ENI,
                status=CheckStatus.OK,
                text=f"{eni.eni} ({device}, {eni.subnet or 'subnet unknown'}): "
                f"{eni.slots}{most} IPv4 slots used",
                resource=eni.eni,
            )
    for eni in node.unattached:
        yield Check(
            code=CheckCode.ENI,
            status=CheckStatus.WARNING,
            text=f"{eni.eni} was created for {node.instance} and is attached to nothing: "
            f"it holds {counted(eni.slots, 'IP')} of {eni.subnet or 'its subnet'}",
            hint="run this again in a minute; then find out why it was not attached or deleted",
            commands=(f"cnitrail timeline --eni {eni.eni} --since 1d",),
            resource=eni.eni,
        )


def _moving(eni: NodeEni, instance: str, now: datetime) -> Check:
    """Return the check of an ENI that is attaching or detaching.

    AttachTime is when attaching began; EC2 does not say when detaching did.
    """
    age = now - eni.attached if eni.status == "attaching" and eni.attached is not None else None
    is_stuck = age is not None and age > _STUCK
    since = f" for {duration(age)}" if age is not None else ""
    return Check(
        code=CheckCode.ENI,
        status=CheckStatus.FAILED if is_stuck else CheckStatus.WARNING,
        text=f"{eni.eni} is {'stuck ' if is_stuck else ''}{eni.status} on {instance}{since}",
        hint="check the node's kernel log and its instance status"
        if is_stuck
        else f"run this again in a minute: if it is still {eni.status}, it is stuck",
        commands=(f"aws ec2 describe-network-interfaces --network-interface-ids {eni.eni}",),
        resource=eni.eni,
    )
