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


class Question(Struct, frozen=True):
    """Who held an address at a time, in which VPC and account (any, where None)."""

    ip: IPv4Address | IPv6Address
    at: datetime
    vpc: str | None
    account: str | None


class Unreadable(Struct, frozen=True):
    """A line that is no question: what stands in it, and why."""

    ip: str
    reason: str


def read_questions(file: IO[str]) -> Iterator[Question | Unreadable]:
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
        header = {column.strip().lower() for column in reader.fieldnames or ()}
    except csv.Error:
        header = set()
    if not {"ip", "at"} <= header:
        raise UsageError(
            f"--batch: its first line is {first.strip()[:60]!r}, not a header that names ip and at",
            "begin the file with the line ip,at (vpc and account may follow)",
        )
    return _from_csv(reader)


def _lines(file: IO[str]) -> Iterator[str]:
    """The lines of a file; one that is longer than any question is cut."""
    while line := file.readline(_LONGEST):
        yield line


def read_address(text: str) -> IPv4Address | IPv6Address:
    """The address that a text names; one that is mapped into IPv6 is IPv4. Raises ``ValueError``."""
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def _from_csv(reader: csv.DictReader[str]) -> Iterator[Question | Unreadable]:
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield Unreadable("", f"line {reader.line_num}: {error}")
            continue
        if row is None:
            return
        yield _question({str(key).strip().lower(): value for key, value in row.items()}, reader.line_num)


def _from_json(lines: Iterator[str]) -> Iterator[Question | Unreadable]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            yield _question(value, number)
        else:
            yield Unreadable("", f"line {number}: not a JSON object")


def _question(fields: dict[str, object], number: int) -> Question | Unreadable:
    ip, at = (str(fields.get(name) or "").strip() for name in ("ip", "at"))
    vpc, account = (str(fields[name]).strip() if fields.get(name) else None for name in ("vpc", "account"))
    try:
        address = read_address(ip)
    except ValueError:
        return Unreadable(ip, f"line {number}: ip is {ip[:60]!r}, not an address")
    try:
        return Question(address, time_of(at), vpc, account)
    except (ValueError, OverflowError, OSError):
        return Unreadable(ip, f"line {number}: at is {at[:60]!r}, not a time")
