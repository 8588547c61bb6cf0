"""The arguments of the Python API: filters, times, addresses and names, as the command line reads them.

Each function raises ``UsageError`` for what it cannot read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from msgspec.structs import asdict, replace

from cnitrail.answers.filters import Filter
from cnitrail.errors import UsageError
from cnitrail.parse import parse_address, parse_duration, parse_network, parse_ports, parse_size, parse_time
from cnitrail.workflows.filter_names import parse_name

if TYPE_CHECKING:
    from cnitrail.answers.pool import Settings

Time: TypeAlias = datetime | str
"""An aware datetime, or what ``--at`` takes: ISO 8601, a date, epoch seconds, an age (``2h``)."""
Length: TypeAlias = timedelta | str
"""A timedelta, or what ``--lag`` takes: ``90s``, ``15m``, ``2h``."""
Size: TypeAlias = int | str
"""A number of bytes, or what ``--max-scan`` takes: ``500MB``, ``10GB``, ``1TiB``."""
Address: TypeAlias = IPv4Address | IPv6Address | str
Block: TypeAlias = Address | IPv4Network | IPv6Network
"""An address, or a CIDR block."""
Names: TypeAlias = str | Iterable[str]
"""One value, or several of which any may match."""

Ports: TypeAlias = int | str | range | Iterable[int | str | range]
"""A port, what ``--port`` takes (``80,443``, ``8000-8100``), or several of these."""


class Filters(TypedDict, total=False):
    """The filters of a question: those of the command line, by the same names."""

    instance: Names
    node: Names
    eni: Names
    ip: Block | Iterable[Block]
    vpc: Names
    subnet: Names
    cluster: Names
    account: Names
    region: Names
    actor: Names
    agent: Names
    pod: Names
    namespace: Names
    access_key: Names
    source_ip: Block | Iterable[Block]
    event: Names
    event_id: Names
    since: Time | None
    until: Time | None
    failed: bool | None


def as_filter(base: Filter, given: Mapping[str, Any]) -> Filter:
    """Return a filter with some of its fields replaced. Raises ``UsageError``, ``TypeError`` for a name."""
    unknown = given.keys() - set(Filter.__struct_fields__)
    if unknown:
        raise TypeError(f"no filter is named {', '.join(sorted(unknown))}")
    wanted = replace(base, **{name: _value(name, value) for name, value in given.items()})
    if wanted.since is not None and wanted.until is not None and wanted.since > wanted.until:
        raise UsageError("since must be before until")
    return wanted


def _value(name: str, value: Any) -> Any:
    match name:
        case "failed":
            if value is not None and not isinstance(value, bool):
                raise UsageError(f"failed: {value!r} is not True, False or None")
            return value
        case "since" | "until":
            return as_time(value) if value is not None else None
        case "ip" | "source_ip":
            return tuple(_block(block) for block in as_values(value))
        case "actor" | "agent" | "cluster":
            return tuple(as_text(name, text) for text in as_values(value))
    return tuple(as_name(name, text) for text in as_values(value))


def as_values(value: Any) -> Iterable[Any]:
    """Return the values of a filter, which may be one alone, or None."""
    if value is None:
        return ()
    is_several = isinstance(value, Iterable) and not isinstance(value, (str, bytes, IPv4Network, IPv6Network))
    return value if is_several else (value,)


def as_text(name: str, value: object) -> str:
    """Return a value of a filter. A number would match nothing: account IDs are text."""
    if not isinstance(value, str):
        raise UsageError(f"{name}: {value!r} is not text", f"try {str(value)!r}")
    return value


def as_name(kind: str, value: object) -> str:
    """Return an ID, node, Region or event as AWS or Kubernetes writes it. Raises ``UsageError``."""
    text = as_text(kind, value)
    try:
        return parse_name(kind, text)
    except UsageError as error:
        raise UsageError(f"{kind}: {error.message}", error.hint) from None


def as_settings(value: Settings) -> Settings:
    """Return settings to simulate. Raises ``UsageError`` if they are none, or negative."""
    from cnitrail.answers.pool import Settings

    if not isinstance(value, Settings):
        raise UsageError(f"{value!r} is not a Settings", "use cnitrail.Settings(warm_ip_target=2)")
    for name, number in asdict(value).items():
        if number is not None:
            as_count(name, number)
    return value


def as_path(value: str | os.PathLike[str]) -> str:
    """Return the path or URI of a source."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        raise UsageError(f"{value!r} is not a path or URI", "give several as arguments: read(*paths)")
    return path


def as_count(name: str, value: int, least: int = 0) -> int:
    """Return a number that is not too small."""
    if not isinstance(value, int) or value < least:
        raise UsageError(f"{name}: {value!r} is not a number of at least {least}")
    return value


def as_time(value: Time) -> datetime:
    """Return a time in UTC."""
    if isinstance(value, datetime) and value.tzinfo is None:
        raise UsageError(f"{value.isoformat()} has no time zone", "use an aware datetime, or a text: UTC")
    try:
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return parse_time(str(value).strip(), datetime.now(UTC))
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{value!r} is not a time", "try 2022-10-05T13:16:06Z, 2022-10-05, epoch seconds, or an age: 2h"
        ) from None


def as_length(value: Length) -> timedelta:
    """Return a length of time."""
    try:
        length = value if isinstance(value, timedelta) else parse_duration(str(value))
    except (ValueError, OverflowError):
        raise UsageError(f"{value!r} is not a length of time", "try 90s, 15m or 2h") from None
    if length < timedelta():
        raise UsageError(f"{value!r} is not a length of time: it is negative")
    return length


def as_size(name: str, value: Size) -> int:
    """Return a number of bytes."""
    if isinstance(value, int):
        return as_count(name, value, 1)
    try:
        return parse_size(str(value))
    except (ValueError, OverflowError):
        raise UsageError(f"{name}: {value!r} is not a size", "try 500MB, 10GB or 1TiB") from None


def as_ports(value: Ports) -> tuple[range, ...]:
    """Return ports as ranges."""
    if isinstance(value, range):
        return (value,)
    try:
        several = as_values(value)
        return tuple(ports for text in several for ports in _ports_of(text))
    except ValueError:
        raise UsageError(f"{value!r} is not a port", "try 443, '80,443' or '8000-8100'") from None


def _ports_of(value: int | str | range) -> tuple[range, ...]:
    return (value,) if isinstance(value, range) else parse_ports(str(value))


def as_address(value: Address) -> IPv4Address | IPv6Address:
    """Return an address."""
    try:
        return parse_address(str(value))
    except ValueError:
        raise UsageError(f"{value!r} is not an IP address") from None


def _block(value: Block) -> IPv4Network | IPv6Network:
    try:
        return parse_network(str(value))
    except ValueError:
        raise UsageError(
            f"{value!r} is not an IP address or CIDR block", "try 10.0.1.25 or 10.0.1.0/24"
        ) from None
