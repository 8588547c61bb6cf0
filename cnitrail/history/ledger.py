"""Order and repeats: the same events give the same history, however they arrive."""

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

_MOST: Final = 100
"""So many versions of one event are told apart; a file may hold a million."""

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
    """Two records of one event that disagree; if ``proven``, the other one is as CloudTrail delivered it."""

    key: str
    place: Origin
    other: Origin
    proven: bool


class Ledger:
    """Takes facts in any order, any number of times; gives them back once each, in order."""

    def __init__(self) -> None:
        self._events = _FactVersions[Event]()
        self._sessions = _FactVersions[IssuedSession]()
        self._ordered: tuple[Event, ...] | None = None

    def __len__(self) -> int:
        """The number of facts in it."""
        return len(self._events) + len(self._sessions)

    def add(self, fact: Event | IssuedSession, *, proven: bool = False) -> bool:
        """Enter a fact; False where it was known already (its origin is kept all the same).

        Of several versions one that is ``proven`` counts, of these a correction.
        """
        self._ordered = None
        if isinstance(fact, Event):
            return self._events.add(fact, proven)
        return self._sessions.add(fact, proven)

    def events(self) -> tuple[Event, ...]:
        """All events: by time, within a second cause before effect, then by event id.

        Of one that is disputed an actor is named only where all versions agree on it.
        """
        if self._ordered is None:
            self._ordered = tuple(sorted(map(_event, self._events.valid()), key=_place))
        return self._ordered

    def sessions(self) -> tuple[IssuedSession, ...]:
        """All issued sessions, by time and event id; of one that is disputed, every version.

        One that only a damaged file has may be altered, so it names nobody.
        """
        valid = self._sessions.valid()
        every = [session for versions in valid for session in versions if not session.damaged]
        return tuple(sorted(every, key=lambda session: (session.time, session.key)))

    def proven(self) -> frozenset[str]:
        """The keys of the facts of which a record is proven."""
        return self._events.proven() | self._sessions.proven()

    def disputes(self) -> list[Dispute]:
        """The events of which records disagree, by where they stand."""
        found = [*self._events.disputes(), *self._sessions.disputes()]
        return sorted(found, key=lambda dispute: (dispute.place, dispute.other))


def _place(event: Event) -> tuple[datetime, int, str]:
    return event.time, EFFECT_ORDER[event.effect], event.event_id or event.key


def _event(versions: list[Event]) -> Event:
    """The event that versions tell which count alike."""
    first, *others = sorted(versions, key=_is_of_another_account)
    if not others:
        return first
    agreed = all(other.actor == first.actor for other in others)
    times = tuple(sorted(each.time for each in versions))
    return replace(first, disputed=times, actor=first.actor if agreed else _DISPUTED)


def _is_of_another_account(event: Event) -> bool:
    """Whether a record is of another account than its caller: of two that disagree, less likely."""
    return event.account != event.actor.account


class _Version(Struct, Generic[Fact]):
    """What records say of an event, and the first of their places."""

    fact: Fact
    place: Origin
    proven: bool

    def counts(self) -> tuple[bool, bool, bool]:
        """The higher, the more it counts."""
        return self.proven, not self.fact.damaged, self.fact.corrects


class _FactVersions(Generic[Fact]):
    """Of each fact what was found first, every other version, and where any of them was found."""

    def __init__(self) -> None:
        self._first: dict[str, Fact] = {}
        self._proven: set[str] = set()
        """Those whose first record is proven."""
        self._origins: dict[str, list[Origin]] = {}
        """Of those that were found more than once; a file may repeat one a million times."""
        self._versions: dict[str, dict[Fact, _Version[Fact]]] = {}
        """Of those that have several, each by its content."""

    def __len__(self) -> int:
        return len(self._first)

    def add(self, fact: Fact, proven: bool) -> bool:
        """Enter a version; False where the fact was known already."""
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
        """The keys of those of which a version is proven."""
        later = (key for key, each in self._versions.items() if any(one.proven for one in each.values()))
        return frozenset((*self._proven, *later))

    def valid(self) -> Iterator[list[Fact]]:
        """Of every fact the versions that count alike, with all its origins: nearly always one."""
        for key, first in self._first.items():
            versions = self._versions.get(key)
            facts = [each.fact for each in _counting(versions)] if versions else [first]
            origins = self._origins.get(key)
            if origins:
                every = tuple(sorted(set(origins)))
                facts = [replace(fact, origins=every) for fact in facts]
            yield facts

    def disputes(self) -> Iterator[Dispute]:
        """The facts of which records disagree that count alike, or with one that is proven."""
        for key, versions in self._versions.items():
            best, *rivals = _counting(versions)
            for rival in rivals:
                place, other_place = sorted((best.place, rival.place))
                yield Dispute(key, place, other_place, proven=False)
            for other in versions.values():
                is_original = best.fact.corrects and not other.fact.corrects
                if best.proven and not other.proven and not is_original and _differ(best.fact, other.fact):
                    yield Dispute(key, other.place, best.place, proven=True)


def _enter(versions: dict[Fact, _Version[Fact]], fact: Fact, proven: bool) -> None:
    """Enter what one more record says, and where it stands."""
    content, place = replace(fact, origins=()), min(fact.origins)
    known = versions.get(content)
    if known is not None:
        known.place, known.proven = min(known.place, place), known.proven or proven
    elif len(versions) < _MOST:
        versions[content] = _Version(content, place, proven)


def _counting(versions: dict[Fact, _Version[Fact]]) -> list[_Version[Fact]]:
    """Those that count most, of which any two disagree; in an order that does not depend on theirs."""
    most = max(each.counts() for each in versions.values())
    counting: list[_Version[Fact]] = []
    for each in sorted(versions.values(), key=lambda version: repr(version.fact)):
        if each.counts() == most and all(_differ(each.fact, other.fact) for other in counting):
            counting.append(each)
    return counting


def _differ(one: Fact, other: Fact) -> bool:
    """Whether two versions disagree; an export may leave out where a call was made."""
    same = replace(
        other,
        account=one.account if other.account is None or one.account is None else other.account,
        region=one.region if other.region is None or one.region is None else other.region,
        event_id=one.event_id,
        corrects=one.corrects,
        damaged=one.damaged,
    )
    return same != one
