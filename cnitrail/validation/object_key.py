"""Whether a stored file lies where a digest says that CloudTrail put it."""

import re

from cnitrail.model import StoredFile

_TAIL = re.compile(r"(?:(?:[a-z]{2}(?:-[a-z]+)+-\d+/)?\d{4}/\d{2}/\d{2}/)?[^/]+$", re.ASCII)
"""What of a copy's path is CloudTrail's own: its name, and the folders of day and Region, if it has them."""


def name_of(key: str) -> str:
    """What a file is looked for by: its name, whether or not it was unzipped."""
    return key.rpartition("/")[2].removesuffix(".gz")


def lies_at(file: StoredFile, bucket: str, key: str) -> bool:
    """Whether a file lies at a place: an object exactly there; a copy, as far as its folders tell."""
    if file.bucket is not None:
        return (file.bucket, file.key) == (bucket, key)
    tail = _TAIL.search(file.key)
    here = tail[0] if tail else file.key
    there = f"/{key}"
    return there.endswith((f"/{here}", f"/{here}.gz"))
