"""ENIs of a network plugin that somebody else detached or deleted: a person, a script, a clean-up job.

An ENI that the VPC CNI is about to attach shows as ``available`` for some seconds, like a leaked one. Jobs
that delete every available ENI take it away.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from cnitrail.answers.findings.calls import ResourceCall, grouped
from cnitrail.answers.findings.commands import describe_enis, pods_with
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.answers.findings.removals import SOON, TAG_OF_MANAGER, Harm, Removal, last_end, removal_of
from cnitrail.answers.findings.wording import when
from cnitrail.model import MANAGER_NAMES, Effect, Held, Severity, is_prefix
from cnitrail.model.callers import principal_of
from cnitrail.text import capitalized, counted, distinct, duration, short_list, times

_LEFT_ALONE = (
    "Make the caller leave out ENIs with the tag {tag}: before an ENI is attached, it is available for some "
    "seconds, like a leaked one."
)
_DETACHED = (
    "Ask the caller why. Pods with these IPs have no network, and {manager} may not notice: cordon the node, "
    "and delete these pods or the node."
)
_DELETED = "{manager} creates another ENI, and pods wait for it."
_CLEANED_UP = (
    "Nothing was lost. Find out why the ENI was left behind, and make sure that the caller leaves out ENIs "
    "that are less than an hour old."
)

_SOON_DELETED = (
    "Nothing was lost. {manager} deletes such an ENI itself some seconds later. Make sure that the caller "
    "leaves out ENIs that are in use or less than an hour old."
)


def removed_by_stranger(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield ENIs of a network plugin that neither the plugin nor an AWS service detached or deleted."""
    removals = [removal for call in case.calls if (removal := removal_of(case, call)) is not None]
    for group in grouped(removals, _group).values():
        yield _MATCHES[group[0].harm](case, group)


def _group(removal: Removal) -> tuple[object, ...]:
    call = removal.call
    caller = principal_of(call.entry.actor)
    return call.place, caller, removal.cluster, removal.manager, removal.harm, removal.doubts


def _detached(case: FindingContext, group: Sequence[Removal]) -> RuleMatch:
    """Return the match of ENIs that were taken off nodes, with those that the caller then also deleted."""
    detached = [removal.call for removal in group if removal.call.event.effect is Effect.DETACH]
    nodes = {call.entry.instance for call in detached if call.entry.instance}
    verb, removed = ("detached", detached) if detached else ("deleted", [removal.call for removal in group])
    at = when(removed[0].time, removed[-1].time)
    off = f" from {short_list(nodes)}" if nodes else ""
    force = " with force" if any(call.entry.force for call in detached) else ""
    carried = {held for call in detached for held in call.entry.carried}
    return RuleMatch(
        severity=Severity.MEDIUM if group[0].doubts else _severity(detached, nodes),
        sentence=f"{_who(case, group)} {verb} {_enis(group)}{off}{force} {at}"
        f"{_with(carried)}{_then_deleted(group)}.",
        advice=_DETACHED.format(manager=_manager_name(group)) + _left_alone(group),
        commands=(*describe_enis(removed[0].place, _ids(group)), *pods_with(carried)),
        calls=_calls(group),
        doubts=group[0].doubts,
    )


def _with(carried: Collection[Held]) -> str:
    """Return how many addresses went with the ENIs."""
    prefixes = sum(map(is_prefix, carried))
    ips = len(carried) - prefixes
    parts = [counted(ips, "IP")] if ips else []
    parts += [counted(prefixes, "prefix")] if prefixes else []
    return f", with {' and '.join(parts)}" if parts else ""


def _then_deleted(group: Sequence[Removal]) -> str:
    """Return which of the detached ENIs the caller then deleted."""
    by_effect = grouped(group, lambda removal: removal.call.event.effect)
    detached, deleted = (
        {removal.call.entry.eni or "" for removal in by_effect.get(effect, ())}
        for effect in (Effect.DETACH, Effect.DELETE)
    )
    if not detached or not deleted:
        return ""
    pronoun = "it" if len(detached) == 1 else "them"
    return f", and deleted {pronoun if detached <= deleted else short_list(deleted)}"


def _severity(detached: Sequence[ResourceCall], nodes: Collection[str]) -> Severity:
    """Return how severe it is that ENIs were detached: those with more than a primary IP may have pods."""
    has_pods = any(
        len(call.entry.carried) > 1 or any(map(is_prefix, call.entry.carried)) for call in detached
    )
    if has_pods and len(nodes) > 1:
        return Severity.CRITICAL
    is_of_pods = any(call.entry.eni_kind in ("trunk", "branch") for call in detached)
    return Severity.HIGH if has_pods or is_of_pods else Severity.MEDIUM


