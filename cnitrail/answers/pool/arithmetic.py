"""The VPC CNI's arithmetic of its warm pool: how many addresses it has to have, and how many it asks for.

As in amazon-vpc-cni-k8s, pkg/ipamd/ipamd.go; the functions named are the CNI's.
"""

from math import ceil

from msgspec import Struct

from cnitrail.model import PREFIX_SIZE, Limits


class Settings(Struct, frozen=True):
    """The settings of aws-node that decide about its pool; the defaults are those of its manifest."""

    warm_eni_target: int = 1
    warm_ip_target: int = 0
    minimum_ip_target: int = 0
    warm_prefix_target: int = 1
    prefix_delegation: bool = False
    max_eni: int | None = None

    @property
    def targeted(self) -> bool:
        """Whether addresses are counted; they then count for more than interfaces and prefixes."""
        return self.warm_ip_target != 0 or self.minimum_ip_target != 0


class Stock(Struct, frozen=True):
    """What ipamd counts: addresses for pods, those that pods have, prefixes, prefixes without a pod.

    An address that a pod gave back a moment ago counts as available, though no pod gets it yet.
    """

    total: int
    assigned: int
    prefixes: int = 0
    free_prefixes: int = 0

    @property
    def available(self) -> int:
        """Addresses that no pod has."""
        return self.total - self.assigned


def short_of(settings: Settings, stock: Stock) -> int:
    """Addresses that are missing to WARM_IP_TARGET and MINIMUM_IP_TARGET (datastoreTargetState)."""
    return max(settings.warm_ip_target - stock.available, settings.minimum_ip_target - stock.total, 0)


def over(settings: Settings, stock: Stock) -> int:
    """Addresses, or prefixes where they are delegated, that are given back.

    Without targets addresses never are (isDatastorePoolTooHigh).
    """
    if not settings.targeted:
        return max(stock.free_prefixes - settings.warm_prefix_target, 0) if settings.prefix_delegation else 0
    warm, least = settings.warm_ip_target, settings.minimum_ip_target
    if not settings.prefix_delegation:
        return max(min(stock.available - warm, stock.total - least), 0)
    for_warm = stock.prefixes - ceil((stock.assigned + warm) / PREFIX_SIZE)
    for_least = stock.prefixes - ceil(least / PREFIX_SIZE)
    return max(min(stock.free_prefixes, for_warm, for_least), 0)


def is_low(settings: Settings, limits: Limits, stock: Stock) -> bool:
    """Whether the pool has to grow (isDatastorePoolTooLow), whatever the node's pods may be."""
    if settings.targeted:
        return short_of(settings, stock) > 0
    unit, warm = limits.secondary_per_eni, settings.warm_eni_target
    if settings.prefix_delegation:
        unit, warm = PREFIX_SIZE, settings.warm_prefix_target
    return stock.available < warm * unit or (warm == 0 and stock.available == 0)


def wanted(settings: Settings, limits: Limits, stock: Stock) -> int:
    """Addresses, or prefixes, that one interface with room for all would be asked for."""
    if settings.prefix_delegation:
        if settings.targeted:
            return max(ceil(short_of(settings, stock) / PREFIX_SIZE), 1)
        return max(settings.warm_prefix_target - stock.free_prefixes, 1)
    return short_of(settings, stock) if settings.targeted else limits.secondary_per_eni
