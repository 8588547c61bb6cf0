"""What a report is about, and what it cannot show."""

from collections.abc import Iterator, Sequence

from cnitrail.answers.filters import Filter
from cnitrail.answers.report.words import many, quoted
from cnitrail.model import InstanceLife, TimelineEntry


def title(entries: Sequence[TimelineEntry], told: Sequence[InstanceLife], wanted: Filter) -> str:
    """What the report is about, and when that was."""
    instances = [life.instance for life in told if life.instance]
    enis = {entry.eni for entry in entries if entry.eni}
    if len(wanted.ip) == 1:
        about = f"Private address {wanted.ip[0]}".removesuffix("/32").removesuffix("/128")
    elif len(instances) == 1:
        about = f"Private addresses of {quoted(instances[0])}"
    elif instances:
        about = f"Private addresses of {many(len(instances), 'instance')}"
    else:
        about = f"Private addresses of {many(len(enis), 'interface')}"
    if not entries:
        return about.replace("of 0 interfaces", "on AWS")
    return f"{about}, {entries[0].time:%Y-%m-%d}" + _until(entries)


def _until(entries: Sequence[TimelineEntry]) -> str:
    first, last = entries[0].time, entries[-1].time
    return f" to {last:%Y-%m-%d}" if first.date() != last.date() else ""


def caveats(told: Sequence[InstanceLife], wanted: Filter) -> Iterator[str]:
    """What the report cannot show."""
    yield (
        "CloudTrail proves which interface and which node had an address, not which pod: "
        "that is known only to the CNI on the node."
    )
    yield (
        "The clock of CloudTrail has one-second steps, and its events arrive minutes late. What was not "
        "delivered, or not read, is not here: a holding whose end is not in the evidence may have ended."
    )
    yield (
        "Names of sessions, user agents, descriptions and tags are what callers wrote. "
        "They are shown as such, and prove nothing by themselves."
    )
    if wanted != Filter():
        yield (
            "Only calls that match what was asked for are counted and told. "
            "The picture of an instance shows all that is known of it in that time."
        )
    if any(life.limits for life in told):
        yield (
            "The limit of an instance type counts the IPv4 addresses of all interfaces on its default "
            "network card, primary ones included; a prefix takes the place of one address."
        )
