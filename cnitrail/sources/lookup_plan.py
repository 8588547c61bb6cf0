"""Which questions LookupEvents is asked, and what follows from its answers.

A question has one attribute. For an instance or an interface it is the name: a walk goes from an
instance to the interfaces and attachments that its events name, and to theirs, and to what else
it did itself where a node calls with its own role. Where the walk
cannot be trusted to find an event (``lookup_index``), and where nothing was named, event names are
read. Who stood behind a service account's session stands in the event that issued it: of the second
in which the session began, or found by its access key.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from heapq import nlargest
from ipaddress import ip_network
from itertools import islice

from msgspec import Struct

from cnitrail.model import BUCKET_CALLS, TRAIL_CALLS, Note, Scope, Skipped
from cnitrail.sources.aws import AwsFailure
from cnitrail.sources.lookup_index import Fields, LookupIndex, about, ids, kind, records, said, strings

PER_SECOND = 2.0
"""Calls that CloudTrail allows in each account and Region (API reference, LookupEvents)."""

ABREAST = 4
"""Questions asked at once: one after the other, at a second an answer, would not keep the pace."""

_KEPT = timedelta(days=90)
_LONG_CALLS = 60
_OWN_PAGES = 20
"""A node's agents call much that is of no matter; 1,000 of its own calls are read, the newest."""

_WEB_IDENTITY = "AssumeRoleWithWebIdentity"
_ASSUME_ROLE = "AssumeRole"
"""Never read by its name: nodes and services make most of these calls, and a pod's is found by its key."""

_ELSEWHERE = frozenset((_ASSUME_ROLE, _WEB_IDENTITY, *TRAIL_CALLS, *BUCKET_CALLS))
"""Calls that concern no interface: who was issued credentials is asked by session, and what a trail records
says nothing of AWS's own event history."""

_POD_SESSION = "eks-"
_SECOND = timedelta(seconds=1)


class Query(Struct, frozen=True):
    """One question: an attribute of LookupEvents, in a time (both ends included).

    ``moment`` is set where it asks for one second only.
    """

    attribute: str
    value: str
    since: datetime | None
    until: datetime
    moment: datetime | None = None

    @property
    def label(self) -> str:
        """The question as it stands in an origin."""
        return f"{self.attribute}={self.value}" + (f"@{iso(self.moment)}" if self.moment else "")


class LookupPage(Struct, frozen=True):
    """One answer: its place among the question's pages, from 1, and its events as they came."""

    query: Query
    number: int
    events: tuple[Fields, ...]
    last: bool


