"""Takes records out of their envelopes, along the paths of ``envelope_tree``.

A value is followed from the outside in, one level at a time, and each level as the text that it is: what is
yielded is the text of a record exactly as it was written.
"""

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Raw, Struct

from cnitrail.jsontext import well_formed
from cnitrail.model import Growth
from cnitrail.model.forms import POD_FORMS
from cnitrail.scan.container_names import is_printed_by_others
from cnitrail.scan.control_plane import is_other_line, is_other_stream
from cnitrail.scan.cut_events import TRUNCATED, completed, time_of
from cnitrail.scan.envelope_tree import ROOT, Place
from cnitrail.scan.envelopes import Content
from cnitrail.scan.pod_forms import cni_record
from cnitrail.scan.pod_objects import is_empty_list, pod_form_of, why_no_evidence

_MAX_NESTED_LISTS: Final = 4
"""Maximum depth of lists around an outermost envelope, as ``--query`` and ``jq -s`` leave them."""

_NOT_RECORDS: Final = (
    {"digestStartTime", "digestS3Object"},
    {"PublicKeyList"},
    {"insightDetails"},
    {"detail-type", "detail"},
    {"s3Bucket", "s3ObjectKey"},
    {"bucket", "key", "metadata"},
    {"eventSource", "s3"},
    {"preview", "lastrow"},
)
"""Keys of objects that are no records: CloudTrail's digests, what ``sync`` saves beside them, public keys,
Insights events, and notifications that a log file was delivered; other EventBridge events; what Splunk writes
if there are no results."""

_BULK_ACTION: Final = re.compile(rb'\s*\{\s*"(?:index|create)"\s*:\s*\{(?:\s*"_[^{}]*)?\}\s*\}\s*')
"""The line that the bulk API of Elasticsearch and OpenSearch has before each document."""

_OF_LAMBDA: Final = b'"aws:'
"""What the source begins with in an element of an event for Lambda (``aws:kinesis``, ``aws:s3``, …). Such an
element may have an event name, too (``aws:kinesis:record``), and is no record."""

_GZIP: Final = b"\x1f\x8b"
"""What gzipped bytes begin with."""

_CONTROL_MESSAGE: Final = b'"CWL CONTROL MESSAGE'
"""With this, CloudWatch Logs checks whether the destination of a subscription can be reached."""


class FoundRecord(Struct, frozen=True):
    """A record in an envelope, as text, and its form.

    ``is_hidden`` means that it was compressed in there, so that a search of the envelope cannot see it.
    ``log_group`` is the log group of CloudWatch Logs that the envelope names.
    """

    text: bytes
    form: str
    is_hidden: bool = False
    log_group: str | None = None


class FoundRow(Struct, frozen=True):
    """A row of a query engine in an envelope, as text."""

    text: bytes
    content: Content


class KnownOther(Struct, frozen=True):
    """Something known that is no record."""


class Unknown(Struct, frozen=True, kw_only=True):
    """Something that is no record, and the reason; without a reason, no path of the table fits it.

    ``broken`` means that no program writes such a text; ``is_record``, that it takes the place of one record;
    ``is_of_all``, that the reason is one of the whole document and is listed once. A message ends with the
    beginning of ``text``, unless that may hold secrets.
    """

    reason: str | None = None
    text: bytes = b""
    broken: bool = False
    is_record: bool = True
    is_of_all: bool = False


Unwrapped = FoundRecord | FoundRow | KnownOther | Unknown

_NOT_SENT_BY_AWS: Final = Unknown(
    reason="an event of EventBridge with a record that AWS did not send: its source does not begin with aws."
)

_ORIGINALS: Final = frozenset(
    ("_raw", "@message", "full_message", "event.original", "CloudTrailEvent", "cloud_trail_event")
)
"""Keys under which Splunk, Insights, Graylog, Elastic, LookupEvents and steampipe keep an event as it was.
The fields beside it were extracted from it: they may have CloudTrail's names, or any other, and are less than
a record."""

