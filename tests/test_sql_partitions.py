"""What of a table is asked for: conditions on partitions, files and records, and what a table cannot have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar, cast

import duckdb
import pytest
import sqlglot
import trino_sql_validator
from conftest import FIXTURES
from duck_engine import TABLE_NOW, DuckEngine, cloudtrail_rows, description, log_files
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from table_answers import entries, read_table

import cnitrail
from cnitrail.decode import RELEVANT_CALLS
from cnitrail.errors import EmptySourceError, UsageError
from cnitrail.model import HoleReason, Lost, Note, Scope
from cnitrail.model.reason import ReasonCode
from cnitrail.sources.layout import is_in_scope
from cnitrail.sources.sql.date_patterns import date_pattern, range_bound
from cnitrail.sources.sql.description import TableDescription
from cnitrail.sources.sql.engine import Partition
from cnitrail.sources.sql.partition_columns import Meaning, partition_columns
from cnitrail.sources.sql.partitions import Pruning, pruning
from cnitrail.sources.sql.scope_conditions import scope_conditions
from cnitrail.sources.sql.source import TableSource
from cnitrail.sources.sql.table_limits import asked_partitions, missing_partitions

NOW = datetime(2022, 10, 20, 12, tzinfo=UTC)
ACCOUNT, OTHER = "111111111111", "012222222222"
FIVE_WEEKS = Scope(
    since=datetime(2022, 9, 28, 13, 0, 46, tzinfo=UTC),
    until=datetime(2022, 11, 2, 22, 0, tzinfo=UTC),
    accounts=(ACCOUNT,),
    regions=("eu-west-1", "us-east-1"),
)
ONE_DAY = Scope(
    since=datetime(2022, 10, 5, 13, 0, 46, tzinfo=UTC), until=datetime(2022, 10, 5, 22, 0, tzinfo=UTC)
)
BY_DAY = {
    "projection.enabled": "true",
    "projection.timestamp.type": "date",
    "projection.timestamp.format": "yyyy/MM/dd",
    "projection.timestamp.interval": "1",
    "projection.timestamp.interval.unit": "DAYS",
    "projection.timestamp.range": "2020/01/01,NOW",
    "storage.location.template": f"s3://logs/AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/${{timestamp}}",
}
OCSF = {"time": "bigint", "time_dt": "timestamp", "api": "struct<operation:string>"}


OTHER_YEAR = """OR "year" < '2013' OR "year" >= '21' OR "year" IS NULL"""
OTHER_MONTH = """OR ("month" >= '2013' AND "month" < '21') OR "month" > '9' OR "month" IS NULL"""
OTHER_DAY = """OR ("day" >= '2013' AND "day" < '21') OR "day" > '9' OR "day" IS NULL"""
"""Texts that are no such part of a date, which stay in, and the partition of those without one."""


def table(
    partitions: Mapping[str, str],
    properties: Mapping[str, str] | None = None,
    location: str | None = None,
    columns: Mapping[str, str] = TABLE_NOW,
) -> TableDescription:
    """A table with these partition columns and properties."""
    return replace(description(columns, partitions), properties=properties or {}, location=location)


def pruned(partitions: Mapping[str, str], scope: Scope, **about: Any) -> Pruning:
    """How a table is pruned."""
    return pruning(table(partitions, **about), scope, NOW)


def utc(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=UTC)  # type: ignore[misc, arg-type]


class TestConditions:
    def test_the_table_of_the_guide_with_projection(self) -> None:
        found = pruned({"timestamp": "string"}, replace(FIVE_WEEKS, regions=()), properties=BY_DAY)
        assert found.conditions == ("\"timestamp\" >= '2022/09/28' AND \"timestamp\" <= '2022/11/02'",)
        assert found.columns == ("timestamp",)
        assert found.gaps == ()

    def test_the_table_of_the_guide_with_partitions_added_by_hand(self) -> None:
        columns = dict.fromkeys(("region", "year", "month", "day"), "string")
        assert pruned(columns, FIVE_WEEKS) == Pruning(
            conditions=(
                "(\"region\" IN ('eu-west-1', 'us-east-1') OR \"region\" IS NULL)",
                (
                    f"(((\"year\" IN ('2022') {OTHER_YEAR}) AND (\"month\" IN ('09', '9') {OTHER_MONTH})"
                    f" AND (\"day\" IN ('28', '29', '30', '31') {OTHER_DAY}))"
                    f" OR ((\"year\" IN ('2022') {OTHER_YEAR}) AND (\"month\" IN ('10') {OTHER_MONTH}))"
                    f" OR ((\"year\" IN ('2022') {OTHER_YEAR}) AND (\"month\" IN ('11') {OTHER_MONTH})"
                    f" AND (\"day\" IN ('01', '02', '1', '2') {OTHER_DAY})))"
                ),
            ),
            columns=("region", "year", "month", "day"),
        )

    def test_the_table_of_an_organization(self) -> None:
        columns = dict.fromkeys(("account", "region", "year", "month", "day"), "string")
        found = pruned(columns, replace(ONE_DAY, accounts=(ACCOUNT, OTHER)))
        assert found.conditions == (
            "(\"account\" IN ('111111111111', '012222222222', '12222222222') OR \"account\" IS NULL)",
            (
                f"(((\"year\" IN ('2022') {OTHER_YEAR}) AND (\"month\" IN ('10') {OTHER_MONTH})"
                f" AND (\"day\" IN ('05', '5') {OTHER_DAY})))"
            ),
        )
        assert found.columns == ("account", "year", "month", "day")

    def test_the_table_of_the_bootstrap(self) -> None:
        columns = dict.fromkeys(("date_partition", "region_partition", "account_partition"), "string")
        properties = {
            "projection.enabled": "true",
            "projection.date_partition.type": "date",
            "projection.date_partition.format": "yyyy/MM/dd",
            "projection.date_partition.range": "NOW-1YEARS,NOW",
            "projection.region_partition.type": "enum",
            "projection.region_partition.values": "us-east-1, eu-west-1,Unknown",
            "projection.account_partition.type": "enum",
            "projection.account_partition.values": f"{ACCOUNT},{OTHER}",
        }
        found = pruned(columns, FIVE_WEEKS, properties=properties)
        assert found.conditions == (
            "\"date_partition\" >= '2022/09/28' AND \"date_partition\" <= '2022/11/02'",
            "\"region_partition\" IN ('us-east-1', ' eu-west-1', 'Unknown')",
            "\"account_partition\" IN ('111111111111')",
        )
        assert found.gaps == ()
        assert found.notes == ()

    def test_the_table_of_cloudtracker(self) -> None:
        found = pruned(dict.fromkeys(("region", "year", "month"), "string"), ONE_DAY)
        assert found.conditions == (
            f"(((\"year\" IN ('2022') {OTHER_YEAR}) AND (\"month\" IN ('10') {OTHER_MONTH})))",
        )

    def test_integers(self) -> None:
        found = pruned({"year": "int", "month": "int", "day": "int", "account": "bigint"}, FIVE_WEEKS)
        assert found.conditions == (
            '("account" IN (111111111111) OR "account" IS NULL)',
            (
                '((("year" IN (2022) OR "year" IS NULL) AND ("month" IN (9) OR "month" IS NULL)'
                ' AND ("day" IN (28, 29, 30, 31) OR "day" IS NULL))'
                ' OR (("year" IN (2022) OR "year" IS NULL) AND ("month" IN (10) OR "month" IS NULL))'
                ' OR (("year" IN (2022) OR "year" IS NULL) AND ("month" IN (11) OR "month" IS NULL)'
                ' AND ("day" IN (1, 2) OR "day" IS NULL)))'
            ),
        )

    def test_dates(self) -> None:
        assert pruned({"dt": "date"}, FIVE_WEEKS).conditions == (
            '(("dt" >= DATE \'2022-09-28\' AND "dt" <= DATE \'2022-11-02\') OR "dt" IS NULL)',
        )

    def test_timestamps_may_be_those_of_whole_months(self) -> None:
        assert pruned({"event_month": "timestamp"}, ONE_DAY).conditions == (
            (
                "((\"event_month\" >= TIMESTAMP '2022-10-01 00:00:00'"
                " AND \"event_month\" <= TIMESTAMP '2022-10-05 23:59:59.999999')"
                ' OR "event_month" IS NULL)'
            ),
        )

    def test_texts_of_dates_may_have_any_pattern(self) -> None:
        assert pruned({"dt": "string"}, ONE_DAY).conditions == (
            (
                '("dt" < \'2013\' OR "dt" >= \'21\' OR "dt" IS NULL'
                " OR \"dt\" IN ('2022', '2022-10', '2022/10', '202210')"
                " OR (\"dt\" >= '2022-10-05' AND \"dt\" < '2022-10-05~')"
                " OR (\"dt\" >= '2022/10/05' AND \"dt\" < '2022/10/05~')"
                " OR (\"dt\" >= '20221005' AND \"dt\" < '20221005~')"
                " OR \"dt\" IN ('2022-10-5', '2022/10/5'))"
            ),
        )

    def test_a_range_over_years_takes_each_sign_by_itself_in_its_first_and_last_year(self) -> None:
        (condition,) = pruned({"dt": "string"}, Scope(since=utc(2022, 10, 5, 12))).conditions
        assert "(\"dt\" >= '2022-10-05' AND \"dt\" < '2022.')" in condition
        assert "(\"dt\" >= '2022/10/05' AND \"dt\" < '20220')" in condition
        assert "(\"dt\" >= '20221005' AND \"dt\" < '2022:')" in condition
        assert "(\"dt\" >= '2023' AND \"dt\" < '21')" in condition

    def test_security_lake_1_by_the_days_of_events(self) -> None:
        columns = {"region": "string", "accountid": "string", "eventday": "string"}
        late = replace(FIVE_WEEKS, until=utc(2022, 11, 2, 23, 10))
        found = pruned(columns, late, columns=OCSF)
        assert found.columns == ("region", "accountid", "eventday", "time_dt")
        assert "(\"eventday\" >= '20220928' AND \"eventday\" < '20221102~')" in found.conditions[2]

    def test_security_lake_2_by_columns(self) -> None:
        columns = OCSF | {"region": "string", "accountid": "string"}
        found = pruned({}, FIVE_WEEKS, columns=columns)
        assert found.conditions == (
            '("accountid" IS NULL OR "accountid" IN (\'111111111111\'))',
            "(\"region\" IS NULL OR \"region\" IN ('eu-west-1', 'us-east-1'))",
            (
                '("time_dt" IS NULL OR "time_dt" >= TIMESTAMP \'2022-09-28 12:45:46.000000\''
                " AND \"time_dt\" <= TIMESTAMP '2022-11-02 22:15:00.000000')"
            ),
        )
        assert found.columns == ("accountid", "region", "time_dt")

    def test_ocsf_with_epoch_milliseconds_alone(self) -> None:
        columns = {"time": "bigint", "api": "struct<operation:string>"}
        assert pruned({}, replace(ONE_DAY, since=None), columns=columns).conditions == (
            '("time" IS NULL OR "time" <= 1665008100000)',
        )

    def test_the_folders_of_a_crawler_are_known_below_the_root_of_a_trail(self) -> None:
        names = [f"partition_{number}" for number in range(6)]
        found = pruned(dict.fromkeys(names, "string"), FIVE_WEEKS, location="s3://logs/AWSLogs/")
        assert found.columns == ("partition_0", "partition_2", "partition_3", "partition_4", "partition_5")
        assert found.notes == ()

    def test_what_is_not_understood_limits_nothing_and_is_noted(self) -> None:
        columns = {"partition_0": "string", "org_id": "string"}
        assert pruned(columns, FIVE_WEEKS, location="s3://logs/x/") == Pruning(
            notes=(
                "partition column partition_0 does not limit what is scanned: its meaning is not known",
                "partition column org_id does not limit what is scanned: its meaning is not known",
            )
        )

    def test_a_template_shows_what_columns_mean(self) -> None:
        columns = dict.fromkeys(("a", "b", "c"), "string")
        properties = {
            "projection.enabled": "true",
            "projection.c.type": "date",
            "projection.c.format": "yyyy/MM/dd",
            "storage.location.template": "s3://logs/AWSLogs/o-abcdefghij/${a}/CloudTrail/${b}/${c}/",
        }
        meanings = [column.meaning for column in partition_columns(table(columns, properties))]
        assert meanings == [Meaning.ACCOUNT, Meaning.REGION, Meaning.DATE]

    def test_a_projection_that_is_off_says_nothing(self) -> None:
        properties = BY_DAY | {"projection.enabled": "false"}
        found = pruned({"timestamp": "string"}, ONE_DAY, properties=properties)
        assert found.conditions[0].startswith("(\"timestamp\" < '2013'")
        assert found.gaps == ()
        assert found.notes == (
            (
                "the table has only the partitions that were added to it: its projection is off "
                "(projection.enabled is not true)"
            ),
        )

    def test_since_alone_has_no_end_but_today(self) -> None:
        scope = replace(ONE_DAY, until=None)
        assert pruned({"timestamp": "string"}, scope, properties=BY_DAY).conditions == (
            "\"timestamp\" >= '2022/10/05'",
        )
        assert pruned(dict.fromkeys(("year", "month"), "int"), scope).conditions == (
            '((("year" IN (2022) OR "year" IS NULL) AND ("month" IN (10) OR "month" IS NULL)))',
        )

    def test_until_alone(self) -> None:
        scope = replace(ONE_DAY, since=None)
        assert pruned({"timestamp": "string"}, scope, properties=BY_DAY).conditions == (
            "\"timestamp\" <= '2022/10/05'",
        )
        assert pruned(dict.fromkeys(("year", "month"), "string"), scope).conditions == (
            (
                f"((\"year\" BETWEEN '2000' AND '2021' {OTHER_YEAR})"
                f' OR (("year" IN (\'2022\') {OTHER_YEAR}) AND ("month" IN'
                " ('01', '02', '03', '04', '05', '06', '07', '08', '09', '10',"
                f" '1', '2', '3', '4', '5', '6', '7', '8', '9') {OTHER_MONTH})))"
            ),
        )

    def test_all_regions_and_no_time_are_no_condition(self) -> None:
        found = pruned({"region": "string", "year": "string"}, Scope(regions=("all",)))
        assert found == Pruning()

    def test_hours_of_partitions_are_those_of_delivery(self) -> None:
        columns = dict.fromkeys(("year", "month", "day", "hour"), "int")
        assert pruned(columns, ONE_DAY).conditions == (
            (
                '((("year" IN (2022) OR "year" IS NULL) AND ("month" IN (10) OR "month" IS NULL)'
                ' AND ("day" IN (5) OR "day" IS NULL)'
                ' AND ("hour" IN (12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23) OR "hour" IS NULL)))'
            ),
        )

    def test_whole_days_are_read_into_a_store(self) -> None:
        columns = dict.fromkeys(("year", "month", "day", "hour"), "int")
        assert pruned(columns, replace(ONE_DAY, into="x.db")).conditions == (
            (
                '((("year" IN (2022) OR "year" IS NULL) AND ("month" IN (10) OR "month" IS NULL)'
                ' AND ("day" IN (5) OR "day" IS NULL)))'
            ),
        )

    @pytest.mark.parametrize(
        ("pattern", "condition"),
        [
            ("yyyy-MM-dd", "\"dt\" >= '2022-10-05' AND \"dt\" <= '2022-10-05'"),
            ("yyyyMMdd", "\"dt\" >= '20221005' AND \"dt\" <= '20221005'"),
            ("yyyy/MM", "\"dt\" >= '2022/10' AND \"dt\" <= '2022/10'"),
            ("yyyy/MM/dd/HH", "\"dt\" >= '2022/10/05/12' AND \"dt\" <= '2022/10/05/23'"),
            ("yyyy-MM-dd'T'HH", "\"dt\" >= '2022-10-05T12' AND \"dt\" <= '2022-10-05T23'"),
            ("d.M.yyyy", "\"dt\" IN ('5.10.2022')"),
        ],
    )
    def test_every_pattern_of_a_projection(self, pattern: str, condition: str) -> None:
        properties = {
            "projection.enabled": "true",
            "projection.dt.type": "date",
            "projection.dt.format": pattern,
            "projection.dt.range": "NOW-3YEARS,NOW",
        }
        assert pruned({"dt": "string"}, ONE_DAY, properties=properties).conditions == (condition,)

    def test_a_partition_of_several_days_begins_before_them(self) -> None:
        properties = BY_DAY | {"projection.timestamp.interval": "7"}
        found = pruned({"timestamp": "string"}, ONE_DAY, properties=properties)
        assert found.conditions == ("\"timestamp\" >= '2022/09/28' AND \"timestamp\" <= '2022/10/05'",)


class TestInjected:
    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("account", "give --account"),
            ("region", "give --region"),
            ("dt", "give --since and --until"),
            ("org_id", "use a table without such a column (docs/athena.md has the DDL)"),
        ],
    )
    def test_its_values_must_be_named(self, name: str, hint: str) -> None:
        properties = {"projection.enabled": "true", f"projection.{name}.type": "injected"}
        with pytest.raises(UsageError) as error:
            pruned({name: "string"}, Scope(since=NOW, regions=("all",)), properties=properties)
        assert error.value.message == (
            f"the table's column {name} is injected: Athena needs its values in the query"
        )
        assert error.value.hint == hint

    def test_parts_of_dates_are_listed_each_by_itself(self) -> None:
        names = ("year", "month", "day")
        properties = {"projection.enabled": "true"} | {
            f"projection.{name}.type": "injected" for name in names
        }
        scope = Scope(since=utc(2022, 9, 30, 12), until=utc(2022, 10, 1))
        found = pruned(dict.fromkeys(names, "string"), scope, properties=properties)
        days = ", ".join(f"'{day:02}'" for day in range(1, 32)) + "".join(f", '{n}'" for n in range(1, 10))
        assert found.conditions == (
            "\"year\" IN ('2022')",
            "\"month\" IN ('09', '10', '9')",
            f'"day" IN ({days})',
        )

    def test_days_are_listed(self) -> None:
        properties = {"projection.enabled": "true", "projection.dt.type": "injected"}
        assert pruned({"dt": "string"}, ONE_DAY, properties=properties).conditions == (
            "\"dt\" IN ('2022/10/05', '2022-10-05', '20221005')",
        )


class TestGaps:
    def test_days_outside_of_the_range(self) -> None:
        properties = BY_DAY | {"projection.timestamp.range": "2022/10/01,2022/10/31"}
        found = pruning(
            table({"timestamp": "string"}, properties),
            replace(FIVE_WEEKS, regions=("us-east-1",)),
            utc(2023, 1, 1),
        )
        before = "the table has nothing from 2022-09-28 to 2022-09-30 (projection.timestamp.range)"
        after = "the table has nothing from 2022-11-01 to 2022-11-02 (projection.timestamp.range)"
        assert found.gaps == (
            Lost(
                account=ACCOUNT,
                region="us-east-1",
                start=FIVE_WEEKS.since,
                end=utc(2022, 10, 1),
                reason=HoleReason.NOT_IN_TABLE,
                what=before,
            ),
            Lost(
                account=ACCOUNT,
                region="us-east-1",
                start=utc(2022, 10, 31, 23, 45),
                end=FIVE_WEEKS.until,
                reason=HoleReason.NOT_IN_TABLE,
                what=after,
            ),
        )
        assert found.notes == ()

    def test_days_that_are_yet_to_come_are_no_gap(self) -> None:
        scope = replace(ONE_DAY, until=utc(2030, 1, 1))
        assert pruned({"timestamp": "string"}, scope, properties=BY_DAY).gaps == ()

    def test_a_table_that_ended_has_a_gap_until_now(self) -> None:
        properties = BY_DAY | {"projection.timestamp.range": "2020/01/01,2022/10/10"}
        (gap,) = pruned({"timestamp": "string"}, replace(ONE_DAY, until=None), properties=properties).gaps
        assert (gap.start, gap.end) == (utc(2022, 10, 10, 23, 45), None)

    def test_accounts_and_regions_that_are_not_in_lists(self) -> None:
        properties = {
            "projection.enabled": "true",
            "projection.account.type": "enum",
            "projection.account.values": OTHER,
            "projection.region.type": "enum",
            "projection.region.values": "us-east-1,us-west-2",
        }
        found = pruned({"account": "string", "region": "string"}, FIVE_WEEKS, properties=properties)
        assert [(gap.account, gap.region, gap.start, gap.end) for gap in found.gaps] == [
            (ACCOUNT, None, FIVE_WEEKS.since, FIVE_WEEKS.until),
            (None, "eu-west-1", FIVE_WEEKS.since, FIVE_WEEKS.until),
        ]
        assert [gap.what for gap in found.gaps] == [
            "the table has nothing of account 111111111111 (projection.account.values)",
            "the table has nothing of Region eu-west-1 (projection.region.values)",
        ]
        assert found.notes == ()

    def test_names_that_only_the_owner_knows_are_read_and_no_gap(self) -> None:
        properties = {
            "projection.enabled": "true",
            "projection.account.type": "enum",
            "projection.account.values": f"prod,dev,{OTHER}",
        }
        assert pruned({"account": "string"}, FIVE_WEEKS, properties=properties) == Pruning(
            conditions=("\"account\" IN ('prod', 'dev')",), columns=("account",)
        )

    def test_a_location_of_one_account_and_region(self) -> None:
        location = f"s3://logs/AWSLogs/{OTHER}/CloudTrail/us-east-1/"
        found = pruned({}, FIVE_WEEKS, location=location)
        assert [gap.what for gap in found.gaps] == [
            "the table has nothing of account 111111111111 (LOCATION)",
            "the table has nothing of Region eu-west-1 (LOCATION)",
        ]
        assert found.notes == ()

    def test_a_table_of_another_account_is_not_queried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        location = f"s3://logs/AWSLogs/{OTHER}/CloudTrail/us-east-1/"
        engine = DuckEngine(replace(description(TABLE_NOW), location=location), [])
        with pytest.raises(EmptySourceError) as error:
            read_table(engine, monkeypatch, account=ACCOUNT)
        assert error.value.message == (
            "athena://default.cloudtrail_logs: the table has nothing of account 111111111111 (LOCATION)"
        )
        assert engine.statement == ""

    @pytest.mark.parametrize(
        ("asked", "reason"),
        [
            (
                {"since": "2022-10-05", "until": "2022-10-06"},
                "the table has nothing from 2022-10-05 to 2022-10-06 (projection.timestamp.range)",
            ),
            (
                {"until": "2019-12-30"},
                "the table begins on 2020-01-01 (projection.timestamp.range)",
            ),
        ],
    )
    def test_a_query_for_days_outside_of_the_range_is_not_run(
        self, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str], reason: str
    ) -> None:
        properties = BY_DAY | {"projection.timestamp.range": "2020/01/01,2022/06/30"}
        table = replace(description(TABLE_NOW, {"timestamp": "string"}), properties=properties)
        engine = DuckEngine(table, [])
        with pytest.raises(EmptySourceError) as error:
            read_table(engine, monkeypatch, **asked)
        assert error.value.message == f"athena://default.cloudtrail_logs: {reason}"
        assert engine.statement == ""

    @pytest.mark.parametrize(
        "scope",
        [
            Scope(since=utc(2022, 6, 30, 23)),
            Scope(since=utc(2022, 6, 30), until=utc(2023, 1, 1)),
            Scope(until=utc(2020, 1, 1)),
            Scope(until=utc(2019, 12, 31, 23)),  # its last file may be delivered on the next day
            Scope(since=utc(9999, 1, 1)),  # this machine's clock may be wrong
            Scope(),
        ],
    )
    def test_a_query_that_may_find_something_is_run(self, scope: Scope) -> None:
        properties = BY_DAY | {"projection.timestamp.range": "2020/01/01,2022/06/30"}
        assert not pruned({"timestamp": "string"}, scope, properties=properties).excludes_all

    def test_a_location_of_one_month(self) -> None:
        location = f"s3://logs/AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2022/10/"
        found = pruned({}, replace(FIVE_WEEKS, until=utc(2022, 10, 19), regions=()), location=location)
        assert [(gap.start, gap.end) for gap in found.gaps] == [(FIVE_WEEKS.since, utc(2022, 10, 1))]

    def test_limits_are_noted_if_nothing_was_asked_for(self) -> None:
        found = pruned({"timestamp": "string"}, Scope(), properties=BY_DAY)
        assert found == Pruning(
            notes=(
                "the table only has account 111111111111 (storage.location.template)",
                "the table only has Region us-east-1 (storage.location.template)",
                "the table begins on 2020-01-01 (projection.timestamp.range)",
            )
        )

    def test_an_organization_is_noted(self) -> None:
        found = pruned({}, Scope(), location="s3://logs/AWSLogs/o-abcdefghij/")
        assert found.notes == ("the table only has accounts of organization o-abcdefghij (LOCATION)",)

    def test_years_outside_of_a_range_of_integers(self) -> None:
        properties = {
            "projection.enabled": "true",
            "projection.year.type": "integer",
            "projection.year.range": "2020,2021",
            "projection.month.type": "integer",
            "projection.month.range": "1,12",
            "projection.month.digits": "2",
        }
        found = pruned({"year": "string", "month": "string"}, ONE_DAY, properties=properties)
        assert [gap.what for gap in found.gaps] == [
            "the table has nothing of 2022-10-05 (projection.year.range)"
        ]
        assert [(gap.start, gap.end) for gap in found.gaps] == [(ONE_DAY.since, ONE_DAY.until)]


class TestMissingPartitions:
    TABLE = table(dict.fromkeys(("account", "region", "year", "month", "day"), "string"))

    def missing(self, *known: tuple[str, ...], scope: Scope = FIVE_WEEKS) -> list[tuple[Any, ...]]:
        found = missing_partitions(known, self.TABLE, scope, NOW)
        return [(lost.account, lost.region, lost.start, lost.end) for lost in found]

    def test_a_day_without_a_partition_is_missing(self) -> None:
        scope = Scope(since=utc(2022, 10, 4), until=utc(2022, 10, 7, 12))
        known = [(ACCOUNT, "us-east-1", "2022", "10", day) for day in ("4", "05", "7")]
        assert self.missing(*known, scope=scope) == [
            (None, None, utc(2022, 10, 5, 23, 45), utc(2022, 10, 7)),
        ]

    def test_an_account_and_a_region_without_a_partition_are_missing(self) -> None:
        scope = replace(ONE_DAY, accounts=(ACCOUNT,), regions=("us-east-1", "eu-west-1"))
        assert self.missing((OTHER, "us-east-1", "2022", "10", "05"), scope=scope) == [
            (ACCOUNT, None, ONE_DAY.since, ONE_DAY.until),
            (None, "eu-west-1", ONE_DAY.since, ONE_DAY.until),
        ]

    def test_a_table_without_partitions_has_nothing(self) -> None:
        assert self.missing(scope=ONE_DAY) == [(None, None, ONE_DAY.since, ONE_DAY.until)]

    def test_days_between_partitions_are_missing_whatever_is_asked_for(self) -> None:
        known = [(ACCOUNT, "us-east-1", "2022", "10", day) for day in ("01", "03")]
        assert self.missing(*known, scope=Scope()) == [
            (None, None, utc(2022, 10, 1, 23, 45), utc(2022, 10, 3)),
        ]

    def test_a_partition_of_an_unknown_date_may_have_anything(self) -> None:
        assert self.missing((ACCOUNT, "us-east-1", "all", "x", "y"), scope=ONE_DAY) == []

    @pytest.mark.parametrize("text", ["2022-10-05", "2022/10/05", "20221005", "2022-10", "202210", "2022"])
    def test_dates_of_any_pattern_are_recognized(self, text: str) -> None:
        assert list(missing_partitions([(text,)], table({"dt": "string"}), ONE_DAY, NOW)) == []

    @given(
        scope_of=st.data(),
        rows=st.lists(
            st.tuples(
                st.sampled_from([ACCOUNT, OTHER, "prod"]),
                st.sampled_from(["us-east-1", "eu-west-1"]),
                st.dates(date(2022, 9, 20), date(2022, 11, 10)).map(str),
            ),
            max_size=5,
        ),
    )
    def test_what_a_query_would_read_is_counted(
        self, scope_of: st.DataObject, rows: list[tuple[str, ...]]
    ) -> None:
        scope = scope_of.draw(scopes(NOW))
        about = table({"account": "string", "region": "string", "dt": "date"})
        conditions = pruning(about, scope, NOW).conditions
        read = sum(
            is_kept(conditions, {"account": account, "region": region, "dt": date.fromisoformat(day)})
            for account, region, day in rows
        )
        assert asked_partitions(rows, about, scope) >= read

    def test_partitions_that_are_asked_for_are_counted(self) -> None:
        known = [(ACCOUNT, "us-east-1", "2022", "10", f"{day}") for day in range(1, 31)]
        assert asked_partitions(known, self.TABLE, ONE_DAY) == 1
        assert asked_partitions(known, self.TABLE, Scope()) == 30
        assert asked_partitions(known, self.TABLE, replace(ONE_DAY, accounts=(OTHER,))) == 0
        assert asked_partitions([(ACCOUNT, "x", "2022", "10", "?")], self.TABLE, ONE_DAY) == 1

    def test_dates_of_another_day_are_recognized(self) -> None:
        (lost,) = missing_partitions([("2022-10-04",)], table({"dt": "date"}), ONE_DAY, NOW)
        assert lost.what == "the table has nothing of 2022-10-05 (no partition was added for it)"


class TestDatePatterns:
    @pytest.mark.parametrize(
        ("text", "time"),
        [
            ("NOW", utc(2022, 10, 20)),
            (" now ", utc(2022, 10, 20)),
            ("NOW-1YEARS", utc(2021, 10, 20)),
            ("NOW+1DAY", utc(2022, 10, 21)),
            ("NOW - 8 MONTHS", utc(2022, 2, 20)),
            ("NOW-13HOURS", utc(2022, 10, 19)),
            ("NOW-2WEEKS", utc(2022, 10, 6)),
            ("NOW-999999YEARS", utc(1, 1, 1)),
            ("2020/02/29", utc(2020, 2, 29)),
            ("2021/02/29", None),
            ("2020-02-29", None),
        ],
    )
    def test_the_bounds_of_a_range(self, text: str, time: datetime | None) -> None:
        pattern = date_pattern("yyyy/MM/dd")
        assert pattern is not None
        assert range_bound(text, pattern, NOW) == time

    @pytest.mark.parametrize("text", ["", "MM/dd", "yy/MM/dd", "yyyy-MMM", "yyyy/MM/yyyy", "EEE", "yyyy/dd"])
    def test_a_pattern_without_a_plain_date_is_none(self, text: str) -> None:
        assert date_pattern(text) is None

    def test_a_month_later_ends_with_the_month(self) -> None:
        pattern = date_pattern("yyyy/MM/dd")
        assert pattern is not None
        assert range_bound("NOW-1MONTH", pattern, utc(2024, 3, 31)) == utc(2024, 2, 29)


LAYOUTS: Mapping[str, tuple[dict[str, str], dict[str, str], Any]] = {
    "projection": (
        {"timestamp": "string"},
        {"projection.enabled": "true", "projection.timestamp.format": "yyyy/MM/dd"},
        lambda a, r, t: (f"{t:%Y/%m/%d}",),
    ),
    "hours": (
        {"datehour": "string"},
        {"projection.enabled": "true", "projection.datehour.format": "yyyy-MM-dd-HH"},
        lambda a, r, t: (f"{t:%Y-%m-%d-%H}",),
    ),
    "months": (
        {"m": "string"},
        {"projection.enabled": "true", "projection.m.format": "yyyyMM"},
        lambda a, r, t: (f"{t:%Y%m}",),
    ),
    "manual": (
        dict.fromkeys(("account", "region", "year", "month", "day"), "string"),
        {},
        lambda a, r, t: (a, r, f"{t:%Y}", f"{t:%m}", f"{t:%d}"),
    ),
    "without zeros": (
        dict.fromkeys(("year", "month", "day", "hour"), "string"),
        {},
        lambda a, r, t: (str(t.year), str(t.month), str(t.day), str(t.hour)),
    ),
    "integers": (
        {"account": "bigint", "year": "int", "month": "int", "day": "int", "hour": "int"},
        {},
        lambda a, r, t: (int(a), t.year, t.month, t.day, t.hour),
    ),
    "date": ({"dt": "date", "aws_region": "string"}, {}, lambda a, r, t: (t.date(), r)),
    "timestamp": ({"dt": "timestamp"}, {}, lambda a, r, t: (t.replace(minute=0, tzinfo=None),)),
    "month's first": ({"month": "date"}, {}, lambda a, r, t: (t.date().replace(day=1),)),
    "number": ({"dt": "int"}, {}, lambda a, r, t: (int(f"{t:%Y%m%d}"),)),
    **{
        f"text {pattern}": (
            {"dt": "string", "accountid": "string"},
            {},
            lambda a, r, t, pattern=pattern: (f"{t:{pattern}}", a.lstrip("0")),
        )
        for pattern in ("%Y", "%Y-%m", "%Y/%m/%d", "%Y%m%d", "%Y-%m-%dT%H", "%d.%m.%Y", "%Y/%m/%d/%H")
    },
}
"""Partition columns, properties, and the values for an account, a Region and a time of delivery."""

times = st.datetimes(datetime(2010, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001
    lambda time: time.replace(second=time.second, tzinfo=UTC)
)
near = st.one_of(
    st.timedeltas(timedelta(hours=-2), timedelta(hours=2)),
    st.timedeltas(timedelta(days=-800), timedelta(days=800)),
    st.sampled_from([timedelta(minutes=minutes) for minutes in (-15, 0, 15, 75, 76, -16)]),
)


@st.composite
def scopes(draw: st.DrawFn, anchor: datetime) -> Scope:
    """A scope that often has its bounds near a time."""
    bounds = sorted(anchor + draw(near) for _ in range(2))
    if draw(st.booleans()):
        bounds[1] = bounds[0]
    zone = timezone(timedelta(hours=draw(st.integers(-12, 12))))
    return Scope(
        since=draw(st.sampled_from([bounds[0].astimezone(zone), None])),
        until=draw(st.sampled_from([bounds[1], None])),
        accounts=draw(st.sampled_from([(), (ACCOUNT,), (OTHER,), (ACCOUNT, OTHER)])),
        regions=draw(st.sampled_from([(), ("us-east-1",), ("all",)])),
        delivery_lag=draw(st.sampled_from([timedelta(0), timedelta(hours=1), timedelta(days=3)])),
        into=draw(st.sampled_from([None, "store.db"])),
    )


def key(account: str, region: str, time: datetime) -> str:
    """The name of a log file."""
    return f"{account}_CloudTrail_{region}_{time.year:04}{time:%m%dT%H%M}Z_x.json.gz"


DB = duckdb.connect()


def is_kept(conditions: tuple[str, ...], values: Mapping[str, Any]) -> bool:
    """Whether a row with these values is selected by conditions, on DuckDB."""
    if not conditions:
        return True
    (text,) = sqlglot.transpile(
        f"SELECT {' AND '.join(conditions)}",
        read="athena",
        write="duckdb",
    )
    names = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join("?" * len(values))
    row = DB.execute(f"{text} FROM (VALUES ({marks})) AS t ({names})", [*values.values()]).fetchone()
    return row is not None and bool(row[0])


@pytest.mark.parametrize("layout", LAYOUTS)
class TestNothingInScopeIsPruned:
    @given(data=st.data(), time=times)
    def test_a_file_in_scope_is_in_a_partition_that_is_read(
        self, layout: str, data: st.DataObject, time: datetime
    ) -> None:
        columns, properties, values_of = LAYOUTS[layout]
        scope = data.draw(scopes(time))
        account = data.draw(st.sampled_from([ACCOUNT, OTHER]))
        region = data.draw(st.sampled_from(["us-east-1", "eu-west-1"]))
        # no file is newer than now
        found = pruning(table(columns, properties), scope, time)
        values = dict(zip(columns, values_of(account, region, time), strict=True))
        if is_in_scope(key(account, region, time), scope):
            assert is_kept(found.conditions, values)

    def test_files_far_outside_are_pruned(self, layout: str) -> None:
        columns, properties, values_of = LAYOUTS[layout]
        found = pruning(table(columns, properties), ONE_DAY, NOW)
        if layout == "text %d.%m.%Y":
            return  # not recognized: all is read
        for time in (utc(2021, 10, 5, 15), utc(2023, 10, 5, 15)):
            values = dict(zip(columns, values_of(ACCOUNT, "us-east-1", time), strict=True))
            assert not is_kept(found.conditions, values)

    @pytest.mark.parametrize(
        ("since", "until"),
        [
            (utc(1, 1, 1), utc(9999, 12, 31, 23, 59, 59)),
            (utc(1, 1, 1), utc(1, 1, 1)),
            (utc(9999, 12, 31, 23, 59), None),
            (None, utc(1, 1, 1)),
            (None, utc(9999, 12, 31, 23, 59, 59)),
            (utc(2024, 2, 29), utc(2024, 2, 29)),
            (utc(2024, 2, 29, 23, 59), utc(2024, 3, 1)),
            (utc(2013, 12, 31, 23, 50), utc(2023, 12, 31, 23, 55)),
        ],
    )
    @pytest.mark.parametrize("now", [NOW, utc(9999, 12, 31, 23, 59)])
    def test_statements_of_any_time_are_short_and_valid(
        self, layout: str, since: datetime | None, until: datetime | None, now: datetime
    ) -> None:
        columns, properties, _ = LAYOUTS[layout]
        scope = Scope(since=since, until=until, accounts=(ACCOUNT,), regions=("us-east-1",))
        found = pruning(table(columns, properties), scope, now)
        text = f"SELECT 1 FROM t WHERE {' AND '.join(found.conditions)}"
        assert len(text) < 20_000
        result = trino_sql_validator.validate(text)
        assert result.valid, result
        (translated,) = sqlglot.transpile(text, read="athena", write="duckdb")
        assert translated


class TestNoGapIsPassedOver:
    @given(data=st.data(), event=times)
    def test_an_event_that_is_delivered_outside_of_the_range_is_lost(
        self, data: st.DataObject, event: datetime
    ) -> None:
        scope = data.draw(scopes(event))
        first, last = sorted((event + data.draw(near)).date() for _ in range(2))
        delivered = event + data.draw(st.timedeltas(timedelta(0), timedelta(minutes=15)))
        properties = BY_DAY | {"projection.timestamp.range": f"{first:%Y/%m/%d},{last:%Y/%m/%d}"}
        now = delivered + data.draw(st.timedeltas(timedelta(0), timedelta(days=900)))
        found = pruning(table({"timestamp": "string"}, properties), scope, now)
        gaps = [gap for gap in found.gaps if ".range" in gap.what]
        is_asked = (scope.since or event) <= event <= (scope.until or event)
        if not is_asked or event < utc(2013, 1, 1) or scope.since is None:
            return
        if not first <= delivered.date() <= last:
            assert any((gap.start or event) <= event <= (gap.end or event) for gap in gaps)

    def test_a_range_that_has_all_that_is_asked_for_has_no_gap(self) -> None:
        properties = BY_DAY | {"projection.timestamp.range": "2022/10/05,2022/10/05"}
        found = pruned({"timestamp": "string"}, ONE_DAY, properties=properties)
        assert [gap for gap in found.gaps if ".range" in gap.what] == []


class TestOcsf:
    @given(data=st.data(), time=times)
    def test_an_event_in_scope_is_in_what_is_read(self, data: st.DataObject, time: datetime) -> None:
        scope = data.draw(scopes(time))
        columns = OCSF | {"accountid": "string", "region": "string"}
        naive = time.replace(tzinfo=None)
        values = {"accountid": ACCOUNT, "region": "us-east-1", "time_dt": naive, "time": 0}
        by_day = pruning(table({"eventday": "string"}, columns=OCSF), scope, time).conditions
        by_column = pruning(table({}, columns=columns), scope, time).conditions
        is_asked = (scope.since or time) <= time <= (scope.until or time)
        if is_asked and (not scope.accounts or ACCOUNT in scope.accounts):
            assert is_kept(by_day, values | {"eventday": f"{time:%Y%m%d}"})
            assert is_kept(by_column, values)
        if scope.until is not None and time > scope.until + timedelta(days=2):
            assert not is_kept(by_column, values)


texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["date", "enum", "integer", "injected", "yyyy/MM/dd", "yyyy'x", "dd", "'", "''"]),
    st.sampled_from(["NOW", "NOW-1YEARS,NOW", "2022/01/01,NOW", "NOW+999999YEARS,NOW"]),
    st.sampled_from(["1,", ",", "9" * 5000, "0,99999999999999999999", "0", "-1"]),
    st.sampled_from(
        ["s3://b/AWSLogs/${dt}/CloudTrail", "s3://b/AWSLogs/1/2/3/4/5/6/7/8", "AWSLogs", "/AWSLogs//"]
    ),
)
keys = st.sampled_from(
    [
        f"projection.{name}.{key}"
        for name in ("dt", "year", "account", "region")
        for key in ("type", "values", "range", "format", "interval", "interval.unit", "digits")
    ]
    + ["storage.location.template"]
)


class TestAnyProperties:
    @given(
        properties=st.dictionaries(keys, texts),
        location=texts,
        kinds=st.lists(
            st.sampled_from(["string", "int", "date", "timestamp", "double"]), min_size=4, max_size=4
        ),
        data=st.data(),
        rows=st.lists(st.tuples(texts, texts, texts, texts), max_size=3),
    )
    def test_they_make_a_statement_or_a_usage_error(
        self,
        properties: dict[str, str],
        location: str,
        kinds: list[str],
        data: st.DataObject,
        rows: list[tuple[str, ...]],
    ) -> None:
        columns = dict(zip(("dt", "year", "account", "region"), kinds, strict=True))
        scope = data.draw(scopes(NOW))
        about = table(columns, {"projection.enabled": "true"} | properties, location)
        try:
            found = pruning(about, scope, NOW)
        except UsageError:
            return
        text = f"SELECT 1 FROM t WHERE {' AND '.join(['TRUE', *found.conditions])}"
        assert trino_sql_validator.validate(text).valid, text
        assert list(missing_partitions(rows, replace(about, properties={}), scope, NOW)) is not None


class TestStories:
    @pytest.mark.parametrize("kind", ["string", "int"])
    def test_a_partitioned_table_gives_the_answers_of_the_bucket(
        self, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parts = {"region": "string", "year": kind, "month": kind, "day": kind}
        engine = DuckEngine(description(TABLE_NOW, parts), partitioned(FIXTURES / "node-life"))
        every = cnitrail.read(FIXTURES / "node-life")
        middle = every.timeline()[len(every.timeline()) // 2].time
        asked: dict[str, Any] = {"since": middle - timedelta(minutes=30), "until": middle}
        answer = read_table(engine, monkeypatch, **asked)
        files = cnitrail.read(FIXTURES / "node-life", **asked)
        assert entries(answer.timeline()) == entries(files.timeline()) != []
        assert '"year" IN (' in engine.statement
        assert trino_sql_validator.validate(engine.statement).valid


def partitioned(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of log files, with partition columns by their folders."""
    for path, row in cloudtrail_rows(log_files(folder)):
        region, year, month, day = path.split("/")[-5:-1]
        yield path, row | {"region": region, "year": year, "month": month, "day": day}


