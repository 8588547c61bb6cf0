"""What the pod evidence does not cover, in sentences."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import datetime

from cnitrail.model.pods import PodHistory, PodSpan, audit_log_name
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import counted, exact, listed

_NAMED = 3
"""Spans that a sentence names before it counts the rest."""


def unread_pods(pods: PodHistory) -> Iterator[Reason]:
    """Yield that some of the pod evidence could not be read: the first of it, and how much more."""
    if pods.unread:
        first, *others = pods.unread
        more = f" (and {counted(len(others), 'more problem')})" if others else ""
        text = f"some of the pod evidence could not be read: {first.source}: {first.reason}{more}"
        yield Reason(ReasonCode.POD_EVIDENCE_UNREAD, text)


def uncovered_pods(pods: PodHistory, since: datetime | None, until: datetime | None) -> Iterator[Reason]:
    """Yield from when to when each log has records, if none has some for all of a range (aware, UTC).

    Gaps within a log are not looked for: a quiet cluster writes nothing.
    """
    if not pods.spans or any(_covers(span, since, until) for span in pods.spans):
        return
    said = [f"{span.name} from {exact(span.first)} to {exact(span.last)}" for span in pods.spans[:_NAMED]]
    more = [f"{len(pods.spans) - _NAMED:,} more logs"] if len(pods.spans) > _NAMED else []
    when = exact(since) if since is not None and since == until else "all of the time asked for"
    text = f"no pod evidence covers {when}: it has records of {listed([*said, *more])}"
    yield Reason(ReasonCode.POD_EVIDENCE_SPAN, text)


def audit_gaps(pods: PodHistory, cluster: str | None, since: datetime, until: datetime) -> Iterator[Reason]:
    """Yield that the audit log of a cluster lacks a part of a time (aware, UTC), in which a pod may end."""
    for span in _audit_logs(pods, cluster):
        first = bisect_right(span.gaps, since, key=lambda gap: gap.end)
        gaps = span.gaps[first : bisect_left(span.gaps, until, key=lambda gap: gap.start)]
        said = [f"from {exact(gap.start)} to {exact(gap.end)}" for gap in gaps[:_NAMED]]
        said += [f"in {len(gaps) - _NAMED:,} more gaps"] if len(gaps) > _NAMED else []
        said += [f"after {exact(span.last)}"] if span.last < until else []
        if said:
            text = f"{span.name} has no event {listed(said)}, so it may lack that the pod lost the address"
            yield Reason(ReasonCode.POD_EVIDENCE_SPAN, text)


def audit_reaches(pods: PodHistory, cluster: str | None, time: datetime) -> bool:
    """Return whether the audit log of a cluster goes on after a time (aware, UTC): it may prove it."""
    return any(time <= span.last for span in _audit_logs(pods, cluster))


def _audit_logs(pods: PodHistory, cluster: str | None) -> list[PodSpan]:
    """Return the audit log of a cluster; if none has its name, the one without a name."""
    logs = [span for span in pods.spans if span.name == audit_log_name(cluster)]
    return logs or [span for span in pods.spans if span.name == audit_log_name(None)]


def _covers(span: PodSpan, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or span.first <= since) and (until is None or until <= span.last)
