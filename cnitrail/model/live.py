"""What EC2 itself says of interfaces and instances, and how the rebuilt state compares with it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from cnitrail.model.answer import HeldEntry, StateEntry
from cnitrail.model.coverage import AccountRegion
from cnitrail.model.event import Holding


class Listing(Struct, frozen=True):
    """What DescribeNetworkInterfaces or DescribeInstances answered, as JSON in the AWS CLI's form.

    ``account`` and ``region`` are those that were asked; None of what somebody kept in a file.
    """

    uri: str
    account: str | None
    region: str | None
    text: bytes


class LiveInterface(Struct, frozen=True):
    """An interface as EC2 describes it. ``attached`` (aware, UTC) is when it came to its instance.

    ``mark`` is the instance that the VPC CNI's description or tag names, with which of the two.
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
    addresses: tuple[Holding, ...]
    description: str | None
    mark: tuple[str, str] | None
    interface_type: str | None
    requester: str | None
    tags: tuple[tuple[str, str], ...]
    kind: str = "other"
    cluster: str | None = None


class LiveInstance(Struct, frozen=True):
    """An instance as EC2 describes it; ``state`` in EC2's own word, as ``running``."""

    instance: str
    state: str | None
    instance_type: str | None


class Described(Struct, frozen=True):
    """What one listing says. ``complete`` where it says that nothing follows."""

    interfaces: tuple[LiveInterface, ...]
    instances: tuple[LiveInstance, ...]
    lists_interfaces: bool
    complete: bool


class Present(Struct, frozen=True):
    """All that EC2 said, by id.

    Of the accounts and Regions in ``whole`` every interface is there; of those in ``attached`` every
    one that is on an instance.
    """

    interfaces: Mapping[str, LiveInterface]
    instances: Mapping[str, LiveInstance]
    whole: frozenset[AccountRegion]
    attached: frozenset[AccountRegion]


class Match(StrEnum):
    """How the trail's state compares with EC2's, what differs first."""

    GONE = "gone"
    """In the trail's state, and not there."""
    DIFFERS = "differs"
    """There, but with other addresses, or on another instance."""
    MISSING = "missing"
    """There, and missing from the trail's state."""
    UNCHECKED = "unchecked"
    """In the trail's state, and not asked for."""
    SAME = "same"


class ComparedAddress(HeldEntry, frozen=True):
    """An address with how it compares, and why it may differ."""

    match: Match
    reason: str | None


class ComparedEntry(StateEntry, frozen=True, kw_only=True):
    """An interface with how it compares, and why it may differ.

    Fields that state entries have are the trail's; of an interface that is missing from it they are
    EC2's. ``live_instance`` is the instance that EC2 names.
    """

    match: Match
    reasons: tuple[str, ...]
    live_instance: str | None
    addresses: tuple[ComparedAddress, ...]
