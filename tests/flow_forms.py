"""The same flow log records in every form in which AWS, or a tool, stores or prints them."""

import base64
import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

DEFAULT: Final = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action "
    "log-status"
)
_ONE: Final = "111111111111 eni-0a1b2c3d4e5f60718"
_OTHER: Final = "111111111111 eni-0b1b2c3d4e5f60718"
RECORDS: Final = (
    f"2 {_ONE} 10.0.1.5 10.0.2.9 41522 5432 6 14 2210 1664978403 1664978458 ACCEPT OK",
    f"2 {_ONE} 10.0.2.9 10.0.1.5 5432 41522 6 11 9800 1664978403 1664978458 ACCEPT OK",
    f"2 {_OTHER} 198.51.100.7 10.0.3.4 40211 3389 6 1 40 1664978520 1664978521 REJECT OK",
    f"2 {_ONE} 2001:db8::5 2001:db8::9 443 50000 6 9 900 1664978530 1664978540 ACCEPT OK",
    f"2 {_ONE} - - - - - - - 1664978700 1664978759 - NODATA",
    "2 unknown eni-0b1b2c3d4e5f60718 - - - - - - - 1664978700 1664978759 - SKIPDATA",
)
NAMES: Final = DEFAULT.split()
UNDERSCORES: Final = [name.replace("-", "_") for name in NAMES]
ROWS: Final = [dict(zip(NAMES, record.split(), strict=True)) for record in RECORDS]
STREAM: Final = "eni-0a1b2c3d4e5f60718-all"
GROUP: Final = "/vpc/flow-logs"

Write = Callable[[Sequence[str]], bytes]


def _lines(records: Sequence[str], header: str | None = DEFAULT, end: str = "\n") -> bytes:
    return "".join(line + end for line in ([header] if header else []) + list(records)).encode()


def _separated(separator: str, names: Sequence[str], *, quoted: bool) -> Write:
    def write(records: Sequence[str]) -> bytes:
        out = io.StringIO()
        writer = csv.writer(
            out,
            delimiter=separator,
            quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL,
            lineterminator="\n",
        )
        writer.writerow(names)
        writer.writerows([record.split() for record in records])
        return out.getvalue().encode()

    return write


def _csv_of(write_cell: Callable[[str, str], str], *, quoted: bool = False) -> Write:
    """Return what writes CSV whose cells are written by the name of the field and its value."""

    def write(records: Sequence[str]) -> bytes:
        rows = [" ".join(map(write_cell, NAMES, record.split())) for record in records]
        return _separated(",", UNDERSCORES, quoted=quoted)(rows)

    return write


def _nulls(_name: str, value: str) -> str:
    return "NULL" if value == "-" else value


def _decimals(name: str, value: str) -> str:
    """Return what pandas writes of columns with empty cells."""
    if value == "-":
        return "nan"
    return f"{value}.0" if value.isdigit() and name != "account-id" else value


def _times(name: str, value: str) -> str:
    """Return what Athena writes of ``from_unixtime``, with a T for the blank."""
    return f"{_iso(int(value))[:19]}.000".replace(" ", "T") if name in ("start", "end") else value


def _sql_times(records: Sequence[str]) -> bytes:
    return _csv_of(_times, quoted=True)(records).replace(b"T1", b" 1")


def _reordered(records: Sequence[str]) -> bytes:
    rows = [dict(zip(NAMES, record.split(), strict=True)) for record in records]
    names = [*reversed(NAMES), "quantum-lane", "flow-mood"]
    return _lines([" ".join(row.get(name, "x") for name in names) for row in rows], " ".join(names))


def _event(record: str, number: int) -> dict[str, object]:
    return {
        "logStreamName": STREAM,
        "timestamp": 1664978403000 + number,
        "message": record,
        "ingestionTime": 1664978758000,
        "eventId": f"3{number:055}",
    }


def _events(records: Sequence[str]) -> list[dict[str, object]]:
    return [_event(record, number) for number, record in enumerate(records)]


def _subscription(records: Sequence[str]) -> bytes:
    return json.dumps(
        {
            "messageType": "DATA_MESSAGE",
            "owner": "111111111111",
            "logGroup": GROUP,
            "logStream": STREAM,
            "subscriptionFilters": ["all"],
            "logEvents": [
                {"id": f"3{number:055}", "timestamp": 1664978403000 + number, "message": record}
                for number, record in enumerate(records)
            ],
        }
    ).encode()


def _packed(records: Sequence[str]) -> str:
    return base64.b64encode(gzip.compress(_subscription(records))).decode()


def _output_text(records: Sequence[str]) -> bytes:
    lines = [
        f"EVENTS\t3{number:055}\t1664978758000\t{STREAM}\t{record}\t{1664978403000 + number}"
        for number, record in enumerate(records)
    ]
    return _lines([*lines, f"SEARCHEDLOGSTREAMS\tTrue\t{STREAM}"], None)


