"""Order and repeats: the same events give the same history, however they arrive."""

from collections.abc import Iterator
from datetime import datetime
from typing import Generic, TypeVar

from msgspec.structs import replace

from cnitrail.model import EFFECT_ORDER, Event, IssuedSession, Origin

Fact = TypeVar("Fact", bound=Event | IssuedSession)


class Ledger:
    """Takes facts in any order, any number of times; gives them back once each, in order."""

    def __init__(self) -> None:
        self._events = _Versions[Event]()
        self._sessions = _Versions[IssuedSession]()
        self._ordered: tuple[Event, ...] | None = None

    def __len__(self) -> int:
        """The number of facts in it."""
        return len(self._events) + len(self._sessions)

    def add(self, fact: Event | IssuedSession) -> bool:
        """Enter a fact; False where it was known already (its origin is kept all the same)."""
        self._ordered = None
        return self._events.add(fact) if isinstance(fact, Event) else self._sessions.add(fact)

    def events(self) -> tuple[Event, ...]:
        """All events: by time, within a second cause before effect, then by event id."""
        if self._ordered is None:
            self._ordered = tuple(sorted(self._events.best(), key=_place))
        return self._ordered

    def sessions(self) -> tuple[IssuedSession, ...]:
        """All issued sessions, by time and event id."""
        return tuple(sorted(self._sessions.best(), key=lambda session: (session.time, session.key)))


def _place(event: Event) -> tuple[datetime, int, str]:
    return event.time, EFFECT_ORDER[event.effect], event.event_id or event.key


class _Versions(Generic[Fact]):
    """Of each fact the best version so far, and where any of them was found."""

    def __init__(self) -> None:
        self._best: dict[str, Fact] = {}
        self._origins: dict[str, list[Origin]] = {}
        """Of those that were found more than once; a file may repeat one a million times."""

    def __len__(self) -> int:
        return len(self._best)

    def add(self, fact: Fact) -> bool:
        """Enter a version; False where the fact was known already."""
        earlier = self._best.get(fact.key)
        if earlier is None:
            self._best[fact.key] = fact
            return True
        self._origins.setdefault(fact.key, [*earlier.origins]).extend(fact.origins)
        self._best[fact.key] = _better(earlier, fact)
        return False

    def best(self) -> Iterator[Fact]:
        """Every fact once, with all its origins."""
        for key, fact in self._best.items():
            origins = self._origins.get(key)
            yield replace(fact, origins=tuple(sorted(set(origins)))) if origins else fact


def _better(one: Fact, other: Fact) -> Fact:
    """Of two versions of an event the correction; else one that does not depend on their order."""
    if one.corrects != other.corrects:
        return one if one.corrects else other
    return min(one, other, key=lambda fact: repr(replace(fact, origins=())))
