"""JSON texts of many elements in one layout, read a block at a time by a fast parser.

Programs write all elements of a list, or all lines, alike: with the same white space between two of them, and
often with the same first key. This layout is taken from the first two elements; a block ends where the last
whole element in it seems to end. Seems, because a request may contain anything: but if a block is cut within
an element, its brackets do not match, the parser fails, and the text is left to the slower ``split``, which
gives the same result.

Of lines, only the damaged ones are left to it: what is between two lines cannot be in one.
"""

import re
from collections.abc import Iterator
from functools import partial
from itertools import repeat
from typing import Final

import msgspec
from msgspec import Raw, Struct

from cnitrail.scan import split
from cnitrail.scan.envelope_tree import CONTAINERS, ROOT, Place, place_of
from cnitrail.scan.multisearch import Bytes

_CONTAINERS: Final = "|".join(map(re.escape, CONTAINERS)).encode()
_LIST_BEGINS: Final = re.compile(
    rb"[ \t\r\n]*+(?:\{[ \t\r\n]*+(?:"
    rb'(?P<kubernetes>(?:"(?:apiVersion|kind)"\s*+:\s*+"[^"\\]{0,64}+"\s*+,\s*+){1,2}(?="items"))?'
    rb'"(?P<container>%s)"|(?P<prometheus>"status"\s*+:\s*+"success"\s*+,\s*+(?:"isPartial"\s*+:\s*+[a-z]{4,5}+\s*+,\s*+)?"data"\s*+:\s*+\{\s*+'
    rb'"resultType"\s*+:\s*+"[a-z]{1,16}+"\s*+,\s*+"result")'
    rb")[ \t\r\n]*+:[ \t\r\n]*+)?\[" % _CONTAINERS
)
_SERIES: Final = place_of("data.result[]")

_ENDS: Final = {
    "stream": rb"[ \t\r\n]*+",
    "list": rb"[ \t\r\n]*+\][ \t\r\n]*+",
    "container": rb"[ \t\r\n]*+\][ \t\r\n]*+\}[ \t\r\n]*+",
    "kubernetes": (
        rb'\s*+\](?:\s*+,\s*+"(?:apiVersion|kind)"\s*+:\s*+"[^"\\]{0,64}+"'
        rb'|\s*+,\s*+"metadata"\s*+:\s*+\{[^{}\[\]]*+\})*+\s*+\}\s*+'
    ),
    "prometheus": rb'\s*+\]\s*+\}(?:\s*+,\s*+"stats"\s*+:\s*+\{[^{}\[\]]*+\})?\s*+\}\s*+',
}
"""What may follow the last element."""

_ELEMENT_BEGINS: Final = re.compile(
    rb'[ \t\r\n]*+(?P<beginning>(?P<brace>\{[ \t\r\n]*+"|"[ ]*+\{(?:\\n|[ ])*+\\")[^"\\]{1,64}'
    rb'(?:"[ \t\r\n]*+:|\\"))'
)
_SPACE: Final = rb"[ \t\r\n]*+"
_SEPARATOR: Final = re.compile(rb"[ \t\r\n,]*+")
_LIST = msgspec.json.Decoder(list[Raw])
_STREAM = msgspec.json.Decoder(Raw)


class Layout(Struct, frozen=True, kw_only=True):
    """How a text is laid out: what it begins with, and what is between two elements.

    ``place`` is the place of the elements in the table of envelopes. All elements have this ``beginning``,
    which is their opening bracket, and ``closing``; ``ending`` is what may follow the last one.
    ``is_list``: the elements are separated by commas, else only by white space, if at all. ``is_lines``: they
    are separated by line breaks: no element has one between a bracket that closes and one that opens.
    """

    opening: bytes
    place: Place
    ending: re.Pattern[bytes]
    beginning: bytes
    closing: bytes
    between: bytes
    is_list: bool
    is_lines: bool


class ElementBlock(Struct, frozen=True):
    """Elements in the order of a text; ``text`` has them, and ``starts`` the offset of each in it."""

    text: Bytes
    values: list[Raw]
    starts: list[int]


def layout_of(text: Bytes) -> Layout | None:
    """Return the layout of a text from its beginning; None if it has fewer than two elements or none fits."""
    begins = _LIST_BEGINS.match(text)
    opening = begins[0] if begins is not None else b""
    first = _ELEMENT_BEGINS.match(text, len(opening))
    if first is None and begins is None:
        first = _ELEMENT_BEGINS.match(text, text.find(b'\n{"') + 1)  # after lines of something else
    if first is None:
        return None
    container = begins["container"] if begins is not None else None
    kind = "stream" if begins is None else begins.lastgroup or "list"
    kind = "kubernetes" if begins is not None and begins["kubernetes"] else kind
    beginning, closing = (b"{", b"}") if first["brace"].startswith(b"{") else (first["brace"], b'"')
    same_key, any_key = map(re.escape, first.group("beginning", "brace"))
    following = partial(_following, text, first.end(), re.escape(closing))
    line = following(rb"[ \t\r]*+\n[ \t\r\n]*+", any_key) if begins is None else None
    comma = b"," if begins is not None else b""
    # The elements in an element may look like those of the list, except for their first key.
    between = line or following(comma + _SPACE, same_key) or (comma and following(comma + _SPACE, any_key))
    if not between:
        return None
    return Layout(
        opening=opening,
        place=_SERIES if kind == "prometheus" else CONTAINERS[container.decode()] if container else ROOT,
        ending=re.compile(_ENDS[kind]),
        beginning=beginning,
        closing=closing,
        between=between,
        is_list=begins is not None,
        is_lines=line is not None,
    )


