"""The SQL of ``docs/flows-sql.md`` says what ``cnitrail flows`` says of the same records."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import flow_records
import pytest
from conftest import FIXTURES
from flow_records import FORMATS, V5
from flow_tables import compared, equal_share, in_flows, in_sql, records_of, rows_of, statement, write_table
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from simulator import deliveries, worlds, write
from trino_sql_validator import validate

import cnitrail

STORIES = sorted(path.parent.name for path in FIXTURES.glob("*/AWSLogs"))


@pytest.mark.parametrize("name", ["v2", "v3", "v5"])
@pytest.mark.parametrize("story", STORIES)
def test_the_ends_are_those_of_flows_in_every_story(story: str, name: str, tmp_path: Path) -> None:
    leases = cnitrail.read(FIXTURES / story).leases()
    lines = records_of(leases, FORMATS[name], random.Random(story), 80)
    flows = in_flows(FIXTURES / story, FORMATS[name], lines, tmp_path)
    sql = in_sql(FIXTURES / story, FORMATS[name], lines, tmp_path)
    found, expected = compared(sql, flows)
    assert found == expected
    if "flow-direction" in FORMATS[name]:
        assert equal_share(sql, flows) > 0.95


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_ends_are_those_of_flows_in_simulated_worlds(data: st.DataObject) -> None:
    delivery = data.draw(deliveries(data.draw(worlds())))
    with TemporaryDirectory() as name:
        folder = Path(name)
        write(delivery.files, folder / "trail")
        assume(delivery.files)
        leases = cnitrail.read(folder / "trail").leases()
        fields = FORMATS[data.draw(st.sampled_from(["v2", "v3", "v5"]))]
        lines = records_of(leases, fields, random.Random(data.draw(st.integers(0, 999))), 60)
        flows = in_flows(folder / "trail", fields, lines, folder)
        found, expected = compared(in_sql(folder / "trail", fields, lines, folder), flows)
        assert found == expected


@pytest.mark.parametrize("name", ["trino-answers", "join"])
def test_trinos_parser_accepts_the_statements(name: str) -> None:
    result = validate(statement(name).rstrip().rstrip(";"))
    assert result.valid, result.error


def test_duckdb_reads_the_files_of_s3_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = cnitrail.read(FIXTURES / "node-life")
    lines = records_of(case.leases(), V5, random.Random(1), 40)
    flow_records.write(tmp_path, lines, V5)
    shown = in_flows(FIXTURES / "node-life", V5, lines, tmp_path)
    write_table(FIXTURES / "node-life", tmp_path / "leases.parquet")
    monkeypatch.chdir(tmp_path)
    db = duckdb.connect(config={"threads": 1})
    for name in ("duckdb-tables", "duckdb-answers"):
        db.execute(statement(name))
    assert rows_of(db.execute(statement("join"))) == shown
