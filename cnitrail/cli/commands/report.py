"""``cnitrail report``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.help import Command
from cnitrail.cli.options import ALL_FILTERS, request_options
from cnitrail.cli.outputs import output_option

if TYPE_CHECKING:
    from cnitrail.workflows.request import Request


@click.command(cls=Command)
@request_options(*ALL_FILTERS)
@output_option("report")
def report(request: Request, output: str) -> None:
    """Write an incident report as Markdown or HTML.

    The report shows what happened, who did it, and the evidence for it.

    \b
    md    Markdown, to paste into a ticket
    html  one self-contained page without network requests, to attach to an email;
          with filters and a chart of the addresses of each ENI over time

    \b
    Examples:
      cnitrail report logs/ --instance i-0abc… > ticket.md
      cnitrail report logs/ --cluster prod --since 2h -o html > incident.html
    """
    from cnitrail.cli.printing import print_answer
    from cnitrail.cli.reading import read_case
    from cnitrail.cli.summary import summarize

    case = read_case(request)
    told = case.report()
    print_answer(request, output, case.evidence, [told])
    sys.exit(summarize(case.evidence, len(told.calls)))
