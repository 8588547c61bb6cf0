"""OCSF Network Activity (class 4001) → the fields of a flow log: as Security Lake stores VPC flow logs.

https://docs.aws.amazon.com/security-lake/latest/userguide/open-cybersecurity-schema-framework.html;
mappings: https://github.com/ocsf/examples (mappings/markdown/AWS, v1.0.0-rc.2, v1.1.0, v1.5.0)
"""

from collections.abc import Iterator, Mapping
from typing import Final

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
_DIRECTIONS: Final = {"Outbound": "egress", "Inbound": "ingress"}
_PATHS: Final = {number + 3: number for number in range(1, 9)}
"""The traffic paths of AWS by ``boundary_id``: 4 is the same VPC, 7 and 8 are peered VPCs."""

_MILLISECONDS: Final = 1 << 31
"""A time from here on is in milliseconds."""


def is_network_activity(row: Mapping[str, object]) -> bool:
    """Return whether an object is of the class Network Activity."""
    return row.get("class_uid") == _CLASS or (
        "class_uid" not in row and "src_endpoint" in row and "dst_endpoint" in row
    )


def flow_row(event: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """Return all values of an event in dotted columns, and the fields that these are.

    Then come the fields that are in several places, or in other words, as ``flow.*``: the interface of the
    record, the addresses that it saw, the times in Unix seconds, and ACCEPT or REJECT.
    """
    row = dict(dotted(event))
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
    actions = (row.get(name) for name in ("action", "disposition", "activity_name"))
    yield (
        "action",
        next((_ACTIONS[str(name).lower()] for name in actions if str(name).lower() in _ACTIONS), None),
    )
    yield "flow-direction", _DIRECTIONS.get(str(row.get("connection_info.direction")))
    boundary = row.get("connection_info.boundary_id")
    yield "traffic-path", _PATHS.get(boundary) if isinstance(boundary, int) else None


def _seconds(time: object) -> object:
    """Return a time in Unix seconds that is a number: OCSF has milliseconds; else as it is."""
    return time // 1000 if isinstance(time, int) and time >= _MILLISECONDS else time


def _intermediate(value: object) -> object:
    """Return the address of the interface, if it is not that of the packet."""
    return value[0] if isinstance(value, list) and len(value) == 1 else None
