"""``cnitrail findings``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.options import PLACE_FILTERS, request_options
from cnitrail.cli.outputs import output_option
from cnitrail.cli.stderr import say

if TYPE_CHECKING:
    from cnitrail.workflows.request import Request

_FOUND = 5


@click.command()
@click.option(
    "--fail-on",
    type=click.Choice(["high", "medium", "low"]),
    help="Exit with status 5 where a finding is as grave as this, or graver.",
)
@request_options(*PLACE_FILTERS, "actor", "agent", "event", "since", "until")
@output_option("findings")
def findings(request: Request, fail_on: str | None, output: str) -> None:
    """What is out of the ordinary: how grave, where, since when, and what to do.

    \b
    Looks for addresses assigned or released by hand, or stolen; subnets without free
    addresses; throttled calls, and who made too many; addresses taken and given back all
    the time; interfaces left behind; attachments that fail again and again; nodes that
    call with their own role; people, programs and places never seen before; different
    versions of the VPC CNI in one cluster.

    Filters select findings, which are judged against everything that is read. So all of an
    account and Region is read, as far as --since and --until say. What is not found may still
    be there, where logs are missing.

    Exit status: as with every command, and 5 where --fail-on finds something. 5 goes before 3:
    what was found stands, whatever else could not be read; 3 with --fail-on says that nothing
    was found in what could be read.

    \b
    Examples:
      cnitrail findings s3://audit-logs --since 1d
      cnitrail findings logs/ --cluster prod -o json
      cnitrail findings logs/ --since 1d --fail-on high || page-somebody
    """
    from msgspec.structs import replace

    from cnitrail.answers.coverage_text import holes
    from cnitrail.answers.filters import Filter
    from cnitrail.answers.findings import findings as answer
    from cnitrail.cli.printing import respond
    from cnitrail.model import SEVERITY_ORDER, Coverage, Severity
    from cnitrail.workflows.read import ask, many

    whole = replace(request.wanted, instance=(), eni=(), ip=())
    history, evidence = ask(replace(request, wanted=whole))
    coverage = Coverage(evidence.coverage)
    found = answer(history, coverage, request.wanted)
    is_filtered = request.wanted != Filter()
    others = answer(history, coverage, Filter()) if is_filtered and not found else ()
    nothing = "nothing out of the ordinary was found in them"
    if others:
        nothing = f"of {many(len(others), 'finding')} in them none is what was asked for"
    status = respond(request, output, evidence, found, nothing=nothing, fail_on=fail_on)
    for hole in holes(coverage, request.wanted):
        say(f"beware: {hole}")
    if fail_on is not None:
        worst = SEVERITY_ORDER[Severity(fail_on)]
        failing = sum(SEVERITY_ORDER[each.severity] <= worst for each in found)
        if failing:
            say(f"--fail-on {fail_on}: {many(failing, 'finding')}")
            sys.exit(_FOUND)
    sys.exit(status)
