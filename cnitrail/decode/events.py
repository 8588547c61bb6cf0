"""The calls that move an address or an interface: their requests and responses.

A new event is one function and one row in ``_CALLS``. Field names are the EC2 API's in
CloudTrail's lower camel case (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256

import orjson

from cnitrail.decode.actor import actor
from cnitrail.decode.shapes import (
    Fields,
    Problems,
    elements,
    fields,
    flag,
    held,
    holdings,
    number,
    tags,
    text,
    texts,
)
from cnitrail.jsontext import parse
from cnitrail.model import (
    Effect,
    Event,
    Failure,
    Held,
    Holding,
    HoldingKind,
    IssuedSession,
    Record,
    Subject,
)

_INSTANCE = re.compile(r"i-[0-9a-f]+")
_CNI_DESCRIPTION = re.compile(r"aws-K8S-(?P<instance>i-[0-9a-f]+)")
_CNI_TAG = "node.k8s.amazonaws.com/instance_id"
"""How the VPC CNI marks an ENI (pkg/awsutils/awsutils.go in amazon-vpc-cni-k8s)."""

MARKERS = ("pods.eks.amazonaws.com",)
"""Texts that make a record relevant though its event name alone would not."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a record says: an event, an issued session, or neither (it is of no matter).

    ``problems`` tell which fields could not be read.
    """

    fact: Event | IssuedSession | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Call:
    """A record's request and response, without the query envelope that some APIs put around them."""

    request: Fields
    response: Fields
    details: Fields
    ok: bool
    problems: Problems

    def need(self, field: str, value: object) -> str | None:
        """The value if it is a string; a successful call without it is a problem."""
        found = text(value)
        if found is None:
            self.lacks(field, value, "an id")
        return found

    def ids(self, field: str, value: object, key: str) -> tuple[str, ...]:
        """The ids of a set, bare or under ``key``; a successful call without any is a problem."""
        found, before = [], len(self.problems)
        for element in elements(value):
            one = text(element) or text(fields(element).get(key))
            if one is None:
                self.lacks(field, element, "an id")
            else:
                found.append(one)
        if not found and len(self.problems) == before:
            self.lacks(field, value, "a set of ids")
        return tuple(found)

    def lacks(self, field: str, value: object, wanted: str) -> None:
        """A field is not what it should be: a problem, if the call was successful."""
        if self.ok:
            self.problems.unreadable(field, value, wanted)


Decoder = Callable[[_Call], tuple[Subject, ...]]


def _requested_addresses(request: Fields) -> tuple[str, ...]:
    """The addresses and prefixes that a request names, as it names them, however wrong."""
    return (
        *texts(request.get("privateIpAddressesSet"), "privateIpAddress"),
        *texts(request.get("ipv4Prefixes"), "ipv4Prefix"),
        *texts(request.get("ipv6Addresses"), "ipv6Address"),
        *texts(request.get("ipv6Prefixes"), "ipv6Prefix"),
    )


def _requested_count(request: Fields) -> int | None:
    """How many addresses or prefixes a request asks for by number."""
    counts = ("secondaryPrivateIpAddressCount", "ipv4PrefixCount", "ipv6AddressCount", "ipv6PrefixCount")
    found = (number(request.get(count)) for count in counts)
    return next((count for count in found if count is not None), None)


def _assign(call: _Call) -> tuple[Subject, ...]:
    """AssignPrivateIpAddresses: the response names the addresses in every form of the request.

    Responses of old records may lack them; then those that the request names were assigned.
    """
    request, response, problems = call.request, call.response, call.problems
    addresses = response.get("assignedPrivateIpAddressesSet", request.get("privateIpAddressesSet"))
    prefixes = response.get("assignedIpv4PrefixSet", request.get("ipv4Prefixes"))
    added = (
        *holdings(addresses, "privateIpAddress", HoldingKind.SECONDARY, "privateIpAddressesSet", problems),
        *holdings(prefixes, "ipv4Prefix", HoldingKind.PREFIX, "ipv4Prefixes", problems),
    )
    return (_assigned(call, added, "assignedPrivateIpAddressesSet"),)


