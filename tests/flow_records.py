"""VPC flow log records for tests, written by keyword: lines and files of every version.

``line(V5, interface_id="eni-…", pkt_srcaddr="10.0.0.5", start=…)`` is one record; fields that are not given
have the values of an ordinary TCP flow, or ``-``. Field names are those of AWS with underscores.
"""

import gzip
from collections.abc import Iterable
from pathlib import Path

from cnitrail.model.flow_fields import DEFAULT, TRANSIT_GATEWAY

V2 = DEFAULT
V3 = (*V2, "vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr")
V4 = (*V3, "region", "az-id", "sublocation-type", "sublocation-id")
V5 = (*V4, "pkt-src-aws-service", "pkt-dst-aws-service", "flow-direction", "traffic-path")
V7 = (
    *V5,
    *("ecs-cluster-arn", "ecs-cluster-name", "ecs-container-instance-arn", "ecs-container-instance-id"),
    *("ecs-container-id", "ecs-second-container-id", "ecs-service-name", "ecs-task-definition-arn"),
    *("ecs-task-arn", "ecs-task-id"),
)
V8 = (*V7, "reject-reason")
V10 = (*V8, "resource-id", "encryption-status")
V11 = (
    *V10,
    *("instance-tag", "instance-tag-2", "interface-tag", "interface-tag-2", "asg-tag", "asg-tag-2"),
    *("interface-type", "next-hop-interface-id", "next-hop-subnet-id", "next-hop-az-id"),
    *("next-hop-vpc-id", "next-hop-interface-type"),
)
TGW = TRANSIT_GATEWAY
FORMATS = {
    "v2": V2,
    "v3": V3,
    "v4": V4,
    "v5": V5,
    "v7": V7,
    "v8": V8,
    "v10": V10,
    "v11": V11,
    "tgw": TGW,
}
"""The fields of AWS's versions, each with all fields of those before it, in AWS's order."""

_VERSIONS = {fields: name[1:] for name, fields in FORMATS.items()} | {TGW: "6"}
_START = 1_664_978_403
_USUAL = {
    "account-id": "111111111111",
    "srcport": "41522",
    "dstport": "443",
    "protocol": "6",
    "packets": "14",
    "bytes": "2210",
    "action": "ACCEPT",
    "log-status": "OK",
    "tcp-flags": "3",
    "type": "IPv4",
    "resource-type": "TransitGateway",
    "tgw-id": "tgw-0a",
}
_NO_TRAFFIC = ("version", "account-id", "interface-id", "start", "end", "log-status")


def line(fields: tuple[str, ...] = V2, **given: object) -> str:
    """A record with the values given, without a line end.

    ``end`` is 55 seconds after ``start`` unless given; None is ``-``.
    """
    values = {name.replace("_", "-"): value for name, value in given.items()}
    unknown = values.keys() - set(fields)
    if unknown:
        raise ValueError(f"the format has no field {', '.join(sorted(unknown))}")
    start = values.get("start", _START)
    times = {"start": start, "end": int(start) + 55 if isinstance(start, int | str) else None}
    known = {**_USUAL, "version": _VERSIONS.get(fields, "5"), **times, **values}
    return " ".join("-" if known.get(name) is None else str(known[name]) for name in fields)


def no_traffic(fields: tuple[str, ...] = V2, status: str = "NODATA", **given: object) -> str:
    """A record of a window without traffic, or (SKIPDATA) without records."""
    empty = {name.replace("-", "_"): None for name in fields if name not in _NO_TRAFFIC}
    return line(fields, **(empty | {"log_status": status} | given))


def text(lines: Iterable[str], fields: tuple[str, ...] | None = V2) -> str:
    """A file of records: the header line (None: no header, as in CloudWatch Logs), and the lines."""
    header = () if fields is None else (" ".join(fields),)
    return "".join(f"{row}\n" for row in (*header, *lines))


def write(
    folder: Path,
    lines: Iterable[str],
    fields: tuple[str, ...] | None = V2,
    *,
    stamp: str = "20221005T1400Z",
    account: str = "111111111111",
    region: str = "eu-west-1",
    flow_log: str = "fl-0aaaaaaaaaaaaaaaa",
    hash_: str = "fe123456",
) -> Path:
    """Write a gzipped file at its path in S3 under a folder, and return that path."""
    day = f"{stamp[:4]}/{stamp[4:6]}/{stamp[6:8]}"
    name = f"{account}_vpcflowlogs_{region}_{flow_log}_{stamp}_{hash_}.log.gz"
    path = folder / "AWSLogs" / account / "vpcflowlogs" / region / day / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text(lines, fields).encode(), mtime=0))
    return path