_NO_ORIGINAL: Final = (b"null", b'""', b'"-"')
"""What is under such a key if nothing was kept; Kibana writes ``-``."""

_PARTS: Final = ("userIdentity", "requestParameters", "responseElements")
"""The parts of a record that are objects; in a row of a query engine they are texts."""

_IS_FIELD = re.compile(rb'\{\s*"field"\s*:')
_IS_MESSAGE = re.compile(rb'\{\s*"field"\s*:\s*"@message"')
_MAY_HAVE_RECORDS = re.compile(rb'"?\s*[{\[]')
_IS_RECORD = re.compile(rb'"?\s*\{')

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_LIST = msgspec.json.Decoder(list[Raw])
_TEXT = msgspec.json.Decoder(str)
_NUMBER = msgspec.json.Decoder(int)


class _InsightsField(Struct):
    """A field of a row of CloudWatch Logs Insights."""

    field: str
    value: Raw


_INSIGHTS_FIELD = msgspec.json.Decoder(_InsightsField)
_SPACE = b" \t\r\n"


def unwrap(text: bytes, place: Place, growth: Growth, log_group: str | None = None) -> Iterator[Unwrapped]:
    """Yield the records in a JSON value that is at a place of the table; at least one result.

    ``growth`` bounds what is decompressed; ``log_group`` is what is known of the value's. Raises
    ``ValueError`` if the value is not JSON.
    """
    walk = _Walk(growth, log_group)
    try:
        found = list(walk.value(text, place, nested_lists=0))
    except ValueError:
        found = list(walk.value(well_formed(text), place, nested_lists=0))
    yield from found or (KnownOther(),)


