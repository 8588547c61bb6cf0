"""Answers to questions, as they are shown: field names are the JSON's own (design contract)."""

from dataclasses import dataclass
from datetime import datetime

from cnitrail.model.event import Actor, Effect, Failure, Held
from cnitrail.model.evidence import Origin


@dataclass(frozen=True, slots=True)
class Moved:
    """An address that a call took from another interface."""

    ip: Held
    from_eni: str


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """What one call did to one interface (or instance, where it names no interface).

    A call that touches several interfaces has an entry for each. ``removed`` of a deletion or a
    termination is what the history shows the interface to have held until then.
    """

    time: datetime
    event_id: str | None
    event: str
    effect: Effect
    outcome: str
    error: Failure | None
    account: str | None
    region: str | None
    actor: Actor
    eni: str | None
    eni_kind: str | None
    attachment: str | None
    device_index: int | None
    instance: str | None
    instance_basis: str | None
    instance_type: str | None
    cluster: str | None
    vpc: str | None
    subnet: str | None
    added: tuple[Held, ...]
    removed: tuple[Held, ...]
    requested: int | None
    requested_addresses: tuple[str, ...]
    moved: tuple[Moved, ...]
    trunk: str | None
    public_address: str | None
    allocation: str | None
    origins: tuple[Origin, ...]
