"""The table of envelopes: a record is read only where a path of the table ends."""

import base64
import json
import re

import pytest
from records import ENI, GOOD, Entry, compact, record, scanned, zipped

from cnitrail.scan.envelopes import ENVELOPES, Content, Envelope

ASSIGN = GOOD["AssignPrivateIpAddresses"]
DELETE = GOOD["DeleteNetworkInterface"]
LOOK = record("DescribeInstances", {"instancesSet": {}, "filterSet": {}}, readOnly=True)

_STEP = re.compile(r'"([^"]+)"|([^."\[\]{}|]+)|(\[\])|\{([^=]+)=([^}]+)\}|(\|base64\|gzip)|(\|json)|\.')


def steps(path: str) -> list[tuple[str, ...]]:
    """The steps of a path, as the table's own reader does not see them."""
    return [found.groups(default="") for found in _STEP.finditer(path)]


def wrapped(path: str, entry: object) -> object:
    """A record in the envelope that a path describes, and beside it what such envelopes have."""
    value = entry
    for quoted, key, element, field, name, packed, text in reversed(steps(path)):
        if quoted or key:
            value = {"index": 17, (quoted or key): value}
        elif element:
            value = [value]
        elif field:
            assert isinstance(value, dict)
            value = {field: name} | value
        elif packed:
            assert isinstance(value, str)
            value = base64.b64encode(zipped(value.encode())).decode()
        elif text:
            value = json.dumps(value)
    return value


_RECORDS = [row for row in ENVELOPES if row.content in (Content.RECORD, Content.MESSAGE)]
_MESSAGES = [row for row in ENVELOPES if row.content is Content.MESSAGE]
paths = pytest.mark.parametrize("row", _RECORDS, ids=[f"{row.form} {row.path}" for row in _RECORDS])
message_paths = pytest.mark.parametrize("row", _MESSAGES, ids=[f"{row.form} {row.path}" for row in _MESSAGES])


def bridged(entry: Entry) -> Entry:
    """A record in an event of EventBridge."""
    return {
        "version": "0",
        "id": entry["eventID"],
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ec2",
        "detail": entry,
    }


def notified(message: Entry) -> Entry:
    """A message in a notification of SNS."""
    return {"Type": "Notification", "MessageId": "m", "Message": json.dumps(message), "Signature": "x"}


class TestTable:
    @paths
    def test_a_record_is_found_at_the_end_of_each_path(self, row: Envelope) -> None:
        reading = scanned(compact(wrapped(row.path, ASSIGN)))
        assert (reading.names, reading.skipped) == (["AssignPrivateIpAddresses"], [])
        assert reading.tally.forms == {row.form: 1}

    @paths
    def test_white_space_changes_nothing(self, row: Envelope) -> None:
        reading = scanned(json.dumps(wrapped(row.path, ASSIGN), indent=4).encode())
        assert (reading.names, reading.skipped) == (["AssignPrivateIpAddresses"], [])

    @paths
    def test_envelopes_may_follow_each_other_or_be_elements_of_an_array(self, row: Envelope) -> None:
        envelopes = [compact(wrapped(row.path, entry)) for entry in (ASSIGN, LOOK, DELETE)]
        for text in (b"\n".join(envelopes), b"[" + b",".join(envelopes) + b"]", b"".join(envelopes)):
            reading = scanned(text)
            assert reading.names == ["AssignPrivateIpAddresses", "DeleteNetworkInterface"]
            assert (reading.tally.records, reading.tally.passed_over) == (3, 1)
            assert reading.skipped == []

    @message_paths
    def test_a_message_may_be_an_event_of_eventbridge(self, row: Envelope) -> None:
        assert scanned(compact(wrapped(row.path, bridged(ASSIGN)))).names == ["AssignPrivateIpAddresses"]

    @message_paths
    def test_a_message_may_be_a_notification_of_sns(self, row: Envelope) -> None:
        for inside in (ASSIGN, bridged(ASSIGN)):
            assert scanned(compact(wrapped(row.path, notified(inside)))).names == ["AssignPrivateIpAddresses"]

    @paths
    def test_a_record_that_is_not_relevant_is_counted(self, row: Envelope) -> None:
        reading = scanned(compact(wrapped(row.path, LOOK)))
        assert (reading.tally.records, reading.tally.passed_over, reading.skipped) == (1, 1, [])


