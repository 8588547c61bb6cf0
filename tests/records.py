"""CloudTrail records for tests: a valid one of every event, and helpers for scan and decode."""

import gzip
import json
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from hypothesis import strategies as st

from cnitrail.decode import MARKERS, NAMES, Decoded, decode
from cnitrail.decode.actor import actor_of
from cnitrail.model import Document, Effect, Event, Growth, IssuedSession, Origin, Record, Skipped, Subject
from cnitrail.scan import Scanner, Tally

Entry = dict[str, Any]

ENI = "eni-0a1b2c3d4e5f60718"
OTHER_ENI = "eni-0f1e2d3c4b5a69788"
INSTANCE = "i-0a1b2c3d4e5f60718"
OTHER_INSTANCE = "i-0f1e2d3c4b5a69788"
ATTACHMENT = "eni-attach-0123456789abcdef0"
SUBNET = "subnet-0123456789abcdef0"
VPC = "vpc-0123456789abcdef0"
NAT_GATEWAY = "nat-0123456789abcdef0"
ENDPOINT = "vpce-0123456789abcdef0"
MOUNT_TARGET = "fsmt-0123456789abcdef0"
ACCOUNT = "111122223333"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"

IAM_USER = {
    "type": "IAMUser",
    "principalId": "AIDAEXAMPLEEXAMPLE123",
    "arn": f"arn:aws:iam::{ACCOUNT}:user/ada",
    "accountId": ACCOUNT,
    "accessKeyId": "AKIAEXAMPLEEXAMPLE12",
    "userName": "ada",
}


def record(event: str, request: object = None, response: object = None, **fields: object) -> Entry:
    """A complete record; ``fields`` replace its top-level fields or add to them."""
    return {
        "eventVersion": "1.08",
        "userIdentity": deepcopy(IAM_USER),
        "eventTime": "2024-05-14T09:30:00Z",
        "eventSource": "ec2.amazonaws.com",
        "eventName": event,
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2.15.30 Python/3.11.8 Linux/5.10.205 exe/x86_64.amzn.2 prompt/off",
        "requestParameters": request,
        "responseElements": response,
        "requestID": "6f0c4f3a-1111-2222-3333-444455556666",
        "eventID": str(uuid5(NAMESPACE_URL, event)),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    } | fields


def failed(entry: Entry, code: str = "Client.UnauthorizedOperation", message: str | None = "no") -> Entry:
    """The same call, failed: its request is unchanged."""
    refused = deepcopy(entry) | {"errorCode": code, "responseElements": None}
    if message is not None:
        refused["errorMessage"] = message
    return refused


def items(*elements: object) -> Entry:
    """A set in the form of requests."""
    return {"items": list(elements)}


def addresses(*texts: str) -> list[Entry]:
    """Addresses as the elements of a set."""
    return [{"privateIpAddress": text} for text in texts]


# --- a good record of every event -------------------------------------------------------------

_NAT = {
    "CreateNatGatewayRequest": {
        "ConnectivityType": "public",
        "AllocationId": "eipalloc-0123456789abcdef0",
        "SubnetId": SUBNET,
    }
}
_NAT_MADE = {
    "CreateNatGatewayResponse": {
        "natGateway": {
            "natGatewayId": NAT_GATEWAY,
            "subnetId": SUBNET,
            "vpcId": VPC,
            "state": "pending",
            "natGatewayAddressSet": {
                "item": {
                    "allocationId": "eipalloc-0123456789abcdef0",
                    "networkInterfaceId": ENI,
                    "privateIp": "10.0.1.70",
                }
            },
        }
    }
}


def _of_nat(event: str, request: Entry, status: str) -> Entry:
    """A call that adds the private address 10.0.1.71 to a NAT gateway, or removes it."""
    address = {"networkInterfaceId": ENI, "privateIp": "10.0.1.71", "isPrimary": False, "status": status}
    given = {"natGatewayId": NAT_GATEWAY, "natGatewayAddressSet": {"item": address}}
    asked = {"NatGatewayId": NAT_GATEWAY, **request}
    return record(event, {f"{event}Request": asked}, {f"{event}Response": given})


