"""Every story as a table in every shape: the answers and their coverage are those of its log files."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import simulator
from conftest import FIXTURES
from duck_engine import OCSF_TABLE, SHAPES, DuckEngine, description, log_files, ocsf_table_rows
from stories import RUNBOOK_STORIES, STORIES
from table_answers import LOST, of_files, read_table, same_answers, same_entries

import cnitrail
from cnitrail.decode import RELEVANT_CALLS, decode
from cnitrail.model import Origin, Record
from cnitrail.sources.sql.answer import parts
from cnitrail.sources.sql.shapes import shape_of
from cnitrail.sources.sql.statement import statement

ALL_STORIES = sorted(STORIES | RUNBOOK_STORIES)


class TestEveryStory:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("story", ALL_STORIES)
    def test_a_table_gives_the_answers_of_the_files(
        self, story: str, shape: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        lost = LOST.get(shape, ())
        table = read_table(SHAPES[shape].engine(log_files(FIXTURES / story)), monkeypatch)
        files = of_files(story, lost, tmp_path if lost else FIXTURES)
        same_answers(table, files)
        assert not table.evidence.skipped
        assert table.evidence.sources[0].records == files.evidence.sources[0].records
        assert table.evidence.sources[0].relevant == files.evidence.sources[0].relevant


class TestSimulatedWorlds:
    @pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in LOST])
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_a_table_gives_the_answers_of_the_files(
        self, seed: int, shape: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        simulator.write(simulator.deliver(simulator.random_world(seed, 150)).files, tmp_path)
        files = [(path, list(map(with_every_field, records))) for path, records in log_files(tmp_path)]
        simulator.write(files, tmp_path)
        table = read_table(SHAPES[shape].engine(files), monkeypatch)
        same_answers(table, cnitrail.read(tmp_path))


def with_every_field(record: dict[str, Any]) -> dict[str, Any]:
    """A record with what a trail always writes, and the simulator does not."""
    defaults = {"readOnly": False, "managementEvent": True, "eventCategory": "Management", "requestID": None}
    return defaults | record


class TestSecurityLake:
    @pytest.mark.parametrize("story", ALL_STORIES)
    def test_a_table_of_its_own_files_reads_like_its_rows_in_a_file(
        self, story: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        rows = [row for _, row in ocsf_table_rows(log_files(FIXTURES / story))]
        stored = "s3://aws-security-data-lake-eu-west-1-x/aws/CLOUD_TRAIL_MGMT/2.0/region=eu-west-1/part.gz.parquet"
        table = read_table(DuckEngine(description(OCSF_TABLE), [(stored, row) for row in rows]), monkeypatch)
        (tmp_path / "rows.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
        files = cnitrail.read(tmp_path / "rows.json")
        same_entries(table, files)
        for shown, expected in zip(table.evidence.coverage, files.evidence.coverage, strict=True):
            # of a file, the minute of a record that only names a relevant call is not counted
            assert (shown.account, shown.region, shown.holes) == (
                *(expected.account, expected.region, expected.holes),
            )
            assert shown.first is not None
            assert expected.first is not None
            assert timedelta(0) <= expected.first - shown.first <= timedelta(minutes=5)


class TestRelevance:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_what_decode_finds_relevant_is_returned(self, shape: str) -> None:
        """Decode decides; the statement must not leave out what it would keep."""
        files = [file for story in ALL_STORIES for file in log_files(FIXTURES / story)]
        files += simulator.deliver(simulator.random_world(7, 200)).files
        files = [(path, list(map(with_every_field, records))) for path, records in files]
        relevant = {
            record["eventID"]
            for _, records in files
            for record in records
            if decode(Record((Origin("x", 0, "trail"),), json.dumps(record).encode())).is_relevant
        }
        engine = SHAPES[shape].engine(files)
        table = engine.describe()
        query = statement(shape_of(table, engine.uri), table, engine.table, RELEVANT_CALLS)
        list(engine.run(query.text))
        found = list(parts(engine.rows(), engine.uri, "q-1", shape_of(table, engine.uri), query.cells))
        returned = {id_of(row.cells) for part in found for row in part.rows}
        assert relevant <= returned
        records = sum(len(records) for _, records in files)
        copies = sum(row.copies for part in found for row in part.rows)
        assert sum(part.passed_over for part in found) + copies == records


def id_of(cells: dict[str, Any]) -> object:
    """The event ID in a row of any shape."""
    return cells.get("eventid") or cells.get("event_id") or cells["metadata"]["uid"]
