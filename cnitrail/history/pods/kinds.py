"""Records of pod evidence by what is in them: each part of the history reads a few kinds of facts."""

from collections.abc import Sequence
from typing import Any

from cnitrail.model.pod_facts import PodRecord


class RecordsByKind:
    """Records, in their order, by the kinds of their facts."""

    def __init__(self, records: Sequence[PodRecord]) -> None:
        self._records = records
        self._places: dict[frozenset[type[Any]], list[int]] = {}
        for place, record in enumerate(records):
            self._places.setdefault(frozenset(map(type, record.facts)), []).append(place)

    def having(self, *kinds: type[Any]) -> list[PodRecord]:
        """Return the records with a fact of one of some kinds, in order."""
        found = (places for known, places in self._places.items() if not known.isdisjoint(kinds))
        return [self._records[place] for place in sorted(place for places in found for place in places)]
