"""The fields that every record has: time, account, Region, event ID and error.

CloudTrail record contents (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html).
"""

from datetime import datetime

import msgspec

from cnitrail.decode.shapes import Fields, Problems, fields, text, time
from cnitrail.model import Failure


def time_of(entry: Fields, problems: Problems) -> datetime | None:
    """Return the eventTime in UTC; some exports drop its time zone, which is always UTC."""
    found = time(entry.get("eventTime"))
    if found is None:
        wanted = "a time; without it the record cannot be used"
        problems.unreadable("eventTime", entry.get("eventTime"), wanted)
    return found


def succeeded(entry: Fields) -> bool:
    """Whether a record has no error; some exports write an empty one."""
    return entry.get("errorCode") in (None, "") and entry.get("errorMessage") in (None, "")


def failure_of(entry: Fields) -> Failure | None:
    """Return why the call failed; None if it succeeded."""
    if succeeded(entry):
        return None
    return Failure(code=text(entry.get("errorCode")) or "unknown", message=text(entry.get("errorMessage")))


def account_of(entry: Fields) -> str | None:
    """Return the account whose trail has the record; the file name may contain another one."""
    return text(entry.get("recipientAccountId")) or text(fields(entry.get("userIdentity")).get("accountId"))


def region_of(entry: Fields) -> str | None:
    """Return the Region of the call."""
    return text(entry.get("awsRegion"))


def id_of(entry: Fields) -> str | None:
    """Return the record's own eventID."""
    return text(entry.get("eventID"))


def corrected_by(entry: Fields) -> str | None:
    """Return the eventID of the record that this one corrects: a correction has a new ID."""
    return text(fields(entry.get("addendum")).get("originalEventID"))


def digest_of(entry: Fields) -> str:
    """Return what identifies an event without an ID among its copies."""
    from hashlib import sha256

    return "sha256:" + sha256(msgspec.json.encode(entry, order="deterministic")).hexdigest()
