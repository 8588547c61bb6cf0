"""``cnitrail state``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.help import Command
from cnitrail.cli.options import PLACE_FILTERS, POD_FILTERS, at_option, live_option, request_options
from cnitrail.cli.outputs import output_option
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cnitrail.model import ComparedEntry
    from cnitrail.workflows.request import Request


@click.command(cls=Command)
@at_option("required; now with --live")
@live_option(
    "Compare with EC2 now, or as saved in FILE: JSON or YAML of aws ec2 describe-network-interfaces or "
    "describe-instances, whole or taken from it by --query."
)
@request_options(*PLACE_FILTERS, *POD_FILTERS, "since", "until")
@output_option("state")
def state(request: Request, at: datetime | None, live: tuple[str, ...], output: str) -> None:
    """Show ENIs, attachments and addresses at a point in time.

    It is the state at the end of that second: what ended in it is gone, by a release, a
    detachment or a termination. who names whoever may have held an address at any moment of the
    second. An address that several calls of one second gave to different ENIs is on each of them,
    marked as order unknown.

    ENIs that no event mentions are not shown: a trail that starts today does not know the
    ENIs that were created yesterday and not changed since. --since and --until limit what
    is read from a bucket or from lookup:, not the answer.

    --live compares this state with EC2, now or as saved in a file. EC2 is asked in the Regions
    that the evidence covers, or that --region names, and only in the account of your
    credentials.

    A saved FILE may be an AWS CLI command's whole output, which is taken to list everything of
    its account and Region, or what --query took from it: nested lists of instances, of ENIs or
    of addresses. Such a list may be of a few nodes only, so what it lacks is unchecked, unless
    --instance or --eni names what it is of. A list of addresses names no ENI, no instance and
    no Region, so only addresses are compared, as a set.

    \b
    Every ENI and address is
      same       in both
      missing    only in EC2: older than the trail, or not logged
      gone       only in CloudTrail
      unchecked  not compared: EC2 was not asked, or the list may lack it

    \b
    Examples:
      cnitrail state logs/ --at 2022-10-05T14:00Z
      cnitrail state logs/ --at 30m --instance i-0abc… -o json
      cnitrail state logs/ --live
      cnitrail state logs/ --live interfaces.json --at 2022-10-05T14:00Z
      cnitrail state logs/ --live addresses.json --instance i-0abc…
    """
    sys.exit(_compared(request, at, live, output) if live else _rebuilt(request, at, output))


def _rebuilt(request: Request, at: datetime | None, output: str) -> int:
    """Answer from the evidence alone; return the exit status."""
    from msgspec.structs import replace

    from cnitrail.cli.printing import respond
    from cnitrail.cli.reading import read_case
    from cnitrail.cli.summary import NO_ENIS
    from cnitrail.workflows.request import period_of

    if at is None:
        raise UsageError("--at is required", _example_of_a_time(request))
    period = period_of(replace(request.wanted, since=at, until=at))
    case = read_case(replace(request, period=period, managers=True))
    limitations = case.limitations(at)
    entries = case.state(at)
    return respond(
        request, output, case.evidence, entries, limitations=limitations, nothing=NO_ENIS, at=at, live=()
    )


def _example_of_a_time(request: Request) -> str:
    """Return what to ask for instead of nothing: saved evidence may be too old for an age."""
    from cnitrail.sources import source_type, sources_or_default

    if any(source_type(uri).is_remote for uri in sources_or_default(request.sources)):
        return "for example --at 2h or --at 2022-10-05T14:00Z"
    return "a time that the evidence covers, for example --at 2022-10-05T14:00Z"


def _compared(request: Request, at: datetime | None, live: tuple[str, ...], output: str) -> int:
    """Answer from the evidence and from EC2; return the exit status."""
    from datetime import UTC, datetime

    from msgspec.structs import replace

    from cnitrail.answers.live_comparison import compare
    from cnitrail.cli.printing import respond
    from cnitrail.cli.quiet import inform
    from cnitrail.cli.reading import read_case
    from cnitrail.cli.summary import NO_ENIS
    from cnitrail.workflows.live_state import present

    if request.wanted.names_pods:
        mistake = "--live compares ENIs: it takes no --pod and no --namespace"
        raise UsageError(mistake, "use --instance or --eni")
    case = read_case(replace(request, managers=True))
    described, queried, skipped = present(live, request, case.evidence)
    at = at or datetime.now(UTC)
    entries = compare(case.history, case.coverage, at, described, case.wanted, queried)
    evidence = replace(case.evidence, skipped=(*case.evidence.skipped, *skipped))
    limitations = case.limitations(at)
    status = respond(
        request, output, evidence, entries, limitations=limitations, nothing=NO_ENIS, at=at, live=live
    )
    inform(f"compared with EC2: {_counts(entries)}")
    return status


def _counts(entries: Sequence[ComparedEntry]) -> str:
    """Return how many ENIs there are of each kind of match."""
    from collections import Counter

    from cnitrail.render.state import MATCH_NAMES

    counts = Counter(entry.match for entry in entries)
    parts = [f"{counts[match]} {name}" for match, name in MATCH_NAMES.items() if match in counts]
    return ", ".join(parts) or "nothing to compare"
