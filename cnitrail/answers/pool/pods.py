"""Pod counts: what is known of the number of pods that use an address of a pool."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter

from msgspec import Struct

from cnitrail.answers.pool.constraints import Range
from cnitrail.intervals import Interval
from cnitrail.timeclamp import shifted

DECIDED = timedelta(seconds=30)
"""The CNI may decide on a call this long before EC2 completes it: it retries while EC2 throttles."""

_TIME = itemgetter(0)


class PodCounts(Struct, frozen=True):
    """How many pods had an address, each count from its time on (aware, UTC, in order).

    Without counts nothing is known.
    """

    counts: Sequence[tuple[datetime, int]] = ()

    @property
    def source(self) -> str | None:
        """Return where the counts come from; None if there are none."""
        return "file" if self.counts else None

    def at(self, time: datetime, most: int) -> Range:
        """Return how many there may have been when a call was decided; ``most`` is the most that can be."""
        begun = bisect_right(self.counts, shifted(time, -DECIDED), key=_TIME)
        if begun == 0:
            return Range(0, most)
        seen = [pods for _, pods in self.counts[begun - 1 : bisect_right(self.counts, time, key=_TIME)]]
        return Range(min(*seen, most), min(max(seen), most))

    def steady(
        self, since: datetime, until: datetime
    ) -> Iterator[tuple[datetime, datetime, Callable[[int], Range]]]:
        """Yield the parts of a time in which the number of pods did not change.

        With each a function that returns what it may have been, given the most that it can be.
        """
        if not self.counts:
            yield since, until, partial(Range, 0)
            return
        ends = [*(time for time, _ in self.counts[1:]), until]
        for (time, pods), end in zip(self.counts, ends, strict=True):
            part = Interval(time, end).intersection(Interval(since, until))
            if part is not None:
                yield part.start, part.end, partial(_exactly, pods)


def _exactly(pods: int, most: int) -> Range:
    return Range(min(pods, most), min(pods, most))
