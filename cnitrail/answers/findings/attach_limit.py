"""Instances that are asked to take more interfaces than they can."""

from collections.abc import Iterator
from datetime import timedelta

from cnitrail.answers.findings.context import Claim, FindingContext, ResourceCall, grouped
from cnitrail.answers.findings.words import counted, listed
from cnitrail.model import Effect, Severity

_CODE = "AttachmentLimitExceeded"
_PAUSE = timedelta(minutes=10)
_LOOP = 3
_KNOWN_TO_THE_CNI = ("node-primary", "cni", "trunk")

_ADVICE = (
    "The VPC CNI counts on more interfaces than the instance takes, usually since others are attached that "
    "it does not know of. Set MAX_ENI to what is left for it, or let aws-node start anew on the node (it "
    "counts then); tag interfaces that are not its own node.k8s.amazonaws.com/no_manage=true."
)


def attach_limit(case: FindingContext) -> Iterator[Claim]:
    """An instance refused interfaces, again and again: each is made, cannot be attached, and goes."""
    refused = [call for call in case.calls if call.event.effect is Effect.ATTACH and call.code == _CODE]
    if not refused:
        return
    from cnitrail.limits import limits_of

    by_instance = grouped(refused, lambda call: (call.place, call.entry.instance))
    for (place, instance), calls in by_instance.items():
        if instance is None:
            continue
        known = case.history.instances.get(instance)
        limits = limits_of(known.instance_type) if known is not None and known.instance_type else None
        what = f" ({limits.instance_type}, at most {limits.enis} interfaces)" if limits else ""
        enis = {call.entry.eni or "" for call in calls}
        loop = len(calls) >= _LOOP
        sentence = f"{instance}{what} took no more interfaces: "
        sentence += f"{counted(len(calls), 'call')} failed to attach {listed(enis)}"
        others = _others(case, instance, calls[-1])
        sentence += f", while it had {listed(others)}, which the VPC CNI did not make." if others else "."
        yield Claim(
            severity=Severity.HIGH if loop else Severity.LOW,
            sentence=sentence,
            advice=_ADVICE,
            calls=_round(case, calls, enis),
            ongoing=loop and case.end(place) - calls[-1].time < _PAUSE,
        )


def _round(case: FindingContext, refused: list[ResourceCall], enis: set[str]) -> list[ResourceCall]:
    """The refused calls, and those that made and deleted the same interfaces."""
    around = [
        call for eni in enis for call in case.by_eni.get(eni, ()) if call.did(Effect.CREATE, Effect.DELETE)
    ]
    return sorted([*refused, *around], key=lambda call: call.time)


def _others(case: FindingContext, instance: str, call: ResourceCall) -> list[str]:
    """Interfaces on the instance at that time that are neither its first nor the CNI's."""
    there = (each.eni for each in case.on_instance.get(instance, ()) if each.covers(call.time))
    return [eni for eni in there if case.history.interfaces[eni].kind not in _KNOWN_TO_THE_CNI]
