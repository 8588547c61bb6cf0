"""requestParameters and responseElements as CloudTrail Lake writes them: ``{instanceId=i-0a, tagSet={}}``.

Their type is ``map<string,string>``
(https://docs.aws.amazon.com/awscloudtrail/latest/userguide/query-supported-event-schemas.html): objects and
lists are JSON texts, and nothing else is quoted. What callers choose, such as a description, could look like
further parameters (``description=x, networkInterfaceId=eni-…``). So a text is read only if there is no other
way to read it.
"""

import json
import re
from typing import Final

from cnitrail.jsontext import json_list, json_object
from cnitrail.scan.rows.values import Columns

_KEY = re.compile(r"([\w.:-]+)=")
_NEXT = re.compile(r", (?=[\w.:-]+=)")
_WITHOUT_BLANKS = re.compile(r"(?:[^\s{}\[\]\",]|,(?! ))*+(?=, |\Z)")
_WRAPPER = re.compile(r"[A-Z][A-Za-z0-9]+(?:Request|Response)")
"""The key under which some calls of EC2 have all their parameters."""

_VALUES: Final = frozenset(
    (
        *("networkInterfaceId", "subnetId", "vpcId", "instanceId", "imageId", "attachmentId"),
        *("associationId", "allocationId", "branchInterfaceId", "trunkInterfaceId", "kernelId", "ramdiskId"),
        *("instanceType", "interfaceType", "availabilityZone", "availabilityZoneId", "type", "domain"),
        *("publicIp", "privateIpAddress", "deviceIndex", "networkCardIndex", "vlanId", "greKey"),
        *("secondaryPrivateIpAddressCount", "ipv4PrefixCount", "ipv6PrefixCount", "ipv6AddressCount"),
        *("allowReassignment", "allowReassociation", "force", "dryRun", "minCount", "maxCount"),
        *("disableApiTermination", "disableApiStop", "ebsOptimized", "enablePrimaryIpv6"),
        *("instanceInitiatedShutdownBehavior", "requestId", "requesterId", "reservationId", "ownerId"),
        *("_return", "return", "fleetId", "excessCapacityTerminationPolicy", "replaceUnhealthyInstances"),
        *("terminateInstancesWithExpiration", "validFrom", "validUntil", "userData"),
        *("roleArn", "roleSessionName", "durationSeconds", "externalId", "sourceIdentity", "serialNumber"),
        *("provider", "providerId", "packedPolicySize", "name", "trailName", "trailARN", "s3BucketName"),
        *("includeGlobalServiceEvents", "isMultiRegionTrail", "isOrganizationTrail", "snsTopicName"),
        *("enableLogFileValidation", "logFileValidationEnabled", "snsTopicARN", "kmsKeyId", "bucketName"),
        *("cloudWatchLogsLogGroupArn", "cloudWatchLogsRoleArn", "Host"),
    )
)
"""Parameters of the calls that matter whose values cannot have a blank: IDs, ARNs, numbers, names, and
``userData``, which CloudTrail redacts."""

_OBJECTS: Final = frozenset(
    (
        *("networkInterfaceSet", "instancesSet", "privateIpAddressesSet", "assignedPrivateIpAddressesSet"),
        *("ipv4Prefixes", "assignedIpv4PrefixSet", "ipv6Addresses", "assignedIpv6Addresses"),
        *("ipv6AddressesSet", "ipv6Prefixes", "assignedIpv6PrefixSet", "unassignedIpv6Addresses"),
        *("unassignedIpv6PrefixSet", "groupSet", "tagSpecificationSet", "tagSet", "resourcesSet"),
        *("blockDeviceMapping", "monitoring", "placement", "iamInstanceProfile", "cpuOptions"),
        *("capacityReservationSpecification", "metadataOptions", "maintenanceOptions", "hibernationOptions"),
        *("privateDnsNameOptions", "enclaveOptions", "launchTemplate", "creditSpecification"),
        *("instanceMarketOptions", "licenseSet", "networkInterface", "attachment", "sourceDestCheck"),
        *("interfaceAssociation", "fleetInstanceSet", "errorSet", "launchTemplateConfigs"),
        *("targetCapacitySpecification", "spotOptions", "onDemandOptions", "instanceIdSet"),
        *("credentials", "assumedRoleUser", "tags", "policyArns", "transitiveTagKeys"),
        *("eventSelectors", "advancedEventSelectors", "insightSelectors", "bucketPolicy"),
    )
)
"""Parameters that are an object or a list, so that Lake has their JSON text."""