def _assign_ipv6(call: _Call) -> tuple[Subject, ...]:
    request, response, problems = call.request, call.response, call.problems
    addresses = response.get("assignedIpv6Addresses", request.get("ipv6Addresses"))
    prefixes = response.get("assignedIpv6PrefixSet", request.get("ipv6Prefixes"))
    added = (
        *holdings(addresses, "ipv6Address", HoldingKind.IPV6, "ipv6Addresses", problems),
        *holdings(prefixes, "ipv6Prefix", HoldingKind.IPV6_PREFIX, "ipv6Prefixes", problems),
    )
    return (_assigned(call, added, "assignedIpv6Addresses"),)


def _assigned(call: _Call, added: tuple[Holding, ...], field: str) -> Subject:
    if not added and not call.problems:
        call.lacks(field, call.response.get(field), "a set of addresses")
    return Subject(
        eni=call.need("networkInterfaceId", call.request.get("networkInterfaceId")),
        added=added if call.ok else (),
        requested=_requested_count(call.request),
        requested_addresses=_requested_addresses(call.request),
        reassign=flag(call.request.get("allowReassignment")) is True,
    )


def _unassign(call: _Call) -> tuple[Subject, ...]:
    """UnassignPrivateIpAddresses: the addresses stand only in the request."""
    request, problems = call.request, call.problems
    removed = (
        *held(request.get("privateIpAddressesSet"), "privateIpAddress", "privateIpAddressesSet", problems),
        *held(request.get("ipv4Prefixes"), "ipv4Prefix", "ipv4Prefixes", problems),
    )
    return (_unassigned(call, removed),)


def _unassign_ipv6(call: _Call) -> tuple[Subject, ...]:
    request, response, problems = call.request, call.response, call.problems
    addresses = response.get("unassignedIpv6Addresses", request.get("ipv6Addresses"))
    prefixes = response.get("unassignedIpv6PrefixSet", request.get("ipv6Prefixes"))
    removed = (
        *held(addresses, "ipv6Address", "ipv6Addresses", problems),
        *held(prefixes, "ipv6Prefix", "ipv6Prefixes", problems),
    )
    return (_unassigned(call, removed),)


def _unassigned(call: _Call, removed: tuple[Held, ...]) -> Subject:
    if not removed and not call.problems:
        call.lacks("requestParameters", call.request, "a request that names addresses")
    return Subject(
        eni=call.need("networkInterfaceId", call.request.get("networkInterfaceId")),
        removed=removed if call.ok else (),
        requested_addresses=_requested_addresses(call.request),
    )


def _interface(described: Fields, problems: Problems) -> Subject:
    """An interface as CreateNetworkInterface and RunInstances describe it in their responses."""
    attachment = fields(described.get("attachment"))
    return Subject(
        eni=text(described.get("networkInterfaceId")),
        instance=text(attachment.get("instanceId")),
        attachment=text(attachment.get("attachmentId")),
        device_index=number(attachment.get("deviceIndex")),
        delete_on_termination=flag(attachment.get("deleteOnTermination")),
        vpc=text(described.get("vpcId")),
        subnet=text(described.get("subnetId")),
        added=tuple(_described_holdings(described, problems)),
        description=text(described.get("description")),
        interface_type=text(described.get("interfaceType")),
        requester=text(described.get("requesterId")) if flag(described.get("requesterManaged")) else None,
        tags=tags(described.get("tagSet")),
    )


