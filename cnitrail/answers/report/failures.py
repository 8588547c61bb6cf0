"""Calls that failed, and what that means for the addresses of a node.

Codes are EC2's (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html); what the
VPC CNI does then is in pkg/ipamd/ipamd.go and pkg/awsutils/awsutils.go of amazon-vpc-cni-k8s.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from cnitrail.answers.report.citation_index import CitationIndex
from cnitrail.model import CallOutcome, CitedCall, Effect, Failure, Statement
from cnitrail.model.callers import described
from cnitrail.model.ec2 import (
    ADDRESS_LIMIT,
    ATTACHMENT_LIMIT,
    NO_FREE_ADDRESS,
    NO_FREE_BLOCK,
    REQUEST_LIMIT,
    error_code,
)
from cnitrail.text import counted, distinct, listed, quoted, time_range

MEANINGS = {
    ATTACHMENT_LIMIT: "the instance has as many ENIs as its type allows",
    "AuthFailure": "EC2 did not accept the caller's credentials",
    "DryRunOperation": "this was a dry run, which changes nothing",
    NO_FREE_BLOCK: "the subnet has no free /28 block, although it may have free addresses",
    NO_FREE_ADDRESS: "the subnet does not have enough free addresses",
    "InvalidAttachmentID.NotFound": "the attachment did not exist any more",
    "InvalidIPAddress.InUse": "another ENI in the subnet has the address",
    "InvalidNetworkInterface.InUse": "the ENI is in use",
    "InvalidNetworkInterfaceID.NotFound": "the ENI did not exist any more",
    "NetworkInterfaceLimitExceeded": "the account has as many ENIs in the Region as its quota allows",
    "OperationNotPermitted": "EC2 does not permit the caller to do this to the ENI",
    ADDRESS_LIMIT: "the ENI has as many addresses as the instance type allows",
    REQUEST_LIMIT: "EC2 throttled the call: the account exceeded its API limit in this Region",
    "UnauthorizedOperation": "the caller's policies do not allow it",
}

_DESCRIBED = 8
"""Kinds of failures with a sentence of their own; the rest share one."""


def failures(index: CitationIndex) -> Iterator[Statement]:
    """Yield a sentence for each kind of failure, the most frequent first, and one for the rest."""
    kinds: dict[tuple[str, str, int], list[CitedCall]] = defaultdict(list)
    for call in index.calls:
        if call.entry.error is not None and call.entry.outcome is CallOutcome.FAILED:
            kinds[call.entry.event, call.entry.error.code, call.principal].append(call)
    ranked = sorted(kinds.values(), key=lambda calls: -len(calls))
    deletions = _deletions(index.calls)
    for calls in ranked[:_DESCRIBED]:
        yield _statement(calls, index, deletions)
    if ranked[_DESCRIBED:]:
        rest = [call for calls in ranked[_DESCRIBED:] for call in calls]
        errors = counted(len(ranked) - _DESCRIBED, "other error")
        yield Statement(f"{counted(len(rest), 'more call')} failed, with {errors}.", _events(rest))


def meaning(failure: Failure, effect: Effect) -> str | None:
    """Return what a failure means, as a clause; None if only its message says so."""
    if _is_too_early(failure, effect):
        return "the ENI was still detaching (normal right after DetachNetworkInterface)"
    return MEANINGS.get(error_code(failure.code))


def _is_too_early(failure: Failure, effect: Effect) -> bool:
    return effect is Effect.DELETE and "currently in use" in (failure.message or "")


def _statement(
    calls: Sequence[CitedCall], index: CitationIndex, deletions: dict[str, list[CitedCall]]
) -> Statement:
    first, last = calls[0].entry, calls[-1].entry
    assert first.error is not None
    principal = index.principals[calls[0].principal]
    means = meaning(first.error, first.effect) or f"EC2 said: {quoted(first.error.message or 'no message')}"
    what = counted(len(calls), f"{first.event} call") if len(calls) > 1 else first.event
    who = described(quoted(principal.name), principal.facts)
    sentence = (
        f"{time_range(first.time, last.time)}: {what} by {who} failed with "
        f"{quoted(first.error.code)}: {means.removesuffix('.')}."
    )
    requested = distinct(address for call in calls for address in call.entry.requested_addresses)
    if requested:
        sentence += f" Requested: {listed([quoted(address) for address in requested])}."
    later = _later_deletion(calls, deletions) if _is_too_early(first.error, first.effect) else None
    if later is None:
        return Statement(sentence, _events(calls))
    waited = int((later.entry.time - last.time).total_seconds())
    return Statement(f"{sentence} It was deleted {waited} s later.", (*_events(calls), later.event))


def _later_deletion(calls: Sequence[CitedCall], deletions: dict[str, list[CitedCall]]) -> CitedCall | None:
    """Return the deletion that succeeded, if all calls are about one ENI."""
    enis = {call.entry.eni for call in calls}
    done = deletions.get(enis.pop() or "", []) if len(enis) == 1 else []
    return next((call for call in done if call.entry.time >= calls[-1].entry.time), None)


def _deletions(calls: Sequence[CitedCall]) -> dict[str, list[CitedCall]]:
    done: dict[str, list[CitedCall]] = defaultdict(list)
    for call in calls:
        if call.entry.effect is Effect.DELETE and call.entry.error is None and call.entry.eni:
            done[call.entry.eni].append(call)
    return done


def _events(calls: Sequence[CitedCall]) -> tuple[int, ...]:
    return tuple(sorted({call.event for call in calls}))
