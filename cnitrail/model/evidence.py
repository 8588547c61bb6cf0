"""What was read, where it came from, and what could not be read."""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import BinaryIO, ClassVar

from msgspec import Struct

from cnitrail.model.coverage import AccountRegion, Coverage, Lost, Moment, Reach, Sign, UncheckedTable
from cnitrail.model.flow_report import FlowReport
from cnitrail.model.forms import TRAIL
from cnitrail.model.lookup import LookupHints
from cnitrail.model.rhythm import Rhythm
from cnitrail.model.table import EngineOptions, EngineReport, RelevantCalls

DELIVERY_LAG = timedelta(hours=1)
"""Default wait for late log files: twelve times the average of "about 5 minutes" that AWS states. AWS retries
a failed delivery for 30 days."""

USUAL_LAG = timedelta(minutes=15)
"""Usual maximum from an event to the delivery of its log file."""


class Origin(Struct, frozen=True, gc=False, order=True):
    """Where a record was found: a file (or other container), its index in it from 0, and its form there.

    ``form`` is a name in ``FORMS``.
    """

    source: str
    index: int
    form: str = TRAIL


class Extent(StrEnum):
    """How much could not be read: a whole file (or object, or page), a record, or a part of either."""

    FILE = "file"
    RECORD = "record"
    PART = "part"


class Skipped(Struct, frozen=True, gc=False):
    """Something that could not be read: where it is, the reason in one sentence, and how much of it.

    ``of_pods``: it is pod evidence, so no event of CloudTrail is lost.
    """

    source: str
    reason: str
    extent: Extent = Extent.FILE
    of_pods: bool = False


class Faulty(Struct, frozen=True, gc=False):
    """A file that is not as its digest lists it: where it is, or should be, and why in one sentence."""

    source: str
    reason: str


class Note(Struct, frozen=True, gc=False):
    """A note of a source about its reading: how it asked, and what it cannot show.

    ``source`` is empty if the text names it.
    """

    source: str
    text: str


class CutShort(Struct, frozen=True, gc=False, kw_only=True):
    """A lookup that ended before all was read: every event since ``complete_since`` was.

    None if events of any time may be missing. ``region`` is None if they may be of any Region. ``is_wanted``
    if the user asked for no more (``Scope.newest``). ``of_pods``: only pod evidence is missing.
    """

    source: str
    region: str | None
    reason: str
    complete_since: datetime | None
    is_wanted: bool = False
    of_pods: bool = False


class LookedUp(Struct, frozen=True, gc=False, kw_only=True):
    """The time of which a lookup returned every event of an account and Region that was asked for."""

    account: str
    region: str
    start: datetime
    end: datetime


class SeenCall(Struct, frozen=True, gc=False):
    """A call that a lookup has just found: its time, event name, and the resources that it names."""

    time: datetime
    event_name: str
    resources: tuple[str, ...]


class LookupProgress(Struct, frozen=True, gc=False, kw_only=True):
    """How far the lookup of a Region is: ``calls`` of at most ``max_calls``, ``events`` that they returned.

    Of the time from ``since`` to ``until`` everything from ``reached`` on was read; None if that is not known
    yet. ``since`` is None if no start was asked for. ``newest`` are the newest calls so far, newest first.
    """

    region: str
    calls: int
    max_calls: int
    events: int
    since: datetime | None
    until: datetime
    reached: datetime | None
    newest: tuple[SeenCall, ...]


class Document(Struct, frozen=True, kw_only=True):
    """One container of records, as a source delivers it: its name and its bytes, in pieces.

    ``size`` is the number of stored bytes, if known beforehand. Reading ``chunks`` may raise ``OSError``;
    what was read until then counts. ``etag`` changes when the bytes do; None if the source has none.
    ``open`` opens the same bytes for random access, if the source can; it may raise ``OSError``.
    """

    uri: str
    size: int | None = None
    chunks: Iterator[bytes]
    etag: str | None = None
    open: Callable[[], BinaryIO] | None = None


class CannotOpen(Exception):
    """A reference cannot be opened, except by its source."""


