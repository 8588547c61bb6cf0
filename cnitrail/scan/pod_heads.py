"""What is known of a record of pod evidence without decoding it: its time, and whether it may matter."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Final

import msgspec
from msgspec import Struct, field

from cnitrail.scan.pod_forms import IPAMD_CALLER


@cache
def _is_ipamd() -> re.Pattern[str]:
    return re.compile(IPAMD_CALLER.decode())


class _LineHead(Struct, gc=False):
    """The fields that say when a line of the VPC CNI was written, and by which part of it."""

    ts: str = ""
    caller: str = ""

    @property
    def time(self) -> str:
        """The time of a line of ipamd; empty for the plugin, whose times do not show what ipamd did."""
        return self.ts if _is_ipamd().match(self.caller) else ""

    @property
    def matters(self) -> None:
        """None: the text decides."""
        return None

    @property
    def lack(self) -> None:
        """None: a line says what it says."""
        return None


class _SeriesHead(Struct, gc=False):
    """The labels of a series of Prometheus."""

    metric: dict[str, str]
    time: str = ""

    @property
    def matters(self) -> None:
        """None: the text decides."""
        return None

    @property
    def lack(self) -> str | None:
        """Why a series of kube-state-metrics says of no pod which address it has; None if it does."""
        name = self.metric.get("__name__", "")
        needed = {"kube_pod_info": "pod_ip", "kube_pod_ips": "ip"}.get(name)
        if needed is None:
            return None
        labels = {label.removeprefix("exported_") for label in self.metric}
        return None if {"namespace", "pod", needed} <= labels else _UNLABELED.format(name=name, ip=needed)


class _ObjectRef(Struct, gc=False):
    resource: str = ""
    subresource: str = ""


class _AuditHead(Struct, gc=False, kw_only=True, rename="camel"):
    """The fields of an audit event that decide whether it says something about pods."""

    audit_id: str = field(name="auditID")
    stage: str
    level: str = ""
    event_name: None = None
    request_uri: str = field(name="requestURI", default="")
    verb: str = ""
    object_ref: _ObjectRef | None = None
    request_received_timestamp: str = ""
    stage_timestamp: str = ""

    @property
    def time(self) -> str:
        return self.request_received_timestamp or self.stage_timestamp

    @property
    def matters(self) -> bool:
        """Whether the event changes a pod or registers a node."""
        if self.verb in _READING:
            return False
        if self.object_ref is None:  # a cut event may lack it
            return "/pods" in self.request_uri
        resource = self.object_ref.resource
        return resource == "pods" or (resource == "nodes" and self.verb == "create")

    @property
    def lack(self) -> str | None:
        """Why a change of a pod says nothing of its addresses; None if it may say something."""
        if self.level != "Metadata" or self.stage != "ResponseComplete" or not self.matters:
            return None
        target = self.object_ref
        is_whole = target is not None and target.resource == "pods" and target.subresource in ("", "status")
        return _METADATA if is_whole else None


_METADATA: Final = (
    "changes of pods at audit level Metadata, which has no addresses; "
    "log pods and pods/status at level Request or RequestResponse"
)
_UNLABELED: Final = (
    "series of {name} without one of the labels namespace, pod and {ip}: "
    "they do not say which pod has which address"
)
_READING: Final = frozenset({"get", "list", "watch"})
"""Verbs that change nothing."""

_AUDIT_HEAD = msgspec.json.Decoder(_AuditHead)
_LINE_HEAD = msgspec.json.Decoder(_LineHead)
_HEADS: Final[Mapping[str, msgspec.json.Decoder[_AuditHead] | msgspec.json.Decoder[_SeriesHead]]] = {
    "eks-audit": _AUDIT_HEAD,
    "kube-state-metrics": msgspec.json.Decoder(_SeriesHead),
}

AuditHeads = list[_AuditHead]


def audit_heads(texts: Iterable[bytes | str | msgspec.Raw]) -> AuditHeads:
    """Return what decides about audit events, up to the first text that is none."""
    heads: AuditHeads = []
    with suppress(ValueError, RecursionError):
        heads.extend(map(_AUDIT_HEAD.decode, texts))
    return heads


def indices_that_matter(heads: AuditHeads) -> list[int]:
    """Return the indices of the events that matter.

    Most conditions of ``matters`` come before it, without a call: a log has millions of heads.
    """
    return [
        at
        for at, head in enumerate(heads)
        if head.verb not in _READING
        and (head.object_ref is None or head.object_ref.resource in ("pods", "nodes"))
        and head.matters
    ]


def minutes_of(heads: AuditHeads) -> Iterator[str]:
    """Yield the minutes (UTC) of audit events."""
    times = (head.request_received_timestamp or head.stage_timestamp for head in heads)
    for time in {time[:16]: time for time in times}.values():
        minute = minute_of(time)
        if minute is not None:
            yield minute


class PodHead(Struct, frozen=True):
    """The minute (UTC) in which a record of pod evidence was written, if it says so, and whether it matters.

    ``matters`` is None if only a search of its text decides that. ``lack`` is why it cannot say which pod has
    which address, if so; it follows the number of such records.
    """

    minute: str | None
    matters: bool | None
    lack: str | None = None


def pod_head(form: str, text: bytes) -> PodHead:
    """Return the head of a record of pod evidence. One that cannot be read may matter."""
    decoder = _HEADS.get(form, _LINE_HEAD)
    try:
        head = decoder.decode(text)
    except (ValueError, RecursionError):
        return PodHead(None, True if form == "eks-audit" else None)
    return PodHead(minute_of(head.time), head.matters, head.lack)


def minute_of(time: str) -> str | None:
    """Return the minute, in UTC, of a time in ISO 8601 with a time zone; None if it is none."""
    if time.endswith("Z"):
        return time[:16] if _MINUTE.match(time) else None
    try:
        zoned = datetime.fromisoformat(time)
        return zoned.astimezone(UTC).isoformat()[:16] if zoned.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


_MINUTE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:")
