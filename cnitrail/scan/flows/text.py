"""Flow logs as text: a line for each record, below a header line or in a format that the user names.

Lines are not looked at one by one: what is around the records is removed from a block at once.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Final

from msgspec import Struct

from cnitrail.model import Extent, Skipped
from cnitrail.model.flow_fields import default_of
from cnitrail.model.flows import FlowBlock
from cnitrail.scan.containers import TornStream
from cnitrail.scan.csv_text import csv_rows
from cnitrail.scan.flows.columns import fields_of, header_of
from cnitrail.scan.flows.rows import Read, RowBlocks
from cnitrail.scan.flows.values import is_rewritten
from cnitrail.scan.multisearch import Bytes
from cnitrail.scan.pieces import BLOCK
from cnitrail.scan.split import UnreadableSpan

_LONGEST_LINE: Final = 1024 * 1024
"""Maximum length of a record in bytes; one of AWS's, with all tags, has a few thousand."""

_SHOWN: Final = 200
"""Number of characters of a format that an error shows."""

_STATUSES: Final = (b"OK", b"NODATA", b"SKIPDATA")
_ADDRESSES: Final = ("srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr")
_VALUES: Final = {
    **dict.fromkeys(_ADDRESSES, re.compile(rb"[0-9]+(?:\.[0-9]+){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")),
    **dict.fromkeys(("start", "end"), re.compile(rb"[0-9]+")),
    "interface-id": re.compile(rb"eni-.*"),
    "action": re.compile(rb"ACCEPT|REJECT"),
    "log-status": re.compile(rb"OK|NODATA|SKIPDATA"),
}
"""What the values of fields look like, so that the fields of another format are noticed."""

_WRONG: Final = "--format may be wrong"
_CUT: Final = "the last line has no line end, so its last field may be cut short"

_BLANK_LINES = re.compile(rb"(?m)^[ \t]*\r?\n")
_INDENTS = re.compile(rb"(?m)^ +")
_ADDRESS_NAME = re.compile(rb"addr")  # of srcaddr, dstaddr: faster than bytes.find of both
_MAY_BE_BLANK = re.compile(rb"\n[ \t\r\n]")
_SIMPLE_CSV = re.compile(rb'(?:(?:"[^",\t;|\r\n]*+"|[^",\t;|\r\n]*+)(?:[,\t;|]|\r?\n))*+')
"""Cells in which quotes may be left out, as they have no separator, quote or line end in them."""

_TIME: Final = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?"


class Wrapping(Struct, frozen=True, kw_only=True):
    """What CloudWatch Logs, or the AWS CLI, puts around the record in a line.

    ``at_first`` matches the first lines. ``removed`` is what is removed from lines; None if each line is a
    table of columns with tabs between them, of which the records are those with at least two blanks.
    """

    at_first: re.Pattern[bytes]
    removed: re.Pattern[bytes] | None = None

    def in_lines(self, pieces: Iterator[Bytes]) -> Iterator[Bytes]:
        """Return a text in which each record is in a line of its own."""
        return (
            pieces if self.removed is not None else (bytes(piece).replace(b"\t", b"\n") for piece in pieces)
        )

    def strip(self, lines: bytes) -> bytes:
        """Return only the records in lines."""
        if self.removed is not None:
            return self.removed.sub(b"", lines)
        return b"".join([b"%b\n" % text for text in _RECORD_COLUMN.findall(lines.replace(b"\t", b"\n"))])


_RECORD_COLUMN: Final = re.compile(rb"(?m)^[^\s]+ [^\s]+ [^\r\n]+")


def _prefix(pattern: bytes) -> Wrapping:
    return Wrapping(at_first=re.compile(pattern), removed=re.compile(rb"(?m)^" + pattern))


_QUOTES: Final = Wrapping(
    at_first=re.compile(rb'"[^"\n]* [^"\n]*",?\r?(?:\n|$)'), removed=re.compile(rb'(?m)^"|",?\r?$')
)
"""What ``jq`` puts around each text, unless it is called with ``-r``."""

WRAPPINGS: Final = (
    _QUOTES,
    # aws logs tail, detailed: an offset shows it (awscli/customizations/logs/tail.py)
    _prefix(_TIME + rb"[+-]\d\d:\d\d [^ \n]+ "),
    # export tasks, and aws logs tail --format short
    _prefix(_TIME + rb"Z? "),
    # --output text of filter-log-events, get-log-events and get-query-results, also with a --query
    Wrapping(
        at_first=re.compile(rb"(?:[^\n]*\n){0,20}?(?:[^\n]*\t[^\s]+ [^\s]+ [^\s]|[^\s]+ [^\s]+ [^\t\n]*\t)")
    ),
)


class LineLayout(Struct, frozen=True, kw_only=True):
    """How the lines of a text are read."""

    columns: tuple[str, ...]
    separator: bytes
    has_header: bool
    wrapping: Wrapping | None = None