_SUBNET_MADE = {
    "requestId": "0f3c7b52-5f6d-4b60-9d0c-54d0f2a7c111",
    "subnet": {
        "subnetId": SUBNET,
        "state": "available",
        "vpcId": VPC,
        "cidrBlock": "10.0.1.0/24",
        "ipv6CidrBlockAssociationSet": {},
        "availableIpAddressCount": 251,
        "availabilityZone": "eu-west-1a",
    },
}
_ENDPOINT = {
    "CreateVpcEndpointRequest": {
        "VpcEndpointType": "Interface",
        "VpcId": VPC,
        "SubnetId": {"tag": 1, "content": SUBNET},
    }
}
_ENDPOINT_MADE = {
    "CreateVpcEndpointResponse": {
        "vpcEndpoint": {
            "vpcEndpointId": ENDPOINT,
            "vpcEndpointType": "Interface",
            "vpcId": VPC,
            "state": "pending",
            "networkInterfaceIdSet": {"item": ENI},
        }
    }
}

_RETURN = {"requestId": "6f0c4f3a-1111-2222-3333-444455556666", "_return": True}

_INTERFACE: Entry = {
    "networkInterfaceId": ENI,
    "subnetId": SUBNET,
    "vpcId": VPC,
    "availabilityZone": "eu-west-1a",
    "description": f"aws-K8S-{INSTANCE}",
    "ownerId": ACCOUNT,
    "requesterId": "AIDAEXAMPLEEXAMPLE123",
    "requesterManaged": False,
    "status": "pending",
    "macAddress": "0a:1b:2c:3d:4e:5f",
    "privateIpAddress": "10.0.1.10",
    "sourceDestCheck": True,
    "interfaceType": "interface",
    "groupSet": items({"groupId": "sg-0123456789abcdef0", "groupName": "nodes"}),
    "privateIpAddressesSet": {
        "item": [
            {"privateIpAddress": "10.0.1.10", "primary": True},
            {"privateIpAddress": "10.0.1.11", "primary": False},
        ]
    },
    "ipv6AddressesSet": {},
    "tagSet": items({"key": "node.k8s.amazonaws.com/instance_id", "value": INSTANCE}),
}


def interface(**fields: object) -> Entry:
    """An ENI in the form of responses."""
    return deepcopy(_INTERFACE) | fields


def launched(instance: str = INSTANCE, *interfaces: Entry) -> Entry:
    """An instance as the response of RunInstances describes it."""
    return {
        "instanceId": instance,
        "instanceState": {"code": 0, "name": "pending"},
        "instanceType": "m5.large",
        "launchTime": 1715679000000,
        "subnetId": SUBNET,
        "vpcId": VPC,
        "privateIpAddress": "10.0.1.10",
        "tagSet": items({"key": "eks:cluster-name", "value": "prod"}),
        "networkInterfaceSet": items(*interfaces),
    }


def attached(**fields: object) -> Entry:
    """An ENI in the response of RunInstances: with its attachment, and without a mark of the CNI."""
    attachment = {
        "attachmentId": ATTACHMENT,
        "deviceIndex": 0,
        "status": "attaching",
        "attachTime": 1715679000000,
        "deleteOnTermination": True,
    }
    return interface(attachment=attachment, status="in-use", description="", tagSet={}) | fields


_FLEET = {
    "CreateFleetRequest": {
        "Type": "instant",
        "TargetCapacitySpecification": {"TotalTargetCapacity": 2, "DefaultTargetCapacityType": "spot"},
        "LaunchTemplateConfigs": {"LaunchTemplateSpecification": {"Version": "$Latest"}, "tag": 1},
    }
}
_FLEET_MADE = {
    "CreateFleetResponse": {
        "xmlns": "http://ec2.amazonaws.com/doc/2016-11-15/",
        "fleetId": "fleet-0123456789abcdef0",
        "errorSet": "",
        "fleetInstanceSet": {
            "item": {
                "instanceIds": {"item": [INSTANCE, OTHER_INSTANCE]},
                "instanceType": "m5.large",
                "lifecycle": "spot",
            }
        },
    }
}
_TRUNK = {
    "AssociateTrunkInterfaceRequest": {
        "BranchInterfaceId": ENI,
        "TrunkInterfaceId": OTHER_ENI,
        "VlanId": 7,
    }
}
_TRUNKED = {
    "AssociateTrunkInterfaceResponse": {
        "interfaceAssociation": {
            "associationId": "trunk-assoc-0123456789abcdef0",
            "branchInterfaceId": ENI,
            "trunkInterfaceId": OTHER_ENI,
            "interfaceProtocol": "VLAN",
            "vlanId": 7,
        }
    }
}
_STATES = {
    "currentState": {"code": 32, "name": "shutting-down"},
    "previousState": {"code": 16, "name": "running"},
}

