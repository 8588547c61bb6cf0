"""Rows of tables with a column for each field: Athena, Trino, CloudTrail Lake, tailpipe, and others.

Their columns have CloudTrail's names, in lower case or with underscores.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from cnitrail.jsontext import json_list, json_object
from cnitrail.scan.rows.lake_map import of_map, parameters_of
from cnitrail.scan.rows.names import (
    COLUMNS,
    FLAGS,
    IDENTITY,
    IDENTITY_COLUMNS,
    OBJECTS,
    PARAMETERS,
    RESOURCE,
    folded,
    restored,
)
from cnitrail.scan.rows.parameters import lacks_capitals, restored_parameters
from cnitrail.scan.rows.result import HEAD, Rebuilt, Refused, checked
from cnitrail.scan.rows.struct_text import identity_of, resources_of, struct_of
from cnitrail.scan.rows.values import (
    Columns,
    account_text,
    flag_of,
    is_empty,
    plain,
    put,
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
    row: Columns,
    form: str,
    *,
    is_whole: bool = False,
    head_only: bool = False,
    has_nulls: bool = False,
) -> Rebuilt | Refused:
    """Return the record in a row with a column for each field, or only its ``HEAD``.

    ``is_whole``: it is a whole record, which has an error only if the call failed. ``has_nulls``: a cell
    without a value is null, so that the text ``null`` is a text.
    """
    if head_only:
        return checked(_head(row), form, shows_errors=is_whole or _shows_errors(row), unread=None)
    record: Columns = {}
    unread: list[str] = []
    for name, cell in _named(row):
        if is_empty(cell, has_nulls=has_nulls and name not in PARAMETERS):
            if name in _KEPT_IF_NULL:
                record.setdefault(name, None)
            continue
        value = _value(name, cell)
        if name in PARAMETERS and isinstance(cell, dict) and not is_whole:
            value = of_map(cell)
        if name in PARAMETERS and isinstance(value, dict) and lacks_capitals(value):
            value = restored_parameters(value, _event_name(row), is_typed=isinstance(cell, dict))
        if value is None and name in ("userIdentity", "addendum"):
            unread.append(_CALLER if name == "userIdentity" else _AMBIGUOUS.format(name))
        elif value is not None and record.get(name) is None:
            record[name] = value
    if record.get("userIdentity") is None and (identity := _flattened_identity(row)):
        record["userIdentity"] = identity
    if "userIdentity" in record:
        record["userIdentity"] = without_lone_mfa(record["userIdentity"])
        unread = [problem for problem in unread if problem is not _CALLER]
    unread += [_AMBIGUOUS.format(name) for name in PARAMETERS if isinstance(record.get(name), str)]
    shows_errors = is_whole or _shows_errors(row)
    return checked(record, form, shows_errors=shows_errors, unread="; ".join(unread) or None)


def _flattened_identity(row: Columns) -> Columns:
    """Return the userIdentity in columns of its values; empty if there are none."""
    identity: Columns = {}
    for column, cell in row.items():
        path = IDENTITY_COLUMNS.get(folded(column))
        if path is not None and not is_empty(cell):
            put(identity, path, cell)
    return restored(identity, IDENTITY)


def _head(row: Columns) -> Columns:
    """Return the ``HEAD`` of the record in a row; its parameters are not parsed."""
    record: Columns = {}
    for name, cell in _named(row):
        if name in HEAD and not is_empty(cell) and record.get(name) is None:
            record[name] = cell if name in PARAMETERS else _value(name, cell)
    return record


def _event_name(row: Columns) -> object:
    return next((cell for name, cell in _named(row) if name == "eventName"), None)


def _shows_errors(row: Columns) -> bool:
    return any(name in ("errorCode", "errorMessage") for _, name in _fields(tuple(row)))


def _named(row: Columns) -> Iterator[tuple[str, object]]:
    """Yield the cells of a row that are fields of a record, by CloudTrail's names."""
    for column, name in _fields(tuple(row)):
        yield name, row[column]


@lru_cache(maxsize=256)
def _fields(columns: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the columns that are fields of a record, with CloudTrail's names; most rows have the same."""
    named = ((column, COLUMNS.get(folded(column))) for column in columns)
    return tuple((column, name) for column, name in named if name is not None)


def _value(name: str, cell: object) -> object:
    """Return the value of a field; None if it cannot be read."""
    if name in _PLAIN:
        return plain(cell)
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
    return account_text(cell)


_PLAIN: Final = frozenset(COLUMNS.values()).difference(
    PARAMETERS, OBJECTS, FLAGS, ("resources", "eventTime", "recipientAccountId")
)
"""The fields that are texts of any kind."""


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
