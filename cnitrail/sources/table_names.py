"""The names of tables in query engines: ``athena://[CATALOG/]DATABASE.TABLE``, and Trino's."""

from __future__ import annotations

import os
import re
from typing import Final

from msgspec import Struct

from cnitrail.errors import UsageError
from cnitrail.model.table import ATHENA, TRINO


class TableName(Struct, frozen=True):
    """How the tables of an engine are named.

    ``pattern`` is a regular expression for what follows the scheme.
    """

    engine: str
    form: str
    example: str
    pattern: str


_NAMES: Final = {
    ATHENA: TableName(
        "Athena",
        f"{ATHENA}[CATALOG/]DATABASE.TABLE[?query=ID]",
        f"{ATHENA}default.cloudtrail_logs",
        r"(?:.+/)?[^/?]+\.[^/?]+/?(?:\?.*)?",
    ),
    TRINO: TableName(
        "Trino",
        f"{TRINO}[USER@]HOST[:PORT]/CATALOG/SCHEMA/TABLE",
        f"{TRINO}trino.example.com/hive/default/cloudtrail_logs",
        r"[^/?]+(?:/[^/?]+){3}/?(?:\?.*)?",
    ),
}


def is_misnamed_table(uri: str) -> bool:
    """Return whether a source seems to be a table, and is not named as one."""
    scheme = _scheme_of(uri)
    if scheme is None or os.path.lexists(uri):
        return False
    return not uri.startswith(scheme) or not _is_name(scheme, uri.removeprefix(scheme))


def misnamed_table(uri: str) -> UsageError:
    """Return the error for such a source, with the name that may be meant. It does not show a password."""
    scheme = _scheme_of(uri)
    assert scheme is not None
    shown = f"{uri[: len(scheme) - 2]}{re.sub(r':[^/@]*@', ':…@', uri[len(scheme) - 2 :])}"
    meant = shown.partition(":")[2].strip("/")
    if scheme == ATHENA and "." not in meant:
        meant = ".".join(meant.rsplit("/", 1))
    name = _NAMES[scheme]
    hint = f"did you mean {scheme}{meant}?" if _is_name(scheme, meant) else f"for example {name.example}"
    return UsageError(f"{shown}: not the name of a table in {name.engine} ({name.form})", hint)


def _scheme_of(uri: str) -> str | None:
    begun = uri.partition(":")[0].lower()
    return next((scheme for scheme in _NAMES if ":" in uri and scheme == f"{begun}://"), None)


def _is_name(scheme: str, rest: str) -> bool:
    return re.fullmatch(_NAMES[scheme].pattern, rest) is not None
