"""What was at the end of a flow: a node, a pod, a load balancer, or what else an ENI belongs to."""

from ipaddress import ip_address, ip_network
from typing import Final

from cnitrail.model import Address, History, Holder, HoldingKind, Manager
from cnitrail.model.pods import ENIS_OF_ONE_POD

UNKNOWN: Final = "unknown"
"""Not known, or several things: the ENIs that may have had the address are of different kinds."""
PUBLIC: Final = "public"
AWS_SERVICE: Final = "aws-service"
OUTSIDE_VPC: Final = "outside-vpc"
NAT_GATEWAY: Final = "nat-gateway"
NODE: Final = "node"
POD: Final = "pod"
NODE_OR_POD: Final = "node-or-pod"
"""A node or any pod on it: they share the address that the record shows."""
WARM_POOL: Final = "warm-pool"
"""An address for pods of a node while, by pod evidence, no pod had it."""
INSTANCE: Final = "instance"
"""An instance of which nothing shows that it is a Kubernetes node."""
ENI: Final = "eni"
"""An ENI of unknown kind on no known instance."""

_OF_NODES: Final = frozenset(("node-primary", "cni", "trunk", "cilium"))
"""The kinds of ENIs of the instances that pods run on."""

_FOR_PODS: Final = frozenset(("cni", "trunk", "cilium"))
"""The kinds of ENIs that a network plugin adds to a node, so never the primary one."""

_NAMES: Final = {"elb": "load-balancer"}
"""The kinds of ENIs that people know by another name."""

_EVERYBODY: Final = frozenset(("EC2", "AMAZON"))
"""Values of ``pkt-src-aws-service`` for ranges that customers' resources use too."""

_NOT_PUBLIC: Final = {
    4: tuple(
        map(
            ip_network,
            (
                *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
                *("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"),
            ),
        )
    ),
    6: tuple(map(ip_network, ("::/8", "fc00::/7", "fe80::/10", "ff00::/8"))),
}
"""The ranges that the Internet does not route (RFC 1918, 6598, 3927, 1122, 5771, 4291, 4193), by version."""

_RANGES: Final = {
    version: [(int(network[0]), int(network[-1])) for network in networks]
    for version, networks in _NOT_PUBLIC.items()
}
"""The first and last number of each of these ranges."""


def address_of(text: str) -> tuple[Address | None, bool]:
    """Return the address that a text is, None if it is none, and whether the Internet may route it.

    ``::ffff:10.0.0.1`` is 10.0.0.1, as everywhere in cnitrail.
    """
    try:
        ip = ip_address(text)
    except ValueError:
        return None, False
    if "%" in text:  # the zone of an IPv6 address, which may be any text, is not an address of a packet
        return None, False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    number = int(ip)
    return ip, not any(first <= number <= last for first, last in _RANGES[ip.version])


class Nodes:
    """The instances that pods run on."""

    def __init__(self, history: History) -> None:
        self._history = history
        prefixes = (lease for lease in history.leases if lease.kind is HoldingKind.IPV6_PREFIX)
        self._with_ipv6_pods = {lease.eni for lease in prefixes}
        self._with_pods = {lease.instance for lease in history.pods.leases if lease.instance is not None}

    def has(self, holder: Holder) -> bool:
        """Return whether pods run on the instance of a holder."""
        return holder.cluster is not None or self.is_one(holder.instance)

    def is_one(self, instance: str | None) -> bool:
        """Return whether an instance has pods, or anything manages addresses for them."""
        managed = self._history.manager_of_node(instance).manager
        return instance in self._with_pods or managed not in (Manager.UNKNOWN, Manager.NOT_KUBERNETES)

    def has_ipv6_pods(self, eni: str) -> bool:
        """Return whether the pods at a node's primary ENI have IPv6 addresses: those of a prefix."""
        return eni in self._with_ipv6_pods


def kind_of(holder: Holder, *, is_node: bool) -> str:
    """Return what has an address that an ENI holds; ``is_node``: pods run on its instance."""
    kind = holder.eni_kind
    if kind in ENIS_OF_ONE_POD:
        return POD
    if kind in _OF_NODES:
        if not is_node:
            return INSTANCE
        return NODE if holder.is_own_address else POD
    if kind == "other":
        if holder.instance is None:
            return ENI
        if is_node and holder.is_own_address:
            return NODE
        return POD if is_node and is_primary_eni(holder) else INSTANCE
    return _NAMES.get(kind, kind)


def is_primary_eni(holder: Holder) -> bool:
    """Return whether an ENI is, or may be, the primary one of its instance."""
    return holder.eni_kind == "node-primary" or (
        holder.eni_kind not in _FOR_PODS and holder.device_index in (0, None)
    )


def may_be_translated(holder: Holder, other_vpc: str | None, *, has_ipv6_pods: bool) -> bool:
    """Return whether pods of a node may use an address of it to reach a VPC; None: it is not known which.

    That is an own address of the primary ENI. The VPC CNI's chain ``AWS-SNAT-CHAIN-0`` returns for
    destinations in the VPC's CIDR blocks and in ``AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS``, and translates all
    others, except on ``vlan`` interfaces (pods with security groups), unless ``AWS_VPC_K8S_CNI_EXTERNALSNAT``
    is set (``buildIptablesSNATRules`` in pkg/networkutils/network.go of amazon-vpc-cni-k8s). No event shows
    these settings. Windows nodes translate too
    (https://docs.aws.amazon.com/eks/latest/userguide/external-snat.html).

    For the other IP version than its own, a pod uses the address of its node, also within the VPC: for IPv4
    in clusters of IPv6, unless ``ENABLE_V4_EGRESS`` is off, and for IPv6 in clusters of IPv4, if
    ``ENABLE_V6_EGRESS`` is on (cmd/egress-cni-plugin/snat/snat.go).
    """
    if not (holder.is_own_address and is_primary_eni(holder)):
        return False
    if holder.kind is HoldingKind.IPV6:
        return not has_ipv6_pods
    return has_ipv6_pods or other_vpc is None or other_vpc != holder.vpc


def is_aws_service(service: str | None) -> bool:
    """Return whether ``pkt-src-aws-service`` or ``pkt-dst-aws-service`` says that AWS itself is at an end."""
    return service is not None and service not in _EVERYBODY


def kind_without_holder(*, is_public: bool, is_outside: bool, is_service: bool) -> str:
    """Return what may have an address that no ENI of the evidence had.

    ``is_outside``: the record says that it is outside the VPC; ``is_service``: that AWS itself has it.
    """
    if is_public:
        return AWS_SERVICE if is_service else PUBLIC
    return OUTSIDE_VPC if is_outside else UNKNOWN
