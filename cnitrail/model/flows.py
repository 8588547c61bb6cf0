"""VPC flow logs: their fields, the records of a file, and who was at both ends of a flow."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from cnitrail.model.answer import Verdict
from cnitrail.model.flow_fields import field_of
from cnitrail.model.pods import PodVerdict
from cnitrail.model.reason import ReasonCode

LATE: Final = 60
"""Seconds by which the times of a record may lag behind its packets.

https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html (``start`` and ``end``)
"""


class FlowBlock(Struct, frozen=True, gc=False, kw_only=True):
    """Some records of one file, one after the other, as separated text without a header.

    ``columns`` are the names of the file itself, ``text`` ends with a line end. ``first`` is the index of the
    first record in the file. ``fields`` are AWS's names of the columns, in their order; if it is empty, they
    are what ``field_of`` returns.
    """

    uri: str
    columns: tuple[str, ...]
    text: bytes
    fields: tuple[str, ...] = ()
    separator: bytes = b" "
    first: int = 0


def fields_of_block(block: FlowBlock) -> tuple[str, ...]:
    """Return AWS's names of the columns of a block."""
    return block.fields or tuple(map(field_of, block.columns))


class UnlistedRecords(Struct, frozen=True, gc=False):
    """Number of further records of a file that could not be read; they are not listed one by one."""

    records: int


class FlowFormats(Struct, frozen=True, gc=False, kw_only=True):
    """The formats of records without a header line: the columns, in order.

    ``usual`` is for any file. ``named`` are those of certain flow logs, by an ID (``fl-…``) or a log group
    that is in the name of a file.
    """

    usual: tuple[str, ...] | None = None
    named: Mapping[str, tuple[str, ...]] = {}

    def of(self, name: str) -> tuple[str, ...] | None:
        """Return the columns of the records in a file or a log group; None if they are not known.

        Of several that a name has in it, the longest counts: ``/vpc/flow/a`` is not ``/vpc/flow``.
        """
        key = max((key for key in self.named if _is_named(key, name)), key=len, default=None)
        return self.named[key] if key is not None else self.usual


def _is_named(key: str, name: str) -> bool:
    """Return whether a name has a key in it, and not only the beginning of a longer one."""
    wanted = re.escape(key.strip("/").replace("_", "/"))
    return re.search(rf"(?<![\w-]){wanted}(?![\w-])", name.replace("_", "/")) is not None


class FlowEnd(Struct, frozen=True, gc=False, kw_only=True):
    """Who had the address at one end of a flow, over all of the time in which its packets may lie.

    ``ip`` is the address that the answer is about. ``verdict`` is the worst of that time, with every ENI that
    may have had the address: so a name alone proves nothing. ``kind`` is what was at this end (``node``,
    ``pod``, ``load-balancer``, …), ``assigned_by`` who assigned the address. ``pod_verdict`` is None if no
    pod evidence was read. ``reasons`` are why the answer is not certain.
    """

    ip: str | None
    verdict: Verdict
    kind: str
    eni: tuple[str, ...] = ()
    eni_kind: tuple[str, ...] = ()
    instance: tuple[str, ...] = ()
    cluster: tuple[str, ...] = ()
    pod: tuple[str, ...] = ()
    pod_verdict: PodVerdict | None = None
    assigned_by: tuple[str, ...] = ()
    reasons: tuple[ReasonCode, ...] = ()


END_FIELDS: Final = tuple(field for field in FlowEnd.__struct_fields__)
"""The fields of an end, in the order of the columns that ``flows`` adds: ``src_ip``, …, ``dst_reasons``."""


class FlowCounts(Struct, frozen=True, gc=False, kw_only=True):
    """Counts of some records, as ``FlowReport`` has them."""

    records: int = 0
    joined: int = 0
    no_data: int = 0
    skip_data: int = 0
    filtered: int = 0
    records_skipped: int = 0


class Talker(Struct, frozen=True, gc=False, kw_only=True):
    """What was at the interfaces of some records: a pod, a node, a load balancer, …, and its traffic.

    Each record counts at its own interface only, so a flow between two interfaces that both have flow logs
    counts once for each of them. ``certain`` is the number of records of which it is certain that this was
    there. ``sent`` and ``received`` are bytes of accepted traffic; ``rejected`` is a number of records.
    """

    name: str
    kind: str
    records: int
    certain: int
    sent: int
    received: int
    rejected: int


class RejectedFlow(Struct, frozen=True, gc=False, kw_only=True):
    """Records with the action REJECT, by both ends and the destination port.

    ``port`` is None if the records have none, or more of them than are counted: ``is_scan``.
    """

    src: str
    dst: str
    port: str | None
    records: int
    packets: int
    is_scan: bool = False


class VerdictShare(Struct, frozen=True, gc=False, kw_only=True):
    """The ends of one verdict: each joined record has two. ``bytes`` are those of their records."""

    verdict: Verdict
    ends: int
    bytes: int


class PodVerdictShare(Struct, frozen=True, gc=False, kw_only=True):
    """The ends of one verdict about pods, at the addresses of an ENI; none if no pod evidence was read."""

    verdict: PodVerdict
    ends: int
    bytes: int


class UnattributedShare(Struct, frozen=True, gc=False, kw_only=True):
    """Ends that are not certain, by their verdict and the code of the first reason.

    ``pod_verdict`` is set if only the pod is in doubt, and ``verdict`` is ``certain``. ``text`` is what the
    code means, or a verdict without a code.
    """

    verdict: Verdict
    pod_verdict: PodVerdict | None
    reason: ReasonCode | None
    text: str | None
    ends: int
    bytes: int


class FlowSummary(Struct, frozen=True, gc=False, kw_only=True):
    """What flow logs show, by names: the entry of ``cnitrail flows``.

    All numbers are those of joined ``records``, whose packets lie from ``first`` to ``last``. The busiest of
    ``talkers`` and ``rejected`` come first; ``other_talkers`` and ``other_rejected`` sum up those for which
    there was no room. ``at_no_end`` are the records that neither address shows to be made at its interface:
    they count for their source. ``interface_only`` are those that show the primary address of an interface,
    whatever address was used, so that no pod can be named. ``confirmed`` and ``contradicted`` count records
    by the metadata field that agrees with the history of their interface, or does not.
    """

    records: int
    bytes: int
    first: datetime | None
    last: datetime | None
    verdicts: tuple[VerdictShare, ...]
    pod_verdicts: tuple[PodVerdictShare, ...]
    unattributed: tuple[UnattributedShare, ...]
    talkers: tuple[Talker, ...]
    rejected: tuple[RejectedFlow, ...]
    other_talkers: Talker | None = None
    other_rejected: RejectedFlow | None = None
    at_no_end: int = 0
    interface_only: int = 0
    confirmed: Mapping[str, int] = {}
    contradicted: Mapping[str, int] = {}
