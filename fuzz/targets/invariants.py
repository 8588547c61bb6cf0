"""Invariants of everything that is written."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from unicodedata import category

from markdown_it import MarkdownIt

CONTROL_OR_FORMAT = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode's categories of control and format characters, lone surrogates, line and paragraph ends."""

FORMULA = tuple("=+-@＝＋－＠\t\r\n")
"""First characters of a cell that may start a formula (OWASP, CSV Injection)."""


def is_harmless(text: str) -> None:
    """Assert that there are no control or format characters except line ends."""
    if not (bare := text.replace("\n", "")).isprintable():
        found = [character for character in bare if category(character) in CONTROL_OR_FORMAT]
        assert not found, "a control or format character"


def is_document(text: str) -> dict[str, object]:
    """Assert that a text is one JSON object, and return it."""
    value = json.loads(text)
    assert isinstance(value, dict)
    return value


def are_lines(text: str) -> list[dict[str, object]]:
    """Assert that each line is a JSON object, for any definition of a line end, and return them."""
    assert text.splitlines() == text.removesuffix("\n").split("\n") * bool(text)
    return [is_document(line) for line in text.splitlines()]


def is_table_of_cells(text: str) -> None:
    """Assert that all rows of a CSV text have the same length, and no cell is a formula."""
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == len(text.splitlines())
    assert {len(row) for row in rows} == {len(rows[0])}
    for row in (*rows, *csv.reader(io.StringIO(text), delimiter=";")):
        assert not any(map(_is_formula, row)), "a formula"


def _is_formula(cell: str) -> bool:
    is_number = re.fullmatch(r"-[0-9]+", cell) is not None
    return cell.lstrip(' \u00a0\u3000"').startswith(FORMULA) and not is_number


class _Tags(HTMLParser):
    """The elements of a page, with the names of their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add an element."""
        self.found |= {(tag, name) for name, _ in attrs} or {(tag, "")}


def tags_of(page: str) -> set[tuple[str, str]]:
    """Return the elements of an HTML page with the names of their attributes."""
    tags = _Tags()
    tags.feed(page)
    tags.close()
    return tags.found


_MARKDOWN = MarkdownIt("commonmark").enable("table")
_PLAIN = {"text", "code_inline", "strong_open", "strong_close", "softbreak"}


def is_plain_markdown(page: str, titles: int = 1) -> None:
    """Assert that Markdown has no HTML, links or images, and this number of titles."""
    tokens = _MARKDOWN.parse(page)
    inline = {child.type for token in tokens for child in token.children or []}
    assert inline <= _PLAIN, inline - _PLAIN
    assert "html_block" not in {token.type for token in tokens}
    assert [token.tag for token in tokens if token.type == "heading_open"].count("h1") == titles
