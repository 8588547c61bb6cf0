"""What is found in one text: its records, what could not be read of it, and the counts of both."""

from bisect import bisect
from collections.abc import Iterator
from functools import cache
from typing import Final

import msgspec
from msgspec import Raw, Struct

from cnitrail.jsontext import parse
from cnitrail.model import Extent, Growth, Origin, Record, Skipped
from cnitrail.scan.activity_signs import sign_of
from cnitrail.scan.blocks import ElementBlock
from cnitrail.scan.envelopes import Content
from cnitrail.scan.multisearch import NameSearch
from cnitrail.scan.rows import Rebuilt, Refused, athena_rows, event_name_of, lake_row, rebuild
from cnitrail.scan.split import excerpt
from cnitrail.scan.tally import Tally
from cnitrail.scan.unwrap import (
    ROOT,
    FoundRecord,
    FoundRow,
    KnownOther,
    Place,
    Unknown,
    Unwrapped,
    has_original,
    unwrap,
)

MAX_ERRORS: Final = 1000
"""Maximum number of distinct errors that are listed for each document; the others are only counted."""

UNREADABLE: Final = "unreadable"
"""In place of the form of a record that could not be read."""

_UNKNOWN: Final = (
    "unknown envelope, {size}, no record read; known forms: docs/sources.md; it begins {beginning}"
)


class _Head(Struct, rename="camel", kw_only=True, gc=False):
    """The fields that say where and when a record happened; without an event name it is not a record."""

    event_name: Raw
    event_time: str = ""
    recipient_account_id: str = ""
    aws_region: str = ""


class _Object(Struct):
    """An object with anything in it."""


class _PlainHead(_Head, rename="camel", kw_only=True, gc=False):
    """The head of a record whose parameters and caller are objects; in a row, they may be texts."""

    user_identity: _Object | None = None
    request_parameters: _Object | None = None
    response_elements: _Object | None = None


_HEAD = msgspec.json.Decoder(_Head)
_PLAIN_HEAD = msgspec.json.Decoder(_PlainHead)


