"""Records of tables that are odd: hostile texts, odd times, missing columns, positions in place of names."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from duck_engine import OCSF_TABLE, SHAPES, TABLE_NOW, TABLE_OWN, DuckEngine, description
from table_answers import entries, read_table

import cnitrail
from cnitrail.decode import RELEVANT_CALLS
from cnitrail.model.table import TablePart
from cnitrail.scan.rows.parameters import restored_parameters
from cnitrail.sources.sql.answer import parts
from cnitrail.sources.sql.column_types import parse_type
from cnitrail.sources.sql.shapes import Shape, shape_of
from cnitrail.sources.sql.statement import Cell, statement

Entry = dict[str, Any]
ENI, NODE = "eni-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbbb"
NAME = (
    "AWSLogs/111111111111/CloudTrail/eu-west-1/2026/04/15/"
    "111111111111_CloudTrail_eu-west-1_20260415T0205Z_x.json.gz"
)


def assigned(number: int = 1, **changes: Any) -> Entry:
    """The record of an assignment."""
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDA1",
            "arn": "arn:aws:iam::111111111111:user/ada",
            "accountId": "111111111111",
            "accessKeyId": "AKIA1",
            "userName": "ada",
        },
        "eventTime": f"2026-04-15T02:00:{number:02}Z",
        "eventSource": "ec2.amazonaws.com",
        "eventName": "AssignPrivateIpAddresses",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2",
        "requestParameters": {
            "networkInterfaceId": ENI,
            "privateIpAddressesSet": {"item": [{"privateIpAddress": f"10.0.0.{number}"}]},
            "allowReassignment": True,
        },
        "responseElements": {
            "requestId": "r",
            "networkInterfaceId": ENI,
            "assignedPrivateIpAddressesSet": {
                "assignedPrivateIpAddressSetType": [{"privateIpAddress": f"10.0.0.{number}"}]
            },
            "_return": True,
        },
        "requestID": "r",
        "eventID": f"e-{number}",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "111111111111",
        "eventCategory": "Management",
        **changes,
    }


def read(number: int, **changes: Any) -> Entry:
    """The record of a read call."""
    return assigned(
        number, eventName="DescribeInstances", requestParameters=None, responseElements=None, **changes
    )


def written(folder: Path, records: list[Entry], name: str = NAME) -> list[tuple[str, list[Entry]]]:
    """Records as a log file, and the file as tables have it."""
    path = folder / name.removesuffix(".gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"Records": records}))
    return [(str(path), records)]


def parts_of(
    columns: Mapping[str, str], rows: list[tuple[str, Entry]], *, has_paths: bool = True
) -> list[TablePart]:
    """The parts of a table with these rows."""
    engine = DuckEngine(description(columns), rows, has_paths=has_paths)
    table = engine.describe()
    shape = shape_of(table, engine.uri)
    query = statement(shape, table, engine.table, RELEVANT_CALLS, has_paths=has_paths)
    list(engine.run(query.text))
    return list(parts(engine.rows(), engine.uri, "q-1", shape, query.cells))


def lower(record: Entry) -> Entry:
    """A record with the names of columns."""
    return {name.lower(): value for name, value in record.items()}


HOSTILE = {
    "quotes": "it's \"quoted\" '' `x`",
    "lines": "one\ntwo\r\nthree\u2028four",
    "backslashes": "\\\\server\\n \\u0000 \\",
    "nul": "before\x00after",
    "surrogate": "lone \ud800 surrogate",
    "null": "null",
    "huge": "A" * 300_000,
    "json": '{"networkInterfaceId": "eni-0ccccccccccccccccc"}',
    "list": '["10.0.0.99"]',
    "sql": "'); DROP TABLE cloudtrail_logs; --",
    "struct": "{type=Root, arn=arn:aws:iam::111111111111:root}",
    "bidi": "\u202egnp.exe\u202c",
}


class TestHostileTexts:
    @pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
    @pytest.mark.parametrize("shape", SHAPES)
    def test_they_survive_as_in_files(
        self, shape: str, text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        made = assigned(
            2,
            eventName="CreateNetworkInterface",
            requestParameters={"subnetId": "subnet-1", "description": text, "groupSet": {}},
            responseElements={
                "networkInterface": {
                    "networkInterfaceId": "eni-0dddddddddddddddd",
                    "subnetId": "subnet-1",
                    "vpcId": "vpc-1",
                    "description": text,
                    "tagSet": {"items": [{"key": text, "value": text}]},
                    "privateIpAddress": "10.0.0.7",
                }
            },
        )
        failed = assigned(3, errorCode="Client.Bad", errorMessage=text, responseElements=None)
        records = [assigned(userAgent=text), made, failed, read(4, userAgent=text)]
        files = written(tmp_path, records)
        table = read_table(SHAPES[shape].engine(files), monkeypatch)
        expected = cnitrail.read(tmp_path)
        assert entries(table.timeline()) == entries(expected.timeline())
        assert len(table.timeline()) == 3
        assert not table.evidence.skipped

    @pytest.mark.parametrize("text", ["AssignPrivateIpAddresses'", '"RunInstances"', "x\x00", "null", ""])
    def test_event_names_with_quotes_are_only_counted(self, text: str) -> None:
        row = lower(assigned(eventName=text))
        (part,) = parts_of(TABLE_NOW, [(NAME, row)])
        assert (part.rows, part.passed_over) == ((), 1)


class TestTimes:
    @pytest.mark.parametrize(
        "time",
        [
            "2026-04-15T02:00:01Z",
            "2026-04-15T02:00:01",
            "2026-04-15T02:00:01.000Z",
            "2026-04-15 02:00:01",
            "2026-04-15 02:00:01.000",
            "2026-04-15 02:00:01.000 UTC",
            "2026-04-15T02:00:01+00:00",
        ],
    )
    def test_a_time_may_be_written_in_several_ways(self, time: str) -> None:
        rows = [("copy.parquet", lower(read(1) | {"eventTime": time}))]
        (part,) = parts_of(TABLE_NOW, rows)
        assert part.uri == "athena://default.cloudtrail_logs/111111111111/eu-west-1/2026-04-15"
        assert [f"{moment:%H:%M}" for _, _, moment in part.signs] == ["02:00"]

    @pytest.mark.parametrize("time", ["", "soon", "2026-04-15T04:00:01+02:00", None])
    def test_another_time_is_none(self, time: str | None) -> None:
        (part,) = parts_of(TABLE_NOW, [("copy.parquet", lower(read(1) | {"eventTime": time}))])
        assert part.uri == "athena://default.cloudtrail_logs/111111111111/eu-west-1/-"
        assert (part.passed_over, part.signs) == (1, frozenset())

    def test_records_without_a_time_do_not_hide_the_minutes_of_others(self) -> None:
        rows = [(NAME, lower(read(1))), (NAME, lower(read(2) | {"eventTime": None}))]
        (part,) = parts_of(TABLE_NOW, rows)
        assert (part.passed_over, len(part.signs)) == (2, 1)

    @pytest.mark.parametrize(
        ("kind", "value"),
        [("bigint", 1776218401000), ("bigint", 1776218401), ("timestamp", "2026-04-15 02:00:01")],
    )
    def test_a_time_may_be_a_number_or_a_timestamp(self, kind: str, value: object) -> None:
        rows = [("copy.parquet", lower(assigned(1) | {"eventTime": value}))]
        (part,) = parts_of({**TABLE_NOW, "eventtime": kind}, rows)
        assert part.uri.endswith("/2026-04-15")
        (row,) = part.rows
        assert row.cells["eventtime"] in ("2026-04-15T02:00:01Z", str(value))


class TestParts:
    def test_a_file_of_two_accounts_is_of_the_account_in_its_name(self) -> None:
        rows = [(NAME, lower(read(1))), (NAME, lower(assigned(2, recipientAccountId="222222222222")))]
        (part,) = parts_of(TABLE_NOW, rows)
        assert part.uri.endswith("/111111111111/eu-west-1/2026-04-15")
        assert (len(part.rows), part.passed_over) == (1, 1)

    @pytest.mark.parametrize(
        "path",
        [
            "s3://b/999999999999_CloudTrail_us-east-1_20260415T0205Z_x/part-0.parquet",
            "s3://b/999999999999_CloudTrail_us-east-1_20261315T0205Z_x.json.gz",
            "s3://b/999999999999_CloudTrail_us-east-1_20260415T2465Z_x.json.gz",
            "s3://b/999999999999_CloudTrail_us-east-1_99990415T0205Z_x.json.gz",
        ],
    )
    def test_a_folder_or_an_odd_name_shows_no_delivery(self, path: str) -> None:
        (part,) = parts_of(TABLE_NOW, [(path, lower(assigned()))])
        assert part.uri.endswith("/111111111111/eu-west-1/2026-04-15")

    def test_the_folder_of_a_log_file_may_look_like_one(self) -> None:
        folder = "999999999999_CloudTrail_us-east-1_20260416T0205Z_x"
        (part,) = parts_of(TABLE_NOW, [(f"s3://b/{folder}/{NAME}", lower(assigned()))])
        assert {(account, region) for account, region, _ in part.signs} == {("111111111111", "eu-west-1")}

    def test_parts_come_one_after_the_other_and_unknown_ones_last(self) -> None:
        rows = [
            (path, lower(record | {"recipientAccountId": account, "awsRegion": region}))
            for path in ("a.parquet", "b.parquet")
            for account in ("222222222222", "", None, "111111111111")
            for region in ("us-east-1", None, "eu-west-1")
            for record in (read(1), assigned(2))
        ]
        found = [part.uri.partition("logs/")[2] for part in parts_of(TABLE_NOW, rows)]
        assert found == [
            "111111111111/eu-west-1/2026-04-15",
            "111111111111/us-east-1/2026-04-15",
            "111111111111/-/2026-04-15",
            "222222222222/eu-west-1/2026-04-15",
            "222222222222/us-east-1/2026-04-15",
            "222222222222/-/2026-04-15",
            "-/eu-west-1/2026-04-15",
            "-/us-east-1/2026-04-15",
            "-/-/2026-04-15",
        ]

    def test_a_file_without_records_is_a_sign_and_no_record(self) -> None:
        columns = {"records": "array<struct<" + ",".join(f"{n}:{k}" for n, k in TABLE_NOW.items()) + ">>"}
        other = NAME.replace("T0205Z", "T0210Z")
        rows: list[tuple[str, Entry]] = [
            (NAME, {"records": []}),
            (other, {"records": None}),
            ("digest.json.gz", {"records": None}),
        ]
        (part,) = parts_of(columns, rows)
        assert (part.rows, part.passed_over) == ((), 0)
        assert sorted(f"{moment:%H:%M}" for _, _, moment in part.signs) == ["02:05", "02:10"]

    def test_a_crawled_record_has_the_index_that_it_has_in_its_file(self) -> None:
        columns = {"records": "array<struct<" + ",".join(f"{n}:{k}" for n, k in TABLE_NOW.items()) + ">>"}
        records = [read(1), assigned(2), read(3), assigned(4)]
        (part,) = parts_of(columns, [(NAME, {"records": [lower(record) for record in records]})])
        assert [(row.source, row.index) for row in part.rows] == [(NAME, 1), (NAME, 3)]

    def test_a_table_without_paths_is_read_by_the_times_of_its_events(self) -> None:
        rows = [(NAME, lower(read(1))), (NAME, lower(assigned(2)))]
        (part,) = parts_of(TABLE_NOW, rows, has_paths=False)
        assert [row.source for row in part.rows] == [part.uri]
        assert [f"{moment:%H:%M}" for _, _, moment in part.signs] == ["02:00"]


class TestCopies:
    @pytest.mark.parametrize(
        "column",
        [
            *("eventsource", "sourceipaddress", "recipientaccountid", "eventid", "awsregion", "useragent"),
            *("errorcode", "errormessage", "eventtype", "eventcategory", "readonly", "useridentity"),
            *("requestid", "serviceeventdetails", "addendum", "sessioncredentialfromconsole"),
        ],
    )
    def test_a_column_may_be_missing(self, column: str, monkeypatch: pytest.MonkeyPatch) -> None:
        columns = {name: kind for name, kind in TABLE_OWN.items() if name != column}
        row = {
            name: json.dumps(value) if isinstance(value, dict) else value
            for name, value in lower(assigned(1)).items()
        }
        table = read_table(DuckEngine(description(columns), [(NAME, row)]), monkeypatch)
        (entry,) = table.timeline()
        assert [str(held) for held in entry.added] == ["10.0.0.1"]

    def test_without_a_column_for_errors_calls_without_a_response_are_skipped(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        columns = {
            name: kind for name, kind in TABLE_OWN.items() if name not in ("errorcode", "errormessage")
        }
        rows = [
            (NAME, lower(record | {"requestParameters": json.dumps(record["requestParameters"])}))
            for record in (assigned(1), assigned(2, responseElements=None, errorCode="Client.X"))
        ]
        rows = [
            (path, row | {n: json.dumps(v) for n, v in row.items() if isinstance(v, dict)})
            for path, row in rows
        ]
        table = read_table(DuckEngine(description(columns), rows), monkeypatch)
        assert len(table.timeline()) == 1
        (skipped,) = table.evidence.skipped
        assert "no column for errors and no response" in skipped.reason


class TestAnswers:
    def test_positions_get_the_names_of_the_struct(self) -> None:
        """Athena's engine version 2 casts a row to an array."""
        kind = parse_type(
            "struct<type:string,sessioncontext:struct<attributes:struct<creationdate:string,mfa:string>>,"
            "listed:array<struct<a:string>>,any:map<string,struct<b:string>>>"
        )
        cells = (Cell(("eventname",), parse_type("string")), Cell(("useridentity",), kind))
        identity = json.dumps(["Role", [["2026", None]], [["x"]], {"k": ["y"]}])
        row = ("1", "r", "2026-04-15", "delivery", "0205", None, None, json.dumps(["A", identity]), "1")
        (part,) = parts([row], "athena://t", "q-1", Shape.CLOUDTRAIL, cells)
        assert part.rows[0].cells == {
            "eventname": "A",
            "useridentity": {
                "type": "Role",
                "sessioncontext": {"attributes": {"creationdate": "2026", "mfa": None}},
                "listed": [{"a": "x"}],
                "any": {"k": {"b": "y"}},
            },
        }

    @pytest.mark.parametrize("record", ["no JSON", "{}", "[]", '["a"]', '["a", "b", "c"]'])
    def test_an_answer_of_another_statement_is_a_value_error(self, record: str) -> None:
        cells = (Cell(("eventname",), parse_type("string")), Cell(("eventtime",), parse_type("string")))
        row = ("1", "r", "2026-04-15", "delivery", "0205", None, None, record, "1")
        with pytest.raises(ValueError, match=r"cells instead of 2|no list"):
            list(parts([row], "athena://t", "q-1", Shape.CLOUDTRAIL, cells))

    def test_rows_that_cannot_be_read_for_one_reason_are_listed_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from export_forms import security_lake_rows

        rows = security_lake_rows([assigned(number) for number in range(1, 50)])
        for row in rows:
            row["metadata"]["version"] = "1.0.0-rc.2"
        engine = DuckEngine(description(OCSF_TABLE), [("a.parquet", row) for row in rows])
        table = read_table(engine, monkeypatch)
        (source,) = table.evidence.sources
        assert (source.records, source.relevant) == (49, 49)
        assert [skipped.reason.partition(":")[0] for skipped in table.evidence.skipped] == [
            "record 0",
            "48 more unreadable rows",
        ]

    def test_ocsf_1_0_in_a_table_of_2_0_is_skipped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from export_forms import security_lake_rows

        (row,) = security_lake_rows([assigned(1)])
        row["metadata"]["version"] = "1.0.0-rc.2"
        table = read_table(DuckEngine(description(OCSF_TABLE), [("a.parquet", row)]), monkeypatch)
        (skipped,) = table.evidence.skipped
        assert "OCSF 1.0.0-rc.2 has no whole request and response" in skipped.reason


