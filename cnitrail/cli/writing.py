"""Writing answers: what goes wrong on the way out, and nothing else, is a ``WriteError``."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from cnitrail.cli.terminal import screen
from cnitrail.errors import CnitrailError

if TYPE_CHECKING:
    from collections.abc import Iterator


class WriteError(CnitrailError):
    """The answer cannot be written: the disk is full, or the output is closed."""


class BrokenPipe(WriteError):
    """The reader has closed the pipe, as ``head`` does."""

    def __init__(self) -> None:
        super().__init__("broken pipe")


@contextmanager
def writing(out: IO[str] | None = None, name: str = "the answer") -> Iterator[IO[str]]:
    """Yield the stream for an answer (stdout by default) and flush it; an ``OSError`` is a ``WriteError``.

    Nothing is to be read inside the block: an error of reading would be reported as one of writing.
    """
    stream = screen(sys.stdout) if out is None else out
    try:
        yield stream
        stream.flush()
    except BrokenPipeError:
        raise BrokenPipe from None
    except OSError as error:
        raise WriteError(f"{name} cannot be written: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        raise CnitrailError(
            f"{name} cannot be written in {error.encoding}", "set PYTHONIOENCODING=utf-8"
        ) from error
