"""A table in Athena's data catalogs: its columns, its properties, and the partitions that Glue lists."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from cnitrail.errors import SourceError
from cnitrail.sources.aws import failure_of
from cnitrail.sources.sql.athena_uri import DEFAULT_CATALOG
from cnitrail.sources.sql.column_types import ColumnType, parse_type
from cnitrail.sources.sql.description import TableDescription
from cnitrail.sources.sql.engine import MAX_LISTING_SECONDS, MAX_PARTITIONS
from cnitrail.text import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnitrail.model import Scope
    from cnitrail.sources.rate_limit import Clock
    from cnitrail.sources.sql.athena_calls import AthenaCalls
    from cnitrail.sources.sql.athena_uri import AthenaTable
    from cnitrail.sources.sql.engine import Partition

_LOG = logging.getLogger(__name__)


class AthenaCatalog:
    """What the catalog of a table knows about it."""

    def __init__(self, table: AthenaTable, scope: Scope, calls: AthenaCalls, clock: Clock) -> None:
        self._table = table
        self._scope = scope
        self._calls = calls
        self._clock = clock

    def describe(self) -> TableDescription:
        """Return the table's columns and properties."""
        table, group = self._table, self._scope.engine.work_group
        asked = {
            "CatalogName": table.catalog,
            "DatabaseName": table.database,
            "TableName": table.table,
            **({"WorkGroup": group} if group is not None else {}),
        }
        return self._calls.call(
            lambda: self._description(
                self._calls.client("athena").get_table_metadata(**asked)["TableMetadata"]
            ),
            "athena:GetTableMetadata",
        )

    def _description(self, found: Mapping[str, Any]) -> TableDescription:
        """Return what GetTableMetadata answered."""
        partitions = self._types(found.get("PartitionKeys") or ())
        columns = self._types(found.get("Columns") or ())
        properties = {name.lower(): str(value) for name, value in (found.get("Parameters") or {}).items()}
        return TableDescription(
            columns={name: kind for name, kind in columns.items() if name not in partitions},
            partition_columns=partitions,
            properties=properties,
            location=properties.get("location"),
            has_paths=found.get("TableType") != "VIRTUAL_VIEW",
        )

    def _types(self, columns: Sequence[Mapping[str, str]]) -> dict[str, ColumnType]:
        """Return the types of columns by name. Raises ``SourceError`` for one that cannot be read."""
        types: dict[str, ColumnType] = {}
        for column in columns:
            name, text = column["Name"].lower(), column.get("Type") or ""
            try:
                types[name] = parse_type(text)
            except (ValueError, RecursionError):
                raise SourceError(
                    f"{self._table.uri}: the type of column {name} cannot be read: {shortened(text, 100)!r}",
                    "create the table with the DDL in docs/athena.md",
                ) from None
        return types

    def partitions(self) -> tuple[Partition, ...] | str:
        """Return all partitions of the table as Glue lists them, or why they are not known.

        That scans no data and starts no query.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import parser_errors_raised

        if self._table.catalog != DEFAULT_CATALOG:
            return f"catalog {self._table.catalog} is not the account's Glue Data Catalog"
        found: list[Partition] = []
        end = self._clock.now() + MAX_LISTING_SECONDS
        try:
            with parser_errors_raised():
                pages = self._calls.client("glue").get_paginator("get_partitions")
                for page in pages.paginate(
                    DatabaseName=self._table.database, TableName=self._table.table, ExcludeColumnSchema=True
                ):
                    found.extend(tuple(partition["Values"]) for partition in page["Partitions"])
                    if len(found) > MAX_PARTITIONS or self._clock.now() > end:
                        return f"Glue lists more than {len(found) - 1:,} of them"
        except (BotoCoreError, ClientError) as error:
            _LOG.debug("%s: partitions are not known: %s", self._table.uri, error)
            return failure_of(error, "glue:GetPartitions", self._scope.profile).reason
        return tuple(found)
