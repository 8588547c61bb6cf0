"""The limits of instance types: those that are known here, and those that EC2 describes.

``instance-types.tsv`` has a line for each type: name, interfaces, IPv4 addresses of each (the primary
one included), whether they may hold prefixes, and network cards. ``scripts/instance_types.py`` writes it.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cnitrail.jsontext import parse
from cnitrail.model import Limits

__all__ = ["TABLE", "described", "limits_of", "read_described"]

TABLE = "instance-types.tsv"

_MOST = 1000
"""Fifteen times what any instance type can carry."""


def limits_of(instance_type: str) -> Limits | None:
    """What an instance type can carry; None of a type that is not known here."""
    return _known().get(instance_type)


@lru_cache(maxsize=1)
def _known() -> Mapping[str, Limits]:
    with open(os.path.join(os.path.dirname(__file__), TABLE), encoding="utf-8") as lines:
        rows = [line.rstrip().split("\t") for line in lines]
    return {
        name: Limits(name, int(enis), int(ipv4), prefixes == "yes", int(cards))
        for name, enis, ipv4, prefixes, cards in rows
    }


def read_described(text: bytes) -> dict[str, Limits]:
    """The types in the JSON that ``aws ec2 describe-instance-types`` prints, by name.

    Raises ``ValueError`` with the reason where it is no such JSON.
    """
    match parse(text):
        case {"InstanceTypes": list(listed)}:
            return {limits.instance_type: limits for limits in map(described, listed)}
    raise ValueError("no InstanceTypes in it")


def described(instance_type: Any) -> Limits:
    """The limits in EC2's description of one type.

    Of several network cards the default one counts, as in scripts/gen_vpc_ip_limits.go of
    amazon-vpc-cni-k8s. Prefixes need the Nitro system, which bare metal is a part of
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-prefix-eni.html).
    Raises ``ValueError`` where the description has another shape.
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
    """A number of interfaces, or of the addresses of one. Raises ``ValueError`` where it can be none."""
    if not 1 <= int(number) <= _MOST:
        raise ValueError(number)
    return int(number)
