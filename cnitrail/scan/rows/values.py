"""The values in the cells of a row → those in a CloudTrail record: JSON texts, times, Booleans, numbers."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cnitrail.jsontext import NULL_TEXTS, json_list, json_object

Columns = dict[str, object]
"""A row, or an object in it: values by column name."""

_TIME = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[ T](?P<clock>\d\d:\d\d:\d\d)(?P<fraction>\.\d{1,9})?"
    r" ?(?P<zone>Z|UTC|[+-]\d\d:?\d\d)?"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_TEXT = re.compile(r"\d{10,14}")
_MILLISECONDS: Final = 10**11
"""An epoch time of this size or more is in milliseconds: as seconds, it would be after the year 5000."""

_UTC_ZONES: Final = (None, "Z", "UTC", "+00:00", "+0000")


def is_empty(value: object, *, has_nulls: bool = False) -> bool:
    """Return whether a cell has no value; many exports write a text for that, unless they have nulls."""
    return value is None or value == "" or (not has_nulls and isinstance(value, str) and value in NULL_TEXTS)


def time_text(value: object) -> str | None:
    """Return a time as CloudTrail writes it (``2024-05-14T09:30:00Z``); None if it is not a time.

    A time without a zone is in UTC, as every time in CloudTrail. A number is an epoch time in seconds or
    milliseconds.
    """
    if isinstance(value, str) and _EPOCH_TEXT.fullmatch(value):
        value = int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _epoch_text(value)
    if isinstance(value, datetime):
        value = value.isoformat()
    if not isinstance(value, str) or not (time := _TIME.fullmatch(value)):
        return None
    fraction = (time["fraction"] or "").rstrip("0").rstrip(".")
    zone = "Z" if time["zone"] in _UTC_ZONES else time["zone"]
    return f"{time['date']}T{time['clock']}{fraction}{zone}"


def _epoch_text(value: float) -> str | None:
    milliseconds = value if abs(value) >= _MILLISECONDS else value * 1000
    try:
        time = _EPOCH + timedelta(milliseconds=milliseconds)
    except (OverflowError, ValueError):
        return None
    return time_text(time.isoformat())


def flag_of(value: object) -> object:
    """Return a Boolean for the text of one; anything else as it is."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


def account_text(value: object) -> object:
    """Return an account ID as text: as a number, it has lost its leading zeros."""
    return f"{value:012d}" if isinstance(value, int) and not isinstance(value, bool) else value


def plain(value: object) -> object:
    """Return the value of a cell, a time as CloudTrail writes it."""
    return time_text(value) if isinstance(value, datetime) else value


def put(target: Columns, path: Sequence[str], value: object) -> None:
    """Set a nested field, unless it is set already."""
    for name in path[:-1]:
        inner = target.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        target = inner
    target.setdefault(path[-1], value)


def at(row: object, path: str) -> object:
    """Return the value under a path of names (``api.operation``); None if there is none, or it is empty.

    Objects may be JSON texts, and a flat row may have the whole path as its column.
    """
    if isinstance(row, dict) and path in row:
        return None if is_empty(row[path]) else row[path]
    value = row
    for name in path.split("."):
        inside = json_object(value)
        if inside is None:
            return None
        value = inside.get(name)
    return None if is_empty(value, has_nulls="." in path) else value


def entries_of(value: object) -> Iterator[tuple[str, object]]:
    """Yield the entries of a map: an object, a JSON text, or what Parquet readers make of it."""
    entries = json_object(value)
    if entries is not None:
        yield from entries.items()
        return
    for entry in json_list(value) or ():
        match entry:
            case [str(key), item] | {"key": str(key), "value": item}:
                yield key, item
