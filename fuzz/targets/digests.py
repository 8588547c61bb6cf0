"""Copies of a trail with arbitrary digests, keys and checksums."""

import shutil
from functools import cache
from pathlib import Path
from typing import Final

from cnitrail.model import Scope, Verification
from cnitrail.sources.trail_copy.format import BadChecksumLine, is_inside, read_checksums
from cnitrail.validation.keys import read_keys, written_keys
from cnitrail.workflows.verify import verify_sources
from fuzz.seeds import SIGNED
from fuzz.targets.files import new_folder

_DIGESTS: Final = 3


def digests(data: bytes) -> None:
    """Replace one of three digests: unless the text is its own, nothing of its hour is verified."""
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
    """Return a copy with only the digests, and the path of the second one."""
    root = new_folder()
    without = shutil.ignore_patterns("CloudTrail", "SHA256SUMS")
    shutil.copytree(SIGNED, root, ignore=without, dirs_exist_ok=True)
    every = sorted(root.rglob("*_CloudTrail-Digest_*.json.gz"))
    assert len(every) == _verified(root).digests.valid == _DIGESTS
    return root, every[1]


def public_keys(data: bytes) -> None:
    """Keys are read and survive a round trip, or are refused with a reason."""
    try:
        keys = read_keys(data.decode("utf-8", "replace"), "somewhere")
    except ValueError:
        return
    assert set(read_keys(written_keys(keys), "somewhere")) == set(keys)


def sums(data: bytes) -> None:
    """A line is the hash of a file in its folder, or is refused."""
    lines = data.decode("utf-8", "replace").splitlines(keepends=True)
    found = list(read_checksums(lines))
    assert len(found) == len(lines)
    assert all(isinstance(line, BadChecksumLine) or is_inside(line[0]) for line in found)
