"""DuckDB in the role of Athena: queries take their time, have a price, and are known to have been stopped.

``billed_engine.py STORY LOG PHASE SECONDS ARGUMENT…`` runs a command line with such an engine as ``athena://``:
it pauses so long in a phase (queued, running, fetching), and logs what its engine is asked for.
"""

import signal
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from duck_engine import TABLE_NOW, DuckEngine, description, log_files
from msgspec.structs import replace

from cnitrail import sources
from cnitrail.model.table import QueryProgress, QueryState
from cnitrail.sources.sql.description import TableDescription
from cnitrail.sources.sql.engine import Cells, QueryResult
from cnitrail.sources.sql.source import TableSource

FIXTURES = Path(__file__).parents[1] / "fixtures"
QUERY = "1c0a-77"
GB = 10**9


class BilledEngine(DuckEngine):
    """An engine that says it is Athena, and scans 1 GB a step and 3 GB in all."""

    name = "athena"

    def __init__(
        self,
        table: TableDescription,
        rows: Iterator[tuple[str, dict[str, object]]],
        pauses: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(table, rows)
        self.asked: list[str] = []
        self.rows_of_answer: int | None = None
        self.is_reused = False
        self.scanned = 3 * GB
        self._pauses = pauses or {}

    def log(self, what: str) -> None:
        self.asked.append(what)

    def pause(self, phase: str) -> None:
        time.sleep(self._pauses.get(phase, 0.0))

    def run(self, statement: str) -> Iterator[QueryProgress]:
        for _ in super().run(statement):  # first: a signal would interrupt DuckDB
            pass
        self.log("run")
        yield QueryProgress(state=QueryState.QUEUED, query=QUERY, elapsed=timedelta(seconds=1))
        self.pause("queued")
        for step in range(1, 3):
            yield QueryProgress(
                state=QueryState.RUNNING,
                query=QUERY,
                elapsed=timedelta(seconds=20 * step),
                scanned_bytes=step * GB,
            )
            self.pause("running")

    def result(self) -> QueryResult:
        return QueryResult(
            query=QUERY,
            statement=self.statement,
            rows=self.rows_of_answer,
            scanned_bytes=self.scanned,
            seconds=48.2,
            is_reused=self.is_reused,
        )

    def rows(self) -> Iterator[Cells]:
        self.log("rows")
        self.pause("fetching")
        return super().rows()

    def stop(self) -> None:
        self.log("stop")

    def close(self) -> None:
        self.log("close")


def billed_engine(
    story: str,
    *,
    pauses: Mapping[str, float] | None = None,
    partitions: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
) -> BilledEngine:
    """An engine whose table has the log files of a story."""
    table = replace(description(TABLE_NOW, partitions), properties=properties or {})
    rows = (
        (path, {name.lower(): value for name, value in record.items()})
        for path, records in log_files(FIXTURES / story)
        for record in records
    )
    return BilledEngine(table, rows, pauses)


def serve(engine: DuckEngine, patch: pytest.MonkeyPatch) -> None:
    """Let ``athena://`` be this engine."""
    kind = replace(
        sources._SCHEMES["athena://"],
        open=lambda uri, scope: TableSource(engine, scope, is_resumed="?query=" in uri),
    )
    patch.setitem(sources._SCHEMES, "athena://", kind)


def main() -> None:
    from cnitrail.__main__ import run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    story, log, phase, seconds, *arguments = sys.argv[1:]
    engine = billed_engine(story, pauses={phase: float(seconds)})

    def to_file(what: str) -> None:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{what}\n")

    engine.log = to_file  # type: ignore[method-assign]
    serve(engine, pytest.MonkeyPatch())
    sys.argv = ["cnitrail", *arguments]
    run()


if __name__ == "__main__":
    main()
