"""The inputs to begin with: those in ``corpus``; records and files are those of the stories, too."""

import gzip
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from cnitrail.decode import NAMES

CORPUS: Final = Path(__file__).parent / "corpus"
_STORIES: Final = Path(__file__).parents[1] / "fixtures"
SIGNED: Final = _STORIES / "ironman-signed"
"""A copy of a trail, as ``cnitrail sync`` makes it."""
_SOME: Final = 6


@cache
def seeds_in(corpus: str) -> tuple[bytes, ...]:
    """The first inputs of a folder of the corpus, in the order of their names."""
    kept = tuple(path.read_bytes() for path in sorted((CORPUS / corpus).iterdir()))
    return kept + (_STORIES_AS.get(corpus) or tuple)()


def _records() -> tuple[bytes, ...]:
    """The records of each story that matter, a few at a time: short inputs are quick to try."""
    stories = [
        [record for log in logs for record in _read(log) if record["eventName"] in NAMES]
        for logs in _stories()
    ]
    return tuple(
        json.dumps(told[start : start + _SOME]).encode()
        for told in stories
        for start in range(0, len(told), _SOME // 2)
    )


def _files() -> tuple[bytes, ...]:
    """A log file of each story: its longest."""
    return tuple(max(map(Path.read_bytes, logs), key=len) for logs in _stories())


def _stories() -> list[list[Path]]:
    return [
        sorted(story.rglob("*.json.gz"))
        for story in sorted(_STORIES.iterdir())
        if (story / "AWSLogs").is_dir()
    ]


def _read(log: Path) -> list[dict[str, object]]:
    records: list[dict[str, object]] = json.loads(gzip.decompress(log.read_bytes()))["Records"]
    return records


def _digests() -> tuple[bytes, ...]:
    """The texts of digests that are not the second one, in whose place they are tried."""
    first, _, *others = sorted(SIGNED.rglob("*_CloudTrail-Digest_*.json.gz"))
    return tuple(gzip.decompress(path.read_bytes()) for path in (first, *others))


def _signed(name: str) -> Callable[[], tuple[bytes, ...]]:
    """A file beside the copy."""
    return lambda: ((SIGNED / name).read_bytes(),)


_STORIES_AS: Final = {
    "records": _records,
    "files": _files,
    "digests": _digests,
    "public-keys": _signed("public-keys.json"),
    "sums": _signed("SHA256SUMS"),
}
