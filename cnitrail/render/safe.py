"""Text from a record, made so that it acts nowhere: it is shown, and never obeyed."""

import re

_ACTIVE = (
    "\x00-\x1f\x7f-\x9f"  # control characters: ANSI escapes, newlines, C1
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # bidi overrides, invisibles
    "\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff"
)
"""All of these are characters that ``str.isprintable`` denies."""
_ACTIVE_TEXT = f"[{_ACTIVE}]"
_ACTIVE_IN_JSON = _ACTIVE_TEXT.replace("\x00-\x1f", "")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def printable(text: str) -> str:
    """The text with every character that steers a terminal, or hides, written as an escape."""
    return text if text.isprintable() else re.sub(_ACTIVE_TEXT, _escaped, text)


def printable_json(document: str) -> str:
    """A JSON document with such characters as JSON escapes: the same values, other letters."""
    return document if document.isprintable() else re.sub(_ACTIVE_IN_JSON, _json_escaped, document)


def spreadsheet(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula, on one line."""
    text = printable(text)
    return "'" + text if text.startswith(_FORMULA) else text


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