def _get_events_text(records: Sequence[str]) -> bytes:
    lines = [f"EVENTS\t1664978758000\t{record}\t1664978403000" for record in records]
    return _lines(["b/3714/s\tf/3715/s", *lines], None)


def _insights_row(record: str, names: Sequence[str]) -> list[dict[str, str]]:
    values = dict(
        zip(_INSIGHTS, (record.split()[NAMES.index(name)] for name in _INSIGHTS.values()), strict=True)
    )
    values |= {"@timestamp": "2022-10-05 14:00:03.000", "@message": record, "@ptr": "CmEKJgoiMTExMTEx"}
    return [{"field": name, "value": values[name]} for name in (*names, "@ptr")]


_INSIGHTS: Final = {
    "version": "version",
    "accountId": "account-id",
    "interfaceId": "interface-id",
    "srcAddr": "srcaddr",
    "dstAddr": "dstaddr",
    "srcPort": "srcport",
    "dstPort": "dstport",
    "protocol": "protocol",
    "packets": "packets",
    "bytes": "bytes",
    "startTime": "start",
    "endTime": "end",
    "action": "action",
    "logStatus": "log-status",
}
"""The fields that Logs Insights discovers in flow logs, with AWS's names."""


def _insights(names: Sequence[str]) -> Write:
    return lambda records: json.dumps(
        {
            "results": [_insights_row(record, names) for record in records],
            "statistics": {"recordsMatched": 6.0, "recordsScanned": 6.0, "bytesScanned": 600.0},
            "status": "Complete",
        }
    ).encode()


def _insights_csv(names: Sequence[str]) -> Write:
    def write(records: Sequence[str]) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        for record in records:
            cells = {cell["field"]: cell["value"] for cell in _insights_row(record, names)}
            writer.writerow([cells[name] for name in names])
        return out.getvalue().encode()

    return write


def _insights_text(records: Sequence[str]) -> bytes:
    lines = ["Complete", "STATISTICS\t600.0\t6.0\t6.0"]
    for record in records:
        lines += [
            "RESULTS\t@timestamp\t2022-10-05 14:00:03.000",
            f"RESULTS\t@message\t{record}",
            "RESULTS\t@ptr\tCmEK",
        ]
    return _lines(lines, None)


