"""A real Trino over the fixtures' own log files: answers, coverage, pruning, progress, stopping and errors.

``nox -s trino`` runs them.
"""

import gzip
import json
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, Run
from duck_engine import TABLE_NOW, log_files
from java_homes import TRINO, java_home
from stories import STORIES
from table_answers import entries, same_answers, same_entries
from trino_process import trino_home, trino_server
from trino_server import trino_type

import cnitrail
from cnitrail.errors import SourceError
from cnitrail.model import Scope
from cnitrail.model.table import EngineOptions, QueryState
from cnitrail.sources.sql.column_types import ColumnType, parse_type
from cnitrail.sources.sql.trino import TrinoEngine

HOME = trino_home()
pytestmark = [
    pytest.mark.trino,
    pytest.mark.skipif(HOME is None, reason="nox -s trino runs it"),
    pytest.mark.skipif(java_home(TRINO) is None, reason=f"it needs a JDK of Java {TRINO} or later"),
]
DAYS = ("account", "region", "year", "month", "day")


def trino_columns(columns: Mapping[str, ColumnType]) -> str:
    """Columns as CREATE TABLE has them."""
    return ", ".join(f'"{name}" {trino_type(kind)}' for name, kind in columns.items())


COLUMNS = trino_columns({name: parse_type(text) for name, text in TABLE_NOW.items()})


