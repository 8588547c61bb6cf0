"""A table as its engine describes it."""

from collections.abc import Mapping

from msgspec import Struct

from cnitrail.sources.sql.column_types import ColumnType


class TableDescription(Struct, frozen=True, kw_only=True):
    """The columns of a table, and apart from them its partition columns, by name in lower case.

    ``properties`` are its TBLPROPERTIES, with names in lower case. ``location`` is where its files are
    (``s3://…``), if the engine says so. ``has_paths`` is whether a query may ask for the file of each row:
    the column ``$path``, which views and some connectors do not have.
    """

    columns: Mapping[str, ColumnType]
    partition_columns: Mapping[str, ColumnType]
    properties: Mapping[str, str]
    location: str | None = None
    has_paths: bool = True

    @property
    def all_columns(self) -> dict[str, ColumnType]:
        """The columns of the table, also those that it is partitioned by."""
        return {**self.partition_columns, **self.columns}