def lines_of(head: bytes, columns: tuple[str, ...] | None) -> LineLayout | None:
    """Return how a text is read, by its first lines; None if nothing names the columns.

    ``columns`` are those of records without a header line.
    """
    first = first_line(head)
    if (header := header_of(first)) is not None:
        quotes = _QUOTES if header[1] == b" " and _QUOTES.at_first.match(first) else None
        return LineLayout(columns=header[0], separator=header[1], has_header=True, wrapping=quotes)
    if columns is None:
        return None
    wrapping = wrapping_of(head)
    if wrapping is not None:
        first = first_line(wrapping.strip(head))
    columns = default_of(columns, first.decode("utf-8", "replace"))
    separators = (b" ", b",", b"\t", b";")
    fitting = (separator for separator in separators if first.count(separator) == len(columns) - 1)
    return LineLayout(columns=columns, separator=next(fitting, b" "), has_header=False, wrapping=wrapping)


def wrapping_of(head: bytes) -> Wrapping | None:
    """Return what is around the records of a text; None if there is nothing."""
    text = head.lstrip(b"\r\n")
    return next((wrapping for wrapping in WRAPPINGS if wrapping.at_first.match(text)), None)


def first_line(head: bytes) -> bytes:
    """Return the first line that is not blank, and not the one that names a separator for Excel."""
    lines = (line.rstrip(b"\r") for line in head.split(b"\n", 9)[:9])
    return next((line for line in lines if line.strip() and not line.startswith(b"sep=")), b"")


def text_blocks(uri: str, pieces: Iterator[Bytes], lines: LineLayout, *, checked: bool) -> Iterator[Read]:
    """Yield the records of a text in blocks of whole lines; ``checked``: a checksum protects the text."""
    columns, separator, index = lines.columns, lines.separator, 0
    is_first = True
    if lines.wrapping is not None:
        pieces = lines.wrapping.in_lines(pieces)
    blocks = whole_lines(uri, pieces)
    for block in blocks:
        if isinstance(block, Skipped):
            yield block
            continue
        if lines.wrapping is not None:
            block = lines.wrapping.strip(block)  # noqa: PLW2901
        if separator != b" ":
            simple = _unquoted(block) if b'"' in block else block
            if simple is None or is_rewritten(simple):
                header = b"" if is_first and lines.has_header else _header_line(columns, separator)
                yield from _csv_blocks(uri, chain((header + block,), blocks), index)
                return
            block = simple  # noqa: PLW2901
        if block[:1] in b" \t\r\n" or _MAY_BE_BLANK.search(block):
            block = _BLANK_LINES.sub(b"", block)  # noqa: PLW2901
            if separator == b" ":
                block = _INDENTS.sub(b"", block)  # noqa: PLW2901
        if is_first and not lines.has_header:
            yield from mismatch(uri, block, columns, separator)
        for text, found in _split_at_headers(block, is_first=is_first):
            if found is not None:
                columns, separator = found
            if not text.endswith(b"\n"):
                if not checked and _may_be_cut(text, columns, separator):
                    yield Skipped(uri, _CUT, Extent.RECORD)
                    text = text[: text.rfind(b"\n") + 1]  # noqa: PLW2901
                elif text:
                    text += b"\n"  # noqa: PLW2901
            if text:
                yield _block(uri, columns, separator, text, index)
                index += text.count(b"\n")
        is_first = False


def _may_be_cut(text: bytes, columns: tuple[str, ...], separator: bytes) -> bool:
    """Return whether the last record of a text without a line end may have lost the end of its last field.

    Then the field would pass for another one: the address 10.0.0.12 for 10.0.0.1.
    """
    values = text[text.rfind(b"\n") + 1 :].split(separator)
    if len(values) != len(columns):
        return False
    field = fields_of(columns[-1:])[0]
    return (field == "log-status" and values[-1] not in _STATUSES) or (
        field in _ADDRESSES and values[-1] != b"-"
    )


def mismatch(uri: str, text: bytes, columns: tuple[str, ...], separator: bytes) -> Iterator[Skipped]:
    """Yield that the first record of a text does not have the fields that its format has, if so."""
    line = first_line(text)
    values = line.split(separator)
    if not line:
        return
    if len(values) != len(columns):
        names = " ".join(columns)
        shown = names if len(names) <= _SHOWN else f"{names[:_SHOWN]}…"
        reason = f"the first record has {len(values)} fields, and its format has {len(columns)} ({shown})"
        yield Skipped(uri, f"{reason}: {_WRONG}", Extent.PART)
        return
    for field, value in zip(fields_of(columns), values, strict=True):
        if field in _VALUES and value != b"-" and _VALUES[field].fullmatch(value) is None:
            shown = value[:_SHOWN].decode("utf-8", "replace")
            yield Skipped(uri, f"the first record has {shown} as its {field}: {_WRONG}", Extent.PART)
            return


