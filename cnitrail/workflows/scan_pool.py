"""Documents → records: scanned by several processes or threads, in order and in bounded memory."""

from __future__ import annotations

from contextlib import closing, suppress
from functools import partial
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Final, Self

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.decode import MARKERS, NAMES, Decoded, decode, pod_markers
from cnitrail.model import CannotOpen, Document, Effect, Event, Extent, Record, Reference, Skipped
from cnitrail.model.forms import POD_FORMS
from cnitrail.model.table import TablePart
from cnitrail.prefetch import prefetch
from cnitrail.scan import Part, Scanner, Tally
from cnitrail.scan.activity_signs import sign_of
from cnitrail.sources import Referring
from cnitrail.sources.layout import log_name
from cnitrail.text import counted
from cnitrail.workflows.forking import MOST_WORKERS, can_fetch_in_fork, can_fork, usable_cores

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from concurrent.futures import Executor, Future

    from cnitrail.model import Growth, Sign
    from cnitrail.sources import Delivered, Source
    from cnitrail.workflows.processes import EndedEarly, Processes

_BATCH: Final = 64
_BATCH_BYTES: Final = 512 * 1024
"""Maximum number and stored bytes of documents that are scanned together: passing one on costs as much as
scanning a small one."""

_MOST_THREADS: Final = 4
"""They take turns, except while they decompress."""

_OPENED_AT_ONCE: Final = 32
"""Documents that a process opens at once, if that means to wait for a server."""

_ENOUGH: Final = 1024
_ENOUGH_BYTES: Final = 4 * 1024 * 1024
"""Number and stored bytes of documents from which on other processes are worth starting: scanning them takes
some 50 ms."""


