"""Which resource names LookupEvents finds an event by, and where an event says to look next.

LookupEvents finds an event by the ``Resources`` that it returns with it. Which events list theirs there is
only partly known:

- observed: RunInstances, AttachNetworkInterface and TerminateInstances list their ENIs and instances,
  AssumeRole lists the access key that it issued;
- reported (https://github.com/aws/amazon-vpc-cni-k8s/issues/732): Create, Assign, Modify, Delete and
  CreateTags list the ENI, Detach lists the attachment;
- unknown: everything else.

Only what was observed is relied on. The rest is checked against the events that a lookup returns: an event
that names an ENI but does not list it in ``Resources`` cannot be found by that ENI.
"""

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from cnitrail.decode.common_fields import succeeded
from cnitrail.decode.sessions import ASSUME_ROLE, WEB_IDENTITY
from cnitrail.decode.shapes import Fields, fields, text, time
from cnitrail.jsontext import parse
from cnitrail.model import BUCKET_CALLS, TRAIL_CALLS
from cnitrail.model.lookup import IssuingCall, LookupHints

_CONDITIONAL: Final = {
    "AssignPrivateNatGatewayAddress": "nat-",
    "AssociateNatGatewayAddress": "nat-",
    "AssociateTrunkInterface": "trunk",
    "CreateFleet": "ec2fleet.amazonaws.com",
    "DeleteMountTarget": "fsmt-",
    "DeleteNatGateway": "nat-",
    "DeleteVpcEndpoints": "vpce-",
    "DisassociateAddress": "eipassoc-",
    "DisassociateNatGatewayAddress": "nat-",
    "DisassociateTrunkInterface": "trunk-assoc-",
    "ModifyVpcEndpoint": "vpce-",
    "UnassignPrivateNatGatewayAddress": "nat-",
}
"""Events that concern an instance or ENI only if another event of it contains this text."""

_RESOURCE_ID = re.compile(r"(?:i|eni-attach|eni)-[0-9a-f]+")
_NAMING_PARTS = ("requestParameters", "responseElements", "serviceEventDetails")
"""The parts of a record that name the resources of a call."""

_POD_SESSION = "eks-"
"""How EKS Pod Identity begins the name of a role session."""


class RecordHints:
    """What one CloudTrail record says about where else to look (``cnitrail.model.lookup.EventHints``)."""

    def __init__(self, record: Fields, record_text: str) -> None:
        self._named = {part: record.get(part) for part in _NAMING_PARTS}
        self.event_name = str(record.get("eventName"))
        self.account = text(record.get("recipientAccountId"))
        self.succeeded = succeeded(record)
        self.read_only = record.get("readOnly") is True
        self.ids = _ids(self._named)
        self.enables = frozenset(name for name, sign in _CONDITIONAL.items() if sign in record_text)
        self.issuing_call = _issuing_call(record)

    def ids_related_to(self, resource: str) -> frozenset[str]:
        """Return the IDs that belong with a resource, without those of its siblings in a list."""
        return _ids(_without_siblings(self._named, resource))

    def names_any(self, addresses: Iterable[IPv4Network | IPv6Network]) -> bool:
        """Return whether the call names an address or prefix in one of these networks."""
        wanted = tuple(addresses)
        return any(_overlaps(named, wanted) for named in _strings(self._named))


def read_event(record_text: str) -> RecordHints | None:
    """Read the JSON of a CloudTrail record. None if it cannot be read: the scanner reports that."""
    try:
        record = parse(record_text.encode())
    except ValueError:
        return None
    return RecordHints(record, record_text) if isinstance(record, dict) else None


LOOKUP_HINTS: Final = LookupHints(
    read_event=read_event,
    indexed=frozenset({"AttachNetworkInterface", "RunInstances", "TerminateInstances"}),
    indexed_like={
        "AssignIpv6Addresses": "AssignPrivateIpAddresses",
        "CreateTags": "CreateNetworkInterface",
        "UnassignIpv6Addresses": "UnassignPrivateIpAddresses",
    },
    conditional=frozenset(_CONDITIONAL),
    not_about_enis=frozenset({ASSUME_ROLE, WEB_IDENTITY, "CreateSubnet", *TRAIL_CALLS, *BUCKET_CALLS}),
    too_frequent=frozenset({ASSUME_ROLE}),
)
"""Events ``indexed_like`` another one are too frequent to check, or too rare. Nodes and AWS services make
most AssumeRole calls, and the one of a pod is found by its access key."""


def _issuing_call(record: Fields) -> IssuingCall | None:
    """Return the call that made a service account's session, or a pod's; None for any other caller."""
    identity = fields(record.get("userIdentity"))
    context = fields(identity.get("sessionContext"))
    began = time(fields(context.get("attributes")).get("creationDate"))
    principal, key = text(identity.get("principalId")), text(identity.get("accessKeyId"))
    if began is None or principal is None or key is None:
        return None
    if fields(context.get("webIdFederationData")).get("federatedProvider"):
        return IssuingCall(began, key, WEB_IDENTITY)
    return IssuingCall(began, key) if principal.partition(":")[2].startswith(_POD_SESSION) else None


def _ids(value: object) -> frozenset[str]:
    """Return the instances, ENIs and attachments that a value names, tags excluded."""
    return frozenset(found for found in _strings(value) if _RESOURCE_ID.fullmatch(found))


def _strings(value: object) -> Iterator[str]:
    """Yield every string in a value, tags excluded."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for element in value:
            yield from _strings(element)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not key.lower().startswith("tag"):
                yield from _strings(inner)


def _without_siblings(value: object, resource: str) -> object:
    """Return a value whose lists keep only the elements that name a resource, if any of them does."""
    if isinstance(value, dict):
        return {key: _without_siblings(inner, resource) for key, inner in value.items()}
    if isinstance(value, list):
        naming = [element for element in value if resource in _strings(element)]
        return [_without_siblings(element, resource) for element in naming or value]
    return value


def _overlaps(named: str, wanted: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Return whether a string is an address or prefix in one of these networks."""
    try:
        network = ip_network(named)
    except ValueError:
        return False
    return any(network.version == other.version and network.overlaps(other) for other in wanted)
