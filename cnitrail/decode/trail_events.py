"""The calls that change what CloudTrail records, or the bucket that it delivers to.

A new event is one function and one row in ``TRAIL_EVENTS``. Field names are those of CloudTrail's API
(https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/) in lower camel case, and those that S3
logs for bucket calls (https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html).
"""

import json
from collections.abc import Callable, Iterator
from functools import partial

from cnitrail.decode.call_body import CallBody
from cnitrail.decode.events import EC2, EVENT_SOURCES
from cnitrail.decode.shapes import Fields, elements, fields, flag, text, texts
from cnitrail.model import BUCKET_CALLS, TRAIL_CALLS, TrailAction, TrailChange

_CLOUDTRAIL = "cloudtrail.amazonaws.com"
_S3 = "s3.amazonaws.com"
_WRITES = ("All", "WriteOnly")
_SERVICE_EVENTS = ("BidEvictedEvent",)
"""Events that EC2 logs without a call."""

Selects = bool | None
"""Whether write calls are selected; None if only some of them are, or if it is unknown."""

Reader = Callable[[CallBody], TrailChange]


def _named(change: TrailAction, call: CallBody) -> TrailChange:
    """Return the change of a call that only names its trail."""
    return TrailChange(change=change, trail=call.need("name", call.request.get("name")))


def _create(call: CallBody) -> TrailChange:
    """CreateTrail: by default a trail records all management events, but only after it is started."""
    return _configured(TrailAction.CREATED, call, records_writes=True)


def _update(call: CallBody) -> TrailChange:
    return _configured(TrailAction.CHANGED, call, records_writes=None)


def _configured(change: TrailAction, call: CallBody, *, records_writes: bool | None) -> TrailChange:
    """Return a trail as a call configured it; None for what the request does not change."""
    request = call.request
    name = call.need("name", request.get("name"))
    return TrailChange(
        change=change,
        trail=text(call.response.get("trailARN")) or name,
        records_writes=records_writes,
        bucket=text(request.get("s3BucketName")),
        multi_region=flag(request.get("isMultiRegionTrail")),
        organization=flag(call.response.get("isOrganizationTrail", request.get("isOrganizationTrail"))),
    )


def _put_event_selectors(call: CallBody) -> TrailChange:
    """PutEventSelectors replaces all selectors, basic and advanced."""
    selects = _selects(call)
    name = call.need("trailName", call.request.get("trailName"))
    return TrailChange(
        change=TrailAction.WIDENED if selects else TrailAction.NARROWED,
        trail=text(call.response.get("trailARN")) or name,
        records_writes=selects,
    )


def _put_insight_selectors(call: CallBody) -> TrailChange:
    """PutInsightSelectors adds or removes Insights, and does not affect management events."""
    return TrailChange(
        change=TrailAction.CHANGED, trail=call.need("trailName", call.request.get("trailName"))
    )


def _selects(call: CallBody) -> Selects:
    """Return whether the selectors of a request include EC2's write calls."""
    basic = elements(call.request.get("eventSelectors"))
    advanced = elements(call.request.get("advancedEventSelectors"))
    if not basic and not advanced:
        call.lacks("requestParameters", call.request, "a request with selectors")
        return None
    if any(_basic_selects(fields(selector)) for selector in basic):
        return True
    names = [name for name, source in EVENT_SOURCES.items() if source == EC2]
    chosen = [[_advanced_selects(fields(selector), name) for name in names] for selector in advanced]
    if names and chosen and all(True in column for column in zip(*chosen, strict=True)):
        return True
    return False if all(selected is False for row in chosen for selected in row) else None


def _basic_selects(selector: Fields) -> bool:
    """Return whether a basic selector includes EC2's write calls; the default is all management events."""
    includes = flag(selector.get("includeManagementEvents", True)) is not False
    excluded = texts(selector.get("excludeManagementEventSources"), "eventSource")
    return includes and selector.get("readWriteType", "All") in _WRITES and EC2 not in excluded


def _advanced_selects(selector: Fields, name: str) -> Selects:
    """Return whether an advanced selector includes the calls with a name: all conditions must hold."""
    known = {
        "eventCategory": "Management",
        "readOnly": "false",
        "eventSource": EC2,
        "eventName": name,
        "eventType": "AwsServiceEvent" if name in _SERVICE_EVENTS else "AwsApiCall",
    }
    conditions = list(map(fields, elements(selector.get("fieldSelectors"))))
    holds = {_holds(condition, known.get(text(condition.get("field")) or "")) for condition in conditions}
    if False in holds or not any(condition.get("field") == "eventCategory" for condition in conditions):
        return False
    return None if None in holds else True


_MATCHES: dict[str, Callable[[str, str], bool]] = {
    "equals": str.__eq__,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
}


def _holds(condition: Fields, value: str | None) -> Selects:
    """Return whether a field selector holds for a value; None if the value differs from call to call.

    One of the including operators must match, and none of the excluding ones.
    """
    if value is None:
        return None
    including = [_matching(condition, operator, value) for operator in _MATCHES if operator in condition]
    excluding = (
        _matching(condition, operator, value, f"not{operator[:1].upper()}{operator[1:]}")
        for operator in _MATCHES
    )
    return (not including or any(including)) and not any(excluding)


def _matching(condition: Fields, operator: str, value: str, key: str | None = None) -> bool:
    patterns = texts(condition.get(key or operator), "value")
    return any(_MATCHES[operator](value, pattern) for pattern in patterns)


def _bucket(call: CallBody) -> TrailChange:
    """A call on a bucket; if the policy names CloudTrail, a trail delivers to the bucket."""
    request = call.request
    policy = request.get("bucketPolicy")
    statements = policy if isinstance(policy, str) else json.dumps(policy)
    return TrailChange(
        change=TrailAction.BUCKET_CHANGED,
        trail=next(_trails_in(policy), None),
        bucket=call.need("bucketName", request.get("bucketName")),
        delivers=_CLOUDTRAIL in statements,
    )


def _trails_in(value: object) -> Iterator[str]:
    """Yield the ARNs of the trails that a bucket policy allows to deliver."""
    if isinstance(value, str):
        if value.startswith("arn:") and ":cloudtrail:" in value and ":trail/" in value:
            yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _trails_in(inner)


TRAIL_EVENTS: dict[str, Reader] = {
    "CreateTrail": _create,
    "DeleteTrail": partial(_named, TrailAction.DELETED),
    "PutEventSelectors": _put_event_selectors,
    "PutInsightSelectors": _put_insight_selectors,
    "StartLogging": partial(_named, TrailAction.STARTED),
    "StopLogging": partial(_named, TrailAction.STOPPED),
    "UpdateTrail": _update,
    **dict.fromkeys(BUCKET_CALLS, _bucket),
}
"""The function that reads each event of a trail or its bucket."""

TRAIL_SOURCES = {**dict.fromkeys(TRAIL_CALLS, _CLOUDTRAIL), **dict.fromkeys(BUCKET_CALLS, _S3)}
"""The eventSource of each of these events."""
