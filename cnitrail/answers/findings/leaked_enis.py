"""ENIs that were created and never used, or left behind and never deleted.

The VPC CNI attaches an ENI seconds after it created it, and deletes one seconds after it detached
it. What a node leaves behind, the CNI of any node deletes when it finds it more than five minutes
old: it looks within five minutes of its start, and then every hour (cleanUpLeakedENIs in
pkg/awsutils/awsutils.go of amazon-vpc-cni-k8s).
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.findings.calls import ResourceCall, grouped
from cnitrail.answers.findings.commands import describe_enis
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.answers.findings.removals import last_detachment
from cnitrail.answers.findings.wording import enis_were, when
from cnitrail.model import USUAL_LAG, Effect, InstanceBasis, Interface, Manager, Severity, Strength
from cnitrail.model.ec2 import SHUTDOWN, TRUNK_TAG
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import duration, quoted, short_list, times
from cnitrail.timeclamp import FIRST

_OF_NODES = ("cni", "trunk", "branch", "cilium")
_WITH_OWN_ENIS = (Manager.VPC_CNI, Manager.RESOURCE_CONTROLLER, Manager.CILIUM)
_CLEANUP_DUE = timedelta(minutes=70)
"""Age by which a cleanup should have come, if any node runs the CNI."""

_AT_ONCE = timedelta(minutes=5)
"""Time in which a plugin attaches an ENI after its creation, or deletes it after its detachment: what
happens to the node within it may be the reason why it did not."""

_DENIED = ("UnauthorizedOperation", "AccessDenied")
_IN_USE = "currently in use"
_KEEP = re.compile(r"do.?not.?delete", re.IGNORECASE)
_DELETE = (
    "A leaked ENI uses up IPs, and blocks the deletion of its subnet and security groups. Check that its "
    "status is still available, then delete it (aws ec2 delete-network-interface)."
)
_ASK = (
    "Ask its creator whether it is still needed. An ENI that nothing uses takes up an IP, and blocks the "
    "deletion of its subnet and security groups."
)
_SERVICE_MAY_USE_IT = Reason(
    ReasonCode.SERVICE_MAY_USE_IT,
    "An AWS service may use it from its own account, which no event here shows.",
)
_CLEANUP_PENDING = Reason(
    ReasonCode.CLEANUP_PENDING, "The hourly leak cleanup of the VPC CNI may still delete it."
)
_BY_TAG = Reason(
    ReasonCode.INSTANCE_INFERRED, "No event attaches it to that instance: only the tag of its trunk names it."
)
_WHAT = {
    "AttachNetworkInterface": "attach any ENI",
    "AssociateTrunkInterface": "attach any branch ENI",
    "DeleteNetworkInterface": "delete any ENI",
}
"""The calls that make an ENI no leak, and what they do."""


class _Leak(Struct, frozen=True, kw_only=True):
    """An ENI that has been attached to nothing since a time, and why.

    ``left`` is the call that created it, detached it, or ended its instance. ``attempts`` are the failed
    calls to attach it, ``deletions`` those to delete it. ``ended`` is the call that ended its instance soon
    after ``last``, the last of these calls. ``turned_off`` is the call after which it outlives its instance.
    """

    interface: Interface
    left: ResourceCall
    node: str | None
    attempts: Sequence[ResourceCall]
    deletions: Sequence[ResourceCall]
    last: ResourceCall
    ended: ResourceCall | None
    turned_off: ResourceCall | None
    doubts: tuple[Reason, ...]

    @property
    def since(self) -> datetime:
        """Return since when it has been attached to nothing."""
        return self.left.time

    @property
    def is_of_ended_node(self) -> bool:
        """Return whether its instance was being terminated already when it was detached."""
        return self.ended is not None and self.ended.time < self.left.time

    @property
    def calls(self) -> Sequence[ResourceCall]:
        """Return the calls that show it."""
        return [self.left, *self.attempts, *self.deletions, *([self.ended] if self.ended else [])]


def never_attached(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield ENIs that were created, and not attached until the evidence ends."""
    leaks: list[_Leak] = []
    for call in case.calls:
        interface = case.history.interfaces.get(call.entry.eni or "")
        created = interface is not None and interface.created.event is call.event
        if interface is None or not created or interface.attachments or _is_for_others(case, interface):
            continue
        is_branch = interface.kind == "branch"
        if is_branch and (_names_trunk(call) or not _has(case, call, "AssociateTrunkInterface")):
            continue
        node, _ = case.history.made_for(interface.eni, call.time)
        missed = "AssociateTrunkInterface" if is_branch else "AttachNetworkInterface"
        leaks += _leak(case, interface, call, node, missed)
    for group in _alike(case, leaks):
        creator, nodes = case.who(group[0].left.entry.actor), _nodes(group)
        owners = f" for {short_list(nodes)}" if nodes - {group[0].left.entry.actor.instance} else ""
        tried = _tried(group, "attach")
        was = "it was" if len(group) == 1 else "they were"
        ended = _ended(case, group, f" after {was} created")
        cause = [*tried, *ended] or [_nobody(group, "attach")]
        cause += _tried(group, "delete") or ([_nobody(group, "delete")] if tried else [])
        yield _match(case, group, f"created by {creator}{owners} and never attached: {', and '.join(cause)}")


