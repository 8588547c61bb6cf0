"""Options that commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cnitrail.cli.color import COLOR
from cnitrail.cli.debug import log_to_stderr
from cnitrail.cli.help import Command, Sources
from cnitrail.cli.param_types import Duration, FilterName, Network, OneOf, Size, Time, WholeNumber
from cnitrail.cli.quiet import be_quiet
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from datetime import timedelta

    from click.shell_completion import CompletionItem

    from cnitrail.answers.filters import Filter

F = TypeVar("F", bound=Callable[..., Any])


def complete_files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a value as the name of a file or directory."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def at_option(default: str) -> Callable[[F], F]:
    """Return the option ``--at``; ``default`` says what is asked without it."""
    when = "Point in time: ISO 8601, epoch seconds, or relative (2h, 3d)."
    return click.option("--at", type=Time(), help=f"{when}  [{default}]")


def live_option(purpose: str) -> Callable[[F], F]:
    """Return the option ``--live``: EC2 as it is now, or as files have it. ``purpose`` is its help."""
    return click.option(
        "--live",
        is_flag=False,
        flag_value="ec2:",  # workflows.live_state.EC2, which commands import only if they need it
        multiple=True,
        metavar="[FILE]",
        shell_complete=complete_files,
        help=f"{purpose} Repeatable.",
    )


LOG_SOURCES = {
    "FILE, DIR": "CloudTrail records and pod evidence: log files or exports, also packed.",
    "s3://BUCKET[/PREFIX]": "Such files in a bucket; the layout of a trail is detected.",
    "athena://[CATALOG/]DATABASE.TABLE": "A CloudTrail table, with one Athena query, which costs money.",
    "trino://[USER@]HOST[:PORT]/CATALOG/SCHEMA/TABLE": "The same through Trino.",
    "logs:LOG-GROUP": "CloudWatch Logs: a trail's log group, or a cluster's for audit events of its pods.",
    "FILE.db": "A store written by cnitrail collect.",
    "lookup:": "CloudTrail event history of the last 90 days (default).",
    "-": "One such file on standard input.",
}
"""The kinds of SOURCE that hold events."""

_FILTERS = {
    "instance": click.option(
        "--instance",
        multiple=True,
        type=FilterName("instance"),
        metavar="ID",
        help="Only ENIs attached to this instance at that time.",
    ),
    "node": click.option(
        "--node",
        multiple=True,
        type=FilterName("node", "NODE"),
        help="Like --instance, by the name or providerID of a Kubernetes node.",
    ),
    "eni": click.option(
        "--eni",
        multiple=True,
        type=FilterName("eni"),
        metavar="ID",
        help="Only this ENI (network interface).",
    ),
    "ip": click.option("--ip", multiple=True, type=Network(), help="IP address or CIDR block."),
    "pod": click.option(
        "--pod",
        multiple=True,
        type=FilterName("pod", "[NAMESPACE/]NAME"),
        help="Pod that had the address, by pod evidence; may be a glob: 'web-*'.",
    ),
    "namespace": click.option(
        "--namespace", multiple=True, type=FilterName("namespace", "NAME"), help="Namespace of that pod."
    ),
    "vpc": click.option("--vpc", multiple=True, type=FilterName("vpc"), metavar="ID", help="VPC of the ENI."),
    "subnet": click.option(
        "--subnet", multiple=True, type=FilterName("subnet"), metavar="ID", help="Subnet of the ENI."
    ),
    "cluster": click.option(
        "--cluster", multiple=True, metavar="NAME", help="EKS cluster of the caller or the node."
    ),
    "account": click.option(
        "--account",
        multiple=True,
        type=FilterName("account"),
        metavar="ID",
        help="AWS account.",
    ),
    "region": click.option(
        "--region",
        multiple=True,
        type=FilterName("region", "NAME"),
        help="AWS Region of the events, or all for every Region.",
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
    "access_key": click.option(
        "--access-key",
        multiple=True,
        type=FilterName("access_key"),
        metavar="ID",
        help="Access key ID that signed the call: AKIA… or ASIA….",
    ),
    "source_ip": click.option(
        "--source-ip",
        multiple=True,
        type=Network(),
        help="Address or CIDR block that the call came from.",
    ),
    "event": click.option(
        "--event", multiple=True, type=FilterName("event", "NAME"), help="Event name or glob: 'Assign*'."
    ),
    "event_id": click.option(
        "--event-id",
        multiple=True,
        type=FilterName("event_id"),
        metavar="ID",
        help="The event with this eventID.",
    ),
    "since": click.option(
        "--since",
        type=Time(),
        help="Start of the range: ISO 8601, epoch seconds, or relative (2h, 3d).",
    ),
    "until": click.option("--until", type=Time(), help="End of the range, inclusive."),
    "failed": click.option("--failed/--no-failed", default=None, help="Only failed calls / no failed calls."),
}
POD_FILTERS = ("pod", "namespace")
ALL_FILTERS = tuple(name for name in _FILTERS if name not in POD_FILTERS)
CALL_FILTERS = ("actor", "agent", "access_key", "source_ip", "event", "event_id")
PLACE_FILTERS = ("instance", "node", "eni", "ip", "vpc", "subnet", "cluster", "account", "region")


_LAST = click.option(
    "--last", type=Duration(), help="Only the last 2h or 3d: --last 2h is the same as --since 2h."
)

_ACCESS = {
    "profile": click.option("--profile", metavar="NAME", help="Use a named profile from your AWS config."),
    "endpoint_url": click.option(
        "--endpoint-url", metavar="URL", help="Send requests to this URL instead of the AWS endpoint."
    ),
    "request_payer": click.option(
        "--request-payer",
        type=OneOf(["requester"]),
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
        type=WholeNumber(),
        default=200,
        show_default=True,
        metavar="NUMBER",
        help="Stop decompressing a file (over 1 MB) at NUMBER times its size: protection against bombs.",
    ),
    "workers": click.option(
        "--workers",
        type=WholeNumber(),
        metavar="NUMBER",
        help="Number of processes that read files (default: one for each CPU, at most 8).",
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
        type=WholeNumber(),
        default=3600,
        show_default=True,
        metavar="NUMBER",
        help="Maximum calls of LookupEvents (AWS allows 2/s per Region) or FilterLogEvents (5/s).",
    ),
}
"""How AWS is called, and how far files are trusted: the fields of ``Access``."""


_ENGINE = {
    "work_group": click.option("--work-group", metavar="NAME", help="Athena workgroup (default: primary)."),
    "output_location": click.option(
        "--output-location",
        metavar="S3-URI",
        help="Folder for Athena's results, if the workgroup has none: s3://BUCKET/PREFIX/.",
    ),
    "max_scan": click.option(
        "--max-scan", type=Size(), help="Stop an Athena or Trino query that scans more: 10GB, 1TB."
    ),
}
"""How tables are queried: the fields of ``EngineOptions``."""


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


WATCH_DEFAULT = "30s"
WATCH = click.option(
    "--watch",
    is_flag=False,
    flag_value=WATCH_DEFAULT,
    type=Duration(),
    metavar="[TIME]",
    help="Go on until Ctrl-C: poll every TIME (30s by default) and print what is new.",
)
"""For commands of the class ``Watchable``."""


class Watchable(Command):
    """A command with ``--watch``, whose value may be left out before a SOURCE."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; what follows ``--watch`` is its value only if it begins like a number."""
        ends = args.index("--") if "--" in args else len(args)
        given = [
            f"--watch={WATCH_DEFAULT}"
            if arg == "--watch" and number < ends and not "".join(args[number + 1 : number + 2])[:1].isdigit()
            else arg
            for number, arg in enumerate(args)
        ]
        return super().parse_args(ctx, given)


