"""An instance in a few sentences: whether it is a node, its ENIs and addresses, and what failed."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from ipaddress import IPv4Address

from msgspec.structs import replace

from cnitrail.answers.explain.eni import primary_answer
from cnitrail.answers.explain.known import Known, distinct_sorted, shell
from cnitrail.answers.explain.mentions import mentions, not_mentioned
from cnitrail.answers.explain.pod_sentences import has_pods, last_seen_on, node_names, pods_of
from cnitrail.answers.explain.sentences import (
    call,
    certainty,
    enis_of,
    events_of,
    failed_calls,
    failed_ids,
    findings_sentence,
    follow_up,
    held_count,
    judge,
    last_change,
    missing,
    where,
)
from cnitrail.answers.explain.target import Target
from cnitrail.answers.nodes import instances_of_node
from cnitrail.model import (
    MANAGER_NAMES,
    SEVERITY_ORDER,
    AccountRegion,
    Basis,
    Effect,
    Finding,
    Instance,
    StateEntry,
    TimelineEntry,
    WhoAnswer,
)
from cnitrail.model.explanation import Explanation, ExplanationSentence, SentenceCode, TargetKind
from cnitrail.model.manager import NO_PLUGIN
from cnitrail.model.pool import PoolEntry
from cnitrail.text import clock, counted, duration, listed, short_list

_LEAVE_PODS_WAITING = frozenset(
    {
        "subnet-exhausted",
        "cni-call-denied",
        "api-throttled",
        "irsa-sign-in-failing",
        "attach-limit-loop",
        "address-limit-exceeded",
        "calls-keep-failing",
    }
)
"""Rules that find why pods are stuck in ContainerCreating."""

_NAMED = 3
"""Node names that a sentence names."""


def node_target(known: Known, target: Target, at: datetime | None) -> Target | None:
    """Return the instance that a node's name means at a time; None if only its address is known.

    An address that several instances had means the one that has it at the time, or had it last.
    """
    ip = IPv4Address(target.name)
    instances = instances_of_node(known.history, ip)
    if not instances:
        return None
    leases = known.leases(ip)
    time = at or known.end_of([(lease.account, lease.region) for lease in leases])
    chosen = instances[0]
    if len(instances) > 1 and time is not None:
        answer = known.who(ip, time)
        holders = {holder.instance for holder in answer.holders}
        last = answer.last_holder.instance if answer.last_holder is not None else None
        if len(holders) > 1:
            return None
        chosen = next(iter(holders), None) or last or instances[-1]
        chosen = chosen if chosen in instances else instances[-1]
    return replace(target, kind=TargetKind.INSTANCE, name=chosen)


def explain_instance(known: Known, target: Target, at: datetime | None) -> Explanation:
    """Return an instance in sentences. Raises ``NotMentioned``."""
    name, history = target.name, known.history
    if not mentions(known, target):
        raise not_mentioned(known, target)
    node = history.instances.get(name)
    pool = known.pool(name)
    account, region = _place(node, pool)
    time = at or known.end_of([(account, region)])
    if node is None and at is None and (last := last_seen_on(known, name)) is not None:
        known, time = replace(known, is_end=False), last.replace(microsecond=0)
    if time is None:
        raise not_mentioned(known, target)
    entries = known.state(time, instance=(name,))
    calls = known.timeline(time, instance=(name,))
    first = next((entry for entry in entries if entry.device_index == 0), entries[0] if entries else None)
    is_over = node is not None and node.ended.event is not None and node.ended.event.time <= time
    answer = None if is_over else primary_answer(known, first, time)
    found = _blocking_first(judge(known, known.filter(instance=(name,))))
    return Explanation(
        target=target.text,
        kind=target.kind,
        name=name,
        at=time,
        account=account,
        region=region,
        vpcs=distinct_sorted([*(entry.vpc for entry in entries), pool.vpc if pool is not None else None]),
        subnets=distinct_sorted([*(entry.subnet for entry in entries), *(pool.subnets if pool else ())]),
        clusters=_clusters(known, name, time, entries, pool),
        verdict=answer.verdict if answer is not None else None,
        enis=enis_of(entries),
        instances=(name,),
        addresses=sum(len(entry.addresses) for entry in entries),
        findings=None if found is None else len(found),
        severity=found[0].severity if found else None,
        sentences=tuple(_sentences(known, target, time, pool, entries, calls, answer, found)),
    )


def _sentences(
    known: Known,
    target: Target,
    at: datetime,
    pool: PoolEntry | None,
    entries: Sequence[StateEntry],
    calls: Sequence[TimelineEntry],
    answer: WhoAnswer | None,
    found: Sequence[Finding] | None,
) -> Iterator[ExplanationSentence]:
    name = target.name
    node = known.history.instances.get(name)
    yield _what(known, name, pool, _clusters(known, name, at, entries, pool))
    if found:
        yield findings_sentence(known, found, "--instance", name)
    yield _now(known, name, pool, entries, at)
    yield from pods_of(known, at, instance=name)
    yield _origin(known, name, pool)
    yield from _before(calls, enis_of(entries))
    claimed = [] if found else _claimed_calls(known, name, at)
    if claimed:
        yield _claims(claimed)
    elif not found:
        yield findings_sentence(known, found, "--instance", name)
    if answer is not None:
        yield certainty(answer, of_eni=True)
    start = node.launched.time if node is not None else None
    yield from missing(known, at, start, [_place(node, pool)], answer)
    yield _next(known, target, pool, found, claimed)


def _blocking_first(found: Sequence[Finding] | None) -> tuple[Finding, ...] | None:
    """Return findings with the gravest first, and of these the ones that leave pods without addresses."""
    if found is None:
        return None

    def order(finding: Finding) -> tuple[int, bool]:
        return SEVERITY_ORDER[finding.severity], finding.rule not in _LEAVE_PODS_WAITING

    return tuple(sorted(found, key=order))


def _what(known: Known, name: str, pool: PoolEntry | None, clusters: Sequence[str]) -> ExplanationSentence:
    node = known.history.instances.get(name)
    of_type = f"{node.instance_type} " if node is not None and node.instance_type else ""
    article = "an" if of_type[:1] in "aeimrx" and of_type else "a"
    if pool is not None and pool.is_node:
        of_cluster = f" of cluster {clusters[0]}" if len(clusters) == 1 else ""
        manager = pool.management.manager if pool.management is not None else None
        note = f"; {MANAGER_NAMES[manager]} manages its IPs" if manager and manager not in NO_PLUGIN else ""
        kind = f"{article} {of_type}node{of_cluster}"
    else:
        kind = f"{article} {of_type}instance" if of_type else "an instance"
        note = _node_by_pods(known, name)
    subnets = pool.subnets if pool is not None else ()
    subnet = subnets[0] if len(subnets) == 1 else node.subnet if node is not None else None
    vpc = pool.vpc if pool is not None else node.vpc if node is not None else None
    place = where(subnet, vpc, *_place(node, pool))
    return ExplanationSentence(SentenceCode.WHAT, f"{name} is {kind}{place}{note}.")


def _clusters(
    known: Known, name: str, at: datetime, entries: Sequence[StateEntry], pool: PoolEntry | None
) -> tuple[str, ...]:
    """Return the clusters of an instance and its ENIs; without ENIs, the one that it was in before."""
    of_instance = known.history.cluster_of(None, name, at).names
    if of_instance or entries:
        return distinct_sorted([*of_instance, *(cluster for entry in entries for cluster in entry.clusters)])
    return distinct_sorted([pool.cluster if pool is not None else None])


def _place(node: Instance | None, pool: PoolEntry | None) -> AccountRegion:
    """Return the account and Region of an instance, or of its ENIs if no event is about the instance."""
    known = node or pool
    return (known.account, known.region) if known is not None else (None, None)


def _node_by_pods(known: Known, name: str) -> str:
    """Return what pod evidence shows of an instance that CloudTrail does not show to be a node."""
    names = node_names(known, name)
    if names:
        return f", and node {listed(names[:_NAMED])} by pod evidence"
    if has_pods(known, name):
        return ", and a Kubernetes node by pod evidence"
    return "; nothing shows that it is a Kubernetes node"


def _now(
    known: Known, name: str, pool: PoolEntry | None, entries: Sequence[StateEntry], at: datetime
) -> ExplanationSentence:
    node = known.history.instances.get(name)
    attached = [entry for entry in entries if entry.attached is not False]
    left = [entry for entry in entries if entry.attached is False]
    ended = node.ended if node is not None else None
    if ended is not None and ended.event is not None and ended.event.time <= at:
        by = call(ended.event, known.history.actors[ended.event.key])
        how = "it was terminated" if ended.basis is Basis.OBSERVED else "its termination was asked for again"
        ago = duration(at - ended.event.time)
        text = f"It no longer exists at {known.moment(at)}: {how} by {by}, {ago} earlier"
        outliving = _outliving(known, name, at)
        if outliving:
            text += f"; {_enis(outliving)} still {'exists' if len(outliving) == 1 else 'exist'}"
        return ExplanationSentence(SentenceCode.NOW, f"{text}.", events_of(ended.event))
    if node is not None and node.launched.time is not None and node.launched.time > at:
        text = f"It does not exist yet at {known.moment(at)}: it was launched at {clock(node.launched.time)}."
        return ExplanationSentence(SentenceCode.NOW, text)
    if not attached:
        text = f"At {known.moment(at)} no event shows an ENI on it"
    else:
        text = f"At {known.moment(at)} it has {_enis(attached)}{_for_pods(pool, at)}"
    if left:
        text += f"; {_enis(left)}, created for it, {'is' if len(left) == 1 else 'are'} not attached"
    return ExplanationSentence(SentenceCode.NOW, f"{text}.")


def _outliving(known: Known, name: str, at: datetime) -> list[StateEntry]:
    """Return the ENIs that an instance left behind when it ended."""
    left = [(entry, known.history.departure(entry.eni, at)) for entry in known.state(at)]
    return [
        entry
        for entry, departure in left
        if departure is not None
        and departure.instance == name
        and departure.end.event is not None
        and departure.end.event.effect is Effect.TERMINATE
    ]


def _enis(entries: Sequence[StateEntry]) -> str:
    """Return ENIs with what they hold: ``2 ENIs (eni-a and eni-b) with 14 IPs``."""
    held = held_count([held for entry in entries for held in entry.addresses])
    names = short_list(enis_of(entries))
    return (
        f"{names} with {held}"
        if len(entries) == 1
        else f"{counted(len(entries), 'ENI')} ({names}) with {held}"
    )


def _for_pods(pool: PoolEntry | None, at: datetime) -> str:
    """Return how many addresses for pods a node has, and how many it can have."""
    if pool is None or not pool.is_node or pool.no_pool is not None:
        return ""
    sizes = [size for size in pool.size if size.time <= at]
    if not sizes:
        return ""
    most = f" of at most {pool.capacity:,}" if pool.capacity is not None else ""
    return f", {sizes[-1].pool:,}{most} for pods"


def _origin(known: Known, name: str, pool: PoolEntry | None) -> ExplanationSentence:
    node = known.history.instances.get(name)
    if node is not None and node.launched.event is not None:
        by = call(node.launched.event, known.history.actors[node.launched.event.key])
        text = f"It was launched by {by}."
        return ExplanationSentence(SentenceCode.ORIGIN, text, events_of(node.launched.event))
    begins = f"; the first event about it is at {clock(pool.since)}" if pool is not None else ""
    return ExplanationSentence(SentenceCode.ORIGIN, f"No event in the evidence launches it{begins}.")


def _before(calls: Sequence[TimelineEntry], enis: Sequence[str]) -> Iterator[ExplanationSentence]:
    """Yield the last change of its addresses, and the calls that failed."""
    change, failed = last_change(calls, enis), failed_calls(calls)
    parts = [change.text.rstrip(".")] if change is not None else []
    parts += [failed] if failed else []
    if parts:
        cited = [*(change.events if change is not None else ())]
        cited += failed_ids(calls)
        yield ExplanationSentence(SentenceCode.BEFORE, f"{'; '.join(parts)}.", tuple(dict.fromkeys(cited)))


def _claimed_calls(known: Known, name: str, at: datetime) -> list[TimelineEntry]:
    """Return the failed calls of other callers that only name an instance, as an operator's do."""
    return [
        entry
        for entry in known.timeline(at, failed=True)
        if entry.claimed_instance == name and entry.instance is None
    ]


