"""JSON: one object, or one line for each entry. Field names are those of the model."""

from functools import lru_cache
from ipaddress import IPv4Address
from itertools import islice
from typing import IO, Any

import msgspec

from cnitrail.model import Answer
from cnitrail.render.safe import printable_json


def _shown(value: object) -> str:
    """Return a value that JSON has no form for as text: an address, mostly."""
    return _address(int(value)) if isinstance(value, IPv4Address) else str(value)


@lru_cache(maxsize=1 << 16)
def _address(number: int) -> str:
    """Return an IPv4 address as text, which takes longer than to look it up again by its number."""
    return str(IPv4Address(number))


_ENCODER = msgspec.json.Encoder(enc_hook=_shown)
_AT_ONCE = 200
"""Entries that are encoded and written at once."""


def write_document(answer: Answer[Any], out: IO[str]) -> None:
    """Write one object with ``schema``, ``query``, ``evidence``, ``limitations`` and ``entries``."""
    whole = {
        "schema": f"cnitrail/{answer.command}/v1",
        "query": answer.query,
        "evidence": answer.evidence,
        "limitations": answer.limitations,
        "entries": (),
    }
    head = document(whole)
    entries = iter(answer.entries)
    first = next(entries, None)
    if first is None:
        out.write(head)
        return
    out.write(head.removesuffix("]\n}\n") + "\n    " + _indented(first))
    for entry in entries:
        out.write(",\n    " + _indented(entry))
    out.write("\n  ]\n}\n")


def _indented(entry: object) -> str:
    """Return an entry as it is inside a document."""
    return document(entry).removesuffix("\n").replace("\n", "\n    ")


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
