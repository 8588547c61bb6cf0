"""The original records of events, kept on disk while the sources are read: ``timeline --raw``."""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from cnitrail.decode import decode
from cnitrail.jsontext import well_formed
from cnitrail.model import Event, Fidelity, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cnitrail.model import IssuedSession, Origin

_IN_MEMORY = 16 * 1024 * 1024
"""Bytes of records from which on they are written to disk."""

_MAX_COPIES = 100
"""Different records of one event that are kept: a hostile file may hold a million."""


class _Kept(Struct, frozen=True):
    """A record: where it is in the file, a hash of it, and where it was found."""

    offset: int
    length: int
    digest: int
    origins: tuple[Origin, ...]


class RawRecord(Struct, frozen=True):
    """The record of an event as one line of JSON; ``whole`` if that is what CloudTrail wrote."""

    line: str
    whole: bool


class RawRecords:
    """The different records of every event; only their positions are in memory."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  closed by __exit__
        self._size = 0
        self._kept: dict[str, list[_Kept]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, record: Record, fact: Event | IssuedSession) -> None:
        """Keep the record of an event."""
        if not isinstance(fact, Event):
            return
        kept = self._kept.setdefault(fact.key, [])
        digest = hash((record.payload, record.origins[0].form))
        if len(kept) >= _MAX_COPIES or any(copy.digest == digest for copy in kept):
            return
        self._file.seek(self._size)
        self._file.write(record.payload)
        kept.append(_Kept(self._size, len(record.payload), digest, record.origins))
        self._size += len(record.payload)

    def of(self, events: Iterable[Event]) -> Iterator[RawRecord]:
        """Yield one record for each event: the one that the history has it from."""
        for event in events:
            records = map(self._record, self._kept[event.key])
            yield _raw(
                next((record for record in records if _is_of(record, event)), None) or self._first(event)
            )

    def _first(self, event: Event) -> Record:
        return self._record(self._kept[event.key][0])

    def _record(self, kept: _Kept) -> Record:
        self._file.seek(kept.offset)
        return Record(kept.origins, self._file.read(kept.length))


def _is_of(record: Record, event: Event) -> bool:
    """Return whether a record has the very content of an event; several records of it may differ."""
    fact = decode(record).fact
    return isinstance(fact, Event) and event == replace(
        fact, origins=event.origins, damaged=event.damaged, disputed=event.disputed, actor=event.actor
    )


def _raw(record: Record) -> RawRecord:
    """Return a record on one line; all else stays as CloudTrail wrote it, unless that is no valid JSON."""
    text = well_formed(record.payload)
    fact = decode(record).fact
    is_whole = text is record.payload and fact is not None and fact.fidelity is Fidelity.RAW
    if b"\n" in text or b"\r" in text:
        text = msgspec.json.format(text, indent=-1)
    return RawRecord(text.decode(), is_whole)
