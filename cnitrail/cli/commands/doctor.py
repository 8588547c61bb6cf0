"""``cnitrail doctor``."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict, replace

from cnitrail.cli.fail_on import FAIL_ON, exit_status
from cnitrail.cli.help import Command
from cnitrail.cli.options import live_option, request_options
from cnitrail.cli.outputs import output_option
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from cnitrail.workflows.doctor import NodeTarget
    from cnitrail.workflows.request import Request

_RECENT = timedelta(hours=2)
_MAX_CALLS = 360
"""LookupEvents calls of a checkup: three minutes at two a second. Two hours of most accounts take fewer."""

_CLUSTER = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}", re.ASCII)


@click.command(cls=Command, context_settings={"default_map": {"max_calls": _MAX_CALLS}})
@click.option(
    "--node",
    metavar="NODE",
    help="Kubernetes node: its name, providerID or instance ID.",
)
@click.option("--cluster", metavar="NAME", help="EKS cluster: all of its nodes.")
@live_option(
    "Read nodes and subnets from FILE: JSON or YAML of aws ec2 describe-instances, "
    "describe-network-interfaces or describe-subnets. Without FILE: ask AWS although each SOURCE is a file."
)
@FAIL_ON
@request_options("region", "since", "until", verifiable=False, without=("assume_complete",))
@output_option("doctor")
def doctor(
    request: Request,
    node: str | None,
    cluster: str | None,
    live: tuple[str, ...],
    fail_on: str | None,
    output: str,
) -> None:
    """Check access, a node, its subnets and the last two hours.

    \b
    Checks, in this order
      identity    whose credentials, which account, Region and profile
      permission  every call that cnitrail makes, by making a small one
      trail       is a trail logging, and to which bucket
      node, eni   ENIs and IPs against the limits of the instance type
      subnet      free IPs; a warning below 10% or 16
      cni-calls   denied calls of the VPC CNI and other network plugins
      sign-ins    service accounts that cannot sign in (IRSA, Pod Identity)
      findings    all other problems that cnitrail findings reports

    Every check is ok, warning, failed or skipped, with the reason and what to do. The end is
    one verdict, and a block of Markdown for a ticket (-o md: only this, with every check). It
    has account numbers and ARNs, but nothing secret.

    Nothing is changed: only operations that get, list, describe or look up are called. One
    Region is checked at a time. A check that fails does not stop the others.

    If each SOURCE is a file, a directory or a store, AWS is not called. Nodes are then taken
    from --live FILE, else from CloudTrail at the end of the evidence. Events of lookup: and
    s3:// are those of the last two hours (--since), events of files are all of them.

    Exit status: 0 if all checks could be made, even if they found problems; 3 if something
    could not be reached, or was not permitted; 5 if --fail-on finds something.

    \b
    Examples:
      cnitrail doctor --node ip-10-0-1-25.eu-west-1.compute.internal
      cnitrail doctor --cluster prod --region eu-west-1 -o md
      cnitrail doctor s3://audit-logs --cluster prod --since 6h
      cnitrail doctor logs/ --node i-0abc… --live instances.json
    """
    from cnitrail.cli.checkup import examine
    from cnitrail.cli.outputs import answer_writer
    from cnitrail.cli.printing import warn_of
    from cnitrail.cli.summary import INCOMPLETE, print_skipped, summarize
    from cnitrail.cli.writing import writing
    from cnitrail.model.checkup import CheckupAnswer

    target = _target(node, cluster)
    _check_region(request)
    now = _now()
    request = _recent(request, now)
    examined = examine(request, target, live, now)
    query = {
        "command": "doctor",
        "sources": request.sources,
        **asdict(request.wanted),
        "node": node,
        "cluster": cluster,
        "live": live,
        "fail_on": fail_on,
    }
    answer = CheckupAnswer(
        command="doctor",
        query=query,
        evidence=examined.evidence,
        entries=examined.checks,
        limitations=examined.limitations,
        checkup=examined.checkup,
    )
    with writing() as stdout:
        answer_writer("doctor", output)(answer, stdout)
    if examined.case is None:
        status = print_skipped(examined.evidence.skipped, "-o json lists all under evidence.skipped")
    else:
        status = summarize(examined.evidence, len(examined.checks))
        warn_of(examined.limitations, examined.evidence, is_empty=not examined.case.history.events)
    if any(check.is_unmade for check in examined.checks):
        status = INCOMPLETE
    sys.exit(exit_status(examined.findings, fail_on, otherwise=status))


def _target(node: str | None, cluster: str | None) -> NodeTarget:
    """Return the node or cluster that was named. Raises ``UsageError``."""
    from cnitrail.parse import parse_node
    from cnitrail.workflows.doctor import NodeTarget

    if cluster is not None and not _CLUSTER.fullmatch(cluster):
        raise UsageError(f"--cluster: {cluster!r} is not the name of an EKS cluster", "aws eks list-clusters")
    if node is None:
        return NodeTarget(cluster=cluster)
    try:
        return NodeTarget(name=node.strip(), node=parse_node(node), cluster=cluster)
    except ValueError:
        raise UsageError(
            f"--node: {node!r} is not the name of a node",
            "for example ip-10-0-1-25.eu-west-1.compute.internal or i-0abc1def2a3b4c5d6: "
            "kubectl get node NODE -o jsonpath='{.spec.providerID}'",
        ) from None


def _check_region(request: Request) -> None:
    """Raise ``UsageError`` if a request is about more than one Region."""
    regions = set(request.wanted.region)
    if len(regions) > 1 or "all" in regions:
        raise UsageError(
            "--region: doctor checks one Region at a time", "run it once for each: --region eu-west-1"
        )


def _recent(request: Request, now: datetime) -> Request:
    """Return the request for the last two hours, if AWS or an engine is asked and no range was given."""
    from cnitrail.sources import source_type, sources_or_default

    kinds = [source_type(uri) for uri in sources_or_default(request.sources)]
    is_live = any(kind.is_remote or kind.is_table for kind in kinds)
    wanted = request.wanted
    if not is_live or wanted.since is not None:
        return request
    end = min(wanted.until, now) if wanted.until is not None else now
    return replace(request, wanted=replace(wanted, since=end - _RECENT))


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
