"""Ctrl-C while a source is read that can end early: the first one asks for the answer so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from cnitrail.cli.stderr import say
from cnitrail.sources import Stoppable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

    from cnitrail.sources import Source

    _Handler = Callable[[int, FrameType | None], object] | int | None


class Interruption:
    """While entered, the first SIGINT stops a source that can be stopped; any other ends the program."""

    def __init__(self, show: Callable[[str], None] = say) -> None:
        self._show = show
        self._source: Stoppable | None = None
        self._former: _Handler = None
        self._is_installed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_installed:
            import signal

            signal.signal(signal.SIGINT, self._former)
            self._is_installed = False

    def watch(self, source: Source) -> None:
        """Begin a source: an interruption ends it, if it can be stopped."""
        self._source = source if isinstance(source, Stoppable) else None
        if self._source is not None and not self._is_installed:
            self._install()

    def _install(self) -> None:
        """Handle SIGINT, unless it is ignored, or someone else's (signals belong to the main thread)."""
        import signal
        import threading

        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._former = signal.signal(signal.SIGINT, self._interrupt)
            self._is_installed = True

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Stop the source; raises ``KeyboardInterrupt`` if it cannot be stopped, or was before."""
        source, self._source = self._source, None
        if source is None or not source.stop():
            raise KeyboardInterrupt
        self._show("interrupted: the answer follows, of what was read; Ctrl-C again ends at once")
