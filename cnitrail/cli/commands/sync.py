"""``cnitrail sync``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.help import Command
from cnitrail.cli.options import complete_files, request_options
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from cnitrail.workflows.request import Request


@click.command(cls=Command)
@click.option(
    "--to",
    required=True,
    metavar="DIR",
    shell_complete=complete_files,
    help="Directory of the copy; created or resumed.",
)
@request_options(
    *("account", "region", "since", "until"),
    metavar="s3://BUCKET[/PREFIX]",
    kinds={},
    verifiable=False,
    reads_tables=False,
    without=("assume_complete", "max_ratio", "workers", "lag", "max_calls"),
)
def sync(request: Request, to: str) -> None:
    """Copy a trail's logs and digests for offline verification.

    The copy includes everything needed for offline verification years later. Run the command
    again, and it copies what is new. You can stop or kill it at any moment. Every command
    takes DIR as a SOURCE.

    \b
    Log files and digests are copied to DIR/BUCKET/KEY, with
      DIR/…json.gz.s3.json    the S3 metadata of each digest, which has its signature
      DIR/public-keys.json    CloudTrail's public keys (aws cloudtrail list-public-keys)
      DIR/SHA256SUMS          checksums of all files as stored, for sha256sum -c

    \b
    Examples:
      cnitrail sync s3://audit-logs --since 30d --to case-17/
      cnitrail verify case-17/
      cnitrail timeline case-17/ --eni eni-0abc…
    """
    from cnitrail.cli.progress import Progress
    from cnitrail.cli.quiet import inform, is_quiet
    from cnitrail.cli.summary import print_skipped
    from cnitrail.sources.bucket_names import check_bucket_name
    from cnitrail.text import counted
    from cnitrail.workflows.request import scope_of
    from cnitrail.workflows.sync import sync_trail

    if len(request.sources) == 1:
        check_bucket_name(request.sources[0])
    if len(request.sources) != 1 or not request.sources[0].startswith("s3://"):
        raise UsageError("sync copies one bucket", "cnitrail sync s3://BUCKET[/PREFIX] --to DIR")
    scope = scope_of(request.wanted, request.access)
    with Progress(quiet=is_quiet()) as progress:
        synced = sync_trail(request.sources[0], to, scope, progress)
    new = f"{counted(synced.digests, 'digest')} and {counted(synced.logs, 'log file')} copied"
    inform(f"{to}: {new}, {synced.known:,} already there")
    sys.exit(print_skipped(synced.skipped, "run the same command again to try those"))