_LONGEST: Final = {"clientToken": 64, "description": 255, "keyName": 255}
"""Maximum lengths of texts that callers choose (the EC2 API reference). Others have no limit here."""

_WEB_IDENTITY: Final = frozenset(("credentials", "subjectFromWebIdentityToken", "provider", "audience"))
"""What the response of AssumeRoleWithWebIdentity always has besides ``assumedRoleUser``: a subject or an
audience that looks like further fields repeats one of these."""


def parameters_of(text: str) -> Columns | None:
    """Return the parameters in a map's text; None if it cannot be read in one way only."""
    if not (text.startswith("{") and text.endswith("}")):
        return None
    body, at = text[1:-1], 0
    found: Columns = {}
    is_certain = True
    while at < len(body):
        key = _KEY.match(body, at)
        if key is None or key[1] in found:
            return None
        name, start = key[1], key.end()
        end = _end(body, name, start)
        if end is None or not (end == len(body) or body.startswith(", ", end)):
            return None
        found[name] = _value(name, body[start:end])
        if found[name] is None and body[start:end] != "null":
            return None
        is_certain = is_certain and (not _is_free_text(name) or _is_the_only_end(body, name, start, end))
        at = end + 2
    return found if is_certain or found.keys() - {"assumedRoleUser"} == _WEB_IDENTITY else None


def of_map(parameters: Columns) -> Columns:
    """Return the parameters in a map from names to texts, ``map<string,string>``; anything else as it is."""
    if not all(text is None or isinstance(text, str) for text in parameters.values()):
        return parameters
    found = {name: _value(name, text) for name, text in parameters.items() if isinstance(text, str)}
    unread = {name for name, value in found.items() if value is None and parameters[name] != "null"}
    return parameters | {name: value for name, value in found.items() if name not in unread}


def _value(name: str, text: str) -> object:
    """Return the value of a parameter; None if it is null or cannot be read."""
    if _is_object(name):
        return json_object(text) if text.startswith("{") else json_list(text)
    return _FLAGS.get(text, text) if name in _VALUES else text


_FLAGS: Final = {"true": True, "false": False, "null": None}


def _is_object(name: str) -> bool:
    return name in _OBJECTS or _WRAPPER.fullmatch(name) is not None


def _is_free_text(name: str) -> bool:
    return name not in _VALUES and not _is_object(name)


def _end(body: str, name: str, at: int) -> int | None:
    """Return where the value of a parameter ends; None if it is not what that parameter can be."""
    if name in _VALUES:
        value = _WITHOUT_BLANKS.match(body, at)
        return value.end() if value else None
    if _is_object(name) and not body.startswith("null", at):
        return _json_end(body, at)
    following = _NEXT.search(body, at)
    return following.start() if following else len(body)


def _is_the_only_end(body: str, name: str, at: int, end: int) -> bool:
    """Return whether a text that a caller chose can end at one offset only: longer ones are too long."""
    longest = _LONGEST.get(name)
    if end == len(body):
        return longest is None or end - at <= longest
    following = _NEXT.search(body, end + 2)
    other = following.start() if following else len(body)
    return longest is not None and end - at <= longest < other - at


_DECODER: Final = json.JSONDecoder()


def _json_end(body: str, at: int) -> int | None:
    """Return where the JSON object or list that begins at an offset ends; None if there is none."""
    if not body.startswith(("{", "["), at):
        return None
    try:
        return _DECODER.raw_decode(body, at)[1]
    except (ValueError, RecursionError):
        return None
