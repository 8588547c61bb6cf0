"""The time that an answer about pods has to hold for."""

from datetime import UTC, datetime, timedelta

from msgspec import Struct

from cnitrail.timeclamp import shifted


class Asked(Struct, frozen=True, gc=False):
    """The time that an answer has to hold for: from ``first`` to ``last``, both included (aware, UTC)."""

    first: datetime
    last: datetime

    @classmethod
    def of(cls, at: datetime) -> "Asked":
        """Return all of a whole second, or one instant if the time has a fraction."""
        time = at.astimezone(UTC)
        rest = timedelta(0) if time.microsecond else timedelta(microseconds=999_999)
        return cls(time, shifted(time, rest))
