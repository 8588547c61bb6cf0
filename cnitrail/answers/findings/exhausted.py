"""Subnets without free addresses, in all the words that EC2 has for it, and the CNI's way to ask.

On nearly any failure the VPC CNI asks at once again, for one address instead of several
(pkg/ipamd/ipamd.go in amazon-vpc-cni-k8s): a pair that nothing else makes.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import pairwise

from cnitrail.answers.coverage_text import clock
from cnitrail.answers.findings.context import Claim, FindingContext, ResourceCall, grouped, is_foreign
from cnitrail.answers.findings.throttled import is_throttled
from cnitrail.answers.findings.words import counted, listed, times
from cnitrail.model import USUAL_LAG, AccountRegion, Effect, Severity

_PLAIN = ("InsufficientFreeAddressesInSubnet", "InsufficientCidrBlocks")
_DISGUISED = re.compile(r"(?:sufficient|enough) free (?:ipv[46] )?(?:address|prefix|cidr)", re.IGNORECASE)
"""EC2 also says it in the message of InvalidParameterValue, and a record may have no code at all."""

_NO_BLOCK = re.compile(r"cidr ?block", re.IGNORECASE)
_ASKING = (Effect.ASSIGN, Effect.CREATE, Effect.LAUNCH)
_AT_ONCE = timedelta(seconds=5)
_NEVER_REPEATED = "PrivateIpAddressLimitExceeded"
"""The one failure after which the CNI does not ask for one address."""

_FULL_ADVICE = (
    "Give the nodes a subnet with room (subnet discovery of VPC CNI 1.18 and later takes those tagged "
    "kubernetes.io/role/cni=1; before that, custom networking), or hold fewer addresses on each node: "
    "WARM_IP_TARGET with MINIMUM_IP_TARGET instead of WARM_ENI_TARGET. Look for interfaces that were left "
    "behind in it."
)
_SPLIT_ADVICE = (
    "Addresses may be free, but no /28 of them in one piece: take a new subnet with a reservation for "
    "prefixes (aws ec2 create-subnet-cidr-reservation --reservation-type prefix), or turn "
    "ENABLE_PREFIX_DELEGATION off."
)
_REFUSED_ADVICE = (
    "Read the error. Where it is UnauthorizedOperation, the CNI's role lacks AmazonEKS_CNI_Policy, or a "
    "service control policy forbids the call. Pods get no new addresses while this lasts."
)


def subnet_exhausted(case: FindingContext) -> Iterator[Claim]:
    """A subnet had no address, or no block for a prefix, to give."""
    refused = [call for call in case.calls if call.event.effect in _ASKING and is_exhausted(call)]
    worked = (
        call for call in case.calls if call.entry.subnet and call.did(*_ASKING) and not call.entry.moved
    )
    given = grouped(worked if refused else (), lambda call: call.entry.subnet)
    for (place, where, subnet), calls in grouped(refused, _by_subnet).items():
        last = calls[-1].time
        again = next((call for call in given.get(subnet, ()) if call.time > last), None)
        no_block = all(_says_no_block(call) for call in calls)
        sentence = f"{where} had too few free {'/28 blocks' if no_block else 'addresses'}: "
        sentence += f"{counted(len(calls), 'call')} failed{_for_whom(calls)}{_in_other_words(calls)}."
        pairs = list(_fallbacks(case, calls))
        if pairs:
            got = sum(second.event.failure is None for _, second in pairs)
            sentence += f" The VPC CNI asked for several addresses, then for one, {times(len(pairs))}"
            sentence += f", and got that {times(got)}." if got else ", in vain."
        if again is not None:
            sentence += f" It gave addresses again at {clock(again.time)}."
        yield Claim(
            severity=Severity.MEDIUM if again is not None else Severity.HIGH,
            sentence=sentence,
            advice=_SPLIT_ADVICE if no_block else _FULL_ADVICE,
            calls=calls,
            doubts=case.hole(place, calls[0].time, last),
            ongoing=again is None and case.end(place) - last < USUAL_LAG,
        )


def several_then_one(case: FindingContext) -> Iterator[Claim]:
    """The CNI's calls failed with another error, which its asking for one address gives away."""
    failed = [
        call
        for call in case.calls
        if call.event.effect is Effect.ASSIGN
        and call.code not in (None, _NEVER_REPEATED)
        and not (is_exhausted(call) or is_throttled(call))
    ]
    pairs = _fallbacks(case, failed)
    for (place, code), same in grouped(pairs, lambda pair: (pair[0].place, pair[0].code)).items():
        calls = sorted((call for pair in same for call in pair), key=lambda call: call.time)
        in_vain = sum(second.event.failure is not None for _, second in same)
        yield Claim(
            severity=Severity.HIGH if in_vain else Severity.MEDIUM,
            sentence=f"The VPC CNI asked for several addresses{_for_whom(calls)}, failed ({code}), and asked "
            f"for one, {times(len(same))}{f', {times(in_vain)} in vain' if in_vain else ''}.",
            advice=_REFUSED_ADVICE,
            calls=calls,
            ongoing=in_vain > 0 and case.end(place) - calls[-1].time < USUAL_LAG,
        )


def is_exhausted(call: ResourceCall) -> bool:
    """Whether EC2 refused a call because a subnet was full, in whatever words."""
    failure = call.event.failure
    if failure is None:
        return False
    return call.code in _PLAIN or _DISGUISED.search(failure.message or "") is not None


def _says_no_block(call: ResourceCall) -> bool:
    failure = call.event.failure
    return failure is not None and _NO_BLOCK.search(f"{failure.code} {failure.message or ''}") is not None


def _by_subnet(call: ResourceCall) -> tuple[AccountRegion, str, str | None]:
    """The place, and the subnet; where the evidence does not have that, whatever it was asked for."""
    entry = call.entry
    where = entry.subnet or (f"The subnet of {entry.eni}" if entry.eni else "A subnet that no record names")
    return call.place, where, entry.subnet


def _for_whom(calls: Iterable[ResourceCall]) -> str:
    instances = {call.entry.instance for call in calls if call.entry.instance}
    return f" for {listed(instances)}" if instances else ""


def _in_other_words(calls: Iterable[ResourceCall]) -> str:
    """The codes that EC2 used in place of the plain ones."""
    codes = {call.code or "" for call in calls}
    others = codes - {*_PLAIN}
    return f" ({'' if others == codes else 'some '}as {listed(others)})" if others else ""


def _fallbacks(
    case: FindingContext, failed: Iterable[ResourceCall]
) -> Iterator[tuple[ResourceCall, ResourceCall]]:
    """Failed calls for several addresses, not by others, each with the call for one at once after it."""
    several = (call for call in failed if (call.entry.requested or 0) > 1 and not is_foreign(call))
    wanted = {call.event.key: call.entry.eni for call in several}
    for eni in sorted({eni for eni in wanted.values() if eni is not None}):
        asked = (call for call in case.by_eni[eni] if call.event.effect is Effect.ASSIGN)
        for first, second in pairwise(asked):
            at_once = second.time - first.time <= _AT_ONCE
            if first.event.key in wanted and second.entry.requested == 1 and at_once:
                yield first, second