class _Walk:
    """Follows the paths of the table into a value, from the outside in."""

    def __init__(self, growth: Growth, log_group: str | None) -> None:
        self._growth = growth
        self._log_group = log_group
        self._log_event: Mapping[str, Raw | bytes] = {}
        """The envelope of the log event that is being read."""
        self._is_other_stream = False
        """Whether it is in a log stream of an EKS control plane that has no audit events."""

    def value(self, text: bytes, place: Place, nested_lists: int = _MAX_NESTED_LISTS) -> Iterator[Unwrapped]:
        """Yield what is in a value; ``nested_lists`` is the number of lists around it that no path has."""
        match text.lstrip(_SPACE)[:1]:
            case b"{":
                yield from self._object(text, place)
            case b"[":
                yield from self._list(text, place, nested_lists)
            case b'"':
                yield from self._text(text, place)
            case _:
                yield Unknown(reason="not an object but ", text=text, broken=True)

    def _object(self, text: bytes, place: Place) -> Iterator[Unwrapped]:
        """Yield an object if it is a record, else what is in its fields: in the first that has anything."""
        fields = _OBJECT.decode(text)
        originals = _originals(fields, place)
        record = _bare_record(text, fields, place, self._log_group)
        if record is not None and not originals:
            yield KnownOther() if _may_be_forged(record, fields) else record
            return
        if fields.keys() >= _LOKI_STREAM and bytes(fields["stream"]).startswith(b"{"):
            yield from self._loki_stream(fields)
            return
        if "detail" in place.keys and "detail" in fields and not _is_sent_by_aws(fields):
            is_record = b'"eventName"' in bytes(fields["detail"])
            yield _NOT_SENT_BY_AWS if is_record else KnownOther()
            return
        if place.chosen is not None and _has(fields, *place.chosen[:2]):
            place = place.chosen[2]
        self._note_logged(fields)
        failed: list[Unknown] = []
        for key in _in_order(place, originals or fields.keys()):
            inside, child = bytes(fields[key]), place.keys[key]
            found = self.value(inside, child)
            if child.element is not None and inside.startswith(b"["):
                yield from found
                return
            results = [result for result in found if not _may_be_forged(result, fields)]
            unknown = [result for result in results if isinstance(result, Unknown)]
            if not results or len(unknown) < len(results):
                yield from results
                return
            failed += unknown
        yield _without_records(text, fields, place, failed, is_row=not originals)

    def _list(self, text: bytes, place: Place, nested_lists: int) -> Iterator[Unwrapped]:
        """Yield what is in the elements of a list, or the list itself if it is a row."""
        if place.rows is Content.LAKE_ROW:
            yield FoundRow(text, place.rows)
            return
        values = [bytes(value) for value in _LIST.decode(text)]
        if values and _IS_FIELD.match(values[0]):
            self._note_logged(_insights_fields(values))
        if place is ROOT:
            columns = _columns(values)
            if columns is None:
                yield Unknown()
                return
            values = columns
        if place.element is not None and place.element.chosen is not None:
            key, name, _ = place.element.chosen
            chosen = [
                value for value in values if value[:1] == b"{" and _has(_OBJECT.decode(value), key, name)
            ]
            if not chosen:
                yield Unknown(reason=f"a row without {name}; select it in the query", is_of_all=True)
            for value in chosen:
                yield from self.value(value, place.element)
        elif place.element is not None:
            for value in values:
                yield from self.value(value, place.element)
        elif place is ROOT and nested_lists < _MAX_NESTED_LISTS:
            for value in values:
                yield from self.value(value, ROOT, nested_lists + 1)
        else:
            yield Unknown(reason="not an object but ", text=text, broken=True)

    def _text(self, text: bytes, place: Place) -> Iterator[Unwrapped]:
        """Yield what is in a text: packed bytes, JSON, or a line of a log."""
        if place.packed is not None:
            for result in self._converted(unpacked(_TEXT.decode(text), self._growth), place.packed):
                yield (
                    FoundRecord(result.text, result.form, is_hidden=True, log_group=result.log_group)
                    if isinstance(result, FoundRecord)
                    else result
                )
        elif place.text is None:
            yield Unknown(reason="not an object but ", text=text, broken=True)
        elif text.startswith(_CONTROL_MESSAGE):
            yield KnownOther()
        else:
            inside = _TEXT.decode(text)
            if self._is_other_stream or is_other_line(inside):
                yield KnownOther()
                return
            is_line = place.text.record is not None and not inside.startswith("{")
            line = cni_record(inside.encode()) if is_line else None
            if line is not None:
                yield FoundRecord(line, "ipamd-log")
            else:
                yield from self._converted(inside.encode(), place.text)

    def _loki_stream(self, fields: dict[str, Raw]) -> Iterator[Unwrapped]:
        """Yield what is in the lines of a stream of Grafana Loki, each with its time in nanoseconds."""
        labels = _STREAM_LABELS.decode(fields["stream"])
        self._log_group = labels.log_group or self._log_group
        for value in _LIST.decode(fields["values"]):
            written, line, *_ = _LIST.decode(value)
            nanoseconds = _text_of(written) or ""
            self._log_event = {"message": line, "timestamp": nanoseconds[:-6].encode()}
            for result in self._text(bytes(line), ROOT):
                if not _may_be_forged(result, fields):
                    yield result

    def _converted(self, inside: bytes, place: Place) -> Iterator[Unwrapped]:
        try:
            yield from self.value(inside, place)
        except RecursionError:
            yield Unknown(reason="broken JSON (depth limit exceeded): ", text=inside)
        except ValueError as error:
            is_cut = inside.rstrip(_SPACE).endswith(TRUNCATED)
            event = completed(inside, _logged_at(self._log_event)) if is_cut else None
            if event is not None:
                yield FoundRecord(event, "eks-audit", log_group=self._log_group)
                return
            reason = "cut short by CloudWatch Logs" if is_cut else f"broken JSON ({error})"
            yield Unknown(reason=f"{reason}: ", text=inside)

    def _note_logged(self, fields: Mapping[str, Raw | bytes]) -> None:
        """Note the log group of CloudWatch Logs that an envelope names, and its log event."""
        if "message" in fields or "@message" in fields:
            self._log_event = fields
        if _LOG_NAMES.isdisjoint(fields):
            return
        for key in ("logGroup", "@log"):
            if key in fields:
                self._log_group = _text_of(fields[key]) or self._log_group
        for key in ("logStream", "logStreamName", "@logStream"):
            if key in fields:
                self._is_other_stream = is_other_stream(_text_of(fields[key]))


