"""``cnitrail state``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.options import PLACE_FILTERS, Time, request_options
from cnitrail.cli.outputs import output_option
from cnitrail.cli.stderr import say
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cnitrail.model import ComparedEntry
    from cnitrail.workflows.request import Request


@click.command()
@click.option("--at", type=Time(), help="The time: ISO 8601, epoch seconds, an age (2h).  [now with --live]")
@click.option(
    "--live",
    is_flag=False,
    flag_value="ec2:",
    multiple=True,
    metavar="[FILE]",
    help="Compare with what EC2 says now, or said in FILE (JSON of aws ec2 describe-network-interfaces "
    "or describe-instances); may be repeated.",
)
@request_options(*PLACE_FILTERS, "since", "until")
@output_option("state")
def state(request: Request, at: datetime | None, live: tuple[str, ...], output: str) -> None:
    """The interfaces, their attachments and addresses as they stood at a time.

    What the evidence never mentions is not shown: a trail that begins today says
    nothing of the interfaces that were made yesterday and never touched since.
    --since and --until bound what is read of a bucket or of lookup:, not the answer.

    --live compares this with EC2: an interface and each of its addresses is the same,
    missing (from the trail: older than it, or not logged), gone (from EC2), or unchecked
    (not asked for); why that may be is said. EC2 is asked in the Regions that the evidence
    covers, or that --region names, with the credentials' own account.

    \b
    Examples:
      cnitrail state logs/ --at 2022-10-05T14:00Z
      cnitrail state logs/ --at 30m --instance i-0abc… -o json
      cnitrail state logs/ --live
      cnitrail state logs/ --live interfaces.json --at 2022-10-05T14:00Z
    """
    sys.exit(_compared(request, at, live, output) if live else _rebuilt(request, at, output))


def _rebuilt(request: Request, at: datetime | None, output: str) -> int:
    """Answer from the evidence alone; the exit status."""
    from cnitrail.answers.coverage_text import uncovered
    from cnitrail.answers.state import state as answer
    from cnitrail.cli.printing import respond
    from cnitrail.model import Coverage
    from cnitrail.workflows.read import ask

    if at is None:
        raise UsageError("at which time?", "add --at, for example --at 2022-10-05T14:00Z or --at 2h")
    history, evidence = ask(request)
    entries = list(answer(history, at, request.wanted))
    status = respond(request, output, evidence, entries, at=at, live=())
    for gap in uncovered(Coverage(evidence.coverage), at, request.wanted):
        say(f"beware: {gap}")
    return status


def _compared(request: Request, at: datetime | None, live: tuple[str, ...], output: str) -> int:
    """Answer from the evidence and from EC2; the exit status."""
    from datetime import UTC, datetime

    from msgspec.structs import replace

    from cnitrail.answers.coverage_text import uncovered
    from cnitrail.answers.live_comparison import compare
    from cnitrail.cli.printing import respond
    from cnitrail.model import Coverage
    from cnitrail.workflows.live_state import present
    from cnitrail.workflows.read import ask

    history, evidence = ask(request)
    described, skipped = present(live, request, evidence)
    at = at or datetime.now(UTC)
    coverage = Coverage(evidence.coverage)
    entries = compare(history, coverage, at, described, request.wanted)
    whole = replace(evidence, skipped=(*evidence.skipped, *skipped))
    status = respond(request, output, whole, entries, at=at, live=live)
    if not request.quiet:
        say(f"compared with EC2: {_counts(entries)}")
    for gap in uncovered(coverage, at, request.wanted):
        say(f"beware: {gap}")
    return status


def _counts(entries: Sequence[ComparedEntry]) -> str:
    """How many interfaces compare how, in a few words."""
    from collections import Counter

    counts = Counter(entry.match for entry in entries)
    return ", ".join(f"{counts[match]} {match}" for match in sorted(counts)) or "nothing to compare"