def _json_rows(records: Sequence[str]) -> bytes:
    rows = [
        {
            name.replace("-", "_"): int(value) if value.isdigit() and name != "account-id" else value
            for name, value in zip(NAMES, record.split(), strict=True)
            if value != "-"
        }
        for record in records
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _json_times(records: Sequence[str]) -> bytes:
    """Return the rows of a product that has times: Sentinel, Panther, tailpipe."""
    rows = [json.loads(line) for line in _json_rows(records).splitlines()]
    times = [{name: _iso(int(row[name])) for name in ("start", "end")} for row in rows]
    return json.dumps([row | time for row, time in zip(rows, times, strict=True)]).encode()


def _athena_table(records: Sequence[str]) -> bytes:
    """Return the columns of the table on older pages of AWS, absent values as Athena writes NULL."""
    names = [
        *("version", "account", "interfaceid", "sourceaddress", "destinationaddress", "sourceport"),
        *("destinationport", "protocol", "numpackets", "numbytes", "starttime", "endtime", "action"),
        "logstatus",
    ]
    lines = [",".join(f'"{name}"' for name in names)]
    lines += [
        ",".join("" if value == "-" else f'"{value}"' for value in record.split()) for record in records
    ]
    return _lines(lines, None)


def _athena_result_set(records: Sequence[str]) -> bytes:
    """Return what ``aws athena get-query-results`` prints."""
    names = [name.replace("-", "_") for name in NAMES]
    rows: list[list[str]] = [names, *(record.split() for record in records)]
    cells = [[{} if value == "-" else {"VarCharValue": value} for value in row] for row in rows]
    return json.dumps({"ResultSet": {"Rows": [{"Data": row} for row in cells]}}, indent=4).encode()


def parquet(rows: Sequence[dict[str, object]]) -> bytes:
    """Return a Parquet file with these rows."""
    from arro3.core import Schema
    from arro3.io import read_json, write_parquet

    every: dict[str, object] = {}
    for row in rows:
        every = _merged(every, row)
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    out = io.BytesIO()
    write_parquet(read_json(io.BytesIO(text), Schema([_column(*item) for item in every.items()])), out)
    return out.getvalue()


def _merged(one: dict[str, object], other: dict[str, object]) -> dict[str, object]:
    both = one | other
    for key, value in one.items():
        if isinstance(value, dict) and isinstance(other.get(key), dict):
            both[key] = _merged(value, other[key])  # type: ignore[arg-type]
    return both


def _column(name: str, value: object) -> Any:
    """Return the field of a schema for values like this."""
    from arro3.core import DataType, Field

    if isinstance(value, dict):
        return Field(name, DataType.struct([_column(*item) for item in value.items()]))
    if isinstance(value, list):
        return Field(name, DataType.list(_column("element", value[0])))
    return Field(name, DataType.int64() if isinstance(value, int) else DataType.utf8())


def s3_parquet(records: Sequence[str]) -> bytes:
    """Return a Parquet file as AWS writes it: underscores, and numbers as such."""
    return parquet([json.loads(line) for line in _json_rows(records).splitlines()])


def ocsf(
    record: str, version: str, *, pkt_src: str | None = None, outbound: bool = True
) -> dict[str, object]:
    """Return a record as Security Lake stores it, in one of the versions of OCSF."""
    row = dict(zip(NAMES, record.split(), strict=True))
    is_candidate = version == "1.0.0-rc.2"
    account: dict[str, object] = (
        {"account_uid": row["account-id"]} if is_candidate else {"account": {"uid": row["account-id"]}}
    )
    local = {
        "interface_uid": row["interface-id"],
        "vpc_uid": "vpc-0a2e8f6ad5c3b9714",
        "subnet_uid": "subnet-0a1d7e59c4b2f8603",
        "instance_uid": "i-03846c730abe852f4",
    }
    src: dict[str, object] = {"ip": pkt_src or row["srcaddr"], "port": int(row["srcport"]), "svc_name": "-"}
    if pkt_src is not None:
        src["intermediate_ips"] = [row["srcaddr"]]
    dst: dict[str, object] = {"ip": row["dstaddr"], "port": int(row["dstport"]), "svc_name": "-"}
    (src if outbound else dst).update(local)
    is_rejected = row["action"] == "REJECT"
    event: dict[str, object] = {
        "metadata": {"product": {"name": "Amazon VPC", "version": "5"}, "version": version},
        "cloud": {"region": "eu-west-1", "provider": "AWS", **account},
        "src_endpoint": src,
        "dst_endpoint": dst,
        "connection_info": {
            "protocol_num": int(row["protocol"]),
            "direction": "Outbound" if outbound else "Inbound",
            "boundary_id": 4 if outbound else 99,
        },
        "traffic": {"packets": int(row["packets"]), "bytes": int(row["bytes"])},
        "time": int(row["start"]) * 1000,
        "status_code": row["log-status"],
        "class_uid": 4001,
    }
    if is_candidate:
        event |= {"disposition": "Blocked" if is_rejected else "Allowed"}
    else:
        event |= {"action": "Denied" if is_rejected else "Allowed", "action_id": 2 if is_rejected else 1}
    if version == "1.5.0":
        event |= {f"{name}_time_dt": _iso(int(row[name])) for name in ("start", "end")}
    else:
        event |= {f"{name}_time": int(row[name]) * 1000 for name in ("start", "end")}
    return event


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ")


WITH_HEADER: Final[dict[str, Write]] = {
    "s3": _lines,
    "s3-underscores": lambda records: _lines(records, DEFAULT.replace("-", "_")),
    "s3-crlf": lambda records: _lines(records, end="\r\n"),
    "s3-any-order-and-new-fields": _reordered,
    "s3-files-put-together": lambda records: _lines(records[:2]) + _lines(records[2:]),
    "s3-blank-lines": lambda records: _lines(records).replace(b"\n", b"\n\n") + b"  \n",
    "s3-two-formats-put-together": lambda records: _lines(records[:2]) + _reordered(records[2:]),
    "s3-byte-order-mark": lambda records: b"\xef\xbb\xbf" + _lines(records),
    "s3-utf-16": lambda records: _lines(records).decode().encode("utf-16"),
    "s3-no-last-line-end": lambda records: _lines(records).rstrip(b"\n"),
    "s3-gzip": lambda records: gzip.compress(_lines(records)),
    "s3-gzip-members": lambda records: (
        gzip.compress(_lines(records[:3])) + gzip.compress(_lines(records[3:]))
    ),
    "csv": _separated(",", NAMES, quoted=False),
    "csv-underscores": _separated(",", UNDERSCORES, quoted=False),
    "csv-excel": lambda records: b"sep=;\r\n" + _separated(";", NAMES, quoted=False)(records),
    "tsv": _separated("\t", NAMES, quoted=False),
    "athena-result": _separated(",", UNDERSCORES, quoted=True),
    "athena-older-table": _athena_table,
    "athena-get-query-results": _athena_result_set,
    "jq-lines": lambda records: _lines([f'"{record}"' for record in records], f'"{DEFAULT}"'),
    "s3-cr": lambda records: _lines(records, end="\r"),
    "s3-indented": lambda records: b"".join(b"  " + line for line in _lines(records).splitlines(True)),
    "csv-null-words": _csv_of(_nulls),
    "csv-null-words-quoted": _csv_of(_nulls, quoted=True),
    "csv-decimals": _csv_of(_decimals),
    "csv-times": _csv_of(_times),
    "csv-sql-times": _sql_times,
    "json-lines": _json_rows,
    "json-times": _json_times,
    "insights-fields": _insights(list(_INSIGHTS)),
    "insights-fields-csv": _insights_csv(["@timestamp", *_INSIGHTS]),
}
"""The forms that name the fields themselves."""

WITHOUT_HEADER: Final[dict[str, Write]] = {
    "lines": lambda records: _lines(records, None),
    "lines-commas": lambda records: _lines([record.replace(" ", ",") for record in records], None),
    "lines-crlf": lambda records: _lines(records, None, "\r\n"),
    "filter-log-events": lambda records: json.dumps(
        {"events": _events(records), "searchedLogStreams": []}, indent=2
    ).encode(),
    "get-log-events": lambda records: json.dumps(
        {"events": _events(records), "nextForwardToken": "f/37/s", "nextBackwardToken": "b/37/s"}
    ).encode(),
    "query-messages": lambda records: json.dumps(list(records), indent=4).encode(),
    "jq-messages": lambda records: _lines([json.dumps(record) for record in records], None),
    "jq-messages-with-commas": lambda records: _lines([f'"{record}",' for record in records], None),
    "query-messages-text": lambda records: "\t".join(records).encode() + b"\n",
    "query-times-and-messages-text": lambda records: _lines(
        [f"1664978403000\t{record}" for record in records], None
    ),
    "tail-detailed": lambda records: _lines(
        [f"2022-10-05T14:00:03.123000+00:00 {STREAM} {record}" for record in records], None
    ),
    "tail-whole-second": lambda records: _lines(
        [f"2022-10-05T14:00:03+00:00 {STREAM} {record}" for record in records], None
    ),
    "tail-short": lambda records: _lines([f"2022-10-05T14:00:03 {record}" for record in records], None),
    "export-task": lambda records: gzip.compress(
        _lines([f"2022-10-05T14:00:03.000Z {record}" for record in records], None)
    ),
    "output-text": _output_text,
    "get-log-events-text": _get_events_text,
    "subscription": lambda records: gzip.compress(_subscription(records)),
    "subscription-members": lambda records: (
        gzip.compress(_subscription(records[:2])) + gzip.compress(_subscription(records[2:]))
    ),
    "firehose-lines": lambda records: _lines([json.dumps({"message": record}) for record in records], None),
    "firehose-no-lines": lambda records: "".join(
        json.dumps({"message": record}) for record in records
    ).encode(),
    "lambda-event": lambda records: json.dumps({"awslogs": {"data": _packed(records)}}).encode(),
    "kinesis-event": lambda records: json.dumps(
        {
            "Records": [
                {"kinesis": {"data": _packed(records[:4])}},
                {"kinesis": {"data": _packed(records[4:])}},
            ]
        }
    ).encode(),
    "kinesis-event-of-lambda": lambda records: json.dumps(
        {
            "Records": [
                {
                    "kinesis": {"partitionKey": "1", "data": _packed(records)},
                    "eventSource": "aws:kinesis",
                    "eventVersion": "1.0",
                    "eventName": "aws:kinesis:record",
                }
            ]
        }
    ).encode(),
    "kinesis-get-records": lambda records: json.dumps(
        {
            "Records": [{"SequenceNumber": "1", "Data": _packed(records), "PartitionKey": "1"}],
            "MillisBehindLatest": 0,
        }
    ).encode(),
    "firehose-event": lambda records: json.dumps(
        {"invocationId": "1", "region": "eu-west-1", "records": [{"recordId": "1", "data": _packed(records)}]}
    ).encode(),
    "firehose-event-of-flow-logs": lambda records: json.dumps(
        {
            "invocationId": "1",
            "records": [
                {"data": base64.b64encode(json.dumps({"message": record}).encode()).decode()}
                for record in records
            ],
        }
    ).encode(),
    "lines-cr": lambda records: _lines(records, None, "\r"),
    "insights-messages": _insights(["@timestamp", "@message"]),
    "insights-messages-csv": _insights_csv(["@timestamp", "@message"]),
    "insights-messages-text": _insights_text,
    "filter-log-events-yaml": lambda records: (
        "events:\n" + "".join(f"- logStreamName: {STREAM}\n  message: {record}\n" for record in records)
    ).encode(),
}
"""The forms in which ``--format`` names the fields."""
