"""Copies of a trail whose digests, keys and checksums have any content."""

import shutil
from functools import cache
from pathlib import Path
from typing import Final

from cnitrail.model import Scope, Verification
from cnitrail.sources.trail_copy.format import BadLine, is_inside, read_sums
from cnitrail.validation.keys import read_keys, written_keys
from cnitrail.workflows.verify import verify_sources
from fuzz.seeds import SIGNED
from fuzz.targets.files import new_folder

_DIGESTS: Final = 3


def digests(data: bytes) -> None:
    """One of three digests has this text: unless it is its own, nothing of its hour is proven."""
    root, digest = _copy()
    genuine = digest.read_bytes()
    digest.write_bytes(data)
    try:
        found = _verified(root)
    finally:
        digest.write_bytes(genuine)
    assert found.digests.valid < _DIGESTS
    assert found.faults
    assert all(fault.reason for fault in found.faults)


def _verified(root: Path) -> Verification:
    return verify_sources((str(root),), Scope(), str(root / "public-keys.json"))


@cache
def _copy() -> tuple[Path, Path]:
    """A copy with digests alone, and the second of them."""
    root = new_folder()
    without = shutil.ignore_patterns("CloudTrail", "SHA256SUMS")
    shutil.copytree(SIGNED, root, ignore=without, dirs_exist_ok=True)
    every = sorted(root.rglob("*_CloudTrail-Digest_*.json.gz"))
    assert len(every) == _verified(root).digests.valid == _DIGESTS
    return root, every[1]


def public_keys(data: bytes) -> None:
    """Keys are read, and written as they were read, or refused with a reason."""
    try:
        keys = read_keys(data.decode("utf-8", "replace"), "somewhere")
    except ValueError:
        return
    assert set(read_keys(written_keys(keys), "somewhere")) == set(keys)


def sums(data: bytes) -> None:
    """A line is a hash of a file below its folder, or none."""
    lines = data.decode("utf-8", "replace").splitlines(keepends=True)
    found = list(read_sums(lines))
    assert len(found) == len(lines)
    assert all(isinstance(each, BadLine) or is_inside(each[0]) for each in found)
