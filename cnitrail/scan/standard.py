"""Log files as CloudTrail writes them: records are cut out by their beginnings, and only those that matter.

There are no blanks, and each record begins with its ``eventVersion``. So records are counted, and the
few that matter cut out, by position. A request may hold objects that look like records, too: therefore
some of what stands before a record is read as JSON. Any other text is left to the slower way (``split``),
with the same result.
"""

from collections.abc import Iterable
from operator import methodcaller
from typing import Final

import msgspec
from msgspec import Raw, Struct

from cnitrail.model import Sign
from cnitrail.scan.needles import ESCAPE, Bytes, count, search_for_calls
from cnitrail.scan.signs import sign_of

_RECORD: Final = b'{"eventVersion":'
"""How a record begins: in 33,377 of 33,377 records of unmodified files."""

OPENING: Final = b'{"Records":['
NEXT: Final = b"}," + _RECORD
CLOSING: Final = b"]}"

LOOK_BACK: Final = 8 * 1024
"""How much before a record is read, in bytes, to be sure that it does not stand in an array of another
one's request: there the beginning of that other one would come to light."""


class Found(Struct, frozen=True):
    """The number of records in a text, those that matter, each with its place, and signs of the others."""

    records: int
    hits: tuple[tuple[int, bytes], ...] = ()
    signs: frozenset[Sign] = frozenset()


class _Head(Struct, rename="camel"):
    """What tells where and when a record happened. What has no event name is no record."""

    event_name: Raw
    event_time: str = ""
    recipient_account_id: str = ""
    aws_region: str = ""


_begins = methodcaller("startswith", _RECORD)
_VALUES = msgspec.json.Decoder(list[Raw])
_HEAD = msgspec.json.Decoder(_Head)


class Standard:
    """Finds the records of some events in texts of the standard shape."""

    def __init__(self, names: Iterable[str], markers: Iterable[str]) -> None:
        self._arrays_and_calls = search_for_calls(b"[" + _RECORD, names, markers)

    def find(self, text: Bytes, end: int, *, checked: bool, signs: bool) -> Found | None:
        """What is in ``text[:end]``, an opening and records; None where it is not of that shape.

        Of a ``checked`` text, which is as it was written (gzip has a checksum), no more is read as JSON
        than is needed to be sure of the records that matter. With ``signs``, all is.
        """
        array, *calls = self._arrays_and_calls(text) or [(0, 0, 0)]
        if array != (0, len(OPENING) - 1, len(OPENING) + len(_RECORD)) or any(not call[0] for call in calls):
            return None
        places = [place for _, place, _ in calls if place < end and _matters(text, place)]
        cuts, records = _cut(text, places, end)
        try:
            if checked and not signs:
                _check(text, cuts)
                signed = frozenset[Sign]()
            else:
                heads = list(map(_HEAD.decode, _values(text, len(OPENING), end)))
                signed = _signs(heads, [each.number for each in cuts]) if signs else frozenset()
        except (ValueError, RecursionError):
            return None
        hits = tuple((each.number, bytes(text[each.start : each.stop])) for each in cuts)
        return Found(records, hits, signed)


class _Cut(Struct, frozen=True, gc=False):
    """A record's number in its text, and where it stands."""

    number: int
    start: int
    stop: int


def _cut(text: Bytes, places: list[int], end: int) -> tuple[list[_Cut], int]:
    """The records in which something stands, and the number of all."""
    cuts: list[_Cut] = []
    number, start, stop = 0, len(OPENING), 0
    for place in places:
        if place < stop:
            continue
        before, start = start, _start(text, start, place)
        number += count(text, NEXT, before, start + len(_RECORD))
        stop = text.find(NEXT, place) + 1 or end
        cuts.append(_Cut(number, start, stop))
    return cuts, number + count(text, NEXT, start, end) + 1


def _check(text: Bytes, cuts: list[_Cut]) -> None:
    """Raise ``ValueError`` where one of these is no record, or stands in the request of another.

    An array in a request opens before the first object in it, within the same record: where all is
    whole as far as is looked back, there is no such array.
    """
    unread = len(OPENING)
    for each in cuts:
        first = _start(text, unread, max(unread, each.start - LOOK_BACK))
        _HEAD.decode(_values(text, first, each.stop)[-1])
        unread = each.stop + 1


def _start(text: Bytes, known: int, place: int) -> int:
    """Where the record begins in which something stands, given where one begins before it."""
    before = text.rfind(NEXT, known, place)
    return known if before < 0 else before + len(b"},")


def _values(text: Bytes, start: int, stop: int) -> list[Raw]:
    """The records of ``text[start:stop]`` as JSON. Raises ``ValueError`` unless they are as they were cut."""
    with memoryview(text) as whole, whole[start:stop] as records:
        values = _VALUES.decode(b"".join((b"[", records, b"]")))
    cuts = len(values) - 1
    has_blanks = sum(map(len, values)) + cuts != stop - start
    if has_blanks or count(text, NEXT, start, stop) != cuts or not all(map(_begins, map(bytes, values))):
        raise ValueError
    return values


def _matters(text: Bytes, place: int) -> bool:
    """Whether a needle is one: not every escape stands for what may be part of a name."""
    return not text.startswith(rb"\u00", place) or ESCAPE.match(text, place) is not None


def _signs(heads: list[_Head], hits: list[int]) -> frozenset[Sign]:
    """Where and when the records happened that are no hits."""
    for hit in reversed(hits):
        del heads[hit]
    told = {(head.recipient_account_id, head.aws_region, head.event_time[:16]) for head in heads}
    return frozenset(sign for each in told if (sign := sign_of(*each)) is not None)
