"""Addresses that a call took from another ENI (AllowReassignment)."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from cnitrail.answers.findings.commands import pods_with
from cnitrail.answers.findings.context import FindingContext, ResourceCall, RuleMatch, grouped
from cnitrail.model import Effect, Severity
from cnitrail.model.callers import principal_of
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import clock, short_list, times

_TOOLS = (
    "Tools that move IPs (failover, virtual IPs) need ENIs that the VPC CNI does not manage (tag "
    "node.k8s.amazonaws.com/no_manage=true)."
)


def reassigned_address(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield calls that were allowed to take addresses from other ENIs, and may have done so."""
    allowed = [
        call
        for call in case.calls
        if call.did(Effect.ASSIGN) and any(subject.reassign for subject in call.event.subjects)
    ]
    for (_, who, _, severity, doubts), calls in grouped(
        allowed,
        lambda call: (
            call.place,
            case.who(call.entry.actor),
            principal_of(call.entry.actor),
            *_severity_and_doubts(case, call),
        ),
    ).items():
        enis = short_list(call.entry.eni or "" for call in calls)
        often = f", {times(len(calls))}" if len(calls) > 1 else ""
        if doubts:
            added = short_list(str(held) for call in calls for held in call.entry.added) or "IPs"
            sentence = (
                f"{who} assigned {added} to {enis}{often}, with AllowReassignment: any other ENI that had it "
            )
            sentence += "lost it."
        else:
            sentence = f"{who} reassigned {_taken(calls)} from {_losers(calls)} to {enis}{often}."
        yield RuleMatch(
            severity=severity,
            sentence=sentence,
            advice=_advice(case, calls, certain=not doubts),
            commands=pods_with(held for call in calls for held in call.entry.added),
            calls=calls,
            doubts=doubts,
        )


def _taken(calls: Sequence[ResourceCall]) -> str:
    return short_list(str(moved.ip) for call in calls for moved in call.entry.moved)


def _losers(calls: Sequence[ResourceCall]) -> str:
    return short_list(moved.from_eni for call in calls for moved in call.entry.moved)


def _advice(case: FindingContext, calls: Sequence[ResourceCall], *, certain: bool) -> str:
    """Return what to do about the pods of the ENI that lost the address."""
    if not certain:
        lost = "If another ENI had the IP, its traffic stopped at the time of the call"
    else:
        nodes = {
            attachment.instance
            for call in calls
            for moved in call.entry.moved
            if (attachment := case.history.interfaces[moved.from_eni].attachment_at(call.time))
            and attachment.instance
        }
        of_nodes = f" of {short_list(nodes)}" if nodes else ""
        first = "first " if len(calls) > 1 else ""
        where = f"{_taken(calls)} on {_losers(calls)}{of_nodes}"
        lost = f"Traffic to {where} {first}stopped at {clock(calls[0].time)}"
    return (
        f"Ask the caller why. {lost}; CloudTrail logs no event for the ENI that loses an IP. Delete the pod "
        f"that used it there. {_TOOLS}"
    )


def _severity_and_doubts(case: FindingContext, call: ResourceCall) -> tuple[Severity, tuple[Reason, ...]]:
    """Return how severe a reassignment is, and what is not certain about it.

    An instance may end without an event, and free its addresses unseen: that an ENI lost one to a call
    is certain only if the ENI is still there afterwards.
    """
    losers = {moved.from_eni for moved in call.entry.moved}
    names = short_list(losers)
    if losers and _is_order_open(case, call):
        text = f"{names} may have had it: several calls of that second move it, in an unknown order."
        return Severity.MEDIUM, (Reason(ReasonCode.ORDER_UNKNOWN, text),)
    unseen = {eni for eni in losers if not _is_seen_after(case, eni, call.time)}
    if unseen:
        text = f"{short_list(unseen)} had it, unless its instance ended before: no later event shows the ENI."
        return Severity.MEDIUM, (Reason(ReasonCode.LOSER_NOT_SEEN_AGAIN, text),)
    if losers:
        return Severity.HIGH if losers & case.cni_enis else Severity.MEDIUM, ()
    losers = _possible_losers(case, call)
    if losers:
        text = (
            f"{short_list(losers)} had the same IP until then; the evidence does not show if in the same VPC."
        )
        return Severity.MEDIUM, (Reason(ReasonCode.VPC_UNKNOWN, text),)
    text = "No event shows which ENI had it before."
    return Severity.LOW, (Reason(ReasonCode.PREVIOUS_HOLDER_UNKNOWN, text),)


def _is_seen_after(case: FindingContext, eni: str, time: datetime) -> bool:
    """Return whether a successful call shows an ENI, or its instance, at a later time."""
    attachment = case.history.interfaces[eni].attachment_at(time)
    instance = attachment.instance if attachment is not None else None
    own = case.by_caller.get(instance, ()) if instance is not None else ()
    return any(
        call.time > time and call.event.failure is None and call.event.effect is not Effect.TERMINATE
        for call in (*case.by_eni.get(eni, ()), *own)
    )


def _is_order_open(case: FindingContext, call: ResourceCall) -> bool:
    """Return whether other calls of the same second, or of a contested one before, move the address."""
    moved = {(moved.from_eni, moved.ip) for moved in call.entry.moved}
    if not moved.isdisjoint(case.contested):
        return True
    enis = {call.entry.eni, *(moved.from_eni for moved in call.entry.moved)}
    held = {moved.ip for moved in call.entry.moved}
    instances = {other.entry.instance for eni in enis for other in case.by_eni.get(eni or "", ())} - {None}
    return any(
        other.entry.eni in enis
        or other.entry.instance in instances
        or not held.isdisjoint((*other.entry.added, *other.entry.shown, *other.entry.removed))
        for other in case.in_second[call.place, call.time]
        if other.event is not call.event and other.event.failure is None
    )


def _possible_losers(case: FindingContext, call: ResourceCall) -> set[str]:
    """Return the ENIs of unknown VPC that held an address when it was taken."""
    return {
        lease.eni
        for held in call.entry.added
        for group in case.history.holders.get(held, ())
        for lease in group
        if lease.eni != call.entry.eni and lease.certainty.takeover_from == call.time
    }
