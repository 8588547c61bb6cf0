"""What a text asks to explain: an address, an ID, a node's name, an ARN, a cluster or a pod."""

import re
from contextlib import suppress
from ipaddress import IPv4Address

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.errors import UsageError
from cnitrail.model.explanation import TargetKind
from cnitrail.parse import not_an_id, parse_address, parse_id, parse_network, parse_node

_ARN = re.compile(r"arn:aws[a-z-]*:(ec2|eks):([a-z0-9-]*):([0-9]*):([a-z-]+)/(.+)", re.ASCII)
_IDS = {
    "i": ("instance", TargetKind.INSTANCE),
    "eni": ("eni", TargetKind.ENI),
    "subnet": ("subnet", TargetKind.SUBNET),
}
"""By prefix: the filter that takes such IDs, and what can be explained."""

_OF_ARN = {
    ("ec2", "instance"): TargetKind.INSTANCE,
    ("ec2", "network-interface"): TargetKind.ENI,
    ("ec2", "subnet"): TargetKind.SUBNET,
    ("eks", "cluster"): TargetKind.CLUSTER,
}
_LIKE_AN_ID = re.compile(r"(i|eni|subnet|vpc)-[0-9a-z]*[0-9][0-9a-z]*", re.ASCII | re.IGNORECASE)
_CLUSTER = re.compile(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}", re.ASCII)
"""The names of EKS clusters (https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html)."""

_POD = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
"""``NAMESPACE/NAME`` of a pod (https://kubernetes.io/docs/concepts/overview/working-with-objects/names/)."""

KINDS = (
    "an IP address, instance, ENI or subnet ID, node name (ip-10-0-1-25.eu-west-1.compute.internal), "
    "providerID, ARN, EKS cluster or pod (NAMESPACE/NAME)"
)


class Target(Struct, frozen=True, kw_only=True):
    """What to explain: its kind, and its address, ID or name. Account and Region are those of an ARN."""

    text: str
    kind: TargetKind
    name: str
    account: str | None = None
    region: str | None = None

    @property
    def is_id(self) -> bool:
        """Return whether its form alone shows what it is: a pod may be named like a path."""
        return self.kind not in (TargetKind.CLUSTER, TargetKind.POD) or self.account is not None


def parse_target(text: str) -> Target:
    """Return what a text asks to explain. Raises ``UsageError`` for what nothing can be called."""
    found = text.strip()
    if found.lower().startswith("arn:"):
        return _of_arn(text, found)
    with suppress(ValueError):
        return Target(text=text, kind=TargetKind.ADDRESS, name=str(parse_address(found)))
    with suppress(ValueError):
        return _of_node(text, found)
    if like := _LIKE_AN_ID.fullmatch(found):
        return _of_id(text, found, like[1].lower())
    if _CLUSTER.fullmatch(found):
        return Target(text=text, kind=TargetKind.CLUSTER, name=found)
    if _POD.fullmatch(found):
        return Target(text=text, kind=TargetKind.POD, name=found)
    if is_block(found):
        raise UsageError(
            f"{text!r} is a CIDR block: explain takes {KINDS}", f"try cnitrail leases --ip {found}"
        )
    raise UsageError(f"{text!r} is not {KINDS}", "give TARGET first, then SOURCE")


def is_block(text: str) -> bool:
    """Return whether a text is a CIDR block."""
    try:
        parse_network(text)
    except ValueError:
        return False
    return True


def _of_arn(text: str, arn: str) -> Target:
    parts = _ARN.fullmatch(arn)
    kind = _OF_ARN.get((parts[1], parts[4])) if parts is not None else None
    if parts is None or kind is None:
        raise UsageError(
            f"{text!r} is not the ARN of an instance, ENI, subnet or EKS cluster",
            "for example arn:aws:ec2:eu-west-1:111111111111:instance/i-0abc1def2a3b4c5d6",
        )
    if kind is TargetKind.CLUSTER:
        target = Target(text=text, kind=kind, name=parts[5])
    else:
        prefix = parts[5].partition("-")[0].lower()
        target = _of_id(text, parts[5], prefix)
        if target.kind is not kind:
            raise UsageError(f"{text!r} is not an ARN: {parts[5]!r} is not the ID of its resource type")
    return replace(target, region=parts[2] or None, account=parts[3] or None)


def _of_node(text: str, found: str) -> Target:
    """Return a node as the instance that its name has, or else as its primary address."""
    node = parse_node(found)
    if isinstance(node, IPv4Address):
        return Target(text=text, kind=TargetKind.NODE, name=str(node))
    return Target(text=text, kind=TargetKind.INSTANCE, name=node)


def _of_id(text: str, found: str, prefix: str) -> Target:
    if prefix not in _IDS:
        kind = "a VPC" if prefix == "vpc" else "no resource that cnitrail explains"
        raise UsageError(f"{text!r} is {kind}: explain takes {KINDS}", f"try cnitrail timeline --vpc {found}")
    name, kind = _IDS[prefix]
    try:
        return Target(text=text, kind=kind, name=parse_id(name, found))
    except ValueError:
        mistake, hint = not_an_id(name, found)
        raise UsageError(mistake, f"{hint}; if it is a cluster, give its ARN") from None
