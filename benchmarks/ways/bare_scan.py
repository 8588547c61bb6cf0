"""cnitrail's scan alone: `bare_scan.py DIR NAMES THREADS` prints ID, time and name of the relevant events."""

import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice

import msgspec

from cnitrail.decode import MARKERS, NAMES
from cnitrail.model import Document, Record, Scope
from cnitrail.prefetch import prefetch
from cnitrail.scan import Scanner
from cnitrail.sources import open_source

TOGETHER = 8
"""Number of documents per batch of a thread, as in the command line."""


class Event(msgspec.Struct, rename={"id": "eventID", "time": "eventTime", "name": "eventName"}):
    """The printed fields of a record."""

    id: str
    time: str
    name: str


def scanned(directory: str, threads: int) -> Iterator[Record]:
    """Yield the records that the scan of a directory finds."""
    documents = open_source(directory, Scope()).documents()
    work = partial(_records, Scanner(NAMES, MARKERS))
    batches = iter(lambda: list(islice(documents, TOGETHER)), [])
    if threads == 1:
        for batch in batches:
            yield from work(batch)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        for _, done in prefetch(pool, work, batches, most=threads + 1):
            yield from done.result()


def _records(scanner: Scanner, batch: list[object]) -> list[Record]:
    records = []
    for document in batch:
        assert isinstance(document, Document), document
        for part, tally in scanner.parts(document):
            for found in scanner.scan(part, tally):
                assert isinstance(found, Record), found
                records.append(found)
    return records


def main(directory: str, asked_for: str, threads: str) -> None:
    """Print the relevant events: a scan may find too much."""
    decoder = msgspec.json.Decoder(Event)
    names = frozenset(asked_for.split("|"))
    for record in scanned(directory, int(threads)):
        event = decoder.decode(record.payload)
        if event.name in names:
            print(event.id, event.time, event.name, sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
