"""The URIs of tables in Athena: ``athena://[CATALOG/]DATABASE.TABLE[?query=ID]``."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from cnitrail.errors import UsageError

DEFAULT_CATALOG: Final = "AwsDataCatalog"
"""The Glue Data Catalog of the account."""

_FORM: Final = "athena://[CATALOG/]DATABASE.TABLE[?query=ID]"
_NAME: Final = r"[^\s\"'`./?#]+"
_URI: Final = re.compile(
    rf"athena://(?:(?P<catalog>[^\s\"'`?#]+)/)?(?P<database>{_NAME})\.(?P<table>{_NAME})(?:\?(?P<options>.*))?"
)
_QUERY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


class AthenaTable(Struct, frozen=True):
    """A table as its URI names it; ``query`` is the ID of a query to attach to."""

    catalog: str
    database: str
    table: str
    query: str | None

    @property
    def uri(self) -> str:
        """The URI without the query: the same for all spellings of a table."""
        catalog = "" if self.catalog == DEFAULT_CATALOG else f"{self.catalog}/"
        return f"athena://{catalog}{self.database}.{self.table}"


def parse_uri(uri: str) -> AthenaTable:
    """Return the table that a URI names. Raises ``UsageError`` if it names none.

    Names of databases and tables are in lower case, as Athena keeps them. A catalog's name may have slashes.
    """
    found = _URI.fullmatch(uri)
    if found is None:
        meant = _meant(uri)
        raise UsageError(
            f"{uri}: not the name of a table in Athena ({_FORM})",
            f"did you mean {meant}?"
            if meant is not None
            else "for example athena://default.cloudtrail_logs, without quotes in the names",
        )
    catalog = found["catalog"] or DEFAULT_CATALOG
    if catalog.lower() == DEFAULT_CATALOG.lower():
        catalog = DEFAULT_CATALOG
    query = _query_of(found["options"], uri)
    return AthenaTable(catalog, found["database"].lower(), found["table"].lower(), query)


def _meant(uri: str) -> str | None:
    """Return the URI that was probably meant: without quotes, with slashes where they belong; or None."""
    meant = re.sub(r"[\"'`]", "", uri).rstrip("/")
    meant = re.sub(rf"athena://({_NAME})\.({_NAME})\.({_NAME})", r"athena://\1/\2.\3", meant)
    return meant if meant != uri and _URI.fullmatch(meant) else None


def _query_of(options: str | None, uri: str) -> str | None:
    """Return the query's ID in what follows the ``?`` of a URI. Raises ``UsageError`` for anything else."""
    if options is None:
        return None
    name, _, value = options.partition("=")
    if name != "query" or not _QUERY_ID.fullmatch(value):
        raise UsageError(
            f"{uri}: after ? only query=ID is possible",
            f"use {_FORM}; ID is a QueryExecutionId, as messages and evidence.sources[].engine.query have it",
        )
    return value
