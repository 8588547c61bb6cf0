"""ENI and address limits of instance types, from the bundled table or from EC2's descriptions.

``instance-types.tsv`` has one line per type: name, maximum ENIs, IPv4 addresses per ENI (including the
primary one), whether ENIs may have prefixes, and network cards. ``scripts/instance_types.py`` writes it.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cnitrail.jsontext import parse
from cnitrail.model import Limits

__all__ = ["TABLE", "described", "limits_of", "read_described"]

TABLE = "instance-types.tsv"

_MAX_PLAUSIBLE = 1000
"""Fifteen times the largest limit of any instance type; more than that is not a limit."""


def limits_of(instance_type: str) -> Limits | None:
    """Return the limits of an instance type; None if it is not in the bundled table."""
    return _known().get(instance_type)


@lru_cache(maxsize=1)
def _known() -> Mapping[str, Limits]:
    with open(os.path.join(os.path.dirname(__file__), TABLE), encoding="utf-8") as lines:
        rows = [line.rstrip().split("\t") for line in lines]
    return {
        name: Limits(
            instance_type=name,
            enis=int(enis),
            ipv4_per_eni=int(ipv4),
            prefixes=prefixes == "yes",
            cards=int(cards),
        )
        for name, enis, ipv4, prefixes, cards in rows
    }


def read_described(text: bytes) -> dict[str, Limits]:
    """Return the limits in the output of ``aws ec2 describe-instance-types``, by type.

    Raises ``ValueError`` with the reason if it is not such output.
    """
    match parse(text):
        case {"InstanceTypes": list(listed)}:
            return {limits.instance_type: limits for limits in map(described, listed)}
    raise ValueError("it has no InstanceTypes")


def described(instance_type: Any) -> Limits:
    """Return the limits in EC2's description of one type.

    Of several network cards, the default one counts, as in scripts/gen_vpc_ip_limits.go of
    amazon-vpc-cni-k8s. Prefixes need the Nitro system, which includes bare metal
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-prefix-eni.html).
    Raises ``ValueError`` if it is not such a description.
    """
    try:
        name, network = instance_type["InstanceType"], instance_type["NetworkInfo"]
        default = network.get("DefaultNetworkCardIndex", 0)
        cards = {card["NetworkCardIndex"]: card for card in network.get("NetworkCards", ())}
        nitro = instance_type.get("Hypervisor") == "nitro" or instance_type.get("BareMetal") is True
        return Limits(
            instance_type=str(name),
            enis=_plausible(cards.get(default, network)["MaximumNetworkInterfaces"]),
            ipv4_per_eni=_plausible(network["Ipv4AddressesPerInterface"]),
            prefixes=nitro,
            cards=max(len(cards), 1),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError(f"not a description of an instance type: {instance_type!r:.80}") from None


def _plausible(number: Any) -> int:
    """Return a number of ENIs or addresses. Raises ``ValueError`` if it cannot be one."""
    if not 1 <= int(number) <= _MAX_PLAUSIBLE:
        raise ValueError(number)
    return int(number)
