"""How addresses read in a sentence of the report."""

from collections.abc import Sequence

from cnitrail.model import Held, is_prefix
from cnitrail.text import counted, listed

_NAMED = 3
"""Addresses that a sentence names; if there are more, it gives their number."""


def counted_addresses(held: Sequence[Held]) -> str:
    """Return the number of addresses: ``19 IPs``, ``2 IPs and 1 prefix``, ``no IPs``."""
    prefixes = sum(map(is_prefix, held))
    counts = {"IP": len(held) - prefixes, "prefix": prefixes}
    return listed([counted(number, noun) for noun, number in counts.items() if number]) or "no IPs"


def named_addresses(held: Sequence[Held]) -> str:
    """Return a few addresses by name, more than that by their number."""
    return listed([str(address) for address in held]) if 0 < len(held) <= _NAMED else counted_addresses(held)
