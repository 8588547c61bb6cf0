"""``cnitrail pool``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cnitrail.cli.click_errors import BadValue
from cnitrail.cli.help import Command
from cnitrail.cli.options import complete_files, request_options
from cnitrail.cli.outputs import output_option
from cnitrail.cli.stderr import warn
from cnitrail.errors import SourceError, UsageError
from cnitrail.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from cnitrail.answers.pool import InstanceCount, Settings
    from cnitrail.workflows.request import Request

T = TypeVar("T")

_NUMBERS = {
    "WARM_ENI_TARGET": "warm_eni_target",
    "WARM_IP_TARGET": "warm_ip_target",
    "MINIMUM_IP_TARGET": "minimum_ip_target",
    "WARM_PREFIX_TARGET": "warm_prefix_target",
    "MAX_ENI": "max_eni",
}
_PREFIXES = "ENABLE_PREFIX_DELEGATION"


class SettingsList(click.ParamType["Settings"]):
    """Settings of aws-node, as ``NAME=VALUE,…``."""

    name = "NAME=VALUE,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Settings:
        """Return the settings that a text names; all others have their defaults."""
        from cnitrail.answers.pool import Settings

        named: dict[str, Any] = {}
        for text in str(value).split(","):
            name, _, given = (part.strip() for part in text.partition("="))
            name = name.upper()
            if name == _PREFIXES and given.lower() in ("true", "false"):
                named["prefix_delegation"] = given.lower() == "true"
            elif name in _NUMBERS and given.isascii() and given.isdigit() and len(given) < 6:
                named[_NUMBERS[name]] = int(given)
            elif name in _NUMBERS or name == _PREFIXES:
                hint = "use true or false" if name == _PREFIXES else "use a number of at most 5 digits"
                raise BadValue(f"{given!r} is not a value of {name}", hint, param, ctx)
            else:
                known = ", ".join((*_NUMBERS, _PREFIXES))
                raise BadValue(f"{text!r} is not a setting", f"use NAME=VALUE with {known}", param, ctx)
        if "warm_prefix_target" in named and not named.get("prefix_delegation"):
            message = f"WARM_PREFIX_TARGET has no effect without {_PREFIXES}=true"
            raise BadValue(message, f"add {_PREFIXES}=true", param, ctx)
        others = named.get("warm_ip_target") or named.get("minimum_ip_target")
        if named.get("warm_prefix_target") == 0 and not others:
            message = "with WARM_PREFIX_TARGET=0 alone, aws-node does not start"
            raise BadValue(message, "use WARM_PREFIX_TARGET=1", param, ctx)
        return Settings(**named)


@click.command(cls=Command)
@click.option(
    "--what-if",
    multiple=True,
    type=SettingsList(),
    help="Simulate other settings of the CNI, for example WARM_IP_TARGET=2,MINIMUM_IP_TARGET=10.",
)
@click.option(
    "--pods",
    metavar="FILE",
    shell_complete=complete_files,
    help="Pod counts of the node over time: CSV with a header time,pods.",
)
@click.option(
    "--metrics",
    metavar="URL|FILE",
    shell_complete=complete_files,
    help="Compare with ipamd's metrics: kubectl get --raw /api/v1/nodes/NODE:61678/proxy/metrics.",
)
@click.option(
    "--ipamd",
    metavar="FILE",
    shell_complete=complete_files,
    help="Compare with ipamd's /v1/enis (port 61679), which names pods.",
)
@click.option(
    "--instance-types",
    metavar="FILE",
    shell_complete=complete_files,
    help="Limits of more instance types: JSON of aws ec2 describe-instance-types.",
)
@click.option(
    "--describe-types",
    is_flag=True,
    help="Ask EC2 for the limits of unknown instance types.  [default with lookup: and s3://]",
)
@request_options("instance", "node", "cluster", "vpc", "subnet", "account", "region", "since", "until")
@output_option("pool")
def pool(
    request: Request,
    what_if: tuple[Settings, ...],
    pods: str | None,
    metrics: str | None,
    ipamd: str | None,
    instance_types: str | None,
    describe_types: bool,
    output: str,
) -> None:
    """Show a node's IP pool, and the VPC CNI settings that explain it.

    Shows how many addresses the ENIs of a Kubernetes node held over time, what manages them,
    how many its instance type can hold, and every call of the VPC CNI. Then lists the settings
    (WARM_ENI_TARGET, WARM_IP_TARGET, MINIMUM_IP_TARGET, WARM_PREFIX_TARGET, prefix mode) and
    versions that explain all calls, and names the event that rules out each of the others.
    On nodes whose addresses the VPC CNI does not manage there is nothing to explain.

    CloudTrail does not record pods, so each candidate setting lists the pod count it assumes.
    An instance that is not a Kubernetes node is shown only with --instance.

    \b
    Examples:
      cnitrail pool logs/ --instance i-0abc…
      cnitrail pool logs/ --cluster prod -o json
      cnitrail pool logs/ --instance i-0abc… --what-if WARM_IP_TARGET=2
      kubectl get --raw /api/v1/nodes/NODE:61678/proxy/metrics > metrics.txt
      cnitrail pool logs/ --instance i-0abc… --metrics metrics.txt
    """
    from msgspec.structs import replace

    from cnitrail.answers.pool import count_instances, nodes
    from cnitrail.cli.printing import respond
    from cnitrail.cli.reading import read_case
    from cnitrail.decode.ipamd import read_enis, read_metrics
    from cnitrail.limits import read_described
    from cnitrail.sources import source_type, sources_or_default
    from cnitrail.workflows.instance_limits import complete_limits
    from cnitrail.workflows.request import period_of

    counts = _counts(pods) if pods is not None else ()
    numbers = (metrics, _read("--metrics", metrics, read_metrics)) if metrics is not None else None
    dump = (ipamd, _read("--ipamd", ipamd, read_enis)) if ipamd is not None else None
    given = _read("--instance-types", instance_types, read_described) if instance_types is not None else {}
    case = read_case(replace(request, period=period_of(request.wanted), managers=True))
    selected = list(nodes(case.history, case.wanted))
    for option, file in (("--pods", pods), ("--metrics", metrics)):
        if file is not None and len(selected) > 1:
            raise UsageError(
                f"{option} is about one node: {len(selected)} match", "name it (--instance or --node)"
            )
    is_remote = any(source_type(uri).is_remote for uri in sources_or_default(request.sources))
    ask_aws = is_remote or describe_types
    limits, problems = complete_limits(given, selected, request.access, ask_aws=ask_aws)
    for problem in problems:
        warn(problem)
    entries = case.pool(what_if=what_if, pods=counts, metrics=numbers, ipamd=dump, limits=limits)
    status = respond(
        request,
        output,
        case.evidence,
        entries,
        nothing="" if entries else _nothing(count_instances(case.history), is_narrowed=case.is_narrowed),
        limitations=case.limitations(),
        shown=sum(entry.instance is not None for entry in entries),
        what_if=what_if,
        pods=pods,
        metrics=metrics,
        ipamd=ipamd,
        instance_types=instance_types,
    )
    if what_if and entries and not any(entry.what_if for entry in entries):
        warn("--what-if simulates the VPC CNI: no node that is shown has a pool of it, with known limits")
    if dump is not None and not any(entry.ipamd for entry in entries):
        warn(f"{ipamd}: none of its ENIs is on a node that is shown")
    sys.exit(status)


def _nothing(count: InstanceCount, *, is_narrowed: bool) -> str:
    """Return why no node is shown."""
    others = f"; {counted(count.others, 'other instance')} (--instance shows one)" if count.others else ""
    if is_narrowed:
        return "no matching Kubernetes nodes, of those that were read"
    if count.nodes:
        return f"no matching Kubernetes nodes, of {counted(count.nodes, 'node')} in the evidence{others}"
    return f"no Kubernetes nodes in the evidence{others}"


def _counts(uri: str) -> Sequence[tuple[datetime, int]]:
    """Return the pod counts in a file. Raises ``SourceError``, and ``UsageError`` for what is not a count."""
    from cnitrail.cli.inputs.pod_counts import read_counts

    try:
        return read_counts(uri)
    except SourceError as error:
        raise _of_option("--pods", error) from None


def _read(option: str, uri: str, reader: Callable[[bytes], T]) -> T:
    """Return the contents of a file or URL, as a reader understands them. Raises ``SourceError``."""
    from cnitrail.sources.ipamd import fetch

    try:
        return reader(fetch(uri))
    except SourceError as error:
        raise _of_option(option, error) from None
    except ValueError as error:
        raise _of_option(option, SourceError(f"{uri}: {error}")) from None


def _of_option(option: str, error: SourceError) -> SourceError:
    """Return an error with the option whose file it is about, and how to get such a file."""
    return error if error.hint else SourceError(f"{option} {error.message}", _HOW_TO_GET[option])


_HOW_TO_GET = {
    "--pods": "write the line time,pods; then a line such as 2024-05-14T09:30:00Z,12 for each change",
    "--metrics": "kubectl get --raw /api/v1/nodes/NODE:61678/proxy/metrics > FILE",
    "--ipamd": "on the node: curl http://localhost:61679/v1/enis > FILE",
    "--instance-types": "aws ec2 describe-instance-types > FILE",
}
