"""Flow log records with both ends as dictionaries, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnitrail.model import Skipped
    from cnitrail.model.flow_report import FlowReport
    from cnitrail.model.flows import FlowSummary
    from cnitrail.workflows.flows.run import FlowRun


class FlowRecords:
    """The records of some flow logs, in order, each a dictionary as a line of ``-o jsonl`` has it.

    They can be read once. What sums them up (``summary``, ``reports``, ``skipped``) is of those that were
    read so far.
    """

    def __init__(self, run: FlowRun) -> None:
        self._run = run
        self._records = self._read()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Return the records that were not read yet."""
        return self._records

    def __next__(self) -> dict[str, Any]:
        """Return the next record."""
        return next(self._records)

    def summary(self) -> FlowSummary:
        """Return who talked most, what was rejected, and how much has no certain name."""
        return self._run.tally.summary()

    @property
    def reports(self) -> tuple[FlowReport, ...]:
        """What was read of each source."""
        return tuple(self._run.reports)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What could not be read."""
        return tuple(self._run.skipped)

    def _read(self) -> Iterator[dict[str, Any]]:
        for text in self._run.texts():
            for line in text.splitlines():
                yield json.decode(line)
