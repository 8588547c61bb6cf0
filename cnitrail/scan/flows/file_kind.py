"""Which kind of file is given as a flow log, and the reader for it."""

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Final

from msgspec import Struct

from cnitrail.model import Growth, Skipped
from cnitrail.model.flows import FlowFormats
from cnitrail.scan.containers import Part, TornStream
from cnitrail.scan.containers.streams import peeked, unpeeked
from cnitrail.scan.flows.elastic import is_elastic_flow
from cnitrail.scan.flows.ocsf import is_network_activity
from cnitrail.scan.flows.rows import Read, RowBlocks, is_row, or_one_reason
from cnitrail.scan.flows.text import first_line, lines_of, text_blocks, wrapping_of
from cnitrail.scan.lines import has_escapes, without_escapes
from cnitrail.scan.multisearch import Bytes
from cnitrail.scan.other_files import is_cloudtrail, kind_of_other_file
from cnitrail.scan.split import UnreadableSpan

_HEAD: Final = 64 * 1024
"""Number of bytes at the beginning of a text by which its kind is recognized."""

_PARQUET: Final = b"PAR1"

_ADDRESS: Final = re.compile(
    rb"\beni-[0-9a-f]{8,17}\b|\b(?:NODATA|SKIPDATA)\b|(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){3,7}"
)
"""What a line of a flow log has, in any format from which anything can be answered."""

_OF_STREAM: Final = re.compile(rb'"eventSource"\s*:\s*"aws:(?:kinesis|sqs)"')
"""An event of a Lambda function that reads a stream or a queue: its keys are like CloudTrail's."""

_SHOWN: Final = 200
"""Number of characters of column names that an error shows."""

_OF_MESSAGES: Final = frozenset(
    ("@message", "message", "Message", "full_message", "event.original", "_raw", "Line")
)
"""Columns of a table that have a record."""

_MIN_FIELDS: Final = 3

NO_FORMAT: Final = (
    "flow log records without a header line, and no format; name it: "
    "--format default, or the LogFormat that aws ec2 describe-flow-logs shows"
)
_NOT_FLOWS: Final = "not a flow log: no header line, and no records of a known form"


class FlowContent(Struct, frozen=True, kw_only=True):
    """What a text is: records in blocks, or a file of another kind, such as ``cloudtrail-logs``."""

    blocks: Iterator[Read]
    other_kind: str | None = None


def content_of(part: Part, formats: FlowFormats, growth: Growth) -> FlowContent:
    """Return what is in a text; one that cannot be read at all has only one ``Skipped`` of a whole file."""
    head_pieces, rest = peeked(part.pieces, _HEAD)
    pieces = unpeeked(head_pieces, rest)
    head = bytes(head_pieces[:_HEAD])
    if head.startswith(_PARQUET):
        return FlowContent(blocks=or_one_reason(part.uri, _parquet_rows(part, pieces)))
    if has_escapes(head):
        pieces = without_escapes(pieces)
        head_pieces, rest = peeked(pieces, _HEAD)
        pieces = unpeeked(head_pieces, rest)
        head = bytes(head_pieces[:_HEAD])
    if not head.strip():
        kind = _other_kind(part.uri, head) if not head else None
        return FlowContent(blocks=_torn(part.uri, pieces), other_kind=kind)
    start = head.lstrip()
    if start.startswith((b"{", b"[", b'"{', b'"[')) and not start.startswith(b'"["'):
        return _json(part, head, pieces, formats, growth)
    if b"\r" in head and b"\n" not in head:
        head, pieces = head.replace(b"\r", b"\n"), (bytes(piece).replace(b"\r", b"\n") for piece in pieces)
    return _text(part, head, pieces, formats, growth)


def _json(
    part: Part, head: bytes, pieces: Iterator[Bytes], formats: FlowFormats, growth: Growth
) -> FlowContent:
    from cnitrail.scan.flows.json_values import json_blocks

    kind = _other_kind(part.uri, head) if _OF_STREAM.search(head) is None else None
    if kind is not None:
        return FlowContent(blocks=iter(()), other_kind=kind)
    return FlowContent(blocks=json_blocks(part.uri, pieces, formats, growth, no_format(formats)))


