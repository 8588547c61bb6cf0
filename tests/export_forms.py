"""CloudTrail records as query engines, SIEMs and AWS's APIs export them: one function for each form.

Every function takes records as CloudTrail writes them, and returns what such an export has.
"""

import base64
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

Entry = dict[str, Any]
Columns = dict[str, Any]

ATHENA_IDENTITY = {
    "2016": (
        "type principalId arn accountId invokedBy accessKeyId userName "
        "sessionContext{attributes{mfaAuthenticated creationDate} "
        "sessionIssuer{type principalId arn accountId userName}}"
    ),
    "now": (
        "type principalId arn accountId invokedBy accessKeyId userName onBehalfOf{userId identityStoreArn} "
        "sessionContext{attributes{mfaAuthenticated creationDate} "
        "sessionIssuer{type principalId arn accountId userName} "
        "ec2RoleDelivery webIdFederationData{federatedProvider attributes{}}}"
    ),
    "lake": (
        "type principalId arn accountId accessKeyId userName "
        "sessionContext{attributes{creationDate mfaAuthenticated} "
        "sessionIssuer{type principalId arn accountId userName} "
        "webIdFederationData{federatedProvider attributes{}} sourceIdentity ec2RoleDelivery ec2IssuedInVpc} "
        "invokedBy identityProvider credentialId onBehalfOf{userId identityStoreArn}"
    ),
}
"""The columns of userIdentity in the Athena guide's tables, and in CloudTrail Lake."""

_ATHENA = (
    *("eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion"),
    *("sourceIPAddress", "userAgent", "errorCode", "errorMessage", "requestParameters"),
    *("responseElements", "additionalEventData", "requestID", "eventID", "readOnly"),
    *("resources", "eventType", "apiVersion", "recipientAccountId", "serviceEventDetails"),
    *("sharedEventID", "vpcEndpointId", "vpcEndpointAccountId", "eventCategory"),
    *("addendum", "sessionCredentialFromConsole", "edgeDeviceDetails", "tlsDetails"),
)
_TLS = "tlsVersion cipherSuite clientProvidedHostHeader"
_ADDENDUM = "reason updatedFields originalRequestID originalEventID"
_RESOURCE = "ARN accountId type"
_OF_THE_CALL = ("requestParameters", "responseElements", "additionalEventData", "serviceEventDetails")

Fields = dict[str, Any]


def fields_of(columns: str) -> Fields:
    """The columns of a struct, as in ``a b{c d}``: None for a value, the columns of a struct."""
    words = columns.replace("{", " { ").replace("}", " } ").split()
    stack: list[Fields] = [{}]
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "}":
            stack.pop()
        elif following == "{":
            stack[-1][word] = {}
            stack.append(stack[-1][word])
        elif word != "{":
            stack[-1][word] = None
    return stack[0]


