"""Addresses that a call took from another interface (allowReassignment)."""

from collections.abc import Iterator
from datetime import datetime

from cnitrail.answers.findings.context import Claim, FindingContext, ResourceCall, grouped
from cnitrail.answers.findings.words import listed, times
from cnitrail.model import Effect, Severity
from cnitrail.model.callers import principal_of

_ADVICE = (
    "Ask who made the call what it was for: whatever used the address on the interface that lost it is cut "
    "off, and no event tells it. A pod that had it must be deleted. Tools that move addresses (failover, "
    "virtual IPs) need interfaces that the VPC CNI does not manage (tag "
    "node.k8s.amazonaws.com/no_manage=true)."
)


def stolen_address(case: FindingContext) -> Iterator[Claim]:
    """Calls that were allowed to take addresses from other interfaces, and may have done so."""
    allowed = [
        call
        for call in case.calls
        if call.did(Effect.ASSIGN) and any(subject.reassign for subject in call.event.subjects)
    ]
    for (_, actor, _, severity, doubts), calls in grouped(
        allowed,
        lambda call: (
            call.place,
            case.who(call.entry.actor),
            principal_of(call.entry.actor),
            *_judged(case, call),
        ),
    ).items():
        enis = listed(call.entry.eni or "" for call in calls)
        often = f", {times(len(calls))}" if len(calls) > 1 else ""
        if doubts:
            given = listed(str(held) for call in calls for held in call.entry.added) or "addresses"
            sentence = f"{actor} gave {enis} {given}, taken from whoever had it (allowReassignment){often}."
        else:
            moved = [each for call in calls for each in call.entry.moved]
            taken, losers = listed(str(each.ip) for each in moved), listed(each.from_eni for each in moved)
            sentence = f"{actor} took {taken} from {losers} for {enis}{often}."
        yield Claim(severity, sentence, _ADVICE, calls, doubts)


def _judged(case: FindingContext, call: ResourceCall) -> tuple[Severity, tuple[str, ...]]:
    """How grave it is that a call took an address, and what is not certain of it.

    An instance may end without an event, and free its addresses unseen: that an interface lost one
    to a call is certain only where it is still there afterwards.
    """
    losers = {moved.from_eni for moved in call.entry.moved}
    if losers and _order_is_open(case, call):
        doubt = f"{listed(losers)} may have had it, but calls of one second leave open who had it last."
        return Severity.MEDIUM, (doubt,)
    unseen = {eni for eni in losers if not _is_seen_after(case, eni, call.time)}
    if unseen:
        doubt = f"{listed(unseen)} had it by then, unless its instance ended unseen: no later event shows it."
        return Severity.MEDIUM, (doubt,)
    if losers:
        return Severity.HIGH if losers & case.of_the_cni else Severity.MEDIUM, ()
    losers = _possible_losers(case, call)
    if losers:
        doubt = f"{listed(losers)} had the same address until then; whether in the same VPC, nothing tells."
        return Severity.MEDIUM, (doubt,)
    return Severity.LOW, ("The evidence shows nobody who had it before.",)


def _is_seen_after(case: FindingContext, eni: str, time: datetime) -> bool:
    """Whether a call that worked shows an interface, or its instance, at a later time."""
    attachment = case.history.interfaces[eni].attachment_at(time)
    instance = attachment.instance if attachment is not None else None
    own = case.by_caller.get(instance, ()) if instance is not None else ()
    return any(
        call.time > time and call.event.failure is None and call.event.effect is not Effect.TERMINATE
        for call in (*case.by_eni.get(eni, ()), *own)
    )


def _order_is_open(case: FindingContext, call: ResourceCall) -> bool:
    """Whether other calls of the same second move the address, or what it is on; or of an earlier one."""
    moved = {(moved.from_eni, moved.ip) for moved in call.entry.moved}
    if not moved.isdisjoint(case.contested):
        return True
    enis = {call.entry.eni, *(moved.from_eni for moved in call.entry.moved)}
    held = {moved.ip for moved in call.entry.moved}
    instances = {each.entry.instance for eni in enis for each in case.by_eni.get(eni or "", ())} - {None}
    return any(
        other.entry.eni in enis
        or other.entry.instance in instances
        or not held.isdisjoint((*other.entry.added, *other.entry.shown, *other.entry.removed))
        for other in case.in_second[call.place, call.time]
        if other.event is not call.event and other.event.failure is None
    )


def _possible_losers(case: FindingContext, call: ResourceCall) -> set[str]:
    """Interfaces of unknown VPC that held an address when it was taken."""
    return {
        lease.eni
        for held in call.entry.added
        for group in case.history.holders.get(held, ())
        for lease in group
        if lease.eni != call.entry.eni and lease.doubt_from == call.time
    }
