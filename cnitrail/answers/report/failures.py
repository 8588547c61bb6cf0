"""Calls that failed, and what that means for the addresses of a node."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from cnitrail.answers.address_limits import AddressRequests
from cnitrail.answers.error_meanings import is_too_early, meaning
from cnitrail.answers.report.citation_index import CitationIndex
from cnitrail.model import CallOutcome, CitedCall, Effect, Statement
from cnitrail.model.callers import described
from cnitrail.model.ec2 import ADDRESS_LIMIT, error_code
from cnitrail.text import counted, distinct, listed, quoted, time_range

_DESCRIBED = 8
"""Kinds of failures with a sentence of their own; the rest share one."""


def failures(index: CitationIndex, requests: AddressRequests) -> Iterator[Statement]:
    """Yield a sentence for each kind of failure, the most frequent first, and one for the rest."""
    kinds: dict[tuple[str, str, int], list[CitedCall]] = defaultdict(list)
    for call in index.calls:
        if call.entry.error is not None and call.entry.outcome is CallOutcome.FAILED:
            kinds[call.entry.event, call.entry.error.code, call.principal].append(call)
    ranked = sorted(kinds.values(), key=lambda calls: -len(calls))
    deletions = _deletions(index.calls)
    for calls in ranked[:_DESCRIBED]:
        yield _statement(calls, index, deletions, requests)
    if ranked[_DESCRIBED:]:
        rest = [call for calls in ranked[_DESCRIBED:] for call in calls]
        errors = counted(len(ranked) - _DESCRIBED, "other error")
        yield Statement(f"{counted(len(rest), 'more call')} failed, with {errors}.", _events(rest))


def _statement(
    calls: Sequence[CitedCall],
    index: CitationIndex,
    deletions: dict[str, list[CitedCall]],
    requests: AddressRequests,
) -> Statement:
    first, last = calls[0].entry, calls[-1].entry
    assert first.error is not None
    principal = index.principals[calls[0].principal]
    said = "STS" if first.effect is Effect.SIGN_IN else "EC2"
    means = _too_many(calls, requests) or meaning(first.error, first.effect)
    means = means or f"{said} said: {quoted(first.error.message or 'no message')}"
    what = counted(len(calls), f"{first.event} call") if len(calls) > 1 else first.event
    who = described(quoted(principal.name), principal.facts)
    sentence = (
        f"{time_range(first.time, last.time)}: {what} by {who} failed with "
        f"{quoted(first.error.code)}: {means.removesuffix('.')}."
    )
    requested = distinct(address for call in calls for address in call.entry.requested_addresses)
    if requested:
        sentence += f" Requested: {listed([quoted(address) for address in requested])}."
    later = _later_deletion(calls, deletions) if is_too_early(first.error, first.effect) else None
    if later is None:
        return Statement(sentence, _events(calls))
    waited = int((later.entry.time - last.time).total_seconds())
    return Statement(f"{sentence} It was deleted {waited} s later.", (*_events(calls), later.event))


def _too_many(calls: Sequence[CitedCall], requests: AddressRequests) -> str | None:
    """Return what calls beyond the limit of an ENI asked for, if it is the same for all; else None."""
    if calls[0].entry.error is None or error_code(calls[0].entry.error.code) != ADDRESS_LIMIT:
        return None
    texts = {requests.of(call.entry).text for call in calls}
    return texts.pop() if len(texts) == 1 else None


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
