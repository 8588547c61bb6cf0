"""The free addresses of subnets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cnitrail.model.checkup import Check, CheckCode, CheckStatus
from cnitrail.model.subnet import assignable
from cnitrail.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cnitrail.model.subnet import LiveSubnet

FEW: Final = 16
"""Fewer free addresses than a /28 prefix has are few in a subnet of any size."""

FEW_PERCENT: Final = 10


def subnet_checks(names: Iterable[str], subnets: Mapping[str, LiveSubnet]) -> Iterator[Check]:
    """Yield how many addresses each subnet has free."""
    for name in names:
        described = subnets.get(name)
        if described is None:
            yield Check(
                code=CheckCode.SUBNET,
                status=CheckStatus.WARNING,
                text=f"EC2 does not list {name}: its free IPs are not known",
                hint="it may belong to another account or Region (--profile, --region)",
                resource=name,
            )
        else:
            yield _subnet_check(described)


def _subnet_check(subnet: LiveSubnet) -> Check:
    size = assignable(subnet.cidr) if subnet.cidr is not None else None
    of_size = f" of {size:,}" if size is not None else ""
    free = subnet.available
    if free is None:
        text = f"EC2 does not say how many IPs {subnet.subnet} has free"
        return Check(code=CheckCode.SUBNET, status=CheckStatus.WARNING, text=text, resource=subnet.subnet)
    is_low = free < FEW or (size is not None and free * 100 < size * FEW_PERCENT)
    if free and not is_low:
        text = f"{subnet.subnet} has {free:,}{of_size} IPs free"
        return Check(code=CheckCode.SUBNET, status=CheckStatus.OK, text=text, resource=subnet.subnet)
    region = f" --region {subnet.region}" if subnet.region else ""
    few = f"{subnet.subnet} has only {counted(free, 'free IP')}{of_size}"
    return Check(
        code=CheckCode.SUBNET,
        status=CheckStatus.WARNING if free else CheckStatus.FAILED,
        text=f"{few} (warning below {FEW_PERCENT}% or {FEW})"
        if free
        else f"{subnet.subnet} has no free IPs (0{of_size})",
        hint="see who holds its IPs, and what could be reclaimed",
        commands=(f"cnitrail subnet {subnet.subnet}{region} --since 1d --live",),
        resource=subnet.subnet,
    )
