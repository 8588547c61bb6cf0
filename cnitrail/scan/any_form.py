"""Texts of any form: what kind a text is, and the reader for it.

CloudTrail's own log files do not come here. A new kind of text is one reader and one branch; a new envelope
of JSON is one row in ``envelopes``.
"""

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from itertools import chain
from typing import Final

import msgspec

from cnitrail.model import Extent, Growth, Origin, Record, Skipped
from cnitrail.scan.blocks import (
    Layout,
    as_one_list,
    is_end,
    layout_of,
    read_block,
    read_lines,
    rest_of,
    whole_elements,
)
from cnitrail.scan.container_files import is_of_other_container
from cnitrail.scan.container_names import is_dumped_output
from cnitrail.scan.containers import Part, TornStream
from cnitrail.scan.csv_text import csv_rows, looks_like_csv
from cnitrail.scan.cut_events import TRUNCATED, held_back, with_completed_lines
from cnitrail.scan.envelope_tree import CONTAINERS, ROOT
from cnitrail.scan.lines import LineForm, has_escapes, line_form_of, without_escapes, without_prefixes
from cnitrail.scan.multisearch import Bytes, NameSearch
from cnitrail.scan.other_files import kind_of_lake_file, kind_of_other_file
from cnitrail.scan.pieces import TornRest, whole_block
from cnitrail.scan.pod_forms import may_be_cni_log, may_be_secret
from cnitrail.scan.pod_objects import why_no_table
from cnitrail.scan.reading import Reading
from cnitrail.scan.split import UnreadableSpan, split_items
from cnitrail.scan.tally import Tally
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
    pod_names: Callable[[], NameSearch],
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
    is_first = index == 0 and (bool(text) or not isinstance(more, TornRest))
    if is_first and _is_cni_log(part.uri, head):
        from cnitrail.scan.cni_lines import cni_records

        reading = Reading(part.uri, tally, names, pod_names, growth, index=0, signs=signs)
        yield from cni_records(text, more, reading, tally, pod_names())
        yield from reading.rest()
        return
    if is_first and more is None and (fact := _node_fact(part.uri, head)) is not None:
        tally.records, tally.forms["node-facts"] = 1, 1
        yield Record((Origin(part.uri, 0, "node-facts"),), fact)
        return
    if (reason := why_no_table(head)) is not None:
        yield Skipped(part.uri, reason, Extent.PART, of_pods=True)
        return
    kind = kind_of_other_file(part.uri, head) if is_first else None
    if head.startswith(_PARQUET):
        kind = kind_of_lake_file(part.uri)
    if kind is not None:
        tally.other_kind = kind
        return
    line_form = line_form_of(head)
    form = line_form.form if line_form is not None else None
    is_secret = may_be_secret(head)
    reading = Reading(
        part.uri,
        tally,
        names,
        pod_names,
        growth,
        index=index,
        signs=signs,
        form=form,
        is_secret=is_secret,
    )
    yield from _read(reading, part, head, text, more, line_form, tally)
    yield from reading.rest()


def _is_cni_log(uri: str, head: bytes) -> bool:
    """Return whether a text is a log of the VPC CNI, and not the output of another container."""
    if not may_be_cni_log(head) or is_dumped_output(head) or is_of_other_container(uri):
        return False
    from cnitrail.scan.cni_lines import is_cni_log

    return is_cni_log(head)


def _node_fact(uri: str, head: bytes) -> bytes | None:
    """Return what a file of an eks-log-collector says about its node, as JSON; None if it is no such file."""
    if "system/" not in uri:
        return None
    from cnitrail.scan.node_files import node_fact_of

    return node_fact_of(uri, head)


