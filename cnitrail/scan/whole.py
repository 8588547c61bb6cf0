"""Log files as CloudTrail writes them: the records that matter, found in the text as a whole.

Each record begins with its ``eventVersion`` (in 33,377 of 33,377 records of unmodified files), and
there are no blanks. So records can be counted, and the few that matter be cut out, by position; the
whole is parsed as well where something is found, and must then agree. Any other text is left to
the slower way, with the same result.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable

import msgspec
from msgspec import Struct

_RECORD = b'{"eventVersion":'
_NAME = b'"eventName":"'
_BEGINNING = b'{"Records":[' + _RECORD
_ANCHOR = re.compile(re.escape(_RECORD))
_ENDING = b"}]}"

ESCAPE = re.compile(rb"\\u00(?:[4-7]|3[0-9]|2[dDeE])")
"""ASCII letters, digits, dots and hyphens as JSON escapes: with these a name could be written."""


class Found(Struct, frozen=True):
    """The number of records in a text, and those that matter, each with its place."""

    records: int
    hits: tuple[tuple[int, bytes], ...]


class Whole:
    """Finds the records of some events, as ``Scanner`` does, in whole texts."""

    def __init__(self, names: Iterable[str], markers: Iterable[str]) -> None:
        self._names = frozenset(names)
        named = b"|".join(re.escape(name).encode() for name in self._names)
        self._name = re.compile(rb'"eventName":"(?:' + named + rb')"')
        self._markers = [re.compile(re.escape(marker).encode()) for marker in markers]

    def find(self, text: bytes, *, checked: bool) -> Found | None:
        """What a text holds; None where it is not of the shape.

        ``checked`` texts are as they were written (gzip carries a checksum): one in which nothing
        is found need not be parsed to know that it is sound.
        """
        if not text.startswith(_BEGINNING) or not text.endswith(_ENDING):
            return None
        places = list(self._places(text))
        if checked and not places and text.count(_NAME) >= text.count(_RECORD):
            return Found(text.count(_RECORD), ())
        try:
            records = msgspec.json.decode(text)["Records"]
        except (ValueError, RecursionError):
            return None
        starts = [anchor.start() for anchor in _ANCHOR.finditer(text)]
        if len(starts) != len(records):
            return None
        if not all(isinstance(record, dict) and "eventName" in record for record in records):
            return None
        named = {at for at, record in enumerate(records) if self._is_named(record["eventName"])}
        hits = []
        ends = [*(start - 1 for start in starts[1:]), len(text) - 2]
        for index in sorted(named | {bisect_right(starts, place) - 1 for place in places}):
            item = text[starts[index] : ends[index]]
            if not _says(item, records[index]):
                return None
            hits.append((index, item))
        return Found(len(records), tuple(hits))

    def _is_named(self, name: object) -> bool:
        return isinstance(name, str) and name in self._names

    def _places(self, text: bytes) -> Iterable[int]:
        for pattern in (self._name, ESCAPE, *self._markers):
            for match in pattern.finditer(text):
                yield match.start()


def _says(item: bytes, record: object) -> bool:
    try:
        return bool(msgspec.json.decode(item) == record)
    except (ValueError, RecursionError):
        return False
