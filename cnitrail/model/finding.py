"""Findings: problems and suspicious changes, each with the events that it rests on."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from cnitrail.model.event import Event, Held
from cnitrail.model.reason import Reason
from cnitrail.model.subnet import SubnetCensus


class Severity(StrEnum):
    """How much a finding matters, the most severe first.

    ``critical``: act now, a whole cluster or its evidence is affected. ``high``: pods get no IPs, or lose
    them. ``medium``: look at it today. ``low``: worth knowing, or not certain. ``info``: expected behavior,
    for the record.
    """

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


SEVERITY_ORDER = {severity: rank for rank, severity in enumerate(Severity)}
"""Rank of each severity, for sorting: the most severe first."""


def severity_counts(severities: Iterable[Severity]) -> list[str]:
    """Return how many there are of each, the most severe first: ``["1 high", "2 medium"]``."""
    numbers = Counter(severities)
    return [f"{numbers[severity]:,} {severity}" for severity in Severity if numbers[severity]]


class Finding(Struct, frozen=True, kw_only=True):
    """A problem or a suspicious change: what happened, where, since when, and what to do.

    ``rule`` is its name in kebab-case. ``commands`` are shell commands that follow up the ``advice``.
    ``techniques`` are the IDs of the MITRE ATT&CK techniques that the rule may show. ``fingerprint`` is
    the same whenever the finding is found again from its first event on, whatever else was read.
    ``events`` are those that it rests on, by time; ``since`` (aware, UTC) is when it began, ``until``
    when it ended, None if it still goes on at the end of the evidence. ``doubts`` are what the
    evidence leaves open. ``census`` is who held the addresses of a subnet when it ran out of them. The
    resources and addresses are all that its events touch, sorted.
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
    techniques: tuple[str, ...] = ()
    census: SubnetCensus | None = None
    fingerprint: str = ""
