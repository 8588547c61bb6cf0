"""Rows of tables with a column for each field: Athena, Trino, CloudTrail Lake, tailpipe, and others.

Their columns have CloudTrail's names, in lower case or with underscores.
"""

from collections.abc import Iterator
from typing import Final

from cnitrail.jsontext import json_list, json_object
from cnitrail.scan.rows.lake_map import parameters_of
from cnitrail.scan.rows.names import COLUMNS, FLAGS, OBJECTS, PARAMETERS, RESOURCE, folded, restored
from cnitrail.scan.rows.result import HEAD, Rebuilt, Refused, checked
from cnitrail.scan.rows.struct_text import identity_of, resources_of, struct_of
from cnitrail.scan.rows.values import (
    Columns,
    account_text,
    flag_of,
    is_empty,
    plain,
    time_text,
)

_CALLER: Final = (
    "the caller cannot be read: userIdentity could be read in more than one way; "
    "select cast(useridentity as json) in Athena or Trino, eventJson in CloudTrail Lake"
)
_AMBIGUOUS: Final = (
    "{} is damaged, or could be read in more than one way; select eventJson in CloudTrail Lake, "
    "or a column with the JSON text"
)
_KEPT_IF_NULL: Final = ("requestParameters", "responseElements")
"""Fields that every record has, null if there is nothing in them."""


def from_columns(
    row: Columns, form: str, *, is_whole: bool = False, head_only: bool = False
) -> Rebuilt | Refused:
    """Return the record in a row with a column for each field, or only its ``HEAD``.

    ``is_whole``: it is a whole record, which has an error only if the call failed.
    """
    if head_only:
        return checked(_head(row), form, shows_errors=is_whole or _shows_errors(row), unread=None)
    record: Columns = {}
    unread: list[str] = []
    for name, cell in _named(row):
        if is_empty(cell):
            if name in _KEPT_IF_NULL:
                record.setdefault(name, None)
            continue
        value = _value(name, cell)
        if value is None and name in ("userIdentity", "addendum"):
            unread.append(_CALLER if name == "userIdentity" else _AMBIGUOUS.format(name))
        elif value is not None and record.get(name) is None:
            record[name] = value
    if "userIdentity" in record:
        record["userIdentity"] = without_lone_mfa(record["userIdentity"])
        unread = [problem for problem in unread if problem is not _CALLER]
    unread += [_AMBIGUOUS.format(name) for name in PARAMETERS if isinstance(record.get(name), str)]
    shows_errors = is_whole or _shows_errors(row)
    return checked(record, form, shows_errors=shows_errors, unread="; ".join(unread) or None)


def _head(row: Columns) -> Columns:
    """Return the ``HEAD`` of the record in a row; its parameters are not parsed."""
    record: Columns = {}
    for name, cell in _named(row):
        if name in HEAD and not is_empty(cell) and record.get(name) is None:
            record[name] = cell if name in PARAMETERS else _value(name, cell)
    return record


def _shows_errors(row: Columns) -> bool:
    return any(folded(column) in ("errorcode", "errormessage") for column in row)


def _named(row: Columns) -> Iterator[tuple[str, object]]:
    """Yield the cells of a row that are fields of a record, by CloudTrail's names."""
    for column, cell in row.items():
        name = COLUMNS.get(folded(column))
        if name is not None:
            yield name, cell


def _value(name: str, cell: object) -> object:
    """Return the value of a field; None if it cannot be read."""
    if name in PARAMETERS:
        return json_object(cell) or _from_map(cell)
    if name in OBJECTS:
        found = json_object(cell)
        if found is not None:
            return restored(found, OBJECTS[name])
        if not isinstance(cell, str):
            return None
        return identity_of(cell) if name == "userIdentity" else struct_of(cell, OBJECTS[name])
    if name == "resources":
        listed = json_list(cell)
        if listed is not None:
            return [restored(resource, RESOURCE) for resource in listed if isinstance(resource, dict)]
        return resources_of(cell) if isinstance(cell, str) else None
    if name in FLAGS:
        return flag_of(cell)
    if name == "eventTime":
        return time_text(cell) or cell
    return account_text(cell) if name == "recipientAccountId" else plain(cell)


def _from_map(cell: object) -> object:
    """Return the parameters in a map's text; the text itself if it is none, or ambiguous."""
    found = parameters_of(cell) if isinstance(cell, str) else None
    return cell if found is None else found


def without_lone_mfa(identity: object) -> object:
    """Return an identity without a session of which only the lack of MFA is known.

    Tables have that for every caller, also for those without a session.
    """
    if isinstance(identity, dict) and identity.get("sessionContext") in _NO_SESSION:
        return {name: value for name, value in identity.items() if name != "sessionContext"}
    return identity


_NO_SESSION: Final[tuple[Columns, ...]] = (
    {"attributes": {"mfaAuthenticated": "false"}},
    {"attributes": {}},
    {},
)
