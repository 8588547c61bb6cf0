"""Different builds of the VPC CNI in one cluster at the same time."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from cnitrail.answers.findings.calls import ResourceCall, grouped
from cnitrail.answers.findings.commands import AWS_NODE_PODS, AWS_NODE_ROLLOUT
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.model import Severity
from cnitrail.text import duration, short_list

_ROLLOUT = timedelta(hours=1)
"""Time that an upgrade may take to reach every node."""

_LONG = timedelta(days=1)
_BY_IDENTITY = ("user-agent", "sts-event")
_ADVICE = (
    "Find the nodes where aws-node was not updated. Versions differ in how they count IPs, fall back and "
    "clean up."
)


def mixed_versions(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield clusters whose nodes ran different builds of the CNI at the same time, for long.

    A build is the version in the user agent, or that of the SDK if there is none: two SDKs are two builds.
    """
    own = [call for call in case.calls if call.cluster and call.entry.instance and _is_the_cni(call)]
    for (_, cluster), calls in grouped(own, lambda call: (call.place, call.cluster)).items():
        stints = list(_stints(calls))
        overlap, together = _overlap(stints)
        if overlap < _ROLLOUT:
            continue
        at_once = [stint for stint in stints if _build(stint[0]) in together]
        builds = grouped(at_once, lambda stint: _build(stint[0]))
        nodes = (f"{build} on {short_list(_nodes(of_build))}" for build, of_build in builds.items())
        yield RuleMatch(
            severity=Severity.MEDIUM if overlap >= _LONG else Severity.LOW,
            sentence=f"Cluster {cluster} ran {len(builds)} builds of the VPC CNI at the same time, for "
            f"{duration(overlap)}: {'; '.join(nodes)}.",
            advice=_ADVICE,
            commands=(AWS_NODE_PODS, AWS_NODE_ROLLOUT),
            calls=[call for call in calls if _build(call) in together],
        )


def _is_the_cni(call: ResourceCall) -> bool:
    return call.entry.actor.ipamd in _BY_IDENTITY and _build(call) is not None


def _build(call: ResourceCall) -> str | None:
    agent = call.entry.actor.agent
    return agent.version or agent.sdk


def _nodes(stints: Iterable[list[ResourceCall]]) -> set[str]:
    return {stint[0].entry.instance or "" for stint in stints}


def _stints(calls: Iterable[ResourceCall]) -> Iterator[list[ResourceCall]]:
    """Yield the calls of each node, split where its build changes."""
    for of_node in grouped(calls, lambda call: call.entry.instance).values():
        stint = of_node[:1]
        for before, call in pairwise(of_node):
            if _build(before) != _build(call):
                yield stint
                stint = []
            stint.append(call)
        yield stint


def _overlap(stints: Iterable[list[ResourceCall]]) -> tuple[timedelta, set[str | None]]:
    """Return how long, in total, more than one build was in use, and which ones."""
    changes: list[tuple[datetime, int, str | None]] = []
    for stint in stints:
        changes += [(stint[0].time, 1, _build(stint[0])), (stint[-1].time, -1, _build(stint[0]))]
    in_use: Counter[str | None] = Counter()
    together: set[str | None] = set()
    total, since = timedelta(0), None
    for time, step, build in sorted(changes, key=lambda change: change[0]):
        if since is not None and len(+in_use) > 1 and time > since:
            total += time - since
            together |= set(+in_use)
        in_use[build] += step
        since = time
    return total, together
