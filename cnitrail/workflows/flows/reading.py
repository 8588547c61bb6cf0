"""Flow log sources → blocks of records, file by file, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from cnitrail.model import Document, Skipped
from cnitrail.scan.containers import Meter, unpack
from cnitrail.scan.flows.file_kind import content_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnitrail.model import Growth
    from cnitrail.model.flows import FlowBlock, FlowFormats, UnlistedRecords
    from cnitrail.sources import Source


class FlowFile(Struct, frozen=True, kw_only=True):
    """A file of flow logs, or a member of an archive, with its records in blocks.

    ``document`` is the URI of the file, also for a member, and ``etag`` changes with its content.
    ``stored_bytes`` are those of the whole archive at its first member, and 0 at the others. ``other_kind``
    is the kind of a file that is not a flow log, such as ``cloudtrail-logs``; it has no blocks. A ``Skipped``
    in ``blocks`` with the extent of a file comes alone: nothing of the file could be read. One with the
    extent of a record is a record that could not be read.
    """

    uri: str
    document: str
    etag: str | None
    stored_bytes: int
    blocks: Iterator[FlowBlock | Skipped | UnlistedRecords]
    other_kind: str | None = None


def flow_files(source: Source, growth: Growth, formats: FlowFormats) -> Iterator[FlowFile | Skipped]:
    """Yield the files of a source, to be read one after the other.

    ``formats`` are those of records without a header line. Raises ``SourceError``.
    """
    for delivered in source.documents():
        if isinstance(delivered, Document):
            yield from files_of(delivered, growth, formats)
        elif isinstance(delivered, Skipped):
            yield delivered


def files_of(document: Document, growth: Growth, formats: FlowFormats) -> Iterator[FlowFile]:
    """Yield the file that a document is, or the members of an archive."""
    stored_bytes = document.size or 0
    for part in unpack(document, Meter(growth=growth)):
        content = content_of(part, formats, growth)
        yield FlowFile(
            uri=part.uri,
            document=document.uri,
            etag=document.etag,
            stored_bytes=stored_bytes,
            blocks=content.blocks,
            other_kind=content.other_kind,
        )
        stored_bytes = 0
