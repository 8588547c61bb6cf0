"""Containers: whatever a log file is compressed with or packed into, its records are the same."""

import bz2
import io
import lzma
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from records import GOOD, compact, record, scanned, zipped

from cnitrail.model import Document, Growth, Scope
from cnitrail.scan.containers import Meter, TornStream, unpack, unpacking
from cnitrail.sources import open_source

ASSIGN = GOOD["AssignPrivateIpAddresses"]
DELETE = GOOD["DeleteNetworkInterface"]
LOOK = record("DescribeInstances", {"instancesSet": {}, "filterSet": {}}, readOnly=True)
TEXT = compact({"Records": [ASSIGN, LOOK, DELETE]})
OTHER = compact({"Records": [DELETE]})
FOUND = ["AssignPrivateIpAddresses", "DeleteNetworkInterface"]

WITH_CHECKSUM: Final[dict[int, int]] = {zstd.CompressionParameter.checksum_flag: 1}
TOO_LARGE: Final = "a zip archive of more than 256 MB in a stream or in another container;"

Read = tuple[str, tuple[str, ...], bytes, str | None]
"""A part as it was read: URI, compression, text before any damage, and the damage."""


def read(
    stored: bytes, growth: Growth | None = None, *, size: int = 1 << 20, uri: str = "case"
) -> list[Read]:
    """Return all parts of a document that is read in chunks of a size."""
    chunks = (stored[at : at + size] for at in range(0, len(stored), size))
    return read_all(Document(uri=uri, chunks=chunks), growth)


def read_all(document: Document, growth: Growth | None = None) -> list[Read]:
    found = []
    for part in unpack(document, Meter(growth=growth or Growth())):
        text = bytearray()
        damage = None
        try:
            for piece in part.pieces:
                text += piece
        except TornStream as torn:
            damage = str(torn)
        found.append((part.uri, part.compression, bytes(text), damage))
    return found


def zip_of(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED, streamed: bool = False) -> bytes:
    """Return a zip archive; ``streamed``: with the sizes after the members, as macOS and Java write it."""
    file = io.BytesIO()
    target: Any = Unseekable(file) if streamed else file
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, text in members:
            archive.writestr(zipfile.ZipInfo(name), text, method)
    return file.getvalue()


class Unseekable:
    """A file that can only be written to, such as a pipe."""

    def __init__(self, file: io.BytesIO) -> None:
        self.write = file.write
        self.flush = file.flush


def tar_of(
    *members: tuple[str, bytes], form: int = tarfile.PAX_FORMAT, types: dict[str, bytes] | None = None
) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, text in members:
            header = tarfile.TarInfo(name)
            header.size = len(text)
            header.type = (types or {}).get(name, tarfile.REGTYPE)
            archive.addfile(header, io.BytesIO(text))
    return file.getvalue()


COMPRESSED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "gzip": (zipped, "gzip"),
    "several gzip members": (lambda text: zipped(text[:700]) + zipped(text[700:]), "gzip"),
    "bzip2": (bz2.compress, "bzip2"),
    "several bzip2 streams": (lambda text: bz2.compress(text[:700]) + bz2.compress(text[700:]), "bzip2"),
    "xz": (lzma.compress, "xz"),
    "several xz streams": (lambda text: lzma.compress(text[:9]) + lzma.compress(text[9:]), "xz"),
    "padded xz": (lambda text: lzma.compress(text) + bytes(8), "xz"),
    "lzma": (lambda text: lzma.compress(text, lzma.FORMAT_ALONE), "lzma"),
    "zstd": (zstd.compress, "zstd"),
    "zstd with a checksum": (
        lambda text: zstd.compress(text, options=WITH_CHECKSUM),
        "zstd",
    ),
    "several zstd frames": (lambda text: zstd.compress(text[:700]) + zstd.compress(text[700:]), "zstd"),
    "zstd after a skippable frame": (
        lambda text: b"\x5a\x2a\x4d\x18\3\0\0\0abc" + zstd.compress(text),
        "zstd",
    ),
}
compressed = pytest.mark.parametrize(("pack", "name"), COMPRESSED.values(), ids=COMPRESSED)

ZIPPED = {
    "deflate": zip_of(("a.json", TEXT)),
    "stored": zip_of(("a.json", TEXT), method=zipfile.ZIP_STORED),
    "bzip2": zip_of(("a.json", TEXT), method=zipfile.ZIP_BZIP2),
    "lzma": zip_of(("a.json", TEXT), method=zipfile.ZIP_LZMA),
    "streamed": zip_of(("a.json", TEXT), streamed=True),
    "with a comment": b"",
}
with zipfile.ZipFile(_file := io.BytesIO(), "w") as _archive:
    _archive.writestr("a.json", TEXT)
    _archive.comment = b"from the night shift"
