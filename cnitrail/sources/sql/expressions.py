"""Values of a table in SQL, as Athena and Trino write it: their names, texts and times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnitrail.sources.sql.column_types import ColumnType

NULL: Final = "CAST(NULL AS varchar)"

_UNREADABLE: Final = ("binary", "varbinary")
"""Types that have no text."""

_ZONED: Final = "timestamp with time zone"
_MILLISECONDS: Final = 100_000_000_000
"""An epoch time of this size or more is in milliseconds: as seconds, it would be after the year 5000."""

_UTC_TIME: Final = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)? ?(Z|UTC|[+]00:?00)?$"
)
"""A time as CloudTrail writes it, and as exports do: with a blank, a fraction, or no zone."""


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def listed_literals(texts: Iterable[str]) -> str:
    """Return texts as a list for IN."""
    return ", ".join(map(literal, texts))


class Value(Struct, frozen=True):
    """An expression, and the type of its values."""

    sql: str
    column: ColumnType

    @property
    def is_readable(self) -> bool:
        """Whether its values have texts."""
        return not _has(self.column, _UNREADABLE)

    def field(self, name: str) -> Value:
        """Return a field of a struct."""
        return Value(f"{self.sql}.{identifier(name)}", self.column.fields[name])

    def text(self) -> str:
        """Return its text, which is JSON of what has members, and ISO 8601 of a time."""
        column = self.column
        if column.is_text:
            return f"CAST({self.sql} AS varchar)" if column.name == "char" else self.sql
        if column.name == "json":
            return f"json_format({self.sql})"
        if column.is_timestamp:
            return _time_text(self)
        if column.members:
            cast = f"CAST({self.sql} AS {_sql_type(column)})" if _has(column, (_ZONED,)) else self.sql
            return f"json_format(CAST({cast} AS JSON))"
        return f"CAST({self.sql} AS varchar)"

    def account(self) -> str:
        """Return the text of an account ID: as a number, it has lost its leading zeros."""
        return f"lpad({self.text()}, 12, '0')" if self.column.is_integer else self.text()

    def entry(self, key: str) -> str:
        """Return the text under a key of a map, of a struct, or of a JSON text."""
        if self.column.name == "map":
            return f"element_at({self.sql}, {literal(key)})"
        if self.column.is_struct:
            found = self.column.fields.get(key.lower())
            return Value(f"{self.sql}.{identifier(key.lower())}", found).text() if found else NULL
        if self.column.is_text or self.column.name == "json":
            return f"json_extract_scalar({self.sql}, {literal('$.' + key)})"
        return NULL


def instant(value: Value) -> str:
    """Return the text of a time in UTC (``2022-10-05T13:16:00Z``); null if it is none, or in another zone."""
    text = value.text()
    if value.column.is_timestamp:
        return text
    if value.column.is_integer:
        seconds = f"CASE WHEN {value.sql} >= {_MILLISECONDS} THEN {value.sql} / 1000 ELSE {value.sql} END"
        return _formatted(f"date_add('second', {seconds}, TIMESTAMP '1970-01-01 00:00:00')")
    return f"CASE WHEN regexp_like({text}, {literal(_UTC_TIME)}) THEN replace({text}, ' ', 'T') END"


def _time_text(value: Value) -> str:
    zoned = f"{value.sql} AT TIME ZONE 'UTC'" if value.column.name == _ZONED else value.sql
    return _formatted(zoned)


def _formatted(time: str) -> str:
    return f"date_format({time}, '%Y-%m-%dT%H:%i:%s') || 'Z'"


def _has(column: ColumnType, names: tuple[str, ...]) -> bool:
    """Return whether a type, or one of those that it is made of, has one of these names."""
    return column.name in names or any(_has(inner, names) for _, inner in column.members)


def _sql_type(column: ColumnType) -> str:
    """Return a type as Trino writes it, with texts for what cannot become JSON."""
    inner = [_sql_type(member) for _, member in column.members]
    if column.is_struct:
        fields = (f"{identifier(name)} {kind}" for (name, _), kind in zip(column.members, inner, strict=True))
        return f"ROW({', '.join(fields)})"
    if column.name in ("array", "map"):
        return f"{column.name.upper()}({', '.join(inner)})"
    return "varchar"
