"""``--fail-on``: findings that end a command with status 5, for pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cnitrail.cli.param_types import OneOf
from cnitrail.cli.stderr import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnitrail.model import Finding

FAIL_ON = click.option(
    "--fail-on",
    type=OneOf(["critical", "high", "medium", "low", "info"]),
    help="Exit with status 5 if a finding has this severity or a higher one.",
)

_THRESHOLD_REACHED = 5


def exit_status(found: Iterable[Finding], fail_on: str | None, otherwise: int) -> int:
    """Return 5, and say why, if a finding is as severe as ``fail_on`` or more; ``otherwise`` if none is."""
    from cnitrail.model import SEVERITY_ORDER, Severity
    from cnitrail.text import counted

    if fail_on is None:
        return otherwise
    threshold = SEVERITY_ORDER[Severity(fail_on)]
    failing = sum(SEVERITY_ORDER[finding.severity] <= threshold for finding in found)
    if not failing:
        return otherwise
    say(f"--fail-on {fail_on}: {counted(failing, 'finding')}")
    return _THRESHOLD_REACHED
