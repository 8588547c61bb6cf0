"""How every command begins: the evidence is read, with progress on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnitrail.cli.progress import Progress
from cnitrail.cli.quiet import is_quiet

if TYPE_CHECKING:
    from cnitrail.api import Case
    from cnitrail.workflows.raw_records import RawRecords
    from cnitrail.workflows.request import Request


def read_case(request: Request, raw: RawRecords | None = None) -> Case:
    """Read the sources of a request; ``raw`` takes the records of its events."""
    from cnitrail.api import open_case

    with Progress(quiet=is_quiet()) as progress:
        return open_case(request, progress, raw)


def read_newest(request: Request, limit: int) -> Case:
    """Read what the newest ``limit`` entries of a timeline need of the sources of a request."""
    from cnitrail.api import open_newest

    with Progress(quiet=is_quiet()) as progress:
        return open_newest(request, limit, progress)
