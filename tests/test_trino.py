"""Tables in Trino: their URIs, answers, progress, limits, and what each failure says."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import FIXTURES, Run
from table_answers import entries
from trino_server import Answer, Failed, Trino, trino_loopback

import cnitrail
from cnitrail.errors import SourceError, UsageError
from cnitrail.model import Scope
from cnitrail.model.table import EngineOptions, QueryState
from cnitrail.sources.sql.trino import TrinoEngine
from cnitrail.sources.sql.trino_properties import properties_of
from cnitrail.sources.sql.trino_uri import TrinoTable, parse_trino_uri

STORY = FIXTURES / "node-life"


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRINO_PASSWORD", "TRINO_ACCESS_TOKEN", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def trino() -> Iterator[Trino]:
    with trino_loopback(STORY) as server:
        yield server


def failure(trino: Trino, **options: Any) -> SourceError:
    """How reading the table fails."""
    with pytest.raises(SourceError) as caught:
        cnitrail.read(trino.uri, **options)
    return caught.value


class TestWithoutPaths:
    """A view, or a connector without files, such as ``memory``."""

    def test_it_is_read_without_the_names_of_files(self, trino: Trino, run: Run) -> None:
        missing = Failed("COLUMN_NOT_FOUND", "line 1:8: Column '$path' cannot be resolved")
        trino.fault = lambda _, text: missing if "$path" in text else None
        result = run("timeline", trino.uri, "-o", "json")
        assert result.exit_code == 0
        assert 'rows have no "$path"' in result.stderr
        found = json.loads(result.stdout)
        files = json.loads(run("timeline", str(STORY), "-o", "json").stdout)
        assert [entry["event_id"] for entry in found["entries"]] == [
            entry["event_id"] for entry in files["entries"]
        ]
        sources = {origin["source"] for entry in found["entries"] for origin in entry["origins"]}
        assert all(source.startswith(f"{trino.uri}/") for source in sources)

    def test_another_failure_is_that_of_the_query(self, trino: Trino) -> None:
        trino.fault = lambda _, text: Failed("PERMISSION_DENIED", "no") if "$path" in text else None
        assert "you may not read this table" in failure(trino).message


class TestPartitions:
    VALUES = (("us-east-1", "2022-10-05"), ("", "5"))

    def listed(self, trino: Trino) -> Any:
        return TrinoEngine(trino.uri, Scope()).partitions()

    def test_trino_lists_them(self, trino: Trino, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trino.engine, "partitions", lambda: [("us-east-1", "2022-10-05"), (None, 5)])
        assert self.listed(trino) == self.VALUES
        assert trino.queries[-1].statement == (
            'SELECT * FROM "hive"."logs"."cloudtrail$partitions" LIMIT 200001'
        )

    def test_why_they_are_not_known(self, trino: Trino) -> None:
        trino.fault = lambda *_: Failed("PERMISSION_DENIED", "Access Denied: no")
        assert self.listed(trino).startswith("you may not read this table")

    def test_a_listing_ends_in_time(self, trino: Trino, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cnitrail.sources.sql.trino.MAX_LISTING_SECONDS", -1.0)
        monkeypatch.setattr(trino.engine, "partitions", lambda: self.VALUES)
        assert self.listed(trino) == "they could not be listed in time"


class TestUri:
    def test_it_names_a_user_a_server_and_a_table(self) -> None:
        assert parse_trino_uri(
            "trino://ana%40example.com@trino.example.com:8443/hive/logs/cloud%20trail"
        ) == (
            TrinoTable(
                user="ana@example.com",
                host="trino.example.com",
                port=8443,
                catalog="hive",
                schema="logs",
                table="cloud trail",
            )
        )

    def test_an_ipv6_address_keeps_its_brackets(self) -> None:
        assert parse_trino_uri("trino://[::1]:8080/hive/logs/t").host == "[::1]"

    @pytest.mark.parametrize(
        "uri",
        [
            "trino://",
            "trino:///hive/logs/t",
            "trino://h/hive/logs",
            "trino://h/hive/logs/",
            "trino://h/hive/logs/t/more",
            "trino://h:port/hive/logs/t",
            "trino://h:99999/hive/logs/t",
            "trino://h/hive/logs/t#part",
            "trino://h/hive/logs/t?ssl=1",
            "trino://[::1/hive/logs/t",
        ],
    )
    def test_anything_else_is_a_usage_error_with_the_form(self, uri: str, run: Run) -> None:
        result = run("timeline", uri)
        assert result.exit_code == 2
        assert "trino://[USER@]HOST[:PORT]/CATALOG/SCHEMA/TABLE" in result.stderr

    @pytest.mark.parametrize("port", ["99999", "0"])
    def test_a_port_that_cannot_be_is_named(self, port: str, run: Run) -> None:
        result = run("timeline", f"trino://h:{port}/hive/logs/t")
        assert result.stderr == (
            f"error: trino://h: the port {port} is not a number from 1 to 65535\n"
            "hint: write trino://[USER@]HOST[:PORT]/CATALOG/SCHEMA/TABLE\n"
        )

    def test_a_password_with_a_slash_is_not_shown_as_a_port(self, run: Run) -> None:
        result = run("timeline", "trino://ana:123456/7/8/9@h")
        assert result.exit_code == 2
        assert "123456" not in result.output + result.stderr

    def test_options_of_athena_have_no_effect(self, run: Run, trino: Trino) -> None:
        options = ("--work-group", "ir", "--output-location", "s3://b/p/")
        said = run("timeline", trino.uri, *options).stderr
        assert f"{trino.uri}: --work-group and --output-location have no effect: this is not Athena" in said
        assert "no effect" not in run("timeline", trino.uri).stderr

    def test_a_password_is_refused_and_never_shown(self, run: Run) -> None:
        result = run("timeline", "trino://ana:hunter2@h/hive/logs/t")
        assert result.exit_code == 2
        assert "TRINO_PASSWORD" in result.stderr
        assert "hunter2" not in result.output + result.stderr

    def test_an_earlier_query_cannot_be_fetched(self, run: Run) -> None:
        result = run("timeline", "trino://h/hive/logs/t?query=20261129_1")
        assert result.exit_code == 2
        assert "cannot be fetched from Trino" in result.stderr

    def test_quotes_in_names_stay_in_the_name(self) -> None:
        engine = TrinoEngine('trino://h/hive/logs/a"b', Scope())
        assert engine.table == '"hive"."logs"."a""b"'


class TestAnswers:
    @pytest.mark.parametrize("page", [1, 7, 1000])
    def test_they_are_those_of_the_files_whatever_the_size_of_a_page(self, page: int, trino: Trino) -> None:
        trino.page = page
        table, files = cnitrail.read(trino.uri), cnitrail.read(STORY)
        assert entries(table.timeline()) == entries(files.timeline())
        assert entries(table.leases()) == entries(files.leases())
        assert table.evidence.coverage == files.evidence.coverage

    def test_the_report_names_the_query_its_bytes_and_seconds(self, trino: Trino) -> None:
        report = cnitrail.read(trino.uri).evidence.sources[0].engine
        assert report is not None
        assert (report.engine, report.query, report.table) == ("trino", "q-3", '"hive"."logs"."cloudtrail"')
        assert (report.scanned_bytes, report.seconds) == (2_000_000, 3.0)

    def test_a_user_that_is_named_is_sent(self, trino: Trino) -> None:
        cnitrail.read(trino.uri.replace("://", "://ana%40example.com@"))
        assert {headers["X-Trino-User"] for _, headers in trino.requests} == {"ana@example.com"}

    def test_progress_says_whether_the_query_waits_or_runs(self, trino: Trino) -> None:
        trino.waits = ("QUEUED", *["RUNNING"] * 3)

        def slow(method: str, _: str) -> None:
            time.sleep(0.3 if method == "GET" else 0)

        trino.fault = slow
        engine = TrinoEngine(trino.uri, Scope())
        seen = list(engine.run('SELECT "$path" FROM "hive"."logs"."cloudtrail"'))
        assert [progress.state for progress in seen][:1] == [QueryState.QUEUED]
        assert seen[-1].state is QueryState.RUNNING
        assert seen[-1].query == "q-0"
        assert seen[-1].scanned_bytes is not None
        engine.close()

    def test_a_busy_server_is_asked_again(self, trino: Trino) -> None:
        left = [503, 502, 429]

        def busy(_method: str, _text: str) -> Answer | None:
            return Answer(left.pop()) if left else None

        trino.fault = busy
        assert len(cnitrail.read(trino.uri).timeline()) > 0


class TestEnds:
    def test_a_scan_beyond_the_limit_is_stopped(self, trino: Trino) -> None:
        trino.waits = ("RUNNING",) * 50
        engine = TrinoEngine(trino.uri, Scope(engine=EngineOptions(max_scan=5_000_000)))
        with pytest.raises(SourceError) as caught:
            list(engine.run("SELECT 1"))
        engine.close()
        assert caught.value.message == (f"{trino.uri}: stopped after 6.00 MB: --max-scan allows 5.00 MB")
        assert trino.queries[0].is_canceled

    def test_stopping_ends_the_query_on_the_server(self, trino: Trino) -> None:
        trino.waits = ("RUNNING",) * 10_000
        engine = TrinoEngine(trino.uri, Scope())
        threading.Timer(0.3, engine.stop).start()
        with pytest.raises(SourceError, match="the query was stopped"):
            list(engine.run("SELECT 1"))
        engine.close()
        assert trino.queries[0].is_canceled

    def test_ctrl_c_ends_the_query_on_the_server(self, trino: Trino) -> None:
        trino.waits = ("RUNNING",) * 1_000_000
        command = [sys.executable, "-m", "cnitrail", "timeline", trino.uri]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            until = time.monotonic() + 20
            while not any("scanned" in query.statement for query in trino.queries):
                if time.monotonic() > until:
                    process.kill()
                time.sleep(0.05)
                assert process.poll() is None
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
        assert process.returncode == 130
        assert trino.queries[-1].is_canceled

    def test_an_answer_that_is_not_fetched_whole_is_stopped(self, trino: Trino) -> None:
        trino.page = 1
        engine = TrinoEngine(trino.uri, Scope())
        list(engine.run('SELECT "$path" FROM "hive"."logs"."cloudtrail"'))
        next(engine.rows())
        engine.close()
        assert trino.queries[0].is_canceled

    def test_stopping_before_anything_runs_does_nothing(self) -> None:
        engine = TrinoEngine("trino://127.0.0.1:1/hive/logs/t", Scope())
        engine.stop()
        engine.close()


LESS = "ask for less: give --since, --until, --account or --region"


class TestFailures:
    @pytest.mark.parametrize(
        ("failed", "reason", "hint"),
        [
            ("TABLE_NOT_FOUND", "the schema has no such table", "SHOW CATALOGS"),
            ("PERMISSION_DENIED", "you may not read this table", "for SELECT on it"),
            ("SYNTAX_ERROR", "the server does not understand the statement", "Trino 400"),
            ("EXCEEDED_TIME_LIMIT", "the query took longer than the server allows", LESS),
            ("EXCEEDED_LOCAL_MEMORY_LIMIT", "the query took more memory than a node allows", LESS),
            ("HIVE_BAD_DATA", "a file does not fit the columns of the table", "docs/athena.md"),
            ("HIVE_CURSOR_ERROR", "a file could not be read", "s3://BUCKET/PREFIX"),
            ("HIVE_UNSUPPORTED_FORMAT", "the server cannot read files of this table's format", "athena://"),
            ("SERVER_STARTING_UP", "the server is starting", "in a minute"),
            ("SOMETHING_NEW", "the query failed", "administrator"),
        ],
    )
    def test_each_has_a_sentence_and_a_hint(self, failed: str, reason: str, hint: str, trino: Trino) -> None:
        trino.fault = lambda _, text: None if text.startswith("SHOW") else Failed(failed)
        error = failure(trino)
        assert error.message == f"{trino.uri}: {reason} ({failed}: as the test asks)"
        assert hint in (error.hint or "")

    def test_a_failure_of_the_engine_itself_is_no_traceback(self, trino: Trino) -> None:
        trino.fault = lambda *_: Failed("GENERIC_INTERNAL_ERROR", "null", "INTERNAL_ERROR")
        assert "the query failed (GENERIC_INTERNAL_ERROR: null)" in failure(trino).message

    def test_a_log_file_that_is_longer_than_a_line_names_the_setting(self, trino: Trino) -> None:
        failed = Failed("HIVE_CURSOR_ERROR", cause="Max line length exceeded: 104857600")
        trino.fault = lambda _, text: None if text.startswith("SHOW") else failed
        assert "hive.text.max-line-length" in (failure(trino).hint or "")

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (Answer(401, b"Unauthorized"), "the server does not accept the login (HTTP 401: Unauthorized)"),
            (Answer(403, b"<html>No</html>"), "the server refuses access (HTTP 403)"),
            (Answer(404), "there is no Trino server at this address, or it was restarted (HTTP 404)"),
            (Answer(500, b"oops"), "the server does not answer as Trino does (HTTP 500: oops)"),
            (Answer(200, b"<html>Log in</html>", "text/html"), "the server does not answer as Trino does"),
            (Answer(200, b"{}"), "the server does not answer as Trino does"),
            (Answer(200, b"[1]"), "the server does not answer as Trino does"),
        ],
    )
    def test_what_is_not_trino_is_an_error(self, answer: Answer, said: str, trino: Trino) -> None:
        trino.fault = lambda *_: answer
        assert failure(trino).message == f"{trino.uri}: {said}"

    def test_a_failure_between_pages_is_an_error(self, trino: Trino) -> None:
        trino.page = 1

        def late(method: str, text: str) -> Answer | None:
            is_late = method == "GET" and len(trino.queries[-1].pages) < 3 and "scanned" in text
            return Answer(410) if is_late else None

        trino.fault = late
        assert "the server has forgotten the query (HTTP 410)" in failure(trino).message

    def test_a_host_without_an_address_and_a_port_without_a_server_are_told_apart(self, run: Run) -> None:
        nothing = run("timeline", "trino://127.0.0.1:1/hive/logs/t")
        assert nothing.exit_code == 1
        assert "nothing listens at this port" in nothing.stderr
        nowhere = run("timeline", "trino://nowhere.invalid/hive/logs/t")
        assert nowhere.exit_code == 1
        assert "the host has no address" in nowhere.stderr

    def test_a_password_is_never_sent_without_https(
        self, trino: Trino, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TRINO_PASSWORD", "hunter2")
        error = failure(trino)
        assert error.message == f"{trino.uri}: there is no HTTPS at this port"
        assert not trino.requests

    def test_a_missing_client_names_the_extra(self, trino: Trino, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "trino.dbapi", None)
        error = failure(trino)
        assert error.message == f"{trino.uri}: Trino's client is not installed"
        assert error.hint == "pip install 'cnitrail[trino]'"

    def test_an_unknown_login_name_asks_for_a_user(
        self, trino: Trino, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unknown() -> str:
            raise KeyError

        monkeypatch.setattr("getpass.getuser", unknown)
        with pytest.raises(UsageError, match="your login name is not known"):
            cnitrail.read(trino.uri)


class TestDescription:
    def test_a_table_whose_ddl_is_not_shown_has_no_properties(self, trino: Trino) -> None:
        trino.fault = lambda _, text: Failed("NOT_SUPPORTED") if "CREATE" in text else None
        table = TrinoEngine(trino.uri, Scope()).describe()
        assert table.properties == {}
        assert table.location is None
        assert "eventname" in table.columns

    def test_lists_and_quotes_in_properties_are_read(self) -> None:
        ddl = """CREATE TABLE hive.logs.t (
   eventname varchar COMMENT 'one''s WITH (x = 1)',
   "the day" varchar WITH (partition_projection_interval = 1, partition_projection_type = 'DATE'),
   account varchar WITH (partition_projection_type = 'ENUM', partition_projection_values = ARRAY['1','it''s'])
)
WITH (
   external_location = 's3://bucket/AWSLogs/',
   format = 'OPENX_JSON',
   partition_projection_enabled = true,
   partitioned_by = ARRAY['the day','account']
)"""
        assert properties_of(ddl) == {
            "external_location": "s3://bucket/AWSLogs/",
            "format": "OPENX_JSON",
            "projection.enabled": "true",
            "partitioned_by": "the day,account",
            "projection.the day.interval": "1",
            "projection.the day.type": "date",
            "projection.account.type": "enum",
            "projection.account.values": "1,it's",
        }
