"""One CloudTrail record as typed facts: who called what, and what it says of which interface."""

from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from msgspec import Struct

from cnitrail.model.evidence import Origin
from cnitrail.model.trail import TrailChange

Address = IPv4Address | IPv6Address
Prefix = IPv4Network | IPv6Network
Held = Address | Prefix


def is_prefix(held: Held) -> bool:
    """Whether what is held is a prefix and not a single address."""
    return isinstance(held, (IPv4Network, IPv6Network))


def held_of(text: str) -> Held | None:
    """The address or prefix that a text names, where it names one."""
    try:
        return ip_network(text) if "/" in text else ip_address(text)
    except ValueError:
        return None


def block_of(held: Held) -> tuple[int, int]:
    """The block in which holdings exclude each other, as (IP version, number).

    EC2 gives out prefixes of one size, on their own boundaries: /28 of IPv4, /80 of IPv6
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-prefix-eni.html).
    """
    first = held.network_address if isinstance(held, (IPv4Network, IPv6Network)) else held
    return held.version, int(first) >> (4 if held.version == 4 else 48)


def order_of(held: Held) -> tuple[int, int, int]:
    """A key that sorts addresses and prefixes by number, IPv4 first."""
    if isinstance(held, (IPv4Network, IPv6Network)):
        return held.version, int(held.network_address), held.prefixlen
    return held.version, int(held), 0


class Effect(StrEnum):
    """What a call does to addresses and interfaces, in the order of cause and effect.

    ``record``: to what CloudTrail records of such calls.
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
    RECORD = "record"


EFFECT_ORDER = {effect: rank for rank, effect in enumerate(Effect)}
"""Cause before effect, for events of one second."""


class HoldingKind(StrEnum):
    """What kind of address an interface holds."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    PREFIX = "prefix"
    IPV6 = "ipv6"
    IPV6_PREFIX = "ipv6-prefix"


class Holding(Struct, frozen=True, gc=False):
    """An address or a prefix, with its kind."""

    held: Held
    kind: HoldingKind


class ActorKind(StrEnum):
    """The kinds of identity that call EC2."""

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

    ``name`` is None where the string names no program (an SDK alone names none); ``sdk`` is the
    AWS SDK's own ``name/version`` where the string has one.
    """

    name: str | None
    version: str | None
    raw: str | None
    sdk: str | None = None


class ActorBasis(Struct, frozen=True, gc=False):
    """How each joined fact about an actor is known; None where the fact is not set."""

    service_account: str | None = None
    cluster: str | None = None
    instance: str | None = None


class Strength(StrEnum):
    """Who vouches for a fact about an actor.

    AWS itself, with what no caller can choose; another event; or only somebody who could write
    anything: a name, a tag, a description.
    """

    PROVEN = "proven-by-aws"
    OBSERVED = "observed"
    CLAIMED = "claimed"


class ActorStrength(Struct, frozen=True, gc=False):
    """How strong the basis of each joined fact about an actor is; None if the fact is not set."""

    service_account: Strength | None = None
    cluster: Strength | None = None
    instance: Strength | None = None


class Actor(Struct, frozen=True, gc=False):
    """Who made a call, as the record says, and as other records complete it.

    ``service_account`` is ``namespace/name``. ``ipamd`` names the rule by which the call is known
    to be the VPC CNI's address manager: ``user-agent``, ``sts-event`` or ``eni-lineage``; None if no
    rule fires. ``instance`` is the instance whose role was used, as AWS writes it;
    ``claimed_instance`` is an instance id that the caller may have chosen as the session's name.
    ``assumed_by`` is the ARN (or the label) of who opened the session, and ``source_identity`` the
    name that AWS carries along from the first session of a chain.
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


class Failure(Struct, frozen=True, gc=False):
    """Why a call failed, in CloudTrail's words: errorCode and errorMessage."""

    code: str
    message: str | None


class Subject(Struct, frozen=True, gc=False):
    """One interface or instance that a call touches, and all that the record says of it.

    A call that touches several (RunInstances, TerminateInstances) has one subject for each.
    Fields are None, or empty, where the record is silent. ``existing`` marks an interface that
    was there before the call (RunInstances with a networkInterfaceId): the call shows that its
    addresses are held, not since when. ``mark`` is the instance that the VPC CNI's description or
    tag names, with which of the two it is. ``previous_state`` is the state that a termination found
    the instance in (EC2's InstanceState name).
    """

    eni: str | None = None
    instance: str | None = None
    attachment: str | None = None
    device_index: int | None = None
    vpc: str | None = None
    subnet: str | None = None
    added: tuple[Holding, ...] = ()
    removed: tuple[Held, ...] = ()
    requested: int | None = None
    requested_addresses: tuple[str, ...] = ()
    reassign: bool = False
    existing: bool = False
    delete_on_termination: bool | None = None
    description: str | None = None
    mark: tuple[str, str] | None = None
    interface_type: str | None = None
    requester: str | None = None
    instance_type: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    trunk: str | None = None
    previous_state: str | None = None
    association: str | None = None
    public_address: str | None = None
    allocation: str | None = None


class Event(Struct, frozen=True, gc=False):
    """A call that moves an address or an interface, or tried to.

    ``time`` is aware, UTC, with the one-second clock of CloudTrail's eventTime (the completion of
    the request). ``key`` identifies the event among repeats: its eventID, the eventID that it
    corrects (``addendum``), or a digest of the record where it has none. ``disputed`` is empty unless
    records of it were read that disagree, and nothing tells which is true: then it holds the time of each.
    ``damaged`` means that every record of it comes from a damaged file, so that any of it may be altered.
    ``trail`` is what a call did to a trail, if its effect is ``record``.
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


class IssuedSession(Struct, frozen=True, gc=False):
    """Credentials of a role session that STS issued.

    To a Kubernetes service account (IRSA, or EKS Pod Identity: ``pod_identity``), or to a caller that is
    not an AWS service and assumed the role: ``assumer`` is then its ARN (or its label).
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


class LookupEvent(Struct, frozen=True):
    """A record in the envelope of LookupEvents: its own text, and what stands beside it.

    ``resources`` are (CloudFormation's resource type, name). ``has_identity`` says whether the
    record has a userIdentity.
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
