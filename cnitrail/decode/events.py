"""The requests and responses of the calls that change which ENI has an address, or which instance an ENI.

A new event is one function and one row in ``EVENTS``. Field names are the EC2 API's in
CloudTrail's lower camel case (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/).
"""

import re
from collections.abc import Callable, Container, Iterator, Sequence
from ipaddress import IPv4Network
from itertools import chain

from msgspec.structs import replace

from cnitrail.decode.call_body import CallBody
from cnitrail.decode.managed_eni_calls import (
    add_nat_gateway_addresses,
    create_mount_target,
    create_nat_gateway,
    create_vpc_endpoint,
    delete_mount_target,
    delete_nat_gateway,
    delete_vpc_endpoints,
    modify_vpc_endpoint,
    remove_nat_gateway_addresses,
)
from cnitrail.decode.shapes import (
    Fields,
    Problems,
    elements,
    fields,
    flag,
    held,
    holdings,
    number,
    prefix,
    tags,
    text,
    texts,
)
from cnitrail.model import (
    AttributeChange,
    CniMark,
    Details,
    Effect,
    Held,
    Holding,
    HoldingKind,
    InstanceBasis,
    Subject,
)

_INSTANCE = re.compile(r"i-[0-9a-f]+")
_CNI_DESCRIPTION = re.compile(r"aws-K8S-(?P<instance>i-[0-9a-f]+)")
_CILIUM_DESCRIPTION = re.compile(r"Cilium-CNI \((?P<instance>i-[0-9a-f]+)\)")
"""The description of the Cilium operator's ENIs (pkg/aws/eni/node.go in Cilium)."""

_CNI_TAG = "node.k8s.amazonaws.com/instance_id"
"""The tag with which the VPC CNI marks its ENIs (pkg/awsutils/awsutils.go in amazon-vpc-cni-k8s)."""


Decoder = Callable[[CallBody], tuple[Subject, ...]]


_REQUESTED = {
    HoldingKind.SECONDARY: ("privateIpAddressesSet", "privateIpAddress"),
    HoldingKind.PREFIX: ("ipv4Prefixes", "ipv4Prefix"),
    HoldingKind.IPV6: ("ipv6Addresses", "ipv6Address"),
    HoldingKind.IPV6_PREFIX: ("ipv6Prefixes", "ipv6Prefix"),
}
_COUNTS = {
    HoldingKind.SECONDARY: "secondaryPrivateIpAddressCount",
    HoldingKind.PREFIX: "ipv4PrefixCount",
    HoldingKind.IPV6: "ipv6AddressCount",
    HoldingKind.IPV6_PREFIX: "ipv6PrefixCount",
}


def _requested_addresses(request: Fields) -> tuple[str, ...]:
    """Return the addresses and prefixes that a request names, exactly as written, even if invalid."""
    named = [texts(request[name], key) for name, key in _REQUESTED.values() if name in request]
    return tuple(chain.from_iterable(named))


def _requested(request: Fields) -> tuple[int | None, HoldingKind | None]:
    """Return the number of addresses or prefixes that a request asks for, and their kind.

    If the request names them, the number is None. If it asks for none, both are None. A record may have a
    number for each kind, so zero counts only if there is no other.
    """
    counts = {
        kind: count
        for kind, name in _COUNTS.items()
        if name in request and (count := number(request[name])) is not None
    }
    kind = next((kind for kind, count in counts.items() if count > 0), next(iter(counts), None))
    if kind is not None:
        return counts[kind], kind
    named = (kind for kind, (name, key) in _REQUESTED.items() if texts(request.get(name), key))
    return None, next(named, None)


def _assign(call: CallBody) -> tuple[Subject, ...]:
    """AssignPrivateIpAddresses: the response names the addresses, whatever the form of the request.

    Old records may lack them in the response; then the addresses in the request were assigned.
    """
    request, response, problems = call.request, call.response, call.problems
    addresses = response.get("assignedPrivateIpAddressesSet", request.get("privateIpAddressesSet"))
    prefixes = response.get("assignedIpv4PrefixSet", request.get("ipv4Prefixes"))
    added = (
        *holdings(addresses, "privateIpAddress", HoldingKind.SECONDARY, "privateIpAddressesSet", problems),
        *holdings(prefixes, "ipv4Prefix", HoldingKind.PREFIX, "ipv4Prefixes", problems),
    )
    return (_assigned(call, added, "assignedPrivateIpAddressesSet"),)


