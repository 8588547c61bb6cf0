"""Measures the stages of `timeline -o jsonl`: `python benchmarks/stages.py [--files N] [--store N]`.

The input has only relevant events, in log files (100 records each, gzipped) and in a store, to show what
comes after the scan: in real logs, where 1% of the records are relevant, the scan takes most of the time.
Prints CPU seconds of one process per source, and each stage's share.
"""

import argparse
import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

from history import synthetic_records

from cnitrail.answers.filters import Filter
from cnitrail.answers.timeline import timeline
from cnitrail.decode import MARKERS, NAMES, decode
from cnitrail.history import Ledger, build, cover
from cnitrail.model import Document, Origin, Record, Scope
from cnitrail.render.json import line
from cnitrail.scan import Scanner
from cnitrail.sources import open_source
from cnitrail.store.writer import StoreWriter
from cnitrail.workflows.index_entry import index_entry

RECORDS_IN_A_FILE = 100


def write_files(folder: str, events: int) -> str:
    """Write a directory of log files."""
    records = synthetic_records(events)
    number = 0
    while together := list(islice(records, RECORDS_IN_A_FILE)):
        text = b'{"Records":[' + b",".join(together) + b"]}"
        Path(folder, f"{number:06}.json.gz").write_bytes(gzip.compress(text, 1))
        number += 1
    return folder


def write_store(folder: str, events: int) -> str:
    """Write a store."""
    path = os.path.join(folder, "trail.db")
    with StoreWriter(path, lambda: None) as store:
        for number, payload in enumerate(synthetic_records(events)):
            file, position = divmod(number, RECORDS_IN_A_FILE)
            record = Record((Origin(f"s3://trail/{file:06}.json.gz", position),), payload)
            entry = index_entry(record, decode(record))
            assert entry is not None
            store.add(record, entry)
    return path


def found(source: str) -> Iterator[Record]:
    """Yield the relevant records of a source."""
    scanner = Scanner(NAMES, MARKERS)
    for delivered in open_source(source, Scope(event_names=NAMES)).documents():
        if isinstance(delivered, Document):
            for part, tally in scanner.parts(delivered):
                for record in scanner.scan(part, tally):
                    assert isinstance(record, Record)
                    yield record
        elif isinstance(delivered, Record):
            yield delivered


def measure(source: str) -> dict[str, float]:
    """Return the CPU seconds of each stage."""
    times = [process_time()]

    def over() -> None:
        times.append(process_time())

    records = list(found(source))
    over()
    facts = [decode(record).fact for record in records]
    over()
    ledger = Ledger()
    for fact in facts:
        assert fact is not None
        ledger.add(fact)
    history = build(ledger.events(), ledger.sessions())
    cover((), history.events)
    over()
    entries = list(timeline(history, Filter()))
    over()
    with open(os.devnull, "w") as out:
        out.writelines(map(line, entries))
    over()
    names = ("scan", "decode", "history", "answer", "render")
    return {name: late - early for name, (early, late) in zip(names, pairwise(times), strict=True)}


def main() -> None:
    """Measure each source in its own process, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--store", type=int, default=1_000_000)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        stages = measure(asked.measure)
        whole = sum(stages.values())
        shares = " | ".join(f"{seconds / whole:.0%}" for seconds in stages.values())
        print(f"| {shares} | {whole:.1f} |")
        return
    print("| events | scan | decode | history | answer | render | whole, CPU s |")
    print("|---|---|---|---|---|---|---|")
    for events, write in ((asked.files, write_files), (asked.store, write_store)):
        with TemporaryDirectory() as folder:
            print(f"| {events:,} from {'files' if write is write_files else 'a store'} ", end="", flush=True)
            subprocess.run([sys.executable, __file__, "--measure", write(folder, events)], check=True)


if __name__ == "__main__":
    main()
