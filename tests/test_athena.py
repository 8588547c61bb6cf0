"""``athena://``: a loopback Athena that runs the statements on DuckDB, and all that may go wrong."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from types import SimpleNamespace
from typing import ClassVar

import botocore.endpoint
import botocore.loaders
import pytest
from athena_server import SUCCEEDED, Athena, Call, Look, Refused, ServedTable, athena
from click.testing import Result
from conftest import FIXTURES, Run
from duck_engine import TABLE_NOW, DuckEngine, cloudtrail_rows, description, log_files

from cnitrail.errors import SourceError, UsageError
from cnitrail.model import Note, Scope
from cnitrail.model.table import EngineOptions, QueryProgress, QueryState
from cnitrail.sources.sql.athena import AthenaEngine
from cnitrail.sources.sql.athena_uri import parse_uri
from cnitrail.sources.sql.engine import Cells
from cnitrail.sources.sql.statement import ANSWER

URI = "athena://default.cloudtrail_logs"
FIRST = "0b0e7a1c-0000-4000-8000-000000000001"
SECOND = "0b0e7a1c-0000-4000-8000-000000000002"
STATEMENT = 'SELECT 1 FROM "default"."cloudtrail_logs"'
LOADER = botocore.loaders.create_loader()
RUNNING = Look("RUNNING", scanned=400_000)
QUEUED = Look("QUEUED")


class FastClock:
    """A clock whose waits return at once; ``waits`` are their lengths."""

    waits: ClassVar[list[float]] = []

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def wait_until(self, moment: float) -> None:
        FastClock.waits.append(round(moment - self.time, 1))
        self.time = max(self.time, moment)


@pytest.fixture(autouse=True)
def nobodys_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up credentials, and no waits."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody's")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(botocore.loaders, "create_loader", lambda *_: LOADER)
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr("cnitrail.sources.sql.athena.SystemClock", FastClock)
    FastClock.waits = []


@pytest.fixture
def account() -> Iterator[Athena]:
    with athena() as served:
        yield served


def of_story(story: str) -> ServedTable:
    """A table of today's DDL with the records of a story."""
    engine = DuckEngine(description(TABLE_NOW), cloudtrail_rows(log_files(FIXTURES / story)))

    def run(text: str) -> list[Cells]:
        list(engine.run(text.replace('"default"."cloudtrail_logs"', engine.table)))
        return list(engine.rows())

    return ServedTable(dict(TABLE_NOW), run)


def engine_of(account: Athena, uri: str = URI, **options: object) -> AthenaEngine:
    """An engine whose endpoint is the loopback Athena."""
    return AthenaEngine(uri, Scope(endpoint_url=account.url, engine=EngineOptions(**options)))  # type: ignore[arg-type]


def progress_of(engine: AthenaEngine) -> list[QueryProgress]:
    """The progress of a query, which has not to wait for others."""
    found = list(engine.run(STATEMENT))
    assert not any(isinstance(progress, Note) for progress in found)
    return [progress for progress in found if isinstance(progress, QueryProgress)]


def failed_run(account: Athena, uri: str = URI, **options: object) -> SourceError:
    """The error of a query."""
    if not account.tables:
        account.add(ServedTable({"eventname": "string"}))
    with pytest.raises(SourceError) as caught:
        list(engine_of(account, uri, **options).run(STATEMENT))
    return caught.value


class TestUri:
    @pytest.mark.parametrize(
        ("uri", "catalog", "database", "table", "plain"),
        [
            (URI, "AwsDataCatalog", "default", "cloudtrail_logs", URI),
            (
                "athena://awsdatacatalog/Default.CloudTrail_Logs",
                "AwsDataCatalog",
                "default",
                "cloudtrail_logs",
                URI,
            ),
            ("athena://hive/a-b.c", "hive", "a-b", "c", "athena://hive/a-b.c"),
            (
                "athena://s3tablescatalog/aws-cloudwatch/logs.aws_cloudtrail__management",
                "s3tablescatalog/aws-cloudwatch",
                "logs",
                "aws_cloudtrail__management",
                "athena://s3tablescatalog/aws-cloudwatch/logs.aws_cloudtrail__management",
            ),
        ],
    )
    def test_names_catalog_database_and_table(
        self, uri: str, catalog: str, database: str, table: str, plain: str
    ) -> None:
        found = parse_uri(uri)
        assert (found.catalog, found.database, found.table, found.query) == (catalog, database, table, None)
        assert found.uri == plain

    def test_a_query_is_not_a_part_of_the_table(self) -> None:
        found = parse_uri(f"{URI}?query={FIRST}")
        assert found.query == FIRST
        assert found.uri == URI

    @pytest.mark.parametrize(
        "uri",
        [
            *("athena://", "athena://logs", "athena://default/logs", "athena://a.b.c", "athena://.logs"),
            *("athena://default.", 'athena://"default"."logs"', "athena://default.my logs", "athena:///a.b"),
        ],
    )
    def test_a_malformed_name_is_a_usage_error_with_the_right_form(self, run: Run, uri: str) -> None:
        result = run("timeline", uri)
        assert result.exit_code == 2
        assert f"error: {uri}: not the name of a table in Athena" in result.stderr
        assert "athena://[CATALOG/]DATABASE.TABLE[?query=ID]" in " ".join(result.stderr.split())

    @pytest.mark.parametrize(
        ("uri", "meant"),
        [
            ("athena://a.b.c", "athena://a/b.c"),
            ("athena://default.logs/", "athena://default.logs"),
            ('athena://"default"."logs"', "athena://default.logs"),
        ],
    )
    def test_a_slip_in_a_name_is_put_right(self, run: Run, uri: str, meant: str) -> None:
        assert f"hint: did you mean {meant}?" in run("timeline", uri).stderr

    @pytest.mark.parametrize("options", ["", "query=", "query=a b", "region=eu-west-1", "query=a&query=b"])
    def test_nothing_but_a_query_may_follow(self, options: str) -> None:
        with pytest.raises(UsageError, match=r"after \? only query=ID is possible"):
            parse_uri(f"{URI}?{options}")

    def test_the_name_in_statements_is_quoted_and_has_no_catalog(self, account: Athena) -> None:
        assert engine_of(account, "athena://s3tablescatalog/x/logs.t").table == '"logs"."t"'

    def test_opening_a_table_calls_nothing(self, account: Athena) -> None:
        engine = engine_of(account)
        engine.stop()
        engine.close()
        assert account.calls == []

    def test_results_can_be_written_only_to_s3(self, account: Athena) -> None:
        with pytest.raises(UsageError, match="not a location on S3"):
            engine_of(account, output_location="results/")


