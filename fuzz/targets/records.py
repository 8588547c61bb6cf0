"""Arbitrary records: decoded, and put into an envelope again."""

import json
from datetime import timedelta

from cnitrail.decode import decode as decoded_of
from cnitrail.decode.envelope import enveloped
from cnitrail.model import Origin, Record
from cnitrail.render.lookup_events import event_line
from fuzz.targets.invariants import is_harmless

ORIGIN = Origin("logs/=1+1\x1b[2J\u202e|<b>.json", 0)
"""The origin of all records: an attacker may also choose the name of a file."""


def decode(data: bytes) -> None:
    """Decoding never raises; a fact is complete, and its envelope is one line of JSON."""
    for payload in (data, *payloads(data)):
        record = Record((ORIGIN,), payload)
        decoded = decoded_of(record)
        assert decoded == decoded_of(record)
        assert all(problem for problem in decoded.problems)
        fact = decoded.fact
        if fact is None:
            continue
        assert fact.key
        assert fact.time.utcoffset() == timedelta()
        line = event_line(enveloped(record, fact))
        is_harmless(line)
        assert line.count("\n") == 1
        assert isinstance(json.loads(json.loads(line)["CloudTrailEvent"]), dict)


def payloads(data: bytes) -> list[bytes]:
    """Return the records of an array, each as its own text; empty if it is not an array."""
    try:
        records = json.loads(data)
    except (ValueError, RecursionError):
        return []
    if not isinstance(records, list):
        return []
    return [json.dumps(record).encode() for record in records]
