"""CSV exports: rows by column name, one at a time, and nothing after quotes that are wrong."""

import tracemalloc
from collections.abc import Iterator

import export_forms as forms
import pytest
import records as r

from cnitrail.scan.containers.streams import TornStream
from cnitrail.scan.csv_text import csv_rows, looks_like_csv
from cnitrail.scan.rows import Rebuilt, rebuild
from cnitrail.scan.split import UnreadableSpan

ASSIGNED = r.GOOD["AssignPrivateIpAddresses"]


def rows_of(text: bytes, size: int = 1 << 20) -> list[dict[str, object] | UnreadableSpan]:
    """The rows of a text that comes in pieces of a size."""
    return list(csv_rows(iter([text[at : at + size] for at in range(0, len(text), size)])))


def reasons_of(text: bytes) -> list[str]:
    return [row.reason for row in rows_of(text) if isinstance(row, UnreadableSpan)]


class TestRows:
    @pytest.mark.parametrize("size", [1, 7, 1 << 20])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("line_end", ["\n", "\r\n"])
    def test_a_row_is_a_dictionary(self, delimiter: str, line_end: str, size: int) -> None:
        rows = [{"eventname": 'a "b"; c,\td|', "eventtime": "1\n2\n", "errorcode": None}]
        text = forms.csv_text(rows, delimiter, line_end)
        assert rows_of(text, size) == rows

    def test_a_whole_athena_result_is_rebuilt(self) -> None:
        (row,) = rows_of(forms.athena_csv([ASSIGNED]), 100)
        assert isinstance(row, dict)
        found = rebuild(row)
        assert isinstance(found, Rebuilt)
        assert found.record["responseElements"] == ASSIGNED["responseElements"]

    def test_a_cell_may_be_as_long_as_a_record(self) -> None:
        text = b'_raw,b\n"' + b"x" * 1_000_000 + b'",1\n'
        (row,) = rows_of(text)
        assert isinstance(row, dict)
        assert row["_raw"] == "x" * 1_000_000

    def test_invalid_utf8_is_replaced(self) -> None:
        assert rows_of(b"a,b\n\xff,1\n", 1) == [{"a": "\ufffd", "b": "1"}]

    def test_the_last_line_needs_no_end_and_an_empty_line_is_no_row(self) -> None:
        assert rows_of(b"a,b\n\n1,2") == [{"a": "1", "b": "2"}]

    def test_the_line_with_the_separator_for_excel_is_no_header(self) -> None:
        text = b"sep=;\r\n@timestamp;@message\r\n1;x\r\n"
        assert looks_like_csv(text)
        assert rows_of(text, 3) == [{"@timestamp": "1", "@message": "x"}]

    def test_an_empty_text_has_no_rows(self) -> None:
        assert rows_of(b"") == []


class TestDamage:
    def test_a_row_of_another_length_is_told_with_its_line(self) -> None:
        assert rows_of(b"a,b\n1\n1,2,3\n1,2\n") == [
            UnreadableSpan("line 2 of the CSV has 1 cells, not 2"),
            UnreadableSpan("line 3 of the CSV has 3 cells, not 2"),
            {"a": "1", "b": "2"},
        ]

    def test_after_wrong_quotes_nothing_is_read(self) -> None:
        """A text in a cell could pass for rows there."""
        text = b'a,b\n1,2\n"x"y,"\n5,6\n'
        first, *rest = rows_of(text)
        assert first == {"a": "1", "b": "2"}
        assert [span.reason for span in rest if isinstance(span, UnreadableSpan)] == [
            "broken CSV at line 3 (',' expected after '\"'); not read from there on"
        ]

    def test_an_open_quote_is_told_once(self) -> None:
        (reason,) = reasons_of(b'a,b\n"1,2\n3,4\n')
        assert reason.startswith("broken CSV at line 3 (unexpected end of data)")

    def test_a_repeated_column_is_refused(self) -> None:
        assert rows_of(b"a,b,a\n1,2,3\n") == [UnreadableSpan("the CSV file has the column 'a' twice")]

    def test_too_many_columns_are_refused(self) -> None:
        assert reasons_of(b",".join(b"%d" % n for n in range(3000)) + b"\n1\n") == [
            "a CSV file with 3,000 columns"
        ]

    def test_a_torn_stream_is_told_once_and_its_last_line_left_out(self) -> None:
        def torn() -> Iterator[bytes]:
            yield b"a,b\n1,2\n3,4"
            raise TornStream("the gzip stream ends too early")

        assert list(csv_rows(torn())) == [
            {"a": "1", "b": "2"},
            UnreadableSpan("the gzip stream ends too early"),
        ]

    def test_a_torn_stream_in_a_quoted_cell_is_told_once(self) -> None:
        def torn() -> Iterator[bytes]:
            yield b'a,b\n1,"2\n'
            raise TornStream("torn")

        assert list(csv_rows(torn())) == [UnreadableSpan("torn")]

    @pytest.mark.parametrize("line", [b"x" * 1_000_000, b"x" * 999_999 + b"\n"])
    def test_a_row_that_never_ends_takes_bounded_memory(
        self, line: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("cnitrail.scan.csv_text.RECORD_LIMIT", 4_000_000)

        def endless() -> Iterator[bytes]:
            yield b'a,b\n"'
            for _ in range(1000):
                yield line

        tracemalloc.start()
        (span,) = csv_rows(endless())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert isinstance(span, UnreadableSpan)
        assert "a row is longer than" in span.reason
        assert peak < 50_000_000


class TestLooks:
    @pytest.mark.parametrize(
        "head",
        [
            forms.athena_csv([ASSIGNED]),
            forms.athena_cast_csv([ASSIGNED]),
            forms.lake_csv([ASSIGNED]),
            forms.console_csv([ASSIGNED]),
            forms.csv_text(forms.sentinel_rows([ASSIGNED])),
            b"@timestamp,@message\n",
            b"@message\n",
            b'"_time","_raw"\r\n',
            b"EVENTTIME,EVENTNAME\n",
            b"time,message\n",
            b"event_time;event_name;cloud_trail_event\n",
            b"timestamp,source,full_message\n",
            b"time\teventTime\teventName\n",
            b'"@timestamp","event.action","event.original"\n',
        ],
    )
    def test_an_export_is_recognized(self, head: bytes) -> None:
        assert looks_like_csv(head)

    @pytest.mark.parametrize(
        "head",
        [
            b"",
            b'{"eventName":"x","eventTime":"y"}\n',
            b'["eventname","eventtime"]\n',
            b"a,b,c\n1,2,3\n",
            b"2024-05-14T09:30:00Z eventName,eventTime\n",
            b"eventname\n",
            b"<message>\n",
            b"message\n",
            b"x" * 100_000 + b",message\n",
        ],
    )
    def test_anything_else_is_not(self, head: bytes) -> None:
        assert not looks_like_csv(head)
