"""``cnitrail report``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.help import Command
from cnitrail.cli.options import ALL_FILTERS, POD_FILTERS, request_options
from cnitrail.cli.outputs import output_option

if TYPE_CHECKING:
    from cnitrail.workflows.request import Request


@click.command(cls=Command)
@request_options(*ALL_FILTERS, *POD_FILTERS)
@output_option("report")
@click.option(
    "--console-links",
    is_flag=True,
    help="Link instances, ENIs and events to the AWS console (md and html).",
)
def report(request: Request, output: str, console_links: bool) -> None:
    """Write an incident report as Markdown or HTML, or its summary.

    The report shows what happened, who did it, and the evidence for it. With lookup:, only
    the events of the named IPs, instances and ENIs are read, and findings are not judged.

    \b
    md       Markdown, to paste into a ticket
    html     one self-contained page with filters, and the addresses of each ENI over
             time; it loads nothing from elsewhere, so attach it to an email
    summary  at most 10 lines for Slack, PagerDuty or Jira

    \b
    Examples:
      cnitrail report logs/ --instance i-0abc… > ticket.md
      cnitrail report logs/ --cluster prod --since 2h -o html > incident.html
      cnitrail report logs/ audit/ --pod shop/web-6d4cf56db6-x2x7k > ticket.md
      cnitrail report s3://audit-logs --since 2h -o summary
    """
    from msgspec.structs import asdict

    from cnitrail.cli.printing import print_answer, warn_of
    from cnitrail.cli.reading import read_case
    from cnitrail.cli.summary import summarize
    from cnitrail.sources import LOOKUP, sources_or_default
    from cnitrail.workflows.request import for_findings

    wanted = asdict(request.wanted)
    case = read_case(request if LOOKUP in sources_or_default(request.sources) else for_findings(request))
    incident = case.report(**wanted)
    limitations = case.limitations(**wanted)
    print_answer(request, output, case.evidence, [incident], limitations, console_links=console_links)
    status = summarize(case.evidence, len(incident.calls))
    warn_of(limitations, case.evidence, is_empty=not incident.calls)
    sys.exit(status)