class TestEndToEnd:
    def test_a_story_is_answered_as_from_its_files(self, run: Run, account: Athena) -> None:
        account.add(of_story("ironman"))
        account.page = 7
        account.scripts = [[QUEUED, RUNNING, RUNNING, SUCCEEDED]]
        table = run("timeline", URI, "--endpoint-url", account.url, "-o", "json")
        assert table.exit_code == 0, table.stderr
        files = run("timeline", "ironman", "-o", "json")
        assert _entries(table) == _entries(files)
        (source,) = json.loads(table.stdout)["evidence"]["sources"]
        assert source["engine"]["query"] == FIRST
        assert source["engine"]["scanned_bytes"] == 1_234_567

    def test_the_region_option_selects_events_and_not_the_client_region(
        self, run: Run, account: Athena
    ) -> None:
        account.add(of_story("ironman"))
        run("timeline", URI, "--endpoint-url", account.url, "--region", "us-west-2")
        assert {call.region for call in account.calls} == {"eu-west-1"}
        assert "region IN ('us-west-2')" in account.asked("StartQueryExecution")[0]["QueryString"]

    def test_without_a_region_the_error_says_what_sets_it(
        self, run: Run, account: Athena, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_REGION")
        result = run("timeline", URI, "--endpoint-url", account.url, "--region", "us-west-2")
        assert result.exit_code == 1
        assert "the Region of Athena is not set" in result.stderr
        assert "AWS_REGION" in result.stderr

    def test_a_query_that_has_ended_is_continued_without_a_scan(self, run: Run, account: Athena) -> None:
        account.add(of_story("ironman"))
        first = run("timeline", URI, "--endpoint-url", account.url, "-o", "json")
        again = run("timeline", f"{URI}?query={FIRST}", "--endpoint-url", account.url, "-o", "json")
        assert again.exit_code == 0, again.stderr
        assert _entries(again) == _entries(first)
        assert account.operations().count("StartQueryExecution") == 1


def _entries(result: Result) -> list[dict[str, object]]:
    entries = json.loads(result.stdout)["entries"]
    return [
        {name: entry[name] for name in ("time", "event_id", "event", "eni", "added")} for entry in entries
    ]


class TestDescribe:
    def test_columns_partitions_and_properties_have_names_in_lower_case(self, account: Athena) -> None:
        account.add(
            ServedTable(
                {"EventName": "string", "useridentity": "struct<type:string,arn:string>"},
                partition_keys={"Region": "string", "year": "int"},
                parameters={
                    "Projection.Enabled": "true",
                    "location": "s3://trail/AWSLogs",
                    "inputformat": "com.amazon.emr.cloudtrail.CloudTrailInputFormat",
                },
            )
        )
        found = engine_of(account).describe()
        assert list(found.columns) == ["eventname", "useridentity"]
        assert list(found.columns["useridentity"].fields) == ["type", "arn"]
        assert {name: kind.name for name, kind in found.partition_columns.items()} == {
            "region": "string",
            "year": "int",
        }
        assert found.properties["projection.enabled"] == "true"
        assert found.location == "s3://trail/AWSLogs"

    def test_catalog_and_work_group_are_passed_on(self, account: Athena) -> None:
        catalog = "s3tablescatalog/aws-cloudwatch"
        account.add(ServedTable({"time": "bigint"}), "t", "logs", catalog)
        engine = engine_of(account, f"athena://{catalog}/logs.t", work_group="incident")
        assert engine.describe().location is None
        assert account.asked("GetTableMetadata") == [
            {"CatalogName": catalog, "DatabaseName": "logs", "TableName": "t", "WorkGroup": "incident"}
        ]

    def test_a_partition_key_that_is_also_a_column_counts_once(self, account: Athena) -> None:
        account.add(ServedTable({"a": "string", "day": "string"}, partition_keys={"day": "string"}))
        assert list(engine_of(account).describe().columns) == ["a"]

    def test_a_view_is_described_as_a_table(self, account: Athena) -> None:
        account.add(ServedTable({"eventname": "string"}, type="VIRTUAL_VIEW"))
        assert list(engine_of(account).describe().columns) == ["eventname"]

    @pytest.mark.parametrize("text", ["", "array<", "struct<a:string", "a>b", "array<" * 5000])
    def test_a_type_that_cannot_be_read_is_named_with_its_column(self, account: Athena, text: str) -> None:
        account.add(ServedTable({"eventname": "string", "resources": text}))
        with pytest.raises(SourceError, match="the type of column resources cannot be read"):
            engine_of(account).describe()

    @pytest.mark.parametrize(
        ("refused", "said", "hint"),
        [
            (
                None,
                "there is no such table, or these credentials may not see it",
                "--database-name default lists",
            ),
            (
                Refused("MetadataException", "Database nowhere not found"),
                "there is no such table, or these credentials may not see it",
                "sets the Region",
            ),
            (
                Refused("InvalidRequestException", "Data catalog hive was not found"),
                "there is no such table",
                "sets the Region",
            ),
            (
                Refused(
                    "MetadataException", "Insufficient Lake Formation permission(s): Required Describe on t"
                ),
                "Lake Formation does not let these credentials read the table",
                "grant DESCRIBE and SELECT",
            ),
            (
                Refused("AccessDeniedException", "Insufficient Lake Formation permission(s) on t"),
                "Lake Formation does not let these credentials read the table",
                "grant DESCRIBE and SELECT",
            ),
            (
                Refused(
                    "AccessDeniedException", "You are not authorized to perform: athena:GetTableMetadata"
                ),
                "access denied: these credentials may not call athena:GetTableMetadata",
                "allow athena:GetTableMetadata",
            ),
            (
                Refused("MetadataException", "User is not authorized to perform: glue:GetTable on resource"),
                "these credentials may not read something that the query needs",
                "glue:GetTable",
            ),
            (
                Refused("InvalidRequestException", "WorkGroup incident is not found."),
                "there is no such workgroup in this Region",
                "aws athena list-work-groups",
            ),
            (
                Refused("ExpiredTokenException", "The security token included in the request is expired"),
                "the AWS session token has expired",
                "sign in again",
            ),
            (
                Refused("MetadataException", "the Lambda function hive returned something odd"),
                "athena:GetTableMetadata failed: MetadataException: the Lambda function hive returned",
                "try again",
            ),
            (b"<html>please sign in</html>", "not from AWS", "--endpoint-url"),
            (b'{"TableMetadata": {"Columns": 7}}', "not from AWS", "--endpoint-url"),
            (b'{"TableMetadata": {"Columns": [{"Type": "string"}]}}', "not from AWS", "--endpoint-url"),
            (b'{"TableMetadata": {"Columns": [{"Name": 7, "Type": "a"}]}}', "not from AWS", "--endpoint-url"),
        ],
    )
    def test_what_fails_is_a_sentence_with_a_hint(
        self, account: Athena, refused: Refused | bytes | None, said: str, hint: str
    ) -> None:
        account.fault = lambda _: refused
        with pytest.raises(SourceError) as caught:
            engine_of(account).describe()
        assert caught.value.message.startswith(f"{URI} (Athena in eu-west-1): ")
        assert said in caught.value.message
        assert hint in str(caught.value.hint)


class TestRun:
    def test_progress_goes_from_the_queue_to_the_rows(self, account: Athena) -> None:
        account.add(ServedTable({}, lambda _: [(None,) * 9]))
        account.scripts = [[QUEUED, RUNNING, Look("QUEUED", 400_000), Look("RUNNING", 900_000), SUCCEEDED]]
        found = progress_of(engine_of(account))
        assert [(progress.state, progress.scanned_bytes) for progress in found] == [
            (QueryState.QUEUED, 0),
            (QueryState.RUNNING, 400_000),
            (QueryState.QUEUED, 400_000),
            (QueryState.RUNNING, 900_000),
            (QueryState.FETCHING, 1_234_567),
        ]
        assert {progress.query for progress in found} == {FIRST}
        assert found[-1].total_rows == 1
        assert found[-1].elapsed.total_seconds() == pytest.approx(sum(FastClock.waits), abs=0.1)

    def test_looks_become_rarer_up_to_two_seconds(self, account: Athena) -> None:
        account.add(ServedTable({}))
        account.scripts = [[*[RUNNING] * 9, SUCCEEDED]]
        list(engine_of(account).run(STATEMENT))
        assert FastClock.waits == [0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 2.0, 2.0]

    def test_the_statement_runs_in_the_catalog_and_database_of_the_table(self, account: Athena) -> None:
        account.add(ServedTable({}))
        list(engine_of(account, work_group="ir", output_location="s3://results/x/").run(STATEMENT))
        (asked,) = account.asked("StartQueryExecution")
        assert len(asked.pop("ClientRequestToken")) >= 32
        assert asked == {
            "QueryString": STATEMENT,
            "QueryExecutionContext": {"Catalog": "AwsDataCatalog", "Database": "default"},
            "WorkGroup": "ir",
            "ResultConfiguration": {"OutputLocation": "s3://results/x/"},
        }

    def test_workgroup_and_results_are_left_to_athena_unless_they_are_given(self, account: Athena) -> None:
        account.add(ServedTable({}))
        list(engine_of(account).run(STATEMENT))
        (asked,) = account.asked("StartQueryExecution")
        assert sorted(asked) == ["ClientRequestToken", "QueryExecutionContext", "QueryString"]

    def test_an_answer_comes_through_athena_and_not_from_the_result_bucket(
        self, run: Run, account: Athena
    ) -> None:
        account.add(of_story("ironman"))
        run("timeline", URI, "--endpoint-url", account.url)
        assert account.operations() == [
            *("GetTableMetadata", "StartQueryExecution", "GetQueryExecution", "GetQueryRuntimeStatistics"),
            "GetQueryResults",
        ]

    def test_the_result_has_rows_bytes_and_seconds(self, account: Athena) -> None:
        account.add(ServedTable({}, lambda _: [("1",) * 9, ("2",) * 9]))
        account.scripts = [[Look("SUCCEEDED", 5_000_000, reused=True)]]
        engine = engine_of(account)
        list(engine.run(STATEMENT))
        result = engine.result()
        assert (result.query, result.statement, result.rows) == (FIRST, STATEMENT, 2)
        assert (result.scanned_bytes, result.seconds, result.is_reused) == (5_000_000, 2.5, True)
        assert result.submitted == datetime(2022, 10, 5, 13, 16, 10, 500_000, UTC)

    @pytest.mark.parametrize(
        "fault", [Refused("AccessDeniedException"), b'{"QueryRuntimeStatistics": {}}', b"[]", b"no JSON"]
    )
    def test_without_statistics_the_number_of_rows_is_unknown(
        self, account: Athena, fault: Refused | bytes
    ) -> None:
        account.add(ServedTable({}, lambda _: [("1",) * 9]))
        account.fault = lambda call: fault if call.operation == "GetQueryRuntimeStatistics" else None
        engine = engine_of(account)
        list(engine.run(STATEMENT))
        assert engine.result().rows is None
        assert len(list(engine.rows())) == 1

    def test_a_statement_longer_than_athena_allows_is_not_sent(self, account: Athena) -> None:
        with pytest.raises(SourceError, match="the statement has 262,145 bytes, and Athena allows 262,144"):
            list(engine_of(account).run("é" * 131_072 + "x"))
        assert account.calls == []

    def test_a_start_that_is_repeated_after_a_cut_starts_one_query(self, account: Athena) -> None:
        account.add(ServedTable({}))

        def cut_after_the_start(call: Call) -> str | None:
            if call.operation != "StartQueryExecution" or call.number > 0:
                return None
            account.answer(call.operation, call.asked)
            return "reset"

        account.fault = cut_after_the_start
        list(engine_of(account).run(STATEMENT))
        assert list(account.queries) == [FIRST]

    @pytest.mark.parametrize("code", ["TooManyRequestsException", "ThrottlingException"])
    def test_throttling_is_retried(self, account: Athena, code: str) -> None:
        account.add(ServedTable({}, lambda _: [("1",) * 9]))
        account.fault = lambda call: Refused(code, "Rate exceeded") if call.number < 3 else None
        engine = engine_of(account)
        notes = [note.text for note in engine.run(STATEMENT) if isinstance(note, Note)]
        is_crowded = code == "TooManyRequestsException"
        assert notes == ["waiting: too many queries run in this account and Region"] * is_crowded
        assert len(list(engine.rows())) == 1

    def test_throttling_that_does_not_end_is_explained(self, account: Athena) -> None:
        account.fault = lambda _: Refused("TooManyRequestsException", "You have exceeded the limit")
        error = failed_run(account)
        assert "too many queries run or wait in this account and Region" in error.message
        assert "Active DML queries" in str(error.hint)
        assert account.operations() == ["StartQueryExecution"] * 11

    @pytest.mark.parametrize(
        ("refused", "said", "hint"),
        [
            (
                Refused(
                    "InvalidRequestException",
                    "No output location provided. An output location is required either through the "
                    "Workgroup result configuration setting or as an API input.",
                ),
                "the workgroup has no place for query results",
                "--output-location s3://BUCKET/PREFIX/",
            ),
            (
                Refused("InvalidRequestException", "Unable to verify/create output bucket results"),
                "Athena cannot write query results",
                "s3:GetBucketLocation",
            ),
            (
                Refused("InvalidRequestException", "WorkGroup ir is not found."),
                "there is no such workgroup",
                "list-work-groups",
            ),
            (
                Refused("InvalidRequestException", "WorkGroup ir is disabled"),
                "the workgroup is disabled",
                "--work-group NAME",
            ),
            (
                Refused(
                    "AccessDeniedException", "You are not authorized to perform: athena:StartQueryExecution"
                ),
                "may not call athena:StartQueryExecution",
                "allow athena:StartQueryExecution",
            ),
        ],
    )
    def test_a_query_that_cannot_start_is_a_sentence_with_a_hint(
        self, account: Athena, refused: Refused, said: str, hint: str
    ) -> None:
        account.fault = lambda _: refused
        error = failed_run(account)
        assert said in error.message
        assert hint in str(error.hint)


class TestFailures:
    @pytest.mark.parametrize(
        ("reason", "said", "hint"),
        [
            (
                "HIVE_CURSOR_ERROR: Please reduce your request rate. (Service: Amazon S3; Status Code: 503)",
                "S3 throttled Athena",
                "ask for less with --since",
            ),
            (
                "HIVE_CURSOR_ERROR: Row is not a valid JSON Object - JSONException: Unterminated string",
                "a file under the table's LOCATION is damaged, or is not JSON",
                "CloudTrailInputFormat passes over such files",
            ),
            (
                "HIVE_CURSOR_ERROR: Failed to read s3://t/x.json.gz: incorrect data check",
                "Athena could not read a file of the table to its end",
                "read the bucket with s3://",
            ),
            (
                "HIVE_BAD_DATA: Error reading field value: varchar value must be a scalar json value",
                "a column's type does not fit",
                "docs/athena.md",
            ),
            (
                "HIVE_INVALID_METADATA: Hive metadata for table x is invalid: : expected at the position 7",
                "the table's definition has names or types that Athena cannot read",
                "docs/athena.md",
            ),
            ("Query timeout", "longer than Athena allows", "DML query timeout"),
            (
                "Query exhausted resources at this scale factor",
                "needed more memory",
                "ask for less with --since",
            ),
            (
                "INVALID_VIEW: line 1:15: View 'awsdatacatalog.default.v' is stale",
                "the view no longer fits its table",
                "create the view again",
            ),
            (
                "COLUMN_NOT_FOUND: line 3:20: Column '$path' cannot be resolved or requester is not allowed",
                'no column "$path"',
                "name the table itself",
            ),
            (
                (
                    "COLUMN_NOT_FOUND: line 9:5: Column 'useridentity' cannot be resolved or requester is "
                    "not authorized to access requested resources"
                ),
                "a column of the table does not exist for these credentials",
                "Lake Formation may hide it",
            ),
            (
                "SYNTAX_ERROR: line 9:5: Column 'tlsdetails' cannot be resolved",
                "a column of the table does not exist for these credentials",
                "Lake Formation may hide it",
            ),
            (
                "TABLE_NOT_FOUND: line 12:8: Table 'awsdatacatalog.default.x' does not exist",
                "there is no such table",
                "AWS_REGION",
            ),
            (
                (
                    "Insufficient permissions to execute the query. Principal does not have any privilege on "
                    "specified resource"
                ),
                "Lake Formation does not let",
                "lakeformation:GetDataAccess",
            ),
            (
                "Permission denied on S3 path: s3://trail/AWSLogs: Access Denied (Service: Amazon S3)",
                "these credentials may not read something",
                "s3:GetObject and s3:ListBucket",
            ),
            (
                "The ciphertext refers to a customer master key that you may not use (Service: AWSKMS)",
                "may not use a KMS key",
                "kms:Decrypt",
            ),
            (
                "Access denied when writing output to url: s3://results/1.csv",
                "cannot write query results",
                "PutObject",
            ),
            (
                "SYNTAX_ERROR: line 3:5: Function 'json_format' not registered",
                "does not accept the statement",
                "engine version 3",
            ),
            (
                "Queries on Athena engine version 2 are not supported any more",
                "does not accept the statement",
                "engine version 3",
            ),
            (
                "HIVE_CANNOT_OPEN_SPLIT: Error opening Hive split s3://trail/x.gz: NoSuchKey",
                "could not open a file",
                "lifecycle rules",
            ),
            (
                "HIVE_UNSUPPORTED_FORMAT: Unsupported storage format: x",
                "cannot read the table's storage format",
                "docs/athena.md",
            ),
            (
                "HIVE_CANNOT_OPEN_SPLIT: s3://trail/table/x.gz: The specified key does not exist",
                "could not open a file",
                "lifecycle rules",
            ),
            (
                "HIVE_METASTORE_ERROR: Rate exceeded (Service: AWSGlue)",
                "the Glue Data Catalog did not deliver",
                "try again",
            ),
            ("GENERIC_INTERNAL_ERROR: null", "Athena had an internal error", "try again later"),
            ("something nobody has seen", "failed: something nobody has seen", "troubleshooting guide"),
        ],
    )
    def test_a_failure_has_the_query_a_sentence_and_a_hint(
        self, account: Athena, reason: str, said: str, hint: str
    ) -> None:
        account.scripts = [[RUNNING, Look("FAILED", 500, reason=reason)]]
        error = failed_run(account)
        assert error.message.startswith(f"{URI}: Athena query {FIRST} failed: ")
        assert said in error.message
        assert reason in error.message
        assert hint in str(error.hint)
        assert account.stopped == []

    def test_a_failure_that_may_pass_is_started_again(self, account: Athena) -> None:
        account.add(ServedTable({}))
        passing = [
            Look("FAILED", reason="HIVE_CURSOR_ERROR: Please reduce your request rate", retryable=True)
        ]
        account.scripts = [passing, passing, [SUCCEEDED]]
        engine = engine_of(account)
        list(engine.run(STATEMENT))
        assert engine.result().query == "0b0e7a1c-0000-4000-8000-000000000003"
        assert FastClock.waits == [5.0, 10.0]
        tokens = [asked["ClientRequestToken"] for asked in account.asked("StartQueryExecution")]
        assert len(set(tokens)) == 3

    def test_after_four_failures_it_is_given_up(self, account: Athena) -> None:
        account.scripts = [[Look("FAILED", reason="Please reduce your request rate", retryable=True)]]
        error = failed_run(account)
        assert (
            "Athena query 0b0e7a1c-0000-4000-8000-000000000004 failed, the last of 4 that were started:"
            in (error.message)
        )
        assert len(account.queries) == 4

    def test_a_failure_after_more_than_ten_minutes_is_final(self, account: Athena) -> None:
        account.scripts = [[*[RUNNING] * 310, Look("FAILED", reason="Query timeout", retryable=True)]]
        assert "longer than Athena allows" in failed_run(account).message
        assert len(account.queries) == 1

    def test_a_query_that_somebody_else_cancelled_is_not_started_again(self, account: Athena) -> None:
        account.scripts = [[RUNNING, Look("CANCELLED", 8_500_000, "Query cancelled by user", retryable=True)]]
        error = failed_run(account)
        assert error.message == (
            f"{URI}: Athena query {FIRST} was cancelled, but not by this command, after it had scanned "
            "8.50 MB (Query cancelled by user)"
        )
        assert len(account.queries) == 1

    def test_a_cancellation_by_the_limit_of_the_workgroup_says_so(self, account: Athena) -> None:
        account.scripts = [[Look("CANCELLED", 10_485_760, "Bytes scanned limit was exceeded")]]
        error = failed_run(account)
        assert "was cancelled: it scanned more than the workgroup's limit for a query" in error.message
        assert "--work-group NAME" in str(error.hint)

    def test_a_state_that_athena_does_not_have_ends_the_query(self, account: Athena) -> None:
        account.scripts = [[Look("DREAMING")]]
        assert "DREAMING" in failed_run(account).message

    def test_a_message_without_end_is_cut(self, account: Athena) -> None:
        account.scripts = [[Look("FAILED", reason="x" * 100_000)]]
        assert len(failed_run(account).message) < 1000


class TestLostContact:
    def test_credentials_that_expire_while_it_runs_leave_the_query_to_be_continued(
        self, account: Athena
    ) -> None:
        account.scripts = [[RUNNING]]
        expired = Refused("ExpiredTokenException", "The security token included in the request is expired")
        account.fault = lambda call: (
            expired if call.operation == "GetQueryExecution" and call.number == 2 else None
        )
        error = failed_run(account)
        assert error.message.startswith(f"{URI}: Athena query {FIRST}: the AWS session token has expired")
        assert str(error.hint).startswith("sign in again: aws sso login")
        assert f"then continue with '{URI}?query={FIRST}', the same options" in str(error.hint)

    @pytest.mark.parametrize("operation", ["GetQueryExecution", "GetQueryResults"])
    def test_a_network_that_breaks_off_leaves_the_query_to_be_continued(
        self, account: Athena, operation: str
    ) -> None:
        account.add(ServedTable({}))
        account.fault = lambda call: "reset" if call.operation == operation else None
        engine = engine_of(account)
        with pytest.raises(SourceError) as caught:
            list(chain(engine.run(STATEMENT), engine.rows()))
        engine.close()
        assert f"Athena query {FIRST}: " in caught.value.message
        assert f"{URI}?query={FIRST}" in str(caught.value.hint)
        assert account.stopped == []

    def test_the_hint_says_that_the_limit_no_longer_holds(self, account: Athena) -> None:
        account.scripts = [[RUNNING]]
        account.fault = lambda call: "reset" if call.operation == "GetQueryExecution" else None
        error = failed_run(account, max_scan=10**9)
        assert f"aws athena stop-query-execution --query-execution-id {FIRST}" in str(error.hint)

    def test_a_query_that_may_not_be_watched_is_stopped(self, account: Athena) -> None:
        account.add(ServedTable({}))
        account.fault = lambda call: (
            Refused("AccessDeniedException", "no") if call.operation == "GetQueryExecution" else None
        )
        engine = engine_of(account)
        with pytest.raises(SourceError, match="may not call athena:GetQueryExecution") as caught:
            list(engine.run(STATEMENT))
        engine.close()
        assert account.stopped == [FIRST]
        assert FIRST in caught.value.message


class TestMaxScan:
    def test_a_query_that_scans_more_is_stopped(self, account: Athena) -> None:
        account.scripts = [[RUNNING, Look("RUNNING", 2_100_000_000)]]
        error = failed_run(account, max_scan=2_000_000_000)
        assert error.message == (
            f"{URI}: Athena query {FIRST} was stopped: it had scanned 2.10 GB, more than --max-scan 2.00 GB; "
            "AWS bills what was scanned"
        )
        assert "raise --max-scan" in str(error.hint)
        assert account.stopped == [FIRST]

    def test_a_query_that_cannot_be_stopped_is_said_to_go_on(self, account: Athena) -> None:
        account.scripts = [[Look("RUNNING", 2_100_000_000)]]
        account.fault = lambda call: (
            Refused("AccessDeniedException") if call.operation == "StopQueryExecution" else None
        )
        error = failed_run(account, max_scan=1)
        assert f"Athena query {FIRST} could not be stopped" in error.message
        assert "aws athena stop-query-execution" in str(error.hint)

    def test_an_answer_that_comes_while_the_query_is_being_stopped_is_used(self, account: Athena) -> None:
        account.add(ServedTable({}))
        account.scripts = [[Look("RUNNING", 2_000), Look("SUCCEEDED", 3_000)]]
        account.fault = lambda call: b"{}" if call.operation == "StopQueryExecution" else None
        engine = engine_of(account, max_scan=1_000)
        list(engine.run(STATEMENT))
        assert engine.result().scanned_bytes == 3_000

    def test_an_answer_that_is_there_is_used_though_it_scanned_more(self, account: Athena) -> None:
        account.add(ServedTable({}))
        list(engine_of(account, max_scan=1).run(STATEMENT))
        assert account.stopped == []


class TestStop:
    def test_another_thread_ends_a_query_that_runs(self, account: Athena) -> None:
        account.add(ServedTable({}))
        account.scripts = [[RUNNING]]
        engine = engine_of(account)
        progress = engine.run(STATEMENT)
        next(progress)
        thread = threading.Thread(target=engine.stop)
        thread.start()
        thread.join()
        with pytest.raises(SourceError, match="was interrupted after it had scanned 400 kB, which AWS bills"):
            list(progress)
        engine.stop()
        engine.close()
        assert account.stopped == [FIRST]

    def test_ctrl_c_in_a_terminal_stops_the_query(self, account: Athena) -> None:
        account.add(of_story("ironman"))
        account.scripts = [[RUNNING]]
        command = [sys.executable, "-m", "cnitrail", "timeline", URI, "--endpoint-url", account.url]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            while account.operations().count("GetQueryExecution") < 2:
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=30)
        assert process.returncode == 130, stderr
        assert b"Traceback" not in stderr
        assert account.stopped == [FIRST]

    def test_ctrl_c_while_a_query_is_being_started_stops_it_too(self, account: Athena) -> None:
        account.add(of_story("ironman"))
        account.scripts = [[RUNNING]]
        processes: list[subprocess.Popen[bytes]] = []

        def interrupt(call: Call) -> str | None:
            if call.operation != "StartQueryExecution" or call.number > 0:
                return None
            account.answer(call.operation, call.asked)
            processes[0].send_signal(signal.SIGINT)
            return "reset"

        account.fault = interrupt
        command = [sys.executable, "-m", "cnitrail", "timeline", URI, "--endpoint-url", account.url]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            processes.append(process)
            _, stderr = process.communicate(timeout=30)
        assert process.returncode == 130, stderr
        assert account.stopped == [FIRST]

    def test_ctrl_c_stops_the_query(self, run: Run, account: Athena, monkeypatch: pytest.MonkeyPatch) -> None:
        account.add(of_story("ironman"))
        account.scripts = [[RUNNING]]

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(FastClock, "wait_until", interrupted)
        result = run("timeline", URI, "--endpoint-url", account.url)
        assert result.exit_code == 130
        assert account.stopped == [FIRST]

    def test_a_query_that_nobody_waits_for_is_stopped_at_the_end(self, account: Athena) -> None:
        account.add(ServedTable({}))
        account.scripts = [[RUNNING]]
        engine = engine_of(account)
        next(engine.run(STATEMENT))
        engine.close()
        assert account.stopped == [FIRST]

    def test_a_query_that_has_ended_is_not_stopped(self, account: Athena) -> None:
        account.add(ServedTable({}))
        engine = engine_of(account)
        list(engine.run(STATEMENT))
        engine.stop()
        engine.close()
        assert account.stopped == []

    @pytest.mark.parametrize("fault", ["reset", b"<html>", Refused("ExpiredTokenException")])
    def test_a_failure_to_stop_raises_nothing(self, account: Athena, fault: Refused | bytes | str) -> None:
        account.add(ServedTable({}))
        account.scripts = [[RUNNING]]
        account.fault = lambda call: fault if call.operation == "StopQueryExecution" else None
        engine = engine_of(account)
        next(engine.run(STATEMENT))
        engine.stop()
        engine.close()

    def test_nothing_is_started_after_a_stop(self, account: Athena) -> None:
        account.add(ServedTable({}))
        engine = engine_of(account)
        engine.stop()
        with pytest.raises(SourceError, match="interrupted before a query was started"):
            list(engine.run(STATEMENT))
        assert account.calls == []