def request_options(
    *filters: str,
    metavar: str = "[SOURCE]...",
    kinds: Mapping[str, str] = LOG_SOURCES,
    verifiable: bool = True,
    reads_tables: bool = True,
    without: Container[str] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the sources, filters and AWS options of a command, which gets them as one ``Request``.

    ``filters`` are the filters that make sense for the command, ``kinds`` are the kinds of SOURCE in
    its help. ``verifiable``: it can check its evidence against digests; ``reads_tables``: a SOURCE may
    be a table; ``without``: the options of ``Access`` that make no difference to it.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def asked(sources: tuple[str, ...], **options: Any) -> Any:
            from cnitrail.model.table import EngineOptions
            from cnitrail.workflows.request import Access, Request

            files = (options.get(name) for name in _FILES)
            if [*sources, *files, *options.get("live", ())].count("-") > 1:
                raise UsageError("standard input can be read only once", "give - once")
            engine = EngineOptions(**{name: options.pop(name) for name in _ENGINE if name in options})
            access = Access(**{name: options.pop(name) for name in _ACCESS if name in options}, engine=engine)
            _refuse_values(sources[1:] if " " in metavar else sources)  # TARGET comes first
            last = options.pop("last", None)
            wanted = _filter({name: options.pop(name) for name in filters}, last)
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
            *((_LAST,) if "since" in filters else ()),
            *(option for name, option in _ACCESS.items() if name not in without),
            *(_ENGINE.values() if reads_tables else ()),
            *(_VERIFY if verifiable else ()),
            COLOR,
            QUIET,
            DEBUG,
        )
        for option in reversed(shared):
            option(asked)
        return asked

    return decorate


_KNOWN_BY_FORM = ("instance", "node", "eni", "vpc", "subnet", "account", "access_key", "event_id", "region")
"""The filters whose values cannot be taken for the name of a file."""


def _refuse_values(sources: Iterable[str]) -> None:
    """Refuse a SOURCE that is no file but the value of a filter. Raises ``UsageError``."""
    params = {param.name: param for param in click.get_current_context().command.params}
    for source in sources:
        if source and not os.path.lexists(source) and (name := _filter_of(source, params)):
            hint = f"did you mean {params[name].opts[0]} {source}?"
            raise UsageError(f"{source}: no such file or directory", hint)


def _filter_of(text: str, filters: Container[str | None]) -> str | None:
    """Return the filter, of these, that takes such a text; None if there is none."""
    from cnitrail.parse import parse_network
    from cnitrail.workflows.filter_names import parse_name

    for name in _KNOWN_BY_FORM:
        with suppress(UsageError):
            parse_name(name, text)
            if name in filters:
                return name
    with suppress(ValueError):
        parse_network(text)
        return "ip" if "ip" in filters else None
    return None


def _filter(options: dict[str, Any], last: timedelta | None) -> Filter:
    """Return the filter that the options of a command ask for; ``last`` is a range that ends now."""
    from cnitrail.answers.filters import Filter
    from cnitrail.text import iso

    if last is not None:
        if options["since"] is not None or options.get("until") is not None:
            raise UsageError(
                "--last cannot be used with --since or --until", "--since 2h is the same as --last 2h"
            )
        if not last:
            raise UsageError("--last must be longer than 0", "for example --last 2h")
        options["since"] = datetime.now(UTC) - last
    wanted = Filter(**options)
    if wanted.since is not None and wanted.until is not None and wanted.since > wanted.until:
        swapped = f"--since {iso(wanted.until)} --until {iso(wanted.since)}"
        raise UsageError("--since must be before --until", f"did you mean {swapped}?")
    return wanted
