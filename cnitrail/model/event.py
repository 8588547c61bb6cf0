"""One CloudTrail record as typed facts: the caller, the call, and the interfaces that it names."""

from collections.abc import Iterator
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from msgspec import Struct

from cnitrail.model.basis import InstanceBasis
from cnitrail.model.coverage import AccountRegion
from cnitrail.model.ec2 import DRY_RUN, PREFIX_HOST_BITS, error_code
from cnitrail.model.evidence import Origin
from cnitrail.model.forms import Fidelity
from cnitrail.model.trail import TrailChange
from cnitrail.model.word import Word

Address = IPv4Address | IPv6Address
Prefix = IPv4Network | IPv6Network
Held = Address | Prefix


def is_prefix(held: Held) -> bool:
    """Return whether it is a prefix and not a single address."""
    return isinstance(held, (IPv4Network, IPv6Network))


def held_of(text: str) -> Held | None:
    """Return the address or prefix that a text names; None if it names none. No zone ID is part of either."""
    if "%" in text:
        return None
    try:
        return ip_network(text) if "/" in text else ip_address(text)
    except ValueError:
        return None


def block_of(held: Held) -> tuple[int, int]:
    """Return the block in which holdings exclude each other, as (IP version, number).

    EC2 delegates prefixes of one size, on their own boundaries (``PREFIX_LENGTH``).
    """
    if type(held) is IPv4Address:  # as nearly all are
        return 4, int(held) >> PREFIX_HOST_BITS[4]
    first = held.network_address if isinstance(held, (IPv4Network, IPv6Network)) else held
    return held.version, int(first) >> PREFIX_HOST_BITS[held.version]


def order_of(held: Held) -> tuple[int, int, int]:
    """Return the key that sorts addresses and prefixes by number, IPv4 first."""
    if isinstance(held, (IPv4Network, IPv6Network)):
        return held.version, int(held.network_address), held.prefixlen
    return held.version, int(held), 0


class Effect(Word):
    """What a call does to addresses and interfaces, in the order of cause and effect.

    ``sign-in`` is a service account's failed request for credentials, which changes nothing. ``record`` is a
    call that changes what CloudTrail records.
    """

    LAUNCH = "launch"
    CREATE = "create"
    ATTACH = "attach"
    ASSIGN = "assign"
    MODIFY = "modify"
    UNASSIGN = "unassign"
    DETACH = "detach"
    DELETE = "delete"
    TERMINATE = "terminate"
    SIGN_IN = "sign-in"
    RECORD = "record"


EFFECT_ORDER = {effect: rank for rank, effect in enumerate(Effect)}
"""Cause before effect, for events of one second."""

OWN_INTERFACE_EFFECTS = (Effect.ASSIGN, Effect.UNASSIGN, Effect.CREATE)
"""What a node does to its own interfaces only; it also deletes interfaces that others left behind."""

ASSIGNING_EFFECTS = (Effect.LAUNCH, Effect.CREATE, Effect.ASSIGN)
"""What gives addresses to ENIs."""


