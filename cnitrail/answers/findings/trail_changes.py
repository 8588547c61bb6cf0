"""Trails that were stopped, deleted or narrowed, or whose bucket was changed: what hides other calls."""

from collections.abc import Iterator

from cnitrail.answers.findings.calls import ResourceCall, grouped
from cnitrail.answers.findings.commands import bucket_policy, trail_status
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.model import Severity, TrailAction, Unrecorded, Unrecording
from cnitrail.model.callers import Principal, principal_of
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import clock, short_list

_HIDDEN = (
    "The log files of the trail lack the calls of that time. AWS keeps them for 90 days in event history: "
    "read them with the source lookup:. If you do not expect this change, review what else the caller did "
    "(cnitrail timeline SOURCE --actor NAME)."
)
_BUCKET = (
    "Check that CloudTrail can still write to the bucket and that nobody else can (its policy), and that no "
    "lifecycle rule deletes log files early. Use cnitrail verify to find missing files. A bucket in a "
    "separate security account, with S3 Object Lock, cannot be changed like this."
)
_OTHER_TRAIL = (
    "Another trail may have recorded the calls: the evidence does not show which trail delivered it."
)
_PARTLY = "Some calls were still recorded, or the event does not show which."
_VERBS = {
    Unrecording.STOPPED: "stopped",
    Unrecording.DELETED: "deleted",
    Unrecording.NARROWED: "narrowed",
}


def trail_stopped(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield trails that were stopped or deleted: they recorded nothing from then on."""
    for gap in case.history.unrecorded:
        if gap.reason is not Unrecording.NARROWED:
            yield _gap(case, gap, Severity.HIGH)


def trail_narrowed(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield trails that were configured to record no write calls of EC2, or only some of them."""
    for gap in case.history.unrecorded:
        if gap.reason is Unrecording.NARROWED:
            yield _gap(case, gap, Severity.MEDIUM if gap.partly else Severity.HIGH)


def trail_bucket_changed(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield buckets of trails that were deleted or changed, and trails that were given another bucket."""
    calls = [calls[0] for calls in case.by_event.values() if calls[0].event.trail is not None]
    for (_, bucket, _), group in grouped(_on_buckets(calls), _by_caller).items():
        names = short_list(call.event.name for call in group)
        yield RuleMatch(
            severity=Severity.MEDIUM,
            sentence=f"{case.who(group[0].entry.actor)} called {names} on {bucket}, a bucket with CloudTrail "
            "logs.",
            advice=_BUCKET,
            commands=bucket_policy(group[0].place, bucket),
            calls=group,
        )
    for call, before in _to_another_bucket(calls):
        trail = call.event.trail
        assert trail is not None
        who = case.who(call.entry.actor)
        yield RuleMatch(
            severity=Severity.MEDIUM,
            sentence=f"{who} changed the bucket of the trail {trail.trail} from {before} to {trail.bucket}.",
            advice=_BUCKET,
            commands=bucket_policy(call.place, trail.bucket),
            calls=[call],
        )


def _gap(case: FindingContext, gap: Unrecorded, severity: Severity) -> RuleMatch:
    """Return a time in which a trail did not record everything."""
    events = [gap.event, *([gap.ended_by] if gap.ended_by is not None else [])]
    calls = [case.by_event[event.key][0] for event in events]
    name = f"the trail {gap.trail}" if gap.trail else "a trail"
    what = "some of EC2's write calls" if gap.partly else "EC2's write calls"
    where = f" outside {gap.unless_region}" if gap.unless_region else ""
    until = f"until {gap.ended_by.name} at {clock(gap.ended_by.time)}" if gap.ended_by else "on"
    what_happened = f"{case.who(calls[0].entry.actor)} {_VERBS[gap.reason]} {name} ({gap.event.name})"
    doubts = [Reason(ReasonCode.OTHER_TRAIL, _OTHER_TRAIL)]
    if gap.partly:
        doubts.append(Reason(ReasonCode.PARTLY_RECORDED, _PARTLY))
    return RuleMatch(
        severity=severity,
        sentence=f"{what_happened}: it did not record {what}{where} from {clock(gap.event.time)} {until}.",
        advice=_HIDDEN,
        commands=trail_status(calls[0].place, gap.trail),
        calls=calls,
        doubts=tuple(doubts),
        ongoing=gap.ended_by is None,
    )


def _on_buckets(calls: list[ResourceCall]) -> Iterator[ResourceCall]:
    for call in calls:
        if call.event.failure is None and _action(call) is TrailAction.BUCKET_CHANGED:
            yield call


def _to_another_bucket(calls: list[ResourceCall]) -> Iterator[tuple[ResourceCall, str]]:
    """Yield the calls that gave a trail another bucket than an earlier call, with that earlier bucket."""
    buckets: dict[tuple[str | None, str | None], str] = {}
    for call in calls:
        trail = call.event.trail
        if trail is None or trail.bucket is None or call.event.failure is not None:
            continue
        if trail.change in (TrailAction.CREATED, TrailAction.CHANGED):
            key = call.event.account, trail.trail
            before = buckets.get(key)
            if before is not None and before != trail.bucket:
                yield call, before
            buckets[key] = trail.bucket


def _action(call: ResourceCall) -> TrailAction | None:
    return call.event.trail.change if call.event.trail is not None else None


def _by_caller(call: ResourceCall) -> tuple[str | None, str | None, Principal]:
    trail = call.event.trail
    return call.event.account, trail.bucket if trail is not None else None, principal_of(call.entry.actor)
