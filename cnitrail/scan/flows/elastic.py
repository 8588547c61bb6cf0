"""Elasticsearch documents of the integration for AWS (``aws.vpcflow``) → the fields of a flow log.

Fields as its ingest pipeline makes them (github.com/elastic/integrations, packages/aws/data_stream/vpcflow),
which keeps the record itself, as ``event.original``, only if it is configured to.
"""

from collections.abc import Mapping
from typing import Final

from cnitrail.model.flow_fields import KNOWN
from cnitrail.scan.flows.dotted import dotted, first_value

_FLOW: Final = "aws.vpcflow"
_PLACES: Final = {
    "account-id": (f"{_FLOW}.account_id", "cloud.account.id"),
    "instance-id": (f"{_FLOW}.instance_id", "cloud.instance.id"),
    "srcaddr": (f"{_FLOW}.srcaddr", "source.address", "source.ip"),
    "dstaddr": (f"{_FLOW}.dstaddr", "destination.address", "destination.ip"),
    "srcport": (f"{_FLOW}.srcport", "source.port"),
    "dstport": (f"{_FLOW}.dstport", "destination.port"),
    "protocol": (f"{_FLOW}.protocol", "network.iana_number"),
    "packets": (f"{_FLOW}.packets", "network.packets", "source.packets"),
    "bytes": (f"{_FLOW}.bytes", "network.bytes", "source.bytes"),
    "start": (f"{_FLOW}.start", "event.start"),
    "end": (f"{_FLOW}.end", "event.end", "@timestamp"),
    "region": (f"{_FLOW}.region", "cloud.region"),
    "az-id": (f"{_FLOW}.az_id", "cloud.availability_zone"),
    "sublocation-id": (f"{_FLOW}.sublocation.id",),
    "sublocation-type": (f"{_FLOW}.sublocation.type",),
    "pkt-src-aws-service": (f"{_FLOW}.pkt_src_service",),
    "pkt-dst-aws-service": (f"{_FLOW}.pkt_dst_service",),
    "flow-direction": (f"{_FLOW}.flow_direction", "network.direction"),
}
"""Where the fields are that the pipeline renames; all others have their own name below ``aws.vpcflow``."""


def is_elastic_flow(document: Mapping[str, object]) -> bool:
    """Return whether an object is a document of the integration, or a row of its fields from Kibana."""
    aws = document.get("aws")
    inside = aws.get("vpcflow") if isinstance(aws, Mapping) else document.get(_FLOW)
    return isinstance(inside, Mapping) or f"{_FLOW}.interface_id" in document


def elastic_row(document: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """Return all values of a document in dotted columns, its fields as ``flow.*``, and what these are."""
    row = dict(dotted(document))
    fields = {column: f"elastic:{column}" for column in row}
    for field in sorted(KNOWN):
        name = field.replace("-", "_")
        value = first_value(row, *_PLACES.get(field, (f"{_FLOW}.{name}",)))
        if value is not None or field in _PLACES:
            row[f"flow.{name}"], fields[f"flow.{name}"] = value, field
    return row, fields
