"""The values in exports → those of flow logs: Unix seconds, whole numbers, and ``-`` for no value."""

import re
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Final

import msgspec

from cnitrail.jsontext import NULL_TEXTS
from cnitrail.model.flow_fields import KNOWN, NUMBERS
from cnitrail.scan.multisearch import Bytes
from cnitrail.scan.rows.values import is_empty, time_text

ABSENT: Final = "-"

_ESCAPES: Final = str.maketrans({"\x1f": "\\u001f", "\n": "\\n", "\r": "\\r"})
_TIMES: Final = ("start", "end")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_DECIMAL = re.compile(r"(\d+)\.(\d*)")
_NULL_CELL = re.compile(
    rb"(?:^|[,\t;|\n])(?:%b)[,\t;|\r\n]"
    % b"|".join(re.escape(text.encode()) for text in sorted(NULL_TEXTS - {ABSENT}))
)
_DECIMAL_OR_TIME = re.compile(rb"(?:^|[,\t;|\n])(?:\d+\.0*|\d{4}-\d\d-\d\d[ T]\d\d:[^,\t;|\r\n]*)[,\t;|\r\n]")
_HEAD: Final = 64 * 1024
"""Number of bytes that show whether a column has decimals or times, as all its cells have them then."""


def is_rewritten(lines: Bytes) -> bool:
    """Return whether lines without quotes have a cell that ``text_of`` changes."""
    return _NULL_CELL.search(lines) is not None or _DECIMAL_OR_TIME.search(lines, 0, _HEAD) is not None


def text_of(value: object, field: str) -> str:
    """Return the value of a field as flow logs write it; a time without a zone is in UTC."""
    if isinstance(value, float):
        is_whole = value.is_integer() or (field in _TIMES and isfinite(value))
        value = int(value) if is_whole else str(value)
    if value in (None, "", [], {}) or (_is_closed(field) and is_empty(value)):
        return ABSENT
    if isinstance(value, str):
        return _text(value, field).translate(_ESCAPES)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return _time(value, field)
    return msgspec.json.encode(value, enc_hook=str).decode("utf-8", "replace").translate(_ESCAPES)


def _is_closed(field: str) -> bool:
    """Return whether AWS alone decides what a field says, so that a word for no value is none."""
    return field in KNOWN and "-tag" not in field


def _text(value: str, field: str) -> str:
    """Return a text, that of a number or time as a whole number."""
    if field not in NUMBERS or value.isdigit():
        return value
    if (decimal := _DECIMAL.fullmatch(value)) is not None:
        is_whole = field in _TIMES or not decimal[2].strip("0")
        return decimal[1] if is_whole else value
    text = time_text(value) if field in _TIMES else None
    if text is None:
        return value
    try:
        return _time(datetime.fromisoformat(text), field)
    except ValueError:
        return value


def _time(time: datetime, field: str) -> str:
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return str((aware - _EPOCH) // _SECOND) if field in _TIMES else aware.isoformat().replace("+00:00", "Z")