def _mark(description: str | None, tagged: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    """The instance that the VPC CNI made an interface for, and where it wrote that."""
    described = _CNI_DESCRIPTION.fullmatch(description or "")
    if described:
        return described["instance"], "description"
    instance = dict(tagged).get(_CNI_TAG, "")
    return (instance, "tag") if _INSTANCE.fullmatch(instance) else None


def _described_holdings(described: Fields, problems: Problems) -> Iterator[Holding]:
    """The addresses and prefixes of a described interface; its primary address stands twice."""
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


def _create_interface(call: _Call) -> tuple[Subject, ...]:
    request = call.request
    described = fields(call.response.get("networkInterface"))
    asked = Subject(
        subnet=text(request.get("subnetId")),
        requested=_requested_count(request),
        requested_addresses=_requested_addresses(request)
        or tuple(texts(request.get("privateIpAddress"), "privateIpAddress")),
        description=text(request.get("description")),
        interface_type=text(request.get("interfaceType")),
        tags=_tags_of(request, "network-interface"),
    )
    asked = replace(asked, mark=_mark(asked.description, asked.tags))
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
            requested_addresses=asked.requested_addresses,
            description=made.description or asked.description,
            mark=_mark(made.description, made.tags) or asked.mark,
            interface_type=made.interface_type or asked.interface_type,
            tags=made.tags or asked.tags,
        ),
    )


def _tags_of(request: Fields, resource_type: str) -> tuple[tuple[str, str], ...]:
    """The tags that a request puts on resources of one type, from its tagSpecificationSet."""
    specifications = map(fields, elements(request.get("tagSpecificationSet")))
    matching = (spec for spec in specifications if spec.get("resourceType") == resource_type)
    return tuple(pair for spec in matching for pair in tags(spec.get("tags")))


def _attach(call: _Call) -> tuple[Subject, ...]:
    return (
        Subject(
            eni=call.need("networkInterfaceId", call.request.get("networkInterfaceId")),
            instance=call.need("instanceId", call.request.get("instanceId")),
            attachment=call.need("attachmentId", call.response.get("attachmentId")),
            device_index=number(call.request.get("deviceIndex")),
        ),
    )


def _detach(call: _Call) -> tuple[Subject, ...]:
    return (Subject(attachment=call.need("attachmentId", call.request.get("attachmentId"))),)


def _delete(call: _Call) -> tuple[Subject, ...]:
    return (Subject(eni=call.need("networkInterfaceId", call.request.get("networkInterfaceId"))),)


def _modify(call: _Call) -> tuple[Subject, ...]:
    """ModifyNetworkInterfaceAttribute: one attribute a call, wrapped as ``{"value": …}``."""
    changed, description = call.request.get("attachment"), call.request.get("description")
    attachment = fields(changed)
    goes_with_it = attachment.get("deleteOnTermination")
    if (changed and not attachment) or (goes_with_it is not None and flag(goes_with_it) is None):
        call.lacks("attachment", changed, "an attachment")
    if isinstance(description, dict):
        description = description.get("value")
    if not isinstance(description, str | None):
        call.lacks("description", description, "a text")
    return (
        Subject(
            eni=call.need("networkInterfaceId", call.request.get("networkInterfaceId")),
            attachment=text(attachment.get("attachmentId")),
            delete_on_termination=flag(goes_with_it),
            description=description if isinstance(description, str) else None,
            mark=_mark(text(description), ()),
        ),
    )


def _run_instances(call: _Call) -> tuple[Subject, ...]:
    """RunInstances: one subject for each interface of each instance."""
    named = list(map(fields, elements(call.request.get("networkInterfaceSet"))))
    if not call.ok:
        return tuple(_asked_for(call.request, interface) for interface in named or [{}])
    existing = {text(interface.get("networkInterfaceId")) for interface in named}
    subjects: list[Subject] = []
    instances = list(map(fields, elements(call.response.get("instancesSet"))))
    if not instances:
        call.problems.unreadable("instancesSet", call.response.get("instancesSet"), "a set of instances")
    for instance in instances:
        launched = Subject(
            instance=call.need("instancesSet.instanceId", instance.get("instanceId")),
            vpc=text(instance.get("vpcId")),
            subnet=text(instance.get("subnetId")),
            instance_type=text(instance.get("instanceType")),
            tags=tags(instance.get("tagSet")),
        )
        interfaces = list(map(fields, elements(instance.get("networkInterfaceSet"))))
        for interface in interfaces:
            made = _interface(interface, call.problems)
            call.need("networkInterfaceSet.networkInterfaceId", made.eni)
            subjects.append(
                replace(
                    made,
                    instance=launched.instance,
                    instance_type=launched.instance_type,
                    tags=launched.tags,
                    existing=made.eni in existing,
                )
            )
        if not interfaces:
            subjects.append(launched)
    return tuple(subjects)


