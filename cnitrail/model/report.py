"""An incident report as a value: what happened, to what, by whom, and the events behind each statement.

Events are numbered from 1 by time, and cited by their numbers. Principals are referred to by their
positions in the report's list of them.
"""

from datetime import datetime

from msgspec import Struct

from cnitrail.model.answer import TimelineEntry
from cnitrail.model.basis import Basis
from cnitrail.model.callers import described
from cnitrail.model.coverage import Ground
from cnitrail.model.event import Actor, Held, HoldingKind
from cnitrail.model.evidence import Origin
from cnitrail.model.finding import Finding
from cnitrail.model.limits import Limits
from cnitrail.model.manager import Management
from cnitrail.model.pods import PodEntry


class Citation(Struct, frozen=True, gc=False, kw_only=True):
    """An event that the report cites: the files that have it, the principal behind it, and its Region."""

    time: datetime
    event: str
    event_id: str | None
    origins: tuple[Origin, ...]
    principal: int
    region: str | None = None


class Statement(Struct, frozen=True, gc=False):
    """A sentence, and the numbers of the events that it rests on; none if it is about the evidence itself.

    The sentence has texts from records (names, messages) unchanged.
    """

    sentence: str
    events: tuple[int, ...] = ()


class CitedFinding(Struct, frozen=True, gc=False):
    """A finding, and the numbers of its events."""

    finding: Finding
    events: tuple[int, ...]


class CitedCall(Struct, frozen=True, gc=False):
    """A timeline entry, with the number of its event, and its principal."""

    entry: TimelineEntry
    event: int
    principal: int


class ReportPrincipal(Struct, frozen=True, gc=False, kw_only=True):
    """A user, service, service account or role, and all that it did.

    The sessions of a role that nodes use are one principal. ``actor`` is that of the first call,
    ``instances`` those whose sessions they were. ``calls`` are (event name, successful, failed), and
    ``facts`` identify the principal: its kind first.
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
        """Return the name with what distinguishes it from others: its kind first."""
        return described(self.name, self.facts)


class CitedBound(Struct, frozen=True, gc=False):
    """A start or an end: its time (aware, UTC), its basis, its event, and the principal behind it."""

    time: datetime | None
    basis: Basis
    event: int | None
    principal: int | None


class CitedAttachment(Struct, frozen=True, gc=False):
    """A time in which an ENI was on an instance; ``device_index`` is None if no event shows it."""

    device_index: int | None
    start: CitedBound
    end: CitedBound


class CitedHolding(Struct, frozen=True, gc=False, kw_only=True):
    """Addresses that an ENI got together and lost together.

    ``doubted`` if the evidence leaves open whether another ENI had them.
    """

    held: tuple[Held, ...]
    kind: HoldingKind
    start: CitedBound
    end: CitedBound
    doubted: bool


class CountStep(Struct, frozen=True, gc=False):
    """A number of addresses from a time on (aware, UTC)."""

    time: datetime
    number: int


class InterfaceReport(Struct, frozen=True, gc=False, kw_only=True):
    """An ENI while it belonged to one instance: from one attachment to the next one elsewhere.

    That is from ``since`` to ``until`` (None: no bound). ``steps`` count its addresses and prefixes;
    the first is the number just before the report begins. ``unattached``: the evidence shows that it was
    created, and attached to nothing by the end of the report; its instance is the one it was created for.
    """

    eni: str
    kind: str
    vpc: str | None
    subnet: str | None
    since: datetime | None
    until: datetime | None
    attachments: tuple[CitedAttachment, ...]
    unattached: bool
    holdings: tuple[CitedHolding, ...]
    steps: tuple[CountStep, ...]


class InstanceReport(Struct, frozen=True, gc=False, kw_only=True):
    """An instance and its ENIs.

    ``instance`` is None for ENIs without a known instance. ``steps`` count the IPv4 addresses and
    prefixes of the ENIs that were attached, as the limits of the instance type do; the first is the
    number just before the report begins. ``calls``, ``added`` and ``removed`` count what the calls
    of the report did. ``management`` is what manages the addresses for pods.
    """

    instance: str | None
    instance_type: str | None
    cluster: str | None
    account: str | None
    region: str | None
    limits: Limits | None
    interfaces: tuple[InterfaceReport, ...]
    steps: tuple[CountStep, ...]
    calls: int
    added: int
    removed: int
    management: Management

    @property
    def most(self) -> int:
        """Return the highest number of addresses and prefixes."""
        return max([step.number for step in self.steps])

    @property
    def last(self) -> int:
        """Return the number of addresses and prefixes at the end."""
        return self.steps[-1].number


class AddressHolder(Struct, frozen=True, gc=False, kw_only=True):
    """An ENI that held an address of the filter, from when to when.

    ``instances`` are those that it was on during that time; ``doubt`` is why this may be wrong.
    ``rests_on`` is the weakest evidence of any part of that time, None without verification.
    """

    held: Held
    eni: str
    vpc: str | None
    instances: tuple[str, ...]
    start: CitedBound
    end: CitedBound
    doubt: str | None
    rests_on: Ground | None


class CitedPod(Struct, frozen=True, gc=False):
    """A pod with an address, and the calls that took the address from its ENI while the pod had it.

    Not ``surely`` if the pod only may have had it then.
    """

    entry: PodEntry
    lost_by: tuple[int, ...] = ()
    surely: bool = False


class Report(Struct, frozen=True, gc=False, kw_only=True):
    """An incident report about what a filter keeps of a history.

    ``start`` and ``end`` (aware, UTC) are the times of its first and last call, None if there are no
    calls. ``quality`` is what the evidence covers, what it lacks, and how far it is verified. Instances
    are sorted by activity, principals by their number of calls. ``findings`` is None if too little was
    read to evaluate the rules, ``holders`` if the filter has no address, ``pods`` if there is no pod
    evidence.
    """

    title: str
    start: datetime | None
    end: datetime | None
    summary: tuple[Statement, ...]
    quality: tuple[Statement, ...]
    findings: tuple[CitedFinding, ...] | None
    calls: tuple[CitedCall, ...]
    instances: tuple[InstanceReport, ...]
    principals: tuple[ReportPrincipal, ...]
    holders: tuple[AddressHolder, ...] | None
    caveats: tuple[str, ...]
    events: tuple[Citation, ...]
    pods: tuple[CitedPod, ...] | None = None
