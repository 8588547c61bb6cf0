"""Answers of tables and of the log files that they were made from, compared."""

import gzip
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES
from duck_engine import log_files
from msgspec.structs import replace

import cnitrail
from cnitrail import sources
from cnitrail.api import Case
from cnitrail.sources.sql.engine import Engine
from cnitrail.sources.sql.source import TableSource


def read_table(engine: Engine, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Case:
    """Read a table through an engine as the command line does."""
    kind = replace(sources._SCHEMES["athena://"], open=lambda _, scope: TableSource(engine, scope))
    monkeypatch.setitem(sources._SCHEMES, "athena://", kind)
    return cnitrail.read(engine.uri, **options)


def entries(values: Any) -> list[dict[str, Any]]:
    """Entries without where their records were found, and how the caller of a row is known."""
    return [_plain(entry) for entry in cnitrail.to_dicts(values)]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k not in ("origins", "basis", "index", "fidelity")}
    return [_plain(item) for item in value] if isinstance(value, list) else value


LOST: dict[str, tuple[str, ...]] = {
    "2016": ("ec2RoleDelivery", "webIdFederationData", "sessionCredentialFromConsole", "eventCategory"),
    "2022": ("sessionCredentialFromConsole",),
}
"""The fields of a record for which the tables of those years have no column."""


def without(value: Any, lost: tuple[str, ...]) -> Any:
    """A record without some fields, wherever they are."""
    if isinstance(value, dict):
        return {name: without(inner, lost) for name, inner in value.items() if name not in lost}
    return [without(item, lost) for item in value] if isinstance(value, list) else value


@lru_cache
def of_files(story: str, lost: tuple[str, ...], folder: Path) -> Case:
    """The answer from a story's log files, if their records had not some fields."""
    if not lost:
        return cnitrail.read(FIXTURES / story)
    for name, records in log_files(FIXTURES / story):
        path = folder / story / Path(name).relative_to(FIXTURES)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(json.dumps({"Records": without(records, lost)}).encode()))
    return cnitrail.read(folder / story)


def same_entries(table: Case, files: Case) -> None:
    """Assert that a table gives the answers of files."""
    assert entries(table.timeline()) == entries(files.timeline())
    assert entries(table.leases()) == entries(files.leases())
    assert entries(table.findings()) == entries(files.findings())


def same_answers(table: Case, files: Case) -> None:
    """Assert that a table gives the answers of files, and shows the same times to be logged."""
    same_entries(table, files)
    assert table.evidence.coverage == files.evidence.coverage
