"""What all checks add up to, in one line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cnitrail.model.checkup import Check, CheckCode, CheckStatus
from cnitrail.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SENTENCE_END: Final = re.compile(r"\.\s+")

_FIRST: Final = (
    CheckCode.IDENTITY,
    CheckCode.SUBNET,
    CheckCode.CNI_CALLS,
    CheckCode.SIGN_INS,
    CheckCode.ENI,
    CheckCode.NODE,
    CheckCode.FINDING,
    CheckCode.PERMISSION,
    CheckCode.BUCKET,
    CheckCode.EVIDENCE,
    CheckCode.CLOCK,
    CheckCode.TRAIL,
    CheckCode.FINDINGS,
)
"""Which problem the verdict names: without credentials nothing is known, then what leaves pods without IPs
now, then what was found in events, then what could not be checked."""


_ABOUT_ACCESS: Final = frozenset(
    {CheckCode.IDENTITY, CheckCode.PERMISSION, CheckCode.CLOCK, CheckCode.TRAIL, CheckCode.EVIDENCE}
)
"""Checks whose warnings are no problem of a node or its pods: they are counted, not named."""


def verdict_of(checks: Sequence[Check]) -> tuple[CheckStatus, str]:
    """Return the status of a checkup, and its verdict in one line."""
    failed = [check for check in checks if check.status is CheckStatus.FAILED]
    warnings = [check for check in checks if check.status is CheckStatus.WARNING]
    problems = failed or [check for check in warnings if check.code not in _ABOUT_ACCESS]
    if problems:
        named = min(problems, key=lambda check: _FIRST.index(check.code))
        sentences = (_first_sentence(named.text), *_rest(checks, named))
        return named.status, f"{named.status}: {'. '.join(sentences)}"
    counts = {
        counted(len(warnings), "warning"): len(warnings),
        f"{counted(_skipped(checks), 'check')} skipped": _skipped(checks),
    }
    rest = [text for text, number in counts.items() if number]
    if not any(check.status is CheckStatus.OK for check in checks):
        return CheckStatus.SKIPPED, "; ".join(("nothing could be checked", *rest))
    text = "; ".join(("no problem found in what could be checked", *rest)) if rest else "no problem found"
    return CheckStatus.WARNING if warnings else CheckStatus.OK, text


def _skipped(checks: Sequence[Check]) -> int:
    return sum(check.status is CheckStatus.SKIPPED for check in checks)


def _first_sentence(text: str) -> str:
    """Return the first sentence of a text, without its stop."""
    return _SENTENCE_END.split(text, maxsplit=1)[0]


def _rest(checks: Sequence[Check], named: Check) -> Iterator[str]:
    """Yield how many other checks did not end well, as a sentence; nothing if all did."""
    others = [check for check in checks if check is not named]
    counts = {
        "failed": sum(check.status is CheckStatus.FAILED for check in others),
        "with a warning": sum(check.status is CheckStatus.WARNING for check in others),
        "skipped": _skipped(others),
    }
    parts = [f"{number} {what}" for what, number in counts.items() if number]
    if parts:
        yield f"Other checks: {', '.join(parts)}"
