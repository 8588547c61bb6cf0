"""Trails that were stopped, told to record less, or whose bucket was changed: what hides other calls."""

from collections.abc import Iterator

from cnitrail.answers.coverage_text import clock
from cnitrail.answers.findings.context import Claim, FindingContext, ResourceCall, grouped
from cnitrail.answers.findings.words import listed
from cnitrail.model import Severity, TrailAction, Unrecorded, Unrecording
from cnitrail.model.callers import Principal, principal_of

_HIDDEN = (
    "Calls of that time are missing from the trail's log files. For 90 days AWS keeps them in its own event "
    "history: read them with the source lookup:. If nobody expects this, find out what else the same "
    "principal did (timeline --actor)."
)
_BUCKET = (
    "Make sure that CloudTrail can still write to the bucket (its policy), that nobody else can, and that "
    "nothing deletes log files early (its lifecycle); cnitrail verify tells whether files are missing. A "
    "bucket in the security team's own account, with S3 Object Lock, cannot be changed like this."
)
_ANOTHER = "Another trail may have recorded the calls: nothing shows which trail delivered the evidence."
_PARTLY = "Some calls were still recorded, or the record does not show which ones."
_CALLED = {
    Unrecording.STOPPED: "stopped",
    Unrecording.DELETED: "deleted",
    Unrecording.NARROWED: "narrowed",
}


def trail_stopped(case: FindingContext) -> Iterator[Claim]:
    """A trail was stopped or deleted: it recorded nothing from then on."""
    for gap in case.history.unrecorded:
        if gap.reason is not Unrecording.NARROWED:
            yield _gap(case, gap, Severity.HIGH)


def trail_narrowed(case: FindingContext) -> Iterator[Claim]:
    """A trail was configured to record no write calls of EC2, or only some of them."""
    for gap in case.history.unrecorded:
        if gap.reason is Unrecording.NARROWED:
            yield _gap(case, gap, Severity.MEDIUM if gap.partly else Severity.HIGH)


def trail_bucket_changed(case: FindingContext) -> Iterator[Claim]:
    """A trail's bucket was deleted, its policy or lifecycle changed, or the trail given another bucket."""
    calls = [calls[0] for calls in case.by_event.values() if calls[0].event.trail is not None]
    for (_, bucket, _), group in grouped(_on_buckets(calls), _by_actor).items():
        names = listed(call.event.name for call in group)
        sentence = f"{case.who(group[0].entry.actor)} called {names} on {bucket}, a bucket of log files."
        yield Claim(Severity.MEDIUM, sentence, _BUCKET, group)
    for call, before in _moved(calls):
        trail = call.event.trail
        assert trail is not None
        who = case.who(call.entry.actor)
        sentence = f"{who} let the trail {trail.trail} deliver to {trail.bucket}, not to {before}."
        yield Claim(Severity.MEDIUM, sentence, _BUCKET, [call])


def _gap(case: FindingContext, gap: Unrecorded, severity: Severity) -> Claim:
    """A time in which a trail did not record everything."""
    events = [gap.event, *([gap.ended_by] if gap.ended_by is not None else [])]
    calls = [case.by_event[event.key][0] for event in events]
    name = f"the trail {gap.trail}" if gap.trail else "a trail"
    what = "some of EC2's write calls" if gap.partly else "EC2's write calls"
    where = f" outside of {gap.unless_region}" if gap.unless_region else ""
    until = f"until {gap.ended_by.name} at {clock(gap.ended_by.time)}" if gap.ended_by else "on"
    called = f"{case.who(calls[0].entry.actor)} {_CALLED[gap.reason]} {name} ({gap.event.name})"
    return Claim(
        severity=severity,
        sentence=f"{called}: it did not record {what}{where} from {clock(gap.event.time)} {until}.",
        advice=_HIDDEN,
        calls=calls,
        doubts=(_ANOTHER, *([_PARTLY] if gap.partly else [])),
        ongoing=gap.ended_by is None,
    )


def _on_buckets(calls: list[ResourceCall]) -> Iterator[ResourceCall]:
    for call in calls:
        if call.event.failure is None and _action(call) is TrailAction.BUCKET_CHANGED:
            yield call


def _moved(calls: list[ResourceCall]) -> Iterator[tuple[ResourceCall, str]]:
    """The calls that gave a trail another bucket than the one that an earlier call gave it."""
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


def _by_actor(call: ResourceCall) -> tuple[str | None, str | None, Principal]:
    trail = call.event.trail
    return call.event.account, trail.bucket if trail is not None else None, principal_of(call.entry.actor)
