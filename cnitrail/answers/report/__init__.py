"""An incident report: what happened to the addresses, by whom, and the events behind each statement."""

from itertools import chain

from cnitrail.answers.address_limits import AddressRequests
from cnitrail.answers.filters import Filter
from cnitrail.answers.findings import FindingIndex
from cnitrail.answers.pods.concerned import about_pods
from cnitrail.answers.report.about import caveats, title
from cnitrail.answers.report.citation_index import CitationIndex
from cnitrail.answers.report.holders import filtered_leases, holders
from cnitrail.answers.report.instances import instance_reports
from cnitrail.answers.report.interface_segments import segments
from cnitrail.answers.report.pods import cited_pods, pods_that_lost
from cnitrail.answers.report.quality import quality
from cnitrail.answers.report.summary import summary
from cnitrail.answers.timeline import calls
from cnitrail.garbage import without_garbage_collection
from cnitrail.model import CitedFinding, Evidence, History, Report

__all__ = ["report"]


def report(history: History, evidence: Evidence, wanted: Filter, *, whole: bool = True) -> Report:
    """Return the report of the calls that a filter keeps, and of the instances that they are about.

    ``whole`` if the source left out nothing because of the filter: rules of findings need that.
    """
    with without_garbage_collection():
        return _report(history, evidence, wanted, whole=whole)


def _report(history: History, evidence: Evidence, wanted: Filter, *, whole: bool) -> Report:
    coverage = evidence.whole_coverage()
    found = list(calls(history, wanted))
    entries = [entry for _, entry in found]
    judged = FindingIndex(history, coverage, found if wanted == Filter() else None)
    found_problems = judged.findings(*about_pods(history, wanted)) if whole else ()
    by_instance = segments(history, entries)
    leases = filtered_leases(history, wanted)
    cited = {event.key for event, _ in found}
    cited |= {event.key for finding in found_problems for event in finding.events}
    for segment in chain.from_iterable(by_instance.values()):
        cited |= segment.events()
    for lease in leases:
        cited |= {bound.event.key for bound in (lease.start, lease.end) if bound.event}
    index = CitationIndex(history, cited, found)
    instances = instance_reports(history, by_instance, entries, index)
    pods = cited_pods(history, wanted, index.calls, instances)
    held_by = holders(history, leases, index, coverage if evidence.verified else None)
    return Report(
        title=title(entries, instances, wanted),
        start=entries[0].time if entries else None,
        end=entries[-1].time if entries else None,
        summary=(*summary(index, instances, AddressRequests(history)), *pods_that_lost(pods or ())),
        quality=tuple(quality(index.calls, evidence, wanted)),
        findings=tuple(CitedFinding(finding, index.numbers(finding.events)) for finding in found_problems)
        if whole
        else None,
        calls=index.calls,
        instances=instances,
        principals=index.principals,
        holders=tuple(held_by) if wanted.ip else None,
        caveats=tuple(caveats(instances, wanted, has_pods=pods is not None)),
        events=index.events,
        pods=pods,
    )
