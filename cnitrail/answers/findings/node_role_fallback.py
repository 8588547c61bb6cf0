"""Nodes that call with the node role although the CNI has its own role (IRSA, EKS Pod Identity)."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from cnitrail.answers.error_meanings import DENIED
from cnitrail.answers.findings.calls import ResourceCall, grouped, is_foreign
from cnitrail.answers.findings.commands import AWS_NODE_PODS, AWS_NODE_SERVICE_ACCOUNT
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.model import OWN_INTERFACE_EFFECTS, AccountRegion, ActorKind, Effect, Severity
from cnitrail.model.callers import CNI_ACCOUNT
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import clock, counted, short_list

_OWN_ROLE = {ActorKind.IRSA: "IRSA", ActorKind.POD_IDENTITY: "EKS Pod Identity"}
_MANY = 3
"""Refused calls from which on a node gets no addresses: the AWS SDKs make three attempts at a call."""

_ROLLOUT = timedelta(hours=1)
"""Time that a cluster may take to restart aws-node everywhere with its new role."""

_ADVICE = (
    "The IRSA annotation or the Pod Identity association was added after aws-node started, or it is broken. "
    "Restart aws-node on these nodes, then detach AmazonEKS_CNI_Policy from the node role, which every pod "
    "on the host network can use."
)
_REFUSED_ADVICE = (
    "Restart aws-node on these nodes (kubectl -n kube-system rollout restart daemonset aws-node): it still "
    "uses the node role, because it started before the service account had a role of its own, or because "
    "that role is not set up completely. Do not give the node role AmazonEKS_CNI_Policy again, except to get "
    "IPs at once."
)
_BROKEN_ADVICE = (
    "Repair the sign-in of aws-node first (the finding irsa-sign-in-failing says how), then restart aws-node "
    "on these nodes (kubectl -n kube-system rollout restart daemonset aws-node). To get IPs at once, give "
    "the node role AmazonEKS_CNI_Policy, and take it away again when the sign-ins succeed."
)
_OTHER_PROCESS = "Any other process that uses the instance profile would look identical."
_CNI_EFFECTS = (
    *OWN_INTERFACE_EFFECTS,
    Effect.ATTACH,
    Effect.MODIFY,
    Effect.DETACH,
    Effect.DELETE,
)


def node_role_beside_irsa(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield nodes that used the node role for addresses after the CNI there had its own role.

    There is no finding for a node that uses the CNI's role later on: it only started before.
    """
    pairs = case.failed_calls.with_node_role
    if not pairs:
        return
    sign_ins = case.failed_calls.by_rule.get("irsa-sign-in-failing", ())
    failed = grouped(filter(_is_failed_sign_in, sign_ins), lambda call: call.cluster)
    for same in grouped(pairs, _by_cluster_and_role).values():
        first = min((own for _, own in same), key=lambda call: call.time)
        yield _match(case, [call for call, _ in same], first, failed.get(same[0][0].cluster, []))


def _by_cluster_and_role(pair: tuple[ResourceCall, ResourceCall]) -> tuple[object, ...]:
    """Return what nodes share that are one finding: their cluster if it is known, and the CNI's role."""
    call, own = pair
    return call.place, call.cluster or own.event.key, _role_of(own)


def calls_with_node_role(
    case: FindingContext, is_cni: Callable[[ResourceCall], bool]
) -> list[tuple[ResourceCall, ResourceCall]]:
    """Return the calls with a node role that the CNI made, or that policies refused it, and why not to.

    ``is_cni`` is whether a refused call looks like the CNI's. The second of each pair is the first call with
    the CNI's own role on that node or in its cluster, or the first sign-in to that role there, if it failed.
    """
    with_own_role = [
        call for call in case.calls if call.entry.actor.kind in _OWN_ROLE and call.entry.actor.ipamd
    ]
    on_node = _first_calls(with_own_role, lambda call: call.entry.instance)
    in_cluster = _first_calls(with_own_role, lambda call: call.cluster)
    signed_in = _first_calls(filter(_is_failed_sign_in, case.calls), lambda call: call.cluster)
    found: list[tuple[ResourceCall, ResourceCall]] = []
    if not (with_own_role or signed_in):
        return found
    for call in case.calls:
        if not _is_with_node_role(call, is_cni):
            continue
        node, cluster = call.entry.actor.instance or "", call.cluster or ""
        known = (on_node.get((call.place, node)), in_cluster.get((call.place, cluster)))
        first = next((own for own in (*known, signed_in.get((call.place, cluster))) if own is not None), None)
        if first is not None and first.time < call.time:
            found.append((call, first))
    return found


