"""What an interface is, and which cluster a tag names."""

import re
from collections.abc import Mapping, Sequence

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


def interface_kind(
    launched_first: bool,
    born_marked: bool,
    descriptions: Sequence[str],
    interface_type: str | None,
    requester: str | None,
    creator: str | None,
) -> str:
    """What an interface is.

    A description can be rewritten at any time, so its first text counts most, and a mark of the VPC
    CNI only where the interface was made with it; a type that only AWS sets counts more than both.
    """
    if launched_first:
        return "node-primary"
    if interface_type in _TYPES:
        return _TYPES[interface_type]
    if born_marked:
        return "cni"
    for description in descriptions:
        for kind, pattern in _DESCRIPTIONS:
            if re.match(pattern, description):
                return kind
    return _REQUESTERS.get(requester or "") or _CREATORS.get(creator or "") or "other"


def cluster_of_tags(tags: Mapping[str, str]) -> str | None:
    """The one EKS cluster that tags name; None where they name none, or several."""
    named = {tags[key] for key in _CLUSTER_TAGS if tags.get(key)}
    named |= {key.removeprefix(_OWNED_BY) for key in tags if key.startswith(_OWNED_BY)}
    return named.pop() if len(named) == 1 else None
