"""Flow logs in every form are the same records."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from flow_forms import DEFAULT, GROUP, RECORDS, ROWS, WITH_HEADER, WITHOUT_HEADER, ocsf, parquet, s3_parquet
from flow_records import TGW
from flow_records import line as record_line

from cnitrail.model import Document, Growth, Skipped
from cnitrail.model.flow_fields import field_of
from cnitrail.model.flows import FlowBlock, FlowFormats
from cnitrail.scan.flows.dotted import dotted
from cnitrail.workflows.flows.format import formats_of
from cnitrail.workflows.flows.reading import files_of

FORMATS = formats_of("default")
NO_FORMAT = FlowFormats()


def read(
    data: bytes, formats: FlowFormats = NO_FORMAT, uri: str = "flows", piece: int = 1 << 20
) -> tuple[list[dict[str, str]], list[str]]:
    """Return the records of a document by field, and why others were skipped."""
    pieces = (data[at : at + piece] for at in range(0, len(data), piece))
    records: list[dict[str, str]] = []
    skipped: list[str] = []
    for file in files_of(Document(uri=uri, chunks=pieces, size=len(data)), Growth(), formats):
        assert file.other_kind is None, file.other_kind
        for block in file.blocks:
            if isinstance(block, FlowBlock):
                assert block.text.endswith(b"\n")
                assert block.first == len(records)
                records += rows_of(block)
            elif isinstance(block, Skipped):
                skipped.append(block.reason)
    return records, skipped


def rows_of(block: FlowBlock) -> Iterator[dict[str, str]]:
    fields = block.fields or tuple(map(field_of, block.columns))
    assert len(fields) == len(block.columns)
    for line in block.text.splitlines():
        values = line.decode().split(block.separator.decode())
        yield dict(zip(fields, values, strict=True))


def known(records: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{name: record.get(name, "?") for name in ROWS[0]} for record in records]


@pytest.mark.parametrize("form", WITH_HEADER)
def test_a_form_that_names_its_fields_needs_no_format(form: str) -> None:
    records, skipped = read(WITH_HEADER[form](RECORDS))
    assert known(records) == ROWS
    assert skipped == []


@pytest.mark.parametrize("form", WITH_HEADER)
def test_a_form_that_names_its_fields_is_not_read_by_the_format(form: str) -> None:
    records, skipped = read(WITH_HEADER[form](RECORDS), formats_of("srcaddr end"))
    assert known(records) == ROWS
    assert skipped == []


@pytest.mark.parametrize("form", WITHOUT_HEADER)
def test_a_form_without_names_is_read_by_the_format(form: str) -> None:
    records, skipped = read(WITHOUT_HEADER[form](RECORDS), FORMATS)
    assert known(records) == ROWS
    assert skipped == []


@pytest.mark.parametrize("form", WITHOUT_HEADER)
def test_a_form_without_names_is_not_read_without_a_format(form: str) -> None:
    records, skipped = read(WITHOUT_HEADER[form](RECORDS))
    assert records == []
    assert skipped
    assert "--format default" in skipped[0]


@pytest.mark.parametrize("form", [*WITH_HEADER, *WITHOUT_HEADER])
def test_pieces_of_any_size_are_the_same_records(form: str) -> None:
    data = (WITH_HEADER | WITHOUT_HEADER)[form](RECORDS)
    assert read(data, FORMATS, piece=37) == read(data, FORMATS)


def test_parquet_is_read_from_a_file_and_from_a_stream(tmp_path: Path) -> None:
    data = s3_parquet(RECORDS)
    path = tmp_path / "flows.log.parquet"
    path.write_bytes(data)
    records, skipped = read(data)
    assert (known(records), skipped) == (ROWS, [])
    document = Document(uri="f", chunks=iter((data,)), size=len(data), open=lambda: path.open("rb"))
    (file,) = files_of(document, Growth(), FlowFormats())
    assert [row for block in file.blocks if isinstance(block, FlowBlock) for row in rows_of(block)] == records


@pytest.mark.parametrize("zone", [None, "UTC", "+02:00"])
def test_the_times_of_parquet_are_in_utc_unless_they_have_a_zone(zone: str | None) -> None:
    from arro3.core import DataType, Field, Schema
    from arro3.io import read_json, write_parquet

    times = [Field(name, DataType.timestamp("us", tz=zone)) for name in ("start", "end")]
    texts = [Field(name, DataType.utf8()) for name in ("interface_id", "srcaddr", "dstaddr")]
    text = b"""{"interface_id":"eni-1","srcaddr":"10.0.1.5","dstaddr":"10.0.2.9",
        "start":"2022-10-05T14:00:03Z","end":"2022-10-05T14:00:58Z"}"""
    out = BytesIO()
    write_parquet(read_json(BytesIO(text), Schema([*texts, *times])), out)
    records, skipped = read(out.getvalue())
    assert [(record["start"], record["end"]) for record in records] == [("1664978403", "1664978458")]
    assert skipped == []


def test_a_tag_may_be_a_word_for_no_value() -> None:
    text = "interface-id,srcaddr,dstaddr,start,end,instance-id,instance-tag\n"
    records, _ = read(f"{text}eni-1,10.0.1.5,10.0.2.9,1664978403,1664978458,null,None\n".encode())
    assert [(record["instance-id"], record["instance-tag"]) for record in records] == [("-", "None")]


@pytest.mark.parametrize("form", WITHOUT_HEADER)
def test_the_default_format_of_a_transit_gateway_is_its_own(form: str) -> None:
    record = record_line(TGW, tgw_id="tgw-0a", srcaddr="10.0.1.5", dstaddr="10.1.2.9")
    records, skipped = read(WITHOUT_HEADER[form]([record] * 6), FORMATS)
    assert [(one["tgw-id"], one["srcaddr"], one["dstaddr"]) for one in records] == [
        ("tgw-0a", "10.0.1.5", "10.1.2.9")
    ] * 6
    assert skipped == []


def test_a_subscription_is_read_by_the_format_of_its_log_group() -> None:
    named = {GROUP: tuple(DEFAULT.split()), "/other/group": ("srcaddr", "dstaddr", "start", "end")}
    records, skipped = read(WITHOUT_HEADER["subscription"](RECORDS), FlowFormats(named=named))
    assert (known(records), skipped) == (ROWS, [])


_OCSF = ("1.0.0-rc.2", "1.1.0", "1.5.0")


def _ocsf_rows() -> list[dict[str, str]]:
    local = {
        "vpc-id": "vpc-0a2e8f6ad5c3b9714",
        "subnet-id": "subnet-0a1d7e59c4b2f8603",
        "instance-id": "i-03846c730abe852f4",
    }
    without = [{name: row[name] for name in row if name != "version"} for row in ROWS[:3]]
    return [
        without[0]
        | local
        | {
            "pkt-srcaddr": "10.0.1.77",
            "pkt-dstaddr": "10.0.2.9",
            "flow-direction": "egress",
            "traffic-path": "1",
        },
        without[1]
        | local
        | {
            "pkt-srcaddr": "10.0.2.9",
            "pkt-dstaddr": "10.0.1.5",
            "flow-direction": "ingress",
            "traffic-path": "-",
        },
        without[2]
        | local
        | {
            "pkt-srcaddr": "198.51.100.7",
            "pkt-dstaddr": "10.0.3.4",
            "flow-direction": "ingress",
            "traffic-path": "-",
        },
    ]


def _ocsf_events(version: str) -> list[dict[str, object]]:
    return [
        ocsf(RECORDS[0], version, pkt_src="10.0.1.77"),
        ocsf(RECORDS[1], version, outbound=False),
        ocsf(RECORDS[2], version, outbound=False),
    ]


def _lines(events: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(event) + "\n" for event in events).encode()


@pytest.mark.parametrize("version", _OCSF)
@pytest.mark.parametrize(
    "write",
    [_lines, parquet, lambda events: json.dumps(events, indent=1).encode()],
    ids=["lines", "parquet", "list"],
)
def test_security_lake_has_the_fields_of_a_flow_log_in_its_own_words(version: str, write: Any) -> None:
    records, skipped = read(write(_ocsf_events(version)))
    assert [
        {name: record[name] for name in row} for record, row in zip(records, _ocsf_rows(), strict=True)
    ] == _ocsf_rows()
    assert skipped == []


def _cells_as_json(events: list[dict[str, object]]) -> bytes:
    """Return the result of a query that casts structs as JSON."""
    return _csv([{key: _cell(value) for key, value in event.items()} for event in events])


def _cells_by_path(events: list[dict[str, object]]) -> bytes:
    """Return the result of a query that selects the fields of structs by their paths."""
    return _csv([{key: _cell(value) for key, value in dotted(event)} for event in events])


def _cell(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _csv(rows: list[dict[str, str]]) -> bytes:
    out = StringIO()
    writer = csv.DictWriter(out, list({name: "" for row in rows for name in row}), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


@pytest.mark.parametrize("version", _OCSF)
@pytest.mark.parametrize("write", [_cells_as_json, _cells_by_path])
def test_security_lake_may_be_the_result_of_a_query(version: str, write: Any) -> None:
    records, skipped = read(write(_ocsf_events(version)))
    assert [
        {name: record[name] for name in row} for record, row in zip(records, _ocsf_rows(), strict=True)
    ] == _ocsf_rows()
    assert skipped == []


def test_structs_of_ocsf_as_texts_are_refused() -> None:
    text = b'class_uid,src_endpoint,dst_endpoint\n4001,"{ip=10.0.0.1, port=1}","{ip=10.0.0.2}"\n'
    reason = 'OCSF whose structs are texts; select src_endpoint.ip AS "src_endpoint.ip" and so on'
    assert read(text) == ([], [f"{reason}, or CAST(… AS JSON)"])


def test_the_action_of_ocsf_may_be_only_its_number() -> None:
    events = [
        {key: value for key, value in event.items() if key != "action"} for event in _ocsf_events("1.1.0")
    ]
    assert [record["action"] for record in read(_lines(events))[0]] == ["ACCEPT", "ACCEPT", "REJECT"]


def test_all_versions_of_ocsf_may_be_in_one_file() -> None:
    records, skipped = read(_lines([event for version in _OCSF for event in _ocsf_events(version)]))
    assert [
        {name: record[name] for name in row} for record, row in zip(records, _ocsf_rows() * 3, strict=True)
    ] == _ocsf_rows() * 3
    assert skipped == []


def test_values_of_ocsf_stay_as_they_are_in_dotted_columns() -> None:
    (file,) = files_of(
        Document(uri="f", chunks=iter((_lines(_ocsf_events("1.1.0")[:1]),))), Growth(), FlowFormats()
    )
    (block,) = file.blocks
    assert isinstance(block, FlowBlock)
    values = block.text.rstrip(b"\n").decode().split(block.separator.decode())
    row = dict(zip(block.columns, values, strict=True))
    assert row["src_endpoint.ip"] == "10.0.1.77"
    assert row["src_endpoint.intermediate_ips"] == '["10.0.1.5"]'
    assert row["action"] == "Allowed"
    assert row["start_time"] == "1664978403000"


MESSAGES = {
    "Sumo Logic": lambda texts: json.dumps({"messages": [{"map": {"_raw": text}} for text in texts]}),
    "Graylog": lambda texts: json.dumps(
        {"messages": [{"message": {"message": "flow", "full_message": text}} for text in texts]}
    ),
    "Datadog API v1": lambda texts: json.dumps({"logs": [{"content": {"message": text}} for text in texts]}),
    "Datadog, text twice": lambda texts: json.dumps(
        [{"message": text, "attributes": {"message": text}} for text in texts]
    ),
    "Elastic, fields": lambda texts: json.dumps(
        {"hits": {"hits": [{"fields": {"event.original": [text]}} for text in texts]}}
    ),
    "Elastic, a dot in the key": lambda texts: json.dumps([{"event.original": text} for text in texts]),
    "Kibana CSV": lambda texts: "@timestamp,event.original\n" + "".join(f'x,"{text}"\n' for text in texts),
    "items": lambda texts: json.dumps({"items": [{"input": {"message": text}} for text in texts]}),
    "Datadog": lambda texts: json.dumps({"data": [{"attributes": {"message": text}} for text in texts]}),
    "Datadog CSV": lambda texts: "Date,Host,Message\n" + "".join(f'x,h,"{text}"\n' for text in texts),
    "Loki": lambda texts: json.dumps(
        {"status": "success", "data": {"result": [{"stream": {}, "values": [["1", text] for text in texts]}]}}
    ),
    "Grafana CSV": lambda texts: "Time,Line\n" + "".join(f'x,"{text}"\n' for text in texts),
    "Elastic": lambda texts: json.dumps(
        {"hits": {"hits": [{"_source": {"event": {"original": text}}} for text in texts]}}
    ),
    "Elastic, text twice": lambda texts: json.dumps(
        {"hits": {"hits": [{"_source": {"message": text, "event": {"original": text}}} for text in texts]}}
    ),
}


@pytest.mark.parametrize("form", MESSAGES)
def test_messages_in_the_exports_of_other_products_are_read_once(form: str) -> None:
    records, skipped = read(MESSAGES[form](RECORDS).encode(), FORMATS)
    assert known(records) == ROWS
    assert skipped == []


def elastic_document(row: dict[str, str]) -> dict[str, Any]:
    """Return a record as Elastic's integration stores it, which removes what is ``-``."""
    own = {"account-id", "interface-id", "version", "action", "log-status"}
    seconds = (datetime.fromtimestamp(int(row[name]), UTC) for name in ("start", "end"))
    start, end = (second.isoformat().replace("+00:00", ".000Z") for second in seconds)
    found = {
        "@timestamp": end,
        "aws": {"vpcflow": {name.replace("-", "_"): row[name] for name in sorted(own) if row[name] != "-"}},
        "cloud": {"account": {"id": row["account-id"]}, "provider": "aws"},
        "event": {"start": start, "end": end, "kind": "event"},
    }
    if row["log-status"] != "OK":
        return found
    counts = {"bytes": int(row["bytes"]), "packets": int(row["packets"])}
    return found | {
        "source": {"ip": row["srcaddr"], "address": row["srcaddr"], "port": int(row["srcport"]), **counts},
        "destination": {"ip": row["dstaddr"], "address": row["dstaddr"], "port": int(row["dstport"])},
        "network": {"iana_number": row["protocol"], "transport": "tcp", **counts},
    }


