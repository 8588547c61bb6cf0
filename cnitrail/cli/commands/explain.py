"""``cnitrail explain``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.help import Command
from cnitrail.cli.options import at_option, request_options
from cnitrail.cli.outputs import output_option
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from cnitrail.answers.explain import Rerun, Target
    from cnitrail.answers.filters import Filter
    from cnitrail.api import Case
    from cnitrail.model.explanation import Explanation
    from cnitrail.workflows.request import Request

_EXAMPLE = "cnitrail explain 10.0.1.25 logs/"


@click.command(cls=Command)
@at_option("default: end of the evidence; now with lookup:")
@request_options("vpc", "account", "region", "since", "until", metavar="TARGET [SOURCE]...")
@output_option("explain")
def explain(request: Request, at: datetime | None, output: str) -> None:
    """Explain an IP, pod, node, ENI, subnet or cluster in brief.

    Says what it is and where, who has it and since when, who assigned it, what happened
    before, what is wrong, how sure that is, what is missing from the evidence, and which
    command to run next.

    \b
    TARGET is one of
      10.0.1.25                                   an IP address
      i-0abc…                                     an instance
      eni-0abc…                                   an ENI
      ip-10-0-1-25.eu-west-1.compute.internal     a node, by its name
      aws:///eu-west-1a/i-0abc…                   a node, by its providerID
      subnet-0abc…                                a subnet
      prod                                        an EKS cluster
      shop/web-6d4cf56db6-x2x7k                   a pod, with pod evidence
      arn:aws:ec2:…, arn:aws:eks:…                any of these, by its ARN

    All evidence of the account and Region is read, because findings need it. With lookup:,
    only the events of an IP, instance or ENI are read, and findings are not judged.

    \b
    Examples:
      cnitrail explain 10.0.1.25 logs/
      cnitrail explain i-0abc… s3://audit-logs --since 1d
      cnitrail explain ip-10-0-1-25.eu-west-1.compute.internal logs/ -o md
      cnitrail explain prod logs/ --at 2022-10-05T14:00Z
    """
    from msgspec.structs import replace

    from cnitrail.cli.printing import respond
    from cnitrail.model.explanation import TargetKind

    target, sources = _arguments(request.sources)
    request = replace(request, sources=sources, wanted=_in_place(request.wanted, target))
    case, found = _explained(request, target, at)
    if case.is_narrowed and target.kind is TargetKind.NODE and found.kind is TargetKind.INSTANCE:
        # Its address shows which instance the node is. Only now can all calls about that be looked up.
        case, found = _explained(request, replace(target, kind=found.kind, name=found.name), at)
    limitations = case.limitations(instance=(), eni=(), ip=())
    status = respond(
        request, output, case.evidence, [found], limitations=limitations, target=target.text, at=at
    )
    sys.exit(status)


def _explained(request: Request, target: Target, at: datetime | None) -> tuple[Case, Explanation]:
    """Read the evidence, and explain a target. Raises ``NotMentioned``, after what was read is printed."""
    from msgspec.structs import replace

    from cnitrail.answers.explain import NotMentioned
    from cnitrail.cli.printing import warn_of
    from cnitrail.cli.reading import read_case
    from cnitrail.cli.summary import summarize
    from cnitrail.sources import LOOKUP, sources_or_default

    wanted = request.wanted
    is_lookup = LOOKUP in sources_or_default(request.sources)
    case = read_case(replace(request, wanted=_narrowed(wanted, target)) if is_lookup else request)
    place = {"vpc": wanted.vpc, "account": wanted.account, "region": wanted.region}
    time = at or (_now(wanted.until) if is_lookup else None)
    try:
        return case, case.explain(target, time, rerun=_rerun(request), **place)
    except NotMentioned:
        summarize(case.evidence, 0)
        warn_of(case.limitations(instance=(), eni=(), ip=()), case.evidence, is_empty=True)
        raise


def _arguments(given: tuple[str, ...]) -> tuple[Target, tuple[str, ...]]:
    """Return the target and the sources among the arguments. Raises ``UsageError``."""
    from cnitrail.answers.explain import parse_target

    if not given:
        raise UsageError("TARGET is required", _EXAMPLE)
    first, *sources = given
    target = next((source for source in sources if _is_id(source)), None)
    if not _is_id(first) and (target is not None or _is_source(first, alone=not sources)):
        words = [target or "TARGET", *(word for word in given if word != target)]
        raise UsageError(f"{first!r} is a source: TARGET comes first", f"cnitrail explain {' '.join(words)}")
    if target is not None:
        from pathlib import Path

        if not Path(target).exists():
            raise UsageError(f"{first} and {target}: one TARGET at a time", _EXAMPLE)
    return parse_target(first), tuple(sources)


def _is_id(argument: str) -> bool:
    """Return whether an argument has the form of an address, an ID, a node's name or an ARN."""
    from contextlib import suppress

    from cnitrail.answers.explain import parse_target

    with suppress(UsageError):
        return parse_target(argument).is_id
    return False


