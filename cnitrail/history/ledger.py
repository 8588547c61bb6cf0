"""Order and duplicates: the same events give the same history, in whatever order they are read."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.model import (
    EFFECT_ORDER,
    Actor,
    ActorBasis,
    ActorKind,
    Agent,
    Event,
    IssuedSession,
    Origin,
)

Fact = TypeVar("Fact", bound=Event | IssuedSession)

_MAX_VERSIONS: Final = 100
"""Versions of one event that are kept apart: a hostile file may hold a million."""

_DISPUTED: Final = Actor(
    kind=ActorKind.UNKNOWN,
    label="unknown: its records disagree",
    arn=None,
    account=None,
    role=None,
    session=None,
    user=None,
    service_account=None,
    cluster=None,
    oidc_provider=None,
    instance=None,
    access_key_id=None,
    source_ip=None,
    invoked_by=None,
    agent=Agent(None, None, None),
    basis=ActorBasis(),
)


class Dispute(Struct, frozen=True):
    """Two records of one event that disagree; if ``proven``, digests prove the other one."""

    key: str
    origin: Origin
    other: Origin
    proven: bool


class Ledger:
    """All facts: added in any order and any number of times, returned in order without duplicates."""

    def __init__(self) -> None:
        self._events = _FactVersions[Event]()
        self._sessions = _FactVersions[IssuedSession]()
        self._ordered: tuple[Event, ...] | None = None

    def __len__(self) -> int:
        """Return the number of facts."""
        return len(self._events) + len(self._sessions)

    def add(self, fact: Event | IssuedSession, *, proven: bool = False) -> bool:
        """Add a fact; return False if it was known already (its origin is kept all the same).

        Of several versions a ``proven`` one counts, and of these a correction.
        """
        self._ordered = None
        if isinstance(fact, Event):
            return self._events.add(fact, proven)
        return self._sessions.add(fact, proven)

    def events(self) -> tuple[Event, ...]:
        """Return all events: by time, within a second cause before effect, then by event ID.

        A disputed event has an actor only if all versions agree on it.
        """
        if self._ordered is None:
            self._ordered = tuple(sorted(map(_event, self._events.valid()), key=_event_order))
        return self._ordered

    def sessions(self) -> tuple[IssuedSession, ...]:
        """Return all issued sessions, by time and event ID; of a disputed one, every version.

        A session that only a damaged file has may be altered, so it is left out.
        """
        valid = self._sessions.valid()
        every = [session for versions in valid for session in versions if not session.damaged]
        return tuple(sorted(every, key=lambda session: (session.time, session.key)))

    def proven(self) -> frozenset[str]:
        """Return the keys of the facts of which digests prove a record."""
        return self._events.proven() | self._sessions.proven()

    def disputes(self) -> list[Dispute]:
        """Return the events whose records disagree, by origin."""
        found = [*self._events.disputes(), *self._sessions.disputes()]
        return sorted(found, key=lambda dispute: (dispute.origin, dispute.other))


def _event_order(event: Event) -> tuple[datetime, int, str]:
    """Return the key that sorts events."""
    return event.time, EFFECT_ORDER[event.effect], event.event_id or event.key


def _event(versions: list[Event]) -> Event:
    """Return one event for versions that count alike."""
    first, *others = sorted(versions, key=_is_of_another_account)
    if not others:
        return first
    agreed = all(other.actor == first.actor for other in others)
    times = tuple(sorted(version.time for version in versions))
    return replace(first, disputed=times, actor=first.actor if agreed else _DISPUTED)


def _is_of_another_account(event: Event) -> bool:
    """Return whether a record is of another account than its caller: the less likely of two that disagree."""
    return event.account != event.actor.account


class _Version(Struct, Generic[Fact]):
    """One version of an event, and the first place where it was found."""

    fact: Fact
    origin: Origin
    proven: bool

    def rank(self) -> tuple[bool, bool, bool]:
        """Return a key: the version with the highest counts."""
        return self.proven, not self.fact.damaged, self.fact.corrects


class _FactVersions(Generic[Fact]):
    """Each fact as it was first found, with every other version and all origins."""

    def __init__(self) -> None:
        self._first: dict[str, Fact] = {}
        self._proven: set[str] = set()
        """Keys of the facts whose first record is proven."""
        self._origins: dict[str, list[Origin]] = {}
        """Origins of the facts that were found more than once; a file may repeat one a million times."""
        self._versions: dict[str, dict[Fact, _Version[Fact]]] = {}
        """Versions of the facts that have several, by content."""

    def __len__(self) -> int:
        return len(self._first)

    def add(self, fact: Fact, proven: bool) -> bool:
        """Add a version; return False if the fact was known already."""
        key, first = fact.key, self._first.get(fact.key)
        if first is None:
            self._first[key] = fact
            if proven:
                self._proven.add(key)
            return True
        self._origins.setdefault(key, [*first.origins]).extend(fact.origins)
        is_first = key not in self._versions and replace(fact, origins=first.origins) == first
        if is_first and proven == (key in self._proven):
            return False
        versions = self._versions.setdefault(key, {})
        if not versions:
            _enter(versions, first, key in self._proven)
        _enter(versions, fact, proven)
        return False

    def proven(self) -> frozenset[str]:
        """Return the keys of the facts of which a version is proven."""
        later = (
            key
            for key, versions in self._versions.items()
            if any(version.proven for version in versions.values())
        )
        return frozenset((*self._proven, *later))

    def valid(self) -> Iterator[list[Fact]]:
        """Yield the versions of each fact that count alike, nearly always one, with all its origins."""
        for key, first in self._first.items():
            versions = self._versions.get(key)
            facts = [version.fact for version in _best(versions)] if versions else [first]
            origins = self._origins.get(key)
            if origins:
                every = tuple(sorted(set(origins)))
                facts = [replace(fact, origins=every) for fact in facts]
            yield facts

    def disputes(self) -> Iterator[Dispute]:
        """Yield the facts whose best records disagree, or of which a record disagrees with a proven one."""
        for key, versions in self._versions.items():
            best, *rivals = _best(versions)
            for rival in rivals:
                origin, other_origin = sorted((best.origin, rival.origin))
                yield Dispute(key, origin, other_origin, proven=False)
            for other in versions.values():
                is_original = best.fact.corrects and not other.fact.corrects
                if best.proven and not other.proven and not is_original and _differ(best.fact, other.fact):
                    yield Dispute(key, other.origin, best.origin, proven=True)


def _enter(versions: dict[Fact, _Version[Fact]], fact: Fact, proven: bool) -> None:
    """Add the content of one more record, with its origin."""
    content, origin = replace(fact, origins=()), min(fact.origins)
    known = versions.get(content)
    if known is not None:
        known.origin, known.proven = min(known.origin, origin), known.proven or proven
    elif len(versions) < _MAX_VERSIONS:
        versions[content] = _Version(content, origin, proven)


def _best(versions: dict[Fact, _Version[Fact]]) -> list[_Version[Fact]]:
    """Return the versions of the highest rank that disagree, in an order that does not depend on reading."""
    highest = max(version.rank() for version in versions.values())
    best: list[_Version[Fact]] = []
    for version in sorted(versions.values(), key=lambda version: repr(version.fact)):
        if version.rank() == highest and all(_differ(version.fact, other.fact) for other in best):
            best.append(version)
    return best


def _differ(one: Fact, other: Fact) -> bool:
    """Return whether two versions disagree; an export may leave out the account or Region."""
    same = replace(
        other,
        account=one.account if other.account is None or one.account is None else other.account,
        region=one.region if other.region is None or one.region is None else other.region,
        event_id=one.event_id,
        corrects=one.corrects,
        damaged=one.damaged,
    )
    return same != one
