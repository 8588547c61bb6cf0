"""Tables of every shape in a real Trino give the answers of the log files (``nox -s trino``)."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES
from duck_engine import SHAPES, log_files, of_type
from table_answers import LOST, entries, of_files, same_answers
from test_trino_real import HOME, Server, pytestmark, trino_columns
from trino_process import trino_server

import cnitrail
from cnitrail.api import Case
from cnitrail.decode import RELEVANT_CALLS
from cnitrail.model import Scope
from cnitrail.sources.sql.answer import parts
from cnitrail.sources.sql.column_types import ColumnType, parse_type
from cnitrail.sources.sql.shapes import shape_of
from cnitrail.sources.sql.statement import statement
from cnitrail.sources.sql.trino import TrinoEngine

__all__ = ["pytestmark"]
WITHOUT_HIVE = ("own-zoned",)
"""Shapes with types that a Hive table of JSON does not have."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An empty server."""
    assert HOME is not None
    folder = tmp_path_factory.mktemp("trino")
    (folder / "files").mkdir()
    with trino_server(HOME, folder / "node", folder / "files") as port:
        running = Server(port, folder / "files")
        running.sql("CREATE SCHEMA hive.logs")
        running.sql("CREATE SCHEMA iceberg.logs")
        yield running


def write_rows(shape: str, story: str, folder: Path) -> Mapping[str, ColumnType]:
    """Write the rows of a table, one a line in files with the names of the log files; return its columns."""
    engine = SHAPES[shape].engine(log_files(FIXTURES / story))
    table = engine.describe()
    lines: dict[str, list[str]] = {}
    for path, row in SHAPES[shape].rows(log_files(FIXTURES / story)):
        values = {name: of_type(row.get(name), kind) for name, kind in table.columns.items()}
        lines.setdefault(path, []).append(json.dumps(values))
    for path, texts in lines.items():
        target = folder / Path(path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.compress("\n".join(texts).encode()))
    return table.columns


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in WITHOUT_HIVE])
@pytest.mark.parametrize("story", ["ironman", "node-life", "hostile", "pod-identity-and-node-role"])
def test_a_table_of_every_shape_gives_the_answers_of_the_files(
    story: str, shape: str, server: Server, tmp_path: Path
) -> None:
    name = f"{shape}_{story}".replace("-", "_")
    columns = write_rows(shape, story, server.files / name)
    server.create(f'"{name}"', trino_columns(columns), name)
    lost = LOST.get(shape, ())
    files = of_files(story, lost, tmp_path if lost else FIXTURES)
    same_answers(cnitrail.read(server.uri(name)), files)


class TestIceberg:
    """Copies in Iceberg, as Security Lake keeps them; their files are not named like log files."""

    def test_times_with_a_zone_give_the_answers(self, server: Server) -> None:
        columns = write_rows("own", "node-life", server.files / "own_texts")
        texts = {
            name: parse_type("string") if name == "eventtime" else kind for name, kind in columns.items()
        }
        server.create("own_texts", trino_columns(texts), "own_texts")
        others = ", ".join(f'"{name}"' for name in columns if name != "eventtime")
        server.sql(
            "CREATE TABLE iceberg.logs.own_zoned WITH (partitioning = ARRAY['day(eventtime)']) AS SELECT"
            " CAST(from_iso8601_timestamp(replace(replace(eventtime, ' ', 'T'), 'Z') || 'Z')"
            f" AS timestamp(6) with time zone) AS eventtime, {others} FROM hive.logs.own_texts"
        )
        same_timeline_and_leases(
            cnitrail.read(server.uri("own_zoned", catalog="iceberg")), of_files("node-life", (), FIXTURES)
        )

    def test_security_lake_gives_the_answers(self, server: Server) -> None:
        columns = write_rows("ocsf", "node-life", server.files / "ocsf_texts")
        server.create("ocsf_texts", trino_columns(columns), "ocsf_texts")
        server.sql(
            "CREATE TABLE iceberg.logs.lake WITH (partitioning = ARRAY['day(time_dt)', 'region'])"
            " AS SELECT *, CAST(from_unixtime(time / 1000e0) AT TIME ZONE 'UTC' AS timestamp(6)) AS time_dt,"
            " cloud.region AS region FROM hive.logs.ocsf_texts"
        )
        uri = server.uri("lake", catalog="iceberg")
        files = of_files("node-life", (), FIXTURES)
        same_timeline_and_leases(cnitrail.read(uri), files)
        narrow: dict[str, Any] = {"since": "2024-09-24T11:00:00Z", "region": ("us-west-2",)}
        found, expected = cnitrail.read(uri, **narrow), cnitrail.read(FIXTURES / "node-life", **narrow)
        assert [entry.event_id for entry in found.timeline()] == [
            entry.event_id for entry in expected.timeline()
        ]


def test_a_table_without_paths_gives_the_relevant_records_and_counts_the_others(server: Server) -> None:
    columns = write_rows("now", "ironman", server.files / "pathless")
    server.create("pathless", trino_columns(columns), "pathless")
    server.sql("CREATE SCHEMA memory.logs")
    server.sql("CREATE TABLE memory.logs.pathless AS SELECT * FROM hive.logs.pathless")
    found = []
    for catalog in ("hive", "memory"):
        engine = TrinoEngine(server.uri("pathless", catalog=catalog), Scope())
        table = engine.describe()
        shape = shape_of(table, engine.uri)
        query = statement(shape, table, engine.table, RELEVANT_CALLS, has_paths=catalog == "hive")
        for _ in engine.run(query.text):
            pass
        answered = [*parts(engine.rows(), engine.uri, "q-1", shape, query.cells)]
        records = sorted(str(row.cells["eventid"]) for part in answered for row in part.rows)
        found.append((records, sum(part.passed_over for part in answered)))
    assert found[0] == found[1]
    assert found[0][0]


def same_timeline_and_leases(table: Case, files: Case) -> None:
    """Assert that a copy, which does not show its log files, gives their answers."""
    assert entries(table.timeline()) == entries(files.timeline())
    assert entries(table.leases()) == entries(files.leases())
