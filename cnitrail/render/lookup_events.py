"""LookupEvents entries as JSON lines, in the form that plaso reads.

plaso's parser (``jsonl``, plugin ``aws_cloudtrail_log``, in plaso's
plaso/parsers/jsonl_plugins/aws_cloudtrail_log.py) requires ``EventTime`` with a space instead of ISO 8601's
T, and a name in each of ``Resources``.
"""

from cnitrail.model import LookupEvent
from cnitrail.render.json import line


def event_line(event: LookupEvent) -> str:
    """Return an event as one line of JSON."""
    envelope = {
        "EventId": event.event_id,
        "EventName": event.event_name,
        "ReadOnly": None if event.read_only is None else str(event.read_only).lower(),
        "AccessKeyId": event.access_key_id,
        "EventTime": f"{event.event_time:%Y-%m-%d %H:%M:%S}+00:00",
        "EventSource": event.event_source,
        "Username": event.username,
        "Resources": [{"ResourceType": kind, "ResourceName": name} for kind, name in event.resources],
        "CloudTrailEvent": event.text,
    }
    return line({name: value for name, value in envelope.items() if value is not None})
