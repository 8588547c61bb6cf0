"""What both forms of a report show: the report, cut to a size, with its citations."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from itertools import accumulate, takewhile

from jinja2 import Environment, PackageLoader, StrictUndefined
from msgspec import Struct
from msgspec.structs import replace

from cnitrail.intervals import Interval
from cnitrail.model import (
    MANAGER_NAMES,
    AddressHolder,
    Answer,
    CallOutcome,
    CitedAttachment,
    CitedBound,
    CitedCall,
    CitedFinding,
    CitedHolding,
    CountStep,
    Evidence,
    Faulty,
    Ground,
    InstanceReport,
    InterfaceReport,
    Limits,
    Manager,
    Reach,
    Report,
    ReportPrincipal,
    Skipped,
    SourceReport,
)
from cnitrail.model.pods import witness_name
from cnitrail.model.report import CitedPod
from cnitrail.model.rules import RULE_DESCRIPTIONS
from cnitrail.model.table import EngineReport
from cnitrail.render.actors import facts
from cnitrail.render.pod_parts import end_of, name_of, start_of
from cnitrail.render.report.citations import CitationCollector, CitedFiles, CitedRanges, ListedEvent
from cnitrail.render.report.console_links import ConsoleLinks
from cnitrail.render.report.row_folding import FoldedRow, FoldedTimeline, fold
from cnitrail.text import counted, dollars, iso, shortened

_LONGEST = 300
"""Maximum length of a text from a record in a table cell."""


_FILTER_NAMES = {"access_key": "access key", "source_ip": "source IP", "event_id": "event ID"}
"""What filters are called, if not by their name."""


class Sizes(Struct, frozen=True, kw_only=True):
    """Maximum numbers that are written out; of more, the page gives the number of the rest.

    ``events`` are listed whether they are cited one by one or not; of more, only those that are.
    ``instances`` are those whose ENIs are listed, ``nodes`` the rows of the table of instances,
    ``interfaces`` are the ENIs of one instance, also in the chart (an ENI counts again each time it comes
    back); ``attachments`` and ``holdings`` are of one ENI, ``addresses`` are in one cell, ``steps`` are the
    changes of one number.
    ``calls`` and ``folded_nodes`` are what scripts show: the calls of the instances in the chart, which are
    fewer if there are more calls, and the rows of the table of instances beyond ``nodes``.
    """

    rows: int
    events: int
    findings: int
    instances: int
    interfaces: int
    attachments: int
    holdings: int
    principals: int
    holders: int
    pods: int
    addresses: int
    steps: int
    skipped: int
    nodes: int
    calls: int = 0
    folded_nodes: int = 0


class NodeRow(Struct, frozen=True):
    """An instance in the table of nodes, with the numbers of its failed calls and of findings about it."""

    instance: InstanceReport
    failed: int
    findings: int


class ReportPage:
    """A report as the templates see it."""

    def __init__(self, answer: Answer[Report], sizes: Sizes) -> None:
        (self.report,) = answer.entries
        self.query = answer.query
        self.evidence: Evidence = answer.evidence
        self.sizes = sizes
        self.console = ConsoleLinks(enabled=bool(answer.query.get("console_links")))
        self._citations = CitationCollector(self.report.events, sizes.events)
        self.timeline: FoldedTimeline = fold(self.report.calls, sizes.rows)
        start, end = self.report.start, self.report.end
        self._day = start.date() if start and end and start.date() == end.date() else None

    # --- the sources -----------------------------------------------------------------------------

    def files_of(self, source: SourceReport) -> str:
        """Return how many files a source has; a query engine reads a table."""
        return "1 table" if source.engine is not None else thousands(source.files - source.table_parts)

    def bytes_of(self, source: SourceReport) -> str:
        """Return the stored bytes that were read of a source, or that an engine scanned."""
        scanned = source.engine.scanned_bytes if source.engine is not None else source.bytes
        return "not known" if scanned is None else thousands(scanned)

    def engine_facts(self, engine: EngineReport) -> str:
        """Return how long a query took, and what it cost."""
        known = [] if engine.seconds is None else [f"took {engine.seconds:,.1f} s"]
        known += [] if engine.cost_usd is None else [f"cost {dollars(engine.cost_usd)}"]
        return " and ".join(known) or "has run"

    # --- the filter, and the totals --------------------------------------------------------------

    @property
    def filters(self) -> list[tuple[str, list[str]]]:
        """Return the filters that were set, with their values as the command line takes them."""
        return [
            (
                _FILTER_NAMES.get(name, name),
                [_option(item) for item in (value if isinstance(value, (list, tuple)) else [value])],
            )
            for name, value in self.query.items()
            if name not in ("command", "sources", "console_links") and value not in (None, (), [])
        ]

    @property
    def totals(self) -> list[str]:
        """Return the numbers of calls, addresses and resources."""
        entries = [call.entry for call in self.report.calls]
        enis = len({entry.eni for entry in entries if entry.eni})
        instances = len({entry.instance for entry in entries if entry.instance})
        return [
            counted(len(entries), "call"),
            f"{sum(entry.outcome is CallOutcome.FAILED for entry in entries):,} failed",
            f"{counted(sum(len(entry.added) for entry in entries), 'IP')} assigned",
            f"{sum(len(entry.removed) for entry in entries):,} released",
            counted(enis, "ENI"),
            counted(instances, "instance"),
        ]

    @property
    def filtered_address(self) -> str:
        """Return the address of the filter, if it has a single one."""
        values = [values for name, values in self.filters if name == "ip"]
        return values[0][0] if values and len(values[0]) == 1 and "/" not in values[0][0] else ""

    # --- the parts, cut to size ------------------------------------------------------------------

    @property
    def instances(self) -> Sequence[InstanceReport]:
        """Return the instances whose ENIs are listed."""
        return self.report.instances[: self.sizes.instances]

    @property
    def folded_instances(self) -> Sequence[InstanceReport]:
        """Return the other instances."""
        return self.report.instances[self.sizes.instances :]

    @property
    def scripted_instances(self) -> Sequence[InstanceReport]:
        """Return those of the other instances that scripts show in the chart."""
        return self.drawn_instances[self.sizes.instances :]

    @cached_property
    def drawn_instances(self) -> Sequence[InstanceReport]:
        """Return the instances of the chart: the busiest first, and of too many calls, only these.

        Those that are listed are always drawn.
        """
        totals = accumulate(instance.calls for instance in self.report.instances)
        number = sum(1 for _ in takewhile(lambda total: total <= self.sizes.calls, totals))
        drawn = self.report.instances[: max(number, self.sizes.instances)]
        return [replace(instance, interfaces=self.interfaces(instance)) for instance in drawn]

    @property
    def undrawn_instances(self) -> Sequence[InstanceReport]:
        """Return the instances that are not in the chart."""
        return self.report.instances[len(self.drawn_instances) :]

    @property
    def undrawn_interfaces(self) -> int:
        """Return how many ENIs of the instances in the chart are not drawn."""
        pairs = zip(self.report.instances, self.drawn_instances, strict=False)
        return sum(len(instance.interfaces) - len(drawn.interfaces) for instance, drawn in pairs)

    @cached_property
    def scripted_calls(self) -> Sequence[tuple[CitedCall, int]]:
        """Return the calls that scripts show, each with the number of its row of the timeline.

        If not all, they are those of the instances in the chart, and the first one of each row.
        """
        row_of = {id(call): number for number, row in enumerate(self.timeline.rows) for call in row.calls}
        calls = [(call, row_of[id(call)]) for call in self.report.calls]
        if len(calls) <= self.sizes.calls:
            return calls
        first = {id(row.calls[0]) for row in self.timeline.rows}
        drawn = {instance.instance for instance in self.drawn_instances}
        return [(call, row) for call, row in calls if call.entry.instance in drawn or id(call) in first]

    @property
    def folded_nodes(self) -> Sequence[NodeRow]:
        """Return the rows of the table of instances that only scripts show."""
        return self.nodes[self.sizes.nodes :][: self.sizes.folded_nodes]

    @cached_property
    def nodes(self) -> list[NodeRow]:
        """Return a row for each instance, the busiest first."""
        failed = Counter(
            call.entry.instance for call in self.report.calls if call.entry.outcome is CallOutcome.FAILED
        )
        findings = Counter(name for cited in self.report.findings or () for name in cited.finding.instances)
        return [
            NodeRow(instance, failed[instance.instance], findings[instance.instance or ""])
            for instance in self.report.instances
        ]

    @property
    def callers(self) -> list[ReportPrincipal]:
        """Return the principals that made the calls of the report."""
        return [principal for principal in self.report.principals if principal.calls]

    @property
    def listed_callers(self) -> list[ReportPrincipal]:
        """Return the busiest of them."""
        return self.callers[: self.sizes.principals]

    @property
    def findings(self) -> Sequence[CitedFinding]:
        """Return the findings that are listed."""
        return (self.report.findings or ())[: self.sizes.findings]

    @property
    def holders(self) -> Sequence[AddressHolder]:
        """Return the holders of the addresses in the filter that are listed."""
        return (self.report.holders or ())[: self.sizes.holders]

    @property
    def pods(self) -> Sequence[CitedPod]:
        """Return the pods that are listed."""
        return (self.report.pods or ())[: self.sizes.pods]

    @property
    def pod_evidence(self) -> str:
        """Return how much pod evidence there is, and of which time; empty if there is none."""
        count, first = self.evidence.pod_records, self.evidence.first_pod_record
        last = self.evidence.last_pod_record
        span = f", from {self.clock(first)} to {self.clock(last)}" if first and last else ""
        return f"Pod evidence: {counted(count, 'record')}{span}." if count else ""

    def pod_name(self, pod: CitedPod) -> str:
        """Return a pod as ``namespace/name``."""
        return name_of(pod.entry)

    def pod_doubt(self, pod: CitedPod) -> str:
        """Return that a pod only may have had its address when a call took it."""
        return ", not certain" if pod.lost_by and not pod.surely else ""

    def pod_start(self, pod: CitedPod) -> str:
        """Return since when a pod had its address, and what shows it."""
        witness = witness_name(pod.entry.start_witness)
        return start_of(pod.entry) + (f" ({witness})" if witness else "")

    def pod_end(self, pod: CitedPod) -> str:
        """Return until when a pod had its address, and what shows it."""
        witness = witness_name(pod.entry.end_witness)
        return end_of(pod.entry) + (f" ({witness})" if witness else "")

    @property
    def skipped(self) -> Sequence[Skipped]:
        """Return the unreadable files and records that are listed."""
        return self.evidence.skipped[: self.sizes.skipped]

    @property
    def faults(self) -> Sequence[Faulty]:
        """Return the integrity faults that are listed."""
        return self.evidence.faults[: self.sizes.skipped]

    def proven(self, reach: Reach) -> Sequence[Interval]:
        """Return the times of an account and Region that digests prove, as far as they are listed."""
        return reach.proven[: self.sizes.skipped]

    def addresses(self, held: Sequence[object]) -> str:
        """Return the addresses of a cell: the first ones, and how many more there are."""
        most = self.sizes.addresses
        named, more = held[:most], len(held) - most
        return " ".join(map(str, named)) + (f" and {more:,} more" if more > 0 else "")

    def interfaces(self, instance: InstanceReport) -> tuple[InterfaceReport, ...]:
        """Return the ENIs of an instance that are listed."""
        return instance.interfaces[: self.sizes.interfaces]

    def attachments(self, interface: InterfaceReport) -> Sequence[CitedAttachment]:
        """Return the attachments of an ENI that are listed."""
        return interface.attachments[: self.sizes.attachments]

    def holdings(self, interface: InterfaceReport) -> Sequence[CitedHolding]:
        """Return the holdings of an ENI that are listed."""
        return interface.holdings[: self.sizes.holdings]

    def short(self, text: str) -> str:
        """Return a text from a record, shortened for a cell."""
        return shortened(text, _LONGEST)

    def steps(self, steps: Sequence[CountStep]) -> list[CountStep | int]:
        """Return the changes of a number: the first and the last ones, and how many are in between."""
        changes, most = steps[1:], self.sizes.steps
        if len(changes) <= most:
            return list(changes)
        half = most // 2
        return [*changes[:half], len(changes) - 2 * half, *changes[-half:]]

    # --- words -----------------------------------------------------------------------------------

    def when(self, time: datetime) -> str:
        """Return a time, without its date if the report is about a single day."""
        return f"{time:%H:%M:%S}" if time.date() == self._day else self.clock(time)

    def between(self, start: datetime, end: datetime) -> str:
        """Return a range of time; a single time if both are equal."""
        if start == end:
            return self.when(start)
        return f"{self.when(start)} to " + (
            f"{end:%H:%M:%S}" if start.date() == end.date() else self.when(end)
        )

    def span(self) -> str:
        """Return the times of the first and the last call, with dates."""
        start, end = self.report.start, self.report.end
        assert start is not None
        assert end is not None
        if start.date() == end.date():
            return f"{self.clock(start)} to {end:%H:%M:%S}"
        return f"{self.clock(start)} to {self.clock(end)}"

    def bound(self, bound: CitedBound) -> str:
        """Return a start or an end: its time, if that is logged or inferred, and its principal."""
        if bound.time is None:
            return {"open": "no end seen", "implied": "time unknown"}.get(bound.basis, "unknown")
        basis = {"observed": "", "implied": " (inferred)"}.get(bound.basis, f" ({bound.basis})")
        principals = self.report.principals
        by = f" by {principals[bound.principal].title}" if bound.principal is not None else ""
        return f"{self.when(bound.time)}{basis}{by}"

    def ground(self, holder: AddressHolder) -> str:
        """Return if the evidence of a holder is proven; empty without verification."""
        return {
            None: "",
            Ground.PROVEN: "proven by digests",
            Ground.MERELY_READ: "not verified",
            Ground.MISSING: "log gap",
        }[holder.rests_on]

    def title_of(self, cited: CitedFinding) -> str:
        """Return the title of a finding's rule."""
        return RULE_DESCRIPTIONS[cited.finding.rule].title

    def clock(self, time: datetime) -> str:
        """Return a time with its date."""
        return f"{time.date()} {time:%H:%M:%S}"

    def who(self, row: FoldedRow) -> str:
        """Return the principal of a row."""
        return self.report.principals[row.calls[0].principal].title

    def agent(self, row: FoldedRow) -> str | None:
        """Return the program of a row's first call; None if it is the principal itself."""
        agent = row.first.actor.agent.name
        return None if agent is None or agent == row.first.actor.label else self.short(agent)

    def about(self, instance: InstanceReport) -> list[str]:
        """Return what is known about an instance."""
        cluster = f"cluster {instance.cluster}" if instance.cluster else None
        manager = instance.management.manager
        managed = f"IPs managed by {MANAGER_NAMES[manager]}" if manager is not Manager.UNKNOWN else None
        facts = (instance.instance_type, cluster, managed, instance.account, instance.region)
        return [fact for fact in facts if fact]

    def fullness(self, instance: InstanceReport) -> str:
        """Return the highest number of addresses of an instance, its limit, and the number at the end."""
        limit = f" of {instance.limits.addresses}" if instance.limits else ""
        return f"at most {instance.most}{limit} IPs, {instance.last} at the end"

    def totals_of(self, principal: ReportPrincipal) -> list[str]:
        """Return the numbers of calls and addresses of a principal."""
        failed = sum(failures for _, _, failures in principal.calls)
        totals = [
            counted(sum(succeeded for _, succeeded, _ in principal.calls) + failed, "call"),
            f"{failed:,} failed" if failed else "",
            f"{counted(principal.added, 'IP')} assigned" if principal.added else "",
            f"{counted(principal.removed, 'IP')} released" if principal.removed else "",
        ]
        return [total for total in totals if total]

    def facts(self, principal: ReportPrincipal) -> list[str]:
        """Return what is known about a principal, and from what."""
        actor = principal.actor
        nodes = f"sessions of {len(principal.instances):,} nodes" if len(principal.instances) > 1 else None
        cni = [f"the VPC CNI (by {actor.ipamd})"] if actor.ipamd else []
        return [*facts(actor, nodes), *cni]

    def limit(self, limits: Limits) -> str:
        """Return the limits of an instance type: ``m5.large: 3 ENIs with 10 IPs each``."""
        of_each = " each" if limits.enis > 1 else ""
        return (
            f"{limits.instance_type}: {counted(limits.enis, 'ENI')} with {limits.ipv4_per_eni} IPs{of_each}"
        )

    # --- citations -------------------------------------------------------------------------------

    def cite(self, numbers: Sequence[int | None]) -> CitedRanges:
        """Return events as they are cited in one place."""
        return self._citations.cite(numbers)

    def cited(self) -> tuple[list[ListedEvent], CitedFiles]:
        """Return all events that were cited so far, and their files."""
        return self._citations.listed()


def environment(harmless: Callable[[object], object], **filters: Callable[..., object]) -> Environment:
    """Return the environment of the templates; ``harmless`` is applied to every value that they print.

    Its result is then escaped for HTML, unless it is ``Markup``, as the output of macros is.
    """
    made = Environment(
        loader=PackageLoader("cnitrail.render.report"),
        autoescape=True,
        finalize=harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        optimized=False,  # it takes longer than it saves: a template is compiled for one report
    )
    made.filters.update(filters, thousands=thousands, counted=counted)
    return made


def thousands(number: int) -> str:
    """Return a number as it is printed: ``10,000``."""
    return f"{number:,}"


def _option(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, (IPv4Network, IPv6Network)):
        return str(value[0]) if value.num_addresses == 1 else str(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
