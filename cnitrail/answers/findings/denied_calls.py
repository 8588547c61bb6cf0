"""Calls of the network plugin that a policy refused: pods get no addresses until it allows them.

What a refusal says: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html. What
each plugin needs: AmazonEKS_CNI_Policy and docs/iam-policy.md of amazon-vpc-cni-k8s (IPv4 and IPv6), the
EKS user guide on cluster roles, and the requirements of Cilium's ENI mode.
"""

import re
from collections.abc import Iterator, Sequence

from cnitrail.answers.error_meanings import denied_action
from cnitrail.answers.findings.calls import ResourceCall
from cnitrail.answers.findings.commands import role_with_policies
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.model import ActorKind, Effect, Manager, Severity
from cnitrail.model.ec2 import DENIED_BY_ENDPOINT
from cnitrail.text import capitalized, clock, counted, short_list, time_range

_POLICY = re.compile(
    r"(?:because no|with an explicit deny in an?) (?P<kind>identity-based|service control|resource control"
    r"|resource-based|session|VPC endpoint)s? polic|(?P<boundary>permissions boundary)"
)
_GROWTH = (Effect.ASSIGN, Effect.CREATE, Effect.ATTACH, Effect.MODIFY)
"""What a plugin needs for a new ENI or address: the VPC CNI gives up an ENI that it cannot modify."""

_EXPLICIT = "explicit deny"
_LACKS = "because no identity-based policy allows"
_ENCODED = "Encoded authorization failure message"
_OF_IPV6 = ("AssignIpv6Addresses", "UnassignIpv6Addresses")

_WHAT_REFUSED = {
    "service control": "a service control policy of the organization",
    "resource control": "a resource control policy of the organization",
    "resource-based": "a resource-based policy",
    "permissions boundary": "the permissions boundary of the role",
    "session": "the session policy",
    "VPC endpoint": "the policy of the VPC endpoint",
}
"""What refuses calls besides the policies of the role itself, by the words of the message."""

_OWN_DENY = "an explicit deny in a policy of the role"
_SOME_DENY = "an explicit deny in a policy that EC2 does not name"
_OF_NODE_ROLE = (
    "Give aws-node a role of its own with the managed policy AmazonEKS_CNI_Policy (EKS Pod Identity or "
    "IRSA), or attach the policy to the node role. If aws-node has a role of its own already, these pods do "
    "not use it: repair that instead"
)
_MISSING_POLICY = {
    Manager.VPC_CNI: "Attach the managed policy AmazonEKS_CNI_Policy to the role",
    Manager.RESOURCE_CONTROLLER: "Attach the managed policy AmazonEKSVPCResourceController to the cluster "
    "role",
    Manager.CILIUM: "Add the action to the policy of cilium-operator's role (Cilium's documentation lists "
    "what its ENI mode needs)",
    Manager.AUTO_MODE: "Attach the managed policy AmazonEKSNetworkingPolicy to the cluster role",
    Manager.OPENSHIFT: "Give the cloud-network-config-controller the permissions of its CredentialsRequest",
}
_IPV6_POLICY = (
    "Attach the policy for IPv6 clusters to the role (customer managed, often AmazonEKS_CNI_IPv6_Policy; its "
    "text is in the EKS user guide): AmazonEKS_CNI_Policy covers IPv4 only"
)
_MAY_BE_DENIED = (
    "If the role has it, look for a deny: in a service control policy, a permissions boundary, or the policy "
    "of the VPC endpoint."
)
_OVER_ADVICE = (
    "The calls are allowed again, so there is nothing to do but to find out what changed in the policies, if "
    "nobody meant to change them."
)
_DECODE = "The message is encoded: aws sts decode-authorization-message shows which policy refused the call."


