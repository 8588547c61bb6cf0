"""JSON: one object, or one line for each entry. Field names are those of the model."""

from itertools import islice
from typing import IO, Any

import msgspec

from cnitrail.model import Answer
from cnitrail.render.safe import printable_json

_ENCODER = msgspec.json.Encoder(enc_hook=str)
_AT_ONCE = 200
"""Entries that are encoded and written at once."""


def write_document(answer: Answer[Any], out: IO[str]) -> None:
    """Write one object with ``schema``, ``query``, ``evidence``, ``limitations`` and ``entries``."""
    whole = {
        "schema": f"cnitrail/{answer.command}/v1",
        "query": answer.query,
        "evidence": answer.evidence,
        "limitations": answer.limitations,
        "entries": answer.entries,
    }
    out.write(document(whole))


def document(whole: object) -> str:
    """Return a value as indented JSON."""
    return _text(msgspec.json.format(_ENCODER.encode(whole), indent=2)) + "\n"


def write_lines(answer: Answer[Any], out: IO[str]) -> None:
    """Write only the entries, one per line."""
    remaining = iter(answer.entries)
    while entries := list(islice(remaining, _AT_ONCE)):
        out.write(_text(_ENCODER.encode_lines(entries)))


def line(value: object) -> str:
    """Return a value as one line of JSON."""
    return _text(_ENCODER.encode(value)) + "\n"


def _text(encoded: bytes) -> str:
    return printable_json(encoded.decode())
