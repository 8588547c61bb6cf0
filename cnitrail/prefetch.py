"""Work that is begun before its turn has come, by several threads, and handed on in order."""

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
    """Each item with its work begun, in order; no more are begun at a time than these bounds allow."""
    begun: deque[tuple[T, Future[R]]] = deque()
    held = 0
    for item in items:
        while begun and (len(begun) == most or held + size(item) > most_size):
            held -= size(begun[0][0])
            yield begun.popleft()
        begun.append((item, pool.submit(work, item)))
        held += size(item)
    yield from begun
