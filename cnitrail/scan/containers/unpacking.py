"""What is in a document that is neither JSON text nor gzipped JSON text, at any depth up to a limit."""

from collections.abc import Iterator
from io import BytesIO
from itertools import chain
from typing import BinaryIO, Final

from msgspec import Struct

from cnitrail.model import Document
from cnitrail.scan.containers.compression import CODECS, GZIP, Codec, decompressed, is_checked
from cnitrail.scan.containers.gzipped import gunzipped
from cnitrail.scan.containers.names import MemberNames, is_resource
from cnitrail.scan.containers.streams import (
    HEAD,
    LAYERS,
    MEMBERS,
    Member,
    Meter,
    Part,
    TornStream,
    is_json,
    peeked,
    raising,
    unpeeked,
    unread,
)
from cnitrail.scan.containers.unicode_text import ENCODINGS, as_utf8
from cnitrail.scan.multisearch import Bytes

IN_MEMORY: Final = 256 * 1024 * 1024
"""Maximum size in bytes of the zip archives that are kept in memory together, one inside the other."""

_READ_ONCE: Final = 64 * 1024 * 1024
"""Files below this size are kept in memory even if their source can open them: so they are read only once."""

_TOO_LARGE: Final = (
    f"a zip archive of more than {IN_MEMORY >> 20} MB in a stream or in another container; "
    "save it as a file of its own, or unpack it first (unzip)"
)
_TOO_DEEP: Final = f"more than {LAYERS} containers inside each other; unpack the outer ones first"

_MARK: Final = b"\xef\xbb\xbf"
_ZIP: Final = b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK00"
_UNMARKED: Final = "UTF-16 text without a byte order mark; convert it first (iconv -f UTF-16LE -t UTF-8)"

_ZIP_NAME: Final = 30
"""The offset of the name of the first file in a zip archive."""

_OFFICE_MEMBERS: Final = b"[Content_Types].xml", b"_rels/", b"docProps/", b"mimetype"
"""The names with which the archives of office programs begin."""

_DOCUMENTS: Final = (".docx", ".pptx", ".odt", ".odp")
"""Names of archives that are no evidence, but somebody's notes."""

_WORKBOOKS: Final = (".xlsx", ".xlsm", ".ods")
_IS_WORKBOOK: Final = "a workbook of a spreadsheet program; save the sheet as CSV"

_FOREIGN: Final = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it first (7z x)",
    b"Rar!\x1a\x07": "a RAR archive; unpack it first (unrar x)",
    b"\xff\x06\x00\x00sNaPpY": "Snappy-compressed; decompress it first (snzip -d)",
    b"\x04\x22\x4d\x18": "LZ4-compressed; decompress it first (lz4 -d)",
    b"\x02\x21\x4c\x18": "LZ4-compressed; decompress it first (lz4 -d)",
    b"LZIP": "lzip-compressed; decompress it first (lzip -d)",
    b"\x1f\x9d": "compressed by compress; decompress it first (gunzip)",
}


_SQLITE: Final = b"SQLite format 3\0"
_PACKED_DATABASE: Final = "an SQLite database; unpack it first: a store is read only as a file of its own"

_TABLE_FILES: Final = {
    b"ORC": "an ORC file; write the table as Parquet or JSON lines",
    b"ARROW1": "an Arrow file; write the table as Parquet or JSON lines",
    b"Obj\x01": "an Avro file; write the table as Parquet or JSON lines",
}
"""What is at the beginning of binary table files; a text may begin like that, too."""


class Stream(Struct, frozen=True):
    """A stream whose kind is to be found out, in the containers ``layers``."""

    uri: str
    pieces: Iterator[Bytes]
    layers: tuple[str, ...] = ()
    checked: bool = False

    def inside(self, container: str, pieces: Iterator[Bytes], *, checked: bool) -> "Stream":
        """Return the content of this stream, which is a container."""
        return Stream(self.uri, pieces, (*self.layers, container), checked or self.checked)


