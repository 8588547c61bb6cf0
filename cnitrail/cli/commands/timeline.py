"""``cnitrail timeline``."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from cnitrail.cli.options import ALL_FILTERS, POD_FILTERS, WATCH, Watchable, request_options
from cnitrail.cli.outputs import chosen_output, is_queried, output_option
from cnitrail.cli.param_types import WholeNumber
from cnitrail.cli.quiet import inform
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from cnitrail.workflows.request import Request


@click.command(cls=Watchable)
@WATCH
@click.option(
    "--raw", is_flag=True, help="Print the original CloudTrail records instead, one a line (JSON lines)."
)
@request_options(*ALL_FILTERS, *POD_FILTERS)
@click.option("--newest-first", is_flag=True, help="Newest events first.")
@click.option(
    "--limit",
    type=WholeNumber(),
    metavar="NUMBER",
    help="Show only the newest NUMBER entries.",
)
@output_option("timeline")
def timeline(
    request: Request,
    watch: timedelta | None,
    output: str,
    *,
    raw: bool,
    newest_first: bool,
    limit: int | None,
) -> None:
    """Show who assigned, moved or released addresses, and when.

    Every row is an API call: the caller, the ENI, the instance it was attached to, and the
    addresses that the call assigned or released. If you give several SOURCEs, they are read
    as one body of evidence. A file may be a trail's log file or an export of CloudWatch Logs,
    EventBridge, Athena, Security Lake, a SIEM and others, also in a zip or tar archive.

    --watch first prints what the filters select (of lookup: and s3://, the last 15 minutes
    unless --since is given), then every new entry once, as it arrives.

    --pod shows the life of a pod's address: the call that assigned it to the ENI, when the pod
    got it and released it (by pod evidence), and the call that released it from the ENI.

    lookup: takes seconds with --instance, --eni or --limit, and minutes without.

    \b
    Examples:
      cnitrail timeline --instance i-0abc… --region eu-west-1
      cnitrail timeline logs/ --eni eni-0abc…
      cnitrail timeline export.csv case.zip --ip 10.0.1.25
      cnitrail timeline logs/ --ip 10.0.1.0/24 --since 2h
      cnitrail timeline logs/ --cluster prod --failed --newest-first --limit 20
      cnitrail timeline s3://audit-logs --eni eni-0abc… --since 2h
      cnitrail timeline logs/ --actor '*/admin*' --event 'Assign*' -o json
      cnitrail timeline logs/ audit/ --pod shop/web-6d4cf56db6-x2x7k
      cnitrail timeline --cluster prod --watch 1m
      cnitrail timeline s3://audit-logs --watch -o jsonl | jq .event
      cnitrail timeline logs/ --event-id 8ba6cfa0-4d1b-… --raw | jq
      cnitrail timeline logs/ -o perfetto > trace.json  # for ui.perfetto.dev
    """
    from cnitrail.answers.timeline import newest
    from cnitrail.answers.timeline import timeline as entries_of
    from cnitrail.cli.printing import respond
    from cnitrail.cli.reading import read_case, read_newest
    from cnitrail.cli.streamed import entries_for
    from cnitrail.model.reason import ReasonCode

    _check_options(output, watch=watch is not None, raw=raw, newest_first=newest_first, limit=limit)
    if watch is not None:
        from cnitrail.cli.watching import watch as watch_sources

        sys.exit(watch_sources(request, "timeline", output, watch))
    if raw:
        sys.exit(_print_raw(request))
    if output != "perfetto":
        from msgspec.structs import replace

        from cnitrail.workflows.request import period_of

        request = replace(request, period=period_of(request.wanted))
    case = read_case(request) if limit is None else read_newest(request, limit)
    limitations = case.limitations()
    if output == "perfetto":
        sys.exit(respond(request, output, case.evidence, case.swimlanes(), limitations=limitations))
    is_cut = newest_first or limit is not None
    make = partial(entries_of, case.history, case.wanted)
    entries = list(make()) if is_cut else entries_for(output, make)
    shown = newest(entries, limit, first=newest_first)
    status = respond(
        request,
        output,
        case.evidence,
        shown,
        limitations=limitations,
        newest_first=newest_first,
        limit=limit,
    )
    has_calls = case.evidence.first_event is not None
    if not entries and has_calls and case.wanted.names_pods and case.pods():
        inform("hint: no API call names the pod's address; cnitrail pods shows when the pod had it")
    is_counted = all(limitation.code is not ReasonCode.NOT_READ for limitation in limitations)
    if len(shown) < len(entries) and is_counted:
        from cnitrail.text import counted

        earlier = counted(len(entries) - len(shown), "earlier entry")
        inform(f"{earlier} not shown (--limit {limit})")
    sys.exit(status)


def _check_options(output: str, *, watch: bool, raw: bool, newest_first: bool, limit: int | None) -> None:
    """Refuse options that do not go together. Raises ``UsageError``."""
    cuts = {"--newest-first": newest_first, "--limit": limit is not None}
    refused = next((name for name, is_given in {"--raw": raw, **cuts}.items() if is_given), None)
    if watch and refused:
        raise UsageError(f"{refused} cannot be used with --watch", "leave out one of them")
    cut = next((name for name, is_given in cuts.items() if is_given), None)
    if output == "perfetto" and cut:
        hint = "it draws the whole time range: narrow it with --since and --until"
        raise UsageError(f"{cut} cannot be used with -o perfetto", hint)
    if raw and cut:
        hint = "--raw prints every record of the range: narrow it with --since and --until"
        raise UsageError(f"{cut} cannot be used with --raw", hint)
    if raw and chosen_output() not in (None, "jsonl"):
        raise UsageError("--raw prints JSON lines", "leave out -o, or use -o jsonl")
    if raw and is_queried():
        raise UsageError(
            "--query takes from the JSON of an answer, not from --raw records", "use jq for these"
        )


def _print_raw(request: Request) -> int:
    """Print the records of the calls that the filter keeps; return the exit status."""
    from cnitrail.answers.timeline import calls
    from cnitrail.cli.printing import warn_of
    from cnitrail.cli.reading import read_case
    from cnitrail.cli.stderr import warn
    from cnitrail.cli.summary import summarize
    from cnitrail.cli.writing import writing
    from cnitrail.render.safe import printable_json
    from cnitrail.text import counted
    from cnitrail.workflows.raw_records import RawRecords

    with RawRecords() as raw:
        case = read_case(request, raw)
        events = {event.key: event for event, _ in calls(case.history, case.wanted)}.values()
        rebuilt = 0
        with writing() as stdout:
            for record in raw.of(events):
                stdout.write(printable_json(record.line) + "\n")
                rebuilt += not record.whole
    status = summarize(case.evidence, len(events))
    warn_of(case.limitations(), case.evidence, is_empty=not events)
    if rebuilt:
        warn(f"{counted(rebuilt, 'record')} rebuilt: the source does not have what CloudTrail wrote")
    return status