ZIPPED["with a comment"] = _file.getvalue()
with (
    zipfile.ZipFile(_file := io.BytesIO(), "w") as _archive,
    _archive.open("a.json", "w", force_zip64=True) as _member,
):
    _member.write(TEXT)
ZIPPED["zip64 member"] = _file.getvalue()

TARRED = {
    "pax": tar_of(("a.json", TEXT)),
    "gnu": tar_of(("a.json", TEXT), form=tarfile.GNU_FORMAT),
    "ustar": tar_of(("a.json", TEXT), form=tarfile.USTAR_FORMAT),
}


class TestCompression:
    @compressed
    def test_the_text_is_the_same(self, pack: Callable[[bytes], bytes], name: str) -> None:
        assert read(pack(TEXT)) == [("case", (name,), TEXT, None)]

    @compressed
    def test_it_does_not_matter_how_the_bytes_arrive(self, pack: Callable[[bytes], bytes], name: str) -> None:
        for size in (1, 7, 100):
            assert read(pack(TEXT), size=size) == [("case", (name,), TEXT, None)]

    @compressed
    def test_the_records_are_the_same(self, pack: Callable[[bytes], bytes], name: str) -> None:
        reading = scanned(pack(TEXT))
        assert (reading.names, reading.skipped, reading.tally.records) == (FOUND, [], 3)

    @compressed
    def test_a_stream_that_is_cut_short_says_so_once(self, pack: Callable[[bytes], bytes], name: str) -> None:
        (found,) = read(pack(TEXT)[:-12])
        assert TEXT.startswith(found[2])
        assert found[3] == f"the {name} stream is cut short"

    @compressed
    def test_the_text_before_the_damage_is_kept(self, pack: Callable[[bytes], bytes], name: str) -> None:
        noise = Random(1).randbytes(2_500_000).hex().encode()
        stored = bytearray(pack(noise))
        middle = len(stored) // 2
        stored[middle : middle + 2000] = bytes(2000)
        ((_, _, text, damage),) = read(bytes(stored), size=5000)
        same = next((at for at in range(len(text)) if text[at] != noise[at]), len(text))
        assert same > 1_500_000
        assert damage is not None or name == "zstd"  # zstd may have no checksum

    @pytest.mark.parametrize(
        ("pack", "name"),
        [(zipped, "gzip"), (bz2.compress, "bzip2"), (lzma.compress, "xz"), (zstd.compress, "zstd")],
    )
    def test_what_follows_the_end_is_reported(self, pack: Callable[[bytes], bytes], name: str) -> None:
        assert read(pack(TEXT) + b"tail") == [
            ("case", (name,), TEXT, f"4 bytes follow the end of the {name} stream")
        ]

    def test_a_checksum_is_known_if_there_is_one(self) -> None:
        def checked(stored: bytes) -> bool:
            (part,) = unpack(Document(uri="case", chunks=iter([stored])), Meter(growth=Growth()))
            return part.checked

        assert checked(zipped(TEXT))
        assert checked(bz2.compress(TEXT))
        assert checked(lzma.compress(TEXT))
        assert checked(zstd.compress(TEXT, options=WITH_CHECKSUM))
        assert checked(zip_of(("a", TEXT)))
        assert checked(zipped(tar_of(("a", TEXT))))
        assert not checked(TEXT)
        assert not checked(lzma.compress(TEXT, check=lzma.CHECK_NONE))
        assert not checked(lzma.compress(TEXT, lzma.FORMAT_ALONE))
        assert not checked(zstd.compress(TEXT))
        assert not checked(tar_of(("a", TEXT)))

    def test_a_stream_that_needs_too_much_memory_says_what_to_do(self) -> None:
        wide = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 30})
        ((_, _, _, damage),) = read(wide.compress(TEXT) + wide.flush())
        assert damage == "the zstd stream needs more than 128 MB of memory; decompress it first (zstd -d)"
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 28}]
        ((_, _, _, damage),) = read(lzma.compress(TEXT, filters=filters))
        assert damage == "the xz stream needs more than 128 MB of memory; decompress it first (xz -d)"


