"""One record → typed facts: who called, and what the call did to which ENI."""

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.decode.actor import actor_of
from cnitrail.decode.call_body import CallBody, call_body
from cnitrail.decode.common_fields import (
    account_of,
    describes_other_calls,
    failure_of,
    identity_of,
    is_contradictory,
    region_of,
    time_of,
)
from cnitrail.decode.events import EVENT_SOURCES, EVENTS
from cnitrail.decode.sessions import (
    ADDRESS_PATTERN,
    ASSUME_ROLE,
    POD_IDENTITY,
    SESSIONS,
    STS,
    is_from_an_address,
    session_of,
)
from cnitrail.decode.shapes import Fields, Problems, text
from cnitrail.decode.sign_ins import failed_sign_in
from cnitrail.decode.trail_events import TRAIL_EVENTS, TRAIL_SOURCES
from cnitrail.decode.usual_records import usual_event
from cnitrail.jsontext import Pairs, json_object, parse, repeated_key
from cnitrail.model import (
    TRAIL,
    Effect,
    Event,
    Fidelity,
    Form,
    IssuedSession,
    Lost,
    Record,
    StoredRecord,
    Subject,
    TrailChange,
    form_of,
)
from cnitrail.model.forms import POD_FORMS
from cnitrail.model.table import RelevantCalls

if TYPE_CHECKING:
    from cnitrail.model.pod_facts import PodRecord

__all__ = ["MARKERS", "NAMES", "RELEVANT_CALLS", "Decoded", "decode", "is_from_an_address", "pod_markers"]

NAMES = (*EVENTS, *TRAIL_EVENTS, *SESSIONS)
"""The event names that make a record relevant.

AssumeRole is relevant only if it ``is_from_an_address``, or the record contains a marker.
"""

RELEVANT_CALLS = RelevantCalls(
    names=tuple(name for name in NAMES if name != ASSUME_ROLE),
    sources=tuple(dict.fromkeys((*EVENT_SOURCES.values(), *TRAIL_SOURCES.values(), STS))),
    assume_role=ASSUME_ROLE,
    invoked_by=POD_IDENTITY,
    from_address=ADDRESS_PATTERN,
)
"""Which records a query engine has to return."""

MARKERS = (POD_IDENTITY,)
"""Texts that make a record relevant even if its event name does not."""


_SOURCES = EVENT_SOURCES | TRAIL_SOURCES


def pod_markers() -> tuple[str, ...]:
    """Return the texts without which a record of pod evidence is not relevant, except for audit events."""
    from cnitrail.decode.pods.markers import POD_MARKERS

    return POD_MARKERS


class Decoded(Struct, frozen=True, gc=False):
    """The fact in a record: an event or an issued session; None if it is not relevant, or about ``pods``.

    ``problems`` lists the fields that could not be read. ``lost`` is what such a record names, and its
    time, as far as they could be read.
    """

    fact: Event | IssuedSession | None
    problems: tuple[str, ...] = ()
    lost: Lost | None = None
    pods: "PodRecord | None" = None

    @property
    def is_relevant(self) -> bool:
        """Whether the record is relevant, or may be because it could not be read."""
        return self.says_something or bool(self.problems)

    @property
    def says_something(self) -> bool:
        """Whether the record has a fact, or facts about pods."""
        return self.fact is not None or self.pods is not None


def decode(record: Record) -> Decoded:
    """Return the fact in a record.

    Never raises because of a record's content: one that cannot be read at all is a ``Decoded`` with no fact
    and with the problem.
    """
    form = record.origins[0].form if len(record.origins) == 1 else None
    if form == TRAIL and (event := usual_event(record)) is not None:
        return Decoded(event)
    try:
        entry = parse(record.payload)
        if record.origins[0].form in POD_FORMS:
            return _decoded_pods(record, entry)
        if isinstance(entry, dict):
            repeated = repeated_key(record.payload, entry)
            if repeated is not None:
                return _ambiguous(record, *repeated)
            return _decoded(record, entry)
    except ValueError as error:
        return Decoded(None, (f"broken JSON ({error})",))
    except RecursionError:
        return Decoded(None, ("the record is nested too deeply",))
    return Decoded(None, ("the record is not a JSON object",))


def _decoded_pods(record: Record, entry: object) -> Decoded:
    """Return the facts in a record of pod evidence; from a store it has only those."""
    from cnitrail.decode.pods.readers import read_pods
    from cnitrail.decode.pods.stored import read_stored

    if isinstance(entry, dict) and repeated_key(record.payload, entry) is not None:
        return Decoded(None, (_REPEATED,))
    read = read_stored if isinstance(record, StoredRecord) else read_pods
    pods, problems = read(record, entry)
    return Decoded(None, problems, pods=pods)


_REPEATED = "a key is repeated: it is unclear which value counts"
"""Said of pod evidence, of which no key is quoted either: it may be one of a secret."""


def _ambiguous(record: Record, key: str, pairs: Pairs) -> Decoded:
    """Decode a record with a repeated key: unreadable if it may be relevant, else ignored."""
    may_be_one = any(name == "eventName" and value in NAMES for name, value in pairs)
    if may_be_one or any(marker.encode() in record.payload for marker in MARKERS):
        return Decoded(None, (f"the key {key[:60]!r} is repeated: it is unclear which value counts",))
    return Decoded(None)


