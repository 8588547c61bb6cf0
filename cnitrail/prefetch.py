"""Runs work ahead of its use on a thread pool, and yields it in order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor, Future

T = TypeVar("T")
R = TypeVar("R")


def prefetch(
    pool: Executor,
    work: Callable[[T], R],
    items: Iterable[T],
    *,
    most: int,
    size: Callable[[T], int] = lambda _: 0,
    most_size: int = 0,
) -> Iterator[tuple[T, Future[R]]]:
    """Yield each item with the future of its work, in order.

    At most ``most`` items are submitted ahead, and no more than ``most_size`` in total, by their ``size``.
    """
    submitted: deque[tuple[T, Future[R]]] = deque()
    total_size = 0
    for item in items:
        while submitted and (len(submitted) == most or total_size + size(item) > most_size):
            total_size -= size(submitted[0][0])
            yield submitted.popleft()
        submitted.append((item, pool.submit(work, item)))
        total_size += size(item)
    yield from submitted