def _too_early(case: FindingContext, group: Sequence[Removal]) -> RuleMatch:
    """Return the match of ENIs that were deleted before they could be attached."""
    pauses = sorted({removal.call.time - _created(case, removal) for removal in group})
    longest = f"{'' if len(pauses) == 1 else 'at most '}{duration(pauses[-1])}"
    every = "each " if len(group) > 1 else ""
    failed = [call for removal in group for call in removal.around if call.event.failure is not None]
    then = ""
    if failed:
        callers = short_list(case.who(call.entry.actor) for call in failed)
        codes = short_list(call.code or "" for call in failed)
        often = f" {times(len(failed))}" if len(failed) > 1 else ""
        then = f"; the attachment by {callers} then failed{often} with {codes}"
    return RuleMatch(
        severity=Severity.MEDIUM if group[0].doubts else Severity.HIGH,
        sentence=f"{_who(case, group)} deleted {_enis(group)}, {every}{longest} after it was created and "
        f"before it was attached{then}.",
        advice=capitalized(_DELETED.format(manager=_manager_name(group))) + _left_alone(group),
        commands=describe_enis(group[0].call.place, _ids(group)),
        calls=_calls(group),
        doubts=group[0].doubts,
    )


def _created(case: FindingContext, removal: Removal) -> datetime:
    created = case.history.interfaces[removal.call.entry.eni or ""].created.time
    return removal.call.time if created is None else created


def _cleaned_up(case: FindingContext, group: Sequence[Removal]) -> RuleMatch:
    """Return the match of ENIs that nothing used any more."""
    is_race = all(_is_just_detached(case, removal) for removal in group)
    manager = _manager_name(group)
    why = "the CNI itself had just detached" if is_race else "nothing used any more"
    return RuleMatch(
        severity=Severity.INFO,
        sentence=f"{_who(case, group)} deleted {_enis(group)}, which {why}.",
        advice=_SOON_DELETED.format(manager=capitalized(manager)) if is_race else _CLEANED_UP,
        calls=_calls(group),
        doubts=group[0].doubts,
    )


def _is_just_detached(case: FindingContext, removal: Removal) -> bool:
    """Return whether the VPC CNI had detached an ENI, and was about to delete it itself."""
    call = removal.call
    left = last_end(case.history.interfaces[call.entry.eni or ""], call.time)
    if left is None or left.effect is not Effect.DETACH or call.time - left.time > SOON:
        return False
    return case.history.actors[left.key].ipamd is not None


def _unknown(case: FindingContext, group: Sequence[Removal]) -> RuleMatch:
    """Return the match of ENIs of which no event shows whether anything used them."""
    at = when(group[0].call.time, group[-1].call.time)
    detached = distinct(_attachment(call) for removal in group for call in removal.around)
    after = f", soon after it detached {short_list(detached)}" if detached else ""
    may_have_pods = detached or any(removal.call.entry.eni_kind == "branch" for removal in group)
    return RuleMatch(
        severity=Severity.MEDIUM if may_have_pods else Severity.LOW,
        sentence=f"{_who(case, group)} deleted {_enis(group)} {at}{after}.",
        advice=(_DETACHED.format(manager=_manager_name(group)) if may_have_pods else "Ask the caller why.")
        + _left_alone(group),
        calls=_calls(group),
        doubts=group[0].doubts,
    )


def _attachment(call: ResourceCall) -> str | None:
    return next((subject.attachment for subject in call.event.subjects), None)


def _who(case: FindingContext, group: Sequence[Removal]) -> str:
    return case.who(group[0].call.entry.actor)


def _ids(group: Sequence[Removal]) -> list[str]:
    return sorted({removal.call.entry.eni or "" for removal in group})


def _manager_name(group: Sequence[Removal]) -> str:
    return MANAGER_NAMES[group[0].manager]


def _enis(group: Sequence[Removal]) -> str:
    """Return the ENIs and their manager: ``2 ENIs of the VPC CNI (eni-a and eni-b)``."""
    ids = _ids(group)
    if len(ids) == 1:
        return f"{ids[0]} of {_manager_name(group)}"
    return f"{counted(len(ids), 'ENI')} of {_manager_name(group)} ({short_list(ids)})"


def _left_alone(group: Sequence[Removal]) -> str:
    return f" {_LEFT_ALONE.format(tag=TAG_OF_MANAGER[group[0].manager])}"


def _calls(group: Sequence[Removal]) -> list[ResourceCall]:
    calls = {id(call): call for removal in group for call in (removal.call, *removal.around)}
    return sorted(calls.values(), key=lambda call: call.time)


_MATCHES = {
    Harm.DETACHED: _detached,
    Harm.TOO_EARLY: _too_early,
    Harm.UNKNOWN: _unknown,
    Harm.LEAKED: _cleaned_up,
}
