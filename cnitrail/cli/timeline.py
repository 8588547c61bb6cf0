"""``cnitrail timeline``."""

from __future__ import annotations

from typing import Any

import click

from cnitrail.cli.options import (
    ALL_FILTERS,
    Access,
    aws_options,
    filter_options,
    output_option,
    quiet_option,
    sources_argument,
    wanted_of,
)


@click.command(short_help="Who added, moved or removed which addresses, when.")
@sources_argument
@filter_options(*ALL_FILTERS)
@aws_options
@output_option("table", "json", "jsonl", "csv")
@quiet_option
@click.pass_context
def timeline(
    ctx: click.Context,
    /,
    sources: tuple[str, ...],
    access: Access,
    output: str,
    quiet: bool,
    **filters: Any,
) -> None:
    """Who added, moved or removed which addresses, when.

    SOURCE is a CloudTrail log file, a directory of them, or - for standard input;
    plain or gzipped, in any of the shapes that CloudTrail, LookupEvents and EventBridge
    write. lookup: (the default) asks CloudTrail itself for the last 90 days, in seconds with
    --instance or --eni. Several are read as one body of evidence.

    \b
    Examples:
      cnitrail timeline --instance i-0abc… --region eu-west-1
      cnitrail timeline logs/ --eni eni-0abc…
      cnitrail timeline logs/ --ip 10.0.1.0/24 --since 2h
      cnitrail timeline logs/ --cluster prod --failed
      cnitrail timeline logs/ --actor '*/admin*' --event 'Assign*' -o json
    """
    from cnitrail.answers.timeline import timeline as answer
    from cnitrail.cli.printing import print_entries, query_of
    from cnitrail.cli.reading import ask, tell
    from cnitrail.render.timeline import COLUMNS, write_timeline

    wanted = wanted_of(filters)
    history, evidence = ask(sources, wanted, access, quiet=quiet)
    entries = list(answer(history, wanted))
    print_entries(
        output,
        entries,
        command="timeline",
        query=query_of(sources, wanted),
        evidence=evidence,
        columns=COLUMNS,
        write_table=write_timeline,
    )
    ctx.exit(tell(evidence, len(entries), quiet))
