"""Times, lengths of time, addresses and IDs, as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

# Patterns are compiled when they are used: every command imports this module.
_AGE = r"^(?P<number>\d+)(?P<unit>[smhdw])$"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SIZE = r"^(?P<number>[0-9]+(?:\.[0-9]+)?) ?(?P<prefix>[kmgtp])(?P<binary>i?)b?$"
_SIZE_PREFIXES = "kmgtp"
_FIRST_DAY = {len("2022"): "-01-01", len("2022-10"): "-01"}
"""Suffix that completes a year or a month to its first day."""
_EPOCH = r"^-?\d{9,11}(?:\.\d+)?$"
_IDS = {
    "instance": ("an instance ID", r"i-[0-9a-f]{1,17}", "i-0abc1def2a3b4c5d6"),
    "eni": ("an ENI ID", r"eni-[0-9a-f]{1,17}", "eni-0abc1def2a3b4c5d6"),
    "vpc": ("a VPC ID", r"vpc-[0-9a-f]{1,17}", "vpc-0abc1def2a3b4c5d6"),
    "subnet": ("a subnet ID", r"subnet-[0-9a-f]{1,17}", "subnet-0abc1def2a3b4c5d6"),
    "account": ("an account ID", r"[0-9]{12}", "111111111111"),
    "access_key": ("an access key ID", r"a[ks]ia[a-z0-9]{12,124}", "ASIAIOSFODNN7EXAMPLE"),
    "event_id": (
        "an event ID",
        r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "8ba6cfa0-4d1b-4d9b-a2e4-5f1d6f3c2b1a",
    ),
}
"""By filter: what its IDs are called, their form, and an example. EC2's have 8 or 17 digits, but those in
logs that someone made anonymous may be shorter. Access keys of users begin with AKIA, those of sessions with
ASIA (IAM User Guide, "IAM identifiers"), and have 16 to 128 characters (API reference, AccessKey)."""
_LAST_PORT = 65_535
_NODE_ADDRESS = r"(?:fargate-)?ip-(\d{1,3})-(\d{1,3})-(\d{1,3})-(\d{1,3})(?:\..+)?"
_NODE_INSTANCE = r"(?:aws:///[a-z0-9-]*/)?(i-[0-9a-f]{1,17})(?:\..+)?"
_CONSOLE_ACCOUNT = r"([0-9]{4})-([0-9]{4})-([0-9]{4})"


def parse_time(text: str, now: datetime) -> datetime:
    """Return the aware UTC time that a text names: ISO 8601, a date, epoch seconds, or an age (``2h``).

    Without an offset, a time is UTC. Raises ``ValueError``, ``OverflowError`` or ``OSError``.
    """
    if "T" not in text:
        if re.match(_AGE, text):
            return now - parse_duration(text)
        if re.match(_EPOCH, text):
            return datetime.fromtimestamp(float(text), UTC)
    time = datetime.fromisoformat(text + _FIRST_DAY.get(len(text), ""))
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def parse_duration(text: str) -> timedelta:
    """Return the length of time that a text names: ``90s``, ``15m``, ``2h``, ``3d``, ``1w``.

    Raises ``ValueError`` or ``OverflowError``.
    """
    age = re.match(_AGE, text)
    if age is None:
        raise ValueError(text)
    return timedelta(**{_UNITS[age["unit"]]: int(age["number"])})


def parse_size(text: str) -> int:
    """Return the number of bytes that a text names: ``500MB``, ``10GB``, ``1.5TB``, ``1TiB``.

    Units are decimal, those with an ``i`` are binary. Raises ``ValueError`` also for 0, and for a number
    without a unit, which may mean anything.
    """
    size = re.match(_SIZE, text.strip().lower())
    if size is None:
        raise ValueError(text)
    base = 1024 if size["binary"] else 1000
    found = int(float(size["number"]) * base ** (_SIZE_PREFIXES.index(size["prefix"]) + 1))
    if found < 1:
        raise ValueError(text)
    return found


def parse_address(text: str) -> IPv4Address | IPv6Address:
    """Return the address that a text names; one that is mapped into IPv6 is IPv4. Raises ``ValueError``."""
    from ipaddress import ip_address

    address = ip_address(_unzoned(text))
    return getattr(address, "ipv4_mapped", None) or address


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Return the CIDR block that a text names; an address is a block of one. Raises ``ValueError``."""
    from ipaddress import ip_network

    return ip_network(_unzoned(text), strict=False)


def parse_ports(text: str) -> tuple[range, ...]:
    """Return the ports of ``80``, ``80,443`` or ``8000-8100``. Raises ``ValueError``."""
    return tuple(map(_port_range, text.split(",")))