class Scanned(Struct, frozen=True, kw_only=True):
    """A file that was read, with its counts: ``uri`` is a document's, or that of a member of an archive.

    ``found`` has the records that matter, decoded, and what could not be read; ``relevant`` is the number
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
        """Return whether it has a write call of EC2, so that its trail records them."""
        facts = (found[1].fact for found in self.found if not isinstance(found, Skipped))
        others = (Effect.RECORD, Effect.SIGN_IN)  # a sign-in is a read-only call of STS
        return any(isinstance(fact, Event) and fact.effect not in others for fact in facts)


class ScannedDocument(Struct, frozen=True):
    """A document that was read, and the files in it: itself, or the members of an archive."""

    document: Document
    files: Sequence[Scanned]


class ReadText(Struct, kw_only=True, gc=False):
    """A text of a document that was scanned: what was found in it is not decoded."""

    uri: str
    tally: Tally
    found: list[Record | Skipped]
    failed: bool = False
    stored_hash: str | None = None


class ReadDocument(Struct, frozen=True, gc=False):
    """A document that was scanned."""

    document: Document
    texts: list[ReadText]


class _Opening(Struct, frozen=True):
    """A document that is being opened by a thread."""

    reference: Reference
    opened: Future[Document | Skipped | None]


_Batch = list[Document | Reference]
_Unread = Document | Reference | _Opening
_Result = ReadDocument | Skipped | Reference | None
"""What becomes of a document: a reference if only its source can open it, None if it is no evidence."""


class ScanPool:
    """Scans what sources deliver: with other processes if there is enough to read, or with threads.

    Processes are forked, on Linux; elsewhere there are only threads. ``workers`` is the number of either: 1
    is this process itself; None for as many as are useful. If ``hashing``, the stored bytes of
    documents are hashed as they are read.
    """

    def __init__(self, growth: Growth, *, hashing: bool = False, workers: int | None = None) -> None:
        self._scan_batch = partial(_scan_batch, Scanner(NAMES, MARKERS, growth, pod_markers), hashing)
        self._number = workers if workers is not None else min(usable_cores(), MOST_WORKERS)
        self._processes: Processes[_Batch, list[_Unread], list[_Result]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._processes is not None:
            self._processes.close()

    def scan(self, source: Source) -> Generator[ScannedDocument | Delivered]:
        """Yield what a source delivers, in its order: documents scanned, everything else as it is."""
        with closing(self.read(source)) as delivered:
            for read in delivered:
                yield _decoded_document(read) if isinstance(read, ReadDocument) else read

    def read(self, source: Source) -> Generator[ReadDocument | Delivered]:
        """Yield what a source delivers, in its order: documents without the records that cannot matter."""
        for is_unread, run in groupby(self._delivered(source), key=_is_unread):
            if is_unread:
                for result in chain.from_iterable(self._results(_batches(run))):
                    match result:
                        case Reference():
                            yield self._read_here(source, result)
                        case None:
                            assert isinstance(source, Referring)
                            source.withdraw()
                        case _:
                            yield result
            else:
                for other in run:
                    assert not isinstance(other, Reference)
                    yield _read_part(other) if isinstance(other, TablePart) else other

    def _delivered(self, source: Source) -> Iterator[Delivered | Reference]:
        """Return what a source delivers, if possible with references in place of documents."""
        if not isinstance(source, Referring) or (source.opens_slowly and not self._can_open_elsewhere()):
            return source.documents()
        return source.references()

    def _can_open_elsewhere(self) -> bool:
        """Return whether other processes run, or could be started before this one has threads."""
        if self._processes is None and self._number > 1 and can_fetch_in_fork():
            self._started()
        return self._processes is not None

    def _read_here(self, source: Source, reference: Reference) -> ReadDocument | Skipped:
        """Return a document that no other process could open."""
        assert isinstance(source, Referring)
        document = source.open(reference)
        if isinstance(document, Skipped):
            return document
        (result,) = self._scan_batch([document])
        assert isinstance(result, ReadDocument)
        return result

    def _results(self, batches: Iterator[_Batch]) -> Iterator[list[_Result]]:
        """Yield the result of every batch. A few small documents are not worth another process or thread."""
        first = list(islice(batches, 1)) if self._processes is not None else _beginning(batches)
        everything = chain(first, batches)
        if _are_references(first) and (self._processes is not None or self._is_worth_processes(first)):
            yield from self._in_processes(everything)
        elif self._number == 1 or len(first) < 2:
            yield from map(self._scan_batch, everything)
        else:
            yield from self._in_threads(everything)

    def _is_worth_processes(self, first: list[_Batch]) -> bool:
        return self._number > 1 and len(first) > 1 and _is_enough(first) and can_fork()

    def _in_threads(self, batches: Iterator[_Batch]) -> Iterator[list[_Result]]:
        from concurrent.futures import ThreadPoolExecutor

        number = min(self._number, _MOST_THREADS)
        pool = ThreadPoolExecutor(number, "scan")
        try:
            for _, done in prefetch(pool, self._scan_batch, batches, most=number + 1):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _in_processes(self, batches: Iterator[_Batch]) -> Iterator[list[_Result]]:
        from cnitrail.workflows.processes import EndedEarly

        for batch, results in self._started().results(batches):
            yield _unread(batch, results) if isinstance(results, EndedEarly) else results

    def _started(self) -> Processes[_Batch, list[_Unread], list[_Result]]:
        """Return the other processes, which now run."""
        from cnitrail.workflows.processes import Processes

        if self._processes is None:
            self._processes = Processes(_Opener().opening, self._scan_batch, self._number, size=_bytes_of)
        return self._processes


class _Opener:
    """Opens documents before it is their turn to be scanned, many at once, if that means to wait."""

    def __init__(self) -> None:
        self._pool: Executor | None = None

    def opening(self, batch: _Batch) -> list[_Unread]:
        """Return documents, of which those that are slow to open are being opened."""
        return [
            self._opening(document) if isinstance(document, Reference) and document.opens_slowly else document
            for document in batch
        ]

    def _opening(self, reference: Reference) -> _Opening:
        from concurrent.futures import ThreadPoolExecutor

        self._pool = self._pool or ThreadPoolExecutor(_OPENED_AT_ONCE, "open")
        return _Opening(reference, self._pool.submit(reference.open))


def problems(record: Record, decoded: Decoded) -> list[Skipped]:
    """Return what could not be read of a record, once for each of its origins."""
    extent = Extent.PART if decoded.says_something else Extent.RECORD
    of_pods = record.origins[0].form in POD_FORMS
    return [
        Skipped(origin.source, f"record {origin.index}: {problem}", extent, of_pods)
        for origin in record.origins
        for problem in decoded.problems
    ]


def _read_part(part: TablePart) -> ReadDocument:
    """Return a part of a table, whose records were found by the engine."""
    from cnitrail.scan.table_rows import read_part

    tally = Tally()
    text = ReadText(uri=part.uri, tally=tally, found=list(read_part(part, tally)))
    return ReadDocument(Document(uri=part.uri, chunks=iter(()), etag=part.query), [text])


def _signs_of(record: Record) -> set[Sign]:
    """Return the time that an irrelevant record shows to be logged, unless the name of its file has one."""
    if log_name(record.origins[0].source) is not None:
        return set()
    from cnitrail.scan.reading import place_and_time

    signs = (sign_of(*head) for head in place_and_time(record.payload))
    return {sign for sign in signs if sign is not None}


def _is_unread(delivered: object) -> bool:
    return isinstance(delivered, Document | Reference)


def _size(document: Document | Reference) -> int:
    return _BATCH_BYTES if document.size is None else document.size


def _bytes_of(batch: _Batch) -> int:
    return sum(map(_size, batch))


def _batches(documents: Iterable[object]) -> Iterator[_Batch]:
    """Yield documents in batches, one for each task of a process or thread."""
    batch: _Batch = []
    size = 0
    for document in documents:
        assert isinstance(document, Document | Reference)
        batch.append(document)
        size += _size(document)
        if len(batch) == _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _beginning(batches: Iterable[_Batch]) -> list[_Batch]:
    """Return as many batches as it takes to decide how to scan them all: two, and more if they are small."""
    begun: list[_Batch] = []
    for batch in batches:
        begun.append(batch)
        if len(begun) > 1 and (_is_enough(begun) or not _are_references(begun)):
            break
    return begun


def _is_enough(batches: Sequence[_Batch]) -> bool:
    """Return whether it takes long to scan these documents."""
    return sum(map(len, batches)) >= _ENOUGH or sum(map(_bytes_of, batches)) >= _ENOUGH_BYTES


def _are_references(batches: Iterable[_Batch]) -> bool:
    return all(isinstance(document, Reference) for batch in batches for document in batch)


def _unread(batch: _Batch, ended: EndedEarly) -> list[_Result]:
    """Return the documents that a process had when it ended early."""
    others = f" and {counted(len(batch) - 1, 'other file')}" if len(batch) > 1 else ""
    reason = (
        f"the process that read it{others} ended early ({ended.reason}), perhaps for lack of memory; "
        "--workers 1 reads without other processes"
    )
    return [Skipped(document.uri, reason) for document in batch]


def _scan_batch(scanner: Scanner, hashing: bool, batch: Iterable[_Unread]) -> list[_Result]:
    return [_scan(scanner, hashing, unread) for unread in batch]


def _scan(scanner: Scanner, hashing: bool, unread: _Unread) -> _Result:
    """Return a document opened, if it is not yet, and scanned."""
    match unread:
        case Document():
            return _scan_document(scanner, hashing, unread)
        case Reference():
            reference, opened = unread, unread.open
        case _Opening():
            reference, opened = unread.reference, unread.opened.result
    try:
        document = opened()
        return _scan_document(scanner, hashing, document) if isinstance(document, Document) else document
    except CannotOpen:
        return reference


def _scan_document(scanner: Scanner, hashing: bool, document: Document) -> ReadDocument:
    chunks = (_HashedChunks if hashing else _Chunks)(document.chunks)
    watched = replace(document, chunks=iter(chunks))
    texts = [_scan_text(scanner, part, tally) for part, tally in scanner.parts(watched)]
    if chunks.failed or hashing:
        stored_hash = chunks.stored_hash()
        for text in texts:
            text.failed = chunks.failed
            text.stored_hash = stored_hash if text.uri == document.uri else None
    return ReadDocument(replace(document, chunks=iter(()), open=None), texts)


def _scan_text(scanner: Scanner, part: Part, tally: Tally) -> ReadText:
    """Return a text of a document scanned.

    The tally gets the signs of the times that the text covers.
    """
    name = log_name(part.uri)
    if name is not None:
        tally.signs.add((name.account, name.region, name.delivered))
    found = list(scanner.scan(part, tally, signs=name is None))
    return ReadText(uri=part.uri, tally=tally, found=found)


def _decoded_document(read: ReadDocument) -> ScannedDocument:
    return ScannedDocument(read.document, [_decoded(read.document, text) for text in read.texts])


def _decoded(document: Document, text: ReadText) -> Scanned:
    """Return a file, or a part of a table, with its records decoded; the tally counts the others."""
    tally = text.tally
    found: list[Skipped | tuple[Record, Decoded]] = []
    relevant = 0
    for record in text.found:
        if isinstance(record, Skipped):
            relevant += record.extent is Extent.RECORD
            found.append(record)
            continue
        decoded, copies = decode(record), len(record.origins)
        if decoded.is_relevant:
            relevant += copies
            found.append((record, decoded))
        else:
            tally.passed_over += copies
            tally.signs |= _signs_of(record)
    return Scanned(
        document=document,
        uri=text.uri,
        tally=tally,
        found=found,
        relevant=relevant + tally.unlisted,
        failed=text.failed,
        stored_hash=text.stored_hash,
    )


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
