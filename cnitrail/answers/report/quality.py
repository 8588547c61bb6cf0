"""The quality of the evidence behind a report: what it covers, what it lacks, and how far it is verified."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from cnitrail.answers.coverage_text import OF_TABLES, limitations, limits_of_tables
from cnitrail.answers.filters import Filter
from cnitrail.model import AccountRegion, CitedCall, Coverage, Evidence, Ground, Reach, Statement
from cnitrail.model.reason import ReasonCode
from cnitrail.text import account_and_region, capitalized, counted, quoted, time_range

_PLACES = 4
"""Accounts and Regions that have a sentence each: an organization has hundreds."""

_GAPS = 5
"""Log gaps and other limits that are named one by one; the evidence of the report lists all."""


def quality(calls: Sequence[CitedCall], evidence: Evidence, wanted: Filter) -> Iterator[Statement]:
    """Yield what the evidence of a report covers, what is missing, and what digests prove."""
    coverage = evidence.whole_coverage()
    kept = [
        reach
        for reach in evidence.coverage
        if wanted.takes_value("account", reach.account) and wanted.takes_value("region", reach.region)
    ]
    yield from _covered(kept)
    yield from _limited(coverage, wanted)
    if evidence.skipped:
        skipped = counted(len(evidence.skipped), "piece")
        yield Statement(
            f"{skipped} of the evidence could not be read, and may have more calls: see Evidence."
        )
    if not evidence.verified:
        yield Statement("Log integrity is not verified (add --verify).")
    elif calls:
        yield from _proofs(calls, coverage)


def _covered(kept: Sequence[Reach]) -> Iterator[Statement]:
    if not kept:
        yield Statement("Nothing was read of the accounts and Regions in the filter.")
    for reach in kept[:_PLACES]:
        read = f"Events of {_where(reach.account, reach.region)} were read"
        yield Statement(f"{read} from {time_range(reach.first, reach.last)}{_completeness(reach)}.")
    if len(kept) > _PLACES:
        yield Statement(
            f"{counted(len(kept) - _PLACES, 'other Region')} of accounts were read: see Evidence."
        )


def _completeness(reach: Reach) -> str:
    if reach.holes:
        return f", with {counted(len(reach.holes), 'log gap')}"
    return ", without log gaps" if reach.known else "; nothing shows whether these are all"


def _limited(coverage: Coverage, wanted: Filter) -> Iterator[Statement]:
    """Yield the log gaps of the time that the report is about, and if the evidence is too short for it."""
    for reason in limits_of_tables(coverage):
        yield Statement(f"{capitalized(reason.text)}.")
    general = (ReasonCode.COVERAGE_UNKNOWN, *OF_TABLES)
    found = [reason for reason in limitations(coverage, wanted) if reason.code not in general]
    for reason in found[:_GAPS]:
        yield Statement(f"{capitalized(reason.text)}: calls may be missing here.")
    if len(found) > _GAPS:
        yield Statement(f"{counted(len(found) - _GAPS, 'more gap')}: see Evidence.")


def _proofs(calls: Sequence[CitedCall], coverage: Coverage) -> Iterator[Statement]:
    """Yield what digests prove about the time of the calls, for each account and Region."""
    by_place: dict[AccountRegion, list[CitedCall]] = defaultdict(list)
    for call in calls:
        by_place[call.entry.account, call.entry.region].append(call)
    start, end = calls[0].entry.time, calls[-1].entry.time
    for place, made in by_place.items():
        when, where = time_range(start, end), _where(*place)
        if coverage.ground(*place, start, end) is Ground.PROVEN:
            proven = f"CloudTrail's digests prove that nothing of {where} is missing or changed"
            yield Statement(f"{when}: {proven}.", _events(made))
            continue
        rest = [
            call
            for call in made
            if coverage.ground(*place, call.entry.time, call.entry.time) is not Ground.PROVEN
        ]
        not_proven = f"CloudTrail's digests do not cover all of {where}"
        effect = (
            f"{counted(len(rest), 'call')} listed here {'is' if len(rest) == 1 else 'are'} not verified"
            if rest
            else "calls may be missing between those listed here"
        )
        yield Statement(f"{when}: {not_proven}, and {effect}. See Evidence.", _events(rest))


def _where(account: str | None, region: str | None) -> str:
    return account_and_region(account and quoted(account), region and quoted(region))


def _events(calls: Sequence[CitedCall]) -> tuple[int, ...]:
    return tuple(sorted({call.event for call in calls}))
