"""What is known by the parts of tables: whose they are, what is lost with them, and what times they show."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import Run
from duck_engine import TABLE_NOW, DuckEngine, Entry, description
from msgspec.structs import replace
from table_answers import read_table
from test_sql_records import assigned, lower, read

import cnitrail
from cnitrail import sources
from cnitrail.model import HoleReason
from cnitrail.model.reason import ReasonCode
from cnitrail.model.table import files_of_table, place_of_part, table_of
from cnitrail.sources.sql.engine import QueryResult
from cnitrail.sources.sql.source import TableSource
from cnitrail.workflows.losses import lost_file

TABLE = "athena://default.cloudtrail_logs"
PART = f"{TABLE}@0a1b2c3d/111111111111/eu-west-1/2022-10-05"


def engine(
    rows: list[Entry], location: str | None = None, parameters: Mapping[str, str] | None = None
) -> DuckEngine:
    """A table of records whose files are not known."""
    about = description(TABLE_NOW)
    table = replace(about, location=location, properties=parameters or {}, has_paths=False)
    return DuckEngine(table, [("", lower(row)) for row in rows], has_paths=False)


class TestNames:
    @pytest.mark.parametrize("uri", [PART, f"{PART}!/2"])
    def test_a_part_names_its_table_account_region_and_day(self, uri: str) -> None:
        assert table_of(uri) == TABLE
        assert files_of_table(uri) == f"{TABLE}@0a1b2c3d"
        assert place_of_part(uri) == ("111111111111", "eu-west-1", datetime(2022, 10, 5, tzinfo=UTC).date())

    def test_what_is_not_known_is_none(self) -> None:
        assert place_of_part(f"{TABLE}/-/-/-") == (None, None, None)
        assert place_of_part("s3://bucket/AWSLogs/x.json.gz") is None

    def test_a_user_of_trino_is_no_mark(self) -> None:
        assert table_of("trino://me@host/hive/logs/t/-/-/-") == "trino://me@host/hive/logs/t"


class TestLost:
    def test_rows_of_a_part_belong_to_its_account_region_and_day(self) -> None:
        lost = lost_file(PART)
        assert (lost.account, lost.region) == ("111111111111", "eu-west-1")
        assert (lost.start, lost.end) == (
            datetime(2022, 10, 4, 23, 45, tzinfo=UTC),
            datetime(2022, 10, 6, tzinfo=UTC),
        )

    def test_an_unreadable_row_makes_a_hole_of_its_region_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [
            record
            for region in ("eu-west-1", "us-east-1")
            for record in (assigned(1, awsRegion=region), read(2, awsRegion=region))
        ]
        rows.append(assigned(3, awsRegion="us-east-1", eventTime=rows[0]["eventTime"]))
        rows[-1]["requestParameters"] = "{torn"
        case = read_table(engine(rows), monkeypatch)
        unread = {
            reach.region: [hole.reason for hole in reach.holes if hole.reason is HoleReason.UNREAD]
            for reach in case.evidence.coverage
        }
        assert unread == {"eu-west-1": [], "us-east-1": [HoleReason.UNREAD]}


class TestSigns:
    def test_a_mention_of_a_call_shows_its_time_from_a_file_and_from_a_table(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        mention = read(1, eventTime="2022-10-05T10:00:00Z", userAgent="CreateNetworkInterface")
        rows = [mention, read(2, eventTime="2022-10-05T10:05:00Z")]
        file = tmp_path / "export.json"
        file.write_text(json.dumps({"Records": rows}))
        (reach,) = cnitrail.read(file).evidence.coverage
        assert (reach.first, reach.last) == (
            datetime(2022, 10, 5, 10, 0, tzinfo=UTC),
            datetime(2022, 10, 5, 10, 5, tzinfo=UTC),
        )
        assert read_table(engine(rows), monkeypatch).evidence.coverage == (reach,)


class TestStores:
    def test_tables_of_one_name_in_two_accounts_add_up(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = tmp_path / "a.db"
        for number, bucket in enumerate(("one", "two", "one")):
            rows = [read(1), read(2), assigned(number % 2 + 3)]
            made = engine(rows, location=f"s3://{bucket}/AWSLogs/")
            kind = replace(
                sources._SCHEMES["athena://"], open=lambda _, scope, made=made: TableSource(made, scope)
            )
            monkeypatch.setitem(sources._SCHEMES, "athena://", kind)
            assert run("collect", TABLE, "--to", store).exit_code == 0
        (report,) = cnitrail.read(store).evidence.sources
        assert (report.files, report.records, report.relevant) == (2, 6, 2)
        assert cnitrail.read(store).evidence.tables == (TABLE,)


class EarlierEngine(DuckEngine):
    """An engine whose query was started earlier."""

    submitted = datetime(2026, 4, 15, 4, 0, tzinfo=UTC)

    def result(self) -> QueryResult:
        return QueryResult(query="q-1", statement=self.statement, submitted=self.submitted)


class TestEarlierAnswers:
    def case(self, monkeypatch: pytest.MonkeyPatch, **options: object) -> cnitrail.Case:
        made = EarlierEngine(description(TABLE_NOW), [("", lower(assigned(1))), ("", lower(read(2)))])
        kind = replace(
            sources._SCHEMES["athena://"],
            open=lambda uri, scope: TableSource(made, scope, is_resumed="?query=" in uri),
        )
        monkeypatch.setitem(sources._SCHEMES, "athena://", kind)
        return cnitrail.read(f"{TABLE}?query=q-1", **options)  # type: ignore[arg-type]

    def test_what_came_later_is_a_limitation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        said = [
            reason.text
            for reason in self.case(monkeypatch).limitations()
            if reason.code is ReasonCode.NOT_IN_TABLE
        ]
        assert said == [
            (
                "query q-1 was started at 2026-04-15 04:00:00Z: "
                "what was delivered later, or added to the table, is not in its answer"
            )
        ]

    def test_an_earlier_time_is_complete(self, monkeypatch: pytest.MonkeyPatch) -> None:
        until = EarlierEngine.submitted - timedelta(hours=1)
        limits = self.case(monkeypatch, until=until).limitations()
        assert ReasonCode.NOT_IN_TABLE not in {reason.code for reason in limits}
