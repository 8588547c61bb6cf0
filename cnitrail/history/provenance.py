"""What proven records say is kept apart from what no digest vouches for.

A record that no digest vouches for may add something new; it never changes, and never joins into, what
proven records say. So one that names anything that they speak of is set aside.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import chain

from msgspec import Struct

from cnitrail.model import Effect, Event, Held, IssuedSession, block_of, held_of


class Separated(Struct, frozen=True):
    """The facts that make the history, and those that are set aside.

    ``unproven`` are the interfaces that only unproven records speak of.
    """

    events: tuple[Event, ...]
    sessions: tuple[IssuedSession, ...]
    set_aside: tuple[Event, ...]
    sessions_aside: tuple[IssuedSession, ...]
    unproven: frozenset[str]


def separate(
    events: Iterable[Event], sessions: Iterable[IssuedSession], proven: AbstractSet[str]
) -> Separated:
    """Tell apart what may make a history; ``proven`` are the keys of proven facts."""
    events, sessions = tuple(events), tuple(sessions)
    spoken_of = _Spoken(
        (event for event in events if event.key in proven),
        (session for session in sessions if session.key in proven),
    )
    kept: list[Event] = []
    set_aside: list[Event] = []
    for event in events:
        is_kept = event.key in proven or not spoken_of.covers(event)
        (kept if is_kept else set_aside).append(event)
    sessions_aside = tuple(each for each in sessions if each.key not in proven and spoken_of.knows(each))
    return Separated(
        events=tuple(kept),
        sessions=tuple(each for each in sessions if each not in sessions_aside),
        set_aside=tuple(set_aside),
        sessions_aside=sessions_aside,
        unproven=frozenset(
            subject.eni
            for event in kept
            if event.key not in proven
            for subject in event.subjects
            if subject.eni is not None
        ),
    )


class _Spoken:
    """What proven records speak of."""

    def __init__(self, events: Iterable[Event], sessions: Iterable[IssuedSession]) -> None:
        self._names: set[object] = set()
        for event in events:
            self._names.update(_names(event))
            self._names.update(
                _credentials(event.actor.access_key_id, event.actor.role_arn, event.actor.session)
            )
        for session in sessions:
            self._names.update(_credentials(session.access_key_id, session.role_arn, session.session))

    def covers(self, event: Event) -> bool:
        """Whether an event is about something of it, or about what a trail records."""
        return event.effect is Effect.RECORD or not self._names.isdisjoint(_names(event))

    def knows(self, session: IssuedSession) -> bool:
        """Whether the credentials of a session are among it."""
        named = _credentials(session.access_key_id, session.role_arn, session.session)
        return not self._names.isdisjoint(named)


def _names(event: Event) -> Iterator[object]:
    """The interfaces, instances, attachments and address blocks that a call names."""
    for subject in event.subjects:
        yield from filter(None, (subject.eni, subject.instance, subject.trunk))
        yield from filter(None, (subject.attachment, subject.association))
        yield from map(block_of, _held(subject.requested_addresses))
        for held in chain((holding.held for holding in subject.added), subject.removed):
            yield block_of(held)


def _held(texts: Iterable[str]) -> Iterator[Held]:
    return (held for text in texts if (held := held_of(text)) is not None)


def _credentials(key: str | None, role: str | None, session: str | None) -> Iterator[object]:
    if key:
        yield "key", key
    if role and session:
        yield "session", role, session
