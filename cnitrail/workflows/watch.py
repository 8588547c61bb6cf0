"""Sources that are read again and again: the workflow of ``--watch``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.debuglog import debug
from cnitrail.errors import EmptySourceError, SourceError, UsageError
from cnitrail.history import build
from cnitrail.sources import LOGS, LOOKUP, is_pipe, source_type, sources_or_default
from cnitrail.timeclamp import shifted
from cnitrail.workflows.accounting import SourceCounts, no_files
from cnitrail.workflows.ingest import ingest
from cnitrail.workflows.losses import set_aside
from cnitrail.workflows.narrowing import scope_for
from cnitrail.workflows.observer import SILENT
from cnitrail.workflows.read import evidence_in
from cnitrail.workflows.request import scope_of
from cnitrail.workflows.scan_pool import ScanPool
from cnitrail.workflows.watch_sink import WatchSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cnitrail.model import Evidence, History, Skipped
    from cnitrail.workflows.observer import Observer
    from cnitrail.workflows.request import Request

FIRST_RANGE = timedelta(minutes=15)
"""What a watch of AWS shows at first if no start was given: the usual maximum delay of LookupEvents."""

MIN_INTERVAL = timedelta(seconds=1)
MIN_REMOTE_INTERVAL = timedelta(seconds=5)
"""LookupEvents allows two calls a second, which all programs of an account share."""

MAX_BACKOFF = timedelta(minutes=5)
"""Maximum pause after a failure, so that a watch goes on soon after its cause is gone."""

_S3_MARGIN = timedelta(days=1)
"""How far behind the newest log file of a bucket others are still looked for."""


class Poll(Struct, frozen=True, kw_only=True):
    """What one poll of all sources brought, when it ended (``at``; aware, UTC), and how long it ``took``.

    ``history`` and ``evidence`` are of everything that was read so far; None if nothing is new. ``failures``
    ended the reading of a source, and ``missed`` could not be read this time: both are asked for again, but
    ``unread`` is not. ``empty`` says in which sources nothing was found yet. ``failed``: something could
    not be read, and that is new.
    """

    at: datetime
    took: timedelta
    history: History | None
    evidence: Evidence | None
    failures: tuple[SourceError, ...] = ()
    missed: tuple[Skipped, ...] = ()
    unread: tuple[Skipped, ...] = ()
    empty: tuple[str, ...] = ()
    failed: bool = False


def watchable(request: Request, interval: timedelta, now: datetime) -> Request:
    """Return a request as it is watched: what is asked of AWS begins a quarter of an hour ago by default.

    Raises ``UsageError`` if it cannot be watched.
    """
    sources = sources_or_default(request.sources)
    is_remote = any(source_type(uri).is_remote for uri in sources)
    if request.wanted.until is not None:
        raise UsageError("--until cannot be used with --watch", "leave out --until, or --watch")
    if request.verify:
        raise UsageError(
            "--verify cannot be used with --watch: digests come once an hour",
            "watch without --verify, and verify later",
        )
    for uri in sources:
        if is_pipe(uri):
            raise UsageError(
                f"--watch cannot read {uri} again",
                "name a directory, a file, a store, s3://BUCKET or lookup:",
            )
        if uri.startswith(LOGS):
            raise UsageError(
                f"--watch cannot be used with {uri}",
                "run the command again with --last, or watch lookup: or s3://BUCKET",
            )
        if source_type(uri).is_table:
            raise UsageError(
                f"--watch cannot be used with {uri}: every poll would be a query that scans its files again",
                "watch the bucket that the table reads (s3://BUCKET/PREFIX), or lookup:",
            )
    least = MIN_REMOTE_INTERVAL if is_remote else MIN_INTERVAL
    if interval < least:
        seconds = least // timedelta(seconds=1)
        whom = "AWS" if is_remote else "files"
        raise UsageError(
            f"--watch: {whom} can be polled every {seconds} s at most", f"for example --watch {seconds}s"
        )
    if is_remote and request.wanted.since is None:
        return replace(request, wanted=replace(request.wanted, since=now - FIRST_RANGE))
    return request


def polls(
    watch: Watch, interval: timedelta, pause: Callable[[timedelta], object], observer: Observer = SILENT
) -> Iterator[Poll]:
    """Yield one poll after the other, with a pause between them that grows as long as polls fail.

    Only the first one is observed. Raises ``SourceError`` if a source cannot be read in the first one.
    """
    failed = 0
    while True:
        poll = watch.poll(observer)
        observer = SILENT
        yield poll
        failed = failed + 1 if poll.failed else 0
        pause(_pause_after(interval, failed))


def _pause_after(interval: timedelta, failed: int) -> timedelta:
    longer = interval * (1 << min(failed, 16))
    return min(longer, max(interval, MAX_BACKOFF))


class Watch:
    """The sources of a request, and everything that was read of them so far.

    What was read is not read again: files and objects by their name and ETag, LookupEvents up to its delay
    before the newest event. ``now`` returns the time (aware, UTC).
    """

    def __init__(self, request: Request, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._scope = scope_of(request.wanted, request.access)
        self._uris = sources_or_default(request.sources)
        self._assume_complete = request.access.assume_complete
        self._now = now
        self._sink = WatchSink()
        self._settled: dict[str, datetime] = {}
        self._since = dict.fromkeys(self._uris, self._scope.since)
        self._skipped: dict[Skipped, None] = {}
        self._is_first = True
        self._size = (-1, -1, -1)

    @property
    def complete_until(self) -> datetime | None:
        """The time up to which everything was read, if every source may be late; None if none is remote."""
        remote = [uri for uri in self._uris if source_type(uri).is_remote]
        if not remote or any(uri not in self._settled for uri in remote):
            return None
        return min(shifted(self._settled[uri], -self._delay(uri)) for uri in remote)

    @property
    def delay(self) -> timedelta:
        """How late the latest source may be."""
        return max(map(self._delay, self._uris))

    def _delay(self, uri: str) -> timedelta:
        return self._scope.lag if uri == LOOKUP else self._scope.delivery_lag

    def poll(self, observer: Observer = SILENT) -> Poll:
        """Read what is new in all sources. Raises ``SourceError`` if one cannot be read the first time."""
        started, sink, before = self._now(), self._sink, set(self._sink.missed)
        sink.begin_poll()
        failures: list[SourceError] = []
        empty: list[str] = []
        unread: dict[Skipped, None] = {}
        for uri in self._uris:
            began, counts, missed = self._now(), SourceCounts(), len(sink.missed)
            try:
                self._read(uri, counts, observer)
            except EmptySourceError as error:
                empty.append(error.message)
            except SourceError as error:
                if self._is_first:
                    raise
                failures.append(error)
                continue
            else:
                if counts.is_empty:
                    empty.append(no_files(uri, counts.other_files).message)
            unread.update(dict.fromkeys(counts.skipped))
            if set(sink.missed[missed:]) <= (set() if uri == LOOKUP else before):
                self._settled[uri] = began
                self._narrow(uri)
        self._is_first = False
        for skip in [skip for skip in self._skipped if skip.source in sink.whole]:
            del self._skipped[skip]  # a file that was still being written
        lost = [skip for skip in unread if skip not in self._skipped and skip not in set(sink.missed)]
        self._skipped.update(dict.fromkeys(lost))
        at = self._now()
        history, evidence = self._rebuilt()
        return Poll(
            at=at,
            took=at - started,
            history=history,
            evidence=evidence,
            failures=tuple(failures),
            missed=tuple(sink.missed),
            unread=tuple(lost),
            empty=tuple(dict.fromkeys(empty)),
            failed=bool(failures) or not before.issuperset(sink.missed),
        )

    def _read(self, uri: str, counts: SourceCounts, observer: Observer) -> None:
        """Read what is new in a source. Raises ``SourceError``."""
        kind = source_type(uri)
        scope = replace(self._scope, since=self._since[uri], seen=self._sink.seen.items())
        source = kind.open(uri, scope_for(uri, self._uris, scope))
        self._sink.open(source.uri, answers_completely=kind.answers_completely)
        with ScanPool(scope.growth, workers=scope.workers) as pool:
            ingest(source, pool, self._sink, counts, observer)
        counts.check(uri)

    def _narrow(self, uri: str) -> None:
        """Record where the next poll of the source begins; what is older can be forgotten."""
        newest = self._sink.newest.get(uri)
        since = self._scope.since
        if since is None or newest is None or not source_type(uri).is_remote:
            return
        margin = self._scope.lag if uri == LOOKUP else _S3_MARGIN
        self._since[uri] = max(since, shifted(newest, -margin))
        debug(__name__, "%s: asked from %s on next time", uri, self._since[uri])
        self._sink.forget(uri, replace(self._scope, since=self._since[uri]))

    def _rebuilt(self) -> tuple[History | None, Evidence | None]:
        """Return the history and the evidence of everything read so far; None if nothing is new."""
        sink = self._sink
        size = (len(sink.known), len(sink.signs), len(sink.lost) + len(sink.unread))
        if size == self._size:
            return None, None
        self._size = size
        ledger = sink.ledger
        history = build(ledger.events(), ledger.sessions())
        skipped = (*self._skipped, *sink.missed)
        evidence = evidence_in(sink, skipped, assume_complete=self._assume_complete)
        return history, replace(evidence, skipped=(*evidence.skipped, *set_aside(history)))
