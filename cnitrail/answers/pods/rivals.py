"""Which of the pods that may have had an address at a time count, and how far that can be trusted."""

from collections.abc import Iterable, Iterator, Sequence

from cnitrail.answers.pods.asked import Asked
from cnitrail.model import Holder, Verdict, WhoAnswer
from cnitrail.model.pods import PodLease, PodVerdict
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.timeclamp import FIRST


def is_excluded(lease: PodLease, asked: Asked, enis: WhoAnswer) -> bool:
    """Return True if CloudTrail shows the address elsewhere at a time when the pod only may have had it."""
    if lease.surely_held(asked.first, asked.last):
        return False
    if enis.verdict is Verdict.FREE:
        return True
    is_known = enis.verdict in (Verdict.CERTAIN, Verdict.LIKELY)
    return is_known and all(agrees(lease, holder) is False for holder in enis.holders)


def agrees(lease: PodLease, holder: Holder) -> bool | None:
    """Return whether a pod's node and ENI are those of a holder; None if one of them is not known."""
    if lease.eni is not None and lease.eni != holder.eni:
        return False
    if lease.instance is None or holder.instance is None:
        return True if lease.eni == holder.eni else None
    return lease.instance == holder.instance


def by_vpc(leases: Sequence[PodLease]) -> Iterator[list[PodLease]]:
    """Yield the leases of each VPC, which are rivals; those of unknown VPC are rivals of the first one's."""
    vpcs = sorted({lease.vpc for lease in leases if lease.vpc is not None})
    for vpc in vpcs or [""]:
        yield [lease for lease in leases if (lease.vpc or "".join(vpcs[:1])) == vpc]


def best_of(leases: Sequence[PodLease], asked: Asked) -> list[PodLease]:
    """Return those of some leases that count, one for each pod.

    A pod that surely had the address leaves no room for one that only may have had it. What nothing
    contradicts outranks what is doubted, and all else a claim that anybody could write.
    """
    leases = [lease for lease in leases if not _is_only_claimed(lease)] or leases
    sure = [lease for lease in leases if lease.surely_held(asked.first, asked.last)]
    undoubted = [lease for lease in sure if not lease.doubts]
    # Of those that may have had it, one that was reported with it before outranks one that was only later.
    reported = [lease for lease in leases if lease.start.latest and lease.start.latest <= asked.last]
    best: list[PodLease] = []
    for lease in sorted(
        undoubted or sure or reported or leases, key=lambda lease: (lease.uid is None, lease.sandbox is None)
    ):
        if not is_any_of(lease, best):
            best.append(lease)
    return sorted(best, key=lambda lease: lease.start.latest or lease.start.earliest or FIRST)


def _is_only_claimed(lease: PodLease) -> bool:
    return any(doubt.code is ReasonCode.POD_ONLY_CLAIMED for doubt in lease.doubts)


def is_any_of(lease: PodLease, others: Iterable[PodLease]) -> bool:
    """Return True if a lease is one of some others, or of the same pod."""
    return any(lease is other or is_same_pod(lease, other) for other in others)


def verdict_of(leases: Sequence[PodLease], asked: Asked, doubts: Sequence[Reason]) -> PodVerdict:
    """Return how far the pods that count can be trusted."""
    if are_several(leases) or any(changes_then(lease, asked) for lease in leases):
        return PodVerdict.AMBIGUOUS
    return PodVerdict.LIKELY if doubts else PodVerdict.CERTAIN


def are_several(leases: Sequence[PodLease]) -> bool:
    """Return True if some leases are those of different pods."""
    first, *others = leases
    return any(not is_same_pod(first, other) for other in others)


def is_same_pod(one: PodLease, other: PodLease) -> bool:
    """Return True if two leases may be of one pod: what one of them does not know does not count."""
    if one.pod is None or other.pod is None:
        return one.sandbox is not None and one.sandbox == other.sandbox
    known = ((one.uid, other.uid), (one.instance, other.instance))
    return one.pod == other.pod and all(None in pair or pair[0] == pair[1] for pair in known)


def changes_then(lease: PodLease, asked: Asked) -> bool:
    """Return True if a pod is known to have got or lost the address within the time asked for."""
    if asked.first == asked.last:
        return False
    start, end = lease.start.latest, lease.end.latest
    starts = start is not None and start == lease.start.earliest and asked.first < start <= asked.last
    ends = end is not None and end == lease.end.earliest and asked.first <= end <= asked.last
    return starts or ends
