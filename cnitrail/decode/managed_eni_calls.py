"""The calls that create, change and delete resources for which AWS manages ENIs.

These are NAT gateways, VPC endpoints (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/) and EFS mount
targets (https://docs.aws.amazon.com/efs/latest/ug/API_CreateMountTarget.html). Their ENIs may have no event
of their own.
"""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from cnitrail.decode.call_body import CallBody
from cnitrail.decode.shapes import (
    Fields,
    Problems,
    elements,
    fields,
    flag,
    held,
    holdings,
    number,
    text,
    texts,
)
from cnitrail.model import Details, Holding, HoldingKind, Subject

_ADDRESSES = "natGatewayAddressSet"
_SECONDARY = ("privateIp", HoldingKind.SECONDARY, _ADDRESSES)


def create_nat_gateway(call: CallBody) -> tuple[Subject, ...]:
    """CreateNatGateway: EC2 makes the ENI, mostly after the call; few responses name it, or its addresses."""
    gateway = fields(call.response.get("natGateway"))
    asked = _gateway(call, gateway, [], None)
    if not call.ok:
        requested = texts(call.request.get("privateIpAddress"), "privateIpAddress")
        return (replace(asked, requested_addresses=requested),)
    call.need("natGateway.natGatewayId", asked.details.resource)
    by_eni = _by_eni(map(fields, elements(gateway.get(_ADDRESSES))))
    return tuple(_gateway(call, gateway, addresses, eni) for eni, addresses in by_eni.items()) or (asked,)


def _gateway(call: CallBody, gateway: Fields, addresses: list[Fields], eni: str | None) -> Subject:
    """Return an ENI of a NAT gateway with its addresses."""
    request = call.request
    first = next(iter(addresses), {})
    return Subject(
        eni=eni,
        vpc=text(gateway.get("vpcId")) or text(request.get("vpcId")),
        subnet=text(gateway.get("subnetId")) or text(request.get("subnetId")),
        added=tuple(_gateway_holdings(addresses, call.problems)),
        details=Details(
            resource=text(gateway.get("natGatewayId")),
            interface_type="nat_gateway",
            public_address=text(first.get("publicIp")),
            allocation=text(first.get("allocationId")) or text(request.get("allocationId")),
        ),
    )


def _gateway_holdings(addresses: list[Fields], problems: Problems) -> Iterator[Holding]:
    """Yield the addresses of an ENI; the first one is the primary address, unless another is marked as it."""
    marked = [address for address in addresses if flag(address.get("isPrimary"))]
    primary = next(iter(marked or addresses), None)
    for address in addresses:
        kind = HoldingKind.PRIMARY if address is primary else HoldingKind.SECONDARY
        yield from holdings(address.get("privateIp"), "privateIp", kind, _ADDRESSES, problems)


def _by_eni(addresses: Iterable[Fields]) -> dict[str | None, list[Fields]]:
    """Return the addresses of a NAT gateway by their ENI."""
    by_eni: dict[str | None, list[Fields]] = {}
    for address in addresses:
        by_eni.setdefault(text(address.get("networkInterfaceId")), []).append(address)
    return by_eni


def add_nat_gateway_addresses(call: CallBody) -> tuple[Subject, ...]:
    """AssignPrivateNatGatewayAddress and AssociateNatGatewayAddress: secondary addresses of a NAT gateway."""
    asked = _asked_of_gateway(call)
    if not call.ok:
        return (asked,)
    return tuple(
        replace(asked, eni=eni, added=holdings(listed, *_SECONDARY, call.problems))
        for eni, listed in _changed_addresses(call, asked).items()
    )


def remove_nat_gateway_addresses(call: CallBody) -> tuple[Subject, ...]:
    """UnassignPrivateNatGatewayAddress and DisassociateNatGatewayAddress.

    AWS releases the addresses when their connections have ended, or after MaxDrainDurationSeconds.
    """
    asked = _asked_of_gateway(call)
    if not call.ok:
        return (asked,)
    return tuple(
        replace(asked, eni=eni, removed=held(listed, "privateIp", _ADDRESSES, call.problems))
        for eni, listed in _changed_addresses(call, asked).items()
    )


def _asked_of_gateway(call: CallBody) -> Subject:
    gateway = text(call.request.get("natGatewayId")) or text(call.response.get("natGatewayId"))
    return Subject(
        requested=number(call.request.get("privateIpAddressCount")),
        requested_addresses=texts(call.request.get("privateIpAddress"), "content"),
        details=Details(resource=call.need("natGatewayId", gateway), interface_type="nat_gateway"),
    )


