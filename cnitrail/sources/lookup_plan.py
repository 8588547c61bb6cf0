"""Which queries to send to LookupEvents, each following from the answers before.

A query has one attribute. Instances and ENIs are looked up by resource name: from an instance to the ENIs
and attachments that its events name, on to theirs, and to the calls that a node made with its own role.
Event names are read in full if a lookup by resource may miss them (``lookup_index``), or if neither an
instance nor an ENI was asked for. The call that issued a service account's session is looked up in the
second in which the session began, that of a pod by its access key.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from heapq import nlargest
from itertools import islice

from msgspec import Struct

from cnitrail.model import CutShort, Note, Scope, Skipped
from cnitrail.model.lookup import LookupHints
from cnitrail.sources.aws import AwsFailure
from cnitrail.sources.daemon_pool import DaemonPool
from cnitrail.sources.lookup_index import FoundEvent, LookupIndex, resource_type
from cnitrail.text import counted, iso
from cnitrail.timeclamp import shifted

CALLS_PER_SECOND = 2.0
"""Calls that CloudTrail allows in each account and Region (API reference, LookupEvents)."""

CONCURRENT_QUERIES = 4
"""An answer takes about a second, so two calls a second need queries in parallel."""

RETENTION = timedelta(days=90)
"""How long LookupEvents keeps events."""

_MAX_USERNAME_PAGES = 20
"""A node's agents make many unrelated calls, so only its newest 1,000 calls are read."""

_MAX_CONTEXT = 24
"""Resources of the newest events that are looked up, which takes 12 s, if older events are not read."""

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
        pool: DaemonPool,
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
        self._scans: list[_EventNameScan] | None = None
        self._waiting_for_resources = bool(scope.instances or scope.enis)
        self._failed_since: list[datetime] = []
        self._answers: list[FoundEvent] = []
        """The events that were asked for, if only the newest of them are wanted."""

    @property
    def until(self) -> datetime:
        """The end of the time range."""
        return self._until

    @property
    def complete_since(self) -> datetime | None:
        """The time from which on every event of the range was read; None if there is none yet.

        A lookup by resource is complete only at its end: the last answer may lead to another ENI.
        """
        if self._scans is None or self._waiting_for_resources:
            return None
        reached = [scan.reached for scan in self._scans]
        since = max([*reached, *self._failed_since], default=self._earliest)
        return since if since < self._until else None

    def read(self) -> Iterator[LookupPage | Skipped | CutShort | Note]:
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
        self._waiting_for_resources = False
        self._scans = self._scans or []
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

    def _look_up_resources(self, most: int | None = None) -> Iterator[LookupPage | Skipped | Note]:
        """Look up all queued resources, and those that the answers lead to: ``most`` in all."""
        left = most
        while self._waiting and left != 0:
            queries, self._waiting = self._waiting[:left], []
            left = left - len(queries) if left is not None else None
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
    ) -> Iterator[LookupPage | Skipped | CutShort | Note]:
        """Read event names back in time; the one that is least far back comes first.

        ``stop_if_indexed`` ends a name as soon as its events are seen to be found by resource.
        """
        scans = []
        for name in names:
            query = Query(attribute="EventName", value=name, since=self._scope.since, until=self._until)
            pages = self._run_query(query)
            scans.append(_EventNameScan(query=query, pages=pages, reached=self._until))
            self._names_read.append(name)
        self._scans = scans
        turn = scans
        while turn:
            yield from self._advance(turn)
            scans[:] = [
                scan
                for scan in scans
                if not (scan.ended or (stop_if_indexed and self._index.is_indexed(scan.query.value)))
            ]
            if scans and self._has_newest():
                yield from self._newest_read()
                return
            turn = nlargest(CONCURRENT_QUERIES, scans, key=lambda scan: scan.reached)

    def _advance(self, scans: list[_EventNameScan]) -> Iterator[LookupPage | CutShort]:
        """Yield the next page of each scan."""
        pages = self._pool.map(_EventNameScan.next_page, scans)
        for scan, page in zip(tuple(scans), pages, strict=True):
            if isinstance(page, LookupPage):
                self._update(scan, page)
                for event in page.events:
                    self._index.learn(event)
                    self._connect(event)
                yield page
            elif page is None:
                scan.ended, scan.reached = True, self._earliest
            else:
                yield self._failed(scan, page)

    def _update(self, scan: _EventNameScan, page: LookupPage) -> None:
        """Note how far back a scan is: the page after this one may have more events of its last second."""
        times = [event.time for event in page.events if event.time is not None]
        if page.last:
            scan.ended, scan.reached = True, self._earliest
        elif times:
            scan.reached = min(min(times) + _SECOND, scan.reached)
        if self._scope.newest is not None:
            self._answers += filter(self._is_answer, page.events)

    def _failed(self, scan: _EventNameScan, failed: QueryFailed) -> CutShort:
        """Return what a failed scan leaves unread; raises if every other query would fail, too."""
        if failed.failure.fatal:
            raise failed
        scan.ended = True
        self._failed_since.append(scan.reached)
        return CutShort(
            source=scan.query.label,
            region="",
            reason=f"{failed.failure.reason}; {_before(scan.reached)}",
            complete_since=scan.reached,
        )

    def _is_answer(self, event: FoundEvent) -> bool:
        """Return whether an event is about ENIs or instances, and about addresses that were asked for."""
        hints, addresses = event.hints, self._scope.addresses
        return (
            hints is not None
            and event.time is not None
            and not hints.read_only
            and bool(hints.ids)
            and hints.event_name not in self._hints.not_about_enis
            and (not addresses or hints.names_any(addresses))
        )

    def _has_newest(self) -> bool:
        """Return whether enough of the newest events were read."""
        newest = self._scope.newest
        return newest is not None and self.complete_since is not None and len(self._complete()) >= newest

    def _complete(self) -> list[FoundEvent]:
        """Return the events that were asked for, of the time of which every event was read."""
        since = self.complete_since
        return [event for event in self._answers if event.time and since and event.time >= since]

    def _newest_read(self) -> Iterator[LookupPage | Skipped | CutShort | Note]:
        """Yield where the newest events happened, and that no older ones were read."""
        self._sessions.clear()
        for event in sorted(self._complete(), key=_time_of, reverse=True)[: self._scope.newest]:
            self._look_up_session(event)
            for resource in sorted(event.hints.ids if event.hints is not None else ()):
                self._add_resource(resource, level=1)
        yield from self._look_up_resources(most=_MAX_CONTEXT)
        since = self.complete_since
        assert since is not None
        yield CutShort(
            source="",
            region="",
            reason=f"read only the newest events, as --limit asks; {_before(since)}",
            complete_since=since,
            is_wanted=True,
        )

    @property
    def _earliest(self) -> datetime:
        """The earliest time that an answer can reach back to."""
        kept_since = self._now - RETENTION
        return max(self._scope.since or kept_since, kept_since)

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
        if scope.since is not None and scope.since < self._now - RETENTION:
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


def _skipped(query: Query, failed: QueryFailed) -> Skipped:
    """Return what a failed query leaves unread; raises if every other query would fail, too."""
    if failed.failure.fatal:
        raise failed
    return Skipped(query.label, failed.failure.reason)


def _time_of(event: FoundEvent) -> datetime:
    """Return the time of an event that has one."""
    assert event.time is not None
    return event.time


def _before(since: datetime) -> str:
    return f"events before {iso(since)} were not read"
