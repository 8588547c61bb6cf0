"""What an instance type can carry."""

from msgspec import Struct

PREFIX_SIZE = 16
"""Addresses in a delegated IPv4 prefix: a /28."""


class Limits(Struct, frozen=True):
    """How many interfaces and IPv4 addresses EC2 lets an instance type have.

    ``enis`` counts those of the default network card, of ``cards`` in all: the VPC CNI gives pods
    addresses on no other unless it is told to. ``ipv4_per_eni`` includes the primary address.
    ``prefixes`` tells whether an interface may hold prefixes in place of secondary addresses.
    """

    instance_type: str
    enis: int
    ipv4_per_eni: int
    prefixes: bool
    cards: int = 1

    @property
    def secondary_per_eni(self) -> int:
        """Places of an interface for secondary addresses, or for prefixes."""
        return self.ipv4_per_eni - 1

    @property
    def addresses(self) -> int:
        """Addresses that the whole instance may have, primary ones included, without prefixes."""
        return self.enis * self.ipv4_per_eni

    @property
    def secondary(self) -> int:
        """Addresses that pods may have: the most that ipamd can hold without prefixes."""
        return self.enis * self.secondary_per_eni

    @property
    def in_prefixes(self) -> int:
        """Addresses that pods may have where every place holds a prefix; 0 where none may."""
        return self.secondary * PREFIX_SIZE if self.prefixes else 0

    @property
    def max_pods(self) -> int:
        """The pods that a node is made for: those with an address, and two that use the node's own.

        As in misc/eni-max-pods.txt of amazon-vpc-cni-k8s. A node that delegates prefixes is often
        told another number.
        """
        return self.secondary + 2
