"""Documents → records: scanned and decoded by several threads, in order and in bounded memory."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.decode import MARKERS, NAMES, Decoded, decode, pod_markers
from cnitrail.model import Document, Effect, Event, Extent, Record, Skipped
from cnitrail.model.forms import POD_FORMS
from cnitrail.model.table import TablePart
from cnitrail.prefetch import prefetch
from cnitrail.scan import Part, Scanner, Tally
from cnitrail.scan.activity_signs import sign_of
from cnitrail.sources.layout import log_name

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from cnitrail.model import Growth, Sign
    from cnitrail.sources import Delivered, Source

_BATCH: Final = 64
_BATCH_BYTES: Final = 512 * 1024
"""Maximum number and stored bytes of documents that go to a thread together: passing one on costs as much as
scanning a small one."""

_WORKERS: Final = min(os.cpu_count() or 1, 4)


class Scanned(Struct, frozen=True, kw_only=True):
    """A file that was read, with its counts: ``uri`` is a document's, or that of a member of an archive.

    ``found`` has the records that may matter, decoded, and what could not be read; ``relevant`` is the number
    of records that matter or could not be read. ``failed``: some of its bytes could not be read.
    ``stored_hash`` is the SHA-256 of its stored bytes, in hex, if it was asked for and all could be read.
    """

    document: Document
    uri: str
    tally: Tally
    found: list[Skipped | tuple[Record, Decoded]]
    relevant: int
    failed: bool = False
    stored_hash: str | None = None

    def records_writes(self) -> bool:
        """Whether it has a write call of EC2, so that its trail records them."""
        facts = (found[1].fact for found in self.found if not isinstance(found, Skipped))
        others = (Effect.RECORD, Effect.SIGN_IN)  # a sign-in is a read-only call of STS
        return any(isinstance(fact, Event) and fact.effect not in others for fact in facts)


class ScannedDocument(Struct, frozen=True):
    """A document that was read, and the files in it: itself, or the members of an archive."""

    document: Document
    files: Sequence[Scanned]


def scan_source(
    source: Source, growth: Growth, *, hashing: bool = False
) -> Generator[ScannedDocument | Delivered]:
    """Yield what a source delivers, in its order: documents scanned, everything else as it is.

    If ``hashing``, the stored bytes of documents are hashed as they are read.
    """
    scanner = Scanner(NAMES, MARKERS, growth, pod_markers)
    for _, run in groupby(source.documents(), key=_is_document):
        first = next(run)
        if isinstance(first, Document):
            documents = (document for document in chain((first,), run) if isinstance(document, Document))
            yield from _scan_all(partial(_scan_batch, scanner, hashing), documents)
        else:
            for delivered in chain((first,), run):
                if isinstance(delivered, TablePart):
                    yield scan_part(delivered)
                elif not isinstance(delivered, Document):
                    yield delivered


def problems(record: Record, decoded: Decoded) -> list[Skipped]:
    """Return what could not be read of a record, once for each of its origins."""
    extent = Extent.PART if decoded.says_something else Extent.RECORD
    of_pods = record.origins[0].form in POD_FORMS
    return [
        Skipped(origin.source, f"record {origin.index}: {problem}", extent, of_pods)
        for origin in record.origins
        for problem in decoded.problems
    ]


def scan_part(part: TablePart) -> ScannedDocument:
    """Return a part of a table, whose records were found by the engine."""
    from cnitrail.scan.table_rows import read_part

    document = Document(uri=part.uri, chunks=iter(()), etag=part.query)
    tally = Tally()
    return ScannedDocument(document, (_decoded(document, part.uri, read_part(part, tally), tally),))


def _signs_of(record: Record) -> set[Sign]:
    """Return the time that an irrelevant record shows to be logged, unless the name of its file has one."""
    if log_name(record.origins[0].source) is not None:
        return set()
    from cnitrail.scan.reading import place_and_time

    signs = (sign_of(*head) for head in place_and_time(record.payload))
    return {sign for sign in signs if sign is not None}


def _is_document(delivered: object) -> bool:
    return isinstance(delivered, Document)


def _scan_all(
    work: Callable[[list[Document]], list[ScannedDocument]], documents: Iterator[Document]
) -> Iterator[ScannedDocument]:
    """Yield documents scanned, in order. A few small ones are not worth a second thread."""
    batches = _batches(documents)
    begun = list(islice(batches, 2))
    if len(begun) < 2 or _WORKERS == 1:
        for batch in chain(begun, batches):
            yield from work(batch)
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(_WORKERS, "scan")
    try:
        for _, done in prefetch(pool, work, chain(begun, batches), most=_WORKERS + 1):
            yield from done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    """Yield documents in batches, one for each task of a thread."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += _BATCH_BYTES if document.size is None else document.size
        if len(batch) == _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _scan_batch(scanner: Scanner, hashing: bool, batch: list[Document]) -> list[ScannedDocument]:
    return [_scan(scanner, hashing, document) for document in batch]


def _scan(scanner: Scanner, hashing: bool, document: Document) -> ScannedDocument:
    """Return a document scanned."""
    chunks = (_HashedChunks if hashing else _Chunks)(document.chunks)
    watched = replace(document, chunks=iter(chunks))
    files = [_scan_part(scanner, document, part, tally) for part, tally in scanner.parts(watched)]
    stored_hash = chunks.stored_hash()
    if chunks.failed or stored_hash is not None:
        files = [
            replace(
                file,
                failed=chunks.failed,
                stored_hash=stored_hash if file.uri == document.uri else None,
            )
            for file in files
        ]
    return ScannedDocument(document, files)


def _scan_part(scanner: Scanner, document: Document, part: Part, tally: Tally) -> Scanned:
    """Return a text of a document scanned.

    The tally gets the signs of the times that the text covers.
    """
    name = log_name(part.uri)
    if name is not None:
        tally.signs.add((name.account, name.region, name.delivered))
    return _decoded(document, part.uri, scanner.scan(part, tally, signs=name is None), tally)


def _decoded(document: Document, uri: str, records: Iterator[Record | Skipped], tally: Tally) -> Scanned:
    """Return a file, or a part of a table, with its records decoded; the tally counts the others."""
    found: list[Skipped | tuple[Record, Decoded]] = []
    relevant = 0
    for record in records:
        if isinstance(record, Skipped):
            relevant += record.extent is Extent.RECORD
            found.append(record)
            continue
        decoded, copies = decode(record), len(record.origins)
        if decoded.is_relevant:
            relevant += copies
        else:
            tally.passed_over += copies
            tally.signs |= _signs_of(record)
        found.append((record, decoded))
    relevant += tally.unlisted
    return Scanned(document=document, uri=uri, tally=tally, found=found, relevant=relevant)


class _Chunks:
    """The bytes of a document in chunks, and whether reading them failed."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.failed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:  # noqa: UP028  to close this iterator must not close the other one
                yield chunk
        except OSError:
            self.failed = True
            raise

    def stored_hash(self) -> str | None:
        """Return the SHA-256 of all chunks in hex; None if it was not asked for, or reading failed."""
        return None


class _HashedChunks(_Chunks):
    """Chunks that are hashed while they are read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        from hashlib import sha256

        super().__init__(chunks)
        self._hash = sha256()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in super().__iter__():
            self._hash.update(chunk)
            yield chunk

    def stored_hash(self) -> str | None:
        """Return the SHA-256 of all chunks, also of those that the scanner did not read."""
        with suppress(OSError):
            for chunk in super().__iter__():
                self._hash.update(chunk)
        return None if self.failed else self._hash.hexdigest()
