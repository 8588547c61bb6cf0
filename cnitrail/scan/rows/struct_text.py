"""Structs as Athena, Trino and CloudTrail Lake write them into a cell: ``{type=AssumedRole, arn=…}``.

Nothing in such a text is quoted. What callers choose could look like further fields, so a text is read only
if there is no other way to read it; otherwise the caller is unknown.
"""

import re
from collections.abc import Iterator
from typing import Final

from cnitrail.scan.rows.names import FREE_MAP, IDENTITY, RESOURCE, Shape, folded, restored
from cnitrail.scan.rows.values import Columns, time_text

_KEY = re.compile(r"(\w+)=")
_END = re.compile(r", (?=\w+=)|[{}\[\]]")
"""Where a value ends, if it is what it should be."""
_MAP = re.compile(r"\{[^{}]*\}")
_TYPE = re.compile(r"\{type=([A-Za-z]+)[,}]")
_BLANK = re.compile(r"\s")

_WITHOUT_BLANKS: Final = frozenset(
    ("AssumedRole", "IAMUser", "Root", "Role", "FederatedUser", "AWSService", "AWSAccount")
)
"""The types of callers in which nobody can choose a text with a blank: the names of users, roles, sessions
and sources consist of ``[\\w+=,.@-]`` (IAM and STS API references), and paths have no blanks either."""

_FROM_AWS: Final = ("AWS Internal",)
"""Values with a blank that AWS itself writes, as ``invokedBy``."""

_LAKE: Final = "type principalid arn accountid accesskeyid username sessioncontext invokedby identityprovider"
_TABLES: Final = frozenset(
    tuple(fields.split())
    for fields in (
        "type principalid arn accountid invokedby accesskeyid username sessioncontext",
        "type principalid arn accountid invokedby accesskeyid username onbehalfof sessioncontext",
        _LAKE,
        f"{_LAKE} credentialid onbehalfof",
        _LAKE.replace("invokedby", "onbehalfof inscopeof invokedby"),
    )
)
"""The fields of userIdentity in the tables of the Athena user guide (its versions from 2016 on) and in
CloudTrail Lake (its query schema, and its results). All fields are always written, in this order."""


class _AmbiguousText(Exception):
    """A text is not a struct of its shape, or could also be read in another way."""


def identity_of(text: str) -> Columns | None:
    """Return the userIdentity in a struct text; None if it cannot be read in one way only."""
    kind = _TYPE.match(text)
    try:
        identity, end = _struct(text, 0, IDENTITY)
    except _AmbiguousText:
        return None
    if kind is None or kind[1] != (identity["type"] or "null") or end != len(text):
        return None
    if not _is_certain(kind[1], identity):
        return None
    return restored(identity, IDENTITY)


def struct_of(text: str, shape: Shape) -> Columns | None:
    """Return the object in a struct text; None if it cannot be read."""
    try:
        found, end = _struct(text, 0, shape)
    except _AmbiguousText:
        return None
    return restored(found, shape) if end == len(text) else None


def resources_of(text: str) -> list[object] | None:
    """Return the resources in a text of structs (``[{arn=…, type=…}]``); None if it cannot be read."""
    found: list[object] = []
    at = 1
    try:
        while text.startswith("{", at):
            resource, at = _struct(text, at, RESOURCE)
            found.append(restored(resource, RESOURCE))
            if text.startswith(", {", at):
                at += 2
    except _AmbiguousText:
        return None
    return found if text.startswith("[") and text[at:] == "]" else None


def _struct(text: str, at: int, shape: Shape) -> tuple[Columns, int]:
    """Return the struct that begins at an offset, by its folded names, and where it ends."""
    found: Columns = {}
    if not text.startswith("{", at):
        raise _AmbiguousText
    at += 1
    while True:
        key = _KEY.match(text, at)
        name = folded(key[1]) if key else ""
        if key is None or name not in shape or name in found:
            raise _AmbiguousText
        _, inner = shape[name]
        found[name], at = _value(text, key.end(), inner)
        if text.startswith("}", at):
            return found, at + 1
        if not text.startswith(", ", at):
            raise _AmbiguousText
        at += 2


def _value(text: str, at: int, shape: Shape | None) -> tuple[object, int]:
    """Return the value that begins at an offset, and where it ends: at a brace or the next field."""
    if shape is FREE_MAP and (entries := _MAP.match(text, at)):
        return ({} if entries[0] == "{}" else entries[0]), entries.end()
    if shape is not None and text.startswith("{", at):
        return _struct(text, at, shape)
    end = _END.search(text, at)
    if end is None or end[0] in ("{", "[", "]"):
        raise _AmbiguousText
    value = text[at : end.start()]
    if shape is not None and value != "null":
        raise _AmbiguousText
    return (None if value == "null" else value), end.start()


def _is_certain(kind: str, identity: Columns) -> bool:
    """Return whether no value of an identity can contain a text that looks like further fields.

    The subject of a web or SAML identity may be any text. But it is in two fields, and all fields of the
    table are always written, so a subject that looks like a field repeats one.
    """
    if kind in _WITHOUT_BLANKS:
        return not any(_BLANK.search(value) for value in _texts(identity))
    principal, name = identity.get("principalid"), identity.get("username")
    if tuple(identity) not in _TABLES:
        return False
    if kind in ("WebIdentityUser", "SAMLUser"):
        return isinstance(principal, str) and isinstance(name, str) and principal.endswith(f":{name}")
    return not any(_BLANK.search(value) for value in _texts(identity))


def _texts(identity: Columns) -> Iterator[str]:
    """Yield the texts in an identity in which AWS would not write a blank."""
    for name, value in identity.items():
        if isinstance(value, dict):
            yield from _texts(value)
        elif isinstance(value, str) and not value.startswith("{") and value not in _FROM_AWS:
            yield "" if name == "creationdate" and time_text(value) else value
