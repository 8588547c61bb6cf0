"""Addresses that appear nowhere in the evidence. All get the same answer, so only one is looked up."""

from ipaddress import IPv4Address
from typing import Final

from msgspec import Struct

from cnitrail.answers.flows.kinds import address_of
from cnitrail.answers.who import HolderIndex

_OCTETS: Final = frozenset(map(str, range(256)))


class StandIn(Struct, frozen=True, gc=False):
    """An address in its usual form, and the one that is looked up in its place.

    Both are at the same ends, except for their ``ip``.
    """

    ip: str
    asked: str


class UnnamedAddresses:
    """Finds the address that is looked up in place of all those of its IP version, public or not.

    A scan has another address in every record. Most are in a network of 65,536 (/16) of which no evidence
    names any, so they are not looked up one by one.
    """

    def __init__(self, holders: HolderIndex) -> None:
        self._holders = holders
        self._first: dict[tuple[int, bool], str] = {}
        self._by_network: dict[tuple[str, str], str | None] = {}

    def stand_in(self, text: str) -> StandIn | None:
        """Return what is looked up for an address; None if the evidence names it, or if it is none."""
        octets = text.split(".")
        if len(octets) == 4 and _OCTETS.issuperset(octets):
            network = octets[0], octets[1]
            if network not in self._by_network:
                self._by_network[network] = self._of_network(text)
            asked = self._by_network[network]
            if asked is not None:
                return StandIn(text, asked)
        ip, is_public = address_of(text)
        if ip is None or self._holders.names(ip):
            return None
        return StandIn(str(ip), self._first.setdefault((ip.version, is_public), text))

    def _of_network(self, text: str) -> str | None:
        """Return what is looked up for all of a /16 network; None if the evidence names an address of it."""
        ip, is_public = address_of(text)
        if not isinstance(ip, IPv4Address) or self._holders.names_any_near(ip):
            return None
        return self._first.setdefault((ip.version, is_public), text)
