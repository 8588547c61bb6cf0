"""Nodes and subnets as EC2 lists them now."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from cnitrail.history.kinds import cluster_tag_filters
from cnitrail.model import Listing
from cnitrail.model.checkup import Caller, Check, CheckCode, CheckStatus
from cnitrail.sources.probes import Probe
from cnitrail.workflows.doctor.call_check import call_check
from cnitrail.workflows.doctor.node_checks import unread_checks
from cnitrail.workflows.doctor.nodes import GONE, FoundNodes, NodeTarget, nodes_of
from cnitrail.workflows.live_state import described_resources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cnitrail.model.subnet import LiveSubnet
    from cnitrail.sources.probes import AwsProbes

_CNI_TAG: Final = "node.k8s.amazonaws.com/instance_id"
"""The tag with which the VPC CNI marks the ENIs that it creates for an instance."""

_FILTER_VALUES: Final = 200
"""Maximum number of values of a filter (EC2 API reference)."""


def ask_nodes(probes: AwsProbes, caller: Caller, target: NodeTarget) -> FoundNodes:
    """Return the nodes of a target as EC2 lists them now."""
    calls = [
        _described_by("describe_instances", "DescribeInstances", filters) for filters in _filters(target)
    ]
    listings, checks = _answers(probes, caller, calls, "which finds the node", CheckCode.NODE)
    present, _, _ = described_resources(listings)
    chosen = [instance for instance in present.instances.values() if instance.state not in GONE]
    names = [instance.instance for instance in chosen] or list(present.instances)
    if not names:
        return FoundNodes(checks=tuple(checks), origin=None if checks else f"EC2 in {probes.region}")
    calls = [
        _described_by("describe_network_interfaces", "DescribeNetworkInterfaces", [(key, names[start:end])])
        for start in range(0, len(names), _FILTER_VALUES)
        for end in [start + _FILTER_VALUES]
        for key in ("attachment.instance-id", f"tag:{_CNI_TAG}")
    ]
    more, failed = _answers(probes, caller, calls, "which shows the ENIs of the node", CheckCode.ENI)
    present, _, skipped = described_resources([*listings, *more])
    return FoundNodes(
        nodes=tuple(nodes_of(present, names)),
        checks=(*checks, *failed, *unread_checks(skipped)),
        origin=f"EC2 in {probes.region}",
    )


def ask_subnets(
    probes: AwsProbes, caller: Caller, subnets: Sequence[str]
) -> tuple[Mapping[str, LiveSubnet], tuple[Check, ...]]:
    """Return subnets as EC2 describes them now, and what could not be asked."""
    calls = [
        _described_by(
            "describe_subnets", "DescribeSubnets", [("subnet-id", subnets[start : start + _FILTER_VALUES])]
        )
        for start in range(0, len(subnets), _FILTER_VALUES)
    ]
    listings, checks = _answers(
        probes, caller, calls, "which shows the free IPs of a subnet", CheckCode.SUBNET
    )
    return described_resources(listings)[1], tuple(checks)


def _filters(target: NodeTarget) -> list[list[tuple[str, Sequence[str]]]]:
    """Return the filters of DescribeInstances that find a target: one call for each."""
    if isinstance(target.node, IPv4Address):
        return [[("private-ip-address", (str(target.node),))]]
    if target.node is not None:
        return [[("instance-id", (target.node,))]]
    if target.cluster is None:
        return []
    return [[(name, (value,))] for name, value in cluster_tag_filters(target.cluster)]


def _described_by(operation: str, action: str, filters: Iterable[tuple[str, Sequence[str]]]) -> Probe:
    parameters = {"Filters": [{"Name": name, "Values": list(values)} for name, values in filters]}
    return Probe(
        service="ec2",
        operation=operation,
        action=f"ec2:{action}",
        parameters=parameters,
        all_pages=True,
    )


def _answers(
    probes: AwsProbes, caller: Caller, calls: list[Probe], purpose: str, code: CheckCode
) -> tuple[list[Listing], list[Check]]:
    """Return the answers of calls as listings, and a check for each kind of call that failed."""
    listings: list[Listing] = []
    checks: dict[str, Check] = {}
    for call, answer in zip(calls, probes.ask(calls), strict=True):
        if answer.json is None:
            checks.setdefault(call.action, call_check(code, call.action, answer, caller, purpose))
            continue
        listings.append(Listing(f"ec2:{probes.region}", caller.account, probes.region, answer.json))
        if answer.is_partial:
            checks.setdefault(call.action, _partial(code, call))
    return listings, list(checks.values())


def _partial(code: CheckCode, call: Probe) -> Check:
    text = f"{call.action}: only the first pages of a very long answer were read"
    return Check(code=code, status=CheckStatus.WARNING, text=text, action=call.action)
