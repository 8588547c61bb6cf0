"""A real Trino runs the SQL of ``docs/flows-sql.md`` with the answers of ``cnitrail flows``.

``nox -s trino`` runs it.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES
from flow_differences import differences
from flow_tables import (
    COLUMNS,
    ENGINE_STORIES,
    VERSIONS,
    Ends,
    Key,
    Logs,
    by_record,
    in_flows,
    in_sql,
    logs_of,
    statement,
    type_of,
    without,
    write_flow_logs,
    write_table,
)
from test_trino_real import Server, pytestmark
from test_trino_shapes import server

import cnitrail

__all__ = ["pytestmark", "server"]


def run(server: Server, sql: str) -> list[dict[str, Any]]:
    """Run a statement in the schema of the tables; return its rows by the names of their columns."""
    from trino.dbapi import connect

    connection = connect(  # type: ignore[no-untyped-call]
        host="127.0.0.1", port=server.port, user="admin", timezone="UTC", catalog="hive", schema="logs"
    )
    cursor = connection.cursor()
    cursor.execute(sql)
    rows = cursor.fetchall()
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in rows]


def in_trino(server: Server, trail: Path, logs: Logs, columns: Sequence[str], name: str) -> dict[Key, Ends]:
    """What the statement says, changed as the documentation says; the tables are in folders of this name."""
    folder = server.files / name
    for table in ("leases", "flow_logs"):
        (folder / table).mkdir(parents=True)
        run(server, f"DROP TABLE IF EXISTS {table}")
    write_table(trail, folder / "leases" / "leases.parquet")
    write_flow_logs(columns, logs, folder / "flow_logs" / "flow_logs.parquet")
    run(server, statement("trino-leases").replace("s3://BUCKET/", f"local:///{name}/"))
    typed = ", ".join(f'"{column}" {type_of(column)}' for column in columns)
    place = f"format = 'PARQUET', external_location = 'local:///{name}/flow_logs/'"
    run(server, f"CREATE TABLE flow_logs ({typed}) WITH ({place})")
    run(
        server,
        statement("trino-answers").rstrip().rstrip(";").replace("CREATE VIEW", "CREATE OR REPLACE VIEW"),
    )
    return by_record(run(server, without(statement("join"), columns)))


@pytest.mark.parametrize("story", ENGINE_STORIES)
def test_records_of_all_versions_have_the_ends_of_flows_and_of_duckdb(
    story: str, server: Server, tmp_path: Path
) -> None:
    leases = cnitrail.read(FIXTURES / story).leases()
    logs = logs_of(leases, random.Random(f"trino {story}"), 60)
    flows = in_flows(FIXTURES / story, logs, tmp_path)
    duck = in_sql(FIXTURES / story, COLUMNS, logs, tmp_path)
    sql = in_trino(server, FIXTURES / story, logs, COLUMNS, story)
    assert sql == duck
    assert differences(logs.by_key(), flows, sql, leases)[1] == []


@pytest.mark.parametrize("name", ["v2", "v3"])
def test_a_table_with_fewer_columns_has_the_ends_of_duckdb(name: str, server: Server, tmp_path: Path) -> None:
    columns = [field.replace("-", "_") for field in VERSIONS[name]]
    logs = logs_of(cnitrail.read(FIXTURES / "ironman").leases(), random.Random(1), 60, [name])
    duck = in_sql(FIXTURES / "ironman", columns, logs, tmp_path)
    assert in_trino(server, FIXTURES / "ironman", logs, columns, name) == duck
