"""Instances that are asked to attach more ENIs than their type allows."""

from collections.abc import Iterator
from datetime import timedelta

from cnitrail.answers.findings.commands import enis_of_instance
from cnitrail.answers.findings.context import FindingContext, ResourceCall, RuleMatch, grouped
from cnitrail.model import Effect, Severity
from cnitrail.model.ec2 import ATTACHMENT_LIMIT
from cnitrail.text import counted, short_list

_PAUSE = timedelta(minutes=10)
_LOOP = 3
_KNOWN_TO_THE_CNI = ("node-primary", "cni", "trunk")

_ADVICE = (
    "The VPC CNI expects more free ENI slots than the instance has, usually because ENIs are attached that "
    "it does not know about. Set MAX_ENI to the number that is left for the CNI, or restart aws-node on the "
    "node (it counts ENIs when it starts). Tag ENIs that are not the CNI's with "
    "node.k8s.amazonaws.com/no_manage=true."
)


def attach_limit(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield instances that refused ENIs: each is created, cannot be attached, and is deleted."""
    refused = [
        call for call in case.calls if call.event.effect is Effect.ATTACH and call.code == ATTACHMENT_LIMIT
    ]
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
        sentence += f"{counted(len(calls), 'call')} failed for {short_list(enis)}"
        others = _unknown_to_the_cni(case, instance, calls[-1])
        sentence += f", while it had {short_list(others)}, which the VPC CNI did not create" if others else ""
        yield RuleMatch(
            severity=Severity.HIGH if is_loop else Severity.LOW,
            sentence=f"{sentence}.",
            advice=_ADVICE,
            commands=enis_of_instance(place, instance),
            calls=_with_creations_and_deletions(case, calls, enis),
            ongoing=is_loop and case.evidence_end(place) - calls[-1].time < _PAUSE,
        )


def _with_creations_and_deletions(
    case: FindingContext, refused: list[ResourceCall], enis: set[str]
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
