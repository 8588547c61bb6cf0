"""``cnitrail pool``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cnitrail.cli.options import request_options
from cnitrail.cli.outputs import output_option
from cnitrail.cli.stderr import say
from cnitrail.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from cnitrail.answers.pool import Node, Settings
    from cnitrail.model import Limits
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
        """The settings that a text names; others are at their defaults."""
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
                self.fail(f"{given!r} is no value of {name}", param, ctx)
            else:
                known = ", ".join((*_NUMBERS, _PREFIXES))
                self.fail(f"{text!r} is no setting; try WARM_IP_TARGET=2 (there are {known})", param, ctx)
        if "warm_prefix_target" in named and not named.get("prefix_delegation"):
            self.fail(f"WARM_PREFIX_TARGET means nothing without {_PREFIXES}=true", param, ctx)
        others = named.get("warm_ip_target") or named.get("minimum_ip_target")
        if named.get("warm_prefix_target") == 0 and not others:
            self.fail("with WARM_PREFIX_TARGET=0 alone aws-node does not start; try 1", param, ctx)
        return Settings(**named)


@click.command()
@click.option(
    "--what-if",
    multiple=True,
    type=SettingsList(),
    help="What other settings of the CNI would have meant: WARM_IP_TARGET=2,MINIMUM_IP_TARGET=10.",
)
@click.option(
    "--pods",
    metavar="FILE",
    help="How many pods had an address of the pool, as CSV time,pods: from each time on.",
)
@click.option("--metrics", metavar="URL|FILE", help="Compare with ipamd's metrics (port 61678, /metrics).")
@click.option("--ipamd", metavar="FILE", help="Compare with ipamd's /v1/enis (port 61679), which names pods.")
@click.option(
    "--instance-types",
    metavar="FILE",
    help="Limits of further types: the JSON of aws ec2 describe-instance-types.",
)
@request_options("instance", "cluster", "vpc", "subnet", "account", "region", "since", "until")
@output_option("pool")
def pool(
    request: Request,
    what_if: tuple[Settings, ...],
    pods: str | None,
    metrics: str | None,
    ipamd: str | None,
    instance_types: str | None,
    output: str,
) -> None:
    """A node's or a cluster's pool of addresses, and the settings that explain it.

    Shows how much the interfaces of a node held over time, against what its instance type can
    carry; what each call of the VPC CNI tells; and which of its settings (WARM_ENI_TARGET,
    WARM_IP_TARGET, MINIMUM_IP_TARGET, WARM_PREFIX_TARGET, prefix mode) and versions explain every
    call, with the event that rules each of the others out. Pods are not in CloudTrail: where the
    settings hang on them, all that fit are shown, with the pods that each needs.

    \b
    Examples:
      cnitrail pool logs/ --instance i-0abc…
      cnitrail pool logs/ --cluster prod -o json
      cnitrail pool logs/ --instance i-0abc… --what-if WARM_IP_TARGET=2,MINIMUM_IP_TARGET=10
      cnitrail pool logs/ --instance i-0abc… --metrics http://localhost:61678/metrics
    """
    from cnitrail.answers.pool import PoolOptions, nodes
    from cnitrail.answers.pool import pool as answer
    from cnitrail.cli.printing import respond
    from cnitrail.decode.ipamd import read_enis, read_metrics
    from cnitrail.limits import read_described
    from cnitrail.model import Coverage
    from cnitrail.workflows.read import ask

    counts = _counts(pods) if pods is not None else ()
    numbers = (metrics, _read(metrics, read_metrics)) if metrics is not None else None
    dump = (ipamd, _read(ipamd, read_enis)) if ipamd is not None else None
    given = _read(instance_types, read_described) if instance_types is not None else {}
    history, evidence = ask(request)
    found = list(nodes(history, request.wanted))
    for option, file in (("--pods", pods), ("--metrics", metrics)):
        if file is not None and len(found) > 1:
            raise UsageError(f"{option} is about one node: {len(found)} are selected", "name it (--instance)")
    wish = PoolOptions(_limits(given, found, request), what_if, counts, numbers, dump)
    entries = answer(history, Coverage(evidence.coverage), request.wanted, wish)
    status = respond(
        request,
        output,
        evidence,
        entries,
        what_if=what_if,
        pods=pods,
        metrics=metrics,
        ipamd=ipamd,
        instance_types=instance_types,
    )
    if dump is not None and not any(entry.ipamd for entry in entries):
        say(f"beware: {ipamd}: none of its interfaces is on a node that is shown")
    sys.exit(status)


def _counts(uri: str) -> Sequence[tuple[datetime, int]]:
    """The counts of pods in a file."""
    from cnitrail.cli.inputs.pod_counts import read_counts

    return read_counts(uri)


def _read(uri: str, reader: Callable[[bytes], T]) -> T:
    """What a reader makes of a file or URL. Raises ``SourceError``."""
    from cnitrail.sources.ipamd import fetch

    content = fetch(uri)
    try:
        return reader(content)
    except ValueError as error:
        raise SourceError(f"{uri}: {error}") from None


def _limits(
    given: Mapping[str, Limits], found: Iterable[Node], request: Request
) -> Callable[[str], Limits | None]:
    """The limits of instance types: those of a file, those that are known, else as EC2 tells them."""
    from cnitrail.limits import limits_of

    missing: dict[str | None, set[str]] = {}
    for node in found:
        name = node.instance.instance_type
        if name is not None and name not in given and limits_of(name) is None:
            missing.setdefault(node.instance.region, set()).add(name)
    told = dict(given)
    for region, names in missing.items():
        told |= _described(names, region, request.access.profile)
    return lambda name: told.get(name) or limits_of(name)


def _described(names: set[str], region: str | None, profile: str | None) -> Mapping[str, Limits]:
    """What EC2 says of instance types; what it does not say is told on stderr."""
    from cnitrail.sources.instance_types import describe

    told: Mapping[str, Limits] = {}
    try:
        told = describe(names, region, profile)
    except SourceError as error:
        say(f"beware: {error.message}")
    for name in sorted(names - told.keys()):
        unknown = f"beware: the limits of {name} are not known"
        say(f"{unknown}; --instance-types takes them from a file")
    return told
