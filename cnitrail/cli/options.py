"""Options that commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cnitrail.cli.click_errors import BadValue
from cnitrail.cli.debug import log_to_stderr
from cnitrail.cli.help import Sources
from cnitrail.cli.quiet import be_quiet
from cnitrail.errors import UsageError
from cnitrail.parse import not_an_id, parse_duration, parse_id, parse_network, parse_time

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from ipaddress import IPv4Network, IPv6Network

    from click.shell_completion import CompletionItem

    from cnitrail.answers.filters import Filter

F = TypeVar("F", bound=Callable[..., Any])


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


class ResourceId(click.ParamType[str]):
    """The ID of an instance, an ENI, a VPC, a subnet or an account: ``kind`` is the filter that takes it."""

    name = "ID"

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the ID as AWS writes it."""
        try:
            return parse_id(self._kind, str(value))
        except ValueError:
            raise BadValue(*not_an_id(self._kind, str(value)), param, ctx) from None


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


def complete_files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a value as the name of a file or directory."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


LOG_SOURCES = {
    "FILE, DIR": "Files with CloudTrail records: log files or exports, also packed.",
    "s3://BUCKET[/PREFIX]": "Such files in a bucket; the layout of a trail is detected.",
    "FILE.db": "A store written by cnitrail collect.",
    "lookup:": "CloudTrail event history of the last 90 days (default).",
    "-": "One such file on standard input.",
}
"""The kinds of SOURCE that hold events."""

_FILTERS = {
    "instance": click.option(
        "--instance",
        multiple=True,
        type=ResourceId("instance"),
        metavar="ID",
        help="Only ENIs attached to this instance at that time.",
    ),
    "eni": click.option(
        "--eni",
        multiple=True,
        type=ResourceId("eni"),
        metavar="ID",
        help="Only this ENI (network interface).",
    ),
    "ip": click.option("--ip", multiple=True, type=Network(), help="IP address or CIDR block."),
    "vpc": click.option("--vpc", multiple=True, type=ResourceId("vpc"), metavar="ID", help="VPC of the ENI."),
    "subnet": click.option(
        "--subnet", multiple=True, type=ResourceId("subnet"), metavar="ID", help="Subnet of the ENI."
    ),
    "cluster": click.option(
        "--cluster", multiple=True, metavar="NAME", help="EKS cluster of the caller or the node."
    ),
    "account": click.option(
        "--account", multiple=True, type=ResourceId("account"), metavar="ID", help="AWS account."
    ),
    "region": click.option(
        "--region", multiple=True, metavar="NAME", help="AWS Region, or all for every Region."
    ),
    "actor": click.option(
        "--actor",
        multiple=True,
        metavar="TEXT",
        help="Caller (role, user, service account): substring or glob, case-insensitive.",
    ),
    "agent": click.option(
        "--agent", multiple=True, metavar="TEXT", help="User agent: substring or glob, case-insensitive."
    ),
    "event": click.option("--event", multiple=True, metavar="NAME", help="Event name or glob: 'Assign*'."),
    "since": click.option(
        "--since",
        type=Time(),
        help="Start of the range: ISO 8601, epoch seconds, or relative (2h, 3d).",
    ),
    "until": click.option("--until", type=Time(), help="End of the range, inclusive."),
    "failed": click.option("--failed/--no-failed", default=None, help="Only failed calls / no failed calls."),
}
ALL_FILTERS = tuple(_FILTERS)
PLACE_FILTERS = ("instance", "eni", "ip", "vpc", "subnet", "cluster", "account", "region")