def _asked_for(request: Fields, interface: Fields) -> Subject:
    """An interface as a launch asked for it that was refused."""
    address = interface.get("privateIpAddress") or request.get("privateIpAddress")
    return Subject(
        eni=text(interface.get("networkInterfaceId")),
        device_index=number(interface.get("deviceIndex")),
        subnet=text(interface.get("subnetId")) or text(request.get("subnetId")),
        requested_addresses=tuple(texts(address, "privateIpAddress")),
        instance_type=text(request.get("instanceType")),
    )


def _create_fleet(call: _Call) -> tuple[Subject, ...]:
    """CreateFleet of type instant: its response names the instances; RunInstances has their ENIs."""
    if call.request.get("type") != "instant":
        return ()
    if not call.ok:
        return (Subject(),)
    fleets = map(fields, elements(call.response.get("fleetInstanceSet")))
    return tuple(
        Subject(instance=instance, instance_type=text(fleet.get("instanceType")))
        for fleet in fleets
        for instance in call.ids("fleetInstanceSet.instanceIds", fleet.get("instanceIds"), "instanceId")
    )


def _terminate(call: _Call) -> tuple[Subject, ...]:
    ended, asked = call.response.get("instancesSet"), call.request.get("instancesSet")
    answered = any(texts(ended, "instanceId"))
    instances = call.ids("instancesSet", ended if answered else asked, "instanceId")
    return tuple(Subject(instance=instance) for instance in instances) or (Subject(),)


def _bid_evicted(call: _Call) -> tuple[Subject, ...]:
    evicted = call.details.get("instanceIdSet")
    instances = call.ids("serviceEventDetails.instanceIdSet", evicted, "instanceId")
    return tuple(Subject(instance=instance) for instance in instances)


def _associate_trunk(call: _Call) -> tuple[Subject, ...]:
    association = fields(call.response.get("interfaceAssociation"))
    return (
        Subject(
            eni=call.need("branchInterfaceId", call.request.get("branchInterfaceId")),
            trunk=call.need("trunkInterfaceId", call.request.get("trunkInterfaceId")),
            association=call.need("interfaceAssociation.associationId", association.get("associationId")),
        ),
    )


def _disassociate_trunk(call: _Call) -> tuple[Subject, ...]:
    return (Subject(association=call.need("associationId", call.request.get("associationId"))),)


def _create_tags(call: _Call) -> tuple[Subject, ...]:
    """CreateTags on interfaces and instances; on anything else it is of no matter."""
    new = tags(call.request.get("tagSet"))
    resources = call.ids("resourcesSet", call.request.get("resourcesSet"), "resourceId")
    return tuple(
        Subject(eni=resource, tags=new, mark=_mark(None, new))
        if resource.startswith("eni-")
        else Subject(instance=resource, tags=new)
        for resource in resources
        if resource.startswith(("eni-", "i-"))
    )


def _associate_address(call: _Call) -> tuple[Subject, ...]:
    """AssociateAddress names the interface, or the instance whose first interface is meant."""
    request = call.request
    instance = text(request.get("instanceId"))
    eni = request.get("networkInterfaceId")
    return (
        Subject(
            eni=text(eni) if instance else call.need("networkInterfaceId", eni),
            instance=instance,
            association=text(call.response.get("associationId")),
            public_address=text(request.get("publicIp")),
            allocation=text(request.get("allocationId")),
            requested_addresses=tuple(texts(request.get("privateIpAddress"), "privateIpAddress")),
        ),
    )


