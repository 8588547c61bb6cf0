"""Records of pod evidence → pod leases: which pod held which address, from when to when.

``cni_intervals`` reads what ipamd did, ``reported_intervals`` what the API server knows, ``other_intervals``
what shows pods at a moment, and ``plugin_intervals`` what only ``plugin.log`` has. ``joined`` puts the
intervals of one pod and address together, ``placed`` compares each with the ENI lease around it, and
``succession`` with those of the same address. ``nodes``, ``homes`` and ``enis`` say which node, files,
instance and ENI belong together, ``watched`` of which times a node's log has everything, and ``spans`` from
when to when each log has records. ``kinds`` chooses the records of each.
"""

from cnitrail.history.pods.alive import SilentLog
from cnitrail.history.pods.cni_intervals import cni_intervals
from cnitrail.history.pods.enis import NodeFiles
from cnitrail.history.pods.homes import Homes
from cnitrail.history.pods.joined import joined
from cnitrail.history.pods.kinds import RecordsByKind
from cnitrail.history.pods.nodes import NodeNames
from cnitrail.history.pods.other_intervals import other_intervals
from cnitrail.history.pods.placed import Placing
from cnitrail.history.pods.plugin_intervals import plugin_intervals
from cnitrail.history.pods.reported_intervals import finished, reported_intervals
from cnitrail.history.pods.spans import before_gaps, spans_of
from cnitrail.history.pods.succession import in_succession, order_of_start
from cnitrail.history.pods.watched import heard_times, watched_nodes
from cnitrail.model import History, order_of
from cnitrail.model.pod_facts import (
    AddressFreed,
    AddressKept,
    BranchGiven,
    EniListed,
    IpamdStarted,
    NodeNamed,
    PodBound,
    PodDeleted,
    PodEvidence,
    PodReported,
    PodScraped,
    RegionNamed,
    SandboxAssigned,
    SandboxNamed,
    SandboxReleased,
)
from cnitrail.model.pods import PodHistory

__all__ = ["pod_history"]


def pod_history(evidence: PodEvidence, history: History) -> PodHistory:
    """Return what the records of pod evidence show; ``history`` has the leases of the ENIs."""
    records = evidence.records
    of_kind = RecordsByKind(records).having
    nodes, homes = NodeNames(of_kind(NodeNamed)), Homes(records, of_kind(NodeNamed, EniListed, AddressKept))
    heard = heard_times(evidence, homes)
    files = NodeFiles(of_kind(IpamdStarted, NodeNamed, RegionNamed, EniListed, AddressKept), homes, history)
    of_cni = cni_intervals(of_kind(SandboxAssigned, SandboxReleased, SandboxNamed))
    shown = [
        *SilentLog(of_kind(IpamdStarted, AddressFreed), heard, homes).applied(of_cni),
        *before_gaps(reported_intervals(of_kind(PodBound, PodReported, PodDeleted), nodes), evidence),
        *other_intervals(of_kind(AddressKept, PodScraped, BranchGiven), heard),
    ]
    shown += plugin_intervals(of_kind(SandboxNamed), shown)
    placing = Placing(history, files, homes)
    found = [lease for lease in map(placing.placed, joined(shown, homes)) if lease is not None]
    leases = in_succession(found, homes, finished(of_kind(PodReported, PodDeleted)))
    leases.sort(key=lambda lease: (order_of(lease.ip), order_of_start(lease)))
    watched = tuple(watched_nodes(leases, heard, homes, files))
    return PodHistory(
        leases=tuple(leases),
        nodes=nodes.instances(),
        watched=watched,
        records=len(records),
        unread=evidence.unread,
        spans=spans_of(evidence, watched),
    )
