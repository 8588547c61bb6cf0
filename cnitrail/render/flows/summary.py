"""The summary of flows: who talked most, what was rejected, and how much has no certain name."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Final

from cnitrail.model import Answer, Verdict
from cnitrail.model.flows import (
    FlowEnd,
    FlowSummary,
    PodVerdictShare,
    RejectedFlow,
    Talker,
    VerdictShare,
)
from cnitrail.model.reason import ReasonCode
from cnitrail.render.flows import PlainRow, Shared
from cnitrail.render.text import Paragraph, Part, Row, Table, draw_blocks, draw_fitting
from cnitrail.text import byte_size, counted, listed, time_range

_TOP: Final = 20
"""Rows of a table; JSON has more."""

_BOLD: Final = "bold"


class NoLines:
    """Writes nothing of the records, for a summary alone."""

    without_ends = b""

    def __init__(self, _columns: tuple[str, ...], _fields: tuple[str, ...]) -> None:
        pass

    def header(self) -> bytes:
        """Return nothing."""
        return b""

    def ends(self, _src: FlowEnd, _dst: FlowEnd) -> bytes:
        """Return nothing."""
        return b""

    def line(self, _fields: Sequence[bytes], _ends: bytes) -> bytes:
        """Return nothing."""
        return b""

    def plain(self, text: bytes, separator: bytes) -> tuple[bytes, bytes]:
        """Return the records as they are."""
        return text, separator

    def shared(self, _fields: Sequence[bytes], _ends: bytes) -> Shared:
        """Return nothing."""
        return b"", b""

    def rows(self, rows: Iterable[PlainRow]) -> bytes:
        """Return nothing."""
        for _ in rows:
            pass
        return b""


def write_table(answer: Answer[FlowSummary], out: IO[str]) -> None:
    """Write the top talkers, the rejected flows, and how much is not certain."""
    for summary in answer.entries:
        if not summary.records:
            continue
        draw_blocks([list(_headline(summary))], out)
        for title, note, layouts in _tables(summary):
            out.write("\n")
            draw_blocks([[Paragraph([(title, _BOLD), (note, "")])]], out)
            draw_fitting(layouts, out)
        if notes := [Paragraph([(note, "")]) for note in _notes(summary)]:
            out.write("\n")
            draw_blocks([notes], out)


def _headline(summary: FlowSummary) -> Iterator[Paragraph]:
    """Yield the answer in a sentence: how much traffic, when, and how much of it has certain names."""
    first, last = summary.first, summary.last
    when = f", {time_range(first, last)}" if first is not None and last is not None else ""
    ends = sum(share.ends for share in summary.verdicts)
    certain = sum(share.ends for share in summary.verdicts if share.verdict is Verdict.CERTAIN)
    public = sum(share.ends for share in summary.unattributed if share.reason is ReasonCode.PUBLIC_ADDRESS)
    flows = f"{counted(summary.records, 'flow')}, {byte_size(summary.bytes)}{when}."
    rejected = sum(flow.records for flow in summary.rejected)
    rejected += summary.other_rejected.records if summary.other_rejected is not None else 0
    refused = f" {rejected:,} rejected." if rejected else " None rejected."
    named = f" {_percent(certain, ends - public)} of the private ends have a certain holder."
    yield Paragraph([(f"{flows}{refused}{named if ends > public else ''}", "")])


def _tables(summary: FlowSummary) -> Iterator[tuple[str, str, Sequence[Table]]]:
    """Yield tables with their titles, what a title says beside its name, and the layouts of the table."""
    yield "Top talkers", _cut(len(summary.talkers)), [_talkers(summary), _narrow_talkers(summary)]
    if summary.rejected:
        yield "Rejected", _cut(len(summary.rejected)), [_rejected(summary)]
    yield "Verdicts", " on the holders of both addresses of each flow", [_verdicts(summary.verdicts)]
    if summary.pod_verdicts:
        yield "Verdicts on pods", " at the addresses of ENIs", [_verdicts(summary.pod_verdicts)]
    if summary.unattributed:
        yield "Not certain because", "", [_unattributed(summary)]


def _cut(number: int) -> str:
    return f" ({_TOP} of {number:,}; -o json has more)" if number > _TOP else ""


_VOLUMES: Final = ("SENT", "RECEIVED", "FLOWS", "REJECTED", "CERTAIN")


def _talkers(summary: FlowSummary) -> Table:
    rows = [_row(talker.name, talker.kind, *_volumes(talker)) for talker in _shown(summary)]
    return Table(("TALKER", "KIND", *_VOLUMES), rows, {"TALKER": 1}, right=_VOLUMES)


def _narrow_talkers(summary: FlowSummary) -> Table:
    """Return the talkers with their kinds below their names."""
    rows = [
        [[(talker.name, ""), (talker.kind, "dim")], *_row(*_volumes(talker))] for talker in _shown(summary)
    ]
    return Table(("TALKER", *_VOLUMES), rows, {"TALKER": 1}, right=_VOLUMES)


def _shown(summary: FlowSummary) -> Sequence[Talker]:
    others = (summary.other_talkers,) if summary.other_talkers is not None else ()
    return (*summary.talkers[:_TOP], *others)


def _volumes(talker: Talker) -> Iterator[str]:
    yield from (byte_size(talker.sent), byte_size(talker.received))
    yield from (f"{talker.records:,}", f"{talker.rejected:,}", _percent(talker.certain, talker.records))


def _rejected(summary: FlowSummary) -> Table:
    others = (summary.other_rejected,) if summary.other_rejected is not None else ()
    return Table(
        ("FROM", "TO", "PORT", "FLOWS", "PACKETS"),
        [
            _row(flow.src, flow.dst, _port(flow), f"{flow.records:,}", f"{flow.packets:,}")
            for flow in (*summary.rejected[:_TOP], *others)
        ],
        {"FROM": 1, "TO": 1},
        right=("FLOWS", "PACKETS"),
    )


def _port(flow: RejectedFlow) -> str:
    return "many" if flow.is_scan else flow.port or "-"


def _verdicts(shares: Sequence[VerdictShare] | Sequence[PodVerdictShare]) -> Table:
    ends = sum(share.ends for share in shares)
    size = sum(share.bytes for share in shares)
    return Table(
        ("VERDICT", "ENDS", "OF ENDS", "OF BYTES"),
        [
            _row(
                share.verdict.value,
                f"{share.ends:,}",
                _percent(share.ends, ends),
                _percent(share.bytes, size),
            )
            for share in shares
        ],
        {},
        right=("ENDS", "OF ENDS", "OF BYTES"),
    )


def _unattributed(summary: FlowSummary) -> Table:
    return Table(
        ("VERDICT", "ENDS", "BYTES", "WHY"),
        [
            _row(
                f"pod {share.pod_verdict.value}" if share.pod_verdict is not None else share.verdict.value,
                f"{share.ends:,}",
                byte_size(share.bytes),
                f"{share.text} ({share.reason.value})" if share.reason is not None else share.text or "",
            )
            for share in summary.unattributed[:_TOP]
        ],
        {"WHY": 1},
        right=("ENDS", "BYTES"),
    )


def _notes(summary: FlowSummary) -> Iterator[str]:
    """Yield what one must know to read the tables."""
    if summary.at_no_end < summary.records:
        yield "A flow counts for the end at its own interface; one logged at both interfaces counts for both."
    if summary.at_no_end:
        number = counted(summary.at_no_end, "flow")
        yield f"Counted for the source, as nothing shows at which end they were logged: {number}."
    if any(talker.certain < talker.records for talker in summary.talkers):
        yield "A name that is not 100% certain is only a candidate for the rest of its flows."
    if any(flow.is_scan for flow in summary.rejected):
        yield "PORT many: more destination ports than are listed one by one, as in a port scan."
    if summary.contradicted:
        fields = _by_field(summary.contradicted)
        yield f"Metadata that contradict CloudTrail: {fields}; such an end is likely at best."


def _by_field(fields: Mapping[str, int]) -> str:
    return listed([f"{field} of {counted(number, 'flow')}" for field, number in fields.items()])


def _row(*cells: str) -> Row:
    row: Sequence[Sequence[Part]] = [[(cell, "")] for cell in cells]
    return row


def _percent(part: int, whole: int) -> str:
    """Return a share; 100% and 0% are exact."""
    if not whole:
        return "-"
    share = 100 * part / whole
    if 0 < share < 1 or 99 < share < 100:
        return f"{min(max(share, 0.1), 99.9):.1f}%"
    return f"{share:.0f}%"
