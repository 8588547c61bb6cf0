"""The program that reads one Parquet file from standard input, and writes its rows to standard output.

Run by ``cnitrail.scan.parquet``, and without the rest of the package, so that it starts fast. Each message is
its length (four bytes, little-endian) and a msgpack map.
"""

import os
import sys
from io import BytesIO
from typing import IO, Any, Final

import msgspec

_MEMORY: Final = 2 * 1024**3
"""Maximum address space in bytes; a file of 120,000 rows in one row group needs a tenth of it."""

_SECONDS: Final = 60
_SECONDS_PER_MB: Final = 10
"""Maximum CPU time for each file, and for each megabyte of it; arro3 reads 10 MB in a second."""

_ROWS: Final = 128
"""Rows that are decoded at once: values may be repeated for each of them without being stored again."""

_MESSAGE: Final = 1024 * 1024
_SHORTEST_ROW: Final = 64
"""Bytes that a row counts at least, even if it has no values."""

_LONGEST_ROW: Final = 64 * 1024 * 1024
"""As ``RECORD_LIMIT`` of the text forms."""

_FIRST_BYTES: Final = 256 * 1024 * 1024
_GROWTH: Final = 1000
"""Maximum number of bytes of rows: a number for any file, and another one for each stored byte. Values that
are the same in many rows are stored once, so a file of log records may expand some hundred times."""


def main() -> None:
    """Write the column names, the rows in groups, and the end; or the error that ends the reading."""
    file, size = _opened()
    _limit(size)
    answers = _Answers(size)
    try:
        from arro3.io import read_parquet

        for batch in read_parquet(file, batch_size=_ROWS):
            answers.columns(list(batch.column_names))
            columns = [column.to_pylist() for column in batch.columns]
            for row in zip(*columns, strict=True):
                answers.row(row)
        answers.end()
    except _Enough:
        answers.message(
            {"unread": f"a Parquet file that expands more than {_GROWTH:,} times; not read to its end"}
        )
        answers.message({"end": True})
    except BaseException as error:  # noqa: BLE001  a panic of Rust code is no Exception
        answers.message({"error": str(error) or type(error).__name__})


def _opened() -> tuple[IO[bytes], int]:
    """Return the file on standard input, which must be seekable, and its size."""
    try:
        os.lseek(0, 0, os.SEEK_SET)
        return open(0, "rb", closefd=False), os.fstat(0).st_size
    except OSError:
        data = sys.stdin.buffer.read()
        return BytesIO(data), len(data)


def _limit(size: int) -> None:
    """Limit the memory and the CPU time of this process, where the system can."""
    if sys.platform == "win32":
        return
    import resource

    seconds = _SECONDS + _SECONDS_PER_MB * (size >> 20)
    for kind, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, seconds)):
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, hard))


class _Enough(Exception):
    """A file has more rows than a file of its size can have."""


class _Answers:
    """Writes rows in messages of about a megabyte."""

    def __init__(self, size: int) -> None:
        self._left = _FIRST_BYTES + _GROWTH * size
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_as_text)
        self._rows: list[msgspec.Raw] = []
        self._length = 0
        self._columns: list[str] | None = None

    def columns(self, columns: list[str]) -> None:
        """Write the column names, if they are new."""
        if columns != self._columns:
            self._columns = columns
            self.message({"columns": columns})

    def row(self, row: tuple[object, ...]) -> None:
        """Write a row, unless it is too long."""
        encoded = self._encoder.encode(row)
        self._left -= max(len(encoded), _SHORTEST_ROW)
        if self._left < 0:
            raise _Enough
        if len(encoded) > _LONGEST_ROW:
            self.message({"unread": f"a row is longer than {_LONGEST_ROW >> 20} MB"})
            return
        self._rows.append(msgspec.Raw(encoded))
        self._length += len(encoded)
        if self._length > _MESSAGE:
            self._flush()

    def end(self) -> None:
        """Write what is left, and that it is all."""
        self._flush()
        self.message({"end": True})

    def message(self, content: dict[str, object]) -> None:
        """Write a message, after the rows before it."""
        if self._rows and "rows" not in content:
            self._flush()
        encoded = self._encoder.encode(content)
        sys.stdout.buffer.write(len(encoded).to_bytes(4, "little") + encoded)
        sys.stdout.buffer.flush()

    def _flush(self) -> None:
        rows, self._rows, self._length = self._rows, [], 0
        if rows:
            self.message({"rows": rows})


def _as_text(value: Any) -> object:
    """Return as text what msgpack does not have, such as decimal numbers."""
    return str(value)


if __name__ == "__main__":
    main()
