"""cnitrail's scan alone: `bare_scan.py DIR NAMES THREADS` prints id, time and name of the relevant events."""

import sys
from collections.abc import Iterator
from functools import partial

import msgspec

from cnitrail.ahead import ahead
from cnitrail.decode import MARKERS, NAMES
from cnitrail.model import Document, Record, Scope
from cnitrail.scan import Scanner, Tally
from cnitrail.sources import open_source


class Event(msgspec.Struct, rename={"id": "eventID", "time": "eventTime", "name": "eventName"}):
    """What is printed of a record."""

    id: str
    time: str
    name: str


def scanned(directory: str, threads: int) -> Iterator[Record]:
    """The records that the scan of a directory hands on."""
    documents = open_source(directory, Scope()).documents()
    work = partial(_records, Scanner(NAMES, MARKERS))
    if threads == 1:
        for document in documents:
            yield from work(document)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        for _, done in ahead(pool, work, documents, most=threads + 1):
            yield from done.result()


def _records(scanner: Scanner, document: object) -> list[Record]:
    assert isinstance(document, Document), document
    found = list(scanner.scan(document, Tally()))
    assert all(isinstance(each, Record) for each in found), found
    return [each for each in found if isinstance(each, Record)]


def main(directory: str, _names: str, threads: str) -> None:
    """Prints those whose name is one of the relevant: a scan may find too much."""
    decoder = msgspec.json.Decoder(Event)
    names = frozenset(NAMES)
    for record in scanned(directory, int(threads)):
        event = decoder.decode(record.payload)
        if event.name in names:
            print(event.id, event.time, event.name, sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
