"""A pod in a few sentences: its addresses, on which node and ENI, and how sure that is."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from cnitrail.answers.explain.known import Known, distinct_sorted, only
from cnitrail.answers.explain.mentions import not_mentioned
from cnitrail.answers.explain.pod_sentences import doubts_about, last_seen
from cnitrail.answers.explain.sentences import findings_sentence, follow_up, judge, missing, where
from cnitrail.answers.explain.target import Target
from cnitrail.answers.pods.concerned import about_pods
from cnitrail.answers.pods.entries import pod_entry, pod_leases
from cnitrail.answers.pods.limits import uncovered_pods, unread_pods
from cnitrail.model import Finding, WhoAnswer
from cnitrail.model.explanation import Explanation, ExplanationSentence, SentenceCode
from cnitrail.model.pods import PodEntry, PodLease, witness_name
from cnitrail.text import capitalized, exact
from cnitrail.timeclamp import FIRST

_NAMED = 3
"""Addresses that a sentence names before it counts the rest."""


def explain_pod(known: Known, target: Target, at: datetime | None) -> Explanation:
    """Return a pod in sentences: as it was at a time, or else last before it. Raises ``NotMentioned``."""
    wanted = known.filter(pod=(target.name,))
    leases = sorted(pod_leases(known.history, wanted), key=_begin)
    then = [lease for lease in leases if at is None or _begin(lease) <= at]
    if not then:
        raise not_mentioned(known, target)
    last = [lease for lease in then if lease.uid == then[-1].uid]
    earlier = [lease for lease in then if lease not in last]
    places = [(lease.account, lease.region) for lease in last]
    time = at or known.end_of(places) or last_seen(known, last[-1].ip) or _moment(last[-1])
    answer = known.who(last[-1].ip, _moment(last[-1]), last[-1].vpc)
    found = judge(known, *about_pods(known.history, wanted))
    vpcs = distinct_sorted(lease.vpc for lease in last)
    return Explanation(
        target=target.text,
        kind=target.kind,
        name=target.name,
        at=time,
        account=only([lease.account for lease in last]),
        region=only([lease.region for lease in last]),
        vpcs=vpcs,
        subnets=distinct_sorted(holder.subnet for holder in answer.holders),
        clusters=distinct_sorted(lease.cluster for lease in last),
        verdict=answer.verdict,
        enis=distinct_sorted(lease.eni for lease in last),
        instances=distinct_sorted(lease.instance for lease in last),
        addresses=len({lease.ip for lease in last}),
        findings=None if found is None else len(found),
        severity=found[0].severity if found else None,
        sentences=tuple(_sentences(known, target, time, last, earlier, answer, found)),
    )


def _begin(lease: PodLease) -> datetime:
    return lease.start.latest or lease.start.earliest or lease.end.earliest or FIRST


def _moment(lease: PodLease) -> datetime:
    """Return a second in which the pod had its address, if any is known: the middle of the sure time."""
    begin = _begin(lease)
    end = lease.end.earliest
    middle = begin + (end - begin) / 2 if end is not None and end > begin else begin
    return middle.replace(microsecond=0) if middle.replace(microsecond=0) >= begin else middle


def _sentences(
    known: Known,
    target: Target,
    at: datetime,
    last: Sequence[PodLease],
    earlier: Sequence[PodLease],
    answer: WhoAnswer,
    found: Sequence[Finding] | None,
) -> Iterator[ExplanationSentence]:
    name, entries = target.name, [pod_entry(lease) for lease in last]
    is_over = all(entry.end is not None and entry.end <= at for entry in entries)
    yield _what(name, entries)
    yield ExplanationSentence(SentenceCode.NOW, _addresses(entries, "It had" if is_over else "It has"))
    if earlier:
        text = _addresses([pod_entry(lease) for lease in earlier], "An earlier pod of this name had")
        yield ExplanationSentence(SentenceCode.BEFORE, text)
    yield findings_sentence(known, found, "--pod", name)
    yield _certainty(answer)
    start = last[0].start.latest or last[0].start.earliest
    lacks = [] if is_over else [*uncovered_pods(known.history.pods, at, at)]
    lacks += unread_pods(known.history.pods)
    if lacks:
        text = capitalized("; ".join(reason.text for reason in lacks))
        yield ExplanationSentence(SentenceCode.MISSING, f"{text}.")
    yield from missing(known, at, start, [(lease.account, lease.region) for lease in last[-1:]], answer)
    if answer.holders:
        yield follow_up("See the calls around it:", known.rerun.command("timeline", "--pod", name))
    else:
        yield follow_up("See all of its evidence:", known.rerun.command("pods", "--pod", name, "-o", "json"))


def _what(name: str, entries: Sequence[PodEntry]) -> ExplanationSentence:
    last = entries[-1]
    place = where(None, last.vpc, last.account, last.region)
    known = [
        f"owned by {last.owner}" if last.owner else None,
        f"with service account {last.service_account}" if last.service_account else None,
        f"on node {last.node}" if last.node else None,
        f"in cluster {last.cluster}" if last.cluster else None,
    ]
    details = "".join(f", {detail}" for detail in known if detail is not None)
    return ExplanationSentence(SentenceCode.WHAT, f"{name} is a pod{place}{details}.")


def _addresses(entries: Sequence[PodEntry], verb: str) -> str:
    """Return the last addresses of a pod, each with its ENI and its time."""
    named = [f"{entry.ip} on {_place(entry)} {_since(entry)}{_until(entry)}" for entry in entries[-_NAMED:]]
    more = len(entries) - _NAMED
    return f"{verb} {'; '.join(named)}{f'; and {more:,} more before' if more > 0 else ''}."


def _place(entry: PodEntry) -> str:
    places = [place for place in (entry.eni, entry.instance) if place is not None]
    return " of ".join(places) or "an unknown ENI"


def _since(entry: PodEntry) -> str:
    word = "since" if entry.end is None else "from"
    if entry.start is None:
        return f"{word} an unknown time"
    is_exact = entry.start == entry.start_not_before
    by = f" ({witness_name(entry.start_witness)})" if entry.start_witness else ""
    return f"{word} {exact(entry.start)}{'' if is_exact else ' at the latest'}{by}"


def _until(entry: PodEntry) -> str:
    by = f" ({witness_name(entry.end_witness)})" if entry.end_witness else ""
    if entry.end is None:
        seen = f" (last seen with it at {exact(entry.end_not_before)}{by})" if entry.end_not_before else ""
        return f", no end seen{seen}"
    return f" until {exact(entry.end)}{'' if entry.end == entry.end_not_before else ' at the latest'}{by}"


def _certainty(answer: WhoAnswer) -> ExplanationSentence:
    """Return how sure it is that the pod had its last address."""
    assert answer.pod is not None
    doubts = doubts_about(answer.pod)
    because = f": {'; '.join(doubts[:_NAMED])}" if doubts else ""
    return ExplanationSentence(
        SentenceCode.CERTAINTY,
        f"The verdict for {answer.ip} at {exact(answer.pod.at)} is {answer.verdict.value} for its ENI, and "
        f"{answer.pod.verdict.value} for its pod{because}.",
    )