def _is_pod(argument: str) -> bool:
    """Return whether an argument has the form ``NAMESPACE/NAME``, which that of a path may be, too."""
    from contextlib import suppress

    from cnitrail.answers.explain import parse_target
    from cnitrail.model.explanation import TargetKind

    with suppress(UsageError):
        return parse_target(argument).kind is TargetKind.POD
    return False


def _is_source(argument: str, *, alone: bool) -> bool:
    """Return whether an argument names a source. A name without a slash may also be a cluster's."""
    from pathlib import Path

    from cnitrail.answers.explain import is_block
    from cnitrail.sources import LOOKUP

    if is_block(argument) or argument.lower().startswith("arn:"):
        return False
    if not alone and _is_pod(argument) and not Path(argument).exists():
        return False
    return argument in (LOOKUP, "-") or "/" in argument or (alone and Path(argument).exists())


def _in_place(wanted: Filter, target: Target) -> Filter:
    """Return the filter with the account and Region of an ARN. Raises ``UsageError`` if they differ."""
    from msgspec.structs import replace

    for field in ("account", "region"):
        named = getattr(target, field)
        if named is None:
            continue
        if not wanted.takes_value(field, named):
            raise UsageError(f"{target.text} is not in --{field} {' '.join(getattr(wanted, field))}")
        wanted = replace(wanted, **{field: (named,)})
    return wanted


def _narrowed(wanted: Filter, target: Target) -> Filter:
    """Return what to look up: only the events of an address, instance or ENI."""
    from ipaddress import ip_network

    from msgspec.structs import replace

    from cnitrail.model.explanation import TargetKind

    match target.kind:
        case TargetKind.ADDRESS | TargetKind.NODE:
            return replace(wanted, ip=(ip_network(target.name),))
        case TargetKind.INSTANCE:
            return replace(wanted, instance=(target.name,))
        case TargetKind.ENI:
            return replace(wanted, eni=(target.name,))
    return wanted


def _rerun(request: Request) -> Rerun:
    """Return the sources and options of the user, for the next command."""
    from cnitrail.answers.explain import Rerun
    from cnitrail.sources.aws import shown
    from cnitrail.text import iso

    wanted, access = request.wanted, request.access
    given = [
        *(("--account", account) for account in wanted.account),
        *(("--region", region) for region in wanted.region),
        *([("--since", iso(wanted.since))] if wanted.since is not None else []),
        *([("--until", iso(wanted.until))] if wanted.until is not None else []),
        *([("--profile", access.profile)] if access.profile is not None else []),
        *([("--endpoint-url", shown(access.endpoint_url))] if access.endpoint_url is not None else []),
        *([("--request-payer", access.request_payer)] if access.request_payer is not None else []),
        *([("--public-keys", request.public_keys)] if request.public_keys is not None else []),
    ]
    flags = {"--verify": request.verify, "--assume-complete": access.assume_complete}
    options = [word for pair in given for word in pair] + [flag for flag, is_set in flags.items() if is_set]
    return Rerun(request.sources, tuple(options))


def _now(until: datetime | None) -> datetime:
    """Return the end of a range; now, if it has none or lies in the future."""
    from datetime import UTC, datetime

    now = datetime.now(UTC).replace(microsecond=0)
    return min(until, now) if until is not None else now