def cell(value: object) -> str:
    """A value in a struct text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def struct_text(value: Entry | None, fields: Fields) -> str:
    """A struct as Athena writes it: ``{type=AssumedRole, arn=…}``, all columns, without quotes."""
    if value is None:
        return "null"
    if not fields:
        return "{" + ", ".join(f"{key}={cell(inner)}" for key, inner in value.items()) + "}"
    cells = (
        f"{name.lower()}={cell(value.get(name)) if inner is None else struct_text(value.get(name), inner)}"
        for name, inner in fields.items()
    )
    return "{" + ", ".join(cells) + "}"


def identity_text(identity: Entry, table: str = "now") -> str:
    return struct_text(identity, fields_of(ATHENA_IDENTITY[table]))


def lower(value: object, fields: Fields) -> object:
    """A struct as JSON with names in lower case, as ``cast(useridentity as json)`` and Trino give it."""
    if not isinstance(value, dict):
        return value
    if not fields:
        return value
    return {
        name.lower(): value.get(name) if inner is None else lower(value.get(name), inner)
        for name, inner in fields.items()
    }


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _athena_row(record: Entry, table: str = "now") -> dict[str, str | None]:
    row: dict[str, str | None] = {}
    for name in _ATHENA:
        value = record.get(name)
        if name in _OF_THE_CALL or name == "edgeDeviceDetails":
            text = None if value is None else compact(value)
        elif name == "userIdentity":
            text = identity_text(value or {}, table)
        elif value is None:
            text = None
        elif name in ("tlsDetails", "addendum"):
            text = struct_text(value, fields_of(_TLS if name == "tlsDetails" else _ADDENDUM))
        elif name == "resources":
            text = "[" + ", ".join(struct_text(item, fields_of(_RESOURCE)) for item in value) + "]"
        else:
            text = cell(value)
        row[name.lower()] = text
    return row | {"timestamp": record["eventTime"][:10].replace("-", "/")}


def csv_text(rows: Iterable[Columns], delimiter: str = ",", line_end: str = "\n") -> bytes:
    """Rows as CSV with quotes everywhere, as Athena writes it."""
    rows = list(rows)
    out = io.StringIO()
    writer = csv.DictWriter(
        out, list(rows[0]), quoting=csv.QUOTE_ALL, delimiter=delimiter, lineterminator=line_end
    )
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)
    return out.getvalue().encode()


def athena_csv(records: Iterable[Entry], table: str = "now") -> bytes:
    """The result file of ``select *`` in Athena."""
    return csv_text(_athena_row(record, table) for record in records)


def athena_api(records: Iterable[Entry]) -> Entry:
    """``aws athena get-query-results``: the first row has the column names, null is ``{}``."""
    rows = [_athena_row(record) for record in records]
    cells: list[Sequence[str | None]] = [list(rows[0]), *(list(row.values()) for row in rows)]
    data = [{"Data": [{} if text is None else {"VarCharValue": text} for text in row]} for row in cells]
    return {"UpdateCount": 0, "ResultSet": {"Rows": data, "ResultSetMetadata": {"ColumnInfo": []}}}


def trino_rows(records: Iterable[Entry]) -> list[Columns]:
    """Rows of Trino as JSON: structs are objects with names in lower case."""
    return [
        {
            **_athena_row(record),
            "useridentity": lower(record.get("userIdentity"), fields_of(ATHENA_IDENTITY["now"])),
            "tlsdetails": lower(record.get("tlsDetails"), fields_of(_TLS)),
            "resources": [lower(item, fields_of(_RESOURCE)) for item in record.get("resources") or ()],
        }
        for record in records
    ]


def athena_cast_csv(records: Iterable[Entry]) -> bytes:
    """A few columns with ``cast(useridentity as json) as useridentity_json``, and no error column."""
    return csv_text(
        {
            "eventtime": record["eventTime"],
            "eventname": record["eventName"],
            "useridentity_json": compact(lower(record["userIdentity"], fields_of(ATHENA_IDENTITY["now"]))),
            "requestparameters": compact(record["requestParameters"]),
            "responseelements": compact(record["responseElements"]),
        }
        for record in records
    )


def map_text(parameters: Entry | None) -> str | None:
    """Parameters as CloudTrail Lake writes its ``map<string,string>``: nested values are JSON texts."""
    if parameters is None:
        return None
    values = (
        f"{key}={compact(value) if isinstance(value, dict | list) else cell(value)}"
        for key, value in parameters.items()
    )
    return "{" + ", ".join(values) + "}"


def _lake_time(time: str) -> str:
    return time.replace("T", " ").replace("Z", ".000")


def lake_rows(records: Iterable[Entry]) -> list[list[dict[str, str]]]:
    """``QueryResultRows`` of ``aws cloudtrail get-query-results``."""
    return [[{name: text} for name, text in row.items()] for row in map(_lake_row, records)]


def lake_csv(records: Iterable[Entry]) -> bytes:
    """A result file that CloudTrail Lake delivered to S3."""
    return csv_text(map(_lake_row, records))


def _lake_row(record: Entry) -> dict[str, str]:
    identity = identity_text(record["userIdentity"], "lake")
    created = ((record["userIdentity"].get("sessionContext") or {}).get("attributes") or {}).get(
        "creationDate"
    )
    if created:
        identity = identity.replace(created, _lake_time(created))
    row = {
        name: "" if (value := record.get(name)) is None else cell(value)
        for name in _ATHENA
        if name not in ("tlsDetails", "addendum", "resources", "edgeDeviceDetails")
    }
    parameters = {name: map_text(record.get(name)) or "" for name in _OF_THE_CALL}
    return row | parameters | {"eventTime": _lake_time(record["eventTime"]), "userIdentity": identity}


def milliseconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1000)


def security_lake_rows(records: Iterable[Entry]) -> list[Columns]:
    """OCSF 1.1 as Security Lake's source version 2 writes it."""
    return [_ocsf(record) for record in records]


def _ocsf(record: Entry) -> Columns:
    identity = record["userIdentity"]
    session = identity.get("sessionContext") or {}
    issuer, attributes = session.get("sessionIssuer") or {}, session.get("attributes") or {}
    provider = (session.get("webIdFederationData") or {}).get("federatedProvider")
    created = attributes.get("creationDate")
    is_address = record["sourceIPAddress"][:1].isdigit()
    unmapped = {
        "readOnly": cell(record["readOnly"]),
        "managementEvent": "true",
        "recipientAccountId": record["recipientAccountId"],
        "userIdentity.sessionContext.ec2RoleDelivery": session.get("ec2RoleDelivery"),
        **{
            f"userIdentity.sessionContext.sessionIssuer.{name}": issuer.get(name)
            for name in ("type", "principalId", "accountId", "userName")
        },
        "serviceEventDetails": _json_text(record.get("serviceEventDetails")),
        **{f"tlsDetails.{name}": text for name, text in (record.get("tlsDetails") or {}).items()},
    }
    return {
        "metadata": {
            "product": {
                "name": "CloudTrail",
                "vendor_name": "AWS",
                "version": record["eventVersion"],
                "feature": {"name": record["eventCategory"]},
            },
            "uid": record["eventID"],
            "version": "1.1.0",
            "event_code": record["eventType"],
        },
        "time": milliseconds(record["eventTime"]),
        "cloud": {"region": record["awsRegion"], "provider": "AWS"},
        "api": {
            "operation": record["eventName"],
            "service": {"name": record["eventSource"]},
            "request": {"uid": record["requestID"], "data": _json_text(record["requestParameters"])},
            "response": {
                "error": record.get("errorCode"),
                "message": record.get("errorMessage"),
                "data": _json_text(record["responseElements"]),
            },
        },
        "src_endpoint": {
            "ip": record["sourceIPAddress"] if is_address else None,
            "domain": None if is_address else record["sourceIPAddress"],
        },
        "http_request": {"user_agent": record["userAgent"]},
        "class_uid": 6003,
        "status": "Failure" if record.get("errorCode") else "Success",
        "actor": {
            "user": {
                "type": identity.get("type"),
                "name": identity.get("userName"),
                "credential_uid": identity.get("accessKeyId"),
                "uid": identity.get("arn"),
                "uid_alt": identity.get("principalId"),
                "account": {"uid": identity.get("accountId")},
            },
            "invoked_by": identity.get("invokedBy"),
            "session": {
                "issuer": issuer.get("arn"),
                "is_mfa": attributes.get("mfaAuthenticated") == "true",
                "created_time": milliseconds(created) if created else None,
            },
            "idp": {"name": provider or identity.get("identityProvider")},
        },
        "unmapped": {key: text for key, text in unmapped.items() if text is not None},
    }


