"""The names of CloudTrail's log files.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-examples.html:
``ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_UNIQUE.json.gz``. The stamp is the time of delivery; the
account is the one that the trail delivers for.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_NAME = re.compile(r"(?P<account>\d{12})_CloudTrail_(?P<region>[a-z0-9-]+)_(?P<stamp>\d{8}T\d{4}Z)_[^/_]*$")


@dataclass(frozen=True, slots=True)
class LogName:
    """What the name of a log file tells; ``delivered`` is aware, UTC, to the minute."""

    account: str
    region: str
    delivered: datetime


def log_name(uri: str) -> LogName | None:
    """What a file's name tells; None where it is not one that CloudTrail gives."""
    name = _NAME.search(uri)
    if name is None:
        return None
    try:
        delivered = datetime.strptime(name["stamp"], "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return LogName(name["account"], name["region"], delivered)