def _assign_ipv6(call: CallBody) -> tuple[Subject, ...]:
    request, response, problems = call.request, call.response, call.problems
    addresses = response.get("assignedIpv6Addresses", request.get("ipv6Addresses"))
    prefixes = response.get("assignedIpv6PrefixSet", request.get("ipv6Prefixes"))
    added = (
        *holdings(addresses, "ipv6Address", HoldingKind.IPV6, "ipv6Addresses", problems),
        *holdings(prefixes, "ipv6Prefix", HoldingKind.IPV6_PREFIX, "ipv6Prefixes", problems),
    )
    return (_assigned(call, added, "assignedIpv6Addresses"),)


def _assigned(call: CallBody, added: tuple[Holding, ...], field: str) -> Subject:
    if not added and not call.problems:
        call.lacks(field, call.response.get(field), "a set of addresses")
    requested, kind = _requested(call.request)
    return Subject(
        eni=call.need("networkInterfaceId", _eni_of(call)),
        added=added if call.ok else (),
        requested=requested,
        requested_kind=kind,
        requested_addresses=_requested_addresses(call.request),
        reassign=flag(call.request.get("allowReassignment")) is True,
    )


def _eni_of(call: CallBody) -> object:
    """Return the ENI of a call; if CloudTrail omitted the request, the response repeats it."""
    source = call.response if "request" in call.omitted else call.request
    return source.get("networkInterfaceId")


def _unassign(call: CallBody) -> tuple[Subject, ...]:
    """UnassignPrivateIpAddresses: only the request names the addresses."""
    request, problems = call.request, call.problems
    removed = (
        *held(request.get("privateIpAddressesSet"), "privateIpAddress", "privateIpAddressesSet", problems),
        *held(request.get("ipv4Prefixes"), "ipv4Prefix", "ipv4Prefixes", problems),
    )
    return (_unassigned(call, removed),)


def _unassign_ipv6(call: CallBody) -> tuple[Subject, ...]:
    request, response, problems = call.request, call.response, call.problems
    addresses = response.get("unassignedIpv6Addresses", request.get("ipv6Addresses"))
    prefixes = response.get("unassignedIpv6PrefixSet", request.get("ipv6Prefixes"))
    removed = (
        *held(addresses, "ipv6Address", "ipv6Addresses", problems),
        *held(prefixes, "ipv6Prefix", "ipv6Prefixes", problems),
    )
    return (_unassigned(call, removed),)


def _unassigned(call: CallBody, removed: tuple[Held, ...]) -> Subject:
    if not removed and not call.problems:
        call.lacks("requestParameters", call.request, "a request that names addresses")
    return Subject(
        eni=call.need("networkInterfaceId", call.request.get("networkInterfaceId")),
        removed=removed if call.ok else (),
        requested_addresses=_requested_addresses(call.request),
    )


def _interface(described: Fields, problems: Problems) -> Subject:
    """Return an ENI as the responses of CreateNetworkInterface and RunInstances describe it."""
    attachment = fields(described.get("attachment"))
    return Subject(
        eni=text(described.get("networkInterfaceId")),
        instance=text(attachment.get("instanceId")),
        attachment=text(attachment.get("attachmentId")),
        vpc=text(described.get("vpcId")),
        subnet=text(described.get("subnetId")),
        added=tuple(_described_holdings(described, problems)),
        details=Details(
            device_index=number(attachment.get("deviceIndex")),
            delete_on_termination=flag(attachment.get("deleteOnTermination")),
            description=text(described.get("description")),
            interface_type=text(described.get("interfaceType")),
            requester=text(described.get("requesterId")) if flag(described.get("requesterManaged")) else None,
            tags=tags(described.get("tagSet")),
        ),
    )


def mark_of(description: str | None, tagged: tuple[tuple[str, str], ...]) -> CniMark | None:
    """Return the instance for which the VPC CNI made an ENI, and where it says so (description or tag)."""
    described = _CNI_DESCRIPTION.fullmatch(description or "")
    if described:
        return CniMark(described["instance"], InstanceBasis.DESCRIPTION)
    instance = dict(tagged).get(_CNI_TAG, "")
    return CniMark(instance, InstanceBasis.TAG) if _INSTANCE.fullmatch(instance) else None


