"""A postmortem: what happened to the addresses, by whom, and the events that each statement rests on."""

from cnitrail.answers.filters import Filter
from cnitrail.answers.findings import findings
from cnitrail.answers.report.about import caveats, title
from cnitrail.answers.report.holders import asked_leases, tenures
from cnitrail.answers.report.instances import lives
from cnitrail.answers.report.interface_segments import scenes
from cnitrail.answers.report.principals import Principals
from cnitrail.answers.report.summary import summary
from cnitrail.answers.timeline import calls
from cnitrail.model import CitedFinding, Coverage, Evidence, Finding, History, Report

__all__ = ["report"]


def report(history: History, evidence: Evidence, wanted: Filter, *, whole: bool = True) -> Report:
    """The postmortem of the calls that a filter keeps, and of the instances that they are about.

    ``whole`` says that nothing was left out of the evidence because of the filter's places: only then
    is judged what is out of the ordinary.
    """
    coverage = Coverage(evidence.coverage)
    found = list(calls(history, wanted))
    entries = [entry for _, entry in found]
    grave = findings(history, coverage, wanted) if whole else ()
    played = scenes(history, entries)
    asked = asked_leases(history, wanted)
    cited = {event.key for event, _ in found}
    cited |= {event.key for finding in grave for event in finding.events}
    for part in (scene for each in played.values() for scene in each):
        cited |= {bound.event.key for bound in part.bounds() if bound.event}
    for lease in asked:
        cited |= {bound.event.key for bound in (lease.start, lease.end) if bound.event}
    cast = Principals(history, cited, found)
    told = lives(history, played, entries, cast)
    held = tenures(history, asked, cast, coverage if evidence.verified else None)
    return Report(
        title=title(entries, told, wanted),
        start=entries[0].time if entries else None,
        end=entries[-1].time if entries else None,
        summary=tuple(summary(cast, told, evidence)),
        findings=tuple(CitedFinding(each, _numbers(cast, each)) for each in grave) if whole else None,
        calls=cast.calls,
        instances=told,
        principals=cast.principals,
        tenures=tuple(held) if wanted.ip else None,
        caveats=tuple(caveats(told, wanted)),
        events=cast.events,
    )


def _numbers(cast: Principals, finding: Finding) -> tuple[int, ...]:
    return tuple(map(cast.number, finding.events))
