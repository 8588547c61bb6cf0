"""Capacity: how many addresses for pods a node can have, which depends on what manages them.

Windows nodes: https://docs.aws.amazon.com/eks/latest/userguide/windows-support.html and
https://docs.aws.amazon.com/eks/latest/best-practices/prefix-mode-win.html. Custom networking:
https://docs.aws.amazon.com/eks/latest/userguide/cni-custom-network.html.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from cnitrail.model import PREFIX_SIZE, Limits, Management, Manager
from cnitrail.model.pool import PodEnis, PoolLimits, PoolSize

_WINDOWS_ENIS = 1
"""ENIs of a Windows node that the VPC resource controller uses (pkg/provider/ip/eni in its source)."""

_HOST_NETWORK_PODS = 2
"""Pods that max-pods counts on Linux, and that use the node's own address (see ``Limits.max_pods``)."""


def usable_limits(limits: Limits, management: Management) -> Limits:
    """Return the limits of what manages the addresses on a node: on Windows, it uses one ENI."""
    is_windows = management.manager is Manager.RESOURCE_CONTROLLER
    return replace(limits, enis=min(limits.enis, _WINDOWS_ENIS)) if is_windows else limits


def pool_limits(limits: Limits, used: PodEnis | None) -> PoolLimits:
    """Return the usable limits of a node as those of its pool.

    ``used`` are its ENIs that may have addresses for pods (None: unknown).
    """
    windows = used is PodEnis.PRIMARY
    enis = limits.enis
    with_pods = enis - 1 if used is PodEnis.SECONDARY else enis
    pool = with_pods * limits.secondary_per_eni
    known = used is not None
    return PoolLimits(
        enis=enis,
        ipv4_per_eni=limits.ipv4_per_eni,
        addresses=enis * limits.ipv4_per_eni,
        pod_enis=used,
        pool=pool if known else None,
        prefix_pool=pool * PREFIX_SIZE * limits.prefixes if known else None,
        max_pods=pool + (0 if windows else _HOST_NETWORK_PODS) if known else None,
    )


def capacity(limits: PoolLimits | None, sizes: Sequence[PoolSize]) -> int | None:
    """Return the maximum size of a pool: with prefixes if its last addresses were in prefixes."""
    if limits is None:
        return None
    filled = [size for size in sizes if size.pool]
    return limits.prefix_pool if filled and filled[-1].prefixes else limits.pool
