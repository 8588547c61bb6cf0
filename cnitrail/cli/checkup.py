"""The checks of ``cnitrail doctor``: AWS, the node, its subnets, and what the evidence shows of them."""

from __future__ import annotations

import re
from shlex import quote
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import asdict, replace

from cnitrail.cli.stderr import is_watched
from cnitrail.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cnitrail.api import Case
    from cnitrail.model import Evidence, Finding
    from cnitrail.model.checkup import Caller, Check, Checkup
    from cnitrail.model.reason import Reason
    from cnitrail.workflows.doctor import AwsAccess, FoundNodes, NodeTarget
    from cnitrail.workflows.request import Request

_EXHAUSTION = ("subnet-exhausted", "several-then-one")
"""Rules whose findings name subnets without free addresses."""


class Examination(Struct, frozen=True, kw_only=True):
    """All checks with their verdict, and what they rest on. ``case`` is None if no source could be read."""

    checkup: Checkup
    checks: tuple[Check, ...]
    case: Case | None
    evidence: Evidence
    limitations: Sequence[Reason]
    findings: Sequence[Finding]


def examine(request: Request, target: NodeTarget, live: tuple[str, ...], now: datetime) -> Examination:
    """Make all checks. ``live`` are files with listings of EC2, or EC2 itself.

    Raises ``UsageError`` for both of them, and ``SourceError`` for files that cannot be read.
    """
    from cnitrail import __version__
    from cnitrail.model.checkup import Checkup
    from cnitrail.workflows import doctor as workflow
    from cnitrail.workflows.doctor.verdict import verdict_of
    from cnitrail.workflows.live_state import EC2

    files = tuple(name for name in live if name != EC2)
    if files and EC2 in live:
        raise UsageError("--live takes either EC2 or files, not both")
    saved = workflow.find_saved(files, target) if files else None
    access = _access(request, is_live=EC2 in live)
    if saved is None and target.is_named and access.probes is not None:
        _announce(target.text)
    nodes = saved if saved is not None else workflow.find_live(access, target)
    case, read = _read(request, access)
    if case is not None:
        nodes = _completed(case, target, nodes)
    found, judged = _judge(case, target, nodes)
    exhausted = [name for finding in found if finding.rule in _EXHAUSTION for name in finding.subnets]
    checks = (
        *access.checks,
        *workflow.examine_nodes(access, target, nodes, now),
        *workflow.examine_subnets(access, target, nodes, exhausted),
        *read,
        *judged,
    )
    if access.probes is not None:
        access.probes.close()
    checks = tuple(
        replace(check, commands=tuple(_runnable(line, request, access.caller) for line in check.commands))
        for check in checks
    )
    status, verdict = verdict_of(checks)
    return Examination(
        checkup=Checkup(verdict=verdict, status=status, at=now, version=__version__, caller=access.caller),
        checks=checks,
        case=case,
        evidence=case.evidence if case is not None else _nothing_read(checks, request),
        limitations=_limitations(case, request),
        findings=found,
    )


def _access(request: Request, *, is_live: bool) -> AwsAccess:
    """Return whether AWS can be reached; nothing is tried if neither a source nor ``--live`` needs it."""
    from cnitrail.sources import source_type, sources_or_default
    from cnitrail.workflows.doctor import examine_access, offline
    from cnitrail.workflows.request import scope_of

    uris = sources_or_default(request.sources)
    if not is_live and not any(source_type(uri).is_remote for uri in uris):
        return offline()
    _announce("AWS access")
    return examine_access(scope_of(request.wanted, request.access), uris)


def _announce(subject: str) -> None:
    """Say on a terminal what is being checked: some checks take half a minute."""
    from cnitrail.cli.quiet import inform

    if is_watched():
        inform(f"checking {subject}")


def _read(request: Request, access: AwsAccess) -> tuple[Case | None, list[Check]]:
    """Read the sources that can be read; return the checks that say so.

    Raises ``SourceError`` only if no source is in AWS: a path that does not exist is a mistake of the caller.
    """
    from cnitrail.cli.reading import read_case
    from cnitrail.sources import source_type, sources_or_default
    from cnitrail.text import clock
    from cnitrail.workflows.doctor import unreadable
    from cnitrail.workflows.doctor.events import read_check, refused_check, unread_check

    uris = sources_or_default(request.sources)
    refused = unreadable(access, uris)
    readable = tuple(uri for uri in uris if uri not in refused)
    checks = [refused_check(uri, cause) for uri, cause in refused.items()]
    if not readable:
        return None, checks
    if request.wanted.since is not None:
        _announce(f"{', '.join(readable)} from {clock(request.wanted.since)} on")
    try:
        case = read_case(replace(request, sources=readable))
    except SourceError as error:
        kinds = map(source_type, readable)
        if not any(kind.is_remote or kind.is_table for kind in kinds):
            raise
        return None, [*checks, unread_check(error.message, error.hint)]
    limitations = _limitations(case, request)
    return case, [*checks, read_check(case.evidence, limitations, request.wanted.since, request.access.lag)]


def _limitations(case: Case | None, request: Request) -> list[Reason]:
    """Return what the evidence does not cover of the range that was asked for."""
    return case.limitations(**asdict(request.wanted)) if case is not None else []


