"""Processes that share a stream of work, with its results in order.

Each process has a pipe for its items and one for its results. A pipe ends with either side: a process that
ends early is noticed, and none outlives this one. There are no threads, and no more is sent to a process than
fits into its pipe, so neither side ever waits for the other one forever.
"""

from __future__ import annotations

import os
import pickle
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from msgspec import Struct

from cnitrail.workflows.forking import can_fetch_in_fork, end_process, forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")

_AHEAD_BYTES: Final = 48 * 1024
"""Maximum number of bytes in which the items that wait for a process are sent: Linux's pipes have 64 KB."""

_AHEAD_SIZE: Final = 32 * 1024 * 1024
"""Maximum ``size`` of the items that wait for a process, in total."""

_AHEAD: Final = 16
"""Maximum number of items that wait for a process."""

_RESULT_BYTES: Final = 1 << 20
"""Results that a process may be ahead of the others; the largest pipe that Linux allows everybody."""

_LENGTH_BYTES: Final = 8


class EndedEarly(Struct, frozen=True):
    """In place of a result: the process ended while it had the item, for ``reason``."""

    reason: str


class Processes(Generic[T, P, R]):
    """Does work in several processes.

    ``prepare`` is called for an item as soon as a process has it, up to ``_AHEAD`` items before ``work`` gets
    what it returned. ``size`` bounds how much is sent ahead. An item with which a process ends early is lost:
    it may have been the cause. Another process takes its place. If none can be created, the work is done in
    this one.
    """

    def __init__(
        self,
        prepare: Callable[[T], P],
        work: Callable[[P], R],
        number: int,
        *,
        size: Callable[[T], int] = lambda _: 0,
    ) -> None:
        self._prepare = prepare
        self._work = work
        self._size = size
        self._processes: list[_Process | None] = []
        while len(self._processes) < number and (process := self._started()) is not None:
            self._processes.append(process)

    def results(self, items: Iterable[T]) -> Iterator[tuple[T, R | EndedEarly]]:
        """Yield every item with its result, in order. Raises what the work raises."""
        waiting: deque[_Sent[T]] = deque()
        for number, item in enumerate(items):
            turn = number % len(self._processes) if self._processes else 0
            message = pickle.dumps(item, protocol=5)
            sent = _Sent(item=item, message=message, size=self._size(item), turn=turn)
            while waiting and not self._has_room(sent):
                yield self._next(waiting)
            self._send(sent)
            waiting.append(sent)
        while waiting:
            yield self._next(waiting)

    def close(self) -> None:
        """End the processes, whatever they do."""
        for process in self._processes:
            if process is not None:
                process.end()
        self._processes = []

    def _next(self, waiting: deque[_Sent[T]]) -> tuple[T, R | EndedEarly]:
        """Return the item that has waited longest, and its result."""
        sent = waiting.popleft()
        process = self._process(sent.turn)
        if process is None:
            return sent.item, self._work(self._prepare(sent.item))
        try:
            result = process.receive()
        except (EOFError, OSError):
            return sent.item, EndedEarly(self._replace(sent.turn, waiting))
        if isinstance(result, _Failed):  # it fails here again, where its cause can be shown
            return sent.item, self._work(self._prepare(sent.item))
        return sent.item, result

    def _replace(self, turn: int, waiting: Iterable[_Sent[T]]) -> str:
        """Replace a process that has ended, and return how it ended."""
        ended = self._processes[turn]
        assert ended is not None
        reason = ended.end()
        self._processes[turn] = None
        if can_fetch_in_fork():
            self._processes[turn] = self._started()
        for sent in waiting:
            if sent.turn == turn:
                self._send(sent)
        return reason

    def _process(self, turn: int) -> _Process | None:
        """Return the process whose turn it is; None if this one has to do its work."""
        return self._processes[turn] if self._processes else None

    def _has_room(self, sent: _Sent[T]) -> bool:
        process = self._process(sent.turn)
        return process is not None and process.has_room(sent)

    def _send(self, sent: _Sent[T]) -> None:
        process = self._process(sent.turn)
        if process is not None:
            process.send(sent)

    def _started(self) -> _Process | None:
        """Return a new process; None if there are too many, or no memory for another one."""
        others = [process for process in self._processes if process is not None]
        try:
            return _Process(self._prepare, self._work, others)
        except OSError:
            return None


