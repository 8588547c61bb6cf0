"""Where flow logs are stored and how they are fetched: files, buckets, and log groups of CloudWatch Logs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from cnitrail.errors import SourceError, UsageError
from cnitrail.model.table import ATHENA, TRINO
from cnitrail.sources.bucket_names import check_bucket_name
from cnitrail.sources.files import FileSource, StandardInput
from cnitrail.sources.table_names import is_misnamed_table
from cnitrail.store.file_header import is_sqlite

if TYPE_CHECKING:
    from cnitrail.model import Scope
    from cnitrail.sources import Source

_FLOWS: Final = "FLOWS are files or directories of VPC flow logs, s3://BUCKET/PREFIX, logs:LOG-GROUP, or -"
_PIPE_HINT: Final = "pipe flow logs: zcat FILE.log.gz | cnitrail flows - --with SOURCE"


def open_flow_source(uri: str, scope: Scope, columns: tuple[str, ...] | None = None) -> Source:
    """Return the source of flow logs that a command line argument names.

    ``columns`` are those of records without a header line; None if they are not known: then those of a log
    group are read from EC2. Raises ``SourceError`` if it cannot be read at all, and ``UsageError`` if it has
    no flow logs by its kind.
    """
    if uri == "-":
        return StandardInput(uri, scope, _PIPE_HINT)
    if uri.startswith("s3://"):
        return _bucket(uri, scope)
    if uri.startswith("logs:"):
        from cnitrail.sources.flow_logs.log_group import FlowLogGroup

        return FlowLogGroup(uri, scope, columns)
    if uri.startswith(("lookup:", ATHENA, TRINO)) or is_misnamed_table(uri):
        raise UsageError(
            f"{uri}: not a source of flow logs, but of CloudTrail events", f"use --with {uri}; {_FLOWS}"
        )
    check_bucket_name(uri)
    if "://" in uri:
        raise UsageError(f"{uri}: flow logs cannot be read from there", _FLOWS)
    if not os.path.lexists(uri):
        raise SourceError(f"{uri or repr(uri)}: no such file or directory", _FLOWS)
    if is_sqlite(uri):
        raise UsageError(
            f"{uri}: a store of CloudTrail events, which has no flow logs", f"use --with {uri}; {_FLOWS}"
        )
    return FileSource(uri, scope)


def _bucket(uri: str, scope: Scope) -> Source:
    from cnitrail.sources.flow_logs.discovery import discover_flow_logs
    from cnitrail.sources.flow_logs.key_layout import is_in_scope
    from cnitrail.sources.s3 import BucketLayout, S3Source

    flow_logs = BucketLayout(
        kind="flow logs",
        hint="flow logs are in AWSLogs/ACCOUNT/vpcflowlogs/",
        discover=discover_flow_logs,
        is_in_scope=is_in_scope,
    )
    return S3Source(uri, scope, flow_logs)
