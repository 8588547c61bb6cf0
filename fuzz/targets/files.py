"""Log files of arbitrary content: read from disk, and scanned in every way."""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from msgspec import Struct

from cnitrail.decode import MARKERS, NAMES, decode
from cnitrail.errors import CnitrailError
from cnitrail.model import FORMS, Document, Record, Scope, Skipped
from cnitrail.scan import Scanner
from cnitrail.scan.tally import UNREADABLE
from cnitrail.workflows.read import read_evidence

_SCANNER = Scanner(NAMES, MARKERS)
_FAST = ("multisearch.ahocorasick_rs", "multisearch.stringzilla", "containers.gzipped.deflate")
_GZIP = b"\x1f\x8b"


class _Reading(Struct, frozen=True):
    """The records that were found, why others were skipped, the number of all records, and their forms."""

    records: list[Record]
    skipped: list[str]
    total: int
    forms: Counter[str]


def sources(data: bytes) -> None:
    """A file in a directory is read, or its errors are listed; the counts add up."""
    path = _folder() / "log.json"
    path.write_bytes(data)
    try:
        ledger, evidence = read_evidence((str(path.parent),), Scope(event_names=NAMES))
    except CnitrailError:
        return
    (source,) = evidence.sources
    kept = len(ledger)
    assert source.files == source.files_found == 1
    assert source.bytes <= len(data)
    assert source.records == source.relevant + source.passed_over
    assert source.relevant == kept + source.duplicates + source.records_skipped
    disputed = [skipped for skipped in evidence.skipped if " differs in " in skipped.reason]
    assert source.skipped + len(disputed) == len(evidence.skipped)
    assert all(skipped.reason for skipped in evidence.skipped)
    assert (evidence.first_event is None) == (not ledger.events())


@cache
def _folder() -> Path:
    return new_folder()


def new_folder() -> Path:
    """Return a temporary directory that is removed when this process ends."""
    _kept.append(TemporaryDirectory())
    return Path(_kept[-1].name)


_kept: list[TemporaryDirectory[str]] = []


def scan(data: bytes) -> None:
    """The same is found in a file, in whole or in pieces, with any libraries."""
    found = _scanned([data])
    _agree(data, _scanned(_pieces(data)), found, "in pieces")
    with ExitStack() as without:
        for library in _FAST:
            without.enter_context(patch(f"cnitrail.scan.{library}", None))
        _agree(data, _scanned([data], _plain_scanner()), found, "without the fast libraries")
    _agree(data, found, _scanned([_other_layout(data)]), "in another layout")
    if not found.skipped:
        with patch("cnitrail.scan.pieces.BLOCK", 1000):
            assert _facts(_scanned(_pieces(data))) == _facts(found), "in short blocks"


def forms(data: bytes) -> None:
    """The same is found in an export of any form, in whole or in pieces, with any libraries and reader."""
    found = _scanned([data])
    assert found.forms.keys() <= FORMS.keys() | {UNREADABLE}
    if any("YAML" in reason for reason in found.skipped):
        return  # its parser finds an error the earlier, the more of the text it has
    _agree(data, _scanned(_pieces(data)), found, "in pieces")
    with ExitStack() as without:
        for library in _FAST:
            without.enter_context(patch(f"cnitrail.scan.{library}", None))
        _agree(data, _scanned([data], _plain_scanner()), found, "without the fast libraries")
    with patch("cnitrail.scan.any_form.layout_of", lambda _: None):
        _is_no_better(data, _scanned([data]), found, "without blocks")
    with patch("cnitrail.scan.any_form._HEAD_BYTES", 500):  # less than a block, as it is without the patches
        whole = _scanned([data])
        with patch("cnitrail.scan.pieces.BLOCK", 1000):
            short = _scanned(_pieces(data))
        if not (short.skipped and whole.skipped):  # a block may end within what damage affects
            _agree(data, short, whole, "in short blocks")


def _agree(data: bytes, one: _Reading, other: _Reading, way: str) -> None:
    """Two readings have the same facts and, unless it is gzip, the same errors."""
    assert _facts(one) == _facts(other), way
    if not data.startswith(_GZIP):
        assert _unread(one) == _unread(other), f"what is skipped {way}"
        assert one.total == other.total, f"the number of records {way}"


def _is_no_better(data: bytes, slow: _Reading, found: _Reading, way: str) -> None:
    """Two readings agree, but damage may cost the slow one more records."""
    if found.skipped and slow.skipped:
        texts = (Counter(bytes(record.payload) for record in one.records) for one in (slow, found))
        assert next(texts) <= next(texts), f"records are lost that are found {way}"
    else:
        _agree(data, slow, found, way)


def _scanned(chunks: Iterable[bytes], scanner: Scanner = _SCANNER) -> _Reading:
    found: list[Record | Skipped] = []
    total = 0
    forms: Counter[str] = Counter()
    for part, tally in scanner.parts(Document(uri="file", chunks=iter(chunks))):
        found += scanner.scan(part, tally)
        total += tally.records
        forms.update(tally.forms)
    records = [record for record in found if isinstance(record, Record)]
    skipped = [skipped.reason for skipped in found if isinstance(skipped, Skipped)]
    assert len(records) <= total == forms.total()
    assert all(origin.form in forms for record in records for origin in record.origins)
    return _Reading(records, skipped, total, forms)


@cache
def _plain_scanner() -> Scanner:
    """Return a scanner that does not use the fast libraries."""
    return Scanner(NAMES, MARKERS)


def _facts(reading: _Reading) -> list[object]:
    """Return the facts in the records."""
    return [fact for record in reading.records if (fact := decode(record).fact) is not None]


def _unread(reading: _Reading) -> int:
    """Return the number of errors, of the scan and of decoding."""
    return len(reading.skipped) + sum(bool(decode(record).problems) for record in reading.records)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Yield the data in pieces of varying size."""
    start, size = 0, 1
    while start < len(data):
        yield data[start : start + size]
        start, size = start + size, size * 2 % 997 + 1


_RESERVED = 0b11100000
"""Reserved flags that make a gzip stream invalid (RFC 1952, 2.3.1.2); Python's gzip accepts them."""


def _other_layout(data: bytes) -> bytes:
    """Return the same content after a space, which is not CloudTrail's layout."""
    if data.startswith(b"{"):
        return b" " + data
    if not data.startswith(_GZIP) or any(flags & _RESERVED for flags in data[3:4]):
        return data
    try:
        text = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return data
    is_text = text.lstrip().startswith((b"{", b"["))  # a container begins with its magic number, not a space
    return gzip.compress(b" " + text, 1) if is_text else data