def _described_holdings(described: Fields, problems: Problems) -> Iterator[Holding]:
    """Yield the addresses and prefixes of a described ENI; its primary address is listed twice."""
    primary = text(described.get("privateIpAddress"))
    listed = list(map(fields, elements(described.get("privateIpAddressesSet"))))
    if primary is not None and not any(
        flag(element.get("primary")) is True or element.get("privateIpAddress") == primary
        for element in listed
    ):
        listed.insert(0, {"privateIpAddress": primary, "primary": True})
    for element in listed:
        is_primary = flag(element.get("primary")) is True or element.get("privateIpAddress") == primary
        kind = HoldingKind.PRIMARY if is_primary else HoldingKind.SECONDARY
        yield from holdings([element], "privateIpAddress", kind, "privateIpAddressesSet", problems)
    for names, key, kind in (
        (("ipv4PrefixSet", "ipv4Prefixes"), "ipv4Prefix", HoldingKind.PREFIX),
        (("ipv6AddressesSet",), "ipv6Address", HoldingKind.IPV6),
        (("ipv6PrefixSet", "ipv6Prefixes"), "ipv6Prefix", HoldingKind.IPV6_PREFIX),
    ):
        for name in names:
            yield from holdings(described.get(name), key, kind, name, problems)


def _create_interface(call: CallBody) -> tuple[Subject, ...]:
    request = call.request
    described = fields(call.response.get("networkInterface"))
    requested, kind = _requested(request)
    description, tagged = text(request.get("description")), _tags_of(request, "network-interface")
    of_cilium = _CILIUM_DESCRIPTION.fullmatch(description or "")
    asked = Subject(
        subnet=text(request.get("subnetId")),
        requested=requested,
        requested_kind=kind,
        requested_addresses=_requested_addresses(request)
        or texts(request.get("privateIpAddress"), "privateIpAddress"),
        details=Details(
            description=description,
            mark=mark_of(description, tagged),
            served=of_cilium["instance"] if of_cilium else None,
            interface_type=text(request.get("interfaceType")),
            tags=tagged,
        ),
    )
    if not call.ok:
        return (asked,)
    call.need("networkInterface.networkInterfaceId", described.get("networkInterfaceId"))
    made = _interface(described, call.problems)
    if not made.added and not call.problems:
        addresses = described.get("privateIpAddressesSet")
        call.lacks("networkInterface.privateIpAddressesSet", addresses, "a set of addresses")
    return (
        replace(
            made,
            subnet=made.subnet or asked.subnet,
            requested=asked.requested,
            requested_kind=asked.requested_kind,
            requested_addresses=asked.requested_addresses,
            details=_made_as_asked(made.details, asked.details),
        ),
    )


def _made_as_asked(made: Details, asked: Details) -> Details:
    """Return the details of an ENI: as the response has them, and what only the request has."""
    return replace(
        made,
        description=made.description or asked.description,
        mark=mark_of(made.description, made.tags) or asked.mark,
        served=asked.served,
        interface_type=made.interface_type or asked.interface_type,
        tags=made.tags or asked.tags,
    )


def _tags_of(request: Fields, resource_type: str) -> tuple[tuple[str, str], ...]:
    """Return the tags for resources of one type from the request's tagSpecificationSet."""
    specifications = map(fields, elements(request.get("tagSpecificationSet")))
    matching = (spec for spec in specifications if spec.get("resourceType") == resource_type)
    return tuple(pair for spec in matching for pair in tags(spec.get("tags")))


def _attach(call: CallBody) -> tuple[Subject, ...]:
    return (
        Subject(
            eni=call.need("networkInterfaceId", call.request.get("networkInterfaceId")),
            instance=call.need("instanceId", call.request.get("instanceId")),
            attachment=call.need("attachmentId", call.response.get("attachmentId")),
            details=Details(device_index=number(call.request.get("deviceIndex"))),
        ),
    )


def _detach(call: CallBody) -> tuple[Subject, ...]:
    return (
        Subject(
            attachment=call.need("attachmentId", call.request.get("attachmentId")),
            details=Details(force=flag(call.request.get("force")) is True),
        ),
    )


def _delete(call: CallBody) -> tuple[Subject, ...]:
    return (Subject(eni=call.need("networkInterfaceId", call.request.get("networkInterfaceId"))),)


