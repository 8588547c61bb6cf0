"""Tables as people define them: known, pruned, and read with the answers of the log files."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES
from duck_engine import DuckEngine, Entry, cloudtrail_rows, description, log_files, ocsf_table_rows
from msgspec.structs import replace
from table_answers import entries, of_files, read_table
from table_definitions import DEFINITIONS, REFUSED, Definition
from trino_sql_validator import validate

import cnitrail
from cnitrail.errors import SourceError
from cnitrail.model import Scope
from cnitrail.sources.sql.description import TableDescription
from cnitrail.sources.sql.partitions import pruning
from cnitrail.sources.sql.shapes import Shape, shape_of

URI = "athena://default.cloudtrail_logs"
STORY = "node-life"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def described(definition: Definition, account: str, region: str) -> TableDescription:
    """A definition as an engine describes it, for a story's account and Region."""
    partitions = {name: kind for name, (kind, _) in definition.partitions.items()}
    return replace(
        description(definition.columns, partitions),
        properties={
            name: text.format(account=account, region=region) for name, text in definition.properties.items()
        },
        location=definition.location and definition.location.format(account=account, region=region),
    )


def rows_of(definition: Definition, files: list[tuple[str, list[Entry]]]) -> Iterator[tuple[str, Entry]]:
    """The rows of a table of log files, with their partition values."""
    make = ocsf_table_rows if definition.shape is Shape.OCSF else cloudtrail_rows
    for path, records in files:
        account, _, region, stamp, *_ = Path(path).name.split("_")
        time = datetime.strptime(stamp, "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
        values = {
            name: value.replace("{t:%s}", str(int(time.timestamp()))).format(
                account=account, region=region, t=time
            )
            for name, (_, value) in definition.partitions.items()
        }
        for stored, row in make([(path, records)]):
            yield stored, typed(definition, row, account, region) | values


def typed(definition: Definition, row: Entry, account: str, region: str) -> Entry:
    """A row with the times and other values that a table's types ask for."""
    row = dict(row)
    kind = definition.columns.get("eventtime", "")
    if kind.startswith("timestamp"):
        row["eventtime"] = row["eventtime"].replace("T", " ").replace("Z", "+00" if "zone" in kind else "")
    elif kind == "bigint":
        row["eventtime"] = (datetime.fromisoformat(row["eventtime"]) - _EPOCH) // timedelta(milliseconds=1)
    for column in definition.columns:
        if column.startswith("user_identity_"):
            row[column] = value_of(row["useridentity_as_string"], column)
    if definition.shape is Shape.OCSF:
        happened = _EPOCH + timedelta(milliseconds=row["time"])
        row |= {"region": region, "accountid": account, "time_dt": f"{happened:%Y-%m-%d %H:%M:%S}"}
    return row


def value_of(identity: Entry, column: str) -> object:
    """The value of a caller that a column is named for, user_identity_session_context_…."""
    found: Any = {"useridentity": identity}
    rest = column.replace("_", "")
    while rest:
        fitting = [name for name in found or () if rest.startswith(name.lower())]
        if not fitting:
            return None
        name = max(fitting, key=len)
        found, rest = found[name], rest.removeprefix(name.lower())
    return found


def one_place(files: list[tuple[str, list[Entry]]]) -> tuple[str, str]:
    """The account and Region of a story's log files."""
    ((account, region),) = {tuple(Path(path).name.split("_")[0:3:2]) for path, _ in files}
    return account, region


@pytest.mark.parametrize("name", DEFINITIONS)
class TestEveryDefinition:
    def test_it_gives_the_answers_of_the_files(
        self, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        definition = DEFINITIONS[name]
        stored = list(log_files(FIXTURES / STORY))
        account, region = one_place(stored)
        table = described(definition, account, region)
        assert shape_of(table, URI) is definition.shape
        files = of_files(STORY, definition.lost, tmp_path if definition.lost else FIXTURES)
        times = [entry.time for entry in files.timeline()]
        asked: dict[str, Any] = {
            "since": min(times) - timedelta(minutes=30),
            "until": max(times) + timedelta(minutes=30),
            "account": account,
            "region": region,
            "max_scan": 10**12,
        }
        engine = DuckEngine(table, rows_of(definition, stored))
        answer = read_table(engine, monkeypatch, **asked)
        folder = tmp_path / STORY if definition.lost else FIXTURES / STORY
        expected = cnitrail.read(
            folder, **{key: asked[key] for key in ("since", "until", "account", "region")}
        )
        assert entries(answer.timeline()) == entries(expected.timeline()) != []
        assert entries(answer.leases()) == entries(expected.leases()) != []
        assert validate(engine.statement).valid
        report = answer.evidence.sources[0].engine
        assert report is not None
        assert report.pruned_by == definition.pruned

    def test_another_year_is_not_read(self, name: str) -> None:
        definition = DEFINITIONS[name]
        stored = list(log_files(FIXTURES / STORY))
        account, region = one_place(stored)
        table = described(definition, account, region)
        another = Scope(
            since=datetime(2023, 3, 1, tzinfo=UTC),
            until=datetime(2023, 3, 2, tzinfo=UTC),
            accounts=(account,),
            regions=(region,),
        )
        engine = DuckEngine(table, rows_of(definition, stored))
        found = pruning(table, another, datetime(2025, 1, 1, tzinfo=UTC))
        conditions = " AND ".join(["TRUE", *found.conditions])
        list(engine.run(f"SELECT count(*) FROM cloudtrail_logs WHERE {conditions}"))
        ((count,),) = engine.rows()
        assert (str(count) == "0") == bool(definition.pruned)


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_lacks_something_is_refused_with_what(name: str) -> None:
    _, columns, message = REFUSED[name]
    with pytest.raises(SourceError) as raised:
        shape_of(description(columns), URI)
    assert message in str(raised.value)
    assert raised.value.hint


def test_every_source_is_named() -> None:
    assert all(definition.source for definition in DEFINITIONS.values())
    assert json.dumps([source for source, _, _ in REFUSED.values()])
