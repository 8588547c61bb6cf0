"""Whether two versions of one event contradict each other.

Raw records must be equal. Rebuilt ones may lack fields, so they agree if each field that both have is equal;
what is derived from other fields (an actor's kind, label or instance) may differ.
"""

from collections.abc import Iterator
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.model import Actor, ActorKind, Agent, Event, Fidelity, IssuedSession

AnyFact = TypeVar("AnyFact", bound=Event | IssuedSession)

_ROLE_KINDS = frozenset(
    {
        ActorKind.IRSA,
        ActorKind.POD_IDENTITY,
        ActorKind.INSTANCE_ROLE,
        ActorKind.ASSUMED_ROLE,
        ActorKind.IDENTITY_CENTER,
        ActorKind.FEDERATED,
        ActorKind.AWS_SERVICE,
    }
)
"""The kinds that the caller of a role session may have: it depends on the fields that a copy has."""

_ACTOR_FIELDS = (
    "arn",
    "account",
    "role",
    "session",
    "user",
    "oidc_provider",
    "access_key_id",
    "source_ip",
    "invoked_by",
    "role_arn",
    "assumed_by",
    "source_identity",
)
"""The fields of a caller that are in its record; the others are derived from these."""

_NOT_COMPARED = frozenset(
    {"key", "event_id", "origins", "corrects", "damaged", "fidelity", "failure", "disputed"}
)


def differ(one: AnyFact, other: AnyFact) -> bool:
    """Return whether two versions disagree; an export may leave out the account or Region."""
    if min(one.fidelity, other.fidelity) < Fidelity.RAW:
        return not _facts_agree(one, other)
    same = replace(
        other,
        account=one.account if other.account is None or one.account is None else other.account,
        region=one.region if other.region is None or one.region is None else other.region,
        event_id=one.event_id,
        corrects=one.corrects,
        damaged=one.damaged,
    )
    return same != one


def actors_agree(one: Event, other: Event) -> bool:
    """Return whether two versions of an event have the same caller, as far as both show it."""
    if min(one.fidelity, other.fidelity) < Fidelity.RAW:
        return _agree(one.actor, other.actor)
    return one.actor == other.actor


def fullness(value: object) -> int:
    """Return how many fields a value has, with those of its parts."""
    if _is_missing(value):
        return 0
    if isinstance(value, Struct):
        return sum(map(fullness, _values(value)))
    return sum(map(fullness, value)) if isinstance(value, tuple) else 1


def _facts_agree(one: Event | IssuedSession, other: Event | IssuedSession) -> bool:
    """Return whether two versions agree. If only one of them failed, they do not."""
    if (
        isinstance(one, Event)
        and isinstance(other, Event)
        and (one.failure is None) != (other.failure is None)
    ):
        return False
    names = (name for name in one.__struct_fields__ if name not in _NOT_COMPARED)
    return all(_agree(getattr(one, name), getattr(other, name)) for name in names)


def _agree(one: object, other: object) -> bool:
    """Return whether two values are equal, or one of them is missing; also for the parts of a value."""
    if _is_missing(one) or _is_missing(other) or one == other:
        return True
    if isinstance(one, Actor) and isinstance(other, Actor):
        return _kinds_agree(one.kind, other.kind) and all(
            _agree(getattr(one, name), getattr(other, name)) for name in (*_ACTOR_FIELDS, "agent")
        )
    if isinstance(one, Agent) and isinstance(other, Agent):
        return _agree(one.raw, other.raw)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_agree, one, other))
    if isinstance(one, Struct) and type(one) is type(other):
        return all(map(_agree, _values(one), _values(other)))
    return False


def _kinds_agree(one: ActorKind, other: ActorKind) -> bool:
    return one is other or ActorKind.UNKNOWN in (one, other) or _ROLE_KINDS.issuperset((one, other))


def _is_missing(value: object) -> bool:
    """Return whether a field has the value of a missing one. The number 0 is a value."""
    return value is None or value is False or value in ("", ())


def _values(struct: Struct) -> Iterator[object]:
    return (getattr(struct, name) for name in struct.__struct_fields__)
