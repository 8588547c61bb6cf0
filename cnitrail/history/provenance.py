"""Records that digests prove are kept apart from records that they do not.

A record that is not proven may add something new; it never changes, and is never joined with, what proven
records say. So an unproven record is set aside if it names anything that a proven one names.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from msgspec import Struct

from cnitrail.model import Effect, Event, IssuedSession, block_of


class Separated(Struct, frozen=True, kw_only=True):
    """The facts that make the history, and those that are set aside.

    ``unproven`` are the interfaces that only unproven records name.
    """

    events: tuple[Event, ...]
    sessions: tuple[IssuedSession, ...]
    set_aside: tuple[Event, ...]
    sessions_aside: tuple[IssuedSession, ...]
    unproven: frozenset[str]


def separate(
    events: Iterable[Event], sessions: Iterable[IssuedSession], proven: AbstractSet[str]
) -> Separated:
    """Return which facts make the history; ``proven`` are the keys of the facts that digests prove."""
    events, sessions = tuple(events), tuple(sessions)
    named = _ProvenNames(
        (event for event in events if event.key in proven),
        (session for session in sessions if session.key in proven),
    )
    kept: list[Event] = []
    set_aside: list[Event] = []
    for event in events:
        is_kept = event.key in proven or not named.covers(event)
        (kept if is_kept else set_aside).append(event)
    sessions_aside = tuple(
        session for session in sessions if session.key not in proven and named.knows(session)
    )
    return Separated(
        events=tuple(kept),
        sessions=tuple(session for session in sessions if session not in sessions_aside),
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


class _ProvenNames:
    """Everything that proven records name."""

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
        """Return whether an event names any of it, or changes what a trail records."""
        return event.effect is Effect.RECORD or not self._names.isdisjoint(_names(event))

    def knows(self, session: IssuedSession) -> bool:
        """Return whether the credentials of a session are among it."""
        credentials = _credentials(session.access_key_id, session.role_arn, session.session)
        return not self._names.isdisjoint(credentials)


def _names(event: Event) -> Iterator[object]:
    """Yield the interfaces, instances, attachments and address blocks that a call names."""
    for subject in event.subjects:
        yield from filter(None, (subject.eni, subject.instance, subject.details.trunk))
        yield from filter(None, (subject.attachment, subject.details.association, subject.details.resource))
        yield from map(block_of, subject.addresses())


def _credentials(key: str | None, role: str | None, session: str | None) -> Iterator[object]:
    if key:
        yield "key", key
    if role and session:
        yield "session", role, session
