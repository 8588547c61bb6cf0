"""The VPC CNI's warm-pool arithmetic: how many addresses it needs, and how many it requests.

As in amazon-vpc-cni-k8s, pkg/ipamd/ipamd.go; functions named in brackets are the CNI's.
"""

from math import ceil

from msgspec import Struct

from cnitrail.model import PREFIX_SIZE, Limits


class Settings(Struct, frozen=True, kw_only=True):
    """The settings of aws-node that size its pool; the defaults are those of its manifest."""

    warm_eni_target: int = 1
    warm_ip_target: int = 0
    minimum_ip_target: int = 0
    warm_prefix_target: int = 1
    prefix_delegation: bool = False
    max_eni: int | None = None

    @property
    def targeted(self) -> bool:
        """True if address targets are set; they take precedence over ENI and prefix targets."""
        return self.warm_ip_target != 0 or self.minimum_ip_target != 0


class Stock(Struct, frozen=True):
    """What ipamd counts: addresses for pods, those that pods use, prefixes, prefixes without a pod.

    An address in cooldown counts as available, though no pod gets it yet.
    """

    total: int
    assigned: int
    prefixes: int = 0
    free_prefixes: int = 0

    @property
    def available(self) -> int:
        """Addresses that no pod uses."""
        return self.total - self.assigned


def short_of(settings: Settings, stock: Stock) -> int:
    """Return how many addresses are missing to reach both IP targets (datastoreTargetState)."""
    return max(settings.warm_ip_target - stock.available, settings.minimum_ip_target - stock.total, 0)


def over(settings: Settings, stock: Stock) -> int:
    """Return how many addresses (prefixes, if they are delegated) are released (isDatastorePoolTooHigh).

    Without IP targets single addresses never are.
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
    """Return True if the pool has to grow (isDatastorePoolTooLow), max-pods aside."""
    if settings.targeted:
        return short_of(settings, stock) > 0
    unit, warm = limits.secondary_per_eni, settings.warm_eni_target
    if settings.prefix_delegation:
        unit, warm = PREFIX_SIZE, settings.warm_prefix_target
    return stock.available < warm * unit or (warm == 0 and stock.available == 0)


def wanted(settings: Settings, limits: Limits, stock: Stock) -> int:
    """Return how many addresses or prefixes are requested for an ENI with enough free slots."""
    if settings.prefix_delegation:
        if settings.targeted:
            return max(ceil(short_of(settings, stock) / PREFIX_SIZE), 1)
        return max(settings.warm_prefix_target - stock.free_prefixes, 1)
    return short_of(settings, stock) if settings.targeted else limits.secondary_per_eni
