"""One record of pod evidence → typed facts: audit events, lines of the VPC CNI's logs, and other files.

A new form of evidence is one reader here, and one row in the table.
"""

import re
from collections.abc import Callable
from hashlib import sha256

import msgspec

from cnitrail.decode.pods import (
    audit,
    checkpoint,
    cni_log,
    introspection,
    kubernetes,
    node_files,
    prometheus,
)
from cnitrail.decode.pods.reading import PodReading
from cnitrail.model import Record
from cnitrail.model.pod_facts import PodRecord

_READERS: dict[str, Callable[[object], PodReading]] = {
    "eks-audit": audit.read,
    "ipamd-log": cni_log.read,
    "ipamd-enis": introspection.read,
    "ipam-checkpoint": checkpoint.read,
    "kubernetes-pods": kubernetes.read,
    "kube-state-metrics": prometheus.read,
    "node-facts": node_files.read,
}
"""For each form, the function that returns what a record says. It never raises because of the content."""


def read_pods(record: Record, entry: object) -> tuple[PodRecord | None, tuple[str, ...]]:
    """Return the facts of a record of pod evidence, None if it has none, and what could not be read of it."""
    reading = _READERS[record.origins[0].form](entry)
    if not reading.facts:
        return None, reading.problems
    return PodRecord(
        key=_key(record, reading),
        time=reading.time,
        facts=reading.facts,
        origins=record.origins,
        cluster=reading.cluster or _cluster(record),
        truncated=reading.truncated,
        whole_second=reading.whole_second,
    ), reading.problems


def _key(record: Record, reading: PodReading) -> str:
    """Return what copies of a record have in common: its text, or its ID and its facts.

    Of two records with one ID and different facts, both count: one of them may be made up.
    """
    common = record.payload
    if reading.identity is not None:
        said = (reading.identity, reading.time, reading.facts, reading.truncated)
        common = msgspec.json.encode(said, enc_hook=str)
    return f"pods:{sha256(common).hexdigest()[:40]}"


def _cluster(record: Record) -> str | None:
    """Return the EKS cluster by the name of the log group: of the envelope, or of the source itself."""
    for name in (record.log_group, record.origins[0].source):
        found = _LOG_GROUP.fullmatch(name or "")
        if found is not None:
            return found[1]
    return None


_LOG_GROUP = re.compile(r"(?:logs:|\d{12}:)?/aws/eks/([0-9A-Za-z][0-9A-Za-z_-]{0,99})/cluster(?:[/?#:@].*)?")
"""Such as ``111122223333:/aws/eks/prod/cluster``, as Insights has it in ``@log``."""
