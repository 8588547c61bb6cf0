"""Interfaces that were made and never used, or left and never deleted, and who cleaned up.

The VPC CNI attaches an interface seconds after it made it, and deletes one seconds after it
detached it. What a node leaves behind, the CNI of any node deletes when it finds it more than five
minutes old: it looks within five minutes of its start, and then every hour (cleanUpLeakedENIs in
pkg/awsutils/awsutils.go of amazon-vpc-cni-k8s).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from cnitrail.answers.coverage_text import lasting
from cnitrail.answers.findings.context import Claim, FindingContext, ResourceCall, grouped, is_controller
from cnitrail.answers.findings.words import counted, listed
from cnitrail.model import USUAL_LAG, ActorKind, Bound, Effect, Interface, Severity

_OF_NODES = ("cni", "trunk", "branch")
_OLD = timedelta(minutes=5)
"""The age at which a cleanup takes an interface for a leak."""

_CLEANED = timedelta(minutes=70)
"""The age at which a cleanup should have come, wherever a node runs the CNI."""

_DELETE = (
    "It holds addresses, and keeps its subnet and security groups from being deleted. Make sure that nothing "
    "uses it (aws ec2 describe-network-interfaces says available), then delete it (aws ec2 "
    "delete-network-interface)."
)
_CLEANED_UP = (
    "Nothing is left to be deleted, but addresses were held for nothing until then. Find out why its own "
    "node did not do it: the node may have ended in between, or its aws-node was started anew."
)


class _Leak(Struct, frozen=True):
    """An interface on nothing since a time, and the calls that tell it."""

    interface: Interface
    since: datetime
    calls: Sequence[ResourceCall]
    doubts: tuple[str, ...]


def never_attached(case: FindingContext) -> Iterator[Claim]:
    """Interfaces that were made, and attached to nothing for as long as the evidence goes."""
    leaks: list[_Leak] = []
    for call in case.calls:
        interface = case.history.interfaces.get(call.entry.eni or "")
        made = interface is not None and interface.created.event is call.event
        if interface is None or not made or interface.attachments or _is_for_a_service(call, interface):
            continue
        leaks += _leak(case, interface, call.time, [call], Effect.ATTACH)
    for (_, maker, *_), group in grouped(
        leaks, lambda leak: (leak.calls[0].place, case.who(leak.calls[0].entry.actor), leak.doubts)
    ).items():
        yield _claim(group, f"made by {maker} and never attached")


def never_deleted(case: FindingContext) -> Iterator[Claim]:
    """Interfaces of nodes that were detached, or outlived their instance, and are still there."""
    leaks: list[_Leak] = []
    for eni, interface in case.history.interfaces.items():
        left = _left(interface)
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
            f" ({counted(len(tried), 'call')} failed: {listed(call.code or '' for call in tried)})"
            if tried
            else ""
        )
        left_by = "left behind when its instance was terminated" if effect is Effect.TERMINATE else "detached"
        yield _claim(group, f"{left_by} and never deleted{codes}")


def deleted_by_others(case: FindingContext) -> Iterator[Claim]:
    """Interfaces of the CNI that were cleaned up, and not by the node that they were made for."""
    found = [(call, how) for call in case.calls if (how := _cleaned_up(case, call)) is not None]
    for (_, how), group in grouped(found, lambda each: (each[0].place, each[1])).items():
        calls = [call for call, _ in group]
        enis = [call.entry.eni or "" for call in calls]
        owners = listed(mark[0] for eni in enis if (mark := case.history.interfaces[eni].mark) is not None)
        sentence = f"{_were(enis)} made for {owners}, and deleted {how}."
        yield Claim(Severity.LOW, sentence, _CLEANED_UP, calls)


def _leak(
    case: FindingContext, interface: Interface, since: datetime, calls: list[ResourceCall], missed: Effect
) -> list[_Leak]:
    """A leak, where the interface is not gone and the evidence goes on long enough to tell.

    Evidence that holds no call at all of the kind that is ``missed`` may have been picked without them.
    """
    place = (interface.account, interface.region)
    age = case.end(place) - since
    if interface.deleted.event is not None or age < USUAL_LAG:
        return []
    doubts = list(case.hole(place, since, since + age))
    if (place, missed) not in case.kinds:
        doubts.append(f"No call to {missed} any interface is in the evidence: they may have been left out.")
    if interface.kind not in _OF_NODES:
        doubts.append("An AWS service may use it from an account of its own: no event here would tell.")
    elif age < _CLEANED:
        doubts.append("The cleanup that the CNI of every node does once an hour may still come.")
    return [_Leak(interface, since, calls, tuple(doubts))]


def _claim(group: Sequence[_Leak], what: str) -> Claim:
    group = sorted(group, key=lambda leak: leak.since)
    return Claim(
        severity=Severity.LOW if group[0].doubts else Severity.MEDIUM,
        sentence=f"{_were([leak.interface.eni for leak in group])} {what}.",
        advice=_DELETE,
        calls=sorted((call for leak in group for call in leak.calls), key=lambda call: call.time),
        doubts=group[0].doubts,
        ongoing=True,
    )


def _were(enis: Sequence[str]) -> str:
    names = listed(enis)
    return f"{names} was" if len(set(enis)) == 1 else f"{counted(len(set(enis)), 'interface')} ({names}) were"


def _is_for_a_service(call: ResourceCall, interface: Interface) -> bool:
    """Whether an AWS service made it, or uses it: what services attach, they attach unseen."""
    actor = call.entry.actor
    by_service = actor.kind is ActorKind.AWS_SERVICE or actor.invoked_by is not None
    return by_service or interface.kind not in (*_OF_NODES, "other")


def _left(interface: Interface) -> Bound | None:
    """How it left the instance that it was last attached to; None where that is not seen."""
    if not interface.attachments:
        return None
    last = interface.attachments[-1]
    return last.end if last.start.event is not None and last.end.event is not None else None


def _failed_to_delete(call: ResourceCall, since: datetime) -> bool:
    return call.event.effect is Effect.DELETE and call.event.failure is not None and call.time >= since


def _cleaned_up(case: FindingContext, call: ResourceCall) -> str | None:
    """How a deletion shows that it was a cleanup; None where the node itself may have made it."""
    interface = case.history.interfaces.get(call.entry.eni or "")
    if not call.did(Effect.DELETE) or interface is None or interface.kind != "cni" or interface.mark is None:
        return None
    actor = call.entry.actor
    if actor.instance not in (None, interface.mark[0]):
        return f"by {actor.instance}"
    if is_controller(call):
        return "by the VPC resource controller"
    left = _left(interface) or interface.created
    if actor.ipamd and left.event is not None and call.time - left.event.time >= _OLD:
        return f"more than {lasting(_OLD)} after the last use, as a cleanup does"
    return None
