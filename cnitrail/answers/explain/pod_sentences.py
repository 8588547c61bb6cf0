"""The pods of an explanation: which one had an address, and how many an instance or ENI had."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from cnitrail.answers.explain.known import Known
from cnitrail.answers.pods.entries import has_pod_evidence, pod_name
from cnitrail.answers.pods.limits import uncovered_pods
from cnitrail.answers.pods.on_enis import pods_on
from cnitrail.model import Address, WhoAnswer
from cnitrail.model.explanation import ExplanationSentence, SentenceCode
from cnitrail.model.pods import PodAnswer, PodEntry, PodLease, PodVerdict
from cnitrail.model.reason import STORY, ReasonCode
from cnitrail.text import capitalized, counted, exact, listed, short_list

_NAMED = 3
"""Pods that a sentence names before it counts the rest."""


def pod_of(answer: WhoAnswer) -> Iterator[ExplanationSentence]:
    """Yield which pod had an address, as ``who`` answers; nothing if there is no pod evidence."""
    found = answer.pod
    if found is None:
        return
    doubts = doubts_about(found)
    because = f": {doubts[0]}" if doubts else ""
    match found.verdict:
        case PodVerdict.CERTAIN | PodVerdict.LIKELY:
            (pod, *_) = found.pods
            text = f"Pod {pod_name(pod)} has it{_since(pod)} ({found.verdict.value}{because})."
        case PodVerdict.AMBIGUOUS:
            names = list(dict.fromkeys(map(pod_name, found.pods)))
            more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
            text = f"More than one pod may have it: {listed(names[:_NAMED])}{more}."
        case PodVerdict.NONE:
            text = f"No pod has it{because}."
        case PodVerdict.UNKNOWN:
            last = [reason.text for reason in found.reasons if reason.code is ReasonCode.POD_ENDED]
            text = f"Its pod is unknown{because}.{f' {capitalized(last[0])}.' if last else ''}"
    yield ExplanationSentence(SentenceCode.PODS, text)


def doubts_about(found: PodAnswer) -> list[str]:
    """Return the reasons of an answer without those that say what happened: the times say that."""
    return [reason.text for reason in found.reasons if reason.code not in STORY]


def last_seen(known: Known, ip: Address) -> datetime | None:
    """Return when pod evidence last shows anything of an address; None if it shows nothing."""
    return _last_bound(lease for lease in known.history.pods.leases if lease.ip == ip)


def last_seen_on(known: Known, instance: str) -> datetime | None:
    """Return when pod evidence last shows a pod on an instance; None if it shows none."""
    return _last_bound(lease for lease in known.history.pods.leases if lease.instance == instance)


def _last_bound(leases: Iterable[PodLease]) -> datetime | None:
    bounds = [bound for lease in leases for bound in (lease.start, lease.end)]
    times = [time for bound in bounds for time in (bound.earliest, bound.latest) if time is not None]
    return max(times, default=None)


def has_pods(known: Known, instance: str) -> bool:
    """Return whether pod evidence shows a pod on an instance."""
    return any(lease.instance == instance for lease in known.history.pods.leases)


def node_names(known: Known, instance: str) -> list[str]:
    """Return the names in Kubernetes that pod evidence gives to an instance."""
    nodes = known.history.pods.nodes
    return sorted(name for name, instances in nodes.items() if instance in instances)


def _since(pod: PodEntry) -> str:
    if pod.start is None:
        return ""
    bound = "since" if pod.start == pod.start_not_before else "since at the latest"
    return f", {bound} {exact(pod.start)}"


def pods_of(
    known: Known,
    at: datetime,
    *,
    instance: str | None = None,
    enis: Collection[str] | None = None,
    place: str = "on it",
) -> Iterator[ExplanationSentence]:
    """Yield how many pods had addresses on an instance or ENIs; nothing if there is no pod evidence."""
    if not has_pod_evidence(known.history):
        return
    found = pods_on(known.history, at, instance=instance, enis=enis)
    if not found.perhaps and (lacks := [*uncovered_pods(known.history.pods, at, at)]):
        yield ExplanationSentence(SentenceCode.PODS, f"{capitalized(lacks[0].text)}.")
        return
    others = found.perhaps - found.surely
    parts = [_on_it(found.surely, f"with an address {place}")] if found.surely or not others else []
    if others:
        parts.append(
            _on_it(others, "that may have had one" if parts else f"that may have had an address {place}")
        )
    text = f"Pod evidence shows {', and '.join(parts)}"
    yield ExplanationSentence(SentenceCode.PODS, f"{text}.")


def _on_it(names: Collection[str], what: str) -> str:
    """Return how many pods there are, and the first of them: ``2 pods with … (shop/a and shop/b)``."""
    return f"{counted(len(names), 'pod')} {what} ({short_list(sorted(names))})" if names else f"no pod {what}"
