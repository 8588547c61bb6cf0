"""How counts, names and times read in a sentence: one function for each, for every room."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

_NAMED = 3
"""Names that a short list spells out before it counts the rest: a sentence stays readable."""

_QUOTED = 120
"""Maximum length of a text from a record inside a sentence."""

_SIBILANT = re.compile(r"(?:s|x|z|ch|sh)$")


def plural(noun: str) -> str:
    """Return the plural of a noun, or of the last word of several: ``addresses``, ``log files``."""
    return f"{noun}es" if _SIBILANT.search(noun) else f"{noun}s"


def counted(number: int, noun: str) -> str:
    """Return a count with its noun: ``1 call``, ``2,000 addresses``."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def times(number: int) -> str:
    """Return how often something happened: ``once``, ``12 times``."""
    return "once" if number == 1 else f"{number:,} times"


def listed(items: Sequence[str]) -> str:
    """Return items as a list, in their order: ``a``, ``a and b``, ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def short_list(names: Iterable[str]) -> str:
    """Return the distinct names, sorted; of more than four, the first three and how many more."""
    distinct = sorted(set(names))
    if len(distinct) <= _NAMED + 1:
        return listed(distinct)
    return f"{', '.join(distinct[:_NAMED])} and {len(distinct) - _NAMED:,} more"


def distinct(values: Iterable[str | None]) -> tuple[str, ...]:
    """Return the distinct values that are not empty, in the order of their first appearance."""
    return tuple(dict.fromkeys(value for value in values if value))


def shortened(text: str, length: int) -> str:
    """Return a text cut to a length, followed by its full length if anything was cut."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text):,} characters)"


def quoted(text: str) -> str:
    """Return a text from a record as part of a sentence: shortened, and in quotes if it has spaces."""
    short = shortened(text, _QUOTED)
    return f'"{short}"' if any(map(str.isspace, short)) else short


def capitalized(text: str) -> str:
    """Return a clause as the beginning of a sentence; only its first letter changes."""
    return f"{text[:1].upper()}{text[1:]}"


def clock(time: datetime) -> str:
    """Return a UTC time with its date: ``2022-10-05 13:15:46Z``."""
    return f"{time:%Y-%m-%d %H:%M:%SZ}"


def iso(time: datetime) -> str:
    """Return a time as CloudTrail writes it: ``2022-10-05T13:15:46Z``."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def time_range(start: datetime, end: datetime) -> str:
    """Return a UTC range: ``2022-10-05 13:15:46 to 13:16:06Z``; a single time if both are equal."""
    if start == end:
        return clock(start)
    later = f"{end:%H:%M:%SZ}" if start.date() == end.date() else clock(end)
    return f"{start:%Y-%m-%d %H:%M:%S} to {later}"


def duration(length: timedelta) -> str:
    """Return a length of time in its two largest units: ``2 d 3 h``, ``8 min 36 s``, ``1 h``."""
    seconds = round(length.total_seconds())
    parts = {
        "d": seconds // 86400,
        "h": seconds // 3600 % 24,
        "min": seconds // 60 % 60,
        "s": seconds % 60,
    }
    units = list(parts)
    largest = next((place for place, unit in enumerate(units) if parts[unit]), len(units) - 1)
    shown = [f"{parts[unit]} {unit}" for unit in units[largest : largest + 2] if parts[unit]]
    return " ".join(shown) or "0 s"


def account_and_region(account: str | None, region: str | None) -> str:
    """Return an account and Region: ``111111111111 in eu-north-1``."""
    return f"{account or 'any account'} in {region or 'any Region'}"
