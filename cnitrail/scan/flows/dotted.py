"""Nested objects as columns with dots in their names."""

from collections.abc import Iterator, Mapping
from typing import Final

_DEEPEST: Final = 8


def dotted(value: Mapping[str, object], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    """Yield the values of an object, and of those in it, with their paths (``source.ip``)."""
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, Mapping) and inner and depth < _DEEPEST:
            yield from dotted(inner, f"{name}.", depth + 1)
        else:
            yield name, inner


def first_value(row: Mapping[str, object], *columns: str) -> object:
    """Return the first value that is there."""
    return next((row[column] for column in columns if row.get(column) not in (None, "", "-")), None)
