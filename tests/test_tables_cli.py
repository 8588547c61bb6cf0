"""What is said about tables in query engines: options, cost, progress, signals, answers without a row."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from billed_engine import GB, QUERY, BilledEngine, billed_engine, serve
from click.testing import Result
from conftest import FIXTURES, Run
from duck_engine import description, log_files
from loopback import Endpoint, Refusal, endpoint
from msgspec.structs import replace

from cnitrail.cli.lookup_progress import LookupView
from cnitrail.cli.progress import Progress
from cnitrail.cli.query_progress import QueryView, status_line
from cnitrail.decode import RELEVANT_CALLS
from cnitrail.errors import SourceError
from cnitrail.model import LookupProgress, Note, Scope, SeenCall
from cnitrail.model.table import QueryProgress, QueryState, ScanEstimate
from cnitrail.parse import parse_size
from cnitrail.sources import open_source
from cnitrail.sources.sql import source as source_module
from cnitrail.sources.sql.description import TableDescription
from cnitrail.sources.sql.estimate import estimate, scanned_scope
from cnitrail.sources.sql.partitions import Pruning
from cnitrail.sources.sql.prices import request_cost, scan_cost
from cnitrail.sources.sql.source import TableSource
from cnitrail.sources.sql.source_texts import planned
from cnitrail.text import byte_size, dollars

TABLE = "athena://default.cloudtrail_logs"
DONE = (
    f"{TABLE}: scanned 3.00 GB in 48 s, about $0.02; "
    f"{TABLE}?query={QUERY} with the same options reads the result again without a scan"
)
RESUMED = (
    f"{TABLE}: read the result of query {QUERY} without a new scan; "
    "when it ran, it scanned 3.00 GB in 48 s, about $0.02"
)
READ = "14 shown; read 1 table with 56 events, 17 IP-related (2022-10-05 13:14:10Z to 2022-10-05 15:22:24Z)"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> BilledEngine:
    """A table without partitions."""
    engine = billed_engine("ironman")
    serve(engine, monkeypatch)
    return engine


@pytest.fixture
def partitioned(monkeypatch: pytest.MonkeyPatch) -> BilledEngine:
    """A table with a partition for each day, which is pruned by nothing."""
    engine = billed_engine("ironman", partitions={"timestamp": "string"})
    serve(engine, monkeypatch)
    monkeypatch.setattr(source_module, "pruning", lambda *_: Pruning())
    return engine


class Terminal(io.StringIO):
    """A terminal for stderr."""

    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make stderr a terminal, with progress from the start."""
    shown = Terminal()
    for name, value in (("TERM", "xterm"), ("COLUMNS", "120")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("cnitrail.cli.progress._PROGRESS_DELAY", 0.0)
    monkeypatch.setattr(sys, "stderr", shown)
    return shown


class TestOptions:
    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("500MB", 500 * 10**6),
            ("10GB", 10 * 10**9),
            ("10 gb", 10 * 10**9),
            ("1.5TB", 1_500 * 10**9),
            ("1TiB", 2**40),
            ("2G", 2 * 10**9),
        ],
    )
    def test_sizes_are_read_as_people_write_them(self, text: str, size: int) -> None:
        assert parse_size(text) == size

    @pytest.mark.parametrize("text", ["10", "0GB", "-1GB", "GB", "10GBps", "1e9GB", "٣GB", ""])
    def test_a_size_that_may_mean_anything_is_refused(self, run: Run, text: str) -> None:
        result = run("timeline", TABLE, f"--max-scan={text}")
        assert result.exit_code == 2
        assert result.stderr == (
            f"error: --max-scan: {text!r} is not a size\nhint: for example 500MB, 10GB or 1TB\n"
        )

    def test_an_engine_gets_its_options(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        scopes: list[Scope] = []

        def opened(_: str, scope: Scope) -> None:
            scopes.append(scope)
            raise SourceError("seen")

        from cnitrail import sources

        kind = replace(sources._SCHEMES["athena://"], open=opened)
        monkeypatch.setitem(sources._SCHEMES, "athena://", kind)
        options = ("--work-group", "ir", "--output-location", "s3://results/a/", "--max-scan", "10GB")
        run("collect", TABLE, "--to", "x.db", *options)
        (scope,) = scopes
        assert scope.engine.work_group == "ir"
        assert scope.engine.output_location == "s3://results/a/"
        assert scope.engine.max_scan == 10 * GB

    @pytest.mark.parametrize("command", ["sync", "verify"])
    def test_commands_that_read_no_table_do_not_have_them(self, run: Run, command: str) -> None:
        assert "--max-scan" not in run(command, "--help").stdout

    def test_a_table_is_not_watched(self, run: Run) -> None:
        result = run("timeline", TABLE, "--watch")
        assert result.exit_code == 2
        assert result.stderr.startswith("error: --watch cannot ")
        assert f"{TABLE}: every poll would be a " in result.stderr


class TestNames:
    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ("athena:db.table", "athena://db.table"),
            ("athena:/db.table", "athena://db.table"),
            ("athena://db/table", "athena://db.table"),
            ("athena://cat/db/table", "athena://cat/db.table"),
            ("Athena://db.table", "athena://db.table"),
            ("ATHENA://db.table?query=1-2", "athena://db.table?query=1-2"),
            ("trino:host:8080/hive/default/t", "trino://host:8080/hive/default/t"),
            ("TRINO://me@host/hive/default/t", "trino://me@host/hive/default/t"),
        ],
    )
    def test_a_mistyped_name_is_corrected(self, run: Run, given: str, meant: str) -> None:
        result = run("timeline", given)
        assert result.exit_code == 2
        assert result.stderr.splitlines()[1] == f"hint: did you mean {meant}?"

    @pytest.mark.parametrize(
        ("given", "example"),
        [
            ("athena://", "athena://default.cloudtrail_logs"),
            ("athena:", "athena://default.cloudtrail_logs"),
            ("athena://table", "athena://default.cloudtrail_logs"),
            ("trino://host/table", "trino://trino.example.com/hive/default/cloudtrail_logs"),
            ("trino://host/a/b/c/d", "trino://trino.example.com/hive/default/cloudtrail_logs"),
        ],
    )
    def test_a_name_that_lacks_a_part_gets_an_example(self, run: Run, given: str, example: str) -> None:
        result = run("timeline", given)
        assert result.exit_code == 2
        assert result.stderr.splitlines()[1] == f"hint: for example {example}"

    def test_a_password_is_not_shown(self, run: Run) -> None:
        for given in ("trino:me:secret@host/a/b/c", "trino://me:secret@host/table"):
            result = run("timeline", given)
            assert result.exit_code == 2
            assert "secret" not in result.stderr

    def test_a_file_may_have_such_a_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("athena:logs.json").write_text('{"Records": []}')
        (document,) = open_source("athena:logs.json", Scope()).documents()
        assert document.uri == "athena:logs.json"  # type: ignore[union-attr]

    def test_the_refusal_of_other_schemes_names_tables(self, run: Run) -> None:
        result = run("timeline", "gs://bucket/logs")
        assert result.exit_code == 1
        assert "athena://DATABASE.TABLE and trino://HOST/CATALOG/SCHEMA/TABLE" in result.stderr