class TestForgery:
    @paths
    @pytest.mark.parametrize(
        "place", ["requestParameters", "responseElements", "additionalEventData", "serviceEventDetails"]
    )
    def test_an_envelope_inside_a_record_is_not_opened(self, row: Envelope, place: str) -> None:
        inside = wrapped(row.path, DELETE)
        forged = {"description": json.dumps(inside), "x": inside}
        entry = ASSIGN | {place: (ASSIGN.get(place) or {}) | forged}
        for text in (
            compact(entry),
            compact({"Records": [entry]}),
            compact([entry, entry]),
            compact({"events": [{"message": json.dumps(entry)}]}),
            json.dumps({"Events": [{"CloudTrailEvent": json.dumps(entry)}]}, indent=2).encode(),
        ):
            reading = scanned(text)
            assert set(reading.names) == {"AssignPrivateIpAddresses"}
            assert reading.skipped == []

    @pytest.mark.parametrize("field", ["userAgent", "errorMessage", "sourceIPAddress", "requestID"])
    def test_a_record_as_the_text_of_a_field_is_not_read(self, field: str) -> None:
        entry = ASSIGN | {field: json.dumps(DELETE)}
        assert scanned(compact({"logEvents": [{"message": json.dumps(entry)}]})).names == [
            "AssignPrivateIpAddresses"
        ]

    def test_of_a_document_with_the_original_text_and_a_message_the_original_counts(self) -> None:
        document = {"message": json.dumps(DELETE), "event": {"original": json.dumps(ASSIGN)}}
        assert scanned(compact({"_source": document})).names == ["AssignPrivateIpAddresses"]

    def test_a_text_is_decoded_only_where_a_path_says_so(self) -> None:
        twice = json.dumps(json.dumps(ASSIGN))
        reading = scanned(compact({"events": [{"message": twice}]}))
        assert reading.names == []
        assert len(reading.skipped) == 1

    def test_a_key_of_an_envelope_inside_an_unknown_object_is_not_searched_for(self) -> None:
        reading = scanned(compact({"logs": [{"event": ASSIGN}]}))
        assert (reading.names, reading.tally.records) == ([], 0)
        assert reading.skipped[0].startswith("unknown envelope, ")

    @pytest.mark.parametrize("source", ["my.app", "aws.partner/example.com/1", "", None, 1, ["aws.ec2"]])
    def test_an_event_of_eventbridge_that_aws_did_not_send_is_not_read(self, source: object) -> None:
        """Anybody who may call PutEvents can choose all of it but a source that begins with ``aws.``."""
        event = bridged(DELETE) | {"source": source}
        for envelope in (event, {"events": [{"message": json.dumps(event)}]}, notified(event)):
            reading = scanned(compact(envelope) + b"\n" + compact(bridged(ASSIGN)))
            assert reading.names == ["AssignPrivateIpAddresses"]
            assert len(reading.skipped) == 1
            assert "a record that AWS did not send: its source does not begin with aws." in reading.skipped[0]

    def test_an_event_of_an_application_is_passed_over(self) -> None:
        event = {"source": "shop", "detail-type": "Order", "detail": {"number": 17}}
        assert scanned(compact(event)).skipped == []

    @pytest.mark.parametrize("key", ["resources", "id", "account", "time", "replay-name", "Records", "Body"])
    @pytest.mark.parametrize("forged", [DELETE, [DELETE], [json.dumps(DELETE)], json.dumps(DELETE)])
    def test_a_field_beside_a_detail_is_not_read(self, key: str, forged: object) -> None:
        reading = scanned(compact({"events": [{"message": json.dumps({key: forged} | bridged(ASSIGN))}]}))
        assert (reading.names, reading.skipped) == (["AssignPrivateIpAddresses"], [])

    @pytest.mark.parametrize(
        ("key", "neighbor"),
        [
            ("logStreamName", "message"),
            ("Username", "CloudTrailEvent"),
            ("ResourceName", "CloudTrailEvent"),
            ("host", "_raw"),
            ("source", "_raw"),
            ("@ptr", "@message"),
            ("event_name", "cloud_trail_event"),
        ],
    )
    @pytest.mark.parametrize("forged", [DELETE, [DELETE], json.dumps(DELETE), {"Records": [DELETE]}])
    def test_a_field_beside_a_record_is_not_read(self, key: str, neighbor: str, forged: object) -> None:
        element = {key: forged, neighbor: json.dumps(ASSIGN), "z": forged}
        for text in (compact(element) * 2, compact([element, element])):
            assert scanned(text).names == ["AssignPrivateIpAddresses"] * 2

    @pytest.mark.parametrize("key", ["_raw", "@message", "full_message", "event.original"])
    def test_fields_that_were_extracted_from_a_record_do_not_replace_it(self, key: str) -> None:
        row = {name: ASSIGN[name] for name in ("eventName", "eventTime", "eventSource")}
        for _ in range(2):
            reading = scanned(compact([row | {key: json.dumps(ASSIGN)}] * 2))
            assert [json.loads(one.payload) for one in reading.records] == [ASSIGN, ASSIGN]
            row |= {"eventName": "DeleteNetworkInterface", "message": json.dumps(DELETE)}


