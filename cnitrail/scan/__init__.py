"""The bytes of a log file → the few records that matter, each with where it came from.

A document is inflated, cut into its records without parsing them, and only those in which the
name of a relevant event stands are handed on. Nothing is held but the record at hand, so a file
may have any size. What cannot be read becomes a ``Skipped``; everything around it is still read.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import chain

import msgspec
from msgspec import Struct, field

from cnitrail.jsontext import parse
from cnitrail.model import Document, Origin, Record, Sign, Skipped
from cnitrail.scan.inflate import GZIP, Torn, inflate
from cnitrail.scan.split import Damage, excerpt, items_of
from cnitrail.scan.whole import ESCAPE, Whole

WHOLE_LIMIT = 16 * 1024 * 1024
"""The longest text that is looked at as a whole, in bytes; a longer one is cut while it is read."""


class Tally(Struct):
    """What was read of a document, counted while it is scanned."""

    bytes: int = 0
    records: int = 0
    signs: set[Sign] = field(default_factory=set)
    """(account, Region, minute) of records that are of no matter, where they are asked for."""


class Scanner:
    """Finds the records that name one of some events.

    ``names`` are event names; ``markers`` are further texts that make a record relevant (the
    service that calls AssumeRole, for instance, as its name alone stands in a tenth of all
    records). A scanner may find too much, never too little: an ASCII letter, digit, dot or hyphen
    written as an escape counts as a hit, too.
    """

    def __init__(self, names: Iterable[str], markers: Iterable[str] = ()) -> None:
        names, markers = sorted(names), sorted(markers)
        needles = b"|".join(re.escape(text).encode() for text in (*names, *markers))
        self._needle = re.compile(ESCAPE.pattern + b"|" + needles)
        self._whole = Whole(names, markers)

    def scan(self, document: Document, tally: Tally, *, signs: bool = False) -> Iterator[Record | Skipped]:
        """The relevant records of a document, and what of it could not be read.

        With ``signs``, the tally learns when and where the other records happened.
        """
        bytes_before, index = tally.bytes, 0
        beginnings: list[bytes] = []
        pieces, text = _gathered(inflate(_counted(document.chunks, tally, beginnings)))
        checked = bool(beginnings) and beginnings[0] == GZIP
        found = self._whole.find(text, checked=checked) if text is not None and not signs else None
        if found is not None:
            tally.records += found.records
            for place, payload in found.hits:
                yield Record((Origin(document.uri, place),), payload)
            return
        for item in items_of(pieces):
            if isinstance(item, Damage):
                yield Skipped(document.uri, item.reason)
                continue
            try:
                inside = self._payload(item)
                if inside is None and signs:
                    tally.signs.update(_sign(item))
            except _DigestFile:
                continue
            except _Unreadable as error:
                yield Skipped(document.uri, f"record {index}: {error}")
            else:
                if inside is not None:
                    yield Record((Origin(document.uri, index),), inside)
            tally.records += 1
            index += 1
        if tally.bytes == bytes_before:
            yield Skipped(document.uri, "the file is empty")

    def _payload(self, item: bytes) -> bytes | None:
        """The record inside an item, or None where it is of no matter."""
        if item[:1] != b"{":
            raise _Unreadable(f"not an object but {excerpt(item)}")
        if self._needle.search(item) is None and b"eventName" in item:
            return None
        try:
            fields = parse(item)
        except ValueError as error:
            raise _Unreadable(f"broken JSON ({error}): {excerpt(item)}") from None
        assert isinstance(fields, dict)
        return _unwrap(fields, item)


def _gathered(pieces: Iterator[bytes]) -> tuple[Iterator[bytes], bytes | None]:
    """The pieces of a text, and the text itself where it is sound and not too long to be held."""
    held: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size > WHOLE_LIMIT:
                return chain(held, pieces), None
    except Torn as torn:
        return _torn_after(held, torn), None
    text = b"".join(held)
    return iter((text,)), text


def _torn_after(held: list[bytes], torn: Torn) -> Iterator[bytes]:
    yield from held
    raise torn


class _Unreadable(Exception):
    """An item that is no record."""


class _DigestFile(Exception):
    """CloudTrail's own list of log files: no evidence of a call, and no damage."""


def _unwrap(fields: dict[str, object], item: bytes) -> bytes:
    """The record inside a LookupEvents item or an EventBridge envelope; the item itself, if it is one."""
    if "eventName" in fields:
        return item
    match fields:
        case {"CloudTrailEvent": str(text)}:
            return text.encode()
        case {"CloudTrailEvent": dict(record)} | {"detail-type": str(), "detail": dict(record)}:
            return _dumped(record)
        case {"insightDetails": _}:
            return item
        case {"digestStartTime": _, "digestS3Object": _}:
            raise _DigestFile
        case {"EventId": _}:
            raise _Unreadable("a LookupEvents item without its CloudTrailEvent")
    raise _Unreadable(f"not a CloudTrail record (no eventName): {excerpt(item)}")


def _sign(item: bytes) -> Iterator[Sign]:
    """Where and when a record happened; none where it does not say."""
    try:
        fields = parse(item)
        record = parse(_unwrap(fields, item)) if isinstance(fields, dict) else None
    except (ValueError, _Unreadable, _DigestFile):
        return
    match record:
        case {"eventTime": str(text), "recipientAccountId": str(account), "awsRegion": str(region)}:
            with suppress(ValueError):
                yield account, region, datetime.fromisoformat(text[:16] + "Z")


def _dumped(record: dict[str, object]) -> bytes:
    try:
        return msgspec.json.encode(record)
    except RecursionError:
        raise _Unreadable("the record in its envelope is nested too deeply") from None


def _counted(chunks: Iterator[bytes], tally: Tally, beginnings: list[bytes]) -> Iterator[bytes]:
    """The chunks, and of each its first bytes; without empty ones: an empty chunk is not the end."""
    for chunk in chunks:
        tally.bytes += len(chunk)
        if chunk:
            beginnings.append(chunk[:2])
            yield chunk