class _Sent(Struct, Generic[T], frozen=True, kw_only=True):
    """An item that was sent to a process, and has no result yet."""

    item: T
    message: bytes
    size: int
    turn: int


class _Failed(Struct, frozen=True):
    """In place of a result: the work raised an exception."""


class _Process:
    """A process that does one item after the other, until its pipe is closed."""

    def __init__(
        self, prepare: Callable[[Any], Any], work: Callable[[Any], Any], others: list[_Process]
    ) -> None:
        self._waiting: deque[_Sent[Any]] = deque()
        their_items, self._items = os.pipe()
        self._results, their_results = os.pipe()
        try:
            self._id = forked()
        except OSError:
            _close(their_items, self._items, self._results, their_results)
            raise
        if self._id == 0:
            try:
                for process in (self, *others):
                    process.close()
                _serve(prepare, work, their_items, their_results)
            finally:
                os._exit(0)
        _close(their_items, their_results)
        _widen(self._results)

    def has_room(self, sent: _Sent[Any]) -> bool:
        """Return whether an item can be sent without waiting: an idle process reads one of any size."""
        everything = [*self._waiting, sent]
        return not self._waiting or (
            len(everything) <= _AHEAD
            and sum(len(waiting.message) for waiting in everything) <= _AHEAD_BYTES
            and sum(waiting.size for waiting in everything) <= _AHEAD_SIZE
        )

    def send(self, sent: _Sent[Any]) -> None:
        """Send an item. If the process has ended, its result will show it."""
        self._waiting.append(sent)
        with suppress(OSError):
            _send(self._items, sent.message)

    def receive(self) -> Any:
        """Return the result of the first item that was sent and has none yet.

        Raises ``EOFError`` or ``OSError`` if the process has ended.
        """
        message = _receive(self._results)
        self._waiting.popleft()
        return pickle.loads(message)  # noqa: S301 - its own text

    def close(self) -> None:
        """Close this side of the pipes."""
        _close(self._items, self._results)

    def end(self) -> str:
        """End the process, and return how it ended."""
        self.close()
        return end_process(self._id)


def _serve(prepare: Callable[[Any], Any], work: Callable[[Any], Any], items: int, results: int) -> None:
    """Do work until the other side closes its pipe, or is gone."""
    import gc
    import signal

    gc.freeze()  # a collection would write to, and so copy, every page that is shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other side decides what Ctrl-C means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(OSError):
        for prepared in _prepared(prepare, items):
            _send(results, pickle.dumps(_done(work, prepared), protocol=5))


def _done(work: Callable[[P], R], prepared: P) -> R | _Failed:
    try:
        return work(prepared)
    except Exception:  # noqa: BLE001  the other side does it again, and raises it
        return _Failed()


def _prepared(prepare: Callable[[T], P], items: int) -> Iterator[P]:
    """Yield all items, each prepared as soon as it has arrived."""
    arrived: deque[P] = deque()
    while True:
        while not arrived or _has_arrived(items):
            try:
                arrived.append(prepare(pickle.loads(_receive(items))))  # noqa: S301
            except EOFError:
                return
        yield arrived.popleft()


def _has_arrived(pipe: int) -> bool:
    """Return whether something was sent through a pipe, or its other side was closed."""
    import select

    return bool(select.select([pipe], (), (), 0)[0])


def _send(pipe: int, message: bytes) -> None:
    """Send a message, after its length. Raises ``OSError``."""
    text = memoryview(len(message).to_bytes(_LENGTH_BYTES) + message)
    while text:
        text = text[os.write(pipe, text) :]


def _receive(pipe: int) -> bytes:
    """Return the next message. Raises ``EOFError`` if the other side has closed its pipe."""
    return _exactly(pipe, int.from_bytes(_exactly(pipe, _LENGTH_BYTES)))


def _exactly(pipe: int, size: int) -> bytes:
    read = bytearray()
    while len(read) < size:
        piece = os.read(pipe, size - len(read))
        if not piece:
            raise EOFError
        read += piece
    return bytes(read)


def _widen(pipe: int) -> None:
    """Let a pipe hold more, as far as the system allows it."""
    import fcntl

    with suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _RESULT_BYTES)


def _close(*pipes: int) -> None:
    for pipe in pipes:
        with suppress(OSError):
            os.close(pipe)
