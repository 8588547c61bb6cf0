"""``state --live``: what EC2 says itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnitrail.decode.describe import describe
from cnitrail.errors import SourceError, UsageError
from cnitrail.history.kinds import cluster_of_tags, interface_kind
from cnitrail.model import AccountRegion, Extent, LiveInstance, LiveInterface, Present, Skipped
from cnitrail.sources.ec2_listing import ask_ec2, read_saved
from cnitrail.workflows.read import scope_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cnitrail.model import Evidence, Listing
    from cnitrail.workflows.request import Request

EC2 = "ec2:"
"""What ``--live`` means without a file."""


def present(names: tuple[str, ...], request: Request, evidence: Evidence) -> tuple[Present, list[Skipped]]:
    """What EC2 says, or said, and what of it could not be had.

    Without ``--region`` the Regions are asked that the evidence covers. Raises ``UsageError`` where
    EC2 and files are both named, ``SourceError`` where nothing can be had.
    """
    skipped: list[Skipped] = []
    return _gathered(list(_listings(names, request, evidence, skipped)), skipped), skipped


def _listings(
    names: tuple[str, ...], request: Request, evidence: Evidence, skipped: list[Skipped]
) -> Iterator[Listing]:
    if EC2 not in names:
        yield from read_saved(names)
        return
    if set(names) != {EC2}:
        raise UsageError("--live asks EC2 or takes files: not both at once")
    scope = scope_of(request.wanted, request.access)
    covered = sorted({reach.region for reach in evidence.coverage if reach.region})
    for said in ask_ec2(replace(scope, regions=scope.regions or tuple(covered))):
        if isinstance(said, Skipped):
            skipped.append(said)
        else:
            yield said


def _gathered(listings: Iterable[Listing], skipped: list[Skipped]) -> Present:
    """All listings as one; what lists interfaces tells more of one than what lists instances."""
    interfaces: dict[str, LiveInterface] = {}
    instances: dict[str, LiveInstance] = {}
    whole: set[AccountRegion] = set()
    attached: set[AccountRegion] = set()
    for listing in listings:
        try:
            described, problems = describe(listing)
        except ValueError as error:
            raise SourceError(
                f"--live {listing.uri}: {error}",
                "save it with aws ec2 describe-network-interfaces --output json, or describe-instances",
            ) from None
        skipped += [Skipped(listing.uri, problem, Extent.PART) for problem in problems]
        instances |= {each.instance: each for each in described.instances}
        for each in described.interfaces:
            if described.lists_interfaces or each.eni not in interfaces:
                interfaces[each.eni] = _named(each)
        if described.complete:
            places = {(each.account, each.region) for each in described.interfaces}
            if listing.account is not None:
                places = {(listing.account, listing.region)}
            (whole if described.lists_interfaces else attached).update(places)
    return Present(interfaces, instances, frozenset(whole), frozenset(attached))


def _named(live: LiveInterface) -> LiveInterface:
    """An interface with what it is, and its cluster, as the trail's are called."""
    kind = interface_kind(
        launched_first=live.device_index == 0,
        born_marked=live.mark is not None and live.mark[0] == live.instance,
        description=live.description,
        interface_type=live.interface_type,
        requester=live.requester,
        creator=None,
    )
    return replace(live, kind=kind, cluster=cluster_of_tags(dict(live.tags)))
