"""``who --batch``: many questions in a file, as CSV or as JSON lines."""

from __future__ import annotations

import csv
import json
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain
from typing import TYPE_CHECKING

from msgspec import Struct

from cnitrail.cli.options import time_of
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import IO


_LONGEST = 64 * 1024
_KEYS = ("ip", "at", "vpc", "account")


class Question(Struct, frozen=True):
    """Who held an address at a time, in which VPC and account (any, where None)."""

    ip: IPv4Address | IPv6Address
    at: datetime
    vpc: str | None
    account: str | None


class UnreadableLine(Struct, frozen=True):
    """A line that is no question: what stands in it, and why."""

    ip: str
    reason: str


def read_questions(file: IO[str]) -> Iterator[Question | UnreadableLine]:
    """The questions of a file, in order; a line that is none takes its place among them.

    Raises ``UsageError`` where the file has no header that names ``ip`` and ``at``.
    """
    lines = _lines(file)
    first = next((line for line in lines if line.strip()), "").lstrip("\ufeff")
    if not first:
        raise UsageError("--batch: no questions in it", "give CSV with a header ip,at or JSON lines")
    if first.lstrip().startswith("{"):
        return _from_json(chain([first], lines))
    reader = csv.DictReader(chain([first], lines), skipinitialspace=True)
    try:
        header = [_key(column) for column in reader.fieldnames or ()]
    except csv.Error:
        header = []
    if not {"ip", "at"} <= {*header}:
        raise UsageError(
            f"--batch: its first line is {first.strip()[:60]!r}, not a header that names ip and at",
            "begin the file with the line ip,at (vpc and account may follow)",
        )
    twice = _twice(header)
    if twice:
        raise UsageError(f"--batch: its header names {twice} twice", "name each column once")
    return _from_csv(reader)


def _key(name: object) -> str:
    """A column or a key, in whatever capitals."""
    return str(name).strip().lower()


def _twice(names: list[str]) -> str | None:
    """A key of questions that is there more than once, where one is."""
    return next((key for key in _KEYS if names.count(key) > 1), None)


def _lines(file: IO[str]) -> Iterator[str]:
    """The lines of a file; one that is longer than any question is cut."""
    while line := file.readline(_LONGEST):
        yield line
        while line and not line.endswith("\n"):
            line = file.readline(_LONGEST)


def read_address(text: str) -> IPv4Address | IPv6Address:
    """The address that a text names; one that is mapped into IPv6 is IPv4. Raises ``ValueError``."""
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


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
            yield UnreadableLine("", f"line {number}: {twice} stands twice in it")
        else:
            yield _question({_key(name): each for name, each in value}, number)


class _KeyValues(list[tuple[str, object]]):
    """The keys and values of a JSON object, as they stand in its text."""


def _question(fields: dict[str, object], number: int) -> Question | UnreadableLine:
    ip, at = (str(fields.get(name) or "").strip() for name in ("ip", "at"))
    vpc, account = (_given(fields.get(name)) for name in ("vpc", "account"))
    try:
        address = read_address(ip)
    except ValueError:
        return UnreadableLine(ip, f"line {number}: ip is {ip[:60]!r}, not an address")
    try:
        return Question(address, time_of(at), vpc, account)
    except (ValueError, OverflowError, OSError):
        return UnreadableLine(ip, f"line {number}: at is {at[:60]!r}, not a time")


def _given(value: object) -> str | None:
    """What a field says; None where it is empty."""
    return str(value).strip() or None if value is not None else None
