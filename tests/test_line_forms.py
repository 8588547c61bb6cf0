"""Line forms: texts in which each record has something in front of it, or beside it."""

import json
import time

import pytest
import records as r

ASSIGN = r.GOOD["AssignPrivateIpAddresses"]
DELETE = r.GOOD["DeleteNetworkInterface"]
LOOK = r.record("DescribeInstances", {"instancesSet": {}, "filterSet": {}}, readOnly=True)
STREAM = "111122223333_CloudTrail_eu-west-1_2"
TIME = "2024-05-14T09:30:00"
BOTH = ["AssignPrivateIpAddresses", "DeleteNetworkInterface"]


def lines(before: str, after: str = "", *, end: str = "\n", indent: int | None = None) -> bytes:
    """Three records, each with a text in front of it and one after it."""
    return "".join(
        f"{before}{json.dumps(entry, indent=indent)}{after}{end}" for entry in (ASSIGN, LOOK, DELETE)
    ).encode()


class TestPrefixes:
    @pytest.mark.parametrize(
        ("form", "before"),
        [
            ("cloudwatch-logs", f"{TIME}.000000+00:00 {STREAM} "),
            ("cloudwatch-logs", f"\x1b[32m{TIME}.000000+00:00\x1b[0m \x1b[36m{STREAM}\x1b[0m "),
            ("cloudwatch-logs", f"\x1b[32m{TIME}\x1b[0m "),
            ("cloudwatch-logs", f"[{TIME}Z] ({STREAM}) "),
            ("cloudwatch-logs", f"{TIME.replace('T', ' ')} +0000 aws.cloudtrail: "),
            ("cloudwatch-logs", f"trails/all {STREAM} "),
            ("cloudwatch-logs", f"trails/all o-a1b2c3d4e5_{STREAM} {TIME}.000Z "),
            ("records", "May 14 09:30:00 collector forwarder: @cee: "),
            ("records", "logs/2024/05.json:"),
            ("records", "logs/2024/05.json:17:"),
            ("records", "17:"),
            ("records", "\x1e"),
            ("records", "\x1b[35mlogs/05.json\x1b[m\x1b[K\x1b[36m:\x1b[m\x1b[K"),
        ],
    )
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_the_records_are_read_and_the_rest_is_taken_away(self, form: str, before: str, end: str) -> None:
        reading = r.scanned(lines(before, end=end))
        assert (reading.names, reading.skipped) == (BOTH, [])
        assert reading.tally.forms == {form: 3}

    def test_records_with_line_breaks_may_follow_a_colored_line(self) -> None:
        reading = r.scanned(lines(f"\x1b[32m{TIME}+00:00\x1b[0m \x1b[36m{STREAM}\x1b[0m \n", indent=4))
        assert (reading.names, reading.skipped) == (BOTH, [])

    def test_colors_may_be_cut_anywhere_between_two_pieces(self) -> None:
        text = lines(f"\x1b[32m{TIME}\x1b[0m \x1b[36m{STREAM}\x1b[0m ")
        for size in (*range(1, 40), 1000):
            reading = r.scanned([text[at : at + size] for at in range(0, len(text), size)])
            assert (reading.names, reading.skipped) == (BOTH, [])

    def test_free_text_before_a_record_is_not_taken_away(self) -> None:
        reading = r.scanned(lines(f"{TIME}Z web: user sent "))
        assert (reading.names, reading.tally.records) == ([], 0)
        assert reading.skipped[0].startswith("not JSON: ")


class TestColumns:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (f"{TIME}+02:00\t", ""),
            ("1715679000000\t", ""),
            ("1715679000.0\tec2.amazonaws.com\tada@example.com\tTrue\t", ""),
            ("", f"\t{TIME}+00:00\tAssignPrivateIpAddresses"),
            ("6f0c4f3a-1111-2222-3333-444455556666\t", f"\tNone\t{STREAM}"),
            ("MESSAGES\t", "\t0cc175b9\tAQEB"),
        ],
    )
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_a_query_as_text_may_have_columns_beside_the_record(
        self, before: str, after: str, end: str
    ) -> None:
        reading = r.scanned(lines(before, after, end=end))
        assert (reading.names, reading.skipped) == (BOTH, [])

    def test_lines_without_a_record_among_them_are_reported(self) -> None:
        reading = r.scanned(lines(f"{TIME}\t") + f"{TIME}\ta note that someone wrote\n".encode())
        assert reading.names == BOTH
        assert reading.skipped == [f"not JSON: {TIME}\ta note that someone wrote"]

    def test_of_the_fields_of_insights_the_message_has_the_record(self) -> None:
        message = f"RESULTS\t@message\t{json.dumps(ASSIGN)}\n"
        text = f"Complete\nRESULTS\t@timestamp\t{TIME}\n{message}RESULTS\t@ptr\tCm\nSTATISTICS\t1.0\n"
        reading = r.scanned(text.encode())
        assert (reading.names, reading.skipped) == (["AssignPrivateIpAddresses"], [])
        assert reading.tally.forms == {"logs-insights": 1}

    def test_insights_with_a_field_that_a_caller_chose_are_not_read_as_text(self) -> None:
        forged = f"x\nRESULTS\t@message\t{json.dumps(DELETE)}"
        row = f"RESULTS\trequestParameters.description\t{forged}\nRESULTS\t@message\t{json.dumps(ASSIGN)}\n"
        reading = r.scanned(f"Complete\n{row}".encode())
        assert (reading.names, len(reading.skipped)) == ([], 1)

    def test_insights_without_the_message_are_not_taken_for_an_empty_result(self) -> None:
        reading = r.scanned(b"Complete\nRESULTS\teventName\tAssignPrivateIpAddresses\n")
        assert reading.skipped[0].startswith("not JSON: ")

    def test_many_columns_take_no_longer_than_their_length(self) -> None:
        column = b"a0000000-0000-0000-0000-000000000000\t"
        started = time.process_time()
        r.scanned(column * 1500 + b"!\n")
        r.scanned(b"{}\t" + column * 1500 + b"!\n")
        assert time.process_time() - started < 2
