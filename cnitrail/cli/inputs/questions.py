"""``who --batch``: questions in a file, as CSV or JSON lines."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING

from msgspec import Struct

from cnitrail.errors import UsageError
from cnitrail.parse import not_an_id, parse_address, parse_id, parse_time

if TYPE_CHECKING:
    from _csv import Reader
    from collections.abc import Iterator
    from ipaddress import IPv4Address, IPv6Address
    from typing import IO


_MAX_LINE = 64 * 1024
"""Characters of a line that are read: no question is longer, and a file may be one endless line."""
_REMEMBERED = 100_000
"""Addresses and IDs whose texts are remembered: most questions name one that others named before."""
_KEYS = ("ip", "at", "vpc", "account")


class Question(Struct, frozen=True):
    """Who held an address at a time: the question, for a VPC and account (any if None)."""

    ip: IPv4Address | IPv6Address
    at: datetime
    vpc: str | None
    account: str | None


class UnreadableLine(Struct, frozen=True):
    """A line that is not a question: its address as written, and the reason."""

    ip: str
    reason: str


class Questions:
    """The questions of a file in order, with an ``UnreadableLine`` for any other line.

    They are read when they are asked for. Ages in them count from now, when nothing was read yet.
    ``is_read_twice`` copies a pipe to a temporary file, so that they can be iterated over again.
    """

    def __init__(self, file: IO[str], *, is_read_twice: bool) -> None:
        """Read the header. Raises ``UsageError`` if the file has none that names ``ip`` and ``at``."""
        self._now = datetime.now(UTC)
        self._file = file if file.seekable() or not is_read_twice else _copied(file)
        self._begin = self._file.tell() if is_read_twice else None
        self._questions = read_questions(self._file, self._now)

    def __iter__(self) -> Iterator[Question | UnreadableLine]:
        if self._begin is not None:
            self._file.seek(self._begin)
            self._questions = read_questions(self._file, self._now)
        return self._questions


def _copied(file: IO[str]) -> IO[str]:
    """Return a copy of a file that can be read again."""
    from shutil import copyfileobj
    from tempfile import TemporaryFile

    copy = TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115  it is deleted with the process
    copyfileobj(file, copy)
    copy.seek(0)
    return copy


def read_questions(file: IO[str], now: datetime) -> Iterator[Question | UnreadableLine]:
    """Yield the questions of a file in order, and an ``UnreadableLine`` for any other line.

    Ages in them count from ``now``. Raises ``UsageError`` if the file has no header that names ``ip`` and
    ``at``.
    """
    lines = _lines(file)
    first = next((line for line in lines if line.strip()), "").lstrip("\ufeff")
    if not first:
        raise UsageError("--batch: the file has no questions", "use CSV with a header ip,at or JSON lines")
    if first.lstrip().startswith("{"):
        return _from_json(chain([first], lines), now)
    reader = csv.reader(chain([first], lines), skipinitialspace=True)
    try:
        header = list(map(_key, next(reader)))
    except csv.Error:
        header = []
    if not {"ip", "at"} <= {*header}:
        raise UsageError(
            f"--batch: the first line is {first.strip()[:60]!r}, not a header that names ip and at",
            "start the file with the line ip,at (vpc and account may follow)",
        )
    twice = _twice(header)
    if twice:
        raise UsageError(f"--batch: the header names {twice} twice", "name every column once")
    return _from_csv(reader, header, now)


def _key(name: object) -> str:
    """Return the name of a column or key in lower case."""
    return str(name).strip().lower()


def _twice(names: list[str]) -> str | None:
    """Return a key of questions that appears more than once, or None."""
    return next((key for key in _KEYS if names.count(key) > 1), None)


def _lines(file: IO[str]) -> Iterator[str]:
    """Yield the lines of a file, cut at ``_MAX_LINE``."""
    while line := file.readline(_MAX_LINE):
        yield line
        while line and not line.endswith("\n"):
            line = file.readline(_MAX_LINE)


def _from_csv(reader: Reader, header: list[str], now: datetime) -> Iterator[Question | UnreadableLine]:
    width = len(header)  # what the header does not name is in an empty cell after all others
    fields_of = itemgetter(*(header.index(key) if key in header else width for key in _KEYS))
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield UnreadableLine("", f"line {reader.line_num}: {error}")
            continue
        if row is None:
            return
        if row:
            row[width:] = [""] * (max(width - len(row), 0) + 1)
            yield _question(fields_of(row), reader.line_num, now)


def _from_json(lines: Iterator[str], now: datetime) -> Iterator[Question | UnreadableLine]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, object_pairs_hook=_KeyValues)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, _KeyValues):
            yield UnreadableLine("", f"line {number}: not a JSON object")
            continue
        twice = _twice([_key(name) for name, _ in value])
        if twice:
            yield UnreadableLine("", f"line {number}: it has {twice} twice")
        else:
            fields = {_key(name): field for name, field in value}
            yield _question(tuple(map(fields.get, _KEYS)), number, now)


class _KeyValues(list[tuple[str, object]]):
    """The keys and values of a JSON object, in the order of its text and with repeated keys."""


def _question(fields: tuple[object, ...], number: int, now: datetime) -> Question | UnreadableLine:
    """Return the question that the fields of ``_KEYS`` ask, in their order."""
    ip, at, vpc, account = map(_text, fields)
    try:
        address = _address(ip)
    except ValueError:
        return UnreadableLine(ip, f"line {number}: ip is {ip[:60]!r}, not an address")
    try:
        time = parse_time(at, now)
    except (ValueError, OverflowError, OSError):
        return UnreadableLine(ip, f"line {number}: at is {at[:60]!r}, not a time")
    ids: list[str | None] = []
    for kind, text in (("vpc", vpc), ("account", account)):
        try:
            ids.append(_id(kind, text) if text else None)
        except ValueError:
            mistake, _ = not_an_id(kind, text[:60])
            return UnreadableLine(ip, f"line {number}: {kind}: {mistake}")
    return Question(address, time, *ids)


_address = lru_cache(_REMEMBERED)(parse_address)
_id = lru_cache(_REMEMBERED)(parse_id)


def _text(field: object) -> str:
    """Return the text of a field, which is empty if it is missing."""
    return "" if field is None else str(field).strip()
