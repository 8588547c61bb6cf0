"""Calls that fail again and again, whatever the error code, unless a more specific rule explains them."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from cnitrail.answers.error_meanings import (
    DENIED,
    ENI_QUOTA,
    INSTANCE_GONE,
    NO_GROUP,
    NO_SUBNET,
    what_failed,
)
from cnitrail.answers.findings.calls import ResourceCall, grouped
from cnitrail.answers.findings.commands import describe_enis, describe_subnets, quota_of_enis
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.model import SEVERITY_ORDER, AccountRegion, Effect, Severity
from cnitrail.model.callers import may_be_the_cni
from cnitrail.text import clock, counted, short_list, times

_EXPLAINED = 3
"""Maximum number of error codes that a sentence explains."""

_ADVISED = 2
"""Maximum number of error codes with advice: the most frequent ones."""

_GROWTH = (Effect.ASSIGN, Effect.CREATE, Effect.ATTACH)
_LOWER = {Severity.HIGH: Severity.MEDIUM, Severity.MEDIUM: Severity.LOW, Severity.LOW: Severity.LOW}
_OTHER_NETWORK = "belong to different networks"
"""What EC2 says of a subnet and a security group in two VPCs, with one of several codes."""


class _Remedy(Struct, frozen=True):
    """What to do about an error code; ``for_all`` if it hits every caller in the account and Region."""

    advice: str
    for_all: bool = False


_NO_GROUP_REMEDY = _Remedy(
    "Use security groups that exist in the VPC of the nodes: look at those of the node (launch template), of "
    "the ENIConfig with custom networking, and of the SecurityGroupPolicy for pods with their own."
)
_REMEDIES = {
    ENI_QUOTA: _Remedy(
        'Ask for a higher quota "Network interfaces per Region" (Service Quotas, L-DF5E4CA3), and delete '
        "ENIs that nothing uses.",
        for_all=True,
    ),
    NO_SUBNET: _Remedy(
        "Use a subnet that exists: look at the ENIConfig with custom networking, the launch template, the "
        "Auto Scaling group, and the tags by which the plugin finds subnets. Restart the caller if it "
        "remembers a subnet that was deleted."
    ),
    **dict.fromkeys(NO_GROUP, _NO_GROUP_REMEDY),
    "SecurityGroupsPerInterfaceLimitExceeded": _Remedy(
        'Use fewer security groups per ENI, or ask for a higher quota "Security groups per network '
        'interface" (Service Quotas, L-2AFB9258).'
    ),
    INSTANCE_GONE: _Remedy(
        "The caller serves an instance that is gone: remove it from what the caller works on."
    ),
    "AuthFailure": _Remedy(
        "Check the credentials of the caller, and that the resource is of the same account."
    ),
    "InternalError": _Remedy("EC2 has a problem of its own. If it lasts, look at the AWS Health Dashboard."),
    "Unavailable": _Remedy("EC2 has a problem of its own. If it lasts, look at the AWS Health Dashboard."),
    **dict.fromkeys(
        DENIED,
        _Remedy(
            "If the caller should do this, allow it in its policies, and look for a service control policy "
            "that denies it. If not, find out who runs it."
        ),
    ),
}
"""The remedy for each code that says what is wrong; for any other, the message has to be read."""

_ANY_REMEDY = _Remedy("Read the error message of the calls, and correct what the caller sends.")


def calls_keep_failing(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield the calls of one principal to one API that fail with the same code, without a success between."""
    for calls in case.failed_calls.failing:
        yield _match(case, calls)


def _match(case: FindingContext, calls: Sequence[ResourceCall]) -> RuleMatch:
    first, last = calls[0], calls[-1]
    again = case.failed_calls.recovery(calls)
    severity = min((_severity(case, call) for call in calls), key=SEVERITY_ORDER.__getitem__)
    until = f" The first call that succeeded again is of {clock(again.time)}." if again is not None else ""
    apis = short_list(call.event.name for call in calls)
    by_code = _by_code(calls)
    return RuleMatch(
        severity=severity if again is None else _LOWER[severity],
        sentence=f"{case.failed_calls.who(calls)} called {apis} {times(len(calls))}"
        f"{case.failed_calls.for_nodes(calls)}{_on_what(calls)} since {clock(first.time)}, and every "
        f"call failed ({_codes(by_code)}).{until}",
        advice=" ".join(dict.fromkeys(_remedy(same[-1]).advice for same in by_code[:_ADVISED])),
        commands=tuple(
            dict.fromkeys(command for same in by_code for command in _commands(first.place, same))
        ),
        calls=calls,
        nodes=case.failed_calls.nodes_of(calls),
        doubts=case.hole(first.place, first.time, last.time),
        ongoing=again is None and case.goes_on(first.place, last.time),
    )


def _by_code(calls: Sequence[ResourceCall]) -> list[list[ResourceCall]]:
    """Return calls by their error code, the most frequent first."""
    return sorted(grouped(calls, lambda call: call.code).values(), key=len, reverse=True)


def _codes(by_code: Sequence[Sequence[ResourceCall]]) -> str:
    """Return the codes of some calls with their meaning; how often each occurred if there are several."""
    texts = []
    for same in by_code[:_EXPLAINED]:
        failure = same[-1].event.failure
        text = what_failed(failure, same[-1].event.effect) if failure is not None else ""
        texts.append(f"{times(len(same))} {text}" if len(by_code) > 1 else text)
    rest = [f"{counted(len(by_code) - _EXPLAINED, 'other error')}"] if len(by_code) > _EXPLAINED else []
    return "; ".join([*texts, *rest])


def _severity(case: FindingContext, call: ResourceCall) -> Severity:
    """Return high if pods of nodes get no addresses; medium if it may hit a node, or everybody; else low."""
    if case.plugin_of(call) is not None:
        return Severity.HIGH if call.event.effect in _GROWTH else Severity.MEDIUM
    may_be_a_plugin = may_be_the_cni(call.entry.actor) and call.event.effect in _GROWTH
    is_of_cni = call.entry.eni in case.cni_enis or may_be_a_plugin
    return Severity.MEDIUM if is_of_cni or _remedy(call).for_all else Severity.LOW


def _remedy(call: ResourceCall) -> _Remedy:
    if _OTHER_NETWORK in call.message:
        return _NO_GROUP_REMEDY
    return _REMEDIES.get(call.code or "", _ANY_REMEDY)


def _on_what(calls: Sequence[ResourceCall]) -> str:
    """Return on which ENIs or subnets calls were made, after a space; empty if no record says so."""
    enis = {call.entry.eni for call in calls if call.entry.eni}
    if enis:
        return f" on {short_list(enis)}" if len(enis) < len(calls) else f" on {counted(len(enis), 'ENI')}"
    subnets = {call.entry.subnet for call in calls if call.entry.subnet}
    return f" in {short_list(subnets)}" if subnets else ""


def _commands(place: AccountRegion, calls: Sequence[ResourceCall]) -> tuple[str, ...]:
    if calls[0].code == ENI_QUOTA:
        return quota_of_enis(place)
    if calls[0].code == NO_SUBNET:
        return describe_subnets(place, (call.entry.subnet for call in calls))
    return describe_enis(place, (call.entry.eni for call in calls))