_LOG_NAMES: Final = frozenset(("logGroup", "@log", "logStream", "logStreamName", "@logStream"))
"""Keys under which an envelope names its log group or log stream."""


def _logged_at(event: Mapping[str, Raw | bytes]) -> str | None:
    """Return when CloudWatch Logs got a log event, if its envelope says so."""
    if "message" in event:
        return time_of(_number_of(event.get("timestamp")))
    time = _text_of(event.get("@timestamp"))
    return time.replace(" ", "T") + "Z" if time is not None else None


def _in_order(place: Place, keys: AbstractSet[str]) -> Iterable[str]:
    """Return those of an object's keys that the table has at a place, in the order of the table."""
    found = place.keys.keys() & keys
    return found if len(found) < 2 else [key for key in place.keys if key in found]


def _without_records(
    text: bytes, fields: Mapping[str, Raw], place: Place, failed: Sequence[Unknown], *, is_row: bool
) -> Unwrapped:
    """Return what an object is in which no record was found: ``failed`` says why, by field.

    ``is_row``: if rows are expected at its place, it may be one.
    """
    if _NOT_SENT_BY_AWS in failed:
        return _NOT_SENT_BY_AWS
    is_known = any(keys <= fields.keys() for keys in _NOT_RECORDS) and not _hides_record(fields)
    if is_empty_list(fields) or is_known or (place is ROOT and _BULK_ACTION.fullmatch(text)):
        return KnownOther()
    if (reason := why_no_evidence(fields)) is not None:
        return Unknown(reason=reason, is_record=False)
    if any(_lacks_list(fields, key, child) for key, child in place.keys.items()):
        return Unknown(reason="no list of records: ", text=text, is_record=False)
    if place.rows is not None and is_row:
        return FoundRow(text, place.rows)
    if "EventId" in fields:
        return Unknown(reason="a LookupEvents item without its CloudTrailEvent")
    return next((result for result in failed if result != Unknown()), Unknown())


def _lacks_list(fields: Mapping[str, Raw], key: str, child: Place) -> bool:
    """Return whether something else is under a key that has a list of records."""
    if child.element is None or key not in fields:
        return False
    return not (child.keys and bytes(fields[key]).startswith(b"{"))


def _may_be_forged(result: Unwrapped, envelope: dict[str, Raw]) -> bool:
    """Return whether it is pod evidence in the output of a container, as fluent-bit and others collect it.

    Any pod can print what looks like it; only the CNI's own container counts.
    """
    return (
        isinstance(result, FoundRecord)
        and result.form in POD_FORMS
        and is_printed_by_others(envelope, may_be_aws_node=result.form == "ipamd-log")
    )


class _StreamLabels(Struct, rename={"log_group": "__aws_cloudwatch_log_group"}):
    """The labels of a stream of Loki that matter: lambda-promtail names the log group."""

    log_group: str | None = None


_STREAM_LABELS = msgspec.json.Decoder(_StreamLabels)
_LOKI_STREAM: Final = {"stream", "values"}


def _insights_fields(values: list[bytes]) -> dict[str, Raw]:
    """Return the values of a row of CloudWatch Logs Insights by the names of the fields."""
    found: dict[str, Raw] = {}
    for value in values:
        with suppress(ValueError):
            cell = _INSIGHTS_FIELD.decode(value)
            found[cell.field] = cell.value
    return found


def _text_of(value: Raw | bytes | None) -> str | None:
    """Return a JSON value if it is a text, else None."""
    try:
        return _TEXT.decode(value) if value is not None else None
    except ValueError:
        return None