def _decoded(record: Record, entry: Fields) -> Decoded:
    name = text(entry.get("eventName"))
    source = (text(entry.get("eventSource")) or "").lower()
    entry = _with_parsed_texts(entry)
    if describes_other_calls(entry):
        return Decoded(None)
    problems = Problems()
    fact: Event | IssuedSession | None = None
    lost: Lost | None = None
    if name in _SOURCES and _is_of(source, _SOURCES[name]):
        fact, subjects = _event(record, entry, name, problems)
        lost = _lost(entry, subjects) if problems else None
    elif name in SESSIONS and _is_of(source, STS):
        form = _best_form(record)
        fact = session_of(record, entry, problems) or failed_sign_in(record, entry, form.identity_basis)
        if fact is not None and form.fidelity is not Fidelity.RAW:
            fact = replace(fact, fidelity=form.fidelity)
        if fact is not None and is_contradictory(entry):
            problems.append(_CONTRADICTORY)
            lost = _lost(entry, ())
    return Decoded(fact, tuple(f"{name}: {problem}" for problem in problems), lost)


def _is_of(source: str, service: str) -> bool:
    """Return whether an event source is a service; exports may leave it out, or its domain."""
    return source in (service, "", service.partition(".")[0])


def _with_parsed_texts(entry: Fields) -> Fields:
    """Return a record with its objects, if an export has their JSON texts instead."""
    parsed = {
        name: found
        for name in _OBJECTS
        if isinstance(entry.get(name), str) and (found := json_object(entry[name])) is not None
    }
    return entry | parsed if parsed else entry


_OBJECTS = ("userIdentity", "requestParameters", "responseElements", "serviceEventDetails", "addendum")


def _lost(entry: Fields, subjects: tuple[Subject, ...]) -> Lost:
    """Return what a record names that could not be read completely."""
    time = time_of(entry, Problems())
    added = (str(holding.held) for subject in subjects for holding in subject.added)
    removed = (str(held) for subject in subjects for held in subject.removed)
    requested = (address for subject in subjects for address in subject.requested_addresses)
    return Lost(
        account=account_of(entry),
        region=region_of(entry),
        start=time,
        end=time,
        enis=tuple(sorted({subject.eni for subject in subjects if subject.eni})),
        addresses=tuple(dict.fromkeys((*added, *removed, *requested))),
    )


def _event(
    record: Record, entry: Fields, name: str, problems: Problems
) -> tuple[Event | None, tuple[Subject, ...]]:
    """Return the event of a record (None if it has no time or subject) and the subjects of its call."""
    failure, form = failure_of(entry), _best_form(record)
    call = call_body(entry, name, ok=failure is None, problems=problems)
    effect, subjects, trail = _effect(name, call)
    time = time_of(entry, problems) if subjects else None
    if form.fidelity is not Fidelity.RAW and failure is None and not _shows_success(entry, name):
        problems.append("neither an error nor a response, so it is unclear whether the call succeeded")
        return None, subjects
    if time is None:
        return None, subjects
    if failure is not None:
        problems.clear()  # a failed call may name anything
    key, event_id, is_correction = identity_of(entry)
    event = Event(
        time=time,
        key=key,
        event_id=event_id,
        name=name,
        effect=effect,
        failure=failure,
        account=account_of(entry),
        region=region_of(entry),
        actor=actor_of(entry, form.identity_basis),
        subjects=subjects,
        origins=record.origins,
        corrects=is_correction,
        trail=trail,
        omitted=call.omitted,
        request_id=text(entry.get("requestID")) if failure is not None else None,
        fidelity=form.fidelity,
    )
    if failure is None or not is_contradictory(entry):
        return event, subjects
    problems.append(_CONTRADICTORY)
    return event, _effect(name, call_body(entry, name, ok=True, problems=Problems()))[1]


_CONTRADICTORY = "an error, and a response as of a success, so it is unclear whether the call succeeded"


def _best_form(record: Record) -> Form:
    """Return the form of a record's copies that keeps most; ties are broken by name."""
    first, *others = record.origins
    if not others:
        return form_of(first.form)
    names = sorted({origin.form for origin in record.origins})
    return max(map(form_of, names), key=lambda form: form.fidelity)


def _shows_success(entry: Fields, name: str) -> bool:
    """Return whether a rebuilt record without an error shows that its call succeeded.

    A query may leave out the column of the error. EC2 answers every call that it carries out; calls to
    CloudTrail may have no response, and events of a service have details instead.
    """
    shown = (entry.get("responseElements"), entry.get("serviceEventDetails"))
    return name in TRAIL_EVENTS or shown != (None, None)


def _effect(name: str, call: CallBody) -> tuple[Effect, tuple[Subject, ...], TrailChange | None]:
    """Return what a call does, the ENIs and instances it does it to, and its change to a trail."""
    if name in TRAIL_EVENTS:
        return Effect.RECORD, (Subject(),), TRAIL_EVENTS[name](call)
    effect, subjects_of = EVENTS[name]
    return effect, subjects_of(call), None
