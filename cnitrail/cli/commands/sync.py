"""``cnitrail sync``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.options import request_options
from cnitrail.cli.stderr import say
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from cnitrail.workflows.request import Request


@click.command()
@click.option("--to", required=True, metavar="DIR", help="The copy: made, or gone on with.")
@request_options(
    "account", "region", "since", "until", metavar="s3://BUCKET[/PREFIX]", verifiable=False, only_trails=True
)
def sync(request: Request, to: str) -> None:
    """Copy a trail's digests and log files, with all that it takes to verify them years later.

    \b
    The copy is DIR/BUCKET/KEY, and beside it
      DIR/…json.gz.s3.json    what S3 knew of each digest: its signature is nowhere else
      DIR/public-keys.json    CloudTrail's public keys, as aws cloudtrail list-public-keys prints
      DIR/SHA256SUMS          of every file as it is stored, for sha256sum -c

    Run again, it copies what is new; it may be stopped or killed at any moment. Every command
    takes DIR as a SOURCE.

    \b
    Examples:
      cnitrail sync s3://audit-logs --since 30d --to case-17/
      cnitrail verify case-17/
      cnitrail timeline case-17/ --eni eni-0abc…
    """
    from cnitrail.cli.progress import Progress
    from cnitrail.sources.trail_copy.writer import Copy
    from cnitrail.sources.trails import open_trail
    from cnitrail.workflows.read import many, scope_of, tell_skipped
    from cnitrail.workflows.sync import Syncing

    if len(request.sources) != 1 or not request.sources[0].startswith("s3://"):
        raise UsageError("sync copies one bucket", "cnitrail sync s3://BUCKET[/PREFIX] --to DIR")
    scope = scope_of(request.wanted, request.access)
    trail = open_trail(request.sources[0], scope)
    try:
        copy = Copy(to)
        syncing = Syncing(trail, copy, scope)
        try:
            with Progress(request.quiet, "known") as progress:
                syncing.sync(progress.advance)
        finally:
            copy.close()
    finally:
        trail.close()
    synced = syncing.synced
    if not request.quiet:
        new = f"{many(synced.digests, 'digest')} and {many(synced.logs, 'log file')} copied"
        say(f"{to}: {new}, {synced.known:,} were there")
    sys.exit(tell_skipped(synced.skipped, "run the same command again to try those"))
