"""``cnitrail state``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.options import PLACE_FILTERS, Time, request_options
from cnitrail.cli.outputs import output_option

if TYPE_CHECKING:
    from datetime import datetime

    from cnitrail.cli.request import Request


@click.command()
@click.option("--at", type=Time(), required=True, help="The time: ISO 8601, epoch seconds, an age (2h).")
@request_options(*PLACE_FILTERS, "since", "until")
@output_option("state")
def state(request: Request, at: datetime, output: str) -> None:
    """The interfaces, their attachments and addresses as they stood at a time.

    What the evidence never mentions is not shown: a trail that begins today says
    nothing of the interfaces that were made yesterday and never touched since.
    --since and --until bound what is read of a bucket or of lookup:, not the answer.

    \b
    Examples:
      cnitrail state logs/ --at 2022-10-05T14:00Z
      cnitrail state logs/ --at 30m --instance i-0abc… -o json
    """
    from cnitrail.answers.gaps import uncovered
    from cnitrail.answers.state import state as answer
    from cnitrail.cli.printing import respond
    from cnitrail.cli.reading import ask
    from cnitrail.model import Coverage

    history, evidence = ask(request)
    entries = list(answer(history, at, request.wanted))
    status = respond(request, output, evidence, entries, at=at)
    for gap in uncovered(Coverage(evidence.coverage), at, request.wanted):
        click.echo(f"beware: {gap}", err=True)
    sys.exit(status)
