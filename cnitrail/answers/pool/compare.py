"""What ipamd says of its pool, beside what the trail shows."""

from collections.abc import Iterator
from datetime import datetime
from ipaddress import IPv4Network

from cnitrail.answers.pool.nodes import Node
from cnitrail.model import Held, HoldingKind, Limits, is_prefix, order_of
from cnitrail.model.ipamd import IpamdPool
from cnitrail.model.pool import AgainstIpamd, Compared, PodAddress, PoolSize

_POOL = (HoldingKind.SECONDARY, HoldingKind.PREFIX)


def against(
    source: str, pool: IpamdPool, node: Node, size: PoolSize | None, limits: Limits | None, until: datetime
) -> AgainstIpamd:
    """The two side by side; the trail's word is its last, at ``until``."""
    held = set(_held(node))
    kept = set(pool.blocks)
    return AgainstIpamd(
        source=source,
        trail_until=until,
        compared=tuple(_compared(pool, size, limits)),
        addresses=tuple(
            PodAddress(each.ip, each.eni, each.pod, each.assigned, in_trail=_holds(held, each.eni, each.ip))
            for each in pool.addresses
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
    """The limit in the mode that shows: with prefixes it is another."""
    if limits is None:
        return None
    return limits.in_prefixes if pool.prefixes or (size is not None and size.prefixes) else limits.secondary


def _row(what: str, told: int | None, shown: int | None) -> Compared:
    return Compared(what, told, shown, told == shown if told is not None and shown is not None else None)


def _held(node: Node) -> Iterator[tuple[str, Held]]:
    """What the interfaces that are on a node hold at the end of the evidence."""
    for stay in node.stays:
        if stay.attachment.end.time is None:
            for lease in stay.leases:
                if lease.end.time is None and lease.kind in _POOL:
                    yield lease.eni, lease.held


def _holds(held: set[tuple[str, Held]], eni: str, ip: Held) -> bool:
    prefix = IPv4Network((int(ip), 28), strict=False) if ip.version == 4 and not is_prefix(ip) else ip  # type: ignore[arg-type]
    return (eni, ip) in held or (eni, prefix) in held
