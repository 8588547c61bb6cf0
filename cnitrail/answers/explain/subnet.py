"""A subnet in a few sentences: its size, who holds its addresses, and whether it is full."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from cnitrail.answers.explain.known import Known, distinct_sorted
from cnitrail.answers.explain.mentions import mentions, not_mentioned
from cnitrail.answers.explain.pod_sentences import pods_of
from cnitrail.answers.explain.sentences import (
    enis_of,
    failed_calls,
    failed_ids,
    findings_sentence,
    follow_up,
    judge,
    missing,
    where,
)
from cnitrail.answers.explain.target import Target
from cnitrail.answers.subnet import summary
from cnitrail.model import Finding, TimelineEntry
from cnitrail.model.explanation import Explanation, ExplanationSentence, SentenceCode
from cnitrail.model.subnet import SubnetCensus
from cnitrail.text import counted


def explain_subnet(known: Known, target: Target, at: datetime | None) -> Explanation:
    """Return a subnet in sentences. Raises ``NotMentioned``."""
    name = target.name
    time = at or known.end_of([known.subnets.place(name)])
    if time is None or not mentions(known, target):
        raise not_mentioned(known, target)
    census = known.subnets.census(name, time)
    entries = known.state(time, subnet=(name,))
    calls = known.timeline(time, subnet=(name,))
    found = judge(known, known.filter(subnet=(name,)))
    return Explanation(
        target=target.text,
        kind=target.kind,
        name=name,
        at=time,
        account=census.account,
        region=census.region,
        vpcs=distinct_sorted([census.vpc]),
        subnets=(name,),
        clusters=distinct_sorted(group.cluster for group in census.groups),
        verdict=None,
        enis=enis_of(entries),
        instances=distinct_sorted(entry.instance for entry in entries),
        addresses=sum(len(entry.addresses) for entry in entries),
        findings=None if found is None else len(found),
        severity=found[0].severity if found else None,
        sentences=tuple(_sentences(known, census, calls, found)),
    )


def _sentences(
    known: Known, census: SubnetCensus, calls: Sequence[TimelineEntry], found: Sequence[Finding] | None
) -> Iterator[ExplanationSentence]:
    name, rerun = census.subnet, known.rerun
    block = f" with CIDR {census.cidr}" if census.cidr is not None else ""
    size = f" and {census.size:,} usable IPs" if census.size else ""
    place = where(None, census.vpc, census.account, census.region)
    yield ExplanationSentence(SentenceCode.WHAT, f"{name} is a subnet{block}{size}{place}.")
    yield ExplanationSentence(SentenceCode.NOW, _now(known, census))
    enis = enis_of(known.state(census.at, subnet=(name,)))
    yield from pods_of(known, census.at, enis=enis, place="in it")
    if census.nodes:
        most = census.nodes[0]
        text = f"{counted(len(census.nodes), 'instance')} hold IPs in it; {most.instance} holds the most"
        if len(census.nodes) == 1:
            text = f"One instance holds IPs in it: {most.instance}"
        yield ExplanationSentence(SentenceCode.ORIGIN, f"{text} ({most.addresses:,}).")
    if failed := failed_calls(calls):
        yield ExplanationSentence(SentenceCode.BEFORE, f"{failed}.", failed_ids(calls))
    yield findings_sentence(known, found, "--subnet", name)
    if census.reasons:
        text = " ".join(reason.text for reason in census.reasons[:2])
        yield ExplanationSentence(SentenceCode.CERTAINTY, text)
    yield from missing(known, census.at, None, [(census.account, census.region)])
    yield follow_up("See who holds its IPs:", rerun.command("subnet", name))


def _now(known: Known, census: SubnetCensus) -> str:
    """Return how full a subnet is, and who holds its addresses."""
    shown = summary(census)
    if not shown:
        return f"At {known.moment(census.at)} no event shows an address in it."
    return f"At {known.moment(census.at)}, {shown[:1].lower()}{shown[1:]}"
