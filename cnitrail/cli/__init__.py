"""The command line: composes the rooms, and alone prints and exits.

Rooms are imported inside the commands: start-up is felt at every call.
"""

import click

from cnitrail import __version__
from cnitrail.cli.group import CommandGroup

__all__ = ["main"]


_COMMANDS = {
    "collect": "Bring events into a local store.",
    "findings": "What is out of the ordinary, each with its events.",
    "leases": "Every interval in which an interface held an address.",
    "pool": "A node's addresses for pods, and the settings behind them.",
    "report": "An incident postmortem, as Markdown or HTML.",
    "state": "Interfaces, attachments and addresses as they stood at a time.",
    "sync": "Copy a trail's digests and log files, to be verified offline.",
    "timeline": "Who added, moved or removed which addresses, when.",
    "verify": "Log files against CloudTrail's signed digests.",
    "who": "Which interface and instance held an address then.",
}


@click.group(
    "cnitrail",
    cls=CommandGroup,
    summaries=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="cnitrail")
def main() -> None:
    """Who held which private IP address on AWS, and who gave it.

    Reads CloudTrail and says who added, moved or removed which private IP addresses
    on which network interface and instance, when, through what.

    \b
    Examples:
      cnitrail timeline logs/                          everything in a directory
      cnitrail timeline --instance i-0abc…             the life of one node, from AWS
      cnitrail who 10.0.1.25 logs/ --at 2h             who had an address then
      cnitrail findings logs/ --since 1d               what is out of the ordinary
      cnitrail report logs/ -o html > incident.html    a postmortem
      cnitrail collect logs/ --to trail.db             keep the events that matter
      cnitrail verify s3://audit-logs --since 7d       has anybody changed the logs?
      zcat *.json.gz | cnitrail timeline - -o jsonl    for pipelines

    Exit status: 0 answered, all evidence read; 1 no answer; 2 wrong usage;
    3 answered, but some evidence could not be read, or does not verify; 4 nothing to
    verify; 5 something found that --fail-on names; 130 interrupted.
    """
