"""CloudTrail events in OCSF, as Security Lake and CloudWatch's unified data store have them.

Each field is mapped back by AWS's mapping (github.com/ocsf/examples, mappings/markdown/AWS, v1.1.0 and
v1.5.0; https://docs.aws.amazon.com/security-lake/latest/userguide/open-cybersecurity-schema-framework.html).
OCSF 1.0.0-rc.2 (Security Lake's source version 1) flattens the parameters of a call, so that its sets cannot
be put together again.
"""

from collections.abc import Iterator
from typing import Final

from cnitrail.jsontext import json_object
from cnitrail.scan.rows.names import IDENTITY, OBJECTS, Shape
from cnitrail.scan.rows.parameters import lacks_capitals, restored_parameters
from cnitrail.scan.rows.result import HEAD, Rebuilt, Refused, checked
from cnitrail.scan.rows.tables import without_lone_mfa
from cnitrail.scan.rows.values import Columns, at, entries_of, flag_of, put, time_text

_FIELDS: Final = {
    "metadata.product.version": "eventVersion",
    "api.service.name": "eventSource",
    "api.operation": "eventName",
    "cloud.region": "awsRegion",
    "src_endpoint.ip": "sourceIPAddress",
    "src_endpoint.domain": "sourceIPAddress",
    "src_endpoint.uid": "vpcEndpointId",
    "http_request.user_agent": "userAgent",
    "api.response.error": "errorCode",
    "api.response.message": "errorMessage",
    "api.request.uid": "requestID",
    "api.version": "apiVersion",
    "metadata.uid": "eventID",
    "metadata.event_code": "eventType",
    "actor.user.type": "userIdentity.type",
    "actor.user.uid_alt": "userIdentity.principalId",
    "actor.user.uid": "userIdentity.arn",
    "actor.user.account.uid": "userIdentity.accountId",
    "actor.user.credential_uid": "userIdentity.accessKeyId",
    "actor.user.name": "userIdentity.userName",
    "actor.invoked_by": "userIdentity.invokedBy",
    "actor.session.issuer": "userIdentity.sessionContext.sessionIssuer.arn",
}
"""CloudTrail's field for each of OCSF's."""

_HEAD_FIELDS: Final = {path: name for path, name in _FIELDS.items() if name in HEAD}
_PARAMETERS: Final = {"api.request.data": "requestParameters", "api.response.data": "responseElements"}
_CATEGORIES: Final = ("Management", "Data", "Insight", "NetworkActivity")
_OBJECTS: Final = ("metadata", "api", "actor", "cloud", "src_endpoint", "http_request", "unmapped")
_CLASSES: Final = ("6003", "3001", "3002", "3005")
"""API Activity, Account Change, Authentication; 3005 is API Activity in 1.0.0-rc.2."""


def is_ocsf(row: Columns) -> bool:
    """Return whether a row is a CloudTrail event in OCSF."""
    if "api" not in row or "metadata" not in row:
        return False
    product = at(row, "metadata.product.name")
    return product == "CloudTrail" or (product is None and str(row.get("class_uid")) in _CLASSES)


_OTHER_CLASSES: Final = {
    "4001": "vpc-flow-logs",
    "4002": "waf-logs",
    "4003": "resolver-query-logs",
    **dict.fromkeys(("2001", "2002", "2003", "2004", "2005", "2006"), "security-findings"),
}
"""Network Activity, HTTP Activity and DNS Activity; the classes of findings (https://schema.ocsf.io)."""


def kind_of_other_ocsf(row: Columns) -> str | None:
    """Return the kind of an OCSF row of another source of Security Lake; None if it may be CloudTrail's."""
    if "api" in row or "metadata" not in row or at(row, "metadata.product.name") == "CloudTrail":
        return None
    return _OTHER_CLASSES.get(str(row.get("class_uid")))


