"""Spells: what one principal did to one instance without a pause, and the words for it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.report.words import counted, distinct, listed, many, named, quoted
from cnitrail.model import CitedCall, Effect, Held, Moved, TimelineEntry

Entries = Sequence[TimelineEntry]

PAUSE = timedelta(minutes=10)
"""A principal that does nothing to an instance for so long begins anew."""

_NAMED = 3


class Spell(Struct):
    """Calls of one principal on one instance; at least one."""

    principal: int
    instance: str | None
    calls: list[CitedCall]

    @property
    def start(self) -> datetime:
        """The time of the first call; aware, UTC."""
        return self.calls[0].entry.time

    @property
    def end(self) -> datetime:
        """The time of the last call; aware, UTC."""
        return self.calls[-1].entry.time


def spells(calls: Iterable[CitedCall]) -> list[Spell]:
    """The spells in the order in which they begin."""
    told: list[Spell] = []
    going: dict[tuple[int, str | None], Spell] = {}
    for call in calls:
        key = call.principal, call.entry.instance
        spell = going.get(key)
        if spell is None or call.entry.time - spell.end > PAUSE:
            spell = going[key] = Spell(*key, [])
            told.append(spell)
        spell.calls.append(call)
    return told


def deeds(calls: Iterable[CitedCall]) -> str:
    """What calls did, as the predicate of a sentence: ``created eni-1 and deleted eni-2``."""
    done: dict[Effect, list[TimelineEntry]] = defaultdict(list)
    failed = 0
    for call in calls:
        if call.entry.error is None:
            done[call.entry.effect].append(call.entry)
        else:
            failed += 1
    told: list[str] = []
    last: tuple[str, ...] = ()
    for effect, entries in done.items():
        enis = distinct(entry.eni for entry in entries)
        same = len(enis) == 1 and enis == last
        words = _TOLD[effect]([replace(entry, eni="it") for entry in entries] if same else entries)
        if words:
            told.append(words)
            last = enis
    if failed:
        told.append(f"made {many(failed, 'call')} that failed")
    return listed(told) or "changed no address"


def _launched(entries: Entries) -> str:
    instances = distinct(entry.instance for entry in entries)
    existing = distinct(entry.eni for entry in entries if entry.shown)
    told = f"launched {_some(instances, 'instance')}{_kind(entries[0]) if len(instances) == 1 else ''}"
    added = [held for entry in entries for held in entry.added]
    if added:
        enis = distinct(entry.eni for entry in entries if entry.added)
        told += f" with {named(added)} on {_some(enis, 'interface')}"
    if existing:
        shown = [held for entry in entries for held in entry.shown]
        told += f" on {_some(existing, 'interface')}, which had {named(shown)} already"
    return told


def _kind(entry: TimelineEntry) -> str:
    kind, cluster = entry.instance_type, entry.cluster
    facts = [quoted(kind) if kind else "", f"cluster {quoted(cluster)}" if cluster else ""]
    known = ", ".join(filter(None, facts))
    return f" ({known})" if known else ""


def _created(entries: Entries) -> str:
    added = [held for entry in entries for held in entry.added]
    return f"created {_enis(entries)}" + (f" with {named(added)}" if added else "")


def _attached(entries: Entries) -> str:
    devices = {entry.device_index for entry in entries}
    known = len(devices) == 1 and None not in devices
    return f"attached {_enis(entries)}" + (f" as device {devices.pop()}" if known else "")


def _assigned(entries: Entries) -> str:
    told = []
    if any(entry.added for entry in entries):
        told.append(_moved("added", "to", [(entry.eni, entry.added) for entry in entries if entry.added]))
    moved = [each for entry in entries for each in entry.moved]
    if 0 < len(moved) <= _NAMED:
        told.append(f"thereby took {listed([f'{each.ip} from {quoted(each.from_eni)}' for each in moved])}")
    elif moved:
        told.append(taken(moved))
    unnamed = [entry for entry in entries if not entry.added and entry.requested]
    if unnamed:
        asked = many(sum(entry.requested or 0 for entry in unnamed), "address")
        told.append(f"asked for {asked} on {_enis(unnamed)}, which the records do not name")
    return listed(told)


def _unassigned(entries: Entries) -> str:
    return _moved("removed", "from", [(entry.eni, entry.removed) for entry in entries if entry.removed])


def _deleted(entries: Entries) -> str:
    removed = [held for entry in entries for held in entry.removed]
    return f"deleted {_enis(entries)}" + (f" with {named(removed)}" if removed else "")


def _terminated(entries: Entries) -> str:
    removed = [held for entry in entries for held in entry.removed]
    instances = _some(distinct(entry.instance for entry in entries), "instance")
    return f"terminated {instances}" + (f", which ended the holding of {named(removed)}" if removed else "")


def _configured(entries: Entries) -> str:
    trails = distinct(entry.trail.trail or entry.trail.bucket for entry in entries if entry.trail)
    return f"called {listed(distinct(entry.event for entry in entries))} on {_some(trails, 'trail')}"


_TOLD: dict[Effect, Callable[[Entries], str]] = {
    Effect.LAUNCH: _launched,
    Effect.CREATE: _created,
    Effect.ATTACH: _attached,
    Effect.ASSIGN: _assigned,
    Effect.MODIFY: lambda _: "",
    Effect.UNASSIGN: _unassigned,
    Effect.DETACH: lambda entries: f"detached {_enis(entries)}",
    Effect.DELETE: _deleted,
    Effect.TERMINATE: _terminated,
    Effect.RECORD: _configured,
}


def taken(moved: Sequence[Moved]) -> str:
    """How many addresses calls took from other interfaces."""
    return f"thereby took {many(len(moved), 'address')} from others"


def _moved(verb: str, preposition: str, moves: Sequence[tuple[str | None, tuple[Held, ...]]]) -> str:
    """``added 9 addresses to eni-1``; of a few interfaces the share of each, of more their number."""
    by_eni: dict[str, list[Held]] = defaultdict(list)
    for eni, held in moves:
        by_eni[quoted(eni) if eni else "an interface"] += held
    together = [each for held in by_eni.values() for each in held]
    if not together:
        return ""
    if len(by_eni) == 1:
        return f"{verb} {named(together)} {preposition} {next(iter(by_eni))}"
    if len(by_eni) <= _NAMED:
        shares = listed([f"{len(held)} {preposition} {eni}" for eni, held in by_eni.items()])
        return f"{verb} {counted(together)} ({shares})"
    return f"{verb} {counted(together)} {preposition} {many(len(by_eni), 'interface')}"


def _enis(entries: Entries) -> str:
    return _some(distinct(entry.eni or entry.attachment for entry in entries), "interface")


def _some(names: Sequence[str], noun: str) -> str:
    """A few things by their names, more by their number."""
    if 0 < len(names) <= _NAMED:
        return listed([quoted(name) for name in names])
    return many(max(len(names), 1), noun)
