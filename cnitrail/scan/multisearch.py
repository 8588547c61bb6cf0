"""Search a text for many event names at once.

``ahocorasick_rs`` searches for many patterns in one pass with SIMD, at more than 5 GB/s, without the GIL;
``stringzilla`` counts one pattern at 20 GB/s. If they are not installed, the standard library searches for
one kind of pattern after the other. Both ways find the same records.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from msgspec import Struct

try:
    import stringzilla
except ImportError:
    stringzilla = None
try:
    import ahocorasick_rs
except ImportError:
    ahocorasick_rs = None  # type: ignore[assignment, unused-ignore]

Bytes = bytes | bytearray
"""A text as it is decompressed."""

Search = Callable[[Bytes], tuple[int, list[int]]]
"""Returns how often a text contains a pattern, and the offsets of what makes a record relevant."""

_Check = Callable[[Bytes, int], object]
"""Whether a match at an offset of a text is really what was searched for."""

ESCAPE: Final = re.compile(rb"\\u00(?:[4-7]|3[0-9]|2[dDeE])")
"""ASCII letters, digits, dots and hyphens as JSON escapes: a name may be spelled with these."""

_NOT_BEFORE: Final = {
    b"AssumeRole": rb'","awsRegion":"[a-z0-9-]*+","sourceIPAddress":"'
    rb'(?:AWS Internal|[a-z][a-z0-9.-]*+(?<=\.amazonaws\.com))"'
}
"""An event name does not make a record relevant if these further fields of the record follow it. AWS
services assume roles in a tenth of all records; only the calls of other callers are relevant."""

_VERB: Final = re.compile(rb"(?:AssumeRole|[A-Z][a-z]+)(?=[A-Z])")


def count(text: Bytes, pattern: bytes, start: int = 0, end: int | None = None) -> int:
    """Return how often ``text[start:end]`` contains a pattern."""
    end = len(text) if end is None else end
    if stringzilla is not None:
        found: int = stringzilla.count(text, pattern, start, end)
        return found
    return text.count(pattern, start, end)


def relevance_pattern(names: Iterable[str], markers: Iterable[str]) -> re.Pattern[bytes]:
    """Return a pattern that matches what makes a record relevant, in any layout."""
    texts = [text.encode() for text in (*names, *markers)]
    return re.compile(b"|".join([ESCAPE.pattern, *map(_pattern, texts)]))


def search_for_calls(first: bytes, names: Iterable[str], markers: Iterable[str]) -> Search:
    """Return a search for a first pattern, event names, markers, and escapes that may hide either."""
    encoded = [name.encode() for name in names]
    others = [marker.encode() for marker in markers]
    if ahocorasick_rs is not None:
        return _automaton(first, encoded, others)
    named = rb'"eventName"\s*:\s*"(?:' + b"|".join(map(_pattern, encoded)) + rb")"
    return _patterns(first, [ESCAPE.pattern, named, *map(re.escape, others)])


class NameSearch(Struct, frozen=True):
    """Searches for what makes a record relevant; both find too much, never too little.

    ``may_matter`` returns the offsets of it in a text, also if the records in it are texts in envelopes.
    ``is_relevant`` is for the text of one record, and finds less. ``is_misspelled`` is for an event name.
    """

    may_matter: Callable[[Bytes], list[int]]
    is_relevant: Callable[[bytes], bool]
    is_misspelled: Callable[[str], bool]


def name_search(names: Iterable[str], markers: Iterable[str]) -> NameSearch:
    """Return the search for event names and markers in texts of any form."""
    names, markers = list(names), list(markers)
    pattern = relevance_pattern(names, markers)
    if ahocorasick_rs is None:
        return NameSearch(
            lambda text: [found.start() for found in pattern.finditer(text)],
            lambda record: pattern.search(record) is not None,
            misspelling_of(names),
        )
    encoded = [name.encode() for name in names]
    search = _automaton(_NEVER, encoded, [marker.encode() for marker in markers])
    return NameSearch(
        lambda text: search(text)[1],
        lambda record: bool(search(record)[1]) and pattern.search(record) is not None,
        misspelling_of(names),
    )


def misspelling_of(names: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that returns whether an event name is one of these in another case.

    CloudTrail writes no such name; a program that has changed it may have changed anything else.
    """
    exact = frozenset(names)
    folded = frozenset(name.casefold() for name in exact)

    @lru_cache(4096)
    def is_misspelled(name: str) -> bool:
        return name not in exact and name.casefold() in folded

    return is_misspelled


_NEVER: Final = b"\0\0\0\0"
"""A text that JSON does not contain."""


def _pattern(text: bytes) -> bytes:
    """Return the pattern of a name, with the fields that must not follow it."""
    following = _NOT_BEFORE.get(text)
    return re.escape(text) + (b"(?!" + following + b")" if following else b"")


def _automaton(first: bytes, names: list[bytes], markers: list[bytes]) -> Search:
    """Return a search that counts ``first``, and finds the offsets of all others, in one pass over a text."""
    exceptions: dict[bytes, _Check | None] = {
        _rare_end(name): re.compile(b"(?!" + re.escape(_rare_end(name)) + following + b")").match
        for name, following in _NOT_BEFORE.items()
        if name in names
    }
    always = [*markers, *(_rare_end(name) for name in names if name not in _NOT_BEFORE)]
    checks = {rb"\u00": ESCAPE.match} | exceptions | dict.fromkeys(always)
    leftmost = ahocorasick_rs.MatchKind.LeftmostFirst  # the other kinds cannot use SIMD
    find = ahocorasick_rs.BytesAhoCorasick([*checks, first], matchkind=leftmost).find_matches_as_indexes
    check_of = [*checks.values(), None]

    def search(text: Bytes) -> tuple[int, list[int]]:
        offsets, firsts = [], 0
        for number, offset, _ in find(text):
            if number == len(checks):
                firsts += 1
            elif (check := check_of[number]) is None or check(text, offset):
                offsets.append(offset)
        return firsts, offsets

    return search


def _rare_end(name: bytes) -> bytes:
    """Return a name without its verb, except for two letters.

    SIMD looks for the first four bytes of a pattern, and those of some verbs are in every record
    (``AssumedRole``), which costs a quarter of the search time.
    """
    verb = _VERB.match(name)
    return name[verb.end() - 2 :] if verb is not None else name


def _patterns(first: bytes, patterns: list[bytes]) -> Search:
    compiled = list(map(re.compile, patterns))

    def search(text: Bytes) -> tuple[int, list[int]]:
        offsets = sorted(found.start() for pattern in compiled for found in pattern.finditer(text))
        return text.count(first), offsets

    return search