class TestPrices:
    @pytest.mark.parametrize(
        ("size", "cost"),
        [(0, 0.00005), (9 * 10**6, 0.00005), (10**9 + 1, 0.005005), (10**12, 5.0), (12 * 10**12, 60.0)],
    )
    def test_athena_bills_started_megabytes_and_ten_at_least(self, size: int, cost: float) -> None:
        assert scan_cost(size) == pytest.approx(cost)

    def test_a_reused_answer_is_free(self) -> None:
        assert scan_cost(10**12, is_reused=True) == 0.0

    def test_a_terabyte_of_small_files_also_costs_requests(self) -> None:
        assert request_cost(18_000_000) == pytest.approx(7.2)

    def test_amounts_and_sizes_are_short(self) -> None:
        assert [dollars(amount) for amount in (0, 0.004, 0.01, 0.0101, 0.07, 1234.5)] == [
            *("less than $0.01", "less than $0.01", "$0.01", "$0.02", "$0.07", "$1,234.50")
        ]
        assert [byte_size(size) for size in (0, 999, 1000, 12_345, 999_950, 12_340_000_000, 10**15)] == [
            *("0 bytes", "999 bytes", "1.00 kB", "12.3 kB", "1.00 MB", "12.3 GB", "1.00 PB")
        ]


