"""JSON text to values, for input that may be hostile."""

import json

import orjson


def parse(text: bytes) -> object:
    """The value of a JSON text.

    Text that a strict parser refuses for its characters alone (invalid UTF-8, lone surrogates) is
    read with replacement characters in their place: a record must not become unreadable by one bad
    byte in a user agent. Raises ``ValueError`` with the reason for everything else, NaN and nesting
    without end included.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        reason = str(error)
    try:
        value = json.loads(text.decode("utf-8", "replace"))
        well_formed = json.dumps(value, ensure_ascii=False, allow_nan=False)
        return orjson.loads(well_formed.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise ValueError(reason) from None
