"""Service accounts that cannot get the credentials of their role: IRSA, or EKS Pod Identity, is broken.

Causes by code: https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html and
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html.
"""

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_address

from cnitrail.answers.error_meanings import what_failed
from cnitrail.answers.findings.calls import ResourceCall, grouped
from cnitrail.answers.findings.commands import AWS_NODE_SERVICE_ACCOUNT, OIDC_PROVIDERS, role_with_policies
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.answers.findings.failed_calls import FEWEST
from cnitrail.model import ActorKind, Severity
from cnitrail.model.callers import CILIUM_ACCOUNT, CNI_ACCOUNT
from cnitrail.text import clock, counted, short_list

_TRUST_ADVICE = (
    "Check that the role exists, and its trust policy: Principal.Federated must be the OIDC provider of this "
    "cluster, <provider>:sub must be system:serviceaccount:<namespace>:<name>, and <provider>:aud must be "
    "sts.amazonaws.com. A new cluster has a new provider."
)
_PROVIDER_ADVICE = (
    "Create the IAM OIDC provider of the cluster in this account (eksctl utils associate-iam-oidc-provider), "
    "with the audience sts.amazonaws.com. A new cluster has a new provider."
)
_EXPIRED_ADVICE = (
    "The kubelet renews the token of a pod before it expires. Check that the pod's SDK reads the token file "
    "again (an old SDK does not), and the clock of the node."
)
_AUDIENCE = re.compile(r"\baudience\b", re.IGNORECASE)
_AUDIENCE_ADVICE = (
    "The token is for another audience than the OIDC provider in IAM accepts. Both must be "
    "sts.amazonaws.com: look at the client IDs of the provider, and at the annotation "
    "eks.amazonaws.com/audience of the service account."
)
_ISSUER_ADVICE = (
    "STS could not read the keys of the OIDC provider. This is usually over soon; if not, check that the URL "
    "of the provider can be reached from the internet."
)
_POD_IDENTITY_ADVICE = (
    "Check the trust policy of the role: it must allow sts:AssumeRole and sts:TagSession to "
    "pods.eks.amazonaws.com. Check the Pod Identity association of the service account, too."
)
_ADVICE = {
    "AccessDenied": _TRUST_ADVICE,
    "InvalidIdentityToken": _PROVIDER_ADVICE,
    "ExpiredToken": _EXPIRED_ADVICE,
    "IDPCommunicationError": _ISSUER_ADVICE,
}
_ANY_ADVICE = "Read the error. Check the role in the annotation of the service account, and its trust policy."


def irsa_sign_in_failing(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield service accounts whose sign-ins to one role fail again and again."""
    calls = case.failed_calls.by_rule.get("irsa-sign-in-failing", ())
    for group in grouped(calls, _by_account_and_role).values():
        if len(group) >= FEWEST:
            yield _match(case, group)


def _by_account_and_role(call: ResourceCall) -> tuple[object, ...]:
    actor = call.entry.actor
    return call.place, actor.label, actor.oidc_provider, call.entry.resource


def _match(case: FindingContext, calls: Sequence[ResourceCall]) -> RuleMatch:
    first, last, actor = calls[0], calls[-1], calls[0].entry.actor
    again = _worked_again(case, calls)
    role = first.entry.resource
    nodes = {node for call in calls if (node := _node_of(case, call))}
    reasons = {call.code: call.event.failure for call in calls}  # the last of each code
    failures = "; ".join(what_failed(failure, first.event.effect) for failure in reasons.values() if failure)
    is_the_cni = actor.service_account == CNI_ACCOUNT or role in case.failed_calls.roles_of_cni
    of_cni = ", which the VPC CNI uses" if is_the_cni and actor.service_account is None else ""
    could_not, until = "cannot", ""
    if again is not None:
        could_not = "could not"
        until = f" Calls with the role succeeded again at {clock(again.time)}."
    return RuleMatch(
        severity=_severity(actor.service_account, is_the_cni=is_the_cni, is_over=again is not None),
        sentence=f"{_who(calls)} {could_not} sign in to {role or 'its role'}{of_cni}: "
        f"{counted(len(calls), f'{first.event.name} call')}"
        f"{f' from {short_list(nodes)}' if nodes else ''} failed since {clock(first.time)} "
        f"({failures}).{until}",
        advice=_advice(last),
        commands=(
            *role_with_policies(role)[:1],
            *([OIDC_PROVIDERS] if actor.kind is not ActorKind.POD_IDENTITY else []),
            *([AWS_NODE_SERVICE_ACCOUNT] if is_the_cni else []),
        ),
        calls=calls,
        nodes=sorted(nodes),
        ongoing=again is None and case.goes_on(first.place, last.time),
    )


def _severity(service_account: str | None, *, is_the_cni: bool, is_over: bool) -> Severity:
    """Return high if pods get no addresses: other service accounts matter only to their own pods.

    If no record says which service account it is, it may be that of a network plugin.
    """
    if is_the_cni or (service_account or "").endswith(CILIUM_ACCOUNT):
        return Severity.MEDIUM if is_over else Severity.HIGH
    return Severity.LOW if service_account is not None or is_over else Severity.MEDIUM


def _who(calls: Sequence[ResourceCall]) -> str:
    """Return who signs in, with its cluster; CloudTrail does not always record whose token it was."""
    actor = calls[0].entry.actor
    is_unnamed = actor.kind is ActorKind.UNKNOWN and actor.service_account is None
    return "A pod whose token is not recorded" if is_unnamed else f"{actor.label}{_place(calls)}"


def _place(calls: Sequence[ResourceCall]) -> str:
    """Return the cluster of a service account; if it is not known, the OIDC provider in its token."""
    actor = calls[0].entry.actor
    if actor.cluster:
        return f" of cluster {actor.cluster}"
    provider = (actor.oidc_provider or "").partition(":oidc-provider/")[2]
    return f" of the cluster with OIDC provider {provider}" if provider else ""


def _worked_again(case: FindingContext, calls: Sequence[ResourceCall]) -> ResourceCall | None:
    """Return the first call after the last failure that the same service account made in a new session.

    Sessions from before the failures go on working for hours.
    """
    actor, role, last = calls[0].entry.actor, calls[0].entry.resource, calls[-1].time
    if role is None:
        return None
    old: set[str | None] = set()
    for call in case.failed_calls.of_role(role):
        caller = call.entry.actor
        if call.time <= last:
            old.add(caller.access_key_id)
        elif actor.service_account in (None, caller.service_account) and caller.access_key_id not in old:
            return call
    return None


def _node_of(case: FindingContext, call: ResourceCall) -> str | None:
    """Return the instance that had the source address of a call; None if it is not known, as behind NAT."""
    try:
        address = ip_address(call.entry.actor.source_ip or "")
    except ValueError:
        return None
    groups = case.history.holders.get(address, ())
    owners = {
        instance
        for leases in groups
        for lease in leases
        if (lease.start.time is None or lease.start.time <= call.time)
        and (lease.end.time is None or call.time <= lease.end.time)
        and (instance := case.history.instance_of(lease.eni, call.time)[0]) is not None
    }
    return owners.pop() if len(owners) == 1 else None


def _advice(call: ResourceCall) -> str:
    if call.entry.actor.kind is ActorKind.POD_IDENTITY:
        return _POD_IDENTITY_ADVICE
    if _AUDIENCE.search(call.message):
        return _AUDIENCE_ADVICE
    return _ADVICE.get((call.code or "").removesuffix("Exception"), _ANY_ADVICE)
