"""``cnitrail subnet``."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.help import Command
from cnitrail.cli.options import at_option, live_option, request_options
from cnitrail.cli.outputs import output_option
from cnitrail.cli.stderr import warn
from cnitrail.cli.summary import INCOMPLETE
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cnitrail.api import Case
    from cnitrail.model import Skipped
    from cnitrail.model.reason import Reason
    from cnitrail.model.subnet import SubnetCensus
    from cnitrail.workflows.request import Request

_SUBNET = re.compile(r"subnet-(?:[0-9a-f]{8}|[0-9a-f]{17})", re.ASCII)
_EXAMPLE = "cnitrail subnet subnet-0a1b2c3d4e5f60718 logs/"


@click.command(cls=Command)
@at_option("default: end of the evidence; now with lookup: or --live")
@live_option(
    "Ask EC2 for the free IPs and the ENIs of the subnets now, or read FILE: JSON or YAML of aws ec2 "
    "describe-subnets or describe-network-interfaces."
)
@request_options("account", "region", "since", "until", metavar="SUBNET... [SOURCE]...")
@output_option("subnet")
def subnet(request: Request, at: datetime | None, live: tuple[str, ...], output: str) -> None:
    """Show who holds a subnet's IPs, and what could be reclaimed.

    Counts every IPv4 address once, by cluster, manager and use: nodes, pods and their warm
    pool, branch ENIs, load balancers, Lambda, RDS, VPC endpoints, NAT gateways, other AWS
    services, and ENIs of nodes that are attached to nothing. IPv6 addresses are left out.

    The size of the subnet comes from CreateSubnet, or from EC2 with --live. UNACCOUNTED are
    addresses that were not seen: they are free, or belong to ENIs that no event mentions,
    because they are older than the evidence. -o json also has each node.

    CloudTrail does not show pods: which IPs of a warm pool are unused is not known.
    --account, --region, --since and --until limit what is read, not the answer.

    \b
    Examples:
      cnitrail subnet subnet-0a1b2c3d4e5f60718 logs/
      cnitrail subnet subnet-0a1b2c3d4e5f60718 logs/ --at 2h -o csv
      cnitrail subnet subnet-0a1b2c3d4e5f60718 s3://audit-logs --since 7d --live
    """
    from msgspec.structs import replace

    from cnitrail.cli.printing import respond
    from cnitrail.cli.quiet import inform
    from cnitrail.cli.reading import read_case
    from cnitrail.sources import LOOKUP, sources_or_default

    subnets, sources = _arguments(request.sources)
    request = replace(request, sources=sources)
    case = read_case(request)
    is_now = bool(live) or LOOKUP in sources_or_default(sources)
    entries, skipped = _censuses(case, request, subnets, at or (_now() if is_now else None), live)
    evidence = replace(case.evidence, skipped=(*case.evidence.skipped, *skipped))
    moments = sorted({census.at for census in entries})
    unknown = _unknown(case, subnets, entries, live)
    gaps = dict.fromkeys(gap for time in moments for gap in case.limitations(time))
    status = respond(
        request,
        output,
        evidence,
        entries,
        nothing="no event shows these subnets",
        limitations=(*unknown, *gaps),
        subnets=subnets,
        at=at,
        live=live,
    )
    if unknown:
        check = "check the ID, the account and the Region"
        inform(f"hint: {check} (--profile, --region)" if live else f"hint: {check}, or add --live to ask EC2")
    is_listed = not live or _warn_of_unlisted(entries)
    sys.exit(status if is_listed else INCOMPLETE)


def _arguments(given: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the subnets and the sources among the arguments. Raises ``UsageError``."""
    named = {argument: argument.strip().lower() for argument in given}
    subnets = tuple(dict.fromkeys(filter(_SUBNET.fullmatch, named.values())))
    sources = tuple(argument for argument in given if named[argument] not in subnets)
    for source in filter(lambda source: named[source].startswith("subnet-"), sources):
        from pathlib import Path

        if not Path(source).exists():
            raise UsageError(f"{source!r} is not a subnet ID", f"for example {_EXAMPLE}")
    if not subnets:
        raise UsageError("SUBNET is required", _EXAMPLE)
    return subnets, sources


def _now() -> datetime:
    from datetime import UTC, datetime

    return datetime.now(UTC).replace(microsecond=0)


def _censuses(
    case: Case, request: Request, subnets: tuple[str, ...], at: datetime | None, live: tuple[str, ...]
) -> tuple[list[SubnetCensus], list[Skipped]]:
    """Return the census of each subnet that is known, and what EC2 could not list."""
    if not live:
        return case.subnet(subnets, at), []
    from cnitrail.answers.subnet import SubnetIndex
    from cnitrail.workflows.live_state import present_subnets

    described, present, skipped = present_subnets(live, request, case.evidence, subnets)
    index = SubnetIndex(case.history)
    enis = present.interfaces.values() if present is not None else ()
    listed = {*described, *(eni.subnet for eni in enis)}
    return [
        index.census(name, at or _now(), described.get(name), present if name in listed else None)
        for name in subnets
        if index.knows(name) or name in listed
    ], skipped


def _unknown(
    case: Case, subnets: tuple[str, ...], entries: Sequence[SubnetCensus], live: tuple[str, ...]
) -> list[Reason]:
    """Return a reason for each subnet that has no answer."""
    from cnitrail.answers.absent import others_like
    from cnitrail.model.reason import Reason, ReasonCode

    unknown = [name for name in subnets if name not in {census.subnet for census in entries}]
    known = {interface.subnet for interface in case.history.interfaces.values()} if unknown else set()
    known |= case.history.subnets.keys() if unknown else set()
    return [
        Reason(
            ReasonCode.NOT_IN_EVIDENCE,
            f"nothing known of {name}: no event shows it, or an ENI in it"
            + (", nor does EC2" if live else others_like(name, filter(None, known), "subnets")),
        )
        for name in unknown
    ]


def _warn_of_unlisted(entries: Sequence[SubnetCensus]) -> bool:
    """Warn of the subnets of which EC2 lists nothing; return whether there are none."""
    from cnitrail.cli.quiet import inform
    from cnitrail.text import account_and_region

    unlisted = [census for census in entries if census.live is None]
    for census in unlisted:
        place = account_and_region(census.account, census.region)
        warn(f"EC2 lists nothing of {census.subnet}, which CloudTrail shows in {place}")
    if unlisted:
        inform("hint: --live needs credentials of that account (--profile) and its Region (--region)")
    return not unlisted
