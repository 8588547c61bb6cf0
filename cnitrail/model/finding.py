"""What is out of the ordinary, each with what it rests on."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from cnitrail.model.event import Event, Held


class Severity(StrEnum):
    """How much a finding matters, the gravest first.

    ``high``: pods go without addresses, or lose them. ``medium``: somebody should look at it today.
    ``low``: worth knowing, or not certain.
    """

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


SEVERITY_ORDER = {severity: rank for rank, severity in enumerate(Severity)}
"""The gravest first."""


class Finding(Struct, frozen=True):
    """Something out of the ordinary: what, where, since when, and what to do.

    ``rule`` is its name in kebab-case. ``events`` are those that it rests on, in the order of time;
    ``since`` (aware, UTC) is when it began, ``until`` when it ended, None where it still goes on at
    the end of the evidence. ``doubts`` tell what the evidence leaves open. The places and addresses
    are all that its events touch, sorted.
    """

    rule: str
    severity: Severity
    sentence: str
    advice: str
    doubts: tuple[str, ...]
    since: datetime
    until: datetime | None
    account: str | None
    region: str | None
    clusters: tuple[str, ...]
    vpcs: tuple[str, ...]
    subnets: tuple[str, ...]
    instances: tuple[str, ...]
    enis: tuple[str, ...]
    addresses: tuple[Held, ...]
    events: tuple[Event, ...]
