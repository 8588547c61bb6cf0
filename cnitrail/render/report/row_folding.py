"""Folding: many calls as few rows, none dropped, and what is folded is said."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from cnitrail.model import CitedCall, Held, TimelineEntry
from cnitrail.render.timeline import BURST

Key = Callable[[CitedCall], tuple[object, ...]]


class FoldedRow(Struct, frozen=True):
    """Calls that read as one: of one name, one outcome and one principal."""

    calls: tuple[CitedCall, ...]

    @property
    def first(self) -> TimelineEntry:
        """The entry of the first call."""
        return self.calls[0].entry

    @property
    def last(self) -> TimelineEntry:
        """The entry of the last call."""
        return self.calls[-1].entry

    @property
    def events(self) -> tuple[int, ...]:
        """The numbers of its events."""
        return tuple(sorted({call.event for call in self.calls}))

    @property
    def added(self) -> list[Held]:
        """What the calls added."""
        return [held for call in self.calls for held in call.entry.added]

    @property
    def shown(self) -> list[Held]:
        """What was there already."""
        return [held for call in self.calls for held in call.entry.shown]

    @property
    def removed(self) -> list[Held]:
        """What the calls removed."""
        return [held for call in self.calls for held in call.entry.removed]

    @property
    def moved(self) -> list[str]:
        """What the calls took from other interfaces."""
        return [f"{moved.ip} from {moved.from_eni}" for call in self.calls for moved in call.entry.moved]

    @property
    def instances(self) -> list[str]:
        """The different instances."""
        return list(dict.fromkeys(call.entry.instance for call in self.calls if call.entry.instance))

    @property
    def enis(self) -> list[str]:
        """The different interfaces."""
        return list(dict.fromkeys(call.entry.eni for call in self.calls if call.entry.eni))


class Folded(Struct, frozen=True):
    """Rows by time, and what is together in one of them."""

    rows: tuple[FoldedRow, ...]
    rule: str


def _alike(call: CitedCall) -> tuple[object, ...]:
    error = call.entry.error.code if call.entry.error else None
    return call.entry.event, error, call.principal


def _on_interface(call: CitedCall) -> tuple[object, ...]:
    return *_alike(call), call.entry.instance, call.entry.eni


def _on_instance(call: CitedCall) -> tuple[object, ...]:
    return *_alike(call), call.entry.instance


def _anyhow(call: CitedCall) -> tuple[object, ...]:
    return call.entry.event, call.entry.error is None


_LEVELS: tuple[tuple[str, timedelta, Key], ...] = (
    ("on one instance within a minute", timedelta(minutes=1), _on_instance),
    ("on one instance within ten minutes", timedelta(minutes=10), _on_instance),
    ("on one instance within an hour", timedelta(hours=1), _on_instance),
    ("within ten minutes", timedelta(minutes=10), _alike),
    ("within an hour", timedelta(hours=1), _alike),
    ("within six hours", timedelta(hours=6), _alike),
    ("within a day", timedelta(days=1), _alike),
    ("within a week", timedelta(days=7), _alike),
    ("within thirty days", timedelta(days=30), _alike),
    ("whoever made them, within ten years", timedelta(days=3660), _anyhow),
)
"""From fine to coarse; the last one leaves no more rows than there are names of events, twice."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def fold(calls: Sequence[CitedCall], most: int) -> Folded:
    """The calls in at most so many rows, or a few more where even the coarsest rule leaves them."""
    rows = _bursts(calls)
    rule = f"on one interface within {BURST.seconds} seconds of each other"
    for name, length, key in _LEVELS:
        if len(rows) <= most:
            break
        rows, rule = _windows(calls, length, key), name
    return Folded(tuple(rows), rule)


def _bursts(calls: Sequence[CitedCall]) -> list[FoldedRow]:
    """Calls alike that follow each other at once."""
    rows: list[list[CitedCall]] = []
    for call in calls:
        last = rows[-1][-1] if rows else None
        if last and _on_interface(last) == _on_interface(call) and call.entry.time - last.entry.time <= BURST:
            rows[-1].append(call)
        else:
            rows.append([call])
    return [FoldedRow(tuple(row)) for row in rows]


def _windows(calls: Sequence[CitedCall], length: timedelta, key: Key) -> list[FoldedRow]:
    """Calls alike in the same window of the clock."""
    rows: dict[tuple[object, ...], list[CitedCall]] = {}
    for call in calls:
        window = (call.entry.time - _EPOCH) // length
        rows.setdefault((window, *key(call)), []).append(call)
    return [FoldedRow(tuple(row)) for row in rows.values()]
