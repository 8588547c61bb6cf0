"""Which kind of CloudTrail table a description shows.

Each kind comes from a DDL that AWS has published, or from a tool of AWS:
https://docs.aws.amazon.com/athena/latest/ug/cloudtrail-logs.html.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from cnitrail.errors import SourceError
from cnitrail.sources.sql.column_types import names_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cnitrail.sources.sql.column_types import ColumnType
    from cnitrail.sources.sql.description import TableDescription


class Shape(StrEnum):
    """A kind of table."""

    CLOUDTRAIL = "cloudtrail"
    """A row for each record, with the columns of the Athena guide since 2023."""
    CLOUDTRAIL_2022 = "cloudtrail-2022"
    """As the CloudTrail console made it in 2022 and 2023."""
    CLOUDTRAIL_2016 = "cloudtrail-2016"
    """As the Athena guide had it until 2022: no OIDC provider of the caller."""
    CRAWLER = "crawler"
    """A row for each file, with its records in an array, as a Glue crawler makes it."""
    OCSF = "ocsf"
    """A row for each record, as Security Lake and CloudWatch's unified data store have it."""


RECORD_COLUMNS: Final = frozenset(
    (
        *("eventversion", "eventtime", "eventsource", "eventname", "awsregion", "sourceipaddress"),
        *("useragent", "errorcode", "errormessage", "requestid", "eventid", "eventtype", "apiversion"),
        *("recipientaccountid", "sharedeventid", "vpcendpointid", "vpcendpointaccountid", "eventcategory"),
        *("sessioncredentialfromconsole", "readonly", "managementevent", "useridentity", "tlsdetails"),
        *("addendum", "requestparameters", "responseelements", "additionaleventdata"),
        *("serviceeventdetails", "edgedevicedetails", "resources", "useridentityjson"),
        *("useridentityasstring", "requestparametersjson", "responseelementsjson"),
    )
)
"""The columns that are fields of a record, by their folded names; those that ``scan.rows`` reads."""

_OF_CALLERS: Final = (
    *("type", "principalid", "arn", "accountid", "accesskeyid", "username", "invokedby"),
    *("identityprovider", "credentialid", "onbehalfofuserid", "onbehalfofidentitystorearn"),
    *("inscopeofsourcearn", "inscopeofsourceaccount", "inscopeofissuertype", "inscopeofcredentialsissuedto"),
)
_OF_SESSIONS: Final = (
    *("sourceidentity", "ec2roledelivery", "ec2issuedinvpc", "assumedroot"),
    *("sessionissuertype", "sessionissuerprincipalid", "sessionissuerarn", "sessionissueraccountid"),
    *("sessionissuerusername", "webidfederationdatafederatedprovider"),
)
_OF_ATTRIBUTES: Final = ("creationdate", "mfaauthenticated")
IDENTITY_COLUMNS: Final = frozenset(
    f"useridentity{name}"
    for name in (
        *_OF_CALLERS,
        *(f"{above}{name}" for name in _OF_SESSIONS for above in ("", "sessioncontext")),
        *(f"{above}{name}" for name in _OF_ATTRIBUTES for above in ("", "sessioncontextattributes")),
    )
)
"""The columns that are values of userIdentity, by their folded names; those that ``scan.rows`` reads."""

_MAX_SHOWN: Final = 300
"""Characters of a list of columns in a message."""

_REQUIRED: Final = ("eventname", "eventtime", "requestparameters", "responseelements")
_LOST_WITHOUT: Final[Mapping[str, str]] = {
    "errorcode": "it has no column errorcode: calls without a response are left out, because they may have "
    "failed",
    "sessioncredentialfromconsole": "it has no column for sessionCredentialFromConsole: calls from the "
    "console are known only by their user agents",
    "sourceipaddress": "it has no column sourceipaddress: roles that a person assumed are not known",
    "recipientaccountid": "it has no column recipientaccountid: calls count for their callers' accounts",
    "awsregion": "it has no column awsregion: the Regions of calls are not known",
    "eventid": "it has no column eventid: copies of an event are known only if they are alike",
    "addendum": "it has no column addendum: CloudTrail's corrections count as further events",
    "serviceeventdetails": "it has no column serviceeventdetails: evictions of Spot Instances are not known",
}
"""What a table does not keep of a record if it lacks a column, in a sentence about the table."""

_LOST_OF_CALLERS: Final[Mapping[str, str]] = {
    "webidfederationdata": "its useridentity has no webidfederationdata: service accounts are known only by "
    "their STS events",
    "ec2roledelivery": "its useridentity has no ec2roledelivery: the role of an instance looks like any "
    "assumed role",
}
"""The same for the fields of ``useridentity``."""


