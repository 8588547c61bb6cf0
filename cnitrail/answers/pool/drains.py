"""The calls that other settings would have caused, against EC2's token buckets."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from cnitrail.answers.token_buckets import Level, TokenBucket, bucket_of
from cnitrail.model.pool import Drain

_READS = TokenBucket(100, 20)
"""Bucket of describe calls that name resources; see ``answers/token_buckets.py``."""


def drains(calls: Iterable[tuple[datetime, str]], observed: Mapping[str, int]) -> tuple[Drain, ...]:
    """Return what calls would take from the buckets, by name; ``observed`` are those in CloudTrail."""
    times: dict[str, list[datetime]] = {name: [] for name in observed}
    for time, name in calls:
        times.setdefault(name, []).append(time)
    return tuple(_drain(name, sorted(times[name]), observed) for name in sorted(times))


def _drain(name: str, times: Sequence[datetime], observed: Mapping[str, int]) -> Drain:
    reads = name.startswith("Describe")
    bucket = _READS if reads else bucket_of(name)
    level = Level(bucket)
    least, throttled = float(bucket.capacity), 0
    for time in times:
        throttled += level.take(time, 0) < 1
        least = min(least, level.take(time))
    seconds = Counter(time.replace(microsecond=0) for time in times)
    return Drain(
        event=name,
        calls=len(times),
        observed=None if reads else observed.get(name, 0),
        most_per_second=max(seconds.values(), default=0),
        capacity=bucket.capacity,
        refill=bucket.refill,
        least_tokens=round(least, 1),
        throttled=throttled,
    )
