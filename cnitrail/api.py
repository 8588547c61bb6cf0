"""cnitrail as a library: read evidence once, then ask it as many questions as you like.

>>> import cnitrail
>>> case = cnitrail.read("logs/", since="2022-10-05")
>>> case.who("192.168.53.76", "2022-10-05T14:00Z").verdict

The command line asks the same questions through this module. Values are frozen and typed, and the same that
``-o json`` writes; ``to_dicts`` turns them into dictionaries. Errors are those of ``cnitrail.errors``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.answers.nodes import with_nodes
from cnitrail.arguments import (
    Address,
    Block,
    Filters,
    Length,
    Names,
    Ports,
    Size,
    Time,
    as_address,
    as_count,
    as_filter,
    as_length,
    as_name,
    as_path,
    as_ports,
    as_settings,
    as_size,
    as_text,
    as_time,
    as_values,
)
from cnitrail.errors import UsageError
from cnitrail.model import Coverage, HoleReason
from cnitrail.model.table import EngineOptions
from cnitrail.sources import LOOKUP, sources_or_default
from cnitrail.workflows.narrowing import is_narrowed
from cnitrail.workflows.observer import SILENT
from cnitrail.workflows.request import Access, Request, scope_of

if TYPE_CHECKING:
    import os
    from datetime import datetime

    from cnitrail.answers.explain import Rerun, Target
    from cnitrail.answers.findings import FindingIndex
    from cnitrail.answers.flows import FlowEnds
    from cnitrail.answers.pool import Settings
    from cnitrail.answers.subnet import SubnetIndex
    from cnitrail.answers.who import HolderIndex
    from cnitrail.answers.who.remembered import RememberedAnswers
    from cnitrail.model import (
        AccountRegion,
        Event,
        Evidence,
        Finding,
        History,
        LeaseEntry,
        Limits,
        Report,
        StateEntry,
        Swimlane,
        TimelineEntry,
        WhoAnswer,
    )
    from cnitrail.model.explanation import Explanation
    from cnitrail.model.ipamd import IpamdPool
    from cnitrail.model.pods import PodEntry
    from cnitrail.model.pool import PoolEntry
    from cnitrail.model.reason import Reason
    from cnitrail.model.subnet import SubnetCensus
    from cnitrail.workflows.flows.records import FlowRecords
    from cnitrail.workflows.observer import Observer
    from cnitrail.workflows.raw_records import RawRecords

_DEFAULT = Access()


def read(
    *sources: str | os.PathLike[str],
    since: Time | None = None,
    until: Time | None = None,
    instance: Names = (),
    node: Names = (),
    eni: Names = (),
    ip: Block | Iterable[Block] = (),
    account: Names = (),
    region: Names = (),
    verify: bool = False,
    public_keys: str | os.PathLike[str] | None = None,
    profile: str | None = None,
    endpoint_url: str | None = None,
    request_payer: str | None = None,
    lag: Length = _DEFAULT.lag,
    max_calls: int = _DEFAULT.max_calls,
    delivery_lag: Length = _DEFAULT.delivery_lag,
    max_ratio: int = _DEFAULT.max_ratio,
    workers: int | None = None,
    assume_complete: bool = False,
    work_group: str | None = None,
    output_location: str | None = None,
    max_scan: Size | None = None,
    observer: Observer = SILENT,
) -> Case:
    """Read evidence: files, directories, stores, ``s3://BUCKET/PREFIX``, or ``lookup:`` if none is named.

    A CloudTrail table is ``athena://DATABASE.TABLE`` or ``trino://HOST/CATALOG/SCHEMA/TABLE``. ``max_scan``
    stops its query after a number of bytes, also as a text such as ``10GB``.

    Filters bound what is fetched, and are the defaults of every question to the case. All other arguments
    are the options of the command line with the same names. What cannot be read is in
    ``case.evidence.skipped``, and raises nothing. Raises ``UsageError`` for a value that makes no sense, and
    ``SourceError`` if a source cannot be read at all.
    """
    wanted = as_filter(
        Filter(),
        {
            "instance": instance,
            "node": node,
            "eni": eni,
            "ip": ip,
            "account": account,
            "region": region,
            "since": since,
            "until": until,
        },
    )
    access = Access(
        profile=profile,
        endpoint_url=endpoint_url,
        lag=as_length(lag),
        max_calls=as_count("max_calls", max_calls, 1),
        request_payer=request_payer,
        delivery_lag=as_length(delivery_lag),
        max_ratio=as_count("max_ratio", max_ratio, 1),
        workers=as_count("workers", workers, 1) if workers is not None else None,
        assume_complete=assume_complete,
        engine=EngineOptions(
            work_group=as_text("work_group", work_group) if work_group is not None else None,
            output_location=as_text("output_location", output_location)
            if output_location is not None
            else None,
            max_scan=as_size("max_scan", max_scan) if max_scan is not None else None,
        ),
    )
    keys = as_path(public_keys) if public_keys is not None else None
    if keys is not None and not verify:
        raise UsageError("public_keys is for verify=True", "add verify=True")
    request = Request(
        sources=tuple(map(as_path, sources)),
        wanted=wanted,
        access=access,
        verify=verify,
        public_keys=keys,
        managers=True,
    )
    return open_case(request, observer)


def open_case(request: Request, observer: Observer = SILENT, raw: RawRecords | None = None) -> Case:
    """Read the sources of a request; ``raw`` takes the records of its events. Raises as ``read`` does."""
    from cnitrail.workflows.read import read as read_sources

    history, evidence = read_sources(request, observer, raw)
    case = Case(history, evidence, request.wanted, is_narrowed=is_narrowed(request))
    _check_regions(case)
    return case


def open_newest(request: Request, limit: int, observer: Observer = SILENT) -> Case:
    """Read a request of whose timeline only the newest ``limit`` entries are wanted.

    ``lookup:`` may stop once it has read them. It counts events, before it is known what they did, so it is
    asked again if they make too few entries. Filters that it does not apply itself keep fewer: for these,
    everything is read. So it is for addresses, as a deletion does not name those that it released.
    """
    wanted = request.wanted
    is_countable = wanted == Filter(region=wanted.region, since=wanted.since, until=wanted.until)
    if LOOKUP not in sources_or_default(request.sources) or not is_countable:
        return open_case(request, observer)
    case = open_case(replace(request, access=replace(request.access, newest=limit)), observer)
    return case if _has_newest(case, limit) else open_case(request, observer)


def _has_newest(case: Case, limit: int) -> bool:
    """Return whether the newest entries of a timeline are all of times of which every event was read."""
    unread = [lost.end for lost in case.evidence.lost if lost.reason is HoleReason.NOT_READ]
    if not unread or case.evidence.skipped:
        return True
    entries = case.timeline(limit=limit)
    return len(entries) == limit and all(end is not None and entries[0].time >= end for end in unread)


class Case:
    """Everything that was read, ready to be asked.

    Every question takes the filters of ``Filters``. A filter that was given to ``read`` applies unless the
    question has its own; ``()`` or ``None`` removes it.
    """

    def __init__(
        self, history: History, evidence: Evidence, wanted: Filter | None = None, *, is_narrowed: bool = False
    ) -> None:
        self.history = history
        """All events, ENIs, instances and leases, as rebuilt from the evidence."""
        self.evidence = evidence
        """What was read, what could not be read, and what times that covers."""
        self.wanted = with_nodes(history, wanted or Filter())
        """The filters of questions that have none of their own; nodes are named by their instances."""
        self.is_narrowed = is_narrowed
        """Whether a source delivered only the events of the places that were asked for."""

    @property
    def coverage(self) -> Coverage:
        """The times of which the evidence is known to have all events, or not."""
        return self.evidence.whole_coverage()

    def limitations(self, at: Time | None = None, **filters: Unpack[Filters]) -> list[Reason]:
        """Return what the evidence does not cover of a range (``since``, ``until``), or of a time.

        The first are the values of filters that nothing in the evidence mentions.
        """
        from cnitrail.answers.coverage_text import limitations

        time = as_time(at) if at is not None else None
        wanted = self._filter(filters)
        found = list(limitations(self.coverage, wanted, time))
        if self.history.pods.unread:
            from cnitrail.answers.pods.limits import unread_pods

            found += unread_pods(self.history.pods)
        if wanted.names_pods:
            from cnitrail.answers.pods.limits import uncovered_pods

            found += uncovered_pods(self.history.pods, time or wanted.since, time or wanted.until)
        if wanted == Filter():
            return found
        from cnitrail.answers.absent import absent

        return [*absent(self.history, wanted, narrowed=self.is_narrowed), *found]

    def pod_limitations(self, at: Time | None = None, **filters: Unpack[Filters]) -> list[Reason]:
        """Return what the pod evidence does not cover of a range, or of a time, and then ``limitations``."""
        from cnitrail.answers.pods.entries import no_pod_evidence
        from cnitrail.answers.pods.limits import uncovered_pods

        time = as_time(at) if at is not None else None
        wanted = self._filter(filters)
        since, until = time or wanted.since, time or wanted.until
        found = [*no_pod_evidence(self.history), *uncovered_pods(self.history.pods, since, until)]
        return list(dict.fromkeys([*found, *self.limitations(at, **filters)]))

    def timeline(
        self, *, newest_first: bool = False, limit: int | None = None, **filters: Unpack[Filters]
    ) -> list[TimelineEntry]:
        """Return who assigned, moved or released which addresses, by time; the newest ``limit`` entries."""
        from cnitrail.answers.timeline import newest, timeline

        entries = list(timeline(self.history, self._filter(filters)))
        most = as_count("limit", limit, 1) if limit is not None else None
        return list(newest(entries, most, first=newest_first))

    def calls(self, **filters: Unpack[Filters]) -> list[tuple[Event, TimelineEntry]]:
        """Return the entries of the timeline, each with its event."""
        from cnitrail.answers.timeline import calls

        return list(calls(self.history, self._filter(filters)))

    def swimlanes(self, **filters: Unpack[Filters]) -> list[Swimlane]:
        """Return the timeline and the leases of each ENI, for drawing."""
        from cnitrail.answers.swimlanes import lanes

        return list(lanes(self.history, self._filter(filters)))

    def leases(self, **filters: Unpack[Filters]) -> list[LeaseEntry]:
        """Return every interval in which an ENI held an address or a prefix."""
        from cnitrail.answers.leases import leases

        return list(leases(self.history, self._filter(filters)))

    def pods(self, at: Time | None = None, **filters: Unpack[Filters]) -> list[PodEntry]:
        """Return every interval in which a pod held an address, by address and start.

        With ``at``, only those that may cover it: all of a second, or an instant if it has a fraction.
        """
        from cnitrail.answers.pods.entries import pods

        time = as_time(at) if at is not None else None
        return list(pods(self.history, self._filter(filters), time))

    def who(
        self,
        ip: Address,
        at: Time,
        *,
        vpc: Names | None = None,
        account: Names | None = None,
        region: Names | None = None,
    ) -> WhoAnswer:
        """Return who held an address at a time, how certain that is, and why; and which pod.

        ``pod`` has a verdict of its own; it is None if no pod evidence was read.

        The verdict is ``free`` if an event released the address before and the logs since are complete and
        assign it to no ENI: there are no ``holders``, and ``last_holder`` is who had it. ``unknown`` says
        nothing about that.
        """
        given = {"vpc": vpc, "account": account, "region": region}
        own = {name: value for name, value in given.items() if value is not None}
        wanted = Filter(vpc=self.wanted.vpc, account=self.wanted.account, region=self.wanted.region)
        return self._holders.who(as_address(ip), as_time(at), as_filter(wanted, own))

    @cached_property
    def remembered_answers(self) -> RememberedAnswers:
        """What answers questions as ``who`` does, faster if there are many."""
        from cnitrail.answers.who.remembered import RememberedAnswers

        wanted = Filter(vpc=self.wanted.vpc, account=self.wanted.account, region=self.wanted.region)
        return RememberedAnswers(self._holders, wanted)

    def flows(
        self,
        *sources: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002 - the name of the option
        instance: Names = (),
        eni: Names = (),
        ip: Block | Iterable[Block] = (),
        pod: Names = (),
        since: Time | None = None,
        until: Time | None = None,
        port: Ports = (),
        rejected: bool = False,
    ) -> FlowRecords:
        """Return the records of VPC flow logs with who was at both ends, as an iterator of dictionaries.

        They have the fields of ``cnitrail flows -o jsonl``: those of the record, then ``src_*`` and
        ``dst_*``. ``summary()`` of the result sums up what was read so far.

        ``sources`` are the flow logs; this case is the evidence of who had the addresses. ``format`` is that
        of records without a header line: ``default``, or a LogFormat. A filter keeps a flow if either end
        meets it; those that were given to ``read`` do not apply. ``port`` is a number, or a text such as
        ``80,443`` or ``8000-8100``; ``since`` and ``until`` mean the interval of a record.
        """
        from cnitrail.answers.flows.selection import FlowSelection
        from cnitrail.model.flows import FlowFormats
        from cnitrail.render.flows.json_lines import JsonLines
        from cnitrail.workflows.flows.format import formats_of
        from cnitrail.workflows.flows.records import FlowRecords
        from cnitrail.workflows.flows.run import FlowRun

        given = {"instance": instance, "eni": eni, "ip": ip, "pod": pod, "since": since, "until": until}
        wanted, ports = as_filter(Filter(), given), as_ports(port)
        selection = FlowSelection(self.history, wanted, ports=ports, rejected=rejected)
        formats = formats_of(as_text("format", format)) if format is not None else FlowFormats()
        paths = tuple(map(as_path, sources))
        if not paths:
            raise UsageError("flows() needs flow logs", 'case.flows("flowlogs/")')
        scope = scope_of(Filter(), _DEFAULT)
        run = FlowRun(paths, scope, self.flow_ends, JsonLines, formats=formats, selection=selection)
        return FlowRecords(run)

    @cached_property
    def flow_ends(self) -> FlowEnds:
        """Who was at the ends of flows, by this history."""
        from cnitrail.answers.flows import FlowEnds

        return FlowEnds(self.history, self._holders)

    def state(self, at: Time, **filters: Unpack[Filters]) -> list[StateEntry]:
        """Return the ENIs, their attachments and addresses at a time."""
        from cnitrail.answers.state import state

        return list(state(self.history, as_time(at), self._filter(filters)))

    def subnet(self, subnets: Names, at: Time | None = None) -> list[SubnetCensus]:
        """Return who holds the addresses of each subnet at a time: by default, when its evidence ends.

        Subnets that no event mentions are left out. Raises ``UsageError`` for what is no subnet ID.
        """
        names = tuple(dict.fromkeys(as_name("subnet", name) for name in as_values(subnets)))
        time = as_time(at) if at is not None else None
        return [
            self._subnets.census(name, time or self._end_of(self._subnets.place(name)))
            for name in names
            if self._subnets.knows(name)
        ]

    def findings(self, **filters: Unpack[Filters]) -> tuple[Finding, ...]:
        """Return problems and suspicious changes, the gravest first.

        Filters select findings, which are judged against everything that was read. Raises ``UsageError`` if
        only the events of some instances, ENIs or addresses were read.
        """
        if self.is_narrowed:
            raise UsageError(
                "findings need all events of an account and Region",
                "read without instance, eni and ip, and give them to findings()",
            )
        from cnitrail.answers.pods.concerned import about_pods

        return self._judged.findings(*about_pods(self.history, self._filter(filters)))

    def explain(
        self,
        target: str | Target,
        at: Time | None = None,
        *,
        vpc: Names | None = None,
        account: Names | None = None,
        region: Names | None = None,
        rerun: Rerun | None = None,
    ) -> Explanation:
        """Return an address, ENI, instance, node, subnet, cluster or pod in a few sentences.

        ``target`` is what ``cnitrail explain`` takes. ``at`` is by default when the evidence of the target
        ends. ``rerun`` has the sources and options of the command that the last sentence suggests: by
        default, the sources of the evidence. Raises ``UsageError`` for what cannot be explained, and
        ``CnitrailError`` if no event mentions the target.
        """
        from cnitrail.answers.explain import Known, Rerun, Target, explain, parse_target
        from cnitrail.limits import limits_of

        asked = target if isinstance(target, Target) else parse_target(as_text("target", target))
        own = {"vpc": vpc, "account": account, "region": region}
        of_arn = {"account": asked.account, "region": asked.region}
        given = of_arn | {name: value for name, value in own.items() if value is not None}
        wanted = Filter(vpc=self.wanted.vpc, account=self.wanted.account, region=self.wanted.region)
        known = Known(
            history=self.history,
            coverage=self.coverage,
            holders=self._holders,
            subnets=self._subnets,
            judged=self._judged,
            limits_of=limits_of,
            wanted=as_filter(wanted, {name: value for name, value in given.items() if value is not None}),
            rerun=rerun or Rerun(tuple(source.uri for source in self.evidence.sources)),
            is_narrowed=self.is_narrowed,
            skipped=len(self.evidence.skipped),
            is_end=at is None,
        )
        return explain(known, asked, as_time(at) if at is not None else None)

    def pool(
        self,
        *,
        what_if: Settings | Iterable[Settings] = (),
        pods: Iterable[tuple[Time, int]] = (),
        metrics: tuple[str, IpamdPool] | None = None,
        ipamd: tuple[str, IpamdPool] | None = None,
        limits: Mapping[str, Limits] | None = None,
        **filters: Unpack[Filters],
    ) -> list[PoolEntry]:
        """Return the pool of addresses of each node, and the CNI settings that explain it.

        ``what_if`` are other settings to compare with, ``pods`` counts of pods, each from its time on.
        ``metrics`` and ``ipamd`` are what ipamd reports, with its name. ``limits`` are those of instance
        types that cnitrail does not know.
        """
        from cnitrail.answers.pool import PoolOptions, pool
        from cnitrail.limits import limits_of

        given = limits or {}
        options = PoolOptions(
            limits_of=lambda name: given.get(name) or limits_of(name),
            what_if=tuple(as_settings(settings) for settings in as_values(what_if)),
            pods=sorted((as_time(time), as_count("pods", number)) for time, number in pods),
            metrics=metrics,
            ipamd=ipamd,
        )
        wanted = self._filter(filters)
        if wanted.names_pods:
            raise UsageError("pool() is about nodes: it takes no pod and no namespace")
        return pool(self.history, self.coverage, wanted, options)

    def report(self, **filters: Unpack[Filters]) -> Report:
        """Return an incident postmortem; without findings if the case ``is_narrowed``."""
        from cnitrail.answers.report import report

        wanted = self._filter(filters)
        return report(self.history, self.evidence, wanted, whole=not self.is_narrowed)

    @cached_property
    def _holders(self) -> HolderIndex:
        from cnitrail.answers.who import HolderIndex

        return HolderIndex(self.history, self.coverage, verified=self.evidence.verified)

    @cached_property
    def _judged(self) -> FindingIndex:
        from cnitrail.answers.findings import FindingIndex

        return FindingIndex(self.history, self.coverage)

    @cached_property
    def _subnets(self) -> SubnetIndex:
        from cnitrail.answers.subnet import SubnetIndex

        return SubnetIndex(self.history)

    def _end_of(self, place: AccountRegion) -> datetime:
        """Return when the evidence of an account and Region ends."""
        return max(reach.last for reach in self.coverage.of(*place) or self.coverage.reaches)

    def _filter(self, filters: Filters) -> Filter:
        return with_nodes(self.history, as_filter(self.wanted, filters))


def to_dicts(entries: object, *, flat: bool = False) -> list[dict[str, Any]]:
    """Return entries as dictionaries of what JSON can hold, with the fields of ``-o json``.

    ``entries`` is one value or several. If ``flat``, nested fields become columns (``actor.label``), the
    same in every row, as pandas, polars and ``csv.DictWriter`` want them; lists stay lists.
    """
    from msgspec import Struct, json

    from cnitrail.model import Finding
    from cnitrail.render.findings import finding_entry

    several = [entries] if isinstance(entries, Struct) or not isinstance(entries, Iterable) else entries
    shown = [finding_entry(entry) if isinstance(entry, Finding) else entry for entry in several]
    built: list[dict[str, Any]] = json.decode(json.encode(shown, enc_hook=str))
    return _flattened(built) if flat else built


def _flattened(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows without nested dictionaries, all with the same columns in the same order.

    A nested dictionary that is missing leaves no column of its own: its columns are None.
    """
    rows = [dict(_columns(entry)) for entry in entries]
    names = dict.fromkeys(name for row in rows for name in row)
    nested = {name[:end] for name in names for end, sign in enumerate(name) if sign == "."}
    columns = [name for name in names if name not in nested]
    return [{name: row.get(name) for name in columns} for row in rows]


def _columns(entry: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in entry.items():
        if isinstance(value, dict) and value:
            yield from _columns(value, f"{above}{name}.")
        else:
            yield above + name, value


def _check_regions(case: Case) -> None:
    """Raise ``UsageError`` for a Region that botocore does not know, unless the evidence has it.

    It may be newer than botocore's list, so only the evidence can tell.
    """
    if not case.wanted.region:
        return
    from cnitrail.sources.regions import ALL, known_regions, not_a_region

    seen = {reach.region for reach in case.coverage.reaches} | {event.region for event in case.history.events}
    for region in case.wanted.region:
        if region != ALL and region not in seen and region not in known_regions():
            raise UsageError(*not_a_region(region))
