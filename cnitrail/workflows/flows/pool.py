"""Work that several processes share, with its results in order.

The processes are forked, so that they have the history without a copy of it. Each has a connection of its
own, which ends with either side: a process that is killed is noticed, and none outlives this one.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from cnitrail.prefetch import prefetch
from cnitrail.workflows.forking import can_fork, end_process, forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from mmap import mmap
    from multiprocessing.connection import Connection

_SHARED_BYTES: Final = 16 << 20
"""Memory shared with each process. A block of 1 MB is about 8 MB as JSON lines with both ends; a larger
message goes through the connection. Pages that are not used take no memory."""

K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R")

_AHEAD: Final = 16
_AHEAD_BYTES: Final = 3 << 20
"""Items, and their size in bytes, that are in flight for each process."""


class Workers(Generic[T, R]):
    """Does work in a number of processes; in this one if there is one only, or none can be made.

    ``lost`` are the IDs of processes that ended before their time: what they had is done in this process.
    """

    def __init__(self, work: Callable[[T], R], number: int) -> None:
        self.lost: list[int] = []
        self._work = work
        self._here = threading.Lock()
        self._is_closed = False
        self._processes: list[_Process[T, R]] = []
        self._idle: SimpleQueue[_Process[T, R] | None] = SimpleQueue()
        if number > 1 and can_fork():
            self._fork(number)

    def results(
        self, items: Iterable[tuple[K, T | None]], size: Callable[[T], int]
    ) -> Iterator[tuple[K, R | None]]:
        """Yield the name of every item with its result, in order; None if there is nothing to do.

        Raises what the work raises.
        """
        if not self._processes:
            for name, item in items:
                yield name, self._work(item) if item is not None else None
            return
        from concurrent.futures import ThreadPoolExecutor

        number = len(self._processes)
        pool = ThreadPoolExecutor(number, "worker")
        try:
            for (name, _), done in prefetch(
                pool,
                self._done,
                items,
                most=_AHEAD * number,
                size=lambda named: size(named[1]) if named[1] is not None else 0,
                most_size=_AHEAD_BYTES * number,
            ):
                yield name, done.result()
        except BaseException:
            self.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def of_each(self, item: T) -> Iterator[R]:
        """Yield the results of an item that every process does, this one, too."""
        for process in self._processes:
            try:
                yield process.result(item)
            except (EOFError, OSError):
                if process.id not in self.lost:
                    self.lost.append(process.id)
        yield self._work(item)

    def close(self) -> None:
        """End the processes, whatever they do."""
        if not self._is_closed:
            self._is_closed = True
            for process in self._processes:
                process.kill()

    def _fork(self, number: int) -> None:
        for _ in range(number):
            try:
                process = _Process(self._work, self._processes)
            except OSError:  # too many processes, or no memory for another one
                break
            self._processes.append(process)
            self._idle.put(process)

    def _done(self, named: tuple[K, T | None]) -> R | None:
        """Return the result of an item, from the next process that is idle."""
        item = named[1]
        if item is None:
            return None
        process = self._idle.get()
        try:
            if process is not None:
                with suppress(EOFError, OSError):
                    return process.result(item)
                if self._is_closed:
                    raise EOFError
                self.lost.append(process.id)
                process = None
            with self._here:
                return self._work(item)
        finally:
            self._idle.put(process)


class _Channel:
    """One side of what connects two processes. What is sent lies in memory that both share, if it fits.

    One of them sends and waits for the answer, so there is one message at a time.
    """

    def __init__(self, connection: Connection, memory: mmap) -> None:
        self._connection = connection
        self._memory = memory

    def send(self, message: object) -> None:
        """Send a message."""
        import pickle

        data = pickle.dumps(message, protocol=5)
        if len(data) <= len(self._memory):
            self._memory[: len(data)] = data
            self._connection.send(len(data))
            return
        self._connection.send(len(data))
        self._connection.send_bytes(data)

    def recv(self) -> Any:
        """Return the next message. Raises ``EOFError`` or ``OSError`` if the other process has ended."""
        import pickle

        size = self._connection.recv()
        if size > len(self._memory):
            return pickle.loads(self._connection.recv_bytes())  # noqa: S301 - its own text
        with memoryview(self._memory) as memory, memory[:size] as data:
            return pickle.loads(data)  # noqa: S301

    def close(self) -> None:
        """Close this side."""
        self._connection.close()


class _Process(Generic[T, R]):
    """A forked process that does one item after the other, until the channel to it is closed."""

    def __init__(self, work: Callable[[T], R], others: list[_Process[T, R]]) -> None:
        from mmap import mmap
        from multiprocessing.connection import Pipe

        memory = mmap(-1, _SHARED_BYTES)
        ours, theirs = Pipe()
        self.channel = _Channel(ours, memory)
        try:
            self.id = forked()
        except OSError:
            self.channel.close()
            theirs.close()
            raise
        if self.id == 0:
            try:
                for channel in (self.channel, *(other.channel for other in others)):
                    channel.close()
                _serve(work, _Channel(theirs, memory))
            finally:
                os._exit(0)
        theirs.close()

    def result(self, item: T) -> R:
        """Return the result of an item. Raises ``EOFError`` or ``OSError`` if the process has ended."""
        self.channel.send(item)
        result: R = self.channel.recv()
        return result

    def kill(self) -> None:
        """End the process."""
        end_process(self.id)


def _serve(work: Callable[[T], R], channel: _Channel) -> None:
    """Do work until the other side closes. What fails is left to the other side, which does it again."""
    import gc

    gc.freeze()  # a collection would write to, and so copy, every page of the history
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(Exception):
        while True:
            channel.send(work(channel.recv()))
