"""Requests for more addresses than an ENI can have: a wrong limit in the caller, or an ENI that is full."""

from collections.abc import Iterator, Sequence
from enum import Enum

from cnitrail.answers.address_limits import AddressRequest, AddressRequests
from cnitrail.answers.findings.calls import ResourceCall, grouped
from cnitrail.answers.findings.commands import describe_enis
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.answers.findings.failed_calls import FEWEST
from cnitrail.model import HoldingKind, Manager, Severity
from cnitrail.model.callers import role_principal_of
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import counted, plural, short_list, times

_OFTEN = 10
"""Failures of a full ENI from which on it is worth a look: the VPC CNI corrects its count after each."""


class _Cause(Enum):
    """Why an ENI cannot have the addresses."""

    BEYOND_TYPE = "beyond-type"
    FULL = "full"
    TOO_LARGE = "too-large"
    WINDOWS = "windows"
    UNKNOWN = "unknown"


_TOO_LARGE = (
    "The caller does not know what the ENI has: it may have started before somebody else assigned addresses "
    "there, or read the wrong limit."
)
_PLUGIN_ADVICE = {
    _Cause.BEYOND_TYPE: {
        Manager.VPC_CNI: "The VPC CNI has a wrong limit for the instance type. Upgrade the VPC CNI, and "
        "until then use another instance type.",
        Manager.CILIUM: "Cilium has a wrong limit for the instance type. Upgrade Cilium, or let the operator "
        "read the limits from EC2 (--update-ec2-adapter-limit-via-api).",
    },
    _Cause.TOO_LARGE: {
        Manager.VPC_CNI: f"{_TOO_LARGE} Restart it; the VPC CNI corrects its count after each such error.",
        Manager.RESOURCE_CONTROLLER: f"{_TOO_LARGE} AWS runs the controller: if it goes on, ask AWS Support.",
    },
}
_ADVICE = {
    _Cause.BEYOND_TYPE: "Find out where the caller has its limit from: no ENI of this type can have as many.",
    _Cause.FULL: "This is expected if pods use all addresses of a node: schedule fewer pods on it "
    "(max-pods), use a larger instance type, or prefix delegation. If pods use far fewer, the caller's "
    "count is wrong: restart it.",
    _Cause.TOO_LARGE: f"{_TOO_LARGE} Restart it.",
    _Cause.WINDOWS: "This is expected: a Windows node has one ENI for its pods. For more pods on it, use a "
    "larger instance type, or prefix delegation (enable-windows-prefix-delegation in the ConfigMap "
    "amazon-vpc-cni).",
    _Cause.UNKNOWN: "Compare the addresses of the ENI with the limit of its instance type (aws ec2 "
    "describe-instance-types).",
}
_UNKNOWN_TYPE = Reason(ReasonCode.TYPE_UNKNOWN, "No event shows the instance type, so its limit is unknown.")
_IPV6 = Reason(
    ReasonCode.TYPE_UNKNOWN, "The request was for IPv6, and the limits for IPv6 addresses are not known here."
)
_HELD_MORE = Reason(
    ReasonCode.START_UNKNOWN,
    "The ENI must have had addresses that no event in the evidence assigns.",
)


