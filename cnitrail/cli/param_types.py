"""How the values of options are read: times, lengths of time, addresses, and the names of filters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from cnitrail.cli.click_errors import BadValue
from cnitrail.errors import UsageError
from cnitrail.parse import parse_duration, parse_network, parse_ports, parse_size, parse_time

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network


class Time(click.ParamType[datetime]):
    """A time on the command line: ISO 8601, a date, epoch seconds, or an age."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the aware UTC time that a text means; without an offset it is UTC."""
        if isinstance(value, datetime):
            return value
        try:
            return parse_time(str(value).strip(), datetime.now(UTC))
        except (ValueError, OverflowError, OSError):
            hint = (
                "use ISO 8601 (2022-10-05T13:16:06Z, 2022-10-05), epoch seconds (1664975766) "
                "or an age (90s, 15m, 2h, 3d, 1w)"
            )
            raise BadValue(f"{value!r} is not a time", hint, param, ctx) from None


class Network(click.ParamType["IPv4Network | IPv6Network"]):
    """An IP address or a CIDR block."""

    name = "ADDRESS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> IPv4Network | IPv6Network:
        """Return the block; an address is a block of one."""
        try:
            return parse_network(str(value))
        except ValueError:
            message = f"{value!r} is not an IP address or CIDR block"
            raise BadValue(message, "for example 10.0.1.25 or 10.0.1.0/24", param, ctx) from None


class FilterName(click.ParamType[str]):
    """An ID, a node, a Region or an event: ``kind`` is the filter that takes it."""

    def __init__(self, kind: str, metavar: str = "ID") -> None:
        self.name = metavar
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name as AWS or Kubernetes writes it."""
        from cnitrail.workflows.filter_names import parse_name

        try:
            return parse_name(self._kind, str(value))
        except UsageError as error:
            raise BadValue(error.message, error.hint or "", param, ctx) from None


class Duration(click.ParamType[timedelta]):
    """A length of time on the command line."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the length that a text means."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(str(value))
        except (ValueError, OverflowError):
            hint = "for example 90s, 15m or 2h"
            raise BadValue(f"{value!r} is not a length of time", hint, param, ctx) from None


class Size(click.ParamType[int]):
    """A number of bytes on the command line."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes that a text means."""
        if isinstance(value, int):
            return value
        try:
            return parse_size(str(value))
        except (ValueError, OverflowError):
            raise BadValue(f"{value!r} is not a size", "for example 500MB, 10GB or 1TB", param, ctx) from None


class OneOf(click.Choice[str]):
    """One of several words on the command line."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word; the error for another one names the words that it resembles."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            from difflib import get_close_matches

            alike = get_close_matches(str(value).lower(), self.choices)
            if not alike:
                raise
            hint = f"did you mean {' or '.join(alike)}?"
            raise BadValue(error.message.rstrip("."), hint, param, ctx) from None


class WholeNumber(click.IntRange):
    """A number of things on the command line, 1 or more."""

    name = "whole number"

    def __init__(self) -> None:
        super().__init__(min=1)


class Ports(click.ParamType["tuple[range, ...]"]):
    """Ports: one, several, or a range of them."""

    name = "PORT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[range, ...]:
        """Return the ranges that a text means; a port is a range of one."""
        try:
            return parse_ports(str(value))
        except ValueError:
            hint = "for example 443, 80,443 or 8000-8100, up to 65535"
            raise BadValue(f"{value!r} is not a port", hint, param, ctx) from None
