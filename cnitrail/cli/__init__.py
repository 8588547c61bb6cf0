"""The command line, which alone prints and exits.

Everything else is imported inside the commands, because start-up time is felt at every call.
"""

import click

from cnitrail import __version__
from cnitrail.cli.color import COLOR
from cnitrail.cli.group import CommandGroup

__all__ = ["main"]


_COMMANDS = {
    "collect": "Keep the events that matter in a local store.",
    "completion": "Print a completion script for bash, zsh or fish.",
    "doctor": "Check access, a node, its subnets and the last two hours.",
    "explain": "Explain an IP, pod, node, ENI, subnet or cluster in brief.",
    "findings": "Find problems and suspicious changes.",
    "flows": "Show who talked to whom: VPC flow logs with names.",
    "leases": "List every interval in which an ENI held an address.",
    "pods": "List every interval in which a pod held an address.",
    "pool": "Show a node's IP pool, and the VPC CNI settings that explain it.",
    "report": "Write an incident report as Markdown or HTML, or its summary.",
    "state": "Show ENIs, attachments and addresses at a point in time.",
    "subnet": "Show who holds a subnet's IPs, and what could be reclaimed.",
    "sync": "Copy a trail's logs and digests for offline verification.",
    "timeline": "Show who assigned, moved or released addresses, and when.",
    "verify": "Check log integrity against CloudTrail's signed digests.",
    "who": "Find who held an address at a given time, and who assigned it.",
}


@click.group(
    "cnitrail",
    cls=CommandGroup,
    summaries=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@COLOR
@click.version_option(__version__, "-V", "--version", prog_name="cnitrail")
def main() -> None:
    """Find out who held which private IP address on AWS, and who assigned it.

    Reads CloudTrail and shows which principal assigned, moved or released each private IP
    address, on which ENI and instance, when, and with which tool.

    \b
    Examples:
      cnitrail explain 10.0.1.25 logs/               what it is, what is wrong
      cnitrail timeline --instance i-0abc…           the life of one node
      cnitrail who 10.0.1.25 logs/ --at 2h           who held this address?
      cnitrail findings logs/ --since 1d             problems, and what to do
      cnitrail report logs/ -o html > incident.html  an incident report
      cnitrail collect logs/ --to trail.db           keep the events that matter
      cnitrail verify s3://audit-logs --since 7d     check log integrity
      aws logs tail LOG-GROUP | cnitrail timeline -  from CloudWatch Logs

    \b
    Exit status:
      0    answered; all evidence was read
      1    error, no result
      2    usage error
      3    answered, but some evidence could not be read or did not verify
      4    nothing to verify
      5    --fail-on threshold reached
      130  interrupted
      141  broken pipe, for example | head
    """
