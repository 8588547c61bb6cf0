"""What the evidence does not cover, in sentences."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.intervals import between, through, total_length
from cnitrail.model import AccountRegion, Coverage, Hole, HoleReason, Lost, Reach
from cnitrail.model.coverage import may_be_one_place
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import account_and_region, clock, duration, short_list


def uncovered(coverage: Coverage, second: datetime, wanted: Filter) -> Iterator[Reason]:
    """Yield why a time is not covered, for each account and Region of which it is not."""
    for reach in coverage.reaches:
        if not wanted.takes_value("account", reach.account):
            continue
        if not wanted.takes_value("region", reach.region):
            continue
        place = (reach.account, reach.region)
        if second < reach.first:
            text = f"the evidence of {account_and_region(*place)} begins only at {clock(reach.first)}"
            yield Reason(ReasonCode.BEFORE_EVIDENCE, text)
        elif second > reach.last:
            yield after_evidence(reach.last, *place)
        for hole in reach.holes:
            if through(hole.start, hole.end).includes(second):
                yield gap_reason(hole, *place)


def limitations(coverage: Coverage, wanted: Filter, at: datetime | None = None) -> Iterator[Reason]:
    """Yield what of the time that was asked for the evidence does not cover: every answer states it.

    The time is the range of a filter, or ``at`` alone. Only accounts and Regions that the filter keeps count.
    """
    places = [
        reach
        for reach in coverage.reaches
        if wanted.takes_value("account", reach.account) and wanted.takes_value("region", reach.region)
    ]
    yield from limits_of_tables(coverage)
    yield from without_evidence(coverage, wanted)
    yield from not_delivered(coverage, wanted, at)
    if at is not None:
        said = [_CODES[reason] for reason in _NOT_DELIVERED]
        yield from (reason for reason in uncovered(coverage, at, wanted) if reason.code not in said)
    else:
        for reach in places:
            yield from _uncovered_range(reach, wanted)
    for reach in places:
        if not reach.known:
            place = account_and_region(reach.account, reach.region)
            text = f"nothing shows whether the evidence of {place} has all events of its time"
            yield Reason(ReasonCode.COVERAGE_UNKNOWN, text)


def without_evidence(coverage: Coverage, wanted: Filter) -> Iterator[Reason]:
    """Yield the accounts and Regions that were asked for and that nothing in the evidence is about."""
    for field, noun in (("account", "account"), ("region", "Region")):
        seen = {getattr(reach, field) for reach in coverage.reaches}
        for name in getattr(wanted, field):
            if name != "all" and name not in seen and None not in seen:
                known = f"; it has {short_list(seen)}" if seen else ""
                yield Reason(ReasonCode.NO_EVIDENCE, f"the evidence has nothing of {noun} {name}{known}")


def _uncovered_range(reach: Reach, wanted: Filter) -> Iterator[Reason]:
    """Yield what of a range the evidence of one account and Region does not cover."""
    place = (reach.account, reach.region)
    of, start, end = account_and_region(*place), clock(reach.first), clock(reach.last)
    if wanted.until is not None and wanted.until < reach.first:
        yield Reason(
            ReasonCode.BEFORE_EVIDENCE, f"the evidence of {of} begins only at {start}, after the range"
        )
        return
    if wanted.since is not None and wanted.since > reach.last:
        yield Reason(ReasonCode.AFTER_EVIDENCE, f"the evidence of {of} ends at {end}, before the range")
        return
    if wanted.since is not None and wanted.since < reach.first:
        text = f"the evidence of {of} begins at {start}, so the first part of the range is missing"
        yield Reason(ReasonCode.BEFORE_EVIDENCE, text)
    if wanted.until is not None and wanted.until > reach.last:
        text = f"the evidence of {of} ends at {end}, so the last part of the range is missing"
        yield Reason(ReasonCode.AFTER_EVIDENCE, text)
    asked = between(wanted.since, wanted.until)
    for hole in reach.holes:
        if hole.overlaps(asked) and hole.reason not in _NOT_DELIVERED:
            yield gap_reason(hole, *place)


OF_TABLES: Final = (ReasonCode.TABLE_NOT_CHECKED, ReasonCode.TABLE_LACKS_FIELDS)
"""The codes of ``limits_of_tables``, which concern every time, account and Region alike."""


def limits_of_tables(coverage: Coverage) -> Iterator[Reason]:
    """Yield what is not known of all records from tables: whether they are all, and what columns lack."""
    yield from unchecked_tables(coverage)
    for table in coverage.tables:
        for text in table.losses:
            yield Reason(ReasonCode.TABLE_LACKS_FIELDS, f"{table.uri}: {text}")


def unchecked_tables(coverage: Coverage) -> Iterator[Reason]:
    """Yield each table of the evidence: a query engine does not say which files and rows it left out."""
    for table in coverage.tables:
        why = "query engines skip files that they cannot read, and views and row filters leave records out"
        text = f"nothing shows whether {table.uri} returned all records: {why}"
        yield Reason(ReasonCode.TABLE_NOT_CHECKED, text)


_NOT_DELIVERED: Final = (HoleReason.NOT_READ, HoleReason.NOT_IN_TABLE)
"""Why a source has not delivered all that was asked of it, although all that it delivered was read."""


def lacking_elsewhere(
    coverage: Coverage, wanted: Filter, places: Collection[AccountRegion], second: datetime
) -> Iterator[Reason]:
    """Yield what was asked for and not delivered at a second, in other accounts and Regions than some.

    Another VPC there may use the same address. A VPC is in one Region, so this does not matter to a question
    about a VPC.
    """
    if wanted.vpc:
        return
    asked = replace(wanted, since=second, until=second)
    for lost in coverage.lost:
        place = (lost.account, lost.region)
        if (
            lost.reason in _NOT_DELIVERED
            and place != (None, None)
            and not any(may_be_one_place(place, other) for other in places)
            and _is_asked(lost, asked)
        ):
            yield Reason(_CODES[lost.reason], f"{lost.what}: another VPC there may use the address")


def not_delivered(coverage: Coverage, wanted: Filter, at: datetime | None = None) -> Iterator[Reason]:
    """Yield what of a range, or of one time, a lookup did not read (it ended early), or a table lacks."""
    asked = wanted if at is None else replace(wanted, since=at, until=at)
    for reason in _NOT_DELIVERED:
        for lost in coverage.lost:
            if lost.reason is reason and _is_asked(lost, asked):
                yield Reason(_CODES[reason], lost.what)


def _is_asked(lost: Lost, wanted: Filter) -> bool:
    """Return whether a filter asks for any time, and for the account and Region, of what is lost."""
    return (
        (lost.start is None or wanted.until is None or lost.start <= wanted.until)
        and (lost.end is None or wanted.since is None or wanted.since < lost.end)
        and (lost.account is None or wanted.takes_value("account", lost.account))
        and (lost.region is None or wanted.takes_value("region", lost.region))
    )


def after_evidence(last: datetime, account: str | None, region: str | None) -> Reason:
    """Return the reason that the evidence of an account and Region ends before the time asked for."""
    text = f"the evidence of {account_and_region(account, region)} ends at {clock(last)}"
    return Reason(ReasonCode.AFTER_EVIDENCE, text)


def gap_reason(hole: Hole, *place: str | None, so: str | None = None) -> Reason:
    """Return a hole as a reason; ``place`` is its account and Region, ``so`` what follows from it."""
    text = unread(hole, account_and_region(*place) if place else None)
    return Reason(_CODES[hole.reason], f"{text}: {so}" if so else text)


def unread(hole: Hole, place: str | None = None) -> str:
    """Return a hole as a sentence; ``place`` names its account and Region."""
    when = f"from {clock(hole.start)} to {clock(hole.end)}"
    return _SENTENCES[hole.reason].format(where=f" for {place}" if place else "", when=when)


_SENTENCES = {
    HoleReason.GAP: "log gap{where} {when}",
    HoleReason.MISSING: "a log file{where} is missing (events {when})",
    HoleReason.UNREAD: "a log file or record{where} could not be read (events {when})",
    HoleReason.ALTERED: "a log file{where} was changed after delivery and is not used (events {when})",
    HoleReason.NOT_READ: "the lookup{where} ended early (events {when} were not all read)",
    HoleReason.NOT_IN_TABLE: "the table has no data{where} {when}",
    HoleReason.STOPPED: "the trail{where} was stopped {when} and recorded nothing",
    HoleReason.NARROWED: "the trail{where} did not record all write events {when}",
    HoleReason.DELETED: "the trail{where} was deleted and recorded nothing {when}",
}
_CODES = {
    HoleReason.GAP: ReasonCode.LOG_GAP,
    HoleReason.MISSING: ReasonCode.MISSING_FILE,
    HoleReason.UNREAD: ReasonCode.UNREAD_FILE,
    HoleReason.ALTERED: ReasonCode.ALTERED_FILE,
    HoleReason.NOT_READ: ReasonCode.NOT_READ,
    HoleReason.NOT_IN_TABLE: ReasonCode.NOT_IN_TABLE,
    HoleReason.STOPPED: ReasonCode.TRAIL_STOPPED,
    HoleReason.NARROWED: ReasonCode.TRAIL_NARROWED,
    HoleReason.DELETED: ReasonCode.TRAIL_DELETED,
}


def how_proven(coverage: Coverage) -> str:
    """Return how much of the covered time is proven, not verified, and missing."""
    by_digests = "proven by CloudTrail's digests"
    lengths = {
        by_digests: total_length(period for reach in coverage.reaches for period in reach.proven),
        "not verified": total_length(period for reach in coverage.reaches for period in reach.merely_read),
        "missing": total_length(hole for reach in coverage.reaches for hole in reach.holes),
    }
    parts = [f"{duration(length)} {kind}" for kind, length in lengths.items() if length]
    if not lengths[by_digests]:
        parts.insert(0, f"nothing {by_digests} (cnitrail verify shows why)")
    places = len(coverage.reaches)
    return ", ".join(parts) + (f", of {places} accounts and Regions together" if places > 1 else "")
