"""Filter patterns: which events of a log group CloudWatch Logs returns.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html. A pattern of terms with
``?`` matches an event that has any of them. JSON patterns are not used, because no JSON pattern matches an
event that CloudWatch Logs has cut (``[Truncated...]``). AWS does not document whether a term also matches
within a word: each term here is a whole word of every event that matters, without other characters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MAX_PATTERN: Final = 1024
"""Maximum length of a pattern (botocore's model of FilterLogEvents)."""

AUDIT_STREAMS: Final = "kube-apiserver-audit-"
"""How the names of the streams with audit events begin."""

AUDIT_PATTERN: Final = "?pods ?providerID ?Truncated"
"""All requests for pods, which have it in their URI; nodes with their instance; and whatever was cut."""


def trail_pattern(event_names: Iterable[str]) -> str | None:
    """Return the pattern for CloudTrail records of some events; None if none is short enough."""
    names = [*event_names]
    pattern = " ".join(f"?{name}" for name in names)
    is_words = all(name.isascii() and name.isalnum() for name in names)
    return pattern if names and is_words and len(pattern) <= MAX_PATTERN else None


class _TrailRecord(Struct, gc=False):
    """The fields that every CloudTrail record has."""

    eventVersion: str  # noqa: N815  CloudTrail's names
    eventSource: str  # noqa: N815
    eventName: str  # noqa: N815
    eventTime: str  # noqa: N815


_TRAIL_RECORD = msgspec.json.Decoder(_TrailRecord)


def are_trail_records(messages: Collection[str]) -> bool:
    """Return whether there are messages, and all of them are CloudTrail records."""
    return bool(messages) and all(map(_is_trail_record, messages))


def _is_trail_record(message: str) -> bool:
    try:
        _TRAIL_RECORD.decode(message)
    except (ValueError, RecursionError):
        return False
    return True
