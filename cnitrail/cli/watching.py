"""``--watch``: the sources are polled until Ctrl-C, and what is new is printed after each poll."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from cnitrail.cli.outputs import is_queried
from cnitrail.cli.printing import warn_of
from cnitrail.cli.progress import Progress
from cnitrail.cli.quiet import inform, is_quiet
from cnitrail.cli.stderr import say, warn
from cnitrail.cli.writing import BrokenPipe, writing
from cnitrail.errors import UsageError
from cnitrail.text import at_source, clock, counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta
    from types import FrameType

    from cnitrail.api import Case
    from cnitrail.model import Evidence, Finding, History, TimelineEntry
    from cnitrail.workflows.new_entries import Seen
    from cnitrail.workflows.request import Request
    from cnitrail.workflows.watch import Poll, Watch

_MAX_SAID = 5
"""Sources of an outage that are named one by one."""


def watch(request: Request, command: str, output: str, interval: timedelta) -> int:
    """Print what the filters of a request select, then what is new after each poll; return the exit status.

    Ends with a signal, whose status it returns. Raises ``UsageError`` and ``SourceError`` before the first
    poll is over, and ``WriteError``.
    """
    from datetime import UTC, datetime

    from cnitrail.render.watch import FORMATS
    from cnitrail.workflows.request import for_findings
    from cnitrail.workflows.watch import Watch, watchable

    if is_queried():
        raise UsageError("--query cannot be used with --watch", "use -o jsonl with jq")
    if output not in FORMATS:
        raise UsageError(f"-o {output} cannot be used with --watch", "use -o jsonl, csv or table")
    watched = watchable(request, interval, datetime.now(UTC))
    _announce(request, watched, interval)
    printer = _Printer(watched, command, output)
    source = Watch(for_findings(watched) if command == "findings" else watched)
    with _signals() as signals:
        with suppress(KeyboardInterrupt):  # by its end all sources are closed, and so are their threads
            _run(source, printer, interval, signals)
        printer.sum_up(source)
        return 128 + (signals.received or signal.SIGINT)


def _announce(request: Request, watched: Request, interval: timedelta) -> None:
    """Say what is shown at first, and what then."""
    shown = ""
    if request.wanted.since is None and watched.wanted.since is not None:
        from cnitrail.workflows.watch import FIRST_RANGE

        shown = f"showing the last {duration(FIRST_RANGE)} (--since shows more), then what is new; "
    inform(f"{shown}polling every {duration(interval)}; Ctrl-C ends")


def _run(watch: Watch, printer: _Printer, interval: timedelta, signals: _Signals) -> None:
    from itertools import chain

    from cnitrail.workflows.watch import polls

    with Progress(quiet=is_quiet()) as progress:
        following = polls(watch, interval, _pause, progress)
        first = next(following)
    if first.took > interval:
        every = duration(first.took + interval)
        inform(f"a poll takes about {duration(first.took)}, so new entries appear about every {every}")
    for poll in chain((first,), following):
        with signals.deferred():
            printer.show(poll)


def _pause(length: timedelta) -> None:
    """Sleep. Raises ``BrokenPipe`` as soon as nobody reads stdout any more, where the system can tell."""
    import select

    seconds = length.total_seconds()
    try:
        reader = select.poll()
        reader.register(sys.stdout.fileno(), 0)
    except (AttributeError, OSError, ValueError):
        time.sleep(seconds)
        return
    if reader.poll(seconds * 1000):
        raise BrokenPipe


class _Printer:
    """Prints polls: new entries on stdout, what went wrong on stderr."""

    def __init__(self, request: Request, command: str, output: str) -> None:
        from cnitrail.workflows.new_entries import NewEntries, NewFindings

        self._request = request
        self._command = command
        self._output = output
        self._entries = NewEntries()
        self._findings = NewFindings()
        self._polls = 0
        self._shown = 0
        self._case: Case | None = None
        self._failing: dict[tuple[str, str | None], None] = {}
        self._limits: set[str] = set()
        self._is_first = True

    def show(self, poll: Poll) -> None:
        """Print what a poll brought."""
        self._polls += 1
        self._say_failures(poll)
        if poll.history is not None and poll.evidence is not None:
            self._show_new(poll.history, poll.evidence, poll.at)
        for skipped in poll.unread:
            say(f"skipped: {at_source(skipped.source, skipped.reason)}")

    def _show_new(self, history: History, evidence: Evidence, at: datetime) -> None:
        from cnitrail.api import Case

        case = Case(history, evidence, self._request.wanted)
        new: Sequence[Seen[TimelineEntry] | Seen[Finding]]
        if self._command == "timeline":
            new = self._entries.take(case.calls(), at)
        else:
            found = case.findings()
            for gone in self._findings.drop_missing(found):
                inform(f"no longer found, after later events: {gone.sentence}")
            new = self._findings.take(found, at)
        is_first = self._case is None
        self._case = case
        self._write(new, evidence)
        if is_first and evidence.first_event is not None:
            self._warn(is_empty=not new)

    def _write(self, new: Sequence[Seen[Any]], evidence: Evidence) -> None:
        from cnitrail.model import Answer
        from cnitrail.render.watch import Mark, write

        if not new and not (self._is_first and self._output == "csv"):
            return
        query = {"command": self._command, "sources": self._request.sources, **asdict(self._request.wanted)}
        entries = [seen.entry for seen in new]
        answer = Answer(command=self._command, query=query, evidence=evidence, entries=entries)
        marks = [
            Mark(
                seen_at=seen.at,
                late=duration(seen.late) if seen.late is not None else None,
                updated=seen.updated,
            )
            for seen in new
        ]
        with writing() as stdout:
            write(answer, marks, self._output, stdout, first=self._is_first)
        self._is_first = False
        self._shown += len(new)

    def _say_failures(self, poll: Poll) -> None:
        """Say each failure once (one with another remedy is another one), and when all are over."""
        reasons = {(error.message.partition(": ")[0], error.hint): error.message for error in poll.failures}
        reasons |= {(skip.source, None): at_source(skip.source, skip.reason) for skip in poll.missed}
        new = [(reasons[cause], cause[1]) for cause in reasons if cause not in self._failing]
        for message, hint in new[:_MAX_SAID]:
            warn(f"{message}; trying again")
            if hint:
                say(f"hint: {hint}")
        if len(new) > _MAX_SAID:
            warn(f"{len(new) - _MAX_SAID:,} more could not be read; trying again")
        if self._failing and not reasons:
            inform("polling works again, and continues where it stopped")
        self._failing = dict.fromkeys(reasons)
        if self._polls == 1:
            for message in poll.empty:
                inform(f"{message} yet; waiting")

    def _warn(self, *, is_empty: bool) -> None:
        """Print what the evidence does not cover, unless it was printed before."""
        assert self._case is not None
        new = [limit for limit in self._case.limitations() if limit.text not in self._limits]
        self._limits.update(limit.text for limit in new)
        warn_of(new, self._case.evidence, is_empty=is_empty)

    def sum_up(self, watch: Watch) -> None:
        """Say what the whole watch has shown, and from when to when that is complete."""
        if self._case is not None:
            self._warn(is_empty=not self._shown)
        complete = _complete(self._request, watch)
        inform(f"stopped after {counted(self._polls, 'poll')}: {self._shown:,} shown{complete}")


def _complete(request: Request, watch: Watch) -> str:
    """Return from when to when the watch is complete, as a clause; empty if that cannot be known."""
    since, until = request.wanted.since, watch.complete_until
    if since is None or until is None:
        return ""
    delay = f"events may be {duration(watch.delay)} late"
    if clock(until) <= clock(since):
        return f"; not complete for any time yet: {delay}"
    return f"; complete from {clock(since)} to {clock(until)} ({delay})"


class _Signals:
    """SIGINT and SIGTERM end a watch, but not in the middle of a batch."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._is_deferred = False

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Raise ``KeyboardInterrupt``, at once or at the end of the batch; the second signal does at once."""
        is_second, self.received = self.received is not None, number
        if is_second or not self._is_deferred:
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let a signal wait for the end of the block."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False
        if self.received is not None:
            raise KeyboardInterrupt


@contextmanager
def _signals() -> Iterator[_Signals]:
    """Handle signals, in the main thread, unless they are ignored (as SIGINT is for a job in background)."""
    signals = _Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signals.handle)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
