"""Seed inputs: the corpus, and the records and log files of the stories in ``fixtures``."""

import gzip
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from cnitrail.decode import NAMES

CORPUS: Final = Path(__file__).parent / "corpus"
_STORIES: Final = Path(__file__).parents[1] / "fixtures"
SIGNED: Final = _STORIES / "ironman-signed"
"""A copy of a trail made by ``cnitrail sync``."""

_RECORDS_PER_SEED: Final = 6


@cache
def seeds_in(corpus: str) -> tuple[bytes, ...]:
    """Return the seed inputs of a corpus folder, in order of their names."""
    kept = tuple(path.read_bytes() for path in sorted((CORPUS / corpus).iterdir()))
    return kept + (_FROM_STORIES.get(corpus) or tuple)()


def _records() -> tuple[bytes, ...]:
    """Return the relevant records of each story, a few at a time: short inputs are faster."""
    stories = [
        [record for log in logs for record in _read(log) if record["eventName"] in NAMES]
        for logs in _stories()
    ]
    return tuple(
        json.dumps(records[start : start + _RECORDS_PER_SEED]).encode()
        for records in stories
        for start in range(0, len(records), _RECORDS_PER_SEED // 2)
    )


def _files() -> tuple[bytes, ...]:
    """Return the longest log file of each story."""
    return tuple(max(map(Path.read_bytes, logs), key=len) for logs in _stories())


def _forms() -> tuple[bytes, ...]:
    """Return a few records of a story in each form of the tests."""
    sys.path.append(str(CORPUS.parents[1] / "tests"))
    from export_forms import LAKE_FORMS, PARTIAL_FORMS, RAW_FORMS, REBUILT_FORMS

    records = _read(min((_STORIES / "hostile").rglob("*.json.gz")))[:4]
    relevant = [record for log in _stories()[0] for record in _read(log) if record["eventName"] in NAMES][:2]
    forms = RAW_FORMS | REBUILT_FORMS | LAKE_FORMS | PARTIAL_FORMS
    return tuple(write([*relevant, *records]) for write in forms.values())


def _stories() -> list[list[Path]]:
    return [
        sorted((story / "AWSLogs").rglob("*.json.gz"))
        for story in sorted(_STORIES.iterdir())
        if (story / "AWSLogs").is_dir()
    ]


def _read(log: Path) -> list[dict[str, object]]:
    records: list[dict[str, object]] = json.loads(gzip.decompress(log.read_bytes()))["Records"]
    return records


def _digests() -> tuple[bytes, ...]:
    """Return the digests of the signed story without the second one, which they replace in the test."""
    first, _, *others = sorted(SIGNED.rglob("*_CloudTrail-Digest_*.json.gz"))
    return tuple(gzip.decompress(path.read_bytes()) for path in (first, *others))


def _signed(name: str) -> Callable[[], tuple[bytes, ...]]:
    """Return a reader of a file beside the copied trail."""
    return lambda: ((SIGNED / name).read_bytes(),)


def _flow_logs() -> tuple[bytes, ...]:
    """Return a few records of flow logs in each form of the tests."""
    sys.path.append(str(CORPUS.parents[1] / "tests"))
    from flow_forms import RECORDS, WITH_HEADER, WITHOUT_HEADER

    return tuple(write(RECORDS) for write in (WITH_HEADER | WITHOUT_HEADER).values())


_FROM_STORIES: Final = {
    "flow-logs": _flow_logs,
    "records": _records,
    "files": _files,
    "forms": _forms,
    "digests": _digests,
    "public-keys": _signed("public-keys.json"),
    "sums": _signed("SHA256SUMS"),
}
