"""A report in at most ten lines, for a chat channel, a page or a ticket."""

from collections.abc import Iterator
from typing import IO

from cnitrail.model import Answer, CitedFinding, Report
from cnitrail.model.finding import severity_counts
from cnitrail.render.report.markdown import SIZES, prose
from cnitrail.render.report.page import ReportPage
from cnitrail.text import counted, listed, opening, short_list

_FINDINGS = 3
"""Findings that are named: two lines each leave four for the rest."""

_LONGEST = 280
"""Maximum length of a sentence: chat programs fold longer messages."""


def write(answer: Answer[Report], out: IO[str]) -> None:
    """Write the summary: texts from records are inert in Markdown, as in ``-o md``."""
    out.writelines(f"{prose(line)}\n" for line in _lines(ReportPage(answer, SIZES)))


def _lines(page: ReportPage) -> Iterator[str]:
    report = page.report
    yield report.title
    yield ", ".join(page.totals) if report.calls else "No calls match."
    hit = [pod for pod in report.pods or () if pod.lost_by]
    if hit:
        names = (f"{page.pod_name(pod)} ({pod.entry.ip}{page.pod_doubt(pod)})" for pod in hit)
        yield f"Pods that lost an IP to a call: {short_list(names)}."
    if report.findings is None:
        yield "Findings were not evaluated: the source delivered only the resources in the filter."
    else:
        yield _counts(report.findings)
        for cited in report.findings[:_FINDINGS]:
            finding = cited.finding
            yield f"{finding.severity.upper()} {opening(finding.sentence, _LONGEST)}"
            yield f"→ {opening(finding.advice, _LONGEST)}"
    quality = " ".join(statement.sentence for statement in report.quality)
    yield f"Evidence: {opening(quality, 2 * _LONGEST)}"


def _counts(findings: tuple[CitedFinding, ...]) -> str:
    """Return how many findings there are of each severity: ``3 findings: 1 high, 2 medium``."""
    if not findings:
        return "No findings."
    by_severity = severity_counts(cited.finding.severity for cited in findings)
    return f"{counted(len(findings), 'finding')}: {listed(by_severity)}"