class Reference(Struct, frozen=True, kw_only=True):
    """A document that was found and not opened, so that another process can open it: it can be pickled.

    ``size`` is the number of stored bytes. ``opens_slowly``: to open it means to wait for a server.
    """

    opens_slowly: ClassVar[bool] = False

    uri: str
    size: int
    etag: str

    def open(self) -> Document | Skipped | None:
        """Return the document, or why it cannot be read; None if it is no evidence.

        Raises ``CannotOpen`` if only the source itself can do it.
        """
        raise NotImplementedError


class Record(Struct, frozen=True, gc=False):
    """One candidate record: the JSON text of the record itself, without envelope.

    ``log_group`` is the log group of CloudWatch Logs that it comes from, if its envelope names it.
    """

    origins: tuple[Origin, ...]
    payload: bytes
    log_group: str | None = None


class StoredRecord(Record, frozen=True, gc=False):
    """A record from a store. Of pod evidence, the payload has only the facts that the store keeps.

    ``is_damaged``: the files of its origins were damaged, so that it may be altered.
    """

    is_damaged: bool = False


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


class LeasePeriod(Struct, frozen=True, gc=False, kw_only=True):
    """The time for which an answer shows who had an address: both ends included, None for no bound.

    With ``leases_only`` it shows the leases of the addresses that were asked for, and nothing else that their
    ENIs held.
    """

    start: datetime | None = None
    end: datetime | None = None
    leases_only: bool = False


class Scope(Struct, frozen=True, gc=False, kw_only=True):
    """What a source is asked for; it may deliver more, never less.

    Times are aware, both included, and are those of events. ``period`` is set if the answer is about
    ``enis``, ``instances`` or ``addresses``, shows nothing of other times, and this source is all evidence.
    ``managers``: it also shows what manages the ENIs and nodes.
    ``event_names`` are the relevant events.
    ``profile``, ``endpoint_url`` and ``request_payer`` are the AWS CLI's options; a Region may be ``all``.
    ``lag`` is the delay of LookupEvents, ``max_calls`` the maximum number of its calls per Region;
    ``newest`` is how many of the newest events are enough: a lookup by event name may stop once it has read
    them. ``delivery_lag`` is how long after an event its log file on S3 is still looked for. ``seen`` has
    (URI, etag) of documents that need not be delivered again. ``into`` is the path of the store that is being
    written, which is not evidence. ``growth`` limits the expansion of compressed files. ``workers`` is the
    number of processes that read files; None for as many as are useful.
    """

    since: datetime | None = None
    until: datetime | None = None
    regions: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    enis: tuple[str, ...] = ()
    addresses: tuple[IPv4Network | IPv6Network, ...] = ()
    period: LeasePeriod | None = None
    managers: bool = False
    profile: str | None = None
    endpoint_url: str | None = None
    event_names: tuple[str, ...] = ()
    lag: timedelta = timedelta(minutes=15)
    max_calls: int = 3600
    newest: int | None = None
    request_payer: str | None = None
    delivery_lag: timedelta = DELIVERY_LAG
    seen: Collection[tuple[str, str]] = frozenset()
    into: str | None = None
    growth: Growth = Growth()
    workers: int | None = None
    lookup_hints: LookupHints | None = None
    """What decode knows about LookupEvents: needed to read ``lookup:``."""
    engine: EngineOptions = EngineOptions()
    relevant_calls: RelevantCalls | None = None
    """What decode knows about which records matter: needed to read a table."""


class FormReport(Struct, frozen=True, gc=False, kw_only=True):
    """Counts of the records that have one form and one compression.

    ``form`` is a name in ``FORMS``. ``compression`` is how their files are compressed or packed, outermost
    first, such as ``("zip", "gzip")``; None if it is not known, because a store was merged into another one.
    A file with records of several forms counts in ``files`` of each.
    """

    form: str
    compression: tuple[str, ...] | None
    files: int
    records: int


class FileReport(Struct, frozen=True, gc=False, kw_only=True):
    """The counts of one file: an S3 object, a page of LookupEvents, or a member of an archive.

    ``forms`` has the number of records by form. ``kept`` is the number of events that no file before it had.
    ``other_kind`` is the kind of a file that is not CloudTrail's, such as ``vpc-flow-logs``.
    """

    source: str
    forms: Mapping[str, int]
    compression: tuple[str, ...]
    records: int
    kept: int
    other_kind: str | None = None


