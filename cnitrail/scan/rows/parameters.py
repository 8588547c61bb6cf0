"""The parameters of calls in typed columns, as Glue's crawlers make them → CloudTrail's names.

Such a column has a field for every name in any record, in lower case; most of them are null. What callers
choose (a description, the value of a tag) is a text like any other there, so only fields whose value is
always an object are read as one.
"""

from typing import Final

from cnitrail.jsontext import json_list, json_object
from cnitrail.scan.rows.values import Columns

_VALUES: Final = (
    *("accessKeyId", "addSubnetId", "allocationId", "allowReassignment", "associationId", "attachmentId"),
    *("availabilityZone", "availableIpAddressCount", "branchInterfaceId", "bucketName", "cidrBlock"),
    *("clientToken", "creationToken", "deleteOnTermination", "deviceIndex", "dryRun", "durationSeconds"),
    *("enableLogFileValidation", "enablePrimaryIpv6", "endsWith", "eventCategory", "eventName"),
    *("eventSource", "eventType", "externalId", "fileSystemId", "fleetId", "groupId", "groupName"),
    *("imageId", "includeGlobalServiceEvents", "includeManagementEvents", "instanceId", "instanceType"),
    *("interfaceType", "ipAddress", "ipv4Prefix", "ipv4PrefixCount", "ipv6Address", "ipv6AddressCount"),
    *("ipv6Prefix", "ipv6PrefixCount", "isMultiRegionTrail", "isOrganizationTrail", "isPrimary"),
    *("kmsKeyId", "macAddress", "maxCount", "minCount", "mountTargetId", "natGatewayId"),
    *("networkCardIndex", "networkInterfaceId", "ownerId", "principalId", "privateDnsName", "privateIp"),
    *(
        "privateIpAddress",
        "privateIpAddressCount",
        "publicIp",
        "readOnly",
        "readWriteType",
        "requestId",
        "requesterId",
    ),
    *("requesterManaged", "reservationId", "resourceId", "resourceType", "roleArn", "roleSessionName"),
    *("s3BucketName", "secondaryPrivateIpAddressCount", "serviceName", "sessionToken", "sourceIdentity"),
    *("startsWith", "subjectFromWebIdentityToken", "subnetId", "trailARN", "trailName"),
    *("trunkInterfaceId", "userName", "vpcEndpointId", "vpcEndpointType", "vpcId"),
    *("networkInterfaceIdSet", "instanceIds", "subnetIds"),
    *("notEquals", "notStartsWith", "notEndsWith"),
)
_OBJECTS: Final = (
    *("advancedEventSelectors", "assignedIpv4PrefixSet", "assignedIpv4PrefixSetType"),
    *("assignedIpv6Addresses", "assignedIpv6PrefixSet", "assignedIpv6PrefixSetType"),
    *("assignedPrivateIpAddressSetType", "assignedPrivateIpAddressesSet", "assumedRoleUser"),
    *("attachment", "bucketPolicy", "connectionTrackingSpecification", "credentials", "currentState"),
    *("enaSrdSpecification", "eventSelectors", "excludeManagementEventSources", "fieldSelectors"),
    *("fleetInstanceSet", "groupSet", "instanceIdSet", "instanceState", "instancesSet"),
    *("interfaceAssociation", "ipv4PrefixSet", "ipv4Prefixes", "ipv6Addresses", "ipv6AddressesSet"),
    *("ipv6PrefixSet", "ipv6Prefixes", "item", "items", "member", "natGateway", "natGatewayAddressSet"),
    *("networkInterface", "networkInterfaceSet", "previousState", "privateIpAddressesSet"),
    *("resourcesSet", "sourceDestCheck", "associatePublicIpAddress", "subnet", "tagSet"),
    *("subnetConfiguration",),
    *("tagSpecificationSet", "tags", "unassignedIpv6Addresses", "unassignedIpv6PrefixSet", "unsuccessful"),
    "vpcEndpoint",
)
"""Fields whose value is an object or a list; a crawler that has found both that and a text types a text."""

_CALLS: Final = (
    *("CreateFleet", "CreateNatGateway", "CreateVpcEndpoint", "DeleteNatGateway"),
    *("AssignPrivateNatGatewayAddress", "AssociateNatGatewayAddress", "DisassociateNatGatewayAddress"),
    *("UnassignPrivateNatGatewayAddress", "ModifyVpcEndpoint", "DeleteVpcEndpoints"),
    *("AssociateTrunkInterface", "DisassociateTrunkInterface"),
    *("AssignIpv6Addresses", "AssignPrivateIpAddresses", "UnassignIpv6Addresses"),
    *("UnassignPrivateIpAddresses", "AssociateAddress", "DisassociateAddress"),
    *("AttachNetworkInterface", "CreateNetworkInterface", "CreateSubnet", "CreateTags"),
    *("DeleteNetworkInterface", "DetachNetworkInterface", "ModifyNetworkInterfaceAttribute"),
    *("RunInstances", "TerminateInstances", "CreateMountTarget", "DeleteMountTarget"),
)
_ENVELOPES: Final = tuple(f"{call}{part}" for call in _CALLS for part in ("Request", "Response"))
"""The field under which some calls of EC2 have all their parameters."""

PARAMETER_NAMES: Final = {name.lower(): name for name in (*_VALUES, *_OBJECTS, *_ENVELOPES)}
"""The names of what ``decode`` reads of a request or response, by what a table makes of them."""

_NESTED: Final = frozenset((*_OBJECTS, *_ENVELOPES))
_ATTRIBUTES: Final = frozenset(("description", "deleteOnTermination"))
"""What ``Modify…Attribute`` calls have as ``{"value": …}``, and other calls as a bare value."""


def lacks_capitals(parameters: Columns) -> bool:
    """Return whether a request or response has a name that a table made of one of CloudTrail's."""
    return any(PARAMETER_NAMES.get(name, name) != name for name in parameters)


def restored_parameters(value: Columns, event_name: object, *, is_typed: bool) -> Columns:
    """Return a request or response with CloudTrail's names.

    If it ``is_typed``, without what is null, and with the objects in texts.
    """
    is_change = isinstance(event_name, str) and event_name.startswith("Modify")
    nested = _NESTED | _ATTRIBUTES if is_change else _NESTED
    return _object(value, nested if is_typed else None)


def _object(value: Columns, nested: frozenset[str] | None) -> Columns:
    """Return an object; ``nested`` are its fields that are objects, None if no text has to be parsed."""
    found: Columns = {}
    for column, cell in value.items():
        name = PARAMETER_NAMES.get(column, column)
        if nested is None:
            found[name] = _value(cell, None)
        elif cell is not None:
            found[name] = _value(_parsed(cell) if name in nested else cell, nested)
    return found


def _value(value: object, nested: frozenset[str] | None) -> object:
    if isinstance(value, dict):
        return _object(value, nested)
    if isinstance(value, list):
        return [_value(_parsed(item) if nested is not None else item, nested) for item in value]
    return value


def _parsed(cell: object) -> object:
    """Return the object or list in a text; anything else as it is."""
    if not isinstance(cell, str):
        return cell
    found = json_object(cell)
    if found is not None:
        return found
    listed = json_list(cell)
    return cell if listed is None else listed
