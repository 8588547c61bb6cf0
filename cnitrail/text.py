"""How counts, names and times read in a sentence: one function for each, for every room."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

_NAMED = 3
"""Names that a short list spells out before it counts the rest: a sentence stays readable."""

_QUOTED = 120
"""Maximum length of a text from a record inside a sentence."""

_SIBILANTS = ("s", "x", "z", "ch", "sh")


def plural(noun: str) -> str:
    """Return the plural of a noun, or of the last word of several: ``addresses``, ``entries``."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(_SIBILANTS) else f"{noun}s"


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


def opening(text: str, length: int) -> str:
    """Return as many whole sentences from the start of a text as fit, or else as many words, with ``…``."""
    if len(text) <= length:
        return text
    kept = text[:length]
    end = kept.rfind(". ")
    return f"{kept[: end + 1]} …" if end > 0 else f"{kept.rpartition(' ')[0] or kept} …"


def quoted(text: str) -> str:
    """Return a text from a record as part of a sentence: shortened, and in quotes if it has spaces."""
    short = shortened(text, _QUOTED)
    return f'"{short}"' if short and short.split() != [short] else short


def at_source(source: str, what: str) -> str:
    """Return what is to be said about a source: ``logs/a.gz: not JSON``, ``lookup: access denied``."""
    return f"{source.removesuffix(':')}: {what}"


def capitalized(text: str) -> str:
    """Return a clause as the beginning of a sentence; only its first letter changes."""
    return f"{text[:1].upper()}{text[1:]}"


def clock(time: datetime) -> str:
    """Return a UTC time with its date: ``2022-10-05 13:15:46Z``."""
    return f"{time.isoformat(' ', 'seconds')[:19]}Z"


def exact(time: datetime) -> str:
    """Return a UTC time with its date and its fraction of a second, if any: ``2022-10-05 13:20:02.290Z``."""
    return f"{time.isoformat(' ', 'seconds')[:19]}{fraction(time)}Z"


def fraction(time: datetime) -> str:
    """Return the fraction of a second of a time, in milliseconds or microseconds; empty for none."""
    if not time.microsecond:
        return ""
    thousandths, rest = divmod(time.microsecond, 1000)
    return f".{time.microsecond:06}" if rest else f".{thousandths:03}"


def iso(time: datetime) -> str:
    """Return a time as CloudTrail writes it: ``2022-10-05T13:15:46Z``."""
    return f"{time.astimezone(UTC).isoformat(timespec='seconds')[:19]}Z"


def time_range(start: datetime, end: datetime) -> str:
    """Return a UTC range: ``2022-10-05 13:15:46 to 13:16:06Z``; a single time if both are equal."""
    if start == end:
        return clock(start)
    later = f"{end:%H:%M:%SZ}" if start.date() == end.date() else clock(end)
    return f"{start.date()} {start:%H:%M:%S} to {later}"


def duration(length: timedelta) -> str:
    """Return a length of time in its two largest units: ``2 d 3 h``, ``8 min 36 s``, ``1 h``."""
    seconds = round(length.total_seconds())
    for size, unit, smaller, rest_unit in _TIME_UNITS:
        if seconds >= size:
            number, rest = divmod(seconds, size)
            return f"{number} {unit}" + (f" {rest // smaller} {rest_unit}" if rest >= smaller else "")
    return f"{seconds} s"


_TIME_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
"""Each unit in seconds, and the next smaller one."""


_SIZE_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def byte_size(size: int) -> str:
    """Return a number of bytes in decimal units, with three digits: ``0 bytes``, ``12.3 GB``, ``950 MB``."""
    number, unit = float(size), 0
    while number >= 999.5 and unit < len(_SIZE_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    digits = 0 if unit == 0 or number >= 99.95 else 1 if number >= 9.995 else 2
    return f"{number:,.{digits}f} {_SIZE_UNITS[unit]}"


def dollars(amount: float) -> str:
    """Return an amount of US dollars, rounded up to a cent: ``$0.06``; ``less than $0.01``."""
    cents = math.ceil(round(amount * 100, 6))
    return f"${cents / 100:,.2f}" if amount >= 0.01 else "less than $0.01"


def age(time: datetime) -> str:
    """Return how long ago a time was: ``12 min 5 s ago``; empty if that is more than a week, or not past."""
    length = datetime.now(UTC) - time
    if timedelta() <= length < timedelta(seconds=1):
        return "now"
    return f"{duration(length)} ago" if timedelta() < length < timedelta(days=7) else ""


def account_and_region(account: str | None, region: str | None) -> str:
    """Return an account and Region: ``111111111111 in eu-north-1``."""
    return f"{account or 'any account'} in {region or 'any Region'}"
