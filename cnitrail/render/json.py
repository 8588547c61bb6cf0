"""JSON: one object, or a line for each entry. Field names are those of the values themselves."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from cnitrail.model import Evidence
from cnitrail.render.safe import printable_json

_ENCODER = msgspec.json.Encoder(enc_hook=str)


def document(
    schema: str, query: Mapping[str, object], evidence: Evidence, entries: Iterable[object]
) -> Iterator[str]:
    """One object with ``schema``, ``query``, ``evidence`` and ``entries``."""
    whole = {"schema": schema, "query": query, "evidence": evidence, "entries": list(entries)}
    yield _text(msgspec.json.format(_ENCODER.encode(whole), indent=2))


def lines(entries: Iterable[object]) -> Iterator[str]:
    """The entries alone, one a line."""
    return (_text(_ENCODER.encode(entry)) for entry in entries)


def _text(encoded: bytes) -> str:
    return printable_json(encoded.decode()) + "\n"
