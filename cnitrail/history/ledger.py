"""Order and repeats: the same events give the same history, however they arrive."""

from datetime import datetime
from typing import TypeVar

from msgspec.structs import replace

from cnitrail.model import EFFECT_ORDER, Event, IssuedSession

Fact = TypeVar("Fact", bound=Event | IssuedSession)


class Ledger:
    """Takes facts in any order, any number of times; gives them back once each, in order."""

    def __init__(self) -> None:
        self._events: dict[str, Event] = {}
        self._sessions: dict[str, IssuedSession] = {}
        self._ordered: tuple[Event, ...] | None = None

    def __len__(self) -> int:
        """The number of facts in it."""
        return len(self._events) + len(self._sessions)

    def add(self, fact: Event | IssuedSession) -> bool:
        """Enter a fact; False where it was known already (its origin is kept all the same)."""
        self._ordered = None
        if isinstance(fact, Event):
            return _enter(self._events, fact)
        return _enter(self._sessions, fact)

    def events(self) -> tuple[Event, ...]:
        """All events: by time, within a second cause before effect, then by event id."""
        if self._ordered is None:
            self._ordered = tuple(sorted(self._events.values(), key=_place))
        return self._ordered

    def sessions(self) -> tuple[IssuedSession, ...]:
        """All issued sessions, by time and event id."""
        return tuple(sorted(self._sessions.values(), key=lambda session: (session.time, session.key)))


def _place(event: Event) -> tuple[datetime, int, str]:
    return event.time, EFFECT_ORDER[event.effect], event.event_id or event.key


def _enter(known: dict[str, Fact], fact: Fact) -> bool:
    if fact.key not in known:
        known[fact.key] = fact
        return True
    earlier = known[fact.key]
    origins = tuple(sorted({*earlier.origins, *fact.origins}))
    known[fact.key] = replace(_better(earlier, fact), origins=origins)
    return False


def _better(one: Fact, other: Fact) -> Fact:
    """Of two versions of an event the correction; else one that does not depend on their order."""
    if one.corrects != other.corrects:
        return one if one.corrects else other
    return min(one, other, key=lambda fact: repr(replace(fact, origins=())))
