"""Calls that say the same, as one row: repeats in quick succession, and failures however far apart."""

from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache

from msgspec import Struct

from cnitrail.model import Actor, CallOutcome, TimelineEntry
from cnitrail.model.callers import principal_of
from cnitrail.render.timeline_parts import notes

BURST = timedelta(seconds=10)
"""Maximum pause between equal calls that follow each other and are shown as one row."""

_CIPHERTEXT = " Encoded authorization failure message:"
"""What EC2 appends to a denial: a ciphertext, another one each time."""


class FoldedCalls(Struct, frozen=True):
    """The entries of one row, in the order in which they are shown."""

    entries: list[TimelineEntry]

    @property
    def first(self) -> TimelineEntry:
        """Return the entry at the place of which the row is shown."""
        return self.entries[0]

    @property
    def last(self) -> TimelineEntry:
        """Return the entry at the other end of its time."""
        return self.entries[-1]


_Key = tuple[object, ...]


def folded(entries: Iterable[TimelineEntry]) -> list[FoldedCalls]:
    """Return the rows that show the entries, each at the place of its first one.

    A call joins the row above it if that shows the same, in quick succession. A failure joins an
    identical one, unless the call worked for the same target in between.
    """
    rows: list[FoldedCalls] = []
    failing: dict[_Key, dict[_Key, FoldedCalls]] = {}
    previous: _Key | None = None
    for entry in entries:
        key = _alike(entry)
        if entry.outcome is CallOutcome.FAILED:
            row = failing.setdefault(_place(entry), {}).get(key)
        else:
            row = rows[-1] if key == previous and _is_quick(rows[-1], entry) else None
            for place in _places(entry) if failing else ():
                failing.pop(place, None)
        if row is not None:
            row.entries.append(entry)
        else:
            row = FoldedCalls([entry])
            rows.append(row)
        if entry.outcome is CallOutcome.FAILED:
            failing[_place(entry)][key] = row
        if row is rows[-1]:
            previous = key
    return rows


def _is_quick(row: FoldedCalls, entry: TimelineEntry) -> bool:
    return abs(entry.time - row.last.time) <= BURST


def _place(entry: TimelineEntry) -> _Key:
    """Return what a failed call was about: the ENI, or what a call without one names."""
    target = entry.eni or entry.attachment or entry.resource or entry.subnet or entry.instance
    return entry.event, entry.account, entry.region, target


def _places(entry: TimelineEntry) -> set[_Key]:
    """Return all places at which a call that worked shows that it did."""
    targets = (entry.eni, entry.attachment, entry.resource, entry.subnet, entry.instance, None)
    return {(entry.event, entry.account, entry.region, target) for target in targets}


def _alike(entry: TimelineEntry) -> _Key:
    """Return what entries must share to be shown as one row."""
    target = (
        entry.account,
        entry.region,
        entry.eni,
        entry.instance,
        entry.subnet,
        entry.resource,
        entry.public_address,
        entry.allocation,
        entry.force,
        entry.changes,
        tuple(notes(entry)),
    )
    actor = entry.actor
    caller = principal_of(actor), actor.agent.name, actor.agent.version or actor.agent.raw
    if entry.error is None:
        return entry.event, entry.trail, *target, *caller, *_credentials(actor)
    message = _without_ciphertext(entry.error.message or "")
    asked = entry.requested, entry.requested_kind, entry.requested_addresses
    return entry.event, entry.outcome, entry.error.code, message, entry.trail, *target, *asked, *caller


@lru_cache(maxsize=1024)
def _without_ciphertext(message: str) -> str:
    return message.split(_CIPHERTEXT, 1)[0]


def _credentials(actor: Actor) -> _Key:
    """Return the credentials of a call; failures over hours have others, though the caller is the same."""
    return actor.arn, actor.access_key_id
