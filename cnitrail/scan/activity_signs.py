"""Records of no matter, as signs of what times a file covers."""

from datetime import datetime

from cnitrail.model import Sign


def sign_of(account: object, region: object, time: object) -> Sign | None:
    """Account, Region and minute of a record; None where it does not say all three."""
    match account, region, time:
        case str(), str(), str() if account and region:
            try:
                minute = datetime.fromisoformat(time[:16] + "Z")
            except ValueError:
                return None
            return account, region, minute
    return None
