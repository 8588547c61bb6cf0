"""The index columns of a record: what the store finds it by."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from msgspec import Struct

from cnitrail.model.ec2 import PREFIX_LENGTH

Address = IPv4Address | IPv6Address
Held = Address | IPv4Network | IPv6Network


class Act(StrEnum):
    """What a successful call does to an address on an ENI."""

    ASSIGN = "assign"
    TAKE = "take"
    """It assigns the address, and may take it from another ENI."""
    SHOW = "show"
    """The ENI has the address from before the call."""
    RELEASE = "release"


class Mention(Struct, frozen=True, kw_only=True):
    """One ENI or instance that a record names, with the columns that belong to it.

    ``attachment`` is any ID that associates an ENI with something (an attachment, a trunk, a public
    address). ``mark`` is the instance that a description or tag names, or that the call was for. ``maker`` is
    the role that created the ENI with this call, and ``cluster`` the clusters in its tags. With ``reassign``,
    the call may take addresses from other ENIs. ``addresses`` are with what the call did to them: None if it
    only asked for them, or failed.
    """

    eni: str | None = None
    instance: str | None = None
    attachment: str | None = None
    trunk: str | None = None
    mark: str | None = None
    maker: str | None = None
    cluster: str | None = None
    vpc: str | None = None
    subnet: str | None = None
    reassign: bool = False
    addresses: tuple[tuple[Held, Act | None], ...] = ()


class IndexEntry(Struct, frozen=True, kw_only=True):
    """The index columns of one record.

    Records with the same ``key`` are versions of one event. ``fact`` is ``event``, ``credentials`` or
    ``pods``; None if the record has nothing that can be used. ``time`` is aware, UTC; ``effect`` is
    only of events. ``operator`` is the user agent of a call that shows a program on ``caller_instance`` to
    call for other instances. ``access_key``, or ``role`` and ``session``, join a call with the credentials
    that it used. ``unclear`` records are delivered to every query: a part of them could not be read, or they
    made ENIs with addresses that they do not name. ``pod_addresses`` are those that pod evidence names.
    """

    key: str
    fact: str | None = None
    time: datetime | None = None
    event: str | None = None
    effect: str | None = None
    outcome: str | None = None
    account: str | None = None
    region: str | None = None
    caller_instance: str | None = None
    operator: str | None = None
    access_key: str | None = None
    role: str | None = None
    session: str | None = None
    unclear: bool = False
    mentions: tuple[Mention, ...] = ()
    pod_addresses: tuple[Address, ...] = ()

    def says_only_addresses_of(self, mention: Mention) -> bool:
        """Return whether it says nothing of an ENI but which addresses it got or lost, or was refused."""
        addresses = Mention(eni=mention.eni, reassign=mention.reassign, addresses=mention.addresses)
        return self.effect in _ON_ADDRESSES and self.mentions == (addresses,)


_ON_ADDRESSES = ("assign", "unassign")


def sort_key(held: Held) -> str:
    """Return the sortable text of an address (``4:0a000119``) or a prefix (``4:0a000110/28``)."""
    if isinstance(held, (IPv4Network, IPv6Network)):
        return f"{sort_key(held.network_address)}/{held.prefixlen}"
    return f"{held.version}:{held.packed.hex()}"


def block_key(key: str) -> str:
    """Return the beginning that the sort keys of all addresses in one block have in common.

    A block is what EC2 delegates as one prefix.
    """
    return key[: _BLOCK_KEY_LENGTH[key[:1]]]


_BLOCK_KEY_LENGTH = {str(version): len("4:") + length // 4 for version, length in PREFIX_LENGTH.items()}
"""Length of a block's sort key: a hexadecimal digit for every four bits of the prefix."""


def key_ranges(network: IPv4Network | IPv6Network) -> Iterator[tuple[str, str]]:
    """Yield the ranges of sort keys, both ends included, of everything that may overlap a network.

    Prefixes begin on their own boundary, so a prefix that overlaps the network begins in the block of its
    first address, or later. A larger one, which EC2 does not delegate, can only be a supernet.
    """
    yield block_key(sort_key(network.network_address)), sort_key(network.broadcast_address) + "/~"
    for length in range(min(PREFIX_LENGTH[network.version], network.prefixlen)):
        supernet = sort_key(network.supernet(new_prefix=length))
        yield supernet, supernet
