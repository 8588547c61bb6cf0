"""What CloudTrail's signed digests prove of the evidence."""

from datetime import datetime

from msgspec import Struct


class Proven(Struct, frozen=True, gc=False, order=True):
    """A span of deliveries that digests prove.

    Every log file that CloudTrail delivered for an account and Region from ``start`` until ``end``
    (aware, UTC; the end is not part of it) is there, and as it was written. An event is delivered some
    minutes after it happened, so its file may be listed in a later span.
    """

    account: str
    region: str
    start: datetime
    end: datetime


class Verification(Struct, frozen=True, gc=False):
    """What signed digests prove of sources.

    ``proven`` is sorted, and adjacent spans of an account and Region are one.
    """

    proven: tuple[Proven, ...]