def from_ocsf(row: Columns, *, head_only: bool = False) -> Rebuilt | Refused:
    """Return the record in a row, or little more than its ``HEAD``.

    OCSF 1.0 is refused, and structs as text, and failed calls without their error.
    """
    if any(isinstance(row.get(name), str) and json_object(row[name]) is None for name in ("api", "actor")):
        return Refused(
            "an OCSF row with its objects as text, which could be read in more than one way; "
            "export the rows as JSON or Parquet, or select cast(api as json)"
        )
    row = row | {name: found for name in _OBJECTS if (found := json_object(row.get(name))) is not None}
    version = str(at(row, "metadata.version") or "")
    if version.startswith("1.0") or str(row.get("class_uid")) == "3005":
        return Refused(
            f"OCSF {version or '1.0'} has no whole request and response; Security Lake writes them "
            "from source version 2 on (OCSF 1.1)"
        )
    record = _record(row, head_only=head_only)
    status = at(row, "status")
    if status == "Failure" and not {"errorCode", "errorMessage"} & record.keys():
        return Refused("an OCSF row of a failed call without its error")
    unread = [name for name in _PARAMETERS.values() if isinstance(record[name], str)]
    return checked(
        record,
        "security-lake",
        shows_errors=status == "Success" or "error" in (json_object(at(row, "api.response")) or {}),
        unread=f"{' and '.join(unread)} cannot be read" if unread else None,
    )


def _record(row: Columns, *, head_only: bool) -> Columns:
    """Return the fields of CloudTrail that a row has."""
    record: Columns = {}
    for path, name in (_HEAD_FIELDS if head_only else _FIELDS).items():
        if (value := at(row, path)) is not None:
            put(record, name.split("."), value)
    if (time := time_text(row.get("time")) or time_text(row.get("time_dt"))) is not None:
        record["eventTime"] = time
    for path, name in _PARAMETERS.items():
        value = at(row, path)
        found = json_object(value) if not head_only else None
        if found is not None and lacks_capitals(found):
            found = restored_parameters(found, record.get("eventName"), is_typed=isinstance(value, dict))
        record[name] = value if found is None else found
    if not head_only:
        _add_session(record, row)
    _add_unmapped(record, row)
    if (account := at(row, "cloud.account.uid")) is not None:
        record.setdefault("recipientAccountId", account)
    if (category := at(row, "metadata.product.feature.name")) in _CATEGORIES:
        record.setdefault("eventCategory", category)
    if "userIdentity" in record:
        record["userIdentity"] = without_lone_mfa(record["userIdentity"])
    return record


def _add_session(record: Columns, row: Columns) -> None:
    """Add when and how the caller's session was made, and by which identity provider."""
    attributes = ("userIdentity", "sessionContext", "attributes")
    created = at(row, "actor.session.created_time_dt") or at(row, "actor.session.created_time")
    if (time := time_text(created)) is not None:
        put(record, (*attributes, "creationDate"), time)
    mfa = at(row, "actor.session.is_mfa")
    if isinstance(mfa, bool):
        put(record, (*attributes, "mfaAuthenticated"), "true" if mfa else "false")
    if (provider := at(row, "actor.idp.name")) is not None:
        session = ("userIdentity", "sessionContext", "webIdFederationData", "federatedProvider")
        is_session = at(record, "userIdentity.type") == "AssumedRole"
        put(record, session if is_session else ("userIdentity", "identityProvider"), provider)


def _add_unmapped(record: Columns, row: Columns) -> None:
    """Add the known fields for which OCSF has no place: ``unmapped`` has them by their paths."""
    for path, value in entries_of(row.get("unmapped")):
        if path in _UNMAPPED_OBJECTS and (found := json_object(value)) is not None:
            put(record, (path,), found)
        name = _UNMAPPED.get(path)
        if name is not None and value not in (None, ""):
            put(record, name, flag_of(value) if path in ("readOnly", "managementEvent") else value)


def _paths(shape: Shape, *above: str) -> Iterator[tuple[str, ...]]:
    """Yield the paths of all values in a shape."""
    for name, inner in shape.values():
        if inner is None:
            yield (*above, name)
        else:
            yield from _paths(inner, *above, name)


_UNMAPPED_OBJECTS: Final = ("serviceEventDetails", "additionalEventData")
_UNMAPPED: Final = {
    ".".join(path): path
    for path in (
        ("readOnly",),
        ("managementEvent",),
        ("recipientAccountId",),
        ("eventCategory",),
        ("eventType",),
        ("sharedEventID",),
        ("vpcEndpointId",),
        ("vpcEndpointAccountId",),
        ("sessionCredentialFromConsole",),
        *_paths(IDENTITY, "userIdentity"),
        *_paths(OBJECTS["tlsDetails"], "tlsDetails"),
        *_paths(OBJECTS["addendum"], "addendum"),
    )
}
"""The fields that are taken from ``unmapped``, by their paths there."""
