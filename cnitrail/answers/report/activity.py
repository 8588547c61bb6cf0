"""Activities: what one principal did to one instance without a long pause, and the sentence about it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.report.addresses import counted_addresses, named_addresses
from cnitrail.model import CallOutcome, CitedCall, Effect, Held, Moved, TimelineEntry
from cnitrail.text import counted, distinct, listed, quoted

_Entries = Sequence[TimelineEntry]

_PAUSE = timedelta(minutes=10)
"""Pause after which the calls of a principal on an instance are a new activity."""

_NAMED = 3
"""Resources that a sentence names; if there are more, it gives their number."""


class Activity(Struct):
    """Calls of one principal on one instance; at least one."""

    principal: int
    instance: str | None
    calls: list[CitedCall]

    @property
    def start(self) -> datetime:
        """Return the time of the first call; aware, UTC."""
        return self.calls[0].entry.time

    @property
    def end(self) -> datetime:
        """Return the time of the last call; aware, UTC."""
        return self.calls[-1].entry.time


def activities(calls: Iterable[CitedCall]) -> list[Activity]:
    """Return the activities in the order in which they begin."""
    found: list[Activity] = []
    current: dict[tuple[int, str | None], Activity] = {}
    for call in calls:
        key = call.principal, call.entry.instance
        activity = current.get(key)
        if activity is None or call.entry.time - activity.end > _PAUSE:
            activity = current[key] = Activity(*key, [])
            found.append(activity)
        activity.calls.append(call)
    return found


def describe_calls(calls: Iterable[CitedCall]) -> str:
    """Return what calls did, as the predicate of a sentence: ``created eni-1; 1 call failed``."""
    by_effect: dict[Effect, list[TimelineEntry]] = defaultdict(list)
    failed = 0
    for call in calls:
        if call.entry.outcome is CallOutcome.OK:
            by_effect[call.entry.effect].append(call.entry)
        elif call.entry.outcome is CallOutcome.FAILED:
            failed += 1
    if failed and not by_effect:
        return f"made {counted(failed, 'failed call')}"
    predicate = listed(_predicates(by_effect)) or "changed no IPs"
    return f"{predicate}; {counted(failed, 'call')} failed" if failed else predicate


def _predicates(by_effect: dict[Effect, list[TimelineEntry]]) -> list[str]:
    """Return a predicate for each effect; an ENI that two of them are about is ``it`` in the second."""
    predicates: list[str] = []
    previous: tuple[str, ...] = ()
    for effect, entries in by_effect.items():
        enis = distinct(entry.eni for entry in entries)
        is_same = len(enis) == 1 and enis == previous
        subject = [replace(entry, eni="it") for entry in entries] if is_same else entries
        predicate = _DESCRIBE[effect](subject)
        if predicate:
            predicates.append(predicate)
            previous = enis
    return predicates


def _launched(entries: _Entries) -> str:
    named = [entry for entry in entries if entry.instance]
    unnamed = [entry for entry in entries if not entry.instance]
    predicates = [_launched_instances(named)] if named else []
    if unnamed:
        requested = counted(sum(entry.requested or 0 for entry in unnamed), "instance")
        predicates.append(f"requested {requested}, which the records do not name")
    return listed(predicates)


def _launched_instances(entries: _Entries) -> str:
    instances = distinct(entry.instance for entry in entries)
    existing = distinct(entry.eni for entry in entries if entry.shown)
    type_and_cluster = _type_and_cluster(entries[0]) if len(instances) == 1 else ""
    predicate = f"launched {_some(instances, 'instance')}{type_and_cluster}"
    added = [held for entry in entries for held in entry.added]
    if added:
        enis = distinct(entry.eni for entry in entries if entry.added)
        predicate += f" with {named_addresses(added)}" + (f" on {_some(enis, 'ENI')}" if enis else "")
    if existing:
        shown = [held for entry in entries for held in entry.shown]
        predicate += f" on {_some(existing, 'ENI')}, which already had {named_addresses(shown)}"
    return predicate


def _type_and_cluster(entry: TimelineEntry) -> str:
    kind, cluster = entry.instance_type, entry.cluster
    facts = [quoted(kind) if kind else "", f"cluster {quoted(cluster)}" if cluster else ""]
    known = ", ".join(filter(None, facts))
    return f" ({known})" if known else ""


def _created(entries: _Entries) -> str:
    enis = [entry for entry in entries if entry.eni or not entry.resource]
    others = distinct(entry.resource for entry in entries if not entry.eni)
    added = [held for entry in enis for held in entry.added]
    created = [_enis(enis) + (f" with {named_addresses(added)}" if added else "")] if enis else []
    created += [_some(others, "other resource")] if others else []
    return f"created {listed(created)}"


def _attached(entries: _Entries) -> str:
    devices = {entry.device_index for entry in entries}
    is_known = len(devices) == 1 and None not in devices
    return f"attached {_enis(entries)}" + (f" as device {devices.pop()}" if is_known else "")


def _assigned(entries: _Entries) -> str:
    predicates = []
    if any(entry.added for entry in entries):
        moves = [(entry.eni, entry.added) for entry in entries if entry.added]
        predicates.append(_moved("assigned", "to", moves) + _taken(entries))
    unnamed = [entry for entry in entries if not entry.added and entry.requested]
    if unnamed:
        requested = counted(sum(entry.requested or 0 for entry in unnamed), "IP")
        predicates.append(f"requested {requested} on {_enis(unnamed)}, which the records do not name")
    return listed(predicates)


def _taken(entries: _Entries) -> str:
    """Return from which ENIs calls took addresses, in parentheses; empty if they took none."""
    moved = [address for entry in entries for address in entry.moved]
    if not moved:
        return ""
    if len(moved) == 1 and sum(len(entry.added) for entry in entries) == 1:
        return f" (taken from {quoted(moved[0].from_eni)})"
    if len(moved) <= _NAMED:
        return f" ({listed([f'{address.ip} taken from {quoted(address.from_eni)}' for address in moved])})"
    return f" ({len(moved):,} of them {taken_from_others(moved)})"


def _unassigned(entries: _Entries) -> str:
    return _moved("released", "from", [(entry.eni, entry.removed) for entry in entries if entry.removed])


def _deleted(entries: _Entries) -> str:
    return f"deleted {_enis(entries)}{_releasing(entries)}"


def _terminated(entries: _Entries) -> str:
    instances = _some(distinct(entry.instance for entry in entries), "instance")
    return f"terminated {instances}{_releasing(entries)}"


def _releasing(entries: _Entries) -> str:
    removed = [held for entry in entries for held in entry.removed]
    return f" (releasing {named_addresses(removed)})" if removed else ""


def _configured(entries: _Entries) -> str:
    trails = distinct(entry.trail.trail or entry.trail.bucket for entry in entries if entry.trail)
    return f"called {listed(distinct(entry.event for entry in entries))} on {_some(trails, 'trail')}"


_DESCRIBE: dict[Effect, Callable[[_Entries], str]] = {
    Effect.LAUNCH: _launched,
    Effect.CREATE: _created,
    Effect.ATTACH: _attached,
    Effect.ASSIGN: _assigned,
    Effect.MODIFY: lambda _: "",
    Effect.UNASSIGN: _unassigned,
    Effect.DETACH: lambda entries: f"detached {_enis(entries)}",
    Effect.DELETE: _deleted,
    Effect.TERMINATE: _terminated,
    Effect.SIGN_IN: lambda _: "",
    Effect.RECORD: _configured,
}


def taken_from_others(moved: Sequence[Moved]) -> str:
    """Return that addresses were taken from other ENIs, as a participle."""
    return (
        "taken from another ENI"
        if len({address.from_eni for address in moved}) == 1
        else "taken from other ENIs"
    )


def _moved(verb: str, preposition: str, moves: Sequence[tuple[str | None, tuple[Held, ...]]]) -> str:
    """Return ``assigned 9 IPs to eni-1``; with the share of each of a few ENIs, or the number of more."""
    by_id: dict[str | None, list[Held]] = defaultdict(list)
    for eni, held in moves:
        by_id[eni] += held
    by_eni: dict[str, list[Held]] = defaultdict(list)
    for eni, addresses in by_id.items():
        by_eni[quoted(eni) if eni else "an ENI"] += addresses
    together = [address for held in by_eni.values() for address in held]
    if not together:
        return ""
    if len(by_eni) == 1:
        return f"{verb} {named_addresses(together)} {preposition} {next(iter(by_eni))}"
    if len(by_eni) <= _NAMED:
        shares = listed([f"{len(held)} {preposition} {eni}" for eni, held in by_eni.items()])
        return f"{verb} {counted_addresses(together)} ({shares})"
    return f"{verb} {counted_addresses(together)} {preposition} {counted(len(by_eni), 'ENI')}"


def _enis(entries: _Entries) -> str:
    return _some(distinct(entry.eni or entry.attachment or entry.resource for entry in entries), "ENI")


def _some(names: Sequence[str], noun: str) -> str:
    """Return a few resources by name, more than that by their number."""
    if 0 < len(names) <= _NAMED:
        return listed([quoted(name) for name in names])
    return counted(max(len(names), 1), noun)
