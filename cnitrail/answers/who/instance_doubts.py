"""What leaves the instance of a holder in doubt at a second."""

from collections.abc import Iterator
from datetime import datetime

from cnitrail.answers.coverage_text import gap_reason
from cnitrail.answers.who.indexes import HolderAt
from cnitrail.model import Attachment, Basis, Effect, InstanceBasis
from cnitrail.model.basis import BY_CALL
from cnitrail.model.callers import named
from cnitrail.model.ec2 import SHUTDOWN
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import clock


def instance_inferred(holder: HolderAt) -> Iterator[Reason]:
    """Yield a reason if the instance is not known from a call that attaches the ENI, or launches with it."""
    attachment = holder.attachment
    if attachment is None or attachment.instance is None:
        instance, basis = holder.evidence.history.instance_of(holder.lease.eni, holder.second)
    else:
        instance, basis = attachment.instance, attachment.how
    if instance is not None and basis is not None and basis not in BY_CALL:
        is_branch = holder.interface.kind == "branch" and basis is InstanceBasis.TAG
        source = _TRUNK_TAG if is_branch else _INFERRED_FROM[basis]
        yield Reason(
            ReasonCode.INSTANCE_INFERRED,
            f"no event attaches the ENI to {instance} by then: that is inferred from {source}",
        )


_INFERRED_FROM = {
    InstanceBasis.DESCRIPTION: "the description that the VPC CNI gave it",
    InstanceBasis.TAG: "the tag that the VPC CNI gave it",
    InstanceBasis.SESSION: "the instance's own calls on it",
}


_TRUNK_TAG = "the tag by which the VPC resource controller names its trunk, which is attached there"


def attachment_start(holder: HolderAt) -> Iterator[Reason]:
    """Yield a reason if the ENI may have come to the instance after the second."""
    attachment = holder.attachment
    if attachment is None or attachment.instance is None:
        return
    start, end, instance = attachment.start, attachment.end, attachment.instance
    moves = [bound.event for bound in (start, end) if bound.event and bound.time == holder.second]
    if moves:
        actors = holder.evidence.history.actors
        calls = [f"{move.name} by {named(actors[move.key])}, event {move.event_id}" for move in moves]
        text = f"the ENI was attached or detached within this second ({instance}): {'; '.join(calls)}"
        yield Reason.citing(ReasonCode.ATTACHED_SAME_SECOND, text, *moves)
    if start.basis is not Basis.OBSERVED and attachment.how is InstanceBasis.ATTACH:
        yield Reason(
            ReasonCode.ATTACH_TIME_UNKNOWN,
            f"no event in the evidence shows since when the ENI was on {instance}",
        )


def attachment_end(holder: HolderAt) -> Iterator[Reason]:
    """Yield a reason if the ENI may have left the instance before the second."""
    attachment = holder.attachment
    if attachment is None or attachment.instance is None or attachment.end.basis is Basis.OBSERVED:
        return
    end, instance = attachment.end, attachment.instance
    terminated = end.event is not None and end.event.effect is Effect.TERMINATE
    if end.basis is Basis.IMPLIED and not terminated and end.time is not None:
        yield Reason.citing(
            ReasonCode.DETACH_TIME_UNKNOWN,
            f"the ENI left {instance} at an unknown time before {clock(end.time)}",
            end.event,
        )
    elif not _stays(holder, attachment):
        known = holder.evidence.instance(attachment)
        if end.time is not None and known is not None and known.ended.basis is Basis.IMPLIED:
            yield Reason.citing(
                ReasonCode.INSTANCE_END_UNKNOWN,
                f"{instance} ended at an unknown time before {clock(end.time)}",
                end.event,
            )
        else:
            yield Reason(
                ReasonCode.NO_LATER_SIGN,
                f"no later event shows that {instance} was still running, with the ENI",
            )


def being_terminated(holder: HolderAt) -> Iterator[Reason]:
    """Yield a reason if the instance was only being terminated: it keeps its ENIs for some more time."""
    if holder.attachment is not None:
        return
    left = holder.evidence.history.departure(holder.lease.eni, holder.second)
    event = left.end.event if left is not None and left.was_attached else None
    if left is None or event is None or event.effect is not Effect.TERMINATE:
        return
    if holder.second - event.time <= SHUTDOWN:
        text = f"no event shows how long the ENI was still on {left.instance}, which was being terminated"
        yield Reason.citing(ReasonCode.INSTANCE_END_UNKNOWN, text, event)


def attachment_gaps(holder: HolderAt) -> Iterator[Reason]:
    """Yield a hole since the ENI came to the instance, in which a detachment may be missing."""
    attachment = holder.attachment
    if attachment is None or attachment.instance is None or attachment.end.basis is Basis.OBSERVED:
        return
    if attachment.start.time is not None:
        hole = holder.evidence.hole(holder.lease, attachment.start.time, holder.second)
        if hole is not None:
            yield gap_reason(hole, so=f"the ENI may have left {attachment.instance} then")


def runs(holder: HolderAt, attachment: Attachment) -> bool:
    """Return True if a later event shows that the instance was not terminated yet."""
    instance = holder.evidence.instance(attachment)
    return instance is not None and is_later(instance.alive, holder.second)


def _stays(holder: HolderAt, attachment: Attachment) -> bool:
    """Return True if a later event shows that the interface did not leave unseen with its instance."""
    went_with_it = attachment.dies_with_instance and is_later(holder.interface.alive, holder.second)
    return went_with_it or runs(holder, attachment)


def is_later(alive: datetime | None, second: datetime) -> bool:
    """Return True if the last sign of life is later than a second."""
    return alive is not None and alive > second