class TestKnownOthers:
    def test_a_control_message_of_cloudwatch_logs_is_passed_over(self) -> None:
        control = {
            "messageType": "CONTROL_MESSAGE",
            "logEvents": [{"id": "", "message": "CWL CONTROL MESSAGE: Checking health of destination."}],
        }
        data = {"messageType": "DATA_MESSAGE", "logEvents": [{"id": "1", "message": json.dumps(ASSIGN)}]}
        reading = scanned(compact(control) + compact(data))
        assert (reading.names, reading.tally.records) == (["AssignPrivateIpAddresses"], 1)
        assert reading.skipped == []

    def test_the_action_before_each_document_of_the_bulk_api_is_passed_over(self) -> None:
        actions: tuple[Entry, ...] = ({"index": {"_index": "trail", "_id": "1"}}, {"create": {}})
        for action in actions:
            reading = scanned(compact(action) + b"\n" + compact(ASSIGN) + b"\n")
            assert (reading.names, reading.tally.records, reading.skipped) == (
                ["AssignPrivateIpAddresses"],
                1,
                [],
            )

    def test_an_object_whose_event_name_is_no_text_is_not_counted_as_an_irrelevant_record(self) -> None:
        by_columns = {name: {"0": value} for name, value in ASSIGN.items()}
        assert "a table by columns" in scanned(compact(by_columns)).skipped[0]
        for name in (5, True):
            assert "the row has no eventName" in scanned(compact(ASSIGN | {"eventName": name})).skipped[0]

    def test_an_element_of_an_event_of_lambda_is_no_record_because_of_its_event_name(self) -> None:
        element = {"eventSource": "aws:dynamodb", "eventName": "INSERT", "dynamodb": {"NewImage": ASSIGN}}
        assert "unknown envelope" in scanned(compact({"Records": [element] * 2})).skipped[0]
        told = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"object": {"key": "k"}}}
        reading = scanned(compact({"Records": [told]}))
        assert (reading.tally.records, reading.skipped) == (0, [])

    def test_what_only_begins_as_such_an_action_is_reported(self) -> None:
        for other in ({"index": {"_index": "trail"}, "doc": ASSIGN}, {"index": {"doc": ASSIGN}}):
            assert "unknown envelope" in scanned(compact(other)).skipped[0]

    def test_an_event_of_eventbridge_that_is_no_api_call_is_passed_over(self) -> None:
        change = {"detail-type": "EC2 Instance State-change Notification", "detail": {"state": "running"}}
        reading = scanned(compact(change))
        assert (reading.tally.records, reading.skipped) == (0, [])

    @pytest.mark.parametrize("key", ["data", "results", "events", "Records"])
    def test_records_in_such_an_event_are_reported_where_no_path_leads_to_them(self, key: str) -> None:
        event = {"source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail", "detail": ASSIGN}
        result = {"preview": False, "lastrow": True, "result": {"_raw": json.dumps(ASSIGN)}}
        for element in (event, result):
            reading = scanned(compact({key: [element]}))
            assert (reading.names, len(reading.skipped)) == ([], 1)
            assert reading.skipped[0].startswith("unknown envelope, ")

    def test_rows_of_insights_without_the_message_are_reported(self) -> None:
        reading = scanned(
            compact({"results": [[{"field": "eventName", "value": "AssignPrivateIpAddresses"}]]})
        )
        assert reading.skipped == ["record 0: a row without @message; select it in the query"]

    def test_lists_without_any_record_are_an_unknown_envelope(self) -> None:
        reading = scanned(json.dumps([["eventtime", "eventname"], ["2024", "RunInstances"]] * 50).encode())
        assert (reading.tally.records, len(reading.skipped)) == (0, 1)
        assert reading.skipped[0].startswith("unknown envelope, ")

    def test_the_same_reason_is_listed_once(self) -> None:
        rows = [[{"field": "eventName", "value": "AssignPrivateIpAddresses"}]] * 3
        reading = scanned(compact({"results": rows}))
        assert reading.skipped == [
            "record 0: a row without @message; select it in the query",
            "2 more unreadable parts",
        ]
        assert (reading.tally.forms, reading.tally.unlisted) == ({"unreadable": 3}, 2)

    def test_a_message_that_is_no_json_is_reported(self) -> None:
        reading = scanned(compact({"events": [{"message": "START RequestId: 1"}]}))
        assert reading.skipped == ["record 0: not an object but START RequestId: 1"]

    def test_a_message_that_was_cut_is_reported(self) -> None:
        cut = json.dumps(ASSIGN)[:300] + "[Truncated...]"
        reading = scanned(compact({"events": [{"message": cut}, {"message": json.dumps(DELETE)}]}))
        assert reading.names == ["DeleteNetworkInterface"]
        assert reading.skipped[0].startswith("record 0: cut short by CloudWatch Logs: {")
        assert len(reading.skipped) == 1

    def test_a_row_that_is_broken_json_is_reported(self) -> None:
        row = (
            compact({"eventName": "AssignPrivateIpAddresses", "requestParameters": "{}"})[:-1] + b',"x":[1,]}'
        )
        reading = scanned(row + b"\n" + compact(ASSIGN))
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert reading.skipped[0].startswith("record 0: broken JSON (JSON is malformed: ")

    def test_a_bomb_in_a_lambda_event_is_not_inflated(self) -> None:
        bomb = base64.b64encode(zipped(b" " * (64 << 20))).decode()
        reading = scanned(compact({"awslogs": {"data": bomb}}))
        assert len(reading.skipped) == 1
        assert "bomb" in reading.skipped[0]


