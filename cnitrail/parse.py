"""Times, lengths of time and addresses, as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_AGE = re.compile(r"^(?P<number>\d+)(?P<unit>[smhdw])$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FIRST_DAY = {len("2022"): "-01-01", len("2022-10"): "-01"}
"""Suffix that completes a year or a month to its first day."""
_EPOCH = re.compile(r"^-?\d{9,11}(?:\.\d+)?$")


def parse_time(text: str, now: datetime) -> datetime:
    """Return the aware UTC time that a text names: ISO 8601, a date, epoch seconds, or an age (``2h``).

    Without an offset, a time is UTC. Raises ``ValueError``, ``OverflowError`` or ``OSError``.
    """
    if _AGE.match(text):
        return now - parse_duration(text)
    if _EPOCH.match(text):
        return datetime.fromtimestamp(float(text), UTC)
    time = datetime.fromisoformat(text + _FIRST_DAY.get(len(text), ""))
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def parse_duration(text: str) -> timedelta:
    """Return the length of time that a text names: ``90s``, ``15m``, ``2h``, ``3d``, ``1w``.

    Raises ``ValueError`` or ``OverflowError``.
    """
    age = _AGE.match(text)
    if age is None:
        raise ValueError(text)
    return timedelta(**{_UNITS[age["unit"]]: int(age["number"])})


def parse_address(text: str) -> IPv4Address | IPv6Address:
    """Return the address that a text names; one that is mapped into IPv6 is IPv4. Raises ``ValueError``."""
    from ipaddress import ip_address

    address = ip_address(_unzoned(text))
    return getattr(address, "ipv4_mapped", None) or address


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Return the CIDR block that a text names; an address is a block of one. Raises ``ValueError``."""
    from ipaddress import ip_network

    return ip_network(_unzoned(text), strict=False)


def _unzoned(text: str) -> str:
    """Return the text of an address. Raises ``ValueError`` for a zone ID, which no address in EC2 has."""
    if "%" in text:
        raise ValueError(text)
    return text