def _json_text(parameters: object) -> str | None:
    return None if parameters is None else compact(parameters)


def security_lake_v1_rows(records: Iterable[Entry]) -> list[Columns]:
    """OCSF 1.0.0-rc.2, without the parameters that it flattens."""
    rows = security_lake_rows(records)
    for row in rows:
        row["metadata"]["version"], row["class_uid"] = "1.0.0-rc.2", 3005
        del row["api"]["request"]["data"], row["api"]["response"]["data"]
    return rows


def _snake(name: str) -> str:
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return words.replace("i_d", "id").replace("i_p_", "ip_").lstrip("_")


def snake(value: object, fields: Fields | None) -> object:
    """A struct with the names of tailpipe's columns."""
    if not isinstance(value, dict) or fields is None:
        return value
    return {_snake(name): snake(value.get(name), inner) for name, inner in fields.items()}


_TAILPIPE_IDENTITY = (
    "type arn accountId accessKeyId principalId userName invokedBy identityProvider "
    "sessionContext{attributes{mfaAuthenticated creationDate} ec2RoleDelivery "
    "sessionIssuer{type principalId arn accountId userName} webIdFederationData{federatedProvider}}"
)


def tailpipe_rows(records: Iterable[Entry]) -> list[Columns]:
    """Rows of tailpipe's table aws_cloudtrail_log, with times as Parquet has them."""
    return [
        {
            "tp_id": "x",
            "tp_timestamp": _naive(record["eventTime"]),
            **{
                _snake(name): _json_text(record.get(name)) if name in _OF_THE_CALL else record.get(name)
                for name in _ATHENA
                if name not in ("tlsDetails", "addendum", "resources", "edgeDeviceDetails")
            },
            "event_time": _naive(record["eventTime"]),
            "user_identity": snake(record["userIdentity"], fields_of(_TAILPIPE_IDENTITY)),
        }
        for record in records
    ]


def _naive(time: str) -> datetime:
    return datetime.fromisoformat(time).replace(tzinfo=None)


def own_rows(records: Iterable[Entry]) -> list[Columns]:
    """Rows of one's own export: CloudTrail's names, with JSON text in place of objects."""
    return [
        {name: compact(value) if isinstance(value, dict | list) else value for name, value in record.items()}
        for record in records
    ]


def sentinel_rows(records: Iterable[Entry]) -> list[Columns]:
    """Rows of Microsoft Sentinel's table AWSCloudTrail."""
    return [_sentinel(record) for record in records]


def _sentinel(record: Entry) -> Columns:
    identity = record["userIdentity"]
    session = identity.get("sessionContext") or {}
    issuer, attributes = session.get("sessionIssuer") or {}, session.get("attributes") or {}
    return {
        "TimeGenerated": record["eventTime"],
        "AwsEventId": record["eventID"],
        "AwsRequestId_": record["requestID"],
        "AWSRegion": record["awsRegion"],
        "EventName": record["eventName"],
        "EventSource": record["eventSource"],
        "EventTypeName": record["eventType"],
        "EventVersion": record["eventVersion"],
        "ErrorCode": record.get("errorCode") or "",
        "ErrorMessage": record.get("errorMessage") or "",
        "ManagementEvent": record["managementEvent"],
        "ReadOnly": record["readOnly"],
        "RecipientAccountId": record["recipientAccountId"],
        "RequestParameters": compact(record["requestParameters"]),
        "ResponseElements": compact(record["responseElements"]),
        "SourceIpAddress": record["sourceIPAddress"],
        "UserAgent": record["userAgent"],
        "UserIdentityType": identity.get("type"),
        "UserIdentityPrincipalid": identity.get("principalId"),
        "UserIdentityArn": identity.get("arn"),
        "UserIdentityAccountId": identity.get("accountId"),
        "UserIdentityAccessKeyId": identity.get("accessKeyId"),
        "UserIdentityUserName": identity.get("userName"),
        "UserIdentityInvokedBy": identity.get("invokedBy"),
        "SessionIssuerType": issuer.get("type"),
        "SessionIssuerPrincipalId": issuer.get("principalId"),
        "SessionIssuerArn": issuer.get("arn"),
        "SessionIssuerAccountId": issuer.get("accountId"),
        "SessionIssuerUserName": issuer.get("userName"),
        "SessionMfaAuthenticated": attributes.get("mfaAuthenticated"),
        "SessionCreationDate": attributes.get("creationDate"),
        "Type": "AWSCloudTrail",
    }