class HoldingKind(Word):
    """Kinds of addresses on an interface."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    PREFIX = "prefix"
    IPV6 = "ipv6"
    IPV6_PREFIX = "ipv6-prefix"


class Holding(Struct, frozen=True, gc=False):
    """An address or a prefix, with its kind."""

    held: Held
    kind: HoldingKind


class ActorKind(Word):
    """Kinds of callers."""

    IRSA = "irsa"
    POD_IDENTITY = "pod-identity"
    INSTANCE_ROLE = "instance-role"
    ASSUMED_ROLE = "assumed-role"
    IDENTITY_CENTER = "identity-center"
    FEDERATED = "federated"
    IAM_USER = "iam-user"
    ROOT = "root"
    AWS_SERVICE = "aws-service"
    AWS_ACCOUNT = "aws-account"
    UNKNOWN = "unknown"


class Agent(Struct, frozen=True, gc=False):
    """The program behind a user agent string.

    ``name`` is None if the string names no program (an SDK is none); ``sdk`` is the AWS SDK's own
    ``name/version`` if the string has one.
    """

    name: str | None
    version: str | None
    raw: str | None
    sdk: str | None = None


class ActorBasis(Struct, frozen=True, gc=False):
    """How each joined fact about a caller is known; None if the fact is not set.

    ``identity`` is the code for how the caller's identity was put together again (``Form.identity_basis``);
    None if it is CloudTrail's own userIdentity.
    """

    service_account: str | None = None
    cluster: str | None = None
    instance: str | None = None
    identity: str | None = None


class Strength(Word):
    """Who is the source of a fact about a caller.

    AWS itself, in a field that no caller can choose; another event; or only somebody who can write anything:
    a name, a tag, a description.
    """

    PROVEN = "proven-by-aws"
    OBSERVED = "observed"
    CLAIMED = "claimed"


class ActorStrength(Struct, frozen=True, gc=False):
    """Strength of each joined fact about a caller; None if the fact is not set."""

    service_account: Strength | None = None
    cluster: Strength | None = None
    instance: Strength | None = None


class Actor(Struct, frozen=True, gc=False, kw_only=True):
    """The caller of an event: as its record says, completed by other records.

    ``service_account`` is ``namespace/name``. ``ipamd`` is the rule by which the call is known to be made by
    the VPC CNI's address manager: ``user-agent``, ``sts-event`` or ``eni-lineage``; None if no rule applies.
    ``instance`` is the instance whose role was used, as AWS writes it; ``claimed_instance`` is an instance
    ID that the caller may have chosen as session name. ``assumed_by`` is the ARN (or the label) of who
    opened the session, and ``source_identity`` the name that AWS passes on from the first session of a chain.
    """

    kind: ActorKind
    label: str
    arn: str | None
    account: str | None
    role: str | None
    session: str | None
    user: str | None
    service_account: str | None
    cluster: str | None
    oidc_provider: str | None
    instance: str | None
    access_key_id: str | None
    source_ip: str | None
    invoked_by: str | None
    agent: Agent
    basis: ActorBasis
    role_arn: str | None = None
    ipamd: str | None = None
    strength: ActorStrength = ActorStrength()
    claimed_instance: str | None = None
    assumed_by: str | None = None
    source_identity: str | None = None


class CallOutcome(Word):
    """The outcome of a call. A dry run changes nothing, and does not fail: EC2 only checks the request."""

    OK = "ok"
    FAILED = "failed"
    DRY_RUN = "dry-run"


class Failure(Struct, frozen=True, gc=False):
    """Why a call changed nothing: CloudTrail's errorCode and errorMessage."""

    code: str
    message: str | None


class AttributeChange(Struct, frozen=True, gc=False):
    """An attribute of an ENI that a ModifyNetworkInterfaceAttribute call set, and its new value.

    ``attribute`` is the name in the request (``groupSet``, ``sourceDestCheck``, ``description``,
    ``deleteOnTermination``, …), ``value`` what the caller wrote; None if the value is not read.
    """

    attribute: str
    value: bool | str | tuple[str, ...] | None


class CniMark(NamedTuple):
    """The instance that a caller wrote on an ENI, and where: in its description or in a tag."""

    instance: str
    basis: InstanceBasis


class Details(Struct, frozen=True, gc=False, kw_only=True):
    """What only some calls say of an interface or instance.

    Fields that the record does not have are None or empty. ``existing`` is an interface from before the call
    (RunInstances with a networkInterfaceId): the call shows that it has its addresses, not since when.
    ``mark`` is what the VPC CNI's description or tag names. ``served`` is the instance that the description
    of another network plugin's request names. ``previous_state`` is the state of the instance before a
    termination (EC2's InstanceState name). ``resource`` is the NAT gateway, VPC endpoint or EFS mount target
    that AWS makes the interface for, the role (its ARN) that a failed sign-in asked for, or the subnet that
    the call created, with its ``cidr``. ``platform`` is ``windows`` for an instance with Windows (EC2's
    ``platform``). ``force`` is a detachment that does not wait for the instance's operating system.
    ``changes`` are the attributes that the call sets.
    """

    device_index: int | None = None
    existing: bool = False
    delete_on_termination: bool | None = None
    description: str | None = None
    mark: CniMark | None = None
    served: str | None = None
    interface_type: str | None = None
    requester: str | None = None
    instance_type: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    trunk: str | None = None
    previous_state: str | None = None
    association: str | None = None
    public_address: str | None = None
    allocation: str | None = None
    resource: str | None = None
    platform: str | None = None
    force: bool = False
    cidr: IPv4Network | None = None
    changes: tuple[AttributeChange, ...] = ()


