"""Log files laid out as CloudTrail writes them: searched as a whole, and parsed only as far as necessary.

There is no white space, and each record begins with its ``eventVersion``. A request may contain objects
that look like records, whole ones and any number of them: only a parser that starts at the beginning of the
text knows where a record ends. So everything up to the last relevant record is parsed as a list of raw
values, which is the fastest such parser; the records after it are counted by their beginnings. Texts of any
other layout are left to the slower ``split``, which gives the same result.
"""

from bisect import bisect
from collections.abc import Iterable
from itertools import accumulate, repeat
from itertools import count as counter
from operator import add
from typing import Final

import msgspec
from msgspec import Raw, Struct

from cnitrail.model import Sign
from cnitrail.scan.activity_signs import sign_of
from cnitrail.scan.multisearch import Bytes, count, misspelling_of, search_for_calls

_RECORD: Final = b'{"eventVersion":'
"""The beginning of a record: of 33,377 of 33,377 records in unmodified files."""

OPENING: Final = b'{"Records":['
NEXT: Final = b"}," + _RECORD
CLOSING: Final = b"]}"


class CanonicalScan(Struct, frozen=True):
    """The number of records in a text, the relevant ones by their number, and the signs of the others."""

    records: int
    hits: tuple[tuple[int, bytes], ...] = ()
    signs: frozenset[Sign] = frozenset()


class _RecordHead(Struct, rename="camel"):
    """The fields that say where and when a record happened; without an event name it is not a record."""

    event_name: str
    event_time: str = ""
    recipient_account_id: str = ""
    aws_region: str = ""


_VALUES = msgspec.json.Decoder(list[Raw])
_HEAD = msgspec.json.Decoder(_RecordHead)


class CanonicalScanner:
    """Finds the records of certain events in texts of CloudTrail's own layout."""

    def __init__(self, names: Iterable[str], markers: Iterable[str]) -> None:
        names = list(names)
        self._arrays_and_calls = search_for_calls(b"[" + _RECORD, names, markers)
        self._is_misspelled = misspelling_of(names)

    def find(self, text: Bytes, end: int, *, checked: bool, last: bool, signs: bool) -> CanonicalScan | None:
        """Return what is in ``text[:end]``, an opening and records; None if its layout is another one.

        A ``checked`` text (gzip has a checksum) is as it was written, so only what is needed to find the
        relevant records is parsed. All of it is parsed with ``signs``, and if it is not the ``last`` text of
        its document, because then it may end within an array in a request.
        """
        if not text.startswith(_RECORD, len(OPENING)):
            return None
        arrays, calls = self._arrays_and_calls(text)
        offsets = [offset for offset in calls if offset < end]
        parse_all = signs or not checked
        if parse_all or arrays > 1 or not last:
            stop = end
        elif offsets:
            stop = text.find(NEXT, offsets[-1]) + 1 or end
        else:
            return CanonicalScan(count(text, NEXT, 0, end) + 1)
        try:
            read = _read(text, stop) or _read(text, end)
            if read is None:
                return None
            numbers = read.numbers(offsets)
            checked_values = read.values if parse_all else [read.values[number] for number in numbers]
            heads = list(map(_HEAD.decode, checked_values))
        except (ValueError, RecursionError):
            return None
        if signs and any(map(self._is_misspelled, {head.event_name for head in heads})):
            return None
        hits = tuple((number, bytes(read.values[number])) for number in numbers)
        records = len(read.values) + count(text, NEXT, read.stop - 1, end)
        return CanonicalScan(records, hits, _signs(heads, numbers) if signs else frozenset())


class _RecordStarts(Struct, frozen=True, gc=False):
    """The first records of a text, the offset at which each starts, and where the last one ends."""

    values: list[Raw]
    starts: list[int]
    stop: int

    def numbers(self, offsets: list[int]) -> list[int]:
        """Return the numbers of the records that contain these offsets."""
        return sorted({bisect(self.starts, offset) - 1 for offset in offsets})


def _read(text: Bytes, stop: int) -> _RecordStarts | None:
    """Return the records before ``stop``; None if one is cut, or not written as CloudTrail does.

    If ``stop`` is inside a record, the text before it closes fewer brackets than it opens.
    """
    with memoryview(text) as whole, whole[len(OPENING) - 1 : stop] as records:
        try:
            values = _VALUES.decode(b"".join((records, b"]")))
        except (ValueError, RecursionError):
            return None
    ends = accumulate(map(len, values), initial=len(OPENING))
    *starts, after = map(add, ends, counter())  # there is a comma before each record
    no_white_space = after == stop + 1
    if no_white_space and all(map(text.startswith, repeat(_RECORD), starts)):
        return _RecordStarts(values, starts, stop)
    return None


def _signs(heads: list[_RecordHead], hits: list[int]) -> frozenset[Sign]:
    """Return the account, Region and minute of the records that are not hits."""
    for hit in reversed(hits):
        del heads[hit]
    distinct = {(head.recipient_account_id, head.aws_region, head.event_time[:16]) for head in heads}
    return frozenset(sign for account_time in distinct if (sign := sign_of(*account_time)) is not None)
