"""ENIs that were created and never used, or left behind and never deleted, and who cleaned up.

The VPC CNI attaches an ENI seconds after it created it, and deletes one seconds after it detached
it. What a node leaves behind, the CNI of any node deletes when it finds it more than five minutes
old: it looks within five minutes of its start, and then every hour (cleanUpLeakedENIs in
pkg/awsutils/awsutils.go of amazon-vpc-cni-k8s).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from cnitrail.answers.findings.commands import describe_enis
from cnitrail.answers.findings.context import (
    FindingContext,
    ResourceCall,
    RuleMatch,
    grouped,
    is_controller,
)
from cnitrail.model import USUAL_LAG, ActorKind, Bound, Effect, Interface, Severity
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import counted, duration, short_list

_OF_NODES = ("cni", "trunk", "branch")
_LEAK_AGE = timedelta(minutes=5)
"""Age at which the CNI's cleanup takes a detached ENI for a leak."""

_CLEANUP_DUE = timedelta(minutes=70)
"""Age by which a cleanup should have come, if any node runs the CNI."""

_DELETE = (
    "A leaked ENI uses up IPs, and blocks the deletion of its subnet and security groups. Check that its "
    "status is still available, then delete it (aws ec2 delete-network-interface)."
)
_CLEANED_UP = (
    "Already cleaned up; until then it wasted IPs. Find out why its own node did not delete it: the node may "
    "have ended first, or its aws-node restarted."
)
_SERVICE_MAY_USE_IT = Reason(
    ReasonCode.SERVICE_MAY_USE_IT,
    "An AWS service may use it from its own account, which no event here shows.",
)
_CLEANUP_PENDING = Reason(
    ReasonCode.CLEANUP_PENDING, "The hourly leak cleanup of the VPC CNI may still delete it."
)


class _Leak(Struct, frozen=True):
    """An ENI that has been attached to nothing since a time, and the calls that show it."""

    interface: Interface
    since: datetime
    calls: Sequence[ResourceCall]
    doubts: tuple[Reason, ...]


