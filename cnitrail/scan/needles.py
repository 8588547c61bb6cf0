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

Sight = tuple[int, int, int]
"""Which needle was found, where it begins, where it ends."""

Search = Callable[[Bytes], list[Sight]]
"""All that a text holds of some needles, in the order of its places; none overlaps another."""

ESCAPE: Final = re.compile(rb"\\u00(?:[4-7]|3[0-9]|2[dDeE])")
"""ASCII letters, digits, dots and hyphens as JSON escapes: with these a name could be written."""

_VERB: Final = re.compile(rb"(?:AssumeRole|[A-Z][a-z]+)(?=[A-Z])")


def count(text: Bytes, needle: bytes, start: int = 0, end: int | None = None) -> int:
    """How often a needle stands in ``text[start:end]``."""
    end = len(text) if end is None else end
    if stringzilla is not None:
        found: int = stringzilla.count(text, needle, start, end)
        return found
    return text.count(needle, start, end)


def search_for_calls(first: bytes, names: Iterable[str], markers: Iterable[str]) -> Search:
    """A search for a needle, which has the number 0, and for what makes a record relevant.

    These are event names, markers, and escapes that may hide either.
    """
    encoded = [name.encode() for name in names]
    others = [marker.encode() for marker in markers]
    if ahocorasick_rs is not None:
        return _automaton([first, rb"\u00", *others, *dict.fromkeys(map(_rare_end, encoded))])
    named = rb'"eventName"\s*:\s*"(?:' + b"|".join(map(re.escape, encoded)) + rb')"'
    return _patterns([re.escape(first), ESCAPE.pattern, named, *map(re.escape, others)])


def _rare_end(name: bytes) -> bytes:
    """A name without its verb, but for two letters.

    SIMD looks for the first four bytes of a needle, and those of some verbs stand in every record
    (``AssumedRole``): a fourth of the search.
    """
    verb = _VERB.match(name)
    return name[verb.end() - 2 :] if verb is not None else name


def _automaton(needles: list[bytes]) -> Search:
    leftmost = ahocorasick_rs.MatchKind.LeftmostFirst  # the other kinds cannot use SIMD
    return ahocorasick_rs.BytesAhoCorasick(needles, matchkind=leftmost).find_matches_as_indexes


def _patterns(patterns: list[bytes]) -> Search:
    compiled = [re.compile(pattern) for pattern in patterns]

    def search(text: Bytes) -> list[Sight]:
        sights = [
            (number, *found.span())
            for number, pattern in enumerate(compiled)
            for found in pattern.finditer(text)
        ]
        return sorted(sights, key=_place)

    return search


def _place(sight: Sight) -> int:
    return sight[1]
