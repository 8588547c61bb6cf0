"""Time arithmetic that stops at the ends of the calendar, which hostile evidence reaches."""

from datetime import UTC, datetime, timedelta

FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


def shifted(time: datetime, by: timedelta) -> datetime:
    """Return an aware time in UTC, shifted, but not beyond the ends of the calendar."""
    try:
        return time.astimezone(UTC) + by
    except OverflowError:
        return LAST if by > timedelta() else FIRST


def end_of_second(time: datetime) -> datetime:
    """Return the last microsecond of the second of a time: all that changes in the second has changed."""
    return time.replace(microsecond=999_999)
