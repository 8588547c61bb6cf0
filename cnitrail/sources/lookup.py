"""The source ``lookup:``, CloudTrail's LookupEvents: the last 90 days of an account, without a trail.

API: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html. Answers come newest
first, in pages of 50, at two calls a second in each account and Region.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from cnitrail.errors import EmptySourceError, SourceError
from cnitrail.model import CutShort, Document, Extent, LookedUp, LookupProgress, Note, Scope, Skipped
from cnitrail.sources.aws import AwsFailure, open_session, regional_client, regions_of
from cnitrail.sources.caller import announcement, caller_of
from cnitrail.sources.lookup_plan import CALLS_PER_SECOND, RETENTION
from cnitrail.sources.lookup_region import INTERRUPTED, Delivered, RegionEnd, RegionReader
from cnitrail.sources.rate_limit import Clock, SystemClock
from cnitrail.text import clock, iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_GRACE_SECONDS: Final = 2.0
"""How long answers that are on their way are waited for after an interruption."""


class LookupSource:
    """LookupEvents of one or several Regions at once, each with its own rate limit.

    The pages of one Region come in a deterministic order, mixed with those of other Regions. Raises
    ``SourceError`` if nothing at all can be read, and ``EmptySourceError`` if LookupEvents has nothing of the
    time asked for.
    """

    def __init__(self, uri: str, scope: Scope, clock: Clock | None = None) -> None:
        self.uri = uri
        if uri != "lookup:":
            raise SourceError(f"{uri}: nothing may follow lookup:", "name the Region with --region")
        self._scope = scope
        self._clock = clock or SystemClock()
        self._queue: SimpleQueue[Delivered | RegionEnd | None] = SimpleQueue()
        self._stopped = threading.Event()
        self.found = 0
        """Number of pages that came, and of queries and Regions that failed."""

    def stop(self) -> bool:
        """End soon with what was read, and return True; False if nothing was read yet."""
        if not self.found:
            return False
        self._stopped.set()
        self._queue.put(None)  # SimpleQueue.put is reentrant: this may be a signal handler
        return True

    def documents(self) -> Iterator[Delivered]:
        """Yield a document for each page, and how far the lookup is after it."""
        now = datetime.now(UTC)
        _check_range(self._scope, now)
        session = open_session(self._scope.profile)
        regions = regions_of(session, self._scope, "lookup:")
        # boto3: clients may be shared between threads, sessions may not
        clients = [
            regional_client(session, self._scope, "cloudtrail", region, "lookup:") for region in regions
        ]
        caller = caller_of(session, self._scope, regions[0], "lookup:")
        yield Note("", announcement(session, self._scope, regions, caller))
        yield from _what_is_read(self._scope)
        for client in clients:
            reader = RegionReader(client, self._scope, self._clock, self._stopped)
            threading.Thread(target=reader.run, args=(self._queue.put,), daemon=True).start()
        result = _LookupResult()
        try:
            for item in self._delivered(len(regions)):
                self.found += _is_counted(item)
                delivered = result.take(item)
                if delivered is not None:
                    yield delivered
        finally:
            self._stopped.set()
        result.end(regions)
        if not result.pages:
            raise result.error()
        self.found += len(result.failures)
        yield from result.problems
        for region, failure in result.failures.items():
            yield _cut_short(region, failure, result.reached.get(region))
        if caller is not None:
            yield from _looked_up(self._scope, now, caller.account, result)

    def _delivered(self, regions: int) -> Iterator[Delivered | RegionEnd]:
        """Yield what all Regions deliver, until they end, or some time after ``stop``."""
        ends = 0
        deadline: float | None = None
        while ends < regions:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            try:
                item = self._queue.get(timeout=left)
            except Empty:
                return
            if item is None:
                deadline = deadline or time.monotonic() + _GRACE_SECONDS
                continue
            if isinstance(item, RegionEnd):
                ends += 1
                if item.bug is not None:
                    raise item.bug
            yield item


def _check_range(scope: Scope, now: datetime) -> None:
    """Raise ``EmptySourceError`` for a range that LookupEvents refuses, or answers with nothing."""
    if scope.until is not None and scope.until <= now - RETENTION:
        raise EmptySourceError(
            f"lookup: the time range ends at {clock(scope.until)}, and LookupEvents keeps 90 days",
            "older events are in a trail's bucket (s3://BUCKET), if there is a trail",
        )
    if scope.since is not None and scope.since > now:
        raise EmptySourceError(
            f"lookup: the time range begins at {clock(scope.since)}, which is in the future",
            "times without an offset are UTC; --since 6h is six hours ago",
        )


def _what_is_read(scope: Scope) -> Iterator[Note]:
    """Yield how far back a lookup by event name reads if nothing that was asked for ends it."""
    if scope.since is None and scope.newest is None and not (scope.instances or scope.enis):
        limit = f"{scope.max_calls:,} calls ({_minutes(scope.max_calls)}, --max-calls)"
        text = f"no time range given: reading back 90 days. Stops after {limit}. Use --since 6h."
        yield Note("", text)


def _minutes(calls: int) -> str:
    """Return how long a number of calls takes."""
    return f"{max(calls / CALLS_PER_SECOND / 60, 1):,.0f} min"


def _cut_short(region: str, failure: AwsFailure, since: datetime | None) -> CutShort:
    """Return that a Region was not read to its end, and from when on it is complete."""
    if since is None:
        unread = "not complete for any time"
    else:
        unread = f"complete from {iso(since)} on, older events were not all read"
    reason = f"{failure.reason}: {unread}" if failure is INTERRUPTED else f"{failure.reason}; {unread}"
    return CutShort(source=f"lookup:{region}", region=region, reason=reason, complete_since=since)


class _LookupResult:
    """What came of the lookup of all Regions, beside its pages."""

    def __init__(self) -> None:
        self.pages = 0
        self.problems: list[Skipped | CutShort] = []
        """What could not be read, which is delivered at the end."""
        self.failures: dict[str, AwsFailure] = {}
        """Why Regions were not read to their end."""
        self.reached: dict[str, datetime | None] = {}
        """By Region, the time from which on everything was read so far."""
        self._ended: list[RegionEnd] = []

    def take(self, delivered: Delivered | RegionEnd) -> Delivered | None:
        """Note what came; return it, unless it has to wait for the end."""
        match delivered:
            case RegionEnd():
                self._ended.append(delivered)
                return None
            case Skipped() | CutShort():
                self.problems.append(delivered)
                return None
            case Document():
                self.pages += 1
            case LookupProgress():
                self.reached[delivered.region] = delivered.reached
        return delivered

    def end(self, regions: Iterable[str]) -> None:
        """Note the failures of Regions; those that have not ended were interrupted."""
        ended = {end.region: end.failure for end in self._ended}
        failures = {region: ended.get(region, INTERRUPTED) for region in sorted(regions)}
        self.failures = {region: failure for region, failure in failures.items() if failure is not None}

    def complete_since(self, region: str, earliest: datetime) -> datetime | None:
        """Return the time from which on a Region is complete; None if there is none."""
        wanted = (
            problem.complete_since
            for problem in self.problems
            if isinstance(problem, CutShort) and problem.is_wanted and problem.region == region
        )
        whole = self.reached.get(region) if region in self.failures else earliest
        return next(wanted, whole)

    def error(self) -> SourceError:
        """Return the error for a lookup that brought no page; raises ``KeyboardInterrupt`` if stopped."""
        for region, failure in self.failures.items():
            if failure is INTERRUPTED:
                raise KeyboardInterrupt
            return failure.as_error(f"lookup:{region}")
        problem = self.problems[0]
        return SourceError(f"{problem.source}: {problem.reason}", "try again later")


def _is_counted(delivered: Delivered | RegionEnd) -> bool:
    """Return whether something counts as a page, or as one that could not be read."""
    match delivered:
        case Skipped():
            return delivered.extent is Extent.FILE
        case CutShort():
            return not delivered.is_wanted
    return isinstance(delivered, Document)


def _looked_up(scope: Scope, now: datetime, account: str, result: _LookupResult) -> Iterator[LookedUp]:
    """Yield the times that the Regions are complete for. Events of the last minutes may still be missing."""
    earliest = max(scope.since or now - RETENTION, now - RETENTION)
    end = min(scope.until or now, now - scope.lag)
    for region in result.reached:
        start = result.complete_since(region, earliest)
        if start is not None and start < end:
            yield LookedUp(account=account, region=region, start=start, end=end)