def _port_range(text: str) -> range:
    first, dash, last = text.strip().partition("-")
    if not (first.isdecimal() and (last.isdecimal() or not dash)):
        raise ValueError(text)
    ports = range(int(first), int(last if dash else first) + 1)
    if not ports or ports[-1] > _LAST_PORT:
        raise ValueError(text)
    return ports


def parse_node(text: str) -> str | IPv4Address:
    """Return the instance ID in a node's name or providerID, or else the primary address of the instance.

    A node is named by its private DNS name: ``ip-10-0-1-25.eu-west-1.compute.internal`` (IP name),
    ``i-0abc….eu-west-1.compute.internal`` (resource name), or ``i-0abc…`` alone (EKS Auto Mode); its
    providerID is ``aws:///eu-west-1a/i-0abc…``
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/hostname-types.html).
    Raises ``ValueError`` for any other text: a host name of its own says nothing about the instance.
    """
    found = text.strip().lower()
    if instance := re.fullmatch(_NODE_INSTANCE, found):
        return instance[1]
    if address := re.fullmatch(_NODE_ADDRESS, found):
        from ipaddress import IPv4Address

        return IPv4Address(".".join(address.groups()))
    raise ValueError(text)


def node_name(text: str) -> str:
    """Return the name of a node as Kubernetes writes it. Raises ``ValueError`` as ``parse_node`` does."""
    parse_node(text)
    return text.strip().lower()


def not_a_node(text: str) -> tuple[str, str]:
    """Return what is wrong with a text that ``parse_node`` refuses, and a hint."""
    hint = "for example ip-10-0-1-25.eu-west-1.compute.internal or aws:///eu-west-1a/i-0abc1def2a3b4c5d6"
    return f"{text!r} is not the name or providerID of an EC2 node", hint


def parse_pod(text: str) -> str:
    """Return ``NAMESPACE/NAME``, or ``NAME``, of a pod: globs are allowed. Raises ``ValueError``.

    A namespace is a DNS label, a pod's name a DNS subdomain
    (https://kubernetes.io/docs/concepts/overview/working-with-objects/names/).
    """
    found = text.strip().lower()
    if not re.fullmatch(_POD, found):
        raise ValueError(text)
    return found


def not_a_pod(text: str) -> tuple[str, str]:
    """Return what is wrong with a text that ``parse_pod`` refuses, and a hint."""
    return (
        f"{text!r} is not a pod",
        "use NAMESPACE/NAME or NAME, for example shop/web-6d4cf56db6-x2x7k or 'web-*'",
    )


def parse_namespace(text: str) -> str:
    """Return the name of a Kubernetes namespace. Raises ``ValueError``."""
    found = text.strip().lower()
    if not re.fullmatch(_NAMESPACE, found):
        raise ValueError(text)
    return found


def not_a_namespace(text: str) -> tuple[str, str]:
    """Return what is wrong with a text that ``parse_namespace`` refuses, and a hint."""
    hint = "for example kube-system" if "/" not in text else "name a pod with --pod NAMESPACE/NAME"
    return f"{text!r} is not a namespace", hint


_NAMESPACE = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_POD = r"([a-z0-9*?\[\]!-]{1,63}/)?[a-z0-9*?\[\]!.-]{1,253}"


def parse_id(kind: str, text: str) -> str:
    """Return the ID that a text names, as AWS writes it.

    ``kind`` is ``instance``, ``eni``, ``vpc``, ``subnet``, ``account``, ``access_key`` or ``event_id``.
    Capitals and spaces around it do not matter, nor do the hyphens of an account ID in the AWS console.
    Raises ``ValueError`` for what cannot be such an ID.
    """
    found = text.strip().lower()
    if kind == "account":
        found = re.sub(_CONSOLE_ACCOUNT, r"\1\2\3", found)
    if not re.fullmatch(_IDS[kind][1], found):
        raise ValueError(text)
    return found.upper() if kind == "access_key" else found


def not_an_id(kind: str, text: str) -> tuple[str, str]:
    """Return what is wrong with a text that ``parse_id`` refuses, and a hint."""
    name, _, example = _IDS[kind]
    found = text.strip().lower()
    if found.startswith("arn:") and re.fullmatch(_IDS[kind][1], resource := found.rpartition("/")[2]):
        return f"{text!r} is not {name}, but an ARN", f"use {resource}"
    other = next((other for other, form, _ in _IDS.values() if re.fullmatch(form, found)), None)
    return f"{text!r} is not {name}", f"it is {other}" if other else f"for example {example}"


def _unzoned(text: str) -> str:
    """Return the text of an address. Raises ``ValueError`` for a zone ID, which no address in EC2 has."""
    if "%" in text:
        raise ValueError(text)
    return text.strip()
