"""Texts of any form: what kind a text is, and the reader for it.

CloudTrail's own log files do not come here. A new kind of text is one reader and one branch; a new envelope
of JSON is one row in ``envelopes``.
"""

from collections.abc import Iterator
from io import BytesIO
from itertools import chain
from typing import Final

import msgspec

from cnitrail.model import Growth, Record, Skipped
from cnitrail.scan.blocks import is_end, layout_of, read_block, rest_of, whole_elements
from cnitrail.scan.containers import Part, TornStream
from cnitrail.scan.csv_text import csv_rows, looks_like_csv
from cnitrail.scan.lines import has_escapes, line_form_of, without_escapes, without_prefixes
from cnitrail.scan.multisearch import Bytes, NameSearch
from cnitrail.scan.other_files import kind_of_other_file
from cnitrail.scan.pieces import TornRest, whole_block
from cnitrail.scan.reading import Reading
from cnitrail.scan.split import UnreadableSpan, split_items
from cnitrail.scan.tally import Tally
from cnitrail.scan.unwrap import CONTAINERS, ROOT
from cnitrail.scan.yaml_text import looks_like_yaml, yaml_values

_HEAD_BYTES: Final = 64 * 1024
"""Number of bytes at the beginning of a text by which its kind is recognized."""

_PARQUET: Final = b"PAR1"
"""What a Parquet file begins with."""


def scan_any_form(
    part: Part,
    text: Bytes,
    more: Iterator[Bytes] | None,
    names: NameSearch,
    growth: Growth,
    tally: Tally,
    *,
    index: int,
    signs: bool,
) -> Iterator[Record | Skipped]:
    """Yield the relevant records of a text of any form, and what could not be read of it.

    ``text`` is its beginning, ``more`` are the pieces after it, None if there are none; its first record has
    this index. With ``signs``, the tally gets the account, Region and minute of all other records.
    """
    head = bytes(text[:_HEAD_BYTES])
    if not head.startswith(_PARQUET) and has_escapes(head):
        text, more = whole_block(b"", without_escapes(chain((text,), more or ())))
        head = bytes(text[:_HEAD_BYTES])
    is_readable = bool(text) or not isinstance(more, TornRest)
    kind = kind_of_other_file(part.uri, head) if index == 0 and is_readable else None
    if kind is not None:
        tally.other_kind = kind
        return
    line_form = line_form_of(head)
    form = line_form.form if line_form is not None else None
    reading = Reading(part.uri, tally, names, growth, index=index, signs=signs, form=form)
    pieces = chain((text,), more or ())
    if head.startswith(_PARQUET):
        yield from _rows(reading, _parquet(part, pieces))
    elif line_form is not None:
        yield from _json(reading, *whole_block(b"", without_prefixes(pieces, line_form)))
    elif looks_like_csv(head):
        yield from _rows(reading, csv_rows(pieces))
    elif looks_like_yaml(head):
        yield from _values(reading, yaml_values(pieces))
    else:
        yield from _json(reading, text, more)
    yield from reading.rest()


def _json(reading: Reading, text: Bytes, more: Iterator[Bytes] | None) -> Iterator[Record | Skipped]:
    """Yield what is found in a JSON text: in blocks, as far as its layout allows."""
    layout = layout_of(text)
    while layout is not None and (end := whole_elements(text, layout, last=more is None)):
        block = read_block(text, end, layout)
        if block is None:
            break
        yield from reading.block(block, layout.place)
        if more is None and is_end(text, end, layout):
            return
        text, more = whole_block(rest_of(text, end, layout), more or iter(()))
    for item in split_items(map(bytes, chain((text,), more or ())), CONTAINERS):
        if isinstance(item, UnreadableSpan):
            yield from reading.damage(item.reason)
        else:
            yield from reading.item(item.text, CONTAINERS[item.container] if item.container else ROOT)


def _rows(reading: Reading, rows: Iterator[dict[str, object] | UnreadableSpan]) -> Iterator[Record | Skipped]:
    """Yield what is found in the rows of a table."""
    for row in rows:
        yield from reading.damage(row.reason) if isinstance(row, UnreadableSpan) else reading.row(row)


def _values(reading: Reading, values: Iterator[object]) -> Iterator[Record | Skipped]:
    """Yield what is found in values that are not JSON texts."""
    for value in values:
        if isinstance(value, UnreadableSpan):
            yield from reading.damage(value.reason)
        else:
            yield from reading.item(msgspec.json.encode(value), ROOT)


def _parquet(part: Part, pieces: Iterator[Bytes]) -> Iterator[dict[str, object] | UnreadableSpan]:
    """Yield the rows of a Parquet file, which needs random access."""
    from cnitrail.scan.parquet import parquet_rows

    try:
        if part.open is not None:
            for _ in pieces:  # the stored bytes are counted as they pass by
                pass
            with part.open() as file:
                yield from parquet_rows(file)
        else:
            yield from parquet_rows(BytesIO(b"".join(pieces)))
    except TornStream as torn:
        yield UnreadableSpan(str(torn))
    except OSError as error:
        yield UnreadableSpan(f"reading failed: {error.strerror or error}")
