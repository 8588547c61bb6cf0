"""Parquet, written row group by row group, so that memory does not grow with the rows."""

from __future__ import annotations

from importlib.util import find_spec
from io import RawIOBase
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Final, cast

from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from arro3.core import Array, Field, RecordBatch, Schema
    from typing_extensions import Buffer

_ROWS: Final = 5_000
"""Rows that are in memory at once, and in a row group."""

Values = list[Any]


class Column:
    """How the values of a column are stored.

    ``type`` is ``string``, ``int``, ``bool`` or ``time``; with ``members`` each value is a list of structs.
    """

    def __init__(
        self,
        name: str,
        type_: str = "string",
        value: Callable[[Any], Any] | None = None,
        members: Sequence[Column] = (),
    ) -> None:
        self.name = name
        self.members = members
        self._type = type_
        self._value = value

    def values(self, rows: Iterable[Any]) -> Values:
        """Return the values of this column in some rows."""
        if self._value is None:
            return [getattr(row, self.name) for row in rows]
        return [self._value(row) for row in rows]

    def field(self) -> Field:
        """Return the name and type for Arrow."""
        from arro3.core import DataType, Field

        if self.members:
            struct = DataType.struct([member.field() for member in self.members])
            return Field(self.name, DataType.list(Field("item", struct)))
        types: Mapping[str, DataType] = {
            "string": DataType.utf8(),
            "int": DataType.int64(),
            "bool": DataType.bool(),
            "time": DataType.timestamp("us", tz="UTC"),
        }
        return Field(self.name, types[self._type])

    def array(self, rows: Sequence[Any]) -> Array:
        """Return the column of some rows for Arrow."""
        from arro3.core import Array, DataType, list_array, struct_array

        values, field = self.values(rows), self.field()
        if self.members:
            inner = [item for value in values for item in value]
            arrays = [member.array(inner) for member in self.members]
            structs = struct_array(arrays, fields=[member.field() for member in self.members])
            offsets = [0]
            for value in values:
                offsets.append(offsets[-1] + len(value))
            return list_array(Array(offsets, DataType.int32()), structs, type=field)
        if self._type == "time":
            micros = [None if value is None else round(value.timestamp() * 1_000_000) for value in values]
            return Array(micros, DataType.int64()).cast(field.type)
        if self._type == "string":
            values = [None if value is None else _stored(str(value)) for value in values]
        return Array(values, field.type)


def check_installed(refusal: str = "what writes Parquet is not installed") -> None:
    """Raise ``UsageError`` if what writes Parquet is not installed; ``refusal`` is its message."""
    if find_spec("arro3") is None or find_spec("arro3.io") is None:
        raise UsageError(refusal, "pip install 'cnitrail[parquet]'")


def write_rows(columns: Sequence[Column], rows: Iterable[Any], out: IO[bytes]) -> None:
    """Write rows as a Parquet file; an error of the rows or of the output is raised as it is."""
    from arro3.core import Schema

    schema = Schema([column.field() for column in columns])
    write_batches(schema, _batches(columns, rows, schema), out, level=3, rows=_ROWS)


def write_batches(
    schema: Schema, batches: Iterable[RecordBatch], out: IO[bytes], *, level: int, rows: int
) -> None:
    """Write batches as a Parquet file, compressed with zstd, with at most ``rows`` in a row group.

    An error of the batches or of the output is raised as it is.
    """
    from arro3.core import RecordBatchReader
    from arro3.io import write_parquet

    sink = _ParquetSink(out)
    file = cast("IO[bytes]", sink)
    reader = RecordBatchReader.from_batches(schema, sink.until_failure(batches))
    try:
        write_parquet(reader, file, compression=f"zstd({level})", max_row_group_size=rows)
    except Exception:
        sink.check()
        raise
    sink.check()


def _batches(columns: Sequence[Column], rows: Iterable[Any], schema: Any) -> Iterator[RecordBatch]:
    from arro3.core import RecordBatch

    remaining = iter(rows)
    while batch := list(islice(remaining, _ROWS)):
        yield RecordBatch.from_arrays([column.array(batch) for column in columns], schema=schema)


def _stored(text: str) -> str:
    """Return a text that UTF-8 can store: lone surrogates are replaced."""
    return text.encode("utf-8", "replace").decode()


class _ParquetSink(RawIOBase):
    """The output as arro3 sees it, which panics if writing fails: the first failure is kept here."""

    def __init__(self, out: IO[bytes]) -> None:
        super().__init__()
        self.failure: BaseException | None = None
        self._out = out

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Buffer, /) -> int:
        """Write to the output, unless that has failed before."""
        if self.failure is None:
            try:
                self._out.write(data)
            except BaseException as error:  # noqa: BLE001  ``check`` raises it
                self.failure = error
        return memoryview(data).nbytes

    def check(self) -> None:
        """Raise the first failure, if there is one."""
        if self.failure is not None:
            raise self.failure

    def until_failure(self, batches: Iterable[RecordBatch]) -> Iterator[RecordBatch]:
        """Yield batches until one cannot be made, or what came before could not be written."""
        try:
            for batch in batches:
                yield batch
                if self.failure is not None:
                    return
        except BaseException as error:  # noqa: BLE001  ``check`` raises it
            self.failure = error
