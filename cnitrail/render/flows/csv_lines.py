"""Flow log records as CSV: the columns of the file, then those of both ends."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from io import StringIO
from typing import Final

from msgspec.structs import astuple

from cnitrail.model.flows import FlowEnd
from cnitrail.render.flows import PlainRow, Shared
from cnitrail.render.flows.cells import COLUMNS, cell
from cnitrail.render.safe import spreadsheet

_PLAIN: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._:/%*\n"
"""Characters that mean nothing to CSV, spreadsheets and terminals; ``-`` does at the start of a cell."""

_FORMULA: Final = re.compile(rb",-[^,\n]")
"""A cell that begins with ``-``, except for the first one of a record."""

_KNOWN: Final = 1 << 14
"""Number of ends, and of their cells, that are remembered as CSV."""


class CsvLines:
    """Writes CSV."""

    def __init__(self, columns: tuple[str, ...], _fields: tuple[str, ...]) -> None:
        self._columns = columns
        self.without_ends = b"," * len(COLUMNS)

    def header(self) -> bytes:
        """Return the header line."""
        return _line([*self._columns, *COLUMNS]) + b"\n"

    def ends(self, src: FlowEnd, dst: FlowEnd) -> bytes:
        """Return the cells of both ends."""
        return _cells_of(src) + _cells_of(dst)

    def line(self, fields: Sequence[bytes], ends: bytes) -> bytes:
        """Return a record as a line."""
        texts = (field.decode("utf-8", "replace") for field in fields)
        return _line(text if text == "-" else spreadsheet(text) for text in texts) + ends + b"\n"

    def plain(self, text: bytes, separator: bytes) -> tuple[bytes, bytes] | None:
        """Return the records as CSV if no cell needs quotes, escapes or a ``'``."""
        if text.translate(None, _PLAIN + separator):
            return None
        separated = text.translate(bytes.maketrans(separator, b","))
        return None if _FORMULA.search(separated) else (separated, b",")

    def shared(self, fields: Sequence[bytes], ends: bytes) -> Shared | None:
        """Return the cells of both ends: the record itself is written as it is."""
        return None if fields[0].startswith(b"-") else (b"", ends + b"\n")

    def rows(self, rows: Iterable[PlainRow]) -> bytes:
        """Return records as lines."""
        texts: list[bytes] = []
        put = texts.append
        for line, _, shared in rows:
            put(line)
            if shared is not None:
                put(shared[1])
        return b"".join(texts)


def _cells_of(end: FlowEnd) -> bytes:
    return _named_cells(end) if end.eni else _new_cells(end)


def _new_cells(end: FlowEnd) -> bytes:
    ip, *others = astuple(end)
    return b"," + _cell(ip) + _other_cells(tuple(others))


_named_cells = lru_cache(maxsize=_KNOWN)(_new_cells)
"""Of ends with an ENI, which repeat. Those without one have a new address in each record of a scan."""


@lru_cache(maxsize=_KNOWN)
def _other_cells(values: tuple[object, ...]) -> bytes:
    return b"".join(b"," + _cell(cell(value)) for value in values)


@lru_cache(maxsize=_KNOWN)
def _cell(text: str | None) -> bytes:
    if not text:
        return b""
    encoded = text.encode("utf-8", "replace")
    is_plain = not encoded.translate(None, _PLAIN) and b"\n" not in encoded and not text.startswith("-")
    return encoded if is_plain else _line((spreadsheet(text),))


def _line(texts: Iterable[str]) -> bytes:
    from csv import writer

    out = StringIO()
    writer(out, lineterminator="").writerow(texts)
    return out.getvalue().encode()
