"""Answers of a hostile query engine: each is an error in a sentence, or a fact that is shown safely."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from conftest import Run
from duck_engine import TABLE_NOW, DuckEngine, description
from msgspec.structs import replace
from table_answers import read_table
from test_sql_records import assigned

from cnitrail import sources
from cnitrail.decode import RELEVANT_CALLS
from cnitrail.errors import CnitrailError, SourceError
from cnitrail.model import Scope
from cnitrail.model.table import QueryState
from cnitrail.sources.sql.engine import Cells
from cnitrail.sources.sql.shapes import Shape
from cnitrail.sources.sql.source import TableSource
from cnitrail.sources.sql.statement import ANSWER, statement
from cnitrail.sources.sql.trino import TrinoEngine

CELLS = statement(Shape.CLOUDTRAIL, description(TABLE_NOW), '"t"', RELEVANT_CALLS).cells
FILE = "s3://b/111111111111_CloudTrail_eu-west-1_20260415T0205Z_x.json.gz"


class Answering(DuckEngine):
    """An engine that answers every statement with these rows."""

    def __init__(self, answered: Sequence[Cells]) -> None:
        super().__init__(description(TABLE_NOW), [])
        self.answered = answered

    def rows(self) -> Iterator[Cells]:
        return iter(self.answered)


def row(**changes: str | None) -> Cells:
    """The row of a record, or of others if it has none."""
    record = assigned()
    texts = {name.lower(): value for name, value in record.items()}
    cells = [texts.get(cell.path[0]) for cell in CELLS]
    shown = [cell if cell is None or isinstance(cell, str) else json.dumps(cell) for cell in cells]
    named = {
        "account": "111111111111",
        "region": "eu-west-1",
        "day": "2026-04-15",
        "sign": "delivery",
        "minutes": "0205",
        "path": FILE,
        "place": None,
        "record": json.dumps(shown),
        "records": "1",
    }
    return tuple({**named, **changes}[name] for name in ANSWER)


OTHERS: dict[str, Any] = {"path": None, "record": None}


class TestCounts:
    @pytest.mark.parametrize("number", ["-5", "0", "1.5", "", "1e3", "many", "9" * 30, "9" * 5000, "\u0663"])
    def test_a_number_of_records_that_cannot_be_is_an_error(
        self, number: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(SourceError) as error:
            read_table(Answering([row(records=number)]), monkeypatch)
        assert "the result of query q-1 is not as expected" in error.value.message
        assert len(error.value.message) < 300

    @pytest.mark.parametrize("number", ["-5", "1.5", "many", "9" * 30])
    def test_so_is_one_of_the_others(self, number: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(SourceError, match="is not as expected"):
            read_table(Answering([row(), row(records=number, **OTHERS)]), monkeypatch)

    @pytest.mark.parametrize("place", ["-1", "x", "9" * 30])
    def test_so_is_a_place_in_a_file(self, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(SourceError, match="is not as expected"):
            read_table(Answering([row(place=place)]), monkeypatch)

    def test_copies_that_do_not_fit_in_memory_are_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(SourceError, match="rows of more than 2,000,000 records"):
            read_table(Answering([row(records="900000000")]), monkeypatch)

    def test_the_sums_of_others_fit_in_a_store(self, monkeypatch: pytest.MonkeyPatch) -> None:
        many = [row(records="999999999999", minutes=f"{n:04}", **OTHERS) for n in range(60)]
        case = read_table(Answering([row(), *many]), monkeypatch)
        assert case.evidence.sources[0].passed_over == 60 * 999_999_999_999


class TestRows:
    @pytest.mark.parametrize(
        "answered", [row()[:-1], (*row(), "more"), (), row(record="[]"), row(record='["a", "b"]')]
    )
    def test_one_of_another_length_is_an_error(
        self, answered: Cells, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(SourceError, match="is not as expected"):
            read_table(Answering([answered]), monkeypatch)

    @pytest.mark.parametrize("column", range(len(ANSWER)))
    @pytest.mark.parametrize("value", [17, 1.5, True, ["x"], {}, b"x"])
    def test_one_with_values_that_are_no_texts_is_an_error(
        self, column: int, value: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cells = list(row())
        cells[column] = value
        with pytest.raises(SourceError, match="is not as expected"):
            read_table(Answering([tuple(cells)]), monkeypatch)

    @pytest.mark.parametrize("record", ["", "{", "null", "17", '"x"', "{}", "[" * 100_000, '["\\ud800"]'])
    def test_a_record_that_is_no_list_is_an_error(self, record: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(SourceError, match="is not as expected"):
            read_table(Answering([row(record=record)]), monkeypatch)

    @pytest.mark.parametrize("cell", [None, 17, [], {}, "x", "9" * 5000, "[" * 100_000, 1e300, True])
    def test_cells_of_any_type_are_a_record_or_what_could_not_be_read(
        self, cell: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        case = read_table(Answering([row(record=json.dumps([cell] * len(CELLS))), row()]), monkeypatch)
        assert case.evidence.sources[0].records == 2

    @pytest.mark.parametrize("name", ["account", "region", "day", "sign", "minutes", "path"])
    @pytest.mark.parametrize("text", ["../../x", "a!/b", "\x1b[2J\x00", "\ud800", "", "x" * 100_000, "-"])
    def test_texts_of_any_kind_are_counted(
        self, name: str, text: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answered = [row(), row(**{name: text}), row(**{**OTHERS, name: text}), row(**{name: None})]
        case = read_table(Answering(answered), monkeypatch)
        assert case.evidence.sources[0].records == 4
        assert case.evidence.tables == ("athena://default.cloudtrail_logs",)


class TestTimes:
    @pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "2026-W01", "20260415", "0000-00-00"])
    def test_days_at_the_ends_of_the_calendar(self, day: str, monkeypatch: pytest.MonkeyPatch) -> None:
        try:
            case = read_table(Answering([row(day=day, minutes="0000 2359 2400 9999")]), monkeypatch)
        except CnitrailError as error:
            pytest.fail(str(error))
        assert case.evidence.sources[0].records == 1


class TestStatistics:
    @pytest.mark.parametrize("number", ["x", -1, 1e300, float("nan"), None, [], 2**80, True])
    def test_numbers_of_a_trino_server_that_cannot_be_are_unknown(self, number: Any) -> None:
        engine = TrinoEngine("trino://localhost/hive/logs/cloudtrail", Scope())
        names = ("elapsedTimeMillis", "queuedTimeMillis", "physicalInputBytes", "processedBytes")
        engine._take_stats({"state": 17, **dict.fromkeys(names, number)})
        progress, result = engine._progress(), engine.result()
        assert (progress.state, progress.scanned_bytes) == (QueryState.QUEUED, None)
        assert (result.seconds, result.scanned_bytes) == (None, None)


class TestScreens:
    @pytest.mark.parametrize("command", ["timeline", "leases", "findings", "report", "doctor"])
    @pytest.mark.parametrize("options", [[], ["--format", "json"]])
    def test_what_an_engine_returns_is_printed_safely(
        self, command: str, options: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        evil = "\x1b]0;owned\x07\u202e\x00\x9b2J"
        answered = [
            row(),
            row(path=f"s3://b/{evil}", account=evil, region=evil),
            row(path=evil, record=json.dumps([evil] * len(CELLS))),
            row(**{**OTHERS, "account": evil, "minutes": evil}),
        ]
        kind = replace(
            sources._SCHEMES["athena://"], open=lambda _, scope: TableSource(Answering(answered), scope)
        )
        monkeypatch.setitem(sources._SCHEMES, "athena://", kind)
        result = run(command, "athena://default.cloudtrail_logs", *options)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        for text in (result.stdout, result.stderr):
            assert not set(text) & set("\x1b\x07\u202e\x00\x9b"), text
