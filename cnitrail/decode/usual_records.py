"""The usual record of a call, decoded straight from its text: nearly all have the fields of ``_Call``.

Any other record is left to ``decode``, which reads every record, and these with the same result. A caller's
identity is read once for all its calls, and no dictionary is made for the two most frequent calls.
"""

from collections.abc import Callable
from functools import lru_cache
from sys import intern
from typing import Annotated, Any, Generic, TypeVar

from msgspec import UNSET, Meta, MsgspecError, Raw, Struct, UnsetType, field
from msgspec.json import Decoder, decode, encode

from cnitrail.decode.actor import shared_actor
from cnitrail.decode.call_body import body_of
from cnitrail.decode.common_fields import failure_of
from cnitrail.decode.events import EVENT_SOURCES, EVENTS
from cnitrail.decode.shapes import (
    NUMBER_LIMIT,
    Fields,
    Problems,
    address,
    address_holding,
    prefix,
    prefix_holding,
    time,
)
from cnitrail.jsontext import repeated_key
from cnitrail.model import Event, Failure, Held, Holding, HoldingKind, Record, Subject

Request = TypeVar("Request")
Response = TypeVar("Response")
Number = Annotated[int, Meta(gt=-NUMBER_LIMIT, lt=NUMBER_LIMIT)]


class _Call(Struct, Generic[Request, Response], gc=False, kw_only=True, rename="camel"):
    """The record of a call, as CloudTrail writes it."""

    event_version: str
    user_identity: Raw
    event_time: str
    event_source: str
    event_name: str
    aws_region: str
    source_ip_address: str = field(name="sourceIPAddress")
    user_agent: str
    request_parameters: Request
    response_elements: Response | None
    event_id: str = field(name="eventID")
    recipient_account_id: str
    error_code: str | UnsetType = UNSET
    error_message: str | UnsetType = UNSET
    request_id: str | UnsetType = field(default=UNSET, name="requestID")
    read_only: bool | UnsetType = UNSET
    event_type: str | UnsetType = UNSET
    management_event: bool | UnsetType = UNSET
    event_category: str | UnsetType = UNSET
    tls_details: Raw | UnsetType = UNSET


class _Address(Struct, gc=False):
    text: str = field(name="privateIpAddress")


class _Prefix(Struct, gc=False):
    text: str = field(name="ipv4Prefix")


class _Addresses(Struct, gc=False):
    items: list[_Address] | UnsetType = UNSET


class _Prefixes(Struct, gc=False):
    items: list[_Prefix] | UnsetType = UNSET


class _AssignedAddresses(Struct, gc=False):
    items: list[_Address] | UnsetType = field(default=UNSET, name="assignedPrivateIpAddressSetType")


class _AssignedPrefixes(Struct, gc=False):
    items: list[_Prefix] | UnsetType = field(default=UNSET, name="assignedIpv4PrefixSetType")


class _AssignRequest(Struct, gc=False, kw_only=True):
    eni: str = field(name="networkInterfaceId")
    addresses: _Addresses | UnsetType = field(default=UNSET, name="privateIpAddressesSet")
    count: Number | UnsetType = field(default=UNSET, name="secondaryPrivateIpAddressCount")
    prefixes: _Prefixes | UnsetType = field(default=UNSET, name="ipv4Prefixes")
    prefix_count: Number | UnsetType = field(default=UNSET, name="ipv4PrefixCount")
    reassign: bool | UnsetType = field(default=UNSET, name="allowReassignment")


class _AssignResponse(Struct, gc=False, kw_only=True):
    addresses: _AssignedAddresses = field(name="assignedPrivateIpAddressesSet")
    prefixes: _AssignedPrefixes | UnsetType = field(default=UNSET, name="assignedIpv4PrefixSet")
    eni: str | UnsetType = field(default=UNSET, name="networkInterfaceId")
    request_id: str | UnsetType = field(default=UNSET, name="requestId")
    succeeded: bool | UnsetType = field(default=UNSET, name="_return")


class _UnassignRequest(Struct, gc=False):
    eni: str = field(name="networkInterfaceId")
    addresses: _Addresses | UnsetType = field(default=UNSET, name="privateIpAddressesSet")
    prefixes: _Prefixes | UnsetType = field(default=UNSET, name="ipv4Prefixes")


class _UnassignResponse(Struct, gc=False):
    request_id: str | UnsetType = field(default=UNSET, name="requestId")
    succeeded: bool | UnsetType = field(default=UNSET, name="_return")


_AnyCall = _Call[Fields | None, Fields]
_AssignCall = _Call[_AssignRequest, _AssignResponse]
_UnassignCall = _Call[_UnassignRequest, _UnassignResponse]
_Set = _Addresses | _Prefixes | _AssignedAddresses | _AssignedPrefixes | UnsetType


def usual_event(record: Record) -> Event | None:
    """Return the event of a record as CloudTrail wrote it; None if the record is unusual, or no event."""
    text = record.payload
    calls, subjects_of = _READERS.get(_first_name(text), _ANY_READER)
    try:
        call = calls.decode(text)
    except (MsgspecError, ValueError, RecursionError):
        return None
    if EVENT_SOURCES.get(call.event_name) != call.event_source or not _is_all_of(call, text):
        return None
    failure, happened = _failure_of(call), time(call.event_time)
    if failure is not None and call.response_elements is not None:
        return None
    subjects = subjects_of(call, failure is None)
    if not subjects or happened is None:
        return None
    return Event(
        time=happened,
        key=call.event_id,
        event_id=call.event_id,
        name=intern(call.event_name),
        effect=EVENTS[call.event_name][0],
        failure=failure,
        account=intern(call.recipient_account_id),
        region=intern(call.aws_region),
        actor=shared_actor(
            bytes(call.user_identity), call.source_ip_address or None, call.user_agent or None
        ),
        subjects=subjects,
        origins=record.origins,
        request_id=(call.request_id or None) if failure is not None else None,
    )


