"""What was not read, and of which account, Region and time its events may be."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnitrail.model import USUAL_LAG, HoleReason, Lost, SetAside, Skipped
from cnitrail.model.evidence import Extent
from cnitrail.sources.layout import STAMP_SLACK, log_name
from cnitrail.timeclamp import shifted

_FOLDER = re.compile(r"/(?P<account>\d{12})/CloudTrail/(?P<region>[a-z0-9-]+)/")
_ASKED = re.compile(r"lookup:(?P<region>[a-z0-9-]+)")

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cnitrail.decode import Decoded
    from cnitrail.model import AccountRegion, Event, History, Record


def lost_file(uri: str, reason: HoleReason = HoleReason.UNREAD) -> Lost:
    """What a file that was not read may hold; its name tells of when, if it is CloudTrail's own."""
    name = log_name(uri)
    what = f"{uri} could not be read"
    if name is None:
        return Lost(*_place_of(uri), None, None, reason, what)
    start, end = shifted(name.delivered, -USUAL_LAG), shifted(name.delivered, STAMP_SLACK)
    return Lost(name.account, name.region, start, end, reason, what)


def _place_of(uri: str) -> AccountRegion:
    """The account and Region of a folder that could not be listed, or of a question to LookupEvents."""
    folder, asked = _FOLDER.search(uri), _ASKED.match(uri)
    if folder is not None:
        return folder["account"], folder["region"]
    return None, asked["region"] if asked is not None else None


def lost_of(record: Record, decoded: Decoded) -> Iterator[Lost]:
    """What the unreadable part of a record may say; nothing if it could be read."""
    if not decoded.problems:
        return
    first = min(record.origins)
    what = f"a record that could not be read (record {first.index} of {first.source})"
    if decoded.about is None:
        yield replace(lost_file(first.source), what=what)
    elif decoded.about.start is None:
        about, file = decoded.about, lost_file(first.source)
        yield replace(about, start=file.start, end=file.end, what=what)
    else:
        yield replace(decoded.about, what=what)


def set_aside(history: History) -> tuple[Skipped, ...]:
    """The records that move nothing, a sentence for each file and reason."""
    groups: dict[tuple[str, SetAside], list[Event]] = {}
    by_key = {event.key: event for event in history.events}
    for key, reason in history.set_aside.items():
        event = by_key[key]
        groups.setdefault((min(event.origins).source, reason), []).append(event)
    credentials = Counter(min(each.origins).source for each in history.sessions_aside)
    return tuple(
        Skipped(source, _CREDENTIALS.format(number=number), Extent.PART)
        for source, number in credentials.items()
    ) + tuple(
        Skipped(source, _REASONS[reason].format(records=_records(events)), Extent.PART)
        for (source, reason), events in groups.items()
    )


_CREDENTIALS = (
    "no digest vouches for {number} STS event(s), and proven records speak of the same credentials: set aside"
)
_REASONS = {
    SetAside.FOREIGN: "{records} of an ENI or instance that belongs to another account or Region: set aside",
    SetAside.UNPROVEN: "no digest vouches for {records}, and proven records speak of the same ENIs, "
    "instances or addresses: set aside",
}


def _records(events: Iterable[Event]) -> str:
    """Records by number and the first of their names."""
    events = list(events)
    first = f"{events[0].name} (event {events[0].event_id}) of {events[0].account} in {events[0].region}"
    return first if len(events) == 1 else f"{first} and {len(events) - 1:,} more records"