def never_attached(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield ENIs that were created, and not attached until the evidence ends."""
    leaks: list[_Leak] = []
    for call in case.calls:
        interface = case.history.interfaces.get(call.entry.eni or "")
        created = interface is not None and interface.created.event is call.event
        if interface is None or not created or interface.attachments or _is_for_a_service(call, interface):
            continue
        leaks += _leak(case, interface, call.time, [call], Effect.ATTACH)
    for (_, creator, *_), group in grouped(
        leaks, lambda leak: (leak.calls[0].place, case.who(leak.calls[0].entry.actor), leak.doubts)
    ).items():
        yield _match(group, f"created by {creator} and never attached")


def never_deleted(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield ENIs of nodes that were detached, or outlived their instance, and still exist."""
    leaks: list[_Leak] = []
    for eni, interface in case.history.interfaces.items():
        left = _last_detachment(interface)
        if left is None or left.event is None or interface.kind not in _OF_NODES:
            continue
        touched = case.by_event[left.event.key]
        ending = [call for call in touched if call.entry.eni == eni] or touched[:1]
        tried = [call for call in case.by_eni.get(eni, ()) if _failed_to_delete(call, left.event.time)]
        leaks += _leak(case, interface, left.event.time, [*ending, *tried], Effect.DELETE)
    for (_, effect, *_), group in grouped(
        leaks, lambda leak: (leak.calls[0].place, leak.calls[0].event.effect, leak.doubts)
    ).items():
        tried = [call for leak in group for call in leak.calls[1:]]
        codes = (
            f" ({counted(len(tried), 'call')} failed: {short_list(call.code or '' for call in tried)})"
            if tried
            else ""
        )
        left_by = (
            "left behind when its instance was terminated," if effect is Effect.TERMINATE else "detached"
        )
        yield _match(group, f"{left_by} and never deleted{codes}")


def deleted_by_others(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield ENIs of the CNI that were cleaned up, and not by the node that they were created for."""
    found = [(call, how) for call in case.calls if (how := _cleaned_up(case, call)) is not None]
    for (_, how), group in grouped(found, lambda pair: (pair[0].place, pair[1])).items():
        calls = [call for call, _ in group]
        enis = [call.entry.eni or "" for call in calls]
        marks = (case.history.interfaces[eni].mark for eni in enis)
        owners = short_list(mark[0] for mark in marks if mark is not None)
        yield RuleMatch(
            severity=Severity.LOW,
            sentence=f"{_were(enis)} created for {owners}, and deleted {how}.",
            advice=_CLEANED_UP,
            calls=calls,
        )


def _leak(
    case: FindingContext, interface: Interface, since: datetime, calls: list[ResourceCall], missed: Effect
) -> list[_Leak]:
    """Return a leak, if the ENI is not deleted and the evidence goes on long enough to show it.

    Evidence without any call of the kind that is ``missed`` may have been selected without them.
    """
    place = (interface.account, interface.region)
    age = case.evidence_end(place) - since
    if interface.deleted.event is not None or age < USUAL_LAG:
        return []
    doubts = list(case.hole(place, since, since + age))
    if (place, missed) not in case.kinds:
        text = f"The evidence has no call to {missed} any ENI: such calls may have been filtered out."
        doubts.append(Reason(ReasonCode.NO_SUCH_CALLS, text))
    if interface.kind not in _OF_NODES:
        doubts.append(_SERVICE_MAY_USE_IT)
    elif age < _CLEANUP_DUE:
        doubts.append(_CLEANUP_PENDING)
    return [_Leak(interface, since, calls, tuple(doubts))]


def _match(group: Sequence[_Leak], what: str) -> RuleMatch:
    group = sorted(group, key=lambda leak: leak.since)
    enis = [leak.interface.eni for leak in group]
    return RuleMatch(
        severity=Severity.LOW if group[0].doubts else Severity.MEDIUM,
        sentence=f"{_were(enis)} {what}.",
        advice=_DELETE,
        commands=describe_enis(group[0].calls[0].place, enis),
        calls=sorted((call for leak in group for call in leak.calls), key=lambda call: call.time),
        doubts=group[0].doubts,
        ongoing=True,
    )


def _were(enis: Sequence[str]) -> str:
    names, number = short_list(enis), len(set(enis))
    return f"{names} was" if number == 1 else f"{counted(number, 'ENI')} ({names}) were"


def _is_for_a_service(call: ResourceCall, interface: Interface) -> bool:
    """Return whether an AWS service created the ENI or uses it: services attach ENIs without an event."""
    actor = call.entry.actor
    by_service = actor.kind is ActorKind.AWS_SERVICE or actor.invoked_by is not None
    return by_service or interface.kind not in (*_OF_NODES, "other")


def _last_detachment(interface: Interface) -> Bound | None:
    """Return how the ENI left the instance that it was last attached to; None if no event shows that."""
    if not interface.attachments:
        return None
    last = interface.attachments[-1]
    return last.end if last.start.event is not None and last.end.event is not None else None


def _failed_to_delete(call: ResourceCall, since: datetime) -> bool:
    return call.event.effect is Effect.DELETE and call.event.failure is not None and call.time >= since


def _cleaned_up(case: FindingContext, call: ResourceCall) -> str | None:
    """Return how a deletion is known to be a cleanup; None if the node itself may have made it."""
    interface = case.history.interfaces.get(call.entry.eni or "")
    if not call.did(Effect.DELETE) or interface is None or interface.kind != "cni" or interface.mark is None:
        return None
    actor = call.entry.actor
    if actor.instance not in (None, interface.mark[0]):
        return f"by {actor.instance}"
    if is_controller(call):
        return "by the VPC resource controller"
    left = _last_detachment(interface) or interface.created
    if actor.ipamd and left.event is not None and call.time - left.event.time >= _LEAK_AGE:
        return f"more than {duration(_LEAK_AGE)} after its last use, as the CNI's leak cleanup does"
    return None