class Unanswered(Exception):
    """A question that got no answer, with why."""

    def __init__(self, failure: AwsFailure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class _Scan(Struct):
    """An event name while its pages are read, newest first; all since ``reached`` has been."""

    query: Query
    pages: Iterator[LookupPage]
    reached: datetime
    ended: bool = False
    expected: float = 0.0

    def step(self) -> LookupPage | Unanswered | None:
        """The next page, or what came in its place."""
        try:
            return next(self.pages, None)
        except Unanswered as trouble:
            return trouble


class Plan:
    """The questions for one Region, each following from the answers before.

    ``ask`` gives the pages of a question and raises ``Unanswered``; ``now`` is the time up to which
    is asked. What comes, comes in an order that is always the same.
    """

    def __init__(
        self, scope: Scope, now: datetime, ask: Callable[[Query], Iterator[LookupPage]], pool: Executor
    ) -> None:
        self._scope = scope
        self._ask = ask
        self._pool = pool
        self._now = now
        self._until = min(scope.until or now, now)
        self._levels: dict[str, int] = {}
        self._waiting: list[Query] = []
        self._nodes: set[str] = set()
        self._sessions: dict[Query, None] = {}
        self._index = LookupIndex()
        self._settled: list[str] = []

    def read(self) -> Iterator[LookupPage | Skipped | Note]:
        """Every page, and what is to be said about them.

        Raises ``Unanswered`` where every further question would fail, too.
        """
        scope = self._scope
        if scope.instances or scope.enis:
            for instance in scope.instances:
                self._visit(instance, level=0)
            for eni in scope.enis:
                self._visit(eni, level=1)
            yield from self._walk()
            while names := self._doubtful():
                yield from self._scan(names, probing=True)
                yield from self._walk()
        else:
            left_out = _ELSEWHERE if scope.addresses else (_ASSUME_ROLE,)
            names = [name for name in scope.event_names if name not in left_out]
            yield from self._scan(names, probing=False)
            yield from self._walk()
        for _, item in self._read(self._sessions):
            yield item
        yield from self._notes()

    def _visit(self, name: str, level: int) -> None:
        """Ask by a name, once.

        Level 0 is an instance that was asked for, 1 its interfaces (or those asked for), 2 what
        belongs to these: the branches of a trunk, attachments, the instances that carried them.
        """
        if name not in self._levels:
            self._waiting.append(Query("ResourceName", name, None, self._now))
        self._levels[name] = min(level, self._levels.get(name, level))

    def _walk(self) -> Iterator[LookupPage | Skipped | Note]:
        """Ask by all names that are known, and by those that the answers bring."""
        while self._waiting:
            queries, self._waiting = self._waiting, []
            for query, item in self._read(queries):
                yield item
                for event, record in records(item.events if isinstance(item, LookupPage) else ()):
                    self._index.learn(event, record)
                    self._index.mark(event["CloudTrailEvent"])
                    self._follow(query.value, record)
                    self._remember_session(event, record)

    def _read(self, queries: Iterable[Query]) -> Iterator[tuple[Query, LookupPage | Skipped | Note]]:
        """All pages of all queries."""
        queries = tuple(queries)
        for query, (pages, trouble) in zip(queries, self._pool.map(self._fetch, queries), strict=True):
            for page in pages:
                yield query, page
            if trouble is not None:
                yield query, _skipped(query, trouble)
            elif not pages[-1].last:
                calls = sum(len(page.events) for page in pages)
                yield query, Note("", f"{query.label}: only the newest {calls:,} of its own calls were read")

    def _fetch(self, query: Query) -> tuple[list[LookupPage], Unanswered | None]:
        """The pages of a question, and what ended them too early."""
        pages: list[LookupPage] = []
        try:
            pages.extend(islice(self._ask(query), _OWN_PAGES if query.attribute == "Username" else None))
        except Unanswered as trouble:
            return pages, trouble
        return pages, None

    def _follow(self, name: str, record: Fields) -> None:
        """Visit what a record connects with a name."""
        level = self._levels[name]
        if record.get("readOnly") is True or (level == 2 and kind(name) != "eni"):
            return
        for found in sorted(ids(about(said(record), name))):
            match kind(name), kind(found):
                case _, "eni-attach":
                    self._visit(found, level=2)
                case "eni", "i":
                    self._visit(found, level=2)
                case _, "eni" if level < 2:
                    self._visit(found, level=level + 1)

    def _doubtful(self) -> list[str]:
        """The event names that have to be read, as the walk may have missed their events."""
        names = (name for name in self._scope.event_names if name not in _ELSEWHERE)
        return [name for name in self._index.doubtful(names) if name not in self._settled]

    def _scan(self, names: Iterable[str], *, probing: bool) -> Iterator[LookupPage | Skipped | Note]:
        """Read event names back in time, the one that has come least far first.

        When probing, a name is left as soon as its events are seen to be found by resource.
        """
        scans = []
        for name in names:
            query = Query("EventName", name, self._scope.since, self._until)
            scans.append(_Scan(query, self._ask(query), self._until))
            self._settled.append(name)
        turn, begun = scans, False
        while turn:
            try:
                yield from self._advance(turn)
            except Unanswered as trouble:
                raise _so_far(trouble, scans) if begun else trouble from None
            scans = [
                scan
                for scan in scans
                if not (scan.ended or (probing and self._index.finds(scan.query.value)))
            ]
            if not begun:
                begun = True
                yield from self._expect(scans)
            turn = nlargest(ABREAST, scans, key=lambda scan: scan.reached)

    def _advance(self, scans: list[_Scan]) -> Iterator[LookupPage | Skipped]:
        """One more page of each."""
        for scan, step in zip(scans, self._pool.map(_Scan.step, scans), strict=True):
            if isinstance(step, LookupPage):
                self._place(scan, step)
                yield step
                for event, record in records(step.events):
                    self._index.learn(event, record)
                    self._connect(event, record)
            else:
                scan.ended = True
                if step is not None:
                    yield _skipped(scan.query, step, scan.reached)

    def _place(self, scan: _Scan, page: LookupPage) -> None:
        """How far back a scan has come, and how many pages will follow if all are like the first."""
        times = [event["EventTime"] for event in page.events if "EventTime" in event]
        scan.ended, scan.reached = page.last, min(times, default=scan.reached)
        if page.number == 1 and times:
            covered = max(max(times) - scan.reached, _SECOND)
            scan.expected = max((scan.reached - self._beginning) / covered, 1.0)

    @property
    def _beginning(self) -> datetime:
        """The earliest time that an answer can reach back to."""
        kept = self._now - _KEPT
        return max(self._scope.since or kept, kept)

    def _expect(self, scans: list[_Scan]) -> Iterator[Note]:
        """Say what a long scan will take, before it begins."""
        calls = round(sum(scan.expected for scan in scans))
        if calls < _LONG_CALLS:
            return
        limit = self._scope.max_calls
        text = (
            f"reading {counted(len(scans), 'event name')} back to {iso(self._beginning)}: "
            f"about {calls:,} calls, {calls / PER_SECOND / 60:,.0f} min at {PER_SECOND:g} a second"
        )
        if calls > limit:
            text += f"; it will end after {limit:,} (--max-calls)"
        yield Note("", text, documents=min(calls, limit))

    def _connect(self, event: Fields, record: Fields) -> None:
        """What an event that was read by its name has to do with what was asked for."""
        scope, named = self._scope, ids(said(record))
        if scope.instances or scope.enis:
            known = sorted(named & self._levels.keys())
            for name in known:
                self._follow(name, record)
            concerns = bool(known)
        elif scope.addresses:
            concerns = any(map(self._is_asked, strings(said(record))))
            for name in sorted(named) if concerns else ():
                if kind(name) == "eni":
                    self._visit(name, level=1)
        else:
            concerns = True
        if concerns:
            self._remember_session(event, record)

    def _is_asked(self, text: str) -> bool:
        """Whether a text is an address or prefix that was asked for."""
        try:
            held = ip_network(text)
        except ValueError:
            return False
        return any(held.version == asked.version and held.overlaps(asked) for asked in self._scope.addresses)

    def _remember_session(self, event: Fields, record: Fields) -> None:
        """Ask for what else a node did, and for the event that issued a service account's credentials."""
        user = event.get("Username")
        if user in self._scope.instances and user not in self._nodes:
            self._nodes.add(user)
            self._waiting.append(Query("Username", user, self._scope.since, self._until))
        try:
            identity = record["userIdentity"]
            context = identity["sessionContext"]
            began = datetime.fromisoformat(context["attributes"]["creationDate"])
            session, key = identity["principalId"].partition(":")[2], identity["accessKeyId"]
            provider = (context.get("webIdFederationData") or {}).get("federatedProvider")
        except (KeyError, TypeError, ValueError, AttributeError):
            return  # no session, or none whose beginning is known
        if record.get("eventName") not in self._scope.event_names:
            return
        if provider:
            read = _WEB_IDENTITY in self._settled and began >= (self._scope.since or began)
            query = Query("EventName", _WEB_IDENTITY, began - _SECOND, began + _SECOND, moment=began)
        else:
            read = not session.startswith(_POD_SESSION)
            query = Query("ResourceName", key, None, self._now)
        if not read:
            self._sessions[query] = None

    def _notes(self) -> Iterator[Note]:
        """How was asked, what that cannot show, and how fresh it is."""
        scope = self._scope
        if self._levels:
            found = [kind(name) for name in self._levels]
            by_name = [name for name in self._settled if not self._index.finds(name)]
            yield Note(
                "",
                f"asked by resource for {counted(found.count('i'), 'instance')}, "
                f"{counted(found.count('eni'), 'interface')} and "
                f"{counted(found.count('eni-attach'), 'attachment')}, "
                f"by event name for {', '.join(by_name) or 'nothing'}",
            )
        if scope.instances or scope.enis:
            yield Note(
                "",
                "this does not show which other interface an address was taken from, or taken by "
                "(allowReassignment; --ip ADDRESS does), nor interfaces made but never attached",
            )
        elif scope.since is not None:
            yield Note("", f"what an interface was attached to before {iso(scope.since)} is not all known")
        if scope.since is not None and scope.since < self._now - _KEPT:
            yield Note("", "LookupEvents keeps 90 days; what is older is in the trail's bucket")
        fresh = self._now - scope.lag
        if self._until > fresh:
            yield Note("", f"events after {iso(fresh)} may still be missing (--lag)")


def _skipped(query: Query, trouble: Unanswered, reached: datetime | None = None) -> Skipped:
    """What a failed question leaves, and how far back it came; raises where all others would fail, too."""
    if trouble.failure.lasting:
        raise trouble
    reason = trouble.failure.reason
    if reached is not None:
        reason = f"{reason}; what happened before {iso(reached)} was not read"
    return Skipped(query.label, reason)


def _so_far(trouble: Unanswered, scans: list[_Scan]) -> Unanswered:
    """The end of a scan, with how far back it came."""
    reached = max(scan.reached for scan in scans)
    failure = trouble.failure
    reason = f"{failure.reason}; what happened before {iso(reached)} was not read in full"
    return Unanswered(AwsFailure(reason, failure.hint, failure.lasting))


def iso(time: datetime) -> str:
    """A time as CloudTrail writes it."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def counted(number: int, noun: str) -> str:
    """``1 call``, ``2 calls``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
