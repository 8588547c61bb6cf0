"""One event for each call: a call that the policy of a VPC endpoint denies may be logged twice."""

from cnitrail.model import Event
from cnitrail.model.ec2 import DENIED_BY_ENDPOINT, error_code


def without_twins(events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Return the events without the network activity events of calls that have another event, too.

    The two have the same requestID and different event IDs.
    """
    if not any(map(_is_by_endpoint, events)):
        return events
    own = {
        (event.name, event.request_id) for event in events if event.request_id and not _is_by_endpoint(event)
    }
    return tuple(
        event for event in events if not (_is_by_endpoint(event) and (event.name, event.request_id) in own)
    )


def _is_by_endpoint(event: Event) -> bool:
    return event.failure is not None and error_code(event.failure.code) == DENIED_BY_ENDPOINT