def java_text(value: object) -> str:
    """Parameters as the text that Elastic keeps for search."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={java_text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(java_text, value)) + "]"
    return cell(value)


def _search_text(parameters: object) -> str | None:
    return None if parameters is None else java_text(parameters)


def elastic_documents(records: Iterable[Entry]) -> list[Columns]:
    """The ``_source`` of Elasticsearch documents without event.original; empty fields are dropped."""
    return [_elastic(record) for record in records]


def _elastic(record: Entry) -> Columns:
    identity = record["userIdentity"]
    session = identity.get("sessionContext") or {}
    issuer, attributes = session.get("sessionIssuer") or {}, session.get("attributes") or {}
    is_role = identity.get("type") == "AssumedRole"
    document = {
        "@timestamp": record["eventTime"].replace("Z", ".000Z"),
        "event": {
            "action": record["eventName"],
            "id": record["eventID"],
            "provider": record["eventSource"],
            "outcome": "failure" if record.get("errorCode") else "success",
        },
        "cloud": {"account": {"id": identity.get("accountId")}, "region": record["awsRegion"]},
        "user": {
            "name": issuer.get("userName") if is_role else identity.get("userName"),
            "id": identity.get("principalId"),
        },
        "user_agent": {"original": record["userAgent"]},
        "source": {"address": record["sourceIPAddress"]},
        "aws": {
            "cloudtrail": {
                "event_version": record["eventVersion"],
                "event_type": record["eventType"],
                "event_category": record["eventCategory"],
                "request_id": record["requestID"],
                "recipient_account_id": record["recipientAccountId"],
                "management_event": record["managementEvent"],
                "read_only": record["readOnly"],
                "error_code": record.get("errorCode"),
                "error_message": record.get("errorMessage"),
                "request_parameters": _search_text(record["requestParameters"]),
                "response_elements": _search_text(record["responseElements"]),
                "flattened": {
                    "request_parameters": record["requestParameters"],
                    "response_elements": record["responseElements"],
                },
                "user_identity": {
                    "type": identity.get("type"),
                    "arn": identity.get("arn"),
                    "access_key_id": identity.get("accessKeyId"),
                    "invoked_by": identity.get("invokedBy"),
                    "session_context": {
                        "mfa_authenticated": attributes.get("mfaAuthenticated"),
                        "creation_date": attributes.get("creationDate"),
                        "session_issuer": {
                            "type": issuer.get("type"),
                            "arn": issuer.get("arn"),
                            "principal_id": issuer.get("principalId"),
                            "account_id": issuer.get("accountId"),
                        },
                    },
                },
            }
        },
    }
    pruned = without_empty(document)
    assert isinstance(pruned, dict)
    return pruned


def without_empty(value: object) -> object:
    """A value without null, empty texts, and objects and lists that have nothing else."""
    if isinstance(value, dict):
        kept = {key: without_empty(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner not in (None, "", {}, [])}
    if isinstance(value, list):
        return [inner for inner in map(without_empty, value) if inner not in (None, "", {}, [])]
    return value


def console_csv(records: Iterable[Entry]) -> bytes:
    """The console's event history as CSV: the columns of its list."""
    return csv_text(
        {
            "Event ID": record["eventID"],
            "Event time": record["eventTime"],
            "User name": "x",
            "Event name": record["eventName"],
            "AWS region": record["awsRegion"],
        }
        for record in records
    )


def parquet(rows: Iterable[Columns], compression: str = "zstd(3)") -> bytes:
    """Rows as a Parquet file: structs, times and OCSF's map are what they are in such files."""
    from arro3.core import DataType, Field, Schema
    from arro3.io import read_json, write_parquet

    rows = list(rows)
    special = {
        name: DataType.timestamp("us")
        if isinstance(value, datetime)
        else DataType.map(
            Field("key", DataType.string(), nullable=False),
            Field("value", DataType.string(), nullable=True),
            keys_sorted=False,
        )
        for name, value in rows[0].items()
        if isinstance(value, datetime) or name == "unmapped"
    }
    columns = dict.fromkeys(name for row in rows for name in row)
    fields = [_arrow_field(name, rows, special.get(name)) for name in columns]
    lines = "\n".join(json.dumps(row, default=datetime.isoformat) for row in rows).encode()
    out = io.BytesIO()
    write_parquet(read_json(lines, Schema(fields)), out, compression=compression)
    return out.getvalue()


