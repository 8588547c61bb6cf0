"""Why a pod is not certain."""

from collections.abc import Iterator, Sequence

from cnitrail.answers.pods.asked import Asked
from cnitrail.answers.pods.reasons import (
    changed_then,
    end_uncertain,
    not_named,
    on_other_eni,
    several_pods,
    start_uncertain,
)
from cnitrail.answers.pods.rivals import agrees, are_several, changes_then
from cnitrail.model import Verdict, WhoAnswer
from cnitrail.model.pods import PodLease
from cnitrail.model.reason import Reason, ReasonCode


def doubts_of(leases: Sequence[PodLease], asked: Asked, enis: WhoAnswer) -> Iterator[Reason]:
    """Yield every reason why a pod is not certain; none if it is beyond doubt."""
    if are_several(leases):
        yield several_pods(leases)
    for lease in leases:
        yield from lease.doubts
        if changes_then(lease, asked):
            yield changed_then(lease)
        else:
            yield from _loose_bounds(lease, asked)
        if lease.pod is None:
            yield not_named(lease)
        yield from _doubts_of_eni(lease, enis)


def _loose_bounds(lease: PodLease, asked: Asked) -> Iterator[Reason]:
    """Yield that the pod may not have had the address yet, or no longer."""
    started, ended = lease.start.latest, lease.end.earliest
    if started is None or started > asked.first:
        yield start_uncertain(lease)
    if ended is None or ended < asked.last:
        yield end_uncertain(lease)


def _doubts_of_eni(lease: PodLease, enis: WhoAnswer) -> Iterator[Reason]:
    """Yield what CloudTrail leaves open, or shows otherwise, of the ENI below a pod."""
    if not enis.holders:
        if enis.verdict is Verdict.UNKNOWN and not _contradicted(enis):
            if not lease.doubts:
                text = "no CloudTrail event shows the address on an ENI at this time"
                yield Reason(ReasonCode.POD_ENI_UNKNOWN, text)
        else:
            yield on_other_eni(lease, ())
        return
    agreed = [agrees(lease, holder) for holder in enis.holders]
    if all(known is False for known in agreed):
        yield on_other_eni(lease, enis.holders)
    elif enis.verdict is not Verdict.CERTAIN:
        yield from doubted_eni(enis)
    elif agreed != [True]:
        text = f"nothing shows that the pod was on {enis.holders[0].instance or enis.holders[0].eni}"
        yield Reason(ReasonCode.POD_ENI_UNKNOWN, text)


def doubted_eni(enis: WhoAnswer) -> Iterator[Reason]:
    """Yield how far the ENI of the address is known, unless it is certain."""
    if enis.verdict is not Verdict.CERTAIN:
        only = "only " if enis.verdict is Verdict.LIKELY else ""
        yield Reason(ReasonCode.POD_ENI_DOUBTED, f"the ENI of the address is {only}{enis.verdict.value}")


def _contradicted(enis: WhoAnswer) -> bool:
    return any(reason.code is ReasonCode.POD_ON_OTHER_ENI for reason in enis.reasons)
