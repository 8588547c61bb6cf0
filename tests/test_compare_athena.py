"""``scripts/compare_athena.py``: a table and its log files, and two folders, compared for one day."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import compare_athena
import pytest
from conftest import FIXTURES
from duck_engine import TABLE_NOW, DuckEngine, cloudtrail_rows, description, log_files
from msgspec.structs import replace

from cnitrail import sources
from cnitrail.sources.sql.source import TableSource

DAY = ("--day", "2022-10-05")
IRONMAN = str(FIXTURES / "ironman")
Edit = Callable[[dict[str, Any]], None]


def compared(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    """The status and the lines of a run."""
    status = compare_athena.main(arguments)
    return status, capsys.readouterr().out.splitlines()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of a story's log files, to be changed."""
    return Path(shutil.copytree(IRONMAN, tmp_path / "copy"))


def edit(folder: Path, event_id: str, change: Edit) -> None:
    """Change the record of an event."""
    for path in folder.rglob("*.json.gz"):
        log = json.loads(gzip.decompress(path.read_bytes()))
        for record in log["Records"]:
            if record["eventID"] == event_id:
                change(record)
        path.write_bytes(gzip.compress(json.dumps(log).encode()))


class TestATable:
    def test_a_table_of_the_same_files_is_equal(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        engine = DuckEngine(description(TABLE_NOW), cloudtrail_rows(log_files(FIXTURES / "ironman")))
        kind = replace(sources._SCHEMES["athena://"], open=lambda _, scope: TableSource(engine, scope))
        monkeypatch.setitem(sources._SCHEMES, "athena://", kind)
        assert compared(capsys, "athena://default.cloudtrail_logs", IRONMAN, *DAY) == (
            0,
            ["equal: 56 records, 17 IP-related events, their coverage, leases and findings"],
        )


class TestDifferences:
    def test_a_field_that_differs_is_named_with_both_values(
        self, copy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        event = "6aee4b37-8006-56e9-a4cd-02224baf93a5"
        edit(copy, event, lambda record: record.update(sourceIPAddress="203.0.113.9\x1b[2J\x7f"))
        status, lines = compared(capsys, str(copy), IRONMAN, *DAY)
        assert status == 1
        assert (
            f"event {event} eni-0bbea279695112970 i-03846c730abe852f4 actor: source_ip: "
            'table "203.0.113.9\\u001b[2J\\u007f", files "52.210.231.138"'
        ) in lines

    def test_a_missing_file_shows_in_counts_events_and_leases(
        self, copy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (released,) = copy.rglob("*_20221005T1525Z_*")
        released.unlink()
        status, lines = compared(capsys, str(copy), IRONMAN, *DAY)
        assert status == 1
        assert "evidence: records: table 44, files 56" in lines
        assert [line.rpartition(": ")[2] for line in lines if line.startswith("event 21e1557f")] == [
            "table 0, files 1"
        ]
        assert any(line.startswith("lease 192.168.") for line in lines)

    def test_a_time_that_only_one_side_covers_is_named(
        self, copy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (newest,) = copy.rglob("*_20221005T1540Z_*")
        newest.unlink()
        _, lines = compared(capsys, str(copy), IRONMAN, *DAY)
        assert (
            'coverage of 111111111111 eu-west-1: last: table "2022-10-05T15:25:00Z", '
            'files "2022-10-05T15:40:00Z"'
        ) in lines

    def test_many_differences_are_counted_after_the_first(
        self, copy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for path in copy.rglob("*.json.gz"):
            log = json.loads(gzip.decompress(path.read_bytes()))
            for record in log["Records"]:
                record["sourceIPAddress"] = "203.0.113.9"
                record["userAgent"] = "curl/8"
            path.write_bytes(gzip.compress(json.dumps(log).encode()))
        _, lines = compared(capsys, str(copy), IRONMAN, *DAY)
        assert [line for line in lines if line.startswith("… and ")] != []

    def test_what_could_not_be_read_is_a_note(self, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (torn,) = copy.rglob("*_20221005T1525Z_*")
        torn.write_bytes(torn.read_bytes()[:200])
        status, lines = compared(capsys, IRONMAN, str(copy), *DAY)
        assert status == 1
        assert lines[0].startswith("note: files could not read ")


class TestStatus:
    def test_a_day_without_events_compares_nothing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        empty = tmp_path / "111111111111_CloudTrail_eu-west-1_20221005T1410Z_KEbI9gGd7gjWlzSa.json"
        empty.write_text('{"Records":[]}')
        assert compared(capsys, str(tmp_path), str(tmp_path), *DAY) == (
            1,
            ["nothing to compare: no IP-related event on that day; name a day with some"],
        )

    def test_a_source_that_cannot_be_read_is_an_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert compare_athena.main(("no-such-directory", IRONMAN, *DAY)) == 2
        assert capsys.readouterr().err.startswith("error: no-such-directory: no such file or directory\n")

    def test_what_is_no_day_is_an_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            compare_athena.main((IRONMAN, IRONMAN, "--day", "yesterday"))
        assert ended.value.code == 2
        assert "'yesterday' is not a day: write it as 2026-11-28" in capsys.readouterr().err