GOOD: dict[str, Entry] = {
    entry["eventName"]: entry
    for entry in (
        record(
            "AssignPrivateIpAddresses",
            {
                "networkInterfaceId": ENI,
                "privateIpAddressesSet": {},
                "secondaryPrivateIpAddressCount": 2,
                "ipv4Prefixes": {},
            },
            _RETURN
            | {
                "networkInterfaceId": ENI,
                "assignedPrivateIpAddressesSet": {
                    "assignedPrivateIpAddressSetType": addresses("10.0.1.12", "10.0.1.13")
                },
                "assignedIpv4PrefixSet": {},
            },
        ),
        record(
            "UnassignPrivateIpAddresses",
            {
                "networkInterfaceId": ENI,
                "privateIpAddressesSet": items(*addresses("10.0.1.12")),
                "ipv4Prefixes": {},
            },
            _RETURN,
        ),
        record(
            "AssignIpv6Addresses",
            {"networkInterfaceId": ENI, "ipv6PrefixCount": 1},
            {
                "networkInterfaceId": ENI,
                "assignedIpv6Addresses": {},
                "assignedIpv6PrefixSet": {"item": ["2001:db8:0:1:a::/80"]},
            },
        ),
        record(
            "UnassignIpv6Addresses",
            {"networkInterfaceId": ENI, "ipv6Prefixes": items("2001:db8:0:1:a::/80")},
            {
                "networkInterfaceId": ENI,
                "unassignedIpv6Addresses": {},
                "unassignedIpv6PrefixSet": {"item": ["2001:db8:0:1:a::/80"]},
            },
        ),
        record(
            "CreateNetworkInterface",
            {
                "subnetId": SUBNET,
                "description": f"aws-K8S-{INSTANCE}",
                "secondaryPrivateIpAddressCount": 1,
                "tagSpecificationSet": items(
                    {
                        "resourceType": "network-interface",
                        "tags": [{"key": "node.k8s.amazonaws.com/instance_id", "value": INSTANCE}],
                    }
                ),
            },
            {"networkInterface": interface()},
        ),
        record(
            "AttachNetworkInterface",
            {"networkInterfaceId": ENI, "instanceId": INSTANCE, "deviceIndex": 1},
            {"requestId": "6f0c4f3a", "attachmentId": ATTACHMENT},
        ),
        record("DetachNetworkInterface", {"attachmentId": ATTACHMENT}, _RETURN),
        record("DeleteNetworkInterface", {"networkInterfaceId": ENI}, _RETURN),
        record(
            "ModifyNetworkInterfaceAttribute",
            {
                "networkInterfaceId": ENI,
                "attachment": {"attachmentId": ATTACHMENT, "deleteOnTermination": True},
            },
            _RETURN,
        ),
        record(
            "RunInstances",
            {
                "instancesSet": items({"minCount": 1, "maxCount": 1}),
                "instanceType": "m5.large",
                "networkInterfaceSet": items({"deviceIndex": 0, "subnetId": SUBNET}),
            },
            {"instancesSet": items(launched(INSTANCE, attached()))},
        ),
        record(
            "TerminateInstances",
            {"instancesSet": items({"instanceId": INSTANCE})},
            {"instancesSet": items({"instanceId": INSTANCE} | _STATES)},
        ),
        record(
            "BidEvictedEvent",
            userIdentity={"accountId": ACCOUNT, "invokedBy": "ec2.amazonaws.com"},
            eventType="AwsServiceEvent",
            serviceEventDetails={"instanceIdSet": [INSTANCE]},
        ),
        record("CreateFleet", _FLEET, _FLEET_MADE),
        record("AssociateTrunkInterface", _TRUNK, _TRUNKED),
        record(
            "DisassociateTrunkInterface",
            {"DisassociateTrunkInterfaceRequest": {"AssociationId": "trunk-assoc-0123456789abcdef0"}},
            {"DisassociateTrunkInterfaceResponse": {"return": True}},
        ),
        record(
            "CreateTags",
            {
                "resourcesSet": items({"resourceId": ENI}),
                "tagSet": items({"key": "cluster.k8s.amazonaws.com/name", "value": "prod"}),
            },
            _RETURN,
        ),
        record(
            "AssociateAddress",
            {
                "networkInterfaceId": ENI,
                "privateIpAddress": "10.0.1.12",
                "allocationId": "eipalloc-0123456789abcdef0",
            },
            _RETURN | {"associationId": "eipassoc-0123456789abcdef0"},
        ),
        record("DisassociateAddress", {"associationId": "eipassoc-0123456789abcdef0"}, _RETURN),
        record("CreateNatGateway", _NAT, _NAT_MADE),
        record(
            "DeleteNatGateway",
            {"DeleteNatGatewayRequest": {"NatGatewayId": NAT_GATEWAY}},
            {"DeleteNatGatewayResponse": {"natGatewayId": NAT_GATEWAY}},
        ),
        _of_nat("AssignPrivateNatGatewayAddress", {"PrivateIpAddressCount": 1}, "assigning"),
        _of_nat(
            "AssociateNatGatewayAddress",
            {"AllocationId": {"tag": 1, "content": "eipalloc-0123456789abcdef0"}},
            "associating",
        ),
        _of_nat(
            "UnassignPrivateNatGatewayAddress",
            {"PrivateIpAddress": {"tag": 1, "content": "10.0.1.71"}},
            "unassigning",
        ),
        _of_nat(
            "DisassociateNatGatewayAddress",
            {"AssociationId": {"tag": 1, "content": "eipassoc-0123456789abcdef0"}},
            "disassociating",
        ),
        record(
            "ModifyVpcEndpoint",
            {
                "ModifyVpcEndpointRequest": {
                    "VpcEndpointId": ENDPOINT,
                    "AddSubnetId": {"tag": 1, "content": SUBNET},
                }
            },
            {"ModifyVpcEndpointResponse": {"return": True}},
        ),
        record(
            "DeleteVpcEndpoints",
            {"DeleteVpcEndpointsRequest": {"VpcEndpointId": {"tag": 1, "content": ENDPOINT}}},
            {"DeleteVpcEndpointsResponse": {"unsuccessful": ""}},
        ),
        record("CreateSubnet", {"vpcId": VPC, "cidrBlock": "10.0.1.0/24"}, _SUBNET_MADE),
        record("CreateVpcEndpoint", _ENDPOINT, _ENDPOINT_MADE),
        record(
            "CreateMountTarget",
            {"fileSystemId": "fs-0123456789abcdef0", "subnetId": SUBNET},
            {
                "ownerId": ACCOUNT,
                "mountTargetId": MOUNT_TARGET,
                "fileSystemId": "fs-0123456789abcdef0",
                "subnetId": SUBNET,
                "lifeCycleState": "creating",
                "ipAddress": "10.0.1.88",
                "networkInterfaceId": ENI,
                "vpcId": VPC,
            },
            eventSource="elasticfilesystem.amazonaws.com",
        ),
        record(
            "DeleteMountTarget",
            {"mountTargetId": MOUNT_TARGET},
            eventSource="elasticfilesystem.amazonaws.com",
        ),
    )
}

