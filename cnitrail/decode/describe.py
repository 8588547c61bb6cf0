"""The answers of DescribeNetworkInterfaces and DescribeInstances, as the AWS CLI prints them.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkInterface.html and API_Instance.html.
"""

import re
from collections.abc import Iterable, Iterator

from cnitrail.decode.events import mark_of
from cnitrail.decode.shapes import (
    Fields,
    Problems,
    elements,
    fields,
    flag,
    holdings,
    number,
    tags,
    text,
    time,
)
from cnitrail.jsontext import parse
from cnitrail.model import Described, Holding, HoldingKind, Listing, LiveInstance, LiveInterface

_ZONE = re.compile(r"(?P<region>[a-z]{2,}(?:-[a-z]+)+-\d+)")


def describe(listing: Listing) -> tuple[Described, tuple[str, ...]]:
    """What a listing says, and what of it could not be read.

    Raises ``ValueError`` with the reason where it is none.
    """
    answer = fields(parse(listing.text))
    complete = answer.get("NextToken") is None
    problems = Problems()
    match answer:
        case {"NetworkInterfaces": list(interfaces)}:
            found = tuple(_interfaces(map(fields, interfaces), listing, problems))
            return Described(found, (), True, complete), tuple(problems)
        case {"Reservations": list(reservations)}:
            machines = list(_machines(reservations))
            attached = (each for machine, owner in machines for each in _attached(machine, owner))
            found = tuple(_interfaces(attached, listing, problems))
            return Described(found, tuple(_instances(machines)), False, complete), tuple(problems)
    raise ValueError("neither NetworkInterfaces nor Reservations in it")


def _machines(reservations: list[object]) -> Iterator[tuple[Fields, str | None]]:
    """Described instances, each with the account that it belongs to."""
    for reservation in map(fields, reservations):
        for machine in map(fields, elements(reservation.get("Instances"))):
            yield machine, text(reservation.get("OwnerId"))


def _instances(machines: Iterable[tuple[Fields, str | None]]) -> Iterator[LiveInstance]:
    for machine, _ in machines:
        name = text(machine.get("InstanceId"))
        if name is not None:
            state = text(fields(machine.get("State")).get("Name"))
            yield LiveInstance(name, state, text(machine.get("InstanceType")))


def _attached(machine: Fields, owner: str | None) -> Iterator[Fields]:
    """The interfaces of a described instance, as DescribeNetworkInterfaces has them."""
    zone = fields(machine.get("Placement")).get("AvailabilityZone")
    for interface in map(fields, elements(machine.get("NetworkInterfaces"))):
        attachment = {**fields(interface.get("Attachment")), "InstanceId": machine.get("InstanceId")}
        yield {"AvailabilityZone": zone, "OwnerId": owner, **interface, "Attachment": attachment}


def _interfaces(described: Iterable[Fields], listing: Listing, problems: Problems) -> Iterator[LiveInterface]:
    for each in described:
        eni = text(each.get("NetworkInterfaceId"))
        if eni is None:
            problems.unreadable("NetworkInterfaceId", each.get("NetworkInterfaceId"), "an id")
            continue
        attachment = fields(each.get("Attachment"))
        tagged = tags(each.get("TagSet"))
        description = text(each.get("Description"))
        zone = _ZONE.match(text(each.get("AvailabilityZone")) or "")
        yield LiveInterface(
            eni=eni,
            account=text(each.get("OwnerId")) or listing.account,
            region=listing.region or (zone["region"] if zone else None),
            vpc=text(each.get("VpcId")),
            subnet=text(each.get("SubnetId")),
            instance=text(attachment.get("InstanceId")),
            device_index=number(attachment.get("DeviceIndex")),
            attachment=text(attachment.get("AttachmentId")),
            attached=time(attachment.get("AttachTime")),
            addresses=tuple(_holdings(each, problems)),
            description=description,
            mark=mark_of(description, tagged),
            interface_type=text(each.get("InterfaceType")),
            requester=text(each.get("RequesterId")) if flag(each.get("RequesterManaged")) else None,
            tags=tagged,
        )


def _holdings(described: Fields, problems: Problems) -> Iterator[Holding]:
    for element in map(fields, elements(described.get("PrivateIpAddresses"))):
        kind = HoldingKind.PRIMARY if flag(element.get("Primary")) else HoldingKind.SECONDARY
        yield from holdings([element], "PrivateIpAddress", kind, "PrivateIpAddresses", problems)
    for name, key, kind in (
        ("Ipv4Prefixes", "Ipv4Prefix", HoldingKind.PREFIX),
        ("Ipv6Addresses", "Ipv6Address", HoldingKind.IPV6),
        ("Ipv6Prefixes", "Ipv6Prefix", HoldingKind.IPV6_PREFIX),
    ):
        yield from holdings(described.get(name), key, kind, name, problems)
