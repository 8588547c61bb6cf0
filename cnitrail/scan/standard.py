"""Log files as CloudTrail writes them: records are cut out by their beginnings, and only those that matter.

There are no blanks, and each record begins with its ``eventVersion``. So records are counted, and the
few that matter cut out, by position. A request may hold objects that look like records, too: therefore
some of what stands before a record is read as JSON. Any other text is left to the slower way (``split``),
with the same result.
"""

from bisect import bisect_left
from collections.abc import Iterable
from operator import itemgetter
from typing import Final

import msgspec
from msgspec import Raw, Struct

from cnitrail.model import Sign
from cnitrail.scan.needles import ESCAPE, Bytes, Sight, search_for, search_for_calls
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


_VALUES = msgspec.json.Decoder(list[Raw])
_HEAD = msgspec.json.Decoder(_Head)


class Standard:
    """Finds the records of some events in texts of the standard shape."""

    def __init__(self, names: Iterable[str], markers: Iterable[str]) -> None:
        self._arrays_and_calls = search_for_calls(b"[" + _RECORD, names, markers)
        self._nexts = search_for(NEXT)

    def find(self, text: Bytes, end: int, *, checked: bool, signs: bool) -> Found | None:
        """What is in ``text[:end]``, an opening and records; None where it is not of that shape.

        Of a ``checked`` text, which is as it was written (gzip has a checksum), no more is read as JSON
        than is needed to be sure of the records that matter. With ``signs``, all is.
        """
        array, *calls = self._arrays_and_calls(text) or [(0, 0, 0)]
        if array != (0, len(OPENING) - 1, len(OPENING) + len(_RECORD)) or any(not call[0] for call in calls):
            return None
        nexts = self._nexts(text)
        places = [place for _, place, _ in calls if place < end and _matters(text, place)]
        if checked and not places and not signs:
            return Found(len(nexts) + 1)
        records = _Records(text, nexts, end)
        hits = sorted({records.at(place) for place in places})
        try:
            if checked and not signs:
                records.check(hits)
                signed = frozenset[Sign]()
            else:
                heads = records.heads()
                signed = _signs(heads, hits) if signs else frozenset()
        except (ValueError, RecursionError):
            return None
        return Found(len(nexts) + 1, tuple((hit, records.text(hit)) for hit in hits), signed)


class _Records:
    """The records of a text, by their numbers."""

    def __init__(self, text: Bytes, nexts: list[Sight], end: int) -> None:
        self._text = memoryview(text)
        self._nexts = nexts
        self._end = end

    def at(self, place: int) -> int:
        """The record in which something stands."""
        return bisect_left(self._nexts, place, key=itemgetter(1))

    def text(self, number: int) -> bytes:
        """One record."""
        return bytes(self._text[self._start(number) : self._stop(number)])

    def check(self, hits: list[int]) -> None:
        """Raise ``ValueError`` where one of these is no record, or stands in the request of another.

        An array in a request opens before the first object in it, within the same record: where all is
        whole as far as is looked back, there is no such array.
        """
        unread = 0
        for hit in hits:
            first = max(unread, self.at(self._start(hit) - LOOK_BACK))
            _HEAD.decode(self._values(first, hit)[-1])
            unread = hit + 1

    def heads(self) -> list[_Head]:
        """The heads of all records. Raises ``ValueError`` where one of them is no record."""
        return list(map(_HEAD.decode, self._values(0, len(self._nexts))))

    def _values(self, first: int, last: int) -> list[Raw]:
        """Some records as JSON. Raises ``ValueError`` unless they are as they were cut."""
        array = b"".join((b"[", self._text[self._start(first) : self._stop(last)], b"]"))
        values = _VALUES.decode(array)
        cut = [self._stop(number) - self._start(number) for number in range(first, last + 1)]
        if [memoryview(value).nbytes for value in values] != cut:
            raise ValueError
        return values

    def _start(self, number: int) -> int:
        return self._nexts[number - 1][2] - len(_RECORD) if number else len(OPENING)

    def _stop(self, number: int) -> int:
        return self._nexts[number][1] + 1 if number < len(self._nexts) else self._end


def _matters(text: Bytes, place: int) -> bool:
    """Whether a needle is one: not every escape stands for what may be part of a name."""
    return not text.startswith(rb"\u00", place) or ESCAPE.match(text, place) is not None


def _signs(heads: list[_Head], hits: list[int]) -> frozenset[Sign]:
    """Where and when the records happened that are no hits."""
    for hit in reversed(hits):
        del heads[hit]
    told = {(head.recipient_account_id, head.aws_region, head.event_time[:16]) for head in heads}
    return frozenset(sign for each in told if (sign := sign_of(*each)) is not None)
