"""Which queries to send to LookupEvents, each following from the answers before.

A query has one attribute. Instances and ENIs are looked up by resource name: from an instance to the ENIs
and attachments that its events name, on to theirs, and to the calls that a node made with its own role.
Event names are read in full if a lookup by resource may miss them (``lookup_index``), or if neither an
instance nor an ENI was asked for. The call that issued a service account's session is looked up in the
second in which the session began, that of a pod by its access key.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from datetime import datetime, timedelta
from heapq import nlargest
from itertools import islice

from msgspec import Struct

from cnitrail.model import Note, Scope, Skipped
from cnitrail.model.lookup import LookupHints
from cnitrail.sources.aws import AwsFailure
from cnitrail.sources.lookup_index import FoundEvent, LookupIndex, resource_type
from cnitrail.text import counted, iso
from cnitrail.timeclamp import shifted

CALLS_PER_SECOND = 2.0
"""Calls that CloudTrail allows in each account and Region (API reference, LookupEvents)."""

CONCURRENT_QUERIES = 4
"""An answer takes about a second, so two calls a second need queries in parallel."""

_RETENTION = timedelta(days=90)
_LONG_LOOKUP = 60
"""Calls from which on a lookup is announced before it begins: half a minute."""

_MAX_USERNAME_PAGES = 20
"""A node's agents make many unrelated calls, so only its newest 1,000 calls are read."""

_SECOND = timedelta(seconds=1)


class Query(Struct, frozen=True, kw_only=True):
    """One attribute of LookupEvents in a time range, both ends included.

    ``moment`` is set if the range is one second around it.
    """

    attribute: str
    value: str
    since: datetime | None
    until: datetime
    moment: datetime | None = None

    @property
    def label(self) -> str:
        """The query as it appears in the origin of a record."""
        return f"{self.attribute}={self.value}" + (f"@{iso(self.moment)}" if self.moment else "")


class LookupPage(Struct, frozen=True):
    """One page of a query's answer; ``number`` counts from 1."""

    query: Query
    number: int
    events: tuple[FoundEvent, ...]
    last: bool


