"""Kinds of interfaces, and the clusters that tags name."""

import re
from collections.abc import Iterable, Mapping

from cnitrail.model import Actor, ActorKind

_DESCRIPTIONS = (
    ("trunk", r"aws-k8s-trunk-eni"),
    ("branch", r"aws-k8s-branch-eni"),
    ("eks-control-plane", r"Amazon EKS "),
    ("lambda", r"AWS Lambda VPC ENI"),
    ("elb", r"ELB "),
    ("rds", r"RDSNetworkInterface$"),
    ("efs", r"EFS mount target "),
    ("ecs", r"arn:aws[\w-]*:ecs:[^:]*:[^:]*:attachment/"),
    ("nat-gateway", r"Interface for NAT Gateway "),
    ("vpc-endpoint", r"VPC Endpoint Interface "),
)
_TYPES = {
    "trunk": "trunk",
    "branch": "branch",
    "lambda": "lambda",
    "network_load_balancer": "elb",
    "gateway_load_balancer": "elb",
    "nat_gateway": "nat-gateway",
    "vpc_endpoint": "vpc-endpoint",
    "efs": "efs",
}
_REQUESTERS = {"amazon-elb": "elb", "amazon-rds": "rds"}
_CREATORS = {
    "elasticloadbalancing.amazonaws.com": "elb",
    "rds.amazonaws.com": "rds",
    "lambda.amazonaws.com": "lambda",
}
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

_MAKERS = {
    "eks-control-plane": "eks",
    "lambda": "lambda",
    "elb": "elasticloadbalancing",
    "rds": "rds",
    "efs": "elasticfilesystem",
    "ecs": "ecs",
    "nat-gateway": "ec2",
    "vpc-endpoint": "ec2",
}
"""The AWS service that creates interfaces of a kind, itself or with a customer's role."""

_POD_ROLES = (ActorKind.INSTANCE_ROLE, ActorKind.IRSA, ActorKind.POD_IDENTITY, ActorKind.ASSUMED_ROLE)


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
    for kind, pattern in _DESCRIPTIONS:
        if re.match(pattern, description or "") and _makes(creator, kind, requester):
            return kind
    return _REQUESTERS.get(requester or "") or _kind_of_creator(creator) or "other"


def _makes(creator: Actor | None, kind: str, requester: str | None) -> bool:
    """Return whether a caller creates interfaces of a kind; EC2 names a ``requester`` only of a service."""
    service = _MAKERS.get(kind)
    if service is None:
        return creator is not None and creator.kind in _POD_ROLES
    return requester is not None or _service_of(creator) == f"{service}.amazonaws.com"


def _service_of(creator: Actor | None) -> str | None:
    """Return the AWS service that made a call, itself or with a customer's role; else None."""
    if creator is None:
        return None
    return creator.invoked_by or (creator.label if creator.kind is ActorKind.AWS_SERVICE else None)


def _kind_of_creator(creator: Actor | None) -> str | None:
    is_service = creator is not None and creator.kind is ActorKind.AWS_SERVICE
    return _CREATORS.get(_service_of(creator) or "") if is_service else None


def cluster_tags(tags: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the tags that name an EKS cluster."""
    return {
        key: value for key, value in tags if (key in _CLUSTER_TAGS and value) or key.startswith(_OWNED_BY)
    }


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
