"""``cnitrail timeline``."""

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
@output_option("timeline")
def timeline(request: Request, output: str) -> None:
    """Show who assigned, moved or released addresses, and when.

    Every row is an API call: the caller, the ENI, the instance it was attached to, and the
    addresses that the call assigned or released. If you give several SOURCEs, they are read
    as one body of evidence. A file may be a trail's log file or an export of CloudWatch Logs,
    EventBridge, Athena, Security Lake, a SIEM and others, also in a zip or tar archive.

    lookup: takes seconds with --instance or --eni, and minutes without.

    \b
    Examples:
      cnitrail timeline --instance i-0abc… --region eu-west-1
      cnitrail timeline logs/ --eni eni-0abc…
      cnitrail timeline export.csv case.zip --ip 10.0.1.25
      cnitrail timeline logs/ --ip 10.0.1.0/24 --since 2h
      cnitrail timeline logs/ --cluster prod --failed
      cnitrail timeline s3://audit-logs --eni eni-0abc… --since 2h
      cnitrail timeline logs/ --actor '*/admin*' --event 'Assign*' -o json
      cnitrail timeline logs/ -o perfetto > trace.json    # opens in ui.perfetto.dev
    """
    from cnitrail.cli.printing import respond
    from cnitrail.cli.reading import read_case

    case = read_case(request)
    entries = case.swimlanes() if output == "perfetto" else case.timeline()
    sys.exit(respond(request, output, case.evidence, entries))