def _arrow_field(name: str, rows: list[Columns], special: Any) -> Any:
    """A column's field: of a special type, or of the type of its values; text if it has none."""
    from arro3.core import DataType, Field

    def kind(values: list[Any]) -> Any:
        value = next((value for value in values if value is not None), None)
        if isinstance(value, dict):
            names = dict.fromkeys(name for inner in values for name in inner or ())
            return DataType.struct(
                [
                    Field(name, kind([(inner or {}).get(name) for inner in values]), nullable=True)
                    for name in names
                ]
            )
        if isinstance(value, list):
            elements = [element for inner in values for element in inner or ()]
            return DataType.list(Field("item", kind(elements), nullable=True))
        if isinstance(value, bool):
            return DataType.bool()
        return DataType.int64() if isinstance(value, int) else DataType.string()

    return Field(name, special or kind([row.get(name) for row in rows]), nullable=True)


def lookup_events_yaml(records: Iterable[Entry]) -> bytes:
    """``aws cloudtrail lookup-events --output yaml``."""
    import yaml

    events = [
        {
            "CloudTrailEvent": compact(record),
            "EventId": record["eventID"],
            "EventName": record["eventName"],
            "EventTime": record["eventTime"].replace("Z", "+00:00"),
            "ReadOnly": cell(record["readOnly"]),
            "Resources": [],
        }
        for record in records
    ]
    return yaml.safe_dump({"Events": events}, width=80).encode()


def repeated_in_parquet(text: str, rows: int, groups: int) -> bytes:
    """A Parquet file with one text in very many rows, which it stores once."""
    from arro3.core import Array, DataType, RecordBatch, RecordBatchReader
    from arro3.io import write_parquet

    batch = RecordBatch.from_pydict({"message": Array([text] * rows, type=DataType.string())})
    out = io.BytesIO()
    write_parquet(RecordBatchReader.from_batches(batch.schema, [batch] * groups), out, compression="zstd(3)")
    return out.getvalue()


# --- forms that keep each record as it was ---------------------------------------------------


def indented(value: object) -> bytes:
    return json.dumps(value, indent=4).encode()


def lines(values: Iterable[object]) -> bytes:
    return b"".join(compact(value).encode() + b"\n" for value in values)


def looked_up(records: Iterable[Entry]) -> list[Entry]:
    """The ``Events`` of LookupEvents."""
    return [
        {
            "EventId": record["eventID"],
            "EventName": record["eventName"],
            "ReadOnly": cell(record["readOnly"]),
            "AccessKeyId": record["userIdentity"].get("accessKeyId") or "",
            "EventTime": record["eventTime"].replace("Z", "+00:00"),
            "EventSource": record["eventSource"],
            "Username": "ada",
            "Resources": [{"ResourceType": "AWS::EC2::VPC", "ResourceName": "vpc-0aaa"}],
            "CloudTrailEvent": compact(record),
        }
        for record in records
    ]


def lookup_events_text(records: Iterable[Entry]) -> bytes:
    """``aws cloudtrail lookup-events --output text``: columns by the order of their keys, then resources."""
    rows = []
    for event in looked_up(records):
        cells = [event[key] for key in sorted(event) if key != "Resources"]
        rows.append("\t".join(["EVENTS", *(text for text in cells if text)]))
        rows += [f"RESOURCES\t{one['ResourceName']}\t{one['ResourceType']}" for one in event["Resources"]]
    return "\n".join([*rows, "NEXTTOKEN\tAAAA+b/c=="]).encode()


STREAM = "111122223333_CloudTrail_eu-west-1_2"


def log_events(records: Iterable[Entry]) -> list[Entry]:
    """The ``events`` of FilterLogEvents."""
    return [
        {
            "logStreamName": STREAM,
            "timestamp": milliseconds(record["eventTime"]),
            "message": compact(record),
            "ingestionTime": milliseconds(record["eventTime"]) + 900,
            "eventId": f"{number:056}",
        }
        for number, record in enumerate(records)
    ]


def log_events_text(records: Iterable[Entry]) -> bytes:
    """``aws logs filter-log-events --output text``."""
    rows = [
        "\t".join(["EVENTS", *(str(event[key]) for key in sorted(event))]) for event in log_events(records)
    ]
    return "\n".join([*rows, "SEARCHEDLOGSTREAMS\t" + STREAM + "\tTrue"]).encode()


def tail_detailed(records: Iterable[Entry]) -> bytes:
    """``aws logs tail``."""
    return "".join(
        f"{record['eventTime'].replace('Z', '.000000+00:00')} {STREAM} {compact(record)}\n"
        for record in records
    ).encode()


def tail_short(records: Iterable[Entry]) -> bytes:
    """``aws logs tail --format short``."""
    return "".join(f"{record['eventTime'][:19]} {compact(record)}\n" for record in records).encode()


def tail_json(records: Iterable[Entry]) -> bytes:
    """``aws logs tail --format json``."""
    return "".join(
        f"{record['eventTime'].replace('Z', '+00:00')} {STREAM} \n{json.dumps(record, indent=4)}\n"
        for record in records
    ).encode()


def tail_in_color(records: Iterable[Entry]) -> bytes:
    """``aws logs tail --color on``."""
    return "".join(
        f"\x1b[32m{record['eventTime'].replace('Z', '+00:00')}\x1b[0m \x1b[36m{STREAM}\x1b[0m "
        f"{compact(record)}\n"
        for record in records
    ).encode()


