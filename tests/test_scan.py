"""The scan: from log files in any envelope, intact, torn or hostile, to the relevant records."""

import json
import os
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import (
    GOOD,
    POD_IDENTITY,
    Entry,
    Reading,
    compact,
    json_values,
    record,
    scanned,
    zipped,
)

from cnitrail.decode import NAMES, decode
from cnitrail.model import Document, Growth, Origin, Record, Skipped
from cnitrail.scan import Scanner
from cnitrail.scan.activity_signs import sign_of

ASSIGN = GOOD["AssignPrivateIpAddresses"]
DELETE = GOOD["DeleteNetworkInterface"]
LOOK = record("DescribeInstances", {"instancesSet": {}, "filterSet": {}}, readOnly=True)
THREE = [ASSIGN, LOOK, DELETE]
FOUND = ["AssignPrivateIpAddresses", "DeleteNetworkInterface"]


def looked_up(entry: Entry) -> Entry:
    """One item of LookupEvents."""
    return {
        "EventId": entry["eventID"],
        "EventName": entry["eventName"],
        "ReadOnly": "false",
        "EventTime": "2024-05-14T09:30:00+00:00",
        "EventSource": entry["eventSource"],
        "Resources": [],
        "CloudTrailEvent": compact(entry).decode(),
    }


def bridged(entry: Entry) -> Entry:
    """An EventBridge envelope."""
    return {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ec2",
        "account": "111122223333",
        "time": "2024-05-14T09:30:01Z",
        "region": "eu-west-1",
        "resources": [],
        "detail": entry,
    }


def lines(values: list[Entry], end: str = "\n") -> bytes:
    return b"".join(compact(value) + end.encode() for value in values)


ENVELOPES = {
    "a log file": compact({"Records": THREE}),
    "a log file written for people": json.dumps({"Records": THREE}, indent=2).encode(),
    "a log file with keys around its records": compact({"a": [{"b": "}]"}], "Records": THREE, "c": {}}),
    "a bare array of records": compact(THREE),
    "a bare array written for people": json.dumps(THREE, indent=4).encode(),
    "records, one a line": lines(THREE),
    "records, one a line, as Windows writes them": lines(THREE, "\r\n"),
    "records, one a line, with blank lines": lines(THREE, "\n\n"),
    "records, one after the other": lines(THREE, ""),
    "records written for people, one after the other": b"\n".join(
        json.dumps(entry, indent=2).encode() for entry in THREE
    ),
    "an answer of LookupEvents": compact({"Events": [looked_up(entry) for entry in THREE]}),
    "an answer of LookupEvents that has a next page": compact(
        {"NextToken": "abc", "Events": [looked_up(entry) for entry in THREE], "ResponseMetadata": {"a": []}}
    ),
    "items of LookupEvents, one a line": lines([looked_up(entry) for entry in THREE]),
    "items of LookupEvents whose record is no string": compact(
        {"Events": [looked_up(entry) | {"CloudTrailEvent": entry} for entry in THREE]}
    ),
    "EventBridge envelopes, one a line": lines([bridged(entry) for entry in THREE]),
    "an array of EventBridge envelopes": compact([bridged(entry) for entry in THREE]),
    "two log files, one behind the other": compact({"Records": [ASSIGN, LOOK]})
    + compact({"Records": [DELETE]}),
    "two log files, one a line": lines([{"Records": [ASSIGN, LOOK]}, {"Records": [DELETE]}]),
    "a log file and single records": compact({"Records": [ASSIGN, LOOK]}) + b"\n" + compact(DELETE),
    "text with a byte order mark": b"\xef\xbb\xbf" + compact({"Records": THREE}),
}

envelopes = pytest.mark.parametrize("text", ENVELOPES.values(), ids=ENVELOPES.keys())


class TestEnvelopes:
    @envelopes
    def test_the_relevant_records_are_found_in_order(self, text: bytes) -> None:
        reading = scanned(text)
        assert reading.names == FOUND
        assert reading.skipped == []

    @envelopes
    def test_gzip_changes_nothing(self, text: bytes) -> None:
        reading = scanned(zipped(text))
        assert reading.names == FOUND
        assert reading.skipped == []

    @envelopes
    def test_every_record_is_counted_even_if_irrelevant(self, text: bytes) -> None:
        assert scanned(text).tally.records == 3

    @envelopes
    def test_every_record_has_its_origin(self, text: bytes) -> None:
        assert [
            (origin.source, origin.index)
            for record in scanned(text, "a/b.json").records
            for origin in record.origins
        ] == [
            ("a/b.json", 0),
            ("a/b.json", 2),
        ]

    @envelopes
    def test_records_are_returned_without_their_envelope(self, text: bytes) -> None:
        assert [json.loads(record.payload) for record in scanned(text).records] == [ASSIGN, DELETE]

    def test_a_single_record_is_a_document(self) -> None:
        assert scanned(json.dumps(ASSIGN, indent=2).encode()).names == ["AssignPrivateIpAddresses"]

    def test_a_single_eventbridge_envelope_is_a_document(self) -> None:
        assert scanned(compact(bridged(ASSIGN))).names == ["AssignPrivateIpAddresses"]

    def test_keys_may_have_any_order(self) -> None:
        turned = [dict(reversed(entry.items())) for entry in THREE]
        assert scanned(compact({"Records": turned})).names == FOUND

    @pytest.mark.parametrize("text", [b'{"Records":[]}', b"[]", b'{"Events":[]}'])
    def test_an_envelope_without_records_is_not_damage(self, text: bytes) -> None:
        reading = scanned(text)
        assert (reading.records, reading.skipped, reading.tally.records) == ([], [], 0)

    def test_a_record_may_have_a_key_with_the_name_of_an_envelope(self) -> None:
        entry = ASSIGN | {"requestParameters": {"Records": [DELETE], "Events": [LOOK]}}
        reading = scanned(compact({"Records": [entry]}))
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert reading.tally.records == 1

    def test_a_value_with_the_name_of_an_envelope_is_a_value(self) -> None:
        text = compact({"a": "Records", "b": ["Events"], "Records": [ASSIGN]})
        assert scanned(text).names == ["AssignPrivateIpAddresses"]

    def test_one_record_instead_of_a_list_of_one_is_read(self) -> None:
        reading = scanned(compact({"Records": DELETE}))
        assert (reading.names, reading.tally.records) == (["DeleteNetworkInterface"], 1)
        assert (scanned(compact({"Records": LOOK})).tally.passed_over, reading.skipped) == (1, [])

    @pytest.mark.parametrize("records", ["null", '"x"', "17"])
    def test_a_value_that_is_not_a_list_of_records_is_reported(self, records: str) -> None:
        reading = scanned(b'{"Records":%s}' % records.encode())
        assert reading.skipped == [f'no list of records: {{"Records":{records}}}']
        assert reading.tally.records == 0

    def test_a_digest_file_is_skipped(self) -> None:
        digest = {
            "awsAccountId": "111122223333",
            "digestStartTime": "2024-05-14T08:30:00Z",
            "digestEndTime": "2024-05-14T09:30:00Z",
            "digestS3Bucket": "logs",
            "digestS3Object": "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2024/05/14/x.json.gz",
            "previousDigestSignature": None,
            "logFiles": [{"s3Bucket": "logs", "s3Object": "x", "hashValue": "00", "newestEventTime": "x"}],
        }
        reading = scanned(zipped(compact(digest)))
        assert (reading.records, reading.skipped, reading.tally.records) == ([], [], 0)

    def test_an_insight_record_is_skipped_even_if_it_names_a_call(self) -> None:
        insight = {
            "eventVersion": "1.07",
            "eventTime": "2024-05-14T09:30:00Z",
            "awsRegion": "eu-west-1",
            "eventID": "6f0c4f3a",
            "eventType": "AwsCloudTrailInsight",
            "recipientAccountId": "111122223333",
            "insightDetails": {
                "state": "Start",
                "eventSource": "ec2.amazonaws.com",
                "eventName": "RunInstances",
                "insightType": "ApiCallRateInsight",
            },
            "eventCategory": "Insight",
        }
        assert scanned(compact({"Records": [insight, DELETE]})).skipped == []

    def test_another_eventbridge_event_is_skipped(self) -> None:
        other = bridged({"instance-id": "i-1", "state": "terminated"}) | {
            "detail-type": "EC2 Instance State-change Notification"
        }
        assert scanned(compact(other)).skipped == []


