"""What each partition column of a table says: an account, a Region, a date or a part of it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cnitrail.sources.layout import TRAIL, below_root, is_account, is_organization
from cnitrail.sources.sql.date_patterns import UNITS, DatePattern, date_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cnitrail.sources.sql.column_types import ColumnType
    from cnitrail.sources.sql.description import TableDescription


class Meaning(StrEnum):
    """What the values of a partition column are."""

    ACCOUNT = "account"
    REGION = "region"
    DATE = "date"
    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    HOUR = "hour"
    ORGANIZATION = "organization"
    FOLDER = "folder"
    """The name of a folder that is the same for all."""


PARTS: Final = (Meaning.YEAR, Meaning.MONTH, Meaning.DAY, Meaning.HOUR)
"""The parts of a date, in their order."""
_FILLER = re.compile(r"partition|recipient|event|delivery|log|aws|utc|[_-]|^p_")
_OF_COPYING = re.compile("ingest|load|process|insert|creat|updat|import|export|crawl|copied|copy|snapshot")
"""In the name of a column: its date is when records were copied, which may be long after their events."""
_NAMES: Final[Mapping[Meaning, tuple[str, ...]]] = {
    Meaning.ACCOUNT: ("account", "accountid", "accountnumber", "acct", "acctid"),
    Meaning.REGION: ("region", "regionname", "regionid", "regioncode"),
    Meaning.YEAR: ("year", "yr", "yyyy", "y"),
    Meaning.MONTH: ("month", "mon", "mm", "m"),
    Meaning.DAY: ("day", "dd", "d"),
    Meaning.HOUR: ("hour", "hr", "hh", "h"),
    Meaning.DATE: (
        *("date", "dt", "ds", "ymd", "yyyymmdd", "datehour"),
        *("timestamp", "datetime", "time", "timedt"),
    ),
    Meaning.ORGANIZATION: ("organization", "organizationid", "org", "orgid"),
}
_BY_NAME: Final = {name: meaning for meaning, names in _NAMES.items() for name in names}
_PLACES: Final = (Meaning.ACCOUNT, Meaning.FOLDER, Meaning.REGION, Meaning.YEAR, Meaning.MONTH, Meaning.DAY)
"""What the folders below a trail's root mean, without an organization's."""
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


class Projection(Struct, frozen=True, kw_only=True):
    """How Athena computes the values of a partition column, from its ``projection.COLUMN.*`` properties.

    ``kind`` is ``enum``, ``integer``, ``date`` or ``injected``. ``bounds`` are the two texts of the range.
    ``interval`` is the number of ``unit`` (``day``) from one value to the next; None if not given.
    """

    kind: str
    values: tuple[str, ...] = ()
    bounds: tuple[str, str] | None = None
    pattern: DatePattern | None = None
    interval: int = 1
    unit: str | None = None


class PartitionColumn(Struct, frozen=True, kw_only=True):
    """A partition column; ``meaning`` is None if it is not understood."""

    name: str
    type: ColumnType
    meaning: Meaning | None
    projection: Projection | None

    @property
    def is_injected(self) -> bool:
        """Whether Athena refuses a query that does not name its values."""
        return self.projection is not None and self.projection.kind == "injected"


def whole_number(text: str) -> int | None:
    """Return a number of at most nine digits, with or without leading zeros; None if a text is none."""
    text = text.strip()
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None


def is_projected(table: TableDescription) -> bool:
    """Return whether partitions are computed from a table's properties, not listed in a catalog."""
    return table.properties.get("projection.enabled", "").strip().lower() == "true"


def partition_columns(table: TableDescription) -> tuple[PartitionColumn, ...]:
    """Return the partition columns of a table, in its order."""
    by_place = {
        variable[1]: meaning
        for folder, meaning in trail_folders(table)
        if (variable := _VARIABLE.fullmatch(folder)) is not None
    }
    columns = tuple(
        _column(name, kind, by_place.get(name), _projection(table, name))
        for name, kind in table.partition_columns.items()
    )
    has_year = any(column.meaning is Meaning.YEAR for column in columns)
    return tuple(_in_company(column, has_year=has_year) for column in columns)


def _column(
    name: str, kind: ColumnType, place: Meaning | None, projection: Projection | None
) -> PartitionColumn:
    meaning = _BY_NAME.get(_FILLER.sub("", name)) or place
    if meaning is None and projection is not None and projection.kind == "date":
        meaning = None if _OF_COPYING.search(name) else Meaning.DATE
    return PartitionColumn(name=name, type=kind, meaning=meaning, projection=projection)


def trail_folders(table: TableDescription) -> Iterator[tuple[str, Meaning]]:
    """Yield the folders of a table's files in a trail's layout, with what they mean.

    A folder may be a variable of ``storage.location.template`` (``${region}``). A Glue crawler names the
    folders below LOCATION ``partition_0`` and so on.
    """
    path = table.location or ""
    names = tuple(table.partition_columns)
    if is_projected(table):
        path = table.properties.get("storage.location.template", path)
    elif names and all(name == f"partition_{number}" for number, name in enumerate(names)):
        path = "/".join([path.removesuffix("/"), *(f"${{{name}}}" for name in names)])
    folders = below_root(path.removesuffix("/")) or []
    has_more = TRAIL in folders[2:] or len(folders) > len(_PLACES)
    if folders and not is_account(folders[0]) and (has_more or is_organization(folders[0])):
        yield folders[0], Meaning.ORGANIZATION
        folders = folders[1:]
    yield from zip(folders, _PLACES, strict=False)


def _in_company(column: PartitionColumn, *, has_year: bool) -> PartitionColumn:
    """Return a column as the others show it: ``day`` without a year is a whole date, as is any typed one."""
    pattern = column.projection.pattern if column.projection is not None else None
    if column.meaning not in PARTS or (column.meaning is Meaning.HOUR and not has_year):
        return column
    is_part = has_year and (column.type.is_text or column.type.is_integer)
    if is_part and (pattern is None or pattern.units == ("year",)):
        return column
    return PartitionColumn(
        name=column.name, type=column.type, meaning=Meaning.DATE, projection=column.projection
    )


def _projection(table: TableDescription, name: str) -> Projection | None:
    if not is_projected(table):
        return None
    prefix = f"projection.{name}."
    given = {
        key.removeprefix(prefix): text for key, text in table.properties.items() if key.startswith(prefix)
    }
    low, comma, high = given.get("range", "").partition(",")
    values = given.get("values", "")
    unit = given.get("interval.unit", "").strip().lower().removesuffix("s")
    return Projection(
        kind=given.get("type", "").strip().lower(),
        values=tuple(values.split(",")) if values else (),
        bounds=(low.strip(), high.strip()) if comma else None,
        pattern=date_pattern(given["format"]) if "format" in given else None,
        interval=whole_number(given.get("interval", "")) or 1,
        unit=unit if unit in (*UNITS, "week") else None,
    )
