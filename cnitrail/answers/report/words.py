"""How times, counts and lists read in a sentence."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from cnitrail.answers.coverage_text import clock
from cnitrail.model import Held, is_prefix

_NAMED = 3
"""So many addresses are named; of more, their number is enough."""
_LONGEST = 120
_PLURALS = {"address": "addresses", "IPv4 address": "IPv4 addresses", "prefix": "prefixes"}


def span(start: datetime, end: datetime) -> str:
    """``2022-10-05 13:15:46 to 13:16:06Z``; one second is itself."""
    if start == end:
        return clock(start)
    later = f"{end:%H:%M:%SZ}" if start.date() == end.date() else clock(end)
    return f"{start:%Y-%m-%d %H:%M:%S} to {later}"


def many(number: int, noun: str) -> str:
    """A count with its noun: ``1 call``, ``2,000 calls``."""
    return f"{number:,} " + (noun if number == 1 else _PLURALS.get(noun, f"{noun}s"))


def counted(held: Sequence[Held]) -> str:
    """The number of what is held: ``19 addresses``, ``2 addresses and 1 prefix``, ``no address``."""
    prefixes = sum(map(is_prefix, held))
    counts = {"address": len(held) - prefixes, "prefix": prefixes}
    return listed([many(number, noun) for noun, number in counts.items() if number]) or "no address"


def named(held: Sequence[Held]) -> str:
    """What is held: a few by name, more by their number."""
    return listed([str(each) for each in held]) if 0 < len(held) <= _NAMED else counted(held)


def listed(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def distinct(values: Iterable[str | None]) -> tuple[str, ...]:
    """The different values, in the order of their first appearance."""
    return tuple(dict.fromkeys(value for value in values if value))


def quoted(text: str) -> str:
    """A text from a record in a sentence: short, what is cut off is said; in quotes if it has spaces."""
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"
    return f'"{short}"' if any(map(str.isspace, short)) else short
