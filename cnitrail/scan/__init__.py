"""The bytes of a log file → the few records that matter, each with where it came from.

A document is inflated, cut into its records without parsing them, and only those in which the
name of a relevant event stands are handed on. Nothing is held but the record at hand, so a file
may have any size. What cannot be read becomes a ``Skipped``; everything around it is still read.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

import msgspec
from msgspec import Struct, field

from cnitrail.jsontext import parse
from cnitrail.model import Document, Extent, Growth, Origin, Record, Sign, Skipped
from cnitrail.scan.activity_signs import sign_of
from cnitrail.scan.canonical import CLOSING, NEXT, OPENING, Standard
from cnitrail.scan.inflate import Torn, keep_memory, text_of
from cnitrail.scan.multisearch import Bytes, pattern_of
from cnitrail.scan.split import UnreadableSpan, excerpt, items_of

BLOCK: Final = 1024 * 1024
"""As much text as is looked at at a time, in bytes, where it comes in pieces."""


MOST_TOLD: Final = 1000
"""So much that cannot be read is told one by one of each document, and nothing twice."""

_JSON: Final = msgspec.json.Decoder(msgspec.Raw)


class Tally(Struct):
    """What was read of a document, counted while it is scanned."""

    bytes: int = 0
    records: int = 0
    passed_over: int = 0
    """Those that are of no matter."""
    untold: int = 0
    """Those that cannot be read, and are told only as a number."""
    damaged: bool = False
    """Whether a text is torn, broken, or could not be read to its end: what was read may be altered."""
    signs: set[Sign] = field(default_factory=set)
    """(account, Region, minute) of records that are of no matter, where they are asked for."""


class Scanner:
    """Finds the records that name one of some events.

    ``names`` are event names; ``markers`` are further texts that make a record relevant (the
    service that calls AssumeRole, for instance, as its name alone stands in a tenth of all
    records). A scanner may find too much, never too little: an ASCII letter, digit, dot or hyphen
    written as an escape counts as a hit, too. ``growth`` bounds the text of compressed files. May be
    used by several threads at once.
    """

    def __init__(
        self,
        names: Iterable[str],
        markers: Iterable[str] = (),
        growth: Growth = Growth(),  # noqa: B008
    ) -> None:
        names, markers = sorted(names), sorted(markers)
        self._needle = pattern_of(names, markers)
        self._standard = Standard(names, markers)
        self._growth = growth
        keep_memory()

    def scan(self, document: Document, tally: Tally, *, signs: bool = False) -> Iterator[Record | Skipped]:
        """The relevant records of a document, and what of it could not be read.

        With ``signs``, the tally learns when and where the other records happened.
        """
        bytes_before, index = tally.bytes, 0
        written = text_of(_counted(document.chunks, tally), self._growth)
        text, more = _block(b"", written.pieces)
        while (end := _end_of_records(text, more)) > 0:
            checked = written.checked and not isinstance(more, _Damaged)
            whole = text if more is None else text[:end]
            found = self._standard.find(whole, end, checked=checked, last=more is None, signs=signs)
            if found is None:
                break
            tally.records += found.records
            tally.passed_over += found.records - len(found.hits)
            tally.signs |= found.signs
            for place, payload in found.hits:
                yield Record((Origin(document.uri, index + place),), payload)
            if more is None:
                return
            index += found.records
            text, more = _block(OPENING + text[end + 1 :], more)
        yield from self._split(document.uri, chain((text,), more or ()), index, tally, signs=signs)
        if tally.bytes == bytes_before:
            yield Skipped(document.uri, "the file is empty", Extent.PART)

    def _split(
        self, uri: str, pieces: Iterator[Bytes], index: int, tally: Tally, *, signs: bool
    ) -> Iterator[Record | Skipped]:
        """The same of a text of any shape, whose first record has this index."""
        told: set[str] = set()
        more = 0
        for item in items_of(map(bytes, pieces)):
            skipped: Skipped | None = None
            if isinstance(item, UnreadableSpan):
                tally.damaged = True
                skipped = Skipped(uri, item.reason, Extent.PART)
            else:
                try:
                    inside = self._payload(item)
                    if inside is None and signs:
                        tally.signs.update(_sign(item))
                except _NotALog:
                    continue
                except _NoRecord as error:
                    skipped = Skipped(uri, str(error), Extent.PART)
                except _NotARecord as error:
                    tally.damaged |= isinstance(error, _Broken)
                    skipped = Skipped(uri, f"record {index}: {error}", Extent.RECORD)
                else:
                    if inside is None:
                        tally.passed_over += 1
                    else:
                        yield Record((Origin(uri, index),), inside)
            if skipped is None or skipped.extent is Extent.RECORD:
                tally.records += 1
                index += 1
            if skipped is None:
                continue
            if len(told) < MOST_TOLD and skipped.reason not in told:
                told.add(skipped.reason)
                yield skipped
            else:
                more += 1
                tally.untold += skipped.extent is Extent.RECORD
        if more:
            yield Skipped(uri, f"{more:,} more that cannot be read", Extent.PART)

    def _payload(self, item: bytes) -> bytes | None:
        """The record inside an item, or None where it is of no matter."""
        if item[:1] != b"{":
            raise _Broken(f"not an object but {excerpt(item)}")
        if self._needle.search(item) is None and b"eventName" in item and _is_json(item):
            return None
        try:
            fields = parse(item)
        except ValueError as error:
            raise _Broken(f"broken JSON ({error}): {excerpt(item)}") from None
        assert isinstance(fields, dict)
        return _unwrap(fields, item)


class _Damaged:
    """The rest of a text that is torn."""

    def __init__(self, torn: Torn) -> None:
        self._torn = torn

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        raise self._torn


def _block(begun: bytes, pieces: Iterator[Bytes]) -> tuple[Bytes, Iterator[Bytes] | None]:
    """As much of a text as is looked at at a time, and what follows; None at its end."""
    held: list[Bytes] = [begun] if begun else []
    size = len(begun)
    try:
        for piece in pieces:
            is_enough = size > BLOCK
            held.append(piece)
            size += len(piece)
            if is_enough:
                return b"".join(held), pieces
    except Torn as torn:
        return b"".join(held), _Damaged(torn)
    return held[0] if len(held) == 1 else b"".join(held), None


def _end_of_records(text: Bytes, more: Iterator[Bytes] | None) -> int:
    """Where the last whole record of a text ends; 0 where the text is not as CloudTrail writes it."""
    if not text.startswith(OPENING):
        return 0
    if more is not None:
        return text.rfind(NEXT) + 1
    return len(text) - len(CLOSING) if text.endswith(b"}" + CLOSING) else 0


class _NotARecord(Exception):
    """An item that is no record."""


class _Broken(_NotARecord):
    """An item that nobody writes: its document is damaged."""


class _NoRecord(Exception):
    """An item that has something else where its records should be."""


class _NotALog(Exception):
    """CloudTrail's own list of log files, or of its keys: no evidence of a call, and no damage."""


