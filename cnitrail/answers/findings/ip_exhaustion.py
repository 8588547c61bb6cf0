"""Subnets without enough free IPs, whatever error code EC2 used, and the CNI's fallback to a single IP.

On nearly any failure the VPC CNI requests again at once, one address instead of a batch
(pkg/ipamd/ipamd.go in amazon-vpc-cni-k8s). Nothing else makes such a pair of calls.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from cnitrail.answers.findings.calls import (
    Fallback,
    ResourceCall,
    fallbacks,
    grouped,
    is_foreign,
)
from cnitrail.answers.findings.commands import leaked_enis_of_subnet, reservations_of_subnet
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.answers.findings.throttling import is_throttled
from cnitrail.answers.subnet import summary
from cnitrail.model import AccountRegion, Effect, HoldingKind, Manager, Severity, is_prefix
from cnitrail.model.callers import service_of
from cnitrail.model.ec2 import ADDRESS_LIMIT, NO_FREE_ADDRESS, NO_FREE_BLOCK, PREFIX_LENGTH
from cnitrail.text import clock, counted, short_list, times

_CODES = (NO_FREE_ADDRESS, NO_FREE_BLOCK)
_MESSAGE = re.compile(
    r"(?:sufficient|enough) (?:free )?(?:private )?(?:ip(?:v[46])? )?(?:address|prefix|cidr)", re.IGNORECASE
)
"""EC2 also says it in the message of InvalidParameterValue, and a record may have no code at all."""

_NO_BLOCK = re.compile(r"cidr ?block", re.IGNORECASE)
REQUESTS = (Effect.ASSIGN, Effect.CREATE, Effect.LAUNCH)
_PAUSE = timedelta(hours=1)
"""Time without a failed call, after which a subnet that had free IPs in between is full for another time."""

_MANY = 10
"""Nodes without addresses from which on a full subnet is an incident of the whole cluster."""

_PREFIXES = (HoldingKind.PREFIX, HoldingKind.IPV6_PREFIX)
_FULL_ADVICE = {
    Manager.VPC_CNI: "Give the nodes a subnet with free IPs (VPC CNI 1.18 and later discovers subnets with "
    "the tag kubernetes.io/role/cni=1; older versions need custom networking), or keep fewer warm IPs on "
    "each node: WARM_IP_TARGET with MINIMUM_IP_TARGET instead of WARM_ENI_TARGET.",
    Manager.RESOURCE_CONTROLLER: "Give the nodes a subnet with free IPs. For Windows nodes, keep fewer warm "
    "IPs: windows-warm-ip-target and windows-minimum-ip-target in the ConfigMap amazon-vpc-cni in "
    "kube-system. For pods with security groups, each branch ENI takes one IP of the subnet.",
    Manager.CILIUM: "Give Cilium a subnet with free IPs (spec.eni.subnet-tags or subnet-ids of the "
    "CiliumNode), or keep fewer IPs on each node: spec.ipam.pre-allocate and max-above-watermark.",
    Manager.AUTO_MODE: "EKS Auto Mode keeps the warm pool itself. Give the pods other subnets with "
    "podSubnetSelectorTerms of the NodeClass, or the nodes with its subnetSelectorTerms.",
    Manager.OPENSHIFT: "Assign fewer egress IPs, or use machines in a subnet with free IPs.",
}
_ANY_ADVICE = "Use a subnet with free IPs, or release IPs in this one."
_LAUNCH_ADVICE = "Launch the instances in a subnet with free IPs, or release IPs in this one."
_LEAKED_ADVICE = "Check the subnet for leaked ENIs."
_RESERVATION_ADVICE = (
    "The subnet may have free IPs, but no contiguous {size}. Use a subnet with a reservation for prefixes "
    "(aws ec2 create-subnet-cidr-reservation --reservation-type prefix)"
)
_NO_PREFIX_ADVICE = {
    Manager.VPC_CNI: ", or set ENABLE_PREFIX_DELEGATION=false.",
    Manager.RESOURCE_CONTROLLER: ", or set enable-windows-prefix-delegation to false in the ConfigMap "
    "amazon-vpc-cni in kube-system.",
    Manager.CILIUM: ", or turn off prefix delegation in Cilium (--aws-enable-prefix-delegation=false).",
}
_ERROR_ADVICE = (
    "Read the error. If it is UnauthorizedOperation, the role of the VPC CNI lacks AmazonEKS_CNI_Policy, or "
    "a service control policy denies the call. Pods get no new IPs until the calls succeed."
)


def subnet_exhausted(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield subnets that did not have enough free IPs, or no free block for a prefix.

    Critical if it goes on for the nodes of several clusters, or for ten or more nodes; medium if the subnet
    had addresses again; else high.
    """
    refused = [call for call in case.calls if call.event.effect in REQUESTS and is_exhausted(call)]
    succeeded = (
        call
        for call in case.calls
        if call.entry.subnet and call.entry.added and call.did(*REQUESTS) and not call.entry.moved
    )
    assigned = grouped(succeeded if refused else (), lambda call: call.entry.subnet)
    for (_, subnet, _), calls in grouped(refused, _by_subnet).items():
        lack = _Lack.of(calls)
        freed = [call.time for call in assigned.get(subnet, ()) if lack.is_over_with(call)]
        for run in _runs(calls, freed):
            yield _match(case, subnet, run, freed)