def _disassociate_address(call: _Call) -> tuple[Subject, ...]:
    address = text(call.request.get("publicIp"))
    association = call.request.get("associationId")
    return (
        Subject(
            association=text(association) if address else call.need("associationId", association),
            public_address=address,
        ),
    )


_CALLS: dict[str, tuple[Effect, Decoder]] = {
    "AssignIpv6Addresses": (Effect.ASSIGN, _assign_ipv6),
    "AssignPrivateIpAddresses": (Effect.ASSIGN, _assign),
    "AssociateAddress": (Effect.MODIFY, _associate_address),
    "AssociateTrunkInterface": (Effect.ATTACH, _associate_trunk),
    "AttachNetworkInterface": (Effect.ATTACH, _attach),
    "BidEvictedEvent": (Effect.TERMINATE, _bid_evicted),
    "CreateFleet": (Effect.LAUNCH, _create_fleet),
    "CreateNetworkInterface": (Effect.CREATE, _create_interface),
    "CreateTags": (Effect.MODIFY, _create_tags),
    "DeleteNetworkInterface": (Effect.DELETE, _delete),
    "DetachNetworkInterface": (Effect.DETACH, _detach),
    "DisassociateAddress": (Effect.MODIFY, _disassociate_address),
    "DisassociateTrunkInterface": (Effect.DETACH, _disassociate_trunk),
    "ModifyNetworkInterfaceAttribute": (Effect.MODIFY, _modify),
    "RunInstances": (Effect.LAUNCH, _run_instances),
    "TerminateInstances": (Effect.TERMINATE, _terminate),
    "UnassignIpv6Addresses": (Effect.UNASSIGN, _unassign_ipv6),
    "UnassignPrivateIpAddresses": (Effect.UNASSIGN, _unassign),
}

_SESSIONS = ("AssumeRoleWithWebIdentity", "AssumeRole")

NAMES = (*_CALLS, "AssumeRoleWithWebIdentity")
"""The event names that make a record relevant."""


def decode(record: Record) -> Decoded:
    """What a record says.

    Never raises for what stands in a record: a record that cannot be read at all is a ``Decoded``
    without a fact and with the problem.
    """
    try:
        entry = parse(record.payload)
        if isinstance(entry, dict):
            return _decoded(record, entry)
    except ValueError as error:
        return Decoded(None, (f"broken JSON ({error})",))
    except (RecursionError, orjson.JSONEncodeError):
        return Decoded(None, ("the record is nested too deeply",))
    return Decoded(None, ("the record is no JSON object",))


def _decoded(record: Record, entry: Fields) -> Decoded:
    name = text(entry.get("eventName"))
    source = text(entry.get("eventSource"))
    if name in _CALLS and source in ("ec2.amazonaws.com", None):
        return _event(record, entry, name)
    if name in _SESSIONS and source in ("sts.amazonaws.com", None):
        return _session(record, entry)
    return Decoded(None)


def _event(record: Record, entry: Fields, name: str) -> Decoded:
    effect, decoder = _CALLS[name]
    problems = Problems()
    call = _Call(
        request=_unwrapped(entry.get("requestParameters"), f"{name}Request"),
        response=_unwrapped(entry.get("responseElements"), f"{name}Response"),
        details=fields(entry.get("serviceEventDetails")),
        ok=_succeeded(entry),
        problems=problems,
    )
    subjects = decoder(call)
    if not subjects:
        return Decoded(None, _named(name, problems))
    time = _time(entry.get("eventTime"), problems)
    if time is None:
        return Decoded(None, _named(name, problems))
    event = Event(
        time=time,
        key=_key(entry),
        event_id=text(entry.get("eventID")),
        name=name,
        effect=effect,
        failure=None if call.ok else _failure(entry),
        account=_account(entry),
        region=text(entry.get("awsRegion")),
        actor=actor(entry),
        subjects=subjects,
        origins=record.origins,
        corrects=_corrected(entry) is not None,
    )
    return Decoded(event, _named(name, problems) if call.ok else ())


