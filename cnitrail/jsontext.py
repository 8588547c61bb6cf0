"""JSON text → values, for input that may be hostile."""

from collections.abc import Iterator
from typing import Final

import msgspec

NULL_TEXTS: Final = frozenset(
    ("null", "NULL", "(null)", "<null>", "\\N", "None", "nan", "NaN", "<NA>", "undefined", "N/A", "-")
)
"""What SQL clients, Hive, MySQL, PostgreSQL, Python, JavaScript and Kibana write for a cell without a value.
No field of a record has one of these."""


def parse(text: bytes) -> object:
    """Return the value of a JSON text.

    If a strict parser refuses the text only because of its characters (invalid UTF-8, lone surrogates),
    these are replaced: one bad byte in a user agent must not make a record unreadable. Raises ``ValueError``
    with the reason for anything else, including NaN and nesting that is too deep.
    """
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise ValueError("depth limit exceeded") from None
    except ValueError as error:
        return msgspec.json.decode(_repaired(text, str(error)))


def json_object(value: object) -> dict[str, object] | None:
    """Return an object, or the object in a JSON text; None for anything else.

    A text in which an object repeats a key can be read in two ways, so it counts as no object.
    """
    found = value if isinstance(value, dict) else _unambiguous(value, "{")
    return found if isinstance(found, dict) else None


def json_list(value: object) -> list[object] | None:
    """Return a list, or the list in a JSON text, by the same rule; None for anything else."""
    found = value if isinstance(value, list) else _unambiguous(value, "[")
    return found if isinstance(found, list) else None


def _unambiguous(value: object, opening: str) -> object:
    """Return the value of a JSON text that begins with a bracket; None if it can be read in two ways."""
    if not isinstance(value, str) or value.lstrip(" \t\r\n")[:1] != opening:
        return None
    text = value.encode("utf-8", "replace")
    try:
        found = parse(text)
        return None if repeated_key(text, found) else found
    except (ValueError, RecursionError):
        return None


Pairs = list[tuple[str, object]]
"""The keys and values of an object in the order of its text."""


def repeated_key(text: bytes, value: object) -> tuple[str, Pairs] | None:
    """Return the first duplicate key in any object of a JSON text, or None.

    Parsers disagree about which of the two values counts, so the pairs of the outermost object are returned,
    too. A text that is the same as its ``value`` when encoded again has no duplicate keys.
    """
    if msgspec.json.encode(value) == text:
        return None
    import json

    repeated: list[str] = []
    outermost: list[Pairs] = []

    def collect(pairs: Pairs) -> None:
        repeated.extend(_repeated(pairs))
        outermost[:] = [pairs]

    json.loads(text.decode("utf-8", "replace"), object_pairs_hook=collect)
    return (repeated[0], outermost[0]) if repeated else None


def _repeated(pairs: Pairs) -> Iterator[str]:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            yield key
        seen.add(key)


def well_formed(text: bytes) -> bytes:
    """Return a JSON text that ``parse`` reads in a form that every strict parser reads; usually as it is."""
    try:
        msgspec.json.decode(text)
    except ValueError as error:
        return _repaired(text, str(error))
    return text


def _repaired(text: bytes, reason: str) -> bytes:
    """Return the text with bad characters replaced; raise ``ValueError`` with the reason if that fails."""
    import json

    try:
        value = json.loads(text.decode("utf-8", "replace"))
        repaired = json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        msgspec.json.decode(repaired)
    except (ValueError, RecursionError):
        raise ValueError(reason) from None
    return repaired