def _runs(calls: Iterable[ResourceCall], freed: Sequence[datetime]) -> Iterator[list[ResourceCall]]:
    """Yield runs of failed calls; a new one begins after a long pause in which the subnet had free IPs.

    ``freed`` are the times, in order, at which it had what the calls lacked.
    """
    run: list[ResourceCall] = []
    for call in calls:
        if run and call.time - run[-1].time > _PAUSE and _first_after(freed, run[-1].time, call.time):
            yield run
            run = []
        run.append(call)
    if run:
        yield run


def _first_after(times: Sequence[datetime], last: datetime, until: datetime | None = None) -> datetime | None:
    """Return the first of some times, in order, that is later than a time and not after another."""
    place = bisect_right(times, last)
    found = times[place] if place < len(times) else None
    return found if found is not None and (until is None or found <= until) else None


def _match(
    case: FindingContext, subnet: str | None, calls: Sequence[ResourceCall], freed: Sequence[datetime]
) -> RuleMatch:
    """Return the match of a run of failed calls in one subnet, whose ID the evidence may not have."""
    place, last, lack = calls[0].place, calls[-1].time, _Lack.of(calls)
    again = _first_after(freed, last)
    census = case.subnets.census(subnet, calls[0].time) if subnet is not None else None
    sentence = f"{subnet or _unknown_subnet(calls)} {lack.sentence(case, calls)}"
    sentence += _fallback_sentence(list(fallbacks(calls, case.by_eni)))
    if again is not None:
        sentence += f" It had free {lack.noun} again at {clock(again)}."
    held = summary(census) if census is not None and lack.version == 4 else ""
    counted_since = case.evidence_start(place) if held else calls[0].time
    ongoing = again is None and case.goes_on(place, last)
    return RuleMatch(
        severity=Severity.MEDIUM if again is not None else _severity(case, calls, ongoing=ongoing),
        sentence=f"{sentence} {held}".rstrip(),
        advice=_advice(case, lack, calls),
        commands=(reservations_of_subnet if lack.of_blocks else leaked_enis_of_subnet)(place, subnet),
        calls=calls,
        doubts=case.hole(place, counted_since, last),
        ongoing=ongoing,
        census=census,
    )


