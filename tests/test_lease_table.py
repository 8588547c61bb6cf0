"""``leases -o parquet``: the rows of ``-o csv`` with types, and the answers that a join in SQL needs."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from conftest import FIXTURES, Run

import cnitrail


def table(run: Run, story: str, folder: Path) -> str:
    """Write the table of a story, and return its path."""
    result = run("leases", story, "-o", "parquet")
    assert result.exit_code == 0, result.stderr
    path = folder / "leases.parquet"
    path.write_bytes(result.stdout_bytes)
    return str(path)


def test_a_row_is_a_lease_with_times_in_utc(run: Run, tmp_path: Path) -> None:
    path = table(run, "node-life", tmp_path)
    columns = 'ip, eni, epoch("start"), epoch("end"), assigned_by, unproven'
    rows = duckdb.connect().execute(f"SELECT {columns} FROM '{path}'").fetchall()
    assert rows == [
        (
            str(lease.ip),
            lease.eni,
            lease.start.timestamp() if lease.start else None,
            lease.end.timestamp() if lease.end else None,
            lease.assigned_by.label if lease.assigned_by else None,
            lease.unproven,
        )
        for lease in cnitrail.read(FIXTURES / "node-life").leases()
    ]


def test_a_prefix_has_answers_for_its_16_addresses(run: Run, tmp_path: Path) -> None:
    rows = (
        duckdb.connect()
        .execute(
            "SELECT count(DISTINCT a.ip) FROM (SELECT ip, unnest(answers) AS a"
            f" FROM '{table(run, 'prefix-delegation', tmp_path)}') WHERE ip LIKE '%.%/28' GROUP BY ip"
        )
        .fetchall()
    )
    assert rows
    assert set(rows) == {(16,)}


def test_without_the_extra_it_names_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnitrail.render.parquet.find_spec", lambda _: None)
    result = run("leases", "node-life", "-o", "parquet")
    assert result.exit_code == 2
    assert "pip install 'cnitrail[parquet]'" in result.stderr


def test_query_cannot_be_used_with_it(run: Run) -> None:
    result = run("leases", "node-life", "-o", "parquet", "--query", "entries")
    assert result.exit_code == 2
    assert "--query cannot be used with -o parquet" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_a_full_disk_is_an_error_with_a_sentence() -> None:

    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cnitrail", "leases", str(FIXTURES / "node-life"), "-o", "parquet"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert b"error: the answer cannot be written: No space left on device" in done.stderr