class Unpacking:
    """The unpacking of one document."""

    def __init__(self, document: Document, meter: Meter) -> None:
        self._document = document
        self._meter = meter
        self._names = MemberNames()
        self._members = 0
        self._in_memory = 0

    def parts(self, stream: Stream, name: str = "") -> Iterator[Part]:
        """Return the texts in a stream; ``name`` is that of a member of an archive."""
        head, rest = peeked(stream.pieces, HEAD)
        if head.startswith(GZIP.magic):
            return self._decompressed(stream, GZIP, head, rest)
        pieces = unpeeked(head, rest)
        if is_json(head):
            return iter((self._part(stream, pieces),))
        if head[:1] == b"\0" and is_resource(name):
            return iter(())
        for codec in CODECS:
            if head.startswith(codec.magic):
                return self._decompressed(stream, codec, head, rest)
        if head.startswith(_ZIP):
            return self._office_file(stream, head, pieces) or self._archive(stream, "zip", pieces)
        if head.find(0, 0, HEAD) >= 0 and _is_tar(head):
            return self._archive(stream, "tar", pieces)
        return iter((self._other(stream, head, pieces),))

    def _office_file(self, stream: Stream, head: Bytes, pieces: Iterator[Bytes]) -> Iterator[Part] | None:
        """Return the file of an office program, not unpacked; None if the archive is another one."""
        name = stream.uri.lower()
        if not bytes(head[_ZIP_NAME:]).startswith(_OFFICE_MEMBERS):
            return None
        if name.endswith(_WORKBOOKS):
            return iter((self._part(stream, raising(TornStream(_IS_WORKBOOK))),))
        return iter((self._part(stream, pieces),)) if name.endswith(_DOCUMENTS) else None

    def _other(self, stream: Stream, head: Bytes, pieces: Iterator[Bytes]) -> Part:
        """Return a stream that is no container: text in some encoding, or what cannot be read."""
        for magic, reason in _FOREIGN.items():
            if head.startswith(magic):
                return self._part(stream, raising(TornStream(reason)))
        if stream.layers and head.startswith(_SQLITE):
            return self._part(stream, raising(TornStream(_PACKED_DATABASE)))
        for magic, reason in _TABLE_FILES.items():
            if head.startswith(magic) and head.find(0, 0, HEAD) >= 0:
                return self._part(stream, raising(TornStream(reason)))
        if _is_unmarked_utf16(head):
            return self._part(stream, raising(TornStream(_UNMARKED)))
        for encoding in ENCODINGS:
            if head.startswith(encoding.mark):
                text = as_utf8(encoding, pieces)
                return self._part(stream.inside(encoding.name, text, checked=False), text)
        return self._part(stream, _without_mark(pieces) if head.startswith(_MARK) else pieces)

    def _part(self, stream: Stream, pieces: Iterator[Bytes]) -> Part:
        """Return a stream with a text; the document itself can be opened only if that is the text."""
        return Part(
            uri=stream.uri,
            compression=stream.layers,
            pieces=pieces,
            checked=stream.checked,
            open=None if stream.layers else self._document.open,
        )

    def _decompressed(
        self, stream: Stream, codec: Codec, head: Bytes, rest: Iterator[Bytes]
    ) -> Iterator[Part]:
        layer = len(stream.layers)
        if layer == LAYERS:
            text = raising(TornStream(_TOO_DEEP))
        elif codec is GZIP:
            text = unpeeked(*gunzipped(head, rest, self._meter, layer))
        else:
            text = decompressed(codec, chain((head,), rest), self._meter, layer)
        return self.parts(stream.inside(codec.name, text, checked=is_checked(codec, head)))

    def _archive(self, stream: Stream, kind: str, pieces: Iterator[Bytes]) -> Iterator[Part]:
        """Yield the texts in an archive, at least one; then, if it is damaged, one that says so."""
        content = stream.inside(kind, iter(()), checked=kind == "zip")
        is_empty = True
        try:
            for member in self._members_in(stream, kind, pieces):
                uri = self._names.uri(stream.uri, member.name)
                inner = Stream(uri, member.pieces, content.layers, content.checked)
                for part in self.parts(inner, member.name):
                    is_empty = False
                    yield part
                if self._meter.stopped:
                    return
        except TornStream as torn:
            yield self._part(content, raising(torn))
        else:
            if is_empty:
                yield self._part(content, content.pieces)

    def _members_in(self, stream: Stream, kind: str, pieces: Iterator[Bytes]) -> Iterator[Member]:
        """Yield the members of an archive. Raises ``TornStream`` if there are too many, or it is damaged."""
        layer = len(stream.layers)
        if layer == LAYERS:
            raise TornStream(_TOO_DEEP)
        stored = self._meter.counted(pieces, layer)
        for member in self._zip(stored, layer) if kind == "zip" else _tar(stored):
            self._members += 1
            if self._members > MEMBERS:
                raise self._meter.stop(f"more than {MEMBERS:,} files in archives; unpack them first")
            yield member

    def _zip(self, stored: Iterator[Bytes], layer: int) -> Iterator[Member]:
        from cnitrail.scan.containers.zip_archive import ZipArchive

        before = self._in_memory
        try:
            file, torn = self._random_access(stored, layer)
            with file:
                yield from _or_torn(ZipArchive(file, self._meter, layer).members(), torn)
        finally:
            self._in_memory = before

    def _random_access(self, stored: Iterator[Bytes], layer: int) -> tuple[BinaryIO, TornStream | None]:
        """Return a file with the stored bytes, as many as could be read, and why not all could be."""
        size, reopen = self._document.size, self._document.open
        file: BinaryIO = BytesIO()
        if layer == 0 and reopen is not None and (size is None or size >= _READ_ONCE):
            try:
                file = reopen()
            except OSError as error:
                raise unread(error) from None
        try:
            for piece in stored:  # also if it is not needed: the stored bytes are counted as they pass by
                if isinstance(file, BytesIO):
                    self._keep(file, piece)
        except TornStream as torn:
            if self._in_memory > IN_MEMORY:
                raise
            return file, torn
        return file, None

    def _keep(self, file: BytesIO, piece: Bytes) -> None:
        self._in_memory += len(piece)
        if self._in_memory > IN_MEMORY:
            raise TornStream(_TOO_LARGE)
        file.write(piece)


def _is_unmarked_utf16(head: Bytes) -> bool:
    """Return whether a text begins with ASCII characters of two bytes each, in either order."""
    first = bytes(head[:64])
    halves = first[1::2], first[::2]
    return (
        len(first) >= 8
        and any(not half.strip(b"\0") for half in halves)
        and any(0 not in half for half in halves)
    )


def _without_mark(pieces: Iterator[Bytes]) -> Iterator[Bytes]:
    """Yield a text without the byte order mark that it begins with."""
    head = next(pieces)
    if len(head) > len(_MARK):
        yield head[len(_MARK) :]
    yield from pieces


def _or_torn(members: Iterator[Member], torn: TornStream | None) -> Iterator[Member]:
    """Yield members; an error of the stream that they are stored in replaces those that follow from it."""
    try:
        yield from members
    except TornStream:
        if torn is None:
            raise
    if torn is not None:
        raise torn


def _tar(stored: Iterator[Bytes]) -> Iterator[Member]:
    from cnitrail.scan.containers.tar_archive import tar_members

    return tar_members(stored)


def _is_tar(head: Bytes) -> bool:
    from cnitrail.scan.containers.tar_archive import is_tar

    return is_tar(head)