class TestQueries:
    """What ``--query`` and exports leave of an envelope: rows with more than the record."""

    @pytest.mark.parametrize(
        "row",
        [
            ["2024-05-14T09:30:00+00:00", json.dumps(ASSIGN)],
            [1715679000000, json.dumps(ASSIGN)],
            ["AssignPrivateIpAddresses", None, [{"ResourceName": ENI}], json.dumps(ASSIGN), True],
            [ASSIGN, "2024-05-14T09:30:00+00:00"],
        ],
    )
    def test_of_the_columns_of_a_row_the_record_is_read(self, row: list[object]) -> None:
        reading = scanned(json.dumps([row, ["x", json.dumps(DELETE)]], indent=4).encode())
        assert (reading.names, reading.skipped) == (
            ["AssignPrivateIpAddresses", "DeleteNetworkInterface"],
            [],
        )
        assert reading.tally.records == 2

    def test_a_row_with_two_texts_of_records_is_not_taken_to_be_columns(self) -> None:
        reading = scanned(compact([["x", json.dumps(ASSIGN), json.dumps(DELETE)]]))
        assert (reading.names, reading.tally.records) == ([], 0)
        assert reading.skipped[0].startswith("unknown envelope, ")

    def test_results_of_insights_may_be_without_their_envelope(self) -> None:
        rows = [
            [
                {"field": "eventName", "value": entry["eventName"]},
                {"field": "requestParameters.description", "value": json.dumps(DELETE)},
                {"field": "@message", "value": json.dumps(entry)},
                {"field": "@ptr", "value": "Cm"},
            ]
            for entry in (ASSIGN, LOOK)
        ]
        for text in (compact(rows), json.dumps(rows, indent=4).encode()):
            reading = scanned(text)
            assert (reading.names, reading.skipped) == (["AssignPrivateIpAddresses"], [])
            assert reading.tally.forms == {"logs-insights": 2}

    @pytest.mark.parametrize("column", ["@message", "_raw", "event.original", "CloudTrailEvent"])
    @pytest.mark.parametrize("first", [ASSIGN, LOOK])
    def test_a_whole_record_counts_more_than_fields_beside_it(self, column: str, first: Entry) -> None:
        rows = [
            {"eventName": entry["eventName"], "eventTime": "2020-01-01T00:00:00Z", column: json.dumps(entry)}
            for entry in (first, DELETE)
        ]
        head = f'eventName,eventTime,"{column}"\n'
        cells = "".join(
            ",".join('"' + text.replace('"', '""') + '"' for text in row.values()) + "\n" for row in rows
        )
        for text in (compact(rows), b"\n".join(map(compact, rows)), (head + cells).encode()):
            reading = scanned(text)
            assert [json.loads(found.payload) for found in reading.records][-1] == DELETE
            assert reading.skipped == []
            assert "records" not in reading.tally.forms

    def test_a_parsed_message_beside_fields_of_it_is_read(self) -> None:
        rows = [
            {"@timestamp": "x", "@message": entry, "eventName": entry["eventName"]}
            for entry in (LOOK, ASSIGN)
        ]
        reading = scanned(compact(rows))
        assert (reading.names, reading.skipped) == (["AssignPrivateIpAddresses"], [])
        assert reading.tally.forms == {"logs-insights": 2}

    def test_a_whole_record_that_is_cut_is_reported_as_one(self) -> None:
        cell = json.dumps(ASSIGN)[:300].replace('"', '""')
        reading = scanned(f'@timestamp,@message\n1,"{cell}"\n'.encode())
        assert (reading.names, reading.tally.forms) == ([], {"unreadable": 1})
        assert reading.skipped[0].startswith("record 0: broken JSON (Input data was truncated): ")

    @pytest.mark.parametrize("hits", [[], [{"_source": ASSIGN}]])
    def test_a_search_may_have_records_as_documents_or_no_hits(self, hits: list[object]) -> None:
        reading = scanned(compact({"_scroll_id": "x", "hits": {"total": {"value": len(hits)}, "hits": hits}}))
        assert (len(reading.names), reading.skipped) == (len(hits), [])
        assert reading.tally.forms == ({"elastic": 1} if hits else {})

    @pytest.mark.parametrize(
        "empty",
        [
            {"preview": False, "lastrow": True},
            {
                "ResultSet": {
                    "Rows": [{"Data": [{"VarCharValue": "eventtime"}, {"VarCharValue": "eventname"}]}]
                }
            },
            {"Events": []},
            {"events": [], "searchedLogStreams": []},
            {"results": [], "status": "Complete"},
            {"QueryStatus": "FINISHED", "QueryResultRows": []},
        ],
    )
    def test_an_answer_without_results_is_read_and_holds_nothing(self, empty: Entry) -> None:
        for text in (compact(empty), json.dumps(empty, indent=4).encode()):
            reading = scanned(text)
            assert (reading.tally.records, reading.skipped) == (0, [])

    def test_data_that_is_not_datadogs_is_an_unknown_envelope(self) -> None:
        loki = {"resultType": "streams", "result": [{"stream": {}, "values": [["1", "{}"]]}]}
        reading = scanned(compact({"status": "success", "data": loki}))
        assert reading.skipped[0].startswith("unknown envelope, ")
