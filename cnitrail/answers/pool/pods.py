"""What is known of the number of pods that had an address of a pool."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter

from msgspec import Struct

from cnitrail.answers.pool.constraints import Range
from cnitrail.timeclamp import shifted

_DECIDED = timedelta(seconds=30)
"""A call may be decided so long before EC2 has completed it: it is tried again while EC2 throttles."""

_TIME = itemgetter(0)


class PodCounts(Struct, frozen=True):
    """From when on (aware, UTC, in order) how many pods had an address; none: nothing is known."""

    counts: Sequence[tuple[datetime, int]] = ()

    def at(self, time: datetime, most: int) -> Range:
        """How many there may have been when a call was decided; no more than ``most`` can be."""
        begun = bisect_right(self.counts, shifted(time, -_DECIDED), key=_TIME)
        if begun == 0:
            return Range(0, most)
        seen = [pods for _, pods in self.counts[begun - 1 : bisect_right(self.counts, time, key=_TIME)]]
        return Range(min(*seen, most), min(max(seen), most))

    def steady(
        self, since: datetime, until: datetime
    ) -> Iterator[tuple[datetime, datetime, Callable[[int], Range]]]:
        """The parts of a time in which the number of pods stayed the same.

        With each what it may have been, given the most that it can be.
        """
        if not self.counts:
            yield since, until, partial(Range, 0)
            return
        ends = [*(time for time, _ in self.counts[1:]), until]
        for (time, pods), end in zip(self.counts, ends, strict=True):
            first, last = max(time, since), min(end, until)
            if first < last:
                yield first, last, partial(_exactly, pods)


def _exactly(pods: int, most: int) -> Range:
    return Range(min(pods, most), min(pods, most))
