"""Options that commands share, and how their values are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from cnitrail.answers.filters import Filter

F = TypeVar("F", bound=Callable[..., Any])

_AGE = re.compile(r"^(?P<number>\d+)(?P<unit>[smhdw])$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_BEGINNING = {len("2022"): "-01-01", len("2022-10"): "-01"}
"""What a year or a month lacks to be the day that it begins with."""
_EPOCH = re.compile(r"^-?\d{9,11}(?:\.\d+)?$")


class Time(click.ParamType[datetime]):
    """A time on the command line: ISO 8601, a date, epoch seconds, or an age."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The aware UTC time that a text means; without an offset it is UTC."""
        if isinstance(value, datetime):
            return value
        try:
            return time_of(str(value).strip())
        except (ValueError, OverflowError, OSError):
            self.fail(
                f"{value!r} is not a time; try 2022-10-05T13:16:06Z, 2022-10-05, "
                "1664975766 (epoch seconds) or an age: 90s, 15m, 2h, 3d, 1w",
                param,
                ctx,
            )


def time_of(text: str) -> datetime:
    """The aware UTC time that a text means. Raises ``ValueError``, ``OverflowError`` or ``OSError``."""
    age = _AGE.match(text)
    if age:
        return datetime.now(UTC) - _length(age)
    if _EPOCH.match(text):
        return datetime.fromtimestamp(float(text), UTC)
    time = datetime.fromisoformat(text + _BEGINNING.get(len(text), ""))
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _length(age: re.Match[str]) -> timedelta:
    return timedelta(**{_UNITS[age["unit"]]: int(age["number"])})


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


class Duration(click.ParamType[timedelta]):
    """A length of time on the command line."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The length that a text means."""
        if isinstance(value, timedelta):
            return value
        age = _AGE.match(str(value))
        try:
            length = _length(age) if age is not None else None
        except (ValueError, OverflowError):
            length = None
        if length is None:
            self.fail(f"{value!r} is not a length of time; try 90s, 15m, 2h", param, ctx)
        return length


_FILTERS = {
    "instance": click.option(
        "--instance", multiple=True, metavar="ID", help="Instance of the interface then."
    ),
    "eni": click.option("--eni", multiple=True, metavar="ID", help="Network interface."),
    "ip": click.option("--ip", multiple=True, type=Network(), help="Address or CIDR block."),
    "vpc": click.option("--vpc", multiple=True, metavar="ID", help="VPC of the interface."),
    "subnet": click.option("--subnet", multiple=True, metavar="ID", help="Subnet of the interface."),
    "cluster": click.option("--cluster", multiple=True, metavar="NAME", help="EKS cluster of actor or node."),
    "account": click.option("--account", multiple=True, metavar="ID", help="AWS account."),
    "region": click.option("--region", multiple=True, metavar="NAME", help="AWS Region; all for every one."),
    "actor": click.option(
        "--actor", multiple=True, metavar="TEXT", help="Who: substring or glob, in any case."
    ),
    "agent": click.option("--agent", multiple=True, metavar="TEXT", help="Through what: substring or glob."),
    "event": click.option("--event", multiple=True, metavar="NAME", help="Event name, or glob: 'Assign*'."),
    "since": click.option("--since", type=Time(), help="From then on: ISO 8601, epoch seconds, an age (2h)."),
    "until": click.option("--until", type=Time(), help="Up to then, included."),
    "failed": click.option("--failed/--no-failed", default=None, help="Only failed calls, or only others."),
}
ALL_FILTERS = tuple(_FILTERS)
PLACE_FILTERS = ("instance", "eni", "ip", "vpc", "subnet", "cluster", "account", "region")


_ACCESS = (
    click.option("--profile", metavar="NAME", help="AWS profile, as the AWS CLI's."),
    click.option("--endpoint-url", metavar="URL", help="Endpoint of the AWS service, as the AWS CLI's."),
    click.option(
        "--request-payer",
        type=click.Choice(["requester"]),
        help="Pay for reading a bucket that says so, as the AWS CLI's.",
    ),
    click.option(
        "--delivery-lag",
        type=Duration(),
        default="1h",
        show_default=True,
        help="How late an event's log file may come: it is read on S3 so long after --until, and "
        "--verify proves events up to so long before digests end.",
    ),
    click.option(
        "--max-ratio",
        type=click.IntRange(min=1),
        default=200,
        show_default=True,
        metavar="NUMBER",
        help="How many times its stored size a gzipped file may be, beyond 1 MB; more is a bomb.",
    ),
    click.option(
        "--assume-complete",
        is_flag=True,
        help="State that the evidence has every event of its time, although nothing in it shows that.",
    ),
)


_LOOKUP = (
    click.option(
        "--lag",
        type=Duration(),
        default="15m",
        show_default=True,
        help="How late LookupEvents may show an event; younger answers are called unfinished.",
    ),
    click.option(
        "--max-calls",
        type=click.IntRange(min=1),
        default=3600,
        show_default=True,
        help="Calls of LookupEvents in each Region at most; two are made a second.",
    ),
)


_VERIFY = (
    click.option("--verify", is_flag=True, help="Prove what is read with CloudTrail's signed digests."),
    click.option(
        "--public-keys",
        metavar="FILE",
        help="Keys for --verify: the JSON of aws cloudtrail list-public-keys.",
    ),
)


_FILES = ("ipamd", "instance_types", "metrics", "pods", "public_keys")
"""The options that name a file to be read, which may be standard input."""

_QUIET = click.option("-q", "--quiet", is_flag=True, help="No progress and no summary on stderr.")


def request_options(
    *filters: str, metavar: str = "[SOURCE]...", verifiable: bool = True, only_trails: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The sources, filters and AWS options of a command, handed to it as one ``Request``.

    ``filters`` are those of the contract that make sense for the command; ``verifiable`` says that it can
    be asked to prove its evidence, ``only_trails`` that it reads trails and copies of them alone.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def asked(sources: tuple[str, ...], *, quiet: bool, **options: Any) -> Any:
            from cnitrail.workflows.request import Access, Request

            files = (options.get(name) for name in _FILES)
            if [*sources, *files, *options.get("live", ())].count("-") > 1:
                raise UsageError("standard input can be read only once", "name - once")
            unasked: dict[str, Any] = {"lag": timedelta(), "max_calls": 1} if only_trails else {}
            access = Access(
                **{name: options.pop(name) for name in Access.__struct_fields__ if name in options}, **unasked
            )
            wanted = _wanted({name: options.pop(name) for name in filters})
            proof = {name: options.pop(name) for name in ("verify", "public_keys")} if verifiable else {}
            if proof.get("public_keys") and not proof["verify"]:
                raise UsageError("--public-keys is for --verify", "add --verify")
            return command(Request(sources, wanted, access, quiet, **proof), **options)

        shared = (
            click.argument("sources", nargs=-1, metavar=metavar),
            *(_FILTERS[name] for name in filters),
            *_ACCESS,
            *(() if only_trails else _LOOKUP),
            *(_VERIFY if verifiable else ()),
            _QUIET,
        )
        for option in reversed(shared):
            option(asked)
        return asked

    return decorate


def _wanted(options: dict[str, Any]) -> Filter:
    """The filter that the options of a command ask for."""
    from cnitrail.answers.filters import Filter

    wanted = Filter(**options)
    if wanted.since is not None and wanted.until is not None and wanted.since > wanted.until:
        raise UsageError("--since is later than --until: no event can lie between them")
    return wanted
