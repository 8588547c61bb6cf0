"""``cnitrail flows``."""

from __future__ import annotations

import sys
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING

import click

from cnitrail.cli.flow_arguments import EXAMPLE, check, is_parquet_file
from cnitrail.cli.help import Command
from cnitrail.cli.options import complete_files, request_options
from cnitrail.cli.outputs import is_queried, output_option
from cnitrail.cli.param_types import Ports
from cnitrail.cli.progress import Progress
from cnitrail.cli.quiet import is_quiet
from cnitrail.errors import UsageError
from cnitrail.garbage import existing_values_kept
from cnitrail.render.writers import RECORD_OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cnitrail.answers.filters import Filter
    from cnitrail.api import Case
    from cnitrail.errors import SourceError
    from cnitrail.model import Scope
    from cnitrail.model.flows import FlowFormats, FlowSummary
    from cnitrail.model.reason import Reason
    from cnitrail.workflows.flows.run import FlowRun
    from cnitrail.workflows.request import Request

_FLOW_SOURCES = {
    "FILE, DIR": "VPC flow logs as AWS delivers them, or exports of CloudWatch Logs, also packed.",
    "s3://BUCKET[/PREFIX]": "Such files in a bucket; the layouts of AWS are detected.",
    "logs:LOG-GROUP": "CloudWatch Logs; EC2 is asked for the format (DescribeFlowLogs).",
    "-": "One such file on standard input.",
}

_NO_FLOWS = f"FLOWS are VPC flow logs, and --with names CloudTrail logs: {EXAMPLE}"


class WithSources(Command):
    """A command whose option ``--with`` takes all sources that follow it, up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments: ``--with A B`` is ``--with=A --with=B``."""
        return super().parse_args(ctx, list(_spread(args, is_checked=not ctx.resilient_parsing)))


def _spread(args: list[str], *, is_checked: bool) -> Iterator[str]:
    """Yield arguments with one ``--with=`` for each of its sources; ``is_checked``: it must have some."""
    end = args.index("--") if "--" in args else len(args)
    number, is_with = 0, False
    for number, arg in enumerate(args[:end]):
        is_option = arg.startswith("-") and arg != "-"
        if arg == "--with":
            following = args[number + 1 : min(number + 2, end)]
            has_source = bool(following) and (following[0] == "-" or not following[0].startswith("-"))
            if not has_source and is_checked:
                raise UsageError("--with needs a SOURCE", EXAMPLE)
            is_with = has_source
            if not has_source:
                yield arg
        elif is_with and not is_option:
            yield f"--with={arg}"
        else:
            is_with = False
            yield arg
    yield from args[end:]