WEB_IDENTITY = record(
    "AssumeRoleWithWebIdentity",
    {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/cni", "roleSessionName": "1715678999123456789"},
    {
        "credentials": {
            "accessKeyId": "ASIAEXAMPLEEXAMPLE12",
            "sessionToken": "EXAMPLETOKEN",
            "expiration": "May 14, 2024, 10:29:59 AM",
        },
        "subjectFromWebIdentityToken": "system:serviceaccount:kube-system:aws-node",
        "provider": PROVIDER,
        "audience": "sts.amazonaws.com",
    },
    eventSource="sts.amazonaws.com",
    userIdentity={
        "type": "WebIdentityUser",
        "principalId": f"{PROVIDER}:sts.amazonaws.com:system:serviceaccount:kube-system:aws-node",
        "userName": "system:serviceaccount:kube-system:aws-node",
        "identityProvider": PROVIDER,
    },
)

POD_IDENTITY = record(
    "AssumeRole",
    {
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/cni",
        "roleSessionName": "eks-prod-aws-node-x-b81f0fef-97e9-47da-97a2-948c5bbcd1b3",
        "durationSeconds": 21600,
        "tags": [
            {"key": "eks-cluster-name", "value": "prod"},
            {"key": "kubernetes-namespace", "value": "kube-system"},
            {"key": "kubernetes-service-account", "value": "aws-node"},
            {"key": "kubernetes-pod-name", "value": "aws-node-x7k2p"},
        ],
    },
    {"credentials": {"accessKeyId": "ASIAEXAMPLEEXAMPLE34", "sessionToken": "EXAMPLETOKEN"}},
    eventSource="sts.amazonaws.com",
    userIdentity={"type": "AWSService", "invokedBy": "pods.eks.amazonaws.com"},
    sourceIPAddress="pods.eks.amazonaws.com",
    userAgent="pods.eks.amazonaws.com",
)


# --- scan ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """The result of a scan: records, skipped parts, and counts."""

    records: list[Record]
    skipped: list[str]
    tally: Tally

    @property
    def names(self) -> list[str]:
        """The event names of the records found, in order."""
        return [json.loads(record.payload)["eventName"] for record in self.records]


def scanned(chunks: bytes | Iterable[bytes], uri: str = "file", growth: Growth | None = None) -> Reading:
    """A scan of one document for the events that cnitrail decodes."""
    pieces: Iterator[bytes] = iter([chunks] if isinstance(chunks, bytes) else chunks)
    scanner = Scanner(NAMES, MARKERS, growth or Growth())
    found: list[Record | Skipped] = []
    for part, tally in scanner.parts(Document(uri=uri, chunks=pieces)):
        found += scanner.scan(part, tally)
    return Reading(
        [item for item in found if isinstance(item, Record)],
        [item.reason for item in found if isinstance(item, Skipped)],
        tally,
    )


def compact(value: object) -> bytes:
    """A value as CloudTrail writes it: compact, pure ASCII."""
    return json.dumps(value, separators=(",", ":")).encode()


def zipped(text: bytes) -> bytes:
    """The text gzipped, the same at every time."""
    return gzip.compress(text, mtime=0)


def ec2_event(key: str, effect: Effect, time: datetime, subject: Subject) -> Event:
    """An event as decode makes it of a call by somebody."""
    return Event(
        time=time,
        key=key,
        event_id=key,
        name=effect.value,
        effect=effect,
        failure=None,
        account="111111111111",
        region="eu-west-1",
        actor=actor_of({"userIdentity": {"type": "IAMUser", "userName": "somebody"}}),
        subjects=(subject,),
        origins=(Origin("trail.json", 0),),
    )


# --- decode ----------------------------------------------------------------------------------


def decoded(entry: object) -> Decoded:
    """Decode a record."""
    return decode(Record((Origin("file", 0),), json.dumps(entry).encode()))


def event_of(entry: object) -> Event:
    """The event in a record that can be read without a problem."""
    read = decoded(entry)
    assert read.problems == ()
    assert isinstance(read.fact, Event)
    return read.fact


def subjects_of(entry: object) -> tuple[Subject, ...]:
    """The subjects of the event in a record."""
    return event_of(entry).subjects


def subject_of(entry: object) -> Subject:
    """The one subject of the event in a record."""
    (subject,) = subjects_of(entry)
    return subject


def session_of(entry: object) -> IssuedSession:
    """The issued session in a record."""
    read = decoded(entry)
    assert read.problems == ()
    assert isinstance(read.fact, IssuedSession)
    return read.fact


# --- any JSON --------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
"""Any JSON value that is no more than a few levels deep."""

Path = tuple[str | int, ...]


def paths_in(value: object, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value inside a value."""
    inner: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, inside in inner:
        yield (*path, key)
        yield from paths_in(inside, (*path, key))


def replaced(entry: Entry, path: Path, value: object) -> Entry:
    """Return a copy with another value at one path."""
    copy = deepcopy(entry)
    place: Any = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy
