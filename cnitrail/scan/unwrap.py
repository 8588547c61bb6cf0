"""Takes records out of their envelopes, along the paths of the table ``envelopes``.

A value is followed from the outside in, one level at a time, and each level as the text that it is: what is
yielded is the text of a record exactly as it was written.
"""

import re
import zlib
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw, Struct, field

from cnitrail.jsontext import well_formed
from cnitrail.model import Growth
from cnitrail.scan.envelopes import ENVELOPES, MESSAGES, Content, Envelope
from cnitrail.scan.split import excerpt


class Place(Struct, kw_only=True):
    """A place in an envelope: what may be here, and which steps lead further in."""

    record: str | None = None
    """The form of a record that is here."""
    rows: Content | None = None
    """The kind of rows that may be here."""
    keys: dict[str, "Place"] = field(default_factory=dict)
    element: "Place | None" = None
    chosen: "tuple[str, str, Place] | None" = None
    """A key, its value, and the place of an object that has both."""
    text: "Place | None" = None
    """What a JSON text here contains."""
    packed: "Place | None" = None
    """What the gzipped bytes in a Base64 text here contain."""


_STEP: Final = re.compile(
    r'"(?P<quoted>[^"]+)"|(?P<key>[^."\[\]{}|]+)|(?P<element>\[\])|\{(?P<field>[^=]+)=(?P<value>[^}]+)\}'
    r"|(?P<packed>\|base64\|gzip\|json)|(?P<text>\|json)|(?P<dot>\.)"
)


def _child(place: Place, step: re.Match[str]) -> Place:
    """Return the place that a step leads to; it is made if there is none yet."""
    match step.lastgroup:
        case "dot":
            return place
        case "element":
            place.element = place.element or Place()
            return place.element
        case "text":
            place.text = place.text or Place()
            return place.text
        case "packed":
            place.packed = place.packed or Place()
            return place.packed
        case "value":
            place.chosen = place.chosen or (step["field"], step["value"], Place())
            return place.chosen[2]
    return place.keys.setdefault(step["quoted"] or step["key"], Place())


def _tree(envelopes: tuple[Envelope, ...]) -> Place:
    """Return the table as a tree, in which each path is followed only as far as a text has its steps."""
    root = Place()
    for envelope in envelopes:
        is_message = envelope.content is Content.MESSAGE
        for suffix, bare_form in MESSAGES if is_message else MESSAGES[:1]:
            place = root
            for step in _STEP.finditer(envelope.path + suffix):
                place = _child(place, step)
            if envelope.content in (Content.RECORD, Content.MESSAGE):
                is_bare = envelope.path == "" and bare_form is not None
                place.record = place.record or (bare_form if is_bare else envelope.form)
            else:
                place.rows = envelope.content
    return root


ROOT: Final = _tree(ENVELOPES)
"""The outside: a document, a line, or an element of an outermost array."""

CONTAINERS: Final = {key: place.element for key, place in ROOT.keys.items() if place.element is not None}
"""The keys of a document's outermost object under which a list has one envelope or record in each element."""

_MAX_NESTED_LISTS: Final = 4
"""Maximum depth of lists around an outermost envelope, as ``--query`` and ``jq -s`` leave them."""

_NOT_RECORDS: Final = (
    {"digestStartTime", "digestS3Object"},
    {"PublicKeyList"},
    {"insightDetails"},
    {"detail-type", "detail"},
    {"s3Bucket", "s3ObjectKey"},
    {"bucket", "key", "metadata"},
    {"preview", "lastrow"},
)
"""Keys of objects that are no records: CloudTrail's digests, what ``sync`` saves beside them, public keys,
Insights events, and notifications that a log file was delivered; other EventBridge events; what Splunk writes
if there are no results."""

_CONTROL_MESSAGE: Final = b'"CWL CONTROL MESSAGE'
"""With this, CloudWatch Logs checks whether the destination of a subscription can be reached."""


class FoundRecord(Struct, frozen=True):
    """A record in an envelope, as text, and its form.

    ``is_hidden`` means that it was compressed in there, so that a search of the envelope cannot see it.
    """

    text: bytes
    form: str
    is_hidden: bool = False


