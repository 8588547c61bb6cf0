"""Audit events that CloudWatch Logs cut: completed as far as they go.

A log event has at most 1 MB (formerly 256 KB); what is longer ends in ``[Truncated...]``, which is no JSON.
The API server writes who called and what for first, then the two objects, then the times.
"""

import re
from datetime import UTC, datetime
from typing import Final

import msgspec

from cnitrail.model.forms import CLOUDWATCH_TIME, IS_CUT

TRUNCATED: Final = b"[Truncated...]"
"""What CloudWatch Logs ends an event with that it cut."""

AUDIT_BEGINNING: Final = b'{"kind":"Event","apiVersion":"audit.k8s.io/'
"""What an audit event begins with, as an API server writes it."""

TIME: Final = rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z| ?[+-]\d\d:?\d\d)?"
"""A time in front of a line, as export tasks, ``aws logs tail`` and container runtimes write it."""

_LINE: Final = (
    rb"(?m)^(?P<before>(?:\[?(?P<time>" + TIME + rb")\]?)?[^\n{]{0,400}+)"
    rb"(?P<event>" + re.escape(AUDIT_BEGINNING) + rb"[^\t\n]*)\[Truncated\.\.\.\]"
    rb"(?P<after>(?:\t(?P<milliseconds>\d{13}))?[ \r]*)$"
)
"""A line with a cut event; export tasks and ``aws logs tail`` write CloudWatch's time in front of it, and
``--output text`` after it."""

_TOKEN: Final = rb'[ \t]*+(?:("(?:[^"\\]|\\.)*+")|([\[{])|([\]}])|([:,])|([^\s"\[\]{},:]++))'
_MAX_HELD: Final = 2 * 1024 * 1024
"""Maximum number of bytes of a line that is held back until its end is found; log events have 1 MB."""


def completed(text: bytes, time: str | None = None) -> bytes | None:
    """Return a cut audit event as JSON: its last whole value, and the brackets that are open; else None.

    It gets two more fields: that it was cut, and ``time``, when CloudWatch Logs got it (ISO 8601).
    """
    event = text.strip().removesuffix(TRUNCATED)
    if not event.startswith(AUDIT_BEGINNING):
        return None
    end, closing = _last_whole_value(event)
    fields = {IS_CUT: True} | ({CLOUDWATCH_TIME: time} if time is not None else {})
    whole = event[:end] + closing[:-1] + b"," + msgspec.json.encode(fields)[1:]
    try:
        event_keys = msgspec.json.decode(whole, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):
        return None
    return whole if {"auditID", "stage"} <= event_keys.keys() else None


def _last_whole_value(text: bytes) -> tuple[int, bytes]:
    """Return where the last whole value of a cut object ends, and the brackets that close it there.

    An element of a list counts only if it is whole: half of it may mean something else.
    """
    opened: list[bytes] = []
    end, closing = 0, b""
    is_key = False
    at = 0
    for token in re.finditer(_TOKEN, text):
        if token.start() != at:
            break
        at = token.end()
        string, opening, closes, sign, scalar = token.groups()
        if opening is not None:
            opened.append(b"}" if opening == b"{" else b"]")
            is_key = opening == b"{"
            continue
        if sign is not None:
            is_key = sign == b"," and opened[-1:] == [b"}"]
            continue
        if closes is not None:
            if not opened or opened.pop() != closes:
                break
        elif (string is not None and is_key) or (scalar is not None and at == len(text)):
            continue
        if opened and b"]" not in opened[:-1]:
            end, closing = at, b"".join(reversed(opened))
    return end, closing


def with_completed_lines(text: bytes) -> bytes:
    """Return whole lines with each cut audit event completed."""
    return re.sub(_LINE, _completed_line, text)


def _completed_line(line: re.Match[bytes]) -> bytes:
    time = line["time"].decode().replace(",", ".") if line["time"] else None
    if line["milliseconds"]:
        time = time_of(int(line["milliseconds"]))
    event = completed(line["event"] + TRUNCATED, time)
    return line[0] if event is None else line["before"] + event + line["after"]


def time_of(milliseconds: object) -> str | None:
    """Return a time of CloudWatch Logs, in milliseconds since 1970, as ISO 8601; None if it is none."""
    if not isinstance(milliseconds, int) or not 0 < milliseconds < 10**13:
        return None
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"


def held_back(text: bytes) -> int:
    """Return the offset of the last line, if it may be the beginning of a cut event; else the length."""
    start = text.rfind(b"\n") + 1
    is_long = len(text) - start > _MAX_HELD
    beginning = text[start : start + len(AUDIT_BEGINNING)]
    return start if beginning and AUDIT_BEGINNING.startswith(beginning) and not is_long else len(text)