def insights_rows(records: Iterable[Entry]) -> list[list[Entry]]:
    """The ``results`` of GetQueryResults, with a field that was extracted."""
    return [
        [
            {"field": "@timestamp", "value": "2022-10-05 13:14:10.000"},
            {"field": "eventName", "value": record["eventName"]},
            {"field": "@message", "value": compact(record)},
            {"field": "@ptr", "value": "CmEKJgoi"},
        ]
        for record in records
    ]


def insights_console(records: Iterable[Entry], *, parsed: bool) -> list[Entry]:
    """What the console of Insights exports, of ``fields @timestamp, eventName, @message``."""
    return [
        {
            "@timestamp": "2022-10-05 13:14:10.000",
            "eventName": record["eventName"],
            "@message": record if parsed else compact(record),
        }
        for record in records
    ]


def export_task(records: Iterable[Entry]) -> bytes:
    """A file of an export task of CloudWatch Logs."""
    return "".join(
        f"{record['eventTime'].replace('Z', '.123Z')} {compact(record)}\n" for record in records
    ).encode()


def subscription(records: Iterable[Entry]) -> Entry:
    """What CloudWatch Logs sends to a subscriber."""
    return {
        "messageType": "DATA_MESSAGE",
        "owner": "111122223333",
        "logGroup": "trail",
        "logStream": STREAM,
        "subscriptionFilters": ["all"],
        "logEvents": [
            {"id": str(number), "timestamp": milliseconds(record["eventTime"]), "message": compact(record)}
            for number, record in enumerate(records)
        ],
    }


CONTROL_MESSAGE: Entry = {
    "messageType": "CONTROL_MESSAGE",
    "owner": "CloudwatchLogs",
    "logGroup": "",
    "logStream": "",
    "subscriptionFilters": [],
    "logEvents": [
        {
            "id": "",
            "timestamp": 1510109208016,
            "message": "CWL CONTROL MESSAGE: Checking health of destination.",
        }
    ],
}


def batches(records: Iterable[Entry], size: int = 7) -> list[bytes]:
    """The objects that a subscription sends, the control message first."""
    records = list(records)
    parts = [records[start : start + size] for start in range(0, len(records), size)]
    return [compact(message).encode() for message in (CONTROL_MESSAGE, *map(subscription, parts))]


def packed(records: Iterable[Entry]) -> str:
    """A subscription's message for Lambda and Kinesis."""
    return base64.b64encode(gzip.compress(compact(subscription(records)).encode())).decode()


def encoded(message: Entry) -> str:
    """A message in a stream of Kinesis."""
    return base64.b64encode(compact(message).encode()).decode()


def of_lambda(data: str) -> Entry:
    """An element of an event with which Lambda is called for a stream of Kinesis."""
    return {
        "kinesis": {"partitionKey": "p", "sequenceNumber": "1", "data": data},
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": "shardId-000000000000:1",
        "eventName": "aws:kinesis:record",
        "awsRegion": "us-east-1",
    }


def bulk(records: Iterable[Entry]) -> bytes:
    """The body of a request to the bulk API of Elasticsearch or OpenSearch."""
    documents = [
        ({"index": {"_index": "trail", "_id": record["eventID"]}}, {"event": {"original": compact(record)}})
        for record in records
    ]
    return lines(line for document in documents for line in document)


def bridged(record: Entry) -> Entry:
    """An event of EventBridge."""
    return {
        "version": "0",
        "id": record["eventID"],
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws." + record["eventSource"].partition(".")[0],
        "account": record["recipientAccountId"],
        "time": record["eventTime"],
        "region": record["awsRegion"],
        "resources": [],
        "detail": record,
    }


def notified(message: Entry) -> Entry:
    """A notification of SNS."""
    return {
        "Type": "Notification",
        "MessageId": "m",
        "TopicArn": "arn:aws:sns:eu-west-1:111122223333:trail",
        "Message": compact(message),
        "Signature": "x",
    }


def received(messages: Iterable[Entry]) -> Entry:
    """``aws sqs receive-message``."""
    return {"Messages": [{"MessageId": "m", "ReceiptHandle": "h", "Body": compact(one)} for one in messages]}


def elastic_with_original(records: Iterable[Entry]) -> list[Entry]:
    """Hits of a search in Elasticsearch."""
    return [
        {
            "_index": "filebeat-aws",
            "_id": record["eventID"],
            "_source": {
                "@timestamp": record["eventTime"],
                "event": {"action": record["eventName"], "original": compact(record)},
                "message": "an event",
            },
        }
        for record in records
    ]


def splunk_results(records: Iterable[Entry]) -> list[Entry]:
    """Results of Splunk, with a field that it extracted."""
    return [
        {
            "_raw": compact(record),
            "_time": record["eventTime"],
            "host": "h",
            "source": "s3://audit-logs/x.json.gz",
            "sourcetype": "aws:cloudtrail",
            "eventName": record["eventName"],
        }
        for record in records
    ]


def datadog_logs(records: Iterable[Entry]) -> list[Entry]:
    """``data`` of Datadog's search of logs."""
    return [
        {
            "id": "AQA0",
            "type": "log",
            "attributes": {
                "service": "cloudtrail",
                "tags": ["source:cloudtrail"],
                "timestamp": record["eventTime"],
                "message": compact(record),
                "attributes": record,
            },
        }
        for record in records
    ]


