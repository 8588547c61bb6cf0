"""The output of ``aws ec2 describe-network-interfaces``, ``describe-instances`` and ``describe-subnets``.

It may be whole, or reduced by ``--query`` to lists of instances, ENIs or addresses, nested as the expression
leaves them. Fields: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkInterface.html,
API_Instance.html, API_Subnet.html and API_InstanceNetworkInterface.html, which has no instance and no
Availability Zone.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any

from cnitrail.decode.cli_output import values_of
from cnitrail.decode.events import mark_of
from cnitrail.decode.shapes import (
    Fields,
    Problems,
    elements,
    fields,
    flag,
    holdings,
    number,
    prefix,
    tags,
    text,
    time,
)
from cnitrail.model import (
    Described,
    Held,
    Holding,
    HoldingKind,
    Listing,
    ListingKind,
    LiveInstance,
    LiveInterface,
    held_of,
)
from cnitrail.model.subnet import LiveSubnet

_ZONE = re.compile(r"(?P<region>[a-z]{2,}(?:-[a-z]+)+-\d+)")
_MAX_LISTS = 16
"""Maximum depth of lists: each ``[*]`` of an expression makes one, and so do the pages of an answer."""

_MAX_PROBLEMS = 100
"""Maximum number of problems that are listed; the others are counted."""

_ADDRESS_KEYS = ("PrivateIpAddress", "Ipv4Prefix", "Ipv6Address", "Ipv6Prefix")


def describe(listing: Listing) -> tuple[tuple[Described, ...], tuple[str, ...]]:
    """Return the content of a listing, by the kind of listing, and the problems of what could not be read.

    Raises ``ValueError`` with the reason if it is not a listing.
    """
    values, unread = values_of(listing.text)
    reader = _Reader(listing)
    reader.read(values)
    if unread is not None:
        reader.problems.append(unread)
    described = tuple(reader.described(complete=unread is None))
    if not described:
        raise ValueError(_mistake(values))
    return described, tuple(_shortened(reader.problems))


def _mistake(values: list[object]) -> str:
    """Return why values are not a listing."""
    value: object = values
    while isinstance(value, list) and value:
        value = value[0]
    if value is None:
        return "it is null: the --query expression matches nothing"
    if value is values[0] and isinstance(value, dict):
        return "it has neither NetworkInterfaces nor Reservations"
    return f"it has neither instances, nor ENIs, nor addresses, but {_shown(value)}"


def _shown(value: object) -> str:
    """Return a value in a few words."""
    keys = ", ".join(sorted(value)[:5]) if isinstance(value, dict) else None
    shown = repr(value) if keys is None else f"an object with {keys or 'no fields'}"
    return shown[:80] + ("…" if len(shown) > 80 else "")


def _shortened(problems: list[str]) -> Iterator[str]:
    yield from problems[:_MAX_PROBLEMS]
    if len(problems) > _MAX_PROBLEMS:
        yield f"{len(problems) - _MAX_PROBLEMS} more elements cannot be read"


class _Found:
    """The content of one kind of listing; ``more`` if its last page has a NextToken."""

    def __init__(self) -> None:
        self.interfaces: list[LiveInterface] = []
        self.instances: list[LiveInstance] = []
        self.addresses: set[Held] = set()
        self.subnets: list[LiveSubnet] = []
        self.more = False
        self.unread = False


class _Reader:
    """Collects the instances, ENIs and addresses among the values of a listing."""

    def __init__(self, listing: Listing) -> None:
        self.problems = Problems()
        self._listing = listing
        self._found: dict[ListingKind, _Found] = {}

    def read(self, values: list[object]) -> None:
        """Add all values; lists in lists count as one list."""
        elements = list(self._flat(values))
        for element in elements:
            self._add(element)
        if not elements and any(isinstance(value, list) for value in values):
            self._of(ListingKind.QUERY)
            self.problems.append("an empty list: EC2 found nothing of what was asked for in that Region")

    def described(self, *, complete: bool) -> Iterator[Described]:
        """Yield the content of each kind of listing; ``complete`` if all of the listing was read."""
        for kind, found in self._found.items():
            yield Described(
                kind=kind,
                interfaces=tuple(found.interfaces),
                instances=tuple(found.instances),
                addresses=frozenset(found.addresses),
                subnets=tuple(found.subnets),
                complete=complete and not (found.more or found.unread or kind is ListingKind.QUERY),
            )

    def _of(self, kind: ListingKind) -> _Found:
        return self._found.setdefault(kind, _Found())

    def _flat(self, values: list[object], depth: int = 0) -> Iterator[object]:
        """Yield the elements of lists in lists, without nulls."""
        for value in values:
            if not isinstance(value, list):
                if value is not None:
                    yield value
            elif depth < _MAX_LISTS:
                yield from self._flat(value, depth + 1)
            else:
                self.problems.append(f"a list within {_MAX_LISTS} other lists")

    def _add(self, value: Any) -> None:
        match value:
            case {"NetworkInterfaceId": _}:
                self._interface(self._of(ListingKind.QUERY), value)
            case {"NetworkInterfaces": list(interfaces)} if "InstanceId" not in value:
                found = self._of(ListingKind.INTERFACES)
                found.more = value.get("NextToken") is not None
                for interface in interfaces:
                    self._interface(found, interface)
            case {"Reservations": list(reservations)}:
                found = self._of(ListingKind.INSTANCES)
                found.more = value.get("NextToken") is not None
                for reservation in self._flat(reservations):
                    self._reservation(found, fields(reservation))
            case {"Subnets": list(subnets)}:
                self._of(ListingKind.SUBNETS)
                for subnet in map(fields, self._flat(subnets)):
                    self._subnet(subnet)
            case {"SubnetId": str(), "AvailableIpAddressCount": _}:
                self._subnet(value)
            case {"Instances": list()}:
                self._reservation(self._of(ListingKind.QUERY), value)
            case {"InstanceId": str(), "NetworkInterfaces": list()}:
                self._instance(self._of(ListingKind.QUERY), value, None)
            case _:
                self._address(value)

    def _subnet(self, subnet: Fields) -> None:
        """Add a subnet."""
        found, name = self._of(ListingKind.SUBNETS), text(subnet.get("SubnetId"))
        if name is None:
            found.unread = True
            self.problems.unreadable("SubnetId", subnet.get("SubnetId"), "an ID")
            return
        block = prefix(text(subnet.get("CidrBlock")) or "")
        zone = _ZONE.match(text(subnet.get("AvailabilityZone")) or "")
        found.subnets.append(
            LiveSubnet(
                subnet=name,
                account=text(subnet.get("OwnerId")) or self._listing.account,
                region=self._listing.region or (zone["region"] if zone else None),
                vpc=text(subnet.get("VpcId")),
                cidr=block if isinstance(block, IPv4Network) else None,
                available=number(subnet.get("AvailableIpAddressCount")),
            )
        )

    def _reservation(self, found: _Found, reservation: Fields) -> None:
        instances = reservation.get("Instances")
        if not isinstance(instances, list):
            found.unread = True
            self.problems.unreadable("Instances", instances, "a list")
            return
        for instance in self._flat(instances):
            self._instance(found, fields(instance), text(reservation.get("OwnerId")))

    def _instance(self, found: _Found, instance: Fields, owner: str | None) -> None:
        """Add an instance and its ENIs, in the form of DescribeNetworkInterfaces."""
        instance_id = text(instance.get("InstanceId"))
        attached = instance.get("NetworkInterfaces", [])
        if instance_id is None or not isinstance(attached, list):
            found.unread = True
            self.problems.append(f"{_shown(instance)} is not an instance with NetworkInterfaces")
        zone = fields(instance.get("Placement")).get("AvailabilityZone")
        were_read = []
        for interface in map(fields, elements(attached)):
            attachment = {**fields(interface.get("Attachment")), "InstanceId": instance_id}
            described = {"AvailabilityZone": zone, "OwnerId": owner, **interface, "Attachment": attachment}
            were_read.append(self._interface(found, described))
        if instance_id is not None:
            found.instances.append(
                LiveInstance(
                    instance=instance_id,
                    state=text(fields(instance.get("State")).get("Name")),
                    instance_type=text(instance.get("InstanceType")),
                    whole=isinstance(instance.get("NetworkInterfaces"), list) and all(were_read),
                    tags=tags(instance.get("Tags")),
                )
            )

    def _interface(self, found: _Found, described: object) -> bool:
        """Add an ENI; return False if it has no ID."""
        eni = text(fields(described).get("NetworkInterfaceId"))
        if eni is None:
            found.unread = True
            self.problems.unreadable(
                "NetworkInterfaceId", fields(described).get("NetworkInterfaceId"), "an ID"
            )
            return False
        found.interfaces.append(_interface(eni, fields(described), self._listing, self.problems))
        return True

    def _address(self, value: object) -> None:
        """Add an address, bare or in an object as PrivateIpAddresses has."""
        texts = [value] if isinstance(value, str) else [fields(value).get(key) for key in _ADDRESS_KEYS]
        held = next((held_of(text) for text in texts if isinstance(text, str)), None)
        if held is None:
            self.problems.append(f"{_shown(value)} is neither an instance, nor an ENI, nor an address")
        else:
            self._of(ListingKind.QUERY).addresses.add(held)


def _interface(eni: str, described: Fields, listing: Listing, problems: Problems) -> LiveInterface:
    attachment = fields(described.get("Attachment"))
    instance = text(attachment.get("InstanceId"))
    tagged = tags(described.get("TagSet"))
    description = text(described.get("Description"))
    zone = _ZONE.match(text(described.get("AvailabilityZone")) or "")
    unread = len(problems)
    asked = listing.region is not None
    addresses = tuple(_holdings(described, problems))
    return LiveInterface(
        eni=eni,
        account=text(described.get("OwnerId")) or listing.account,
        region=listing.region or (zone["region"] if zone else None),
        vpc=text(described.get("VpcId")),
        subnet=text(described.get("SubnetId")),
        instance=instance,
        instance_known=(
            instance is not None or "InstanceOwnerId" in attachment or described.get("Status") == "available"
        ),
        device_index=number(attachment.get("DeviceIndex")),
        attachment=text(attachment.get("AttachmentId")),
        attached=time(attachment.get("AttachTime")),
        attachment_status=text(attachment.get("Status")),
        addresses=addresses,
        whole=len(problems) == unread and (asked or isinstance(described.get("PrivateIpAddresses"), list)),
        description=description,
        mark=mark_of(description, tagged),
        interface_type=text(described.get("InterfaceType")),
        requester=text(described.get("RequesterId")) if flag(described.get("RequesterManaged")) else None,
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
