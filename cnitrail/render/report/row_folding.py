"""Folding of the timeline: many calls as few rows. No call is dropped, and the page states the rule."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from cnitrail.model import CitedCall, Held, TimelineEntry
from cnitrail.render.folded_calls import BURST
from cnitrail.render.timeline_parts import changes_of

_Key = Callable[[CitedCall], tuple[object, ...]]


class FoldedRow(Struct, frozen=True):
    """Calls that are shown as one row: of one name, one outcome and (mostly) one principal."""

    calls: tuple[CitedCall, ...]

    @property
    def first(self) -> TimelineEntry:
        """Return the entry of the first call."""
        return self.calls[0].entry

    @property
    def last(self) -> TimelineEntry:
        """Return the entry of the last call."""
        return self.calls[-1].entry

    @property
    def events(self) -> tuple[int, ...]:
        """Return the numbers of its events."""
        return tuple(sorted({call.event for call in self.calls}))

    @property
    def added(self) -> list[Held]:
        """Return the addresses that the calls assigned."""
        return [held for call in self.calls for held in call.entry.added]

    @property
    def shown(self) -> list[Held]:
        """Return the addresses that were there already."""
        return [held for call in self.calls for held in call.entry.shown]

    @property
    def removed(self) -> list[Held]:
        """Return the addresses that the calls released."""
        return [held for call in self.calls for held in call.entry.removed]

    @property
    def moved(self) -> list[str]:
        """Return the addresses that the calls took from other ENIs."""
        return [f"{moved.ip} from {moved.from_eni}" for call in self.calls for moved in call.entry.moved]

    @property
    def changes(self) -> list[str]:
        """Return the distinct changes of attributes that the calls made, or requested."""
        return list(dict.fromkeys(change for call in self.calls for change in changes_of(call.entry)))

    @property
    def instances(self) -> list[str]:
        """Return the distinct instances."""
        return list(dict.fromkeys(call.entry.instance for call in self.calls if call.entry.instance))

    @property
    def enis(self) -> list[str]:
        """Return the distinct ENIs."""
        return list(dict.fromkeys(call.entry.eni for call in self.calls if call.entry.eni))


class FoldedTimeline(Struct, frozen=True):
    """Rows by time, and the rule that says which calls share a row."""

    rows: tuple[FoldedRow, ...]
    rule: str


def _same_call(call: CitedCall) -> tuple[object, ...]:
    error = call.entry.error.code if call.entry.error else None
    return call.entry.event, error, call.principal


def _same_interface(call: CitedCall) -> tuple[object, ...]:
    return *_same_call(call), call.entry.instance, call.entry.eni


def _same_instance(call: CitedCall) -> tuple[object, ...]:
    return *_same_call(call), call.entry.instance


def _same_outcome(call: CitedCall) -> tuple[object, ...]:
    return call.entry.event, call.entry.outcome


_LEVELS: tuple[tuple[str, timedelta, _Key], ...] = (
    ("on one instance within a minute", timedelta(minutes=1), _same_instance),
    ("on one instance within ten minutes", timedelta(minutes=10), _same_instance),
    ("on one instance within an hour", timedelta(hours=1), _same_instance),
    ("within ten minutes", timedelta(minutes=10), _same_call),
    ("within an hour", timedelta(hours=1), _same_call),
    ("within six hours", timedelta(hours=6), _same_call),
    ("within a day", timedelta(days=1), _same_call),
    ("within a week", timedelta(days=7), _same_call),
    ("within thirty days", timedelta(days=30), _same_call),
    ("by any principal, within ten years", timedelta(days=3660), _same_outcome),
)
"""Rules from fine to coarse; the last one leaves at most two rows for each event name."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def fold(calls: Sequence[CitedCall], most: int) -> FoldedTimeline:
    """Return the calls in at most ``most`` rows, or a few more if even the coarsest rule leaves more."""
    rows = _bursts(calls, most)
    if rows is not None:
        return _folded(rows, f"on one ENI within {BURST.seconds} seconds of each other")
    *finer, (coarsest, its_length, its_key) = _LEVELS
    for rule, length, key in finer:
        rows = _windows(calls, length, key, most)
        if rows is not None:
            return _folded(rows, rule)
    return _folded(_windows(calls, its_length, its_key, len(calls)) or [], coarsest)


def _folded(rows: Iterable[list[CitedCall]], rule: str) -> FoldedTimeline:
    return FoldedTimeline(tuple(FoldedRow(tuple(row)) for row in rows), rule)


def _bursts(calls: Sequence[CitedCall], most: int) -> list[list[CitedCall]] | None:
    """Return rows of similar calls that follow each other at once; None if there are more than ``most``."""
    rows: list[list[CitedCall]] = []
    for call in calls:
        if len(rows) > most:
            return None
        last = rows[-1][-1] if rows else None
        if (
            last
            and _same_interface(last) == _same_interface(call)
            and call.entry.time - last.entry.time <= BURST
        ):
            rows[-1].append(call)
        else:
            rows.append([call])
    return rows if len(rows) <= most else None


def _windows(
    calls: Sequence[CitedCall], length: timedelta, key: _Key, most: int
) -> list[list[CitedCall]] | None:
    """Return rows of similar calls in the same window of the clock; None if there are more than ``most``."""
    rows: dict[tuple[object, ...], list[CitedCall]] = defaultdict(list)
    for call in calls:
        window = (call.entry.time - _EPOCH) // length
        rows[window, *key(call)].append(call)
        if len(rows) > most:
            return None
    return list(rows.values())