@click.command(cls=WithSources)
@click.option(
    "--with",
    "with_",
    multiple=True,
    metavar="SOURCE...",
    shell_complete=complete_files,
    help="CloudTrail logs and pod evidence that show who had the addresses: any SOURCE of cnitrail who "
    "(default: lookup:).",
)
@click.option(
    "--format",
    "format_",
    metavar="FORMAT",
    help="Fields of records without a header line: default, a LogFormat, fl-ID, or a file of "
    "describe-flow-logs.",
)
@request_options(
    *("instance", "eni", "ip", "region", "pod", "since", "until"),
    metavar="FLOWS... --with SOURCE...",
    kinds=_FLOW_SOURCES,
)
@click.option("--rejected", is_flag=True, help="Only flows with the action REJECT.")
@click.option(
    "--port",
    multiple=True,
    type=Ports(),
    help="Source or destination port: 443, 80,443 or 8000-8100.",
)
@click.option(
    "--to",
    metavar="DIR",
    shell_complete=complete_files,
    help="Write each file of FLOWS to a file of the same name below DIR; run it again to continue. "
    "With -o parquet also a FILE.parquet.",
)
@output_option("flows")
def flows(
    request: Request,
    with_: tuple[str, ...],
    format_: str | None,
    rejected: bool,
    port: tuple[tuple[range, ...], ...],
    to: str | None,
    output: str,
) -> None:
    """Show who talked to whom: VPC flow logs with names.

    Reads FLOWS, and finds in the evidence of --with who had both addresses of each record while
    its packets were sent. The table sums it up: top talkers by name, rejected flows, how much
    has no certain name, and why. -o csv and -o jsonl write each record, in order, with all its
    fields, and then for both ends (src_…, dst_…):

    \b
      ip           the address asked for: pkt-srcaddr before srcaddr
      verdict      as of cnitrail who, the worst of all seconds of the record
      kind         node, pod, node-or-pod, load-balancer, nat-gateway, …, public
      eni, eni_kind, instance, cluster, pod, pod_verdict, assigned_by
      reasons      why the verdict is not certain, as codes

    \b
    The verdict is the confidence in the holder (from 60 s before start to end):
      certain    one ENI had the address all the time
      likely     one ENI, but a start or end is inferred, or the record differs
      ambiguous  more than one ENI; all of them are named, joined by ;
      free       no ENI had it, and the evidence of that time is complete
      unknown    no holder in the evidence

    A name is certain only if its verdict is. Pods need pod evidence, and records with
    pkt-srcaddr and pkt-dstaddr: the default format shows the primary address of the ENI,
    whichever address was used. NODATA and SKIPDATA records are written as they are.

    A filter keeps a flow if either end may meet it: --pod A --ip B is the traffic between the
    two. --since and --until select records by their time, and --port by either port. Only
    --region limits the evidence, because an address may have been assigned long before.

    Beyond about 100 million records, load the leases into the engine that has the flow logs:
    cnitrail leases -o parquet, and the SQL in docs/flows-sql.md.

    \b
    Examples:
      cnitrail flows flowlogs/ --with trail/
      cnitrail flows flowlogs/ --with trail/ audit/ --pod 'shop/web-*' -o csv
      cnitrail flows flowlogs/ --with trail.db --rejected --port 22,3389
      cnitrail flows s3://flow-logs --with s3://audit-logs --last 2h -o jsonl
      aws s3 cp s3://BUCKET/KEY - | cnitrail flows - --with trail/
    """
    from msgspec.structs import replace

    from cnitrail.cli.printing import print_answer, warn_of
    from cnitrail.cli.summary import summarize_flows

    check(request.sources, with_, output, to)
    if output == "jsonl" and is_queried():
        raise UsageError(
            "--query cannot be used with -o jsonl: the records are written as they are read",
            "use -o json for the summary, or jq for the records",
        )
    ports = tuple(chain.from_iterable(port))
    port_texts = tuple(map(_port_text, ports))
    options = {"--format": format_, "--port": port_texts, "--rejected": rejected}
    is_on_terminal = output in RECORD_OUTPUTS and to is None and sys.stdout.isatty()
    with Progress(quiet=is_quiet() or is_on_terminal) as progress:
        case, run = _opened(request, with_, output, format_, ports, progress, rejected=rejected)
        with existing_values_kept():  # a history is large, and lives as long as the run
            _write(run, case, request, output, to, options)
    summary = run.tally.summary()
    evidence = replace(
        case.evidence, flows=tuple(run.reports), skipped=(*case.evidence.skipped, *run.skipped)
    )
    if not (run.skipped or run.done_before or any(report.files for report in run.reports)):
        raise _no_flow_logs(run)
    is_empty = not summary.records and not run.done_before
    limitations = [*_copies(run), *_limitations(case, request, summary, is_empty=is_empty)]
    if output not in RECORD_OUTPUTS:
        asked = {"with": with_, "ports": port_texts, "rejected": rejected}
        print_answer(request, output, evidence, [summary], limitations, **asked)
    _warn_of_lost(run)
    status = summarize_flows(evidence, done_before=run.done_before)
    warn_of(limitations, evidence, is_empty=is_empty)
    sys.exit(status)


