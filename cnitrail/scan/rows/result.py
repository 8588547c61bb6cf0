"""What becomes of a row: a record, or the reason why it cannot be one."""

from typing import Final

from msgspec import Struct


class Rebuilt(Struct, frozen=True):
    """A record with CloudTrail's names, put together from a row, and its form (a name in ``FORMS``).

    ``unread`` says what of the row could not be read in one way only, and is not in the record; else None.
    """

    record: dict[str, object]
    form: str
    unread: str | None = None


class Refused(Struct, frozen=True):
    """A row that is known, but cannot be a record: why, and what to do."""

    reason: str


HEAD: Final = frozenset(
    (
        *("eventName", "eventTime", "eventType", "recipientAccountId", "awsRegion"),
        *("errorCode", "errorMessage", "responseElements"),
    )
)
"""The fields of a record that is not relevant that are needed: to count it, and to check it."""


def checked(
    record: dict[str, object], form: str, *, shows_errors: bool, unread: str | None
) -> Rebuilt | Refused:
    """Return a record if it has what every record needs.

    ``shows_errors``: the row has a column for the error, so that a call without one succeeded. Otherwise only
    the response shows that: CloudTrail has none for a failed call. Service events never fail.
    """
    name = record.get("eventName")
    if isinstance(name, dict | list):
        return Refused("a table by columns, not by records; with pandas: to_json(orient='records')")
    needed = {"eventTime": record.get("eventTime"), "eventName": name if isinstance(name, str) else None}
    lacking = [column for column, value in needed.items() if not value]
    if lacking:
        return Refused(f"the row has no {' and no '.join(lacking)}; add what is missing to the query")
    is_known = shows_errors or "errorCode" in record or "errorMessage" in record
    if (
        not is_known
        and record.get("responseElements") is None
        and record.get("eventType") != "AwsServiceEvent"
    ):
        return Refused(
            "the row has no column for errors and no response, so the call may have failed; "
            "add errorCode to the query"
        )
    return Rebuilt(record, form, unread)
