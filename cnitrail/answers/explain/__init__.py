"""Explanations: an address, ENI, instance, subnet, cluster or pod in a few sentences.

Each kind has a module, which takes the answers of ``who``, ``leases``, ``state``, ``pool``, ``subnet`` and
``findings`` from ``known`` and puts them into words: nothing is concluded here that they do not show.
"""

from datetime import datetime

from msgspec.structs import replace

from cnitrail.answers.absent import named_clusters
from cnitrail.answers.explain.address import explain_address
from cnitrail.answers.explain.cluster import explain_cluster
from cnitrail.answers.explain.eni import explain_eni
from cnitrail.answers.explain.instance import explain_instance, node_target
from cnitrail.answers.explain.known import Known, Rerun
from cnitrail.answers.explain.mentions import NotMentioned, not_mentioned
from cnitrail.answers.explain.pod import explain_pod
from cnitrail.answers.explain.subnet import explain_subnet
from cnitrail.answers.explain.target import Target, is_block, parse_target
from cnitrail.model.explanation import Explanation, TargetKind
from cnitrail.text import account_and_region

__all__ = ["Known", "NotMentioned", "Rerun", "Target", "explain", "is_block", "parse_target"]

_BY_KIND = {
    TargetKind.ADDRESS: explain_address,
    TargetKind.ENI: explain_eni,
    TargetKind.INSTANCE: explain_instance,
    TargetKind.SUBNET: explain_subnet,
    TargetKind.CLUSTER: explain_cluster,
    TargetKind.POD: explain_pod,
}


def explain(known: Known, target: Target, at: datetime | None) -> Explanation:
    """Return a target in sentences at a time (None: when its evidence ends). Raises ``NotMentioned``."""
    time = at.replace(microsecond=0) if at is not None else None
    target = _as_node(known, target)
    if target.kind is not TargetKind.NODE:
        return _in_place(known, _BY_KIND[target.kind](known, target, time))
    node = node_target(known, target, time)
    if node is not None:
        return _in_place(known, explain_instance(known, node, time))
    try:
        return explain_address(known, replace(target, kind=TargetKind.ADDRESS), time)
    except NotMentioned:
        raise not_mentioned(known, target) from None


def _as_node(known: Known, target: Target) -> Target:
    """Return a node that only pod evidence names as its instance; any other target as it is."""
    instances = known.history.pods.nodes.get(target.text.strip().lower(), ())
    if not instances or target.name in named_clusters(known.history):
        return target
    is_known = target.kind is TargetKind.NODE and node_target(known, target, None) is not None
    return target if is_known else replace(target, kind=TargetKind.INSTANCE, name=instances[-1])


def _in_place(known: Known, found: Explanation) -> Explanation:
    """Return an explanation. Raises ``NotMentioned`` if it is of another account or Region than wanted."""
    for field, value in (("account", found.account), ("region", found.region)):
        if value is not None and not known.wanted.takes_value(field, value):
            place = account_and_region(found.account, found.region)
            wanted = ", ".join(getattr(known.wanted, field))
            raise NotMentioned(f"{found.name} is in {place}, not in {wanted}")
    return found
