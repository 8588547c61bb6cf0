"""JSON texts of many elements in one layout, read a block at a time by a fast parser.

Programs write all elements of a list, or all lines, alike: the same white space between two of them, and the
same first key. This layout is taken from the first two elements; a block ends where the last whole element in
it seems to end. Seems, because a request may contain anything: but if a block is cut within an element, its
brackets do not match, the parser fails, and the text is left to the slower ``split``, which gives the same
result.
"""

import re
from itertools import accumulate
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
    rb'[ \t\r\n]*+(?P<beginning>\{[ \t\r\n]*+"[^"\\]{1,64}"[ \t\r\n]*+:'
    rb'|"[ ]*+\{(?:\\n|[ ])*+\\"[^"\\]{1,64}\\")'
)
_LIST = msgspec.json.Decoder(list[Raw])
_STREAM = msgspec.json.Decoder(Raw)


class Layout(Struct, frozen=True, kw_only=True):
    """How a text is laid out: what it begins with, and what is between two elements.

    ``place`` is the place of the elements in the table of envelopes; ``ending`` is what may follow the last
    one. ``is_list``: the elements are separated by commas, else only by white space, if at all.
    """

    opening: bytes
    place: Place
    ending: re.Pattern[bytes]
    beginning: bytes
    closing: bytes
    between: bytes
    is_list: bool


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
    if first is None:
        return None
    container = begins["container"] if begins is not None else None
    kind = "stream" if begins is None else begins.lastgroup or "list"
    kind = "kubernetes" if begins is not None and begins["kubernetes"] else kind
    beginning = first["beginning"]
    closing = b"}" if beginning.startswith(b"{") else b'"'
    comma = rb",[ \t\r\n]*+" if begins is not None else rb"[ \t\r\n]*+"
    second = re.compile(re.escape(closing) + comma + re.escape(beginning)).search(text, first.end())
    if second is None:
        return None
    return Layout(
        opening=opening,
        place=_SERIES if kind == "prometheus" else CONTAINERS[container.decode()] if container else ROOT,
        ending=re.compile(_ENDS[kind]),
        beginning=beginning,
        closing=closing,
        between=second[0],
        is_list=begins is not None,
    )


def whole_elements(text: Bytes, layout: Layout, *, last: bool) -> int:
    """Return the offset at which the last whole element of a text ends; 0 if there is none.

    If the text is the ``last`` of its document, its last element must be followed by the end.
    """
    if last:
        stripped = len(text.rstrip())
        if not layout.is_list:
            return stripped if text.endswith(layout.closing, 0, stripped) else 0
        if end := _end_of_list(text, layout):
            return end
    at = text.rfind(layout.between, len(layout.opening))
    return at + len(layout.closing) if at > 0 else 0


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
    begin = len(body) - len(body.lstrip())
    gap = len(layout.between) - len(layout.beginning) - len(layout.closing)
    *starts, after = accumulate((len(value) + gap for value in values), initial=begin)
    if len(body) > split.RECORD_LIMIT and max(map(len, values)) > split.RECORD_LIMIT:
        return None
    aligned = after == len(body) + gap and all(body.startswith(layout.beginning, at) for at in starts)
    return ElementBlock(body, values, starts) if aligned else None


def rest_of(text: Bytes, end: int, layout: Layout) -> bytes:
    """Return the text after a block as a text of the same layout."""
    rest = bytes(text[end:]).lstrip(b" \t\r\n")
    return layout.opening + (rest.removeprefix(b",") if layout.is_list else rest)


def is_end(text: Bytes, end: int, layout: Layout) -> bool:
    """Return whether a text ends, as it should, after the element that ends at an offset."""
    return layout.ending.fullmatch(text, end) is not None
