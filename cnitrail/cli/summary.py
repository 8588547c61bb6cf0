"""The account of the evidence, as every command ends with it on stderr."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cnitrail.cli.quiet import inform, is_quiet
from cnitrail.cli.stderr import say
from cnitrail.model import Coverage
from cnitrail.model.forms import POD_FORMS
from cnitrail.text import at_source, clock, counted, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnitrail.model import Evidence, Faulty, Skipped, SourceReport
    from cnitrail.model.flow_report import FlowReport

INCOMPLETE = 3
"""The exit status if there is an answer, but some evidence could not be read, or does not verify."""

NO_MATCH = "no matching events"
NO_LEASES = "no matching leases"
NO_ENIS = "no matching ENIs at that time"
_NEED_CLOUDTRAIL = (NO_MATCH, NO_LEASES, NO_ENIS)
"""What empty answers say that pod evidence alone cannot fill."""

_MAX_SHOWN = 20


def summarize(evidence: Evidence, shown: int, nothing: str = NO_MATCH) -> int:
    """Print what was read and what was not; return the exit status that follows.

    ``shown`` is the number of entries of the answer, ``nothing`` is printed if it has none.
    """
    inform(_summary(evidence, shown, nothing))
    nothing_read = evidence.first_event is None and not evidence.pod_records
    if nothing_read and any(source.records_skipped for source in evidence.sources):
        inform("hint: docs/sources.md lists the forms of CloudTrail logs that can be read")
    only_pods_read = evidence.first_event is None and evidence.pod_records
    if shown == 0 and nothing in _NEED_CLOUDTRAIL and only_pods_read:
        inform("hint: only pod evidence was read: cnitrail pods shows when each pod had which address")
    return _print_lost(evidence)


def _print_lost(evidence: Evidence) -> int:
    """Print what of the evidence is not proven, or was not read; return the exit status."""
    unproven = evidence.verified and _print_proven(evidence)
    faulty = _print_each("at fault", evidence.faults, "-o json lists all under evidence.faults")
    skipped = print_skipped(evidence.skipped, "-o json lists all under evidence.skipped")
    return INCOMPLETE if unproven or faulty or skipped else 0


def summarize_flows(evidence: Evidence, *, done_before: int = 0) -> int:
    """Print what was read of flow logs and of the evidence, and what was not; return the exit status.

    ``done_before`` is the number of files that an earlier run had written.
    """
    if done_before:
        inform(f"{counted(done_before, 'file')} written by an earlier run")
    if done_before and not any(report.files_found for report in evidence.flows):
        inform("no new flow logs")
    else:
        inform(_flows(evidence.flows))
    for report in evidence.flows:
        is_said = report.files_skipped and not report.other_files  # why, by each file that was skipped
        is_done = done_before and not report.files_found
        if not (report.records or is_said or is_done):
            inform(f"hint: {at_source(report.uri, _NO_FLOWS)}")
    inform(f"evidence: {_no_event_or_read(evidence)}")
    return _print_lost(evidence)


_NO_FLOWS = (
    "no flow log records in it; FLOWS are VPC flow logs, and --with names CloudTrail logs and pod evidence"
)


def _flows(reports: Sequence[FlowReport]) -> str:
    """Return what was read of flow logs: ``12 flow log records shown; read 1 file with 14 (2 NODATA)``."""
    joined, records, files = (
        sum(getattr(report, name) for report in reports) for name in ("joined", "records", "files")
    )
    others = {
        "NODATA": sum(report.no_data for report in reports),
        "SKIPDATA": sum(report.skip_data for report in reports),
        "filtered": sum(report.filtered for report in reports),
        "unreadable": sum(report.records_skipped for report in reports),
    }
    named = ", ".join(f"{number:,} {name}" for name, number in others.items() if number)
    of_others = f" ({named})" if named else ""
    passed = _passed_over(reports)
    shown = counted(joined, "flow") if joined else "no matching flows"
    read = f"{counted(files, 'file')} with {counted(records, 'flow log record')}"
    return f"{shown}; read {read}{of_others}{passed}"


def print_skipped(skipped: Sequence[Skipped], where: str) -> int:
    """Print what could not be read, and where all of it is listed; return the exit status."""
    return INCOMPLETE if _print_each("skipped", skipped, where) else 0


def _print_proven(evidence: Evidence) -> bool:
    """Print how much of the time is proven; return whether nothing is."""
    from cnitrail.answers.coverage_text import how_proven

    nothing = not any(reach.proven for reach in evidence.coverage)
    if nothing or not is_quiet():
        say(how_proven(Coverage(evidence.coverage)))
    return nothing


def _print_each(what: str, entries: Sequence[Skipped | Faulty], where: str) -> bool:
    """Print the first entries, and where all of them are listed; return whether there are any."""
    for entry in entries[:_MAX_SHOWN]:
        say(f"{what}: {at_source(entry.source, entry.reason)}")
    more = len(entries) - _MAX_SHOWN
    if more > 0:
        say(f"{what}: {more:,} more; {where}")
    return bool(entries)


def _summary(evidence: Evidence, shown: int, nothing: str) -> str:
    """Return what was read: ``14 shown; read 14 files with 56 events, 17 IP-related (… to …)``."""
    if evidence.first_event is None and not evidence.pod_records:
        return _no_event_or_read(evidence)
    answer = f"{shown:,} shown" if shown else nothing
    return f"{answer}; {_no_event_or_read(evidence)}"


def _no_event_or_read(evidence: Evidence) -> str:
    """Return what was read, or why there is no event: ``read 14 files with 56 events, 17 IP-related (…)``."""
    files = _sources(evidence)
    records = counted(sum(source.records for source in evidence.sources), "event")
    relevant = sum(source.kept for source in evidence.sources) - evidence.pod_records
    passed = _passed_over(evidence.sources)
    others = f"{_pods(evidence)}{passed}"
    if evidence.first_event is not None and evidence.last_event is not None:
        span = f"{clock(evidence.first_event)} to {clock(evidence.last_event)}"
        return f"read {files} with {records}, {relevant:,} IP-related ({span}){others}"
    if not evidence.pod_records:
        return f"{_no_event(evidence, files, records)}{others}"
    if _is_only_of_pods(evidence):
        return f"read {files} with {records}{_pods(evidence)}, no CloudTrail events{passed}"
    return f"read {files} with {records}, none IP-related{others}"


def _is_only_of_pods(evidence: Evidence) -> bool:
    """Return whether all that was read is pod evidence."""
    return all(form.form in POD_FORMS for source in evidence.sources for form in source.forms)


def _pods(evidence: Evidence) -> str:
    """Return the clause for pod evidence; empty if there is none."""
    if not evidence.pod_records:
        return ""
    first, last = evidence.first_pod_record, evidence.last_pod_record
    span = f" ({clock(first)} to {clock(last)})" if first is not None and last is not None else ""
    return f", {evidence.pod_records:,} about pods{span}"


def _sources(evidence: Evidence) -> str:
    """Return how many files and tables were read; the parts of a table are no files."""
    files = sum(source.files - source.table_parts for source in evidence.sources)
    return files_and_tables(files, len(evidence.tables))


def files_and_tables(files: int, tables: int) -> str:
    """Return numbers of files and tables in words: ``2 files and 1 table``."""
    parts = [counted(files, "file")] if files or not tables else []
    return listed([*parts, counted(tables, "table")] if tables else parts)


def _no_event(evidence: Evidence, files: str, records: str) -> str:
    """Return why there is no event: there was none, or nothing could be read of what may be one."""
    unread = sum(source.records_skipped for source in evidence.sources)
    if unread:
        lost = f"nothing could be read of {counted(unread, 'record')} that may matter"
        return f"{lost}; read {files} with {records} in all"
    if evidence.skipped and not any(source.records for source in evidence.sources):
        return f"no event could be read in {files}"
    return f"no IP-related events; read {files} with {records}"


def _passed_over(sources: Iterable[SourceReport | FlowReport]) -> str:
    """Return the clause for files of other kinds; empty if there are none."""
    from cnitrail.workflows.accounting import named_kinds

    others = Counter[str]()
    for source in sources:
        others.update(source.other_files)
    return f"; passed over {named_kinds(others)}" if others else ""
