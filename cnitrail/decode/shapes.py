"""Tolerant access to the shapes of CloudTrail's requestParameters and responseElements.

A field that is absent, or of another type than it should be, reads as None or as empty. One that
is present but cannot be what the call needs is reported to a list of problems, so that nothing of
a successful call is lost in silence.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

from cnitrail.model import Held, Holding, HoldingKind

Fields = dict[str, Any]

_NUMBER = re.compile(r"-?[0-9]{1,11}")
_TOO_LARGE = 10**11

_WRAPPERS = (
    "items",
    "item",
    "assignedPrivateIpAddressSetType",
    "assignedIpv4PrefixSetType",
    "assignedIpv6PrefixSetType",
    "member",
)
"""The keys under which a set keeps its elements; which one depends on the call and its side."""


def fields(value: object) -> Fields:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: object) -> str | None:
    """The value if it is a non-empty string, else None."""
    return value if isinstance(value, str) and value else None


def number(value: object) -> int | None:
    """The value as a whole number of at most eleven digits; query-envelope APIs write numbers as strings."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _TOO_LARGE:
        return value
    return None


def flag(value: object) -> bool | None:
    """The value as a truth value; query-envelope APIs write them as strings."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def time(value: object) -> datetime | None:
    """The value as an aware time in UTC, which it is in without a zone; None where it is no time."""
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
        if read is None:
            return None
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def elements(value: object) -> Sequence[object]:
    """The elements of a set, in whichever of CloudTrail's shapes it stands.

    A list; ``{}`` or ``""`` for none; a list, or a single element, under a wrapper; a bare element.
    See the shapes in AWS's CloudTrail record contents and the EC2 API's ``Set`` types.
    """
    while isinstance(value, dict) and (wrapper := _wrapper_of(value)) is not None:
        value = value[wrapper]
    if isinstance(value, list):
        return value
    return () if value in (None, "", {}) else (value,)


def _wrapper_of(value: Fields) -> str | None:
    """The key under which an object keeps a set; None if the object is an element itself.

    Beside the known keys it is any only key that holds a list or an object: no element has that shape.
    """
    known = next(filter(value.__contains__, _WRAPPERS), None)
    if known is not None or len(value) != 1:
        return known
    key, inside = next(iter(value.items()))
    return key if isinstance(inside, list | dict) else None


def texts(value: object, key: str) -> tuple[str, ...]:
    """The strings of a set, whether they stand bare or under ``key`` in an object."""
    found = [text(element) or text(fields(element).get(key)) for element in elements(value)]
    return tuple([each for each in found if each is not None])


def tags(value: object) -> tuple[tuple[str, str], ...]:
    """The (key, value) pairs of a tag set; keys may be lower case or, in some APIs, capitalised."""
    pairs = []
    for element in map(fields, elements(value)):
        key = text(element.get("key")) or text(element.get("Key"))
        if key is not None:
            pairs.append((key, text(element.get("value")) or text(element.get("Value")) or ""))
    return tuple(pairs)


@lru_cache(maxsize=65536)
def address(value: str) -> IPv4Address | IPv6Address | None:
    """The address that a string names, or None."""
    try:
        return ip_address(value)
    except ValueError:
        return None


@lru_cache(maxsize=65536)
def prefix(value: str) -> IPv4Network | IPv6Network | None:
    """The prefix that a string names (``10.0.1.16/28``), or None."""
    try:
        return ip_network(value) if "/" in value else None
    except ValueError:
        return None


class Problems(list[str]):
    """What in a record could not be read, each with the field's name."""

    def unreadable(self, field: str, value: object, wanted: str) -> None:
        """Note that a field holds something else than it should."""
        shown = repr(value)
        self.append(f"{field} is {shown[:60]}{'…' if len(shown) > 60 else ''}, not {wanted}")


def held(value: object, key: str, field: str, problems: Problems) -> tuple[Held, ...]:
    """The addresses (``key`` names an address) or prefixes (``key`` names a prefix) of a set."""
    if value is None:
        return ()
    found: list[Held] = []
    wants_prefix = key.lower().endswith("prefix")
    for element in elements(value):
        raw = element if isinstance(element, str) else fields(element).get(key)
        read = (prefix(raw) if wants_prefix else address(raw)) if isinstance(raw, str) else None
        if read is None:
            problems.unreadable(f"{field}.{key}", raw, "a prefix" if wants_prefix else "an address")
        else:
            found.append(read)
    return tuple(found)


def holdings(
    value: object, key: str, kind: HoldingKind, field: str, problems: Problems
) -> tuple[Holding, ...]:
    """The holdings of one kind in a set."""
    return tuple([Holding(each, kind) for each in held(value, key, field, problems)])
