"""Interfaces and instances as EC2 describes them, compared with the rebuilt state."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from cnitrail.model.answer import HeldEntry, StateEntry
from cnitrail.model.coverage import AccountRegion
from cnitrail.model.event import CniMark, Held, Holding, HoldingKind
from cnitrail.model.reason import Reason
from cnitrail.model.subnet import LiveSubnet


class Listing(Struct, frozen=True):
    """The output of DescribeNetworkInterfaces, DescribeInstances or DescribeSubnets, in the AWS CLI's form.

    ``account`` and ``region`` are where it was called; None for a file.
    """

    uri: str
    account: str | None
    region: str | None
    text: bytes


class LiveInterface(Struct, frozen=True, kw_only=True):
    """An interface as EC2 describes it; ``attached`` (aware, UTC) is when it was attached.

    ``mark`` is the instance that the VPC CNI's description or tag names, and which of the two.
    ``instance_known`` is False if it is attached and the listing does not name the instance. ``whole`` is
    False if some of its addresses may be missing from the listing. ``attachment_status`` is EC2's own, such
    as ``attaching``.
    """

    eni: str
    account: str | None
    region: str | None
    vpc: str | None
    subnet: str | None
    instance: str | None
    device_index: int | None
    attachment: str | None
    attached: datetime | None
    attachment_status: str | None = None
    addresses: tuple[Holding, ...]
    description: str | None
    mark: CniMark | None
    interface_type: str | None
    requester: str | None
    tags: tuple[tuple[str, str], ...]
    kind: str = "other"
    cluster: str | None = None
    instance_known: bool = True
    whole: bool = True


class LiveInstance(Struct, frozen=True, kw_only=True):
    """An instance as EC2 describes it; ``state`` is EC2's own, such as ``running``.

    ``whole`` means that all of its interfaces are described.
    """

    instance: str
    state: str | None
    instance_type: str | None
    whole: bool = True
    tags: tuple[tuple[str, str], ...] = ()


class ListingKind(StrEnum):
    """What a listing lists."""

    INTERFACES = "interfaces"
    """An answer of DescribeNetworkInterfaces: all interfaces of an account and Region."""
    INSTANCES = "instances"
    """An answer of DescribeInstances: all instances of an account and Region, with their interfaces."""
    SUBNETS = "subnets"
    """Subnets, as DescribeSubnets answers."""
    QUERY = "query"
    """The result of a ``--query``: nothing shows which interfaces were left out."""


class Described(Struct, frozen=True, kw_only=True):
    """The content of one listing; ``complete`` if nothing of its kind is left out.

    ``addresses`` are those whose interface the listing does not name.
    """

    kind: ListingKind
    interfaces: tuple[LiveInterface, ...]
    instances: tuple[LiveInstance, ...]
    addresses: frozenset[Held]
    complete: bool
    subnets: tuple[LiveSubnet, ...] = ()


class Present(Struct, frozen=True):
    """Everything that EC2 described, by ID.

    All interfaces of the accounts and Regions in ``whole`` are there, and all attached interfaces of those in
    ``attached``.
    """

    interfaces: Mapping[str, LiveInterface]
    instances: Mapping[str, LiveInstance]
    whole: frozenset[AccountRegion]
    attached: frozenset[AccountRegion]


class Queried(Struct, frozen=True):
    """What the result of a ``--query`` has besides interfaces and instances.

    ``addresses`` are those whose interface is not named. ``lists_interfaces`` means that there are also
    interfaces or instances.
    """

    addresses: frozenset[Held]
    lists_interfaces: bool


class Match(StrEnum):
    """How the rebuilt state compares with EC2, differences first."""

    GONE = "gone"
    """Only in the rebuilt state, not in EC2."""
    DIFFERS = "differs"
    """In both, with other addresses or on another instance."""
    MISSING = "missing"
    """Only in EC2, not in the rebuilt state."""
    UNCHECKED = "unchecked"
    """In the rebuilt state, and the listing does not show whether EC2 has it."""
    SAME = "same"


class ComparedAddress(HeldEntry, frozen=True, kw_only=True):
    """An address with how it compares, and why it may differ.

    ``kind`` is None for an IPv4 address in a list that does not show whether it is a primary one.
    """

    kind: HoldingKind | None  # type: ignore[assignment]  # only here: the evidence always shows the kind
    match: Match
    reason: Reason | None


class ComparedEntry(StateEntry, frozen=True, kw_only=True):
    """An interface with how it compares, and why it may differ.

    The fields of a state entry are those of the rebuilt state; if the interface is missing from it, they are
    EC2's. ``live_instance`` is the instance in EC2. ``eni`` is None only for addresses that are in a list
    without ENIs and not in the rebuilt state.
    """

    eni: str | None  # type: ignore[assignment]  # only here, so that a state alone always names its ENIs
    match: Match
    reasons: tuple[Reason, ...]
    live_instance: str | None
    addresses: tuple[ComparedAddress, ...]
