"""The output formats of every command, with the function of this room that writes each of them.

A function takes an ``Answer`` (a ``VerifyAnswer`` for ``verify``) and the stream to write to. The records of
``flows`` are written one by one as they are read: a ``LineWriter`` does that. The first format of a command
is its default. Functions are imported when they are needed, to start up fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from cnitrail.model import Answer, VerifyAnswer
    from cnitrail.render.flows import OpenWriter

    Write = Callable[[Answer[Any] | VerifyAnswer, IO[str]], None]

OUTPUTS = {
    "timeline": {
        "table": "timeline:write_table",
        "wide": "timeline:write_wide",
        "json": "json:write_document",
        "jsonl": "json:write_lines",
        "yaml": "yaml:write_document",
        "csv": "timeline:write_csv",
        "timesketch": "timesketch:write_timeline",
        "perfetto": "perfetto:write_trace",
    },
    "who": {
        "table": "who:write_table",
        "json": "json:write_document",
        "jsonl": "json:write_lines",
        "yaml": "yaml:write_document",
        "csv": "who:write_csv",
    },
    "flows": {
        "table": "flows.summary:write_table",
        "csv": "flows.csv_lines:CsvLines",
        "jsonl": "flows.json_lines:JsonLines",
        "parquet": "flows.json_lines:JsonLines",
        "json": "json:write_document",
        "yaml": "yaml:write_document",
    },
    "leases": {
        "table": "leases:write_table",
        "wide": "leases:write_wide",
        "json": "json:write_document",
        "jsonl": "json:write_lines",
        "yaml": "yaml:write_document",
        "csv": "leases:write_csv",
        "timesketch": "timesketch:write_leases",
        "parquet": "lease_table:write_parquet",
    },
    "findings": {
        "table": "findings:write_table",
        "json": "findings:write_document",
        "jsonl": "findings:write_lines",
        "yaml": "yaml:write_document",
        "csv": "findings:write_csv",
        "sarif": "sarif:write",
        "ocsf": "ocsf:write",
    },
    "doctor": {
        "table": "doctor:write_table",
        "json": "doctor:write_document",
        "jsonl": "json:write_lines",
        "yaml": "yaml:write_document",
        "md": "doctor:write_markdown",
    },
    "explain": {
        "table": "explain:write_table",
        "md": "explain:write_markdown",
        "json": "json:write_document",
        "jsonl": "json:write_lines",
        "yaml": "yaml:write_document",
    },
    "state": {
        "table": "state:write_table",
        "wide": "state:write_wide",
        "json": "json:write_document",
        "jsonl": "json:write_lines",
        "yaml": "yaml:write_document",
        "csv": "state:write_csv",
    },
    "subnet": {
        "table": "subnet:write_table",
        "json": "json:write_document",
        "jsonl": "json:write_lines",
        "yaml": "yaml:write_document",
        "csv": "subnet:write_csv",
    },
    "pods": {
        "table": "pods:write_table",
        "wide": "pods:write_wide",
        "json": "json:write_document",
        "jsonl": "json:write_lines",
        "yaml": "yaml:write_document",
        "csv": "pods:write_csv",
    },
    "pool": {
        "table": "pool:write_table",
        "json": "json:write_document",
        "jsonl": "json:write_lines",
        "yaml": "yaml:write_document",
        "csv": "pool:write_csv",
    },
    "verify": {
        "table": "verify:write_table",
        "json": "verify:write_document",
        "jsonl": "verify:write_lines",
        "yaml": "yaml:write_document",
    },
    "report": {
        "md": "report.markdown:write",
        "html": "report.html:write",
        "summary": "report.ticket_summary:write",
    },
}


RECORD_OUTPUTS = ("csv", "jsonl", "parquet")
"""The formats in which ``flows`` writes records; the others are of a summary."""


def writer(command: str, output: str) -> Write:
    """Return the function that writes this format of a command's answer."""
    write: Write = _named(OUTPUTS[command][output])
    return write


def line_writer(output: str) -> OpenWriter:
    """Return what writes the records of ``flows`` in one of ``RECORD_OUTPUTS``."""
    write: OpenWriter = _named(OUTPUTS["flows"][output])
    return write


def _named(name: str) -> Any:
    module, attribute = name.split(":")
    return getattr(import_module(f"cnitrail.render.{module}"), attribute)
