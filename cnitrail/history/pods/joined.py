"""Intervals of one pod and address from several witnesses, as one lease.

The bounds of the CNI are exact, and win; the API server adds the UID, node and service account.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Final

from msgspec.structs import replace

from cnitrail.history.pods.bounds import KUBELET_DELAY
from cnitrail.history.pods.homes import NODE_FORMS, Homes
from cnitrail.model import Address, Basis
from cnitrail.model.pods import CLOCKS, PodBoundary, PodLease, Witness
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.timeclamp import FIRST, LAST, shifted


def joined(leases: Iterable[PodLease], homes: Homes) -> list[PodLease]:
    """Return one lease for each pod, address and interval, with all that its witnesses show."""
    of_cni: list[PodLease] = []
    of_api: list[PodLease] = []
    for lease in leases:
        is_cni = any(origin.form in NODE_FORMS for origin in lease.origins)
        (of_cni if is_cni else of_api).append(lease)
    groups: dict[tuple[object, ...], list[PodLease]] = {}
    of_address: dict[Address, list[PodLease]] = {}
    for lease in _one_per_pod(of_api):
        groups.setdefault((lease.ip, lease.pod), []).append(lease)
        of_address.setdefault(lease.ip, []).append(lease)
    used: set[int] = set()
    found: list[PodLease] = []
    for lease in _one_per_assignment(of_cni, homes):
        if lease.pod is None:
            found.append(_named(lease, of_address.get(lease.ip, ()), used))
            continue
        alike = [other for other in groups.get((lease.ip, lease.pod), ()) if _fits(lease, other)]
        # Of two pods of one name, the one that was reported first after the assignment.
        best = min(alike, key=partial(_order_for, lease), default=None)
        if best is None:
            found.append(lease)
        else:
            used.add(id(best))
            found.append(_with_names(lease, best))
    left = (lease for alike in groups.values() for lease in alike if id(lease) not in used)
    return [*found, *left]


def _order_for(lease: PodLease, other: PodLease) -> tuple[bool, datetime]:
    """Return the key that sorts reports about pods of one name: those from before an assignment come last."""
    reported = other.start.latest or LAST
    return shifted(reported, CLOCKS) < _start(lease), reported


def _named(lease: PodLease, reported: Iterable[PodLease], used: set[int]) -> PodLease:
    """Return a lease of ipamd, which does not name the pod, with the only pod that was reported for it."""
    alike = [other for other in reported if _fits(lease, other)]
    if len(alike) != 1 or alike[0].start.witness is not Witness.STATUS_PATCH:
        return lease
    used.add(id(alike[0]))
    named = _with_names(lease, alike[0])
    return replace(named, pod=alike[0].pod, doubts=(*lease.doubts, _ONLY_REPORTED))


_ONLY_REPORTED: Final = Reason(
    ReasonCode.POD_NOT_NAMED, "ipamd's record has the times but no pod: its name is from the audit log"
)


def _one_per_assignment(leases: Iterable[PodLease], homes: Homes) -> list[PodLease]:
    """Return the leases of the CNI: an assignment in the log, in its state and in its checkpoint is one."""
    groups: dict[tuple[object, ...], list[PodLease]] = {}
    for lease in leases:
        groups.setdefault((lease.ip, homes.of(lease.origins)), []).append(lease)
    found: list[PodLease] = []
    for alike in groups.values():
        # Named ones first: those without a name add their bounds to them.
        kept: list[PodLease] = []
        for lease in sorted(alike, key=lambda lease: (_start(lease), lease.pod is None, lease.sandbox or "")):
            last = kept[-1] if kept else None
            if last is not None and _is_same_assignment(last, lease):
                kept[-1] = _of_both(last, lease)
            else:
                kept.append(lease)
        found += kept
    return found


def _start(lease: PodLease) -> datetime:
    return lease.start.latest or FIRST


def _is_same_assignment(one: PodLease, other: PodLease) -> bool:
    """Return whether two records of one node show the same assignment of an address."""
    if None not in (one.pod, other.pod) and one.pod != other.pod:
        return False
    if None not in (one.sandbox, other.sandbox) and one.sandbox != other.sandbox:
        return False
    starts = (one.start, other.start)
    if all(start.basis is Basis.OBSERVED for start in starts):
        return _start(other) - _start(one) <= CLOCKS and not _is_over(one, other)
    # The start of one is not known, and it is known by a later time.
    return one.may_overlap(other)


def _is_over(one: PodLease, other: PodLease) -> bool:
    """Return whether an observed end of one lease lies before the start of the other."""
    return one.end.basis is Basis.OBSERVED and one.end.latest is not None and one.end.latest <= _start(other)


def _of_both(one: PodLease, other: PodLease) -> PodLease:
    is_second = one.start.basis is not Basis.OBSERVED and other.start.basis is Basis.OBSERVED
    return replace(
        one,
        pod=one.pod or other.pod,
        sandbox=one.sandbox or other.sandbox,
        eni=one.eni or other.eni,
        start=other.start if is_second else one.start,
        end=_better_end(one.end, other.end),
        origins=tuple(sorted({*one.origins, *other.origins})),
    )


def _better_end(one: PodBoundary, other: PodBoundary) -> PodBoundary:
    """Return an observed end, else the earliest implied one; the later of two proofs that it is not over."""
    rank = {Basis.OBSERVED: 0, Basis.IMPLIED: 1}
    first, second = sorted((one, other), key=lambda end: (rank.get(end.basis, 2), end.latest or LAST))
    if first.basis is Basis.OBSERVED:
        return first
    proofs = [time for time in (first.earliest, second.earliest) if time is not None]
    proof = max(proofs, default=None)
    if proof is not None and first.latest is not None:
        proof = min(proof, first.latest)
    return replace(first, earliest=proof)


def _one_per_pod(leases: Iterable[PodLease]) -> list[PodLease]:
    """Return the leases of the API server's witnesses: of one UID and address at one time there is one."""
    groups: dict[tuple[object, ...], list[PodLease]] = {}
    for lease in leases:
        groups.setdefault((lease.ip, lease.pod, lease.uid), []).append(lease)
    found: list[PodLease] = []
    for alike in groups.values():
        kept: list[PodLease] = []
        for lease in sorted(alike, key=_weakest_last):
            match = next((n for n, other in enumerate(kept) if _complete_each_other(other, lease)), None)
            if match is None:
                kept.append(lease)
            else:
                kept[match] = _with_names(kept[match], lease)
        found += kept
    return found


