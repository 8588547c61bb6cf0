"""A Parquet file → its rows, read by arro3 in a process of its own.

A Parquet file may be damaged, or made to expand without limit, in ways that no reader survives: arro3 panics,
others crash. In another process, whose memory is limited, this only means that one file could not be read.
"""

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import IO, BinaryIO, Final

import msgspec

from cnitrail.scan.split import UnreadableSpan

_READER: Final = Path(__file__).with_name("parquet_reader.py")
_PIECE: Final = 1024 * 1024
_LARGEST_IN_MEMORY: Final = 512 * 1024 * 1024
"""Maximum size in bytes of a file that is not on a disk: the reader keeps all of it in memory."""

_DETAIL = re.compile(r"^.*?`Err` value: ", re.DOTALL)


def parquet_rows(file: BinaryIO) -> Iterator[dict[str, object] | UnreadableSpan]:
    """Yield the rows of a Parquet file by column name, and what cannot be read.

    Texts are ``str``, times ``datetime`` or ISO 8601, structs ``dict``, maps lists of pairs. Raises
    ``OSError`` if the file itself cannot be read. The position in the file is changed.
    """
    if find_spec("arro3") is None or find_spec("arro3.io") is None:
        yield UnreadableSpan("a Parquet file; install cnitrail[parquet] to read it")
        return
    on_disk = isinstance(file, io.BufferedReader) and isinstance(file.raw, io.FileIO)
    with subprocess.Popen(  # noqa: S603  our own file, and no argument of a user's
        [sys.executable, "-P", str(_READER)],
        stdin=file if on_disk else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as reader:
        assert reader.stdout is not None
        feeder = None if reader.stdin is None else _Feeder(file, reader.stdin)
        try:
            yield from _rows(reader.stdout)
        finally:
            reader.kill()
            if feeder is not None:
                feeder.join()
    if feeder is not None and feeder.error is not None:
        raise feeder.error


def _rows(answers: IO[bytes]) -> Iterator[dict[str, object] | UnreadableSpan]:
    """Yield the rows and errors in the reader's messages; the last message says that it has read all."""
    columns: list[str] = []
    while True:
        length = int.from_bytes(answers.read(4), "little")
        message = answers.read(length)
        if not length or len(message) < length:
            yield UnreadableSpan("a Parquet file that is damaged, or takes too much memory or time to read")
            return
        match msgspec.msgpack.decode(message):
            case {"columns": list(columns)}:
                pass
            case {"rows": list(rows)}:
                yield from (dict(zip(columns, map(_text, row), strict=True)) for row in rows)
            case {"error": str(error)}:
                yield UnreadableSpan(f"damaged Parquet file: {_DETAIL.sub('', error)[:200]}")
                return
            case {"unread": str(reason)}:
                yield UnreadableSpan(reason)
            case _:
                return


def _text(value: object) -> object:
    """Return bytes as text: older writers do not mark their texts as such."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class _Feeder(Thread):
    """Writes a file to the reader, while its answers are read."""

    def __init__(self, file: BinaryIO, reader: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.error: OSError | None = None
        self._file = file
        self._reader = reader
        self.start()

    def run(self) -> None:
        """Write all of the file, unless it is too large; the reader then finds no end of it."""
        left = _LARGEST_IN_MEMORY
        try:
            if self._file.seekable():
                self._file.seek(0)
            while left > 0 and (piece := self._file.read(min(_PIECE, left))):
                left -= len(piece)
                try:
                    self._reader.write(piece)
                except OSError:
                    return  # the reader has ended, and has said why
        except OSError as error:
            self.error = error
        finally:
            with suppress(OSError):
                self._reader.close()
