"""Records that are not relevant still show at which times an account and Region were logged."""

from datetime import datetime

from cnitrail.model import Sign


def sign_of(account: object, region: object, time: object) -> Sign | None:
    """Return the account, Region and minute of a record; None if it lacks one of them."""
    match account, region, time:
        case str(), str(), str() if account and region:
            try:
                minute = datetime.fromisoformat(time[:16] + "Z")
            except ValueError:
                return None
            return account, region, minute
    return None
