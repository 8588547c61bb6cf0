"""Elasticsearch documents of the AWS CloudTrail integration that have no ``event.original``.

Fields as its ingest pipeline makes them (github.com/elastic/integrations,
packages/aws/data_stream/cloudtrail/elasticsearch/ingest_pipeline/default.yml), which drops empty fields.
``flattened`` has the whole parameters; ``request_parameters`` is a text for full-text search and is not used.
"""

from typing import Final

from cnitrail.jsontext import json_object
from cnitrail.scan.rows.result import HEAD, Rebuilt, Refused, checked
from cnitrail.scan.rows.values import Columns, at, flag_of, put, time_text

_TRAIL: Final = "aws.cloudtrail"
_SESSION: Final = f"{_TRAIL}.user_identity.session_context"
_FIELDS: Final = {
    "event.action": "eventName",
    "event.id": "eventID",
    "event.provider": "eventSource",
    "cloud.region": "awsRegion",
    "source.address": "sourceIPAddress",
    "user_agent.original": "userAgent",
    f"{_TRAIL}.event_version": "eventVersion",
    f"{_TRAIL}.event_type": "eventType",
    f"{_TRAIL}.event_category": "eventCategory",
    f"{_TRAIL}.request_id": "requestID",
    f"{_TRAIL}.api_version": "apiVersion",
    f"{_TRAIL}.recipient_account_id": "recipientAccountId",
    f"{_TRAIL}.shared_event_id": "sharedEventID",
    f"{_TRAIL}.vpc_endpoint_id": "vpcEndpointId",
    f"{_TRAIL}.error_code": "errorCode",
    f"{_TRAIL}.error_message": "errorMessage",
    f"{_TRAIL}.user_identity.type": "userIdentity.type",
    f"{_TRAIL}.user_identity.arn": "userIdentity.arn",
    f"{_TRAIL}.user_identity.access_key_id": "userIdentity.accessKeyId",
    f"{_TRAIL}.user_identity.invoked_by": "userIdentity.invokedBy",
    "user.id": "userIdentity.principalId",
    f"{_SESSION}.mfa_authenticated": "userIdentity.sessionContext.attributes.mfaAuthenticated",
    f"{_SESSION}.session_issuer.type": "userIdentity.sessionContext.sessionIssuer.type",
    f"{_SESSION}.session_issuer.arn": "userIdentity.sessionContext.sessionIssuer.arn",
    f"{_SESSION}.session_issuer.principal_id": "userIdentity.sessionContext.sessionIssuer.principalId",
    f"{_SESSION}.session_issuer.account_id": "userIdentity.sessionContext.sessionIssuer.accountId",
}
_HEAD_FIELDS: Final = {path: name for path, name in _FIELDS.items() if name in HEAD}
_PARAMETERS: Final = {
    f"{_TRAIL}.flattened.request_parameters": "requestParameters",
    f"{_TRAIL}.flattened.response_elements": "responseElements",
    f"{_TRAIL}.flattened.additional_eventdata": "additionalEventData",
    f"{_TRAIL}.flattened.service_event_details": "serviceEventDetails",
}
_FLAGS: Final = {f"{_TRAIL}.read_only": "readOnly", f"{_TRAIL}.management_event": "managementEvent"}
_TEXTS: Final = {
    f"{_TRAIL}.request_parameters": "requestParameters",
    f"{_TRAIL}.response_elements": "responseElements",
}


def is_elastic(row: Columns) -> bool:
    """Return whether a row is a document of the integration, or a row of its fields from Kibana."""
    aws = row.get("aws")
    return (isinstance(aws, dict) and isinstance(aws.get("cloudtrail"), dict)) or (
        "event.action" in row and any(column.startswith(f"{_TRAIL}.") for column in row)
    )


def from_elastic(document: Columns, *, head_only: bool = False) -> Rebuilt | Refused:
    """Return the record in a document, or little more than its ``HEAD``.

    It is refused if its time is local, or if only its error is missing.
    """
    time = time_text(document.get("@timestamp"))
    if time is None:
        return Refused(
            "an Elasticsearch document without @timestamp in ISO 8601: Kibana's CSV has local time; "
            "export event.original, or the documents as JSON"
        )
    record = _record(document, head_only=head_only) | {"eventTime": time}
    outcome = at(document, "event.outcome")
    if outcome == "failure" and not {"errorCode", "errorMessage"} & record.keys():
        return Refused("an Elasticsearch document of a failed call without its error; export error_code, too")
    unread = [name for path, name in _TEXTS.items() if at(document, path) is not None and name not in record]
    return checked(
        record,
        "elastic-fields",
        shows_errors=outcome == "success",
        unread=f"{' and '.join(unread)} is in the document only as a text for search" if unread else None,
    )


def _record(document: Columns, *, head_only: bool) -> Columns:
    """Return the fields of CloudTrail that a document has, except for the time."""
    record: Columns = {}
    for path, name in (_HEAD_FIELDS if head_only else _FIELDS).items():
        value = at(document, path)
        if isinstance(value, str | bool):
            put(record, name.split("."), value)
    for path, name in _PARAMETERS.items():
        if (found := json_object(at(document, path))) is not None:
            record[name] = found
    if head_only:
        return record
    for path, name in _FLAGS.items():
        if (value := at(document, path)) is not None:
            record[name] = flag_of(value)
    _add_caller(record, document)
    return record


def _add_caller(record: Columns, document: Columns) -> None:
    """Add what the pipeline takes out of userIdentity: the account, the time of the session, and the name.

    ``cloud.account.id`` is the caller's account only if the ARN has it; else it may be that of the trail.
    ``user.name`` of an assumed role is the name of the role.
    """
    created = time_text(at(document, f"{_SESSION}.creation_date"))
    if created is not None:
        put(record, ("userIdentity", "sessionContext", "attributes", "creationDate"), created)
    account, arn = at(document, "cloud.account.id"), at(record, "userIdentity.arn")
    if isinstance(arn, str) and f":{account}:" in arn:
        put(record, ("userIdentity", "accountId"), account)
    name = at(document, "user.name")
    if name is not None:
        is_role = at(record, "userIdentity.type") == "AssumedRole"
        path = ("sessionContext", "sessionIssuer", "userName") if is_role else ("userName",)
        put(record, ("userIdentity", *path), name)
