"""Recognizes a store by the first bytes of its file, without opening it as a database."""

import os

APPLICATION_ID = int.from_bytes(b"cnit")
_MAGIC = b"SQLite format 3\x00"


def is_sqlite(path: str) -> bool:
    """Return whether a file is an SQLite database, by its first bytes."""
    return _head(path).startswith(_MAGIC)


def is_store(path: str) -> bool:
    """Return whether a file is a store of any version, by its first bytes."""
    return is_store_head(_head(path))


def is_store_head(head: bytes) -> bool:
    """Return whether these are the first bytes of a store of any version."""
    return head.startswith(_MAGIC) and int.from_bytes(head[68:72]) == APPLICATION_ID


def _head(path: str) -> bytes:
    if not os.path.isfile(path):  # a pipe can be read only once
        return b""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(72)
    except OSError:
        return b""
