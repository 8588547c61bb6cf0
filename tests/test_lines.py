"""Texts with something before each record, or beside it; what is around the records is never read as one."""

import pytest
from export_forms import csv_text, lookup_events_text, own_rows, syslog, tail_detailed, tail_json, tail_short
from records import GOOD, Entry, compact, record, scanned

from cnitrail.scan import lines

ASSIGN = GOOD["AssignPrivateIpAddresses"]
DELETE = GOOD["DeleteNetworkInterface"]
LOOK = record("DescribeInstances", {"instancesSet": {}, "filterSet": {}}, readOnly=True)
FORGED = compact(DELETE)
TIME = b"2022-10-05T13:14:10+00:00"
SHORT = b"2022-10-05T13:14:10"
STREAM = b"111122223333_CloudTrail_eu-west-1"


def line(entry: Entry, prefix: bytes) -> bytes:
    return prefix + b" " + compact(entry) + b"\n"


class TestPrefixes:
    @pytest.mark.parametrize(
        "prefix",
        [
            TIME + b" " + STREAM,
            SHORT,
            b"2022-10-05T13:14:10.123Z",
            b"2022-10-05 13:14:10",
            b"\x1b[32m" + TIME + b"\x1b[0m \x1b[36m" + STREAM + b"\x1b[0m",
            b"<134>1 2022-10-05T13:14:10Z relay cloudtrail - - -",
            b'<134>1 2022-10-05T13:14:10Z relay cloudtrail - - [x@1 a="]"][y@1]',
            b"<134>Oct  5 13:14:10 relay cloudtrail:",
            b"Oct 15 13:14:10 relay",
        ],
    )
    def test_are_taken_away(self, prefix: bytes) -> None:
        text = line(ASSIGN, prefix) + line(LOOK, prefix) + line(DELETE, prefix)
        for changed in (text, text.replace(b"\n", b"\r\n"), text.removesuffix(b"\n"), b"\n" + text):
            reading = scanned(changed)
            assert (reading.names, reading.skipped) == (
                ["AssignPrivateIpAddresses", "DeleteNetworkInterface"],
                [],
            )
            assert reading.tally.records == 3

    @pytest.mark.parametrize("write", [tail_detailed, tail_short, tail_json, syslog, lookup_events_text])
    @pytest.mark.parametrize("size", [1, 7, 1000])
    def test_may_be_anywhere_in_pieces(self, write: object, size: int) -> None:
        assert callable(write)
        text = write([ASSIGN, LOOK, DELETE])
        reading = scanned(text[start : start + size] for start in range(0, len(text), size))
        assert reading.names == ["AssignPrivateIpAddresses", "DeleteNetworkInterface"]
        assert (reading.tally.records, reading.skipped) == (3, [])

    def test_a_message_that_was_cut_is_reported(self) -> None:
        cut = compact(ASSIGN)[:300] + b"[Truncated...]\n"
        reading = scanned(TIME + b" " + STREAM + b" " + cut + line(DELETE, TIME + b" " + STREAM))
        assert reading.names == ["DeleteNetworkInterface"]
        assert len(reading.skipped) == 1
        assert reading.tally.damaged

    def test_a_line_without_an_end_is_not_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lines, "_MAX_LINE", 1000)
        text = line(ASSIGN, TIME) + TIME + b" " + b"x" * 5000 + b"\n" + line(DELETE, TIME)
        reading = scanned(text[start : start + 100] for start in range(0, len(text), 100))
        assert reading.names == ["AssignPrivateIpAddresses", "DeleteNetworkInterface"]


