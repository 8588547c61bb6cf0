"""Removals of ENIs: who detached or deleted one, whether that was a stranger, and what harm it did."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import Enum

from msgspec import Struct

from cnitrail.answers.findings.calls import MAY_BE_THE_CNI, ResourceCall, is_controller, is_elsewhere
from cnitrail.answers.findings.context import FindingContext
from cnitrail.model import ActorKind, Bound, Effect, Event, Interface, Manager, Strength
from cnitrail.model.callers import (
    CILIUM_ACCOUNT,
    ON_NODES,
    is_another_program,
    is_of_eks,
    may_be_the_cni,
    principal_of,
    role_or_user_of,
)
from cnitrail.model.reason import Reason, ReasonCode

LEAK_AGE = timedelta(minutes=5)
"""Age at which the CNI's cleanup takes a detached ENI for a leak (pkg/awsutils in amazon-vpc-cni-k8s)."""

SOON = timedelta(minutes=2)
"""Within this time, a caller that detaches an ENI and deletes one means the same ENI: EC2 takes seconds."""

_REMOVED = ("DetachNetworkInterface", "DisassociateTrunkInterface", "DeleteNetworkInterface")
TAG_OF_MANAGER = {
    Manager.VPC_CNI: "node.k8s.amazonaws.com/instance_id",
    Manager.RESOURCE_CONTROLLER: "eks:eni:owner",
    Manager.CILIUM: "io.cilium/",
    Manager.AUTO_MODE: "eks:kubernetes-cni-node-name",
}
"""The managers whose ENIs nobody else may remove, each with a tag by which a clean-up job can skip them."""


class Harm(Enum):
    """What the removal of an ENI did, the worst first."""

    DETACHED = "detached"
    """It was taken off a node, with its addresses."""
    TOO_EARLY = "too-early"
    """It was deleted before it could be attached."""
    UNKNOWN = "unknown"
    """It was deleted, and no event shows since when nothing used it."""
    LEAKED = "leaked"
    """It was deleted after it had been used, or had failed to be."""


class Removal(Struct, frozen=True, kw_only=True):
    """A call that removed an ENI, what that did, and the calls that show it."""

    call: ResourceCall
    harm: Harm
    manager: Manager
    cluster: str | None
    doubts: tuple[Reason, ...]
    around: Sequence[ResourceCall] = ()


def is_stranger(case: FindingContext, call: ResourceCall) -> bool:
    """Return whether the caller of a removal is neither the manager of the ENI nor an AWS service.

    A service that acts with a customer's role does what somebody ordered.
    """
    actor, eni = call.entry.actor, call.entry.eni
    managed = case.history.manager_of(eni)
    manager = managed.manager
    if manager is Manager.VPC_CNI and _takes_from_another(case, call):
        return True
    is_cni_of_another = is_for_another_node(case, call) and not is_another_program(actor)
    if manager is Manager.VPC_CNI and (is_cni_of_another or is_controller(call)):
        return _harm(case, call) in (Harm.DETACHED, Harm.TOO_EARLY)  # they clean up after nodes
    if actor.kind is ActorKind.AWS_SERVICE or actor.ipamd is not None or is_of_eks(actor):
        return False
    if manager is Manager.VPC_CNI and actor.kind is ActorKind.INSTANCE_ROLE:
        return is_another_program(actor)
    is_known = managed.strength is not Strength.CLAIMED
    if manager is Manager.RESOURCE_CONTROLLER and is_known and not is_controller(call):
        return actor.kind is not ActorKind.AWS_ACCOUNT  # the controller associates from an account of AWS
    if manager is Manager.CILIUM and (actor.service_account or "").endswith(CILIUM_ACCOUNT):
        return False
    return not _is_like_a_user(case, call)


def is_for_another_node(case: FindingContext, call: ResourceCall) -> bool:
    """Return whether a node's own role made a call on an ENI that was created for another node."""
    instance, _ = case.history.made_for(call.entry.eni or "", call.time)
    return call.entry.actor.instance is not None and instance not in (None, call.entry.actor.instance)


def _takes_from_another(case: FindingContext, call: ResourceCall) -> bool:
    """Return whether a node takes an ENI off another one, or deletes one that it has taken off itself."""
    if is_elsewhere(call):
        return True
    interface = case.history.interfaces.get(call.entry.eni or "")
    left = last_end(interface, call.time) if interface is not None and call.did(Effect.DELETE) else None
    if left is None or not _is_same_caller(case, left, call):
        return False
    return any(map(is_elsewhere, case.by_event.get(left.key, ())))


def _is_like_a_user(case: FindingContext, call: ResourceCall) -> bool:
    """Return whether a caller has the role and the program of the one that created the ENI.

    If no event creates it, of one that changed its addresses.
    """
    actor, eni = call.entry.actor, call.entry.eni or ""
    is_cni = case.history.manager_of(eni).manager is Manager.VPC_CNI
    if is_cni and is_another_program(actor):
        return False
    users = [one for one in case.by_eni.get(eni, ()) if one.did(Effect.CREATE)] or [
        one for one in case.by_eni.get(eni, ()) if one.did(Effect.ASSIGN, Effect.UNASSIGN)
    ]
    return not users or any(
        role_or_user_of(one.entry.actor) == role_or_user_of(actor) is not None
        and (is_cni or one.entry.actor.agent.name == actor.agent.name)
        for one in users
    )


