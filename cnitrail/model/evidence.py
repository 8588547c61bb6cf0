"""What was read, where it came from, and what could not be read."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where a record was found: a file (or other container) and its place in it, from 0."""

    source: str
    index: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that could not be read: where it is, and why in one sentence."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Document:
    """One container of records, as a source delivers it: its name and its bytes, in pieces.

    ``size`` is the number of stored bytes where it is known beforehand. Reading ``chunks`` may
    raise ``OSError``; what was read until then stands.
    """

    uri: str
    size: int | None
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Record:
    """One candidate CloudTrail record: the JSON text of the record itself, without envelope."""

    origin: Origin
    payload: bytes


@dataclass(frozen=True, slots=True)
class SourceReport:
    """The account of one source: records read = relevant + passed over; relevant = kept + duplicates.

    ``bytes`` counts what was read as it is stored (compressed, where it is compressed).
    """

    uri: str
    files: int
    bytes: int
    records: int
    relevant: int
    duplicates: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """The account of everything that was read; times are those of relevant events."""

    sources: tuple[SourceReport, ...]
    first_event: datetime | None
    last_event: datetime | None
    skipped: tuple[Skipped, ...]
