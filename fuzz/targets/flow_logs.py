"""Arbitrary flow logs: whatever is damaged, blocks of records come out of them, and reasons."""

from collections.abc import Iterable, Iterator

from cnitrail.model import Document, Extent, Growth, Skipped
from cnitrail.model.flows import FlowBlock, FlowFormats
from cnitrail.scan.flows.rows import SEPARATOR
from cnitrail.workflows.flows.format import formats_of
from cnitrail.workflows.flows.reading import FlowFile, files_of

_DEFAULT = formats_of("default")
_PIECE = 97


def flow_logs(data: bytes) -> None:
    """Blocks are whole lines, rows have a cell for each column, and pieces of any size are the same."""
    for formats in (_DEFAULT, FlowFormats()):
        found = [_checked(file) for file in _files([data], formats)]
        pieces = (data[at : at + _PIECE] for at in range(0, len(data), _PIECE))
        in_pieces = [_checked(file) for file in _files(pieces, formats)]
        if not any(skipped for _, skipped in [*found, *in_pieces]):
            assert in_pieces == found


def _files(chunks: Iterable[bytes], formats: FlowFormats) -> Iterator[FlowFile]:
    return files_of(Document(uri="flows", chunks=iter(chunks)), Growth(), formats)


def _checked(file: FlowFile) -> tuple[list[tuple[tuple[str, ...], bytes]], list[str]]:
    """Return the lines of a file with their columns, and why others were skipped."""
    records: list[tuple[tuple[str, ...], bytes]] = []
    skipped: list[Skipped] = []
    for block in file.blocks:
        if isinstance(block, Skipped):
            assert block.reason
            skipped.append(block)
        elif isinstance(block, FlowBlock):
            assert not file.other_kind
            assert block.text.endswith(b"\n")
            assert not block.fields or len(block.fields) == len(block.columns)
            assert block.first == len(records)
            lines = block.text.split(b"\n")[:-1]
            if block.separator == SEPARATOR:
                assert all(line.count(SEPARATOR) == len(block.columns) - 1 for line in lines)
                assert b"\r" not in block.text
            records += ((block.columns, line) for line in lines)
    if any(skip.extent is Extent.FILE for skip in skipped):
        assert len(skipped) == 1
        assert not records
    return records, [skip.reason for skip in skipped]
