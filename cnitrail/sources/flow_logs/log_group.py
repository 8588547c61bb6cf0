"""Flow logs in a log group of CloudWatch Logs: each event is a record, without a header.

https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-cwl.html. The streams of an interface begin with
its ID (``eni-…-all``, ``-accept``, ``-reject``), which AWS does not document; those of one interface are
shared by all flow logs of the group, so a stream does not show which one wrote a record. The timestamp of an
event is the record's ``start``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.errors import EmptySourceError, SourceError
from cnitrail.model import CutShort, Document, Extent, LookupProgress, Note, Skipped
from cnitrail.sources.flow_logs.formats import format_of_log_group
from cnitrail.sources.flow_logs.key_layout import LONGEST
from cnitrail.sources.logs.days import EARLY, LogEvent, LogRange, hour_of, time_of
from cnitrail.sources.logs.source import INTERRUPTED, GroupReader, LogsCallError, LogSelection, LogsSource
from cnitrail.text import iso
from cnitrail.timeclamp import shifted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from cnitrail.model import Scope
    from cnitrail.sources.flow_logs.formats import FlowLogFormat
    from cnitrail.sources.rate_limit import Clock

_MAX_BYTES: Final = 8 * 1024 * 1024
"""Size after which the records of an hour are divided."""

_MILLISECOND: Final = timedelta(milliseconds=1)


class FlowLogGroup(LogsSource):
    """The records of a log group, in a document with a header line for each hour, oldest first.

    ``columns`` are those of the records; None to read them from EC2. With ``scope.enis``, only the streams of
    these interfaces are read. Raises as ``LogsSource`` does, and ``SourceError`` if the format is not known.
    """

    def __init__(
        self, uri: str, scope: Scope, columns: tuple[str, ...] | None = None, clock: Clock | None = None
    ) -> None:
        super().__init__(uri, scope, clock)
        self._columns = columns

    def _read(
        self, reader: GroupReader, place: str, now: datetime
    ) -> Iterator[Document | CutShort | Skipped | Note | LookupProgress]:
        """Yield what the group has."""
        asked, columns = self._range(now), self._columns
        reached = _Reached()
        try:
            selections = self._selections(reader, asked)
            if columns is None:
                known = self._format(reader, asked)
                columns = known.columns
                yield Note(self.uri, f"format of {known.flow_log}: {' '.join(columns)}")
                if known.created is not None and (asked.start is None or asked.start < known.created):
                    before = LogRange(asked.start, shifted(known.created, -_MILLISECOND))
                    if any(reader.first_events(before, selection.streams) for selection in selections):
                        self.found += 1
                        yield Skipped(self.uri, _before(known.flow_log, known.created), Extent.PART)
                    asked = LogRange(known.created, asked.end)
            for selection in selections:
                name = f"{place}/{selection.streams}" if selection.streams else place
                reached = _Reached(selection.streams)
                for document in _documents(reader.pages(asked, selection), name, columns, reached):
                    self.found += 1
                    yield document
        except LogsCallError as failed:
            if not self.found:
                if failed.failure is INTERRUPTED:
                    raise KeyboardInterrupt from None
                raise failed.failure.as_error(self.uri) from None
            yield self._unread(failed, reached)
        yield self._calls_made()
        if not self.found:
            raise self._no_records()

    def _range(self, now: datetime) -> LogRange:
        """Return the times of the events that may be asked for."""
        since, until = self._scope.since, self._scope.until
        start = None if since is None else shifted(since, -(LONGEST + EARLY))
        end = now if until is None else min(now, shifted(until, LONGEST))
        return LogRange(start, end)

    def _format(self, reader: GroupReader, asked: LogRange) -> FlowLogFormat:
        """Return the format of the records. Raises ``SourceError`` and ``LogsCallError``."""
        scope = replace(self._scope, regions=(reader.region,))
        try:
            return format_of_log_group(self._group.name, scope, self.uri, asked.end)
        except SourceError:
            reader.first_events(asked, None)  # if there is no such group, that is the better reason
            raise

    def _selections(self, reader: GroupReader, asked: LogRange) -> list[LogSelection]:
        """Return which streams to read: all, or those of the interfaces in scope if streams are named so.

        Raises ``LogsCallError``.
        """
        everything = [LogSelection("")]
        if not self._scope.enis:
            return everything
        streams = [str(event.get("logStreamName", "")) for event in reader.first_events(asked, None)]
        if not all(stream.startswith("eni-") for stream in streams):
            return everything
        return [LogSelection("", streams=eni) for eni in self._scope.enis]

    def _unread(self, failed: LogsCallError, reached: _Reached) -> Skipped:
        self.found += 1
        hint = f"; {failed.failure.hint}" if failed.failure.hint else ""
        streams = f" of {reached.streams}" if reached.streams else ""
        until = f"was read until {iso(reached.time)} only" if reached.time is not None else "was not read"
        return Skipped(
            self.uri, f"{failed.failure.reason}; the log group{streams} {until}{hint}", Extent.PART
        )

    def _no_records(self) -> EmptySourceError:
        scope = self._scope
        times = (f" since {iso(scope.since)}" if scope.since else "") + (
            f" until {iso(scope.until)}" if scope.until else ""
        )
        streams = f" in the streams of {', '.join(scope.enis)}" if scope.enis else ""
        return EmptySourceError(
            f"{self.uri}: no flow log records{streams}{times}",
            f"aws logs describe-log-streams --log-group-name {self._group.name} shows what it has",
        )


class _Reached(Struct):
    """The time of the last event that was read of some streams."""

    streams: str | None = None
    time: datetime | None = None


def _documents(
    pages: Iterator[list[LogEvent]], place: str, columns: tuple[str, ...], reached: _Reached
) -> Iterator[Document]:
    """Yield the records of each hour below a header line.

    Raises ``LogsCallError``, after what it has read.
    """
    header = " ".join(columns)
    hour: datetime | None = None
    lines: list[str] = []
    size = pieces = 0

    def document() -> Document:
        text = ("\n".join((header, *lines)) + "\n").encode("utf-8", "replace")
        name = f"{hour:%Y-%m-%dT%H}" if hour is not None else "no-time"
        uri = f"{place}/{name}.{pieces}" if pieces else f"{place}/{name}"
        return Document(uri=uri, size=len(text), chunks=iter((text,)))

    failure: LogsCallError | None = None
    try:
        for events in pages:
            for event in events:
                time = time_of(event)
                at = hour if time is None else hour_of(time)
                if lines and (at != hour or size >= _MAX_BYTES):
                    yield document()
                    pieces = pieces + 1 if at == hour else 0
                    lines, size = [], 0
                hour, reached.time = at, time or reached.time
                # a record has no line end: what has one was written by somebody else, and is one bad record
                line = " ".join(str(event.get("message", "")).splitlines())
                lines.append(line)
                size += len(line)
    except LogsCallError as failed:
        failure = failed
    if lines:
        yield document()
    if failure is not None:
        raise failure


def _before(flow_log: str, created: datetime) -> str:
    return (
        f"records before {iso(created)} were not read: {flow_log} was created then, and the format of an "
        "earlier flow log is not known; name it with --format, and read it with --until"
    )
