"""Comparison of the pool that ipamd reports with the one that CloudTrail shows."""

from collections.abc import Iterator
from datetime import datetime
from ipaddress import IPv4Address

from cnitrail.answers.pool.nodes import Node
from cnitrail.model import Held, HoldingKind, Limits, order_of
from cnitrail.model.ec2 import prefix_of
from cnitrail.model.ipamd import IpamdPool
from cnitrail.model.pool import AgainstIpamd, Compared, PodAddress, PoolSize

_POOL = (HoldingKind.SECONDARY, HoldingKind.PREFIX)


def against(
    source: str, pool: IpamdPool, node: Node, size: PoolSize | None, limits: Limits | None, until: datetime
) -> AgainstIpamd:
    """Compare what ipamd reports with the last state in CloudTrail, at ``until``."""
    held = set(_held(node))
    kept = set(pool.blocks)
    return AgainstIpamd(
        source=source,
        trail_until=until,
        compared=tuple(_compared(pool, size, limits)),
        addresses=tuple(
            PodAddress(
                ip=address.ip,
                eni=address.eni,
                pod=address.pod,
                assigned=address.assigned,
                released=address.released,
                in_trail=_holds(held, address.eni, address.ip),
            )
            for address in pool.addresses
        ),
        only_in_trail=tuple(sorted((block for _, block in held - kept), key=order_of)) if kept else (),
    )


def _compared(pool: IpamdPool, size: PoolSize | None, limits: Limits | None) -> Iterator[Compared]:
    yield _row("addresses for pods", pool.total, size.pool if size else None)
    yield _row("of them, pods have", pool.assigned, None)
    yield _row("prefixes", pool.prefixes, size.prefixes if size else None)
    yield _row("interfaces", pool.enis, size.enis if size else None)
    yield _row("interfaces at most", pool.most_enis, limits.enis if limits else None)
    yield _row("addresses for pods at most", pool.most_addresses, _most(pool, size, limits))


def _most(pool: IpamdPool, size: PoolSize | None, limits: Limits | None) -> int | None:
    """Return the limit of the mode that is in use."""
    if limits is None:
        return None
    return limits.in_prefixes if pool.prefixes or (size is not None and size.prefixes) else limits.secondary


def _row(what: str, reported: int | None, shown: int | None) -> Compared:
    known = reported is not None and shown is not None
    return Compared(what, reported, shown, reported == shown if known else None)


def _held(node: Node) -> Iterator[tuple[str, Held]]:
    """Yield what the attached ENIs of a node hold at the end of the evidence."""
    for stay in node.stays:
        if stay.attachment.end.time is None:
            for lease in stay.leases:
                if lease.end.time is None and lease.kind in _POOL:
                    yield lease.eni, lease.held


def _holds(held: set[tuple[str, Held]], eni: str, ip: Held) -> bool:
    prefix = prefix_of(ip) if isinstance(ip, IPv4Address) else ip
    return (eni, ip) in held or (eni, prefix) in held