def cni_call_denied(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield network plugins whose calls policies refuse, with the action that is missing."""
    for calls in case.failed_calls.denied:
        yield _match(case, calls)


def _match(case: FindingContext, calls: Sequence[ResourceCall]) -> RuleMatch:
    first, last = calls[0], calls[-1]
    again = case.failed_calls.recovery(calls)
    refused_by = _refused_by(calls)
    actions = short_list(_action(call) for call in calls)
    roles = {call.entry.actor.role_arn for call in calls}
    role = first.entry.actor.role_arn if len(roles) == 1 else None
    denied, since = "may not call", f"since {clock(first.time)}"
    until = ""
    if again is not None:
        denied, since = "was not allowed to call", f"from {time_range(first.time, last.time)}"
        until = f" Such a call was first allowed again at {clock(again.time)}."
    were = "was" if len(calls) == 1 else "were"
    return RuleMatch(
        severity=_severity(calls, is_over=again is not None),
        sentence=f"{case.failed_calls.who(calls)} {denied} {actions}: "
        f"{counted(len(calls), 'call')}{case.failed_calls.for_nodes(calls)} {were} refused "
        f"({short_list(call.code or '' for call in calls)}) {since}."
        f"{_why(calls, refused_by, role)}{until}",
        advice=_OVER_ADVICE if again is not None else _advice(case, calls, refused_by),
        commands=role_with_policies(first.entry.actor.role_arn),
        calls=calls,
        nodes=case.failed_calls.nodes_of(calls),
        doubts=case.hole(first.place, first.time, last.time),
        ongoing=again is None and case.goes_on(first.place, last.time),
    )


def _severity(calls: Sequence[ResourceCall], *, is_over: bool) -> Severity:
    """Return high if pods get no addresses; medium if addresses are only not released, or it is over."""
    if any(call.event.effect in _GROWTH and call.event.name != "CreateTags" for call in calls):
        return Severity.MEDIUM if is_over else Severity.HIGH
    return Severity.LOW if is_over else Severity.MEDIUM


def _why(calls: Sequence[ResourceCall], refused_by: str | None, role: str | None) -> str:
    """Return what refused calls, and the role, as a sentence after a space; empty if neither is known."""
    if refused_by is not None:
        return f" {capitalized(refused_by)} denies it{f' to {role}' if role else ''}."
    if role is None:
        return ""
    lacks = any(_LACKS in call.message for call in calls)
    return f" No policy of {role} allows it." if lacks else f" The role is {role}."


def _action(call: ResourceCall) -> str:
    """Return the action that is missing: a call may need several, so its message counts first."""
    failure = call.event.failure
    named = denied_action(failure) if failure is not None else None
    return named or f"ec2:{call.event.name}"


def _refused_by(calls: Sequence[ResourceCall]) -> str | None:
    """Return what refused calls, if it is more than a policy that the role lacks, and the messages say so."""
    for call in calls:
        if call.code == DENIED_BY_ENDPOINT:
            return _WHAT_REFUSED["VPC endpoint"]
        found = _POLICY.search(call.message)
        if found is None and _EXPLICIT in call.message:
            return _SOME_DENY
        if found is None:
            continue
        kind = found["kind"] or found["boundary"]
        if kind in _WHAT_REFUSED:
            return _WHAT_REFUSED[kind]
        if _EXPLICIT in call.message:
            return _OWN_DENY
    return None


def _advice(case: FindingContext, calls: Sequence[ResourceCall], refused_by: str | None) -> str:
    actions = short_list(_action(call) for call in calls)
    if refused_by == _OWN_DENY:
        return f"Remove the explicit deny of {actions} from the policies of the role: no other policy helps."
    if refused_by == _SOME_DENY:
        return (
            f"Find the policy that denies {actions} and change it: no other policy helps. Look at the "
            "policies of the role and its permissions boundary, at service control policies, and at the "
            "policy of the VPC endpoint."
        )
    if refused_by is not None:
        return f"Change {refused_by} so that the role may call {actions}: its own policies do not help."
    plugin = case.plugin_of(calls[0]) or Manager.VPC_CNI
    of_ipv6 = [call.event.name in _OF_IPV6 and plugin is Manager.VPC_CNI for call in calls]
    of_node_role = plugin is Manager.VPC_CNI and calls[0].entry.actor.kind is ActorKind.INSTANCE_ROLE
    policies = [] if all(of_ipv6) else [_OF_NODE_ROLE if of_node_role else _MISSING_POLICY[plugin]]
    policies += [_IPV6_POLICY] if any(of_ipv6) else []
    decode = f" {_DECODE}" if any(_ENCODED in call.message for call in calls) else ""
    return f"{'. '.join(policies)}. {_MAY_BE_DENIED}{decode}"