def _opened(
    request: Request,
    with_: tuple[str, ...],
    output: str,
    format_: str | None,
    ports: tuple[range, ...],
    progress: Progress,
    *,
    rejected: bool,
) -> tuple[Case, FlowRun]:
    """Read the evidence, and return it with the run over the flow logs, which has not begun."""
    from cnitrail.answers.flows.selection import FlowSelection
    from cnitrail.render.flows.summary import NoLines
    from cnitrail.render.writers import line_writer
    from cnitrail.sources.flow_logs import open_flow_source
    from cnitrail.workflows.flows.run import FlowRun
    from cnitrail.workflows.request import scope_of

    scope = scope_of(_of_flows(request.wanted), request.access)
    formats = _formats(format_, scope)
    for uri in request.sources:
        open_flow_source(uri, scope)  # so that a misspelled path is an error before all evidence is read
    case = _evidence(request, with_)
    run = FlowRun(
        request.sources,
        scope,
        case.flow_ends,
        line_writer(output) if output in RECORD_OUTPUTS else NoLines,
        formats=formats,
        selection=FlowSelection(case.history, request.wanted, ports=ports, rejected=rejected),
        workers=request.access.workers,
        observer=progress,
    )
    return case, run


def _write(
    run: FlowRun,
    case: Case,
    request: Request,
    output: str,
    to: str | None,
    options: Mapping[str, object],
) -> None:
    """Read all flow logs, and write their records if they were asked for."""
    from msgspec.structs import asdict

    if to is not None and not is_parquet_file(to, output):
        wanted = {f"--{name}": value for name, value in asdict(request.wanted).items()}
        _write_files(run, case, request.sources, to, output, {**options, **wanted})
    elif output == "parquet":
        _write_parquet(run, to)
    elif output in RECORD_OUTPUTS:
        _print_records(run)
    else:
        run.summary()


def _evidence(request: Request, with_: tuple[str, ...]) -> Case:
    """Read the evidence of ``--with``."""
    from msgspec.structs import replace

    from cnitrail.answers.filters import Filter
    from cnitrail.cli.reading import read_case
    from cnitrail.errors import SourceError

    try:
        return read_case(replace(request, sources=with_, wanted=Filter(region=request.wanted.region)))
    except SourceError as error:
        if "vpc-flow-logs" in error.message:
            raise SourceError(error.message, f"flow logs come before --with: {EXAMPLE}") from None
        if with_:
            raise
        others = f"; or {error.hint}" if error.hint else ""
        raise SourceError(error.message, f"name CloudTrail logs: {EXAMPLE}{others}") from None


def _warn_of_lost(run: FlowRun) -> None:
    from cnitrail.cli.stderr import warn
    from cnitrail.text import counted

    if run.lost_workers:
        warn(
            f"{counted(run.lost_workers, 'worker process')} ended early, perhaps for lack of memory; "
            "this process did the rest of the work"
        )


def _of_flows(wanted: Filter) -> Filter:
    """Return the filters that flow log files are chosen by: their time and Region."""
    from cnitrail.answers.filters import Filter

    return Filter(since=wanted.since, until=wanted.until, region=wanted.region)


def _formats(text: str | None, scope: Scope) -> FlowFormats:
    """Return the formats of records without a header line that ``--format`` names."""
    from cnitrail.model.flows import FlowFormats

    if text is None:
        return FlowFormats()
    from cnitrail.cli.stderr import warn
    from cnitrail.sources.flow_logs.formats import columns_of_flow_log, is_flow_log_id
    from cnitrail.workflows.flows.format import formats_of, unknown_fields

    if is_flow_log_id(text):
        return FlowFormats(usual=columns_of_flow_log(text, scope))
    formats = formats_of(text)
    if unknown := unknown_fields(formats):
        warn(f"--format has fields that cnitrail does not know: {', '.join(unknown)}")
    return formats


def _print_records(run: FlowRun) -> None:
    from cnitrail.cli.writing import writing

    for text in run.texts():
        with writing():
            sys.stdout.buffer.write(text)


def _write_parquet(run: FlowRun, to: str | None) -> None:
    """Write all records as one Parquet file, or to standard output."""
    from contextlib import nullcontext

    from cnitrail.atomic import atomic_file
    from cnitrail.cli.writing import writing

    with (
        writing(name=to or "the answer"),
        atomic_file(to, "wb") if to is not None else nullcontext(sys.stdout.buffer) as out,
    ):
        run.write_parquet(out)


