"""Logs of the VPC CNI as its files and ``kubectl logs`` have them: one line for each message.

Since 1.6.1 a line is the JSON of zap, before it is text of seelog; something may be in front of it, such as
the prefix of a container runtime. Between them may be lines of other programs, and parts of lines.
"""

import re
from collections.abc import Iterator
from typing import Final

from cnitrail.model import Record, Skipped
from cnitrail.scan.container_files import is_line_of_other_container
from cnitrail.scan.containers import TornStream
from cnitrail.scan.multisearch import Bytes, NameSearch
from cnitrail.scan.pieces import TornRest, whole_block
from cnitrail.scan.pod_forms import FRONT, IPAMD_CALLER, ZAP, ZONE, cni_record
from cnitrail.scan.pod_heads import minute_of
from cnitrail.scan.reading import Reading
from cnitrail.scan.split import UnreadableSpan
from cnitrail.scan.tally import Tally

_FORM: Final = "ipamd-log"
_MAX_LINE: Final = 16 * 1024 * 1024
"""Maximum number of bytes that are kept until the end of a line is found."""

_SEELOG: Final = rb"\d{4}-\d\d-\d\dT[\d:.]{8,18}Z \[[A-Z]{4,8}\] ?\t?"
_LINE: Final = re.compile(rb"(?m)^" + FRONT + rb"(?:" + ZAP + rb"|" + _SEELOG + rb")")
_CNI_LINE: Final = re.compile(
    rb"(?m)^"
    + FRONT
    + rb"(?:"
    + ZAP
    + rb"(?:"
    + IPAMD_CALLER
    + rb"|routed-eni-cni-plugin/)|"
    + _SEELOG
    + rb"(?:Starting (?:L-IPAMD|CNI Plugin) |Received (?:CNI |(?:Add|Del)Network |(?:add|del) network )"
    rb"|Send (?:Add|Del)NetworkReply: |(?:Un)?[Aa]ssign(?:Pod)?IP|IP (?:[Aa]ddress )?[Pp]ool"
    rb"|Current warm IP stats|Reconcil|(?:Adding|Added|Deleted) ENI\(|Found instance-|Recovered AddNetwork ))"
)
"""A line that the CNI wrote, by its source file or its words."""

_MINUTE: Final = rb"(\d{4}-\d\d-\d\dT\d\d:\d\d)"
_ZAP_MINUTES: Final = re.compile(
    rb'"ts":"' + _MINUTE + rb":[\d.]{2,12}(" + ZONE + rb')","caller":"' + IPAMD_CALLER
)
_SEELOG_MINUTES: Final = re.compile(rb"(?m)^" + FRONT + _MINUTE + rb":[\d.]{2,12}Z \[")
_PLUGIN_LINE: Final = re.compile(
    rb"(?m)^" + FRONT + _SEELOG + rb"(?:Starting CNI Plugin |Received (?:CNI |(?:add|del) network ))"
)
"""A line of ``plugin.log`` before 1.6.1: the times in this file do not show what ipamd did."""

_GLUED: Final = b'"}{"level":"'


def is_cni_log(head: bytes) -> bool:
    """Return whether a text is a log of the VPC CNI, by its beginning.

    At least half of its lines, and one of the first two, which may be cut, are log lines. If a line has two
    messages, the text is left to the readers of JSON.
    """
    if _CNI_LINE.search(head) is None or _GLUED in head:
        return False
    lines = [line for line in head.split(b"\n") if line.strip()]
    found = sum(_LINE.match(line) is not None for line in lines)
    return 2 * found >= len(lines) and any(map(_LINE.match, lines[:2]))


def cni_records(
    text: Bytes, more: Iterator[Bytes] | None, reading: Reading, tally: Tally, names: NameSearch
) -> Iterator[Record | Skipped]:
    """Yield the relevant lines of a log of the VPC CNI as records, and what could not be read of it."""
    log = _Log(reading, tally, names, is_plugins=_PLUGIN_LINE.search(text, 0, 64 * 1024) is not None)
    text, more = whole_block(b"", iter((text,))) if more is None else whole_block(bytes(text), more)
    while more is not None and not isinstance(more, TornRest):
        end = text.rfind(b"\n") + 1 or (len(text) if len(text) > _MAX_LINE else 0)
        yield from log.block(text[:end], last=False)
        text, more = whole_block(bytes(text[end:]), more)
    yield from log.block(text, last=True)
    try:
        next(more or iter(()), None)
    except TornStream as torn:
        yield from reading.damage(UnreadableSpan(str(torn)))


class _Log:
    """Reads a log in blocks of whole lines."""

    def __init__(self, reading: Reading, tally: Tally, names: NameSearch, *, is_plugins: bool) -> None:
        self._reading = reading
        self._heard = tally.heard
        self._names = names
        self._is_plugins = is_plugins
        self._is_first = True

    def block(self, text: Bytes, *, last: bool) -> Iterator[Record | Skipped]:
        """Yield the relevant lines of a block, and what could not be read of it."""
        text = bytes(text)
        self._hear(text)
        start = 0
        for offset in self._names.may_matter(text):
            if offset < start:
                continue
            begin = text.rfind(b"\n", start, offset) + 1 or start
            end = text.find(b"\n", offset)
            is_last = end < 0
            end = len(text) if is_last else end
            self._reading.pass_over(_FORM, text.count(b"\n", start, begin))
            is_outermost = (is_last and last) or (self._is_first and begin == 0)
            yield from self._line(text[begin:end], may_be_cut=is_outermost)
            start = end + 1
        rest = text[start:]
        self._reading.pass_over(_FORM, rest.count(b"\n") + (rest != b"" and not rest.endswith(b"\n")))
        self._is_first = self._is_first and not text

    def _hear(self, text: bytes) -> None:
        """Note the minutes of all lines that ipamd wrote."""
        found = {minute + b":00" + zone for minute, zone in set(_ZAP_MINUTES.findall(text))}
        if not self._is_plugins:
            found.update(minute + b":00Z" for minute in set(_SEELOG_MINUTES.findall(text)))
        minutes = (minute_of(written.decode()) for written in found)
        self._heard.update((_FORM, minute) for minute in minutes if minute is not None)

    def _line(self, line: bytes, *, may_be_cut: bool) -> Iterator[Record | Skipped]:
        """Yield the record in a line; other programs' lines have none."""
        if is_line_of_other_container(line):
            self._reading.pass_over(_FORM, 1)
            return
        record = cni_record(line)
        if record is not None:
            yield from self._reading.pod_record(record, _FORM)
        elif may_be_cut or _LINE.match(line):
            yield from self._reading.unreadable("a part of a line: ", line)
        else:
            self._reading.pass_over(_FORM, 1)
