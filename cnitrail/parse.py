"""Times, lengths of time, addresses and IDs, as people write them."""

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
_IDS = {
    "instance": ("an instance ID", re.compile(r"i-[0-9a-f]{1,17}"), "i-0abc1def2a3b4c5d6"),
    "eni": ("an ENI ID", re.compile(r"eni-[0-9a-f]{1,17}"), "eni-0abc1def2a3b4c5d6"),
    "vpc": ("a VPC ID", re.compile(r"vpc-[0-9a-f]{1,17}"), "vpc-0abc1def2a3b4c5d6"),
    "subnet": ("a subnet ID", re.compile(r"subnet-[0-9a-f]{1,17}"), "subnet-0abc1def2a3b4c5d6"),
    "account": ("an account ID", re.compile(r"[0-9]{12}"), "111111111111"),
}
"""By filter: what its IDs are called, their form, and an example. EC2's have 8 or 17 digits, but those in
logs that someone made anonymous may be shorter."""
_CONSOLE_ACCOUNT = re.compile(r"([0-9]{4})-([0-9]{4})-([0-9]{4})")


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


def parse_id(kind: str, text: str) -> str:
    """Return the ID that a text names, as AWS writes it.

    ``kind`` is ``instance``, ``eni``, ``vpc``, ``subnet`` or ``account``.
    Capitals and spaces around it do not matter, nor do the hyphens of an account ID in the AWS console.
    Raises ``ValueError`` for what cannot be such an ID.
    """
    found = _CONSOLE_ACCOUNT.sub(r"\1\2\3", text.strip().lower())
    if not _IDS[kind][1].fullmatch(found):
        raise ValueError(text)
    return found


def not_an_id(kind: str, text: str) -> tuple[str, str]:
    """Return what is wrong with a text that ``parse_id`` refuses, and a hint."""
    name, _, example = _IDS[kind]
    found = text.strip().lower()
    other = next((other for other, form, _ in _IDS.values() if form.fullmatch(found)), None)
    return f"{text!r} is not {name}", f"it is {other}" if other else f"for example {example}"


def _unzoned(text: str) -> str:
    """Return the text of an address. Raises ``ValueError`` for a zone ID, which no address in EC2 has."""
    if "%" in text:
        raise ValueError(text)
    return text.strip()
