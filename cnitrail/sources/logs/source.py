"""The source ``logs:LOG-GROUP``: FilterLogEvents of one log group.

API: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html. Pages
have up to 1 MB; empty ones with a token are normal. AWS allows 5 calls a second in each account and Region,
and does not raise that (https://repost.aws/knowledge-center/cloudwatch-logs-throttling).
"""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from cnitrail.errors import EmptySourceError, UsageError
from cnitrail.model import CutShort, Document, LookupProgress, Note, Scope, Skipped
from cnitrail.sources.aws import NO_REGION, AwsFailure, open_session, regional_client
from cnitrail.sources.caller import announcement, caller_of
from cnitrail.sources.logs.days import (
    LogDocuments,
    LogEvent,
    LogRange,
    day_of,
    log_ranges,
    milliseconds,
    time_of,
    unread,
)
from cnitrail.sources.logs.failures import ACTION, is_refused_pattern, logs_failure
from cnitrail.sources.logs.group import SCHEME, parse_log_group
from cnitrail.sources.logs.patterns import AUDIT_PATTERN, AUDIT_STREAMS, are_trail_records, trail_pattern
from cnitrail.sources.rate_limit import Clock, RateLimiter, SystemClock
from cnitrail.text import counted, iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import boto3

_LOG = logging.getLogger(__name__)

CALLS_PER_SECOND: Final = 5.0

_PEEK: Final = 50
"""First events of a group that show what is in it."""

_MAX_EMPTY: Final = 20
"""Empty pages after which the first events of a group are not searched for any longer."""

INTERRUPTED: Final = AwsFailure("interrupted", None)