class FoundRow(Struct, frozen=True):
    """A row of a query engine in an envelope, as text."""

    text: bytes
    content: Content


class KnownOther(Struct, frozen=True):
    """Something known that is no record."""


class Unknown(Struct, frozen=True):
    """Something that is no record, and the reason; without a reason, no path of the table fits it.

    ``broken`` means that no program writes such a text; ``is_record``, that it takes the place of one record;
    ``is_of_all``, that the reason is one of the whole document and is listed once.
    """

    reason: str | None = None
    broken: bool = False
    is_record: bool = True
    is_of_all: bool = False


Unwrapped = FoundRecord | FoundRow | KnownOther | Unknown

_NOT_SENT_BY_AWS: Final = Unknown(
    "an event of EventBridge with a record that AWS did not send: its source does not begin with aws."
)

_ORIGINALS: Final = frozenset(
    ("_raw", "@message", "full_message", "event.original", "CloudTrailEvent", "cloud_trail_event")
)
"""Keys under which Splunk, Insights, Graylog, Elastic, LookupEvents and steampipe keep an event as it was.
The fields beside it were extracted from it: they may have CloudTrail's names, or any other, and are less than
a record."""

_NO_ORIGINAL: Final = (b"null", b'""', b'"-"')
"""What is under such a key if nothing was kept; Kibana writes ``-``."""

_TRUNCATED: Final = b"[Truncated...]"
"""What CloudWatch Logs ends an event with that it cut."""

_PARTS: Final = ("userIdentity", "requestParameters", "responseElements")
"""The parts of a record that are objects; in a row of a query engine they are texts."""

_IS_FIELD = re.compile(rb'\{\s*"field"\s*:')
_IS_MESSAGE = re.compile(rb'\{\s*"field"\s*:\s*"@message"')
_MAY_HAVE_RECORDS = re.compile(rb'"?\s*[{\[]')
_IS_RECORD = re.compile(rb'"?\s*\{')

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_LIST = msgspec.json.Decoder(list[Raw])
_TEXT = msgspec.json.Decoder(str)
_SPACE = b" \t\r\n"


def unwrap(text: bytes, place: Place, growth: Growth) -> Iterator[Unwrapped]:
    """Yield the records in a JSON value that is at a place of the table; at least one result.

    ``growth`` bounds what is decompressed. Raises ``ValueError`` if the value is not JSON.
    """
    walk = _Walk(growth)
    try:
        found = list(walk.value(text, place, nested_lists=0))
    except ValueError:
        found = list(walk.value(well_formed(text), place, nested_lists=0))
    yield from found or (KnownOther(),)