def removal_of(case: FindingContext, call: ResourceCall) -> Removal | None:
    """Return what a call did as a removal by a stranger; None if it is none."""
    if call.event.name not in _REMOVED or not call.did(Effect.DETACH, Effect.DELETE):
        return None
    managed = case.history.manager_of(call.entry.eni)
    if managed.manager not in TAG_OF_MANAGER or not managed.is_direct or not is_stranger(case, call):
        return None
    harm = _harm(case, call)
    doubts: list[Reason] = []
    is_of_another = _takes_from_another(case, call) or is_for_another_node(case, call)
    is_known = is_of_another and call.entry.actor.kind in ON_NODES
    if managed.manager is Manager.VPC_CNI and may_be_the_cni(call.entry.actor) and not is_known:
        doubts.append(MAY_BE_THE_CNI)
    detached = _unnamed_detachment(case, call) if harm is Harm.UNKNOWN else None
    if detached is not None:
        text = "The call that detached it does not name the ENI: it may have been another one."
        doubts.append(Reason(ReasonCode.DETACH_TIME_UNKNOWN, text))
    elif harm is Harm.UNKNOWN:
        text = "No event shows whether anything used the ENI until then."
        doubts.append(Reason(ReasonCode.DETACH_TIME_UNKNOWN, text))
    return Removal(
        call=call,
        harm=harm,
        manager=managed.manager,
        cluster=_cluster_of_eni(case, call),
        doubts=tuple(doubts),
        around=(detached,) if detached is not None else _around(case, call, harm),
    )


def _cluster_of_eni(case: FindingContext, call: ResourceCall) -> str | None:
    """Return the cluster of an ENI, or of the instance that it was last on: a removal names only the ENI."""
    attachments = case.history.interfaces[call.entry.eni or ""].attachments
    instance = attachments[-1].instance if attachments else call.entry.instance
    return case.history.cluster_of(call.entry.eni, instance, None).name


def _harm(case: FindingContext, call: ResourceCall) -> Harm:
    """Return what the removal of an ENI did."""
    if call.event.effect is Effect.DETACH:
        return Harm.DETACHED
    interface = case.history.interfaces[call.entry.eni or ""]
    left = last_end(interface, call.time)
    if left is not None:
        return Harm.DETACHED if _is_same_caller(case, left, call) else Harm.LEAKED
    created = interface.created.time
    if created is None or interface.attachments or interface.kind == "branch":
        return Harm.UNKNOWN  # a branch may be attached without an event in this account's trail
    is_old = call.time - created >= LEAK_AGE or _node_ended(case, interface, call.time)
    is_refused = any(one.time <= call.time for one in _failed_attachments(case, call.entry.eni))
    return Harm.LEAKED if is_old or is_refused else Harm.TOO_EARLY


def last_end(interface: Interface, time: datetime) -> Event | None:
    """Return the call by which an ENI last left an instance before its deletion; None if none is known."""
    ends = [
        attachment.end.event
        for attachment in interface.attachments
        if attachment.end.event is not None
        and attachment.end.event.time <= time
        and attachment.end.event.effect is not Effect.DELETE
    ]
    return ends[-1] if ends else None


def _unnamed_detachment(case: FindingContext, call: ResourceCall) -> ResourceCall | None:
    """Return the last call of the same caller, shortly before a deletion, that detached an unnamed ENI.

    A detachment names only the attachment, which older evidence would connect with its ENI.
    """
    before = case.unnamed_detachments.get((call.place, principal_of(call.entry.actor)), ())
    index = bisect_right(before, call.time, key=lambda one: one.time)
    if index == 0 or call.time - before[index - 1].time > SOON:
        return None
    return before[index - 1]


def _is_same_caller(case: FindingContext, detachment: Event, call: ResourceCall) -> bool:
    """Return whether the caller who deleted an ENI also detached it."""
    detached_by = principal_of(case.history.actors[detachment.key])
    return detachment.effect is Effect.DETACH and detached_by == principal_of(call.entry.actor)


def _node_ended(case: FindingContext, interface: Interface, time: datetime) -> bool:
    """Return whether the instance that an ENI was created for ended before a time."""
    name, _ = case.history.made_for(interface.eni, time)
    node = case.history.instances.get(name or "")
    return node is not None and node.ended.time is not None and node.ended.time <= time


def _failed_attachments(case: FindingContext, eni: str | None) -> Iterator[ResourceCall]:
    for call in case.by_eni.get(eni or "", ()):
        if call.event.effect is Effect.ATTACH and call.event.failure is not None:
            yield call


def _around(case: FindingContext, call: ResourceCall, harm: Harm) -> Sequence[ResourceCall]:
    """Return the creation of an ENI that was deleted too early, and the attachment that then failed."""
    if harm is not Harm.TOO_EARLY:
        return ()
    created = [one for one in case.by_eni.get(call.entry.eni or "", ()) if one.did(Effect.CREATE)]
    failed = [
        one
        for one in _failed_attachments(case, call.entry.eni)
        if call.time <= one.time <= call.time + LEAK_AGE
    ]
    return (*created, *failed)


def last_detachment(interface: Interface) -> Bound | None:
    """Return how the ENI left the instance that it was last attached to; None if no event shows that."""
    if not interface.attachments:
        return None
    last = interface.attachments[-1]
    return last.end if last.start.event is not None and last.end.event is not None else None
