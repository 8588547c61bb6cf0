"""Reports on many calls, for tests of any size."""

import json
from io import StringIO

from crowd import crowd
from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.answers.report import report
from cnitrail.decode import decode
from cnitrail.history import Ledger, build, cover
from cnitrail.model import Answer, Evidence, Origin, Record, Report
from cnitrail.render.writers import writer

EVIDENCE = Evidence(sources=(), first_event=None, last_event=None, coverage=(), skipped=())


def crowd_of(size: int) -> Report:
    """Return the report on a number of calls."""
    ledger = Ledger()
    for path, index, record in crowd(size):
        fact = decode(Record((Origin(path, index),), json.dumps(record).encode())).fact
        assert fact is not None
        ledger.add(fact)
    events = ledger.events()
    return report(build(events), replace(EVIDENCE, coverage=cover((), events).reaches), Filter())


def written(found: Report, output: str) -> str:
    """Return a report as the command prints it."""
    out = StringIO()
    query = {"command": "report", "sources": ("logs",)}
    writer("report", output)(Answer(command="report", query=query, evidence=EVIDENCE, entries=[found]), out)
    return out.getvalue()
