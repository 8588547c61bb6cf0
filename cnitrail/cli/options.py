"""Options that commands share, and how their values are read."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cnitrail.errors import CnitrailError, UsageError

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from cnitrail.answers.filters import Filter
    from cnitrail.model import Scope

HELP_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

F = TypeVar("F", bound=Callable[..., Any])

_AGE = re.compile(r"^(?P<number>\d+)(?P<unit>[smhdw])$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EPOCH = re.compile(r"^-?\d{9,11}(?:\.\d+)?$")


class CommandGroup(click.Group):
    """A group whose commands end with one clear sentence, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors of ours become a message and an exit status."""
        try:
            return super().invoke(ctx)
        except CnitrailError as error:
            from cnitrail.render.safe import printable

            click.echo(f"cnitrail: {printable(error.message)}", err=True)
            if error.hint:
                click.echo(f"try: {printable(error.hint)}", err=True)
            ctx.exit(2 if isinstance(error, UsageError) else 1)
        except (KeyboardInterrupt, click.Abort):
            click.echo("cnitrail: interrupted", err=True)
            sys.exit(130)


class Time(click.ParamType[datetime]):
    """A time on the command line: ISO 8601, a date, epoch seconds, or an age."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The aware UTC time that a text means; without an offset it is UTC."""
        if isinstance(value, datetime):
            return value
        try:
            return _time(str(value).strip())
        except (ValueError, OverflowError, OSError):
            self.fail(
                f"{value!r} is not a time; try 2022-10-05T13:16:06Z, 2022-10-05, "
                "1664975766 (epoch seconds) or an age: 90s, 15m, 2h, 3d, 1w",
                param,
                ctx,
            )


def _length(age: re.Match[str]) -> timedelta:
    return timedelta(**{_UNITS[age["unit"]]: int(age["number"])})


def _time(text: str) -> datetime:
    age = _AGE.match(text)
    if age:
        return datetime.now(UTC) - _length(age)
    if _EPOCH.match(text):
        return datetime.fromtimestamp(float(text), UTC)
    from dateutil.parser import isoparse

    time = isoparse(text.replace(" ", "T", 1))
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


class Age(click.ParamType[timedelta]):
    """A length of time on the command line."""

    name = "AGE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The length that a text like 15m means."""
        age = _AGE.match(str(value).strip())
        if age is None:
            self.fail(f"{value!r} is not a length of time; try 90s, 15m, 2h, 3d or 1w", param, ctx)
        try:
            return _length(age)
        except OverflowError:
            self.fail(f"{value!r} is too long", param, ctx)


class Network(click.ParamType["IPv4Network | IPv6Network"]):
    """An address or a CIDR block."""

    name = "ADDRESS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> IPv4Network | IPv6Network:
        """The block; an address is the block of itself alone."""
        from ipaddress import ip_network

        try:
            return ip_network(value, strict=False)
        except ValueError:
            self.fail(f"{value!r} is no address and no CIDR block; try 10.0.1.25 or 10.0.1.0/24", param, ctx)


_FILTERS = (
    click.option("--instance", multiple=True, metavar="ID", help="Instance that the interface was on then."),
    click.option("--eni", multiple=True, metavar="ID", help="Network interface."),
    click.option("--ip", multiple=True, type=Network(), help="Address or CIDR block."),
    click.option("--vpc", multiple=True, metavar="ID", help="VPC of the interface."),
    click.option("--subnet", multiple=True, metavar="ID", help="Subnet of the interface."),
    click.option("--cluster", multiple=True, metavar="NAME", help="EKS cluster of the actor or the node."),
    click.option("--account", multiple=True, metavar="ID", help="AWS account."),
    click.option("--region", multiple=True, metavar="NAME", help="AWS Region."),
    click.option("--actor", multiple=True, metavar="TEXT", help="Who: substring or glob, in any case."),
    click.option("--agent", multiple=True, metavar="TEXT", help="Through what program: substring or glob."),
    click.option("--event", multiple=True, metavar="NAME", help="Event name, or glob: 'Assign*'."),
    click.option("--since", type=Time(), help="From this time on: ISO 8601, epoch seconds, or an age (2h)."),
    click.option("--until", type=Time(), help="Up to this time, included."),
    click.option("--failed/--no-failed", default=None, help="Only failed calls, or only successful ones."),
)


def filter_options(command: F) -> F:
    """The filters of the contract, as one ``wanted`` argument."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


_AWS = (
    click.option("--profile", metavar="NAME", help="AWS profile, as the AWS CLI's."),
    click.option("--endpoint-url", metavar="URL", help="Endpoint of the AWS service, as the AWS CLI's."),
    click.option(
        "--request-payer",
        type=click.Choice(["requester"]),
        help="Pay for reading a bucket that says so, as the AWS CLI's.",
    ),
    click.option(
        "--delivery-lag",
        type=Age(),
        default="1h",
        show_default=True,
        help="How long after --until a log file on S3 may have been delivered; later ones are not read.",
    ),
)


def scope_options(command: F) -> F:
    """The sources, and how AWS is reached."""
    for option in reversed(_AWS):
        command = option(command)
    return click.argument("sources", nargs=-1, metavar="[SOURCE]...")(command)


def scope_of(
    wanted: Filter,
    profile: str | None,
    endpoint_url: str | None,
    request_payer: str | None,
    delivery_lag: timedelta,
) -> Scope:
    """What the sources are asked for, given what the answer will keep."""
    from cnitrail.model import Scope

    return Scope(
        since=wanted.since,
        until=wanted.until,
        regions=wanted.region,
        accounts=wanted.account,
        instances=wanted.instance,
        enis=wanted.eni,
        addresses=wanted.ip,
        profile=profile,
        endpoint_url=endpoint_url,
        request_payer=request_payer,
        delivery_lag=delivery_lag,
    )


def wanted_of(options: dict[str, Any]) -> Filter:
    """The filter that the options of a command ask for."""
    from cnitrail.answers.filters import Filter

    wanted = Filter(**options)
    if wanted.since is not None and wanted.until is not None and wanted.since > wanted.until:
        raise UsageError("--since is later than --until: no event can lie between them")
    return wanted


def output_option(*formats: str) -> Callable[[F], F]:
    """``-o/--output`` with the formats that a command has; a table is the default."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="How to print the answer.",
    )


quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress and no summary on stderr.")
