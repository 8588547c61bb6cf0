"""Citations as they are printed: E7 for an event, F2 for a file."""

from collections.abc import Collection, Sequence
from itertools import takewhile

from msgspec import Struct

from cnitrail.model import Citation

_RANGES = 4
"""Maximum number of ranges that are cited in one place; of more, the page gives the number of events."""


class CitationRange(Struct, frozen=True):
    """Events with consecutive numbers, from ``first`` to ``last``."""

    first: int
    last: int


class CitedRanges(Struct, frozen=True):
    """The citations of one place: a few ranges, and the number of further events."""

    ranges: tuple[CitationRange, ...]
    more: int


class ListedEvent(Struct, frozen=True):
    """An event in the list of cited events: its number, and where it is (file number, record number)."""

    number: int
    citation: Citation
    places: tuple[tuple[int, int], ...]


class CitedFiles(Struct, frozen=True):
    """The cited files, F1 first: the folder that they share, and their names in it."""

    folder: str
    names: tuple[str, ...]


class CitationCollector:
    """Makes citations, and remembers which events and files were cited.

    ``most`` is the number of events up to which all are listed: of E2 to E6, a reader looks for E4, too.
    """

    def __init__(self, events: Sequence[Citation], most: int) -> None:
        self._events = events
        self._cited: set[int] = set(range(1, len(events) + 1)) if len(events) <= most else set()

    def cite(self, numbers: Sequence[int | None]) -> CitedRanges:
        """Return events as they are cited behind a statement; None is no event."""
        ranges: list[list[int]] = []
        ordered = sorted({number for number in numbers if number is not None})
        more = 0
        for place, number in enumerate(ordered):
            if ranges and ranges[-1][1] == number - 1:
                ranges[-1][1] = number
            elif len(ranges) < _RANGES:
                ranges.append([number, number])
            else:
                more = len(ordered) - place
                break
        self._cited.update(number for bounds in ranges for number in bounds)
        return CitedRanges(tuple(CitationRange(*bounds) for bounds in ranges), more)

    def listed(self) -> tuple[list[ListedEvent], CitedFiles]:
        """Return the events to list, by number, and the files that have them, by theirs."""
        files: dict[str, int] = {}
        events = []
        for number in sorted(self._cited):
            citation = self._events[number - 1]
            places = tuple(
                (files.setdefault(origin.source, len(files) + 1), origin.index) for origin in citation.origins
            )
            events.append(ListedEvent(number, citation, places))
        folder = _folder(files) if len(files) > 1 else ""
        return events, CitedFiles(folder, tuple(file.removeprefix(folder) for file in files))


def _folder(files: Collection[str]) -> str:
    """Return the folder that files share, with its slash; empty if they share none."""
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(min(files), max(files), strict=False))
    return "".join("".join(character for character, _ in shared).rpartition("/")[:2])
