"""``flows -o parquet``: what DuckDB reads is what was in the records."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run
from flow_logs import COLUMNS, EVIDENCE, flow, write_log

from cnitrail.workflows.flows.directory import LIST

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("arro3.io")


def rows(path: Path, columns: str = "*") -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = duckdb.sql(f"select {columns} from read_parquet('{path}')").fetchall()
    return found


def write(run: Run, logs: Path, to: Path) -> None:
    result = run("flows", logs, "--with", EVIDENCE, "-o", "parquet", "--to", to)
    assert result.exit_code == 0, result.stderr


def test_columns_are_in_snake_case_and_numbers_are_integers(run: Run, tmp_path: Path) -> None:
    write(run, write_log(tmp_path / "a.log", [flow(1)]), tmp_path / "out.parquet")
    described = duckdb.sql(f"describe from '{tmp_path / 'out.parquet'}'").fetchall()
    assert [(name, type_) for name, type_, *_ in described[:16]] == [
        *(("version", "INTEGER"), ("account_id", "VARCHAR"), ("interface_id", "VARCHAR")),
        *(("srcaddr", "VARCHAR"), ("dstaddr", "VARCHAR"), ("srcport", "INTEGER"), ("dstport", "INTEGER")),
        *(("protocol", "INTEGER"), ("packets", "BIGINT"), ("bytes", "BIGINT"), ("start", "BIGINT")),
        *(("end", "BIGINT"), ("action", "VARCHAR"), ("log_status", "VARCHAR")),
        *(("pkt_srcaddr", "VARCHAR"), ("pkt_dstaddr", "VARCHAR")),
    ]
    added = [name for name, *_ in described[16:]]
    assert added[:2] == ["src_ip", "src_verdict"]
    assert added[-1] == "dst_reasons"
    assert {type_ for _, type_, *_ in described[16:]} == {"VARCHAR"}


def test_what_a_record_has_not_is_null(run: Run, tmp_path: Path) -> None:
    empty = flow(
        1, srcaddr="-", dstaddr="-", bytes="-", log_status="NODATA", pkt_srcaddr="-", pkt_dstaddr="-"
    )
    write(run, write_log(tmp_path / "a.log", [empty]), tmp_path / "out.parquet")
    columns = "srcaddr, bytes, log_status, src_ip, src_verdict, dst_reasons"
    assert rows(tmp_path / "out.parquet", columns) == [(None, None, "NODATA", None, None, None)]


def test_it_has_what_json_lines_have(run: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "logs/a.log.gz", map(flow, range(300)))
    write_log(tmp_path / "logs/b.log", map(flow, range(300, 400)))
    write(run, tmp_path / "logs", tmp_path / "out.parquet")
    lines = tmp_path / "out.jsonl"
    lines.write_text(run("flows", tmp_path / "logs", "--with", EVIDENCE, "-o", "jsonl").stdout)
    names = duckdb.sql(f"from '{tmp_path / 'out.parquet'}'").columns
    columns = ", ".join(f'"{name}"::varchar' for name in names)
    read = duckdb.sql(f"select {columns} from read_json('{lines}', format='newline_delimited')").fetchall()
    assert rows(tmp_path / "out.parquet", columns) == read
    assert len(read) == 400


def test_a_directory_has_a_file_for_each(run: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "logs/x/a.log.gz", map(flow, range(5)))
    write_log(tmp_path / "logs/b.log.parquet.log", map(flow, range(7)))
    write(run, tmp_path / "logs", tmp_path / "out")
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert found == [LIST, "b.log.parquet.log.parquet", "x/a.log.parquet"]
    assert rows(tmp_path / "out/**/*.parquet", "count(*)") == [(12,)]


def test_any_number_of_processes_writes_the_same_bytes(tmp_path: Path) -> None:
    logs = write_log(tmp_path / "a.log", map(flow, range(30_000)))
    written = [
        subprocess.run(
            (*(sys.executable, "-m", "cnitrail", "flows", logs, "--with", EVIDENCE, "-o", "parquet"),
             *("--workers", str(number))),
            check=True, capture_output=True,
        ).stdout
        for number in (1, 3)
    ]  # fmt: skip
    assert written[0] == written[1]
    (tmp_path / "out.parquet").write_bytes(written[0])
    assert rows(tmp_path / "out.parquet", "count(*)") == [(30_000,)]


def test_what_should_be_a_number_and_is_none_is_null_and_said(run: Run, tmp_path: Path) -> None:
    hostile = [flow(1, srcport="=1+1"), flow(2, bytes="9" * 30), flow(3, dstport=1 << 31), flow(4)]
    log = write_log(tmp_path / "a.log", hostile)
    result = run("flows", log, "--with", EVIDENCE, "-o", "parquet", "--to", tmp_path / "out.parquet")
    assert result.exit_code == 3
    assert "3 values of records that should be numbers are null in Parquet" in result.stderr
    assert rows(tmp_path / "out.parquet", "srcport, dstport, bytes") == [
        *((None, 443, 101), (1026, 443, None), (1027, None, 103), (1028, 443, 104))
    ]


def test_texts_are_as_they_were(run: Run, tmp_path: Path) -> None:
    odd = 'a"b\\c=\u00fc'
    log = write_log(tmp_path / "a.log", [f"{flow(1)} {odd}"], (*COLUMNS, "interface-tag"))
    write(run, log, tmp_path / "out.parquet")
    assert rows(tmp_path / "out.parquet", "interface_tag") == [(odd,)]


def test_an_empty_log_gives_an_empty_table(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("")
    write(run, tmp_path / "a.log", tmp_path / "out.parquet")
    assert rows(tmp_path / "out.parquet", "src_ip") == []


def test_files_of_different_columns_are_no_table(run: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "logs/a.log", [flow(1)])
    write_log(tmp_path / "logs/b.log", [flow(2).rsplit(" ", 1)[0]], COLUMNS[:-1])
    result = run(
        "flows", tmp_path / "logs", "--with", EVIDENCE, "-o", "parquet", "--to", tmp_path / "out.parquet"
    )
    assert result.exit_code == 3
    assert "it has other columns than" in result.stderr
    assert rows(tmp_path / "out.parquet", "count(*)") == [(1,)]


def test_without_the_extra_it_says_what_to_install(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnitrail.render.parquet.find_spec", lambda _: None)
    log = write_log(tmp_path / "a.log", [flow(1)])
    result = run("flows", log, "--with", EVIDENCE, "-o", "parquet", "--to", tmp_path / "out.parquet")
    assert result.exit_code == 2
    assert "pip install 'cnitrail[parquet]'" in result.stderr
    assert not (tmp_path / "out.parquet").exists()


def test_a_disk_that_is_full_is_an_error(run: Run, tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.log", [flow(1)])
    command = (sys.executable, "-m", "cnitrail", "flows", log, "--with", EVIDENCE, "-o", "parquet")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert b"error: the answer cannot be written: No space left on device" in done.stderr
    assert b"panicked" not in done.stderr
