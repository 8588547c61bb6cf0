"""Spark runs the SQL of ``docs/flows-sql.md`` with the answers of ``cnitrail flows`` (``nox -s spark``)."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import FIXTURES
from flow_differences import differences
from flow_tables import (
    COLUMNS,
    ENGINE_STORIES,
    VERSIONS,
    Ends,
    Key,
    by_record,
    in_flows,
    in_sql,
    logs_of,
    statement,
    without,
    write_flow_logs,
)
from test_spark import pytestmark, session

import cnitrail

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["pytestmark", "session"]


def in_spark(
    session: "SparkSession", folder: Path, columns: Sequence[str], *, quotes: str
) -> dict[Key, Ends]:
    """What the statement says, changed as the documentation says."""
    session.read.parquet(str(folder / "leases.parquet")).createOrReplaceTempView("leases")
    session.read.parquet(str(folder / "flow_logs.parquet")).createOrReplaceTempView("flow_logs")
    session.sql("DROP VIEW IF EXISTS lease_answers")
    session.sql(statement("spark-answers").rstrip().rstrip(";"))
    join = without(statement("join"), columns).replace('"', quotes)
    return by_record(row.asDict() for row in session.sql(join.replace("AS varchar", "AS string")).collect())


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("story", ENGINE_STORIES)
def test_records_of_all_versions_have_the_ends_of_flows_and_of_duckdb(
    story: str, session: "SparkSession", tmp_path: Path
) -> None:
    leases = cnitrail.read(FIXTURES / story).leases()
    logs = logs_of(leases, random.Random(f"spark {story}"), 60)
    flows = in_flows(FIXTURES / story, logs, tmp_path)
    duck = in_sql(FIXTURES / story, COLUMNS, logs, tmp_path)
    write_flow_logs(COLUMNS, logs, tmp_path / "flow_logs.parquet")
    sql = in_spark(session, tmp_path, COLUMNS, quotes="`")
    assert sql == duck
    assert differences(logs.by_key(), flows, sql, leases)[1] == []


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["v2", "v3"])
def test_a_table_with_fewer_columns_has_the_ends_of_duckdb_also_with_double_quotes(
    name: str, session: "SparkSession", tmp_path: Path
) -> None:
    columns = [field.replace("-", "_") for field in VERSIONS[name]]
    logs = logs_of(cnitrail.read(FIXTURES / "ironman").leases(), random.Random(1), 60, [name])
    duck = in_sql(FIXTURES / "ironman", columns, logs, tmp_path)
    write_flow_logs(columns, logs, tmp_path / "flow_logs.parquet")
    settings = ("spark.sql.ansi.enabled", "spark.sql.ansi.doubleQuotedIdentifiers")
    for setting in settings:
        session.conf.set(setting, "true")
    try:
        assert in_spark(session, tmp_path, columns, quotes='"') == duck
    finally:
        for setting in settings:
            session.conf.unset(setting)
