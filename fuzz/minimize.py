"""Minimizes an input that causes a fault, so that a person can read it."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any, Final

_SECONDS: Final = 10


def minimized(data: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """Return the input without the parts that are not needed for it to fail."""
    deadline = monotonic() + _SECONDS
    while (less := _next(data, fails, deadline)) is not None:
        data = less
    return data


def _next(data: bytes, fails: Callable[[bytes], bool], deadline: float) -> bytes | None:
    """Return a shorter input that still fails; None if there is none, or the time is up."""
    for less in _without_a_part(data):
        if monotonic() > deadline:
            return None
        if len(less) < len(data) and fails(less):
            return less
    return None


def _without_a_part(data: bytes) -> Iterator[bytes]:
    """Yield the input without one of its parts, large parts first."""
    with suppress(ValueError, RecursionError):
        yield from (json.dumps(less, separators=(",", ":")).encode() for less in _smaller(json.loads(data)))
    size = len(data) // 2
    while size:
        yield from (data[:at] + data[at + size :] for at in range(0, len(data), size))
        size //= 2


def _smaller(value: Any) -> Iterator[Any]:
    """Yield a JSON value without one of the values in it, or with half of one of its strings."""
    if isinstance(value, str) and len(value) > 40:
        yield value[: len(value) // 2]
    if isinstance(value, list):
        if len(value) > 3:
            yield value[: len(value) // 2]
            yield value[len(value) // 2 :]
        for at, element in enumerate(value):
            yield value[:at] + value[at + 1 :]
            yield from ([*value[:at], less, *value[at + 1 :]] for less in _smaller(element))
    if isinstance(value, dict):
        for key in value:
            yield {name: inner for name, inner in value.items() if name != key}
        for key, inner in value.items():
            yield from (value | {key: less} for less in _smaller(inner))
