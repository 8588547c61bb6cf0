"""``doctor``: the runbook as a list of checks. Each is a function; none stops the others.

Nothing here changes anything: ``sources.probes`` refuses operations that could.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.errors import SourceError
from cnitrail.model.checkup import Caller, Check, CheckCause, CheckCode, CheckStatus
from cnitrail.sources import LOOKUP, source_type
from cnitrail.sources.ec2_listing import read_saved
from cnitrail.text import distinct
from cnitrail.workflows.doctor.access import identity_checks, permission_checks
from cnitrail.workflows.doctor.ec2_nodes import ask_nodes, ask_subnets
from cnitrail.workflows.doctor.node_checks import node_checks, unread_checks
from cnitrail.workflows.doctor.nodes import FoundNodes, NodeTarget, saved_nodes
from cnitrail.workflows.doctor.subnets import subnet_checks
from cnitrail.workflows.live_state import described_resources

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from cnitrail.model import Scope
    from cnitrail.sources.probes import AwsProbes

__all__ = [
    "AwsAccess",
    "FoundNodes",
    "NodeTarget",
    "examine_access",
    "examine_nodes",
    "examine_subnets",
    "find_live",
    "find_saved",
    "offline",
    "unreadable",
]

_OFFLINE = "offline: only saved evidence was named"


class AwsAccess(Struct, frozen=True, kw_only=True):
    """How AWS can be reached: ``probes`` are None if it cannot be, or is not to be asked."""

    probes: AwsProbes | None
    caller: Caller | None
    checks: tuple[Check, ...]


def examine_access(scope: Scope, uris: tuple[str, ...]) -> AwsAccess:
    """Return whether AWS can be reached, as whom, and what may be called."""
    from cnitrail.sources.probes import AwsProbes

    try:
        probes = AwsProbes(scope)
    except SourceError as error:
        failed = Check(
            code=CheckCode.IDENTITY,
            status=CheckStatus.FAILED,
            text=error.message,
            hint=error.hint,
            cause=CheckCause.CREDENTIALS,
        )
        return AwsAccess(probes=None, caller=None, checks=(failed, *_no_calls(CheckCause.CREDENTIALS)))
    caller, answer = probes.caller()
    checks = list(identity_checks(caller, answer))
    if answer.cause in {CheckCause.CREDENTIALS, CheckCause.CLOCK}:
        probes.close()
        return AwsAccess(probes=None, caller=caller, checks=(*checks, *_no_calls(answer.cause)))
    checks += permission_checks(probes, caller, uris)
    if all(check.cause is CheckCause.UNREACHABLE for check in checks):
        probes.close()
        return AwsAccess(probes=None, caller=caller, checks=(checks[0], *_no_calls(CheckCause.UNREACHABLE)))
    if answer.json is None and any(check.status is CheckStatus.OK for check in checks[1:]):
        checks[0] = replace(checks[0], status=CheckStatus.WARNING)  # only STS cannot be called
    return AwsAccess(probes=probes, caller=caller, checks=tuple(checks))


def _no_calls(cause: CheckCause) -> tuple[Check, ...]:
    """Return the checks that need AWS, as skipped, if the first one shows why it cannot be called."""
    text = "not checked: AWS cannot be called (see identity)"
    return tuple(
        _not_made(code, f"{subject} {text}", cause)
        for code, subject in ((CheckCode.PERMISSION, "Permissions"), (CheckCode.TRAIL, "Trails"))
    )


def offline() -> AwsAccess:
    """Return the checks of AWS as skipped, because only saved evidence was named."""
    codes = (CheckCode.IDENTITY, CheckCode.PERMISSION, CheckCode.TRAIL)
    checks = tuple(_not_made(code, _OFFLINE, CheckCause.OFFLINE) for code in codes)
    return AwsAccess(probes=None, caller=None, checks=checks)


def unreadable(access: AwsAccess, uris: Iterable[str]) -> dict[str, CheckCause]:
    """Return the sources that are not worth reading, because a small call for them has failed, and why."""
    failed = {
        check.action: check.cause
        for check in access.checks
        if check.status is CheckStatus.FAILED and check.cause is not None
    }
    needed = {LOOKUP: ("cloudtrail:LookupEvents",), "s3://": ("s3:ListBucket", "s3:GetObject")}
    refused: dict[str, CheckCause] = {}
    for uri in uris:
        if not source_type(uri).is_remote:
            continue
        if access.probes is None:
            refused[uri] = _cause(access)
            continue
        actions = next((actions for start, actions in needed.items() if uri.startswith(start)), ())
        causes = [cause for action in actions if (cause := failed.get(action)) is not None]
        if causes:
            refused[uri] = causes[0]
    return refused


def find_live(access: AwsAccess, target: NodeTarget) -> FoundNodes:
    """Return the nodes of a target as EC2 lists them now."""
    if access.probes is None or access.caller is None or not target.is_named:
        return FoundNodes()
    return ask_nodes(access.probes, access.caller, target)


def find_saved(names: Iterable[str], target: NodeTarget) -> FoundNodes:
    """Return the nodes of a target in files with the output of the AWS CLI. Raises ``SourceError``."""
    present, subnets, skipped = described_resources(read_saved(names))
    return replace(saved_nodes(present, subnets, target), checks=unread_checks(skipped))


def examine_nodes(access: AwsAccess, target: NodeTarget, found: FoundNodes, now: datetime) -> list[Check]:
    """Return how the nodes of a target are."""
    checks = [*_once(access, found.checks), *node_checks(target, found, now)]
    if checks:
        return checks
    if not target.is_named:
        return [_not_made(CheckCode.NODE, "No node was named: add --node or --cluster", CheckCause.NOT_ASKED)]
    return [_not_made(CheckCode.NODE, f"{target.text} not checked: {_why(access)}", _cause(access))]


def examine_subnets(
    access: AwsAccess, target: NodeTarget, found: FoundNodes, exhausted: Sequence[str]
) -> list[Check]:
    """Return how many addresses are free in the subnets of nodes, and in those that findings name."""
    used = distinct(eni.subnet for node in found.nodes for eni in (*node.enis, *node.unattached))
    names = distinct((*used, *exhausted, *found.subnets))
    if not names:
        text = (
            f"No subnet of {target.text} is known"
            if target.is_named
            else "No subnet is known: add --node or --cluster"
        )
        return [_not_made(CheckCode.SUBNET, text, CheckCause.NOT_ASKED)]
    if found.subnets:
        return list(subnet_checks(names, found.subnets))
    if access.probes is None or access.caller is None:
        text = f"{', '.join(names)} not checked: {_why(access)}"
        return [_not_made(CheckCode.SUBNET, text, _cause(access))]
    subnets, failed = ask_subnets(access.probes, access.caller, names)
    return _once(access, failed) if failed else list(subnet_checks(names, subnets))


def _once(access: AwsAccess, checks: Iterable[Check]) -> list[Check]:
    """Return checks; one that failed as a permission check before it is skipped, so that it counts once."""
    failed = {check.action for check in access.checks if check.is_unmade}
    return [
        _not_made(check.code, f"Not checked: {check.action} failed", check.cause or CheckCause.NO_ANSWER)
        if check.action in failed
        else check
        for check in checks
    ]


def _why(access: AwsAccess) -> str:
    """Return why EC2 was not asked."""
    is_offline = _cause(access) is CheckCause.OFFLINE
    return (
        "offline (add --live FILE, or --live to ask EC2)"
        if is_offline
        else "AWS cannot be called (see identity)"
    )


def _cause(access: AwsAccess) -> CheckCause:
    first = access.checks[0].cause
    return first if first is not None else CheckCause.NO_ANSWER


def _not_made(code: CheckCode, text: str, cause: CheckCause) -> Check:
    """Return a check that was not made, and why."""
    return Check(code=code, status=CheckStatus.SKIPPED, text=text, cause=cause)
