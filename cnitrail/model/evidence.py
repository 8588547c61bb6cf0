"""What was read, where it came from, and what could not be read."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from msgspec import Struct

from cnitrail.model.coverage import Lost, Moment, Reach, Sign
from cnitrail.model.lookup import LookupHints

DELIVERY_LAG = timedelta(hours=1)
"""Default wait for late log files: twelve times the average of "about 5 minutes" that AWS states. AWS retries
a failed delivery for 30 days."""

USUAL_LAG = timedelta(minutes=15)
"""Usual maximum from an event to the delivery of its log file."""


class Origin(Struct, frozen=True, gc=False, order=True):
    """Where a record was found: a file (or other container) and its index in it, from 0."""

    source: str
    index: int


class Extent(StrEnum):
    """How much could not be read: a whole file (or object, or page), a record, or a part of either."""

    FILE = "file"
    RECORD = "record"
    PART = "part"


class Skipped(Struct, frozen=True, gc=False):
    """Something that could not be read: where it is, the reason in one sentence, and how much of it."""

    source: str
    reason: str
    extent: Extent = Extent.FILE


class Faulty(Struct, frozen=True, gc=False):
    """A file that is not as its digest lists it: where it is, or should be, and why in one sentence."""

    source: str
    reason: str


class Note(Struct, frozen=True, gc=False):
    """A note of a source about its reading: how it asked, and what it cannot show.

    ``documents`` is about how many more documents will come, if the source knows.
    """

    source: str
    text: str
    documents: int | None = None


class Document(Struct, frozen=True):
    """One container of records, as a source delivers it: its name and its bytes, in pieces.

    ``size`` is the number of stored bytes, if known beforehand. Reading ``chunks`` may raise ``OSError``;
    what was read until then counts. ``etag`` changes when the bytes do; None if the source has none.
    """

    uri: str
    size: int | None
    chunks: Iterator[bytes]
    etag: str | None = None


class Record(Struct, frozen=True, gc=False):
    """One candidate CloudTrail record: the JSON text of the record itself, without envelope."""

    origins: tuple[Origin, ...]
    payload: bytes


class Growth(Struct, frozen=True, gc=False):
    """Maximum expansion of a compressed file: one that expands further is a gzip bomb, not a log file.

    ``most`` is the maximum number of bytes of text for each stored byte; the first megabyte is always
    allowed. Log files expand 10 to 60 times; deflate's limit is 1032 (zlib.net, "Technical Details").
    """

    most: int = 200

    def allows(self, stored: int, text: int) -> bool:
        """Return whether a number of stored bytes may expand to a number of bytes of text."""
        return text <= max(_ANY_FILE, self.most * stored)

    @property
    def refusal(self) -> str:
        """Return the reason shown for a file that would expand further."""
        return f"more than {self.most} times its stored size; to read it anyway, raise --max-ratio"


_ANY_FILE = 1 << 20


class Scope(Struct, frozen=True, gc=False, kw_only=True):
    """What a source is asked for; it may deliver more, never less.

    Times are aware, both included, and are those of events. ``event_names`` are the relevant events.
    ``profile``, ``endpoint_url`` and ``request_payer`` are the AWS CLI's options; a Region may be ``all``.
    ``lag`` is the delay of LookupEvents, ``max_calls`` the maximum number of its calls per Region;
    ``delivery_lag`` is how long after an event its log file on S3 is still looked for. ``seen`` has
    (URI, etag) of documents that need not be delivered again. ``into`` is the path of the store that is being
    written, which is not evidence. ``growth`` limits the expansion of compressed files.
    """

    since: datetime | None = None
    until: datetime | None = None
    regions: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    enis: tuple[str, ...] = ()
    addresses: tuple[IPv4Network | IPv6Network, ...] = ()
    profile: str | None = None
    endpoint_url: str | None = None
    event_names: tuple[str, ...] = ()
    lag: timedelta = timedelta(minutes=15)
    max_calls: int = 3600
    request_payer: str | None = None
    delivery_lag: timedelta = DELIVERY_LAG
    seen: Collection[tuple[str, str]] = frozenset()
    into: str | None = None
    growth: Growth = Growth()
    lookup_hints: LookupHints | None = None
    """What decode knows about LookupEvents: needed to read ``lookup:``."""


class StoredCounts(Struct, frozen=True, gc=False, kw_only=True):
    """Counts of what a source has and does not deliver; it gives them once, at its end.

    A store knows what was read into it, and delivers only what is asked for. ``passed_over`` are records
    that are not relevant; ``relevant`` are the events ``kept``, the ``duplicates`` of events, and what was
    ``unreadable``. ``signs`` and ``ends`` (the first and last event of each account and Region) are the times
    that it covers. ``uri`` and ``etag`` are as of a document.
    """

    uri: str
    etag: str | None
    files: int
    bytes: int
    records: int
    passed_over: int
    relevant: int
    kept: int
    duplicates: int
    unreadable: int
    signs: frozenset[Sign]
    ends: tuple[Moment, ...]


class SourceReport(Struct, frozen=True, gc=False, kw_only=True):
    """Counts of what was read from one source, for which three sums hold.

    ``files_found`` = ``files`` (those read) + ``files_skipped``. ``records`` = ``relevant`` +
    ``passed_over``. ``relevant`` = ``kept`` + ``duplicates`` + ``records_skipped``: what could not be read
    may have been relevant. ``skipped`` is the number of its entries in ``Evidence.skipped``: files, records
    and parts of them. ``bytes`` are stored bytes (compressed, if the files are).
    """

    uri: str
    files: int
    bytes: int
    records: int
    relevant: int
    duplicates: int
    skipped: int
    files_found: int
    files_skipped: int
    passed_over: int
    kept: int
    records_skipped: int


class Evidence(Struct, frozen=True, gc=False, kw_only=True):
    """Everything that was read, and what was not; times are those of relevant events.

    ``verified`` means that integrity was checked with digests, ``faults`` are the files that failed.
    """

    sources: tuple[SourceReport, ...]
    first_event: datetime | None
    last_event: datetime | None
    coverage: tuple[Reach, ...]
    skipped: tuple[Skipped, ...]
    lost: tuple[Lost, ...] = ()
    verified: bool = False
    faults: tuple[Faulty, ...] = ()
