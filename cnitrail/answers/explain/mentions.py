"""Whether the evidence mentions a target, and what it has instead."""

from collections.abc import Iterable

from cnitrail.answers.absent import mentions_of, named_clusters
from cnitrail.answers.explain.known import Known
from cnitrail.answers.explain.pod_sentences import has_pods
from cnitrail.answers.explain.target import KINDS, Target
from cnitrail.errors import CnitrailError
from cnitrail.model import order_of
from cnitrail.model.explanation import TargetKind
from cnitrail.text import account_and_region

_LISTED = 5
"""Names that the message lists."""

_NOUNS = {
    TargetKind.ADDRESS: "addresses",
    TargetKind.NODE: "instances",
    TargetKind.INSTANCE: "instances",
    TargetKind.ENI: "ENIs",
    TargetKind.SUBNET: "subnets",
    TargetKind.CLUSTER: "clusters",
    TargetKind.POD: "pods with addresses",
}


class NotMentioned(CnitrailError):
    """Raised if no event in the evidence mentions what is to be explained."""


def not_mentioned(known: Known, target: Target) -> NotMentioned:
    """Return the error that no event mentions a target, with what the evidence has of its kind."""
    names = _names(known, target.kind)
    instead = f"{_NOUNS[target.kind]} in this evidence: {_first(names)}" if names else "the evidence has none"
    if target.kind is TargetKind.CLUSTER and not target.is_id:
        pods = [pod for pod in _names(known, TargetKind.POD) if pod.rpartition("/")[2] == target.name]
        hint = f"did you mean pod {_first(pods)}?" if pods else f"explain takes {KINDS}"
        return NotMentioned(f"no event mentions a cluster named {target.name!r}; {instead}", hint)
    if target.kind is TargetKind.POD:
        sources = "an EKS audit log, ipamd.log or an eks-log-collector archive"
        hint = "check the namespace and the name" if names else f"pods come from pod evidence: add {sources}"
        return NotMentioned(f"no pod evidence shows an address of pod {target.name}; {instead}", hint)
    hint = "check the account, the Region and the time range (--region, --since)"
    if target.kind is TargetKind.NODE:
        message = f"no event mentions a node with address {target.name}"
    elif target.account is not None:
        place = account_and_region(target.account, target.region)
        message = f"no event mentions {target.name} of account {place}"
    else:
        message = f"no event mentions {target.name}"
    return NotMentioned(f"{message}; {instead}", hint)


def _names(known: Known, kind: TargetKind) -> list[str]:
    history = known.history
    match kind:
        case TargetKind.ADDRESS:
            return [str(held) for held in sorted(history.holders, key=order_of)]
        case TargetKind.ENI:
            return sorted(history.interfaces)
        case TargetKind.SUBNET:
            seen = {interface.subnet for interface in history.interfaces.values()} | history.subnets.keys()
            return sorted(name for name in seen if name is not None)
        case TargetKind.CLUSTER:
            return sorted(named_clusters(known.history))
        case TargetKind.POD:
            return sorted({str(lease.pod) for lease in history.pods.leases if lease.pod is not None})
    return sorted(history.instances)


def _first(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _LISTED:,} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more


def mentions(known: Known, target: Target) -> bool:
    """Return whether any event mentions a target, even one that failed, or pod evidence an instance."""
    history, name = known.history, target.name
    match target.kind:
        case TargetKind.ENI:
            return name in history.interfaces or any(
                subject.eni == name for event in history.events for subject in event.subjects
            )
        case TargetKind.SUBNET:
            return known.subnets.knows(name) or any(
                subject.subnet == name for event in history.events for subject in event.subjects
            )
        case TargetKind.CLUSTER:
            return name in named_clusters(known.history)
    return name in history.instances or has_pods(known, name) or name in mentions_of(history).instance
