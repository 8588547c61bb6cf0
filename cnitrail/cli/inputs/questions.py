"""``who --batch``: questions in a file, as CSV or JSON lines."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING

from msgspec import Struct

from cnitrail.errors import UsageError
from cnitrail.parse import not_an_id, parse_address, parse_id, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address, IPv6Address
    from typing import IO


_MAX_LINE = 64 * 1024
"""Characters of a line that are read: no question is longer, and a file may be one endless line."""
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


def read_questions(file: IO[str]) -> Iterator[Question | UnreadableLine]:
    """Yield the questions of a file in order, and an ``UnreadableLine`` for any other line.

    Raises ``UsageError`` if the file has no header that names ``ip`` and ``at``.
    """
    lines = _lines(file)
    first = next((line for line in lines if line.strip()), "").lstrip("\ufeff")
    if not first:
        raise UsageError("--batch: the file has no questions", "use CSV with a header ip,at or JSON lines")
    if first.lstrip().startswith("{"):
        return _from_json(chain([first], lines))
    reader = csv.DictReader(chain([first], lines), skipinitialspace=True)
    try:
        header = [_key(column) for column in reader.fieldnames or ()]
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
    return _from_csv(reader)


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


def _from_csv(reader: csv.DictReader[str]) -> Iterator[Question | UnreadableLine]:
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield UnreadableLine("", f"line {reader.line_num}: {error}")
            continue
        if row is None:
            return
        yield _question({_key(name): value for name, value in row.items()}, reader.line_num)


def _from_json(lines: Iterator[str]) -> Iterator[Question | UnreadableLine]:
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
            yield _question({_key(name): text for name, text in value}, number)


class _KeyValues(list[tuple[str, object]]):
    """The keys and values of a JSON object, in the order of its text and with repeated keys."""


def _question(fields: dict[str, object], number: int) -> Question | UnreadableLine:
    ip, at = (str(fields.get(name) or "").strip() for name in ("ip", "at"))
    try:
        address = parse_address(ip)
    except ValueError:
        return UnreadableLine(ip, f"line {number}: ip is {ip[:60]!r}, not an address")
    try:
        time = parse_time(at, datetime.now(UTC))
    except (ValueError, OverflowError, OSError):
        return UnreadableLine(ip, f"line {number}: at is {at[:60]!r}, not a time")
    ids: list[str | None] = []
    for kind in ("vpc", "account"):
        text = _given(fields.get(kind))
        try:
            ids.append(parse_id(kind, text) if text is not None else None)
        except ValueError:
            mistake, _ = not_an_id(kind, str(text)[:60])
            return UnreadableLine(ip, f"line {number}: {kind}: {mistake}")
    return Question(address, time, *ids)


def _given(value: object) -> str | None:
    """Return the text of a field; None if it is empty."""
    return str(value).strip() or None if value is not None else None