def test_a_document_of_elastic_without_its_record_has_the_fields_of_a_flow_log() -> None:
    documents = [{"_source": elastic_document(row)} for row in ROWS]
    records, skipped = read(json.dumps({"hits": {"hits": documents}}).encode())
    assert known(records) == ROWS
    assert skipped == []


def test_of_a_document_of_elastic_the_record_counts_if_its_format_is_known() -> None:
    document = elastic_document(ROWS[0])
    document["event"]["original"] = RECORDS[0].replace("10.0.1.5", "10.0.1.6")
    assert read(json.dumps(document).encode(), FORMATS)[0][0]["srcaddr"] == "10.0.1.6"
    assert read(json.dumps(document).encode())[0][0]["srcaddr"] == "10.0.1.5"


@pytest.mark.parametrize("start", ["#", "# "])
def test_a_header_line_may_be_a_comment(start: str) -> None:
    text = "\n".join([start + DEFAULT, *RECORDS, ""])
    assert known(read(text.encode())[0]) == ROWS


def test_the_format_is_found_in_the_text_output_of_describe_flow_logs(tmp_path: Path) -> None:
    path = tmp_path / "flow-logs.txt"
    log_format = " ".join(f"${{{name}}}" for name in DEFAULT.split())
    path.write_text(f"FLOWLOGS\t2026-03-01\tSUCCESS\tfl-0a1b\tACTIVE\t{log_format}\t600\n")
    assert formats_of(str(path)).usual == tuple(DEFAULT.split())


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (DEFAULT.replace("srcaddr dstaddr srcport", "srcport srcaddr dstaddr"), "41522 as its dstaddr"),
        (
            DEFAULT.replace("start end action log-status", "action log-status start end"),
            "1664978403 as its action",
        ),
        (
            DEFAULT.replace("account-id interface-id", "interface-id account-id"),
            "111111111111 as its interface-id",
        ),
        (DEFAULT.replace("action log-status", "log-status action"), "ACCEPT as its log-status"),
    ],
)
@pytest.mark.parametrize("form", ["lines", "filter-log-events"])
def test_a_format_in_another_order_is_noticed_by_the_first_record(
    form: str, columns: str, reason: str
) -> None:
    _, skipped = read(WITHOUT_HEADER[form](RECORDS), formats_of(columns))
    assert skipped == [f"the first record has {reason}: --format may be wrong"]
