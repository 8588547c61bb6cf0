"""Kinds of interfaces, and the clusters that tags name."""

import re
from collections.abc import Iterable, Iterator, Mapping

from cnitrail.model import Actor, ActorKind
from cnitrail.model.callers import service_of

_DESCRIPTIONS = (
    ("trunk", "aws-k8s-trunk-eni"),
    ("branch", "aws-k8s-branch-eni"),
    ("cilium", "cilium-cni ("),
    ("eks-control-plane", "amazon eks "),
    ("lambda", "aws lambda vpc eni"),
    ("elb", "elb "),
    ("rds", "rdsnetworkinterface"),
    ("rds", "network interface for dbproxy"),
    ("efs", "efs mount target "),
    ("ecs", "arn:aws"),
    ("nat-gateway", "interface for nat gateway "),
    ("vpc-endpoint", "vpc endpoint interface "),
    ("transit-gateway", "network interface for transit gateway attachment "),
    ("instance-connect-endpoint", "ec2 instance connect endpoint"),
    ("glue", "attached to glue using role: "),
    ("sagemaker", "[do not delete] "),
    ("dms", "dmsnetworkinterface"),
    ("redshift", "redshiftnetworkinterface"),
    ("elasticache", "elasticache "),
    ("elasticache", "elasticache+"),
    ("directory", "aws created network interface for directory "),
    ("workspaces", "created by amazon workspaces for aws account id "),
    ("emr", "aws elasticmapreduce"),
    ("api-gateway", "eni managed by apigateway"),
    ("codestar-connections", "aws codestar connections"),
    ("dax", "dax "),
    ("opensearch", "es "),
)
"""How the descriptions begin that services and controllers give their interfaces, in lower case, as published
by their users."""

_WHOLE_DESCRIPTIONS = {
    "cilium-cni (": r"cilium-cni \(i-[0-9a-f]+\)$",
    "rdsnetworkinterface": r"rdsnetworkinterface$",
    "arn:aws": r"arn:aws[\w-]*:ecs:[^:]*:[^:]*:attachment/",
    "[do not delete] ": r"\[do not delete\] .*sagemaker",
    "dmsnetworkinterface": r"dmsnetworkinterface$",
    "redshiftnetworkinterface": r"redshiftnetworkinterface$",
}
"""What the rest of a description must match as well, by its beginning. Few are ever compiled."""

_TYPES = {
    "trunk": "trunk",
    "branch": "branch",
    "lambda": "lambda",
    "load_balancer": "elb",
    "network_load_balancer": "elb",
    "gateway_load_balancer": "elb",
    "gateway_load_balancer_endpoint": "vpc-endpoint",
    "nat_gateway": "nat-gateway",
    "natGateway": "nat-gateway",
    "vpc_endpoint": "vpc-endpoint",
    "transit_gateway": "transit-gateway",
    "efs": "efs",
    "quicksight": "quicksight",
    "evs": "evs",
    "api_gateway_managed": "api-gateway",
    "aws_codestar_connections_managed": "codestar-connections",
    "ec2_instance_connect_endpoint": "instance-connect-endpoint",
    "global_accelerator_managed": "global-accelerator",
    "iot_rules_managed": "iot-rules",
}
"""The interfaceType values of services
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkInterface.html)."""

_REQUESTERS = {"amazon-elb": "elb", "amazon-rds": "rds", "amazon-elasticache": "elasticache"}
_KIND_BY_SERVICE = {
    "airflow": "mwaa",
    "apigateway": "api-gateway",
    "cloudhsm": "cloudhsm",
    "codebuild": "codebuild",
    "codestar-connections": "codestar-connections",
    "datasync": "datasync",
    "dax": "dax",
    "dms": "dms",
    "ds": "directory",
    "ecs": "ecs",
    "eks-fargate": "fargate",
    "elasticache": "elasticache",
    "elasticfilesystem": "efs",
    "elasticloadbalancing": "elb",
    "elasticmapreduce": "emr",
    "es": "opensearch",
    "fsx": "fsx",
    "glue": "glue",
    "kafka": "msk",
    "lambda": "lambda",
    "memorydb": "memorydb",
    "network-firewall": "network-firewall",
    "quicksight": "quicksight",
    "rds": "rds",
    "redshift": "redshift",
    "redshift-serverless": "redshift",
    "route53resolver": "route53-resolver",
    "sagemaker": "sagemaker",
    "transitgateway": "transit-gateway",
    "workspaces": "workspaces",
}
"""Services that create interfaces of one kind only, by the first part of their DNS name."""

