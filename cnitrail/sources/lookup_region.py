"""LookupEvents of one Region: its calls within the rate limit, and what their answers hold."""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from datetime import UTC, datetime
from heapq import nlargest
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from cnitrail.model import (
    CutShort,
    Document,
    Extent,
    LookedUp,
    LookupProgress,
    Note,
    Scope,
    SeenCall,
    Skipped,
)
from cnitrail.sources.aws import AwsFailure, failure_of, shown
from cnitrail.sources.daemon_pool import DaemonPool
from cnitrail.sources.lookup_index import FoundEvent
from cnitrail.sources.lookup_plan import (
    CALLS_PER_SECOND,
    CONCURRENT_QUERIES,
    LookupPage,
    LookupPlan,
    Query,
    QueryFailed,
)
from cnitrail.sources.rate_limit import Clock, RateLimiter
from cnitrail.text import counted, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_cloudtrail.type_defs import EventTypeDef

_LOG = logging.getLogger(__name__)

_ACTION: Final = "cloudtrail:LookupEvents"
_BURST: Final = 2

MAX_UNREACHABLE: Final = 6
"""Failed calls after which an endpoint that has never answered is given up."""

MAX_FRUITLESS: Final = 3
"""Max retries of a query without new events."""

_MAX_NEWEST: Final = 10
"""How many of the newest calls progress shows."""

Delivered = Document | Skipped | CutShort | LookedUp | Note | LookupProgress

INTERRUPTED: Final = AwsFailure("interrupted", None, fatal=True)
"""Why a Region ends after ``LookupSource.stop``."""


class RegionEnd(Struct, frozen=True):
    """The end of a Region; ``failure`` if it was cut short, ``bug`` if cnitrail itself failed."""

    region: str
    failure: AwsFailure | None = None
    bug: Exception | None = None


class RegionReader:
    """Reads LookupEvents of one Region."""

    def __init__(
        self, client: CloudTrailClient, scope: Scope, clock: Clock, stopped: threading.Event
    ) -> None:
        self._client = client
        self._scope = scope
        self._region = client.meta.region_name
        self._limiter = RateLimiter(CALLS_PER_SECOND, _BURST, clock)
        self._stopped = stopped
        self._calls = 0
        self._events = 0
        self._newest: set[SeenCall] = set()
        self._has_answered = False
        self._failed_calls = 0
        self._lock = threading.Lock()
        # botocore's own retries count as calls, too
        client.meta.events.register("before-send.cloudtrail.LookupEvents", self._before_call)
        client.meta.events.register("response-received.cloudtrail.LookupEvents", self._after_call)

    def run(self, deliver: Callable[[Delivered | RegionEnd], None]) -> None:
        """Deliver everything that the Region has, then its end."""
        try:
            for delivered in self._read():
                deliver(delivered)
        except QueryFailed as failed:
            _LOG.debug("lookup:%s: ended: %s", self._region, failed.failure.reason)
            deliver(RegionEnd(self._region, failed.failure))
        except Exception as bug:  # noqa: BLE001  # raised again by the thread that reads the queue
            deliver(RegionEnd(self._region, bug=bug))
        else:
            deliver(RegionEnd(self._region))

    def _read(self) -> Iterator[Delivered]:
        uri, hints = f"lookup:{self._region}", self._scope.lookup_hints
        assert hints is not None, "a scope for lookup: needs lookup_hints"
        with closing(self._client), closing(DaemonPool(CONCURRENT_QUERIES)) as pool:
            plan = LookupPlan(self._scope, hints, datetime.now(UTC), self._pages, pool)
            for item in plan.read():
                match item:
                    case LookupPage():
                        yield _document(self._region, item)
                        for skip in _incomplete(item):
                            yield replace(skip, source=f"{uri}/{skip.source}")
                        yield self._progress(item, plan)
                    case CutShort():
                        source = f"{uri}/{item.source}" if item.source else uri
                        yield replace(item, source=source, region=self._region)
                    case Skipped():
                        yield replace(item, source=f"{uri}/{item.source}")
                    case Note():
                        yield replace(item, source=uri)
            yield Note(uri, f"made {counted(self._calls, 'call')}")

    def _progress(self, page: LookupPage, plan: LookupPlan) -> LookupProgress:
        """Return how far the Region is after a page."""
        self._events += len(page.events)
        seen = (_seen_call(event, self._scope) for event in page.events)
        self._newest.update(call for call in seen if call is not None)
        newest = tuple(nlargest(_MAX_NEWEST, self._newest, key=lambda call: call.time))
        self._newest = set(newest)
        return LookupProgress(
            region=self._region,
            calls=self._calls,
            max_calls=self._scope.max_calls,
            events=self._events,
            since=self._scope.since,
            until=plan.until,
            reached=plan.complete_since,
            newest=newest,
        )

    def _before_call(self, **_: object) -> None:
        """Wait for the rate limit; raises ``QueryFailed`` if no further call is allowed."""
        if self._stopped.is_set():
            raise QueryFailed(INTERRUPTED)
        with self._lock:
            if self._calls >= self._scope.max_calls:
                reason = f"stopped after {counted(self._calls, 'call')} (--max-calls)"
                hint = "narrow the time range with --since and --until, or raise --max-calls"
                raise QueryFailed(AwsFailure(reason, hint, fatal=True))
            self._calls += 1
        self._limiter.wait()

    def _after_call(
        self, exception: Exception | None, parsed_response: dict[str, Any] | None = None, **_: object
    ) -> None:
        """Give up early on an endpoint that has never answered."""
        if exception is None:
            self._has_answered = True
            if error := (parsed_response or {}).get("Error"):
                _LOG.debug("lookup:%s: call failed: %s", self._region, error.get("Code"))
            return
        _LOG.debug("lookup:%s: call failed: %s", self._region, shown(exception))
        if not self._has_answered:
            self._failed_calls += 1
            if self._failed_calls >= MAX_UNREACHABLE:
                raise QueryFailed(failure_of(exception, _ACTION, self._scope.profile))

    def _pages(self, query: Query) -> Iterator[LookupPage]:
        """Yield the pages of a query; if its token has expired, query again for what is left."""
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import UnexpectedResponseError, parser_errors_raised

        seen: set[str] = set()
        number, fruitless = 0, 0
        until = reached = query.until
        token: str | None = None
        while True:
            try:
                with parser_errors_raised():
                    answer = self._client.lookup_events(**_parameters(query, until, token))
            except UnexpectedResponseError as error:
                fruitless += 1
                if fruitless > MAX_FRUITLESS:
                    raise QueryFailed(failure_of(error, _ACTION, self._scope.profile)) from None
                continue
            except self._client.exceptions.InvalidNextTokenException as error:
                fruitless += 1
                if token is None or fruitless > MAX_FRUITLESS:
                    raise QueryFailed(failure_of(error, _ACTION, self._scope.profile)) from None
                _LOG.debug("lookup:%s: %s: token expired, query again", self._region, query.label)
                until, token = reached, None
                continue
            except (BotoCoreError, ClientError) as error:
                raise QueryFailed(failure_of(error, _ACTION, self._scope.profile)) from None
            token = answer.get("NextToken")
            new = [event for event in answer["Events"] if _key(event) not in seen]
            events = tuple(map(self._found_event, new))
            if events:
                fruitless = 0
                seen.update(map(_key, new))
                reached = min([reached, *(event.time for event in events if event.time is not None)])
            if events or token is None:
                number += 1
                _LOG.debug(
                    "lookup:%s: %s: page %d, %d events, back to %s",
                    *(self._region, query.label, number, len(events), iso(reached)),
                )
                yield LookupPage(query, number, events, last=token is None)
            if token is None:
                return

    def _found_event(self, event: EventTypeDef) -> FoundEvent:
        """Return an event as LookupEvents shows it, with its time in UTC: botocore uses the local zone."""
        hints, time = self._scope.lookup_hints, event.get("EventTime")
        in_utc = {} if time is None else {"EventTime": time.astimezone(UTC)}
        return FoundEvent(
            answer=msgspec.Raw(msgspec.json.encode({**event, **in_utc})),
            event_id=event.get("EventId"),
            time=in_utc.get("EventTime"),
            username=event.get("Username"),
            resources=frozenset(
                resource.get("ResourceName", "") for resource in event.get("Resources") or ()
            ),
            hints=hints.read_event(str(event.get("CloudTrailEvent"))) if hints else None,
        )


