"""Order and duplicates: the same events give the same history, in whatever order they are read."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.history.agreement import actors_agree, differ, fullness
from cnitrail.model import (
    EFFECT_ORDER,
    Actor,
    ActorBasis,
    ActorKind,
    Agent,
    Event,
    Fidelity,
    IssuedSession,
    Origin,
    Skipped,
)
from cnitrail.timeclamp import FIRST

if TYPE_CHECKING:  # most evidence is without pods
    from cnitrail.model.pod_facts import PodEvidence, PodRecord

Fact = TypeVar("Fact", bound=Event | IssuedSession)

Rank = tuple[bool, bool, bool, int]
"""Which version of an event counts: the one with the highest rank."""

_MAX_VERSIONS: Final = 100
"""Versions of one event and rank that are kept apart: a hostile file may hold a million."""

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
        self._pods: dict[str, PodRecord] = {}
        self._heard: dict[tuple[str, str], set[str]] = {}
        self._unread_pods: dict[Skipped, None] = {}
        self._ordered: tuple[Event, ...] | None = None

    def __len__(self) -> int:
        """Return the number of facts."""
        return len(self._events) + len(self._sessions) + len(self._pods)

    def add(self, fact: Event | IssuedSession, *, proven: bool = False) -> bool:
        """Add a fact; return False if it was known already (its origin is kept all the same).

        Of several versions a ``proven`` one counts, then one of an intact file, then a correction, then the
        one of the form that keeps most. A version contradicts one of a better form only if that is damaged.
        """
        self._ordered = None
        if isinstance(fact, Event):
            return self._events.add(fact, proven)
        return self._sessions.add(fact, proven)

    def add_pods(self, record: "PodRecord") -> bool:
        """Add a record of pod evidence; return False if it was known. All its origins are kept."""
        known = self._pods.get(record.key)
        origins = sorted({*(known.origins if known is not None else ()), *record.origins})
        clusters = sorted({copy.cluster for copy in (known, record) if copy and copy.cluster})
        cluster = clusters[0] if clusters else None
        self._pods[record.key] = replace(record, origins=tuple(origins), cluster=cluster)
        return known is None

    def hear(self, file: str, minutes: Iterable[tuple[str, str]]) -> None:
        """Note the minutes of which a file has records of pod evidence, each with their form."""
        for form, minute in minutes:
            self._heard.setdefault((file, form), set()).add(minute)

    def lack_pods(self, skipped: Iterable[Skipped]) -> None:
        """Note pod evidence that could not be read."""
        self._unread_pods.update(dict.fromkeys(skipped))

    @property
    def pod_records(self) -> int:
        """Number of different records of pod evidence."""
        return len(self._pods)

    def pod_times(self) -> Iterator[datetime]:
        """Yield the times of the records of pod evidence that have one."""
        return (record.time for record in self._pods.values() if record.time is not None)

    def pods(self) -> "PodEvidence":
        """Return all records of pod evidence, by time and key; those without a time come first.

        What could not be read is in the order of the files, also if a store has it.
        """
        from cnitrail.model.pod_facts import PodEvidence

        return PodEvidence(
            records=tuple(sorted(self._pods.values(), key=_pod_order)),
            heard={file: frozenset(minutes) for file, minutes in self._heard.items()},
            unread=tuple(sorted(self._unread_pods, key=attrgetter("source"))),
        )

    def events(self) -> tuple[Event, ...]:
        """Return all events: by time, within a second cause before effect, then by event ID.

        A disputed event has an actor only if all versions agree on it. A rebuilt record without an event ID
        (a query may leave it out) is a copy if an event with an ID has the same time, call and content.
        """
        if self._ordered is None:
            ordered = sorted(map(_event, self._events.valid()), key=_event_order)
            self._ordered = tuple(_fold_nameless(ordered))
        return self._ordered

    def sessions(self) -> tuple[IssuedSession, ...]:
        """Return all issued sessions, by time and event ID; of a disputed one, every version.

        A session that only a damaged file has may be altered, so it is left out.
        """
        valid = self._sessions.valid()
        every = [
            session
            for versions in valid
            if not all(session.damaged for session in versions)
            for session in versions
        ]
        return tuple(_fold_nameless(sorted(every, key=lambda session: (session.time, session.key))))

    def proven(self) -> frozenset[str]:
        """Return the keys of the facts of which digests prove a record."""
        return self._events.proven() | self._sessions.proven()

    def disputes(self) -> list[Dispute]:
        """Return the events whose records disagree, by origin."""
        found = [*self._events.disputes(), *self._sessions.disputes()]
        return sorted(found, key=lambda dispute: (dispute.origin, dispute.other))


def _pod_order(record: "PodRecord") -> tuple[datetime, str]:
    """Return the key that sorts records of pod evidence."""
    return record.time or FIRST, record.key


def _event_order(event: Event) -> tuple[datetime, int, str]:
    """Return the key that sorts events."""
    return event.time, EFFECT_ORDER[event.effect], event.shown_id


def _event(versions: list[Event]) -> Event:
    """Return one event for versions that count alike."""
    if len(versions) == 1:
        return versions[0]
    first, *others = sorted(versions, key=_is_of_another_account)
    agreed = all(actors_agree(other, first) for other in others)
    times = tuple(sorted(version.time for version in versions))
    return replace(first, disputed=times, actor=first.actor if agreed else _DISPUTED)


def _fold_nameless(facts: list[Fact]) -> list[Fact]:
    """Return facts without the rebuilt ones that have no ID and are copies of others, in the same order."""
    nameless = [fact for fact in facts if fact.event_id is None and fact.fidelity < Fidelity.RAW]
    if not nameless:
        return facts
    named: dict[object, list[Fact]] = {}
    for fact in facts:
        if fact.event_id is not None:
            named.setdefault(_content(fact), []).append(fact)
    origins: dict[str, set[Origin]] = {}
    copies: set[str] = set()
    for copy in nameless:
        alike = named.get(_content(copy), [])[:_MAX_VERSIONS]
        original = next((fact for fact in alike if not differ(fact, copy)), None)
        if original is not None:
            copies.add(copy.key)
            origins.setdefault(original.key, {*original.origins}).update(copy.origins)
    return [
        replace(fact, origins=tuple(sorted(origins[fact.key]))) if fact.key in origins else fact
        for fact in facts
        if fact.key not in copies
    ]


def _content(fact: Event | IssuedSession) -> object:
    """Return what two copies of a call must have in common."""
    if isinstance(fact, Event):
        return fact.time, fact.name, fact.subjects
    return fact.time, fact.role_arn, fact.session, fact.access_key_id


def _is_of_another_account(event: Event) -> bool:
    """Return whether a record is of another account than its caller: the less likely of two that disagree."""
    return event.account != event.actor.account


class _Version(Struct, Generic[Fact]):
    """One version of an event, and the first place where it was found."""

    fact: Fact
    origin: Origin


_Versions = dict[Rank, dict[Fact, _Version[Fact]]]
"""Versions of one event by rank and content: those of a low rank cannot crowd out those of a high one."""


def _rank(fact: Event | IssuedSession, *, proven: bool) -> Rank:
    """Return the rank of a version.

    Bytes of a damaged file may be altered, so an intact copy counts more. A correction is not a copy but says
    something new, so its form comes last.
    """
    return proven, not fact.damaged, fact.corrects, fact.fidelity


class _FactVersions(Generic[Fact]):
    """Each fact as it was first found, with every other version and all origins."""

    def __init__(self) -> None:
        self._first: dict[str, Fact] = {}
        self._proven: set[str] = set()
        """Keys of the facts whose first record is proven."""
        self._origins: dict[str, list[Origin]] = {}
        """Origins of the facts that were found more than once; a file may repeat one a million times."""
        self._versions: dict[str, _Versions[Fact]] = {}
        """Versions of the facts that have several."""

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
            _enter(versions, first, proven=key in self._proven)
        _enter(versions, fact, proven=proven)
        return False

    def proven(self) -> frozenset[str]:
        """Return the keys of the facts of which a version is proven."""
        later = (key for key, versions in self._versions.items() if any(proven for proven, *_ in versions))
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
            for other in _contradicting(versions, best.fact):
                yield Dispute(key, other.origin, best.origin, proven=True)


def _enter(versions: _Versions[Fact], fact: Fact, *, proven: bool) -> None:
    """Add the content of one more record, with its origin."""
    alike = versions.setdefault(_rank(fact, proven=proven), {})
    content, origin = replace(fact, origins=()), min(fact.origins)
    known = alike.get(content)
    if known is not None:
        known.origin = min(known.origin, origin)
    elif len(alike) < _MAX_VERSIONS:
        alike[content] = _Version(content, origin)


def _best(versions: _Versions[Fact]) -> list[_Version[Fact]]:
    """Return the versions that count and disagree, in an order that does not depend on reading.

    These are the versions of the highest rank. Of rebuilt ones that agree, the fullest counts.
    """
    best: list[_Version[Fact]] = []
    for rank in _ranks_that_count(versions):
        is_raw = rank[-1] == Fidelity.RAW
        for version in sorted(
            versions[rank].values(),
            key=lambda version: (0 if is_raw else -fullness(version.fact), repr(version.fact)),
        ):
            if all(differ(version.fact, other.fact) for other in best):
                best.append(version)
    return best


def _ranks_that_count(versions: _Versions[Fact]) -> Iterator[Rank]:
    """Yield the highest rank, and those of records in damaged files whose form keeps more, unless proven.

    Anybody can put a table into a folder, and a damaged log file may only be cut short. So if such records
    disagree with a rebuilt one, nothing shows which is true.
    """
    highest = max(versions)
    yield highest
    is_proven, is_intact, corrects, fidelity = highest
    if not is_proven and is_intact:
        better = ((False, False, corrects, more) for more in reversed(Fidelity) if more > fidelity)
        yield from filter(versions.__contains__, better)


def _contradicting(versions: _Versions[Fact], best: Fact) -> Iterator[_Version[Fact]]:
    """Yield the records that are not proven and disagree with the best one, if that is proven.

    A form that keeps less contradicts nothing, nor does the original of a correction.
    """
    is_proven, *_ = max(versions)
    for (proven, _, corrects, fidelity), alike in versions.items():
        is_original = best.corrects and not corrects
        if is_proven and not proven and not is_original and fidelity >= best.fidelity:
            yield from (version for version in alike.values() if differ(best, version.fact))
