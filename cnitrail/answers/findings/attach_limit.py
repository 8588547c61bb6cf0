"""ENIs that are created, cannot be attached, and are deleted, again and again.

The VPC CNI and Cilium delete an ENI that they cannot attach, and try with a new one: createENI in
pkg/awsutils/awsutils.go of amazon-vpc-cni-k8s, CreateInterface in pkg/aws/eni/node.go of Cilium.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from cnitrail.answers.error_meanings import ENI_GONE, INSTANCE_GONE, what_failed
from cnitrail.answers.findings.calls import ResourceCall, grouped, is_foreign
from cnitrail.answers.findings.commands import CILIUM_NODES, enis_of_instance
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.answers.findings.removals import is_for_another_node
from cnitrail.answers.findings.throttling import is_throttled
from cnitrail.model import AccountRegion, Effect, Manager, Severity
from cnitrail.model.callers import principal_of, role_principal_of
from cnitrail.model.ec2 import ATTACHMENT_LIMIT
from cnitrail.text import clock, counted, listed, short_list

_PAUSE = timedelta(minutes=10)
_LOOP = 3
_NEW = timedelta(minutes=10)
"""Age up to which an ENI counts as created for the attachment that failed."""

_NAMED = 3
"""Maximum number of instances that a sentence names before it counts the rest."""

_LOWER = {Severity.HIGH: Severity.MEDIUM, Severity.MEDIUM: Severity.LOW}
_KNOWN_TO_THE_CNI = ("node-primary", "cni", "trunk")

_ADVICE = (
    "The VPC CNI expects more free ENI slots than the instance has, usually because ENIs are attached that "
    "it does not know about. Set MAX_ENI to the number that is left for the CNI, or restart aws-node on the "
    "node (it counts ENIs when it starts). Tag ENIs that are not the CNI's with "
    "node.k8s.amazonaws.com/no_manage=true."
)
_CILIUM_ADVICE = (
    "Cilium has a wrong limit for the instance type, or ENIs are attached that it does not know about. "
    "Upgrade Cilium, or let the operator read the limits from EC2 (--update-ec2-adapter-limit-via-api)."
)
_OTHERS_ADVICE = "Find out why the caller attaches more ENIs than the instance type allows."
_LIMIT_ADVICE = {Manager.CILIUM: _CILIUM_ADVICE}
_LOOP_ADVICE = {
    Manager.VPC_CNI: "Read the log of aws-node on the node (/var/log/aws-routed-eni/ipamd.log), which has "
    "the same error. Pods there get no IPs of new ENIs until it is solved.",
    Manager.CILIUM: "Read the log of cilium-operator, which has the same error, and the status of the "
    "CiliumNode of the node.",
}
_GONE_ADVICE = {
    Manager.CILIUM: "The operator serves a node that is gone. Delete the stale CiliumNode of the node, and "
    "check that its Kubernetes node is deleted too; if it comes back, restart cilium-operator.",
}
_INDEX_TAKEN = re.compile(r"interface attached at device index", re.IGNORECASE)
_INDEX_ADVICE = (
    "An ENI that the caller does not know about has the device index. Look at the ENIs of the instance: "
    "detach those that nothing needs, and restart the caller, which then reads them again."
)
_ANY_ADVICE = "Find out why the ENIs cannot be attached, and stop the caller until then."
_ANY_GONE_ADVICE = "The caller serves an instance that is gone: remove the instance from what it works on."


def attach_limit(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield instances that refused ENIs: each is created, cannot be attached, and is deleted."""
    refused = case.failed_calls.by_rule.get("attach-limit-loop", ())
    if not refused:
        return
    from cnitrail.limits import limits_of

    by_instance = grouped(refused, lambda call: (call.place, call.entry.instance))
    for (place, instance), calls in by_instance.items():
        if instance is None:
            continue
        known = case.history.instances.get(instance)
        limits = limits_of(known.instance_type) if known is not None and known.instance_type else None
        type_and_limit = f" ({limits.instance_type}, at most {counted(limits.enis, 'ENI')})" if limits else ""
        enis = {call.entry.eni or "" for call in calls}
        is_loop = len(calls) >= _LOOP
        sentence = f"{instance}{type_and_limit} could not attach more ENIs: "
        is_own = all(call.entry.actor.instance == instance for call in calls)
        by = "" if is_own else f" by {case.failed_calls.who(calls)}"
        sentence += f"{counted(len(calls), 'call')}{by} failed for {short_list(enis)}"
        manager = _manager_in_need(case, instance, calls)
        is_of_cni = manager is Manager.VPC_CNI
        others = _unknown_to_the_cni(case, instance, calls[-1]) if is_of_cni else []
        sentence += f", while it had {short_list(others)}, which the VPC CNI did not create" if others else ""
        yield RuleMatch(
            severity=Severity.HIGH if is_loop else Severity.LOW,
            sentence=f"{sentence}.",
            advice=_ADVICE if is_of_cni else _LIMIT_ADVICE.get(manager, _OTHERS_ADVICE),
            commands=enis_of_instance(place, instance),
            calls=_with_creations_and_deletions(case, calls, enis),
            ongoing=is_loop and case.goes_on(place, calls[-1].time, within=_PAUSE),
        )