class TestAttach:
    @pytest.fixture
    def started(self, account: Athena) -> Athena:
        """An account in which a query was started by a process that is gone."""
        account.add(ServedTable({}, lambda _: [("1",) * 9]))
        assert list(engine_of(account)._start(STATEMENT)) == []
        account.calls.clear()
        return account

    def test_one_that_runs_is_waited_for(self, started: Athena) -> None:
        started.queries[FIRST].looks = [QUEUED, RUNNING, SUCCEEDED]
        engine = engine_of(started, f"{URI}?query={FIRST}")
        states = [progress.state for progress in progress_of(engine)]
        assert states == [QueryState.RUNNING, QueryState.FETCHING]
        assert engine.result().query == FIRST
        assert len(list(engine.rows())) == 1
        assert "StartQueryExecution" not in started.operations()

    def test_white_space_does_not_make_another_statement(self, started: Athena) -> None:
        list(engine_of(started, f"{URI}?query={FIRST}").run(STATEMENT.replace(" ", "\n  ")))

    def test_one_that_failed_is_not_started_again(self, started: Athena) -> None:
        started.queries[FIRST].looks = [Look("FAILED", reason="slow down", retryable=True)]
        error = failed_run(started, f"{URI}?query={FIRST}")
        assert f"Athena query {FIRST} failed: S3 throttled Athena" in error.message
        assert "then run the command without ?query=" in str(error.hint)
        assert "StartQueryExecution" not in started.operations()

    def test_one_that_was_cancelled_is_named(self, started: Athena) -> None:
        started.queries[FIRST].looks = [Look("CANCELLED", 7, "Query cancelled by user")]
        assert f"Athena query {FIRST} was cancelled" in failed_run(started, f"{URI}?query={FIRST}").message

    def test_one_that_athena_does_not_know_has_expired(self, started: Athena) -> None:
        error = failed_run(started, f"{URI}?query={SECOND}")
        assert (
            f"Athena query {SECOND}: Athena does not have it, or no longer has its results" in error.message
        )
        assert "45 days" in str(error.hint)
        assert "without ?query=" in str(error.hint)

    def test_results_that_are_gone_are_an_error_with_the_reason(self, started: Athena) -> None:
        started.fault = lambda call: (
            Refused("InvalidRequestException", "Could not find results")
            if call.operation == "GetQueryResults"
            else None
        )
        engine = engine_of(started, f"{URI}?query={FIRST}")
        list(engine.run(STATEMENT))
        with pytest.raises(SourceError, match="no longer has its results") as caught:
            list(engine.rows())
        assert "managed results for 24 hours" in str(caught.value.hint)

    def test_one_that_asked_something_else_is_refused_and_goes_on(self, started: Athena) -> None:
        started.queries[FIRST].looks = [RUNNING]
        started.queries[FIRST].asked["QueryString"] = "SELECT count(*) FROM sales"
        engine = engine_of(started, f"{URI}?query={FIRST}")
        with pytest.raises(SourceError, match=r"asked something else: SELECT count\(\*\) FROM sales"):
            list(engine.run(STATEMENT))
        engine.close()
        assert started.stopped == []

    def test_one_of_another_table_is_refused(self, started: Athena) -> None:
        with pytest.raises(SourceError, match="asked something else"):
            list(
                engine_of(started, f"athena://default.other?query={FIRST}").run(
                    STATEMENT.replace("cloudtrail_logs", "other")
                )
            )

    def test_one_of_another_catalog_is_refused(self, started: Athena) -> None:
        engine = engine_of(started, f"athena://hive/default.cloudtrail_logs?query={FIRST}")
        with pytest.raises(SourceError, match="ran in another catalog: AwsDataCatalog"):
            list(engine.run(STATEMENT))

    def test_other_options_are_shown_with_the_times_of_the_query(self, run: Run, account: Athena) -> None:
        account.add(of_story("ironman"))
        run("timeline", URI, "--endpoint-url", account.url, "--since", "2022-10-05T13:10:00Z")
        result = run(
            "timeline",
            f"{URI}?query={FIRST}",
            "--endpoint-url",
            account.url,
            "--since",
            "2022-10-05T14:10:00Z",
        )
        assert result.exit_code == 1
        said = " ".join(result.stderr.split())
        assert f"Athena query {FIRST} asked for something else than this command: it has '20221005T" in said
        assert "--since 2022-10-05T13:10:00Z" in said
        assert "without ?query=" in said


