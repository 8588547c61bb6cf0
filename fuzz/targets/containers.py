"""Documents in containers: whatever is damaged, parts come out of them, and reasons."""

from collections.abc import Iterable

from msgspec import Struct

from cnitrail.model import Document, Growth
from cnitrail.scan.containers import Meter, TornStream, unpack

_MAX_TEXT = 200


class _Read(Struct, frozen=True):
    """A part that was read; ``torn``: not to its end."""

    uri: str
    compression: tuple[str, ...]
    text: bytes
    torn: str | None


def containers(data: bytes) -> None:
    """At least one part is found, the text is bounded, and what is whole is the same in pieces."""
    found = _read([data])
    assert found
    assert sum(len(part.text) for part in found) <= 6 * max(1 << 20, _MAX_TEXT * len(data)) + (1 << 20)
    assert all(part.uri.isprintable() for part in found)
    names = [part.uri for part in found if part.torn is None]
    assert len(set(names)) == len(names)
    if any(part.torn for part in found):
        return
    assert [part.uri for part in unpack(_document([data]), Meter(growth=Growth(_MAX_TEXT)))] == [
        part.uri for part in found
    ]
    if not any("gzip" in part.compression for part in found):  # libdeflate may not notice trailing bytes
        assert _read(data[at : at + 97] for at in range(0, len(data), 97)) == found


def _read(chunks: Iterable[bytes]) -> list[_Read]:
    found = []
    for part in unpack(_document(chunks), Meter(growth=Growth(_MAX_TEXT))):
        text, torn = bytearray(), None
        try:
            for piece in part.pieces:
                text += piece
        except TornStream as error:
            torn = str(error)
            assert torn
        found.append(_Read(part.uri, part.compression, bytes(text), torn))
    return found


def _document(chunks: Iterable[bytes]) -> Document:
    return Document(uri="file", chunks=iter(chunks))
