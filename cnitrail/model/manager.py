"""Who manages the addresses of an ENI: the VPC CNI, another network plugin, or an AWS service."""

from msgspec import Struct

from cnitrail.model.event import Strength
from cnitrail.model.word import Word


class Manager(Word):
    """What decides which addresses an ENI has."""

    VPC_CNI = "vpc-cni"
    """amazon-vpc-cni-k8s: its daemon on each node, ipamd."""
    RESOURCE_CONTROLLER = "vpc-resource-controller"
    """amazon-vpc-resource-controller-k8s, in the EKS control plane: trunk and branch ENIs, Windows nodes."""
    CILIUM = "cilium"
    """The Cilium operator in ENI mode, one for all nodes of a cluster."""
    AUTO_MODE = "eks-auto-mode"
    """EKS itself, in clusters with EKS Auto Mode."""
    OPENSHIFT = "openshift"
    """OpenShift's cloud-network-config-controller, which assigns egress IPs to nodes."""
    KARPENTER = "karpenter"
    """Nothing but Karpenter, which launches the node: no call of a network plugin is in the evidence."""
    AWS_SERVICE = "aws-service"
    """An AWS service that created the ENI for itself, such as a load balancer."""
    NOT_KUBERNETES = "not-kubernetes"
    """Whoever created it: its tag ``no_manage`` keeps the VPC CNI away."""
    UNKNOWN = "unknown"


class ManagementBasis(Word):
    """What shows who manages an ENI or a node.

    ``calls`` are those that change its addresses, ``platform`` is Windows in a cluster of the VPC CNI,
    ``node`` are other ENIs of its node, and ``cluster`` other nodes of its cluster.
    """

    INTERFACE_TYPE = "interface-type"
    CREATOR = "creator"
    DESCRIPTION = "description"
    TAG = "tag"
    CALLS = "calls"
    PLATFORM = "platform"
    NODE = "node"
    CLUSTER = "cluster"


class Management(Struct, frozen=True, gc=False):
    """What manages an ENI or a node, and how that is known.

    ``basis`` is None if the manager is unknown. ``service`` is the kind of the ENI of an AWS service
    (``lambda``, ``elb``).
    """

    manager: Manager
    basis: ManagementBasis | None = None
    strength: Strength | None = None
    service: str | None = None

    @property
    def is_service(self) -> bool:
        """Return whether an AWS service created the ENI for itself."""
        return self.manager is Manager.AWS_SERVICE

    @property
    def is_direct(self) -> bool:
        """Return whether evidence about the ENI or the node itself shows it."""
        return self.basis not in (None, ManagementBasis.NODE, ManagementBasis.CLUSTER)

    @property
    def is_of_node(self) -> bool:
        """Return whether evidence about the node shows it at least, and not only its cluster."""
        return self.basis not in (None, ManagementBasis.CLUSTER)


MANAGER_NAMES = {
    Manager.VPC_CNI: "the VPC CNI",
    Manager.RESOURCE_CONTROLLER: "the VPC resource controller",
    Manager.CILIUM: "Cilium",
    Manager.AUTO_MODE: "EKS Auto Mode",
    Manager.OPENSHIFT: "OpenShift",
    Manager.KARPENTER: "Karpenter",
    Manager.AWS_SERVICE: "an AWS service",
    Manager.NOT_KUBERNETES: "its creator (tag no_manage)",
    Manager.UNKNOWN: "unknown",
}
"""What people call each manager."""

PLUGINS = (
    Manager.VPC_CNI,
    Manager.RESOURCE_CONTROLLER,
    Manager.CILIUM,
    Manager.AUTO_MODE,
    Manager.OPENSHIFT,
)
"""What assigns addresses for the pods of a node."""

NO_PLUGIN = (Manager.UNKNOWN, Manager.KARPENTER)
"""The managers of ENIs and nodes of which no network plugin is seen."""

UNKNOWN_MANAGEMENT = Management(Manager.UNKNOWN)
"""The management of an ENI or a node if no event shows who manages it."""
