"""The bytes of a log file → its few relevant records, each with where it was found.

A document is decompressed and split into records without parsing them; only the records that contain
the name of a relevant event are yielded. No more than one record is kept in memory, so a file may have
any size. What cannot be read becomes a ``Skipped``; everything around it is still read.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from cnitrail.model import TRAIL, Document, Extent, Growth, Origin, Record, Skipped
from cnitrail.scan.canonical import CLOSING, NEXT, OPENING, CanonicalScanner
from cnitrail.scan.containers import Meter, Part, raise_mmap_threshold, unpack
from cnitrail.scan.multisearch import Bytes, NameSearch, name_search
from cnitrail.scan.pieces import TornRest, whole_block
from cnitrail.scan.tally import Tally

__all__ = ["Part", "Scanner", "Tally"]


class Scanner:
    """Finds the records of certain events.

    ``names`` are event names; ``markers`` are further texts that make a record relevant (the service that
    calls AssumeRole, for instance: the event name alone is in a tenth of all records). A scanner may find
    too much, never too little: an ASCII letter, digit, dot or hyphen written as a JSON escape counts as a
    match. ``growth`` bounds how far compressed files may expand. ``pod_markers`` returns texts that make a
    record of pod evidence relevant; a trail's own log files have none. Thread-safe.
    """

    def __init__(
        self,
        names: Iterable[str],
        markers: Iterable[str] = (),
        growth: Growth = Growth(),  # noqa: B008
        pod_markers: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._names, self._markers = sorted(names), sorted(markers)
        self._pod_markers = pod_markers
        self._canonical = CanonicalScanner(self._names, self._markers)
        self._growth = growth
        raise_mmap_threshold()

    @cached_property
    def _search(self) -> NameSearch:
        """The search in other forms than the trail's, which takes as long to prepare as a small file."""
        return name_search(self._names, self._markers)

    @cached_property
    def _pod_search(self) -> NameSearch:
        """The search in pod evidence, which is prepared only if there is any."""
        return name_search((), self._pod_markers())

    def parts(self, document: Document) -> Iterator[tuple[Part, Tally]]:
        """Yield each text in a document, with a tally: one, or one for each member of an archive.

        The stored bytes of a text are in its tally when the next text is asked for, or the end.
        """
        meter = Meter(growth=self._growth)
        counted = 0
        for part in unpack(document, meter):
            tally = Tally(compression=part.compression)
            yield part, tally
            tally.bytes, counted = meter.read - counted, meter.read
        tally.bytes += meter.read - counted

    def scan(self, part: Part, tally: Tally, *, signs: bool = False) -> Iterator[Record | Skipped]:
        """Yield the relevant records of a text, and what could not be read of it.

        With ``signs``, add the account, Region and minute of all other records to the tally.
        """
        index = 0
        text, more = whole_block(b"", part.pieces)
        while (end := _end_of_records(text, more)) > 0:
            checked = part.checked and not isinstance(more, TornRest)
            whole = text if more is None else text[:end]
            found = self._canonical.find(whole, end, checked=checked, last=more is None, signs=signs)
            if found is None:
                break
            tally.records += found.records
            tally.passed_over += found.records - len(found.hits)
            tally.forms[TRAIL] = tally.forms.get(TRAIL, 0) + found.records
            tally.signs |= found.signs
            for number, payload in found.hits:
                yield Record((Origin(part.uri, index + number),), payload)
            if more is None:
                return
            index += found.records
            text, more = whole_block(OPENING + text[end + 1 :], more)
        if text or more is not None or part.compression:
            from cnitrail.scan.any_form import scan_any_form

            yield from scan_any_form(
                part,
                text,
                more,
                self._search,
                lambda: self._pod_search,
                self._growth,
                tally,
                index=index,
                signs=signs,
            )
            return
        from cnitrail.scan.other_files import kind_of_other_file

        tally.other_kind = kind_of_other_file(part.uri, b"")
        if tally.other_kind is None:
            yield Skipped(part.uri, "the file is empty", Extent.PART)


def _end_of_records(text: Bytes, more: Iterator[Bytes] | None) -> int:
    """Return the offset at which the last whole record ends; 0 if CloudTrail does not write such a text."""
    if not text.startswith(OPENING):
        return 0
    if more is not None:
        return text.rfind(NEXT) + 1
    return len(text) - len(CLOSING) if text.endswith(b"}" + CLOSING) else 0
