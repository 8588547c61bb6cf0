"""Citations as they are printed: E7 for an event, F2 for a file."""

from collections.abc import Collection, Sequence
from itertools import takewhile

from msgspec import Struct

from cnitrail.model import Citation

_RUNS = 4
"""So many runs of events are named in one place; of more, their number."""


class CitationRange(Struct, frozen=True):
    """Events whose numbers follow each other, from ``first`` to ``last``."""

    first: int
    last: int


class Cited(Struct, frozen=True):
    """What stands at one place: a few runs, and how many events more."""

    runs: tuple[CitationRange, ...]
    more: int


class ListedEvent(Struct, frozen=True):
    """An event in the list of those that are cited: its number, and (file number, place in it)."""

    number: int
    citation: Citation
    places: tuple[tuple[int, int], ...]


class Files(Struct, frozen=True):
    """The files that are cited, F1 first: the folder that they share, and their names in it."""

    root: str
    names: tuple[str, ...]


class Citing:
    """Hands out citations, and knows at the end which events and files were cited."""

    def __init__(self, events: Sequence[Citation]) -> None:
        self._events = events
        self._cited: set[int] = set()

    def cite(self, numbers: Sequence[int | None]) -> Cited:
        """Events as they stand behind a statement; None stands for no event."""
        runs: list[list[int]] = []
        for number in sorted({number for number in numbers if number is not None}):
            if runs and runs[-1][1] == number - 1:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        self._cited.update(number for run in runs[:_RUNS] for number in run)
        more = sum(last - first + 1 for first, last in runs[_RUNS:])
        return Cited(tuple(CitationRange(*run) for run in runs[:_RUNS]), more)

    def listed(self) -> tuple[list[ListedEvent], Files]:
        """Every event that was cited, by its number, and the files that they are in, by theirs."""
        files: dict[str, int] = {}
        events = []
        for number in sorted(self._cited):
            citation = self._events[number - 1]
            places = tuple(
                (files.setdefault(each.source, len(files) + 1), each.index) for each in citation.origins
            )
            events.append(ListedEvent(number, citation, places))
        folder = _folder(files) if len(files) > 1 else ""
        return events, Files(folder, tuple(file.removeprefix(folder) for file in files))


def _folder(files: Collection[str]) -> str:
    """The folder that files share, with its slash; empty where they share none."""
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(min(files), max(files), strict=False))
    return "".join("".join(sign for sign, _ in shared).rpartition("/")[:2])