def never_deleted(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield ENIs of nodes that were detached, or outlived their instance, and still exist."""
    leaks: list[_Leak] = []
    for eni, interface in case.history.interfaces.items():
        left = last_detachment(interface)
        if left is None or left.event is None or not _is_of_plugin(case, interface):
            continue
        touched = case.by_event[left.event.key]
        node = interface.attachments[-1].instance
        ending = next((call for call in touched if call.entry.eni == eni), None) or _about(
            next((call for call in touched if call.entry.instance == node), touched[0]), interface
        )
        leaks += _leak(case, interface, ending, node, "DeleteNetworkInterface")
    for group in _alike(case, leaks):
        who, nodes = case.who(group[0].left.entry.actor), short_list(_nodes(group))
        at = when(group[0].since, group[-1].since)
        if group[0].left.event.effect is Effect.TERMINATE:
            left_by = f"left behind when {who} terminated {nodes or 'its instance'} {at}"
            reason = [] if group[0].interface.kind == "branch" else [_survived(case, group)]
        else:
            left_by, reason = f"detached by {who} {at}", []
        tried = _tried(group, "delete") or [_nobody(group, "delete")]
        cause = [*reason, *tried, *_ended(case, group, " later")]
        yield _match(case, group, f"{left_by} and never deleted: {', and '.join(cause)}")


def _leak(
    case: FindingContext, interface: Interface, left: ResourceCall, node: str | None, missed: str
) -> Iterator[_Leak]:
    """Yield a leak, if the ENI is not deleted and the evidence goes on long enough to show it.

    Evidence without any call of the name that is ``missed`` may have been selected without them.
    """
    since = left.time
    place = (interface.account, interface.region)
    age = case.evidence_end(place) - since
    if interface.deleted.event is not None or age < USUAL_LAG:
        return
    doubts = list(case.hole(place, since, since + age))
    if (place, missed) not in case.event_names:
        text = f"The evidence has no call to {_WHAT[missed]}: such calls may have been filtered out."
        doubts.append(Reason(ReasonCode.NO_SUCH_CALLS, text))
    if not _is_of_plugin(case, interface):
        doubts.append(_SERVICE_MAY_USE_IT)
    elif age < _CLEANUP_DUE and interface.kind != "cilium":
        doubts.append(_CLEANUP_PENDING)
    if any(attachment.how is InstanceBasis.TAG for attachment in interface.attachments):
        doubts.append(_BY_TAG)
    failed = [
        call for call in case.by_eni.get(interface.eni, ()) if call.event.failure and call.time >= since
    ]
    deletions = [call for call in failed if call.event.effect is Effect.DELETE]
    last = deletions[-1] if deletions and left.event.effect is not Effect.CREATE else left
    yield _Leak(
        interface=interface,
        left=left,
        node=node,
        attempts=[call for call in failed if call.event.effect is Effect.ATTACH],
        deletions=deletions,
        last=last,
        ended=_end_of(case, node, left, last),
        turned_off=_turned_off(case, interface, left),
        doubts=tuple(doubts),
    )


def _turned_off(case: FindingContext, interface: Interface, left: ResourceCall) -> ResourceCall | None:
    """Return the last call that set deleteOnTermination of the last attachment, if it turned it off."""
    attachments = interface.attachments
    since = (attachments[-1].start.time if attachments else None) or FIRST
    settings = [
        (call, subject.details.delete_on_termination)
        for call in case.by_eni.get(interface.eni, ())
        if call.did(Effect.LAUNCH, Effect.MODIFY) and since <= call.time <= left.time
        for subject in call.event.subjects
        if subject.eni == interface.eni and subject.details.delete_on_termination is not None
    ]
    last, is_on = settings[-1] if settings else (None, True)
    return last if left.event.effect is Effect.TERMINATE and not is_on else None


def _end_of(
    case: FindingContext, node: str | None, left: ResourceCall, last: ResourceCall
) -> ResourceCall | None:
    """Return the call that ended an instance between two calls, or close to them; None if none did.

    While an instance is being terminated, its ENIs can still be detached.
    """
    instance = case.history.instances.get(node or "")
    event = instance.ended.event if instance is not None else None
    if event is None or event is left.event:
        return None
    earliest = left.time - (SHUTDOWN if left.event.effect is Effect.DETACH else timedelta())
    if event.time < earliest or event.time - last.time > _AT_ONCE:
        return None
    touched = (call for call in case.by_event.get(event.key, ()) if call.entry.instance == node)
    return next((_about(call, None) for call in touched), None)


def _about(call: ResourceCall, interface: Interface | None) -> ResourceCall:
    """Return a termination as a call on the instance and one ENI, without those that went with it."""
    entry = replace(
        call.entry,
        eni=interface.eni if interface is not None else None,
        eni_kind=interface.kind if interface is not None else None,
        attachment=None,
        device_index=None,
        removed=(),
    )
    return call._replace(entry=entry)


def _alike(case: FindingContext, leaks: Sequence[_Leak]) -> Iterator[Sequence[_Leak]]:
    """Yield the leaks that have one cause: the same callers did the same, and the same calls failed."""

    def key(leak: _Leak) -> tuple[object, ...]:
        ended = case.who(leak.ended.entry.actor) if leak.ended is not None else None
        manager = case.history.manager_of(leak.interface.eni).manager
        failed = (*leak.attempts, *leak.deletions)
        return (
            leak.left.place,
            leak.left.event.effect,
            case.who(leak.left.entry.actor),
            leak.left.entry.cluster,
            manager,
            frozenset((call.event.effect, _failure(call)) for call in failed),
            ended,
            leak.is_of_ended_node,
            _by(case, leak.turned_off),
            _kept(leak),
            leak.doubts,
        )

    for group in grouped(leaks, key).values():
        yield sorted(group, key=lambda leak: leak.since)


def _by(case: FindingContext, call: ResourceCall | None) -> tuple[str, Effect] | None:
    """Return who made a call, and what it did."""
    return (case.who(call.entry.actor), call.event.effect) if call is not None else None


def _match(case: FindingContext, group: Sequence[_Leak], what: str) -> RuleMatch:
    enis = [leak.interface.eni for leak in group]
    calls = {id(call): call for leak in group for call in leak.calls}
    kept = _kept(group[0])
    says = f" Its description says {quoted(kept)}." if kept is not None else ""
    return RuleMatch(
        severity=Severity.LOW if group[0].doubts else Severity.MEDIUM,
        sentence=f"{enis_were(enis)} {what}.{says}",
        advice=_advice(case, group),
        commands=describe_enis(group[0].left.place, enis),
        calls=sorted(calls.values(), key=lambda call: call.time),
        doubts=group[0].doubts,
        ongoing=True,
        causes=[leak.turned_off for leak in group if leak.turned_off is not None],
    )


def _advice(case: FindingContext, group: Sequence[_Leak]) -> str:
    """Return what to do: only what a network plugin left, or what failed to be used, is safe to delete."""
    leak = group[0]
    is_evident = _is_of_plugin(case, leak.interface) or bool(leak.attempts)
    if _kept(leak) is not None or not is_evident:
        return _ASK
    roles = {call.entry.actor.role for call in leak.deletions if call.code in _DENIED}
    denied = short_list(role for role in roles if role is not None)
    return f"Allow ec2:DeleteNetworkInterface for role {denied}. {_DELETE}" if denied else _DELETE


def _kept(leak: _Leak) -> str | None:
    """Return the description of an ENI if it asks not to delete it; else None."""
    event = leak.interface.created.event
    subjects = event.subjects if event is not None else ()
    texts = (subject.details.description for subject in subjects if subject.eni == leak.interface.eni)
    return next((text for text in texts if text is not None and _KEEP.search(text)), None)


def _tried(group: Sequence[_Leak], what: str) -> list[str]:
    """Return how the calls to attach or delete the ENIs failed; nothing if there were none."""
    calls = [call for leak in group for call in (leak.attempts if what == "attach" else leak.deletions)]
    if not calls:
        return []
    noun = {"attach": "attachment", "delete": "delete"}[what]
    its = f"its {noun}" if len(group) == 1 else f"their {noun}s"
    parts = []
    for failure, alike in grouped(calls, _failure).items():
        if failure == _IN_USE:
            was = "was" if len(group) == 1 else "were"
            parts.append(f"{was} refused {times(len(alike))} (still in use)")
        else:
            parts.append(f"failed {times(len(alike))} with {failure}{_lacking(alike, what)}")
    return [f"{its} {' and '.join(parts)}"]


def _failure(call: ResourceCall) -> str:
    """Return why a call failed: its error code, or that the ENI was in use."""
    return _IN_USE if _IN_USE in call.message else call.code or ""


def _lacking(calls: Sequence[ResourceCall], what: str) -> str:
    """Return which roles may not make calls that EC2 refused for that reason."""
    roles = {call.entry.actor.role for call in calls if call.code in _DENIED} - {None}
    action = {"attach": "AttachNetworkInterface", "delete": "DeleteNetworkInterface"}[what]
    names = short_list(role for role in roles if role is not None)
    return f" (role {names} lacks ec2:{action})" if names else ""


def _nobody(group: Sequence[_Leak], what: str) -> str:
    """Return that no call tried to attach or delete the ENIs, as far as the evidence shows."""
    it = "it" if len(group) == 1 else "them"
    sure = f"nobody tried to {what} {it}"
    return f"no event shows an attempt to {what} {it}" if _may_lack_calls(group) else sure


def _survived(case: FindingContext, group: Sequence[_Leak]) -> str:
    """Return why EC2 did not delete the ENIs with their instance."""
    calls = [leak.turned_off for leak in group if leak.turned_off is not None]
    if calls:
        at = when(calls[0].time, calls[-1].time)
        is_launch = calls[0].event.effect is Effect.LAUNCH
        deed = "launched the instance with deleteOnTermination" if is_launch else "turned deleteOnTermination"
        return f"{case.who(calls[0].entry.actor)} {deed} off {at}"
    unsure = _may_lack_calls(group)
    return "no event sets deleteOnTermination" if unsure else "deleteOnTermination was off"


def _may_lack_calls(group: Sequence[_Leak]) -> bool:
    """Return whether the evidence may lack calls on the ENIs."""
    return any(doubt.code in (ReasonCode.NO_SUCH_CALLS, ReasonCode.LOG_GAP) for doubt in group[0].doubts)


def _ended(case: FindingContext, group: Sequence[_Leak], after: str) -> list[str]:
    """Return who ended the instances of the ENIs, and how soon; nothing if nobody did."""
    pairs = [(leak, leak.ended) for leak in group if leak.ended is not None]
    if not pairs:
        return []
    waits = sorted(abs(ended.time - _call_before(leak, ended).time) for leak, ended in pairs)
    longest = ("at most " if waits[0] != waits[-1] else "") + duration(waits[-1])
    after = " earlier" if group[0].is_of_ended_node else after
    nodes = short_list(leak.node or "" for leak, _ in pairs)
    first = pairs[0][1]
    ended = "evicted" if first.event.name == "BidEvictedEvent" else "terminated"
    return [f"{case.who(first.entry.actor)} {ended} {nodes} {longest}{after}"]


def _call_before(leak: _Leak, ended: ResourceCall) -> ResourceCall:
    """Return the last call on the ENI before its instance ended: the instance may end between two of them."""
    return leak.last if leak.last.time <= ended.time else leak.left


def _nodes(group: Sequence[_Leak]) -> set[str]:
    return {leak.node for leak in group if leak.node is not None}


def _is_of_plugin(case: FindingContext, interface: Interface) -> bool:
    """Return whether a network plugin of nodes created an ENI, or changes its addresses."""
    if interface.kind in _OF_NODES:
        return True
    managed = case.history.manager_of(interface.eni)
    return managed.manager in _WITH_OWN_ENIS and interface.kind == "other"


def _is_for_others(case: FindingContext, interface: Interface) -> bool:
    """Return whether an AWS service created the ENI or uses it: services attach ENIs without an event.

    A service that creates what somebody ordered (AWS CloudFormation) does not use it.
    """
    managed = case.history.manager_of(interface.eni)
    is_of_auto_mode = managed.manager is Manager.AUTO_MODE and managed.strength is not Strength.CLAIMED
    return managed.is_service or is_of_auto_mode or interface.kind not in (*_OF_NODES, "other")


def _names_trunk(call: ResourceCall) -> bool:
    """Return whether the tags of a new branch name its trunk: its association may not be in the trail."""
    return any(key == TRUNK_TAG for subject in call.event.subjects for key, _ in subject.details.tags)


def _has(case: FindingContext, call: ResourceCall, name: str) -> bool:
    return (call.place, name) in case.event_names