def _changed_addresses(call: CallBody, asked: Subject) -> dict[str | None, list[Fields]]:
    """Return the addresses of each ENI in a response; if it has none, those that the request names."""
    listed = map(fields, elements(call.response.get(_ADDRESSES)))
    named = _by_eni(address for address in listed if text(address.get("privateIp")) is not None)
    return named or {None: [{"privateIp": name} for name in asked.requested_addresses]}


def delete_nat_gateway(call: CallBody) -> tuple[Subject, ...]:
    """DeleteNatGateway names the gateway, and none of its ENIs."""
    return (Subject(details=Details(resource=call.need("natGatewayId", call.request.get("natGatewayId")))),)


def create_vpc_endpoint(call: CallBody) -> tuple[Subject, ...]:
    """CreateVpcEndpoint: the response may name ENIs, but no addresses; a gateway endpoint has no ENI."""
    if not call.request and not call.response:
        call.lacks("requestParameters", call.request, "a request with a type")
    endpoint = fields(call.response.get("vpcEndpoint"))
    enis = texts(endpoint.get("networkInterfaceIdSet"), "networkInterfaceId")
    kind = text(endpoint.get("vpcEndpointType")) or text(call.request.get("vpcEndpointType"))
    if kind in (None, "Gateway") and not enis and not call.omitted:
        return ()
    subnets = texts(call.request.get("subnetId"), "content")
    made = Subject(
        vpc=text(endpoint.get("vpcId")) or text(call.request.get("vpcId")),
        subnet=subnets[0] if len(subnets) == 1 else None,
        details=Details(resource=text(endpoint.get("vpcEndpointId")), interface_type="vpc_endpoint"),
    )
    call.need("vpcEndpoint.vpcEndpointId", made.details.resource)
    return tuple(replace(made, eni=eni) for eni in enis) or (made,)


def modify_vpc_endpoint(call: CallBody) -> tuple[Subject, ...]:
    """ModifyVpcEndpoint: AWS makes an ENI in each subnet that it adds, and no record names the address."""
    if not call.request:
        call.lacks("requestParameters", call.request, "a request that names an endpoint")
    added = (call.request.get("addSubnetId"), call.request.get("subnetConfiguration"))
    if not any(added) and "request" not in call.omitted:
        return ()
    endpoint = call.need("vpcEndpointId", call.request.get("vpcEndpointId"))
    return (Subject(details=Details(resource=endpoint, interface_type="vpc_endpoint")),)


def delete_vpc_endpoints(call: CallBody) -> tuple[Subject, ...]:
    """DeleteVpcEndpoints names endpoints, and none of their ENIs; its response lists those that it kept."""
    asked = call.ids("vpcEndpointId", call.request.get("vpcEndpointId"), "content")
    kept = texts(call.response.get("unsuccessful"), "resourceId")
    named = [endpoint for endpoint in asked if endpoint not in kept] if asked else [None]
    return tuple(
        Subject(details=Details(resource=endpoint, interface_type="vpc_endpoint")) for endpoint in named
    )


def create_mount_target(call: CallBody) -> tuple[Subject, ...]:
    """CreateMountTarget of EFS: the response names the ENI that EFS makes, and its address."""
    request, response, problems = call.request, call.response, call.problems
    made = Subject(
        vpc=text(response.get("vpcId")),
        subnet=text(response.get("subnetId")) or text(request.get("subnetId")),
        requested_addresses=(
            *texts(request.get("ipAddress"), "ipAddress"),
            *texts(request.get("ipv6Address"), "ipv6Address"),
        ),
        details=Details(resource=text(response.get("mountTargetId")), interface_type="efs"),
    )
    if not call.ok:
        return (made,)
    added = (
        *holdings(response.get("ipAddress"), "ipAddress", HoldingKind.PRIMARY, "ipAddress", problems),
        *holdings(response.get("ipv6Address"), "ipv6Address", HoldingKind.IPV6, "ipv6Address", problems),
    )
    if not added and not problems:
        call.lacks("ipAddress", response.get("ipAddress"), "an address")
    eni = call.need("networkInterfaceId", response.get("networkInterfaceId"))
    return (replace(made, eni=eni, added=added),)


def delete_mount_target(call: CallBody) -> tuple[Subject, ...]:
    """DeleteMountTarget names the mount target, and not its ENI."""
    return (Subject(details=Details(resource=call.need("mountTargetId", call.request.get("mountTargetId")))),)
