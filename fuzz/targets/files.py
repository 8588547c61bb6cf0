"""Log files of any content: found on a disk and read, and scanned in every way that there is."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from msgspec import Struct

from cnitrail.cli.progress import Progress
from cnitrail.decode import MARKERS, NAMES, decode
from cnitrail.errors import CnitrailError
from cnitrail.model import Document, Record, Scope, Skipped
from cnitrail.scan import Scanner, Tally
from cnitrail.workflows.read import read_evidence

_SCANNER = Scanner(NAMES, MARKERS)
_FAST = ("multisearch.ahocorasick_rs", "multisearch.stringzilla", "inflate.deflate")
_GZIP = b"\x1f\x8b"


class _Reading(Struct, frozen=True):
    """The records that were found, why others were skipped, and how many there are in all."""

    records: list[Record]
    skipped: list[str]
    total: int


def sources(data: bytes) -> None:
    """A file in a directory is read, or told what is wrong with it; the account adds up."""
    path = _folder() / "log.json"
    path.write_bytes(data)
    try:
        ledger, evidence = read_evidence((str(path.parent),), Scope(event_names=NAMES), Progress(quiet=True))
    except CnitrailError:
        return
    (source,) = evidence.sources
    kept = len(ledger)
    assert source.files == source.files_found == 1
    assert source.bytes <= len(data)
    assert source.records == source.relevant + source.passed_over
    assert source.relevant == kept + source.duplicates + source.records_skipped
    disputed = [each for each in evidence.skipped if " stands otherwise in " in each.reason]
    assert source.skipped + len(disputed) == len(evidence.skipped)
    assert all(skipped.reason for skipped in evidence.skipped)
    assert (evidence.first_event is None) == (not ledger.events())


@cache
def _folder() -> Path:
    return new_folder()


def new_folder() -> Path:
    """A directory of this process alone, which goes when it ends."""
    _kept.append(TemporaryDirectory())
    return Path(_kept[-1].name)


_kept: list[TemporaryDirectory[str]] = []


def scan(data: bytes) -> None:
    """However a file comes, and whatever is installed, the same is found in it."""
    found = _scanned([data])
    _agree(data, _scanned(_pieces(data)), found, "in pieces")
    with ExitStack() as without:
        for library in _FAST:
            without.enter_context(patch(f"cnitrail.scan.{library}", None))
        _agree(data, _scanned([data], _plain_scanner()), found, "without the fast libraries")
    _agree(data, found, _scanned([_long_way(data)]), "the slower way")
    if not found.skipped:
        with patch("cnitrail.scan.BLOCK", 1000):
            assert _facts(_scanned(_pieces(data))) == _facts(found), "in short blocks"


def _agree(data: bytes, one: _Reading, other: _Reading, way: str) -> None:
    """Two ways of reading find the same facts, and the same damage, which gzip need not be searched for."""
    assert _facts(one) == _facts(other), way
    if not data.startswith(_GZIP):
        assert _unread(one) == _unread(other), f"what is skipped {way}"
        assert one.total == other.total, f"the number of records {way}"


def _scanned(chunks: Iterable[bytes], scanner: Scanner = _SCANNER) -> _Reading:
    tally = Tally()
    found = list(scanner.scan(Document("file", None, iter(chunks)), tally))
    records = [each for each in found if isinstance(each, Record)]
    skipped = [each.reason for each in found if isinstance(each, Skipped)]
    assert len(records) <= tally.records
    return _Reading(records, skipped, tally.records)


@cache
def _plain_scanner() -> Scanner:
    """One that is made, and used, where the fast libraries are not installed."""
    return Scanner(NAMES, MARKERS)


def _facts(reading: _Reading) -> list[object]:
    """What the records say that say something."""
    return [fact for record in reading.records if (fact := decode(record).fact) is not None]


def _unread(reading: _Reading) -> int:
    """How many things are told to be unreadable, whether scan says so or decode."""
    return len(reading.skipped) + sum(bool(decode(record).problems) for record in reading.records)


def _pieces(data: bytes) -> Iterator[bytes]:
    """The data in pieces of growing size."""
    start, size = 0, 1
    while start < len(data):
        yield data[start : start + size]
        start, size = start + size, size * 2 % 997 + 1


_RESERVED = 0b11100000
"""Flags that refuse a gzip stream (RFC 1952, 2.3.1.2); Python's gzip alone lets them pass."""


def _long_way(data: bytes) -> bytes:
    """The same content behind a blank, which is not how CloudTrail writes."""
    if data.startswith(b"{"):
        return b" " + data
    if not data.startswith(_GZIP) or any(flags & _RESERVED for flags in data[3:4]):
        return data
    try:
        return gzip.compress(b" " + gzip.decompress(data), 1)
    except (OSError, EOFError, zlib.error):
        return data
