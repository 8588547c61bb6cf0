"""What is looked for in a text, and the searchers that look.

``ahocorasick_rs`` finds many needles at once with SIMD, 5 GB/s and more, and lets other threads run
meanwhile; ``stringzilla`` counts one at 20 GB/s (both: the ``fast`` extra). Where they are not
installed, the standard library looks for one kind after the other. Both ways find the same records.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

try:
    import stringzilla
except ImportError:
    stringzilla = None
try:
    import ahocorasick_rs
except ImportError:
    ahocorasick_rs = None  # type: ignore[assignment, unused-ignore]

Bytes = bytes | bytearray
"""A text as it is inflated."""

Search = Callable[[Bytes], tuple[int, list[int]]]
"""How often a needle stands in a text, and the places at which something makes a record relevant."""

_Check = Callable[[Bytes, int], object]
"""Whether what was found at a place in a text is what was looked for."""

ESCAPE: Final = re.compile(rb"\\u00(?:[4-7]|3[0-9]|2[dDeE])")
"""ASCII letters, digits, dots and hyphens as JSON escapes: with these a name could be written."""

_UNLESS: Final = {
    b"AssumeRole": rb'","awsRegion":"[a-z0-9-]*+","sourceIPAddress":"'
    rb'(?:AWS Internal|[a-z][a-z0-9.-]*+(?<=\.amazonaws\.com))"'
}
"""What must not follow an event name that makes a record relevant: further fields of that record, as
CloudTrail writes them. AWS services assume roles in a tenth of all records; only other callers matter."""

_VERB: Final = re.compile(rb"(?:AssumeRole|[A-Z][a-z]+)(?=[A-Z])")


def count(text: Bytes, needle: bytes, start: int = 0, end: int | None = None) -> int:
    """How often a needle stands in ``text[start:end]``."""
    end = len(text) if end is None else end
    if stringzilla is not None:
        found: int = stringzilla.count(text, needle, start, end)
        return found
    return text.count(needle, start, end)


def pattern_of(names: Iterable[str], markers: Iterable[str]) -> re.Pattern[bytes]:
    """A pattern for what makes a record relevant, however it is laid out."""
    texts = [text.encode() for text in (*names, *markers)]
    return re.compile(b"|".join([ESCAPE.pattern, *map(_pattern, texts)]))


def search_for_calls(first: bytes, names: Iterable[str], markers: Iterable[str]) -> Search:
    """A search for a needle, and for event names, markers, and escapes that may hide either."""
    encoded = [name.encode() for name in names]
    others = [marker.encode() for marker in markers]
    if ahocorasick_rs is not None:
        return _automaton(first, encoded, others)
    named = rb'"eventName"\s*:\s*"(?:' + b"|".join(map(_pattern, encoded)) + rb")"
    return _patterns(first, [ESCAPE.pattern, named, *map(re.escape, others)])


def _pattern(text: bytes) -> bytes:
    """A text that makes a record relevant, except before what says that it does not."""
    unless = _UNLESS.get(text)
    return re.escape(text) + (b"(?!" + unless + b")" if unless else b"")


def _automaton(first: bytes, names: list[bytes], markers: list[bytes]) -> Search:
    exceptions: dict[bytes, _Check | None] = {
        _rare_end(name): re.compile(b"(?!" + re.escape(_rare_end(name)) + unless + b")").match
        for name, unless in _UNLESS.items()
        if name in names
    }
    always = [*markers, *(_rare_end(name) for name in names if name not in _UNLESS)]
    checks = {rb"\u00": ESCAPE.match} | exceptions | dict.fromkeys(always)
    leftmost = ahocorasick_rs.MatchKind.LeftmostFirst  # the other kinds cannot use SIMD
    find = ahocorasick_rs.BytesAhoCorasick([*checks, first], matchkind=leftmost).find_matches_as_indexes
    check_of = [*checks.values(), None]

    def search(text: Bytes) -> tuple[int, list[int]]:
        places, firsts = [], 0
        for number, place, _ in find(text):
            if number == len(checks):
                firsts += 1
            elif (check := check_of[number]) is None or check(text, place):
                places.append(place)
        return firsts, places

    return search


def _rare_end(name: bytes) -> bytes:
    """A name without its verb, but for two letters.

    SIMD looks for the first four bytes of a needle, and those of some verbs stand in every record
    (``AssumedRole``): a fourth of the search.
    """
    verb = _VERB.match(name)
    return name[verb.end() - 2 :] if verb is not None else name


def _patterns(first: bytes, patterns: list[bytes]) -> Search:
    compiled = list(map(re.compile, patterns))

    def search(text: Bytes) -> tuple[int, list[int]]:
        places = sorted(found.start() for pattern in compiled for found in pattern.finditer(text))
        return text.count(first), places

    return search