class StoredCounts(Struct, frozen=True, gc=False, kw_only=True):
    """Counts of what a source has and does not deliver; it gives them once, at its end.

    A store knows what was read into it, and delivers only what is asked for. ``passed_over`` are records
    that are not relevant; ``relevant`` are the events ``kept``, the ``duplicates`` of events, and what was
    ``unreadable``. ``signs`` and ``ends`` (the first and last event of each account and Region) are the times
    that it covers. ``uri`` and ``etag`` are as of a document. ``forms`` has all ``records``, ``rest`` has by
    form only those that are not delivered. ``first_files`` are the first files that were read into it,
    ``tables`` the tables, and ``table_parts`` how many of ``files`` are parts of these.
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
    rhythms: Mapping[AccountRegion, Rhythm] = {}
    """In place of the signs, if the source was asked alone (``Scope.period``)."""
    ends: tuple[Moment, ...]
    forms: tuple[FormReport, ...] = ()
    rest: Mapping[str, int] = {}
    other_files: Mapping[str, int] = {}
    first_files: tuple[FileReport, ...] = ()
    tables: tuple[str, ...] = ()
    table_parts: int = 0
    heard: Mapping[tuple[str, str], frozenset[str]] = {}
    """The minutes of which each file and form has records of pod evidence (see ``PodEvidence.heard``)."""


class SourceReport(Struct, frozen=True, gc=False, kw_only=True):
    """Counts of what was read from one source, for which four sums hold.

    ``files_found`` = ``files`` (those read) + ``files_skipped`` + all ``other_files`` (those that are not
    CloudTrail's, by kind). ``records`` = ``relevant`` + ``passed_over`` = the records of all ``forms``.
    ``relevant`` = ``kept`` + ``duplicates`` + ``records_skipped``: what could not be read may have been
    relevant. ``skipped`` is the number of its entries in ``Evidence.skipped``: files, records and parts of
    them. ``bytes`` are stored bytes (compressed, if the files are). ``engine`` is how a query engine read a
    table; None for any other source. ``table_parts`` of ``files`` are the accounts, Regions and days of
    tables, also in a store; their ``bytes`` are 0, as the engine reads the files (``engine.scanned_bytes``).
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
    forms: tuple[FormReport, ...] = ()
    other_files: Mapping[str, int] = {}
    engine: EngineReport | None = None
    table_parts: int = 0


MAX_FILES = 10_000
"""Maximum number of files that an answer lists one by one: a trail of a year has millions."""


class Evidence(Struct, frozen=True, gc=False, kw_only=True):
    """Everything that was read, and what was not; times are those of relevant events.

    ``verified`` means that integrity was checked with digests, ``faults`` are the files that failed.
    ``files`` are the first files that were read, up to ``MAX_FILES``; ``SourceReport.forms`` counts all.
    ``tables`` are the tables that were read, also those that a store was collected from. ``assumed_complete``
    is the user's statement that no event is missing, except those that could not be read.
    """

    sources: tuple[SourceReport, ...]
    first_event: datetime | None
    last_event: datetime | None
    coverage: tuple[Reach, ...]
    skipped: tuple[Skipped, ...]
    lost: tuple[Lost, ...] = ()
    verified: bool = False
    faults: tuple[Faulty, ...] = ()
    files: tuple[FileReport, ...] = ()
    tables: tuple[str, ...] = ()
    assumed_complete: bool = False
    pod_records: int = 0
    """Number of different records of pod evidence; ``first_pod_record`` and ``last_pod_record`` are the times
    of the first and the last of them."""
    first_pod_record: datetime | None = None
    last_pod_record: datetime | None = None
    flows: tuple[FlowReport, ...] = ()
    """What was read of flow logs, one for each source of them."""

    def whole_coverage(self) -> Coverage:
        """Return what the evidence covers, with everything that limits it."""
        losses = {source.uri: source.engine.losses for source in self.sources if source.engine is not None}
        return Coverage(
            self.coverage,
            self.lost,
            assumed_complete=self.assumed_complete,
            tables=tuple(UncheckedTable(uri, losses.get(uri, ())) for uri in self.tables),
        )
