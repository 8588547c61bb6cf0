"""cnitrail's scan alone: `bare_scan.py DIR NAMES WORKERS` prints ID, time and name of the relevant events."""

import sys
from collections.abc import Iterator

import msgspec

from cnitrail.model import Growth, Record, Scope
from cnitrail.sources import open_source
from cnitrail.workflows.scan_pool import ReadDocument, ScanPool


class Event(msgspec.Struct, rename={"id": "eventID", "time": "eventTime", "name": "eventName"}):
    """The printed fields of a record."""

    id: str
    time: str
    name: str


def scanned(directory: str, workers: int) -> Iterator[Record]:
    """Yield the records that the scan of a directory finds."""
    with ScanPool(Growth(), workers=workers) as pool:
        for read in pool.read(open_source(directory, Scope())):
            assert isinstance(read, ReadDocument), read
            for text in read.texts:
                for found in text.found:
                    assert isinstance(found, Record), found
                    yield found


def main(directory: str, asked_for: str, workers: str) -> None:
    """Print the relevant events: a scan may find too much."""
    decoder = msgspec.json.Decoder(Event)
    names = frozenset(asked_for.split("|"))
    for record in scanned(directory, int(workers)):
        event = decoder.decode(record.payload)
        if event.name in names:
            print(event.id, event.time, event.name, sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
