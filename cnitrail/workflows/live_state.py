"""``state --live``: the ENIs and instances that EC2 has, by its own account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnitrail.decode.describe import describe
from cnitrail.errors import SourceError, UsageError
from cnitrail.history.kinds import cluster_of_tags, interface_kind
from cnitrail.model import AccountRegion, Extent, LiveInstance, LiveInterface, Present, Skipped
from cnitrail.sources.ec2_listing import ask_ec2, read_saved
from cnitrail.workflows.request import scope_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cnitrail.model import Evidence, Listing
    from cnitrail.workflows.request import Request


EC2 = "ec2:"
"""What ``--live`` is if no file is named: ask EC2."""


def present(names: tuple[str, ...], request: Request, evidence: Evidence) -> tuple[Present, list[Skipped]]:
    """Return what EC2 lists now, or listed in saved files, and what could not be listed.

    Without a Region in the request, the Regions of the evidence are listed. Raises ``UsageError`` if EC2 and
    files are both named, and ``SourceError`` if nothing can be listed.
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
        raise UsageError("--live takes either EC2 or files, not both")
    scope = scope_of(request.wanted, request.access)
    covered = sorted({reach.region for reach in evidence.coverage if reach.region})
    for listing in ask_ec2(replace(scope, regions=scope.regions or tuple(covered))):
        if isinstance(listing, Skipped):
            skipped.append(listing)
        else:
            yield listing


def _gathered(listings: Iterable[Listing], skipped: list[Skipped]) -> Present:
    """Return all listings as one; a list of ENIs has more about each than a list of instances."""
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
        instances |= {instance.instance: instance for instance in described.instances}
        for interface in described.interfaces:
            if described.lists_interfaces or interface.eni not in interfaces:
                interfaces[interface.eni] = _classified(interface)
        if described.complete:
            places = {(interface.account, interface.region) for interface in described.interfaces}
            if listing.account is not None:
                places = {(listing.account, listing.region)}
            (whole if described.lists_interfaces else attached).update(places)
    return Present(interfaces, instances, frozenset(whole), frozenset(attached))


def _classified(live: LiveInterface) -> LiveInterface:
    """Return an ENI with its kind and its cluster, by the rules for those in the trail."""
    kind = interface_kind(
        launched_first=live.device_index == 0,
        created_with_mark=live.mark is not None and live.mark[0] == live.instance,
        description=live.description,
        interface_type=live.interface_type,
        requester=live.requester,
        creator=None,
    )
    return replace(live, kind=kind, cluster=cluster_of_tags(dict(live.tags)))