def _block(uri: str, columns: tuple[str, ...], separator: bytes, text: bytes, index: int) -> FlowBlock:
    if separator != b" ":
        text = _with_absent(text, separator)
    return FlowBlock(
        uri=uri, columns=columns, fields=fields_of(columns), text=text, separator=separator, first=index
    )


def _split_at_headers(
    block: bytes, *, is_first: bool
) -> Iterator[tuple[bytes, tuple[tuple[str, ...], bytes] | None]]:
    """Yield the lines of a block up to the next header line, and the header that is before them.

    A text may have several header lines, as files were put together.
    """
    start, header = 0, None
    if is_first:
        if block.startswith(b"sep="):
            start = block.find(b"\n") + 1
        end = _line_end(block, start)
        header = header_of(block[start:end])
        start = end if header is not None else start
    at = start
    while (at := _next_address_name(block, at)) >= 0:
        line = block.rfind(b"\n", 0, at) + 1
        end = _line_end(block, at)
        found = header_of(block[line:end])
        if found is not None:
            yield block[start:line], header
            start, header = end, found
        at = end
    yield block[start:], header


def _line_end(block: bytes, at: int) -> int:
    return block.find(b"\n", at) + 1 or len(block)


def _next_address_name(block: bytes, at: int) -> int:
    """Return the offset of what may be the name of a field with an address, as every useful header has."""
    found = _ADDRESS_NAME.search(block, at)
    return found.start() if found is not None else -1


def _with_absent(text: bytes, separator: bytes) -> bytes:
    """Return lines in which a cell without a value has ``-``, as flow logs have."""
    empty = separator + separator
    while empty in text:
        text = text.replace(empty, separator + b"-" + separator)
    text = text.replace(separator + b"\n", separator + b"-\n").replace(
        separator + b"\r\n", separator + b"-\n"
    )
    text = text.replace(b"\n" + separator, b"\n-" + separator)
    return b"-" + text if text.startswith(separator) else text


def _unquoted(block: bytes) -> bytes | None:
    """Return lines without the quotes around cells; None if a cell needs them."""
    return block.replace(b'"', b"") if _SIMPLE_CSV.fullmatch(block) else None


def _header_line(columns: tuple[str, ...], separator: bytes) -> bytes:
    return separator.join(column.encode() for column in columns) + b"\n"


def _csv_blocks(uri: str, pieces: Iterator[bytes | Skipped], index: int) -> Iterator[Read]:
    """Yield the records of a CSV text with cells that need their quotes, or are rewritten."""
    rows = RowBlocks(uri, index)
    skipped: list[Skipped] = []
    for row in csv_rows(_read(pieces, skipped)):
        if isinstance(row, UnreadableSpan):
            yield from rows.unread(row)
        else:
            yield from rows.add(row)
    yield from rows.end()
    yield from skipped


def _read(pieces: Iterator[bytes | Skipped], skipped: list[Skipped]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, Skipped):
            skipped.append(piece)
        else:
            yield piece


def whole_lines(uri: str, pieces: Iterator[Bytes]) -> Iterator[bytes | Skipped]:
    """Yield a text in blocks of whole lines, about a megabyte each, and then what could not be read of it.

    Only the last line may be without a line end.
    If the stream is torn, its last line is left out: a part of a record may pass for another one.
    """
    rest: list[Bytes] = []
    size = 0
    is_too_long = False
    try:
        for piece in pieces:
            end = piece.rfind(b"\n") + 1
            if is_too_long:
                start = piece.find(b"\n") + 1
                if not start:
                    continue
                is_too_long = False
                yield Skipped(uri, f"a line is longer than {_LONGEST_LINE >> 20} MB", Extent.RECORD)
                piece = piece[start:]  # noqa: PLW2901
                end -= start
            rest.append(piece)
            size += len(piece)
            if end > 0 and size >= BLOCK:
                text = b"".join(rest)
                end = len(text) - len(piece) + end
                yield text[:end]
                rest, size = [text[end:]], len(text) - end
            elif end <= 0 and size > 2 * BLOCK:
                text = b"".join(rest)
                end = text.rfind(b"\n") + 1
                if end:
                    yield text[:end]
                    text = text[end:]
                is_too_long = len(text) > _LONGEST_LINE
                rest, size = ([], 0) if is_too_long else ([text], len(text))
    except TornStream as torn:
        text = b"".join(rest)
        if end := text.rfind(b"\n") + 1:
            yield text[:end]
        yield Skipped(uri, str(torn), Extent.PART)
        return
    if is_too_long:
        yield Skipped(uri, f"a line is longer than {_LONGEST_LINE >> 20} MB", Extent.RECORD)
    text = b"".join(rest)
    if text:
        yield text
