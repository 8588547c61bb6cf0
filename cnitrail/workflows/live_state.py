"""``--live``: the ENIs, instances and subnets that EC2 has, by its own account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnitrail.decode.describe import describe
from cnitrail.errors import SourceError, UsageError
from cnitrail.history.kinds import cluster_of_tags, interface_kind
from cnitrail.model import (
    AccountRegion,
    Extent,
    Held,
    ListingKind,
    LiveInstance,
    LiveInterface,
    Present,
    Queried,
    Skipped,
)
from cnitrail.sources.ec2_listing import ask_ec2, read_saved
from cnitrail.workflows.request import scope_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cnitrail.model import Described, Evidence, Listing
    from cnitrail.model.subnet import LiveSubnet
    from cnitrail.workflows.request import Request


EC2 = "ec2:"
"""What ``--live`` is if no file is named: ask EC2."""

_HOW_TO_SAVE = (
    "save it with aws ec2 describe-network-interfaces --output json, or describe-instances "
    "(for cnitrail subnet: describe-subnets); "
    "--query may take lists of instances, ENIs or addresses from it"
)


def present(
    names: tuple[str, ...], request: Request, evidence: Evidence
) -> tuple[Present, Queried | None, list[Skipped]]:
    """Return what EC2 lists now, or listed in saved files, and what could not be listed.

    What a query took from an answer is returned apart; None if there is nothing of the kind. Without a Region
    in the request, the Regions of the evidence are listed. Raises ``UsageError`` if EC2 and files are both
    named, and ``SourceError`` if nothing can be listed.
    """
    skipped: list[Skipped] = []
    described = list(_described(_listings(names, request, evidence, skipped), skipped))
    if described and all(part.kind is ListingKind.SUBNETS for _, part in described):
        raise SourceError(f"--live {' '.join(names)}: only subnets, neither ENIs nor instances", _HOW_TO_SAVE)
    return *_gathered(described), skipped


def present_subnets(
    names: tuple[str, ...], request: Request, evidence: Evidence, subnets: tuple[str, ...]
) -> tuple[dict[str, LiveSubnet], Present | None, list[Skipped]]:
    """Return subnets by ID as EC2 describes them now, or in saved files, and the ENIs that it lists.

    The latter are None if only subnets were listed. What could not be listed comes last. Raises as
    ``present`` does.
    """
    skipped: list[Skipped] = []
    described = list(_described(_listings(names, request, evidence, skipped, subnets), skipped))
    found = {subnet.subnet: subnet for _, part in described for subnet in part.subnets}
    if all(part.kind is ListingKind.SUBNETS for _, part in described):
        return found, None, skipped
    return found, _gathered(described)[0], skipped


def described_resources(
    listings: Iterable[Listing],
) -> tuple[Present, dict[str, LiveSubnet], list[Skipped]]:
    """Return the instances, ENIs and subnets of listings, and what cannot be read of them.

    Raises ``SourceError`` if one is no listing.
    """
    skipped: list[Skipped] = []
    described = list(_described(listings, skipped))
    subnets = {subnet.subnet: subnet for _, part in described for subnet in part.subnets}
    return _gathered(described)[0], subnets, skipped


def _listings(
    names: tuple[str, ...],
    request: Request,
    evidence: Evidence,
    skipped: list[Skipped],
    subnets: tuple[str, ...] = (),
) -> Iterator[Listing]:
    if EC2 not in names:
        yield from read_saved(names)
        return
    if set(names) != {EC2}:
        raise UsageError("--live takes either EC2 or files, not both")
    scope = scope_of(request.wanted, request.access)
    covered = sorted({reach.region for reach in evidence.coverage if reach.region})
    for listing in ask_ec2(replace(scope, regions=scope.regions or tuple(covered)), subnets):
        if isinstance(listing, Skipped):
            skipped.append(listing)
        else:
            yield listing


def _described(listings: Iterable[Listing], skipped: list[Skipped]) -> Iterator[tuple[Listing, Described]]:
    """Yield what each listing has, and add what cannot be read of it to ``skipped``."""
    for listing in listings:
        try:
            parts, problems = describe(listing)
        except ValueError as error:
            raise SourceError(f"--live {listing.uri}: {error}", _HOW_TO_SAVE) from None
        skipped += [Skipped(listing.uri, problem, Extent.PART) for problem in problems]
        for part in parts:
            yield listing, part


def _gathered(described: list[tuple[Listing, Described]]) -> tuple[Present, Queried | None]:
    """Return all listings as one; a list of ENIs has more about each than a list of instances."""
    interfaces: dict[str, LiveInterface] = {}
    instances: dict[str, LiveInstance] = {}
    whole: set[AccountRegion] = set()
    attached: set[AccountRegion] = set()
    addresses: set[Held] = set()
    for listing, part in described:
        lists_interfaces = part.kind is ListingKind.INTERFACES
        for instance in part.instances:
            if instance.whole or instance.instance not in instances:
                instances[instance.instance] = instance
        addresses |= part.addresses
        for interface in part.interfaces:
            known = interfaces.get(interface.eni)
            if lists_interfaces or known is None or not known.instance_known:
                interfaces[interface.eni] = _classified(interface)
        if part.complete:
            places = {(interface.account, interface.region) for interface in part.interfaces}
            if listing.account is not None:
                places = {(listing.account, listing.region)}
            (whole if lists_interfaces else attached).update(places)
    gathered = Present(interfaces, instances, frozenset(whole), frozenset(attached))
    queries = [part for _, part in described if part.kind is ListingKind.QUERY]
    if not queries:
        return gathered, None
    lists_interfaces = any(part.interfaces or part.instances for part in queries)
    return gathered, Queried(frozenset(addresses), lists_interfaces)


def _classified(live: LiveInterface) -> LiveInterface:
    """Return an ENI with its kind and its cluster, by the rules for those in the trail."""
    kind = interface_kind(
        launched_first=live.device_index == 0,
        created_with_mark=live.mark is not None and live.mark.instance == live.instance,
        description=live.description,
        interface_type=live.interface_type,
        requester=live.requester,
        creator=None,
    )
    return replace(live, kind=kind, cluster=cluster_of_tags(dict(live.tags)))
