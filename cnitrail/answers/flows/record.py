"""The fields of a flow log record that decide who was at its ends."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

KEY_FIELDS: Final[tuple[str, ...]] = (
    *("interface-id", "account-id", "vpc-id", "subnet-id", "instance-id", "region", "resource-id"),
    *("srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr", "flow-direction", "traffic-path"),
    *("pkt-src-aws-service", "pkt-dst-aws-service", "tgw-id", "tgw-src-vpc-id", "tgw-dst-vpc-id"),
)
"""The fields that decide who was at the ends of a flow, beside its time.

Left out, because no history confirms them or they say nothing of an end: zones, sublocations, ``ecs-*`` and
tags (which anybody with the right to tag can write), ``tgw-src-eni`` and ``tgw-dst-eni`` (the ENIs of the
attachments, which forward), the accounts of a transit gateway's VPCs (another account's ENIs may be in a
shared VPC), and ``next-hop-*`` (where packets go, and not who gets them).
"""

_ABSENT: Final = frozenset(("-", ""))

_LONGEST: Final = 64
"""Characters beyond which a value is not used: IDs and addresses are shorter."""

PEERED: Final = frozenset("45")
"""Values of ``traffic-path``: VPC peering, within the Region and to another one."""

BEYOND_AWS: Final = frozenset("23678")
"""Values of ``traffic-path`` that lead out of all VPCs.

They are: internet gateway (2, 8), gateway endpoint (2, 7), virtual private gateway (3), local gateway (6).

Path 1 is any other resource in the VPC: also a NAT gateway or a transit gateway's attachment, so it does not
show that the destination is in the VPC. The field is set for egress only.
https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
"""


_WAYS_OUT: Final = PEERED | BEYOND_AWS


class FlowKey(Struct, frozen=True, gc=False, kw_only=True):
    """The fields of ``KEY_FIELDS`` in their order, None if the record has none."""

    interface: str | None = None
    account: str | None = None
    vpc: str | None = None
    subnet: str | None = None
    instance: str | None = None
    region: str | None = None
    resource: str | None = None
    src: str | None = None
    dst: str | None = None
    pkt_src: str | None = None
    pkt_dst: str | None = None
    direction: str | None = None
    path: str | None = None
    src_service: str | None = None
    dst_service: str | None = None
    transit_gateway: str | None = None
    src_vpc: str | None = None
    dst_vpc: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, str]) -> "FlowKey":
        """Return the key of a record by the values of its fields. Others, and what is no ID, are ignored."""
        return cls(
            **{
                ATTRIBUTES[field]: value
                for field, value in values.items()
                if field in ATTRIBUTES and is_used(value)
            }
        )

    @property
    def shows_source(self) -> bool:
        """Return whether ``srcaddr`` is also the address in the packet, or the only one there is."""
        return self.src is not None and self.pkt_src in (None, self.src)

    @property
    def shows_destination(self) -> bool:
        """Return whether ``dstaddr`` is also the address in the packet, or the only one there is."""
        return self.dst is not None and self.pkt_dst in (None, self.dst)

    @property
    def way_out(self) -> str | None:
        """Return the ``traffic-path`` if it leads the packets of the record out of the VPC; else None."""
        return self.path if self.path in _WAYS_OUT and self.direction != "ingress" else None

    @property
    def is_of_transit_gateway(self) -> bool:
        """Return whether a transit gateway made the record, which shows the addresses of the packets."""
        return (self.transit_gateway or self.src_vpc or self.dst_vpc) is not None


def is_used(value: str) -> bool:
    """Return whether a value is there, and may be an ID or address."""
    return value not in _ABSENT and len(value) <= _LONGEST


ATTRIBUTES: Final = dict(zip(KEY_FIELDS, FlowKey.__struct_fields__, strict=True))
"""The attributes of a ``FlowKey``, by the fields of a record."""