def _is_json(item: bytes) -> bool:
    """Whether an item is JSON, or too deeply nested to tell."""
    try:
        _JSON.decode(item)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _unwrap(fields: dict[str, object], item: bytes) -> bytes:
    """The record inside a LookupEvents item or an EventBridge envelope; the item itself, if it is one.

    Where a file has one record, and not a list of them, it is that one.
    """
    if "eventName" in fields:
        return item
    match fields:
        case {"CloudTrailEvent": str(text)}:
            return text.encode()
        case {"CloudTrailEvent": dict(record)} | {"detail-type": str(), "detail": dict(record)}:
            return _dumped(record)
        case {"Records": dict(record)}:
            return _dumped(record)
        case {"Records": _} | {"Events": _}:
            raise _NoRecord(f"no list of records: {excerpt(item)}")
        case {"insightDetails": _}:
            return item
        case {"digestStartTime": _, "digestS3Object": _} | {"PublicKeyList": _}:
            raise _NotALog
        case {"EventId": _}:
            raise _NotARecord("a LookupEvents item without its CloudTrailEvent")
    raise _NotARecord(f"not a CloudTrail record (no eventName): {excerpt(item)}")


def _sign(item: bytes) -> Iterator[Sign]:
    """Where and when a record happened; none where it does not say."""
    try:
        fields = parse(item)
        record = parse(_unwrap(fields, item)) if isinstance(fields, dict) else None
    except (ValueError, _NotARecord, _NoRecord, _NotALog):
        return
    if isinstance(record, dict):
        sign = sign_of(record.get("recipientAccountId"), record.get("awsRegion"), record.get("eventTime"))
        if sign is not None:
            yield sign


def _dumped(record: dict[str, object]) -> bytes:
    try:
        return msgspec.json.encode(record)
    except RecursionError:
        raise _NotARecord("the record in its envelope is nested too deeply") from None


def _counted(chunks: Iterator[bytes], tally: Tally) -> Iterator[bytes]:
    """The chunks without empty ones: an empty chunk is not the end."""
    for chunk in chunks:
        tally.bytes += len(chunk)
        if chunk:
            yield chunk