class _Walk:
    """Follows the paths of the table into a value, from the outside in."""

    def __init__(self, growth: Growth) -> None:
        self._growth = growth

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
                yield Unknown(f"not an object but {excerpt(text)}", broken=True)

    def _object(self, text: bytes, place: Place) -> Iterator[Unwrapped]:
        fields = _OBJECT.decode(text)
        originals = _originals(fields, place)
        record = _bare_record(text, fields, place)
        if record is not None and not originals:
            yield record
            return
        if "detail" in place.keys and "detail" in fields and not _is_sent_by_aws(fields):
            is_record = b'"eventName"' in bytes(fields["detail"])
            yield _NOT_SENT_BY_AWS if is_record else KnownOther()
            return
        if place.chosen is not None and _has(fields, *place.chosen[:2]):
            place = place.chosen[2]
        failed: list[Unwrapped] = []
        for key, child in place.keys.items():
            if key in (originals or fields):
                inside = bytes(fields[key])
                found = self.value(inside, child)
                if child.element is not None and inside.startswith(b"["):
                    yield from found
                    return
                results = list(found)
                if not results or not all(isinstance(result, Unknown) for result in results):
                    yield from results
                    return
                failed += results
        if _NOT_SENT_BY_AWS in failed:
            yield _NOT_SENT_BY_AWS
        elif any(keys <= fields.keys() for keys in _NOT_RECORDS):
            yield KnownOther()
        elif any(
            child.element is not None
            and key in fields
            and not (child.keys and bytes(fields[key]).startswith(b"{"))
            for key, child in place.keys.items()
        ):
            yield Unknown(f"no list of records: {excerpt(text)}", is_record=False)
        elif place.rows is not None and not originals:
            yield FoundRow(text, place.rows)
        elif "EventId" in fields:
            yield Unknown("a LookupEvents item without its CloudTrailEvent")
        else:
            yield next((result for result in failed if result != Unknown()), Unknown())

    def _list(self, text: bytes, place: Place, nested_lists: int) -> Iterator[Unwrapped]:
        if place.rows is Content.LAKE_ROW:
            yield FoundRow(text, place.rows)
            return
        values = [bytes(value) for value in _LIST.decode(text)]
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
                yield Unknown(f"a row without {name}; select it in the query", is_of_all=True)
            for value in chosen:
                yield from self.value(value, place.element)
        elif place.element is not None:
            for value in values:
                yield from self.value(value, place.element)
        elif place is ROOT and nested_lists < _MAX_NESTED_LISTS:
            for value in values:
                yield from self.value(value, ROOT, nested_lists + 1)
        else:
            yield Unknown(f"not an object but {excerpt(text)}", broken=True)

    def _text(self, text: bytes, place: Place) -> Iterator[Unwrapped]:
        if place.packed is not None:
            for result in self._converted(_unpacked(_TEXT.decode(text), self._growth), place.packed):
                yield (
                    FoundRecord(result.text, result.form, is_hidden=True)
                    if isinstance(result, FoundRecord)
                    else result
                )
        elif place.text is None:
            yield Unknown(f"not an object but {excerpt(text)}", broken=True)
        elif text.startswith(_CONTROL_MESSAGE):
            yield KnownOther()
        else:
            yield from self._converted(_TEXT.decode(text).encode(), place.text)

    def _converted(self, inside: bytes, place: Place) -> Iterator[Unwrapped]:
        try:
            yield from self.value(inside, place)
        except ValueError as error:
            is_cut = inside.rstrip(_SPACE).endswith(_TRUNCATED)
            reason = "cut short by CloudWatch Logs" if is_cut else f"broken JSON ({error})"
            yield Unknown(f"{reason}: {excerpt(inside)}")


def _bare_record(text: bytes, fields: dict[str, Raw], place: Place) -> FoundRecord | FoundRow | None:
    """Return the record that an object is itself; None if none may be here, or it is none."""
    if place.record is None or "eventName" not in fields:
        return None
    has_structs = any(_is_struct_text(bytes(fields.get(key, b""))) for key in _PARTS)
    return FoundRow(text, Content.ROW) if has_structs else FoundRecord(text, place.record)


def _originals(fields: dict[str, Raw], place: Place) -> set[str]:
    """Return the keys at a place under which an object has an event as it was."""
    keys = _ORIGINALS.intersection(fields, place.keys)
    return {key for key in keys if bytes(fields[key]) not in _NO_ORIGINAL}


def has_original(row: dict[str, object]) -> bool:
    """Return whether a row has an event as it was, so that its other columns do not matter."""
    return any(row.get(key) not in (None, "", "-") for key in _ORIGINALS)


def _is_sent_by_aws(fields: dict[str, Raw]) -> bool:
    """Whether an event of EventBridge is one of AWS's own, as far as it says who sent it.

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
    """Whether an object has a text under a key."""
    return key in fields and bytes(fields[key]) == msgspec.json.encode(value)


def _unpacked(text: str, growth: Growth) -> bytes:
    """Return the text that was gzipped and written as Base64. Raises ``ValueError``."""
    import binascii
    from base64 import b64decode

    try:
        stored = b64decode(text, validate=True)
        inflating = zlib.decompressobj(wbits=31)
        inflated = inflating.decompress(stored, max(1 << 20, growth.most * len(stored)))
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"not gzip in Base64: {error}") from None
    if not inflating.eof:
        raise ValueError(f"a gzip bomb, or cut short: {growth.refusal}")
    return inflated
