"""Entries of an answer that are written as they are made: a million of them fill no memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar, overload

from cnitrail.cli.outputs import is_queried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

_BY_ENTRY = ("jsonl", "csv")
"""The formats that are written entry by entry."""


def is_by_entry(output: str) -> bool:
    """Return whether an output is written entry by entry: not if a query selects from the whole answer."""
    return output in _BY_ENTRY and not is_queried()


def entries_for(output: str, make: Callable[[], Iterable[T]]) -> Sequence[T]:
    """Return entries for an output: those that it needs one by one are made while they are written."""
    return Streamed(make) if is_by_entry(output) else list(make())


class Streamed(Sequence[T]):
    """Entries that are made while they are read, and each time again."""

    def __init__(self, make: Callable[[], Iterable[T]]) -> None:
        self._make = make
        self._length: int | None = None

    def __iter__(self) -> Iterator[T]:
        length = 0
        for length, entry in enumerate(self._make(), 1):  # noqa: B007
            yield entry
        self._length = length

    def __len__(self) -> int:
        if self._length is None:
            self._length = sum(1 for _ in self._make())
        return self._length

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        return list(self)[place]