class TestRows:
    def answered(self, account: Athena, rows: list[Cells]) -> list[Cells]:
        account.add(ServedTable({}, lambda _: rows))
        engine = engine_of(account)
        list(engine.run(STATEMENT))
        return list(engine.rows())

    def test_pages_come_in_order_and_without_the_header(self, account: Athena) -> None:
        rows: list[Cells] = [(str(number),) * 9 for number in range(25)]
        account.page = 10
        assert self.answered(account, rows) == rows
        assert [asked.get("NextToken") for asked in account.asked("GetQueryResults")] == [None, "10", "20"]
        assert {asked["MaxResults"] for asked in account.asked("GetQueryResults")} == {1000}

    def test_a_first_row_that_is_no_header_is_kept(self, account: Athena) -> None:
        account.header = False
        assert self.answered(account, [("1",) * 9, ("2",) * 9]) == [("1",) * 9, ("2",) * 9]

    def test_only_the_first_row_may_be_a_header(self, account: Athena) -> None:
        account.page = 1
        assert self.answered(account, [ANSWER]) == [ANSWER]

    def test_a_null_is_not_an_empty_text(self, account: Athena) -> None:
        row: Cells = ("", None, "x", None, "", None, None, None, "3")
        assert self.answered(account, [row]) == [row]

    def test_an_empty_answer_has_no_rows(self, account: Athena) -> None:
        assert self.answered(account, []) == []

    @pytest.mark.parametrize(
        "body", [b'{"ResultSet": {"Rows": 7}}', b'{"ResultSet": {"Rows": [7]}}', b"[]", b"{}"]
    )
    def test_an_answer_that_is_not_athenas_is_an_error(self, account: Athena, body: bytes) -> None:
        account.fault = lambda call: body if call.operation == "GetQueryResults" else None
        with pytest.raises(SourceError, match="not from AWS"):
            self.answered(account, [])


class TestPartitions:
    def test_glue_lists_them_page_by_page(self, account: Athena) -> None:
        values = [["eu-west-1", "2022", f"{month:02}"] for month in range(1, 13)]
        account.add(ServedTable({}, partitions=values))
        account.page = 5
        assert engine_of(account).partitions() == tuple(tuple(value) for value in values)
        assert account.operations() == ["GetPartitions"] * 3

    def test_they_are_unknown_if_glue_may_not_be_asked(self, account: Athena) -> None:
        account.fault = lambda _: Refused("AccessDeniedException")
        assert engine_of(account).partitions() == (
            "access denied: these credentials may not call glue:GetPartitions (as the test asks)"
        )

    def test_they_are_unknown_in_another_catalog(self, account: Athena) -> None:
        assert engine_of(account, "athena://hive/a.b").partitions() == (
            "catalog hive is not the account's Glue Data Catalog"
        )
        assert account.calls == []
