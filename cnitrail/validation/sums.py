"""``SHA256SUMS``: hashes of files as they are stored, in the form of coreutils' ``sha256sum``."""

import re
from collections.abc import Iterable, Iterator

_LINE = re.compile(r"(?P<hash>[0-9a-f]{64})  (?P<path>[^\\\n\r\0]+)\n")


def written_sum(hash_: str, path: str) -> str:
    """The line of a file; its path is relative to where the list lies."""
    return f"{hash_}  {path}\n"


def read_sums(lines: Iterable[str]) -> Iterator[tuple[str, str] | int]:
    """Each line's path and hash; the number of a line, from 1, that is none, or leads out of the folder.

    The lines come with their ends.
    """
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        yield (found["path"], found["hash"]) if found and is_inside(found["path"]) else number


def is_inside(path: str) -> bool:
    """Whether a path, with slashes, stays below the folder that it is relative to."""
    return all(part not in {"", ".", ".."} for part in path.split("/"))