def _session(record: Record, entry: Fields) -> Decoded:
    """Credentials issued to a service account; any other use of STS is of no matter."""
    identity = fields(entry.get("userIdentity"))
    request, response = fields(entry.get("requestParameters")), fields(entry.get("responseElements"))
    session_tags = dict(tags(request.get("tags")))
    if not _succeeded(entry):
        return Decoded(None)
    if entry.get("eventName") == "AssumeRole":
        if identity.get("invokedBy") != "pods.eks.amazonaws.com":
            return Decoded(None)
        namespace = session_tags.get("kubernetes-namespace")
        account = session_tags.get("kubernetes-service-account")
        service_account = f"{namespace}/{account}" if namespace and account else None
    else:
        service_account = _service_account(text(identity.get("userName")))
        if service_account is None:
            return Decoded(None)
    problems = Problems()
    time = _time(entry.get("eventTime"), problems)
    if time is None:
        return Decoded(None, _named(str(entry.get("eventName")), problems))
    return Decoded(
        IssuedSession(
            time=time,
            key=_key(entry),
            event_id=text(entry.get("eventID")),
            account=_account(entry),
            region=text(entry.get("awsRegion")),
            access_key_id=text(fields(response.get("credentials")).get("accessKeyId")),
            role_arn=text(request.get("roleArn")),
            session=text(request.get("roleSessionName")),
            service_account=service_account,
            cluster=session_tags.get("eks-cluster-name"),
            oidc_provider=text(response.get("provider")) or text(identity.get("identityProvider")),
            pod_identity=entry.get("eventName") == "AssumeRole",
            origins=record.origins,
            corrects=_corrected(entry) is not None,
        )
    )


def _service_account(user_name: str | None) -> str | None:
    """``namespace/name`` of ``system:serviceaccount:namespace:name``."""
    match (user_name or "").split(":"):
        case ["system", "serviceaccount", namespace, name] if namespace and name:
            return f"{namespace}/{name}"
    return None


def _unwrapped(parameters: object, envelope: str) -> Fields:
    """Request or response; of a query envelope its inside, with EC2's usual lower camel case."""
    plain = fields(parameters)
    if envelope in plain:
        return fields(_lower_camel(plain[envelope]))
    return plain


def _lower_camel(value: object) -> object:
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _lower_camel(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_lower_camel(inner) for inner in value]
    return value


def _time(value: object, problems: Problems) -> datetime | None:
    """An eventTime; some exports drop its zone, which is always UTC."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
        if time is not None:
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    problems.unreadable("eventTime", value, "a time; without it the record has no place in a history")
    return None


def _succeeded(entry: Fields) -> bool:
    """Whether a record tells no error; some exports write an empty one."""
    return entry.get("errorCode") in (None, "") and entry.get("errorMessage") in (None, "")


def _failure(entry: Fields) -> Failure:
    code = entry.get("errorCode")
    return Failure(
        code=code if isinstance(code, str) and code else "unknown",
        message=text(entry.get("errorMessage")),
    )


def _account(entry: Fields) -> str | None:
    """The account whose trail the record is in; a file's own name may say another."""
    return text(entry.get("recipientAccountId")) or text(fields(entry.get("userIdentity")).get("accountId"))


def _corrected(entry: Fields) -> str | None:
    """The eventID that this record replaces: corrections arrive under a new one."""
    return text(fields(entry.get("addendum")).get("originalEventID"))


def _key(entry: Fields) -> str:
    known = _corrected(entry) or text(entry.get("eventID"))
    return known or "sha256:" + sha256(orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _named(name: str, problems: Problems) -> tuple[str, ...]:
    return tuple(f"{name}: {problem}" for problem in problems)
