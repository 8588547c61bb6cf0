"""What holds for everything that is written."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from unicodedata import category

from markdown_it import MarkdownIt

ACTS_OR_HIDES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode's categories of control and format characters, lone surrogates, line and paragraph ends."""

FORMULA = tuple("=+-@＝＋－＠\t\r\n")
"""The signs at the beginning of a cell of which OWASP warns (CSV Injection)."""


def is_harmless(text: str) -> None:
    """No character acts or hides but the ends of lines."""
    if not (bare := text.replace("\n", "")).isprintable():
        assert not [each for each in bare if category(each) in ACTS_OR_HIDES], (
            "a character that acts or hides"
        )


def is_document(text: str) -> dict[str, object]:
    """A text is one JSON object."""
    value = json.loads(text)
    assert isinstance(value, dict)
    return value


def are_lines(text: str) -> list[dict[str, object]]:
    """Each line is a JSON object, whoever parts the lines."""
    assert text.splitlines() == text.removesuffix("\n").split("\n") * bool(text)
    return [is_document(line) for line in text.splitlines()]


def is_table_of_cells(text: str) -> None:
    """CSV: each row has a cell for each column, and none is a formula, wherever cells are parted."""
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == len(text.splitlines())
    assert {len(row) for row in rows} == {len(rows[0])}
    for row in (*rows, *csv.reader(io.StringIO(text), delimiter=";")):
        assert not any(map(_begins_a_formula, row)), "a formula"


def _begins_a_formula(cell: str) -> bool:
    is_number = re.fullmatch(r"-[0-9]+", cell) is not None
    return cell.lstrip(' \u00a0\u3000"').startswith(FORMULA) and not is_number


class _Tags(HTMLParser):
    """The elements of a page, with the names of their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element."""
        self.found |= {(tag, name) for name, _ in attrs} or {(tag, "")}


def tags_of(page: str) -> set[tuple[str, str]]:
    """The elements of an HTML page, each with the names of its attributes."""
    tags = _Tags()
    tags.feed(page)
    tags.close()
    return tags.found


_MARKDOWN = MarkdownIt("commonmark").enable("table")
_PLAIN = {"text", "code_inline", "strong_open", "strong_close", "softbreak"}


def is_plain_markdown(page: str) -> None:
    """Markdown without HTML, links and pictures, and with one title."""
    tokens = _MARKDOWN.parse(page)
    inline = {child.type for token in tokens for child in token.children or []}
    assert inline <= _PLAIN, inline - _PLAIN
    assert "html_block" not in {token.type for token in tokens}
    assert [token.tag for token in tokens if token.type == "heading_open"].count("h1") == 1
