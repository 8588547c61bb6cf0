"""``cnitrail findings``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.fail_on import FAIL_ON, exit_status
from cnitrail.cli.options import CALL_FILTERS, PLACE_FILTERS, POD_FILTERS, WATCH, Watchable, request_options
from cnitrail.cli.outputs import output_option
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from cnitrail.workflows.request import Request


@click.command(cls=Watchable)
@WATCH
@FAIL_ON
@request_options(*PLACE_FILTERS, *CALL_FILTERS, *POD_FILTERS, "since", "until")
@output_option("findings")
def findings(request: Request, watch: timedelta | None, fail_on: str | None, output: str) -> None:
    """Find problems and suspicious changes.

    \b
    Looks for
      IPs assigned, released or reassigned by hand
      subnets without free IPs, and who holds the IPs
      throttled calls, and who drained the token bucket
      nodes that assign and release IPs all the time
      leaked ENIs, and ENIs of a network plugin that somebody else removed
      calls that keep failing: denied, over a limit, or in a loop
      service accounts that cannot sign in, or use the node role instead
      callers, programs and networks never seen before
      different versions of the VPC CNI in one cluster
      trails that were stopped, narrowed, or lost their bucket

    Each finding has a severity (critical, high, medium, low, info), a sentence, the ENIs and nodes
    concerned, its events, and a remediation. docs/findings.md describes every rule. Pipelines take
    -o sarif (SARIF 2.1.0) and -o ocsf (OCSF Detection Findings, one JSON object a line).

    Filters select findings. The findings themselves are judged against all evidence of the
    account and Region, so all of it is read within --since and --until. If logs are missing,
    findings may be missing too.

    --watch prints the findings (of lookup: and s3://, of the last 15 minutes unless --since is
    given), then each new one as it arrives, and one that has changed again, marked "updated".

    Exit status: as for every command, and 5 if --fail-on finds something, even if some
    evidence could not be read. With --fail-on, 3 means that nothing was found in the
    evidence that could be read.

    \b
    Examples:
      cnitrail findings s3://audit-logs --since 1d
      cnitrail findings logs/ --cluster prod -o json
      cnitrail findings s3://audit-logs --watch 1m -o jsonl
      cnitrail findings logs/ -o sarif > findings.sarif
      cnitrail findings logs/ --since 1d --fail-on high || page-oncall
    """
    from msgspec.structs import asdict

    from cnitrail.answers.filters import Filter
    from cnitrail.cli.printing import respond
    from cnitrail.cli.reading import read_case
    from cnitrail.workflows.request import for_findings

    if watch is not None:
        from cnitrail.cli.watching import watch as watch_sources

        if fail_on is not None:
            raise UsageError("--fail-on cannot be used with --watch", "leave out one of them")
        sys.exit(watch_sources(request, "findings", output, watch))
    case = read_case(for_findings(request))
    found = case.findings(**asdict(request.wanted))
    nothing = "no findings"
    if not found and request.wanted != Filter():
        others = case.findings(**asdict(Filter()))
        nothing = f"no matching findings ({len(others):,} without filters)" if others else nothing
    status = respond(
        request,
        output,
        case.evidence,
        found,
        nothing=nothing,
        limitations=case.limitations(**asdict(request.wanted)),
        fail_on=fail_on,
    )
    sys.exit(exit_status(found, fail_on, otherwise=status))