def datadog_archive(records: Iterable[Entry]) -> list[Entry]:
    return [
        {
            "_id": "AQA0",
            "date": record["eventTime"],
            "service": "cloudtrail",
            "source": "cloudtrail",
            "tags": ["region:eu-west-1"],
            "attributes": record,
            "message": record["eventName"],
        }
        for record in records
    ]


def panther_rows(records: Iterable[Entry]) -> list[Entry]:
    """Events of Panther, which writes times in its own way."""
    return [
        dict(sorted(record.items()))
        | {
            "eventTime": record["eventTime"].replace("T", " ").replace("Z", ".000"),
            "p_event_time": record["eventTime"].replace("T", " ").replace("Z", ".000"),
            "p_log_type": "AWS.CloudTrail",
            "p_row_id": "x",
            "p_any_ip_addresses": [record["sourceIPAddress"]],
        }
        for record in records
    ]


def wazuh_archive(records: Iterable[Entry]) -> list[Entry]:
    """Lines of Wazuh's archives.json, which keeps a list of one element as that element."""
    return [
        {
            "timestamp": record["eventTime"],
            "rule": {"level": 3, "id": "80202"},
            "decoder": {"name": "json"},
            "data": {
                "integration": "aws",
                "aws": _unwrapped(record) | {"source": "cloudtrail", "log_info": {"s3bucket": "audit-logs"}},
            },
            "location": "Wazuh-AWS",
        }
        for record in records
    ]


def _unwrapped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unwrapped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return _unwrapped(value[0]) if len(value) == 1 else [_unwrapped(inner) for inner in value]
    return value


def graylog_messages(records: Iterable[Entry]) -> list[Entry]:
    """GELF messages, with a field that an extractor made."""
    return [
        {
            "_id": "x",
            "timestamp": record["eventTime"],
            "source": "aws",
            "message": f"{record['eventName']} by ada",
            "eventName": record["eventName"],
            "full_message": compact(record),
        }
        for record in records
    ]


def log_events_yaml(records: Iterable[Entry]) -> bytes:
    """``aws logs filter-log-events --output yaml``."""
    import yaml

    return yaml.safe_dump({"events": log_events(records), "searchedLogStreams": []}, width=80).encode()


def syslog(records: Iterable[Entry]) -> bytes:
    return "".join(
        f'<134>1 {record["eventTime"]} relay cloudtrail - - [x@1 name="a] b"] {compact(record)}\n'
        for record in records
    ).encode()


Write = Callable[[list[Entry]], bytes]

