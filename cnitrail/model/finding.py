"""Findings: problems and suspicious changes, each with the events that it rests on."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from cnitrail.model.event import Event, Held
from cnitrail.model.reason import Reason


class Severity(StrEnum):
    """How much a finding matters, the most severe first.

    ``high``: pods get no IPs, or lose them. ``medium``: look at it today. ``low``: worth knowing, or
    not certain.
    """

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


SEVERITY_ORDER = {severity: rank for rank, severity in enumerate(Severity)}
"""Rank of each severity, for sorting: the most severe first."""


class Finding(Struct, frozen=True, kw_only=True):
    """A problem or a suspicious change: what happened, where, since when, and what to do.

    ``rule`` is its name in kebab-case. ``commands`` are shell commands that follow up the ``advice``.
    ``events`` are those that it rests on, by time; ``since`` (aware, UTC) is when it began, ``until``
    when it ended, None if it still goes on at the end of the evidence. ``doubts`` are what the
    evidence leaves open. The resources and addresses are all that its events touch, sorted.
    """

    rule: str
    severity: Severity
    sentence: str
    advice: str
    commands: tuple[str, ...]
    doubts: tuple[Reason, ...]
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
