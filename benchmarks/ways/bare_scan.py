"""cnitrail's scan alone: `bare_scan.py DIR NAMES` prints id, time and name of the relevant events."""

import sys
from collections.abc import Iterator

import orjson

from cnitrail.decode import MARKERS, NAMES
from cnitrail.model import Document, Record, Scope
from cnitrail.scan import Scanner, Tally
from cnitrail.sources import open_source


def scanned(directory: str) -> Iterator[Record]:
    """The records that the scan of a directory hands on."""
    scanner, tally = Scanner(NAMES, MARKERS), Tally()
    for document in open_source(directory, Scope()).documents():
        assert isinstance(document, Document), document
        for found in scanner.scan(document, tally):
            assert isinstance(found, Record), found
            yield found


def main(directory: str, _names: str) -> None:
    """Prints those whose name is one of the relevant: a scan may find too much."""
    names = frozenset(NAMES)
    for record in scanned(directory):
        event = orjson.loads(record.payload)
        if event["eventName"] in names:
            print(event["eventID"], event["eventTime"], event["eventName"], sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
