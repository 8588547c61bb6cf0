"""JSON text to values, for input that may be hostile."""

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
        reason = str(error)
    import json

    try:
        value = json.loads(text.decode("utf-8", "replace"))
        well_formed = json.dumps(value, ensure_ascii=False, allow_nan=False)
        return msgspec.json.decode(well_formed.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise ValueError(reason) from None
