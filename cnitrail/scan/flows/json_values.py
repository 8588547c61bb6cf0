"""Flow logs in JSON: messages of CloudWatch Logs in any envelope, rows of query engines, and OCSF."""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct

from cnitrail.jsontext import parse
from cnitrail.model import Growth, Skipped
from cnitrail.model.flow_fields import default_of
from cnitrail.model.flows import FlowBlock, FlowFormats
from cnitrail.scan.flows.columns import fields_of
from cnitrail.scan.flows.elastic import elastic_row, is_elastic_flow
from cnitrail.scan.flows.ocsf import flow_row, has_struct_text, is_network_activity
from cnitrail.scan.flows.rows import Read, RowBlocks, is_row, or_one_reason
from cnitrail.scan.flows.text import mismatch
from cnitrail.scan.multisearch import Bytes
from cnitrail.scan.pieces import BLOCK
from cnitrail.scan.rows import athena_rows
from cnitrail.scan.split import UnreadableSpan, split_items
from cnitrail.scan.unwrap import unpacked

_LISTS: Final = (
    *("events", "logEvents", "Records", "records", "results", "Messages", "messages", "logs", "items"),
    *("rows", "data"),
)
"""The keys of an outermost object under which a list has one envelope or record in each element."""

_MESSAGE_KEYS: Final = (
    *("full_message", "message", "@message", "Message", "Body", "body", "_raw"),
    *("log", "line", "Line", "original", "event.original", "value"),
)
"""The keys of a text that is a record, or an envelope of one."""

_INSIDE_KEYS: Final = (
    *_LISTS,
    *("awslogs", "kinesis", "Sns", "result", "_source", "hits", "attributes", "content", "values"),
    *("event.original", "input", "map", "message"),
)
_DATA_KEYS: Final = ("data", "Data")
"""The keys of Base64: of Lambda, Firehose and Kinesis, and of what ``aws kinesis get-records`` prints."""

_DEEPEST: Final = 12
_PACKED: Final = "H4sI"
"""How gzip begins in Base64."""

NO_RECORDS: Final = "JSON without flow log records"

_STRUCT_TEXT: Final = (
    'OCSF whose structs are texts; select src_endpoint.ip AS "src_endpoint.ip" and so on, or CAST(… AS JSON)'
)
_CONTROL: Final = "CWL CONTROL MESSAGE"


class FlowMessage(Struct, frozen=True):
    """A record as one text, and the log group or stream that it is from, if the envelope names it.

    ``row`` is the same record by its fields, if these are beside it.
    """

    text: str
    group: str
    row: "Row | None" = None


class Row(Struct, frozen=True):
    """A record with a value for each column, and the fields of AWS that are known of them."""

    values: Mapping[str, object]
    fields: Mapping[str, str] | None = None


class Unread(Struct, frozen=True):
    """A record, or an envelope of records, that could not be read."""

    reason: str


Found = FlowMessage | Row | Unread


def json_blocks(
    uri: str, pieces: Iterator[Bytes], formats: FlowFormats, growth: Growth, no_format: str
) -> Iterator[Read]:
    """Yield the records in a JSON text, or in JSON lines."""
    return value_blocks(uri, _values(pieces), formats, growth, no_format)


def _values(pieces: Iterator[Bytes]) -> Iterator[object]:
    for item in split_items(map(bytes, pieces), _LISTS):
        if isinstance(item, UnreadableSpan):
            yield item
            continue
        try:
            value = parse(item.text)
        except ValueError as error:
            yield UnreadableSpan(f"broken JSON ({error}): ", item.text)
            continue
        yield {"logGroup": item.log_group, "events": [value]} if item.log_group is not None else value


def value_blocks(
    uri: str, values: Iterator[object], formats: FlowFormats, growth: Growth, no_format: str
) -> Iterator[Read]:
    """Yield the records in values, which are envelopes or rows."""
    return or_one_reason(uri, _collected(_Collected(uri, formats, no_format), values, growth))


def _collected(found: "_Collected", values: Iterator[object], growth: Growth) -> Iterator[Read]:
    for value in values:
        if isinstance(value, UnreadableSpan):
            yield from found.rows.unread(value)
            continue
        for record in records_in(value, growth):
            yield from found.add(record)
    yield from found.end()


class _Collected:
    """The records of one file: the messages of each format, and the rows, in blocks."""

    def __init__(self, uri: str, formats: FlowFormats, no_format: str) -> None:
        self.rows = RowBlocks(uri)
        self._uri = uri
        self._formats = formats
        self._no_format = no_format
        self._columns: dict[str, tuple[str, ...] | None] = {}
        self._last: tuple[str, ...] | None = None
        self._lines: list[str] = []
        self._size = 0
        self._is_any = False

    def add(self, record: Found) -> Iterator[FlowBlock | Skipped]:
        """Take a record, and yield what is complete."""
        self._is_any = True
        match record:
            case FlowMessage():
                yield from self._message(record)
            case Row():
                yield from self._messages()
                yield from self.rows.add(record.values, record.fields)
            case Unread():
                yield from self.rows.unread(UnreadableSpan(record.reason), is_record=True)

    def _message(self, message: FlowMessage) -> Iterator[FlowBlock | Skipped]:
        if message.group not in self._columns:
            self._columns[message.group] = self._formats.of(message.group or self._uri)
        columns = self._columns[message.group]
        if columns is None and message.row is not None:
            yield from self.add(message.row)
            return
        if columns is None:
            yield from self.rows.unread(UnreadableSpan(self._no_format), is_record=True)
            return
        columns = default_of(columns, message.text)
        if columns != self._last:
            yield from mismatch(self._uri, message.text.encode("utf-8", "replace"), columns, b" ")
        if columns != self._last or self._size > BLOCK:
            yield from self._messages()
        if self.rows.has_rest():
            yield from self.rows.rest()
        self._last = columns
        line = message.text.strip("\r\n").replace("\n", "\\n").replace("\r", "\\r")
        self._lines.append(line)
        self._size += len(line)

    def _messages(self) -> Iterator[FlowBlock]:
        if self._lines and self._last is not None:
            text = ("\n".join(self._lines) + "\n").encode("utf-8", "replace")
            yield FlowBlock(
                uri=self._uri,
                columns=self._last,
                fields=fields_of(self._last),
                text=text,
                first=self.rows.index,
            )
            self.rows.index += len(self._lines)
        self._lines, self._size = [], 0

    def end(self) -> Iterator[Read]:
        """Yield what is left at the end of the file."""
        yield from self._messages()
        yield from self.rows.end()
        if not self._is_any:
            yield Skipped(self._uri, NO_RECORDS)


