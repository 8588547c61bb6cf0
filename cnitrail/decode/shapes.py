"""Tolerant access to the fields of CloudTrail's requestParameters and responseElements.

A field that is missing or has the wrong type is read as None or as empty. A field that has a value, but not
one that the call needs, is added to a list of problems, so that nothing of a successful call is lost
silently.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from sys import intern
from typing import Any, TypeVar

from cnitrail.model import Held, Holding, HoldingKind

Fields = dict[str, Any]

_NUMBER = re.compile(r"-?[0-9]{1,11}")
NUMBER_LIMIT = 10**11

_WRAPPERS = (
    "items",
    "item",
    "assignedPrivateIpAddressSetType",
    "assignedIpv4PrefixSetType",
    "assignedIpv6PrefixSetType",
    "member",
)
"""The keys under which a set has its elements; they differ between calls, and by request and response."""


def fields(value: object) -> Fields:
    """Return the value if it is an object, else an empty object."""
    return value if isinstance(value, dict) else {}


def text(value: object) -> str | None:
    """Return the value if it is a non-empty string, else None."""
    return value if isinstance(value, str) and value else None


def shared_text(value: object) -> str | None:
    """Return the same as ``text``, and one object for all equal texts: a million facts name a few nodes."""
    found = text(value)
    return intern(found) if found is not None else None


def number(value: object) -> int | None:
    """Return the value as an integer of at most eleven digits; some APIs write numbers as strings."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < NUMBER_LIMIT:
        return value
    return None


def flag(value: object) -> bool | None:
    """Return the value as a Boolean; some APIs write Booleans as strings."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


_TO_THE_SECOND = re.compile(r"[0-9-]{8,10}[^0-9]\d\d:?\d\d:?\d\d", re.ASCII)
"""How a time begins that is exact to the second, as every time in CloudTrail."""


def time(value: object) -> datetime | None:
    """Return the value as an aware time in UTC (the default time zone); None if it is not a time.

    A date is not a time, nor is a time without seconds: they do not show the order of calls.
    """
    if not isinstance(value, str):
        return None
    has_two_colons = value[13:17:3] == "::"  # as all times that AWS writes; a pattern takes longer
    if not has_two_colons and _TO_THE_SECOND.match(value) is None:
        return None
    try:
        read = datetime.fromisoformat(value)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def elements(value: object) -> Sequence[object]:
    """Return the elements of a set, in any of the forms in which CloudTrail writes it.

    A list; ``{}`` or ``""`` if it is empty; a list or a single element under a wrapper; a bare element.
    See CloudTrail's record contents and the EC2 API's ``Set`` types.
    """
    while isinstance(value, dict) and (wrapper := _wrapper_of(value)) is not None:
        value = value[wrapper]
    if isinstance(value, list):
        return value
    return () if value in (None, "", {}) else (value,)


def _wrapper_of(value: Fields) -> str | None:
    """Return the key under which an object has a set; None if the object is itself an element.

    Besides the known keys, that is any single key with a list or an object: no element looks like that.
    """
    if len(value) != 1:
        return next(filter(value.__contains__, _WRAPPERS), None)
    ((key, inside),) = value.items()
    return key if key in _WRAPPERS or isinstance(inside, (list, dict)) else None


def texts(value: object, key: str) -> tuple[str, ...]:
    """Return the strings of a set, bare or under ``key`` in an object."""
    found = [element.get(key) if isinstance(element, dict) else element for element in elements(value)]
    return tuple([intern(string) for string in found if isinstance(string, str) and string])


def tags(value: object) -> tuple[tuple[str, str], ...]:
    """Return the (key, value) pairs of a tag set; in some APIs the field names are capitalized."""
    pairs = []
    for element in map(fields, elements(value)):
        key = text(element.get("key")) or text(element.get("Key"))
        if key is not None:
            pairs.append((key, text(element.get("value")) or text(element.get("Value")) or ""))
    return tuple(pairs)


@lru_cache(maxsize=65536)
def address(value: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a string names; None if it is not an address.

    EC2 has no zone IDs, and Python accepts any text as one (``fe80::1%$(reboot)``).
    """
    try:
        first, second, third, fourth = map(_OCTETS.__getitem__, value.split("."))
        return IPv4Address(first << 24 | second << 16 | third << 8 | fourth)
    except (KeyError, ValueError):
        return _other_address(value)


_OCTETS = {str(octet): octet for octet in range(256)}
"""The numbers of an IPv4 address as they are usually written: ``ip_address`` takes four times as long."""


def _other_address(value: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(value) if "%" not in value else None
    except ValueError:
        return None


@lru_cache(maxsize=65536)
def prefix(value: str) -> IPv4Network | IPv6Network | None:
    """Return the prefix that a string names (``10.0.1.16/28``); None if it is not a prefix."""
    try:
        return ip_network(value) if "/" in value and "%" not in value else None
    except ValueError:
        return None


class Problems(list[str]):
    """What could not be read of a record, with the field's name."""

    def unreadable(self, field: str, value: object, wanted: str) -> None:
        """Note that a field does not have a value of the wanted kind."""
        shown = repr(value)
        self.append(f"{field} is {shown[:60]}{'…' if len(shown) > 60 else ''}, not {wanted}")


def held(value: object, key: str, field: str, problems: Problems) -> tuple[Held, ...]:
    """Return the addresses of a set, or its prefixes if ``key`` is the name of a prefix."""
    return tuple(_read_set(value, key, prefix if _is_of_prefixes(key) else address, field, problems))


def holdings(
    value: object, key: str, kind: HoldingKind, field: str, problems: Problems
) -> tuple[Holding, ...]:
    """Return the addresses or prefixes of a set as holdings of one kind."""
    read = prefix_holding if _is_of_prefixes(key) else address_holding
    return tuple(_read_set(value, key, partial(read, kind), field, problems))


def _is_of_prefixes(key: str) -> bool:
    return key.endswith("Prefix")


@lru_cache(maxsize=65536)
def address_holding(kind: HoldingKind, value: str) -> Holding | None:
    """Return the address that a string names as a holding; equal ones are one object."""
    found = address(value)
    return Holding(found, kind) if found is not None else None


@lru_cache(maxsize=65536)
def prefix_holding(kind: HoldingKind, value: str) -> Holding | None:
    """Return the prefix that a string names as a holding; equal ones are one object."""
    found = prefix(value)
    return Holding(found, kind) if found is not None else None


Found = TypeVar("Found")


def _read_set(
    value: object, key: str, read: Callable[[str], Found | None], field: str, problems: Problems
) -> list[Found]:
    """Return what the elements of a set are, bare or under ``key`` in an object; note the unreadable ones."""
    found: list[Found] = []
    for element in elements(value):
        raw = element if isinstance(element, str) else fields(element).get(key)
        known = read(raw) if isinstance(raw, str) else None
        if known is not None:
            found.append(known)
        else:
            wanted = "a prefix" if _is_of_prefixes(key) else "an address"
            problems.unreadable(f"{field}.{key}", raw, wanted)
    return found
