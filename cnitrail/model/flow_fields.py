"""The fields of flow log records, by version.

Versions 2 to 5: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html; version 6 is that of
transit gateways: https://docs.aws.amazon.com/vpc/latest/tgw/tgw-flow-logs.html
"""

import re
from typing import Final

DEFAULT: Final = (
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol"),
    *("packets", "bytes", "start", "end", "action", "log-status"),
)
"""The default format, version 2."""

_VPC: Final = (
    *DEFAULT,
    *("vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr"),
    *("region", "az-id", "sublocation-type", "sublocation-id"),
    *("pkt-src-aws-service", "pkt-dst-aws-service", "flow-direction", "traffic-path"),
    *("ecs-cluster-arn", "ecs-cluster-name", "ecs-container-instance-arn", "ecs-container-instance-id"),
    *("ecs-container-id", "ecs-second-container-id", "ecs-service-name", "ecs-task-definition-arn"),
    *("ecs-task-arn", "ecs-task-id", "reject-reason", "resource-id", "encryption-status"),
    *("instance-tag", "instance-tag-2", "interface-tag", "interface-tag-2", "asg-tag", "asg-tag-2"),
    *("interface-type", "next-hop-interface-id", "next-hop-subnet-id", "next-hop-az-id"),
    *("next-hop-vpc-id", "next-hop-interface-type"),
)
TRANSIT_GATEWAY: Final = (
    *("version", "resource-type", "account-id", "tgw-id", "tgw-attachment-id"),
    *("tgw-src-vpc-account-id", "tgw-dst-vpc-account-id", "tgw-src-vpc-id", "tgw-dst-vpc-id"),
    *("tgw-src-subnet-id", "tgw-dst-subnet-id", "tgw-src-eni", "tgw-dst-eni", "tgw-src-az-id"),
    *("tgw-dst-az-id", "tgw-pair-attachment-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol"),
    *("packets", "bytes", "start", "end", "log-status", "type", "packets-lost-no-route"),
    *("packets-lost-blackhole", "packets-lost-mtu-exceeded", "packets-lost-ttl-expired", "tcp-flags"),
    *("region", "flow-direction", "pkt-src-aws-service", "pkt-dst-aws-service"),
)
KNOWN: Final = frozenset((*_VPC, *TRANSIT_GATEWAY))
NUMBERS: Final = frozenset(
    (
        *("version", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "tcp-flags"),
        *("traffic-path", "encryption-status", "packets-lost-no-route", "packets-lost-blackhole"),
        *("packets-lost-mtu-exceeded", "packets-lost-ttl-expired"),
    )
)
"""The fields that hold a number, or ``-``."""


_BETWEEN = re.compile(r"[ ,\t;]")


def default_of(columns: tuple[str, ...], record: str) -> tuple[str, ...]:
    """Return the default format of transit gateways in place of that of VPCs, if a record is of one."""
    is_of_gateway = columns == DEFAULT and _BETWEEN.split(record, 2)[1:2] == ["TransitGateway"]
    return TRANSIT_GATEWAY if is_of_gateway else columns


def field_of(column: str) -> str:
    """Return the field of AWS that a column is: Parquet and Athena have underscores, and quotes in CSV."""
    return column.strip().strip('"').lower().replace("_", "-")


def json_name(column: str) -> str:
    """Return the name of a column in JSON and Parquet."""
    return field_of(column).replace("-", "_")