RAW_FORMS: dict[str, Write] = {
    "trail": lambda records: compact({"Records": records}).encode(),
    "trail, indented": lambda records: indented({"Records": records}),
    "trail with a byte order mark": lambda records: b"\xef\xbb\xbf" + compact({"Records": records}).encode(),
    "lines": lines,
    "indented records after each other": lambda records: b"\n".join(map(indented, records)),
    "records without anything between": lambda records: b"".join(compact(one).encode() for one in records),
    "array": lambda records: compact(records).encode(),
    "array of files, as jq -s makes it": lambda records: compact(
        [{"Records": records[:3]}, {"Records": records[3:]}]
    ).encode(),
    "lookup-events": lambda records: indented({"Events": looked_up(records), "NextToken": "A"}),
    "lookup-events, one a line": lambda records: lines(looked_up(records)),
    "lookup-events --query Events": lambda records: indented(looked_up(records)),
    "lookup-events --query Events[].CloudTrailEvent": lambda records: indented(
        [compact(one) for one in records]
    ),
    "the same --output text": lambda records: "\t".join(map(compact, records)).encode(),
    "lookup-events --output text": lookup_events_text,
    "lookup-events --output yaml": lookup_events_yaml,
    "steampipe": lambda records: indented(
        {"columns": [], "rows": [{"event_name": "x", "cloud_trail_event": compact(one)} for one in records]}
    ),
    "filter-log-events": lambda records: indented({"events": log_events(records), "searchedLogStreams": []}),
    "get-log-events": lambda records: compact(
        {"events": log_events(records), "nextForwardToken": "f/1", "nextBackwardToken": "b/1"}
    ).encode(),
    "filter-log-events --output text": log_events_text,
    "filter-log-events --output yaml": log_events_yaml,
    "filter-log-events --query events[].message": lambda records: indented([compact(one) for one in records]),
    "logs tail": tail_detailed,
    "logs tail --format short": tail_short,
    "logs tail --format json": tail_json,
    "logs tail --color on": tail_in_color,
    "Insights": lambda records: indented({"results": insights_rows(records), "status": "Complete"}),
    "Insights console": lambda records: indented(insights_console(records, parsed=True)),
    "Insights console, text": lambda records: indented(insights_console(records, parsed=False)),
    "Insights console, CSV": lambda records: csv_text(insights_console(records, parsed=False)),
    "export task": export_task,
    "subscription": lambda records: b"".join(batches(records)),
    "subscription in gzip members": lambda records: b"".join(map(gzip.compress, batches(records))),
    "subscription, gzipped twice": lambda records: gzip.compress(
        b"".join(map(gzip.compress, batches(records)))
    ),
    "Lambda": lambda records: compact({"awslogs": {"data": packed(records)}}).encode(),
    "Kinesis": lambda records: compact({"Records": [{"kinesis": {"data": packed(records)}}]}).encode(),
    "aws kinesis get-records": lambda records: indented(
        {"Records": [{"SequenceNumber": "1", "Data": packed(records), "PartitionKey": "p"}]}
    ),
    "Firehose transformation": lambda records: compact(
        {"invocationId": "i", "records": [{"recordId": "1", "data": packed(records)}]}
    ).encode(),
    "Kinesis, as Lambda gets it": lambda records: compact({"Records": [of_lambda(packed(records))]}).encode(),
    "EventBridge in Kinesis": lambda records: compact(
        {"Records": [of_lambda(encoded(bridged(one))) for one in records]}
    ).encode(),
    "EventBridge in Kinesis, get-records": lambda records: indented(
        {"Records": [{"Data": encoded(bridged(one))} for one in records]}
    ),
    "EventBridge in a Firehose transformation": lambda records: compact(
        {"records": [{"recordId": "1", "data": encoded(bridged(one))} for one in records]}
    ).encode(),
    "records under a lower-case key": lambda records: compact({"records": records}).encode(),
    "lookup-events through ConvertTo-Json": lambda records: indented(
        {"value": looked_up(records), "Count": len(records)}
    ),
    "EventBridge": lambda records: lines(map(bridged, records)),
    "EventBridge in Firehose": lambda records: b"".join(compact(bridged(one)).encode() for one in records),
    "EventBridge in CloudWatch Logs": lambda records: compact(
        {
            "events": [
                log_event | {"message": compact(bridged(one))}
                for log_event, one in zip(log_events(records), records, strict=True)
            ]
        }
    ).encode(),
    "EventBridge in SQS": lambda records: indented(received(map(bridged, records))),
    "EventBridge in SNS in SQS": lambda records: indented(
        received(notified(bridged(one)) for one in records)
    ),
    "Elasticsearch": lambda records: indented({"took": 3, "hits": {"hits": elastic_with_original(records)}}),
    "body of the bulk API": bulk,
    "elasticdump": lambda records: lines(elastic_with_original(records)),
    "Kibana CSV": lambda records: csv_text(
        {"@timestamp": "Oct 5, 2022 @ 13:15:46.000", "event.original": compact(one)} for one in records
    ),
    "Splunk export": lambda records: lines(
        {"preview": False, "offset": 0, "result": one} for one in splunk_results(records)
    ),
    "Splunk results": lambda records: indented({"preview": False, "results": splunk_results(records)}),
    "Splunk CSV": lambda records: csv_text(splunk_results(records), line_end="\r\n"),
    "Splunk JSON lines": lambda records: lines(splunk_results(records)),
    "Datadog": lambda records: compact({"data": datadog_logs(records), "meta": {}}).encode(),
    "Datadog archive": lambda records: lines(datadog_archive(records)),
    "Sumo Logic": lambda records: indented(
        [{"map": {"_raw": compact(one), "_source": "x"}} for one in records]
    ),
    "Panther": lambda records: lines(panther_rows(records)),
    "Graylog": lambda records: lines(graylog_messages(records)),
    "syslog": syslog,
}
"""What keeps each record whole, and how it is written."""


REBUILT_FORMS: dict[str, Write] = {
    "Athena": athena_csv,
    "Athena, table of 2016": lambda records: athena_csv(records, "2016"),
    "Athena API": lambda records: indented(athena_api(records)),
    "Trino": lambda records: lines(trino_rows(records)),
    "Wazuh": lambda records: lines(wazuh_archive(records)),
    "own JSON lines": lambda records: lines(own_rows(records)),
    "Security Lake": lambda records: parquet(security_lake_rows(records)),
    "Security Lake as JSON": lambda records: lines(security_lake_rows(records)),
    "tailpipe": lambda records: parquet(tailpipe_rows(records)),
    "own Parquet": lambda records: parquet(own_rows(records)),
}
"""What puts records together again, with everything that matters."""


LAKE_FORMS: dict[str, Write] = {
    "CloudTrail Lake": lambda records: indented(
        {"QueryStatus": "FINISHED", "QueryResultRows": lake_rows(records)}
    ),
    "CloudTrail Lake delivery": lake_csv,
}
"""CloudTrail Lake, whose maps are ambiguous if they have a text that a caller chose."""

PARTIAL_FORMS: dict[str, Write] = {
    "Elasticsearch without event.original": lambda records: lines(
        {"_index": "filebeat-aws", "_source": one} for one in elastic_documents(records)
    ),
    "Sentinel": lambda records: indented(sentinel_rows(records)),
    "Sentinel, CSV": lambda records: csv_text(sentinel_rows(records)),
}
"""What lacks parts of the caller's identity."""

REFUSED_FORMS: dict[str, tuple[Write, str]] = {
    "console CSV": (console_csv, "has no request parameters; download the events as JSON instead"),
    "Security Lake 1": (lambda records: parquet(security_lake_v1_rows(records)), "OCSF"),
    "Athena without an error column": (
        lambda records: athena_cast_csv([one for one in records if one.get("errorCode")]),
        "so the call may have failed; add errorCode to the query",
    ),
}
"""What no record can be read from, and the reason."""
