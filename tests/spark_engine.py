"""Spark in local mode as a query engine: statements of cnitrail run on tables of CloudTrail records.

sqlglot translates the statements from Athena's SQL, as for ``duck_engine``.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import sqlglot
from duck_engine import Entry, of_type

from cnitrail.model.table import QueryProgress, QueryState
from cnitrail.sources.sql.engine import QueryResult

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from cnitrail.sources.sql.column_types import ColumnType
    from cnitrail.sources.sql.description import TableDescription
    from cnitrail.sources.sql.engine import Cells

_EPOCH_SECONDS = re.compile(
    r"DATE_ADD\(CAST\('1970-01-01 00:00:00' AS TIMESTAMP\), (CASE .*? END)\)(?=, 'yyyy)"
)
_TIME_FORMAT = "'yyyy-MM-ddTHH:mm:ss'"


def spark_session() -> SparkSession:
    """A session with two threads."""
    from pyspark.sql import SparkSession

    options = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.log.level": "ERROR",
    }
    building = SparkSession.builder.master("local[2]")
    for name, value in options.items():
        building = building.config(name, value)
    session: SparkSession = building.getOrCreate()
    return session


class SparkEngine:
    """An engine whose table has a row for each record of files."""

    name = "spark"
    uri = "athena://default.cloudtrail_logs"
    table = '"cloudtrail_logs"'

    def __init__(
        self, session: SparkSession, table: TableDescription, rows: Iterable[tuple[str, Entry]]
    ) -> None:
        self._session = session
        self._table = table
        self._folder = Path(mkdtemp(prefix="spark"))
        columns = table.all_columns
        lines = (
            json.dumps({"$path": path} | {name: of_type(row.get(name), columns[name]) for name in columns})
            for path, row in rows
        )
        (self._folder / "rows.json").write_text("\n".join(lines))
        schema = ", ".join(
            ["`$path` string", *(f"`{name}` {spark_type(kind)}" for name, kind in columns.items())]
        )
        session.read.schema(schema).json(str(self._folder)).createOrReplaceTempView("cloudtrail_logs")
        self.statement = ""

    def describe(self) -> TableDescription:
        return self._table

    def partitions(self) -> tuple[tuple[str, ...], ...] | str:
        """None: the table has no partition columns."""
        return ()

    def run(self, statement: str) -> Iterator[QueryProgress]:
        self.statement = statement
        yield QueryProgress(state=QueryState.RUNNING, query="q-1", elapsed=timedelta())
        self._rows = self._session.sql(in_spark(statement)).collect()

    def result(self) -> QueryResult:
        return QueryResult(query="q-1", statement=self.statement)

    def rows(self) -> Iterator[Cells]:
        return (tuple(row) for row in self._rows)

    def stop(self) -> None:
        pass

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def in_spark(statement: str) -> str:
    """A statement in Spark's SQL; sqlglot 30 adds days for seconds, and does not quote the T of a time."""
    (translated,) = sqlglot.transpile(statement, read="athena", write="spark")
    return _EPOCH_SECONDS.sub(r"TIMESTAMP_SECONDS(\1)", translated).replace(
        _TIME_FORMAT, "\"yyyy-MM-dd'T'HH:mm:ss\""
    )


def spark_type(column: ColumnType) -> str:
    """The type of a column as Spark writes it."""
    if column.is_struct:
        return "struct<" + ",".join(f"`{name}`:{spark_type(inner)}" for name, inner in column.members) + ">"
    if column.members:
        return f"{column.name}<{','.join(spark_type(inner) for _, inner in column.members)}>"
    return "string" if column.is_text else column.name.partition("(")[0]
