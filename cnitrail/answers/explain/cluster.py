"""An EKS cluster in a few sentences: its nodes and addresses, what failed, and what is wrong."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from cnitrail.answers.explain.known import Known, distinct_sorted, only
from cnitrail.answers.explain.mentions import mentions, not_mentioned
from cnitrail.answers.explain.pod_sentences import pods_of
from cnitrail.answers.explain.sentences import (
    enis_of,
    failed_calls,
    failed_ids,
    findings_sentence,
    follow_up,
    held_count,
    ids,
    judge,
    missing,
    names_of,
    where,
)
from cnitrail.answers.explain.target import Target
from cnitrail.answers.filters import Filter
from cnitrail.model import MANAGER_NAMES, CallOutcome, Effect, Finding, StateEntry, TimelineEntry
from cnitrail.model.explanation import Explanation, ExplanationSentence, SentenceCode
from cnitrail.model.manager import NO_PLUGIN
from cnitrail.text import counted, listed


def explain_cluster(known: Known, target: Target, at: datetime | None) -> Explanation:
    """Return a cluster in sentences. Raises ``NotMentioned``."""
    name = target.name
    if not mentions(known, target):
        raise not_mentioned(known, target)
    wanted = known.wanted
    place = {"vpc": wanted.vpc, "account": wanted.account, "region": wanted.region, "cluster": (name,)}
    latest = max(event.time for event in known.history.events)
    everything = known.timeline(latest, **place)
    places = {(entry.account, entry.region) for entry in everything}
    if not everything and wanted != Filter():
        raise not_mentioned(known, target)
    time = at or known.end_of(places)
    if time is None:
        raise not_mentioned(known, target)
    entries = known.state(time, **place)
    calls = [entry for entry in everything if entry.time <= time]
    found = judge(known, known.filter(cluster=(name,)))
    return Explanation(
        target=target.text,
        kind=target.kind,
        name=name,
        at=time,
        account=only([account for account, _ in places]),
        region=only([region for _, region in places]),
        vpcs=distinct_sorted(entry.vpc for entry in entries),
        subnets=distinct_sorted(entry.subnet for entry in entries),
        clusters=(name,),
        verdict=None,
        enis=enis_of(entries),
        instances=distinct_sorted(entry.instance for entry in entries if entry.attached is not False),
        addresses=sum(len(entry.addresses) for entry in entries),
        findings=None if found is None else len(found),
        severity=found[0].severity if found else None,
        sentences=tuple(_sentences(known, name, time, entries, calls, found)),
    )


def _sentences(
    known: Known,
    name: str,
    at: datetime,
    entries: Sequence[StateEntry],
    calls: Sequence[TimelineEntry],
    found: Sequence[Finding] | None,
) -> Iterator[ExplanationSentence]:
    of_calls = {(entry.account, entry.region) for entry in calls}
    places = sorted(of_calls | {(entry.account, entry.region) for entry in entries}, key=str)
    vpcs = distinct_sorted(entry.vpc for entry in entries)
    place = where(
        None, only(vpcs), only([account for account, _ in places]), only([region for _, region in places])
    )
    several = f", in {names_of(vpcs, 'VPC')}" if len(vpcs) > 1 else ""
    yield ExplanationSentence(
        SentenceCode.WHAT, f"{name} is an EKS cluster{place}{several}{_managed(known, entries)}."
    )
    yield _now(known, entries, at)
    yield from pods_of(known, at, enis=enis_of(entries), place="on its nodes")
    yield from _launches(calls)
    yield from _failed(calls)
    yield findings_sentence(known, found, "--cluster", name)
    yield from _certainty(known, name, entries, at)
    yield from missing(known, at, min((entry.time for entry in calls), default=None), places)
    text, command = (
        ("See the evidence and the remedies:", "findings") if found else ("Compare its nodes:", "pool")
    )
    yield follow_up(text, known.rerun.command(command, "--cluster", name))


def _managed(known: Known, entries: Sequence[StateEntry]) -> str:
    nodes = {entry.instance for entry in entries if entry.instance}
    managers = {known.history.manager_of_node(node).manager for node in nodes} - set(NO_PLUGIN)
    names = sorted(MANAGER_NAMES[manager] for manager in managers)
    return (
        f"; {listed(names)} {'manages' if len(names) == 1 else 'manage'} the IPs of its nodes"
        if names
        else ""
    )


def _now(known: Known, entries: Sequence[StateEntry], at: datetime) -> ExplanationSentence:
    if not entries:
        text = f"At {known.moment(at)} no event shows an ENI of it."
        return ExplanationSentence(SentenceCode.NOW, text)
    on_nodes = [entry for entry in entries if entry.instance and entry.attached is not False]
    others = [entry for entry in entries if entry not in on_nodes]
    nodes = {entry.instance for entry in on_nodes}
    parts = []
    if nodes:
        held = held_count([held for entry in on_nodes for held in entry.addresses])
        subnets = distinct_sorted(entry.subnet for entry in on_nodes)
        in_subnets = f", in {names_of(subnets, 'subnet')}" if subnets else ""
        parts.append(
            f"{counted(len(nodes), 'node')} with {counted(len(on_nodes), 'ENI')} and {held}{in_subnets}"
        )
    if others:
        held = held_count([held for entry in others for held in entry.addresses])
        parts.append(f"{counted(len(others), 'ENI')} on no node, with {held}")
    return ExplanationSentence(SentenceCode.NOW, f"At {known.moment(at)} it has {'; and '.join(parts)}.")


def _launches(calls: Sequence[TimelineEntry]) -> Iterator[ExplanationSentence]:
    """Yield how many nodes were launched and terminated."""
    done = [entry for entry in calls if entry.outcome is CallOutcome.OK]
    launched = {entry.instance: entry for entry in done if entry.effect is Effect.LAUNCH and entry.instance}
    ended = {entry.instance: entry for entry in done if entry.effect is Effect.TERMINATE and entry.instance}
    if launched or ended:
        cited = ids(*(entry.event_id for entry in (*launched.values(), *ended.values())))
        begun = f"{counted(len(launched), 'node')} {'was' if len(launched) == 1 else 'were'} launched"
        over = f"{len(ended):,} terminated" if ended else "none was terminated"
        text = f"In the evidence, {begun} and {over}."
        yield ExplanationSentence(SentenceCode.ORIGIN, text, tuple(dict.fromkeys(cited)))


def _failed(calls: Sequence[TimelineEntry]) -> Iterator[ExplanationSentence]:
    if failed := failed_calls(calls):
        yield ExplanationSentence(SentenceCode.BEFORE, f"{failed}.", failed_ids(calls))


def _certainty(
    known: Known, name: str, entries: Sequence[StateEntry], at: datetime
) -> Iterator[ExplanationSentence]:
    """Yield that tags, which others than AWS may write, name the cluster."""
    claimed = [
        entry for entry in entries if not known.history.cluster_of(entry.eni, entry.instance, at).by_aws
    ]
    if claimed:
        text = f"Tags show which ENIs and nodes belong to {name}; whoever may tag them could change that."
        yield ExplanationSentence(SentenceCode.CERTAINTY, text)