def _manager_in_need(case: FindingContext, instance: str, calls: Sequence[ResourceCall]) -> Manager:
    """Return which network plugin attaches more ENIs than its instance allows; what may be the VPC CNI is it.

    A node has the VPC CNI if nothing shows another plugin, but anybody may attach ENIs to it.
    """
    plugins = {plugin for call in calls if (plugin := case.plugin_of(call)) is not None}
    if plugins or all(map(is_foreign, calls)):
        return plugins.pop() if len(plugins) == 1 else Manager.UNKNOWN
    manager = case.history.manager_of_node(instance).manager
    return Manager.VPC_CNI if manager is Manager.UNKNOWN else manager


def create_attach_delete(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield loops in which ENIs are created, and cannot be attached for any other reason than the limit.

    Those of one caller for several instances are one finding if they fail for the same reason.
    """
    calls = case.failed_calls.by_rule.get("create-attach-delete-loop", ())

    def problem(refused: Sequence[ResourceCall]) -> tuple[object, ...]:
        codes = frozenset(call.code for call in refused)
        return refused[0].place, role_principal_of(refused[0].entry.actor), codes, _is_gone(case, refused)

    for loops in grouped(grouped(calls, _loop_of).values(), problem).values():
        yield _loop(case, sorted(loops, key=lambda refused: refused[0].entry.instance or ""))


def calls_in_loops(case: FindingContext) -> Iterator[ResourceCall]:
    """Yield the failed attachments of new ENIs to an instance, if there are several by one caller."""
    failed = [
        call
        for call in case.calls
        if call.event.effect is Effect.ATTACH
        and call.event.failure is not None
        and call.code != ATTACHMENT_LIMIT
        and not is_throttled(call)
        and _is_new(case, call)
        and not was_deleted_by_another(case, call)
    ]
    for group in grouped(failed, _loop_of).values():
        if len({call.entry.eni for call in group}) >= _LOOP:
            yield from group


def was_deleted_by_another(case: FindingContext, call: ResourceCall) -> bool:
    """Return whether a call failed because another principal or node had deleted its ENI, and not its CNI."""
    interface = case.history.interfaces.get(call.entry.eni or "")
    event = interface.deleted.event if interface is not None else None
    if call.code != ENI_GONE or event is None or event.time > call.time:
        return False
    is_of_its_cni = any(
        deletion.entry.actor.ipamd and not is_for_another_node(case, deletion)
        for deletion in case.by_event.get(event.key, ())
        if deletion.entry.eni == call.entry.eni
    )
    return not is_of_its_cni and principal_of(case.history.actors[event.key]) != principal_of(
        call.entry.actor
    )


def _loop_of(call: ResourceCall) -> tuple[object, ...]:
    return call.place, principal_of(call.entry.actor), call.entry.instance


def _is_new(case: FindingContext, call: ResourceCall) -> bool:
    """Return whether the ENI of a call was created shortly before, by the same principal."""
    interface = case.history.interfaces.get(call.entry.eni or "")
    event = interface.created.event if interface is not None else None
    if event is None or event.effect is not Effect.CREATE or call.time - event.time > _NEW:
        return False
    return principal_of(case.history.actors[event.key]) == principal_of(call.entry.actor)


def _loop(case: FindingContext, loops: Sequence[Sequence[ResourceCall]]) -> RuleMatch:
    """Return the loops of one caller for one or more instances, each with its refused attachments."""
    refused = sorted((call for loop in loops for call in loop), key=lambda call: call.time)
    first, last, place = refused[0], refused[-1], refused[0].place
    enis = {call.entry.eni or "" for call in refused}
    callers = {principal_of(call.entry.actor) for call in refused}
    deleted = {
        eni
        for eni in enis
        for call in case.by_eni[eni]
        if call.did(Effect.DELETE) and principal_of(call.entry.actor) in callers
    }
    ended = [call for loop in loops for call in _termination(case, loop)]
    again = case.failed_calls.recovery(refused)
    plugin = case.plugin_of(first)
    is_gone = _is_gone(case, loops[0])
    until = f" The first ENI that it could attach again is of {clock(again.time)}." if again else ""
    severity = Severity.MEDIUM if is_gone or plugin is None else Severity.HIGH
    return RuleMatch(
        severity=_LOWER[severity] if again is not None else severity,
        sentence=f"{case.failed_calls.who(refused)} created {counted(len(enis), 'ENI')} for "
        f"{_for_instances(case, loops)}, could not attach any of them ({_reasons(refused, ended)}), and "
        f"{_what_became_of(enis, deleted)}.{until}",
        advice=_loop_advice(plugin, refused, is_gone=is_gone),
        commands=(CILIUM_NODES,) if plugin is Manager.CILIUM else _enis_of(place, loops),
        calls=sorted(
            (*ended, *_with_creations_and_deletions(case, refused, enis)), key=lambda call: call.time
        ),
        ongoing=again is None and case.goes_on(place, last.time),
    )


def _loop_advice(plugin: Manager | None, refused: Iterable[ResourceCall], *, is_gone: bool) -> str:
    messages = [call.message for call in refused]
    if not is_gone and any(map(_INDEX_TAKEN.search, messages)):
        return _INDEX_ADVICE
    own = (_GONE_ADVICE if is_gone else _LOOP_ADVICE).get(plugin) if plugin is not None else None
    return own or (_ANY_GONE_ADVICE if is_gone else _ANY_ADVICE)


def _for_instances(case: FindingContext, loops: Sequence[Sequence[ResourceCall]]) -> str:
    """Return the instances of some loops, with when each was terminated."""
    if len(loops) == 1:
        name, ended = loops[0][0].entry.instance or "an instance", _termination(case, loops[0])
        return f"{name}, which was terminated at {clock(ended[0].time)}" if ended else name
    names = []
    for loop in loops[:_NAMED]:
        ended = _termination(case, loop)
        at = f" (terminated at {clock(ended[0].time)})" if ended else ""
        names.append(f"{loop[0].entry.instance or 'an instance'}{at}")
    return listed([*names, *([f"{len(loops) - _NAMED:,} more"] if len(loops) > _NAMED else [])])


def _reasons(refused: Sequence[ResourceCall], ended: Sequence[ResourceCall]) -> str:
    """Return why attachments failed: the codes, with their meaning unless the instance was terminated."""
    texts = []
    for code, same in grouped(refused, lambda call: call.code).items():
        failure = same[0].event.failure
        texts.append(what_failed(failure, Effect.ATTACH) if failure and not ended else code or "")
    return "; ".join(texts[:_NAMED])


def _enis_of(place: AccountRegion, loops: Iterable[Sequence[ResourceCall]]) -> tuple[str, ...]:
    """Return the commands that show the ENIs of the first instances of some loops."""
    instances = [loop[0].entry.instance for loop in loops][:_NAMED]
    return tuple(command for instance in instances for command in enis_of_instance(place, instance))


def _is_gone(case: FindingContext, refused: Sequence[ResourceCall]) -> bool:
    """Return whether the instance of a loop was terminated before its end, or EC2 said that it is gone."""
    return bool(_termination(case, refused)) or any(call.code == INSTANCE_GONE for call in refused)


def _termination(case: FindingContext, refused: Sequence[ResourceCall]) -> list[ResourceCall]:
    """Return the call that terminated the instance of a loop before its end; empty if none is known."""
    instance = refused[0].entry.instance
    known = case.history.instances.get(instance or "")
    event = known.ended.event if known is not None else None
    if event is None or event.time > refused[-1].time:
        return []
    calls = case.by_event.get(event.key, [])
    return [call for call in calls if call.entry.instance == instance][:1] or calls[:1]


def _what_became_of(enis: set[str], deleted: set[str]) -> str:
    """Return what the caller did with ENIs that it could not attach."""
    if not deleted:
        return "deleted none of them"
    return "deleted them" if deleted == enis else f"deleted {len(deleted):,} of them"


def _with_creations_and_deletions(
    case: FindingContext, refused: Sequence[ResourceCall], enis: set[str]
) -> list[ResourceCall]:
    """Return the refused calls, and those that created and deleted the same ENIs."""
    around = [
        call for eni in enis for call in case.by_eni.get(eni, ()) if call.did(Effect.CREATE, Effect.DELETE)
    ]
    return sorted([*refused, *around], key=lambda call: call.time)


def _unknown_to_the_cni(case: FindingContext, instance: str, call: ResourceCall) -> list[str]:
    """Return the ENIs on the instance at that time that are neither its first nor the CNI's."""
    attached = (
        attachment.eni for attachment in case.on_instance.get(instance, ()) if attachment.covers(call.time)
    )
    return [eni for eni in attached if case.history.interfaces[eni].kind not in _KNOWN_TO_THE_CNI]
