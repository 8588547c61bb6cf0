"""What all readers of containers share: streams of bytes in pieces, and how far they may expand."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import BinaryIO, Final

from msgspec import Struct

from cnitrail.model import Growth
from cnitrail.scan.multisearch import Bytes

GZIP_MAGIC: Final = b"\x1f\x8b"

HEAD: Final = 512
"""Number of bytes by which the kind of a stream is recognized: those of a tar archive's header."""

PIECE: Final = 1024 * 1024
"""Maximum size in bytes of the pieces that a longer text is decompressed in."""

LAYERS: Final = 6
"""Maximum number of containers inside each other: a zip of zips of tar.gz files of gzipped logs has five."""

MEMBERS: Final = 1_000_000
"""Maximum number of members that are read of the archives in a document."""


_JSON: Final = b"{", b"["


class TornStream(Exception):
    """A stream is cut short or damaged, or cannot be read; its message says how."""


class Member(Struct, frozen=True):
    """A file in an archive; reading ``pieces`` may raise ``TornStream``."""

    name: str
    pieces: Iterator[Bytes]


class Part(Struct, frozen=True, kw_only=True, gc=False):
    """One text in a document: the document's own, or that of a member of an archive.

    ``uri`` is the document's, followed for a member by ``!/`` and its name: ``a.zip!/b.tar.gz!/c.json``.
    ``compression`` names the containers, outermost first. ``pieces`` is the text in pieces of bounded size,
    without byte order mark; reading it may raise ``TornStream``. ``checked``: a checksum protects the text.
    ``open`` opens the document for random access, if it is the text itself and its source can.
    """

    uri: str
    compression: tuple[str, ...]
    pieces: Iterator[Bytes]
    checked: bool
    open: Callable[[], BinaryIO] | None


def is_json(head: Bytes) -> bool:
    """Return whether a stream begins as JSON does; a tar archive may, with a name, but has zeros after it."""
    return head.startswith(_JSON) and head.find(0, 0, HEAD) < 0


def raising(torn: TornStream) -> Iterator[Bytes]:
    """Return a stream that has nothing but an error."""
    raise torn
    yield


def readable(chunks: Iterator[bytes], meter: "Meter") -> Iterator[bytes]:
    """Yield the chunks of a document that are not empty, counted; a read error counts as damage."""
    try:
        for chunk in chunks:
            if chunk:
                meter.read += len(chunk)
                yield chunk
    except OSError as error:
        raise unread(error) from None


def unread(error: OSError) -> TornStream:
    """Return a read error as damage."""
    return TornStream(f"reading failed: {error.strerror or error}")


def peeked(pieces: Iterator[Bytes], size: int) -> tuple[Bytes, Iterator[Bytes]]:
    """Return at least ``size`` bytes of a stream, if it has them, and the stream after them."""
    head: Bytes = b""
    try:
        while len(head) < size and (piece := next(pieces, b"")):
            head = head + piece if head else piece
    except TornStream as torn:
        return head, raising(torn)
    return head, pieces


def unpeeked(head: Bytes, rest: Iterator[Bytes]) -> Iterator[Bytes]:
    """Return the stream of which this is the beginning and the rest."""
    return chain((head,), rest) if head else rest


def sliced(pieces: Iterator[Bytes], size: int) -> Iterator[Bytes]:
    """Yield a stream in slices of at most ``size`` bytes."""
    return (piece[at : at + size] for piece in pieces for at in range(0, len(piece), size))


class Meter(Struct, kw_only=True):
    """How far a document has expanded: its stored bytes that were unpacked, and the text in each layer.

    Layer 0 is the outermost container. The text of all members counts together. After ``stopped``, nothing
    more is read of the document. ``read`` counts all stored bytes, also those that are in no container.
    """

    growth: Growth
    read: int = 0
    stored: int = 0
    stopped: bool = False
    text: dict[int, int] = {}

    def counted(self, pieces: Iterator[Bytes], layer: int) -> Iterator[Bytes]:
        """Return the stored bytes of a layer; those of the outermost are counted as they are read."""
        return self._counted(pieces) if layer == 0 else pieces

    def _counted(self, pieces: Iterator[Bytes]) -> Iterator[Bytes]:
        for piece in pieces:
            self.stored += len(piece)
            yield piece

    def allows(self, layer: int, text: int, stored: int) -> bool:
        """Return whether a layer may have ``text`` more bytes of text, which take ``stored`` bytes."""
        return self.growth.allows(stored if layer == 0 else self.stored, self.text.get(layer, 0) + text)

    def take(self, layer: int, text: int, stored: int) -> None:
        """Count text that is allowed, and the bytes in which it is stored."""
        self.text[layer] = self.text.get(layer, 0) + text
        if layer == 0:
            self.stored += stored

    def add(self, layer: int, text: int, container: str) -> None:
        """Count further text of a layer. Raises ``TornStream`` if it is more than a log file has."""
        self.text[layer] = self.text.get(layer, 0) + text
        if not self.growth.allows(self.stored, self.text[layer]):
            raise self.stop(f"{_a(container)} bomb: decompression stopped at {self.growth.refusal}")

    def stop(self, reason: str) -> TornStream:
        """Return the error with which the reading of the whole document ends."""
        self.stopped = True
        return TornStream(reason)


def _a(container: str) -> str:
    """Return the name of a container with its article: "an xz", "an LZMA"."""
    return f"{'an' if container in {'xz', 'lzma'} else 'a'} {container}"
