"""``cnitrail pods``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.help import Command
from cnitrail.cli.options import LOG_SOURCES, PLACE_FILTERS, POD_FILTERS, request_options
from cnitrail.cli.outputs import output_option
from cnitrail.cli.param_types import Time

if TYPE_CHECKING:
    from datetime import datetime

    from cnitrail.workflows.request import Request

_POD_SOURCES = {
    **LOG_SOURCES,
    "FILE, DIR": "CloudTrail records and pod evidence: EKS audit logs, ipamd.log, eks-log-collector.",
}
_FILTERS = tuple(name for name in PLACE_FILTERS if name != "subnet")


@click.command(cls=Command)
@click.option("--at", type=Time(), help="Only pods that may have had their address at this time.")
@request_options(*_FILTERS, *POD_FILTERS, "since", "until", kinds=_POD_SOURCES, verifiable=False)
@output_option("pods")
def pods(request: Request, at: datetime | None, output: str) -> None:
    """List every interval in which a pod held an address.

    Pods come from pod evidence, which is given like any other SOURCE and recognized by its
    content. With CloudTrail logs beside it, each pod also has its ENI, VPC and account.

    \b
    How a start or an end is known:
      observed   at that time, by the CNI itself (ipamd.log)
      implied    between two times, or "by" a time, by other records (EKS audit log)
      no end     no record shows it; "last" is when the pod still had the address

    A pod with hostNetwork has the address of its node, and is not listed.

    \b
    Examples:
      cnitrail pods trail/ audit/ eks_i-0abc….tar.gz
      cnitrail pods trail/ ipamd.log --ip 10.0.1.25 --at 2h
      cnitrail pods audit.json --namespace shop --since 2h
      cnitrail pods trail/ audit/ --pod shop/web-6d4cf56db6-x2x7k -o json
    """
    from cnitrail.answers.pods.entries import has_pod_evidence, no_pod_evidence
    from cnitrail.cli.printing import respond
    from cnitrail.cli.quiet import inform
    from cnitrail.cli.reading import read_case

    case = read_case(request)
    missing = list(no_pod_evidence(case.history))
    status = respond(
        request,
        output,
        case.evidence,
        case.pods(at),
        nothing="no matching pods" if has_pod_evidence(case.history) else "no pods",
        limitations=missing or case.pod_limitations(at),
        at=at,
    )
    for line in _HINTS if missing else ():
        inform(line)
    sys.exit(status)


_HINTS = (
    "hint: add one of these to the sources",
    "  EKS audit log, live:  cnitrail pods logs:/aws/eks/CLUSTER/cluster --since 2h",
    (
        "  EKS audit log, as a file:  aws logs filter-log-events --log-group-name /aws/eks/CLUSTER/cluster "
        "--log-stream-name-prefix kube-apiserver-audit --filter-pattern '?pods ?providerID ?Truncated' "
        "--start-time MILLISECONDS > audit.json"
    ),
    "  the node's CNI log:  /var/log/aws-routed-eni/ipamd.log",
    "  both and more, on the node:  sudo bash eks-log-collector.sh, then eks_i-….tar.gz",
)