def _claims(claimed: Sequence[TimelineEntry]) -> ExplanationSentence:
    """Return what failed for the instance if the callers' own words are true."""
    basis = "that they were for it is only what the caller wrote (description or tag)"
    text = f"{failed_calls(claimed)}; {basis}."
    return ExplanationSentence(SentenceCode.BEFORE, text, failed_ids(claimed))


def _next(
    known: Known,
    target: Target,
    pool: PoolEntry | None,
    found: Sequence[Finding] | None,
    claimed: Sequence[TimelineEntry],
) -> ExplanationSentence:
    name, rerun, named = target.name, known.rerun, failed_ids(claimed)
    if found:
        return follow_up("See the evidence and the remedy:", rerun.command("findings", "--instance", name))
    if named:
        command = rerun.command("findings", "--event-id", named[0])
        return follow_up("See the findings of the calls that name it:", command)
    if pool is not None and pool.is_node and (node := _node_name(target.text)) is not None:
        return follow_up("See the pods on it:", shell(*_PODS_OF, f"spec.nodeName={node}"))
    if pool is not None and pool.is_node and pool.no_pool is None:
        return follow_up("Compare its IP pool with its limits:", rerun.command("pool", "--instance", name))
    if known.history.instances.get(name) is None and has_pods(known, name):
        return follow_up("See the pods on it:", rerun.command("pods", "--instance", name))
    return follow_up("See every call about it:", rerun.command("timeline", "--instance", name))


_PODS_OF = ("kubectl", "get", "pods", "-A", "-o", "wide", "--field-selector")


def _node_name(text: str) -> str | None:
    """Return the node's name in Kubernetes if the user gave it: only a private DNS name is one for sure."""
    found = text.strip().lower()
    return found if "." in found and "/" not in found else None