def said(result: Result) -> list[str]:
    """What is said on stderr, without warnings."""
    return [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]


class TestSummary:
    def test_the_scan_and_its_cost_are_said_before_and_after(self, run: Run, engine: BilledEngine) -> None:
        result = run("timeline", TABLE)
        assert result.exit_code == 0
        assert said(result) == [
            (
                f"{TABLE}: scans the whole table, at $5 per TB; the size is not known: "
                "the table's description has no S3 location"
            ),
            DONE,
            READ,
        ]
        assert engine.asked == ["run", "rows", "close"]

    def test_quiet_says_nothing(self, run: Run, engine: BilledEngine) -> None:
        assert said(run("timeline", TABLE, "-q")) == []
        assert engine.asked == ["run", "rows", "close"]

    @pytest.mark.parametrize("output", ["md", "html"])
    def test_a_report_names_the_query_its_bytes_and_cost(
        self, run: Run, engine: BilledEngine, output: str
    ) -> None:
        page = re.sub(r"<[^>]+>|`", " ", run("report", TABLE, "-o", output).stdout)
        page = re.sub(r"[\s|]+", " ", page)
        assert f"{TABLE} 1 table 3,000,000,000 56 17 0 0" in page
        assert f"Athena query {QUERY} took 48.2 s and cost $0.02" in page

    def test_a_store_of_a_table_was_read_from_a_table(
        self, run: Run, engine: BilledEngine, tmp_path: Path
    ) -> None:
        store = tmp_path / "a.db"
        assert "read 1 table with 56 events" in run("collect", TABLE, "--to", store).stderr
        assert READ in run("timeline", store).stderr
        assert run("collect", FIXTURES / "node-life", "--to", store).exit_code == 0
        said = run("timeline", store).stderr
        assert re.search(r"read \d+ files and 1 table with", said), said
        page = re.sub(r"[\s|`]+", " ", run("report", store, "-o", "md").stdout)
        assert "1 table" not in page

    def test_the_report_is_in_the_evidence(self, run: Run, engine: BilledEngine) -> None:
        (source,) = json.loads(run("timeline", TABLE, "-o", "json").stdout)["evidence"]["sources"]
        assert source["engine"] == {
            "engine": "athena",
            "query": QUERY,
            "table": engine.table,
            "shape": "cloudtrail",
            "is_partitioned": False,
            "pruned_by": [],
            "scanned_bytes": 3 * GB,
            "seconds": 48.2,
            "cost_usd": pytest.approx(0.015),
            "estimated_files": None,
            "estimated_bytes": None,
            "losses": [],
        }

    def test_a_reused_answer_costs_nothing(self, run: Run, engine: BilledEngine) -> None:
        engine.is_reused = True
        result = run("timeline", TABLE)
        assert (
            f"{TABLE}: Athena returned the kept result of an earlier query, and scanned nothing; query"
            in result.stderr
        )

    def test_an_answer_that_is_read_again_has_no_estimate(self, run: Run, partitioned: BilledEngine) -> None:
        result = run("timeline", f"{TABLE}?query={QUERY}")
        assert said(result) == [RESUMED, READ]

    def test_debug_shows_the_statement_and_the_query(self, run: Run, engine: BilledEngine) -> None:
        lines = run("timeline", TABLE, "--debug").stderr.splitlines()
        (statement,) = (line.partition(": statement: ")[2] for line in lines if ": statement: " in line)
        assert statement == " ".join(engine.statement.split())
        assert any(line.endswith(f"cnitrail.sources.sql.source: query {QUERY}") for line in lines)

    def test_an_answer_without_an_ip_related_event_is_an_answer(self, run: Run, engine: BilledEngine) -> None:
        engine._db.execute("UPDATE cloudtrail_logs SET eventname = 'ListBuckets'")
        result = run("timeline", TABLE, "-o", "json")
        assert result.exit_code == 0
        document = json.loads(result.stdout)
        assert document["entries"] == []
        assert document["evidence"]["sources"][0]["records"] == 56
        assert document["evidence"]["coverage"] != []


