"""An address in a few sentences: who holds it, who assigned it, and who held it before."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from msgspec.structs import replace

from cnitrail.answers.explain.known import Known, distinct_sorted, only
from cnitrail.answers.explain.mentions import not_mentioned
from cnitrail.answers.explain.pod_sentences import last_seen, pod_of
from cnitrail.answers.explain.sentences import (
    certainty,
    findings_sentence,
    follow_up,
    ids,
    instance_name,
    judge,
    missing,
    since,
    where,
)
from cnitrail.answers.explain.target import Target
from cnitrail.answers.filters import Filter, meets
from cnitrail.answers.findings.names import caller_name
from cnitrail.model import (
    Basis,
    Effect,
    Finding,
    Holder,
    HoldingKind,
    LeaseEntry,
    TimelineEntry,
    Verdict,
    WhoAnswer,
)
from cnitrail.model.coverage import may_be_equal
from cnitrail.model.eni_kinds import users_of
from cnitrail.model.explanation import Explanation, ExplanationSentence, SentenceCode
from cnitrail.model.reason import ReasonCode
from cnitrail.text import clock, counted, duration, listed

_KINDS = {
    HoldingKind.PRIMARY: "as the primary address",
    HoldingKind.SECONDARY: "as a secondary address",
}

_NAMED = 4
"""Holders that a sentence names before it counts the rest."""


def explain_address(known: Known, target: Target, at: datetime | None) -> Explanation:
    """Return an address in sentences. Raises ``NotMentioned``."""
    ip = ip_address(target.name)
    leases = known.leases(ip)
    places = [(lease.account, lease.region) for lease in leases]
    time = at or known.end_of(places)
    if time is None:
        known, time = replace(known, is_end=False), last_seen(known, ip)
    wanted = known.filter(ip=(ip_network(ip),))
    asked = [] if leases or time is None else known.timeline(time, ip=wanted.ip)
    if time is None or not (leases or asked or last_seen(known, ip)):
        raise not_mentioned(known, target)
    answer = known.who(ip, time)
    if at is None and any(reason.code is ReasonCode.SAME_SECOND for reason in answer.reasons):
        # The evidence ends with a change of the address: its outcome is wanted, not the second itself.
        time += timedelta(seconds=1)
        known, answer = replace(known, is_end=False), known.who(ip, time)
    at = answer.at or time
    holders = _last_holders(answer)
    found = judge(known, *_filters(known, target, holders))
    vpcs = distinct_sorted(lease.vpc for lease in leases)
    spans: Sequence[Holder | LeaseEntry] = holders or leases
    return Explanation(
        target=target.text,
        kind=target.kind,
        name=str(ip),
        at=at,
        account=only([span.account for span in spans]),
        region=only([span.region for span in spans]),
        vpcs=vpcs,
        subnets=distinct_sorted(span.subnet for span in spans),
        clusters=distinct_sorted(holder.cluster for holder in answer.holders),
        verdict=answer.verdict,
        enis=tuple(holder.eni for holder in answer.holders),
        instances=distinct_sorted(holder.instance for holder in answer.holders),
        addresses=None,
        findings=None if found is None else len(found),
        severity=found[0].severity if found else None,
        sentences=tuple(_sentences(known, target, at, answer, leases, asked, found)),
    )


def _last_holders(answer: WhoAnswer) -> tuple[Holder, ...]:
    """Return the holders at the time, or else the last one before it."""
    return answer.holders or ((answer.last_holder,) if answer.last_holder is not None else ())


def _filters(known: Known, target: Target, holders: Sequence[Holder]) -> list[Filter]:
    """Return the filters of the findings that concern an address: those about it, or its last ENIs."""
    vpcs = distinct_sorted(holder.vpc for holder in holders)
    by_address = known.filter(ip=(ip_network(target.name),), vpc=vpcs or known.wanted.vpc)
    enis = tuple(holder.eni for holder in holders)
    return [by_address, *([known.filter(eni=enis)] if enis else [])]


def _sentences(
    known: Known,
    target: Target,
    at: datetime,
    answer: WhoAnswer,
    leases: Sequence[LeaseEntry],
    asked: Sequence[TimelineEntry],
    found: Sequence[Finding] | None,
) -> Iterator[ExplanationSentence]:
    holders = answer.holders
    yield _what(target, answer, leases)
    if not leases:
        yield _only_asked_for(known, at, asked)
    elif not holders:
        yield _nobody(known, at, answer, leases)
    elif len({holder.eni for holder in holders}) > 1:
        yield _several(known, at, answer)
    else:
        yield _holder(known, holders[0], at)
    yield from pod_of(answer)
    if len({holder.eni for holder in holders}) == 1:
        yield _origin(known, holders[0])
    if leases and not holders:
        yield from _elsewhere(known, at, answer, leases)
    yield from _before(known, answer, leases)
    yield findings_sentence(known, found, "--ip", target.name)
    if leases:
        yield certainty(answer)
    start = holders[0].start if len(holders) == 1 else at
    if not holders and answer.last_holder is not None:
        start = answer.last_holder.end
    places = [(holder.account, holder.region) for holder in _last_holders(answer)]
    yield from missing(
        known, at, start, places or [(lease.account, lease.region) for lease in leases], answer
    )
    yield _next(known, target, at, answer, found)


def _what(target: Target, answer: WhoAnswer, leases: Sequence[LeaseEntry]) -> ExplanationSentence:
    vpcs = distinct_sorted(lease.vpc for lease in leases)
    if len(vpcs) > 1:
        text = f"{target.name} is an address in {len(vpcs)} VPCs: {listed(vpcs)}."
        return ExplanationSentence(SentenceCode.WHAT, text)
    spans: Sequence[Holder | LeaseEntry] = answer.holders or leases
    subnet, vpc = only([span.subnet for span in spans]), only([span.vpc for span in spans])
    place = where(subnet, vpc, only([span.account for span in spans]), only([span.region for span in spans]))
    text = f"{target.name} is an IP address{place}."
    return ExplanationSentence(SentenceCode.WHAT, text)


def _on(known: Known, holder: Holder, at: datetime) -> str:
    if holder.instance is not None:
        return f"{holder.eni} of {instance_name(known, holder.instance, holder.eni, at)}"
    if holder.service is not None:
        return f"{holder.eni} ({users_of(holder.service)})"
    return f"{holder.eni} ({'attached to nothing' if holder.attached is False else 'no known instance'})"


def _holder(known: Known, holder: Holder, at: datetime) -> ExplanationSentence:
    kind = f"in prefix {holder.prefix}" if holder.prefix is not None else _KINDS.get(holder.kind, "")
    until = f", until {clock(holder.end)}" if holder.end is not None and holder.end != at else ""
    text = f"At {known.moment(at)}, {_on(known, holder, at)} holds it {kind}".rstrip()
    return ExplanationSentence(SentenceCode.NOW, f"{text}, {since(holder.start, at)}{until}.")


def _origin(known: Known, holder: Holder) -> ExplanationSentence:
    actor = holder.assigned_by
    if actor is None or holder.start is None:
        first = known.first_of(holder.account, holder.region)
        begins = f"; the evidence begins at {clock(first)}" if first is not None else ""
        return ExplanationSentence(
            SentenceCode.ORIGIN, f"No event in the evidence assigns it to {holder.eni}{begins}."
        )
    event = known.event(holder.assign_event)
    name = f" ({event.name})" if event is not None else ""
    text = f"{caller_name(actor)} assigned it at {clock(holder.start)}{name}."
    return ExplanationSentence(SentenceCode.ORIGIN, text, ids(holder.assign_event))


def _several(known: Known, at: datetime, answer: WhoAnswer) -> ExplanationSentence:
    named = [f"{_on(known, holder, at)} in {holder.vpc or 'an unknown VPC'}" for holder in answer.holders]
    more = f", and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
    text = f"At {known.moment(at)}, any of these may hold it: {'; '.join(named[:_NAMED])}{more}."
    return ExplanationSentence(
        SentenceCode.NOW, text, ids(*(holder.assign_event for holder in answer.holders))
    )


def _nobody(
    known: Known, at: datetime, answer: WhoAnswer, leases: Sequence[LeaseEntry]
) -> ExplanationSentence:
    nobody = "It is unassigned" if answer.verdict is Verdict.FREE else "No ENI is known to hold it"
    last = answer.last_holder
    text = f"{nobody} at {known.moment(at)}"
    if last is None or last.end is None:
        later = [lease for lease in leases if lease.start is not None and lease.start > at]
        if later:
            following = min(later, key=lambda lease: (lease.start, lease.eni))
            assert following.start is not None
            text += f"; it was first assigned to {following.eni} at {clock(following.start)}"
        return ExplanationSentence(SentenceCode.NOW, f"{text}.")
    lease = next((lease for lease in leases if (lease.eni, lease.end) == (last.eni, last.end)), None)
    end = _end(known, lease) if lease is not None else f"until {clock(last.end)}"
    text += f"; {_on(known, last, last.end)} held it last, {end} ({duration(at - last.end)} earlier)"
    cited = ids(lease.end_event if lease is not None else None)
    return ExplanationSentence(SentenceCode.NOW, f"{text}.", cited)


def _elsewhere(
    known: Known, at: datetime, answer: WhoAnswer, leases: Sequence[LeaseEntry]
) -> Iterator[ExplanationSentence]:
    """Yield the last holder in each other VPC that uses the address."""
    last = answer.last_holder
    others = distinct_sorted(lease.vpc for lease in leases if last is not None and lease.vpc != last.vpc)
    for vpc in others[:1]:
        held = [lease for lease in leases if lease.vpc == vpc and lease.end and lease.end < at]
        if held:
            lease = max(held, key=lambda lease: (lease.end, lease.eni))
            more = f" ({counted(len(others) - 1, 'more VPC')})" if len(others) > 1 else ""
            text = f"In {vpc}, {lease.eni} held it last, {_end(known, lease)}{more}."
            yield ExplanationSentence(SentenceCode.BEFORE, text, ids(lease.start_event, lease.end_event))


_ENDS = {
    Effect.UNASSIGN: "released it",
    Effect.DELETE: "deleted its ENI",
    Effect.TERMINATE: "terminated its instance",
    Effect.ASSIGN: "assigned it to another ENI",
}


def _end(known: Known, lease: LeaseEntry) -> str:
    """Return how a lease ended: ``until ada (IAM user) released it at 2022-10-05 13:15:46Z``."""
    event = known.event(lease.end_event)
    if lease.end is None or event is None or event.effect not in _ENDS:
        end = f"until {clock(lease.end)}" if lease.end is not None else "until an unknown time"
        return end if lease.end_basis is Basis.OBSERVED else f"{end} (end time inferred)"
    if event.effect is Effect.TERMINATE and lease.start is not None and event.time < lease.start:
        by = caller_name(known.history.actors[event.key])
        return f"until an unknown time: {by} had terminated its instance at {clock(event.time)}"
    inferred = "" if lease.end_basis is Basis.OBSERVED or event.effect is Effect.TERMINATE else ", or earlier"
    by = f"{caller_name(known.history.actors[event.key])} {_ENDS[event.effect]}"
    return f"until {by} at {clock(lease.end)}{inferred}"


def _only_asked_for(known: Known, at: datetime, asked: Sequence[TimelineEntry]) -> ExplanationSentence:
    if not asked:
        return ExplanationSentence(
            SentenceCode.NOW, f"At {known.moment(at)}, no CloudTrail event shows it on an ENI."
        )
    last = asked[-1]
    error = f" and failed with {last.error.code}" if last.error is not None else ""
    text = (
        f"No event shows it on an ENI; {counted(len(asked), 'call')} only named it, the last one by "
        f"{caller_name(last.actor)} at {clock(last.time)} ({last.event}){error}."
    )
    return ExplanationSentence(SentenceCode.NOW, text, ids(last.event_id))


def _before(known: Known, answer: WhoAnswer, leases: Sequence[LeaseEntry]) -> Iterator[ExplanationSentence]:
    """Yield the holder before the present one (or before the last one), in the same VPC."""
    current = answer.holders[0] if len(answer.holders) == 1 else answer.last_holder
    if current is None or current.start is None:
        return
    earlier = [
        lease
        for lease in leases
        if lease.end is not None
        and lease.end <= current.start
        and may_be_equal(lease.vpc, current.vpc)
        and (lease.eni, lease.start) != (current.eni, current.start)
    ]
    if (beside := _beside(leases, current)) is not None:
        yield beside
        return
    if not earlier:
        yield ExplanationSentence(SentenceCode.BEFORE, "No earlier holder is in the evidence.")
        return
    last = max(earlier, key=lambda lease: (lease.end, lease.start is not None, lease.start))
    assert last.end is not None
    instance = known.history.instance_of(last.eni, last.end)[0]
    name = f"{last.eni} of {instance}" if instance else last.eni
    began = f"from {clock(last.start)} " if last.start is not None else ""
    is_taken = last.end_event is not None and last.end_event == current.assign_event
    end = f"until this call took it away at {clock(last.end)}" if is_taken else _end(known, last)
    more = f"; {counted(len(earlier) - 1, 'more earlier lease')}" if len(earlier) > 1 else ""
    text = f"Before that, {name} held it {began}{end}{more}."
    yield ExplanationSentence(SentenceCode.BEFORE, text, ids(last.start_event, last.end_event))


def _beside(leases: Sequence[LeaseEntry], current: Holder) -> ExplanationSentence | None:
    """Return another ENI that held the address before, and that no event shows to have lost it by then."""
    assert current.start is not None
    open_ended = [
        lease
        for lease in leases
        if lease.eni != current.eni
        and (lease.end is None or lease.end > current.start)
        and (lease.start is None or lease.start < current.start)
        and may_be_equal(lease.vpc, current.vpc)
    ]
    if not open_ended:
        return None
    last = max(open_ended, key=lambda lease: (lease.start is not None, lease.start, lease.eni))
    began = f"at {clock(last.start)}" if last.start is not None else "before"
    same = "" if last.vpc and current.vpc else ", perhaps in another VPC"
    text = f"{last.eni} also held it {began}{same}; no event shows whether it lost it to {current.eni}."
    return ExplanationSentence(SentenceCode.BEFORE, text, ids(last.start_event))


def _next(
    known: Known, target: Target, at: datetime, answer: WhoAnswer, found: Sequence[Finding] | None
) -> ExplanationSentence:
    ip, rerun = target.name, known.rerun
    vpcs = distinct_sorted(holder.vpc for holder in answer.holders)
    if len(vpcs) > 1:
        return follow_up("Choose one VPC:", known.explain_next(at, ip, "--vpc", vpcs[0]))
    if found:
        is_about_it = any(meets(ip_network(ip), held) for held in found[0].addresses)
        by_eni = [word for holder in _last_holders(answer) for word in ("--eni", holder.eni)]
        words = ["--ip", ip] if is_about_it or not by_eni else by_eni
        return follow_up("See the evidence and the remedy:", rerun.command("findings", *words))
    if answer.holders and answer.holders[0].instance is not None:
        instance = answer.holders[0].instance
        return follow_up("Explain its instance:", known.explain_next(at, instance))
    if answer.holders:
        return follow_up("Explain its ENI:", known.explain_next(at, answer.holders[0].eni))
    if answer.pod is not None and not (known.leases(ip_address(ip)) or known.history.events):
        return follow_up("See every pod that had it:", rerun.command("pods", "--ip", ip))
    return follow_up("See every call that names it:", rerun.command("timeline", "--ip", ip))
