"""JSON: one object, or a line for each entry. Field names are those of the values themselves."""

from collections.abc import Iterable, Iterator, Mapping

import orjson

from cnitrail.model import Evidence
from cnitrail.render.safe import printable_json

_OPTIONS = orjson.OPT_UTC_Z


def document(
    schema: str, query: Mapping[str, object], evidence: Evidence, entries: Iterable[object]
) -> Iterator[str]:
    """One object with ``schema``, ``query``, ``evidence`` and ``entries``."""
    whole = {"schema": schema, "query": query, "evidence": evidence, "entries": list(entries)}
    yield _text(whole, orjson.OPT_INDENT_2)


def lines(entries: Iterable[object]) -> Iterator[str]:
    """The entries alone, one a line."""
    return (_text(entry, 0) for entry in entries)


def _text(value: object, options: int) -> str:
    text = orjson.dumps(value, default=str, option=_OPTIONS | options | orjson.OPT_APPEND_NEWLINE)
    return printable_json(text.decode())
