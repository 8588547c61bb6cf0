"""How every command begins: the evidence is read, with progress on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnitrail.cli.progress import Progress
from cnitrail.cli.quiet import is_quiet

if TYPE_CHECKING:
    from cnitrail.api import Case
    from cnitrail.workflows.request import Request


def read_case(request: Request) -> Case:
    """Read the sources of a request."""
    from cnitrail.api import open_case

    with Progress(quiet=is_quiet()) as progress:
        return open_case(request, progress)
