"""A thread pool that never delays the end of the program: ``concurrent.futures`` waits for its threads."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")


class DaemonPool:
    """Runs functions in a number of daemon threads, until closed."""

    def __init__(self, threads: int) -> None:
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = threads
        for _ in range(threads):
            threading.Thread(target=self._work, daemon=True).start()

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Begin all calls at once; return their results in order. A result may raise what its call raised."""
        futures = [self._submit(function, item) for item in items]
        return (future.result() for future in futures)

    def close(self) -> None:
        """End the threads, each after its call; do not wait for them."""
        for _ in range(self._threads):
            self._tasks.put(None)

    def _submit(self, function: Callable[[T], R], item: T) -> Future[R]:
        future: Future[R] = Future()

        def task() -> None:
            try:
                future.set_result(function(item))
            except BaseException as error:  # noqa: BLE001  # raised again by the thread that takes the result
                future.set_exception(error)

        self._tasks.put(task)
        return future

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
