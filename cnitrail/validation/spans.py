"""Spans of time as sorted lists that do not meet: ``(start, end)``, the end not part of it."""

from collections import deque
from collections.abc import Iterable
from datetime import datetime

Span = tuple[datetime, datetime]


def union(spans: Iterable[Span]) -> list[Span]:
    """All that lies in any of some spans; spans that touch are one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        elif start < end:
            joined.append((start, end))
    return joined


def without(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """All that lies in some spans, but in no other ones."""
    left: list[Span] = []
    holes = deque(union(others))
    for start, end in union(spans):
        begun = start
        while holes and holes[0][0] < end:
            hole = holes[0]
            if begun < hole[0]:
                left.append((begun, hole[0]))
            begun = max(begun, hole[1])
            if hole[1] > end:
                break
            holes.popleft()
        if begun < end:
            left.append((begun, end))
    return left


def is_within(spans: Iterable[Span], start: datetime, end: datetime) -> bool:
    """Whether one of some spans holds another one whole."""
    return any(first <= start and end <= last for first, last in spans)
