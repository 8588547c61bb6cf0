"""The counts of evidence: a file is read or skipped; a record is kept, repeated, skipped or irrelevant.

The sums are checked for every story, every kind of source and any mix of files; a wrong sum is an error.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from accounts import added_up
from conftest import FIXTURES, Run
from hypothesis import given, settings
from hypothesis import strategies as st
from records import GOOD, compact, record, zipped
from stories import STORIES

from cnitrail.history import Ledger
from cnitrail.model import Growth, IssuedSession, Scope
from cnitrail.scan import Scanner
from cnitrail.sources import open_source
from cnitrail.store.writer import StoreWriter
from cnitrail.workflows import scan_pool
from cnitrail.workflows.collect import Collector
from cnitrail.workflows.read import read_evidence
from cnitrail.workflows.scan_pool import ScanPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ASSIGN = GOOD["AssignPrivateIpAddresses"]
DELETE = GOOD["DeleteNetworkInterface"]
LOOK = record("DescribeInstances", {"instancesSet": {}}, readOnly=True)
UNPLACED = DELETE | {"eventTime": "yesterday", "eventID": "unplaced"}
"""A record that names a call of ours, but not when."""

needs_permissions = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


def accounts(*sources: object, scope: Scope | None = None) -> list[dict[str, Any]]:
    """Return the counts of every source after checking their sums."""
    _, evidence = read_evidence(tuple(map(str, sources)), scope or Scope())
    return [added_up(source) for source in evidence.sources]


def collect(store: Path, *sources: object) -> None:
    with StoreWriter(str(store), pytest.fail) as writer:
        for source in sources:
            scope = Scope(seen=writer.seen())
            Collector(writer, ScanPool(Growth())).collect(open_source(str(source), scope), scope)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Files of all kinds: intact, repeated, torn, with unreadable records, and without records."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.json.gz").write_bytes(zipped(compact({"Records": [ASSIGN, LOOK, LOOK, DELETE]})))
    (folder / "b.json").write_bytes(compact({"Records": [ASSIGN, 17, UNPLACED, LOOK]}))
    (folder / "c.json.gz").write_bytes(zipped(compact({"Records": [ASSIGN, LOOK]}))[:-30])
    (folder / "d.json").write_bytes(b"hello\n")
    (folder / "e.json").write_bytes(b"")
    (folder / "pipe").touch()
    (folder / "pipe").unlink()
    os.mkfifo(folder / "pipe")
    (folder / "nowhere").symlink_to("gone")
    return folder


MIXED = {
    "files_found": 7,
    "files": 5,
    "files_skipped": 2,
    "records": 9,
    "passed_over": 3,
    "relevant": 6,
    "kept": 2,
    "duplicates": 2,
    "records_skipped": 2,
    "skipped": 7,
}


def counts(account: dict[str, Any]) -> dict[str, Any]:
    return {name: account[name] for name in MIXED}


class TestSums:
    @pytest.mark.parametrize("story", sorted(STORIES))
    def test_every_story_adds_up(self, story: str, tmp_path: Path) -> None:
        (files,) = accounts(FIXTURES / story / "AWSLogs")
        assert (files["files_skipped"], files["records_skipped"]) == (0, 0)
        assert files["files"] == len(list((FIXTURES / story / "AWSLogs").rglob("*.json.gz")))
        collect(tmp_path / "a.db", FIXTURES / story / "AWSLogs")
        (store,) = accounts(tmp_path / "a.db")
        assert store | {"uri": files["uri"]} == files

    def test_files_of_all_kinds_add_up(self, mixed: Path) -> None:
        (account,) = accounts(mixed)
        assert counts(account) == MIXED

    def test_a_store_of_them_adds_up(self, mixed: Path, tmp_path: Path) -> None:
        collect(tmp_path / "a.db", mixed)
        (account,) = accounts(tmp_path / "a.db")
        assert counts(account) == MIXED

    def test_a_store_that_is_filled_again_adds_up(self, mixed: Path, tmp_path: Path) -> None:
        store = tmp_path / "a.db"
        collect(store, mixed)
        collect(store, mixed)
        (account,) = accounts(store)
        assert counts(account) == MIXED
        (mixed / "b.json").write_bytes(compact({"Records": [ASSIGN, LOOK, LOOK]}))
        (mixed / "nowhere").unlink()
        collect(store, mixed)
        (account,) = accounts(store)
        assert (account["files_found"], account["files_skipped"], account["passed_over"]) == (6, 1, 4)

    def test_a_store_of_stores_adds_up(self, mixed: Path, tmp_path: Path) -> None:
        collect(tmp_path / "a.db", mixed)
        collect(tmp_path / "b.db", tmp_path / "a.db")
        (account,) = accounts(tmp_path / "b.db")
        assert counts(account) == MIXED

    def test_a_store_adds_up_if_only_little_is_read(self, tmp_path: Path) -> None:
        collect(tmp_path / "a.db", FIXTURES / "stolen-address" / "AWSLogs")
        (whole,) = accounts(tmp_path / "a.db")
        (part,) = accounts(tmp_path / "a.db", scope=Scope(enis=("eni-0e7b1f3c9d5a82640",)))
        assert part == whole

    def test_two_versions_of_one_event_in_a_store_add_up(self, tmp_path: Path) -> None:
        versions = [DELETE, DELETE | {"userAgent": "another"}]
        (tmp_path / "a.json").write_bytes(compact({"Records": [*versions, *versions]}))
        collect(tmp_path / "a.db", tmp_path / "a.json")
        for source in (tmp_path / "a.json", tmp_path / "a.db"):
            (account,) = accounts(source)
            assert (account["relevant"], account["kept"], account["duplicates"]) == (4, 1, 3)

    def test_several_sources_with_repeated_files_add_up(self, mixed: Path, tmp_path: Path) -> None:
        collect(tmp_path / "a.db", mixed)
        first, second, store = accounts(mixed, mixed, tmp_path / "a.db")
        assert counts(first) == MIXED
        assert counts(second) == counts(store) == MIXED | {"kept": 0, "duplicates": 4}

    def test_standard_input_adds_up(self, run: Run) -> None:
        text = compact({"Records": [ASSIGN, LOOK, 17]})
        answer = json.loads(run("timeline", "-", "-o", "json", input=text).stdout)
        account = added_up(answer["evidence"]["sources"][0])
        assert (account["files_found"], account["records"], account["records_skipped"]) == (1, 3, 1)

    def test_a_store_below_a_directory_is_skipped(self, mixed: Path) -> None:
        collect(mixed / "a.db", mixed / "a.json.gz")
        (account,) = accounts(mixed)
        assert counts(account) == MIXED

    def test_a_digest_file_counts_as_read_without_records(self, tmp_path: Path) -> None:
        (tmp_path / "digest.json").write_bytes(compact({"digestStartTime": "", "digestS3Object": ""}))
        (account,) = accounts(tmp_path)
        assert (account["files_found"], account["files"], account["records"]) == (1, 1, 0)

    @needs_permissions
    def test_files_without_read_permission_are_skipped(self, mixed: Path) -> None:
        (mixed / "a.json.gz").chmod(0)
        (account,) = accounts(mixed)
        assert (account["files_found"], account["files"], account["files_skipped"]) == (7, 4, 3)


ITEMS: tuple[object, ...] = (ASSIGN, DELETE, LOOK, UNPLACED, DELETE | {"userAgent": "b"}, {}, 17, [])
TEXTS = st.lists(
    st.sampled_from([*map(compact, ITEMS), b"{", b'"', b'{"eventName":}']),
    max_size=6,
)
FILES = st.lists(
    st.tuples(
        TEXTS,
        st.sampled_from([b'{"Records":[%s]}', b"[%s]", b"%s\n", b' {"Records":[%s]}', b'{"Events":[%s']),
        st.booleans(),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=5,
)


class TestAnyMixOfFiles:
    @settings(max_examples=60)
    @given(FILES)
    def test_adds_up_and_a_store_has_the_same_counts(
        self, files: list[tuple[list[bytes], bytes, bool, int]]
    ) -> None:
        with TemporaryDirectory() as folder:
            logs = Path(folder, "logs")
            logs.mkdir()
            for number, (records, envelope, pack, cut) in enumerate(files):
                text = envelope % b",".join(records)
                stored = zipped(text) if pack else text
                (logs / str(number)).write_bytes(stored[: len(stored) - cut])
            (from_files,) = accounts(logs)
            collect(Path(folder, "a.db"), logs)
            (from_store,) = accounts(Path(folder, "a.db"))
        assert from_store | {"uri": from_files["uri"]} == from_files


class TestStoresOfAnotherVersion:
    @pytest.mark.parametrize(
        ("version", "whose", "hint"), [(10, "an older", "again"), (12, "a newer", "update")]
    )
    def test_are_refused_with_a_hint(
        self, run: Run, mixed: Path, tmp_path: Path, version: int, whose: str, hint: str
    ) -> None:
        path = tmp_path / "other.db"
        collect(path, mixed)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {version}")
        result = run("timeline", path)
        assert result.exit_code == 1
        assert f"written by {whose} cnitrail (store version {version}; this one reads 11)" in result.stderr
        assert hint in result.stderr


class TestMismatch:
    """A wrong sum is a fault in cnitrail: it is an error without an answer and without a traceback."""

    def refused(self, run: Run, *arguments: object) -> str:
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        first, second = result.stderr.splitlines()
        assert second == (
            "hint: this is a fault in cnitrail itself, and no answer is given because it could be wrong: "
            "please report this line, the command and cnitrail --version where you got cnitrail from"
        )
        return first

    def test_a_lost_file_is_an_error(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        scan = scan_pool._scan_batch
        monkeypatch.setattr(scan_pool, "_scan_batch", lambda *work: scan(*work)[1:])
        assert self.refused(run, "timeline", "two-vpcs/AWSLogs") == (
            "error: two-vpcs/AWSLogs: what was read does not add up: 22 files found, but 21 read + 0 skipped"
        )

    def test_a_record_lost_in_the_scan_is_an_error(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Scanner, "scan", self.without_first(Scanner.scan))
        assert self.refused(run, "leases", "ironman/AWSLogs") == (
            "error: ironman/AWSLogs: what was read does not add up: "
            "56 records read, but 15 relevant + 33 passed over"
        )

    def without_first(self, scan: Callable[..., Iterator[object]]) -> Callable[..., Iterator[object]]:
        def lossy(*asked: Any, **how: Any) -> Iterator[object]:
            found = scan(*asked, **how)
            next(found, None)
            yield from found

        return lossy

    def test_an_event_lost_in_the_history_is_an_error(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add = Ledger.add
        monkeypatch.setattr(
            Ledger,
            "add",
            lambda ledger, fact, **how: isinstance(fact, IssuedSession) or add(ledger, fact, **how),
        )
        assert self.refused(run, "report", "ironman/AWSLogs") == (
            "error: ironman/AWSLogs: what was read does not add up: "
            "17 relevant records, but 14 kept + 0 duplicates + 0 skipped"
        )

    def test_an_event_lost_on_its_way_into_a_store_is_an_error(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(StoreWriter, "add", lambda *_, **__: True)
        said = self.refused(run, "collect", "ironman/AWSLogs", "--to", tmp_path / "a.db")
        assert said.endswith("17 relevant records, but 0 kept + 0 duplicates + 0 skipped")
