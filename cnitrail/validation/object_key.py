"""Compares where a file is stored with where a digest says that CloudTrail wrote it."""

import re

from cnitrail.model import StoredFile

_REGION = (
    r"(?:eusc-[a-z]{2}|[a-z]{2}(?:-gov|-iso[a-z]?)?)"
    r"-(?:central|(?:north|south)(?:east|west)?|east|west)-\d+"
)
"""Strict: a folder such as ``acme-eu-west-1``, which somebody else named, is not compared."""

_TAIL = re.compile(rf"(?:^|/)((?:(?:{_REGION}/)?\d{{4}}/\d{{2}}/\d{{2}}/)?[^/]+)$", re.ASCII)
"""The part of a copy's path that CloudTrail chose: the file name, and the folders of day and Region."""


def name_of(key: str) -> str:
    """Return the name that a file is looked up by, the same whether or not it was unzipped."""
    return key.rpartition("/")[2].removesuffix(".gz")


def lies_at(file: StoredFile, bucket: str, key: str) -> bool:
    """Return whether a file is stored under a key: an object exactly, a copy as far as its folders show."""
    if file.bucket is not None:
        return (file.bucket, file.key) == (bucket, key)
    tail = _TAIL.search(file.key)
    here = tail[1] if tail else file.key
    there = f"/{key}"
    return there.endswith((f"/{here}", f"/{here}.gz"))