class QueryFailed(Exception):
    """A query that got no answer, and why."""

    def __init__(self, failure: AwsFailure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class _EventNameScan(Struct, kw_only=True):
    """An event name that is read page by page, newest first; everything since ``reached`` was read."""

    query: Query
    pages: Iterator[LookupPage]
    reached: datetime
    ended: bool = False
    expected_calls: float = 0.0

    def next_page(self) -> LookupPage | QueryFailed | None:
        """Return the next page, None at the end."""
        try:
            return next(self.pages, None)
        except QueryFailed as failed:
            return failed


class LookupPlan:
    """The queries for one Region.

    ``run_query`` yields the pages of a query and may raise ``QueryFailed``; ``now`` ends the time range.
    Pages come in a deterministic order.
    """

    def __init__(
        self,
        scope: Scope,
        hints: LookupHints,
        now: datetime,
        run_query: Callable[[Query], Iterator[LookupPage]],
        pool: Executor,
    ) -> None:
        self._scope = scope
        self._hints = hints
        self._run_query = run_query
        self._pool = pool
        self._now = now
        self._until = min(scope.until or now, now)
        self._levels: dict[str, int] = {}
        self._waiting: list[Query] = []
        self._nodes: set[str] = set()
        self._sessions: dict[Query, None] = {}
        self._index = LookupIndex(hints)
        self._names_read: list[str] = []

    def read(self) -> Iterator[LookupPage | Skipped | Note]:
        """Yield every page, what could not be read, and notes about the lookup.

        Raises ``QueryFailed`` if every further query would fail, too.
        """
        scope = self._scope
        if scope.instances or scope.enis:
            for instance in scope.instances:
                self._add_resource(instance, level=0)
            for eni in scope.enis:
                self._add_resource(eni, level=1)
            yield from self._look_up_resources()
            while names := self._names_to_read():
                yield from self._scan_names(names, stop_if_indexed=True)
                yield from self._look_up_resources()
        else:
            left_out = self._hints.not_about_enis if scope.addresses else self._hints.too_frequent
            names = [name for name in scope.event_names if name not in left_out]
            yield from self._scan_names(names, stop_if_indexed=False)
            yield from self._look_up_resources()
        for _, item in self._read(self._sessions):
            yield item
        yield from self._notes()

    def _add_resource(self, resource: str, level: int) -> None:
        """Queue a lookup by resource name, once.

        Level 0 is an instance that was asked for; 1 its ENIs, or those that were asked for; 2 what belongs to
        these: branch ENIs of a trunk, attachments, the instances that they were attached to.
        """
        if resource not in self._levels:
            self._waiting.append(Query(attribute="ResourceName", value=resource, since=None, until=self._now))
        self._levels[resource] = min(level, self._levels.get(resource, level))

    def _look_up_resources(self) -> Iterator[LookupPage | Skipped | Note]:
        """Look up all queued resources, and those that the answers lead to."""
        while self._waiting:
            queries, self._waiting = self._waiting, []
            for query, item in self._read(queries):
                yield item
                for event in item.events if isinstance(item, LookupPage) else ():
                    self._index.learn(event)
                    if event.hints is not None:
                        self._index.enable(event.hints.enables)
                        self._follow(query.value, event)
                        self._look_up_session(event)

    def _read(self, queries: Iterable[Query]) -> Iterator[tuple[Query, LookupPage | Skipped | Note]]:
        """Yield all pages of all queries."""
        queries = tuple(queries)
        for query, (pages, failed) in zip(queries, self._pool.map(self._fetch, queries), strict=True):
            for page in pages:
                yield query, page
            if failed is not None:
                yield query, _skipped(query, failed)
            elif not pages[-1].last:
                calls = sum(len(page.events) for page in pages)
                yield query, Note("", f"{query.label}: only its newest {calls:,} calls were read")

    def _fetch(self, query: Query) -> tuple[list[LookupPage], QueryFailed | None]:
        """Return the pages of a query, and what cut it short."""
        pages: list[LookupPage] = []
        most = _MAX_USERNAME_PAGES if query.attribute == "Username" else None
        try:
            pages.extend(islice(self._run_query(query), most))
        except QueryFailed as failed:
            return pages, failed
        return pages, None

    def _follow(self, resource: str, event: FoundEvent) -> None:
        """Queue the resources that an event connects with a resource."""
        level, hints = self._levels[resource], event.hints
        if hints is None or hints.read_only or (level == 2 and resource_type(resource) != "eni"):
            return
        for related in sorted(hints.ids_related_to(resource)):
            match resource_type(resource), resource_type(related):
                case _, "eni-attach":
                    self._add_resource(related, level=2)
                case "eni", "i":
                    self._add_resource(related, level=2)
                case _, "eni" if level < 2:
                    self._add_resource(related, level=level + 1)

    def _names_to_read(self) -> list[str]:
        """Return the event names to read in full, as the lookup by resource may have missed their events."""
        names = (name for name in self._scope.event_names if name not in self._hints.not_about_enis)
        missed = self._index.not_found_by_resource(names)
        return [name for name in missed if name not in self._names_read]

    def _scan_names(
        self, names: Iterable[str], *, stop_if_indexed: bool
    ) -> Iterator[LookupPage | Skipped | Note]:
        """Read event names back in time; the one that is least far back comes first.

        ``stop_if_indexed`` ends a name as soon as its events are seen to be found by resource.
        """
        scans = []
        for name in names:
            query = Query(attribute="EventName", value=name, since=self._scope.since, until=self._until)
            pages = self._run_query(query)
            scans.append(_EventNameScan(query=query, pages=pages, reached=self._until))
            self._names_read.append(name)
        turn, begun = scans, False
        while turn:
            try:
                yield from self._advance(turn)
            except QueryFailed as failed:
                raise _cut_short(failed, scans) if begun else failed from None
            scans = [
                scan
                for scan in scans
                if not (scan.ended or (stop_if_indexed and self._index.is_indexed(scan.query.value)))
            ]
            if not begun:
                begun = True
                yield from self._announce(scans)
            turn = nlargest(CONCURRENT_QUERIES, scans, key=lambda scan: scan.reached)

    def _advance(self, scans: list[_EventNameScan]) -> Iterator[LookupPage | Skipped]:
        """Yield the next page of each scan."""
        pages = self._pool.map(_EventNameScan.next_page, scans)
        for scan, page in zip(scans, pages, strict=True):
            if isinstance(page, LookupPage):
                self._update(scan, page)
                yield page
                for event in page.events:
                    self._index.learn(event)
                    self._connect(event)
            else:
                scan.ended = True
                if page is not None:
                    yield _skipped(scan.query, page, scan.reached)

    def _update(self, scan: _EventNameScan, page: LookupPage) -> None:
        """Note how far back a scan is, and estimate its calls from its first page."""
        times = [event.time for event in page.events if event.time is not None]
        scan.ended, scan.reached = page.last, min(times, default=scan.reached)
        if page.number == 1 and times:
            covered = max(max(times) - scan.reached, _SECOND)
            scan.expected_calls = max((scan.reached - self._earliest) / covered, 1.0)

    @property
    def _earliest(self) -> datetime:
        """The earliest time that an answer can reach back to."""
        kept_since = self._now - _RETENTION
        return max(self._scope.since or kept_since, kept_since)

    def _announce(self, scans: list[_EventNameScan]) -> Iterator[Note]:
        """Yield a note of what a long scan will take."""
        calls = round(sum(scan.expected_calls for scan in scans))
        if calls < _LONG_LOOKUP:
            return
        scope, limit = self._scope, self._scope.max_calls
        text = (
            f"reading {counted(len(scans), 'event name')} back to {iso(self._earliest)}: "
            f"about {calls:,} calls ({_minutes(calls)} at {CALLS_PER_SECOND:g} calls/s)"
        )
        if calls > limit:
            text += f"; stops after {limit:,} calls ({_minutes(limit)}, --max-calls)"
        if scope.since is None:
            text = f"no start time given: {text}; --since limits it, for example --since 6h"
        yield Note("", text, documents=min(calls, limit))

    def _connect(self, event: FoundEvent) -> None:
        """Queue what belongs to an event that was read by its name, if it is about what was asked for."""
        scope, hints = self._scope, event.hints
        if hints is None:
            return
        if scope.instances or scope.enis:
            known = sorted(hints.ids & self._levels.keys())
            for resource in known:
                self._follow(resource, event)
            is_wanted = bool(known)
        elif scope.addresses:
            is_wanted = hints.names_any(scope.addresses)
            for resource in sorted(hints.ids) if is_wanted else ():
                if resource_type(resource) == "eni":
                    self._add_resource(resource, level=1)
        else:
            is_wanted = True
        if is_wanted:
            self._look_up_session(event)

    def _look_up_session(self, event: FoundEvent) -> None:
        """Queue the other calls of a node, and the call that issued a service account's credentials."""
        user, hints, scope = event.username, event.hints, self._scope
        if user is not None and user in scope.instances and user not in self._nodes:
            self._nodes.add(user)
            self._waiting.append(
                Query(attribute="Username", value=user, since=scope.since, until=self._until)
            )
        if hints is None or hints.issuing_call is None or hints.event_name not in scope.event_names:
            return
        began, name = hints.issuing_call.time, hints.issuing_call.event_name
        if name is None:
            query = Query(
                attribute="ResourceName",
                value=hints.issuing_call.access_key_id,
                since=None,
                until=self._now,
            )
        elif name in self._names_read and (scope.since is None or began >= scope.since):
            return
        else:
            query = Query(
                attribute="EventName",
                value=name,
                since=shifted(began, -_SECOND),
                until=shifted(began, _SECOND),
                moment=began,
            )
        self._sessions[query] = None

    def _notes(self) -> Iterator[Note]:
        """Yield what was looked up, what that cannot show, and from when on it is incomplete."""
        scope = self._scope
        if self._levels:
            yield Note("", self._looked_up())
        if scope.instances or scope.enis:
            yield Note(
                "",
                "limits of this lookup: addresses reassigned to or from other ENIs (use --ip ADDRESS), "
                "and ENIs that were never attached",
            )
        elif scope.since is not None:
            yield Note("", f"attachments made before {iso(scope.since)} may be unknown")
        if scope.since is not None and scope.since < self._now - _RETENTION:
            yield Note(
                "", "LookupEvents keeps 90 days; for older events, read the trail's bucket (s3://BUCKET)"
            )
        fresh = self._now - scope.lag
        if self._until > fresh:
            yield Note("", f"events after {iso(fresh)} may still be missing (--lag)")

    def _looked_up(self) -> str:
        """Return what was looked up, in words."""
        types = [resource_type(resource) for resource in self._levels]
        named = (
            (types.count("i"), "instance"),
            (types.count("eni"), "ENI"),
            (types.count("eni-attach"), "attachment"),
        )
        resources = ", ".join(counted(number, noun) for number, noun in named if number)
        names = [name for name in self._names_read if not self._index.is_indexed(name)]
        text = f"looked up {counted(len(types), 'resource')} ({resources})"
        return f"{text} and {counted(len(names), 'event name')} ({', '.join(names)})" if names else text


def _skipped(query: Query, failed: QueryFailed, reached: datetime | None = None) -> Skipped:
    """Return what a failed query leaves unread; raises if every other query would fail, too."""
    if failed.failure.fatal:
        raise failed
    reason = failed.failure.reason
    if reached is not None:
        reason = f"{reason}; events before {iso(reached)} were not read"
    return Skipped(query.label, reason)


def _cut_short(failed: QueryFailed, scans: list[_EventNameScan]) -> QueryFailed:
    """Return the failure that ended all scans, with how far back they came."""
    reached = max(scan.reached for scan in scans)
    failure = failed.failure
    reason = f"{failure.reason}; events before {iso(reached)} were not all read"
    return QueryFailed(AwsFailure(reason, failure.hint, failure.fatal))


def _minutes(calls: int) -> str:
    return f"{calls / CALLS_PER_SECOND / 60:,.0f} min"
