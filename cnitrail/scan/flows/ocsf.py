"""OCSF Network Activity (class 4001) → the fields of a flow log: as Security Lake stores VPC flow logs.

https://docs.aws.amazon.com/security-lake/latest/userguide/open-cybersecurity-schema-framework.html;
mappings: https://github.com/ocsf/examples (mappings/markdown/AWS, v1.0.0-rc.2, v1.1.0, v1.5.0)
"""

from collections.abc import Iterator, Mapping
from typing import Final

from cnitrail.jsontext import json_list, json_object
from cnitrail.scan.flows.dotted import dotted, first_value

_CLASS: Final = 4001

_FIELDS: Final = {
    "cloud.region": "region",
    "cloud.zone": "az-id",
    "src_endpoint.ip": "pkt-srcaddr",
    "dst_endpoint.ip": "pkt-dstaddr",
    "src_endpoint.port": "srcport",
    "dst_endpoint.port": "dstport",
    "src_endpoint.svc_name": "pkt-src-aws-service",
    "dst_endpoint.svc_name": "pkt-dst-aws-service",
    "connection_info.protocol_num": "protocol",
    "connection_info.tcp_flags": "tcp-flags",
    "traffic.packets": "packets",
    "traffic.bytes": "bytes",
    "status_code": "log-status",
}
"""The columns that are a field as they are."""

_LOCAL: Final = {
    "interface_uid": "interface-id",
    "vpc_uid": "vpc-id",
    "subnet_uid": "subnet-id",
    "instance_uid": "instance-id",
}
"""What is known of the interface of the record, at the end that is its own."""

_SIDES: Final = (("src_endpoint", "srcaddr"), ("dst_endpoint", "dstaddr"))
_ACTIONS: Final = {
    "allowed": "ACCEPT",
    "accept": "ACCEPT",
    "denied": "REJECT",
    "blocked": "REJECT",
    "refuse": "REJECT",
    "reject": "REJECT",
}
_ACTION_IDS: Final = {"1": "ACCEPT", "2": "REJECT"}
_DIRECTIONS: Final = {"Outbound": "egress", "Inbound": "ingress"}
_PATHS: Final = {str(number + 3): number for number in range(1, 9)}
"""The traffic paths of AWS by ``boundary_id``: 4 is the same VPC, 7 and 8 are peered VPCs."""

_DIGITS: Final = 18
"""Maximum length of a number: a longer one would not fit into 64 bits."""

_MILLISECONDS: Final = 1 << 31
"""A time from here on is in milliseconds."""


def is_network_activity(row: Mapping[str, object]) -> bool:
    """Return whether an object is of the class Network Activity."""
    if row.get("class_uid") is not None:
        return row["class_uid"] in (_CLASS, str(_CLASS))
    return any({f"{side}{rest}" for side, _ in _SIDES} <= row.keys() for rest in ("", ".ip"))


def has_struct_text(row: Mapping[str, object]) -> bool:
    """Return whether an end is a text as Athena prints a struct, in which commas may be anything."""
    ends = (row.get(side) for side, _ in _SIDES)
    return any(isinstance(end, str) and end != "" and json_object(end) is None for end in ends)


def flow_row(event: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """Return all values of an event in dotted columns, and the fields that these are.

    Then come the fields that are in several places, or in other words, as ``flow.*``: the interface of the
    record, the addresses that it saw, the times in Unix seconds, and ACCEPT or REJECT.
    """
    row = dict(dotted({key: json_object(value) or value for key, value in event.items()}))
    fields = {column: _FIELDS.get(column, f"ocsf:{column}") for column in row}
    for field, value in _derived(row):
        column = f"flow.{field.replace('-', '_')}"
        row[column], fields[column] = value, field
    return row, fields


def _derived(row: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    yield "account-id", first_value(row, "cloud.account.uid", "cloud.account_uid")
    for name, field in _LOCAL.items():
        yield field, first_value(row, *(f"{side}.{name}" for side, _ in _SIDES))
    for side, field in _SIDES:
        yield field, _intermediate(row.get(f"{side}.intermediate_ips")) or row.get(f"{side}.ip")
    yield "start", _seconds(first_value(row, "start_time", "start_time_dt", "time", "time_dt"))
    yield "end", _seconds(first_value(row, "end_time", "end_time_dt"))
    actions = (str(row.get(name)).lower() for name in ("action", "disposition", "activity_name"))
    action = next((_ACTIONS[name] for name in actions if name in _ACTIONS), None)
    yield "action", action or _ACTION_IDS.get(str(row.get("action_id")))
    yield "flow-direction", _DIRECTIONS.get(str(row.get("connection_info.direction")))
    yield "traffic-path", _PATHS.get(str(row.get("connection_info.boundary_id")))


def _seconds(time: object) -> object:
    """Return a time in Unix seconds that is a number: OCSF has milliseconds; else as it is."""
    if isinstance(time, str) and time.isdecimal() and len(time) <= _DIGITS:
        time = int(time)
    return time // 1000 if isinstance(time, int) and time >= _MILLISECONDS else time


def _intermediate(value: object) -> object:
    """Return the address of the interface, if it is not that of the packet."""
    addresses = json_list(value)
    return addresses[0] if addresses is not None and len(addresses) == 1 else None
