"""Escape text from records, so that no terminal, spreadsheet or viewer acts on it."""

import re
from functools import lru_cache

_ACTIVE = (
    "\x00-\x1f\x7f-\x9f"  # control characters: ANSI escapes, newlines, C1
    "\u2028\u2029\ud800-\udfff"  # line ends, lone surrogates
    # format characters (Unicode's category Cf): bidi overrides, zero-width, invisible tags
    "\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
"""Characters that can act on a terminal or hide; ``str.isprintable`` is false for all of them."""
_ACTIVE_TEXT = f"[{_ACTIVE}]"
_ACTIVE_IN_JSON = _ACTIVE_TEXT.replace("\x00-\x1f", "")
_DELETE = "\x7f"
"""The only such character of ASCII that JSON does not escape by itself."""
_FORMULA_BEGINS = """[\\s"']*[-=+@\uff0d\uff1d\uff0b\uff20]"""
_FORMULA = f"(?:^|(?<=;))(?={_FORMULA_BEGINS})"


def printable(text: str) -> str:
    """Return the text with control and invisible characters as escapes."""
    return text if text.isprintable() else re.sub(_ACTIVE_TEXT, _escaped, text)


def printable_json(document: str) -> str:
    """Return a JSON document with such characters as JSON escapes; the values stay the same."""
    if document.isascii() and _DELETE not in document:
        return document
    return re.sub(_ACTIVE_IN_JSON, _json_escaped, document)


def spreadsheet(text: str) -> str:
    """Return the text as a one-line cell that no spreadsheet runs as a formula.

    A ``'`` is put before each character that can begin a formula (OWASP's list and the full-width forms),
    at the start of the cell and after each semicolon: spreadsheets in locales with a decimal comma split
    cells at semicolons, even inside quotes.
    """
    shown = printable(text)
    has_formula = not shown[:1].isalnum() or (";" in shown and re.search(f";{_FORMULA_BEGINS}", shown))
    return _guarded(shown) if has_formula else shown


@lru_cache(maxsize=4096)
def _guarded(text: str) -> str:
    return re.sub(_FORMULA, "'", text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