def _match(
    case: FindingContext, calls: list[ResourceCall], first: ResourceCall, failed: list[ResourceCall]
) -> RuleMatch:
    """Return the calls with the node role.

    ``first`` is the first call with the CNI's own role; ``failed`` are the failed sign-ins in the cluster.
    """
    nodes = {call.entry.actor.instance or "" for call in calls}
    is_late = calls[-1].time - first.time >= _ROLLOUT or any(_is_younger(case, node, first) for node in nodes)
    cluster = f" of cluster {calls[0].cluster}" if calls[0].cluster else ""
    node_roles = short_list(call.entry.actor.role or "" for call in calls)
    refused = [call for call in calls if call.event.failure is not None]
    severity = Severity.MEDIUM if is_late else Severity.LOW
    gets_nothing = len(refused) >= _MANY and calls[-1] is refused[-1]
    return RuleMatch(
        severity=Severity.HIGH if gets_nothing else severity,
        sentence=f"{short_list(nodes)}{cluster} made {counted(len(calls), 'call')} with the node role "
        f"{node_roles}{_refusal(calls, refused)}, although {_own_role(first)}."
        f"{_failed_sign_ins(failed)}",
        advice=_BROKEN_ADVICE if failed else _REFUSED_ADVICE if refused else _ADVICE,
        commands=(AWS_NODE_SERVICE_ACCOUNT, AWS_NODE_PODS),
        calls=calls,
        doubts=(Reason(ReasonCode.OTHER_PROCESS, _OTHER_PROCESS),),
        ongoing=gets_nothing and case.goes_on(calls[0].place, calls[-1].time),
    )


def _refusal(calls: list[ResourceCall], refused: list[ResourceCall]) -> str:
    """Return how many of some calls were refused, after a comma; empty if none were."""
    if not refused:
        return ""
    share = f"{len(refused):,} of them" if len(refused) < len(calls) else "all"
    share = "which was" if len(calls) == 1 else share
    return f", {share} refused ({short_list(call.code or '' for call in refused)})"


def _own_role(first: ResourceCall) -> str:
    """Return since when the CNI of a cluster has its own role, as a clause."""
    uses = "been set up with" if first.event.effect is Effect.SIGN_IN else "used"
    kind = _OWN_ROLE[first.entry.actor.kind]
    return f"the VPC CNI there has {uses} {_role_of(first)} ({kind}) since {clock(first.time)} or earlier"


def _role_of(own: ResourceCall) -> str:
    """Return the name of the CNI's role; of a failed sign-in, the role that it asked for."""
    if own.event.effect is Effect.SIGN_IN:
        return (own.entry.resource or "a role of its own").rpartition("/")[2]
    return own.entry.actor.role or own.entry.actor.label


def _failed_sign_ins(failed: list[ResourceCall]) -> str:
    """Return that the CNI of a cluster cannot sign in, as a sentence after a space; empty if it can."""
    if not failed:
        return ""
    codes = short_list(call.code or "" for call in failed)
    return f" Its sign-ins to that role fail: {counted(len(failed), 'time')} ({codes})."


def _is_failed_sign_in(call: ResourceCall) -> bool:
    """Return whether the service account of the CNI failed to get credentials."""
    actor = call.entry.actor
    is_own = actor.service_account == CNI_ACCOUNT and actor.kind in _OWN_ROLE
    return is_own and call.event.effect is Effect.SIGN_IN


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


def _is_with_node_role(call: ResourceCall, is_cni: Callable[[ResourceCall], bool]) -> bool:
    """Return whether a node assigned or released addresses with the node role, as the CNI does, or tried to.

    Of the calls that failed, only those count that policies refused, and that look like the CNI's.
    """
    if call.entry.actor.kind is not ActorKind.INSTANCE_ROLE or is_foreign(call):
        return False
    if call.did(*OWN_INTERFACE_EFFECTS):
        return True
    return call.code in DENIED and call.event.effect in _CNI_EFFECTS and is_cni(call)


def _is_younger(case: FindingContext, node: str, first: ResourceCall) -> bool:
    """Return whether a node was launched after the CNI's role was in use."""
    instance = case.history.instances.get(node)
    return instance is not None and instance.launched.time is not None and instance.launched.time > first.time