_ACCESS = {
    "profile": click.option("--profile", metavar="NAME", help="Use a named profile from your AWS config."),
    "endpoint_url": click.option(
        "--endpoint-url", metavar="URL", help="Send requests to this URL instead of the AWS endpoint."
    ),
    "request_payer": click.option(
        "--request-payer",
        type=click.Choice(["requester"]),
        metavar="requester",
        help="Confirm that you pay for requests (Requester Pays buckets).",
    ),
    "assume_complete": click.option(
        "--assume-complete",
        is_flag=True,
        help="Treat the evidence as complete for its time range, although nothing in it shows that.",
    ),
    "delivery_lag": click.option(
        "--delivery-lag",
        type=Duration(),
        default="1h",
        show_default=True,
        help="How late a log file may arrive. S3 is searched this long after --until; events are "
        "verified up to this long before the last digest ends.",
    ),
    "max_ratio": click.option(
        "--max-ratio",
        type=click.IntRange(min=1),
        default=200,
        show_default=True,
        metavar="NUMBER",
        help="Stop decompressing a file (over 1 MB) at NUMBER times its size: protection against bombs.",
    ),
    "lag": click.option(
        "--lag",
        type=Duration(),
        default="15m",
        show_default=True,
        help="How late LookupEvents may show an event; newer results are reported as incomplete.",
    ),
    "max_calls": click.option(
        "--max-calls",
        type=click.IntRange(min=1),
        default=3600,
        show_default=True,
        metavar="NUMBER",
        help="Maximum LookupEvents calls per Region (AWS allows 2 per second).",
    ),
}
"""How AWS is called, and how far files are trusted: the fields of ``Access``."""


_VERIFY = (
    click.option("--verify", is_flag=True, help="Check what is read against CloudTrail's signed digests."),
    click.option(
        "--public-keys",
        metavar="FILE",
        shell_complete=complete_files,
        help="JSON of aws cloudtrail list-public-keys, for --verify.",
    ),
)


_FILES = ("ipamd", "instance_types", "metrics", "pods", "public_keys")
"""The options that name a file to read, which may be standard input."""

QUIET = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    expose_value=False,
    callback=be_quiet,
    help="No progress and no summary on stderr.",
)
DEBUG = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=log_to_stderr,
    help="Log to stderr what is read and asked for.",
)


def request_options(
    *filters: str,
    metavar: str = "[SOURCE]...",
    kinds: Mapping[str, str] = LOG_SOURCES,
    verifiable: bool = True,
    without: Container[str] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the sources, filters and AWS options of a command, which gets them as one ``Request``.

    ``filters`` are the filters that make sense for the command, ``kinds`` are the kinds of SOURCE in
    its help. ``verifiable``: it can check its evidence against digests; ``without``: the options of
    ``Access`` that make no difference to it.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def asked(sources: tuple[str, ...], **options: Any) -> Any:
            from cnitrail.workflows.request import Access, Request

            files = (options.get(name) for name in _FILES)
            if [*sources, *files, *options.get("live", ())].count("-") > 1:
                raise UsageError("standard input can be read only once", "give - once")
            access = Access(**{name: options.pop(name) for name in _ACCESS if name in options})
            wanted = _filter({name: options.pop(name) for name in filters})
            proof = {name: options.pop(name) for name in ("verify", "public_keys")} if verifiable else {}
            if proof.get("public_keys") and not proof["verify"]:
                raise UsageError("--public-keys needs --verify", "add --verify")
            return command(Request(sources=sources, wanted=wanted, access=access, **proof), **options)

        shared = (
            click.argument(
                "sources",
                cls=Sources,
                kinds=kinds,
                nargs=-1,
                metavar=metavar,
                shell_complete=complete_files,
            ),
            *(_FILTERS[name] for name in filters),
            *(option for name, option in _ACCESS.items() if name not in without),
            *(_VERIFY if verifiable else ()),
            QUIET,
            DEBUG,
        )
        for option in reversed(shared):
            option(asked)
        return asked

    return decorate


def _filter(options: dict[str, Any]) -> Filter:
    """Return the filter that the options of a command ask for."""
    from cnitrail.answers.filters import Filter

    wanted = Filter(**options)
    if wanted.since is not None and wanted.until is not None and wanted.since > wanted.until:
        raise UsageError("--since must be before --until")
    return wanted
