"""Subnets without enough free IPs, whatever error code EC2 used, and the CNI's fallback to a single IP.

On nearly any failure the VPC CNI requests again at once, one address instead of a batch
(pkg/ipamd/ipamd.go in amazon-vpc-cni-k8s). Nothing else makes such a pair of calls.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import pairwise

from cnitrail.answers.findings.commands import leaked_enis_of_subnet
from cnitrail.answers.findings.context import FindingContext, ResourceCall, RuleMatch, grouped, is_foreign
from cnitrail.answers.findings.throttling import is_throttled
from cnitrail.model import USUAL_LAG, AccountRegion, Effect, Severity
from cnitrail.model.ec2 import ADDRESS_LIMIT, NO_FREE_ADDRESS, NO_FREE_BLOCK
from cnitrail.text import clock, counted, short_list, times

_CODES = (NO_FREE_ADDRESS, NO_FREE_BLOCK)
_MESSAGE = re.compile(r"(?:sufficient|enough) free (?:ipv[46] )?(?:address|prefix|cidr)", re.IGNORECASE)
"""EC2 also says it in the message of InvalidParameterValue, and a record may have no code at all."""

_NO_BLOCK = re.compile(r"cidr ?block", re.IGNORECASE)
_REQUESTS = (Effect.ASSIGN, Effect.CREATE, Effect.LAUNCH)
_AT_ONCE = timedelta(seconds=5)
_FULL_ADVICE = (
    "Give the nodes a subnet with free IPs (VPC CNI 1.18 and later discovers subnets with the tag "
    "kubernetes.io/role/cni=1; older versions need custom networking), or keep fewer warm IPs on each node: "
    "WARM_IP_TARGET with MINIMUM_IP_TARGET instead of WARM_ENI_TARGET. Check the subnet for leaked ENIs."
)
_FRAGMENTED_ADVICE = (
    "The subnet may have free IPs, but no contiguous /28. Use a subnet with a reservation for prefixes "
    "(aws ec2 create-subnet-cidr-reservation --reservation-type prefix), or set "
    "ENABLE_PREFIX_DELEGATION=false."
)
_ERROR_ADVICE = (
    "Read the error. If it is UnauthorizedOperation, the role of the VPC CNI lacks AmazonEKS_CNI_Policy, or "
    "a service control policy denies the call. Pods get no new IPs until the calls succeed."
)


def subnet_exhausted(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield subnets that did not have enough free IPs, or no free block for a prefix."""
    refused = [call for call in case.calls if call.event.effect in _REQUESTS and is_exhausted(call)]
    succeeded = (
        call for call in case.calls if call.entry.subnet and call.did(*_REQUESTS) and not call.entry.moved
    )
    assigned = grouped(succeeded if refused else (), lambda call: call.entry.subnet)
    for (place, where, subnet), calls in grouped(refused, _by_subnet).items():
        last = calls[-1].time
        again = next((call for call in assigned.get(subnet, ()) if call.time > last), None)
        no_block = all(_says_no_block(call) for call in calls)
        sentence = f"{where} did not have enough free {'/28 blocks' if no_block else 'IPs'}: "
        sentence += f"{counted(len(calls), 'call')} failed{_for_whom(calls)}{_other_codes(calls)}."
        sentence += _fallback_sentence(list(_fallbacks(case, calls)))
        if again is not None:
            sentence += f" It had free IPs again at {clock(again.time)}."
        yield RuleMatch(
            severity=Severity.MEDIUM if again is not None else Severity.HIGH,
            sentence=sentence,
            advice=_FRAGMENTED_ADVICE if no_block else _FULL_ADVICE,
            commands=leaked_enis_of_subnet(place, subnet),
            calls=calls,
            doubts=case.hole(place, calls[0].time, last),
            ongoing=again is None and case.evidence_end(place) - last < USUAL_LAG,
        )


def several_then_one(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield failures of the CNI with another error, known by its fallback to a single address."""
    failed = [
        call
        for call in case.calls
        if call.event.effect is Effect.ASSIGN
        and call.code not in (None, ADDRESS_LIMIT)  # after that one the CNI does not fall back
        and not (is_exhausted(call) or is_throttled(call))
    ]
    pairs = _fallbacks(case, failed)
    for (place, code), same in grouped(pairs, lambda pair: (pair[0].place, pair[0].code)).items():
        calls = sorted((call for pair in same for call in pair), key=lambda call: call.time)
        failures = sum(single.event.failure is not None for _, single in same)
        yield RuleMatch(
            severity=Severity.HIGH if failures else Severity.MEDIUM,
            sentence=f"Requests for a batch of IPs{_for_whom(calls)} failed ({code})."
            f"{_fallback_sentence(same)}",
            advice=_ERROR_ADVICE,
            calls=calls,
            ongoing=failures > 0 and case.evidence_end(place) - calls[-1].time < USUAL_LAG,
        )


def is_exhausted(call: ResourceCall) -> bool:
    """Return whether EC2 refused a call because the subnet was full, whatever error code it used."""
    failure = call.event.failure
    if failure is None:
        return False
    return call.code in _CODES or _MESSAGE.search(failure.message or "") is not None


def _says_no_block(call: ResourceCall) -> bool:
    failure = call.event.failure
    return failure is not None and _NO_BLOCK.search(f"{failure.code} {failure.message or ''}") is not None


def _by_subnet(call: ResourceCall) -> tuple[AccountRegion, str, str | None]:
    """Return the place, what to call the subnet, and its ID if the evidence has that."""
    entry = call.entry
    where = entry.subnet or (f"The subnet of {entry.eni}" if entry.eni else "A subnet that no record names")
    return call.place, where, entry.subnet


def _for_whom(calls: Iterable[ResourceCall]) -> str:
    instances = {call.entry.instance for call in calls if call.entry.instance}
    return f" for {short_list(instances)}" if instances else ""


def _other_codes(calls: Iterable[ResourceCall]) -> str:
    """Return the error codes that EC2 used instead of those for a full subnet."""
    codes = {call.code or "" for call in calls}
    others = codes - {*_CODES}
    return f" ({'' if others == codes else 'some '}with error code {short_list(others)})" if others else ""


_Fallback = tuple[ResourceCall, ResourceCall]
"""A failed call for a batch of addresses, and the call for a single one right after it."""


def _fallback_sentence(pairs: list[_Fallback]) -> str:
    """Return what became of the CNI's fallbacks, as a sentence with a space before it; empty if none."""
    if not pairs:
        return ""
    failures = sum(single.event.failure is not None for _, single in pairs)
    if failures == len(pairs):
        outcome = "both failed" if len(pairs) == 1 else "all failed"
    else:
        outcome = f"the single IP was assigned {times(len(pairs) - failures)}"
    return f" The VPC CNI requested a batch, then a single IP, {times(len(pairs))}; {outcome}."


def _fallbacks(case: FindingContext, failed: Iterable[ResourceCall]) -> Iterator[_Fallback]:
    """Yield the CNI's failed calls for a batch, each with the call for a single address right after it."""
    batches = (call for call in failed if (call.entry.requested or 0) > 1 and not is_foreign(call))
    eni_of = {call.event.key: call.entry.eni for call in batches}
    for eni in sorted({eni for eni in eni_of.values() if eni is not None}):
        requests = (call for call in case.by_eni[eni] if call.event.effect is Effect.ASSIGN)
        for first, second in pairwise(requests):
            at_once = second.time - first.time <= _AT_ONCE
            if first.event.key in eni_of and second.entry.requested == 1 and at_once:
                yield first, second
