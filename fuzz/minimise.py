"""The least of an input that does the same: what is kept in the corpus is to be read by a person."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any, Final

_SECONDS: Final = 10


def minimised(data: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """An input that still fails, without the parts that it does not need."""
    deadline = monotonic() + _SECONDS
    while (less := _next(data, fails, deadline)) is not None:
        data = less
    return data


def _next(data: bytes, fails: Callable[[bytes], bool], deadline: float) -> bytes | None:
    """A shorter input that still fails; None where there is none, or none was found in time."""
    for less in _without_a_part(data):
        if monotonic() > deadline:
            return None
        if len(less) < len(data) and fails(less):
            return less
    return None


def _without_a_part(data: bytes) -> Iterator[bytes]:
    """The input without one of its parts, large ones first."""
    with suppress(ValueError, RecursionError):
        yield from (json.dumps(less, separators=(",", ":")).encode() for less in _smaller(json.loads(data)))
    size = len(data) // 2
    while size:
        yield from (data[:at] + data[at + size :] for at in range(0, len(data), size))
        size //= 2


def _smaller(value: Any) -> Iterator[Any]:
    """A JSON value without one of the values in it, or with the half of one of its texts."""
    if isinstance(value, str) and len(value) > 40:
        yield value[: len(value) // 2]
    if isinstance(value, list):
        if len(value) > 3:
            yield value[: len(value) // 2]
            yield value[len(value) // 2 :]
        for at, each in enumerate(value):
            yield value[:at] + value[at + 1 :]
            yield from ([*value[:at], less, *value[at + 1 :]] for less in _smaller(each))
    if isinstance(value, dict):
        for key in value:
            yield {name: each for name, each in value.items() if name != key}
        for key, each in value.items():
            yield from (value | {key: less} for less in _smaller(each))