class TestText:
    @pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-8"])
    @pytest.mark.parametrize("size", [1, 3, 1 << 20])
    def test_text_with_a_byte_order_mark_is_utf_8_without(self, codec: str, size: int) -> None:
        text = '{"userAgent":"zwölf 𝟙𝟚"}'
        ((_, layers, found, damage),) = read(("\ufeff" + text).encode(codec), size=size)
        assert (found.decode(), damage) == (text, None)
        assert layers == (() if codec == "utf-8" else (codec[:6],))

    def test_a_log_file_from_powershell_is_read(self) -> None:
        reading = scanned(("\ufeff" + TEXT.decode()).encode("utf-16-le"))
        assert (reading.names, reading.skipped) == (FOUND, [])

    def test_text_that_is_cut_short_says_so(self) -> None:
        stored = ("\ufeff" + TEXT.decode()).encode("utf-16-le")[:-1]
        assert read(stored) == [("case", ("utf-16",), TEXT[:-1], "the UTF-16 text is cut short")]

    def test_the_text_before_a_character_that_does_not_exist_is_kept(self) -> None:
        stored = "\ufeff[1]".encode("utf-32-le") + b"\xff\xff\xff\xff"
        ((_, _, text, damage),) = read(stored)
        assert text == b"[1]"
        assert str(damage).startswith("the UTF-32 text is damaged")

    def test_half_a_character_pair_damages_its_record_only(self) -> None:
        broken = TEXT.decode().replace(ASSIGN["userAgent"], "\ud83d", 1)
        reading = scanned(("\ufeff" + broken).encode("utf-16-le", "surrogatepass"))
        assert "DeleteNetworkInterface" in reading.names

    @pytest.mark.parametrize("stored", [b"", b"x", b"\xef\xbb", b"\xff", b"\x1f"])
    def test_a_text_of_a_few_bytes_is_itself(self, stored: bytes) -> None:
        assert read(stored) == [("case", (), stored, None)]

    @pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0"])
    def test_a_mark_alone_is_an_empty_text(self, mark: bytes) -> None:
        assert [found[2:] for found in read(mark)] == [(b"", None)]

    @pytest.mark.parametrize("text", [b"PAR1\x15\x04" + bytes(600) + b"PAR1", b"plain" * 999, bytes(2000)])
    def test_anything_else_is_handed_on(self, text: bytes) -> None:
        assert read(text) == [("case", (), text, None)]