def _modify(call: CallBody) -> tuple[Subject, ...]:
    """ModifyNetworkInterfaceAttribute: one attribute per call, wrapped as ``{"value": …}``."""
    changed, description = call.request.get("attachment"), call.request.get("description")
    attachment = fields(changed)
    on_termination = _value(attachment.get("deleteOnTermination"))
    if (changed and not attachment) or (on_termination is not None and flag(on_termination) is None):
        call.lacks("attachment", changed, "an attachment")
    description = _value(description)
    if not isinstance(description, str | None) and description != {}:
        call.lacks("description", description, "a text")
    return (
        Subject(
            eni=call.need("networkInterfaceId", call.request.get("networkInterfaceId")),
            attachment=text(attachment.get("attachmentId")),
            details=Details(
                delete_on_termination=flag(on_termination),
                description=description if isinstance(description, str) else None,
                mark=mark_of(text(description), ()),
                changes=tuple(_changes(call.request)),
            ),
        ),
    )


_NOT_CHANGED = ("networkInterfaceId", "dryRun")
"""What a request to change an attribute has beside the attribute."""


def _changes(request: Fields) -> Iterator[AttributeChange]:
    """Yield the attributes that a request sets, by name; of structures, only the name.

    EC2 refuses more than one attribute, but the record of such a call names them all. An attribute that is
    null or empty is not set: an ENI has at least one security group, and a description is removed by ``""``.
    """
    for name in sorted(request.keys() - {*_NOT_CHANGED}):
        asked = request[name]
        value = _value(asked)
        if value is None or value in ({}, []) or (value == "" and name != "description"):
            continue
        match name:
            case "attachment":
                yield from _attachment_changes(fields(asked))
            case "groupSet":
                groups = texts(asked, "groupId")
                if groups or elements(asked):
                    known = all(group.startswith("sg-") for group in groups)
                    yield AttributeChange(name, groups if groups and known else None)
            case "description":
                yield AttributeChange(name, value if isinstance(value, str) else None)
            case _:
                yield AttributeChange(name, flag(value))


def _attachment_changes(attachment: Fields) -> Iterator[AttributeChange]:
    on_termination = flag(_value(attachment.get("deleteOnTermination")))
    if on_termination is not None:
        yield AttributeChange("deleteOnTermination", on_termination)
    if attachment.keys() - {"attachmentId", "deleteOnTermination"}:
        yield AttributeChange("attachment", None)


def _value(asked: object) -> object:
    """Return the value of an attribute, bare or as ``{"value": …}``."""
    return asked["value"] if isinstance(asked, dict) and "value" in asked else asked


def _run_instances(call: CallBody) -> tuple[Subject, ...]:
    """RunInstances: one subject for each ENI of each instance.

    Without its response, what a launch requested is all that is known of it.
    """
    named = list(map(fields, elements(call.request.get("networkInterfaceSet"))))
    instances = list(map(fields, elements(call.response.get("instancesSet"))))
    if not call.ok or not instances:
        return _requested_launch(call, named)
    existing = {text(interface.get("networkInterfaceId")) for interface in named}
    return tuple(subject for instance in instances for subject in _launched(call, instance, existing))


def _requested_launch(call: CallBody, named: Sequence[Fields]) -> tuple[Subject, ...]:
    """Return the ENIs that the request of a launch names, or describes."""
    asked = tuple(_asked_for(call.request, interface) for interface in named or [{}])
    if not call.ok:
        return asked
    call.lacks("instancesSet", call.response.get("instancesSet"), "a set of instances")
    count = _launch_count(call.request)
    return tuple(
        replace(
            subject,
            requested=count,
            details=replace(subject.details, existing=subject.eni is not None),
        )
        for subject in asked
    )


def _launched(call: CallBody, instance: Fields, existing: Container[str | None]) -> Iterator[Subject]:
    """Yield the ENIs of a launched instance; ``existing`` are those from before the call."""
    of_instance = Details(
        instance_type=text(instance.get("instanceType")),
        tags=tags(instance.get("tagSet")),
        platform=text(instance.get("platform")),
    )
    launched = Subject(
        instance=call.need("instancesSet.instanceId", instance.get("instanceId")),
        vpc=text(instance.get("vpcId")),
        subnet=text(instance.get("subnetId")),
        details=of_instance,
    )
    interfaces = list(map(fields, elements(instance.get("networkInterfaceSet"))))
    for interface in interfaces:
        made = _interface(interface, call.problems)
        call.need("networkInterfaceSet.networkInterfaceId", made.eni)
        details = replace(
            made.details,
            existing=made.eni in existing,
            instance_type=of_instance.instance_type,
            tags=of_instance.tags,
            platform=of_instance.platform,
        )
        yield replace(made, instance=launched.instance, details=details)
    if not interfaces:
        yield replace(launched, added=_instance_holdings(instance, call.problems))


