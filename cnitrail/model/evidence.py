"""What was read, where it came from, and what could not be read."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from msgspec import Struct

from cnitrail.model.coverage import Lost, Moment, Reach, Sign

DELIVERY_LAG = timedelta(hours=1)
"""How long after an event its log file is looked for, unless asked otherwise: twelve times the
"about 5 minutes" that AWS states as the average. AWS retries a delivery that fails for 30 days."""

USUAL_LAG = timedelta(minutes=15)
"""How long after an event its log file is delivered at the latest, as a rule."""


class Origin(Struct, frozen=True, gc=False, order=True):
    """Where a record was found: a file (or other container) and its place in it, from 0."""

    source: str
    index: int


class Extent(StrEnum):
    """How much could not be read.

    A file (or object, or page) of which nothing was read, a record, or a part of either.
    """

    FILE = "file"
    RECORD = "record"
    PART = "part"


class Skipped(Struct, frozen=True, gc=False):
    """Something that could not be read: where it is, why in one sentence, and how much of it."""

    source: str
    reason: str
    extent: Extent = Extent.FILE


class Faulty(Struct, frozen=True, gc=False):
    """A file that digests speak against: where it is, or should be, and why in one sentence."""

    source: str
    reason: str


class Note(Struct, frozen=True, gc=False):
    """Something that a source says of its own reading: how it asked, what it could not show.

    ``documents`` is about how many more of them will come, where a source says that.
    """

    source: str
    text: str
    documents: int | None = None


class Document(Struct, frozen=True):
    """One container of records, as a source delivers it: its name and its bytes, in pieces.

    ``size`` is the number of stored bytes where it is known beforehand. Reading ``chunks`` may
    raise ``OSError``; what was read until then stands. ``etag`` changes when the bytes do; None
    where nothing tells that.
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
    """How much text a compressed file may give: what gives more is a bomb, and no log file.

    At most so many bytes for each stored one, beyond the first megabyte, which any file may have. Log
    files have 10 to 60; deflate itself ends at 1032 (zlib.net, "Technical Details").
    """

    most: int = 200

    def allows(self, stored: int, text: int) -> bool:
        """Whether so many stored bytes may give so many bytes of text."""
        return text <= max(_ANY_FILE, self.most * stored)

    @property
    def refusal(self) -> str:
        """What is said of a file that would give more."""
        return f"more than {self.most} times its stored size; if it is none, raise --max-ratio"


_ANY_FILE = 1 << 20


class Scope(Struct, frozen=True, gc=False):
    """What of its evidence a source is asked for; it may deliver more, never less.

    Times are aware, both included, and are those of events. ``event_names`` are the events that matter.
    ``profile``, ``endpoint_url`` and ``request_payer`` are the AWS CLI's options; a Region may be ``all``.
    ``lag`` is how long an event may take until LookupEvents shows it, ``max_calls`` how often it is
    called in a Region at most; ``delivery_lag`` is how much later than an event its log file on S3 is
    still looked for. ``seen`` holds (uri, etag) of documents that need not be delivered again.
    ``into`` is the path of the store that is being filled, which is no evidence. ``growth`` bounds the
    text of compressed files.
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


class StoredCounts(Struct, frozen=True, gc=False):
    """What a source counted of its evidence beyond the records that it delivers, once at its end.

    A store knows what was read into it, and delivers of that only what is asked for. All counts are of
    what is not delivered: of its records ``passed_over`` were of no matter; ``relevant`` are its events
    ``kept``, the ``duplicates`` of events, and what was ``unreadable``. ``signs`` and ``ends`` (the first
    and last event of each account and Region) tell what times it covers. ``uri`` and ``etag`` are as a
    document's.
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


class SourceReport(Struct, frozen=True, gc=False):
    """The account of one source, in which three sums hold.

    ``files_found`` = ``files`` (those read) + ``files_skipped``. ``records`` = ``relevant`` +
    ``passed_over``. ``relevant`` = ``kept`` + ``duplicates`` + ``records_skipped``: what could not be
    read might have mattered. ``skipped`` are all entries of ``Evidence.skipped``: files, records and
    parts of them. ``bytes`` counts what was read as it is stored (compressed, where it is compressed).
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


class Evidence(Struct, frozen=True, gc=False):
    """The account of everything that was read; times are those of relevant events.

    ``verified`` says that digests were asked, ``faults`` what they say is not as it was delivered.
    """

    sources: tuple[SourceReport, ...]
    first_event: datetime | None
    last_event: datetime | None
    coverage: tuple[Reach, ...]
    skipped: tuple[Skipped, ...]
    lost: tuple[Lost, ...] = ()
    verified: bool = False
    faults: tuple[Faulty, ...] = ()
