"""The columns of flow logs in exports: which line names them, and which fields of AWS they are."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from cnitrail.model.flow_fields import KNOWN, field_of

SEPARATORS: Final = (b" ", b",", b"\t", b";", b"|")
"""What may be between the fields of a line: AWS writes blanks, the others are of exports."""

_MOST_COLUMNS: Final = 1000
"""Maximum number of columns; the newest version has 54 fields."""

_LONGEST_HEADER: Final = 64 * 1024

_ALIASES: Final = {
    # the table of older pages about flow logs in Athena
    "account": "account-id",
    "interface": "interface-id",
    "sourceaddress": "srcaddr",
    "destinationaddress": "dstaddr",
    "sourceport": "srcport",
    "destinationport": "dstport",
    "numpackets": "packets",
    "numbytes": "bytes",
    # the fields that CloudWatch Logs Insights discovers: startTime, endTime
    "starttime": "start",
    "endtime": "end",
}
"""Other names of fields, without case and punctuation."""

_PUNCTUATION = re.compile(r"[-_ ]")


def _folded(name: str) -> str:
    return _PUNCTUATION.sub("", name.strip().strip("\"'`${}").lower())


_FIELDS: Final = {_folded(field): field for field in KNOWN} | _ALIASES


def known_field(column: str) -> str | None:
    """Return the field of AWS that a column is, by any name that exports give to it; None if it is none."""
    return _FIELDS.get(_folded(column))


def fields_of(columns: Iterable[str]) -> tuple[str, ...]:
    """Return the fields of AWS that columns are; of an unknown column, its own name."""
    return tuple(known_field(column) or field_of(column) for column in columns)


def is_header(columns: Sequence[str]) -> bool:
    """Return whether these are names of columns, and most of them names of fields."""
    fields = fields_of(columns)
    return (
        1 < len(fields) <= _MOST_COLUMNS
        and len(set(fields)) == len(fields)
        and 2 * sum(field in KNOWN for field in fields) > len(fields)
    )


def header_of(line: bytes) -> tuple[tuple[str, ...], bytes] | None:
    """Return the columns that a line names, and what separates them; None if it is no header."""
    if len(line) > _LONGEST_HEADER:
        return None
    text = line.decode("utf-8", "replace").strip("\r\n").removeprefix("#").lstrip(" ")
    for separator in SEPARATORS:
        columns = tuple(name.strip(' "') for name in text.split(separator.decode()))
        if is_header(columns):
            return columns, separator
    return None