class TestLimits:
    def test_a_partitioned_table_is_not_scanned_as_a_whole(self, run: Run, partitioned: BilledEngine) -> None:
        result = run("timeline", TABLE)
        assert (result.exit_code, result.stderr) == (
            2,
            (
                f"error: {TABLE}: nothing limits what is scanned, and the table is partitioned by timestamp\n"
                "hint: add --since, --last, --account or --region; or --max-scan SIZE to scan up to SIZE\n"
            ),
        )
        assert partitioned.asked == ["close"]

    def test_it_is_with_a_limit(self, run: Run, partitioned: BilledEngine) -> None:
        assert run("timeline", TABLE, "--max-scan", "10GB").exit_code == 0
        assert partitioned.asked == ["run", "rows", "close"]

    def test_the_number_of_rows_is_known_before_they_are_fetched(
        self, run: Run, engine: BilledEngine
    ) -> None:
        engine.rows_of_answer = 2_000_001
        result = run("timeline", TABLE)
        assert result.exit_code == 1
        assert result.stderr.splitlines()[1:] == [
            (
                f"error: {TABLE}: the result of query {QUERY} has 2,000,001 rows; "
                "the most that cnitrail reads are 2,000,000, as each takes memory"
            ),
            (
                "hint: ask for less with --since, --until, --account or --region; or collect shorter times "
                "into one store (cnitrail collect --to FILE.db)"
            ),
        ]
        assert engine.asked == ["run", "stop", "close"]

    def test_rows_are_counted_if_their_number_is_not_known(
        self, run: Run, engine: BilledEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(source_module, "MAX_ROWS", 3)
        result = run("timeline", TABLE)
        assert result.exit_code == 1
        assert f"the result of query {QUERY} has more than 3 rows" in result.stderr
        assert engine.asked == ["run", "rows", "stop", "close"]

    def test_parts_are_whole_in_whatever_batches_rows_come(
        self, run: Run, engine: BilledEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = run("timeline", TABLE, "-o", "json").stdout
        again = billed_engine("ironman")
        serve(again, monkeypatch)
        monkeypatch.setattr(source_module, "_BATCH", 1)
        assert run("timeline", TABLE, "-o", "json").stdout == whole


def test_a_table_that_is_collected_is_no_file(run: Run, engine: BilledEngine, tmp_path: Path) -> None:
    store = str(tmp_path / "case.db")
    assert said(run("collect", TABLE, "--to", store))[-1] == (
        f"{store}: read 1 table with 56 events, 17 IP-related, 17 new"
    )
    assert run("collect", str(FIXTURES / "stolen-address"), TABLE, "--to", f"{store}2").stderr.count(
        "files and 1 table"
    )


class TestNothingFound:
    def test_what_the_table_is_known_to_lack_is_the_first_reason(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = billed_engine("ironman")
        engine._db.execute("DELETE FROM cloudtrail_logs")
        location = "s3://logs/AWSLogs/111111111111/CloudTrail/us-east-1/"
        engine._table = replace(engine._table, location=location)
        serve(engine, monkeypatch)
        monkeypatch.setattr(source_module, "estimate", no_estimate)
        result = run("timeline", TABLE, "--region", "eu-west-1", "--region", "us-east-1")
        assert result.exit_code == 1
        assert result.stderr.splitlines()[-1].startswith(
            "hint: the table may lack it: 1) the table has nothing of Region eu-west-1 (LOCATION); "
            f"2) its LOCATION ({location}) has other accounts, Regions or times; "
        )

    @pytest.mark.parametrize(
        ("partitions", "properties", "reasons"),
        [
            (
                {"timestamp": "string"},
                {"projection.enabled": "true", "storage.location.template": "s3://b/${timestamp}"},
                (
                    "1) the values and ranges of its partition projection (projection.* in TBLPROPERTIES) "
                    "exclude it; 2) its LOCATION (s3://b/${timestamp}) has other accounts, Regions or times; "
                    "3) Lake Formation hides rows from you (data filters)"
                ),
            ),
            (
                {"timestamp": "string"},
                {},
                (
                    "1) the partitions were never added: see SHOW PARTITIONS, then use ALTER TABLE ADD "
                    "PARTITION, MSCK REPAIR TABLE or partition projection; 2) its LOCATION has other "
                    "accounts, Regions or times; 3) Lake Formation hides rows from you (data filters)"
                ),
            ),
            (
                {},
                {},
                (
                    "1) its LOCATION has other accounts, Regions or times; "
                    "2) Lake Formation hides rows from you (data filters)"
                ),
            ),
        ],
    )
    def test_it_is_an_error_with_the_likely_reasons(
        self,
        run: Run,
        monkeypatch: pytest.MonkeyPatch,
        partitions: Mapping[str, str],
        properties: Mapping[str, str],
        reasons: str,
    ) -> None:
        engine = billed_engine("ironman", partitions=partitions, properties=properties)
        engine._db.execute("DELETE FROM cloudtrail_logs")
        engine.scanned = 0
        monkeypatch.setattr(engine, "partitions", lambda: "access denied")
        serve(engine, monkeypatch)
        columns = tuple(partitions)
        monkeypatch.setattr(source_module, "pruning", lambda *_: Pruning(columns=columns))
        monkeypatch.setattr(source_module, "estimate", no_estimate)
        result = run(
            *("timeline", TABLE, "--since", "2022-10-05", "--until", "2022-10-06"),
            *("--account", "111111111111", "--region", "eu-west-1"),
        )
        by = ", limited by partition column timestamp" if partitions else ""
        assert result.exit_code == 1
        assert result.stderr.splitlines()[-2:] == [
            (
                f"error: {TABLE}: no record of any kind (2022-10-05 00:00:00Z to 2022-10-06 00:00:00Z; "
                f"account 111111111111; Region eu-west-1{by}) in the result of query {QUERY}, "
                "which scanned 0 bytes"
            ),
            f"hint: the table may lack it: {reasons}; see docs/athena.md",
        ]


def no_estimate(*_: object) -> Generator[int, None, str]:
    """Nothing is known about the size of a table."""
    yield from ()
    return "not asked for"


def waits(process: subprocess.Popen[str], log: Path, what: str) -> None:
    """Wait until an engine was asked for something."""
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        if log.exists() and what in log.read_text(encoding="utf-8").split():
            time.sleep(0.3)
            return
        time.sleep(0.05)
    raise AssertionError(process.communicate())


class TestStopped:
    @pytest.mark.parametrize(
        ("phase", "number", "said", "asked"),
        [
            (
                "queued",
                signal.SIGINT,
                [
                    f"{TABLE}: stopping the query; Ctrl-C again ends at once, and may leave it running",
                    f"{TABLE}: Athena was asked to stop query {QUERY} after 1 s, while it was queued",
                    "error: interrupted",
                ],
                ["run", "stop", "close"],
            ),
            (
                "running",
                signal.SIGINT,
                [
                    f"{TABLE}: stopping the query; Ctrl-C again ends at once, and may leave it running",
                    (
                        f"{TABLE}: Athena was asked to stop query {QUERY} after 20 s; "
                        "until then it had scanned 1.00 GB, which is billed (less than $0.01)"
                    ),
                    "error: interrupted",
                ],
                ["run", "stop", "close"],
            ),
            (
                "running",
                signal.SIGTERM,
                [
                    f"{TABLE}: stopping the query; Ctrl-C again ends at once, and may leave it running",
                    (
                        f"{TABLE}: Athena was asked to stop query {QUERY} after 20 s; "
                        "until then it had scanned 1.00 GB, which is billed (less than $0.01)"
                    ),
                ],
                ["run", "stop", "close"],
            ),
            (
                "fetching",
                signal.SIGINT,
                [
                    (
                        f"{TABLE}: fetching the result was stopped; "
                        f"{TABLE}?query={QUERY} with the same options reads it without a new scan"
                    ),
                    "error: interrupted",
                ],
                ["run", "rows", "stop", "close"],
            ),
        ],
    )
    def test_a_signal_stops_the_query_and_says_what_it_cost(
        self, tmp_path: Path, phase: str, number: int, said: list[str], asked: list[str]
    ) -> None:
        log = tmp_path / "asked"
        program = str(Path(__file__).with_name("billed_engine.py"))
        process = subprocess.Popen(
            [sys.executable, program, "ironman", str(log), phase, "60", "timeline", TABLE],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        waits(process, log, "rows" if phase == "fetching" else "run")
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=20)
        assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]  # type: ignore[index]
        assert stdout == ""
        assert stderr.splitlines()[1:] == said
        assert log.read_text(encoding="utf-8").split() == asked

    @pytest.mark.parametrize(
        ("looks", "said"),
        [
            (1, "ended before Athena stopped the query, which may run on"),
            (
                2,
                (
                    f"ended before Athena stopped query {QUERY}, which may run on: "
                    f"stop it with aws athena stop-query-execution --query-execution-id {QUERY}"
                ),
            ),
        ],
    )
    def test_a_second_signal_while_the_query_is_stopped_says_that_it_may_run_on(
        self, engine: BilledEngine, monkeypatch: pytest.MonkeyPatch, looks: int, said: str
    ) -> None:
        def interrupted() -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(engine, "stop", interrupted)
        source = TableSource(engine, Scope(relevant_calls=RELEVANT_CALLS))
        documents = source.documents()
        seen = 0
        while seen < looks:
            seen += isinstance(next(documents), QueryProgress)
        with pytest.raises(KeyboardInterrupt):
            documents.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
        assert source.ended_early == said

    def test_a_failure_while_the_answer_is_read_stops_the_query(
        self, engine: BilledEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from cnitrail import api
        from cnitrail.workflows import ingest

        def fail(*_: object) -> None:
            raise MemoryError

        monkeypatch.setattr(ingest, "_ingest_document", fail)
        with pytest.raises(MemoryError):
            api.read(TABLE)
        assert engine.asked == ["run", "rows", "stop", "close"]


class TestProgress:
    @pytest.mark.parametrize(
        ("progress", "line"),
        [
            (
                QueryProgress(
                    state=QueryState.LISTING, query=None, elapsed=timedelta(seconds=3), rows=41_200
                ),
                "listing the files of the table: 41,200 files, 3 s",
            ),
            (
                QueryProgress(state=QueryState.QUEUED, query=None, elapsed=timedelta(seconds=3)),
                "starting the query, 3 s",
            ),
            (
                QueryProgress(state=QueryState.QUEUED, query=QUERY, elapsed=timedelta(seconds=3)),
                f"queued, 3 s (query {QUERY})",
            ),
            (
                QueryProgress(
                    state=QueryState.RUNNING,
                    query=QUERY,
                    elapsed=timedelta(seconds=75),
                    scanned_bytes=3 * GB,
                    estimated_bytes=12 * GB,
                ),
                f"running, 3.00 GB of about 12.0 GB scanned (25%), 1 min 15 s (query {QUERY})",
            ),
            (
                QueryProgress(
                    state=QueryState.RUNNING,
                    query=QUERY,
                    elapsed=timedelta(seconds=75),
                    scanned_bytes=3 * GB,
                ),
                f"running, 3.00 GB scanned, 1 min 15 s (query {QUERY})",
            ),
            (
                QueryProgress(
                    state=QueryState.FETCHING,
                    query=QUERY,
                    elapsed=timedelta(seconds=80),
                    rows=12_000,
                    total_rows=41_023,
                ),
                f"fetched 12,000 of 41,023 rows (query {QUERY})",
            ),
        ],
    )
    def test_a_line_says_how_far_a_query_is(self, progress: QueryProgress, line: str) -> None:
        assert status_line(progress) == line

    def test_a_terminal_shows_the_line_of_a_query_and_nothing_of_it_stays(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shown = terminal(monkeypatch)
        running = QueryProgress(state=QueryState.RUNNING, query=QUERY, elapsed=timedelta(seconds=2))
        with Progress(quiet=False) as progress:
            progress.queried(running)
            progress.queried(replace(running, scanned_bytes=GB))
            assert isinstance(progress._view, QueryView)
            progress._view._live.refresh()  # type: ignore[union-attr]  # it was started
            progress.note(Note("athena://a.b", "a line above"))
        assert f"running, 1.00 GB scanned, 2 s (query {QUERY})" in shown.getvalue()
        assert "athena://a.b: a line above" in shown.getvalue()
        assert shown.getvalue().endswith("\x1b[2K")

    def test_a_terminal_shows_the_line_of_a_lookup_and_nothing_of_it_stays(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shown = terminal(monkeypatch)
        until = datetime(2026, 11, 29, 12, tzinfo=UTC)
        step = LookupProgress(
            region="eu-west-1",
            calls=3,
            max_calls=3600,
            events=120,
            since=until - timedelta(days=1),
            until=until,
            reached=until,
            newest=(SeenCall(until, "AssignPrivateIpAddresses", ("eni-0bbea279695112970",)),),
        )
        with Progress(quiet=False) as progress:
            progress.reached(step)
            progress.reached(replace(step, calls=4))
            assert isinstance(progress._view, LookupView)
            progress._view._live.refresh()  # type: ignore[union-attr]  # it was started
        assert "120 events, 4 of at most 3,600 calls" in shown.getvalue()
        assert "AssignPrivateIpAddresses  eni-0bbea279695112970" in shown.getvalue()
        assert shown.getvalue().endswith("\x1b[2K")

    def test_rows_are_counted_while_they_are_fetched(
        self, engine: BilledEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from cnitrail.decode import RELEVANT_CALLS

        monkeypatch.setattr(source_module, "_BATCH", 10)
        engine.rows_of_answer = 17
        source = TableSource(engine, Scope(relevant_calls=RELEVANT_CALLS))
        seen = [item for item in source.documents() if isinstance(item, QueryProgress)]
        assert [
            (progress.rows, progress.total_rows) for progress in seen if progress.state == "fetching"
        ] == [
            (0, 17),
            (10, 17),
        ]

    def test_a_terminal_shows_it_and_keeps_nothing_of_it(self, tmp_path: Path) -> None:
        program = str(Path(__file__).with_name("billed_engine.py"))
        shown = [sys.executable, program, "ironman", str(tmp_path / "asked"), "running", "1.5"]
        code = f"import pty, sys; sys.exit(pty.spawn({[*shown, 'timeline', TABLE]!r}) >> 8)"
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "COLUMNS": "200", "TERM": "xterm"},
            timeout=60,
        )
        assert f"running, 2.00 GB scanned, 40 s (query {QUERY})" in done.stdout
        assert "\x1b[2K" in done.stdout


class TestEstimates:
    SCOPE = Scope(
        since=datetime(2022, 10, 5, 13, tzinfo=UTC),
        until=datetime(2022, 10, 5, 14, tzinfo=UTC),
        accounts=("111111111111",),
        regions=("eu-west-1",),
    )

    @pytest.mark.parametrize(
        ("columns", "since", "until", "accounts", "regions"),
        [
            (("timestamp",), "2022-10-05", "2022-10-05", (), ()),
            (("region", "year", "month"), "2022-10-01", "2022-10-31", (), ("eu-west-1",)),
            (("year",), "2022-01-01", "2022-12-31", (), ()),
            (("account", "region"), None, None, ("111111111111",), ("eu-west-1",)),
            ((), None, None, (), ()),
        ],
    )
    def test_partitions_are_scanned_as_a_whole(
        self,
        columns: tuple[str, ...],
        since: str | None,
        until: str | None,
        accounts: tuple[str, ...],
        regions: tuple[str, ...],
    ) -> None:
        table = description({}, dict.fromkeys(columns, "string"))
        scope = scanned_scope(table, columns, self.SCOPE)
        days = [time and time.date().isoformat() for time in (scope.since, scope.until)]
        assert (*days, scope.accounts, scope.regions) == (since, until, accounts, regions)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """A bucket with the log files of a story."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    with endpoint() as server:
        files = [Path(path) for path, _ in log_files(FIXTURES / "ironman")]
        server.put(
            "trail", {str(path.relative_to(FIXTURES / "ironman")): path.read_bytes() for path in files}
        )
        yield server


def table_at(location: str | None, *partitions: str, **properties: str) -> TableDescription:
    """A table with log files below a location, and partition columns of texts."""
    table = description({}, dict.fromkeys(partitions, "string"))
    return replace(table, properties=properties, location=location)


def estimated(table: TableDescription, columns: tuple[str, ...], scope: Scope) -> Any:
    listing = estimate(table, Pruning(columns=columns), scope)
    while True:
        try:
            next(listing)
        except StopIteration as end:
            return end.value


class TestListed:
    @pytest.mark.parametrize(
        ("name", "columns", "found", "note"),
        [
            (
                "athena",
                ("timestamp", "account"),
                ScanEstimate(41_200, 12_340_000_000, is_whole=True),
                (
                    "scans about 12.3 GB in 41,200 files, about $0.08: log files of 2022-10-05; "
                    "account 111111111111 (pruned by timestamp, account)"
                ),
            ),
            (
                "athena",
                (),
                ScanEstimate(1_000_000, 3 * 10**12, is_whole=False),
                "scans more than 3.00 TB in 1,000,000 files, more than $15.40: the whole table",
            ),
            (
                "athena",
                ("region",),
                ScanEstimate(0, 0, is_whole=True),
                "S3 lists no files to scan: Region eu-west-1 (pruned by region)",
            ),
            (
                "trino",
                ("region",),
                ScanEstimate(1, 10, is_whole=True),
                "scans about 10 bytes in 1 file: Region eu-west-1 (pruned by region)",
            ),
            (
                "trino",
                ("region",),
                "access denied",
                "scans Region eu-west-1 (pruned by region); the size is not known: access denied",
            ),
        ],
    )
    def test_a_note_says_what_is_going_to_be_scanned(
        self, name: str, columns: tuple[str, ...], found: ScanEstimate | str, note: str
    ) -> None:
        table = description({}, dict.fromkeys(columns, "string"))
        assert planned(name, table, Pruning(columns=columns), TestEstimates.SCOPE, found) == note

    def scope(self, bucket: Endpoint, **more: Any) -> Scope:
        return Scope(endpoint_url=bucket.url, **more)

    def test_the_files_of_a_table_are_counted_before_it_is_scanned(self, bucket: Endpoint) -> None:
        files = [Path(path) for path, _ in log_files(FIXTURES / "ironman")]
        size = sum(path.stat().st_size for path in files)
        table = table_at("s3://trail/AWSLogs/")
        assert estimated(table, (), self.scope(bucket)) == ScanEstimate(len(files), size, True)

    def test_only_partitions_that_are_scanned_are_listed(self, bucket: Endpoint) -> None:
        table = table_at(
            None, "account", "day", **{"storage.location.template": "s3://trail/AWSLogs/${account}/x/${day}"}
        )
        late = self.scope(bucket, since=datetime(2022, 10, 7, tzinfo=UTC))
        assert estimated(table, ("day",), late) == ScanEstimate(0, 0, True)
        assert estimated(table, ("account",), late).files == len([*log_files(FIXTURES / "ironman")])

    def test_a_denied_listing_is_a_fact_and_no_error(self, bucket: Endpoint) -> None:
        bucket.fault = lambda _: Refusal(403, "AccessDenied")
        table = table_at("s3://trail/AWSLogs/")
        assert estimated(table, (), self.scope(bucket)) == (
            "access denied: listing needs the IAM action s3:ListBucket on trail"
        )

    def test_a_folder_that_cannot_be_listed_is_a_reason_too(self, bucket: Endpoint) -> None:
        bucket.fault = lambda _: Refusal(403, "AccessDenied")
        table = table_at("s3://trail/AWSLogs/111111111111/CloudTrail/eu-west-1/")
        assert estimated(table, (), self.scope(bucket)) == (
            "access denied: listing needs the IAM action s3:ListBucket on trail"
        )

    def test_a_table_elsewhere_is_not_listed(self) -> None:
        for location in (None, "hdfs://x/y/", "file:///tmp/x"):
            assert estimated(table_at(location), (), Scope()) == "the table's description has no S3 location"

    def test_the_note_before_the_query_says_what_it_costs(
        self, run: Run, bucket: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = billed_engine("ironman", properties={"location": "s3://trail/AWSLogs/"})
        serve(engine, monkeypatch)
        result = run("timeline", TABLE, "--endpoint-url", bucket.url, "-o", "json")
        assert re.fullmatch(
            rf"{TABLE}: scans about \d+\.\d kB in 14 files, less than \$0\.01: the whole table",
            result.stderr.splitlines()[0],
        )
        report = json.loads(result.stdout)["evidence"]["sources"][0]["engine"]
        assert report["estimated_files"] == 14