def _text(
    part: Part, head: bytes, pieces: Iterator[Bytes], formats: FlowFormats, growth: Growth
) -> FlowContent:
    columns = formats.of(part.uri)
    lines = lines_of(head, columns)
    if lines is not None and (lines.has_header or _has_records(head)):
        return FlowContent(blocks=text_blocks(part.uri, pieces, lines, checked=part.checked))
    from cnitrail.scan.csv_text import csv_rows
    from cnitrail.scan.flows.json_values import json_blocks, value_blocks

    names = _column_names(head)
    if _has_messages(names):
        return FlowContent(
            blocks=value_blocks(part.uri, csv_rows(pieces), formats, growth, no_format(formats))
        )
    if columns is None and _has_records(head):
        return FlowContent(blocks=iter((Skipped(part.uri, no_format(formats)),)))
    kind = _other_kind(part.uri, head)
    if kind is not None:
        return FlowContent(blocks=iter(()), other_kind=kind)
    from cnitrail.scan.yaml_text import looks_like_yaml, yaml_values

    if looks_like_yaml(head):
        return FlowContent(
            blocks=value_blocks(part.uri, yaml_values(pieces), formats, growth, no_format(formats))
        )
    wrapping = wrapping_of(head)
    if wrapping is not None and wrapping.strip(head).lstrip().startswith(b"{"):
        stripped = (wrapping.strip(bytes(piece)) for piece in pieces)
        return FlowContent(blocks=json_blocks(part.uri, stripped, formats, growth, no_format(formats)))
    return FlowContent(blocks=_torn(part.uri, pieces))


def _torn(uri: str, pieces: Iterator[Bytes]) -> Iterator[Read]:
    """Yield why nothing of a file can be read; nothing if it is empty."""
    try:
        for piece in pieces:
            if piece.strip():
                yield Skipped(uri, _NOT_FLOWS)
                return
    except TornStream as torn:
        yield Skipped(uri, str(torn))


def _other_kind(uri: str, head: bytes) -> str | None:
    """Return the kind of a file that is no flow log; None if it may be one."""
    if is_cloudtrail(uri, head):
        return "cloudtrail-logs"
    kind = kind_of_other_file(uri, head)
    return kind if kind != "vpc-flow-logs" else None


def _has_records(head: bytes) -> bool:
    """Return whether the first line looks like a record of a flow log."""
    wrapping = wrapping_of(head)
    line = first_line(wrapping.strip(head) if wrapping is not None else head)
    return (
        len(re.split(rb"[ ,\t;]", line)) >= _MIN_FIELDS
        and _ADDRESS.search(line) is not None
        and b"{" not in line
    )


def _column_names(head: bytes) -> list[str]:
    line = first_line(head).decode("utf-8", "replace")
    return [name.strip(' "') for name in re.split(r"[,\t;]", line)]


def _has_messages(names: list[str]) -> bool:
    """Return whether a table with these columns has a record in a cell, or its fields in several."""
    row = dict.fromkeys(names)
    return not _OF_MESSAGES.isdisjoint(names) or any(
        is_flow(row) for is_flow in (is_row, is_elastic_flow, is_network_activity)
    )


def no_format(formats: FlowFormats) -> str:
    """Return why records without a header line cannot be read."""
    if not formats.named:
        return NO_FORMAT
    shown = ", ".join(f"{name} ({len(columns)} fields)" for name, columns in sorted(formats.named.items()))
    return (
        f"flow log records without a header line, and several formats, none of which fits by name: {shown}; "
        "give its own LogFormat to --format"
    )


def _parquet_rows(part: Part, pieces: Iterator[Bytes]) -> Iterator[Read]:
    """Yield the records of a Parquet file, which needs random access."""
    from cnitrail.scan.flows.ocsf import flow_row
    from cnitrail.scan.parquet import parquet_rows

    rows = RowBlocks(part.uri)
    try:
        if part.open is not None:
            for _ in pieces:  # the stored bytes are counted as they pass by
                pass
            file = part.open()
        else:
            file = BytesIO(b"".join(pieces))
        with file:
            for row in parquet_rows(file):
                if isinstance(row, UnreadableSpan):
                    yield from rows.rest()
                    yield from rows.unread(row)
                elif is_network_activity(row):
                    yield from rows.add(*flow_row(row))
                elif is_row(row):
                    yield from rows.add(row)
                else:
                    columns = ", ".join(row)[:_SHOWN]
                    yield Skipped(part.uri, f"a Parquet file without the columns of a flow log: {columns}")
                    return
    except TornStream as torn:
        yield from rows.unread(UnreadableSpan(str(torn)))
    except OSError as error:
        yield from rows.unread(UnreadableSpan(f"reading failed: {error.strerror or error}"))
    yield from rows.end()
