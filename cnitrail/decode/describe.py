"""The output of ``aws ec2 describe-network-interfaces`` and ``describe-instances`` → typed values.

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
    """Return the ENIs and instances in a listing, and the problems of what could not be read.

    Raises ``ValueError`` with the reason if it is not a listing.
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
            attached = (interface for machine, owner in machines for interface in _attached(machine, owner))
            found = tuple(_interfaces(attached, listing, problems))
            return Described(found, tuple(_instances(machines)), False, complete), tuple(problems)
    raise ValueError("it has neither NetworkInterfaces nor Reservations")


def _machines(reservations: list[object]) -> Iterator[tuple[Fields, str | None]]:
    """Yield every instance, with the account that owns it."""
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
    """Yield the ENIs of an instance in the form of DescribeNetworkInterfaces."""
    zone = fields(machine.get("Placement")).get("AvailabilityZone")
    for interface in map(fields, elements(machine.get("NetworkInterfaces"))):
        attachment = {**fields(interface.get("Attachment")), "InstanceId": machine.get("InstanceId")}
        yield {"AvailabilityZone": zone, "OwnerId": owner, **interface, "Attachment": attachment}


def _interfaces(described: Iterable[Fields], listing: Listing, problems: Problems) -> Iterator[LiveInterface]:
    for interface in described:
        eni = text(interface.get("NetworkInterfaceId"))
        if eni is None:
            problems.unreadable("NetworkInterfaceId", interface.get("NetworkInterfaceId"), "an ID")
            continue
        attachment = fields(interface.get("Attachment"))
        tagged = tags(interface.get("TagSet"))
        description = text(interface.get("Description"))
        zone = _ZONE.match(text(interface.get("AvailabilityZone")) or "")
        yield LiveInterface(
            eni=eni,
            account=text(interface.get("OwnerId")) or listing.account,
            region=listing.region or (zone["region"] if zone else None),
            vpc=text(interface.get("VpcId")),
            subnet=text(interface.get("SubnetId")),
            instance=text(attachment.get("InstanceId")),
            device_index=number(attachment.get("DeviceIndex")),
            attachment=text(attachment.get("AttachmentId")),
            attached=time(attachment.get("AttachTime")),
            addresses=tuple(_holdings(interface, problems)),
            description=description,
            mark=mark_of(description, tagged),
            interface_type=text(interface.get("InterfaceType")),
            requester=text(interface.get("RequesterId")) if flag(interface.get("RequesterManaged")) else None,
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
