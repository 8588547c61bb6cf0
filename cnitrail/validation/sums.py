"""``SHA256SUMS``: hashes of files as they are stored, in the form of coreutils' ``sha256sum``."""

import re
from collections.abc import Iterator

_LINE = re.compile(r"(?P<hash>[0-9a-f]{64})  (?P<path>[^\\\n\r\0]+)")


def written_sum(hash_: str, path: str) -> str:
    """The line of a file; its path is relative to where the list lies."""
    return f"{hash_}  {path}\n"


def read_sums(text: str) -> Iterator[tuple[str, str] | int]:
    """Each line's path and hash; the number of a line, from 1, that is none, or leads out of the folder."""
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        if found is not None and is_inside(found["path"]):
            yield found["path"], found["hash"]
        elif line or number < len(lines) or number == 1:
            yield number
    if not text.endswith("\n"):
        yield len(lines)


def is_inside(path: str) -> bool:
    """Whether a path, with slashes, stays below the folder that it is relative to."""
    return all(part not in {"", ".", ".."} for part in path.split("/"))