def _parameters(query: Query, until: datetime, token: str | None) -> dict[str, Any]:
    """Return the parameters of one call; with a token, all others must stay the same."""
    parameters: dict[str, Any] = {
        "LookupAttributes": [{"AttributeKey": query.attribute, "AttributeValue": query.value}],
        "EndTime": until,
        "MaxResults": 50,
    }
    if query.since is not None:
        parameters["StartTime"] = query.since
    if token is not None:
        parameters["NextToken"] = token
    return parameters


def _key(event: EventTypeDef) -> str:
    """Return what identifies an event: its ID, or its record if it has none."""
    return str(event.get("EventId") or event.get("CloudTrailEvent") or event)


def _seen_call(event: FoundEvent, scope: Scope) -> SeenCall | None:
    """Return an event as progress shows it; None if it changes nothing, or was not asked for."""
    hints = event.hints
    if hints is None or event.time is None or hints.read_only or hints.event_name not in scope.event_names:
        return None
    if scope.addresses and not hints.names_any(scope.addresses):
        return None
    return SeenCall(event.time, hints.event_name, tuple(sorted(hints.ids)))


def _incomplete(page: LookupPage) -> Iterator[Skipped]:
    """Yield what is missing in events that are not as LookupEvents returns them; their records are read."""
    without_id = sum(not event.event_id for event in page.events)
    without_time = sum(event.time is None for event in page.events)
    for number, member in ((without_id, "EventId"), (without_time, "EventTime")):
        if number:
            yield Skipped(
                f"{page.query.label}/page-{page.number}",
                f"{counted(number, 'event')} without {member}, which LookupEvents always returns",
                Extent.PART,
            )


def _document(region: str, page: LookupPage) -> Document:
    """Return a page as LookupEvents' own JSON, named by account, Region and query."""
    account = next((event.hints.account for event in page.events if event.hints is not None), None)
    place = f"{account}/{region}" if account else region
    text = msgspec.json.encode({"Events": [event.answer for event in page.events]})
    uri = f"lookup:{place}/{page.query.label}/page-{page.number}"
    return Document(uri=uri, size=len(text), chunks=iter((text,)))
