"""What a record is filed under: the columns by which it is found again."""

from collections.abc import Iterable
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from msgspec import Struct

Held = IPv4Address | IPv6Address | IPv4Network | IPv6Network


class Mention(Struct, frozen=True):
    """One interface or instance that a record names, with all that it names together with it.

    ``attachment`` is any id that ties an interface to something (of an attachment, of a trunk, of
    a public address); ``mark`` the instance that a description or tag names; ``maker`` the role
    that made the interface by this call; ``cluster`` what its tags say of one; ``reassign`` says
    that the call may take addresses from others.
    """

    eni: str | None = None
    instance: str | None = None
    attachment: str | None = None
    trunk: str | None = None
    mark: str | None = None
    maker: str | None = None
    cluster: str | None = None
    vpc: str | None = None
    reassign: bool = False
    addresses: tuple[Held, ...] = ()


class Filing(Struct, frozen=True):
    """A record's place in the store.

    Records of one ``key`` are versions of one event. ``time`` (aware, UTC) is None where the
    record tells nothing that can be placed; ``effect`` is None also for issued credentials.
    ``access_key``, or ``role`` and ``session``, join a call with the credentials that it used.
    ``unclear`` records are delivered to every question: part of them could not be read.
    """

    key: str
    time: datetime | None = None
    event: str | None = None
    effect: str | None = None
    outcome: str | None = None
    account: str | None = None
    region: str | None = None
    caller_instance: str | None = None
    access_key: str | None = None
    role: str | None = None
    session: str | None = None
    unclear: bool = False
    mentions: tuple[Mention, ...] = ()


def place_of(held: Held) -> str:
    """The sortable text of an address (``4:0a000119``) or prefix (``4:0a000110/28``)."""
    if isinstance(held, (IPv4Network, IPv6Network)):
        return f"{place_of(held.network_address)}/{held.prefixlen}"
    return f"{held.version}:{held.packed.hex()}"


def block_of(place: str) -> str:
    """The beginning that all places in one block share: EC2's prefixes are a /28, or an IPv6 /80."""
    return place[:9] if place.startswith("4") else place[:22]


def spans_of(network: IPv4Network | IPv6Network) -> Iterable[tuple[str, str]]:
    """The ranges, both ends included, of all places that may meet a network.

    Prefixes begin on their own boundary, so one that meets the network lies in the block of its
    first address or behind; a wider one, which EC2 does not give out, can only be a supernet.
    """
    block = 28 if network.version == 4 else 80
    yield block_of(place_of(network.network_address)), place_of(network.broadcast_address) + "/~"
    for length in range(min(block, network.prefixlen)):
        wider = place_of(network.supernet(new_prefix=length))
        yield wider, wider
