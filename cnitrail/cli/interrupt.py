"""Ctrl-C and SIGTERM while a source is read: some can end early with an answer, and queries are stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from cnitrail.cli.stderr import say
from cnitrail.sources import Querying, Stoppable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

    from cnitrail.sources import Source

    _Handler = Callable[[int, FrameType | None], object] | int | None


_TERMINATED = 128 + 15
"""The status of a program that SIGTERM ends."""


class Interruption:
    """While entered, the first SIGINT stops a source that can be stopped; any other ends the program.

    SIGTERM ends it at once, except while a query runs: that is stopped first, as Ctrl-C stops it.
    """

    def __init__(self, show: Callable[[str], None] = say) -> None:
        self._show = show
        self._source: Stoppable | Querying | None = None
        self._former: dict[int, _Handler] = {}
        self._is_stopping = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._former:
            import signal

            for number, handler in self._former.items():
                signal.signal(number, handler)
            self._former = {}
        if isinstance(error, (KeyboardInterrupt, SystemExit)) and isinstance(self._source, Querying):
            ended = self._source.ended_early
            if ended is not None:
                self._show(f"{self._source.uri}: {ended}")

    def watch(self, source: Source) -> None:
        """Begin a source: an interruption ends it, if it can be stopped."""
        self._source = source if isinstance(source, (Stoppable, Querying)) else None
        self._is_stopping = False
        if self._source is not None:
            import signal

            self._handle(signal.SIGINT, signal.default_int_handler, self._interrupt)
        if isinstance(self._source, Querying):
            self._handle(signal.SIGTERM, signal.SIG_DFL, self._terminate)

    def _handle(
        self, number: int, usual: _Handler, handler: Callable[[int, FrameType | None], object]
    ) -> None:
        """Handle a signal, unless it is ignored, or someone else's (signals belong to the main thread)."""
        import signal
        import threading

        is_main = threading.current_thread() is threading.main_thread()
        if is_main and number not in self._former and signal.getsignal(number) == usual:
            self._former[number] = signal.signal(number, handler)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Stop the source; raises ``KeyboardInterrupt`` if it cannot be stopped, or was before."""
        source = self._source
        if isinstance(source, Querying):
            self._say_stopping(source)
            raise KeyboardInterrupt
        self._source = None
        if source is None or not source.stop():
            raise KeyboardInterrupt
        self._show("interrupted: the answer follows, of what was read; Ctrl-C again ends at once")

    def _terminate(self, _number: int, _frame: FrameType | None) -> None:
        """End the program in a way that stops the query."""
        if isinstance(self._source, Querying):
            self._say_stopping(self._source)
        raise SystemExit(_TERMINATED)

    def _say_stopping(self, source: Querying) -> None:
        """Say once that a query is being stopped, which takes a call of its engine."""
        if not self._is_stopping and source.is_running:
            self._show(
                f"{source.uri}: stopping the query; Ctrl-C again ends at once, and may leave it running"
            )
        self._is_stopping = True