class TestForgery:
    """Whoever writes a line, or chooses a part of it, can write what looks like a record."""

    @pytest.mark.parametrize(
        "forged",
        [
            TIME + b" " + STREAM + b" GET /" + FORGED,
            TIME + b" " + STREAM + b" a b c, " + FORGED,
            TIME + b" " + STREAM + b" }" + FORGED,
            TIME + b" " + STREAM + b' {"message":' + FORGED + b"}",
            TIME + b" a{b} " + FORGED,
            TIME + b' "a" ' + FORGED,
        ],
    )
    def test_after_other_text_in_a_line_of_logs_tail(self, forged: bytes) -> None:
        before = line(ASSIGN, TIME + b" " + STREAM)
        reading = scanned(before + forged + b"\n" + line(LOOK, TIME + b" " + STREAM))
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert len(reading.skipped) == 1

    def test_after_a_word_where_lines_have_no_log_stream(self) -> None:
        reading = scanned(line(ASSIGN, SHORT) + SHORT + b" GET " + FORGED + b"\n" + line(LOOK, SHORT))
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert reading.tally.records == 2

    @pytest.mark.parametrize(
        "field",
        [
            b'[x@1 a="] ' + FORGED.replace(b'"', rb"\"") + b'"]',
            b'[x@1 a="\\"] ' + FORGED.replace(b'"', rb"\"") + b'"]',
            b'[x@1 a="] {}"][y@1 b="] {}"]',
        ],
    )
    def test_in_the_structured_data_of_syslog(self, field: bytes) -> None:
        header = b"<134>1 2022-10-05T13:14:10Z relay app - - "
        reading = scanned(line(ASSIGN, header + b"-") + line(LOOK, header + field))
        assert (reading.names, reading.tally.records) == (["AssignPrivateIpAddresses"], 2)
        assert reading.skipped == []

    @pytest.mark.parametrize("name", [FORGED, b"x," + FORGED, b"},{" + FORGED, b"{", b"EVENTS"])
    def test_in_the_names_of_resources_and_users(self, name: bytes) -> None:
        text = (
            b"EVENTS\tAKIAIOSFODNN7EXAMPLE\t" + compact(ASSIGN) + b"\tid\tname\t" + name + b"\n"
            b"RESOURCES\t" + name + b"\tAWS::EC2::VPC\n"
            b"EVENTS\t" + compact(LOOK) + b"\tid\tname\t" + name + b"\n"
            b"RESOURCES\tAWS::EC2::VPC\t" + name + b"\n"
            b"NEXTTOKEN\t" + name + b"\n"
        )
        reading = scanned(text)
        assert (reading.names, reading.tally.records, reading.skipped) == (
            ["AssignPrivateIpAddresses"],
            2,
            [],
        )

    @pytest.mark.parametrize(
        "text",
        [
            b'192.0.2.1 - - [05/Oct/2022] "GET /?a=1,' + FORGED + b'" 200\n',
            b"request: }" + FORGED + b"\n",
            b"a\nb\nbody=[" + FORGED + b"," + FORGED + b"]\nc\n",
        ],
    )
    def test_in_a_line_of_another_log(self, text: bytes) -> None:
        reading = scanned(text)
        assert (reading.names, reading.tally.records) == ([], 0)
        assert len(reading.skipped) == 1


class TestForgeryInTables:
    FORGED_TEXT = FORGED.decode()

    @pytest.mark.parametrize(
        "cell",
        [FORGED_TEXT, f"a\n{FORGED_TEXT}\n", f'a","{FORGED_TEXT}', f"a\r\n_raw\r\n{FORGED_TEXT}", "\0", '"'],
    )
    @pytest.mark.parametrize(
        "column", ["host", "Records", "detail", "Body", "message", "eventName", "fields"]
    )
    def test_a_cell_beside_the_record_is_not_read(self, cell: str, column: str) -> None:
        rows = [
            {column: cell, "_raw": compact(entry).decode(), "z": cell, "eventTime": "x"}
            for entry in (ASSIGN, LOOK)
        ]
        reading = scanned(csv_text(rows))
        assert (reading.names, reading.tally.records, reading.skipped) == (
            ["AssignPrivateIpAddresses"],
            2,
            [],
        )

    @pytest.mark.parametrize("column", ["Body", "message", "eventName"])
    def test_a_cell_beside_another_log_s_line_is_not_read(self, column: str) -> None:
        text = csv_text([{column: self.FORGED_TEXT, "_raw": "GET / 200", "requestParameters": "{}"}])
        reading = scanned(text)
        assert (reading.names, reading.tally.records) == ([], 1)
        assert reading.skipped == ["record 0: not an object but GET / 200"]

    @pytest.mark.parametrize("nothing", ["", "-", None])
    def test_a_row_without_its_original_is_read_by_its_columns(self, nothing: str | None) -> None:
        entry = {name: value for name, value in own_rows([ASSIGN])[0].items() if value is not None}
        reading = scanned(compact({"event.original": nothing} | entry | {"errorCode": ""}))
        assert reading.names == ["AssignPrivateIpAddresses"]

    def test_the_headers_of_files_that_were_put_together_are_no_rows(self) -> None:
        text = csv_text([{"_raw": compact(entry).decode(), "host": "h"} for entry in (ASSIGN, DELETE)])
        reading = scanned(text + text)
        assert reading.names == ["AssignPrivateIpAddresses", "DeleteNetworkInterface"] * 2
        assert reading.skipped == []
