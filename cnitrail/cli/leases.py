"""``cnitrail leases``."""

from __future__ import annotations

from typing import Any

import click

from cnitrail.cli.options import (
    PLACE_FILTERS,
    Access,
    aws_options,
    filter_options,
    output_option,
    quiet_option,
    sources_argument,
    wanted_of,
)


@click.command(short_help="Every interval in which an interface held an address.")
@sources_argument
@filter_options(*PLACE_FILTERS, "actor", "agent", "event", "since", "until")
@aws_options
@output_option("table", "json", "jsonl", "csv")
@quiet_option
@click.pass_context
def leases(
    ctx: click.Context,
    /,
    sources: tuple[str, ...],
    access: Access,
    output: str,
    quiet: bool,
    **filters: Any,
) -> None:
    """Every interval in which an interface held an address or a prefix.

    Each bound says what it rests on: observed (an event says so), implied (something
    else shows it), unknown, or open (no end is in the evidence).

    \b
    Examples:
      cnitrail leases logs/ --ip 10.0.1.25
      cnitrail leases logs/ --instance i-0abc… --since 2h -o csv
    """
    from cnitrail.answers.leases import leases as answer
    from cnitrail.cli.printing import print_entries, query_of
    from cnitrail.cli.reading import ask, tell
    from cnitrail.render.leases import COLUMNS, write_leases

    wanted = wanted_of(filters)
    history, evidence = ask(sources, wanted, access, quiet=quiet)
    entries = list(answer(history, wanted))
    print_entries(
        output,
        entries,
        command="leases",
        query=query_of(sources, wanted),
        evidence=evidence,
        columns=COLUMNS,
        write_table=write_leases,
    )
    ctx.exit(tell(evidence, len(entries), quiet))
