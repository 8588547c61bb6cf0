"""Flow log records as Parquet: columns in snake_case, numbers as integers, null for what a record has not.

The types are those of AWS's own Parquet files:
https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-path.html
"""

from __future__ import annotations

from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from cnitrail.model.flow_fields import NUMBERS, json_name
from cnitrail.render.flows.cells import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from arro3.core import RecordBatch, Schema

_SMALL: Final = frozenset(("version", "srcport", "dstport", "protocol", "tcp-flags", "traffic-path"))
"""The fields that AWS writes as INT_32; other numbers are INT_64."""

_ROW_GROUP: Final = 122_880
"""Rows of a group, which is the unit of parallel reading, and kept in memory until written.

https://duckdb.org/docs/stable/data/parquet/tips
"""


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
    from cnitrail.render.parquet import write_batches

    write_batches(schema, _batches(streams), out, level=1, rows=_ROW_GROUP)


def _batches(streams: Iterable[bytes]) -> Iterator[RecordBatch]:
    from arro3.io import read_ipc_stream

    for stream in streams:
        yield from read_ipc_stream(BytesIO(stream))


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
