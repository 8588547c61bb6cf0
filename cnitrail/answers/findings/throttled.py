"""Calls that EC2 refused because the account made too many: which bucket, and who drained it."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from cnitrail.answers.coverage_text import lasting
from cnitrail.answers.findings.context import Claim, FindingContext, ResourceCall, grouped, spells
from cnitrail.answers.findings.words import counted
from cnitrail.answers.token_buckets import Level, TokenBucket, bucket_of
from cnitrail.model import Effect, Severity

_CODES = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled"})
_PAUSE = timedelta(minutes=10)
_LONG = timedelta(minutes=5)
_MANY = 100
_RETRIES = 3
"""So often the AWS SDKs try a call themselves, as a rule: so few refusals harm nobody."""

_EMPTY = 0.2
"""A bucket that the calls seen leave fuller than this was not drained by them."""

_DRAINERS = 3
_ADVICE = (
    "Make fewer calls: with the VPC CNI raise MINIMUM_IP_TARGET to the pods that a node usually has, and "
    "WARM_IP_TARGET above 1, and start nodes in smaller batches; let other programs wait longer between "
    "calls. If that is not enough, ask AWS Support for a higher rate of this API."
)


def is_throttled(call: ResourceCall) -> bool:
    """Whether EC2 refused a call for want of tokens."""
    return call.code in _CODES and call.event.effect is not Effect.RECORD


def throttled(case: FindingContext) -> Iterator[Claim]:
    """An API's token bucket was empty."""
    by_event = (calls[0] for calls in case.by_event.values())
    for (place, api), made in grouped(by_event, lambda call: (call.place, call.event.name)).items():
        refused = list(filter(is_throttled, made))
        if not refused:
            continue
        replay = _Replay(bucket_of(api), made)
        for spell in spells(refused, _PAUSE):
            yield _claim(case, api, replay, spell, case.end(place) - spell[-1].time < _PAUSE)


class _Replay:
    """The calls of one API through its bucket. A call that is refused takes no token."""

    def __init__(self, bucket: TokenBucket, made: list[ResourceCall]) -> None:
        self.bucket = bucket
        self._made = made
        self._times = [call.time for call in made]
        level = Level(bucket)
        self._left = [level.take(call.time, 0 if is_throttled(call) else 1) for call in made]
        self._full = [at for at, left in enumerate(self._left) if left >= bucket.capacity - 1]

    def fewest(self, first: datetime, last: datetime) -> float:
        """The fewest tokens that were left in a time."""
        return min(self._left[bisect_left(self._times, first) : bisect_right(self._times, last)])

    def drained_by(self, last: datetime) -> list[ResourceCall]:
        """The calls that took tokens until a time, since the bucket had been full."""
        end = bisect_right(self._times, last)
        full = bisect_left(self._full, end)
        begin = self._full[full - 1] if full else 0
        return [call for call in self._made[begin:end] if not is_throttled(call)]


def _claim(
    case: FindingContext, api: str, replay: _Replay, refused: list[ResourceCall], ongoing: bool
) -> Claim:
    first, last = refused[0].time, refused[-1].time
    bucket, span = replay.bucket, last - first
    instances = {call.entry.instance for call in refused if call.entry.instance}
    nodes = f" on {counted(len(instances), 'instance')}" if instances else ""
    sentence = f"EC2 throttled {counted(len(refused), 'call')} of {api}{nodes}"
    sentence += f" within {lasting(span)}." if span else "."
    sizes = f"{bucket.capacity} at once and {bucket.refill} a second"
    doubts: tuple[str, ...] = ()
    if replay.fewest(first, last) <= bucket.capacity * _EMPTY:
        drained = replay.drained_by(last)
        counts = Counter(case.who(call.entry.actor) for call in drained).most_common(_DRAINERS)
        top = ", ".join(f"{name} {count}" for name, count in counts)
        sentence += f" Its bucket ({sizes}) was drained by {counted(len(drained), 'call')}: {top}."
    else:
        unseen = "others were made that are not in it, or the account's rate is lower"
        doubts = (f"The calls in the evidence would not empty its bucket ({sizes}): {unseen}.",)
    return Claim(_severity(len(refused), span), sentence, _ADVICE, refused, doubts, ongoing=ongoing)


def _severity(refused: int, span: timedelta) -> Severity:
    if refused >= _MANY or span >= _LONG:
        return Severity.HIGH
    return Severity.LOW if refused <= _RETRIES else Severity.MEDIUM
