"""What pod evidence looks like as text: Kubernetes objects, and lines of the VPC CNI's logs."""

import re
from functools import cache
from typing import Final

import msgspec
from msgspec import Struct

_VERSION: Final = re.compile(rb'apiVersion\\*"\s*:\s*\\*"(?:[a-z0-9.-]+/)?v[0-9][a-z0-9]*\\*"')
"""What a Kubernetes object has, also as a text within JSON; the ``apiVersion`` of CloudTrail is a date."""


def may_be_secret(text: bytes) -> bool:
    """Return whether a text is of Kubernetes objects, which may have secrets in them."""
    return b"auditID" in text or b"audit.k8s.io" in text or _VERSION.search(text) is not None


IPAMD_CALLER: Final = (
    rb"(?:(?:ipamd|awsutils|networkutils|aws-k8s-agent)/|datastore/data_store\.go|rpc/rpc(?:_grpc)?\.pb\.go)"
)
"""Source files from which ipamd writes lines of its log; the CNI's plugin has others."""

FRONT: Final = (
    rb"(?!\[pod/(?!aws-node-[a-z0-9]{1,32}/aws-node\]))(?:[^\s{\"]{1,256} ){0,4}?(?:[^\s{\"]{1,256}:)??"
)
"""What may be in front of a log line: ``TIME stdout F`` (containerd), ``[pod/…/aws-node]`` (kubectl; what
another container prints does not count), the name of a file (grep)."""

ZONE: Final = rb"(?:Z|[+-]\d{4})"
"""zap writes local times: ipamd's container has UTC, but its plugin has the time zone of the node."""

ZAP: Final = rb'\{"level":"[a-z]{1,8}","ts":"\d{4}-\d\d-\d\dT[\d:.]{8,18}' + ZONE + rb'","caller":"'
"""What a line begins with since 1.6.1."""


@cache
def _cni_record() -> re.Pattern[bytes]:
    return re.compile(
        FRONT + rb"(?:(?P<zap>" + ZAP + rb".*\})"
        rb"|(?P<time>\d{4}-\d\d-\d\dT[\d:.]{8,18}Z) \[(?P<level>[A-Z]{4,8})\] ?\t?(?P<message>.*))",
        re.DOTALL,
    )


def may_be_cni_log(text: bytes) -> bool:
    """Return whether a text may be a log of the VPC CNI: it has a word of zap, or a time of seelog."""
    return b'","caller":"' in text or b"Z [" in text


class _LogLine(Struct):
    """A line of seelog with the keys of zap."""

    level: str
    ts: str
    caller: str
    msg: str


def cni_record(line: bytes) -> bytes | None:
    """Return the record in a log line of the VPC CNI, as zap writes it; None if it is no such line.

    Before 1.6.1 the lines are text of seelog.
    """
    match = _cni_record().fullmatch(line.rstrip())
    if match is None or match["zap"] is not None:
        return match["zap"] if match is not None else None
    written, level, message = (
        match[name].decode("utf-8", "replace") for name in ("time", "level", "message")
    )
    return msgspec.json.encode(_LogLine(level.lower(), written, "", message))
