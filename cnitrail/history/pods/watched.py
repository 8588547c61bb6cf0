"""Times of which the log of a node has every assignment and release.

ipamd logs the state of its pool every few seconds (StartNodeIPPoolManager in pkg/ipamd/ipamd.go, at the
default level DEBUG), so a minute without a line is a time of which the log is missing, or ipamd did not run.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from cnitrail.history.pods.enis import NodeFiles
from cnitrail.history.pods.homes import Homes, home_of, is_plugin_log
from cnitrail.intervals import Interval, union
from cnitrail.model.pod_facts import PodEvidence
from cnitrail.model.pods import PodLease, WatchedNode
from cnitrail.timeclamp import shifted

_MINUTE: Final = timedelta(minutes=1)

_RECOVERY: Final = timedelta(minutes=1)
"""Time from the start of ipamd until it has named all sandboxes that it recovers: seconds, after it has asked
the instance metadata and EC2 about its ENIs."""


def heard_times(evidence: PodEvidence, homes: Homes) -> Mapping[str, list[Interval]]:
    """Return the times in which the log of each node has lines in every minute.

    The first and the last minute of such a time may lack lines, so it is without them.
    """
    minutes: dict[str, set[str]] = {}
    for (source, form), heard in evidence.heard.items():
        if form == "ipamd-log" and not is_plugin_log(source):
            minutes.setdefault(homes.root(home_of(source)), set()).update(heard)
    return {home: list(_times(heard)) for home, heard in minutes.items()}


def _times(minutes: Iterable[str]) -> Iterator[Interval]:
    starts = [time for time in map(minute_of, minutes) if time is not None]
    for whole in union(Interval(start, shifted(start, _MINUTE)) for start in starts):
        inner = Interval(shifted(whole.start, _MINUTE), shifted(whole.end, -_MINUTE))
        if inner.start < inner.end:
            yield inner


def minute_of(minute: str) -> datetime | None:
    """Return the start of a minute (aware, UTC); None if the text is no time."""
    try:
        return datetime.fromisoformat(minute).replace(tzinfo=UTC)
    except ValueError:
        return None


def watched_nodes(
    leases: Iterable[PodLease], heard: Mapping[str, list[Interval]], homes: Homes, files: NodeFiles
) -> Iterator[WatchedNode]:
    """Yield the times in which everything is known of a node: of those files that are of one instance."""
    instances: dict[str, set[str]] = {}
    for lease in leases:
        home = homes.of(lease.origins)
        if home is not None and lease.instance is not None:
            instances.setdefault(home, set()).add(lease.instance)
    for home, times in sorted(heard.items()):
        named = files.instance_of(home)
        known = instances.get(home, set()) | ({named} if named is not None else set())
        if len(known) == 1:
            (instance,) = known
            for time in times:
                starts = (shifted(start, _RECOVERY) for start in files.starts_of(home))
                since = next((start for start in starts if time.includes(start)), None)
                yield WatchedNode(instance=instance, span=time, complete_from=since)
