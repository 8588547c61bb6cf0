"""Flow log records as Parquet: columns in snake_case, numbers as integers, null for what a record has not.

The types are those of AWS's own Parquet files:
https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-path.html
"""

from __future__ import annotations

from io import BytesIO, RawIOBase
from typing import IO, TYPE_CHECKING, Any, Final, cast

import msgspec

from cnitrail.errors import UsageError
from cnitrail.model.flow_fields import NUMBERS, json_name
from cnitrail.render.flows.cells import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from _typeshed import ReadableBuffer as Buffer
    from arro3.core import RecordBatch, Schema

_SMALL: Final = frozenset(("version", "srcport", "dstport", "protocol", "tcp-flags", "traffic-path"))
"""The fields that AWS writes as INT_32; other numbers are INT_64."""

_ROW_GROUP: Final = 122_880
"""Rows of a group, which is the unit of parallel reading, and kept in memory until written.

https://duckdb.org/docs/stable/data/parquet/tips
"""


def check_parquet() -> None:
    """Raise ``UsageError`` if Parquet cannot be written."""
    from importlib.util import find_spec

    if find_spec("arro3") is None or find_spec("arro3.io") is None:
        raise UsageError("-o parquet needs the extra parquet", "pip install 'cnitrail[parquet]'")


class ParquetRecords:
    """Turns the JSON lines of records with certain columns into rows."""

    def __init__(self, columns: Sequence[str], fields: Sequence[str]) -> None:
        self._largest = dict(zip(map(json_name, columns), map(_largest, fields), strict=True))
        self.schema = _schema(self._largest)

    def stream(self, lines: bytes) -> tuple[bytes, int]:
        """Return records as an Arrow IPC stream, and the number of values that are no numbers, as null."""
        from arro3.core import Array, RecordBatch
        from arro3.io import write_ipc_stream

        records = msgspec.json.Decoder(dict[str, Any]).decode_lines(lines)
        arrays, lost = [], 0
        for field in map(self.schema.field, self.schema.names):
            values = [record.get(field.name) for record in records]
            largest = self._largest.get(field.name, 0)
            if largest:
                numbers = [value if isinstance(value, int) and value <= largest else None for value in values]
                lost += numbers.count(None) - values.count(None)
                values = numbers
            arrays.append(Array(values, field.type))
        out = BytesIO()
        write_ipc_stream(RecordBatch.from_arrays(arrays, schema=self.schema), out, compression=None)
        return out.getvalue(), lost


def write_parquet(schema: Schema, streams: Iterable[bytes], out: IO[bytes]) -> None:
    """Write records, given as Arrow IPC streams, as one Parquet file. Raises ``OSError``."""
    from arro3.core import RecordBatchReader
    from arro3.io import write_parquet

    guarded = _Guarded(out)
    file = cast("IO[bytes]", guarded)
    reader = RecordBatchReader.from_batches(schema, guarded.batches(streams))
    try:
        write_parquet(reader, file, compression="zstd(1)", max_row_group_size=_ROW_GROUP)
    except Exception:
        guarded.check()
        raise
    guarded.check()


class _Guarded(RawIOBase):
    """A file and its records as arro3 sees them: neither fails, as arro3 panics then, and says so itself.

    After the first failure there are no more records, and nothing is written.
    """

    def __init__(self, out: IO[bytes]) -> None:
        super().__init__()
        self._out = out
        self._failure: BaseException | None = None

    def write(self, data: Buffer) -> int:
        """Write some bytes."""
        if self._failure is None:
            try:
                self._out.write(data)
            except BaseException as error:  # noqa: BLE001  ``check`` raises it
                self._failure = error
        return memoryview(data).nbytes

    def writable(self) -> bool:
        """Return whether it can be written to."""
        return True

    def batches(self, streams: Iterable[bytes]) -> Iterator[RecordBatch]:
        """Yield the records."""
        from arro3.io import read_ipc_stream

        try:
            for stream in streams:
                for batch in read_ipc_stream(BytesIO(stream)):
                    if self._failure is not None:
                        return
                    yield batch
        except BaseException as error:  # noqa: BLE001  ``check`` raises it
            self._failure = error

    def check(self) -> None:
        """Raise what failed, if anything did."""
        if self._failure is not None:
            raise self._failure


def _schema(largest: Mapping[str, int]) -> Schema:
    from arro3.core import DataType, Field, Schema

    types = {0: DataType.string(), _INT_32: DataType.int32(), _INT_64: DataType.int64()}
    fields = [Field(name, types[number], nullable=True) for name, number in largest.items()]
    return Schema([*fields, *(Field(name, DataType.string(), nullable=True) for name in COLUMNS)])


_INT_32: Final = (1 << 31) - 1
_INT_64: Final = (1 << 63) - 1


def _largest(field: str) -> int:
    """Return the largest number of a field; 0 if it is a text."""
    if field not in NUMBERS:
        return 0
    return _INT_32 if field in _SMALL else _INT_64
