"""The title of a report, and what the report cannot show."""

from collections.abc import Iterator, Sequence

from cnitrail.answers.filters import Filter
from cnitrail.model import InstanceReport, Manager, TimelineEntry
from cnitrail.text import counted, quoted


def title(entries: Sequence[TimelineEntry], instances: Sequence[InstanceReport], wanted: Filter) -> str:
    """Return what the report is about, with the dates of its calls."""
    known = [instance.instance for instance in instances if instance.instance]
    enis = {entry.eni for entry in entries if entry.eni}
    if len(wanted.ip) == 1:
        about = f"Private IP address {wanted.ip[0]}".removesuffix("/32").removesuffix("/128")
    elif len(wanted.pod) == 1:
        about = f"Private IP addresses of pod {quoted(wanted.pod[0])}"
    elif len(known) == 1:
        about = f"Private IP addresses of {quoted(known[0])}"
    elif known:
        about = f"Private IP addresses of {counted(len(known), 'instance')}"
    elif entries:
        about = f"Private IP addresses of {counted(len(enis), 'ENI')}"
    else:
        about = "Private IP addresses on AWS"
    return f"{about}, {_dates(entries)}" if entries else about


def _dates(entries: Sequence[TimelineEntry]) -> str:
    first, last = entries[0].time, entries[-1].time
    return f"{first.date()}" + (f" to {last.date()}" if first.date() != last.date() else "")


def caveats(instances: Sequence[InstanceReport], wanted: Filter, *, has_pods: bool = False) -> Iterator[str]:
    """Yield what the report cannot show, and how to read it."""
    if has_pods:
        yield (
            "CloudTrail shows which ENI and which node had an IP address, not which pod. The pods are those "
            "that the pod evidence shows (audit logs, logs of the CNI): others may have had an address, too."
        )
    else:
        yield (
            "CloudTrail shows which ENI and which node had an IP address, not which pod: only the CNI on the "
            "node knows that."
        )
    yield (
        "CloudTrail has 1-second resolution, and delivers events minutes late. Events that were not "
        "delivered, or not read, are missing here: an address shown as still held may have been released "
        "after the logs end."
    )
    yield (
        "Session names, user agents, descriptions and tags are written by callers. They are shown as they "
        "are, and prove nothing by themselves."
    )
    if wanted != Filter():
        yield (
            "Only calls that match the filter are counted and described. The IPs that an instance held over "
            "time include those from other calls."
        )
    if any(instance.limits for instance in instances):
        yield (
            "The limit of an instance type counts the IPv4 addresses of all ENIs on its default network "
            "card, primary ones included; a prefix counts as one address."
        )
    if any(instance.management.manager is Manager.RESOURCE_CONTROLLER for instance in instances):
        yield "The VPC resource controller uses one ENI of a Windows node: its limit is that of one ENI."