def folded(name: str) -> str:
    """Return the name of a column as all engines write it: in lower case, without underscores."""
    return name.replace("_", "").lower()


def losses(shape: Shape, table: TableDescription) -> tuple[str, ...]:
    """Return what a table does not keep of a record, in sentences about the table."""
    if shape is Shape.OCSF:
        return ()
    columns = _entry_of(table) if shape is Shape.CRAWLER else table.all_columns
    known = {folded(name): column for name, column in columns.items()}
    whole = known.get("useridentityasstring") or known.get("useridentityjson")
    identity = whole or known.get("useridentity")
    lost = [sentence for name, sentence in _LOST_WITHOUT.items() if name not in known]
    values = known.keys() & IDENTITY_COLUMNS
    if identity is None and not values:
        lost.append("it has no column useridentity: who made a call is not known")
    if identity is not None and identity.is_struct:
        fields = {folded(name) for name in names_of(identity)}
        lost += [sentence for name, sentence in _LOST_OF_CALLERS.items() if name not in fields]
    if identity is None and values:
        named = " ".join(values)
        lost += [sentence for name, sentence in _LOST_OF_CALLERS.items() if name not in named]
    return tuple(lost)


def is_ocsf(table: TableDescription) -> bool:
    """Return whether a table has events in OCSF, of any version."""
    return "operation" in _fields(table.columns, "api")


def shape_of(table: TableDescription, uri: str) -> Shape:
    """Return the shape of a table. Raises ``SourceError`` if it is none of CloudTrail's."""
    columns = table.columns
    if is_ocsf(table):
        _check_ocsf(table, uri)
        return Shape.OCSF
    entry = _entry_of(table)
    if entry and not columns.keys() & {"eventname", "event_name"}:
        _check_columns({folded(name) for name in entry}, f"{uri}: its column records", entry)
        return Shape.CRAWLER
    known = {folded(name): column for name, column in table.all_columns.items()}
    _check_columns(set(known), uri, table.all_columns)
    identity = known.get("useridentity")
    if identity is None or not identity.is_struct or "useridentityasstring" in known:
        return Shape.CLOUDTRAIL
    federation = _fields(identity.fields, "sessioncontext").get("webidfederationdata")
    if federation is None:
        return Shape.CLOUDTRAIL_2016
    return Shape.CLOUDTRAIL_2022 if federation.name == "map" else Shape.CLOUDTRAIL


def _check_columns(known: set[str], what: str, columns: Iterable[str]) -> None:
    """Raise ``SourceError`` if there is no record, or if something is missing that every answer needs."""
    lacking = [name for name in _REQUIRED if name not in known and f"{name}json" not in known]
    shown = ", ".join(sorted(columns))
    shown = shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"
    if not lacking:
        return
    if "eventname" in known:
        raise SourceError(
            f"{what}: no column {' and no column '.join(lacking)}, which every answer needs; it has {shown}",
            "name the table from which this one was made, or make it again with all columns (docs/athena.md)",
        )
    raise SourceError(
        f"{what}: not a table of CloudTrail records; its columns are {shown or 'not known'}",
        "docs/athena.md shows the tables that can be read, and the DDL for a new one",
    )


def _check_ocsf(table: TableDescription, uri: str) -> None:
    """Raise ``SourceError`` for OCSF 1.0, and for a table that lacks what every answer needs."""
    api = table.columns["api"].fields
    request, response = _fields(api, "request"), _fields(api, "response")
    if "data" not in request or "data" not in response:
        raise SourceError(
            f"{uri}: its calls have no request and response (api.request.data, api.response.data): OCSF 1.0, "
            "Security Lake's source version 1, flattens them",
            "add CloudTrail management events with source version 2 in Security Lake and name its table "
            "(…_cloud_trail_mgmt_2_0), or read the trail's bucket with s3://",
        )
    lacking = [name for name in ("metadata", "actor") if not _fields(table.columns, name)]
    if not table.columns.keys() & {"time", "time_dt"}:
        lacking.append("time")
    if lacking:
        raise SourceError(
            f"{uri}: no column {' and no column '.join(lacking)}, which every event of OCSF has",
            "name the table that Security Lake or CloudWatch made (docs/athena.md)",
        )


def _entry_of(table: TableDescription) -> Mapping[str, ColumnType]:
    """Return the fields of the records in a table with a row for each file; empty if it has none."""
    records = table.columns.get("records")
    return records.fields if records is not None and records.name == "array" else {}


def _fields(columns: Mapping[str, ColumnType], name: str) -> Mapping[str, ColumnType]:
    column = columns.get(name)
    return column.fields if column is not None else {}