def _write_files(
    run: FlowRun, case: Case, sources: tuple[str, ...], to: str, output: str, options: Mapping[str, object]
) -> None:
    """Write an output file for each input file that has none yet."""
    from contextlib import closing

    from cnitrail.workflows.flows.directory import FlowDirectory, OutputSettings, fingerprint

    settings = OutputSettings(
        output=output,
        options={name: _text_of(value) for name, value in options.items()},
        evidence=fingerprint(case.history, case.coverage),
    )
    with closing(FlowDirectory(to, settings, sources)) as directory:
        run.write(directory)


def _text_of(value: object) -> str:
    """Return the value of an option; a time as one can give it again."""
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def _no_flow_logs(run: FlowRun) -> SourceError:
    """Return the error that no file of any source is a flow log."""
    from collections import Counter

    from cnitrail.errors import SourceError
    from cnitrail.workflows.accounting import named_kinds

    others = Counter[str]()
    for report in run.reports:
        others.update(report.other_files)
    read = f", only {named_kinds(others)}" if others else ""
    return SourceError(
        f"{', '.join(report.uri for report in run.reports)}: no VPC flow logs in it{read}", _NO_FLOWS
    )


def _copies(run: FlowRun) -> Iterator[Reason]:
    """Yield that files were read twice, by their names."""
    from cnitrail.model.reason import Reason, ReasonCode
    from cnitrail.text import counted

    if run.copies:
        read = f"{counted(run.copies, 'file')} with the name and the size of another one"
        text = f"{read}, so records count twice: {run.first_copy}"
        yield Reason(ReasonCode.FLOW_LOG_COPIED, text)


def _limitations(case: Case, request: Request, summary: FlowSummary, *, is_empty: bool) -> Iterator[Reason]:
    """Yield what the evidence does not cover of the time of the flows, and what their format cannot show."""
    from msgspec.structs import replace

    from cnitrail.answers.absent import absent
    from cnitrail.answers.pods.limits import uncovered_pods
    from cnitrail.model.reason import Reason, ReasonCode

    mentioned = replace(request.wanted, ip=(), region=(), since=None, until=None)
    yield from absent(case.history, mentioned)
    if summary.interface_only:
        yield Reason(ReasonCode.INTERFACE_ADDRESS_ONLY, _NO_PACKET_ADDRESSES)
    if is_empty and (enis := sorted({*_enis_of_addresses(case, request.wanted)})):
        named = " or ".join(f"--eni {eni}" for eni in enis[:_NAMED])
        text = (
            f"no flow matches; a flow log without pkt-srcaddr and pkt-dstaddr {_SHOWS_PRIMARY}: try {named}"
        )
        yield Reason(ReasonCode.INTERFACE_ADDRESS_ONLY, text)
    yield from case.limitations(since=summary.first, until=summary.last)
    if summary.first is not None and not case.history.pods.is_empty:
        yield from uncovered_pods(case.history.pods, summary.first, summary.last)


def _enis_of_addresses(case: Case, wanted: Filter) -> Iterator[str]:
    """Yield the ENIs that had an address or a pod that is wanted, beside their primary address."""
    from cnitrail.model import HoldingKind

    if wanted.ip:
        for lease in case.history.leases:
            if lease.kind is not HoldingKind.PRIMARY and wanted.takes_addresses((lease.held,)):
                yield lease.eni
    if wanted.names_pods:
        for pod in case.history.pods.leases:
            if pod.eni is not None and pod.pod is not None and wanted.takes_pod(pod.pod):
                yield pod.eni


_NAMED = 3
"""ENIs that a message names."""

_SHOWS_PRIMARY = "shows the ENI's primary address, whichever address was used"
_NO_PACKET_ADDRESSES = (
    "default-format records show the ENI's primary address, whichever address was used, so no pod is named: "
    "add pkt-srcaddr and pkt-dstaddr to the format of the flow log"
)


def _port_text(ports: range) -> str:
    return str(ports[0]) if len(ports) == 1 else f"{ports[0]}-{ports[-1]}"
