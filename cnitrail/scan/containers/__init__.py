"""A stored document → the texts in it, whatever they are compressed with or packed into.

Containers are detected by their content, at any depth up to a limit, and read as they pass by: nothing is
written to disk. A zip archive is read from its end, so it is kept in memory, unless its source can open it
for random access.
"""

from collections.abc import Iterator

from cnitrail.model import Document
from cnitrail.scan.containers.gzipped import GZIPPED, gunzipped, raise_mmap_threshold
from cnitrail.scan.containers.streams import (
    GZIP_MAGIC,
    HEAD,
    PIECE,
    Meter,
    Part,
    TornStream,
    is_json,
    peeked,
    readable,
    unpeeked,
)

__all__ = ["PIECE", "Meter", "Part", "TornStream", "raise_mmap_threshold", "unpack"]


def unpack(document: Document, meter: Meter) -> Iterator[Part]:
    """Yield the texts in a document, at least one, to be read one after the other.

    What cannot be read is a text whose ``pieces`` raise ``TornStream``. ``meter`` limits the text of all
    parts together, in each layer of containers.
    """
    layers: tuple[str, ...] = ()
    head, rest = peeked(readable(document.chunks, meter), HEAD)
    if head.startswith(GZIP_MAGIC):
        layers = GZIPPED
        head, rest = gunzipped(head, rest, meter, 0)
    pieces = unpeeked(head, rest)
    if not is_json(head):
        from cnitrail.scan.containers.unpacking import Stream, Unpacking

        return Unpacking(document, meter).parts(Stream(document.uri, pieces, layers, bool(layers)))
    part = Part(  # as nearly all documents are
        uri=document.uri,
        compression=layers,
        pieces=pieces,
        checked=bool(layers),
        open=None if layers else document.open,
    )
    return iter((part,))