def _number_of(value: Raw | bytes | None) -> int | None:
    """Return a JSON value if it is an integer, else None."""
    try:
        return _NUMBER.decode(value) if value is not None else None
    except ValueError:
        return None


def _bare_record(
    text: bytes, fields: dict[str, Raw], place: Place, log_group: str | None
) -> FoundRecord | FoundRow | None:
    """Return the record that an object is itself; None if none may be here, or it is none."""
    if place.record is None:
        return None
    is_named = bytes(fields.get("eventName", b"")).startswith(b'"')
    if not is_named or bytes(fields.get("eventSource", b"")).startswith(_OF_LAMBDA):
        form = pod_form_of(fields)
        return FoundRecord(text.strip(_SPACE), form, log_group=log_group) if form is not None else None
    if place.record in POD_FORMS:
        return None
    has_structs = any(_is_struct_text(bytes(fields.get(key, b""))) for key in _PARTS)
    return FoundRow(text, Content.ROW) if has_structs else FoundRecord(text, place.record)


def _hides_record(fields: Mapping[str, Raw]) -> bool:
    """Return whether an object that is none of ours has what may be a record where no path leads."""
    return any(b"eventName" in bytes(fields.get(key, b"")) for key in ("detail", "result"))


def _originals(fields: dict[str, Raw], place: Place) -> set[str]:
    """Return the keys at a place under which an object has an event as it was."""
    keys = _ORIGINALS.intersection(fields, place.keys)
    return {key for key in keys if bytes(fields[key]) not in _NO_ORIGINAL}


def has_original(row: dict[str, object]) -> bool:
    """Return whether a row has an event as it was, so that its other columns do not matter."""
    return any(row.get(key) not in (None, "", "-") for key in _ORIGINALS)


def _is_sent_by_aws(fields: dict[str, Raw]) -> bool:
    """Return whether an event of EventBridge is one of AWS's own, as far as it says who sent it.

    PutEvents refuses sources that begin with ``aws.``; partners have ``aws.partner/``.
    """
    source = bytes(fields.get("source", b'"aws.'))
    return source.startswith(b'"aws.') and not source.startswith(b'"aws.partner')


def _is_struct_text(value: bytes) -> bool:
    """Return whether a JSON value is the text of a struct (``"{type=…}"``), which is not JSON."""
    return value.startswith(b'"{') and value[2:3].isalpha()


def _columns(values: list[bytes]) -> list[bytes] | None:
    """Return the record alone if the values are the columns of one row, otherwise all values.

    So ``--query`` writes a row, as in ``Events[].[EventTime,CloudTrailEvent]`` and ``results``: values beside
    one object or its text; or the fields of CloudWatch Logs Insights, of which the message is the record.
    None if a row has no record, or if it is not known which of several texts is the record.
    """
    messages = [value for value in values if _IS_MESSAGE.match(value)]
    if len(messages) == 1 and all(map(_IS_FIELD.match, values)):
        return messages
    if all(map(_MAY_HAVE_RECORDS.match, values)):
        return values
    records = [value for value in values if _IS_RECORD.match(value)]
    return records if len(records) == 1 else None


def _has(fields: dict[str, Raw], key: str, value: str) -> bool:
    """Return whether an object has a text under a key."""
    return key in fields and bytes(fields[key]) == msgspec.json.encode(value)


def unpacked(text: str, growth: Growth) -> bytes:
    """Return the text that was written as Base64, and perhaps gzipped before. Raises ``ValueError``."""
    import binascii
    from base64 import b64decode

    try:
        stored = b64decode(text, validate=True)
        if not stored.startswith(_GZIP):
            return stored
        inflating = zlib.decompressobj(wbits=31)
        inflated = inflating.decompress(stored, max(1 << 20, growth.most * len(stored)))
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"not Base64, or damaged gzip in it: {error}") from None
    if not inflating.eof:
        raise ValueError(f"a gzip bomb, or cut short: {growth.refusal}")
    return inflated