def several_then_one(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield failures of the CNI with another error, known by its fallback to a single address."""
    failed = [
        call
        for call in case.calls
        if call.event.effect is Effect.ASSIGN
        and call.code not in (None, ADDRESS_LIMIT)  # after that one the CNI does not fall back
        and call.event.key not in case.failed_calls.reported
        and not (is_exhausted(call) or is_throttled(call))
    ]
    pairs = fallbacks(failed, case.by_eni)
    for (place, code), same in grouped(pairs, lambda pair: (pair[0].place, pair[0].code)).items():
        calls = sorted((call for pair in same for call in pair), key=lambda call: call.time)
        failures = sum(single.event.failure is not None for _, single in same)
        yield RuleMatch(
            severity=Severity.HIGH if failures else Severity.MEDIUM,
            sentence=f"Requests for a batch of IPs{_for_whom(case, calls)} failed ({code})."
            f"{_fallback_sentence(same)}",
            advice=_ERROR_ADVICE,
            calls=calls,
            ongoing=failures > 0 and case.goes_on(place, calls[-1].time),
        )


def is_exhausted(call: ResourceCall) -> bool:
    """Return whether EC2 refused a call because the subnet was full, whatever error code it used."""
    if call.event.failure is None or call.entry.cidr is not None:
        return False
    if call.code in _CODES:
        return True
    message = call.message
    return " free " in message.lower() and _MESSAGE.search(message) is not None  # a quick look first


class _Lack(Struct, frozen=True):
    """What a subnet had too few of: addresses, or blocks for prefixes.

    ``version`` is that of IP. ``certain`` if EC2 said so itself; otherwise its message leaves it open, and
    only the requests were for prefixes.
    """

    version: int
    of_blocks: bool
    certain: bool

    @classmethod
    def of(cls, calls: Sequence[ResourceCall]) -> "_Lack":
        """Return what all of some failed calls show; a call for single addresses needed no block."""
        asked = [call.entry.requested_kind for call in calls]
        version = 6 if all(kind in (HoldingKind.IPV6, HoldingKind.IPV6_PREFIX) for kind in asked) else 4
        certain = all(_says_no_block(call) for call in calls)
        return cls(version, certain or all(kind in _PREFIXES for kind in asked), certain)

    @property
    def noun(self) -> str:
        """Return what the subnet had too few of, in the plural."""
        if self.of_blocks:
            return f"/{PREFIX_LENGTH[self.version]} blocks"
        return "IPs" if self.version == 4 else "IPv6 addresses"

    def sentence(self, case: FindingContext, calls: Sequence[ResourceCall]) -> str:
        """Return how the calls failed, as the rest of a sentence about the subnet."""
        failed = (
            f"{counted(len(calls), _noun(calls))} failed{_for_whom(case, calls)}{_made_by(case, calls)}"
            f"{_other_codes(calls)}"
        )
        if self.of_blocks and not self.certain:
            return f"had too few free {self.noun} (or addresses): the calls requested prefixes. {failed}."
        return f"did not have enough free {self.noun}: {failed}."

    def is_over_with(self, call: ResourceCall) -> bool:
        """Return whether a successful call shows that the subnet has what it lacked."""
        added = [held for held in call.entry.added if held.version == self.version]
        return any(map(is_prefix, added)) if self.of_blocks else bool(added)


def _says_no_block(call: ResourceCall) -> bool:
    failure = call.event.failure
    return failure is not None and _NO_BLOCK.search(f"{failure.code} {call.message}") is not None


def _severity(case: FindingContext, calls: Iterable[ResourceCall], *, ongoing: bool) -> Severity:
    """Return how severe it is that a subnet is full and stays so."""
    nodes = {call.entry.instance or _served(case, call) for call in calls} - {None}
    clusters = {call.entry.cluster for call in calls} - {None}
    is_critical = ongoing and (len(clusters) > 1 or len(nodes) >= _MANY)
    return Severity.CRITICAL if is_critical else Severity.HIGH


def _advice(case: FindingContext, lack: _Lack, calls: Sequence[ResourceCall]) -> str:
    """Return what to do about a full subnet with what manages the addresses of the nodes."""
    managers = sorted({_manager_in_need(case, call) for call in calls}, key=tuple(Manager).index)
    if lack.of_blocks:
        advice = _RESERVATION_ADVICE.format(size=f"/{PREFIX_LENGTH[lack.version]}")
        without = next(filter(None, map(_NO_PREFIX_ADVICE.get, managers)), ".")
        return advice + (without if lack.version == 4 else ".")  # pods with IPv6 need prefixes
    own = [_FULL_ADVICE[manager] for manager in managers if manager in _FULL_ADVICE]
    own += [_LAUNCH_ADVICE] if any(call.event.effect is Effect.LAUNCH for call in calls) else []
    own = own or [_ANY_ADVICE]
    return " ".join([*own, _LEAKED_ADVICE])


def _manager_in_need(case: FindingContext, call: ResourceCall) -> Manager:
    """Return what manages the addresses that a failed call was to get.

    A call for a new ENI may be the first sign of a node, so the caller counts first; what may be the VPC CNI
    is taken for it if nothing shows another manager.
    """
    history, entry = case.history, call.entry
    plugin = case.plugin_of(call)
    if plugin is not None:
        return plugin
    on_node = entry.instance or entry.actor.instance
    for known in (history.manager_of(entry.eni), history.manager_of_node(on_node)):
        if known.manager in _FULL_ADVICE:
            return known.manager
    is_of_a_service = service_of(entry.actor) is not None
    may_be_the_cni = call.event.effect is not Effect.LAUNCH and not (is_of_a_service or is_foreign(call))
    return Manager.VPC_CNI if may_be_the_cni else Manager.UNKNOWN


def _served(case: FindingContext, call: ResourceCall) -> str | None:
    """Return the node that a request of the Cilium operator is for; None for other callers."""
    return call.served if case.plugin_of(call) is Manager.CILIUM else None


def _by_subnet(call: ResourceCall) -> tuple[AccountRegion, str | None, str | None]:
    """Return the place and the subnet; if no record names it, whose subnet it is: a node's or an ENI's."""
    entry = call.entry
    return call.place, entry.subnet, None if entry.subnet else entry.instance or entry.eni


def _unknown_subnet(calls: Iterable[ResourceCall]) -> str:
    """Return what to call the subnets of ENIs that are older than the evidence."""
    enis = {call.entry.eni for call in calls if call.entry.eni}
    if not enis:
        return "A subnet that no record names"
    return f"The {'subnet' if len(enis) == 1 else 'subnets'} of {short_list(enis)}"


def _noun(calls: Iterable[ResourceCall]) -> str:
    """Return what to call the calls: by their API if they are launches, which need an IP as well."""
    return "RunInstances call" if all(call.event.effect is Effect.LAUNCH for call in calls) else "call"


def _for_whom(case: FindingContext, calls: Iterable[ResourceCall]) -> str:
    """Return the nodes that calls were for; of an operator's calls, those that its requests describe."""
    calls = list(calls)
    instances = {call.entry.instance for call in calls if call.entry.instance}
    served = {
        node for call in calls if call.entry.instance is None and (node := _served(case, call)) is not None
    }
    named = [short_list(instances)] if instances else []
    named += [f"{short_list(served)} (by the description in the requests)"] if served else []
    return f" for {' and '.join(named)}" if named else ""


def _made_by(case: FindingContext, calls: Sequence[ResourceCall]) -> str:
    """Return who made the calls that were for no known node, and that the Cilium operator called for all."""
    operators = [call.entry.actor for call in calls if _served(case, call) is not None]
    on = {actor.instance for actor in operators if actor.instance is not None}
    callers = ["the Cilium operator" + (f" on {short_list(on)}" if on else "")] if operators else []
    others = [call for call in calls if call.entry.instance is None and _served(case, call) is None]
    callers += [short_list(case.who(call.entry.actor) for call in others)] if others else []
    if not callers:
        return ""
    made = len(operators) + len(others)
    return f", {'' if made == len(calls) else f'{made:,} of them '}made by {' and '.join(callers)}"


def _other_codes(calls: Iterable[ResourceCall]) -> str:
    """Return the error codes that EC2 used instead of those for a full subnet."""
    codes = {call.code or "" for call in calls}
    others = codes - {*_CODES}
    return f" ({'' if others == codes else 'some '}with error code {short_list(others)})" if others else ""


def _fallback_sentence(pairs: list[Fallback]) -> str:
    """Return what became of the CNI's fallbacks, as a sentence with a space before it; empty if none."""
    if not pairs:
        return ""
    failures = sum(single.event.failure is not None for _, single in pairs)
    noun = "prefix" if all(single.entry.requested_kind in _PREFIXES for _, single in pairs) else "IP"
    if failures == len(pairs):
        outcome = "both failed" if len(pairs) == 1 else "all failed"
    else:
        outcome = f"the single {noun} was assigned {times(len(pairs) - failures)}"
    return f" The VPC CNI requested a batch, then a single {noun}, {times(len(pairs))}; {outcome}."