class TestZip:
    @pytest.mark.parametrize("stored", ZIPPED.values(), ids=ZIPPED)
    def test_the_text_is_the_same(self, stored: bytes) -> None:
        assert read(stored, size=1000) == [("case!/a.json", ("zip",), TEXT, None)]

    @pytest.mark.parametrize("stored", ZIPPED.values(), ids=ZIPPED)
    def test_the_records_are_the_same(self, stored: bytes) -> None:
        reading = scanned(stored)
        assert (reading.names, reading.skipped, reading.tally.bytes) == (FOUND, [], len(stored))
        assert reading.records[0].origins[0].source == "file!/a.json"

    def test_xz_and_zstd_members_are_read(self) -> None:
        for method, pack in ((93, zstd.compress), (95, lzma.compress)):
            assert read(raw_zip(b"a", pack(TEXT), method, TEXT)) == [("case!/a", ("zip",), TEXT, None)]

    def test_another_method_is_named(self) -> None:
        assert read(raw_zip(b"a", b"???", 9, TEXT)) == [
            (
                "case!/a",
                ("zip",),
                b"",
                "compressed by method 9, which is unknown; unpack it first (7z x)",
            )
        ]

    def test_an_encrypted_member_says_so_and_the_others_are_read(self) -> None:
        stored = bytearray(zip_of(("a.json", TEXT), ("b.json", OTHER)))
        for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            stored[stored.find(magic) + flags] |= 1
        assert read(bytes(stored)) == [
            ("case!/a.json", ("zip",), b"", "encrypted; unpack it first (unzip)"),
            ("case!/b.json", ("zip",), OTHER, None),
        ]

    def test_folders_links_and_what_macos_adds_are_no_members(self) -> None:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("logs/", b"")
            link = zipfile.ZipInfo("link.json")
            link.create_system, link.external_attr = 3, 0o120777 << 16
            archive.writestr(link, b"a.json")
            archive.writestr("__MACOSX/logs/._a.json", b"\0\x05\x16\x07\0\2\0\0Mac OS X")
            archive.writestr(".DS_Store", b"\0\0\0\1Bud1")
            archive.writestr("logs/._b.json", TEXT)
        assert [found[0] for found in read(file.getvalue())] == ["case!/logs/._b.json"]

    def test_an_archive_without_files_is_one_empty_part(self) -> None:
        assert read(zip_of()) == [("case", ("zip",), b"", None)]
        assert read(zip_of(("logs/", b""))) == [("case", ("zip",), b"", None)]

    def test_an_empty_member_is_an_empty_text(self) -> None:
        assert read(zip_of(("a", b""), ("b", TEXT))) == [
            ("case!/a", ("zip",), b"", None),
            ("case!/b", ("zip",), TEXT, None),
        ]

    @pytest.mark.parametrize("streamed", [False, True])
    def test_a_truncated_archive_delivers_whole_members_and_reports_the_rest_once(
        self, streamed: bool
    ) -> None:
        noise = Random(1).randbytes(2000)
        stored = zip_of(("a", TEXT), ("b", OTHER), ("c", noise), streamed=streamed)
        found = read(stored[: stored.index(noise[:50]) + 100] if noise[:50] in stored else stored[:-1500])
        assert [text for _, _, text, damage in found if damage is None] == [TEXT, OTHER]
        assert [damage for *_, damage in found if damage is not None] == [
            "the zip archive is cut short: its directory is missing"
        ]

    def test_a_truncated_archive_that_holds_another_is_not_taken_for_it(self) -> None:
        inner = zip_of(("inner.json", OTHER))
        stored = zip_of(("a", TEXT), ("b.zip", inner), method=zipfile.ZIP_STORED)
        found = read(stored[: stored.index(inner) + len(inner)])
        assert [part[0] for part in found] == ["case!/a", "case!/b.zip!/inner.json", "case"]
        assert found[-1][3] == "the zip archive is cut short: its directory is missing"

    def test_a_wrong_checksum_is_reported_and_the_next_member_is_read(self) -> None:
        stored = bytearray(zip_of(("a", TEXT), ("b", OTHER), method=zipfile.ZIP_STORED))
        stored[stored.index(TEXT) + 30] ^= 1
        first, second = read(bytes(stored))
        assert first[3] == "the member of the zip archive is damaged (its checksum is wrong)"
        assert second == ("case!/b", ("zip",), OTHER, None)

    def test_an_entry_that_is_missing_in_the_directory_is_reported(self) -> None:
        stored = bytearray(zip_of(("a", TEXT)))
        stored[-12:-10] = (7).to_bytes(2, "little")
        assert read(bytes(stored))[1][3] == ("the zip archive is damaged: its directory has 1 of 7 entries")

    def test_what_follows_the_archive_is_reported(self) -> None:
        assert read(zip_of(("a", TEXT)) + b"tail")[1] == (
            "case",
            ("zip",),
            b"",
            "4 bytes follow the end of the zip archive",
        )

    def test_a_zip64_archive_is_read(self) -> None:
        stored = zip_of(("a", TEXT))
        at = stored.index(b"PK\5\6")
        size, offset = struct.unpack_from("<LL", stored, at + 12)
        end64 = struct.pack("<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, offset)
        locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
        end = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
        assert read(stored[:at] + end64 + locator + end) == [("case!/a", ("zip",), TEXT, None)]

    def test_a_large_archive_that_cannot_be_opened_again_says_what_to_do(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unpacking, "IN_MEMORY", 1000)
        stored = zip_of(("a", TEXT), method=zipfile.ZIP_STORED)
        assert read(stored) == [
            (
                "case",
                ("zip",),
                b"",
                f"{TOO_LARGE} save it as a file of its own, or unpack it first (unzip)",
            )
        ]

    def test_a_large_file_is_read_in_place_and_its_bytes_are_counted(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(unpacking, "IN_MEMORY", 1000)
        monkeypatch.setattr(unpacking, "_READ_ONCE", 1000)
        stored = zip_of(("a", TEXT), ("b", OTHER), method=zipfile.ZIP_STORED)
        (tmp_path / "case.zip").write_bytes(stored)
        (document,) = open_source(str(tmp_path / "case.zip"), Scope()).documents()
        assert isinstance(document, Document)
        assert [found[2] for found in read_all(document)] == [TEXT, OTHER]
        assert list(document.chunks) == []


class TestDocuments:
    def test_of_an_office_program_are_not_opened(self) -> None:
        notes = zip_of(("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<w/>"))
        reading = scanned(notes, uri="case.zip!/notes.docx")
        assert (reading.skipped, reading.tally.other_kind) == ([], "document")

    def test_that_may_have_a_table_of_events_are_refused_with_what_to_do(self) -> None:
        reading = scanned(zip_of(("[Content_Types].xml", b"<Types/>")), uri="events.XLSX")
        assert reading.skipped == ["a workbook of a spreadsheet program; save the sheet as CSV"]

    def test_with_the_name_alone_are_archives(self) -> None:
        hidden = zip_of(("a.json", compact({"Records": [ASSIGN]})))
        assert scanned(hidden, uri="notes.docx").names == ["AssignPrivateIpAddresses"]


class TestTar:
    @pytest.mark.parametrize("stored", TARRED.values(), ids=TARRED)
    @pytest.mark.parametrize("size", [1, 1000, 1 << 20])
    def test_the_text_is_the_same(self, stored: bytes, size: int) -> None:
        assert read(stored, size=size) == [("case!/a.json", ("tar",), TEXT, None)]

    @pytest.mark.parametrize("stored", TARRED.values(), ids=TARRED)
    def test_the_records_are_the_same(self, stored: bytes) -> None:
        reading = scanned(zipped(stored))
        assert (reading.names, reading.skipped) == (FOUND, [])
        assert reading.tally.bytes == len(zipped(stored))

    @pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
    def test_a_long_name_is_kept(self, form: int) -> None:
        name = "/".join(["AWSLogs", "1" * 90, "ü" * 90, "a.json"])
        assert [found[0] for found in read(tar_of((name, TEXT), ("b", TEXT), form=form))] == [
            f"case!/{name}",
            "case!/b",
        ]

    def test_folders_links_and_devices_are_no_members(self) -> None:
        types = {
            "d": tarfile.DIRTYPE,
            "l": tarfile.LNKTYPE,
            "s": tarfile.SYMTYPE,
            "c": tarfile.CHRTYPE,
            "p": tarfile.FIFOTYPE,
        }
        stored = tar_of(*((name, b"") for name in types), ("._x", b"\0\5\x16\7"), ("a", TEXT), types=types)
        assert read(stored) == [("case!/a", ("tar",), TEXT, None)]

    def test_an_old_archive_without_a_magic_number_is_read(self) -> None:
        header = bytearray(TARRED["ustar"][:512])
        header[257:512] = bytes(255)
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        assert read(bytes(header) + TARRED["ustar"][512:]) == [("case!/a.json", ("tar",), TEXT, None)]

    def test_archives_may_follow_each_other(self) -> None:
        found = read(tar_of(("a", TEXT)) + tar_of(("b", OTHER)))
        assert [part[0] for part in found] == ["case!/a", "case!/b"]

    @pytest.mark.parametrize("cut", [100, 1024, 1500, 2048])
    def test_a_truncated_archive_delivers_whole_members_and_reports_the_rest_once(self, cut: int) -> None:
        stored = tar_of(("a", OTHER[:500]), ("b", OTHER[:500]))
        found = read(stored[:cut])
        assert [damage for *_, damage in found if damage is not None][-1:] in (
            [],
            ["the tar archive is cut short"],
        )
        assert len([part for part in found if part[3] is not None]) <= 1
        assert [text for _, _, text, damage in found if text and damage is None] in (
            [],
            [OTHER[:500]],
            [OTHER[:500]] * 2,
            [stored[:100]],
        )

    def test_damage_between_members_is_reported_with_its_place(self) -> None:
        stored = bytearray(tar_of(("a", OTHER[:500]), ("b", OTHER[:500]), form=tarfile.USTAR_FORMAT))
        stored[1024 + 5] ^= 1
        found = read(bytes(stored))
        assert found[0] == ("case!/a", ("tar",), OTHER[:500], None)
        assert found[1:] == [
            (
                "case",
                ("tar",),
                b"",
                "the tar archive is damaged (no header at byte 1,024); the rest was not read",
            )
        ]

    def test_what_follows_the_end_is_reported(self) -> None:
        assert "data follows its end" in str(read(tar_of(("a", TEXT)) + b"tail" * 128)[1][3])

    def test_a_wrong_checksum_of_the_stream_around_it_is_reported(self) -> None:
        stored = bytearray(zipped(tar_of(("a", TEXT))))
        stored[-8] ^= 1
        first, second = read(bytes(stored))
        assert first == ("case!/a", ("gzip", "tar"), TEXT, None)
        assert second[:2] == ("case", ("gzip", "tar"))
        assert str(second[3]).startswith("the gzip stream is damaged")

    def test_a_sparse_file_is_named(self) -> None:
        header = tarfile.TarInfo("sparse.json")
        header.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        header.size = 512
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.addfile(header, io.BytesIO(bytes(512)))
        assert read(file.getvalue())[0][3] == "a sparse file in a tar archive; unpack it first (tar -xf)"

    @pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
    def test_an_extended_header_of_any_size_takes_no_memory(self, kind: bytes) -> None:
        header = tarfile.TarInfo("x")
        header.type, header.size = kind, 500_000_000
        stored = zipped(header.tobuf() + bytes(50_000_000))
        tracemalloc.start()
        try:
            ((_, _, _, damage),) = read(stored, Growth(most=2000))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert damage == "the tar archive has an extended header of more than 1 MB; the rest was not read"
        assert peak < 20 << 20

    def test_a_negative_size_is_no_header(self) -> None:
        header = bytearray(tarfile.TarInfo("x").tobuf())
        header[124:136] = b"\xff" * 12
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        assert read(bytes(header) * 2) == [("case", (), bytes(header) * 2, None)]


class TestNesting:
    def test_a_zip_of_tar_gz_files_of_gzipped_logs_is_read(self) -> None:
        logs = zipped(tar_of(("AWSLogs/c.json.gz", zipped(TEXT))))
        assert read(zip_of(("b.tar.gz", logs), ("d.json", OTHER))) == [
            (
                "case!/b.tar.gz!/AWSLogs/c.json.gz",
                ("zip", "gzip", "tar", "gzip"),
                TEXT,
                None,
            ),
            ("case!/d.json", ("zip",), OTHER, None),
        ]

    def test_gzip_in_gzip_and_a_zip_in_a_zip_are_read(self) -> None:
        assert read(zipped(zipped(TEXT))) == [("case", ("gzip", "gzip"), TEXT, None)]
        assert read(zip_of(("b.zip", zip_of(("c", TEXT))))) == [
            ("case!/b.zip!/c", ("zip", "zip"), TEXT, None)
        ]

    def test_utf_16_in_a_zip_is_read(self) -> None:
        stored = zip_of(("a", ("\ufeff" + TEXT.decode()).encode("utf-16-le")))
        assert read(stored) == [("case!/a", ("zip", "utf-16"), TEXT, None)]

    @compressed
    def test_every_compression_is_read_in_every_archive(
        self, pack: Callable[[bytes], bytes], name: str
    ) -> None:
        for archive, kind in ((zip_of, "zip"), (tar_of, "tar")):
            assert read(archive(("a", pack(TEXT)), ("b", pack(OTHER)))) == [
                ("case!/a", (kind, name), TEXT, None),
                ("case!/b", (kind, name), OTHER, None),
            ]

    @pytest.mark.parametrize(
        "pack",
        [zipped, bz2.compress, lambda text: zip_of(("a", text)), lambda text: tar_of(("a", text))],
        ids=["gzip", "bzip2", "zip", "tar"],
    )
    def test_there_is_a_limit(self, pack: Callable[[bytes], bytes]) -> None:
        stored = TEXT
        for _ in range(6):
            stored = pack(stored)
        ((_, layers, text, damage),) = read(stored)
        assert (len(layers), text, damage) == (6, TEXT, None)
        ((_, _, text, damage),) = read(pack(stored))
        assert text == b""
        assert damage == "more than 6 containers inside each other; unpack the outer ones first"

    def test_every_container_has_the_records_of_the_plain_text(self) -> None:
        whole = scanned(TEXT).records
        for stored in (
            *(pack(TEXT) for pack, _ in COMPRESSED.values()),
            *ZIPPED.values(),
            *TARRED.values(),
            *(zipped(tar) for tar in TARRED.values()),
        ):
            reading = scanned(stored)
            assert [found.payload for found in reading.records] == [found.payload for found in whole]
            assert [found.origins[0].index for found in reading.records] == [0, 2]
            assert not reading.tally.damaged


class TestReadingInPart:
    @pytest.mark.parametrize(
        "stored",
        [
            zip_of(("a", TEXT), ("b", TEXT * 9), ("c", OTHER)),
            zip_of(("a", TEXT), ("b", TEXT * 9), ("c", OTHER), streamed=True),
            tar_of(("a", TEXT), ("b", TEXT * 9), ("c", OTHER)),
            zipped(tar_of(("a", TEXT), ("b", TEXT * 9), ("c", OTHER))),
            zip_of(("x.tar", tar_of(("a", TEXT), ("b", TEXT * 9))), ("c", OTHER)),
            zip_of(("a", TEXT), ("b", TEXT * 9), ("c", OTHER), streamed=True)[:-30],
        ],
        ids=["zip", "streamed zip", "tar", "tar.gz", "tar in zip", "cut zip"],
    )
    def test_the_next_part_comes_right_if_one_is_not_read_to_its_end(self, stored: bytes) -> None:
        chunks = (stored[at : at + 100] for at in range(0, len(stored), 100))
        names, last = [], b""
        for part in unpack(Document(uri="case", chunks=chunks), Meter(growth=Growth())):
            names.append(part.uri.rpartition("/")[2])
            if names[-1] == "a":
                next(part.pieces)
            if names[-1] == "c":
                last = b"".join(part.pieces)
        assert (names[:3], last) == (["a", "b", "c"], OTHER)

    def test_only_a_document_without_containers_can_be_opened(self) -> None:
        def opened(stored: bytes) -> bool:
            document = Document(
                uri="case", size=len(stored), chunks=iter([stored]), open=lambda: io.BytesIO(stored)
            )
            return next(unpack(document, Meter(growth=Growth()))).open is not None

        assert opened(TEXT)
        assert opened(b"PAR1" + bytes(100))
        assert not opened(zipped(TEXT))
        assert not opened(zip_of(("a", TEXT)))
        assert not opened("\ufeff[]".encode("utf-16-le"))

    def test_a_read_error_is_reported_after_what_was_read(self) -> None:
        def failing(stored: bytes) -> Iterator[bytes]:
            yield stored
            raise OSError(5, "Input/output error")

        for stored, uri in ((TEXT, "case"), (zipped(TEXT), "case")):
            assert read_all(Document(uri="case", chunks=failing(stored)))[0][::2] == (uri, TEXT)
        for stored in (tar_of(("a", TEXT)), zip_of(("a", TEXT))):
            first, second = read_all(Document(uri="case", chunks=failing(stored)))
            assert first[2:] == (TEXT, None)
            assert second[::3] == ("case", "reading failed: Input/output error")


class TestNames:
    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("../../etc/passwd", "../../etc/passwd"),
            ("/etc/passwd", "/etc/passwd"),
            ("a\x1b[31m\n", r"a\x1b[31m\n"),
            ("ü\u202e.json", r"ü\u202e.json"),
            ("x" * 2000, "x" * 1024 + "…"),
        ],
        ids=["up", "absolute", "control", "format", "long"],
    )
    @pytest.mark.parametrize("pack", [zip_of, tar_of], ids=["zip", "tar"])
    def test_a_hostile_name_is_shown_safely(self, name: str, shown: str, pack: Callable[..., bytes]) -> None:
        assert [found[0] for found in read(pack((name, TEXT)))] == [f"case!/{shown}"]

    def test_bytes_that_are_not_utf_8_are_escaped(self) -> None:
        stored = tar_of(("n\udcff.json", TEXT), form=tarfile.GNU_FORMAT)
        assert read(stored)[0][0] == r"case!/n\xff.json"
        assert read(raw_zip(b"n\xff", TEXT, 0, TEXT, flags=1 << 11))[0][0] == r"case!/n\xff"

    def test_a_name_in_an_old_zip_is_in_code_page_437(self) -> None:
        assert read(raw_zip(b"gr\x81n", TEXT, 0, TEXT))[0][0] == "case!/grün"

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    @pytest.mark.parametrize("pack", [zip_of, tar_of], ids=["zip", "tar"])
    def test_members_of_one_name_are_kept_apart(self, pack: Callable[..., bytes]) -> None:
        assert [found[0] for found in read(pack(("a", TEXT), ("a", OTHER), ("a", TEXT)))] == [
            "case!/a",
            "case!/a#2",
            "case!/a#3",
        ]


