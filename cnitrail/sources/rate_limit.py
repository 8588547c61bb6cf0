"""How fast a service may be asked."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What a pace is kept by; seconds since some moment that does not matter."""

    def now(self) -> float:
        """The time now."""

    def wait_until(self, moment: float) -> None:
        """Come back at a time, or at once where it has passed."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """The time now."""
        return time.monotonic()

    def wait_until(self, moment: float) -> None:
        """Sleep until a time."""
        time.sleep(max(0.0, moment - time.monotonic()))


class Pace:
    """A token bucket: so many calls a second, and after a pause a burst of some at once."""

    def __init__(self, per_second: float, burst: int, clock: Clock) -> None:
        self._gap = 1 / per_second
        self._slack = (burst - 1) * self._gap
        self._clock = clock
        self._due = float("-inf")
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Come back when the next call may be made; any number of threads may wait."""
        with self._lock:
            self._due = due = max(self._due + self._gap, self._clock.now() - self._slack)
        self._clock.wait_until(due)
