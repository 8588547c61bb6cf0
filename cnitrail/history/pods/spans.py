"""From when to when each audit log and each node's log has records."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from cnitrail.history.pods.bounds import KUBELET_DELAY
from cnitrail.history.pods.watched import minute_of
from cnitrail.intervals import Interval
from cnitrail.model.pod_facts import PodEvidence
from cnitrail.model.pods import PodLease, PodSpan, WatchedNode, audit_log_name
from cnitrail.timeclamp import shifted

_AUDIT = "eks-audit"

_GAP: Final = timedelta(minutes=5)
"""Time without an audit event that is a gap: the components of the control plane alone call every second.

An export that was filtered has such gaps, too: it lacks the same events.
"""


def spans_of(evidence: PodEvidence, watched: tuple[WatchedNode, ...]) -> tuple[PodSpan, ...]:
    """Return the times of audit logs by cluster, and of ``ipamd.log`` by instance; sorted by name."""
    times: dict[str, list[datetime]] = {}
    for name, time in (*_audit_times(evidence), *_watched_times(watched)):
        times.setdefault(name, []).append(time)
    logs = {name for name, _ in _watched_times(watched)}
    return tuple(
        PodSpan(name, min(found), max(found), () if name in logs else tuple(_gaps(found)))
        for name, found in sorted(times.items())
    )


def before_gaps(leases: Iterable[PodLease], evidence: PodEvidence) -> Iterator[PodLease]:
    """Yield leases; those of audit logs are certain only until their log has a gap.

    In a gap, the pod may have lost its address.
    """
    times: dict[str, list[datetime]] = {}
    for name, time in _audit_times(evidence):
        times.setdefault(name, []).append(time)
    gaps = {name: tuple(_gaps(found)) for name, found in times.items()}
    unnamed = gaps.get(audit_log_name(None), ())
    for lease in leases:
        begun, proven = lease.start.latest, lease.end.earliest
        of_log = gaps.get(audit_log_name(lease.cluster), unnamed)
        starts = (gap.start for gap in of_log if begun and proven and gap.end > begun and gap.start < proven)
        first = next((start for start in starts if start is not None), None)
        if first is None or begun is None:
            yield lease
            continue
        sure = shifted(first, -KUBELET_DELAY)
        yield replace(lease, end=replace(lease.end, earliest=sure if sure > begun else None))


def _gaps(times: Iterable[datetime]) -> Iterator[Interval]:
    for before, after in pairwise(sorted(times)):
        if after - before > _GAP:
            yield Interval(before, after)


def _audit_times(evidence: PodEvidence) -> Iterator[tuple[str, datetime]]:
    clusters: dict[str, str | None] = {}
    for record in evidence.records:
        files = [origin.source for origin in record.origins if origin.form == _AUDIT]
        clusters.update(dict.fromkeys(files, record.cluster))
        if files and record.time is not None:
            yield audit_log_name(record.cluster), record.time
    for (file, form), heard in evidence.heard.items():
        if form == _AUDIT:
            for minute in heard:
                time = minute_of(minute)
                if time is not None:
                    yield audit_log_name(clusters.get(file)), time


def _watched_times(watched: tuple[WatchedNode, ...]) -> Iterator[tuple[str, datetime]]:
    for node in watched:
        for time in (node.span.start, node.span.end):
            if time is not None:
                yield f"ipamd.log of {node.instance}", time
