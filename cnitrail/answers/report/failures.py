"""Calls that failed, and what their failing means for the addresses of a node.

Codes are EC2's (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html); what the
VPC CNI does then is in pkg/ipamd/ipamd.go and pkg/awsutils/awsutils.go of amazon-vpc-cni-k8s.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from cnitrail.answers.report.principals import Principals
from cnitrail.answers.report.words import distinct, listed, many, quoted, span
from cnitrail.model import CitedCall, Effect, Failure, Statement
from cnitrail.model.callers import described

MEANINGS = {
    "AttachmentLimitExceeded": "the instance has as many interfaces as its type can have",
    "AuthFailure": "the caller's credentials were not accepted",
    "DryRunOperation": "the caller only asked whether it may",
    "InsufficientCidrBlocks": "the subnet has no free block of a prefix's size, though it may have addresses",
    "InsufficientFreeAddressesInSubnet": "the subnet has not as many free addresses",
    "InvalidAttachmentID.NotFound": "the attachment was gone already",
    "InvalidIPAddress.InUse": "another interface of the subnet has the address",
    "InvalidNetworkInterface.InUse": "the interface is in use",
    "InvalidNetworkInterfaceID.NotFound": "the interface was gone already",
    "NetworkInterfaceLimitExceeded": "the account has as many interfaces in the Region as it may have",
    "OperationNotPermitted": "EC2 does not let the caller do this to the interface",
    "PrivateIpAddressLimitExceeded": "the interface has as many addresses as the instance type allows on it",
    "RequestLimitExceeded": "EC2 throttled: the account had made more such calls than it may in this Region",
    "UnauthorizedOperation": "the caller's policies do not allow it",
}

_TOLD = 8


def failures(cast: Principals) -> Iterator[Statement]:
    """A sentence for each kind of failure, the most frequent first; the rest in one."""
    kinds: dict[tuple[str, str, int], list[CitedCall]] = defaultdict(list)
    for call in cast.calls:
        if call.entry.error is not None:
            kinds[call.entry.event, call.entry.error.code, call.principal].append(call)
    ranked = sorted(kinds.values(), key=lambda calls: -len(calls))
    deletions = _deletions(cast.calls)
    for calls in ranked[:_TOLD]:
        yield _told(calls, cast, deletions)
    if ranked[_TOLD:]:
        rest = [call for calls in ranked[_TOLD:] for call in calls]
        ways = many(len(ranked) - _TOLD, "other way")
        yield Statement(f"{many(len(rest), 'more call')} failed, in {ways}.", _events(rest))


def meaning(failure: Failure, effect: Effect) -> str | None:
    """What a failure means, in a clause; None where no more is known than its message."""
    if _too_early(failure, effect):
        return "the interface was still attached, as is usual when it has just been let go"
    return MEANINGS.get(failure.code.removeprefix("Client.").removeprefix("Server."))


def _too_early(failure: Failure, effect: Effect) -> bool:
    return effect is Effect.DELETE and "currently in use" in (failure.message or "")


def _told(calls: Sequence[CitedCall], cast: Principals, deletions: dict[str, list[CitedCall]]) -> Statement:
    first, last = calls[0].entry, calls[-1].entry
    assert first.error is not None
    principal = cast.principals[calls[0].principal]
    means = meaning(first.error, first.effect) or f"EC2 said: {quoted(first.error.message or 'nothing more')}"
    count = f"{len(calls):,} calls of " if len(calls) > 1 else ""
    who = described(quoted(principal.name), principal.facts)
    sentence = (
        f"{span(first.time, last.time)}: {count}{first.event} by {who} failed with "
        f"{quoted(first.error.code)}: {means.removesuffix('.')}."
    )
    asked = distinct(address for call in calls for address in call.entry.requested_addresses)
    if asked:
        sentence += f" Asked for: {listed([quoted(each) for each in asked])}."
    later = _later(calls, deletions) if _too_early(first.error, first.effect) else None
    if later is None:
        return Statement(sentence, _events(calls))
    waited = int((later.entry.time - last.time).total_seconds())
    return Statement(f"{sentence} It was deleted {waited} s later.", (*_events(calls), later.event))


def _later(calls: Sequence[CitedCall], deletions: dict[str, list[CitedCall]]) -> CitedCall | None:
    """The deletion that worked, where one interface is all that could not be deleted."""
    enis = {call.entry.eni for call in calls}
    done = deletions.get(enis.pop() or "", []) if len(enis) == 1 else []
    return next((each for each in done if each.entry.time >= calls[-1].entry.time), None)


def _deletions(calls: Sequence[CitedCall]) -> dict[str, list[CitedCall]]:
    done: dict[str, list[CitedCall]] = defaultdict(list)
    for call in calls:
        if call.entry.effect is Effect.DELETE and call.entry.error is None and call.entry.eni:
            done[call.entry.eni].append(call)
    return done


def _events(calls: Sequence[CitedCall]) -> tuple[int, ...]:
    return tuple(sorted({call.event for call in calls}))
