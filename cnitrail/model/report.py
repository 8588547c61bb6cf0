"""A postmortem as a value: what happened, to what, by whom, and the events that each statement rests on.

Events are numbered from 1 in the order of their times, and cited by their numbers. Principals are
named by their places in the report's list of them.
"""

from datetime import datetime

from msgspec import Struct

from cnitrail.model.answer import TimelineEntry
from cnitrail.model.callers import described
from cnitrail.model.coverage import Ground
from cnitrail.model.event import Actor, Held, HoldingKind
from cnitrail.model.evidence import Origin
from cnitrail.model.finding import Finding
from cnitrail.model.history import Basis
from cnitrail.model.limits import Limits


class Citation(Struct, frozen=True, gc=False):
    """An event that something in the report rests on, the files that it is found in, and who made it."""

    time: datetime
    event: str
    event_id: str | None
    origins: tuple[Origin, ...]
    principal: int


class Statement(Struct, frozen=True, gc=False):
    """A sentence, and the numbers of the events that it rests on; none where it is of the evidence itself.

    The sentence holds texts from records (names, messages) as they came.
    """

    sentence: str
    events: tuple[int, ...] = ()


class CitedFinding(Struct, frozen=True, gc=False):
    """A finding, and the numbers of its events."""

    finding: Finding
    events: tuple[int, ...]


class CitedCall(Struct, frozen=True, gc=False):
    """An entry of the timeline, with the number of its event, and its principal."""

    entry: TimelineEntry
    event: int
    principal: int


class Principal(Struct, frozen=True, gc=False):
    """Who acted, and all that they did: a user, a service, a service account, a role.

    The sessions of a role that nodes use are one principal. ``actor`` is that of the first call,
    ``instances`` those whose sessions they were. ``calls`` are (event name, successful, failed), and
    ``facts`` say which one it is: its kind first.
    """

    name: str
    actor: Actor
    instances: tuple[str, ...]
    agents: tuple[str, ...]
    source_ips: tuple[str, ...]
    calls: tuple[tuple[str, int, int], ...]
    added: int
    removed: int
    events: tuple[int, ...]
    facts: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The name with what tells it apart from others: its kind first."""
        return described(self.name, self.facts)


class Edge(Struct, frozen=True, gc=False):
    """A start or an end: its time (aware, UTC), its basis, its event, and the principal behind it."""

    time: datetime | None
    basis: Basis
    event: int | None
    principal: int | None


class Stay(Struct, frozen=True, gc=False):
    """The time of an interface on an instance; ``device_index`` is None where no event tells it."""

    device_index: int | None
    start: Edge
    end: Edge


class HoldingSpan(Struct, frozen=True, gc=False):
    """Addresses that came to an interface together and left it together.

    ``doubted`` where the evidence leaves open whether another interface had them.
    """

    held: tuple[Held, ...]
    kind: HoldingKind
    start: Edge
    end: Edge
    doubted: bool


class Step(Struct, frozen=True, gc=False):
    """A number that holds from a time on (aware, UTC)."""

    time: datetime
    number: int


class InterfaceLife(Struct, frozen=True, gc=False):
    """The part of an interface's life that belongs to one instance.

    It lies between ``since`` and ``until`` (None: no bound), from one attachment to the next one
    elsewhere. ``steps`` count its addresses and prefixes; the first is the number just before the
    report begins.
    """

    eni: str
    kind: str
    vpc: str | None
    subnet: str | None
    since: datetime | None
    until: datetime | None
    stays: tuple[Stay, ...]
    holdings: tuple[HoldingSpan, ...]
    steps: tuple[Step, ...]


class InstanceLife(Struct, frozen=True, gc=False):
    """An instance and its interfaces.

    ``instance`` is None for interfaces of which no instance is known. ``steps`` count the IPv4
    addresses and prefixes of the interfaces that were attached, as the limits of its type do; the
    first is the number just before the report begins. ``calls``, ``added`` and ``removed`` count
    what the calls of the report did.
    """

    instance: str | None
    instance_type: str | None
    cluster: str | None
    account: str | None
    region: str | None
    limits: Limits | None
    interfaces: tuple[InterfaceLife, ...]
    steps: tuple[Step, ...]
    calls: int
    added: int
    removed: int

    @property
    def most(self) -> int:
        """The most addresses and prefixes at a time."""
        return max(step.number for step in self.steps)

    @property
    def last(self) -> int:
        """The addresses and prefixes at the end."""
        return self.steps[-1].number


class Tenure(Struct, frozen=True, gc=False):
    """An interface that held an address that was asked for, from when to when.

    ``instances`` are those that it was on in this time; ``doubt`` says why it may be otherwise.
    ``rests_on`` is the least of what all of the time rests on, None where digests were not asked.
    """

    held: Held
    eni: str
    vpc: str | None
    instances: tuple[str, ...]
    start: Edge
    end: Edge
    doubt: str | None
    rests_on: Ground | None


class Report(Struct, frozen=True, gc=False):
    """A postmortem of what a filter keeps of a history.

    ``start`` and ``end`` (aware, UTC) are the times of its first and last call, None where there
    are none. Instances come the busiest first, principals by the number of their calls.
    ``findings`` is None where too little was read to judge, ``tenures`` where no address was asked for.
    """

    title: str
    start: datetime | None
    end: datetime | None
    summary: tuple[Statement, ...]
    findings: tuple[CitedFinding, ...] | None
    calls: tuple[CitedCall, ...]
    instances: tuple[InstanceLife, ...]
    principals: tuple[Principal, ...]
    tenures: tuple[Tenure, ...] | None
    caveats: tuple[str, ...]
    events: tuple[Citation, ...]
