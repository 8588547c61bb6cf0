"""``cnitrail timeline``."""

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
@output_option("timeline")
def timeline(request: Request, output: str) -> None:
    """Who added, moved or removed which addresses, when.

    SOURCE is a CloudTrail log file, a directory of them, s3://BUCKET[/PREFIX] for a trail's
    bucket, or - for standard input; plain or gzipped, in any of the shapes that CloudTrail,
    LookupEvents and EventBridge write. lookup: (the default) asks CloudTrail itself for the last
    90 days, in seconds with --instance or --eni. Several are read as one body of evidence.

    \b
    Examples:
      cnitrail timeline --instance i-0abc… --region eu-west-1
      cnitrail timeline logs/ --eni eni-0abc…
      cnitrail timeline logs/ --ip 10.0.1.0/24 --since 2h
      cnitrail timeline logs/ --cluster prod --failed
      cnitrail timeline s3://audit-logs --eni eni-0abc… --since 2h
      cnitrail timeline logs/ --actor '*/admin*' --event 'Assign*' -o json
      cnitrail timeline logs/ -o perfetto > trace.json    opens in ui.perfetto.dev
    """
    from cnitrail.answers.swimlanes import lanes
    from cnitrail.answers.timeline import timeline as answer
    from cnitrail.cli.printing import respond
    from cnitrail.workflows.read import ask

    history, evidence = ask(request)
    drawn = lanes if output == "perfetto" else answer
    entries = list(drawn(history, request.wanted))
    sys.exit(respond(request, output, evidence, entries))