class Reading:
    """Collects what is found in one text.

    ``names`` finds the relevant records, ``growth`` bounds what is decompressed. The first record has
    ``index``; ``form`` is the form of the records that have no envelope. With ``signs``, the tally gets the
    account, Region and minute of the records that are not relevant.
    """

    def __init__(
        self,
        uri: str,
        tally: Tally,
        names: NameSearch,
        growth: Growth,
        *,
        index: int,
        signs: bool,
        form: str | None = None,
    ) -> None:
        self._uri = uri
        self._tally = tally
        self._may_matter = names.may_matter
        self._is_relevant = names.is_relevant
        self._growth = growth
        self._index = index
        self._form = form
        self._heads: set[tuple[str, str, str]] | None = set() if signs else None
        self._errors = _ErrorList(uri, tally)
        self._unknown_bytes = 0
        self._unknown_beginning = ""
        self._is_bare = False
        """Whether the last element was a record without an envelope: the next one is, too, as a rule."""
        self._text_key: str | None = None
        """The key under which the last element had its record as a text, if it had one."""

    def block(self, block: ElementBlock, place: Place) -> Iterator[Record | Skipped]:
        """Yield what is found in the elements of a block."""
        hits = sorted({bisect(block.starts, offset) - 1 for offset in self._may_matter(block.text)})
        start = 0
        for hit in hits:
            yield from self._others(block.values[start:hit], place)
            yield from self._element(block.values[hit], place, may_matter=True)
            start = hit + 1
        yield from self._others(block.values[start:], place)

    def _others(self, values: list[Raw], place: Place) -> Iterator[Record | Skipped]:
        """Yield what is found in elements without anything that makes a record relevant."""
        if not values or self._pass_over(values, place):
            return
        for value in values:
            if not self._pass_over([value], place):
                yield from self._element(value, place, may_matter=False)

    def _element(self, value: Raw, place: Place, *, may_matter: bool) -> Iterator[Record | Skipped]:
        yield from self.item(bytes(value), place, may_matter=may_matter)
        if self._text_key is None and not self._is_bare:
            self._text_key = _text_key(value, place)

    def item(
        self, text: bytes, place: Place, *, may_matter: bool | None = None
    ) -> Iterator[Record | Skipped]:
        """Yield what is found in a JSON value at a place of the table of envelopes."""
        if may_matter is None:
            may_matter = bool(self._may_matter(text))
        try:
            results = list(unwrap(text, place, self._growth))
        except RecursionError:
            if may_matter or b"eventName" not in text:
                reason = f"broken JSON (depth limit exceeded): {excerpt(text)}"
                yield from self.unreadable(reason, damaged=True)
            else:
                yield from self._record(text, place.record or "", relevant=False)
            return
        except ValueError as error:
            yield from self.unreadable(f"broken JSON ({error}): {excerpt(text)}", damaged=True)
            return
        for result in results:
            yield from self._found(result, text, may_matter=may_matter)

    def _found(self, result: Unwrapped, text: bytes, *, may_matter: bool) -> Iterator[Record | Skipped]:
        """Yield what is found in an envelope; ``text`` is the envelope."""
        match result:
            case FoundRecord():
                self._is_bare = result.text is text
                relevant = (may_matter or result.is_hidden) and self._is_relevant(result.text)
                yield from self._record(result.text, result.form, relevant=relevant)
            case FoundRow():
                yield from self._rows(result)
            case Unknown(None):
                self._unknown(text)
            case Unknown(is_record=False):
                yield from self._errors.add(result.reason or "", Extent.PART)
            case Unknown():
                once = result.reason if result.is_of_all else None
                yield from self.unreadable(result.reason or "", damaged=result.broken, once=once)
            case KnownOther():
                pass

    def row(self, row: dict[str, object], *, is_table: bool = True) -> Iterator[Record | Skipped]:
        """Yield what is found in a row of a query engine, or of a table with a record in a cell.

        ``is_table``: all rows have the same columns; rows that are objects may lack those without a value.
        """
        rebuilt = None
        if not has_original(row):
            rebuilt = rebuild(row, is_table=is_table, head_only=not self._row_may_matter(row))
        match rebuilt:
            case None:
                yield from self._in_cells(row)
            case Refused():
                yield from self._refused(row, rebuilt)
            case Rebuilt():
                yield from self._rebuilt(rebuilt)

    def _in_cells(self, row: dict[str, object]) -> Iterator[Record | Skipped]:
        """Yield the records in the cells of a row, which is then an envelope."""
        text = _encoded(row)
        for result in unwrap(text, ROOT, self._growth):
            if isinstance(result, FoundRow) and result.text == text:
                self._unknown(text)
            else:
                yield from self._found(result, text, may_matter=True)

    def _row_may_matter(self, row: dict[str, object]) -> bool:
        """Return whether the record in a row may be relevant: by its event name, or any other text in it."""
        name = event_name_of(row)
        if name is None or self._is_relevant(name.encode("utf-8", "replace")):
            return True
        try:
            return bool(self._may_matter(_encoded(row)))
        except (ValueError, TypeError, OverflowError, RecursionError):
            return True

    def unreadable(
        self, reason: str, *, damaged: bool = False, once: str | None = None
    ) -> tuple[Skipped, ...]:
        """Count a record that could not be read, and return the error if it is to be listed.

        Of those with the same ``once``, only the first one is.
        """
        self._tally.damaged |= damaged
        self._count(UNREADABLE)
        return self._errors.add(f"record {self._index - 1}: {reason}", Extent.RECORD, once=once)

    def _refused(self, row: dict[str, object], refused: Refused) -> tuple[Skipped, ...]:
        """Count a row from which no record can be rebuilt; all such rows of one reason are one error."""
        self._count(UNREADABLE)
        name = event_name_of(row)
        if name is not None and not self._is_relevant(name.encode()):
            self._tally.passed_over += 1
            return ()
        reason = f"record {self._index - 1}: {refused.reason}"
        return self._errors.add(reason, Extent.RECORD, once=refused.reason)

    def damage(self, reason: str) -> tuple[Skipped, ...]:
        """Note a part between the records that could not be read, and return it if it is to be listed."""
        self._tally.damaged = True
        return self._errors.add(reason, Extent.PART)

    def rest(self) -> Iterator[Skipped]:
        """Yield what is only known at the end of the text."""
        if self._unknown_bytes:
            size = _size(self._unknown_bytes)
            reason = _UNKNOWN.format(size=size, beginning=self._unknown_beginning)
            yield from self._errors.add(reason, Extent.PART)
        yield from self._errors.rest()
        for head in self._heads or ():
            sign = sign_of(*head)
            if sign is not None:
                self._tally.signs.add(sign)

    def _pass_over(self, values: list[Raw], place: Place) -> bool:
        """Count records that are not relevant, if all are where the last one was; return whether they are."""
        try:
            if self._text_key is not None:
                form = place.keys[self._text_key].text.record  # type: ignore[union-attr]
                texts = map(_text_under(self._text_key).decode, values)
                heads = [_PLAIN_HEAD.decode(found.text) for found in texts]
            elif self._is_bare:
                form = place.record
                heads = list(map(_PLAIN_HEAD.decode, values))
            else:
                return False
        except (ValueError, RecursionError):
            return False
        if form is None:
            return False
        self._count(form, len(heads))
        self._tally.passed_over += len(heads)
        if self._heads is not None:
            self._heads.update(
                (head.recipient_account_id, head.aws_region, head.event_time[:16]) for head in heads
            )
        return True

    def _record(self, text: bytes, form: str, *, relevant: bool) -> Iterator[Record]:
        form = self._count(form)
        if relevant:
            yield Record((Origin(self._uri, self._index - 1, form),), text)
            return
        self._tally.passed_over += 1
        if self._heads is not None:
            self._heads.update(place_and_time(text))

    def _count(self, form: str, number: int = 1) -> str:
        """Count records of one form, and return the form."""
        if form == "records" and self._form is not None:
            form = self._form
        self._index += number
        self._tally.records += number
        self._tally.forms[form] = self._tally.forms.get(form, 0) + number
        return form

    def _rows(self, found: FoundRow) -> Iterator[Record | Skipped]:
        """Yield the records that can be rebuilt from a row, or from the rows of one answer."""
        try:
            value = parse(found.text)
        except (ValueError, RecursionError) as error:
            yield from self.unreadable(f"broken JSON ({error}): {excerpt(found.text)}", damaged=True)
            return
        match found.content, value:
            case Content.ATHENA_RESULT, {"Rows": [*_]}:
                rows = list(athena_rows(value))
            case Content.LAKE_ROW, [*cells]:
                row = lake_row(cells)
                rows = [row] if row is not None else []
            case _, dict():
                rows = [value]
            case _:
                rows = []
        if not rows and found.content is not Content.ATHENA_RESULT:
            self._unknown(found.text)
        for row in rows:
            yield from self.row(row, is_table=found.content is not Content.ROW)

    def _rebuilt(self, rebuilt: Rebuilt) -> Iterator[Record | Skipped]:
        text = _encoded(rebuilt.record)
        relevant = self._is_relevant(text)
        yield from self._record(text, rebuilt.form, relevant=relevant)
        name = rebuilt.record["eventName"]
        if rebuilt.unread is not None and isinstance(name, str) and self._is_relevant(name.encode()):
            yield from self._errors.add(f"record {self._index - 1}: {rebuilt.unread}", Extent.PART)

    def _unknown(self, text: bytes) -> None:
        self._unknown_beginning = self._unknown_beginning or excerpt(text)
        self._unknown_bytes += len(text)


