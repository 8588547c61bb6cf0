"""The head of a record, which every event has: when and where it was, under which id, with what error.

Fields are CloudTrail's (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html).
"""

from datetime import datetime

import msgspec

from cnitrail.decode.shapes import Fields, Problems, fields, text, time
from cnitrail.model import Failure


def time_of(entry: Fields, problems: Problems) -> datetime | None:
    """The eventTime, aware and UTC; some exports drop its zone, which is always UTC."""
    found = time(entry.get("eventTime"))
    if found is None:
        wanted = "a time; without it the record has no place in a history"
        problems.unreadable("eventTime", entry.get("eventTime"), wanted)
    return found


def succeeded(entry: Fields) -> bool:
    """Whether a record tells no error; some exports write an empty one."""
    return entry.get("errorCode") in (None, "") and entry.get("errorMessage") in (None, "")


def failure_of(entry: Fields) -> Failure | None:
    """Why the call failed; None where it did not."""
    if succeeded(entry):
        return None
    return Failure(code=text(entry.get("errorCode")) or "unknown", message=text(entry.get("errorMessage")))


def account_of(entry: Fields) -> str | None:
    """The account whose trail the record is in; a file's own name may say another."""
    return text(entry.get("recipientAccountId")) or text(fields(entry.get("userIdentity")).get("accountId"))


def region_of(entry: Fields) -> str | None:
    """The Region in which the call was made."""
    return text(entry.get("awsRegion"))


def id_of(entry: Fields) -> str | None:
    """The record's own eventID."""
    return text(entry.get("eventID"))


def corrected_by(entry: Fields) -> str | None:
    """The eventID that this record replaces: corrections arrive under a new one."""
    return text(fields(entry.get("addendum")).get("originalEventID"))


def digest_of(entry: Fields) -> str:
    """What identifies an event among repeats that has no id."""
    from hashlib import sha256

    return "sha256:" + sha256(msgspec.json.encode(entry, order="deterministic")).hexdigest()
