"""Nodes that call with their own role although the CNI has one of its own (IRSA, EKS Pod Identity)."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from cnitrail.answers.coverage_text import clock
from cnitrail.answers.findings.context import Claim, FindingContext, ResourceCall, grouped, is_foreign
from cnitrail.answers.findings.words import counted, listed
from cnitrail.model import AccountRegion, ActorKind, Effect, Severity

_OWN_ROLE = (ActorKind.IRSA, ActorKind.POD_IDENTITY)
_ROLLOUT = timedelta(hours=1)
"""So long a cluster may take to start aws-node anew everywhere with its new role."""

_ADVICE = (
    "Look at aws-node on these nodes (kubectl -n kube-system describe pod): its service account's role ARN, "
    "or its Pod Identity association, came after it was started, or did not work. Start it anew; then take "
    "AmazonEKS_CNI_Policy from the node role, which every pod on the host network may use."
)


def node_role_beside_irsa(case: FindingContext) -> Iterator[Claim]:
    """A node used its own role for addresses after the CNI there had a role for it.

    A node that comes to use the new role later on was only started before it: that is no finding.
    """
    modern = [call for call in case.calls if call.entry.actor.kind in _OWN_ROLE and call.entry.actor.ipamd]
    on_node = _firsts(modern, lambda call: call.entry.instance)
    in_cluster = _firsts(modern, _cluster)
    found: list[tuple[ResourceCall, ResourceCall]] = []
    for call in filter(_is_with_node_role, case.calls):
        node, cluster = call.entry.actor.instance or "", _cluster(call) or ""
        begun = on_node.get((call.place, node)) or in_cluster.get((call.place, cluster))
        if begun is not None and begun.time < call.time:
            found.append((call, begun))
    for pairs in grouped(found, lambda pair: pair[1].event.key).values():
        calls, begun = [call for call, _ in pairs], pairs[0][1]
        nodes = {call.entry.actor.instance or "" for call in calls}
        late = calls[-1].time - begun.time >= _ROLLOUT or any(
            _is_younger(case, node, begun) for node in nodes
        )
        own = begun.entry.actor
        cluster = f" of cluster {_cluster(calls[0])}" if _cluster(calls[0]) else ""
        yield Claim(
            severity=Severity.MEDIUM if late else Severity.LOW,
            sentence=f"{listed(nodes)}{cluster} made {counted(len(calls), 'call')} with the node role "
            f"{listed(call.entry.actor.role or '' for call in calls)}, though the VPC CNI there has "
            f"{own.role or own.label} ({own.kind.value}) since {clock(begun.time)} at the latest.",
            advice=_ADVICE,
            calls=calls,
            doubts=("Another program with access to the node's credentials would look the same.",),
        )


def _firsts(
    calls: Iterable[ResourceCall], key: Callable[[ResourceCall], str | None]
) -> dict[tuple[AccountRegion, str], ResourceCall]:
    """The first call of each place and key."""
    firsts: dict[tuple[AccountRegion, str], ResourceCall] = {}
    for call in calls:
        name = key(call)
        if name is not None:
            firsts.setdefault((call.place, name), call)
    return firsts


def _cluster(call: ResourceCall) -> str | None:
    return call.entry.actor.cluster or call.entry.cluster


def _is_with_node_role(call: ResourceCall) -> bool:
    """Whether a node moved addresses with its own role, as the CNI does."""
    own = call.entry.actor.kind is ActorKind.INSTANCE_ROLE
    return own and call.did(Effect.ASSIGN, Effect.UNASSIGN, Effect.CREATE) and not is_foreign(call)


def _is_younger(case: FindingContext, node: str, begun: ResourceCall) -> bool:
    """Whether a node was launched after the role was in use, so that it never knew another way."""
    instance = case.history.instances.get(node)
    return instance is not None and instance.launched.time is not None and instance.launched.time > begun.time
