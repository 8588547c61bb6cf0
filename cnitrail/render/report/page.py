"""What both forms of a postmortem show: the report, cut to a size, with its citations."""

from collections.abc import Callable, Sequence
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network

from jinja2 import Environment, PackageLoader, StrictUndefined
from msgspec import Struct

from cnitrail.model import (
    Answer,
    CitedFinding,
    Edge,
    Evidence,
    Faulty,
    Ground,
    HoldingSpan,
    InstanceLife,
    InterfaceLife,
    Limits,
    Period,
    Principal,
    Reach,
    Report,
    Skipped,
    Step,
    Tenure,
)
from cnitrail.render.actors import facts
from cnitrail.render.report.citations import Cited, Citing, Files, ListedEvent
from cnitrail.render.report.row_folding import Folded, FoldedRow, fold

_LONGEST = 300


class Sizes(Struct, frozen=True):
    """How much of each kind is written out; the rest is folded, and its number is said.

    ``lives`` counts the instances whose interfaces are listed, ``holdings`` those of one interface,
    ``addresses`` those that are named in one place, ``steps`` the changes of one number.
    """

    rows: int
    findings: int
    lives: int
    holdings: int
    principals: int
    tenures: int
    addresses: int
    steps: int
    skipped: int


class ReportPage:
    """A report as a template sees it."""

    def __init__(self, answer: Answer[Report], sizes: Sizes) -> None:
        (self.report,) = answer.entries
        self.query = answer.query
        self.evidence: Evidence = answer.evidence
        self._sizes = sizes
        self._citing = Citing(self.report.events)
        self.timeline: Folded = fold(self.report.calls, sizes.rows)
        start, end = self.report.start, self.report.end
        self._day = start.date() if start and end and start.date() == end.date() else None

    # --- what is asked, and the figures ----------------------------------------------------------

    @property
    def asked(self) -> list[tuple[str, list[str]]]:
        """The filters that were set, with their values as the command line takes them."""
        return [
            (name, [_option(each) for each in (value if isinstance(value, (list, tuple)) else [value])])
            for name, value in self.query.items()
            if name not in ("command", "sources") and value not in (None, (), [])
        ]

    @property
    def figures(self) -> list[str]:
        """The whole in numbers."""
        entries = [call.entry for call in self.report.calls]
        enis = len({entry.eni for entry in entries if entry.eni})
        instances = len({entry.instance for entry in entries if entry.instance})
        return [
            _many(len(entries), "call"),
            f"{sum(entry.error is not None for entry in entries):,} failed",
            f"{sum(len(entry.added) for entry in entries):,} added",
            f"{sum(len(entry.removed) for entry in entries):,} removed",
            _many(enis, "interface"),
            _many(instances, "instance"),
        ]

    @property
    def asked_address(self) -> str:
        """The address that was asked for, where it is one alone."""
        asked = [values for name, values in self.asked if name == "ip"]
        return asked[0][0] if asked and len(asked[0]) == 1 and "/" not in asked[0][0] else ""

    # --- the parts, cut to size ------------------------------------------------------------------

    @property
    def lives(self) -> Sequence[InstanceLife]:
        """The instances whose interfaces are listed."""
        return self.report.instances[: self._sizes.lives]

    @property
    def folded_lives(self) -> Sequence[InstanceLife]:
        """The other instances."""
        return self.report.instances[self._sizes.lives :]

    @property
    def actors(self) -> list[Principal]:
        """Who made the calls of the report."""
        return [each for each in self.report.principals if each.calls]

    @property
    def listed_actors(self) -> list[Principal]:
        """The busiest of them."""
        return self.actors[: self._sizes.principals]

    @property
    def findings(self) -> Sequence[CitedFinding]:
        """What is out of the ordinary, as far as it is listed."""
        return (self.report.findings or ())[: self._sizes.findings]

    @property
    def tenures(self) -> Sequence[Tenure]:
        """Who held what was asked for, as far as it is listed."""
        return (self.report.tenures or ())[: self._sizes.tenures]

    @property
    def skipped(self) -> Sequence[Skipped]:
        """What could not be read, as far as it is listed."""
        return self.evidence.skipped[: self._sizes.skipped]

    @property
    def faults(self) -> Sequence[Faulty]:
        """What digests say is not as it was delivered, as far as it is listed."""
        return self.evidence.faults[: self._sizes.skipped]

    def proven(self, reach: Reach) -> Sequence[Period]:
        """When digests prove the evidence of an account and Region, as far as it is listed."""
        return reach.proven[: self._sizes.skipped]

    def addresses(self, held: Sequence[object]) -> str:
        """Addresses in one place: all, or so many that they can be read, and how many more."""
        most = self._sizes.addresses
        named, more = held[:most], len(held) - most
        return " ".join(map(str, named)) + (f" and {more:,} more" if more > 0 else "")

    def holdings(self, interface: InterfaceLife) -> Sequence[HoldingSpan]:
        """What an interface held, as far as it is listed."""
        return interface.holdings[: self._sizes.holdings]

    def short(self, text: str) -> str:
        """A text from a record in a cell; what is cut off is said."""
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"

    def steps(self, steps: Sequence[Step]) -> list[Step | int]:
        """The changes of a number; between the first and the last ones, how many are folded."""
        changes, most = steps[1:], self._sizes.steps
        if len(changes) <= most:
            return list(changes)
        half = most // 2
        return [*changes[:half], len(changes) - 2 * half, *changes[-half:]]

    # --- words -----------------------------------------------------------------------------------

    def when(self, time: datetime) -> str:
        """A time; the date is left out where the whole report is of one day."""
        return f"{time:%H:%M:%S}" if time.date() == self._day else f"{time:%Y-%m-%d %H:%M:%S}"

    def between(self, start: datetime, end: datetime) -> str:
        """A span of time; one second is itself."""
        if start == end:
            return self.when(start)
        return f"{self.when(start)} to " + (
            f"{end:%H:%M:%S}" if start.date() == end.date() else self.when(end)
        )

    def span(self) -> str:
        """From the first call to the last one, with dates."""
        start, end = self.report.start, self.report.end
        assert start is not None
        assert end is not None
        if start.date() == end.date():
            return f"{self.clock(start)} to {end:%H:%M:%S}"
        return f"{self.clock(start)} to {self.clock(end)}"

    def edge(self, edge: Edge) -> str:
        """A start or an end: when, what that rests on, and by whom."""
        if edge.time is None:
            return {"open": "no end seen", "implied": "not known when"}.get(edge.basis, "not known")
        basis = "" if edge.basis == "observed" else f" ({edge.basis})"
        by = f" by {self.report.principals[edge.principal].title}" if edge.principal is not None else ""
        return f"{self.when(edge.time)}{basis}{by}"

    def footing(self, tenure: Tenure) -> str:
        """What a tenure rests on, in a word or two; empty where digests were not asked."""
        return {
            None: "",
            Ground.PROVEN: "proven by digests",
            Ground.MERELY_READ: "merely read",
            Ground.MISSING: "not all of it was read",
        }[tenure.rests_on]

    def clock(self, time: datetime) -> str:
        """A time with its date."""
        return f"{time:%Y-%m-%d %H:%M:%S}"

    def who(self, row: FoldedRow) -> str:
        """The principal of a row."""
        return self.report.principals[row.calls[0].principal].title

    def agent(self, row: FoldedRow) -> str | None:
        """Through what the principal of a row acted, where that is not itself."""
        agent = row.first.actor.agent.name
        return None if agent is None or agent == row.first.actor.label else self.short(agent)

    def about(self, life: InstanceLife) -> list[str]:
        """What is known of an instance."""
        cluster = f"cluster {life.cluster}" if life.cluster else None
        return [fact for fact in (life.instance_type, cluster, life.account, life.region) if fact]

    def fullness(self, life: InstanceLife) -> str:
        """How many addresses an instance had at most, of how many that it can have, and at the end."""
        limit = f" of {life.limits.addresses}" if life.limits else ""
        return f"at most {life.most}{limit}, at the end {life.last}"

    def figures_of(self, principal: Principal) -> list[str]:
        """What a principal did, in numbers."""
        failed = sum(each for _, _, each in principal.calls)
        figures = [
            _many(sum(ok for _, ok, _ in principal.calls) + failed, "call"),
            f"{failed:,} failed" if failed else "",
            f"{principal.added:,} added" if principal.added else "",
            f"{principal.removed:,} removed" if principal.removed else "",
        ]
        return [figure for figure in figures if figure]

    def facts(self, principal: Principal) -> list[str]:
        """All that is known of a principal, and how."""
        actor = principal.actor
        nodes = f"sessions of {len(principal.instances):,} nodes" if len(principal.instances) > 1 else None
        cni = [f"the VPC CNI (by {actor.ipamd})"] if actor.ipamd else []
        return [*facts(actor, nodes), *cni]

    def limit(self, limits: Limits) -> str:
        """What an instance type can have: ``m5.large: 3 interfaces with 10 each``."""
        return f"{limits.instance_type}: {limits.enis} interfaces with {limits.ipv4_per_eni} each"

    # --- citations -------------------------------------------------------------------------------

    def cite(self, numbers: Sequence[int | None]) -> Cited:
        """Events as they are cited in one place."""
        return self._citing.cite(numbers)

    def cited(self) -> tuple[list[ListedEvent], Files]:
        """All events that were cited until now, and their files."""
        return self._citing.listed()


def environment(harmless: Callable[[object], object], **filters: Callable[..., object]) -> Environment:
    """Where templates are; ``harmless`` treats every value that a template prints.

    What it returns is escaped for HTML thereafter, unless it is ``Markup``, as all is that macros make.
    """
    made = Environment(
        loader=PackageLoader("cnitrail.render.report"),
        autoescape=True,
        finalize=harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(filters, thousands=thousands)
    return made


def thousands(number: int) -> str:
    """A number as it is printed: ``10,000``."""
    return f"{number:,}"


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _option(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, (IPv4Network, IPv6Network)):
        return str(value[0]) if value.num_addresses == 1 else str(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
