"""The Java installations of this machine."""

import os
import re
import shutil
from collections.abc import Iterator
from glob import glob
from pathlib import Path

TRINO = 24
"""The first Java that Trino 476 runs on."""
SPARK = 17
"""The first Java that Spark 4 runs on."""


def java_home(least: int) -> Path | None:
    """The first installation of at least this version; None if there is none.

    ``JAVA_HOME`` comes first, then the ``java`` of the shell, then what packages of Linux have installed.
    """
    return next((home for home in _homes() if _version(home) >= least), None)


def _homes() -> Iterator[Path]:
    if named := os.environ.get("JAVA_HOME"):
        yield Path(named)
    if found := shutil.which("java"):
        yield Path(found).resolve().parent.parent
    yield from map(Path, sorted(glob("/usr/lib/jvm/*")))


def _version(home: Path) -> int:
    """The version of an installation, from the file that each has; 0 if it has none."""
    release = home / "release"
    version = re.search(r'JAVA_VERSION="(\d+)', release.read_text()) if release.is_file() else None
    return int(version[1]) if version is not None else 0
