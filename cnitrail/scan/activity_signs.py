"""Records that are not relevant still show at which times an account and Region were logged."""

import re
from datetime import UTC, datetime

from cnitrail.model import Sign


def sign_of(account: object, region: object, time: object) -> Sign | None:
    """Return the account, Region and minute of a record; None if it lacks one of them."""
    match account, region, time:
        case str(), str(), str() if account and region:
            try:
                return account, region, _minute(time)
            except (ValueError, OverflowError):
                return None
    return None


_OFFSET = re.compile(r"[+-]\d\d:?\d\d$", re.ASCII)


def _minute(time: str) -> datetime:
    """Return the minute of a time, which is UTC by default. Raises ``ValueError`` or ``OverflowError``."""
    offset = None if time.endswith("Z") else _OFFSET.search(time, 16)
    if offset is None:
        return datetime.fromisoformat(time[:16] + "Z")
    return datetime.fromisoformat(time[:16] + offset[0]).astimezone(UTC)
