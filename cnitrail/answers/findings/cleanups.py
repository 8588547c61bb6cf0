"""ENIs of the VPC CNI that their own node left behind, and something else deleted: who cleaned up."""

from collections.abc import Iterator

from cnitrail.answers.findings.calls import ResourceCall, grouped, is_controller
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.answers.findings.removals import LEAK_AGE, is_stranger, last_detachment
from cnitrail.answers.findings.wording import enis_were
from cnitrail.model import Effect, Severity
from cnitrail.text import duration, short_list

_CLEANED_UP = (
    "Already cleaned up; until then it wasted IPs. Find out why its own node did not delete it: the node may "
    "have ended first, or its aws-node restarted."
)


def deleted_by_others(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield ENIs of the CNI that were cleaned up, and not by the node that they were created for."""
    found = [(call, how) for call in case.calls if (how := _cleaned_up(case, call)) is not None]
    for (_, how), group in grouped(found, lambda pair: (pair[0].place, pair[1])).items():
        calls = [call for call, _ in group]
        enis = [call.entry.eni or "" for call in calls]
        marks = (case.history.interfaces[eni].mark for eni in enis)
        owners = short_list(mark.instance for mark in marks if mark is not None)
        yield RuleMatch(
            severity=Severity.LOW,
            sentence=f"{enis_were(enis)} created for {owners}, and deleted {how}.",
            advice=_CLEANED_UP,
            calls=calls,
        )


def _cleaned_up(case: FindingContext, call: ResourceCall) -> str | None:
    """Return how a deletion is known to be a cleanup; None if the node itself may have made it."""
    interface = case.history.interfaces.get(call.entry.eni or "")
    if not call.did(Effect.DELETE) or interface is None or interface.kind != "cni" or interface.mark is None:
        return None
    if is_stranger(case, call):
        return None
    actor = call.entry.actor
    if actor.instance not in (None, interface.mark.instance):
        return f"by {actor.instance}"
    if is_controller(call):
        return "by the VPC resource controller"
    left = last_detachment(interface) or interface.created
    if actor.ipamd and left.event is not None and call.time - left.event.time >= LEAK_AGE:
        return f"more than {duration(LEAK_AGE)} after its last use, as the CNI's leak cleanup does"
    return None
