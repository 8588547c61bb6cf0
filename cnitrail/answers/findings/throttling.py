"""Calls that EC2 throttled: which token bucket was empty, and who drained it."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from cnitrail.answers.findings.context import (
    FindingContext,
    ResourceCall,
    RuleMatch,
    grouped,
    split_at_pauses,
)
from cnitrail.answers.token_buckets import Level, TokenBucket, bucket_of
from cnitrail.model import Effect, Severity
from cnitrail.model.ec2 import THROTTLED
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import counted, duration

_PAUSE = timedelta(minutes=10)
_LONG = timedelta(minutes=5)
_MANY = 100
_RETRIES = 3
"""Usual number of retries by the AWS SDKs: no more refusals than this harm nobody."""

_EMPTY = 0.2
"""Share of a bucket below which the calls in the evidence are taken to have drained it."""

_DRAINERS = 3
_ADVICE = (
    "Make fewer calls. For the VPC CNI, set MINIMUM_IP_TARGET to the usual number of pods on a node and "
    "WARM_IP_TARGET above 1, and start nodes in smaller batches. For other programs, wait longer between "
    "calls. If that is not enough, ask AWS Support to raise the limit of this API."
)


def is_throttled(call: ResourceCall) -> bool:
    """Return whether EC2 refused a call because the token bucket was empty."""
    return call.code in THROTTLED and call.event.effect is not Effect.RECORD


def throttled(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield times at which the token bucket of an API was empty."""
    by_event = (calls[0] for calls in case.by_event.values())
    for (place, api), calls in grouped(by_event, lambda call: (call.place, call.event.name)).items():
        refused = list(filter(is_throttled, calls))
        if not refused:
            continue
        replay = _Replay(bucket_of(api), calls)
        for run in split_at_pauses(refused, _PAUSE):
            yield _match(case, api, replay, run, ongoing=case.evidence_end(place) - run[-1].time < _PAUSE)


class _Replay:
    """The calls of one API and the level of its bucket; a call that is refused takes no token."""

    def __init__(self, bucket: TokenBucket, calls: list[ResourceCall]) -> None:
        self.bucket = bucket
        self._calls = calls
        self._times = [call.time for call in calls]
        level = Level(bucket)
        self._left = [level.take(call.time, 0 if is_throttled(call) else 1) for call in calls]
        self._full = [place for place, left in enumerate(self._left) if left >= bucket.capacity - 1]

    def lowest_level(self, first: datetime, last: datetime) -> float:
        """Return the fewest tokens that were left between two times."""
        return min(self._left[bisect_left(self._times, first) : bisect_right(self._times, last)])

    def drained_by(self, last: datetime) -> list[ResourceCall]:
        """Return the calls that took tokens until a time, since the bucket was last full."""
        end = bisect_right(self._times, last)
        full = bisect_left(self._full, end)
        begin = self._full[full - 1] if full else 0
        return [call for call in self._calls[begin:end] if not is_throttled(call)]


def _match(
    case: FindingContext, api: str, replay: _Replay, refused: list[ResourceCall], *, ongoing: bool
) -> RuleMatch:
    first, last = refused[0].time, refused[-1].time
    bucket, length = replay.bucket, last - first
    instances = {call.entry.instance for call in refused if call.entry.instance}
    on_instances = f" on {counted(len(instances), 'instance')}" if instances else ""
    sentence = f"EC2 throttled {counted(len(refused), f'{api} call')}{on_instances}"
    sentence += f" within {duration(length)}." if length else "."
    size = f"{bucket.capacity} tokens, {bucket.refill} per second"
    doubts: tuple[Reason, ...] = ()
    if replay.lowest_level(first, last) <= bucket.capacity * _EMPTY:
        drained = replay.drained_by(last)
        counts = Counter(case.who(call.entry.actor) for call in drained).most_common(_DRAINERS)
        top = ", ".join(f"{name} {count:,}" for name, count in counts)
        sentence += f" {counted(len(drained), 'call')} drained the token bucket ({size}): {top}."
    else:
        text = (
            f"The calls in the evidence would not drain the token bucket ({size}): other calls are not in "
            "the evidence, or the account has a lower limit."
        )
        doubts = (Reason(ReasonCode.BUCKET_NOT_DRAINED, text),)
    return RuleMatch(
        severity=_severity(len(refused), length),
        sentence=sentence,
        advice=_ADVICE,
        calls=refused,
        doubts=doubts,
        ongoing=ongoing,
    )


def _severity(refused: int, length: timedelta) -> Severity:
    if refused >= _MANY or length >= _LONG:
        return Severity.HIGH
    return Severity.LOW if refused <= _RETRIES else Severity.MEDIUM