def raw_zip(
    name: bytes, stored: bytes, method: int, text: bytes, *, flags: int = 0, copies: int = 1
) -> bytes:
    """Return a zip archive with one member, which its directory may list several times."""
    crc, size = zlib.crc32(text), (len(stored), len(text))
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, flags, method, 0, 0, crc, *size, len(name), 0) + name
    entry = struct.pack(
        *("<4s6H3L5H2L", b"PK\1\2", 20, 20, flags, method, 0, 0, crc),
        *(*size, len(name), 0, 0, 0, 0, 0, 0),
    )
    directory = (entry + name) * copies
    end = struct.pack(
        *("<4s4H2LH", b"PK\5\6", 0, 0, copies % 65536, copies % 65536),
        *(len(directory), len(local) + len(stored), 0),
    )
    return local + stored + directory + end


ZEROS = bytes(32 << 20)
BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "gzip": (lambda: zipped(ZEROS), "a gzip bomb"),
    "bzip2": (lambda: bz2.compress(ZEROS), "a bzip2 bomb"),
    "xz": (lambda: lzma.compress(ZEROS), "an xz bomb"),
    "zstd": (lambda: zstd.compress(ZEROS), "a zstd bomb"),
    "zip": (lambda: zip_of(("a", ZEROS)), "a zip bomb"),
    "bzip2 in zip": (lambda: zip_of(("a", ZEROS), method=zipfile.ZIP_BZIP2), "a zip bomb"),
    "many members": (lambda: zip_of(*((str(n), bytes(1 << 20)) for n in range(40))), "a zip bomb"),
    "tar.gz": (lambda: zipped(tar_of(("a", ZEROS))), "a gzip bomb"),
    "gzip in gzip": (lambda: zipped(zipped(ZEROS)), "a gzip bomb"),
    "gzip in zip": (lambda: zip_of(("a", zipped(ZEROS))), "a gzip bomb"),
    "zip in zip": (lambda: zip_of(*((str(n), zip_of(("a", bytes(2 << 20)))) for n in range(20))), "a zip"),
    "overlapping": (
        lambda: raw_zip(b"a", Random(2).randbytes(50_000), 0, Random(2).randbytes(50_000), copies=1000),
        "a zip bomb, or damaged: its members overlap",
    ),
}


