"""Which times of a log group are asked for, and the documents that their events make."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from cnitrail.model import Document
from cnitrail.timeclamp import shifted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from cnitrail.model import Scope

MAX_BYTES: Final = 32 * 1024 * 1024
"""Size after which the document of an hour is divided: a log group may have any number of writers."""

EARLY: Final = timedelta(minutes=5)
"""How much earlier than an event its log event may be dated: clocks differ."""


_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_LONGEST: Final = timedelta(days=512)
_MILLISECOND: Final = timedelta(milliseconds=1)
_KEYS: Final = ("logStreamName", "timestamp", "message", "ingestionTime", "eventId")


LogEvent = Mapping[str, Any]
"""A log event as FilterLogEvents returns it."""


class LogRange(Struct, frozen=True):
    """A range of times of log events that one query asks for; both ends included.

    ``start`` is None if no start is known, ``end`` if the range has not ended yet.
    """

    start: datetime | None
    end: datetime | None


def log_ranges(scope: Scope, first: datetime | None, now: datetime) -> list[LogRange]:
    """Return the ranges to ask for, newest first.

    A log event may be dated later than what it is about, as log files are delivered later. If a store is
    filled, these are days (UTC) from their beginning, up to the end of an hour, so that the counts of an hour
    can be replaced. Otherwise, each one is twice as long as the one after it, because a group may have years.
    ``first`` is the time of the group's first event, if that is known.
    """
    start = first if scope.since is None else shifted(scope.since, -EARLY)
    end = None if scope.until is None else shifted(scope.until, scope.delivery_lag)
    if scope.into and end is not None:
        end = shifted(hour_of(end), _HOUR - _MILLISECOND)
    if end is not None and end > now:
        end = None
    if start is None:
        return [LogRange(None, end)]
    return [*_days(start, end, now)][::-1] if scope.into else [*_doubling(start, end, now)]


def _days(start: datetime, end: datetime | None, now: datetime) -> Iterator[LogRange]:
    """Yield each day from a time on, up to another; None for now."""
    last, day = end or now, day_of(start)
    while day <= last:
        ends = shifted(day, _DAY - _MILLISECOND)
        yield LogRange(day, ends if ends < last else end)
        if ends <= day:  # the end of the calendar
            return
        day = shifted(day, _DAY)


def _doubling(start: datetime, end: datetime | None, now: datetime) -> Iterator[LogRange]:
    """Yield ranges back from a time (None for now) to another: a day, two days, four."""
    length, before, until = _DAY, now if end is None else end, end
    while start <= before:
        begin = max(start, shifted(before, -length))
        yield LogRange(begin, until)
        if begin == start:
            return
        before, until = begin, shifted(begin, -_MILLISECOND)
        length = min(2 * length, _LONGEST)


def unread(range_: LogRange, seen: Collection[datetime]) -> LogRange | None:
    """Return what is left of a range whose hours ``seen`` were read and are settled; None if nothing is.

    Each range is read in the order of time: whatever is before its last settled hour was read, too.
    """
    if range_.start is None or not seen:
        return range_
    start = shifted(max(seen), _HOUR)
    if range_.end is not None and start > range_.end:
        return None
    return LogRange(max(start, range_.start), range_.end)


def hour_of(time: datetime) -> datetime:
    """Return the beginning of the hour (UTC) of a time."""
    return shifted(time, timedelta()).replace(minute=0, second=0, microsecond=0)


def day_of(time: datetime) -> datetime:
    """Return the beginning of the day (UTC) of a time."""
    return hour_of(time).replace(hour=0)


def time_of(event: LogEvent) -> datetime | None:
    """Return the time of a log event; None if it has none that a calendar has."""
    try:
        return datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    except (LookupError, TypeError, ValueError, OverflowError, OSError):
        return None


def milliseconds(time: datetime) -> int:
    """Return a time as CloudWatch Logs has it."""
    return round(time.timestamp() * 1000)


class LogDocuments:
    """Puts log events, which come in the order of time, into one document for each hour.

    ``place`` is what the names of the documents begin with. An hour is settled if it is over, for so long
    that no further event of it is expected. Its etag depends on the ``query`` that selects its events.
    """

    def __init__(self, place: str, query: str, scope: Scope, now: datetime) -> None:
        self._place = place
        self._scope = scope
        self._now = now
        self._settled = f"settled {sha256(query.encode()).hexdigest()[:16]}"
        self._hour: datetime | None = None
        self._events: list[bytes] = []
        self._bytes = 0
        self._pieces = 0
        """How many documents of the hour were yielded."""

    def add(self, event: LogEvent) -> Iterator[Document]:
        """Take an event; yield the document of the hour before it, if that is over."""
        time = time_of(event)
        hour = self._hour if time is None else hour_of(time)
        if self._events and hour != self._hour:
            yield from self.rest(is_whole=True)
        self._hour = hour
        text = msgspec.json.encode({key: event[key] for key in _KEYS if key in event})
        if self._bytes + len(text) > MAX_BYTES and self._events:
            self._pieces += 1
            yield self._document(f".{self._pieces}", is_whole=False)
        self._events.append(text)
        self._bytes += len(text)

    def rest(self, *, is_whole: bool) -> Iterator[Document]:
        """Yield the document of the last hour; ``is_whole`` if all of that hour was read."""
        if self._events:
            yield self._document("", is_whole=is_whole)
            self._pieces = 0

    def _document(self, piece: str, *, is_whole: bool) -> Document:
        """Return what was taken since the last document. The last one of an hour shows that it is whole."""
        text = b'{"events":[' + b",".join(self._events) + b"]}"
        hour = f"{self._hour:%Y-%m-%dT%H}" if self._hour is not None else "no-time"
        etag = self._settled if is_whole and self._is_settled() else f"read {self._now.isoformat()}"
        self._events, self._bytes = [], 0
        uri = f"{self._place}/{hour}{piece}"
        return Document(uri=uri, size=len(text), chunks=iter((text,)), etag=etag)

    def _is_settled(self) -> bool:
        return self._hour is not None and shifted(self._hour, _HOUR + self._scope.delivery_lag) < self._now

    def settled_hours(self) -> dict[datetime, set[datetime]]:
        """Return the settled hours that the store has, by day."""
        days: dict[datetime, set[datetime]] = {}
        for uri, etag in self._scope.seen:
            place, _, text = uri.rpartition("/")
            if etag != self._settled or place != self._place:
                continue
            try:
                hour = datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC)
            except ValueError:
                continue
            days.setdefault(day_of(hour), set()).add(hour)
        return days
