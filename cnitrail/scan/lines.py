"""Line forms: texts in which each record has something in front of it, or beside it.

Everything around the records is taken away, and the JSON that is left is read as any other. Only what a line
begins with counts: JSON has no line breaks in its texts, so a record cannot contain the beginning of a line.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from msgspec import Struct

from cnitrail.scan.containers.streams import TornStream
from cnitrail.scan.control_plane import LINE, STREAM
from cnitrail.scan.cut_events import TIME, TRUNCATED, with_completed_lines
from cnitrail.scan.multisearch import Bytes

_WORD: Final = rb'[^\s{"]+'
_STREAM: Final = rb"(?:o-[a-z0-9]{10,32}_)?\d{12}_CloudTrail_[a-z0-9-]+(?:_\d+)?"
"""The name that CloudTrail gives to its log streams."""

_QUOTED: Final = rb'"[^\n"\\]*+(?:\\.[^\n"\\]*+)*+"'
_STRUCTURED_DATA: Final = rb'(?:\[[^\n"\]]*+(?:' + _QUOTED + rb'[^\n"\]]*+){0,99}+\]){1,99}+'
"""The structured data of syslog: what is in its quotes may look like its end, and a record after it. The
limits are for lines of any length: the memory for a match grows with its repetitions."""

_COLUMN: Final = rb"(?>" + TIME + rb'|[^\s{}"]+)'
"""What --query may put beside a record: a time, a number, an ID, a name."""

_ESCAPES: Final = re.compile(rb"\x1b\[[0-9;]*[mK]|^\x1e", re.MULTILINE)
_OPEN_ESCAPE: Final = re.compile(rb"\x1b(?:\[[0-9;]{0,16})?\Z")

_JSON_BEGINS: Final = re.compile(
    rb"\s*(?:\{(?![^\t\n]*+(?:\t[^{\t\n]++)++$)|\[(?!\d{4}-\d\d-\d\d[T ]))", re.MULTILINE
)
"""The beginning of JSON; not of a record with columns after it, or of a time in brackets."""

_MAX_LINE: Final = 64 * 1024 * 1024
"""Maximum number of bytes of a line that are kept until its end is found."""

_OTHER_STREAM: Final = rb"\[?" + TIME + rb"\]? " + STREAM.encode() + rb" [^\n]*"
"""A line of another component of an EKS control plane, as ``aws logs tail`` writes it."""

_TEXT_COLUMNS: Final = (
    rb"(?m)^EVENTS\t(?:[^\t\n{]*\t){0,9}" + LINE.encode() + rb"[^\n]*$"
    rb"|^EVENTS\t(?:[^\n{]*\t)?(\{[^\t\n]*)(?:\t[^\n]*)?$|^(?!EVENTS\t)[A-Z]+\t[^\n]*$|^[^{}\n]*$"
)
"""The first column of a line EVENTS that begins with a brace, and what has no record: tokens, and other
lines, such as RESOURCES, whose columns may be names that a caller chose."""


class LineForm(Struct, frozen=True):
    """A line form: how its lines are recognized, and what is kept of them.

    ``form`` is the form of a record that has nothing else around it. ``pattern`` matches what is replaced by
    ``kept``; ``at_first`` must match one of the first lines.
    """

    form: str
    at_first: re.Pattern[bytes]
    pattern: re.Pattern[bytes]
    kept: bytes = b""


def _prefix(form: str, *patterns: bytes) -> LineForm:
    """Return the form of lines with one of these in front of the JSON.

    Lines of the other components of an EKS control plane have no JSON, and are left out.
    """
    either = b"(?:" + b"|".join(patterns) + b")"
    other = rb"(?:" + _OTHER_STREAM + rb"|" + either + rb" " + LINE.encode() + rb"[^\n]*)"
    first = rb"(?m)\A\s*(?:^" + other + rb"\n){0,999}+^" + either + rb"(?: \{| ?\r?$)"
    prefix = rb"(?m)^(?:" + either + rb"(?: (?=\{)| ?(?=\r?$))|" + other + rb")"
    return LineForm(form, re.compile(first), re.compile(prefix))


@cache
def _line_forms() -> tuple[LineForm, ...]:
    """Return the line forms. They are compiled only for a text that is no JSON: that takes 20 ms."""
    return (
        # aws logs tail (detailed, short, json) and export tasks: awscli/customizations/logs/tail.py;
        # docs.aws.amazon.com/AmazonCloudWatch/latest/logs/S3ExportTasks.html
        _prefix("cloudwatch-logs", rb"\[?" + TIME + rb"\]?"),
        _prefix("cloudwatch-logs", rb"\[?" + TIME + rb"\]? " + _WORD),
        # https://github.com/jorgebastida/awslogs
        _prefix("cloudwatch-logs", _WORD + rb" " + _STREAM + rb"(?: " + TIME + rb")?"),
        # RFC 5424 and RFC 3164
        _prefix(
            "records",
            rb"<\d{1,3}>1 \S+ \S+ \S+ \S+ \S+ (?:-|" + _STRUCTURED_DATA + rb")",
            rb"(?:<\d{1,3}>)?[A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d(?: " + _WORD + rb"){0,2}(?: @cee:)?",
        ),
        # files of containers on a node: kubernetes/pkg/kubelet/kuberuntime/logs
        _prefix("records", TIME + rb" std(?:out|err) [FP]"),
        # grep -H, grep -n
        LineForm(
            "records",
            re.compile(rb"\A\s*" + _WORD + rb":\{"),
            re.compile(rb"(?m)^" + _WORD + rb":(?=\{)"),
        ),
        # --output text of lookup-events: the record is the second column, as the keys are in alphabetical
        # order
        LineForm(
            "lookup-events",
            re.compile(rb"(?m)^EVENTS\t(?:[A-Z0-9]{16,128}\t)?\{"),
            re.compile(_TEXT_COLUMNS),
            rb"\1",
        ),
        # --output text of filter-log-events and get-log-events
        LineForm(
            "cloudwatch-logs",
            re.compile(rb"(?m)^EVENTS\t[^{\n]*\{"),
            re.compile(_TEXT_COLUMNS),
            rb"\1",
        ),
        # --output text of get-query-results: one line for each field. Only fields of CloudWatch Logs: one of
        # a record may have line breaks, and so what looks like a message
        LineForm(
            "logs-insights",
            re.compile(rb"(?ms)\A(?!.*^RESULTS\t[^@]).*^RESULTS\t@message\t\{"),
            re.compile(
                rb"(?m)^RESULTS\t@message\t(\{[^\n]*)$|^RESULTS\t@[A-Za-z]+\t[^{}\n]*$|^(?!RESULTS)[^{}\n]*$"
            ),
            rb"\1",
        ),
        # --output text of a --query with other columns, such as 'Events[].[EventTime,CloudTrailEvent]'
        LineForm(
            "records",
            re.compile(
                rb"\A\s*(?:(?:" + _COLUMN + rb"\t)++\{|\{[^\t\n]*(?:\t" + _COLUMN + rb")++\r?$)", re.MULTILINE
            ),
            re.compile(
                rb"^(?:" + _COLUMN + rb"\t)*+(\{[^\t\n]*)(?:\t" + _COLUMN + rb")*+[ \r]*$", re.MULTILINE
            ),
            rb"\1",
        ),
    )


def line_form_of(head: bytes) -> LineForm | None:
    """Return the line form of a text by its first lines; None if it has none."""
    if _JSON_BEGINS.match(head):
        return None
    return next((form for form in _line_forms() if form.at_first.search(head)), None)


def without_prefixes(pieces: Iterator[Bytes], form: LineForm) -> Iterator[bytes]:
    """Yield the JSON in the lines of a text, in pieces of whole lines."""
    open_line: list[Bytes] = []
    size = 0
    torn: TornStream | None = None
    try:
        for piece in pieces:
            end = piece.rfind(b"\n") + 1
            open_line.append(piece[:end] if end else piece)
            size += len(piece)
            if end or size > _MAX_LINE:
                yield _without_prefixes(b"".join(open_line), form)
                open_line = [piece[end:]] if end else []
                size = len(piece) - end if end else 0
    except TornStream as error:
        torn = error
    yield _without_prefixes(b"".join(open_line), form)
    if torn is not None:
        raise torn


def _without_prefixes(text: bytes, form: LineForm) -> bytes:
    """Return whole lines without what is around the JSON in them."""
    if TRUNCATED in text:
        text = with_completed_lines(text)
    if form.kept:
        return form.pattern.sub(form.kept, text)
    match = form.pattern.match  # which is four times as fast as to search a text for lines
    lines = text.split(b"\n")
    return b"\n".join([line[found.end() :] if (found := match(line)) else line for line in lines])


def has_escapes(head: bytes) -> bool:
    """Return whether a text has the colors of a terminal, or the separators of JSON sequences (RFC 7464)."""
    return (b"\x1b" in head or b"\x1e" in head) and _ESCAPES.search(head) is not None


def without_escapes(pieces: Iterator[Bytes]) -> Iterator[bytes]:
    """Yield a text without colors and separators: JSON never contains these bytes."""
    rest = b""
    for piece in pieces:
        text = rest + piece
        cut = _OPEN_ESCAPE.search(text, max(0, len(text) - 20))
        end = cut.start() if cut is not None else len(text)
        yield _ESCAPES.sub(b"", text[:end])
        rest = text[end:]
    if rest:
        yield rest
