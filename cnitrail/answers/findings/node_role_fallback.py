"""Nodes that call with the node role although the CNI has its own role (IRSA, EKS Pod Identity)."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from cnitrail.answers.findings.commands import AWS_NODE_PODS, AWS_NODE_SERVICE_ACCOUNT
from cnitrail.answers.findings.context import FindingContext, ResourceCall, RuleMatch, grouped, is_foreign
from cnitrail.model import AccountRegion, ActorKind, Effect, Severity
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import clock, counted, short_list

_OWN_ROLE = {ActorKind.IRSA: "IRSA", ActorKind.POD_IDENTITY: "EKS Pod Identity"}
_ROLLOUT = timedelta(hours=1)
"""Time that a cluster may take to restart aws-node everywhere with its new role."""

_ADVICE = (
    "The IRSA annotation or the Pod Identity association was added after aws-node started, or it is broken. "
    "Restart aws-node on these nodes, then detach AmazonEKS_CNI_Policy from the node role, which every pod "
    "on the host network can use."
)
_OTHER_PROCESS = "Any other process that uses the instance profile would look identical."


def node_role_beside_irsa(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield nodes that used the node role for addresses after the CNI there had its own role.

    There is no finding for a node that uses the CNI's role later on: it only started before.
    """
    with_own_role = [
        call for call in case.calls if call.entry.actor.kind in _OWN_ROLE and call.entry.actor.ipamd
    ]
    on_node = _first_calls(with_own_role, lambda call: call.entry.instance)
    in_cluster = _first_calls(with_own_role, _cluster)
    found: list[tuple[ResourceCall, ResourceCall]] = []
    for call in filter(_is_with_node_role, case.calls):
        node, cluster = call.entry.actor.instance or "", _cluster(call) or ""
        first = on_node.get((call.place, node)) or in_cluster.get((call.place, cluster))
        if first is not None and first.time < call.time:
            found.append((call, first))
    for pairs in grouped(found, lambda pair: pair[1].event.key).values():
        yield _match(case, [call for call, _ in pairs], pairs[0][1])


def _match(case: FindingContext, calls: list[ResourceCall], first: ResourceCall) -> RuleMatch:
    """Return the calls with the node role, and ``first``, the first one with the CNI's own role."""
    nodes = {call.entry.actor.instance or "" for call in calls}
    is_late = calls[-1].time - first.time >= _ROLLOUT or any(_is_younger(case, node, first) for node in nodes)
    own = first.entry.actor
    cluster = f" of cluster {_cluster(calls[0])}" if _cluster(calls[0]) else ""
    node_roles = short_list(call.entry.actor.role or "" for call in calls)
    return RuleMatch(
        severity=Severity.MEDIUM if is_late else Severity.LOW,
        sentence=f"{short_list(nodes)}{cluster} made {counted(len(calls), 'call')} with the node role "
        f"{node_roles}, although the VPC CNI there has used {own.role or own.label} "
        f"({_OWN_ROLE[own.kind]}) since {clock(first.time)} or earlier.",
        advice=_ADVICE,
        commands=(AWS_NODE_SERVICE_ACCOUNT, AWS_NODE_PODS),
        calls=calls,
        doubts=(Reason(ReasonCode.OTHER_PROCESS, _OTHER_PROCESS),),
    )


def _first_calls(
    calls: Iterable[ResourceCall], key: Callable[[ResourceCall], str | None]
) -> dict[tuple[AccountRegion, str], ResourceCall]:
    """Return the first call of each place and key."""
    firsts: dict[tuple[AccountRegion, str], ResourceCall] = {}
    for call in calls:
        name = key(call)
        if name is not None:
            firsts.setdefault((call.place, name), call)
    return firsts


def _cluster(call: ResourceCall) -> str | None:
    return call.entry.actor.cluster or call.entry.cluster


def _is_with_node_role(call: ResourceCall) -> bool:
    """Return whether a node assigned or released addresses with the node role, as the CNI does."""
    is_node = call.entry.actor.kind is ActorKind.INSTANCE_ROLE
    return is_node and call.did(Effect.ASSIGN, Effect.UNASSIGN, Effect.CREATE) and not is_foreign(call)


def _is_younger(case: FindingContext, node: str, first: ResourceCall) -> bool:
    """Return whether a node was launched after the CNI's role was in use."""
    instance = case.history.instances.get(node)
    return instance is not None and instance.launched.time is not None and instance.launched.time > first.time
