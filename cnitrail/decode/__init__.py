"""One record → typed facts. This room knows the shapes of requests, responses and identities."""

from msgspec import Struct

from cnitrail.decode.actor import actor
from cnitrail.decode.common_fields import (
    account_of,
    corrected_by,
    digest_of,
    failure_of,
    id_of,
    region_of,
    time_of,
)
from cnitrail.decode.events import EVENTS, CallBody, call_of
from cnitrail.decode.sessions import POD_IDENTITY, SESSIONS, is_from_an_address, session_of
from cnitrail.decode.shapes import Fields, Problems, text
from cnitrail.decode.trail_events import TRAIL_EVENTS, TRAIL_SOURCES
from cnitrail.jsontext import Pairs, parse, repeated_key
from cnitrail.model import Effect, Event, IssuedSession, Lost, Record, Subject, TrailChange

__all__ = ["MARKERS", "NAMES", "Decoded", "decode", "is_from_an_address"]

NAMES = (*EVENTS, *TRAIL_EVENTS, *SESSIONS)
"""The event names that make a record relevant.

Of AssumeRole only a call that ``is_from_an_address``, or has a marker.
"""

MARKERS = (POD_IDENTITY,)
"""Texts that make a record relevant though its event name alone would not."""


_SOURCES = dict.fromkeys(EVENTS, "ec2.amazonaws.com") | TRAIL_SOURCES


class Decoded(Struct, frozen=True, gc=False):
    """What a record says: an event, an issued session, or neither (it is of no matter).

    ``problems`` tell which fields could not be read, and ``about`` what such a record names, and when,
    as far as that could be read.
    """

    fact: Event | IssuedSession | None
    problems: tuple[str, ...] = ()
    about: Lost | None = None

    @property
    def matters(self) -> bool:
        """Whether the record is of matter, or might be: it could not be read."""
        return self.fact is not None or bool(self.problems)


def decode(record: Record) -> Decoded:
    """What a record says.

    Never raises for what stands in a record: a record that cannot be read at all is a ``Decoded``
    without a fact and with the problem.
    """
    try:
        entry = parse(record.payload)
        if isinstance(entry, dict):
            repeated = repeated_key(record.payload, entry)
            if repeated is not None:
                return _ambiguous(record, *repeated)
            return _decoded(record, entry)
    except ValueError as error:
        return Decoded(None, (f"broken JSON ({error})",))
    except RecursionError:
        return Decoded(None, ("the record is nested too deeply",))
    return Decoded(None, ("the record is no JSON object",))


def _ambiguous(record: Record, key: str, pairs: Pairs) -> Decoded:
    """Of a record in which a key stands twice: nothing, unless it may be a relevant one."""
    may_be_one = any(name == "eventName" and value in NAMES for name, value in pairs)
    if may_be_one or any(marker.encode() in record.payload for marker in MARKERS):
        return Decoded(None, (f"the key {key[:60]!r} stands twice: which one counts is unclear",))
    return Decoded(None)


def _decoded(record: Record, entry: Fields) -> Decoded:
    name = text(entry.get("eventName"))
    source = text(entry.get("eventSource"))
    problems = Problems()
    fact: Event | IssuedSession | None = None
    about: Lost | None = None
    if name in _SOURCES and source in (_SOURCES[name], None):
        fact, subjects = _event(record, entry, name, problems)
        about = _about(entry, subjects) if problems else None
    elif name in SESSIONS and source in ("sts.amazonaws.com", None):
        fact = session_of(record, entry, problems)
    return Decoded(fact, tuple(f"{name}: {problem}" for problem in problems), about)


def _about(entry: Fields, subjects: tuple[Subject, ...]) -> Lost:
    """What a record names that could not be read whole."""
    time = time_of(entry, Problems())
    held = (each for subject in subjects for each in (*(one.held for one in subject.added), *subject.removed))
    requested = (text for subject in subjects for text in subject.requested_addresses)
    return Lost(
        account_of(entry),
        region_of(entry),
        time,
        time,
        enis=tuple(sorted({subject.eni for subject in subjects if subject.eni})),
        addresses=tuple(dict.fromkeys((*map(str, held), *requested))),
    )


def _event(
    record: Record, entry: Fields, name: str, problems: Problems
) -> tuple[Event | None, tuple[Subject, ...]]:
    """The event of a record, None if it has none, and what it is about."""
    failure = failure_of(entry)
    effect, subjects, trail = _said(name, call_of(entry, name, ok=failure is None, problems=problems))
    time = time_of(entry, problems) if subjects else None
    if time is None:
        return None, subjects
    if failure is not None:
        problems.clear()  # a refused call may name anything
    event_id, corrected = id_of(entry), corrected_by(entry)
    event = Event(
        time=time,
        key=corrected or event_id or digest_of(entry),
        event_id=event_id,
        name=name,
        effect=effect,
        failure=failure,
        account=account_of(entry),
        region=region_of(entry),
        actor=actor(entry),
        subjects=subjects,
        origins=record.origins,
        corrects=corrected is not None,
        trail=trail,
    )
    return event, subjects


def _said(name: str, call: CallBody) -> tuple[Effect, tuple[Subject, ...], TrailChange | None]:
    """What a call does, to which interfaces or to which trail."""
    if name in TRAIL_EVENTS:
        return Effect.RECORD, (Subject(),), TRAIL_EVENTS[name](call)
    effect, subjects_of = EVENTS[name]
    return effect, subjects_of(call), None
