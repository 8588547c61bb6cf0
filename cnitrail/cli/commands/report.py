"""``cnitrail report``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.options import ALL_FILTERS, request_options
from cnitrail.cli.outputs import output_option

if TYPE_CHECKING:
    from cnitrail.workflows.request import Request


@click.command()
@request_options(*ALL_FILTERS)
@output_option("report")
def report(request: Request, output: str) -> None:
    """An incident postmortem: what happened, by whom, and what that rests on.

    \b
    md    Markdown, to paste into a ticket
    html  one file without any request to anywhere, to attach to a mail: with
          the addresses of each interface over time, and filters

    \b
    Examples:
      cnitrail report logs/ --instance i-0abc… > ticket.md
      cnitrail report logs/ --cluster prod --since 2h -o html > incident.html
    """
    from cnitrail.answers.report import report as answer
    from cnitrail.cli.printing import print_answer
    from cnitrail.workflows.read import ask, tell

    history, evidence = ask(request)
    told = answer(history, evidence, request.wanted, whole=not _is_narrowed(request))
    print_answer(request, output, evidence, [told])
    nothing = "none of them is what was asked for"
    sys.exit(tell(evidence, len(told.calls), request.quiet, nothing))


def _is_narrowed(request: Request) -> bool:
    """Whether a source delivers only the events of the places that were asked for."""
    from cnitrail.store.file_header import is_sqlite

    wanted = request.wanted
    narrowing = any(uri.startswith("lookup:") or is_sqlite(uri) for uri in request.sources or ("lookup:",))
    return narrowing and bool(wanted.instance or wanted.eni or wanted.ip)
