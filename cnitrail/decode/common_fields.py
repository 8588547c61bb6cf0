"""The fields that every record has: time, account, Region, event ID and error.

CloudTrail record contents (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html).
"""

from datetime import datetime
from typing import Final

import msgspec

from cnitrail.decode.shapes import Fields, Problems, fields, text, time
from cnitrail.jsontext import NULL_TEXTS
from cnitrail.model import Failure


def time_of(entry: Fields, problems: Problems) -> datetime | None:
    """Return the eventTime in UTC; some exports drop its time zone, which is always UTC."""
    written = entry.get("eventTime")
    found = _renamed_time(entry) if written is None else time(written)
    if found is None:
        problems.unreadable("eventTime", written, "a time; without it the record cannot be used")
    return found


def _renamed_time(entry: Fields) -> datetime | None:
    """Return the eventTime that Logstash's cloudtrail codec renames to ``@timestamp``.

    It is in whole seconds. A time with a fraction is the time at which a log shipper read the record.
    """
    renamed = time(entry.get("@timestamp"))
    return renamed if renamed is not None and renamed.microsecond == 0 else None


_NO_ERROR: Final = (None, "", False, "success", "Success", *NULL_TEXTS)
"""What exports write for the error of a call that succeeded; the errorCode ``success`` is Splunk's."""


def succeeded(entry: Fields) -> bool:
    """Return whether a record has no error, or only what exports write for none."""
    return entry.get("errorCode") in _NO_ERROR and entry.get("errorMessage") in _NO_ERROR


def failure_of(entry: Fields) -> Failure | None:
    """Return why the call failed; None if it succeeded."""
    if succeeded(entry):
        return None
    code = entry.get("errorCode")
    known = text(code) if code not in _NO_ERROR else None
    return Failure(code=known or "unknown", message=text(entry.get("errorMessage")))


def is_contradictory(entry: Fields) -> bool:
    """Return whether a record has an error, and a response that shows that the call succeeded.

    CloudTrail has no response of a failed call, so one of the two is not its own.
    """
    return not succeeded(entry) and _answers_success(fields(entry.get("responseElements")))


def _answers_success(response: Fields) -> bool:
    """Return whether a response has more than the ID of its request, or the text of an error."""
    return any(value for key, value in response.items() if key.lower() not in _SAYS_NOTHING)


_SAYS_NOTHING: Final = ("requestid", "message", "error", "code")


def describes_other_calls(entry: Fields) -> bool:
    """Return whether a record is about calls that have management events of their own.

    These are Insights events, and the network activity events in which VPC endpoints log the calls that go
    through them, without parameters. A call that the endpoint's policy denied may have no other record.
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-network-events-with-cloudtrail.html
    """
    category, kind = entry.get("eventCategory"), entry.get("eventType")
    if category == "Insight" or kind == "AwsCloudTrailInsight":
        return True
    through_endpoint = category == "NetworkActivity" or kind == "AwsVpceEvent"
    return through_endpoint and succeeded(entry)


def account_of(entry: Fields) -> str | None:
    """Return the account whose trail has the record; the file name may contain another one."""
    return text(entry.get("recipientAccountId")) or text(fields(entry.get("userIdentity")).get("accountId"))


def region_of(entry: Fields) -> str | None:
    """Return the Region of the call."""
    return text(entry.get("awsRegion"))


def _id_of(entry: Fields) -> str | None:
    """Return the record's own eventID."""
    return text(entry.get("eventID"))


def _corrected_by(entry: Fields) -> str | None:
    """Return the eventID of the record that this one corrects: a correction has a new ID."""
    return text(fields(entry.get("addendum")).get("originalEventID"))


def identity_of(entry: Fields) -> tuple[str, str | None, bool]:
    """Return the key of an event among its copies, the eventID, and whether the record is a correction.

    A correction has the key of the record that it corrects; a record without an ID has a digest.
    """
    event_id, corrected = _id_of(entry), _corrected_by(entry)
    return corrected or event_id or _digest_of(entry), event_id, corrected is not None


def _digest_of(entry: Fields) -> str:
    from hashlib import sha256

    return "sha256:" + sha256(msgspec.json.encode(entry, order="deterministic")).hexdigest()