def _nothing_read(checks: Sequence[Check], request: Request) -> Evidence:
    """Return the account of evidence of which nothing could be read, and why."""
    from cnitrail.model import Evidence, Skipped
    from cnitrail.model.checkup import CheckCode
    from cnitrail.sources import sources_or_default
    from cnitrail.text import at_source

    source = ", ".join(sources_or_default(request.sources))
    unread = [check for check in checks if check.code is CheckCode.EVIDENCE]
    skipped = tuple(
        Skipped(
            uri := check.resource or source,
            check.text.removeprefix(f"The source {uri} was ").removeprefix(at_source(uri, "")),
        )
        for check in unread
    )
    return Evidence(sources=(), first_event=None, last_event=None, coverage=(), skipped=skipped)


def _completed(case: Case, target: NodeTarget, nodes: FoundNodes) -> FoundNodes:
    """Return nodes with what only CloudTrail knows: their types, or all of it if EC2 was not asked."""
    if nodes.origin is None:
        return replace(_in_evidence(case, target), checks=nodes.checks, subnets=nodes.subnets)
    types = {name: instance.instance_type for name, instance in case.history.instances.items()}
    return replace(
        nodes,
        nodes=tuple(
            replace(node, instance_type=node.instance_type or types.get(node.instance))
            for node in nodes.nodes
        ),
    )


def _in_evidence(case: Case, target: NodeTarget) -> FoundNodes:
    """Return the nodes of a target as CloudTrail shows them at the end of the evidence."""
    from cnitrail.answers.nodes import instances_of_node
    from cnitrail.workflows.doctor import FoundNodes
    from cnitrail.workflows.doctor.nodes import evidence_nodes

    ends = [reach.last for reach in case.coverage.reaches]
    if not ends:
        return FoundNodes()
    at = max(ends)
    terminated = {
        name
        for name, instance in case.history.instances.items()
        if instance.ended.time is not None and instance.ended.time <= at
    }
    if target.node is not None:
        instances = instances_of_node(case.history, target.node)
        entries = case.state(at, instance=instances) if instances else []
        present = {entry.instance for entry in entries}
        names = [name for name in instances if name in present] or list(instances)
    elif target.cluster is not None:
        entries = case.state(at, cluster=target.cluster)
        of_cluster = {entry.instance for entry in entries if entry.instance is not None}
        names = sorted(of_cluster - terminated or of_cluster)
    else:
        return FoundNodes()
    return evidence_nodes(entries, names, terminated, at)


def _judge(case: Case | None, target: NodeTarget, nodes: FoundNodes) -> tuple[Sequence[Finding], list[Check]]:
    """Return the findings about a target, and the checks that show them."""
    from cnitrail.answers.nodes import instances_of_node
    from cnitrail.workflows.doctor.events import event_checks, unjudged_checks

    if case is None:
        return (), list(unjudged_checks())
    everything, unseen = case.findings(), _unseen(case)
    if not target.is_named:
        return everything, list(event_checks(everything, 0, "", unseen))
    instances = {node.instance for node in nodes.nodes}
    if target.node is not None:
        instances |= set(instances_of_node(case.history, target.node))
    kept = set()
    if target.node is not None and instances:
        kept |= {finding.fingerprint for finding in case.findings(instance=sorted(instances))}
    if target.cluster is not None:
        kept |= {finding.fingerprint for finding in case.findings(cluster=target.cluster)}
    found = tuple(finding for finding in everything if finding.fingerprint in kept)
    return found, list(event_checks(found, len(everything) - len(found), f" of {target.text}", unseen))


def _unseen(case: Case) -> str | None:
    """Return why the evidence has nothing of the range that was asked for; None if it has some of it."""
    from cnitrail.intervals import between, through
    from cnitrail.text import clock

    asked, reaches = between(case.wanted.since, case.wanted.until), case.coverage.reaches
    if not reaches:
        return "no event was seen"
    if any(asked.overlaps(through(reach.first, reach.last)) for reach in reaches):
        return None
    first, last = min(reach.first for reach in reaches), max(reach.last for reach in reaches)
    return f"the evidence covers {clock(first)} to {clock(last)}, outside of the range"


_AGE = re.compile(r" --since \d+[hd]\b| --live\b")
"""What a command over saved evidence must not have: its range ends now."""

_NOT_REGIONAL = ("aws sso ", "aws login", "aws configure", "aws iam ")


def _runnable(command: str, request: Request, caller: Caller | None) -> str:
    """Return a command with the sources, the Region and the profile of this run, so that it can be pasted."""
    if not command.startswith(("aws ", "cnitrail ")):
        return command
    profile = request.access.profile
    region = caller.region if caller is not None else next(iter(request.wanted.region), None)
    if command.startswith("cnitrail "):
        command = command if caller is not None else _AGE.sub("", command)
        sources = [source for source in request.sources if f" {source}" not in command]
        command = " ".join((command, *map(quote, sources)))
    if region and "--region " not in command and not command.startswith(_NOT_REGIONAL):
        command += f" --region {quote(region)}"
    return f"{command} --profile {quote(profile)}" if profile and "--profile " not in command else command