_SEVERAL_KINDS = {
    "ec2": ("nat-gateway", "vpc-endpoint", "transit-gateway", "instance-connect-endpoint"),
    "eks": ("eks-control-plane",),
}
"""Services whose interfaces only a description distinguishes, from each other or from those of nodes."""

_CLUSTER_TAGS = (
    "cluster.k8s.amazonaws.com/name",
    "eks:cluster-name",
    "aws:eks:cluster-name",
    "eks:eks-cluster-name",
    "alpha.eksctl.io/cluster-name",
)
_OWNED_BY = "kubernetes.io/cluster/"


_AWS_TAGS = ("aws:eks:cluster-name",)
"""Cluster tags that only AWS can write: the prefix ``aws:`` is reserved."""


_MAKERS = frozenset(
    (
        *_KIND_BY_SERVICE.items(),
        *((service, kind) for service, kinds in _SEVERAL_KINDS.items() for kind in kinds),
    )
)
"""The AWS services and the kinds of interfaces that they create, themselves or with a customer's role."""

_OF_CLUSTERS = ("trunk", "branch", "cilium")
"""The kinds of interfaces that the controllers of clusters create."""

SERVICE_KINDS = frozenset((*(kind for _, kind in _MAKERS), *_TYPES.values())) - {"trunk", "branch"}
"""The kinds of interfaces that AWS services create for themselves."""

POD_ROLES = (ActorKind.INSTANCE_ROLE, ActorKind.IRSA, ActorKind.POD_IDENTITY, ActorKind.ASSUMED_ROLE)
"""Kinds of callers that may be a program of a cluster."""


def interface_kind(
    *,
    launched_first: bool,
    created_with_mark: bool,
    description: str | None,
    interface_type: str | None,
    requester: str | None,
    creator: Actor | None,
) -> str:
    """Return the kind of an interface.

    EC2 itself sets the interface type. Anybody can choose a description, so it counts only if the interface
    was created with it, by a caller that creates such interfaces.
    """
    if launched_first:
        return "node-primary"
    if interface_type in _TYPES:
        return _TYPES[interface_type]
    if created_with_mark:
        return "cni"
    described = _kinds_described(description.lower()) if description else ()
    for kind in described:
        if _makes(creator, kind, requester):
            return kind
    return _REQUESTERS.get(requester or "") or _kind_of_creator(creator) or "other"


def _kinds_described(description: str) -> Iterator[str]:
    """Yield the kinds of interfaces that have such a description, in lower case."""
    for kind, start in _DESCRIPTIONS:
        if description.startswith(start) and re.match(_WHOLE_DESCRIPTIONS.get(start, ""), description):
            yield kind


def _makes(creator: Actor | None, kind: str, requester: str | None) -> bool:
    """Return whether a caller creates interfaces of a kind; EC2 names a ``requester`` only of a service."""
    if kind in _OF_CLUSTERS:
        return creator is not None and creator.kind in POD_ROLES
    return requester is not None or (_service_name(creator), kind) in _MAKERS


def _service_name(creator: Actor | None) -> str | None:
    """Return the first part of the DNS name of the service that made a call; None if none did."""
    service = service_of(creator) if creator is not None else None
    return service.partition(".")[0] if service is not None else None


def _kind_of_creator(creator: Actor | None) -> str | None:
    return _KIND_BY_SERVICE.get(_service_name(creator) or "")


def cluster_tags(tags: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the tags that name an EKS cluster."""
    return {
        key: value for key, value in tags if (key in _CLUSTER_TAGS and value) or key.startswith(_OWNED_BY)
    }


def cluster_tag_filters(cluster: str) -> tuple[tuple[str, str], ...]:
    """Return the EC2 filters, each a name and a value, that find what is tagged with a cluster."""
    return (
        *((f"tag:{key}", cluster) for key in _CLUSTER_TAGS),
        ("tag-key", f"{_OWNED_BY}{cluster}"),
    )


def clusters_of_tags(tags: Mapping[str, str]) -> tuple[tuple[str, ...], bool]:
    """Return the EKS clusters that tags name, and whether only AWS can have written them."""
    by_aws = {tags[key] for key in _AWS_TAGS if tags.get(key)}
    if by_aws:
        return tuple(sorted(by_aws)), True
    named = {tags[key] for key in _CLUSTER_TAGS if tags.get(key)}
    named |= {key.removeprefix(_OWNED_BY) for key in tags if key.startswith(_OWNED_BY)}
    return tuple(sorted(named)), False


def cluster_of_tags(tags: Mapping[str, str]) -> str | None:
    """Return the EKS cluster that tags name; None if they name none, or several."""
    named, _ = clusters_of_tags(tags)
    return named[0] if len(named) == 1 else None
