"""The ENI and address limits of an instance type."""

from msgspec import Struct

from cnitrail.model.ec2 import PREFIX_SIZE


class Limits(Struct, frozen=True, kw_only=True):
    """The maximum number of ENIs and IPv4 addresses of an instance type.

    ``enis`` are those of the default network card (of ``cards``): by default the VPC CNI uses no other card
    for pods. ``ipv4_per_eni`` includes the primary address. With ``prefixes``, an ENI may have prefixes
    instead of secondary addresses.
    """

    instance_type: str
    enis: int
    ipv4_per_eni: int
    prefixes: bool
    cards: int = 1

    @property
    def secondary_per_eni(self) -> int:
        """Number of secondary addresses, or of prefixes, per ENI."""
        return self.ipv4_per_eni - 1

    @property
    def addresses(self) -> int:
        """Number of addresses of the whole instance, including primary ones, without prefixes."""
        return self.enis * self.ipv4_per_eni

    @property
    def secondary(self) -> int:
        """Number of addresses for pods without prefixes."""
        return self.enis * self.secondary_per_eni

    @property
    def in_prefixes(self) -> int:
        """Number of addresses for pods with prefixes only; 0 if the type does not support prefixes."""
        return self.secondary * PREFIX_SIZE if self.prefixes else 0

    @property
    def max_pods(self) -> int:
        """Maximum number of pods: those with an address, and two that use the node's own address.

        As in misc/eni-max-pods.txt of amazon-vpc-cni-k8s. Nodes with prefix delegation are often configured
        with another number.
        """
        return self.secondary + 2