@dataclass
class Server:
    """A running Trino, and the folder of its tables' files."""

    port: int
    files: Path

    def uri(self, table: str, schema: str = "logs", catalog: str = "hive") -> str:
        return f"trino://analyst@127.0.0.1:{self.port}/{catalog}/{schema}/{table}"

    def sql(self, statement: str) -> list[list[Any]]:
        from trino.dbapi import connect

        connection = connect(host="127.0.0.1", port=self.port, user="admin", timezone="UTC")  # type: ignore[no-untyped-call]
        cursor = connection.cursor()
        cursor.execute(statement)
        rows: list[list[Any]] = cursor.fetchall()
        return rows

    def create(self, table: str, columns: str, folder: str, **properties: str) -> None:
        """Make a table over the files of a folder."""
        options = {"format": "'OPENX_JSON'", "external_location": f"'local:///{folder}'"} | properties
        listed = ", ".join(f"{name} = {value}" for name, value in options.items())
        self.sql(f"CREATE TABLE hive.logs.{table} ({columns}) WITH ({listed})")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with three tables of every story: its log files, a row for each record, and Parquet."""
    assert HOME is not None
    folder = tmp_path_factory.mktemp("trino")
    files = folder / "files"
    files.mkdir()
    with trino_server(HOME, folder / "node", files) as port:
        running = Server(port, files)
        running.sql("CREATE SCHEMA hive.logs")
        for story in STORIES:
            shutil.copytree(FIXTURES / story / "AWSLogs", files / "files" / story / "AWSLogs")
            write_records(FIXTURES / story, files / "records" / story)
            name = story.replace("-", "_")
            running.create(f"files_{name}", f"records array(row({COLUMNS}))", f"files/{story}")
            running.create(f"records_{name}", COLUMNS, f"records/{story}")
        yield running


def write_records(story: Path, folder: Path) -> None:
    """Write the records of log files as a JSON reader of row-per-record tables wants them: one a line."""
    for path, records in log_files(story):
        target = folder / Path(path).relative_to(story)
        target.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
        target.write_bytes(gzip.compress(lines.encode()))


class TestEveryStory:
    @pytest.mark.parametrize("story", sorted(STORIES))
    def test_a_row_for_each_record_gives_the_answers_and_the_coverage_of_the_files(
        self, story: str, server: Server
    ) -> None:
        table = cnitrail.read(server.uri(f"records_{story.replace('-', '_')}"))
        files = cnitrail.read(FIXTURES / story)
        same_answers(table, files)

    @pytest.mark.parametrize("story", sorted(STORIES))
    def test_the_log_files_themselves_give_the_answers_and_the_coverage_of_the_files(
        self, story: str, server: Server
    ) -> None:
        table = cnitrail.read(server.uri(f"files_{story.replace('-', '_')}"))
        files = cnitrail.read(FIXTURES / story)
        same_answers(table, files)

    def test_a_copy_in_parquet_gives_the_answers(self, server: Server) -> None:
        server.sql(
            "CREATE TABLE hive.logs.parquet_copy WITH (format = 'PARQUET')"
            " AS SELECT * FROM hive.logs.records_node_life"
        )
        same_entries(cnitrail.read(server.uri("parquet_copy")), cnitrail.read(FIXTURES / "node-life"))

    def test_a_table_of_a_connector_without_paths_gives_the_answers(self, server: Server) -> None:
        server.sql("CREATE SCHEMA IF NOT EXISTS memory.logs")
        server.sql("CREATE TABLE memory.logs.t AS SELECT * FROM hive.logs.records_node_life")
        table, files = cnitrail.read(server.uri("t", catalog="memory")), cnitrail.read(FIXTURES / "node-life")
        assert entries(table.timeline()) == entries(files.timeline())
        assert entries(table.leases()) == entries(files.leases())


STORY = "node-life"
DAY = "2024/09/24"


@pytest.fixture(scope="module")
def partitioned(server: Server) -> Server:
    """The server, with two partitioned tables of a story, whose day has a neighbor with other records."""
    source = server.files / "records" / STORY / "AWSLogs" / "222222222222" / "CloudTrail" / "us-west-2"
    other = source / "2024" / "09" / "23"
    other.mkdir(parents=True)
    for path in sorted((source / DAY).iterdir())[:3]:
        shutil.copy(path, other / path.name.replace("20240924", "20240923"))
    template = f"local:///records/{STORY}/AWSLogs/${{account}}/CloudTrail/${{region}}/${{timestamp}}"
    server.create(
        "projected",
        f"{COLUMNS}, account varchar WITH (partition_projection_type = 'enum',"
        " partition_projection_values = ARRAY['222222222222', '333333333333']),"
        " region varchar WITH (partition_projection_type = 'enum',"
        " partition_projection_values = ARRAY['us-west-2', 'eu-west-1']),"
        " \"timestamp\" varchar WITH (partition_projection_type = 'date',"
        " partition_projection_format = 'yyyy/MM/dd', partition_projection_interval = 1,"
        " partition_projection_interval_unit = 'DAYS',"
        " partition_projection_range = ARRAY['2024/09/01', '2024/09/30'])",
        f"records/{STORY}",
        partitioned_by="ARRAY['account', 'region', 'timestamp']",
        partition_projection_enabled="true",
        partition_projection_location_template=f"'{template}'",
    )
    keys = ", ".join(f"{name} varchar" for name in DAYS)
    listed = ", ".join(f"'{name}'" for name in DAYS)
    server.create("by_day", f"{COLUMNS}, {keys}", f"records/{STORY}", partitioned_by=f"ARRAY[{listed}]")
    for day in ("23", "24"):
        server.sql(
            "CALL hive.system.register_partition('logs', 'by_day', ARRAY["
            + listed
            + f"], ARRAY['222222222222', 'us-west-2', '2024', '09', '{day}'],"
            f" 'local:///records/{STORY}/AWSLogs/222222222222/CloudTrail/us-west-2/2024/09/{day}')"
        )
    return server


class TestPartitions:
    def test_a_table_with_projection_is_described_as_athena_describes_it(self, partitioned: Server) -> None:
        table = TrinoEngine(partitioned.uri("projected"), Scope()).describe()
        assert list(table.partition_columns) == ["account", "region", "timestamp"]
        assert "eventname" in table.columns
        assert table.location == f"local:///records/{STORY}"
        assert {name: text for name, text in table.properties.items() if "." in name} == {
            "projection.enabled": "true",
            "storage.location.template": f"local:///records/{STORY}/AWSLogs/${{account}}/CloudTrail/${{region}}"
            "/${timestamp}",
            "projection.account.type": "enum",
            "projection.account.values": "222222222222,333333333333",
            "projection.region.type": "enum",
            "projection.region.values": "us-west-2,eu-west-1",
            "projection.timestamp.type": "date",
            "projection.timestamp.format": "yyyy/MM/dd",
            "projection.timestamp.interval": "1",
            "projection.timestamp.interval.unit": "DAYS",
            "projection.timestamp.range": "2024/09/01,2024/09/30",
        }

    @pytest.mark.parametrize("name", ["projected", "by_day"])
    def test_only_the_partitions_of_what_is_asked_for_are_scanned(
        self, name: str, partitioned: Server
    ) -> None:
        uri = partitioned.uri(name)
        options: dict[str, Any] = {
            "since": "2024-09-24T00:30:00Z",
            "account": ("222222222222",),
            "region": ("us-west-2",),
        }
        pruned = cnitrail.read(uri, **options)
        report = pruned.evidence.sources[0].engine
        whole = sum(
            path.stat().st_size for path in (partitioned.files / "records" / STORY).rglob(f"{DAY}/*.json.gz")
        )
        assert report is not None
        assert report.is_partitioned
        assert report.scanned_bytes == whole
        same_entries(pruned, cnitrail.read(FIXTURES / STORY, **options))

    def test_the_plan_of_a_pruned_statement_reads_only_its_partitions(self, partitioned: Server) -> None:
        plan = partitioned.sql(
            "EXPLAIN (TYPE IO) SELECT eventname FROM hive.logs.by_day"
            " WHERE year IN ('2024') AND day IN ('24')"
        )
        (table,) = json.loads(plan[0][0])["inputTableColumnInfos"]
        (day,) = (found for found in table["constraint"]["columnConstraints"] if found["columnName"] == "day")
        assert [found["low"]["value"] for found in day["domain"]["ranges"]] == ["24"]


ENDLESS = """\
SELECT CAST(count(*) AS varchar) FROM (SELECT "$path" FROM hive.logs.records_node_life) a
CROSS JOIN UNNEST(sequence(1, 10000)) AS b (n) CROSS JOIN UNNEST(sequence(1, 10000)) AS c (m)
CROSS JOIN UNNEST(sequence(1, 10000)) AS d (k) WHERE n * m * k % 7 = length("$path") % 6"""
"""A statement that takes minutes."""


def states(server: Server, query: str) -> str:
    """The state of a query as the server has it, once it ends."""
    for _ in range(50):
        ((state,),) = server.sql(f"SELECT state FROM system.runtime.queries WHERE query_id = '{query}'")
        if state in ("FINISHED", "FAILED"):
            return str(state)
        time.sleep(0.1)
    return str(state)


class TestRunning:
    def test_progress_names_the_query_its_state_and_what_it_scanned(self, server: Server) -> None:
        engine = TrinoEngine(server.uri("records_node_life"), Scope())
        seen = []
        for progress in engine.run(ENDLESS):
            seen.append(progress)
            if progress.scanned_bytes or len(seen) == 200:  # a minute on a busy machine
                break
        assert [progress.state for progress in seen][-1] is QueryState.RUNNING
        assert seen[-1].query is not None
        assert (seen[-1].scanned_bytes or 0) > 0
        assert seen[-1].elapsed >= seen[0].elapsed
        engine.close()
        assert states(server, seen[-1].query) == "FAILED"

    def test_a_query_that_is_stopped_ends_on_the_server_with_an_error_here(self, server: Server) -> None:
        engine = TrinoEngine(server.uri("records_node_life"), Scope())
        threading.Timer(1, engine.stop).start()
        with pytest.raises(SourceError, match="the query was stopped"):
            for _ in engine.run(ENDLESS):
                pass
        assert states(server, engine.result().query) == "FAILED"

    def test_a_query_that_scans_more_than_allowed_is_stopped(self, server: Server) -> None:
        scope = Scope(engine=EngineOptions(max_scan=0))
        engine = TrinoEngine(server.uri("records_node_life"), scope)
        with pytest.raises(SourceError, match=r"stopped after .+: --max-scan allows 0"):
            for _ in engine.run(ENDLESS):
                pass
        engine.close()
        assert states(server, engine.result().query) == "FAILED"

    def test_bytes_and_seconds_are_those_of_the_server(self, server: Server) -> None:
        report = cnitrail.read(server.uri("records_node_life")).evidence.sources[0].engine
        assert report is not None
        ((text,),) = server.sql(f"SELECT query FROM system.runtime.queries WHERE query_id = '{report.query}'")
        assert "records_node_life" in text
        assert report.engine == "trino"
        assert report.scanned_bytes == sum(
            path.stat().st_size for path in (server.files / "records" / STORY).rglob("*.gz")
        )
        assert 0 < (report.seconds or 0) < 60


class TestErrors:
    @pytest.mark.parametrize(
        ("names", "said"),
        [
            ("nowhere/logs/t", "the server has no such catalog (CATALOG_NOT_FOUND: "),
            ("hive/nowhere/t", "the catalog has no such schema (SCHEMA_NOT_FOUND: "),
            ("hive/logs/nothing", "the schema has no such table (TABLE_NOT_FOUND: "),
        ],
    )
    def test_a_name_that_is_not_there_has_a_sentence(
        self, names: str, said: str, server: Server, run: Run
    ) -> None:
        uri = f"trino://127.0.0.1:{server.port}/{names}"
        result = run("timeline", uri)
        assert result.exit_code == 1
        assert f"error: {uri}: {said}" in " ".join(result.stderr.split())
        assert "SHOW CATALOGS" in result.stderr

    def test_a_file_that_is_no_json_has_a_sentence(self, server: Server, run: Run) -> None:
        (server.files / "torn").mkdir()
        (server.files / "torn" / "a.json.gz").write_bytes(gzip.compress(b'{"eventName": "RunInst'))
        server.create("torn", COLUMNS, "torn")
        result = run("timeline", server.uri("torn"))
        assert result.exit_code == 1
        assert "HIVE_" in result.stderr

    def test_a_table_of_athenas_own_reader_has_a_sentence(self, server: Server, run: Run) -> None:
        (server.files / "serde").mkdir()
        server.create("serde", COLUMNS, "serde")
        (definition,) = (server.files / "metastore" / "logs" / "serde").glob(".trinoSchema")
        kept = json.loads(definition.read_text())
        del kept["storageFormat"]
        kept["originalStorageFormat"] = {
            "serde": "com.amazon.emr.hive.serde.CloudTrailSerde",
            "inputFormat": "com.amazon.emr.cloudtrail.CloudTrailInputFormat",
            "outputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
        }
        definition.write_text(json.dumps(kept))
        result = run("timeline", server.uri("serde"))
        assert result.exit_code == 1
        assert "CloudTrailInputFormat" in result.stderr

    def test_a_port_where_nothing_listens_has_a_sentence(self, run: Run) -> None:
        result = run("timeline", "trino://127.0.0.1:1/hive/logs/t")
        assert result.exit_code == 1
        assert "error: trino://127.0.0.1:1/hive/logs/t: nothing listens at this port" in result.stderr