def address_limit_exceeded(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield the callers that asked for too many addresses, by the cause: a wrong limit, or a full ENI."""
    calls = case.failed_calls.by_rule.get("address-limit-exceeded", ())
    if not calls:
        return
    requests = AddressRequests(case.history)
    found = [(call, requests.of(call.entry)) for call in calls]
    for (_, _, cause, _), group in grouped(
        found,
        lambda pair: (
            pair[0].place,
            role_principal_of(pair[0].entry.actor),
            _cause(case, *pair),
            pair[0].entry.instance_type,
        ),
    ).items():
        if len(group) >= _fewest(case, cause, group[0][0]):
            yield _match(case, cause, group)


def _fewest(case: FindingContext, cause: _Cause, call: ResourceCall) -> int:
    """Return how many calls make a finding: one shows a wrong limit; an ENI that is full is normal."""
    is_plugin = case.plugin_of(call) is not None
    return 1 if is_plugin and cause in (_Cause.BEYOND_TYPE, _Cause.WINDOWS) else FEWEST


def _cause(case: FindingContext, call: ResourceCall, request: AddressRequest) -> _Cause:
    if request.is_beyond_type:
        return _Cause.BEYOND_TYPE
    if not request.is_too_large:
        return _Cause.UNKNOWN
    if not request.is_full:
        return _Cause.TOO_LARGE
    is_windows = case.plugin_of(call) is Manager.RESOURCE_CONTROLLER
    return _Cause.WINDOWS if is_windows else _Cause.FULL


def _match(
    case: FindingContext, cause: _Cause, group: Sequence[tuple[ResourceCall, AddressRequest]]
) -> RuleMatch:
    calls = [call for call, _ in group]
    last = calls[-1]
    plugin = case.plugin_of(calls[0])
    again = case.failed_calls.recovery(calls)
    advice = _PLUGIN_ADVICE.get(cause, {}).get(plugin) if plugin is not None else None
    severity = _severity(cause, calls, is_plugin=plugin is not None)
    return RuleMatch(
        severity=severity,
        sentence=_sentence(case, cause, group),
        advice=advice or _ADVICE[cause],
        commands=describe_enis(calls[0].place, (call.entry.eni for call in calls)),
        calls=calls,
        nodes=case.failed_calls.nodes_of(calls),
        doubts=_doubts(cause, *group[-1]),
        ongoing=again is None and case.goes_on(last.place, last.time),
    )


def _severity(cause: _Cause, calls: Sequence[ResourceCall], *, is_plugin: bool) -> Severity:
    if cause is _Cause.BEYOND_TYPE:
        return Severity.HIGH if is_plugin else Severity.LOW
    if cause is _Cause.WINDOWS:
        return Severity.INFO
    return Severity.MEDIUM if is_plugin and len(calls) >= _OFTEN else Severity.LOW


def _sentence(
    case: FindingContext, cause: _Cause, group: Sequence[tuple[ResourceCall, AddressRequest]]
) -> str:
    calls, last = [call for call, _ in group], group[-1][1]
    who, where = case.failed_calls.who(calls), _where(case, calls)
    kind = last.limits.instance_type if last.limits else None
    asked = {request.asked for _, request in group}
    if cause is _Cause.BEYOND_TYPE and last.limits is not None:
        nouns = plural(last.noun)
        number = f"{asked.pop()} {nouns} each" if len(asked) == 1 else f"different numbers of {nouns}"
        had = f"; the ENI had {'' if last.complete else 'at least '}{last.held}" if last.held else ""
        return (
            f"{who} made {counted(len(calls), 'call')} for {number} on {where}, more than {kind} allows "
            f"({_limit(last)} per ENI){had}. Every call failed."
        )
    room = f" ({last.text})" if last.text else ""
    if cause is _Cause.TOO_LARGE:
        return (
            f"{who} asked {times(len(calls))} for more addresses than {where} has room for{room}: {kind} "
            f"allows {_limit(last)} per ENI. Every call failed."
        )
    if cause is _Cause.WINDOWS:
        return f"{where} is full: {kind} allows no more, and a Windows node has one ENI for pods{room}."
    if cause is _Cause.FULL:
        return (
            f"{where} is full: {who} asked {times(len(calls))} for more addresses than {kind} allows{room}."
        )
    return f"EC2 refused {who} more addresses on {where} {times(len(calls))}{room}."


def _where(case: FindingContext, calls: Sequence[ResourceCall]) -> str:
    """Return the ENIs of some calls with their nodes."""
    enis = {call.entry.eni for call in calls if call.entry.eni}
    nodes = {node for call in calls if (node := case.failed_calls.node_of(call))}
    return (short_list(enis) or "a new ENI") + (f" of {short_list(nodes)}" if nodes else "")


def _limit(request: AddressRequest) -> str:
    """Return how many addresses an ENI of the type may have, and that prefixes count, too."""
    limit = request.limits.ipv4_per_eni if request.limits is not None else 0
    return f"{limit}, prefixes and the primary address included," if request.prefixes else f"{limit}"


def _doubts(cause: _Cause, call: ResourceCall, request: AddressRequest) -> tuple[Reason, ...]:
    if cause is not _Cause.UNKNOWN:
        return ()
    if call.entry.requested_kind in (HoldingKind.IPV6, HoldingKind.IPV6_PREFIX):
        return (_IPV6,)
    return (_UNKNOWN_TYPE,) if request.limits is None else (_HELD_MORE,)
