"""Flow logs in, the same records with their ends out, in order, and an account of both."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from enum import Enum
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from cnitrail.answers.flows.tally import FlowTally
from cnitrail.bounded_memory import BoundedMemory
from cnitrail.errors import UsageError
from cnitrail.model import Extent, Skipped
from cnitrail.model.flow_fields import field_of, json_name
from cnitrail.model.flow_report import FlowReport
from cnitrail.model.flows import FlowBlock, FlowCounts, FlowFormats, UnlistedRecords, fields_of_block
from cnitrail.render.flows.cells import COLUMNS
from cnitrail.render.flows.parquet import ParquetRecords, write_parquet
from cnitrail.sources import Measured
from cnitrail.sources.files import walk
from cnitrail.sources.flow_logs import open_flow_source
from cnitrail.text import counted
from cnitrail.workflows.accounting import check_sum
from cnitrail.workflows.flows.joining import BlockJoiner
from cnitrail.workflows.flows.pool import Workers
from cnitrail.workflows.flows.reading import flow_files
from cnitrail.workflows.forking import MOST_WORKERS, usable_cores
from cnitrail.workflows.observer import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

    from cnitrail.answers.flows import FlowEnds
    from cnitrail.answers.flows.selection import FlowSelection
    from cnitrail.model import Scope
    from cnitrail.model.flows import FlowSummary
    from cnitrail.render.flows import OpenWriter
    from cnitrail.workflows.flows.directory import FlowDirectory
    from cnitrail.workflows.flows.reading import FlowFile
    from cnitrail.workflows.observer import Observer

    _Name = Callable[[str, FlowFile], str | Skipped]

_Layout = tuple[tuple[str, ...], tuple[str, ...]]
"""The columns of records, and the fields of AWS that they are."""

_BLOCKS: Final = 64
"""Blocks after which a process delivers what its blocks show together, which costs as much as a block."""

_ENOUGH_BYTES: Final = 1 << 20
"""Stored bytes that are worth more than one process."""

_AWS_NAME: Final = re.compile(r"\d{12}_vpcflowlogs_[a-z0-9-]+_fl-[0-9a-z]+_\d{8}T\d{4}Z_[0-9A-Za-z]+")
"""The name that AWS gives to a file in S3, which ends with a hash: no other one has it."""

_REMEMBERED_FILES: Final = 1 << 16
"""Number of files of which a copy is noticed, as memory must not grow with the files."""


class _Packing(Enum):
    """What becomes of the text of a block before it leaves its process."""

    PLAIN = "plain"
    GZIP = "gzip"
    ROWS = "rows"
    """The rows of a Parquet file; the text is JSON lines."""
    COUNTED = "counted"
    """Only what all records show together is wanted."""


class _Task(Struct, frozen=True, gc=False):
    """A block to join; None for what the blocks before it show together."""

    block: FlowBlock | None
    packing: _Packing


class _Joined(Struct, frozen=True, gc=False):
    """A block that was joined."""

    text: bytes
    counts: FlowCounts
    skipped: tuple[Skipped, ...]
    tally: FlowTally | None


class _OpenFile:
    """A file that is being read, of the source at a place among all."""

    def __init__(self, source: int, file: FlowFile, name: str, packing: _Packing) -> None:
        self.source = source
        self.file = file
        self.name = name
        self.packing = packing
        self.layout: _Layout | None = None
        self.text_bytes = 0
        """The size of the records that were read."""
        self.is_whole = True
        self.is_skipped = False
        self.skipped = 0


class _OtherFile(Struct, frozen=True, gc=False):
    """A file that is no flow log."""

    kind: str


class _Piece(Struct, frozen=True, gc=False):
    """What was read next: some records of a file, something unreadable, or the end of the file (None)."""

    source: int
    file: _OpenFile | None
    found: FlowBlock | Skipped | UnlistedRecords | _OtherFile | None


class FlowRun:
    """One run over some sources of flow logs: ``texts``, ``summary`` or ``write``, each of which reads all.

    After it, ``reports`` and ``skipped`` are what was read, ``lost_workers`` how many processes ended before
    their time, and ``done_before`` how many documents an earlier run had written. ``workers`` is the number
    of processes that join records; None for as many as are of use.
    """

    def __init__(
        self,
        uris: tuple[str, ...],
        scope: Scope,
        ends: FlowEnds,
        open_writer: OpenWriter,
        *,
        formats: FlowFormats = FlowFormats(),  # noqa: B008
        selection: FlowSelection | None = None,
        workers: int | None = None,
        observer: Observer = SILENT,
    ) -> None:
        if workers is not None and workers < 1:
            raise UsageError(f"--workers {workers}: at least one process is needed")
        self.skipped: list[Skipped] = []
        self.reports: list[FlowReport] = [FlowReport(uri=uri) for uri in uris]
        self.copies = 0
        """Number of files that were read before, by name and size; ``first_copy`` is the first of them."""
        self.first_copy: str | None = None
        self.lost_workers = 0
        self.done_before = 0
        self._uris = uris
        self._scope = scope
        self._open_writer = open_writer
        self._joiner = BlockJoiner(ends, open_writer, selection)
        self._formats = formats
        self._number = workers
        self._observer = observer
        self._known_files: BoundedMemory[tuple[str, int], bool] = BoundedMemory(_REMEMBERED_FILES)
        self._parquet: dict[_Layout, ParquetRecords] = {}
        self._first: tuple[str, _Layout] | None = None
        self._tally = FlowTally()
        self._joined_blocks = 0

    @property
    def tally(self) -> FlowTally:
        """What the records that were read show together; of those in other processes, once all were read."""
        self._tally.merge(self._joiner.take_tally())
        return self._tally

    def texts(self) -> Iterator[bytes]:
        """Yield all records in order, below one header if the format has one."""
        is_written = False
        for file, texts in self._files(_named_after_input, _Packing.PLAIN, is_one=True):
            if not is_written and file.layout is not None:
                is_written = True
                yield self._open_writer(*file.layout).header()
            yield from texts

    def write_parquet(self, out: IO[bytes]) -> None:
        """Write all records as one Parquet file; the writer is to be that of JSON lines."""
        files = self._files(_named_after_input, _Packing.ROWS, is_one=True)
        first = next(files, None)
        layout = (first[0].layout if first is not None else None) or self._usual()
        streams = chain.from_iterable(texts for _, texts in chain((first,) if first else (), files))
        write_parquet(self._rows(layout).schema, streams, out)

    def summary(self) -> FlowSummary:
        """Return what all records show together."""
        for _, texts in self._files(_named_after_input, _Packing.COUNTED, is_one=False):
            for _ in texts:
                pass
        return self.tally.summary()

    def write(self, directory: FlowDirectory) -> None:
        """Write an output file for each input file that the directory does not have yet."""
        self._scope = replace(self._scope, seen=directory.seen)
        self.skipped += directory.skipped
        self.done_before = len(directory.seen)
        for file, texts in self._files(directory.begin, None, is_one=False):
            directory.write(file.name, partial(self._write, file, texts))
            if file.is_whole:
                directory.done(file.name, file.file, file.skipped)
        directory.finish()

    def _write(self, file: _OpenFile, texts: Iterator[bytes], out: IO[bytes]) -> None:
        """Write the records of a file."""
        layout = file.layout or self._usual()
        if file.packing is _Packing.ROWS:
            write_parquet(self._rows(layout).schema, texts, out)
            return
        header = self._open_writer(*layout).header() if layout[0] else b""
        out.write(_gzipped(header) if file.packing is _Packing.GZIP else header)
        out.writelines(texts)

    def _usual(self) -> _Layout:
        """Return the columns of an input without a record or a header line."""
        columns = self._formats.usual or ()
        return columns, tuple(map(field_of, columns))

    def _rows(self, layout: _Layout) -> ParquetRecords:
        records = self._parquet.get(layout)
        if records is None:
            records = self._parquet[layout] = ParquetRecords(*layout)
        return records

    def _files(
        self, name: _Name, packing: _Packing | None, *, is_one: bool
    ) -> Iterator[tuple[_OpenFile, Iterator[bytes]]]:
        """Yield each file with the texts of its records.

        ``name`` returns the name of its output, or why there is none, which decides on the packing if
        ``packing`` is None. ``is_one``: the output of all is one file.
        """
        number = self._number if self._number is not None else _useful_workers(self._uris)
        workers = Workers(self._join, number)
        try:
            pieces = ((piece, self._task(piece)) for piece in self._pieces(name, packing, is_one=is_one))
            pairs = self._counted(workers.results(pieces, _size))
            for file, texts in groupby(pairs, key=itemgetter(0)):
                yield file, (text for _, text in texts if text)
            for joined in workers.of_each(_Task(None, _Packing.COUNTED)):
                self._merge(joined)
            self._check_summary()
        finally:
            self.lost_workers = len(workers.lost)
            workers.close()
        for report in self.reports:
            check(report)

    def _join(self, task: _Task) -> _Joined:
        """Return a block with its ends: what the processes do."""
        self._joined_blocks += 1
        if task.block is None or self._joined_blocks % _BLOCKS == 0:
            tally = self._joiner.take_tally()
        else:
            tally = None
        if task.block is None:
            return _Joined(b"", FlowCounts(), (), tally)
        joined = self._joiner.join(task.block)
        text, skipped = joined.text, joined.skipped
        match task.packing:
            case _Packing.ROWS:
                text, lost = self._rows(_layout_of(task.block)).stream(joined.text)
                if lost:
                    reason = f"{counted(lost, 'value')} of records that should be numbers are null in Parquet"
                    skipped = (*skipped, Skipped(joined.uri, reason, Extent.PART))
            case _Packing.GZIP:
                text = _gzipped(joined.text)
            case _Packing.COUNTED:
                text = b""
        return _Joined(text, joined.counts, skipped, tally)

    def _task(self, piece: _Piece) -> _Task | None:
        if piece.file is None or not isinstance(piece.found, FlowBlock):
            return None
        return _Task(piece.found, piece.file.packing)

    def _pieces(self, name: _Name, packing: _Packing | None, *, is_one: bool) -> Iterator[_Piece]:
        """Yield what is read of all sources."""
        for source, uri in enumerate(self._uris):
            opened_source = open_flow_source(uri, self._scope, self._formats.usual)
            if isinstance(opened_source, Measured):
                self._observer.begin(opened_source, sum(report.bytes for report in self.reports))
            for file in flow_files(opened_source, self._scope.growth, self._formats):
                if isinstance(file, Skipped):
                    yield _Piece(source, None, file)
                    continue
                if file.other_kind is not None:
                    yield _Piece(source, None, _OtherFile(file.other_kind))
                    continue
                named = name(uri, file)
                if isinstance(named, Skipped):
                    yield _Piece(source, None, named)
                    continue
                opened = _OpenFile(source, file, named, packing or _packing_of(named))
                yield from self._pieces_of(opened, is_one=is_one)

    def _note_copy(self, file: _OpenFile) -> None:
        """Note a file or a member of an archive with the name and size of one that was read before."""
        name = _AWS_NAME.search(file.file.uri)
        if name is None or not file.text_bytes:
            return
        known = name[0], file.text_bytes
        if known in self._known_files:
            self.copies += 1
            self.first_copy = self.first_copy or file.file.uri
        self._known_files[known] = True

    def _pieces_of(self, file: _OpenFile, *, is_one: bool) -> Iterator[_Piece]:
        for found in file.file.blocks:
            if isinstance(found, FlowBlock):
                misfit = self._misfit(file, found, is_one=is_one)
                if misfit is not None:
                    yield _Piece(file.source, file, misfit)
                    break
                file.text_bytes += len(found.text)
            yield _Piece(file.source, file, found)
        yield _Piece(file.source, file, None)

    def _misfit(self, file: _OpenFile, block: FlowBlock, *, is_one: bool) -> Skipped | None:
        """Return why records cannot be written with those before them; None if they can."""
        layout = _layout_of(block)
        if layout == file.layout:
            return None
        names = list(map(json_name, block.columns))
        taken = [name for name in names if name in COLUMNS]
        if taken:
            return Skipped(block.uri, _taken(taken))
        has_header = file.packing is _Packing.ROWS or bool(self._open_writer(*layout).header())
        if file.layout is not None and has_header:
            reason = "the columns change here, and the rest was not written: use -o jsonl"
            return Skipped(block.uri, reason, Extent.PART)
        if is_one and has_header and self._first is not None:
            uri, (columns, _) = self._first
            if names != list(map(json_name, columns)):
                return Skipped(
                    block.uri,
                    f"it has other columns than {uri}: use -o jsonl, or --to DIR",
                )
        file.layout = layout
        if self._first is None:
            self._first = (block.uri, layout)
        return None

    def _counted(self, results: Iterator[tuple[_Piece, _Joined | None]]) -> Iterator[tuple[_OpenFile, bytes]]:
        """Count what was read and joined; yield the text of each block, and an empty one for each file."""
        last: _OpenFile | None = None
        self._observer.stage("records")
        for piece, joined in results:
            file = piece.file
            self._advance()
            if file is None:
                self._count_without_records(piece)
                continue
            if file is not last:
                last = file
                self._count(file.source, files_found=1)
            if joined is not None:
                self._count_joined(file, joined)
                yield file, joined.text
            elif piece.found is not None:
                self._count_unread(file, piece.found)
            elif file.is_skipped:
                self._count(file.source, files_skipped=1)
            else:
                self._count(file.source, files=1, bytes=file.file.stored_bytes)
                self._note_copy(file)
                yield file, b""

    def _advance(self) -> None:
        """Tell the observer how much was read."""
        self._observer.advance(
            sum(report.files for report in self.reports),
            sum(report.bytes for report in self.reports),
            sum(report.records for report in self.reports),
        )

    def _count_without_records(self, piece: _Piece) -> None:
        """Count what a source could not deliver, or a file that is no flow log."""
        match piece.found:
            case _OtherFile(kind):
                others = Counter(self.reports[piece.source].other_files)
                others[kind] += 1
                report = replace(self.reports[piece.source], other_files=dict(others))
                self.reports[piece.source] = report
                self._count(piece.source, files_found=1)
            case Skipped() as skipped:
                self.skipped.append(skipped)
                if skipped.extent is Extent.FILE:
                    self._count(piece.source, files_found=1, files_skipped=1)

    def _count_unread(self, file: _OpenFile, found: object) -> None:
        """Count what could not be read of a file."""
        match found:
            case UnlistedRecords(records):
                self._count_skipped(file, records)
            case Skipped(extent=Extent.RECORD) as skipped:
                self.skipped.append(skipped)
                self._count_skipped(file, 1)
            case Skipped() as skipped:
                self.skipped.append(skipped)
                file.is_whole = False
                file.is_skipped = file.is_skipped or skipped.extent is Extent.FILE

    def _count_skipped(self, file: _OpenFile, records: int) -> None:
        file.skipped += records
        self._count(file.source, records=records, records_skipped=records)

    def _count_joined(self, file: _OpenFile, joined: _Joined) -> None:
        self._count(file.source, **asdict(joined.counts))
        file.skipped += joined.counts.records_skipped
        self.skipped += joined.skipped
        self._merge(joined)

    def _check_summary(self) -> None:
        """Say how many records the summary lacks, because the process that had counted them was lost."""
        lacking = sum(report.joined for report in self.reports) - self.tally.records
        if lacking:
            reason = f"the summary lacks {counted(lacking, 'record')} of a worker process that ended early"
            self.skipped.append(Skipped(", ".join(self._uris), reason, Extent.PART))

    def _merge(self, joined: _Joined) -> None:
        if joined.tally is not None:
            self._tally.merge(joined.tally)

    def _count(self, source: int, **numbers: int) -> None:
        report = self.reports[source]
        added = {name: getattr(report, name) + number for name, number in numbers.items()}
        self.reports[source] = replace(report, **added)


def _size(task: _Task) -> int:
    return len(task.block.text) if task.block is not None else 0


def _taken(columns: list[str]) -> str:
    """Return why a file cannot be read that has some columns that ``flows`` writes."""
    if not {"src_verdict", "dst_verdict"}.isdisjoint(columns):
        return f"it has a column {columns[0]} already, so it is an output of flows"
    return (
        f"it has a column {columns[0]} already, which flows writes: rename it (AWS calls the addresses "
        "srcaddr and dstaddr), or export the records as they are (_raw, message)"
    )


def _layout_of(block: FlowBlock) -> _Layout:
    return block.columns, fields_of_block(block)


def _named_after_input(_source: str, file: FlowFile) -> str:
    return file.uri


def check(report: FlowReport) -> None:
    """Raise ``AccountingError`` if the counts of a source of flow logs do not add up."""
    files = {"read": report.files, "skipped": report.files_skipped, **report.other_files}
    records = {
        "joined": report.joined,
        "without data": report.no_data,
        "of skipped data": report.skip_data,
        "filtered": report.filtered,
        "skipped": report.records_skipped,
    }
    check_sum(report.uri, "files found", report.files_found, files)
    check_sum(report.uri, "records read", report.records, records)


def _gzipped(text: bytes) -> bytes:
    """Return a text as a gzip file, of which several after another are one.

    It has no time in it, so that the same text is always the same file.
    """
    import zlib

    return zlib.compress(text, level=1, wbits=31) if text else b""


def _packing_of(name: str) -> _Packing:
    """Return how the records of a file are written, by its name."""
    if name.endswith(".parquet"):
        return _Packing.ROWS
    return _Packing.GZIP if name.endswith(".gz") else _Packing.PLAIN


def _useful_workers(uris: tuple[str, ...]) -> int:
    """Return the number of processes that are worth starting."""
    cores = min(usable_cores(), MOST_WORKERS)
    return cores if cores > 1 and any(map(_is_large, uris)) else 1


def _is_large(uri: str) -> bool:
    """Return whether there is much to read in a source, or may be."""
    if not os.path.lexists(uri):
        return True
    size = 0
    for found in walk(uri):
        if isinstance(found, Skipped):
            continue
        size += found[1].st_size
        if size >= _ENOUGH_BYTES or not stat.S_ISREG(found[1].st_mode):
            return True
    return False
