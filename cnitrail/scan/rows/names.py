"""CloudTrail's own names for the columns and nested fields of tables.

Athena and Trino write names in lower case, tailpipe with underscores. Only what CloudTrail documents is here
(https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html);
the contents of requestParameters and responseElements keep theirs.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from cnitrail.scan.rows.values import Columns, account_text, is_empty, plain, time_text

Shape = Mapping[str, tuple[str, "Shape | None"]]
"""The fields of an object by their folded names: CloudTrail's name, and the shape of what is an object."""


@lru_cache(maxsize=4096)
def folded(name: str) -> str:
    """Return a name as all engines write it: in lower case, without underscores."""
    return name.replace("_", "").lower()


def _shape(*values: str, **objects: "Shape") -> Shape:
    """Return the shape of an object: the names of its values, and the shapes of the objects in it."""
    fields: dict[str, Shape | None] = dict.fromkeys(values) | objects
    return {folded(name): (name, inner) for name, inner in fields.items()}


FREE_MAP: Final = _shape()
"""The shape of a map with keys of any name."""

IDENTITY: Final = _shape(
    *("type", "principalId", "arn", "accountId", "accessKeyId", "userName"),
    *("invokedBy", "identityProvider", "credentialId"),
    sessionContext=_shape(
        *("sourceIdentity", "ec2RoleDelivery", "ec2IssuedInVpc", "assumedRoot"),
        attributes=_shape("creationDate", "mfaAuthenticated"),
        sessionIssuer=_shape("type", "principalId", "arn", "accountId", "userName"),
        webIdFederationData=_shape("federatedProvider", attributes=FREE_MAP),
    ),
    onBehalfOf=_shape("userId", "identityStoreArn"),
    inScopeOf=_shape("sourceArn", "sourceAccount", "issuerType", "credentialsIssuedTo"),
)


def _leaves(shape: Shape, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each value in an object."""
    for name, inner in shape.values():
        if inner is None:
            yield (*above, name)
        else:
            yield from _leaves(inner, (*above, name))


_LEFT_OUT: Final = ("sessionContext", "attributes")
"""Objects whose names flattened columns often leave out."""

IDENTITY_COLUMNS: Final = {
    folded("".join(("userIdentity", *named))): path
    for path in _leaves(IDENTITY)
    for named in ([name for name in path if name not in _LEFT_OUT], path)
}
"""The path of each value of userIdentity by the folded name of a column of its own, as Glue's Relationalize
and Fivetran make them: ``user_identity_session_context_session_issuer_arn``."""

RESOURCE: Final = _shape("ARN", "accountId", "type", "ARNPrefix")

OBJECTS: Final[Mapping[str, Shape]] = {
    "userIdentity": IDENTITY,
    "tlsDetails": _shape("tlsVersion", "cipherSuite", "clientProvidedHostHeader", "keyExchange"),
    "addendum": _shape("reason", "updatedFields", "originalRequestID", "originalEventID"),
}
"""The fields of a record that are objects with known fields."""

PARAMETERS: Final = (
    "requestParameters",
    "responseElements",
    "additionalEventData",
    "serviceEventDetails",
    "edgeDeviceDetails",
)
"""The fields of a record that are objects with fields of the call."""

_TEXTS = (
    "eventVersion",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "errorCode",
    "errorMessage",
    "requestID",
    "eventID",
    "eventType",
    "apiVersion",
    "recipientAccountId",
    "sharedEventID",
    "vpcEndpointId",
    "vpcEndpointAccountId",
    "eventCategory",
    "sessionCredentialFromConsole",
)
FLAGS: Final = ("readOnly", "managementEvent")


COLUMNS: Final = {folded(name): name for name in (*_TEXTS, *FLAGS, *OBJECTS, *PARAMETERS, "resources")} | {
    "useridentityjson": "userIdentity",
    "useridentityasstring": "userIdentity",
    "requestparametersjson": "requestParameters",
    "responseelementsjson": "responseElements",
}
"""CloudTrail's name of each column by its folded name, with the aliases that people give to casts.

``userIdentity_as_string`` is what CloudTrailInputFormat adds (CloudTrailLineReader.java in trinodb/trino).
"""


def restored(value: Columns, shape: Shape) -> Columns:
    """Return an object with CloudTrail's names, without empty fields; unknown fields keep their names."""
    found: Columns = {}
    for column, cell in value.items():
        if cell is None:
            continue
        name, inner = shape.get(folded(column), (column, None))
        if inner is not None and isinstance(cell, dict):
            kept = restored(cell, inner)
            if kept or not cell:
                found[name] = kept
        elif not is_empty(cell, has_nulls=True):
            found[name] = _leaf(name, cell)
    return found


def _leaf(name: str, cell: object) -> object:
    if name == "creationDate":
        return time_text(cell) or cell
    if name == "mfaAuthenticated" and isinstance(cell, bool):
        return "true" if cell else "false"
    return account_text(cell) if name == "accountId" else plain(cell)
