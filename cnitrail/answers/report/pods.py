"""The pods of a report: those that had its addresses, and the calls that took an address from one."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

from cnitrail.answers.filters import Filter
from cnitrail.answers.pods.cut_off import CutOffIndex
from cnitrail.answers.pods.entries import has_pod_evidence, pod_entry, pod_name
from cnitrail.model import CitedCall, History, InstanceReport, Statement
from cnitrail.model.pods import PodLease
from cnitrail.model.report import CitedPod
from cnitrail.text import listed, quoted
from cnitrail.timeclamp import FIRST, LAST

_NAMED = 6
"""Pods that a statement names before it counts the rest."""


def cited_pods(
    history: History,
    wanted: Filter,
    calls: tuple[CitedCall, ...],
    instances: tuple[InstanceReport, ...],
) -> tuple[CitedPod, ...] | None:
    """Return the pods with addresses of the filter, or on the instances of a report, in its time.

    Those that lost an address to a call come first. None if there is no pod evidence.
    """
    if not has_pod_evidence(history):
        return None
    losses = _losses(history, calls)
    start, end = _time(wanted, calls)
    names = {instance.instance for instance in instances if instance.instance is not None}
    found = [
        CitedPod(pod_entry(lease), *losses.get(lease, ()))
        for lease in history.pods.leases
        if lease in losses or (_is_asked_for(lease, wanted, names) and lease.perhaps_held(start, end))
    ]
    return tuple(sorted(found, key=lambda pod: (not pod.lost_by, pod.entry.start or FIRST)))


def pods_that_lost(pods: Iterable[CitedPod]) -> Iterator[Statement]:
    """Yield a statement about the pods that had an address when a call took it from their ENI."""
    hit = [pod for pod in pods if pod.lost_by]
    if hit:
        names = [_lost_address(pod) for pod in hit[:_NAMED]]
        more = [f"{len(hit) - _NAMED:,} more"] if len(hit) > _NAMED else []
        events = tuple(sorted({event for pod in hit for event in pod.lost_by}))
        yield Statement(f"Pods that lost an IP to a call: {listed([*names, *more])}.", events)


def _lost_address(pod: CitedPod) -> str:
    """Return a pod that lost an address, and whether it is certain that it had it then."""
    doubt = "" if pod.surely else ", not certain"
    return f"{quoted(pod_name(pod.entry))} ({pod.entry.ip}{doubt})"


def _losses(history: History, calls: tuple[CitedCall, ...]) -> dict[PodLease, tuple[tuple[int, ...], bool]]:
    """Return the calls that took the address of a pod from its ENI, and whether it surely had it."""
    index, losses = CutOffIndex(history), defaultdict[PodLease, list[tuple[int, bool]]](list)
    for call in calls:
        entry = call.entry
        taken = [(moved.ip, moved.from_eni) for moved in entry.moved]
        taken += [(held, entry.eni) for held in entry.removed if entry.eni is not None]
        for held, eni in taken:
            for found in index.cut_off(held, eni, entry.time):
                # The VPC CNI releases only what no pod has; its user agent alone clears no call.
                if found.surely or entry.actor.ipamd is None:
                    losses[found.lease].append((call.event, found.surely))
    return {
        lease: (tuple(sorted({event for event, _ in found})), any(is_sure for _, is_sure in found))
        for lease, found in losses.items()
    }


def _is_asked_for(lease: PodLease, wanted: Filter, instances: set[str]) -> bool:
    is_named = bool(wanted.ip or wanted.names_pods)
    return (
        wanted.takes_addresses((lease.ip,))
        and wanted.takes_pod(lease.pod)
        and (is_named or lease.instance in instances)
    )


def _time(wanted: Filter, calls: tuple[CitedCall, ...]) -> tuple[datetime, datetime]:
    """Return the time of a report: that of the filter, else from its first call to its last."""
    is_whole = not calls or bool(wanted.ip or wanted.names_pods)
    first = FIRST if is_whole else calls[0].entry.time
    last = LAST if is_whole else calls[-1].entry.time
    return wanted.since or first, wanted.until or last