def _instance_holdings(instance: Fields, problems: Problems) -> tuple[Holding, ...]:
    """Return the addresses of an instance that is described without its ENIs (EC2-Classic, some exports)."""
    return (
        *holdings(
            instance.get("privateIpAddress"),
            "privateIpAddress",
            HoldingKind.PRIMARY,
            "instancesSet",
            problems,
        ),
        *holdings(instance.get("ipv6Address"), "ipv6Address", HoldingKind.IPV6, "instancesSet", problems),
    )


def _launch_count(request: Fields) -> int | None:
    """Return the maximum number of instances that a launch requested."""
    images = (request, *map(fields, elements(request.get("instancesSet"))))
    counts = (number(image.get("maxCount")) for image in images)
    return next((count for count in counts if count is not None), None)


def _asked_for(request: Fields, interface: Fields) -> Subject:
    """Return an ENI as a failed launch requested it."""
    address = interface.get("privateIpAddress") or request.get("privateIpAddress")
    return Subject(
        eni=text(interface.get("networkInterfaceId")),
        subnet=text(interface.get("subnetId")) or text(request.get("subnetId")),
        requested_addresses=texts(address, "privateIpAddress"),
        details=Details(
            device_index=number(interface.get("deviceIndex")), instance_type=text(request.get("instanceType"))
        ),
    )


def _create_fleet(call: CallBody) -> tuple[Subject, ...]:
    """CreateFleet of type instant: its response names the instances; RunInstances has their ENIs."""
    if not call.request:
        call.lacks("requestParameters", call.request, "a request with a type")
    if call.request.get("type") != "instant" and "request" not in call.omitted:
        return ()
    if not call.ok or call.omitted:
        return (Subject(),)
    fleets = map(fields, elements(call.response.get("fleetInstanceSet")))
    return tuple(
        Subject(instance=instance, details=Details(instance_type=text(fleet.get("instanceType"))))
        for fleet in fleets
        for instance in call.ids("fleetInstanceSet.instanceIds", fleet.get("instanceIds"), "instanceId")
    )


def _terminate(call: CallBody) -> tuple[Subject, ...]:
    """TerminateInstances also succeeds for terminated instances, which their previous state shows."""
    ended, asked = call.response.get("instancesSet"), call.request.get("instancesSet")
    answered = bool(texts(ended, "instanceId"))
    instances = call.ids("instancesSet", ended if answered else asked, "instanceId")
    before = {
        text(instance.get("instanceId")): text(fields(instance.get("previousState")).get("name"))
        for instance in map(fields, elements(ended))
    }
    subjects = (
        Subject(instance=name, details=Details(previous_state=before.get(name))) for name in instances
    )
    return tuple(subjects) or (Subject(),)


def _bid_evicted(call: CallBody) -> tuple[Subject, ...]:
    evicted = call.details.get("instanceIdSet")
    instances = call.ids("serviceEventDetails.instanceIdSet", evicted, "instanceId")
    return tuple(
        Subject(instance=instance, details=Details(previous_state="running")) for instance in instances
    )


def _associate_trunk(call: CallBody) -> tuple[Subject, ...]:
    association = fields(call.response.get("interfaceAssociation"))
    return (
        Subject(
            eni=call.need("branchInterfaceId", call.request.get("branchInterfaceId")),
            details=Details(
                trunk=call.need("trunkInterfaceId", call.request.get("trunkInterfaceId")),
                association=call.need("interfaceAssociation.associationId", association.get("associationId")),
            ),
        ),
    )


def _disassociate_trunk(call: CallBody) -> tuple[Subject, ...]:
    return (
        Subject(details=Details(association=call.need("associationId", call.request.get("associationId")))),
    )


def _create_tags(call: CallBody) -> tuple[Subject, ...]:
    """CreateTags on ENIs and instances; on any other resource it is not relevant."""
    new = tags(call.request.get("tagSet"))
    resources = call.ids("resourcesSet", call.request.get("resourcesSet"), "resourceId")
    if "request" in call.omitted:
        return (Subject(),)
    return tuple(
        Subject(eni=resource, details=Details(tags=new, mark=mark_of(None, new)))
        if resource.startswith("eni-")
        else Subject(instance=resource, details=Details(tags=new))
        for resource in resources
        if resource.startswith(("eni-", "i-"))
    )


