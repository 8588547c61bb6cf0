"""Intervals by what shows pods at a moment: ipamd's state, Prometheus, and the annotation of branch ENIs."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from cnitrail.history.pods.bounds import exact, implied, open_end
from cnitrail.history.pods.homes import collection_of
from cnitrail.intervals import Interval
from cnitrail.model.pod_facts import AddressKept, BranchGiven, PodRecord, PodScraped
from cnitrail.model.pods import PodLease, Witness


def other_intervals(records: Iterable[PodRecord], heard: Mapping[str, list[Interval]]) -> Iterator[PodLease]:
    """Yield the intervals of all three; ``heard`` are the times of each node's log."""
    written = _written(records, heard)
    for record in records:
        for fact in record.facts:
            match fact:
                case AddressKept():
                    lease = _kept(fact, record, written.get(record.origins[0].source))
                case PodScraped(host_network=host_network) if not host_network:
                    lease = _scraped(fact, record)
                case BranchGiven():
                    lease = _branch(fact, record)
                case _:
                    continue
            if lease is not None:
                yield lease


def _written(records: Iterable[PodRecord], heard: Mapping[str, list[Interval]]) -> dict[str, datetime]:
    """Return the latest time in each file with ipamd's state: it is not older than that.

    The eks-log-collector copies the log before it asks ipamd for its state.
    """
    newest: dict[str, datetime] = {}
    for record in records:
        for fact in record.facts:
            if isinstance(fact, AddressKept) and fact.assigned is not None:
                times = [time for time in (record.time, fact.assigned, fact.released) if time is not None]
                for origin in record.origins:
                    collection = collection_of(origin.source)
                    if collection is not None:
                        times += [time.end for time in heard.get(collection, ()) if time.end is not None]
                    known = newest.get(origin.source)
                    newest[origin.source] = max((*times, known) if known is not None else times)
    return newest


def _kept(fact: AddressKept, record: PodRecord, written: datetime | None) -> PodLease | None:
    if fact.assigned is None:
        return None
    origin = record.origins[0]
    witness = Witness.V1_ENIS if origin.form == "ipamd-enis" else Witness.IPAM_JSON
    is_past = fact.released is not None
    end = exact(fact.released, witness, record) if fact.released is not None else open_end(written)
    return PodLease(
        ip=fact.ip,
        pod=None if is_past else fact.pod,
        sandbox=None if is_past else fact.sandbox,
        eni=fact.eni,
        cluster=record.cluster,
        start=exact(fact.assigned, witness, record),
        end=end,
        origins=record.origins,
    )


def _scraped(fact: PodScraped, record: PodRecord) -> PodLease:
    """Return an interval that proves nothing: a pod that has succeeded keeps its address in the metric."""
    return PodLease(
        ip=fact.ip,
        pod=fact.pod,
        uid=fact.uid,
        node=fact.node,
        cluster=record.cluster,
        start=implied(None, fact.first, Witness.KUBE_STATE_METRICS, record.origins[0]),
        end=open_end(None),
        origins=record.origins,
    )


def _branch(fact: BranchGiven, record: PodRecord) -> PodLease | None:
    if record.time is None:
        return None
    witness = Witness.POD_ENI if fact.by_controller else Witness.POD_ENI_CLAIM
    return PodLease(
        ip=fact.ip,
        pod=fact.pod,
        uid=fact.uid,
        eni=fact.eni if fact.by_controller else None,
        cluster=record.cluster,
        start=implied(None, record.time, witness, record.origins[0]),
        end=open_end(None),
        origins=record.origins,
    )
