"""``cnitrail timeline``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from cnitrail.cli.options import (
    filter_options,
    output_option,
    quiet_option,
    scope_of,
    scope_options,
    wanted_of,
)

if TYPE_CHECKING:
    from datetime import timedelta


@click.command(short_help="Who added, moved or removed which addresses, when.")
@scope_options
@filter_options
@output_option("table", "json", "jsonl", "csv")
@quiet_option
@click.pass_context
def timeline(
    ctx: click.Context,
    /,
    sources: tuple[str, ...],
    profile: str | None,
    endpoint_url: str | None,
    request_payer: str | None,
    delivery_lag: timedelta,
    output: str,
    quiet: bool,
    **filters: Any,
) -> None:
    """Who added, moved or removed which addresses, when.

    SOURCE is a CloudTrail log file, a directory of them, s3://BUCKET[/PREFIX] for a trail's
    bucket, or - for standard input;
    plain or gzipped, in any of the shapes that CloudTrail, LookupEvents and EventBridge
    write. Several are read as one body of evidence.

    \b
    Examples:
      cnitrail timeline logs/ --eni eni-0abc…
      cnitrail timeline logs/ --ip 10.0.1.0/24 --since 2h
      cnitrail timeline logs/ --cluster prod --failed
      cnitrail timeline s3://audit-logs --eni eni-0abc… --since 2h
      cnitrail timeline logs/ --actor '*/admin*' --event 'Assign*' -o json
    """
    from cnitrail.answers.timeline import timeline as answer
    from cnitrail.cli.progress import Progress
    from cnitrail.cli.reading import read_evidence, tell
    from cnitrail.history import build

    wanted = wanted_of(filters)
    with Progress(quiet) as progress:
        ledger, evidence = read_evidence(
            sources, scope_of(wanted, profile, endpoint_url, request_payer, delivery_lag), progress
        )
    entries = list(answer(build(ledger.events(), ledger.sessions()), wanted))
    if output == "table":
        from cnitrail.render.timeline import write_timeline

        write_timeline(entries, sys.stdout)
    elif output == "csv":
        from cnitrail.render.csv import table
        from cnitrail.render.timeline import COLUMNS

        sys.stdout.writelines(table(COLUMNS, entries))
    else:
        from cnitrail.cli.query import query
        from cnitrail.render.json import document, lines

        if output == "jsonl":
            sys.stdout.writelines(lines(entries))
        else:
            asked = query("timeline", sources, wanted)
            sys.stdout.writelines(document("cnitrail/timeline/v1", asked, evidence, entries))
    ctx.exit(tell(evidence, len(entries), quiet))
