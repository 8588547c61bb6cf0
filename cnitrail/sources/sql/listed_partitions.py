"""The partitions that a catalog lists for a table, compared with what is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from cnitrail.sources.sql.partition_columns import is_projected
from cnitrail.sources.sql.table_limits import asked_partitions, missing_partitions

if TYPE_CHECKING:
    from cnitrail.model import Lost, Scope
    from cnitrail.sources.sql.description import TableDescription
    from cnitrail.sources.sql.engine import Engine


class ListedPartitions(Struct, frozen=True):
    """The number of a table's partitions, and of those that may have something of what is asked for.

    ``gaps`` are accounts, Regions and times that are asked for and have no partition.
    """

    total: int
    asked: int
    gaps: tuple[Lost, ...]


def listed_partitions(engine: Engine, table: TableDescription, scope: Scope) -> ListedPartitions | str | None:
    """Return what a catalog lists of a table's partitions, or why that is not known.

    None for a table whose partitions are not listed: it has none, or they are computed from its properties.
    """
    if not table.partition_columns or is_projected(table):
        return None
    known = engine.partitions()
    if isinstance(known, str):
        return known
    if any(len(values) != len(table.partition_columns) for values in known):
        return "their values do not fit the partition columns"
    return ListedPartitions(
        total=len(known),
        asked=asked_partitions(known, table, scope),
        gaps=tuple(missing_partitions(known, table, scope)),
    )