def _read(
    reading: Reading,
    part: Part,
    head: bytes,
    text: Bytes,
    more: Iterator[Bytes] | None,
    line_form: LineForm | None,
    tally: Tally,
) -> Iterator[Record | Skipped]:
    """Yield what is found in a text by the reader for its form, which ``head`` shows."""
    pieces = chain((text,), more or ())
    if head.startswith(_PARQUET):
        yield from _rows(reading, _parquet(part, pieces))
    elif _is_prometheus_text(head):
        yield from _series(reading, pieces, part.uri, tally)
    elif line_form is not None:
        yield from _json(reading, *whole_block(b"", without_prefixes(pieces, line_form)))
    elif looks_like_csv(head):
        yield from _rows(reading, csv_rows(pieces))
    elif looks_like_yaml(head):
        yield from _values(reading, yaml_values(pieces))
    else:
        yield from _json(reading, text, more)


def _is_prometheus_text(head: bytes) -> bool:
    if head.lstrip().startswith((b"{", b"[")):
        return False
    from cnitrail.scan.prometheus_text import is_prometheus_text

    return is_prometheus_text(head)


def _json(reading: Reading, text: Bytes, more: Iterator[Bytes] | None) -> Iterator[Record | Skipped]:
    """Yield what is found in a JSON text: in blocks, as far as its layout allows."""
    layout = layout_of(text)
    while layout is not None:
        end = whole_elements(text, layout, last=more is None)
        block = read_block(text, end, layout) if end else None
        if block is not None:
            yield from reading.block(block, layout.place)
        elif TRUNCATED in text and (whole := with_completed_lines(bytes(text))) != text:
            text = whole
            continue
        elif layout.is_list and (joined := as_one_list(text, layout)) != text:
            text = joined
            continue
        elif end and layout.is_lines:
            yield from _lines(reading, text, end, layout)
        else:
            break
        if more is None and is_end(text, end, layout):
            return
        text, more = whole_block(rest_of(text, end, layout), more or iter(()))
    yield from _items(reading, chain((text,), more or ()))


def _lines(reading: Reading, text: Bytes, end: int, layout: Layout) -> Iterator[Record | Skipped]:
    """Yield what is found in lines some of which are damaged."""
    for part in read_lines(text, end, layout):
        if isinstance(part, bytes):
            yield from _items(reading, (part,))
        else:
            yield from reading.block(part, layout.place)


def _items(reading: Reading, pieces: Iterable[Bytes]) -> Iterator[Record | Skipped]:
    """Yield what is found in the items of a JSON text of any layout."""
    for item in split_items(_with_completed_lines(pieces), CONTAINERS):
        if isinstance(item, UnreadableSpan):
            yield from reading.damage(item)
        else:
            place = CONTAINERS[item.container] if item.container else ROOT
            yield from reading.item(item.text, place, log_group=item.log_group)


def _with_completed_lines(pieces: Iterable[Bytes]) -> Iterator[bytes]:
    """Yield a text in which each audit event that CloudWatch Logs cut is completed, in pieces of any size."""
    rest = b""
    for piece in pieces:
        text = rest + piece
        end = held_back(text)
        rest = text[end:]
        if end:
            yield with_completed_lines(text[:end]) if TRUNCATED in text else text[:end]
    if rest:
        yield with_completed_lines(rest)


def _rows(reading: Reading, rows: Iterator[dict[str, object] | UnreadableSpan]) -> Iterator[Record | Skipped]:
    """Yield what is found in the rows of a table."""
    for row in rows:
        yield from reading.damage(row) if isinstance(row, UnreadableSpan) else reading.row(row)


def _series(reading: Reading, pieces: Iterator[Bytes], uri: str, tally: Tally) -> Iterator[Record | Skipped]:
    """Yield what is found in Prometheus' text formats: the series of pods."""
    from cnitrail.scan.prometheus_text import UNTIMED, series_of

    untimed = 0
    for series in series_of(pieces):
        if isinstance(series, UnreadableSpan):
            yield from reading.damage(series)
        else:
            untimed += not series.timed
            yield from reading.item(series.text, ROOT)
    if untimed:
        yield Skipped(uri, UNTIMED.format(count=untimed), Extent.PART)
    elif not tally.records:
        tally.other_kind = "prometheus-metrics"


def _values(reading: Reading, values: Iterator[object]) -> Iterator[Record | Skipped]:
    """Yield what is found in values that are not JSON texts."""
    for value in values:
        if isinstance(value, UnreadableSpan):
            yield from reading.damage(value)
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
