"""Client-side rate limit for API calls."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock, in seconds."""

    def now(self) -> float:
        """Return the current time."""

    def wait_until(self, moment: float) -> None:
        """Sleep until a time; return at once if it has passed."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return the current time."""
        return time.monotonic()

    def wait_until(self, moment: float) -> None:
        """Sleep until a time; return at once if it has passed."""
        time.sleep(max(0.0, moment - time.monotonic()))


class RateLimiter:
    """A token bucket: ``per_second`` calls on average, and up to ``burst`` calls at once after a pause."""

    def __init__(self, per_second: float, burst: int, clock: Clock) -> None:
        self._gap = 1 / per_second
        self._slack = (burst - 1) * self._gap
        self._clock = clock
        self._due = float("-inf")
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Sleep until the next call is allowed. Any number of threads may wait."""
        with self._lock:
            self._due = due = max(self._due + self._gap, self._clock.now() - self._slack)
        self._clock.wait_until(due)
