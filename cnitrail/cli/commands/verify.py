"""``cnitrail verify``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.help import Command
from cnitrail.cli.options import complete_files, request_options
from cnitrail.cli.outputs import answer_writer, output_option
from cnitrail.cli.writing import writing
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from cnitrail.model import Verification
    from cnitrail.workflows.request import Request

_NOTHING = 4

_TRAILS = {
    "s3://BUCKET[/PREFIX]": "A trail's bucket.",
    "DIR": "A local copy of it, made by cnitrail sync or aws s3 sync.",
}


@click.command(cls=Command)
@click.option(
    "--public-keys",
    metavar="FILE",
    shell_complete=complete_files,
    help="CloudTrail's public keys: JSON of aws cloudtrail list-public-keys.",
)
@request_options(
    *("account", "region", "since", "until"),
    metavar="SOURCE...",
    kinds=_TRAILS,
    verifiable=False,
    reads_tables=False,
    without=("assume_complete", "workers", "lag", "max_calls"),
)
@output_option("verify")
def verify(request: Request, public_keys: str | None, output: str) -> None:
    """Check log integrity against CloudTrail's signed digests.

    CloudTrail signs a digest file every hour. It proves that every log file delivered in that
    hour is there and unchanged.

    \b
    Log files and digests with a fault are
      invalid   modified, moved or added after delivery
      missing   named by a digest, but not there
      unproven  not covered by a valid digest; this is not an accusation

    Public keys come from --public-keys, from public-keys.json next to the copy, or from
    CloudTrail (ListPublicKeys). --since and --until are times of events; digests are read
    up to --delivery-lag later.

    Exit status: 0 everything is valid; 1 something is invalid or missing; 2 usage error;
    3 nothing is invalid or missing, but something could not be read; 4 nothing to verify.

    \b
    Examples:
      cnitrail verify s3://audit-logs --since 7d
      cnitrail verify s3://audit-logs --region eu-west-1 -o json
      cnitrail verify copy/ --public-keys keys.json
    """
    from msgspec.structs import asdict

    from cnitrail.cli.progress import Progress
    from cnitrail.cli.quiet import is_quiet
    from cnitrail.cli.summary import print_skipped
    from cnitrail.model import VerifyAnswer
    from cnitrail.workflows.request import scope_of
    from cnitrail.workflows.verify import verify_sources

    if not request.sources:
        raise UsageError(
            "SOURCE is required", "name a trail's bucket (s3://BUCKET), or a directory with a copy of it"
        )
    with Progress(quiet=is_quiet()) as progress:
        scope = scope_of(request.wanted, request.access)
        found = verify_sources(request.sources, scope, public_keys, progress)
    wanted = asdict(request.wanted)
    asked = {name: wanted[name] for name in ("account", "region", "since", "until")}
    query = {"command": "verify", "sources": request.sources, **asked, "public_keys": public_keys}
    write = answer_writer("verify", output)
    with writing() as stdout:
        write(VerifyAnswer(query, found), stdout)
    print_skipped(found.skipped, "-o json lists all under evidence.skipped")
    filters = tuple(f"--{name}" for name, value in asked.items() if value)
    sys.exit(_status(found, request.sources, filters))


def _status(found: Verification, sources: tuple[str, ...], filters: tuple[str, ...]) -> int:
    """Return the exit status; say so if there was nothing to verify."""
    from cnitrail.cli.quiet import inform
    from cnitrail.model import Charge

    if any(fault.charge is not Charge.UNPROVEN for fault in found.faults):
        return 1
    if found.skipped:
        return 3
    if found.digests == found.backfill_digests == type(found.digests)():
        inform("nothing to verify: there are no digests for this request")
        inform(f"hint: {_where_digests_are(sources, filters)}")
        return _NOTHING
    return 0


def _where_digests_are(sources: tuple[str, ...], filters: tuple[str, ...]) -> str:
    """Return what to try if there are no digests."""
    if any(map(os.path.isfile, sources)):
        return "digests are read from a bucket or a directory; unpack an archive, and name the directory"
    if filters:
        return f"see whether there are others: leave out {' and '.join(filters)}"
    return (
        "name the bucket itself, and check that LogFileValidationEnabled is true "
        "(aws cloudtrail describe-trails)"
    )
