"""How often something of an account and Region was read: what shows its log gaps."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from msgspec import Struct

from cnitrail.intervals import Interval

MIN_SIGNS: Final = 10
"""Signs needed to know a rhythm: among fewer, a few holes would look like one."""

MIN_HOLE: Final = timedelta(minutes=15)
"""Gaps up to this length are never log gaps."""


class Rhythm(Struct, frozen=True, gc=False, kw_only=True):
    """The first and the last sign, the median gap, and the gaps that may be log gaps.

    The median is zero if there are too few signs to know one.
    """

    first: datetime
    last: datetime
    usual: timedelta
    gaps: tuple[Interval, ...]


def rhythm_of(signs: Sequence[datetime]) -> Rhythm:
    """Return the rhythm of one sign or more, in order."""
    lengths = sorted(later - earlier for earlier, later in pairwise(signs))
    return Rhythm(
        first=signs[0],
        last=signs[-1],
        usual=lengths[len(lengths) // 2] if len(signs) >= MIN_SIGNS else timedelta(),
        gaps=tuple(
            Interval(earlier, later) for earlier, later in pairwise(signs) if later - earlier > MIN_HOLE
        ),
    )