def _following(text: Bytes, at: int, closing: bytes, separator: bytes, beginning: bytes) -> bytes | None:
    """Return the first text after an offset in which these patterns follow each other."""
    found = re.compile(closing + separator + beginning).search(text, at)
    return found[0] if found is not None else None


def whole_elements(text: Bytes, layout: Layout, *, last: bool) -> int:
    """Return the offset at which the last whole element of a text ends; 0 if there is none.

    If the text is the ``last`` of its document, its last element must be followed by the end.
    """
    if last and (end := _end_of_list(text, layout) if layout.is_list else _end_of_stream(text, layout)):
        return end
    at = text.rfind(layout.between, len(layout.opening))
    return at + len(layout.closing) if at > 0 else 0


def _end_of_stream(text: Bytes, layout: Layout) -> int:
    """Return the offset at which the last element of a stream ends; 0 if something else is last."""
    end = len(text.rstrip())
    return end if text.endswith(layout.closing, 0, end) else 0


def _end_of_list(text: Bytes, layout: Layout) -> int:
    """Return the offset at which the last element of a list ends; 0 if more follows the list."""
    end = _stripped(text, max(text.rfind(b"]"), 0))
    return end if is_end(text, end, layout) and text.endswith(layout.closing, 0, end) else 0


def _stripped(text: Bytes, end: int) -> int:
    """Return the offset of the white space before another offset."""
    while end and text[end - 1] in b" \t\r\n":
        end -= 1
    return end


def read_block(text: Bytes, end: int, layout: Layout) -> ElementBlock | None:
    """Return the elements in ``text[:end]``; None if it is not what its layout seems to be."""
    start = len(layout.opening)
    with memoryview(text) as whole, whole[start:end] as part:
        body = bytes(part)
    try:
        values = _LIST.decode(b"".join((b"[", body, b"]"))) if layout.is_list else _STREAM.decode_lines(body)
    except (ValueError, RecursionError):
        return None
    if len(body) > split.RECORD_LIMIT and max(map(len, values)) > split.RECORD_LIMIT:
        return None
    starts = _starts(body, values)
    are_alike = all(map(body.startswith, repeat(layout.beginning), starts))
    return ElementBlock(body, values, starts) if are_alike else None


def read_lines(text: Bytes, end: int, layout: Layout) -> Iterator[ElementBlock | bytes]:
    """Yield the lines in ``text[:end]`` in blocks, and damaged ones, with a line beside them, as they are.

    Each has its line break: without one, it could be a log file that lost its beginning.
    """
    parts = [bytes(text[: _after_separator(text, end)])]
    while parts:
        part = parts.pop()
        block = read_block(part, len(part), layout)
        if block is not None:
            yield block
        elif at := _middle(part, layout):
            parts += (part[at:], part[:at])
        else:
            yield part


def _middle(lines: bytes, layout: Layout) -> int:
    """Return the offset at which a line near the middle begins; 0 if there is only one."""
    middle = len(lines) // 2
    at = lines.find(layout.between, middle)
    if at < 0:
        at = lines.rfind(layout.between, 0, middle + len(layout.between))
    return _after_separator(lines, at + len(layout.closing)) if at > 0 else 0


def _after_separator(text: Bytes, at: int) -> int:
    """Return the offset after what separates two elements."""
    separator = _SEPARATOR.match(text, at)
    return separator.end() if separator is not None else at


def _starts(body: bytes, values: list[Raw]) -> list[int]:
    """Return the offset of each value in a text that has nothing else but what separates them."""
    starts = []
    end = 0
    for value in values:
        start = _after_separator(body, end)
        starts.append(start)
        end = start + len(value)
    return starts


def rest_of(text: Bytes, end: int, layout: Layout) -> bytes:
    """Return the text after a block as a text of the same layout."""
    rest = bytes(text[end:]).lstrip(b" \t\r\n")
    return layout.opening + (rest.removeprefix(b",") if layout.is_list else rest)


def as_one_list(text: Bytes, layout: Layout) -> bytes:
    """Return a text of lists, one after the other, as one list: ``zcat`` puts log files together like that.

    Only between two lists can a bracket open right after one that closes: JSON has a comma there.
    """
    parts = re.escape(layout.closing), layout.ending.pattern, re.escape(layout.opening.lstrip())
    between = b"%b(?:%b)%b" % parts
    return re.sub(between, layout.closing + b",", bytes(text))


def is_end(text: Bytes, end: int, layout: Layout) -> bool:
    """Return whether a text ends, as it should, after the element that ends at an offset."""
    return layout.ending.fullmatch(text, end) is not None
