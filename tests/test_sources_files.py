"""Local sources: from files, directories and standard input to documents or reasons to skip them."""

import io
import os
import sys
from pathlib import Path

import pytest

from cnitrail.errors import SourceError
from cnitrail.model import Document, Scope, Skipped
from cnitrail.sources import open_source

needs_permissions = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


def delivered(uri: object) -> list[Document | Skipped]:
    """Return what a source delivers; files and directories have no records and no notes."""
    found = []
    for item in open_source(str(uri), Scope()).documents():
        assert isinstance(item, Document | Skipped)
        found.append(item)
    return found


def contents(uri: object) -> dict[str, bytes]:
    """Return the content of every document of a source."""
    return {item.uri: b"".join(item.chunks) for item in delivered(uri) if isinstance(item, Document)}


def skipped(uri: object) -> list[Skipped]:
    return [item for item in delivered(uri) if isinstance(item, Skipped)]


def write(root: Path, *names: str) -> list[str]:
    """Write files that contain their own name; return their paths in the given order."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return [str(root / name) for name in names]


class TestFile:
    def test_a_file_is_one_document(self, tmp_path: Path) -> None:
        (path,) = write(tmp_path, "a.json")
        assert contents(path) == {path: b"a.json"}

    def test_the_size_of_a_file_is_known_beforehand(self, tmp_path: Path) -> None:
        (path,) = write(tmp_path, "a.json")
        (document,) = delivered(path)
        assert isinstance(document, Document)
        assert document.size == 6

    def test_the_name_of_a_file_does_not_matter(self, tmp_path: Path) -> None:
        for path in write(tmp_path, "a.txt", "b", "c.json.gz", ".hidden", "ü.log", "a b.json"):
            assert list(contents(path)) == [path]

    def test_a_large_file_is_delivered_in_pieces(self, tmp_path: Path) -> None:
        path = tmp_path / "large"
        path.write_bytes(bytes(range(256)) * 20_000)
        (document,) = delivered(path)
        assert isinstance(document, Document)
        pieces = list(document.chunks)
        assert len(pieces) > 1
        assert b"".join(pieces) == path.read_bytes()

    def test_an_empty_file_is_a_document_without_content(self, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        assert contents(tmp_path / "empty") == {str(tmp_path / "empty"): b""}

    def test_a_symlink_to_a_file_is_the_file(self, tmp_path: Path) -> None:
        write(tmp_path, "a.json")
        (tmp_path / "link").symlink_to("a.json")
        assert contents(tmp_path / "link") == {str(tmp_path / "link"): b"a.json"}

    def test_a_source_has_the_name_that_the_user_gave(self, tmp_path: Path) -> None:
        write(tmp_path, "a.json")
        uri = f"{tmp_path}/./a.json"
        assert open_source(uri, Scope()).uri == uri

    def test_a_file_is_opened_only_when_it_is_read(self, tmp_path: Path) -> None:
        _, second = write(tmp_path, "a.json", "b.json")
        documents = iter(open_source(str(tmp_path), Scope()).documents())
        next(documents)
        Path(second).unlink()
        assert list(documents) == [Skipped(second, "cannot be read: No such file or directory")]

    @needs_permissions
    def test_an_unreadable_file_is_skipped(self, tmp_path: Path) -> None:
        (path,) = write(tmp_path, "a.json")
        Path(path).chmod(0)
        assert delivered(path) == [Skipped(path, "cannot be read: Permission denied")]


class TestDirectory:
    def test_every_file_below_it_is_a_document_in_the_order_of_names(self, tmp_path: Path) -> None:
        root = tmp_path / "AWSLogs"
        write(root, "b/2/z.json.gz", "a.json", "b/10/y", "c", "b/2/a", ".x")
        order = [".x", "a.json", "b/10/y", "b/2/a", "b/2/z.json.gz", "c"]
        assert list(contents(root)) == [str(root / name) for name in order]

    def test_the_order_is_always_the_same(self, tmp_path: Path) -> None:
        write(tmp_path, *(f"{number * 7919 % 101}/{number}" for number in range(50)))
        assert list(contents(tmp_path)) == list(contents(tmp_path)) == sorted(contents(tmp_path))

    def test_an_empty_directory_delivers_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "a" / "b").mkdir(parents=True)
        assert delivered(tmp_path) == []

    def test_a_trailing_slash_changes_only_the_name(self, tmp_path: Path) -> None:
        write(tmp_path, "a.json")
        assert list(contents(f"{tmp_path}/").values()) == [b"a.json"]

    def test_a_symlink_to_a_directory_is_followed(self, tmp_path: Path) -> None:
        write(tmp_path, "real/a.json")
        (tmp_path / "top").mkdir()
        (tmp_path / "top" / "link").symlink_to(tmp_path / "real")
        assert list(contents(tmp_path / "top").values()) == [b"real/a.json"]

    def test_a_symlink_to_a_parent_is_not_followed_endlessly(self, tmp_path: Path) -> None:
        write(tmp_path, "a/b/c.json")
        (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
        (tmp_path / "a" / "self").symlink_to(".")
        assert list(contents(tmp_path).values()) == [b"a/b/c.json"]

    def test_a_directory_with_several_symlinks_is_read_once(self, tmp_path: Path) -> None:
        write(tmp_path, "a/x.json")
        for number in range(5):
            (tmp_path / f"link{number}").symlink_to("a")
        assert list(contents(tmp_path).values()) == [b"a/x.json"]

    def test_a_dangling_symlink_is_reported(self, tmp_path: Path) -> None:
        (path,) = write(tmp_path, "z.json")
        (tmp_path / "dead").symlink_to("gone")
        assert skipped(tmp_path) == [
            Skipped(str(tmp_path / "dead"), "cannot be read: No such file or directory")
        ]
        assert list(contents(tmp_path)) == [path]

    def test_a_symlink_to_itself_is_reported(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to("loop")
        (found,) = skipped(tmp_path)
        assert found.source == str(tmp_path / "loop")
        assert found.reason.startswith("cannot be read: ")

    def test_a_named_pipe_is_reported_and_not_waited_for(self, tmp_path: Path) -> None:
        (path,) = write(tmp_path, "z.json")
        os.mkfifo(tmp_path / "pipe")
        assert skipped(tmp_path) == [Skipped(str(tmp_path / "pipe"), "not a regular file")]
        assert list(contents(tmp_path)) == [path]

    def test_a_directory_that_disappears_is_reported(self, tmp_path: Path) -> None:
        source = open_source(str(tmp_path / "a"), Scope()) if write(tmp_path, "a/x") else None
        (tmp_path / "a" / "x").unlink()
        (tmp_path / "a").rmdir()
        assert source is not None
        assert list(source.documents()) == [
            Skipped(str(tmp_path / "a"), "cannot be read: No such file or directory")
        ]

    @needs_permissions
    def test_an_unreadable_directory_is_reported_and_the_others_are_read(self, tmp_path: Path) -> None:
        write(tmp_path, "a/x.json", "b/y.json")
        (tmp_path / "a").chmod(0)
        try:
            assert skipped(tmp_path) == [Skipped(str(tmp_path / "a"), "cannot be read: Permission denied")]
            assert list(contents(tmp_path).values()) == [b"b/y.json"]
        finally:
            (tmp_path / "a").chmod(0o700)

    def test_a_file_whose_name_is_not_utf_8_is_read(self, tmp_path: Path) -> None:
        name = os.path.join(os.fsencode(tmp_path), b"caf\xe9.json")
        with open(name, "wb") as file:
            file.write(b"x")
        assert contents(tmp_path) == {str(tmp_path / "caf\\xe9.json"): b"x"}

    def test_directories_may_be_nested_deeper_than_the_recursion_limit(self, tmp_path: Path) -> None:
        start, depth = Path.cwd(), 1200
        os.chdir(tmp_path)
        try:
            for _ in range(depth):
                os.mkdir("d")
                os.chdir("d")
            Path("x.json").write_bytes(b"x")
            os.chdir(start)
            assert list(contents(tmp_path).values()) == [b"x"]
        finally:
            os.chdir(os.path.join(tmp_path, *("d",) * depth))
            Path("x.json").unlink()
            for _ in range(depth):
                os.chdir("..")
                os.rmdir("d")
            os.chdir(start)


class TestMissing:
    def test_a_missing_path_is_an_error_with_a_hint(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError) as error:
            open_source(str(tmp_path / "gone"), Scope())
        assert error.value.message == f"{tmp_path / 'gone'}: no such file or directory"
        assert (
            error.value.hint
            == "use a log file, a directory, a store, s3://BUCKET, athena://DATABASE.TABLE, lookup: or -"
        )

    def test_an_unknown_scheme_is_an_error_with_a_hint(self) -> None:
        with pytest.raises(SourceError) as error:
            open_source("gopher://logs/a", Scope())
        assert error.value.message.startswith("gopher://logs/a: ")
        assert error.value.hint is not None


class TestStandardInput:
    def test_it_is_one_document(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x1f\x8b\xff")))
        assert contents("-") == {"-": b"\x1f\x8b\xff"}

    def test_its_size_is_not_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x")))
        (document,) = delivered("-")
        assert isinstance(document, Document)
        assert document.size is None

    def test_a_closed_standard_input_is_an_error_with_a_hint(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", None)
        with pytest.raises(SourceError) as error:
            delivered("-")
        assert error.value.message == "-: standard input is closed"
        assert error.value.hint == "pipe a log file: zcat FILE.json.gz | cnitrail timeline -"

    def test_a_terminal_is_not_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        control, terminal = os.openpty()
        with open(control, "rb"), open(terminal, encoding="utf-8") as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            with pytest.raises(SourceError):
                delivered("-")


class TestDebugLog:
    def test_shows_which_files_were_opened_and_which_were_skipped(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        log, sums = write(tmp_path, "a.json", "SHA256SUMS")
        caplog.set_level("DEBUG", logger="cnitrail")
        assert contents(tmp_path) == {log: b"a.json"}
        assert [record.message for record in caplog.records] == [
            f"{sums}: passed over, not evidence",
            f"{log}: opened, 6 bytes",
        ]