def records_in(value: object, growth: Growth, group: str = "", depth: int = 0) -> Iterator[Found]:
    """Yield the records in a value: an envelope, a row, or a message."""
    if depth > _DEEPEST:
        yield Unread("JSON that is nested too deeply for a flow log")
        return
    match value:
        case str():
            yield from _in_text(value, growth, group, depth)
        case list():
            yield from _in_list(value, growth, group, depth)
        case dict():
            yield from _in_object(value, growth, group, depth)


def _in_text(text: str, growth: Growth, group: str, depth: int) -> Iterator[Found]:
    if text.startswith(_PACKED):
        try:
            inside = unpacked(text, growth)
            value = parse(inside)
        except ValueError as error:
            yield Unread(str(error))
            return
        yield from records_in(value, growth, group, depth + 1)
    elif text.lstrip().startswith(("{", "[")):
        try:
            value = msgspec.json.decode(text)
        except (ValueError, RecursionError):
            yield Unread(f"broken JSON: {text[:60]}")
            return
        yield from records_in(value, growth, group, depth + 1)
    elif " " in text.strip() and not text.startswith(_CONTROL):
        yield FlowMessage(text, group)


def _in_data(text: str, growth: Growth, group: str, depth: int) -> Iterator[Found]:
    """Yield the records in Base64, as streams have it, or in a text that is not encoded."""
    if not text.startswith(_PACKED):
        with suppress(ValueError):  # also of Base64 and of UTF-8
            text = b64decode(text, validate=True).decode()
    yield from _in_text(text, growth, group, depth)


def _in_list(values: list[object], growth: Growth, group: str, depth: int) -> Iterator[Found]:
    if values and all(isinstance(value, dict) and value.keys() >= {"field"} for value in values):
        cells = {str(cell["field"]): cell.get("value") for cell in values if isinstance(cell, dict)}
        yield from _in_object(cells, growth, group, depth + 1)
        return
    for value in values:
        yield from records_in(value, growth, group, depth + 1)


def _in_object(value: dict[str, object], growth: Growth, group: str, depth: int) -> Iterator[Found]:
    if is_network_activity(value):
        yield Unread(_STRUCT_TEXT) if has_struct_text(value) else Row(*flow_row(value))
        return
    if is_elastic_flow(value):
        row, original = Row(*elastic_row(value)), _original(value)
        yield row if original is None else FlowMessage(original, _group_of(value) or group, row)
        return
    if is_row(value):
        if isinstance(value.get("@message"), str):
            yield from records_in(value["@message"], growth, _group_of(value) or group, depth + 1)
        else:
            yield Row(value)
        return
    group = _group_of(value) or group
    text = next((value[key] for key in _MESSAGE_KEYS if isinstance(value.get(key), str)), None)
    is_inside = False
    for found in _inside(value, growth, group, depth):
        is_inside = is_inside or (isinstance(found, FlowMessage) and found.text == text)
        yield found
    if text is not None:
        if not is_inside:
            yield from records_in(text, growth, group, depth + 1)
        return
    for key in _DATA_KEYS:
        if isinstance(value.get(key), str):
            yield from _in_data(str(value[key]), growth, group, depth + 1)
    # last, as Elastic has the text of a record in message and also in event.original
    if isinstance(value.get("event"), (list, dict)):
        yield from records_in(value["event"], growth, group, depth + 1)


def _original(document: Mapping[str, object]) -> str | None:
    """Return the record in an Elasticsearch document; None if it was not kept."""
    event = document.get("event")
    places = (event.get("original") if isinstance(event, dict) else None, document.get("event.original"))
    return next((text for text in (*places, document.get("message")) if isinstance(text, str)), None)


def _inside(value: dict[str, object], growth: Growth, group: str, depth: int) -> Iterator[Found]:
    """Yield the records in the lists and objects of an object."""
    for row in athena_rows(value.get("ResultSet")):
        yield from _in_object(row, growth, group, depth + 1)
    for key in _INSIDE_KEYS:
        if isinstance(value.get(key), (list, dict)):
            yield from records_in(value[key], growth, group, depth + 1)
    if isinstance(fields := value.get("fields"), dict):
        yield from records_in(fields.get("event.original"), growth, group, depth + 1)


def _group_of(value: Mapping[str, object]) -> str:
    """Return the log group that an envelope names; Insights puts the account before it."""
    for key in ("logGroup", "logGroupName", "@log"):
        name = value.get(key)
        if isinstance(name, str) and name:
            return name.partition(":")[2] or name if key == "@log" else name
    return ""