class Subject(Struct, frozen=True, gc=False, kw_only=True):
    """One interface or instance that a call names, and everything that the record says about it.

    A call that names several (RunInstances, TerminateInstances) has one subject for each. Fields that the
    record does not have are None or empty. ``requested`` is the number of addresses or prefixes asked for,
    ``requested_kind`` which of them; of a launch whose response is missing, the number of instances.
    """

    eni: str | None = None
    instance: str | None = None
    attachment: str | None = None
    vpc: str | None = None
    subnet: str | None = None
    added: tuple[Holding, ...] = ()
    removed: tuple[Held, ...] = ()
    requested: int | None = None
    requested_kind: HoldingKind | None = None
    requested_addresses: tuple[str, ...] = ()
    reassign: bool = False
    details: Details = Details()

    def addresses(self) -> Iterator[Held]:
        """Yield the addresses and prefixes that the call added, removed, or asked for by name."""
        yield from (holding.held for holding in self.added)
        yield from self.removed
        yield from (held for text in self.requested_addresses if (held := held_of(text)) is not None)


class Event(Struct, frozen=True, gc=False, kw_only=True):
    """A call that changes addresses or interfaces, or tried to.

    ``time`` is aware, UTC, with the one-second resolution of CloudTrail's eventTime (the completion of the
    request). ``key`` identifies the event among duplicates: its eventID, the eventID that it corrects
    (``addendum``), or a hash of the record if it has none. ``failure`` is set if the call changed nothing: a
    dry run has one, too. ``disputed`` has the time of each record if records of the event disagree and
    nothing shows which is true; else it is empty. ``damaged`` means that every record of it comes from a
    damaged file, so any of it may be altered. ``trail`` is what the call did to a trail, if its effect is
    ``record``. ``omitted`` are the parts of the record (``request``, ``response``) that CloudTrail left out
    because they are too large. ``request_id`` is the requestID of a call that changed nothing, by which a
    second event of it is found. ``fidelity`` is how much of the record its form kept.
    """

    time: datetime
    key: str
    event_id: str | None
    name: str
    effect: Effect
    failure: Failure | None
    account: str | None
    region: str | None
    actor: Actor
    subjects: tuple[Subject, ...]
    origins: tuple[Origin, ...]
    corrects: bool = False
    disputed: tuple[datetime, ...] = ()
    damaged: bool = False
    trail: TrailChange | None = None
    omitted: tuple[str, ...] = ()
    request_id: str | None = None
    fidelity: Fidelity = Fidelity.RAW

    def leaves_out_addresses(self, subject: Subject) -> bool:
        """Return whether the call, if it succeeded, gave ``subject`` addresses that its record does not name.

        That is so for most records of CreateNatGateway, for all of CreateVpcEndpoint, and for every record
        whose response CloudTrail left out.
        """
        match self.effect:
            case Effect.ASSIGN:
                return len(subject.added) < (subject.requested or 1)
            case Effect.CREATE:
                is_eni = subject.details.resource is None or subject.details.interface_type is not None
                given = sum(holding.kind is subject.requested_kind for holding in subject.added)
                return is_eni and (not subject.added or given < (subject.requested or 0))
            case Effect.LAUNCH:
                return not (subject.added or subject.details.existing) or subject.requested is not None
            case _:
                return False

    @property
    def place(self) -> AccountRegion:
        """Return its account and Region."""
        return self.account, self.region

    @property
    def shown_id(self) -> str:
        """Return what an answer calls the event: its eventID, or the key of a record without one."""
        return self.event_id or self.key

    @property
    def outcome(self) -> CallOutcome:
        """Return the outcome of the call."""
        if self.failure is None:
            return CallOutcome.OK
        return CallOutcome.DRY_RUN if error_code(self.failure.code) == DRY_RUN else CallOutcome.FAILED


class IssuedSession(Struct, frozen=True, gc=False, kw_only=True):
    """Credentials of a role session that STS issued.

    They are for a Kubernetes service account (IRSA, or EKS Pod Identity: ``pod_identity``), or for a caller,
    not an AWS service, that assumed the role: ``assumer`` is then its ARN (or its label).
    """

    time: datetime
    key: str
    event_id: str | None
    account: str | None
    region: str | None
    access_key_id: str | None
    role_arn: str | None
    session: str | None
    service_account: str | None
    cluster: str | None
    oidc_provider: str | None
    pod_identity: bool
    origins: tuple[Origin, ...]
    corrects: bool = False
    damaged: bool = False
    assumer: str | None = None
    fidelity: Fidelity = Fidelity.RAW


class LookupEvent(Struct, frozen=True, kw_only=True):
    """A record as LookupEvents returns it: its text, and the fields of the envelope.

    ``resources`` are (CloudFormation's resource type, name). ``has_identity`` is whether the record has a
    userIdentity.
    """

    event_id: str | None
    event_name: str | None
    event_source: str | None
    event_time: datetime
    read_only: bool | None
    username: str | None
    access_key_id: str | None
    resources: tuple[tuple[str, str], ...]
    has_identity: bool
    text: str
