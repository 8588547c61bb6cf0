"""What is asked for, as conditions on the files and records of a table: the same that ``s3://`` reads."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from cnitrail.sources.layout import delivered_from, delivered_until
from cnitrail.sources.sql.expressions import listed_literals, literal
from cnitrail.timeclamp import shifted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from cnitrail.model import Scope


def scope_conditions(scope: Scope) -> Iterator[str]:
    """Yield conditions on ``account``, ``region``, ``stamp`` and ``event_time`` (``sql.statement``).

    A file is selected by the time of its delivery, as ``sources.layout.is_in_scope`` does; a record of a file
    without such a name by its own time. Of a store that is being written, whole days are read, so that their
    counts can be replaced.
    """
    if scope.accounts:
        yield f"(account IS NULL OR account IN ({listed_literals(scope.accounts)}))"
    if scope.regions and "all" not in scope.regions:
        yield f"(region IS NULL OR region IN ({listed_literals(scope.regions)}))"
    if scope.since is not None:
        delivered = _next_minute(delivered_from(scope.since))
        stamp, time = _stamp(delivered), _second(scope.since)
        if scope.into:
            stamp, time = f"{_stamp(delivered_from(scope.since))[:8]}T0000", time[:10]
        yield _either(f"stamp >= {literal(stamp)}", f"event_time >= {literal(time)}")
    if scope.until is not None:
        stamp = _stamp(delivered_until(scope.until, scope.delivery_lag))
        time = f"{_second(scope.until)}~"  # the text may go on with a fraction, and with Z or without
        if scope.into:
            stamp, time = f"{stamp[:8]}T2359", f"{time[:10]}~"
        yield _either(f"stamp <= {literal(stamp)}", f"event_time <= {literal(time)}")


def _either(of_file: str, of_record: str) -> str:
    """Return a condition on a file with a time in its name, else on the record."""
    return f"CASE WHEN stamp IS NOT NULL THEN {of_file} ELSE event_time IS NULL OR {of_record} END"


def _next_minute(time: datetime) -> datetime:
    """Return the first whole minute that is not before a time: names of files have no seconds."""
    return shifted(time, timedelta(minutes=1) - timedelta(microseconds=1)).replace(second=0, microsecond=0)


def _stamp(time: datetime) -> str:
    """Return a time as names of log files have it."""
    return f"{time.year:04}{time:%m%dT%H%M}"


def _second(time: datetime) -> str:
    """Return a time as records have it, in UTC, without the Z that some copies drop."""
    return shifted(time, timedelta()).replace(tzinfo=None, microsecond=0).isoformat()
