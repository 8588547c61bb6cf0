"""Log files of any content: found on a disk and read, and scanned in every way that there is."""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from cnitrail.cli.progress import Progress
from cnitrail.cli.reading import read_evidence
from cnitrail.decode import MARKERS, NAMES, decode
from cnitrail.errors import CnitrailError
from cnitrail.model import Document, Record, Scope, Skipped
from cnitrail.scan import Scanner, Tally

_SCANNER = Scanner(NAMES, MARKERS)
_GZIP = b"\x1f\x8b"
_MORE = re.compile(r" \(and \d+ more lines\)$")
"""A line of more than a megabyte counts as several, and where it is parted hangs on the pieces."""
_FAR = 1 << 20
"""Further than any input reaches."""


def sources(data: bytes) -> None:
    """A file in a directory is read, or told what is wrong with it; the account adds up."""
    path = _folder() / "log.json"
    path.write_bytes(data)
    try:
        ledger, evidence = read_evidence((str(path.parent),), Scope(event_names=NAMES), Progress(quiet=True))
    except CnitrailError as error:
        assert str(error)
        return
    (source,) = evidence.sources
    kept = len(ledger.events()) + len(ledger.sessions())
    assert source.files == 1
    assert source.bytes <= len(data)
    assert source.records >= source.relevant
    assert source.relevant == kept + source.duplicates
    assert source.skipped == len(evidence.skipped)
    assert all(skipped.reason for skipped in evidence.skipped)
    assert (evidence.first_event is None) == (not ledger.events())


@cache
def _folder() -> Path:
    """A directory of this process alone."""
    _kept.append(TemporaryDirectory(prefix="cnitrail-fuzz-"))
    return Path(_kept[-1].name)


_kept: list[TemporaryDirectory[str]] = []


def scan(data: bytes) -> None:
    """However a file comes, and whatever is installed, the same is found in it."""
    found = _scanned([data])
    assert _scanned(_pieces(data)) == found, "in pieces"
    with patch("cnitrail.scan.needles.ahocorasick_rs", None), patch("cnitrail.scan.inflate.deflate", None):
        assert _told(_scanned([data], _plain_scanner())) == _told(found), "without the fast libraries"
    with patch("cnitrail.scan.BLOCK", 1000):
        assert _facts(_scanned(_pieces(data))) == _facts(found), "in short blocks"
    with patch("cnitrail.scan.standard.LOOK_BACK", _FAR):
        near, far = _scanned([data]), _scanned([_long_way(data)])
        assert _facts(near) == _facts(far), "the slower way"
        if not data.startswith(_GZIP):
            assert near[1] == far[1], "what is skipped the slower way"


_Reading = tuple[list[Record], list[str], int]
"""The records, why others were skipped, and how many there are in all."""


def _scanned(chunks: Iterable[bytes], scanner: Scanner = _SCANNER) -> _Reading:
    tally = Tally()
    found = list(scanner.scan(Document("file", None, iter(chunks)), tally))
    records = [each for each in found if isinstance(each, Record)]
    skipped = [_MORE.sub("", each.reason) for each in found if isinstance(each, Skipped)]
    assert len(records) <= tally.records
    return records, skipped, tally.records


@cache
def _plain_scanner() -> Scanner:
    """One that is made, and used, where the fast libraries are not installed."""
    return Scanner(NAMES, MARKERS)


def _facts(reading: _Reading) -> list[object]:
    """What the records say that say something."""
    return [fact for record in reading[0] if (fact := decode(record).fact) is not None]


def _told(reading: _Reading) -> object:
    """The same, with what could not be read."""
    decoded = [decode(record) for record in reading[0]]
    return [each for each in decoded if each.fact or each.problems], reading[1], reading[2]


def _pieces(data: bytes) -> Iterator[bytes]:
    """The data in pieces of growing size."""
    start, size = 0, 1
    while start < len(data):
        yield data[start : start + size]
        start, size = start + size, size * 2 % 997 + 1


def _long_way(data: bytes) -> bytes:
    """The same content behind a blank, which is not how CloudTrail writes."""
    if data.startswith(b"{"):
        return b" " + data
    try:
        return gzip.compress(b" " + gzip.decompress(data), 1)
    except (OSError, EOFError, zlib.error):
        return data
