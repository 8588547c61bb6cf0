"""What Athena's error messages mean, and what to do about each of them.

The messages are those of https://docs.aws.amazon.com/athena/latest/ug/troubleshooting-athena.html, of the
error catalog beside it (error-reference.html), and of issues in which users quote them.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct


class AthenaCause(Struct, frozen=True):
    """The cause of messages that ``pattern`` matches, in one sentence, and what to do.

    CATALOG and DATABASE in a hint are those of the table.
    """

    pattern: str
    reason: str
    hint: str


_NARROW: Final = "ask for less with --since, --until, --account and --region"
_TABLE: Final = "create the table with the DDL in docs/athena.md"

_CAUSES: Final = (
    AthenaCause(
        r"reduce your request rate|slow ?down|Status Code: 503",
        "S3 throttled Athena, as happens with many small log files",
        f"try again later, or {_NARROW}",
    ),
    AthenaCause(
        r"not a valid JSON object|JsonParseException|JsonEOFException|malformed JSON",
        "a file under the table's LOCATION is damaged, or is not JSON",
        f"{_TABLE}: CloudTrailInputFormat passes over such files; or read the bucket with s3://",
    ),
    AthenaCause(
        r"HIVE_INVALID_METADATA|expected at the position",
        "the table's definition has names or types that Athena cannot read, as Glue crawlers write them",
        _TABLE,
    ),
    AthenaCause(
        r"HIVE_BAD_DATA|must be a scalar json value|HIVE_PARTITION_SCHEMA_MISMATCH",
        "a column's type does not fit what the log files hold",
        _TABLE,
    ),
    AthenaCause(
        r"HIVE_UNSUPPORTED_FORMAT|unsupported storage format|HIVE_SERDE_NOT_FOUND",
        "Athena cannot read the table's storage format",
        _TABLE,
    ),
    AthenaCause(
        r"bytes scanned limit",
        "it scanned more than the workgroup's limit for a query",
        f"{_NARROW}, or use another workgroup: --work-group NAME",
    ),
    AthenaCause(
        r"exhausted resources|EXCEEDED_(?:LOCAL_)?MEMORY_LIMIT|EXCEEDED_GLOBAL_MEMORY_LIMIT",
        "it needed more memory than Athena gives a query",
        _NARROW,
    ),
    AthenaCause(
        r"query time(?:d )?out|EXCEEDED_TIME_LIMIT|maximum (?:run|time)[- ]?(?:time|limit)",
        "it ran longer than Athena allows",
        f"{_NARROW}, or raise the quota 'DML query timeout' in Service Quotas",
    ),
    AthenaCause(
        r"no output location provided",
        "the workgroup has no place for query results",
        "use --output-location s3://BUCKET/PREFIX/, or --work-group NAME with a result location or managed "
        "results",
    ),
    AthenaCause(
        r"managed ?query ?results",
        "the workgroup keeps query results itself",
        "leave out --output-location",
    ),
    AthenaCause(
        r"verify/create output bucket|when writing (?:output )?to|output ?location|results? bucket",
        "Athena cannot write query results to their S3 location",
        "allow s3:GetBucketLocation, ListBucket, GetObject and PutObject on the result bucket, which must be "
        "in the Region of the workgroup; or use another --output-location",
    ),
    AthenaCause(
        r"\"?\$path\"?'? (?:cannot be resolved|not found)|COLUMN_NOT_FOUND.*\$path",
        'the table has no column "$path", so the files of its records are not known',
        'name the table itself: a view has no "$path"',
    ),
    AthenaCause(
        r"COLUMN_NOT_FOUND|column .*cannot be resolved",
        "a column of the table does not exist for these credentials",
        "Lake Formation may hide it: have SELECT granted on all columns; or the table has just been "
        "changed: try again",
    ),
    AthenaCause(
        r"lake ?formation (?:permission|tag)|lakeformation:|principal does not have any privilege",
        "Lake Formation does not let these credentials read the table",
        "have a data lake administrator grant DESCRIBE and SELECT on the table, and DESCRIBE on its "
        "database; allow lakeformation:GetDataAccess in the IAM policy",
    ),
    AthenaCause(
        r"kms:|AWSKMS|kms key|ciphertext",
        "these credentials may not use a KMS key that the query needs",
        "allow kms:Decrypt with the key of the log files, and kms:Decrypt and kms:GenerateDataKey with the "
        "key of the query results",
    ),
    AthenaCause(
        r"access ?denied|insufficient permissions|not authorized|PERMISSION_DENIED|forbidden",
        "these credentials may not read something that the query needs",
        "allow s3:GetObject and s3:ListBucket on the bucket of the log files, and glue:GetDatabase, "
        "glue:GetTable and glue:GetPartitions (docs/athena.md has the IAM policy)",
    ),
    AthenaCause(
        r"INVALID_VIEW|view .*\bis stale|VIEW_IS_STALE",
        "the view no longer fits its table",
        "create the view again, or name its table instead",
    ),
    AthenaCause(
        r"HIVE_CANNOT_OPEN_SPLIT|HIVE_FILESYSTEM_ERROR|NoSuchKey|NoSuchBucket|InvalidObjectState|glacier",
        "Athena could not open a file of the table",
        "check that the bucket of LOCATION exists and that lifecycle rules have not archived its files; then "
        "try again",
    ),
    AthenaCause(
        r"HIVE_CURSOR_ERROR",
        "Athena could not read a file of the table to its end",
        f"try again; if it fails again, {_NARROW}, or read the bucket with s3://",
    ),
    AthenaCause(
        r"(?:TABLE|SCHEMA|DATABASE|CATALOG)_NOT_FOUND|EntityNotFound|entity not found"
        r"|\b(?:table|schema|database|catalog)\b.*(?:not found|not exist|not be found)",
        "there is no such table, or these credentials may not see it",
        "aws athena list-table-metadata --catalog-name CATALOG --database-name DATABASE lists tables; "
        "AWS_REGION or the profile sets the Region",
    ),
    AthenaCause(
        r"workgroup .*not found",
        "there is no such workgroup in this Region",
        "aws athena list-work-groups lists them; AWS_REGION or the profile sets the Region",
    ),
    AthenaCause(
        r"workgroup.* disabled",
        "the workgroup is disabled",
        "use another one: --work-group NAME (aws athena list-work-groups)",
    ),
    AthenaCause(
        r"engine version 2|FUNCTION_NOT_FOUND|SYNTAX_ERROR|mismatched input|TYPE_MISMATCH|NOT_SUPPORTED",
        "Athena does not accept the statement",
        "set the workgroup to Athena engine version 3, or use --work-group NAME; if it has version 3, please "
        "report this with the table's DDL",
    ),
    AthenaCause(
        r"HIVE_METASTORE_ERROR|partition metadata",
        "the Glue Data Catalog did not deliver the table or its partitions",
        "try again; if it fails again, check the table's partitions and projection properties",
    ),
    AthenaCause(
        r"concurrent_query_limit|too ?many ?requests|rate exceeded",
        "too many queries run or wait in this account and Region",
        "try again later; Service Quotas has the quotas 'Active DML queries' and of API calls",
    ),
    AthenaCause(
        r"internal ?(?:server|service|_)? ?(?:error|exception)",
        "Athena had an internal error",
        "try again later",
    ),
)


def cause_of(message: str) -> AthenaCause | None:
    """Return the cause of an error message; None if it is not known."""
    return next((cause for cause in _CAUSES if re.search(cause.pattern, message, re.IGNORECASE)), None)
