"""Progress of ``lookup:`` in a terminal: how far back it has read, and the newest calls so far."""

from __future__ import annotations

import math
import time
from datetime import datetime, timedelta
from heapq import nlargest
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from cnitrail.render.safe import printable
from cnitrail.text import clock, counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cnitrail.model import LookupProgress, SeenCall

_MAX_CALLS: Final = 8
"""Newest calls shown."""

_ESTIMATE_CALLS: Final = 20
"""Calls that must have gone back in time before the time left can be estimated."""


class _Step(Struct, frozen=True):
    """How far back a lookup was after some calls and seconds."""

    reached: datetime
    calls: int
    seconds: float


class LookupView:
    """Some lines at the bottom of a terminal that leave nothing behind."""

    def __init__(self, due: float) -> None:
        self.console = Console(stderr=True)
        self._due = due
        self._begun = time.monotonic()
        self._by_region: dict[str, LookupProgress] = {}
        self._status = Status()
        self._spinner = Spinner("dots")
        self._live: Live | None = None

    def update(self, progress: LookupProgress) -> None:
        """Show how far a Region is, once it is time to show anything."""
        self._by_region[progress.region] = progress
        now = time.monotonic()
        if now < self._due:
            return
        regions = tuple(self._by_region.values())
        self._spinner.update(text=Text(self._status.line(regions, now - self._begun)))
        lines = [Text(line, no_wrap=True, overflow="ellipsis", style="dim") for line in newest_calls(regions)]
        shown = Group(self._spinner, *lines)
        if self._live is None:
            self._live = Live(shown, console=self.console, transient=True, refresh_per_second=8)
            self._live.start()
        else:
            self._live.update(shown)

    def close(self) -> None:
        """Remove the lines."""
        if self._live is not None:
            self._live.stop()
        self._live = None


class Status:
    """How far the lookup of all Regions is, in one line: the Region that is least far back counts."""

    def __init__(self) -> None:
        self._first: _Step | None = None

    def line(self, regions: Sequence[LookupProgress], seconds: float) -> str:
        """Return the line after some ``seconds`` of reading."""
        calls = sum(progress.calls for progress in regions)
        parts = [
            counted(sum(progress.events for progress in regions), "event"),
            f"{calls:,} of at most {counted(sum(progress.max_calls for progress in regions), 'call')}",
        ]
        reached = [progress.reached for progress in regions if progress.reached is not None]
        if len(reached) < len(regions):
            return f"reading: {', '.join(parts)}"
        step = _Step(max(reached), calls, seconds)
        parts += self._left(step, regions[0])
        return f"back to {clock(step.reached)}: {', '.join(parts)}"

    def _left(self, step: _Step, progress: LookupProgress) -> Iterator[str]:
        """Yield how much of the range was read, and how long the rest takes at the pace so far.

        The pace counts from the first step on: until then, every event name was read once, which goes back
        over a quiet time at no cost.
        """
        if progress.since is None or progress.since >= progress.until:
            return
        whole = progress.until - progress.since
        yield f"{min((progress.until - step.reached) / whole, 1.0):.0%} of the range"
        first = self._first = self._first or step
        gone_back = first.reached - step.reached
        left = step.reached - progress.since
        if step.calls - first.calls >= _ESTIMATE_CALLS and gone_back > timedelta() and left > timedelta():
            seconds = (step.seconds - first.seconds) * (left / gone_back)
            yield f"about {duration(timedelta(minutes=math.ceil(seconds / 60)))} left at this pace"


def newest_calls(regions: Iterable[LookupProgress]) -> list[str]:
    """Return the newest calls of all Regions, one a line, with what they are."""
    calls: set[SeenCall] = {call for progress in regions for call in progress.newest}
    newest = nlargest(_MAX_CALLS, calls, key=lambda call: (call.time, call.event_name, call.resources))
    if not newest:
        return []
    lines = [f"  {clock(call.time)}  {call.event_name}  {' '.join(call.resources)}" for call in newest]
    return ["newest calls so far:", *map(printable, lines)]
