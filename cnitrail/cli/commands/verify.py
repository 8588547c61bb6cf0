"""``cnitrail verify``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.options import request_options
from cnitrail.cli.outputs import output_option
from cnitrail.cli.stderr import say
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from cnitrail.model import Verification
    from cnitrail.workflows.request import Request

_NOTHING = 4


@click.command()
@click.option(
    "--public-keys",
    metavar="FILE",
    help="CloudTrail's public keys, as aws cloudtrail list-public-keys prints them.",
)
@request_options(
    "account", "region", "since", "until", metavar="SOURCE...", verifiable=False, only_trails=True
)
@output_option("verify")
def verify(request: Request, public_keys: str | None, output: str) -> None:
    """Check log files against the digests that CloudTrail signs every hour.

    SOURCE is a trail's bucket (s3://BUCKET[/PREFIX]) or a directory that holds a copy of it,
    as cnitrail sync, or aws s3 sync, makes one. A digest proves that every log file delivered
    in its hour is there, and as it was written.

    \b
    Each fault is
      invalid    a file was changed, moved, or put there
      missing    a digest names a file that is not there
      unproven   not accused: nothing speaks for it, and nothing against it

    Public keys are asked of AWS (ListPublicKeys), unless they are handed over, or lie beside
    the copy. --since and --until are times of events, and reach to --delivery-lag after.

    Exit status: 0 all valid; 1 something is invalid or missing; 2 wrong usage; 3 nothing of
    that, but something could not be read; 4 there was nothing to verify.

    \b
    Examples:
      cnitrail verify s3://audit-logs --since 7d
      cnitrail verify s3://audit-logs --account 111111111111 --region eu-west-1 -o json
      cnitrail verify copy/ --public-keys keys.json
    """
    from msgspec.structs import asdict

    from cnitrail.cli.outputs import writer
    from cnitrail.cli.progress import Progress
    from cnitrail.model import VerifyAnswer
    from cnitrail.workflows.read import scope_of, tell_skipped
    from cnitrail.workflows.verify import verify_sources

    if not request.sources:
        raise UsageError(
            "verify what?", "name a trail's bucket (s3://BUCKET), or a directory with a copy of it"
        )
    with Progress(request.quiet, "faults") as progress:
        scope = scope_of(request.wanted, request.access)
        found = verify_sources(request.sources, scope, public_keys, progress.advance)
    wanted = asdict(request.wanted)
    asked = {name: wanted[name] for name in ("account", "region", "since", "until")}
    query = {"command": "verify", "sources": request.sources, **asked, "public_keys": public_keys}
    writer("verify", output)(VerifyAnswer(query, found), sys.stdout)
    sys.stdout.flush()
    tell_skipped(found.skipped, "-o json lists all under evidence.skipped")
    sys.exit(_status(found, request.quiet))


def _status(found: Verification, quiet: bool) -> int:
    """The exit status, and why there is nothing to verify, if that is so."""
    from cnitrail.model import Charge

    if any(fault.charge is not Charge.UNPROVEN for fault in found.faults):
        return 1
    if found.skipped:
        return 3
    if found.digests == found.backfill_digests == type(found.digests)():
        if not quiet:
            say("nothing to verify: there are no digests of what was asked for")
            say(
                "try: name the bucket itself; aws cloudtrail describe-trails tells whether "
                "LogFileValidationEnabled is true"
            )
        return _NOTHING
    return 0