def _associate_address(call: CallBody) -> tuple[Subject, ...]:
    """AssociateAddress names the ENI, or the instance whose primary ENI gets the address."""
    request = call.request
    instance = text(request.get("instanceId"))
    eni = request.get("networkInterfaceId")
    return (
        Subject(
            eni=text(eni) if instance else call.need("networkInterfaceId", eni),
            instance=instance,
            requested_addresses=texts(request.get("privateIpAddress"), "privateIpAddress"),
            details=Details(
                association=text(call.response.get("associationId")),
                public_address=text(request.get("publicIp")),
                allocation=text(request.get("allocationId")),
            ),
        ),
    )


def _disassociate_address(call: CallBody) -> tuple[Subject, ...]:
    address = text(call.request.get("publicIp"))
    association = call.request.get("associationId")
    return (
        Subject(
            details=Details(
                association=text(association) if address else call.need("associationId", association),
                public_address=address,
            )
        ),
    )


def _create_subnet(call: CallBody) -> tuple[Subject, ...]:
    """CreateSubnet: its IPv4 block shows how many addresses the subnet has."""
    made = fields(call.response.get("subnet"))
    block = prefix(text(made.get("cidrBlock")) or text(call.request.get("cidrBlock")) or "")
    subnet = call.need("subnet.subnetId", made.get("subnetId"))
    return (
        Subject(
            subnet=subnet,
            vpc=text(made.get("vpcId")) or text(call.request.get("vpcId")),
            details=Details(resource=subnet, cidr=block if isinstance(block, IPv4Network) else None),
        ),
    )


EVENTS: dict[str, tuple[Effect, Decoder]] = {
    "AssignIpv6Addresses": (Effect.ASSIGN, _assign_ipv6),
    "AssignPrivateIpAddresses": (Effect.ASSIGN, _assign),
    "AssignPrivateNatGatewayAddress": (Effect.ASSIGN, add_nat_gateway_addresses),
    "AssociateAddress": (Effect.MODIFY, _associate_address),
    "AssociateNatGatewayAddress": (Effect.ASSIGN, add_nat_gateway_addresses),
    "AssociateTrunkInterface": (Effect.ATTACH, _associate_trunk),
    "AttachNetworkInterface": (Effect.ATTACH, _attach),
    "BidEvictedEvent": (Effect.TERMINATE, _bid_evicted),
    "CreateFleet": (Effect.LAUNCH, _create_fleet),
    "CreateMountTarget": (Effect.CREATE, create_mount_target),
    "CreateNatGateway": (Effect.CREATE, create_nat_gateway),
    "CreateNetworkInterface": (Effect.CREATE, _create_interface),
    "CreateSubnet": (Effect.CREATE, _create_subnet),
    "CreateTags": (Effect.MODIFY, _create_tags),
    "CreateVpcEndpoint": (Effect.CREATE, create_vpc_endpoint),
    "DeleteMountTarget": (Effect.DELETE, delete_mount_target),
    "DeleteNatGateway": (Effect.DELETE, delete_nat_gateway),
    "DeleteNetworkInterface": (Effect.DELETE, _delete),
    "DeleteVpcEndpoints": (Effect.DELETE, delete_vpc_endpoints),
    "DetachNetworkInterface": (Effect.DETACH, _detach),
    "DisassociateAddress": (Effect.MODIFY, _disassociate_address),
    "DisassociateNatGatewayAddress": (Effect.UNASSIGN, remove_nat_gateway_addresses),
    "DisassociateTrunkInterface": (Effect.DETACH, _disassociate_trunk),
    "ModifyNetworkInterfaceAttribute": (Effect.MODIFY, _modify),
    "ModifyVpcEndpoint": (Effect.ASSIGN, modify_vpc_endpoint),
    "RunInstances": (Effect.LAUNCH, _run_instances),
    "TerminateInstances": (Effect.TERMINATE, _terminate),
    "UnassignIpv6Addresses": (Effect.UNASSIGN, _unassign_ipv6),
    "UnassignPrivateIpAddresses": (Effect.UNASSIGN, _unassign),
    "UnassignPrivateNatGatewayAddress": (Effect.UNASSIGN, remove_nat_gateway_addresses),
}
"""What each event does, and the function that reads its subjects."""

EC2 = "ec2.amazonaws.com"
EVENT_SOURCES = dict.fromkeys(EVENTS, EC2) | dict.fromkeys(
    ("CreateMountTarget", "DeleteMountTarget"), "elasticfilesystem.amazonaws.com"
)
"""The eventSource of each event."""
