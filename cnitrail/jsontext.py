"""JSON text to values, for input that may be hostile."""

from collections.abc import Iterator

import msgspec


def parse(text: bytes) -> object:
    """The value of a JSON text.

    Text that a strict parser refuses for its characters alone (invalid UTF-8, lone surrogates) is
    read with replacement characters in their place: a record must not become unreadable by one bad
    byte in a user agent. Raises ``ValueError`` with the reason for everything else, NaN and nesting
    without end included.
    """
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise ValueError("depth limit exceeded") from None
    except ValueError as error:
        return msgspec.json.decode(_repaired(text, str(error)))


Pairs = list[tuple[str, object]]
"""The keys and values of an object, as they stand in its text."""


def repeated_key(text: bytes, value: object) -> tuple[str, Pairs] | None:
    """A key that stands twice in one object of a JSON text, whose value is known; None where none does.

    Which of the two counts is up to each reader, so all of the outermost object comes with it. Of a text
    that is as long as its value is when written anew, nothing more needs to be looked at.
    """
    if len(msgspec.json.encode(value)) == len(text):
        return None
    import json

    repeated: list[str] = []
    objects: list[Pairs] = []

    def look(pairs: Pairs) -> None:
        repeated.extend(_repeated(pairs))
        objects[:] = [pairs]

    json.loads(text.decode("utf-8", "replace"), object_pairs_hook=look)
    return (repeated[0], objects[0]) if repeated else None


def _repeated(pairs: Pairs) -> Iterator[str]:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            yield key
        seen.add(key)


def well_formed(text: bytes) -> bytes:
    """A JSON text that ``parse`` reads, as every strict parser reads it: most often as it came."""
    try:
        msgspec.json.decode(text)
    except ValueError as error:
        return _repaired(text, str(error))
    return text


def _repaired(text: bytes, reason: str) -> bytes:
    """The text with replacement characters; raises ``ValueError`` with the reason if that is no help."""
    import json

    try:
        value = json.loads(text.decode("utf-8", "replace"))
        repaired = json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        msgspec.json.decode(repaired)
    except (ValueError, RecursionError):
        raise ValueError(reason) from None
    return repaired
