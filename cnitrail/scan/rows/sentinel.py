"""Rows of Microsoft Sentinel's table AWSCloudTrail.

https://learn.microsoft.com/en-us/azure/azure-monitor/reference/tables/awscloudtrail
"""

from typing import Final

from cnitrail.scan.rows.result import Rebuilt, Refused
from cnitrail.scan.rows.tables import from_columns
from cnitrail.scan.rows.values import Columns, is_empty, put, time_text

_COLUMNS: Final = {
    "AwsEventId": "eventID",
    "AwsRequestId": "requestID",
    "AwsRequestId_": "requestID",
    "EventTypeName": "eventType",
    "Category": "eventCategory",
    "TimeGenerated": "eventTime",
}
"""Columns whose names are not CloudTrail's in another case."""

_IDENTITY: Final = {
    "UserIdentityType": ("type",),
    "UserIdentityPrincipalid": ("principalId",),
    "UserIdentityArn": ("arn",),
    "UserIdentityAccountId": ("accountId",),
    "UserIdentityAccessKeyId": ("accessKeyId",),
    "UserIdentityUserName": ("userName",),
    "UserIdentityInvokedBy": ("invokedBy",),
    "SessionIssuerType": ("sessionContext", "sessionIssuer", "type"),
    "SessionIssuerPrincipalId": ("sessionContext", "sessionIssuer", "principalId"),
    "SessionIssuerArn": ("sessionContext", "sessionIssuer", "arn"),
    "SessionIssuerAccountId": ("sessionContext", "sessionIssuer", "accountId"),
    "SessionIssuerUserName": ("sessionContext", "sessionIssuer", "userName"),
    "SessionMfaAuthenticated": ("sessionContext", "attributes", "mfaAuthenticated"),
    "SessionCreationDate": ("sessionContext", "attributes", "creationDate"),
}


def is_sentinel(row: Columns) -> bool:
    """Return whether a row is of the table AWSCloudTrail."""
    return "EventName" in row and ("AwsEventId" in row or row.get("Type") == "AWSCloudTrail")


def from_sentinel(row: Columns, *, head_only: bool = False) -> Rebuilt | Refused:
    """Return the record in a row; its time must be ISO 8601, because Sentinel's CSV has local formats."""
    empty_first = sorted(row.items(), key=lambda item: not is_empty(item[1]))  # two columns may be one field
    cells = {_COLUMNS.get(column, column): cell for column, cell in empty_first}
    time = time_text(row.get("TimeGenerated", row.get("TimeGenerated [UTC]")))
    if time is None:
        return Refused("a Sentinel row without TimeGenerated in ISO 8601; export the rows as JSON")
    identity: Columns = {}
    for column, path in _IDENTITY.items():
        if not is_empty(row.get(column)):
            put(identity, path, row[column])
    cells |= {"eventTime": time, "userIdentity": identity or None}
    return from_columns(cells, "sentinel", head_only=head_only)
