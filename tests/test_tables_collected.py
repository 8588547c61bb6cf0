"""A table that is collected again and again, with other options each time: all counts once."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
import simulator
from conftest import Run
from duck_engine import Entry, cloudtrail_rows
from table_answers import same_answers
from test_sql_stories import with_every_field
from test_tables import NOW, Tables, counts
from test_tables import tables as tables  # noqa: PLC0414  # the fixture

import cnitrail

WORLD = simulator.random_world(5, 120)
BEGIN, END = simulator.START, WORLD.now // 1000
PLACES = {
    "--account": sorted({record["recipientAccountId"] for record in WORLD.records}),
    "--region": sorted({record["awsRegion"] for record in WORLD.records}),
}


def rows_of(table: str) -> list[tuple[str, Entry]]:
    """The rows of a table: of log files, of a copy without their names, or with unknown accounts."""
    files = simulator.deliver(WORLD).files
    rows = list(cloudtrail_rows((name, list(map(with_every_field, records))) for name, records in files))
    if table == "files":
        return rows
    rows = [(f"s3://b/part-{number % 3}.parquet", row) for number, (_, row) in enumerate(rows)]
    if table == "copy":
        return rows
    return [
        (path, row | {"recipientaccountid": None} if number % 4 else row)
        for number, (path, row) in enumerate(rows)
    ]


def random_options(chance: random.Random) -> list[str]:
    """Options that ask for a part of a table."""
    times = sorted(chance.randint(BEGIN - 9000, END + 9000) for _ in range(2))
    texts = [str(datetime.fromtimestamp(time, UTC)) for time in times]
    options = []
    for name, text in zip(("--since", "--until"), texts, strict=True):
        options += [name, text] if chance.random() < 0.7 else []
    for name, known in PLACES.items():
        options += [name, chance.choice(known)] if chance.random() < 0.4 else []
    return options


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["files", "copy", "unknown-accounts"])
def test_whatever_was_asked_before_all_counts_once(
    kind: str, seed: int, tables: Tables, run: Run, tmp_path: Path
) -> None:
    chance, store = random.Random(seed), tmp_path / "a.db"
    table = tables.make(NOW, rows_of(kind))
    whole = cnitrail.read(table)
    for _ in range(4):
        result = run("collect", table, "--to", store, *random_options(chance))
        assert result.exit_code in (0, 1), result.stderr
        if store.exists() and result.exit_code == 0:
            found = counts(cnitrail.read(store))
            assert all(number <= counts(whole)[name] for name, number in found.items()), found
    assert run("collect", table, "--to", store).exit_code == 0
    case = cnitrail.read(store)
    same_answers(case, whole)
    assert counts(case) == counts(whole)


def test_a_copy_that_got_late_records_counts_once(tables: Tables, run: Run, tmp_path: Path) -> None:
    rows, store = rows_of("copy"), tmp_path / "a.db"
    random.Random(0).shuffle(rows)
    for share in (3, 2, 1):
        table = tables.make(NOW, [("s3://b/part.parquet", row) for _, row in rows[: len(rows) // share]])
        assert run("collect", table, "--to", store).exit_code == 0
    whole, case = cnitrail.read(table), cnitrail.read(store)
    same_answers(case, whole)
    assert counts(case) == counts(whole)


def test_a_copy_that_was_compacted_counts_once(tables: Tables, run: Run, tmp_path: Path) -> None:
    rows, store = rows_of("copy"), tmp_path / "a.db"
    rows += rows[::3]  # what at-least-once delivery does
    for number in range(3):
        table = tables.make(
            NOW, [(f"s3://b/{number}-{index % 4}.parquet", row) for index, (_, row) in enumerate(rows)]
        )
        assert run("collect", table, table, "--to", store).exit_code == 0
    whole, case = cnitrail.read(table), cnitrail.read(store)
    same_answers(case, whole)
    assert counts(case) == counts(whole)
