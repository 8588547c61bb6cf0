"""The bytes of a log file → its few relevant records, each with where it was found.

A document is decompressed and split into records without parsing them; only the records that contain
the name of a relevant event are yielded. No more than one record is kept in memory, so a file may have
any size. What cannot be read becomes a ``Skipped``; everything around it is still read.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

import msgspec
from msgspec import Struct, field

from cnitrail.jsontext import parse
from cnitrail.model import Document, Extent, Growth, Origin, Record, Sign, Skipped
from cnitrail.scan.activity_signs import sign_of
from cnitrail.scan.canonical import CLOSING, NEXT, OPENING, CanonicalScanner
from cnitrail.scan.inflate import TornStream, inflated_text, raise_mmap_threshold
from cnitrail.scan.multisearch import Bytes, relevance_pattern
from cnitrail.scan.split import UnreadableSpan, excerpt, split_items

BLOCK: Final = 1024 * 1024
"""Minimum number of bytes that are scanned at once, if the text comes in pieces."""


MAX_ERRORS: Final = 1000
"""Maximum number of distinct errors that are listed for each document; the others are only counted."""

_JSON: Final = msgspec.json.Decoder(msgspec.Raw)


class Tally(Struct, kw_only=True):
    """Counts of what was read of one document, updated while it is scanned."""

    bytes: int = 0
    records: int = 0
    passed_over: int = 0
    """Records that are not relevant."""
    unlisted: int = 0
    """Unreadable records that are counted, but not listed as a ``Skipped`` of their own."""
    damaged: bool = False
    """Whether the text is cut short, broken, or failed to be read: its content may have been altered."""
    signs: set[Sign] = field(default_factory=set)
    """(account, Region, minute) of the records that are not relevant, if asked for."""


class Scanner:
    """Finds the records of certain events.

    ``names`` are event names; ``markers`` are further texts that make a record relevant (the service that
    calls AssumeRole, for instance: the event name alone is in a tenth of all records). A scanner may find
    too much, never too little: an ASCII letter, digit, dot or hyphen written as a JSON escape counts as a
    match. ``growth`` bounds how far compressed files may expand. Thread-safe.
    """

    def __init__(
        self,
        names: Iterable[str],
        markers: Iterable[str] = (),
        growth: Growth = Growth(),  # noqa: B008
    ) -> None:
        names, markers = sorted(names), sorted(markers)
        self._relevant = relevance_pattern(names, markers)
        self._canonical = CanonicalScanner(names, markers)
        self._growth = growth
        raise_mmap_threshold()

    def scan(self, document: Document, tally: Tally, *, signs: bool = False) -> Iterator[Record | Skipped]:
        """Yield the relevant records of a document, and what could not be read of it.

        With ``signs``, add the account, Region and minute of all other records to the tally.
        """
        bytes_before, index = tally.bytes, 0
        inflated = inflated_text(_counted(document.chunks, tally), self._growth)
        text, more = _block(b"", inflated.pieces)
        while (end := _end_of_records(text, more)) > 0:
            checked = inflated.checked and not isinstance(more, _TornRest)
            whole = text if more is None else text[:end]
            found = self._canonical.find(whole, end, checked=checked, last=more is None, signs=signs)
            if found is None:
                break
            tally.records += found.records
            tally.passed_over += found.records - len(found.hits)
            tally.signs |= found.signs
            for number, payload in found.hits:
                yield Record((Origin(document.uri, index + number),), payload)
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
        """Yield the same from a text of any layout, whose first record has this index."""
        errors = _ErrorList(uri, tally)
        for item in split_items(map(bytes, pieces)):
            if isinstance(item, UnreadableSpan):
                tally.damaged = True
                yield from errors.add(item.reason, Extent.PART)
                continue
            try:
                payload = self._payload(item)
            except _NotALog:
                continue
            except _NoRecordList as error:
                yield from errors.add(str(error), Extent.PART)
                continue
            except _NotARecord as error:
                tally.damaged |= isinstance(error, _BrokenItem)
                yield from errors.add(f"record {index}: {error}", Extent.RECORD)
            else:
                if payload is not None:
                    yield Record((Origin(uri, index),), payload)
                else:
                    tally.passed_over += 1
                    if signs:
                        tally.signs.update(_sign(item))
            tally.records += 1
            index += 1
        yield from errors.rest()

    def _payload(self, item: bytes) -> bytes | None:
        """Return the record in an item; None if it is not relevant."""
        if item[:1] != b"{":
            raise _BrokenItem(f"not an object but {excerpt(item)}")
        if self._relevant.search(item) is None and b"eventName" in item and _is_json(item):
            return None
        try:
            fields = parse(item)
        except ValueError as error:
            raise _BrokenItem(f"broken JSON ({error}): {excerpt(item)}") from None
        assert isinstance(fields, dict)
        return _unwrap(fields, item)


class _ErrorList:
    """The errors of one document: each distinct one is listed, up to a maximum; the others are counted."""

    def __init__(self, uri: str, tally: Tally) -> None:
        self._uri = uri
        self._tally = tally
        self._listed: set[str] = set()
        self._more = 0

    def add(self, reason: str, extent: Extent) -> tuple[Skipped, ...]:
        """Return the error if it is to be listed."""
        if len(self._listed) < MAX_ERRORS and reason not in self._listed:
            self._listed.add(reason)
            return (Skipped(self._uri, reason, extent),)
        self._more += 1
        self._tally.unlisted += extent is Extent.RECORD
        return ()

    def rest(self) -> tuple[Skipped, ...]:
        """Return how many errors were not listed, if any."""
        if not self._more:
            return ()
        return (Skipped(self._uri, f"{self._more:,} more unreadable parts", Extent.PART),)


class _TornRest:
    """The rest of a text whose stream is torn: nothing but the error."""

    def __init__(self, torn: TornStream) -> None:
        self._torn = torn

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        raise self._torn


def _block(beginning: bytes, pieces: Iterator[Bytes]) -> tuple[Bytes, Iterator[Bytes] | None]:
    """Return the next text to scan at once, and the pieces after it; None at the end."""
    block: list[Bytes] = [beginning] if beginning else []
    size = len(beginning)
    try:
        for piece in pieces:
            is_enough = size > BLOCK
            block.append(piece)
            size += len(piece)
            if is_enough:
                return b"".join(block), pieces
    except TornStream as torn:
        return b"".join(block), _TornRest(torn)
    return block[0] if len(block) == 1 else b"".join(block), None


def _end_of_records(text: Bytes, more: Iterator[Bytes] | None) -> int:
    """Return the offset at which the last whole record ends; 0 if CloudTrail does not write such a text."""
    if not text.startswith(OPENING):
        return 0
    if more is not None:
        return text.rfind(NEXT) + 1
    return len(text) - len(CLOSING) if text.endswith(b"}" + CLOSING) else 0


class _NotARecord(Exception):
    """An item is not a record."""


class _BrokenItem(_NotARecord):
    """An item is not what any program writes: its document is damaged."""


class _NoRecordList(Exception):
    """An item has something other than a list under ``Records`` or ``Events``."""


class _NotALog(Exception):
    """An item is a digest file or a list of public keys: no evidence of a call, and no damage."""


def _is_json(item: bytes) -> bool:
    """Whether an item is JSON; also true if it is nested too deeply to check."""
    try:
        _JSON.decode(item)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _unwrap(fields: dict[str, object], item: bytes) -> bytes:
    """Return the record in a LookupEvents item or an EventBridge envelope, or the item if it is a record.

    A file may also have a single record under ``Records`` instead of a list.
    """
    if "eventName" in fields:
        return item
    match fields:
        case {"CloudTrailEvent": str(text)}:
            return text.encode()
        case {"CloudTrailEvent": dict(record)} | {"detail-type": str(), "detail": dict(record)}:
            return _encoded(record)
        case {"Records": dict(record)}:
            return _encoded(record)
        case {"Records": _} | {"Events": _}:
            raise _NoRecordList(f"no list of records: {excerpt(item)}")
        case {"insightDetails": _}:
            return item
        case {"digestStartTime": _, "digestS3Object": _} | {"PublicKeyList": _}:
            raise _NotALog
        case {"EventId": _}:
            raise _NotARecord("a LookupEvents item without its CloudTrailEvent")
    raise _NotARecord(f"not a CloudTrail record (no eventName): {excerpt(item)}")


def _sign(item: bytes) -> Iterator[Sign]:
    """Yield the account, Region and minute of a record, if it has all three."""
    try:
        fields = parse(item)
        record = parse(_unwrap(fields, item)) if isinstance(fields, dict) else None
    except (ValueError, _NotARecord, _NoRecordList, _NotALog):
        return
    if isinstance(record, dict):
        sign = sign_of(record.get("recipientAccountId"), record.get("awsRegion"), record.get("eventTime"))
        if sign is not None:
            yield sign


def _encoded(record: dict[str, object]) -> bytes:
    try:
        return msgspec.json.encode(record)
    except RecursionError:
        raise _NotARecord("the record in its envelope is nested too deeply") from None


def _counted(chunks: Iterator[bytes], tally: Tally) -> Iterator[bytes]:
    """Yield the chunks, counted, without empty ones: an empty chunk is not the end."""
    for chunk in chunks:
        tally.bytes += len(chunk)
        if chunk:
            yield chunk
