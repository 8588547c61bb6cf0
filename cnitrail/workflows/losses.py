"""What could not be read, and the accounts, Regions and times that its events may belong to."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnitrail.model import USUAL_LAG, HoleReason, Lost, SetAside, Skipped
from cnitrail.model.evidence import Extent
from cnitrail.model.table import place_of_part
from cnitrail.sources.layout import STAMP_SLACK, log_name
from cnitrail.timeclamp import shifted

_FOLDER = re.compile(r"/(?P<account>\d{12})/CloudTrail/(?P<region>[a-z0-9-]+)/")
_LOOKUP = re.compile(r"lookup:(?P<region>[a-z0-9-]+)")

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from cnitrail.decode import Decoded
    from cnitrail.model import AccountRegion, Event, History, Record


def lost_file(uri: str, reason: HoleReason = HoleReason.UNREAD) -> Lost:
    """Return what is lost with a file; its name has the time, if it is a name that CloudTrail gives."""
    part = place_of_part(uri)
    if part is not None:
        return _lost_part(uri, *part, reason)
    name = log_name(uri)
    what = f"{uri} could not be read"
    if name is None:
        account, region = _place_of(uri)
        reason = HoleReason.NOT_READ if _LOOKUP.fullmatch(uri) else reason
        return Lost(account=account, region=region, start=None, end=None, reason=reason, what=what)
    start, end = shifted(name.delivered, -USUAL_LAG), shifted(name.delivered, STAMP_SLACK)
    return Lost(account=name.account, region=name.region, start=start, end=end, reason=reason, what=what)


def _lost_part(
    uri: str, account: str | None, region: str | None, day: date | None, reason: HoleReason
) -> Lost:
    """Return what is lost with rows of a part of a table, whose day is of the delivery or of the events."""
    begins = datetime.combine(day, time.min, UTC) if day is not None else None
    return Lost(
        account=account,
        region=region,
        start=begins and shifted(begins, -USUAL_LAG),
        end=begins and shifted(begins, timedelta(days=1)),
        reason=reason,
        what=f"rows of {uri} could not be read",
    )


def _place_of(uri: str) -> AccountRegion:
    """Return the account and Region of a folder, or of a LookupEvents query, as far as they are known."""
    folder, lookup = _FOLDER.search(uri), _LOOKUP.match(uri)
    if folder is not None:
        return folder["account"], folder["region"]
    return None, lookup["region"] if lookup is not None else None


def lost_of(record: Record, decoded: Decoded) -> Iterator[Lost]:
    """Yield what is lost with the unreadable part of a record of CloudTrail, for each place of it."""
    for origin in record.origins:
        what = f"a record that could not be read (record {origin.index} of {origin.source})"
        if decoded.lost is None:
            yield replace(lost_file(origin.source), what=what)
        elif decoded.lost.start is None:
            lost, file = decoded.lost, lost_file(origin.source)
            yield replace(lost, start=file.start, end=file.end, what=what)
        else:
            yield replace(decoded.lost, what=what)


def set_aside(history: History) -> tuple[Skipped, ...]:
    """Return a sentence for each file and reason whose records are not used for the history."""
    groups: dict[tuple[str, SetAside], list[Event]] = {}
    by_key = {event.key: event for event in history.events if event.key in history.set_aside}
    for key, reason in history.set_aside.items():
        event = by_key[key]
        groups.setdefault((min(event.origins).source, reason), []).append(event)
    credentials = Counter(min(session.origins).source for session in history.sessions_aside)
    return tuple(
        Skipped(source, _CREDENTIALS.format(number=number), Extent.PART)
        for source, number in credentials.items()
    ) + tuple(
        Skipped(source, _REASONS[reason].format(records=_records(events)), Extent.PART)
        for (source, reason), events in groups.items()
    )


_CREDENTIALS = (
    "{number} STS event(s): not covered by a digest, and proven records use the same credentials: set aside"
)
_REASONS = {
    SetAside.FOREIGN: "{records} of an ENI or instance that belongs to another account or Region: set aside",
    SetAside.UNPROVEN: "{records}: not covered by a digest, and proven records name the same ENIs, "
    "instances or addresses: set aside",
}


def _records(events: Iterable[Event]) -> str:
    """Return the first record by its name, and how many more there are."""
    events = list(events)
    first = f"{events[0].name} (event {events[0].event_id}) of {events[0].account} in {events[0].region}"
    return first if len(events) == 1 else f"{first} and {len(events) - 1:,} more records"