class TestTypedParameters:
    def test_names_come_back_and_nulls_go(self) -> None:
        assert restored_parameters(
            {
                "networkinterfaceid": ENI,
                "privateipaddressesset": {"item": [{"privateipaddress": "10.0.0.1", "primary": None}]},
                "ipv6addresses": None,
                "groupset": {"items": None},
            },
            "AssignPrivateIpAddresses",
            is_typed=True,
        ) == {
            "networkInterfaceId": ENI,
            "privateIpAddressesSet": {"item": [{"privateIpAddress": "10.0.0.1"}]},
            "groupSet": {},
        }

    def test_an_envelope_has_its_name(self) -> None:
        restored = restored_parameters(
            {"createnatgatewayrequest": {"subnetid": "subnet-1"}}, "CreateNatGateway", is_typed=True
        )
        assert restored == {"CreateNatGatewayRequest": {"subnetId": "subnet-1"}}

    def test_a_description_that_looks_like_an_object_is_a_text_unless_the_call_changes_it(self) -> None:
        given: Entry = {"networkinterfaceid": ENI, "description": '{"value":"x"}'}
        made = restored_parameters(given, "CreateNetworkInterface", is_typed=True)
        changed = restored_parameters(given, "ModifyNetworkInterfaceAttribute", is_typed=True)
        assert made["description"] == '{"value":"x"}'
        assert changed["description"] == {"value": "x"}

    def test_the_value_of_a_tag_is_never_an_object(self) -> None:
        tag = {"key": "[1]", "value": '{"networkinterfaceid": "eni-1"}'}
        given: Entry = {"networkinterfaceid": ENI, "tagset": {"items": [tag]}}
        assert restored_parameters(given, "CreateTags", is_typed=True)["tagSet"] == {"items": [tag]}

    def test_a_text_in_lower_case_keeps_its_nulls(self) -> None:
        """The OpenX reader writes the keys of an object in a text column in lower case."""
        given: Entry = {"networkinterfaceid": ENI, "description": None}
        restored = restored_parameters(given, "CreateNetworkInterface", is_typed=False)
        assert restored == {"networkInterfaceId": ENI, "description": None}


class TestLowerCaseTexts:
    def test_a_request_whose_keys_lost_their_capitals_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        row = lower(assigned(1))
        for name in ("requestparameters", "responseelements"):
            row[name] = json.dumps(row[name]).lower()
        table = read_table(DuckEngine(description(TABLE_NOW), [(NAME, row)]), monkeypatch)
        (entry,) = table.timeline()
        assert [str(held) for held in entry.added] == ["10.0.0.1"]