class TestBombs:
    @pytest.mark.parametrize(("pack", "reason"), BOMBS.values(), ids=BOMBS)
    def test_a_bomb_is_stopped(self, pack: Callable[[], bytes], reason: str) -> None:
        found = read(pack())
        assert str(found[-1][3]).startswith(reason)
        assert sum(damage is not None for *_, damage in found) == 1
        assert sum(len(text) for _, _, text, _ in found) < 16 << 20

    def test_the_limit_can_be_raised(self) -> None:
        for pack, _ in list(BOMBS.values())[:-1]:
            assert [found[3] for found in read(pack(), Growth(most=10**6)) if found[3]] == []

    def test_the_sentence_says_what_to_do(self) -> None:
        assert read(zip_of(("a", ZEROS)))[0][3] == (
            "a zip bomb: decompression stopped at more than 200 times its stored size; "
            "to read it anyway, raise --max-ratio"
        )

    def test_there_may_not_be_too_many_members(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unpacking, "MEMBERS", 2)
        for pack in (zip_of, tar_of):
            found = read(pack(*((str(number), b"[]") for number in range(4))))
            assert [damage for *_, damage in found] == [
                None,
                None,
                "more than 2 files in archives; unpack them first",
            ]

    @pytest.mark.parametrize("kind", ["zstd", "xz", "bzip2", "zip", "bzip2 in zip", "gzip in gzip"])
    def test_memory_is_bounded(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / "bomb").write_bytes(BOMBS[kind][0]())
        script = (
            "import resource, sys\n"
            "from cnitrail.model import Document, Growth\n"
            "from cnitrail.scan.containers import Meter, unpack\n"
            "import bz2, lzma, backports.zstd\n"
            "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "stored = open(sys.argv[1], 'rb').read()\n"
            "total = 0\n"
            "for part in unpack(Document(uri='x', chunks=iter([stored])), Meter(growth=Growth(10**9))):\n"
            "    for piece in part.pieces:\n"
            "        total += len(piece)\n"
            "assert total >= 32 << 20, total\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "bomb")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(done.stdout) < 28_000  # kB; the text has 32 MB


STORED = (
    zipped(TEXT),
    bz2.compress(TEXT),
    lzma.compress(TEXT),
    lzma.compress(TEXT, lzma.FORMAT_ALONE),
    zstd.compress(TEXT),
    *ZIPPED.values(),
    *TARRED.values(),
    zipped(TARRED["pax"]),
    zip_of(("a.tar.gz", zipped(tar_of(("b.gz", zipped(TEXT))))), ("c", OTHER)),
    ("\ufeff" + TEXT.decode()).encode("utf-16-le"),
)


class TestDamage:
    @given(
        st.sampled_from(STORED),
        st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(0, 7)), max_size=4),
        st.integers(0, 1 << 30),
        st.booleans(),
    )
    @settings(max_examples=400, deadline=None)
    def test_any_damage_leaves_parts_and_reasons(
        self, stored: bytes, flips: list[tuple[int, int]], cut: int, is_cut: bool
    ) -> None:
        damaged = bytearray(stored)
        for at, bit in flips:
            damaged[at % len(damaged)] ^= 1 << bit
        found = read(bytes(damaged[: cut % len(damaged)] if is_cut else damaged), size=997)
        assert found
        assert sum(len(text) for _, _, text, _ in found) < 4 << 20

    @pytest.mark.parametrize(
        "stored", [*ZIPPED.values(), zipped(TARRED["pax"]), bz2.compress(TEXT), lzma.compress(TEXT)]
    )
    def test_a_flipped_bit_alters_nothing_or_is_reported(self, stored: bytes) -> None:
        for bit in range(0, len(stored) * 8, 5):
            damaged = bytearray(stored)
            damaged[bit // 8] ^= 1 << bit % 8
            found = read(bytes(damaged))
            altered = [text for _, layers, text, damage in found if layers and damage is None]
            assert altered in ([], [TEXT]) or any(damage for *_, damage in found), bit

    def test_the_records_of_whole_members_survive_a_cut(self) -> None:
        archive = zipped(tar_of(("a", TEXT), ("b", Random(3).randbytes(90_000)), ("c", TEXT)))
        reading = scanned(archive[: len(archive) // 2])
        assert reading.names == FOUND
        assert reading.tally.damaged


class TestImports:
    def test_usual_files_need_no_further_libraries(self) -> None:
        script = (
            "import sys, gzip\n"
            "from cnitrail.model import Document, Growth\n"
            "from cnitrail.scan.containers import Meter, unpack\n"
            "for stored in (b'{}', gzip.compress(b'{}'), b'a,b', b''):\n"
            "    for part in unpack(Document(uri='x', chunks=iter([stored])), Meter(growth=Growth())):\n"
            "        list(part.pieces)\n"
            "print(sorted({'tarfile', 'zipfile', 'lzma', 'bz2', 'backports.zstd'} & set(sys.modules)))\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"
