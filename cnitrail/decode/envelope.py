"""The envelope in which LookupEvents returns a record: the record's text, and fields beside it.

These fields follow recorded answers of LookupEvents, and
https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_Event.html.
"""

from collections.abc import Iterator

from cnitrail.decode.shapes import Fields, fields, flag, text
from cnitrail.jsontext import parse, well_formed
from cnitrail.model import Event, IssuedSession, LookupEvent, Record


def enveloped(record: Record, fact: Event | IssuedSession) -> LookupEvent:
    """Return a decoded record in its envelope."""
    entry = fields(parse(record.payload))
    identity = fields(entry.get("userIdentity"))
    return LookupEvent(
        event_id=fact.event_id,
        event_name=text(entry.get("eventName")),
        event_source=text(entry.get("eventSource")),
        event_time=fact.time,
        read_only=flag(entry.get("readOnly")),
        username=_username(identity),
        access_key_id=text(identity.get("accessKeyId")),
        resources=tuple(dict.fromkeys(_resources(fact))),
        has_identity=isinstance(entry.get("userIdentity"), dict),
        text=well_formed(record.payload).decode(),
    )


def _username(identity: Fields) -> str | None:
    """Return the session of a role or the name of a user; None for a service."""
    match identity.get("type"):
        case "AssumedRole":
            return (text(identity.get("principalId")) or "").partition(":")[2] or None
        case "Root":
            return "root"
    return text(identity.get("userName"))


def _resources(fact: Event | IssuedSession) -> Iterator[tuple[str, str]]:
    """Yield the (type, name) of the resources of a call."""
    if isinstance(fact, IssuedSession):
        named = [("AWS::IAM::Role", fact.role_arn)]
    else:
        named = [
            pair
            for subject in fact.subjects
            for pair in (
                ("AWS::EC2::NetworkInterfaceAttachment", subject.attachment),
                ("AWS::EC2::NetworkInterface", subject.eni),
                ("AWS::EC2::Instance", subject.instance),
            )
        ]
    yield from ((kind, name) for kind, name in named if name is not None)
