"""What the leases of one address say of each other: the next pod ends a lease, and two at once disagree."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec.structs import replace

from cnitrail.history.pods.bounds import KUBELET_DELAY, implied
from cnitrail.history.pods.homes import Homes
from cnitrail.model import Address, Basis
from cnitrail.model.pods import CLOCKS, COOLDOWN, PodLease, PodName, Witness
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.timeclamp import FIRST, LAST, shifted

Finished = Mapping[tuple[PodName, str], datetime]
"""Since when a kubelet has to end pods, by name and UID."""


def in_succession(leases: Iterable[PodLease], homes: Homes, finished: Finished) -> list[PodLease]:
    """Return the leases with ends that the next pod bounds, and with doubts if two pods had an address."""
    groups: dict[tuple[Address, str | None], list[PodLease]] = {}
    first: dict[object, datetime] = {}
    for lease in leases:
        place = lease.vpc or lease.cluster or homes.of(lease.origins) or lease.origins[0].source
        groups.setdefault((lease.ip, place), []).append(lease)
        if lease.start.latest is not None:
            name = (lease.pod, lease.uid)
            first[name] = min(first.get(name, LAST), lease.start.latest)
    found: list[PodLease] = []
    for alike in groups.values():
        alike.sort(key=order_of_start)
        found += (
            _disputed(_changed(_begun_after(_bounded(alike, first, finished)), first))
            if len(alike) > 1
            else alike
        )
    return found


def order_of_start(lease: PodLease) -> tuple[datetime, str, str, str]:
    """Return the key that sorts the leases of one address."""
    start = lease.start.latest or lease.start.earliest or FIRST
    return start, str(lease.pod), lease.uid or "", lease.sandbox or ""


def _bounded(leases: list[PodLease], first: Mapping[object, datetime], finished: Finished) -> list[PodLease]:
    """Return leases with an end that is not after the start of the next one, less ipamd's cooldown."""
    found: list[PodLease] = []
    following: PodLease | None = None
    change: PodLease | None = None
    for lease in reversed(leases):
        bounded = _ended_by(lease, following) if following is not None else lease
        if change is not None and _is_finished(lease, change, finished):
            bounded = _ended_by(bounded, change)
        found.append(bounded)
        if _is_trusted(lease, first):
            following, change = lease, None
        elif _is_change(lease, first) and all(doubt.code in _UNCONFIRMED for doubt in lease.doubts):
            change = lease
    found.reverse()
    return found


def _is_finished(lease: PodLease, change: PodLease, finished: Finished) -> bool:
    """Return whether a pod had to end before its kubelet gave the address to another one: it has, by then."""
    if lease.pod is None or lease.uid is None or change.start.latest is None:
        return False
    time = finished.get((lease.pod, lease.uid))
    is_same = lease.instance is not None and lease.instance == change.instance
    return is_same and time is not None and shifted(time, COOLDOWN) <= change.start.latest


_TRUSTED = frozenset({Witness.IPAMD, Witness.V1_ENIS, Witness.IPAM_JSON, Witness.STATUS_PATCH})
"""Witnesses of a start that end the lease of another pod."""

_UNCONFIRMED = frozenset({ReasonCode.NO_ENI_LEASE, ReasonCode.POD_INSTANCE_NOT_SHOWN})
"""Doubts that contradict nothing."""


def _is_trusted(lease: PodLease, first: Mapping[object, datetime]) -> bool:
    """Return whether the start of a lease shows that another pod had lost the address.

    A report that a running pod has another address now is the one that a false kubelet would make: alone, it
    ends no lease of another pod.
    """
    start = lease.start
    if start.latest is None or start.witness not in _TRUSTED:
        return False
    if lease.pod is None and start.basis is not Basis.OBSERVED:
        # The release of an assignment that no line shows: it may be the pod before.
        return False
    return not _is_change(lease, first) and all(doubt.code in _UNCONFIRMED for doubt in lease.doubts)


def _is_change(lease: PodLease, first: Mapping[object, datetime]) -> bool:
    """Return whether only the kubelet shows a lease, and the pod had another address before."""
    start = lease.start
    is_later = start.latest is not None and start.latest > first[lease.pod, lease.uid]
    return is_later and start.witness is Witness.STATUS_PATCH