class TestListed:
    """Partitions that a catalog lists."""

    PARTS: ClassVar = dict.fromkeys(("region", "year", "month", "day"), "string")

    def engine(self, story: str = "node-life") -> DuckEngine:
        return DuckEngine(description(TABLE_NOW, self.PARTS), partitioned(FIXTURES / story))

    def test_a_day_that_was_never_added_is_a_limitation_and_a_hole(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = self.engine()
        ((_, year, month, day), *_) = cast(tuple[Partition, ...], engine.partitions())
        first = utc(int(year), int(month), int(day))
        asked: dict[str, Any] = {"since": first, "until": first + timedelta(days=2, hours=1)}
        case = read_table(engine, monkeypatch, **asked)
        (lost,) = (limit for limit in case.limitations() if limit.code is ReasonCode.NOT_IN_TABLE)
        assert lost.text.startswith("the table has nothing from ")
        assert lost.text.endswith("(no partition was added for it)")

    def test_no_query_is_started_if_no_partition_is_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = self.engine()
        with pytest.raises(EmptySourceError) as error:
            read_table(engine, monkeypatch, since="2020-01-01", until="2020-01-02")
        assert error.value.message.startswith(
            "athena://default.cloudtrail_logs: its only partition is not for this "
        )
        assert error.value.message.endswith(
            "(2020-01-01 00:00:00Z to 2020-01-02 00:00:00Z); it is partitioned by region, year, month, day, "
            "and no query was started"
        )
        assert engine.statement == ""

    def test_a_table_without_any_partition_is_not_queried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = DuckEngine(description(TABLE_NOW, self.PARTS), [])
        with pytest.raises(EmptySourceError, match="it has no partitions"):
            read_table(engine, monkeypatch, since="2022-10-05")
        assert engine.statement == ""

    def test_what_a_catalog_does_not_list_is_said_and_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = self.engine()
        monkeypatch.setattr(engine, "partitions", lambda: "access denied")
        notes = [
            note.text
            for note in TableSource(
                engine, Scope(since=utc(2020, 1, 1), relevant_calls=RELEVANT_CALLS)
            ).documents()
            if isinstance(note, Note)
        ]
        assert "whether partitions are missing was not checked: access denied" in notes


class TestScopeConditions:
    @given(data=st.data(), time=times)
    def test_files_are_those_that_a_bucket_would_be_asked_for(
        self, data: st.DataObject, time: datetime
    ) -> None:
        scope = replace(data.draw(scopes(time)), into=None)
        account = data.draw(st.sampled_from([ACCOUNT, OTHER]))
        values = {
            "account": account,
            "region": "us-east-1",
            "stamp": f"{time:%Y%m%dT%H%M}",
            "event_time": "2022-10-05T13:16:00Z",
        }
        kept = is_kept(tuple(scope_conditions(scope)), values)
        assert kept == is_in_scope(key(account, "us-east-1", time), scope)

    @given(data=st.data(), time=times, suffix=st.sampled_from(["Z", "", ".000Z"]))
    def test_a_record_of_another_file_is_selected_by_its_second(
        self, data: st.DataObject, time: datetime, suffix: str
    ) -> None:
        scope = replace(data.draw(scopes(time)), into=None, accounts=(), regions=())
        second = time.replace(microsecond=0)
        text = second.replace(tzinfo=None).isoformat() + suffix
        values = {"account": None, "region": None, "stamp": None, "event_time": text}
        early = scope.since is not None and second < scope.since.replace(microsecond=0)
        late = scope.until is not None and second > scope.until
        assert is_kept(tuple(scope_conditions(scope)), values) == (not early and not late)

    @given(data=st.data(), time=times)
    def test_a_store_gets_whole_days(self, data: st.DataObject, time: datetime) -> None:
        scope = replace(data.draw(scopes(time)), into="store.db", accounts=(), regions=())
        values = {"account": None, "region": None, "event_time": None}
        conditions = tuple(scope_conditions(scope))
        kept = [
            is_kept(conditions, values | {"stamp": f"{time:%Y%m%d}T{minute}"}) for minute in ("0000", "2359")
        ]
        assert kept[0] == kept[1]
        if is_in_scope(key(ACCOUNT, "us-east-1", time), scope):
            assert kept[0]

    def test_the_ends_of_the_calendar(self) -> None:
        scope = Scope(since=utc(1, 1, 1), until=utc(9999, 12, 31, 23, 59, 59))
        assert list(scope_conditions(scope)) == [
            (
                "CASE WHEN stamp IS NOT NULL THEN stamp >= '00010101T0000'"
                " ELSE event_time IS NULL OR event_time >= '0001-01-01T00:00:00' END"
            ),
            (
                "CASE WHEN stamp IS NOT NULL THEN stamp <= '99991231T2359'"
                " ELSE event_time IS NULL OR event_time <= '9999-12-31T23:59:59~' END"
            ),
        ]