_SECONDARY, _PREFIX = HoldingKind.SECONDARY, HoldingKind.PREFIX

_NAME = b'"eventName":"'


def _first_name(text: bytes) -> bytes:
    """Return the first event name in a text: the record's own, unless the record is a strange one."""
    start = text.find(_NAME) + len(_NAME)
    return text[start : text.find(b'"', start)]


def _is_all_of(call: _Call[Any, Any], text: bytes) -> bool:
    """Return whether a call has all that the text of its record has, in the usual form.

    A field that it lacks, or a second one of the same name, makes the text longer. Nothing makes it shorter
    than what is written here: numbers with a fraction or exponent are refused.
    """
    return (
        len(encode(call)) == len(text)
        and "" not in (call.event_id, call.aws_region, call.recipient_account_id)
        and call.event_type in (UNSET, "AwsApiCall")
        and call.event_category in (UNSET, "Management")
        and _is_plain(bytes(call.user_identity))
        and (call.tls_details is UNSET or _is_plain(bytes(call.tls_details)))
    )


@lru_cache(maxsize=65536)
def _is_plain(text: bytes) -> bool:
    """Return whether a JSON text is an object in which no key is repeated."""
    try:
        value = decode(text)
        return isinstance(value, dict) and repeated_key(text, value) is None
    except (ValueError, RecursionError):
        return False


def _failure_of(call: _Call[Any, Any]) -> Failure | None:
    """Return why the call failed; None if it succeeded."""
    if call.error_code is UNSET and call.error_message is UNSET:
        return None
    return failure_of({"errorCode": call.error_code or None, "errorMessage": call.error_message or None})


def _any(call: _AnyCall, is_ok: bool) -> tuple[Subject, ...]:
    """Return the subjects of a call; none if any of it could not be read."""
    problems = Problems()
    body = body_of(
        call.request_parameters or {}, call.response_elements or {}, call.event_name, is_ok, problems
    )
    subjects = EVENTS[call.event_name][1](body)
    return () if body.omitted or (is_ok and problems) else subjects


def _assign(call: _AssignCall, is_ok: bool) -> tuple[Subject, ...]:
    """AssignPrivateIpAddresses, unless a call that succeeded names its addresses in the request only."""
    request, response = call.request_parameters, call.response_elements
    added: tuple[Holding, ...] = ()
    if is_ok:
        if response is None or (response.prefixes is UNSET and _texts(request.prefixes)):
            return ()
        addresses, prefixes = _texts(response.addresses), _texts(response.prefixes)
        added = (
            *filter(None, [address_holding(_SECONDARY, text) for text in addresses]),
            *filter(None, [prefix_holding(_PREFIX, text) for text in prefixes]),
        )
        if len(added) < max(len(addresses) + len(prefixes), 1):
            return ()
    requested, kind = _requested(request)
    subject = Subject(
        eni=intern(request.eni),
        added=added,
        requested=requested,
        requested_kind=kind,
        requested_addresses=_named(_texts(request.addresses) + _texts(request.prefixes)),
        reassign=request.reassign is True,
    )
    return (subject,) if request.eni else ()


def _unassign(call: _UnassignCall, is_ok: bool) -> tuple[Subject, ...]:
    """UnassignPrivateIpAddresses."""
    request = call.request_parameters
    addresses, prefixes = _texts(request.addresses), _texts(request.prefixes)
    removed: list[Held] = []
    if is_ok:
        removed += filter(None, map(address, addresses))
        removed += filter(None, map(prefix, prefixes))
        if len(removed) < max(len(addresses) + len(prefixes), 1):
            return ()
    named = _named(addresses + prefixes)
    subject = Subject(eni=intern(request.eni), removed=tuple(removed), requested_addresses=named)
    return (subject,) if request.eni else ()


def _requested(request: _AssignRequest) -> tuple[int | None, HoldingKind | None]:
    """Return the number that a request asks for, and of what; if it names them, the number is None."""
    count, prefix_count = request.count, request.prefix_count
    if count is not UNSET and (count > 0 or prefix_count is UNSET or prefix_count <= 0):
        return count, _SECONDARY
    if prefix_count is not UNSET:
        return prefix_count, _PREFIX
    named = ((request.addresses, _SECONDARY), (request.prefixes, _PREFIX))
    return None, next((kind for listed, kind in named if any(_texts(listed))), None)


def _named(texts: list[str]) -> tuple[str, ...]:
    """Return the addresses and prefixes that a request names, as written."""
    return tuple([intern(text) for text in texts if text])


def _texts(listed: _Set) -> list[str]:
    """Return the addresses or prefixes in a set."""
    return [item.text for item in listed.items] if listed is not UNSET and listed.items is not UNSET else []


_READERS: dict[bytes, tuple[Decoder[Any], Callable[[Any, bool], tuple[Subject, ...]]]] = {
    b"AssignPrivateIpAddresses": (Decoder(_AssignCall), _assign),
    b"UnassignPrivateIpAddresses": (Decoder(_UnassignCall), _unassign),
}


def _refuse_fraction(_: str) -> float:
    """Refuse a number with a fraction or exponent: written again, it may be longer."""
    raise ValueError


_ANY_READER = Decoder(_AnyCall, float_hook=_refuse_fraction), _any