class _ErrorList:
    """The errors of one document: each distinct one is listed, up to a maximum; the others are counted."""

    def __init__(self, uri: str, tally: Tally) -> None:
        self._uri = uri
        self._tally = tally
        self._listed: set[str] = set()
        self._more = 0

    def add(self, reason: str, extent: Extent, once: str | None = None) -> tuple[Skipped, ...]:
        """Return the error if it is to be listed; of those with the same ``once``, only the first one is."""
        kind = once or reason
        if len(self._listed) < MAX_ERRORS and kind not in self._listed:
            self._listed.add(kind)
            return (Skipped(self._uri, reason, extent),)
        self._more += 1
        self._tally.unlisted += extent is Extent.RECORD
        return ()

    def rest(self) -> tuple[Skipped, ...]:
        """Return how many errors were not listed, if any."""
        if not self._more:
            return ()
        return (Skipped(self._uri, f"{self._more:,} more unreadable parts", Extent.PART),)


class _WithText(Struct):
    text: str


@cache
def _text_under(key: str) -> "msgspec.json.Decoder[_WithText]":
    """Return a decoder for objects of which only the text under a key is of interest."""
    with_text = msgspec.defstruct("WithText", [("text", str)], bases=(_WithText,), rename={"text": key})
    return msgspec.json.Decoder(with_text)


def _text_key(value: Raw, place: Place) -> str | None:
    """Return the key under which an element has its record as a text; None if there is none."""
    for key, child in place.keys.items():
        if child.text is not None and child.text.record is not None:
            try:
                _HEAD.decode(_text_under(key).decode(value).text.encode())
            except (ValueError, RecursionError):
                continue
            return key
    return None


def place_and_time(text: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield the account, Region and minute of a record, if it has all three."""
    try:
        head = _HEAD.decode(text)
    except (ValueError, RecursionError):
        return
    yield head.recipient_account_id, head.aws_region, head.event_time[:16]


def _encoded(record: dict[str, object]) -> bytes:
    return msgspec.json.encode(record, enc_hook=str)


def _size(number: int) -> str:
    return f"{number / 1024:,.0f} KB" if number >= 1024 else f"{number} bytes"
