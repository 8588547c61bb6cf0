"""A subnet census: who holds the IPv4 addresses of a subnet at a time."""

from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network

from msgspec import Struct

from cnitrail.model.eni_kinds import users_of
from cnitrail.model.manager import Manager
from cnitrail.model.reason import Reason

_AWS_RESERVED = 5
"""The addresses of a subnet that AWS reserves: the first four and the last
(https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html)."""


def assignable(cidr: IPv4Network) -> int:
    """Return how many addresses EC2 can assign in a subnet with this block."""
    return cidr.num_addresses - _AWS_RESERVED


class AddressUse(StrEnum):
    """What an address of a subnet is used for."""

    NODE = "node"
    """The primary address of an ENI on a Kubernetes node: pods cannot have it."""
    POD = "pod"
    """A secondary address, or an address of a prefix, on a node whose network plugin gives it to pods."""
    NODE_OTHER = "node-other"
    """Any other address of a Kubernetes node, on an ENI that no network plugin is known to use for pods."""
    BRANCH = "branch"
    """The address of a branch ENI: one pod with its own security groups."""
    NOT_ATTACHED = "not-attached"
    """An address of a node's ENI that has been attached to nothing for five minutes or more."""
    LOAD_BALANCER = "load-balancer"
    LAMBDA = "lambda"
    RDS = "rds"
    VPC_ENDPOINT = "vpc-endpoint"
    NAT_GATEWAY = "nat-gateway"
    SERVICE = "service"
    """An address of another AWS service."""
    INSTANCE = "instance"
    """An address of an EC2 instance of which nothing shows that it is a node."""
    OTHER = "other"


SERVICE_USES = {
    "elb": AddressUse.LOAD_BALANCER,
    "lambda": AddressUse.LAMBDA,
    "rds": AddressUse.RDS,
    "vpc-endpoint": AddressUse.VPC_ENDPOINT,
    "nat-gateway": AddressUse.NAT_GATEWAY,
}
"""The kinds of service ENIs whose addresses are counted apart."""

USE_NAMES = {
    AddressUse.NODE: "nodes",
    AddressUse.POD: "pods and warm pool",
    AddressUse.NODE_OTHER: "other IPs of nodes",
    AddressUse.BRANCH: "branch ENIs",
    AddressUse.NOT_ATTACHED: "not attached",
    AddressUse.SERVICE: "other AWS services",
    AddressUse.INSTANCE: "other instances",
    AddressUse.OTHER: "other ENIs",
    **{use: users_of(kind) for kind, use in SERVICE_USES.items()},
}
"""What people call each use."""


class SubnetGroup(Struct, frozen=True, gc=False, kw_only=True):
    """The addresses of a subnet with the same use, account, cluster and manager.

    ``service`` is the kind of the ENIs of an AWS service. ``nodes`` and ``enis`` are how many hold them.
    ``share`` is the percentage of the addresses seen. ``uncertain`` is the number of addresses that may not
    have been held at the time.
    """

    use: AddressUse
    account: str | None
    cluster: str | None
    manager: Manager
    service: str | None
    nodes: int
    enis: int
    addresses: int
    share: float
    uncertain: int

    @property
    def use_name(self) -> str:
        """Return what people call the use; of another AWS service, its name."""
        if self.use is AddressUse.SERVICE and self.service is not None:
            return users_of(self.service)
        return USE_NAMES[self.use]


class SubnetNode(Struct, frozen=True, gc=False, kw_only=True):
    """The addresses of a subnet on one instance."""

    instance: str
    cluster: str | None
    manager: Manager
    enis: int
    addresses: int


class ReclaimableEni(Struct, frozen=True, gc=False, kw_only=True):
    """An ENI of a node that has been attached to nothing since a time (aware, UTC), with its addresses.

    ``instance`` is the one that it was created for, or was last attached to.
    """

    eni: str
    eni_kind: str
    cluster: str | None
    instance: str | None
    since: datetime | None
    addresses: int


class LiveSubnet(Struct, frozen=True, gc=False, kw_only=True):
    """A subnet as EC2 describes it; ``available`` is its number of free IPv4 addresses."""

    subnet: str
    account: str | None
    region: str | None
    vpc: str | None
    cidr: IPv4Network | None
    available: int | None


class SubnetLive(Struct, frozen=True, gc=False, kw_only=True):
    """What EC2 lists of a subnet beside its census: its free addresses, and the ENIs that only one side has.

    ``enis`` and ``addresses`` are None if EC2 listed no ENIs. ``only_in_ec2`` are the ENIs that hold
    addresses there and are not in the census, ``only_in_cloudtrail`` those of the census that EC2 would list
    if they still existed, with ``addresses_only_in_cloudtrail``. ``unaccounted`` is how many more addresses
    are in use in EC2 than the census has on ENIs that EC2 has too: less than 0 if some of them are free, None
    if EC2 does not say how many are free.
    """

    available: int | None
    enis: int | None
    addresses: int | None
    only_in_ec2: tuple[str, ...]
    only_in_cloudtrail: tuple[str, ...] = ()
    addresses_only_in_cloudtrail: int = 0
    unaccounted: int | None = None


class SubnetCensus(Struct, frozen=True, gc=False, kw_only=True):
    """Who holds the IPv4 addresses of a subnet at the end of a second, as far as the evidence shows.

    Every address counts once, so ``seen`` is the sum of all groups. ``size`` is the number of addresses that
    the subnet can assign: 0 if it was created with IPv6 addresses only, None if nothing shows its ``cidr``.
    ``unaccounted`` is the part of it that was not seen: free, or held by what no event in the evidence
    mentions. ``uncertain`` is the number of addresses that may not have been held at the time.
    ``reclaimable`` has no ENI that ``live`` shows as attached or as gone.
    """

    subnet: str
    account: str | None
    region: str | None
    vpc: str | None
    cidr: IPv4Network | None
    at: datetime
    size: int | None
    seen: int
    uncertain: int
    unaccounted: int | None
    groups: tuple[SubnetGroup, ...]
    nodes: tuple[SubnetNode, ...]
    reclaimable: tuple[ReclaimableEni, ...]
    reasons: tuple[Reason, ...]
    live: SubnetLive | None = None