class TestGzip:
    def test_members_are_read_one_after_the_other(self) -> None:
        text = lines(THREE)
        assert scanned(zipped(text[:700]) + zipped(text[700:1000]) + zipped(text[1000:])).names == FOUND

    def test_zeros_may_follow_the_stream(self) -> None:
        assert scanned(zipped(lines(THREE)) + bytes(512)).skipped == []

    def test_other_data_after_the_stream_is_reported(self) -> None:
        reading = scanned(zipped(compact({"Records": THREE})) + b"\0tail")
        assert reading.names == FOUND
        assert reading.skipped == ["4 bytes follow the end of the gzip stream"]

    def test_a_truncated_stream_keeps_its_complete_records(self) -> None:
        noise = [record("Decrypt", {"keyId": os.urandom(2000).hex()}) for _ in range(20)]
        text = zipped(compact({"Records": [ASSIGN, *noise, DELETE]}))
        reading = scanned(text[: len(text) // 2])
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert reading.skipped == ["the gzip stream is cut short"]

    def test_a_record_that_is_complete_before_the_tear_counts(self) -> None:
        packer = zlib.compressobj(wbits=31)
        stream = packer.compress(b'{"Records":[' + compact(ASSIGN)) + packer.flush(zlib.Z_FULL_FLUSH)
        reading = scanned(stream)
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert reading.skipped == ["the gzip stream is cut short"]

    @pytest.mark.parametrize("length", [2, 5, 9])
    def test_a_stream_of_only_a_header_is_reported(self, length: int) -> None:
        assert scanned(zipped(compact({"Records": THREE}))[:length]).skipped == [
            "the gzip stream is cut short"
        ]

    def test_a_wrong_checksum_is_reported_and_loses_no_record(self) -> None:
        text = bytearray(zipped(compact({"Records": THREE})))
        text[-8] ^= 0xFF
        reading = scanned(bytes(text))
        assert reading.names == FOUND
        assert len(reading.skipped) == 1
        assert "the gzip stream is damaged" in reading.skipped[0]

    def test_damage_in_the_middle_keeps_the_records_before_it(self) -> None:
        packer = zlib.compressobj(wbits=31)
        stream = packer.compress(compact({"Records": THREE})[:-2]) + packer.flush(zlib.Z_FULL_FLUSH)
        reading = scanned(stream + b"\xff" * 100)
        assert reading.names == FOUND
        assert "the gzip stream is damaged" in reading.skipped[-1]

    def test_a_damaged_second_member_leaves_the_first(self) -> None:
        second = bytearray(zipped(lines([DELETE])))
        second[2] = 0x55
        reading = scanned(zipped(lines([ASSIGN, LOOK])) + bytes(second))
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert "the gzip stream is damaged" in reading.skipped[-1]


class TestForeignFiles:
    @pytest.mark.parametrize(
        ("beginning", "reason"),
        [
            (
                '{"Records":[{"eventVersion":"1.08","userId'.encode("utf-16-le"),
                "UTF-16 text without a byte order mark",
            ),
            (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7z archive; unpack it first (7z x)"),
            (b"Rar!\x1a\x07\x01\x00", "a RAR archive; unpack it first (unrar x)"),
            (b"\xff\x06\x00\x00sNaPpY", "Snappy-compressed; decompress it first (snzip -d)"),
            (b"\x04\x22\x4d\x18\x64", "LZ4-compressed; decompress it first (lz4 -d)"),
            (b"ORC\n\x06\x12\x04\x088P", "an ORC file; write the table as Parquet or JSON lines"),
            (b"ARROW1\x00\x00\xff\xff", "an Arrow file; write the table as Parquet or JSON lines"),
            (b"Obj\x01\x04\x14avro.codec", "an Avro file; write the table as Parquet or JSON lines"),
        ],
    )
    def test_a_file_of_another_kind_is_named_with_what_to_try(self, beginning: bytes, reason: str) -> None:
        reading = scanned(beginning + b"\x00" * 2000)
        assert reading.records == []
        assert len(reading.skipped) == 1
        assert reading.skipped[0].startswith(reason)

    def test_a_compressed_store_has_to_be_unpacked(self) -> None:
        reading = scanned(zipped(b"SQLite format 3\0" + b"\x00" * 2000))
        assert reading.skipped == [
            "an SQLite database; unpack it first: a store is read only as a file of its own"
        ]

    def test_an_empty_file_that_a_service_leaves_is_another_file(self) -> None:
        reading = scanned(b"", uri="audit/AWSLogs/111122223333/Config/ConfigWritabilityCheckFile")
        assert (reading.skipped, reading.tally.other_kind) == ([], "aws-config")

    def test_texts_in_a_request_stay_texts(self) -> None:
        entry = deepcopy(GOOD["AssignPrivateIpAddresses"])
        entry["requestParameters"]["requestParameters"] = '{"networkInterfaceId":"eni-1"}'
        assert [json.loads(found.payload) for found in scanned(compact({"Records": [entry]})).records] == [
            entry
        ]

    def test_an_empty_file_is_reported(self) -> None:
        assert scanned(b"").skipped == ["the file is empty"]

    @pytest.mark.parametrize("size", [0, 1])
    def test_a_file_of_blanks_has_no_records_and_is_not_damage(self, size: int) -> None:
        assert scanned(b"\n \t\r\n" * (1 + size)).records == []

    def test_an_empty_answer_as_text_is_no_note(self) -> None:
        assert scanned(b"\n", uri="events.txt").tally.other_kind is None

    def test_a_text_that_is_not_json_is_reported_once_with_its_first_line(self) -> None:
        text = b"2 111122223333 eni-1 10.0.0.1 10.0.0.2 443 49152 6 ACCEPT OK\n" * 5000
        reading = scanned(text)
        assert reading.records == []
        assert len(reading.skipped) == 1
        assert reading.skipped[0].startswith("not JSON: 2 111122223333 eni-1 10.0.0.1")

    @pytest.mark.parametrize("text", [b"null", b'"a string"', b"17", b"true"])
    def test_json_without_a_record_is_reported(self, text: bytes) -> None:
        assert len(scanned(text).skipped) == 1

    @pytest.mark.parametrize("value", [{"a": 1}, {"configurationItems": []}, {"Resources": {}}, {}])
    def test_an_object_that_is_not_a_record_is_an_unknown_envelope(self, value: object) -> None:
        (reason,) = scanned(compact(value)).skipped
        assert reason.startswith("unknown envelope, ")


def broken(entry: Entry) -> bytes:
    """A record whose brackets do not close."""
    return compact(entry)[:-2]


class TestDamage:
    @pytest.mark.parametrize("envelope", [b'{"Records":[%b]}', b"[%b]"])
    @pytest.mark.parametrize("damage", [b"", b"}", b"]", b",", b"\n", b'}"'])
    def test_a_quote_left_over_from_a_record_does_not_hide_the_next_one(
        self, envelope: bytes, damage: bytes
    ) -> None:
        records = [compact(ASSIGN | {"eventID": f"event-{number}"}) for number in range(4)]
        text = envelope % b",".join((records[0], damage + b'"}', *records[1:]))
        found = [json.loads(record.payload)["eventID"] for record in scanned(text).records]
        assert found[-3:] == ["event-1", "event-2", "event-3"]

    @pytest.mark.parametrize("element", [b"null", b"17", b'"eventName"', b"[1]", b'["eventName"]', b"truu"])
    def test_an_element_that_is_not_an_object_is_reported_and_the_others_are_found(
        self, element: bytes
    ) -> None:
        reading = scanned(b'{"Records":[' + b",".join([compact(ASSIGN), element, compact(DELETE)]) + b"]}")
        assert reading.names == FOUND
        assert len(reading.skipped) == 1
        assert reading.skipped[0].startswith("record 1: not an object but ")

    @pytest.mark.parametrize(
        "flaw",
        [
            b'{"eventVersion":"1.08","eventName":"AssignPrivateIpAddresses","a":NaN}',
            b'{"eventVersion":"1.08","eventName":"AssignPrivateIpAddresses","a":Infinity}',
            b'{"eventVersion":"1.08","eventName":"AssignPrivateIpAddresses","a":tru}',
            b'{"eventVersion":"1.08","eventName":"AssignPrivateIpAddresses","a":01}',
            b'{"eventVersion":"1.08","eventName":"AssignPrivateIpAddresses","a" 1}',
            b'{"eventVersion":"1.08","eventName":"AssignPrivateIpAddresses","a":"\\x"}',
            b'{"eventVersion":"1.08","eventName":"AssignPrivateIpAddresses",}',
            b'{"eventVersion":"1.08","eventName":"AssignPrivateIpAddresses","a":"\n"}',
        ],
    )
    def test_a_record_that_is_not_json_is_reported_and_the_others_are_found(self, flaw: bytes) -> None:
        reading = scanned(b'{"Records":[' + b",".join([compact(ASSIGN), flaw, compact(DELETE)]) + b"]}")
        assert reading.names == FOUND
        assert len(reading.skipped) == 1
        assert reading.skipped[0].startswith("record 1: broken JSON (")

    @pytest.mark.parametrize("cut", [2, 20, 100, 200, 500, 600])
    def test_a_record_that_does_not_close_is_reported_and_the_others_are_found(self, cut: int) -> None:
        text = b'{"Records":[' + b",".join([compact(LOOK)[:-cut], compact(ASSIGN), compact(DELETE)]) + b"]}"
        reading = scanned(text)
        assert reading.names == FOUND
        assert any('broken JSON: {"eventVersion":"1.08"' in reason for reason in reading.skipped)

    def test_a_record_that_closes_too_often_is_reported_and_the_others_are_found(self) -> None:
        text = b'{"Records":[' + compact(ASSIGN) + b"}," + compact(DELETE) + b"]}"
        reading = scanned(text)
        assert reading.names == FOUND
        assert reading.skipped != []

    def test_what_follows_a_broken_record_is_found_in_any_order_of_keys(self) -> None:
        turned = dict(reversed(DELETE.items()))
        text = b'{"Records":[' + b",".join([broken(LOOK), compact(ASSIGN), compact(turned)]) + b"]}"
        assert scanned(text).names == FOUND

    def test_many_broken_records_do_not_hide_the_good_ones(self) -> None:
        text = b'{"Records":[' + b",".join([broken(LOOK), compact(ASSIGN)] * 50) + b"]}"
        assert scanned(text).names == ["AssignPrivateIpAddresses"] * 50

    def test_a_log_file_that_ends_early_keeps_its_complete_records(self) -> None:
        reading = scanned(compact({"Records": THREE})[:-30])
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert any('broken JSON: {"eventVersion":"1.08"' in reason for reason in reading.skipped)

    def test_a_log_file_that_ends_between_its_records_is_reported(self) -> None:
        reading = scanned(b'{"Records":[' + compact(ASSIGN) + b",")
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert reading.skipped == ["the JSON ends before its envelope is closed"]

    def test_an_array_that_ends_between_its_records_is_reported(self) -> None:
        reading = scanned(b"[" + compact(ASSIGN) + b",")
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert reading.skipped == ["the JSON ends before its array is closed"]

    @pytest.mark.parametrize("cut", [1, 2, 20, 100, 200, 500, 600])
    def test_a_torn_line_is_reported_and_the_other_lines_are_found(self, cut: int) -> None:
        text = compact(ASSIGN) + b"\n" + compact(LOOK)[:-cut] + b"\n" + compact(DELETE) + b"\n"
        reading = scanned(text)
        assert reading.names == FOUND
        assert len(reading.skipped) == 1
        assert 'broken JSON: {"eventVersion":"1.08"' in reading.skipped[0]

    @pytest.mark.parametrize("cut", [1, 20, 100])
    def test_a_torn_line_with_another_key_order_is_reported(self, cut: int) -> None:
        turned = [compact(dict(reversed(entry.items()))) for entry in THREE]
        reading = scanned(b"\n".join([turned[0], turned[1][:-cut], turned[2]]))
        assert reading.names == FOUND
        assert len(reading.skipped) == 1

    def test_a_torn_last_line_is_reported(self) -> None:
        reading = scanned(compact(ASSIGN) + b"\n" + compact(DELETE)[:300])
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert len(reading.skipped) == 1

    def test_lines_of_something_else_are_reported_and_the_others_are_found(self) -> None:
        text = b"hello\n" + compact(ASSIGN) + b"\n# a comment\nand another\n" + compact(DELETE) + b"\nbye"
        reading = scanned(text)
        assert reading.names == FOUND
        assert [reason.partition(":")[0] for reason in reading.skipped] == ["not JSON"] * 3

    @pytest.mark.parametrize("brackets", ["[]", "{}"])
    def test_endless_nesting_is_reported_and_the_others_are_found(self, brackets: str) -> None:
        opening = "[" if brackets == "[]" else '{"a":'
        deep = opening * 10_000 + "1" + brackets[1] * 10_000
        flaw = b'{"eventVersion":"1.08","eventName":"AssignPrivateIpAddresses","a":' + deep.encode() + b"}"
        reading = scanned(b'{"Records":[' + b",".join([compact(ASSIGN), flaw, compact(DELETE)]) + b"]}")
        assert reading.names == FOUND
        assert len(reading.skipped) == 1
        assert reading.skipped[0].startswith("record 1: broken JSON (depth limit exceeded")

    @pytest.mark.parametrize("depth", [300, 900])
    @pytest.mark.parametrize("envelope", [bridged, lambda e: looked_up(e) | {"CloudTrailEvent": e}])
    def test_a_deep_record_in_an_envelope_is_found_or_reported(
        self, depth: int, envelope: Callable[[Entry], Entry]
    ) -> None:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        reading = scanned(compact(envelope(ASSIGN | {"requestParameters": {"a": value}})) + compact(DELETE))
        assert reading.names[-1] == "DeleteNetworkInterface"
        assert len(reading.records) + len(reading.skipped) == 2

    @pytest.mark.parametrize("depth", [300, 900, 980, 1000, 1019])
    @pytest.mark.parametrize("field", ["additionalEventData", "eventName", "eventID"])
    def test_a_deep_record_is_found_or_reported(self, depth: int, field: str) -> None:
        deep = b"[" * depth + b"]" * depth
        text = compact({"Records": [ASSIGN | {field: "@"}, DELETE]}).replace(b'"@"', deep)
        reading = scanned(text)
        assert b"DeleteNetworkInterface" in reading.records[-1].payload
        assert reading.tally.records == 2 or len(reading.skipped) == 1

    def test_an_array_of_only_brackets_is_reported(self) -> None:
        reading = scanned(b"[" * 10_000)
        assert reading.records == []
        assert reading.skipped != []

    def test_a_lookup_item_without_its_record_is_reported(self) -> None:
        item = looked_up(ASSIGN)
        del item["CloudTrailEvent"]
        assert scanned(compact({"Events": [item]})).skipped == [
            "record 0: a LookupEvents item without its CloudTrailEvent"
        ]

    def test_a_read_error_keeps_the_records_before_it(self) -> None:
        def failing() -> Iterator[bytes]:
            yield b'{"Records":[' + compact(ASSIGN) + b","
            raise OSError(5, "Input/output error")

        reading = scanned(failing())
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert reading.skipped == ["reading failed: Input/output error"]

    def test_a_read_error_at_once_is_reported(self) -> None:
        def failing() -> Iterator[bytes]:
            yield from ()
            raise FileNotFoundError(2, "No such file or directory")

        assert scanned(failing()).skipped[0] == "reading failed: No such file or directory"


class TestCharacters:
    @pytest.mark.parametrize(
        "agent",
        [
            b"\xff\xfe",
            b"caf\xe9",
            b"\\ud800",
            b"\\udc00\\ud800",
            b"\xed\xa0\x80",
            b"\\u0000",
            b"\xf0\x9f\x98",
        ],
    )
    def test_a_bad_character_in_a_user_agent_does_not_hide_the_record(self, agent: bytes) -> None:
        text = compact({"Records": [ASSIGN | {"userAgent": "@"}, DELETE]}).replace(b"@", agent)
        reading = scanned(text)
        assert len(reading.records) == 2
        assert reading.skipped == []

    @pytest.mark.parametrize("agent", [b"\xff", b"\\ud800"])
    def test_a_bad_character_does_not_turn_a_nested_object_into_a_record(self, agent: bytes) -> None:
        forger = LOOK | {"userAgent": "@", "requestParameters": {"a": ASSIGN, "b": [ASSIGN, ASSIGN]}}
        reading = scanned(compact({"Records": [forger, DELETE]}).replace(b"@", agent))
        assert [record.origins[0].index for record in reading.records] == [0, 1]
        assert b"DescribeInstances" in reading.records[0].payload
        assert reading.skipped == []

    def test_a_string_may_hold_brackets_quotes_and_backslashes(self) -> None:
        nasty = ASSIGN | {"userAgent": '"}]}{[\\" \\\\', "errorMessage": "]},{\\"}
        reading = scanned(compact({"Records": [nasty, LOOK | {"userAgent": "\\"}, DELETE]}))
        assert reading.names == FOUND
        assert reading.skipped == []

    def test_text_beyond_ascii_may_be_unescaped(self) -> None:
        entry = ASSIGN | {"userAgent": "→ \u2028 日本 😀"}
        reading = scanned(json.dumps({"Records": [entry]}, ensure_ascii=False).encode())
        assert json.loads(reading.records[0].payload) == entry


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


class TestRelevance:
    @pytest.mark.parametrize("name", NAMES)
    def test_every_event_that_is_decoded_is_found(self, name: str) -> None:
        assert scanned(compact({"Records": [record(name)]})).names == [name]

    @pytest.mark.parametrize("name", NAMES)
    def test_a_name_in_escapes_is_found(self, name: str) -> None:
        text = compact({"Records": [record(name)]}).replace(name.encode(), escaped(name).encode())
        assert scanned(text).names == [name]

    def test_a_name_with_one_escaped_digit_is_found(self) -> None:
        text = compact(record("AssignIpv6Addresses")).replace(b"Ipv6", b"Ipv\\u0036")
        assert scanned(text).names == ["AssignIpv6Addresses"]

    def test_a_key_in_escapes_is_found(self) -> None:
        text = compact({"Records": [ASSIGN]}).replace(b'"eventName"', b'"event\\u004eame"')
        assert scanned(text).names == ["AssignPrivateIpAddresses"]

    def test_an_escaped_name_inside_a_lookup_item_is_found(self) -> None:
        item = looked_up(record("AssignIpv6Addresses"))
        item["CloudTrailEvent"] = item["CloudTrailEvent"].replace("Ipv6", "\\u0049pv\\u0036")
        text = compact({"Events": [item | {"EventName": "x"}]})
        assert scanned(text).names == ["AssignIpv6Addresses"]

    def test_assume_role_for_a_pod_is_found(self) -> None:
        other = POD_IDENTITY | {"userIdentity": {}, "sourceIPAddress": "ec2.amazonaws.com", "userAgent": ""}
        reading = scanned(compact({"Records": [other, POD_IDENTITY]}))
        assert [record.origins[0].index for record in reading.records] == [1]

    def test_a_record_without_a_relevant_name_is_not_returned(self) -> None:
        assert scanned(compact({"Records": [LOOK] * 3})).records == []

    def test_a_name_inside_a_string_hides_no_record(self) -> None:
        look = LOOK | {"requestParameters": {"attributeValue": "AssignPrivateIpAddresses"}}
        reading = scanned(compact({"Records": [look, ASSIGN]}))
        assert reading.names[-1] == "AssignPrivateIpAddresses"
        assert reading.skipped == []

    def test_a_nested_object_is_never_a_record(self) -> None:
        forger = LOOK | {"requestParameters": {"a": ASSIGN, "b": [DELETE], "Records": [DELETE]}}
        reading = scanned(compact({"Records": [forger]}))
        assert set(reading.names) <= {"DescribeInstances"}
        assert reading.tally.records == 1

    @pytest.mark.parametrize("whole", [True, False], ids=["in a whole file", "before a tear"])
    def test_a_nested_object_in_a_broken_record_is_never_a_record(self, whole: bool) -> None:
        forger = LOOK | {"requestParameters": {"a": ASSIGN, "b": {"c": DELETE}}}
        text = b'{"Records":[' + broken(forger) + (b"]}" if whole else b"")
        reading = scanned(text)
        assert reading.records == []
        assert len(reading.skipped) >= 1

    def test_a_nested_object_in_a_complete_record_after_a_broken_one_is_never_a_record(self) -> None:
        forger = LOOK | {"requestParameters": {"a": ASSIGN}}
        text = b'{"Records":[' + b",".join([broken(LOOK), compact(forger), compact(DELETE)]) + b"]}"
        assert "AssignPrivateIpAddresses" not in scanned(text).names
        assert scanned(text).names[-1] == "DeleteNetworkInterface"

    def test_a_nested_object_in_a_record_that_is_too_deep_is_never_a_record(self) -> None:
        deep = b"[" * 100_000 + b"]" * 100_000
        text = compact({"Records": [LOOK | {"requestParameters": {"a": "@", "b": ASSIGN}}, DELETE]})
        reading = scanned(text.replace(b'"@"', deep))
        assert reading.names == ["DeleteNetworkInterface"]


class TestAccount:
    def test_bytes_are_counted_as_they_are_stored(self) -> None:
        text = zipped(compact({"Records": THREE}))
        assert scanned(text).tally.bytes == len(text)

    def test_a_record_that_cannot_be_read_counts_as_a_record(self) -> None:
        assert scanned(b'{"Records":[' + compact(ASSIGN) + b",17]}").tally.records == 2

    def test_an_empty_document_is_reported(self) -> None:
        assert scanned(b"").skipped == ["the file is empty"]

    def test_a_reported_record_number_counts_from_the_beginning_of_its_document(self) -> None:
        assert scanned(b"[17]").skipped == ["record 0: not an object but 17"]


class TestSize:
    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cnitrail.scan.split.RECORD_LIMIT", 1 << 20)
        monkeypatch.setattr("cnitrail.scan.pieces.BLOCK", 1 << 16)

    @pytest.mark.parametrize("size", [4096, 1 << 20])
    @pytest.mark.parametrize(
        "giant",
        [
            b'{"eventVersion":"1.08","eventName":"AssignPrivateIpAddresses","a":"' + b"x" * 2_500_000 + b'"}',
            b'{"eventVersion":"1.08","eventName":"AssignPrivateIpAddresses","a":"'
            + b'\\"' * 1_250_000
            + b'"}',
            b'{"eventVersion":"1.08","eventName":"AssignPrivateIpAddresses","a":['
            + b"[]," * 1_000_000
            + b"1]}",
            b'{"eventVersion":"1.08","eventName":"AssignPrivateIpAddresses","a":' + b" " * 2_500_000 + b"1}",
        ],
        ids=["a string", "a string of quotes", "many values", "blanks"],
    )
    def test_a_record_beyond_the_limit_is_reported_and_the_others_are_found(
        self, giant: bytes, size: int
    ) -> None:
        text = b' {"Records":[' + b",".join([compact(ASSIGN), giant, compact(DELETE)]) + b"]}"
        reading = scanned(text[at : at + size] for at in range(0, len(text), size))
        assert reading.names == FOUND
        assert reading.skipped == ["a record is longer than 1 MB"]

    def test_a_line_beyond_the_limit_is_reported_and_the_others_are_found(self) -> None:
        giant = compact(LOOK | {"userAgent": "x" * 2_500_000})
        text = b"\n".join([compact(ASSIGN), giant, compact(DELETE)])
        reading = scanned(text[at : at + 65536] for at in range(0, len(text), 65536))
        assert reading.names == FOUND
        assert reading.skipped == ["a record is longer than 1 MB"]

    def test_a_file_beyond_the_limit_is_read_past_a_record_that_does_not_close(self) -> None:
        text = b'{"Records":[' + b",".join([broken(LOOK), *[compact(LOOK)] * 3000, compact(ASSIGN)]) + b"]}"
        assert len(text) > 2 << 20
        reading = scanned(text[at : at + 65536] for at in range(0, len(text), 65536))
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert reading.skipped[0].startswith('broken JSON: {"eventVersion":"1.08"')

    def test_a_file_beyond_the_limit_is_read_past_a_torn_line(self) -> None:
        text = b"\n".join([compact(LOOK)[:-1], *[compact(LOOK)] * 3000, compact(ASSIGN)])
        assert len(text) > 2 << 20
        reading = scanned(text[at : at + 65536] for at in range(0, len(text), 65536))
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert reading.skipped[0].startswith('broken JSON: {"eventVersion":"1.08"')

    @pytest.mark.parametrize("pack", [False, True], ids=["plain", "gzip"])
    def test_a_string_of_200_megabytes_is_skipped_in_bounded_memory(self, pack: bool) -> None:
        def text() -> Iterator[bytes]:
            yield b'{"Records":[' + compact(ASSIGN) + b',{"eventVersion":"1.08","userAgent":"'
            piece = b"x" * (1 << 20)
            for _ in range(200):
                yield piece
            yield b'"},' + compact(DELETE) + b"]}"

        def stream() -> Iterator[bytes]:
            packer = zlib.compressobj(wbits=31)
            for piece in text():
                yield packer.compress(piece) if pack else piece
            yield packer.flush() if pack else b""

        tracemalloc.start()
        try:
            reading = scanned(stream(), growth=Growth(most=2000))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert reading.names == FOUND
        assert reading.skipped == ["a record is longer than 1 MB"]
        assert peak < 16 << 20

    def test_a_file_of_100_megabytes_is_read_in_bounded_memory(self) -> None:
        look = compact(LOOK | {"userAgent": "x" * 20_000})

        def text() -> Iterator[bytes]:
            yield b'{"Records":[' + compact(ASSIGN)
            for _ in range(100):
                yield b"".join([b"," + look] * 50)
            yield b"," + compact(DELETE) + b"]}"

        tracemalloc.start()
        try:
            reading = scanned(text())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert reading.names == FOUND
        assert reading.skipped == []
        assert peak < 16 << 20


def result(reading: Reading) -> tuple[list[Record], list[str], int]:
    return reading.records, reading.skipped, reading.tally.records


def pieces(text: bytes, cuts: list[int]) -> Iterator[bytes]:
    marks = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    for start, end in pairwise(marks):
        yield text[start:end]


DAMAGES: tuple[bytes, ...] = (
    b"",
    b'"',
    b"}",
    b"{",
    b"]",
    b"[",
    b"\n",
    b"\\",
    b",",
    b"\xff",
    b"\x00",
    b"\\u00",
)

damaged = st.builds(
    lambda text, start, length, patch, pack: (
        zipped(text[:start] + patch + text[start + length :])
        if pack
        else text[: start % len(text)] + patch + text[start % len(text) + length :]
    ),
    st.sampled_from([*ENVELOPES.values(), *map(zipped, list(ENVELOPES.values())[:3])]),
    st.integers(0, 4000),
    st.integers(0, 600),
    st.sampled_from(DAMAGES),
    st.booleans(),
)
"""Envelopes, whole or with a hole somewhere, with something in the hole, plain or gzipped."""


class TestChunks:
    @envelopes
    @pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
    def test_the_size_of_chunks_changes_nothing(self, text: bytes, size: int) -> None:
        for stream in (text, zipped(text)):
            chunks = (stream[at : at + size] for at in range(0, len(stream), size))
            assert result(scanned(chunks)) == result(scanned(stream))

    def test_an_empty_chunk_is_not_the_end(self) -> None:
        text = compact({"Records": THREE})
        for stream in (text, zipped(text)):
            assert scanned([b"", stream[:5], b"", stream[5:400], b"", b"", stream[400:]]).names == FOUND

    @given(damaged, st.lists(st.integers(0, 6000), max_size=8))
    @settings(max_examples=300)
    def test_chunking_changes_nothing_for_damaged_files_either(self, text: bytes, cuts: list[int]) -> None:
        assert result(scanned(pieces(text, cuts))) == result(scanned(text))


def long_way(text: bytes, pack: bool = False) -> Reading:
    """Scan the same text after a blank, which is not CloudTrail's canonical form."""
    return scanned(zipped(b" " + text) if pack else b" " + text)


def relevant(reading: Reading) -> list[tuple[Origin, Entry]]:
    """Return the records with a relevant event name, and their origins."""
    entries = [(record.origins[0], json.loads(record.payload)) for record in reading.records]
    return [(origin, entry) for origin, entry in entries if entry.get("eventName") in NAMES]


class TestTwoWays:
    """Files in CloudTrail's canonical form are searched as a whole, with the same result."""

    @pytest.mark.parametrize("blank", [b" ", b"\n", b"\t"])
    @pytest.mark.parametrize(
        "place", [b'"eventName":', b'"eventVersion":', b'"eventSource":', b'{"Records":']
    )
    def test_a_blank_anywhere_changes_nothing(self, place: bytes, blank: bytes) -> None:
        text = compact({"Records": THREE})
        for written in (place + blank, place[:-1] + blank + b":"):
            for entries in (text.replace(place, written), text.replace(place, written, 1)):
                assert scanned(entries).names == scanned(zipped(entries)).names == FOUND

    @pytest.mark.parametrize(
        "element",
        [
            *(b"17", b"{}", b"[]", b'{"eventVersion":"1.08"}', b'"x"'),
            *(
                b'{"eventVersion":"1.08","eventName":17}',
                b'{"eventVersion":"1.08","eventName":["RunInstances"]}',
            ),
        ],
    )
    def test_an_element_that_is_not_a_record_is_reported_even_beside_irrelevant_records(
        self, element: bytes
    ) -> None:
        text = b'{"Records":[' + b",".join([compact(LOOK), element, compact(LOOK)]) + b"]}"
        assert scanned(text).skipped == long_way(text).skipped != []

    def test_the_records_of_a_file_without_relevant_names_are_counted(self) -> None:
        text = compact({"Records": [LOOK] * 5})
        assert scanned(text).tally.records == scanned(zipped(text)).tally.records == 5

    def test_a_nested_object_is_not_counted_as_a_record(self) -> None:
        text = compact({"Records": [LOOK | {"requestParameters": {"a": [LOOK, LOOK]}}, LOOK]})
        assert scanned(text).tally.records == 2

    @given(
        st.lists(
            st.builds(
                lambda name, nested, turned: dict(
                    list((record(name) | nested).items())[:: -1 if turned else 1]
                ),
                st.sampled_from(
                    ["AssignPrivateIpAddresses", "DescribeInstances", "Assign\u00e9", "RunInstances"]
                ),
                st.sampled_from(
                    [
                        {},
                        {"requestParameters": ASSIGN},
                        {"requestParameters": {"a": [DELETE, LOOK]}},
                        {"requestParameters": {"a": [{"b": 1}, DELETE, LOOK]}},
                        {"requestParameters": {"a": [{"b": []}, LOOK, LOOK, ASSIGN, LOOK, "}]}"]}},
                        {"requestParameters": [1, {"a": "[{"}, [ASSIGN]]},
                    ]
                ),
                st.booleans(),
            ),
            max_size=6,
        ),
        st.booleans(),
        st.lists(
            st.tuples(st.integers(0, 9999), st.sampled_from([b" ", b"\\u0041", b",", b"}", b"]"])), max_size=2
        ),
    )
    @settings(max_examples=300)
    def test_both_ways_find_the_same(
        self, entries: list[Entry], pack: bool, patches: list[tuple[int, bytes]]
    ) -> None:
        text = compact({"Records": entries})
        for place, patch in patches:
            text = text[: place % len(text)] + patch + text[place % len(text) :]
        short, long = scanned(zipped(text) if pack else text), long_way(text, pack)
        assert relevant(short) == relevant(long)
        if not pack:
            assert short.skipped == long.skipped


class TestLookalikes:
    """Text that a caller writes into a request is never a record, wherever it is."""

    FIRST: tuple[object, ...] = (
        {},
        {"a": [[]]},
        {"eventName": "AssignPrivateIpAddresses"},
        "}]",
        17,
        None,
        [{"eventVersion": "1.08"}],
        {"note": "]}]}"},
        {"eventCategory": "Management", "tlsDetails": {"tlsVersion": "TLSv1.3"}},
    )

    @pytest.mark.parametrize("first", FIRST, ids=map(repr, FIRST))
    @pytest.mark.parametrize("others", [0, 1, 3])
    def test_in_an_array_after_something_else(self, first: object, others: int) -> None:
        inner = [first, *[LOOK] * others, ASSIGN, *[LOOK] * others]
        entries = [LOOK, LOOK | {"requestParameters": {"entries": inner}}, LOOK, DELETE]
        reading = scanned(zipped(compact({"Records": entries})))
        assert [pair for pair in relevant(reading) if pair[1] == DELETE] == [(Origin("file", 3), DELETE)]
        assert [entry["eventName"] for _, entry in relevant(reading)] == ["DeleteNetworkInterface"]

    @pytest.mark.parametrize("times", [1, 2, 5])
    def test_in_an_array_of_only_lookalikes(self, times: int) -> None:
        entries = [LOOK | {"requestParameters": {"entries": [ASSIGN] * times}}, DELETE]
        reading = scanned(zipped(compact({"Records": entries})))
        assert relevant(reading) == [(Origin("file", 1), DELETE)]

    @pytest.mark.parametrize(
        "behind",
        [
            b',{"q":1,"eventName":"CreateNetworkInterface"}',
            b', {"eventVersion":"1","eventName":"CreateNetworkInterface","r":{}}',
        ],
    )
    def test_in_an_array_before_a_record_in_another_form(self, behind: bytes) -> None:
        first = b'{"eventVersion":"1","eventName":"A","r":[{"x":1},{"eventVersion":"2"}]}'
        text = b'{"Records":[' + first + behind + b"]}"
        created = [(Origin("file", 1), json.loads(behind.lstrip(b", ")))]
        assert relevant(scanned(text)) == relevant(long_way(text)) == created

    def test_as_the_value_of_a_key(self) -> None:
        reading = scanned(zipped(compact({"Records": [LOOK | {"requestParameters": ASSIGN}, DELETE]})))
        assert relevant(reading) == [(Origin("file", 1), DELETE)]

    def test_as_text(self) -> None:
        entry = LOOK | {"userAgent": compact(ASSIGN).decode()}
        reading = scanned(zipped(compact({"Records": [entry, entry, DELETE]})))
        assert relevant(reading) == [(Origin("file", 2), DELETE)]


def lookalikes(sizes: st.SearchStrategy[int]) -> st.SearchStrategy[object]:
    """Draw what a caller may write into a request: exact records, after and among anything else."""
    perfect = st.builds(
        lambda entry, size: entry | {"userAgent": "x" * size},
        st.sampled_from([ASSIGN, DELETE, record("RunInstances")]),
        sizes,
    )
    other: st.SearchStrategy[object] = st.sampled_from(
        [{}, {"a": [[]]}, "}]", "},{", ']}"', 17, None, [], {"eventVersion": "1.08"}]
    )
    return st.recursive(
        perfect | other,
        lambda inner: st.lists(inner, max_size=6) | st.builds(lambda value: {"a": value}, inner),
        max_leaves=20,
    )


def in_memory(stream: bytes, size: int) -> Iterator[bytes]:
    """Yield a stream in pieces of a size."""
    return (stream[at : at + size] for at in range(0, len(stream), size))


class TestLookalikesOfAnyLength:
    """JSON's structure decides where a record ends, whatever the length of anything."""

    @given(
        st.lists(
            st.sampled_from([LOOK, DELETE])
            | lookalikes(st.sampled_from([0, 500])).map(lambda value: LOOK | {"requestParameters": value}),
            min_size=1,
            max_size=6,
        ),
        st.sampled_from([100, 2000, 1 << 20]),
        st.sampled_from([7, 4096, 1 << 20]),
        st.booleans(),
    )
    @settings(max_examples=400)
    def test_records_are_those_of_a_plain_reading(
        self, entries: list[Entry], block: int, size: int, pack: bool
    ) -> None:
        text = compact({"Records": entries})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cnitrail.scan.pieces.BLOCK", block)
            reading = scanned(in_memory(zipped(text) if pack else text, size))
        assert relevant(reading) == [
            (Origin("file", number), entry) for number, entry in enumerate(entries) if entry is DELETE
        ]
        assert all(
            json.loads(record.payload) == entries[record.origins[0].index] for record in reading.records
        )
        assert (reading.skipped, reading.tally.damaged) == ([], False)
        last = max((record.origins[0].index for record in reading.records), default=-1)
        assert reading.tally.records >= len(entries)
        if not pack or last == len(entries) - 1:
            assert reading.tally.records == len(entries)

    @pytest.mark.parametrize("fill", [9_000, 300_000, 3_000_000], ids=["9 kB", "300 kB", "3 MB"])
    @pytest.mark.parametrize("of_matter", [True, False], ids=["named", "unnamed"])
    @pytest.mark.parametrize("pack", [True, False], ids=["gzip", "plain"])
    @pytest.mark.parametrize("size", [1 << 16, 1 << 30], ids=["in pieces", "at once"])
    def test_lookalikes_of_any_length_may_precede_and_follow_a_record(
        self, fill: int, of_matter: bool, pack: bool, size: int
    ) -> None:
        filler = (DELETE if of_matter else LOOK) | {"userAgent": "x" * 900}
        around = [filler] * (fill // len(compact(filler)))
        policy = {"bucketPolicy": {"Statement": [{"Effect": "Deny"}, *around, ASSIGN, *around]}}
        entries = [LOOK, LOOK | {"requestParameters": policy}, LOOK, DELETE]
        stream = compact({"Records": entries})
        reading = scanned(in_memory(zipped(stream) if pack else stream, size), growth=Growth(most=2000))
        assert relevant(reading) == [(Origin("file", 3), DELETE)]
        assert (reading.tally.records, reading.skipped) == (4, [])

    def test_a_record_before_lookalikes_is_found_without_reading_them(self) -> None:
        policy = {"Statement": [{"Effect": "Deny"}, *[LOOK] * 50]}
        text = compact({"Records": [LOOK, DELETE, LOOK | {"requestParameters": policy}]})
        assert relevant(scanned(zipped(text))) == [(Origin("file", 1), DELETE)]

    @pytest.mark.parametrize(
        "inner", [[{"a": 1}, ASSIGN, ASSIGN, LOOK], [ASSIGN, ASSIGN], [1, [{"b": 2}, ASSIGN]]]
    )
    def test_a_stream_cut_anywhere_makes_none_of_them_a_record(self, inner: list[object]) -> None:
        text = compact({"Records": [DELETE, LOOK | {"requestParameters": {"entries": inner}}, LOOK]})
        for cut in range(len(text)):
            packer = zlib.compressobj(wbits=31)
            reading = scanned(packer.compress(text[:cut]) + packer.flush(zlib.Z_FULL_FLUSH))
            assert [entry for _, entry in relevant(reading)] in ([], [DELETE])
            assert reading.tally.damaged


class TestDamaged:
    """A damaged document is marked, whatever is found in it."""

    TEXT = compact({"Records": [ASSIGN, LOOK, DELETE]})

    @envelopes
    def test_an_intact_document_is_not_marked(self, text: bytes) -> None:
        assert not scanned(text).tally.damaged
        assert not scanned(zipped(text)).tally.damaged

    def test_a_flipped_bit_alters_nothing_or_marks_the_document(self) -> None:
        stream, whole = zipped(self.TEXT), scanned(zipped(self.TEXT)).records
        for bit in range(len(stream) * 8):
            flipped = bytearray(stream)
            flipped[bit // 8] ^= 1 << bit % 8
            reading = scanned(bytes(flipped))
            assert reading.tally.damaged or (reading.records, reading.skipped) == (whole, []), bit

    def test_a_truncated_stream_is_marked(self) -> None:
        stream = zipped(self.TEXT)
        assert all(scanned(stream[:length]).tally.damaged for length in range(1, len(stream)))

    def test_a_truncated_text_is_marked(self) -> None:
        assert all(scanned(self.TEXT[:length]).tally.damaged for length in range(1, len(self.TEXT)))

    @pytest.mark.parametrize("tail", [b"more", b"\0tail", zipped(b"{}")[:9]])
    def test_data_after_a_stream_marks_it(self, tail: bytes) -> None:
        reading = scanned(zipped(self.TEXT) + tail)
        assert (reading.names, reading.tally.damaged) == (FOUND, True)

    @pytest.mark.parametrize("flaw", [b'{"eventName":"A","a":tru}', b"17", b"{,}", compact(LOOK)[:-1]])
    @pytest.mark.parametrize("write", [bytes, zipped], ids=["plain", "gzip"])
    def test_broken_json_between_records_marks_a_text(
        self, flaw: bytes, write: Callable[[bytes], bytes]
    ) -> None:
        text = b'{"Records":[' + b",".join([compact(ASSIGN), flaw, compact(DELETE)]) + b"]}"
        reading = scanned(write(text))
        assert (reading.names, reading.tally.damaged) == (FOUND, True)

    def test_a_text_with_a_read_error_is_marked(self) -> None:
        def failing() -> Iterator[bytes]:
            yield self.TEXT[:-2]
            raise OSError(5, "Input/output error")

        assert scanned(failing()).tally.damaged

    def test_a_bomb_is_marked(self) -> None:
        bomb = zipped(self.TEXT[:-2] + b" " * (8 << 20) + b"]}")
        assert scanned(bomb, growth=Growth(most=2)).tally.damaged

    @pytest.mark.parametrize("value", [{"a": 1}, {"Records": None}, {"EventId": "x"}])
    def test_an_intact_text_of_something_else_is_not_marked(self, value: object) -> None:
        reading = scanned(compact(value))
        assert (len(reading.skipped), reading.tally.damaged) == (1, False)


class TestRolesThatServicesAssume:
    """These are a tenth of all records: they are skipped, and no others are."""

    SERVICES = ("ec2.amazonaws.com", "eks.amazonaws.com", "AWS Internal", "a-b.c.amazonaws.com")
    OTHERS = (
        "203.0.113.9",
        "2001:db8::1",
        "fe80::1",
        "pods.eks.amazonaws.com",
        "amazonaws.com.example.com",
        "xamazonaws.com",
        "",
        "ec2.amazonaws.com\u0000",
        "1.amazonaws.com",
    )

    @staticmethod
    def assumed(source: str) -> Entry:
        return record("AssumeRole", {}, eventSource="sts.amazonaws.com", sourceIPAddress=source)

    @staticmethod
    def sources(text: bytes) -> list[str]:
        """Return the sources of the calls that are returned."""
        scanner = Scanner(["AssumeRole", "AssumeRoleWithWebIdentity"], ["pods.eks.amazonaws.com"])
        ((part, tally),) = scanner.parts(Document(uri="file", chunks=iter([text])))
        found = list(scanner.scan(part, tally))
        assert all(isinstance(record, Record) for record in found)
        return [
            json.loads(record.payload)["sourceIPAddress"] for record in found if isinstance(record, Record)
        ]

    @pytest.mark.parametrize("plain", [True, False], ids=["without the fast libraries", "with them"])
    @pytest.mark.parametrize(
        "write", [bytes, zipped, lambda text: b" " + text], ids=["plain", "gzip", "slow"]
    )
    def test_calls_of_services_are_skipped_and_all_others_found(
        self, write: Callable[[bytes], bytes], plain: bool, request: pytest.FixtureRequest
    ) -> None:
        if plain:
            request.getfixturevalue("_plain_python")
        entries = [self.assumed(source) for source in (*self.SERVICES, *self.OTHERS, *self.SERVICES)]
        assert self.sources(write(compact({"Records": entries}))) == list(self.OTHERS)

    def test_a_longer_name_with_the_same_beginning_is_found(self) -> None:
        entry = self.assumed("ec2.amazonaws.com") | {"eventName": "AssumeRoleWithWebIdentity"}
        assert self.sources(zipped(compact({"Records": [entry]}))) == ["ec2.amazonaws.com"]

    def test_a_service_named_in_the_request_or_the_next_record_hides_nothing(self) -> None:
        behind = {"eventName": "AssumeRole", "awsRegion": "a", "sourceIPAddress": "ec2.amazonaws.com"}
        entry = self.assumed("203.0.113.9") | {"requestParameters": {"a": [behind]}, "userAgent": behind}
        turned = {"eventVersion": "1.08", "sourceIPAddress": "203.0.113.9", "eventName": "AssumeRole"}
        service = self.assumed("ec2.amazonaws.com")
        text = compact({"Records": [service, entry, turned, service]})
        assert self.sources(zipped(text)) == self.sources(b" " + text) == ["203.0.113.9"] * 2

    @given(st.lists(st.sampled_from([*SERVICES, *OTHERS]) | st.text(max_size=20), max_size=8))
    def test_both_ways_find_the_same(self, sources: list[str]) -> None:
        text = compact({"Records": [self.assumed(source) for source in sources]})
        found = self.sources(zipped(text))
        assert found == self.sources(b" " + text)
        assert [source for source in sources if source not in found] == [
            source
            for source in sources
            if source == "AWS Internal" or (source.endswith(".amazonaws.com") and source not in self.OTHERS)
        ]


def facts(reading: Reading) -> list[object]:
    """Return the decoded content of the records that were found."""
    decoded = [decode(record) for record in reading.records]
    return [one for one in decoded if one.fact is not None or one.problems]


@pytest.fixture
def _plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run without the optional fast libraries."""
    monkeypatch.setattr("cnitrail.scan.multisearch.ahocorasick_rs", None)
    monkeypatch.setattr("cnitrail.scan.multisearch.stringzilla", None)
    monkeypatch.setattr("cnitrail.scan.containers.gzipped.deflate", None)


class TestWithoutTheFastLibraries:
    @envelopes
    @pytest.mark.usefixtures("_plain_python")
    def test_the_same_records_are_found(self, text: bytes) -> None:
        assert scanned(text).names == scanned(zipped(text)).names == FOUND

    @given(damaged)
    @settings(max_examples=200)
    def test_any_file_reads_the_same(self, text: bytes) -> None:
        fast = scanned(text)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cnitrail.scan.multisearch.ahocorasick_rs", None)
            patch.setattr("cnitrail.scan.multisearch.stringzilla", None)
            patch.setattr("cnitrail.scan.containers.gzipped.deflate", None)
            plain = scanned(text)
        assert facts(plain) == facts(fast)
        assert (plain.skipped, plain.tally) == (fast.skipped, fast.tally)


class TestLibdeflate:
    """libdeflate needs one member of known length; all other streams are read, too."""

    TEXT = compact({"Records": THREE})

    def test_all_members_of_a_file_are_read_even_if_equal(self) -> None:
        assert scanned(zipped(self.TEXT) * 2).names == FOUND * 2
        assert scanned(zipped(self.TEXT) * 2).tally.records == 6

    def test_a_stated_length_that_is_wrong_is_reported(self) -> None:
        stream = zipped(self.TEXT)
        for stated in (0, 1, len(self.TEXT) - 1, len(self.TEXT) + 1, 1 << 20, 0xFFFFFFFF):
            reading = scanned(stream[:-4] + stated.to_bytes(4, "little"))
            assert reading.names == FOUND
            assert reading.skipped == [
                "the gzip stream is damaged (Error -3 while decompressing data: incorrect length check)"
            ]

    def test_bytes_after_the_stream_are_reported(self) -> None:
        assert scanned(zipped(self.TEXT) + b"more").skipped == ["4 bytes follow the end of the gzip stream"]

    def test_zeros_after_the_stream_are_padding(self) -> None:
        reading = scanned(zipped(self.TEXT) + bytes(512))
        assert (reading.names, reading.skipped) == (FOUND, [])


class TestAnyInput:
    @given(st.binary(max_size=300))
    @settings(max_examples=300)
    def test_no_bytes_raise_and_all_are_counted(self, text: bytes) -> None:
        reading = scanned(text)
        assert reading.records == []
        if text.strip(b" \t\r\n,") and reading.tally.other_kind is None:
            assert reading.skipped != [] or set(text) <= set(b"[] \t\r\n,\x00\xef\xbb\xbf\xff\xfe")

    @given(st.text(alphabet='{}[]":,\\ \n0eventVersionNameRecords', max_size=80))
    @settings(max_examples=500)
    def test_no_text_of_json_punctuation_raises(self, text: str) -> None:
        scanned(text.encode())

    @given(
        st.sampled_from(["Records", "lines", "array"]),
        st.integers(0, 8000),
        st.integers(0, 1500),
        st.sampled_from([damage for damage in DAMAGES if damage != b"["]),
    )
    @settings(max_examples=500)
    def test_damage_costs_no_record_that_it_does_not_touch(
        self, envelope: str, start: int, length: int, patch: bytes
    ) -> None:
        entries = [ASSIGN | {"eventID": f"event-{number}"} for number in range(10)]
        texts = [compact(entry) for entry in entries]
        between = b"\n" if envelope == "lines" else b","
        before, after = {"Records": (b'{"Records":[', b"]}"), "lines": (b"", b"\n"), "array": (b"[", b"]")}[
            envelope
        ]
        text = before + between.join(texts) + after
        start = max(len(before), start % len(text))
        end = start + length
        places = [len(before) + sum(len(piece) + 1 for piece in texts[:number]) for number in range(10)]
        untouched = [
            entry["eventID"]
            for entry, place, whole in zip(entries, places, texts, strict=True)
            if end < place - 1 or place + len(whole) < start
        ]
        reading = scanned(text[:start] + patch + text[end:])
        found = [
            json.loads(record.payload.decode("utf-8", "replace")).get("eventID") for record in reading.records
        ]
        assert [event_id for event_id in found if event_id in untouched] == untouched


@st.composite
def log_files(draw: st.DrawFn) -> tuple[list[Entry], bytes]:
    """Draw any records, and a log file of them in any layout."""
    names = st.sampled_from([*NAMES, "DescribeInstances", "", "assignprivateipaddresses"]) | st.text(
        max_size=5
    )
    fields: st.SearchStrategy[Entry] = st.dictionaries(
        st.text(max_size=8)
        | st.sampled_from(
            ["eventName ", "EventName", "Records", "Events", "requestParameters", "eventVersion"]
        ),
        json_values
        | st.sampled_from([*NAMES, '{"eventName":"RunInstances"}', '"eventName":"RunInstances"', "\\"]),
        max_size=4,
    )
    entries = []
    for entry in draw(st.lists(fields, max_size=6)):
        if draw(st.booleans()):
            entry["nested"] = draw(st.sampled_from([ASSIGN, [DELETE], {"eventName": "RunInstances"}]))
        entry["eventName"] = draw(names)
        keys = draw(st.permutations(list(entry)))
        entries.append({key: entry[key] for key in keys})
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :\n")]))
    text = json.dumps(
        {"Records": entries},
        indent=draw(st.sampled_from([None, 1, "\t"])),
        separators=separators,
        ensure_ascii=draw(st.booleans()),
    )
    return entries, zipped(text.encode()) if draw(st.booleans()) else text.encode()


class TestNaiveReader:
    @given(log_files())
    @settings(max_examples=200)
    def test_the_same_records_are_found_as_by_plain_json_parsing(
        self, log_file: tuple[list[Entry], bytes]
    ) -> None:
        entries, text = log_file
        reading = scanned(text)
        found = [json.loads(record.payload) for record in reading.records]
        names = frozenset(NAMES)

        def relevant(entry: Entry) -> bool:
            return entry["eventName"] in names

        assert [entry for entry in found if relevant(entry)] == [
            entry for entry in entries if relevant(entry)
        ]
        assert reading.tally.records == len(entries)
        assert reading.skipped == []

    @given(st.lists(st.sampled_from(NAMES), max_size=5), st.randoms(use_true_random=False))
    @settings(deadline=None)
    def test_any_ascii_may_be_written_as_an_escape(self, names: list[str], random: Any) -> None:
        def spelled(text: str) -> str:
            return (
                '"'
                + "".join(escaped(character) if random.random() < 0.2 else character for character in text)
                + '"'
            )

        entries = ",".join(
            "{" + f"{spelled('eventVersion')}:{spelled('1.08')},{spelled('eventName')}:{spelled(name)}" + "}"
            for name in names
        )
        assert scanned(f'{{"Records":[{entries}]}}'.encode()).names == names


class TestActivitySigns:
    """Every record shows when its account and Region were logged."""

    @pytest.mark.parametrize(
        "written",
        [
            "2022-10-05T13:16:06Z",
            "2022-10-05 13:16:06",
            "2022-10-05T15:16:06+02:00",
            "2022-10-05T08:46:06.123-0430",
        ],
    )
    def test_are_in_utc(self, written: str) -> None:
        assert sign_of("111111111111", "eu-west-1", written) == (
            "111111111111",
            "eu-west-1",
            datetime(2022, 10, 5, 13, 16, tzinfo=UTC),
        )

    @pytest.mark.parametrize("written", ["", "2022-10-05", "yesterday", "9999-12-31T23:59:59-10:00", None])
    def test_need_a_time(self, written: object) -> None:
        assert sign_of("111111111111", "eu-west-1", written) is None


class TestEventNamesInAnotherCase:
    """CloudTrail writes no such name: a program has changed the record, and perhaps its values, too."""

    LOW = GOOD["AssignPrivateIpAddresses"] | {"eventName": "assignprivateipaddresses"}
    OTHER = record("DescribeInstances")
    WHY = (
        "the event name {!r} is not in CloudTrail's own case, so what was changed is not known; "
        "export the records as CloudTrail wrote them"
    )

    def skipped(self, text: bytes) -> list[str]:
        """What is reported of a file whose name does not say when it was delivered."""
        scanner = Scanner(NAMES)
        document = Document(uri="file", chunks=iter((text,)))
        found = [
            item for part, tally in scanner.parts(document) for item in scanner.scan(part, tally, signs=True)
        ]
        assert not any(isinstance(item, Record) for item in found)
        return [item.reason for item in found if isinstance(item, Skipped)]

    @pytest.mark.parametrize("name", ["assignprivateipaddresses", "ASSIGNPRIVATEIPADDRESSES", "runInstances"])
    @pytest.mark.parametrize("layout", [lambda text: b'{"Records":[%s]}' % text, lambda text: text + b"\n"])
    def test_are_reported_and_not_passed_over(self, name: str, layout: Callable[[bytes], bytes]) -> None:
        text = layout(compact(self.LOW | {"eventName": name}))
        assert self.skipped(text) == [f"record 0: {self.WHY.format(name)}"]

    def test_are_reported_once_and_the_records_around_them_are_read(self) -> None:
        lines = [self.OTHER, self.LOW, GOOD["DeleteNetworkInterface"], self.LOW, self.OTHER]
        found = scanned(b"\n".join(map(compact, lines)))
        assert found.names == ["DeleteNetworkInterface"]
        assert found.skipped == [
            f"record 1: {self.WHY.format('assignprivateipaddresses')}",
            "1 more unreadable parts",
        ]

    def test_of_other_calls_do_not_matter(self) -> None:
        text = compact(record("describeinstances"))
        assert self.skipped(b'{"Records":[%s]}' % text) == self.skipped(text) == []