def _complete_each_other(one: PodLease, other: PodLease) -> bool:
    """Return whether two leases may be one; those that follow from the same reports of a pod are two."""
    is_of_reports = one.start.witness in _STRENGTH[:4] and other.start.witness in _STRENGTH[:4]
    return not is_of_reports and one.may_overlap(other)


_STRENGTH: Final = (
    Witness.STATUS_PATCH,
    Witness.POD_LIST,
    Witness.POD_OBJECT,
    Witness.POD_SEEN,
    Witness.POD_ENI,
    Witness.KUBE_STATE_METRICS,
    Witness.POD_ENI_CLAIM,
)


def _weakest_last(lease: PodLease) -> tuple[int, datetime, str]:
    witness = lease.start.witness or ""
    strength = _STRENGTH.index(witness) if witness in _STRENGTH else len(_STRENGTH)
    return strength, _start(lease), str(lease.origins)


def _fits(exact: PodLease, reported: PodLease) -> bool:
    """Return whether an interval of the CNI is the one of a report of the same pod and address."""
    start, end = exact.start.latest, exact.end.latest
    if reported.start.latest is None:
        return exact.may_overlap(reported)
    ends_before = end is not None and end < shifted(reported.start.latest, -CLOCKS)
    if ends_before and reported.start.witness is Witness.STATUS_PATCH:
        return False
    if exact.start.basis is not Basis.OBSERVED or start is None:
        return exact.may_overlap(reported)
    earliest, latest = reported.start.earliest, shifted(reported.start.latest, CLOCKS)
    is_in_range = (earliest is None or shifted(earliest, -CLOCKS) <= start) and start <= latest
    over = reported.end.latest
    is_within = over is not None and latest <= start <= over
    return (is_in_range or is_within) and (over is None or start <= shifted(over, CLOCKS))


def _with_names(lease: PodLease, other: PodLease) -> PodLease:
    return replace(
        lease,
        uid=lease.uid or other.uid,
        node=lease.node or other.node,
        instance=lease.instance or other.instance,
        cluster=lease.cluster or other.cluster,
        service_account=lease.service_account or other.service_account,
        owner=lease.owner or other.owner,
        eni=lease.eni or other.eni,
        end=_bounded(lease.end, other.end),
        doubts=(*lease.doubts, _LONGER_THAN_REPORTED) if _outlasts(lease, other) else lease.doubts,
        origins=tuple(sorted({*lease.origins, *other.origins})),
    )


_LONGER_THAN_REPORTED: Final = Reason(
    ReasonCode.POD_WITNESSES_DISAGREE,
    "by ipamd the pod had the address for longer than its kubelet reported",
)


def _outlasts(lease: PodLease, reported: PodLease) -> bool:
    """Return whether a lease of the CNI goes on after the kubelet reported its end, more than a delay later.

    The CNI may fail to release the address of a sandbox that is gone.
    """
    held, over = lease.end.earliest, reported.end.latest
    return held is not None and over is not None and shifted(over, KUBELET_DELAY) < held


def _bounded(end: PodBoundary, other: PodBoundary) -> PodBoundary:
    """Return the end that the first witness shows; if it shows none, that of the other, if it fits."""
    proof, over = end.earliest, other.latest
    is_proven_later = proof is not None and over is not None and shifted(over, CLOCKS) < proof
    return end if end.basis is Basis.OBSERVED or is_proven_later else _better_end(end, other)
