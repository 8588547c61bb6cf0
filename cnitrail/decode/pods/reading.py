"""What a reader of pod evidence returns."""

from datetime import datetime

from msgspec import Struct

from cnitrail.model.pod_facts import PodFact


class PodReading(Struct, frozen=True, kw_only=True):
    """The facts in a record, its time (aware, UTC), and what could not be read of it.

    ``whole_second``: the time is any in its second, because the record writes no fraction.
    ``identity`` is the ID that all copies of the record have, however they were written; None if it has none.
    """

    time: datetime | None = None
    facts: tuple[PodFact, ...] = ()
    problems: tuple[str, ...] = ()
    cluster: str | None = None
    truncated: bool = False
    whole_second: bool = False
    identity: str | None = None


NOTHING = PodReading()
"""Of a record that says nothing about pods."""
