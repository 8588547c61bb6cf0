"""A query in Athena, as GetQueryExecution returns it.

https://docs.aws.amazon.com/athena/latest/APIReference/API_QueryExecution.html
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from cnitrail.sources.sql.athena_uri import DEFAULT_CATALOG


class Execution(Struct, frozen=True, kw_only=True):
    """What GetQueryExecution returns about a query."""

    query: str
    statement: str
    catalog: str
    state: str
    reason: str
    is_retryable: bool
    scanned_bytes: int
    seconds: float
    is_reused: bool
    submitted: datetime | None

    @property
    def has_ended(self) -> bool:
        """Whether the state is a final one."""
        return self.state in ("SUCCEEDED", "FAILED", "CANCELLED")


def execution_of(answer: Mapping[str, Any], query: str) -> Execution:
    """Return what GetQueryExecution answered. Raises ``ValueError`` for a state that does not exist."""
    status, statistics = answer["Status"], answer.get("Statistics") or {}
    error = status.get("AthenaError") or {}
    if status["State"] not in ("QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"):
        raise ValueError(f"the state of query {query} is {status['State']}")
    return Execution(
        query=query,
        statement=str(answer.get("Query") or ""),
        catalog=str((answer.get("QueryExecutionContext") or {}).get("Catalog") or DEFAULT_CATALOG),
        state=status["State"],
        reason=str(status.get("StateChangeReason") or error.get("ErrorMessage") or ""),
        is_retryable=bool(error.get("Retryable")),
        scanned_bytes=int(statistics.get("DataScannedInBytes") or 0),
        seconds=int(statistics.get("EngineExecutionTimeInMillis") or 0) / 1000,
        is_reused=bool((statistics.get("ResultReuseInformation") or {}).get("ReusedPreviousResult")),
        submitted=status.get("SubmissionDateTime"),
    )