class LogsCallError(Exception):
    """Reading ended early."""

    def __init__(self, failure: AwsFailure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class LogSelection(Struct, frozen=True):
    """Which events of a group are asked for: a pattern and a prefix of stream names, None for all.

    ``text`` says so, for the user.
    """

    text: str
    pattern: str | None = None
    streams: str | None = None


_AUDIT: Final = LogSelection(
    "asking for audit events about pods and nodes only; AWS allows 5 calls per second, and a day of a busy "
    "cluster takes minutes",
    AUDIT_PATTERN,
    AUDIT_STREAMS,
)
_TRAIL_TEXT: Final = (
    "a trail's log group: asking for the calls that matter only, so what else was logged is not known"
)
_ALL: Final = LogSelection("neither a trail's log group nor a cluster's: asking for all events")


class LogsSource:
    """The events of a log group that matter, in a document for each hour; the newest day comes first.

    Raises ``SourceError`` if nothing at all can be read, and ``UsageError`` if the source is misnamed.
    """

    def __init__(self, uri: str, scope: Scope, clock: Clock | None = None) -> None:
        self.uri = uri
        self.found = 0
        """Number of documents, and one for what was not read."""
        self._group = parse_log_group(uri)
        self._scope = scope
        self._limiter = RateLimiter(CALLS_PER_SECOND, 1, clock or SystemClock())
        self._calls = 0
        self._events = 0
        self._is_stopped = False
        self._is_pattern_refused = False

    def stop(self) -> bool:
        """End soon with what was read, and return True; False if nothing was read yet."""
        self._is_stopped = self.found > 0
        return self._is_stopped

    def documents(self) -> Iterator[Document | CutShort | Skipped | Note | LookupProgress]:
        """Yield the documents of each day, how far the reading is, and in the end why it was cut short."""
        now = datetime.now(UTC)
        session = open_session(self._scope.profile)
        region = self._region(session)
        caller = caller_of(session, self._scope, region, SCHEME)
        account = self._group.account or (caller.account if caller is not None else None)
        place = f"{SCHEME}{self._group.name}@{account or '-'}/{region}"
        asking = announcement(
            session, self._scope, (region,), caller, call="FilterLogEvents", account_read=account
        )
        yield Note("", asking)
        is_own = caller is not None and caller.account == self._group.account
        by_arn = self._group.arn is not None and not is_own
        target = {"logGroupIdentifier": self._group.arn} if by_arn else {"logGroupName": self._group.name}
        with closing(regional_client(session, self._scope, "logs", region, SCHEME)) as client:
            yield from self._read(GroupReader(self, client, target), place, now)

    def _region(self, session: boto3.Session) -> str:
        """Return the Region of the log group. Raises ``UsageError`` if that is not clear."""
        if self._group.region is not None:
            return self._group.region
        regions = tuple(region for region in dict.fromkeys(self._scope.regions) if region != "all")
        if len(regions) > 1:
            raise UsageError(
                f"{self.uri}: a log group is in one Region, and --region names {len(regions)}",
                f"use its ARN: {SCHEME}arn:aws:logs:REGION:ACCOUNT:log-group:{self._group.name}",
            )
        region = regions[0] if regions else session.region_name
        if region is None:
            hint = "use --region REGION, or the group's ARN; or set AWS_REGION, or region in the profile"
            raise AwsFailure(NO_REGION.reason, hint).as_error(self.uri)
        return region

    def _read(
        self, reader: GroupReader, place: str, now: datetime
    ) -> Iterator[Document | CutShort | Skipped | Note | LookupProgress]:
        """Yield what the group has."""
        complete_since: datetime | None = None
        failure: AwsFailure | None = None
        is_known = False
        selection = _ALL
        try:
            selection, first = self._selection(reader, now)
            if self._scope.since is None and first is not None:
                text = f"no time range given: reading everything since {iso(first)}. Use --since 6h."
                yield Note(self.uri, text)
            yield Note(self.uri, selection.text)
            documents = LogDocuments(place, f"{selection.streams} {selection.pattern}", self._scope, now)
            settled = documents.settled_hours()
            is_known = bool(settled)
            for range_ in log_ranges(self._scope, first, now):
                left = unread(range_, settled.get(day_of(range_.start or now), ()))
                if left is not None:
                    yield from self._day(reader.pages(left, selection), documents, complete_since)
                complete_since = range_.start or self._scope.since
        except LogsCallError as failed:
            failure = failed.failure
        if failure is not None and not self.found:
            if failure is INTERRUPTED:
                raise KeyboardInterrupt
            raise failure.as_error(self.uri)
        yield self._calls_made()
        if failure is not None:
            self.found += 1
            yield self._cut_short(failure, complete_since)
        elif not self.found and not is_known:
            raise self._nothing_found(selection)

    def _calls_made(self) -> Note:
        refused = "; the filter pattern was refused, so all events were asked for"
        calls = f"made {counted(self._calls, 'call')}"
        return Note(self.uri, calls + (refused if self._is_pattern_refused else ""))

    def _day(
        self, pages: Iterator[list[LogEvent]], documents: LogDocuments, reached: datetime | None
    ) -> Iterator[Document | LookupProgress]:
        """Yield the documents of a day, in the order of time.

        Raises ``LogsCallError``, after what it has read.
        """
        try:
            for events in pages:
                self._events += len(events)
                for event in events:
                    yield from self._counted(documents.add(event))
                yield self._progress(reached)
        except LogsCallError:
            yield from self._counted(documents.rest(is_whole=False))
            raise
        yield from self._counted(documents.rest(is_whole=True))

    def _progress(self, reached: datetime | None) -> LookupProgress:
        return LookupProgress(
            region=self._group.name,
            calls=self._calls,
            max_calls=self._scope.max_calls,
            events=self._events,
            since=self._scope.since,
            until=self._scope.until or datetime.now(UTC),
            reached=reached,
            newest=(),
        )

    def _counted(self, documents: Iterator[Document]) -> Iterator[Document]:
        for document in documents:
            self.found += 1
            yield document

    def _selection(self, reader: GroupReader, now: datetime) -> tuple[LogSelection, datetime | None]:
        """Return which events to ask for, and the time of the first event, if that had to be found out.

        Raises ``LogsCallError``.
        """
        is_audit = self._group.is_of_cluster
        if is_audit and self._scope.since is not None:
            return _AUDIT, None
        ranges = log_ranges(self._scope, None, now)
        if not ranges:
            return _ALL, None
        whole = LogRange(ranges[-1].start, ranges[0].end)
        events = reader.first_events(whole, AUDIT_STREAMS if is_audit else None)
        first = min((time for event in events if (time := time_of(event)) is not None), default=None)
        if is_audit:
            return _AUDIT, first
        is_trail = are_trail_records([str(event.get("message", "")) for event in events])
        pattern = trail_pattern(self._scope.event_names) if is_trail else None
        return _ALL if pattern is None else LogSelection(_TRAIL_TEXT, pattern), first

    def call(self, client: Any, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer of one call, within the rate limit. Raises ``LogsCallError``."""
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import parser_errors_raised

        if self._is_stopped:
            raise LogsCallError(INTERRUPTED)
        if self._calls >= self._scope.max_calls:
            hint = "narrow the time range with --since and --until, or raise --max-calls"
            raise LogsCallError(
                AwsFailure(f"stopped after {counted(self._calls, 'call')} (--max-calls)", hint)
            )
        self._limiter.wait()
        self._calls += 1
        if self._is_pattern_refused:
            asked = {name: value for name, value in asked.items() if name != "filterPattern"}
        try:
            with parser_errors_raised():
                answer: Mapping[str, Any] = client.filter_log_events(**asked)
        except (BotoCoreError, ClientError) as error:
            if is_refused_pattern(error) and "filterPattern" in asked and "nextToken" not in asked:
                self._is_pattern_refused = True
                return self.call(client, asked)
            raise LogsCallError(logs_failure(error, client, self._group, self._scope.profile)) from None
        _LOG.debug("%s: call %d: %d events", self.uri, self._calls, len(answer["events"]))
        return answer

    def _cut_short(self, failure: AwsFailure, since: datetime | None) -> CutShort:
        """Return that not all was read, and from when on it is complete."""
        if since is None:
            unread_part = "not complete for any time"
        else:
            unread_part = f"complete from {iso(since)} on, older events were not all read"
        reason = f"{failure.reason}; {unread_part}" + (f"; {failure.hint}" if failure.hint else "")
        return CutShort(
            source=self.uri,
            region=None,
            reason=reason,
            complete_since=since,
            of_pods=self._group.is_of_cluster,
        )

    def _nothing_found(self, selection: LogSelection) -> EmptySourceError:
        scope = self._scope
        times = (f" since {iso(scope.since)}" if scope.since else "") + (
            f" until {iso(scope.until)}" if scope.until else ""
        )
        if selection.streams is not None:
            return EmptySourceError(
                f"{self.uri}: no audit events about pods{times}",
                "audit logging is off by default: aws eks describe-cluster --name CLUSTER --query "
                "cluster.logging shows whether it is on; nothing records what happened before",
            )
        return EmptySourceError(
            f"{self.uri}: no events that matter{times}",
            f"aws logs describe-log-streams --log-group-name {self._group.name} shows what it has",
        )


class GroupReader:
    """The calls for one log group; ``target`` names it."""

    def __init__(self, source: LogsSource, client: Any, target: Mapping[str, Any]) -> None:
        self._source = source
        self.region = str(client.meta.region_name)
        self._client = client
        self._target = target

    def first_events(self, asked: LogRange, streams: str | None) -> list[LogEvent]:
        """Return some of the first events; none if there are none, or none after some empty pages."""
        selection = LogSelection("", streams=streams)
        for number, events in enumerate(self.pages(asked, selection, limit=_PEEK)):
            if events or number == _MAX_EMPTY:
                return events
        return []

    def pages(
        self, asked: LogRange, selection: LogSelection, *, limit: int | None = None
    ) -> Iterator[list[LogEvent]]:
        """Yield the events of each page of a query. Raises ``LogsCallError``."""
        parameters = {
            **self._target,
            "startTime": milliseconds(asked.start) if asked.start is not None else None,
            "endTime": milliseconds(asked.end) if asked.end is not None else None,
            "filterPattern": selection.pattern,
            "logStreamNamePrefix": selection.streams,
            "limit": limit,
        }
        query = {name: value for name, value in parameters.items() if value is not None}
        token: str | None = None
        while True:
            answer = self._source.call(self._client, query | ({"nextToken": token} if token else {}))
            events, last = answer["events"], token
            token = answer.get("nextToken")
            yield events
            if token is None:
                return
            if token == last and not events:
                raise LogsCallError(AwsFailure(f"{ACTION} returned the same page again", "try again later"))
