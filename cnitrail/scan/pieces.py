"""Texts in pieces, put together to blocks that are scanned at once."""

from collections.abc import Iterator
from typing import Final

from cnitrail.scan.containers import TornStream
from cnitrail.scan.multisearch import Bytes

BLOCK: Final = 1024 * 1024
"""Minimum number of bytes that are scanned at once, if the text comes in pieces."""


class TornRest:
    """The rest of a text whose stream is torn: nothing but the error."""

    def __init__(self, torn: TornStream) -> None:
        self._torn = torn

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        raise self._torn


def whole_block(beginning: bytes, pieces: Iterator[Bytes]) -> tuple[Bytes, Iterator[Bytes] | None]:
    """Return the next text to scan at once, and the pieces after it; None at the end."""
    block: list[Bytes] = [beginning] if beginning else []
    size = len(beginning)
    try:
        for piece in pieces:
            is_enough = size > BLOCK
            block.append(piece)
            size += len(piece)
            if is_enough:
                return b"".join(block), pieces
    except TornStream as torn:
        return b"".join(block), TornRest(torn)
    return block[0] if len(block) == 1 else b"".join(block), None
