"""``cnitrail state``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cnitrail.cli.options import (
    PLACE_FILTERS,
    Access,
    Time,
    aws_options,
    filter_options,
    output_option,
    quiet_option,
    sources_argument,
    wanted_of,
)

if TYPE_CHECKING:
    from datetime import datetime


@click.command(short_help="Interfaces, attachments and addresses as they stood at a time.")
@sources_argument
@click.option("--at", type=Time(), required=True, help="The time: ISO 8601, epoch seconds, an age (2h).")
@filter_options(*PLACE_FILTERS)
@aws_options
@output_option("table", "json", "jsonl", "csv")
@quiet_option
@click.pass_context
def state(
    ctx: click.Context,
    /,
    sources: tuple[str, ...],
    at: datetime,
    access: Access,
    output: str,
    quiet: bool,
    **filters: Any,
) -> None:
    """The interfaces, their attachments and addresses as they stood at a time.

    What the evidence never mentions is not shown: a trail that begins today says
    nothing of the interfaces that were made yesterday and never touched since.

    \b
    Examples:
      cnitrail state logs/ --at 2022-10-05T14:00Z
      cnitrail state logs/ --at 30m --instance i-0abc… -o json
    """
    from cnitrail.answers.state import state as answer
    from cnitrail.cli.printing import print_entries, query_of
    from cnitrail.cli.reading import ask, tell
    from cnitrail.render.state import COLUMNS, write_state

    wanted = wanted_of(filters)
    history, evidence = ask(sources, wanted, access, quiet=quiet)
    entries = list(answer(history, at, wanted))
    print_entries(
        output,
        entries,
        command="state",
        query=query_of(sources, wanted, at=at),
        evidence=evidence,
        columns=COLUMNS,
        write_table=write_state,
    )
    ctx.exit(tell(evidence, len(entries), quiet))