def _changed(leases: list[PodLease], first: Mapping[object, datetime]) -> list[PodLease]:
    """Return leases with a doubt on a change to an address that another pod may still have had."""
    found: list[PodLease] = []
    ends: datetime | None = None
    for lease in leases:
        start = lease.start.latest
        is_early = ends is not None and start is not None and start < ends
        if _is_change(lease, first) and is_early:
            lease = replace(lease, doubts=(*lease.doubts, _NOT_ENDED))  # noqa: PLW2901
        elif start is not None and lease.start.witness in _TRUSTED:
            ends = max(ends or FIRST, lease.end.latest or LAST)
        found.append(lease)
    return found


def _ended_by(lease: PodLease, following: PodLease) -> PodLease:
    begun, end, start = lease.start.latest, lease.end, following.start.latest
    if end.basis is Basis.OBSERVED or start is None or (begun is not None and start <= begun):
        return lease
    floor = max((time for time in (begun, end.earliest) if time is not None), default=None)
    # Each node has a cooldown of its own: another one may get the address as soon as it is free in EC2.
    is_same_node = lease.instance is not None and lease.instance == following.instance
    is_same_log = lease.sandbox is not None and following.sandbox is not None and lease.eni == following.eni
    latest = shifted(start, -COOLDOWN) if is_same_node or is_same_log else start
    if floor is not None:
        if floor > start:
            return lease
        latest = max(latest, floor)
    if end.latest is not None and end.latest <= latest:
        return lease
    return replace(lease, end=implied(end.earliest, latest, Witness.NEXT_POD, following.start.origin))


def _begun_after(leases: list[PodLease]) -> list[PodLease]:
    """Return leases with a start that is not before the time at which another pod surely had the address."""
    found: list[PodLease] = []
    until: dict[bool, datetime] = {}
    for lease in leases:
        start, is_of_cni = lease.start, lease.sandbox is not None
        # What a kubelet reports of another pod does not bound what ipamd shows.
        held_until = until.get(True) if is_of_cni else max(until.values(), default=None)
        is_bounded = held_until is not None and (start.earliest is None or start.earliest < held_until)
        if is_bounded and start.latest is not None and held_until is not None and held_until < start.latest:
            lease = replace(lease, start=replace(start, earliest=held_until))  # noqa: PLW2901
        found.append(lease)
        if all(doubt.code in _UNCONFIRMED for doubt in lease.doubts) and start.witness in _TRUSTED:
            times = (until.get(is_of_cni), _surely_held_until(lease))
            known = max((time for time in times if time is not None), default=None)
            if known is not None:
                until[is_of_cni] = known
    return found


def _surely_held_until(lease: PodLease) -> datetime | None:
    """Return a time at which a pod had the address, the last one known: its first report may be late."""
    if lease.start.latest is None:
        return None
    proven = lease.end.earliest
    return proven if proven is not None else shifted(lease.start.latest, -KUBELET_DELAY)


def _disputed(leases: list[PodLease]) -> list[PodLease]:
    """Return leases with a doubt on those that give one address to two pods at once."""
    doubted: set[int] = set()
    last: int | None = None
    for number, lease in enumerate(leases):
        begun, ended = lease.start.latest, lease.end.earliest
        if begun is None:
            continue
        is_claim = lease.start.witness not in _TRUSTED
        if last is not None:
            sure = leases[last]
            # Without a later proof, the address was reported, and may have been lost shortly before.
            first = begun if ended is not None else shifted(begun, -KUBELET_DELAY)
            is_after = first >= (sure.start.latest or FIRST)
            if is_after and begun < shifted(sure.end.earliest or FIRST, -CLOCKS):
                doubted |= {number} if is_claim else {last, number}
        if (
            not is_claim
            and ended is not None
            and (last is None or ended > (leases[last].end.earliest or LAST))
        ):
            last = number
    return [
        replace(lease, doubts=(*lease.doubts, _DISAGREE)) if number in doubted else lease
        for number, lease in enumerate(leases)
    ]


_NOT_ENDED = Reason(
    ReasonCode.POD_BEFORE_NOT_ENDED, "No record ends the lease of the pod that had the address before."
)

_DISAGREE = Reason(
    ReasonCode.POD_WITNESSES_DISAGREE, "records name different pods for the address at that time"
)
