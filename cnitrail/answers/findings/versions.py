"""Different builds of the VPC CNI at work in one cluster at one time."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from cnitrail.answers.coverage_text import lasting
from cnitrail.answers.findings.context import Claim, FindingContext, ResourceCall, grouped
from cnitrail.answers.findings.words import listed
from cnitrail.model import Severity

_ROLLOUT = timedelta(hours=1)
"""So long an upgrade may take to reach every node."""

_LONG = timedelta(days=1)
_BY_IDENTITY = ("user-agent", "sts-event")
_ADVICE = (
    "Look for nodes where aws-node was not updated (kubectl -n kube-system get pods -l k8s-app=aws-node -o "
    "wide, and its DaemonSet's rollout status): versions count addresses, fall back and clean up in "
    "different ways."
)


def mixed_versions(case: FindingContext) -> Iterator[Claim]:
    """Nodes of a cluster called through different builds of the CNI, at the same time and for long.

    A user agent tells a build by the version in it, or by that of the SDK where there is none: two
    SDKs are two builds.
    """
    own = [call for call in case.calls if _cluster(call) and call.entry.instance and _is_the_cni(call)]
    for (_, cluster), calls in grouped(own, lambda call: (call.place, _cluster(call))).items():
        stints = list(_stints(calls))
        overlap, together = _overlap(stints)
        if overlap < _ROLLOUT:
            continue
        at_once = [stint for stint in stints if _build(stint[0]) in together]
        builds = grouped(at_once, lambda stint: _build(stint[0]))
        told = (f"{build} on {listed(_nodes(of_build))}" for build, of_build in builds.items())
        yield Claim(
            severity=Severity.MEDIUM if overlap >= _LONG else Severity.LOW,
            sentence=f"Cluster {cluster} had {len(builds)} builds of the VPC CNI at work at once, for "
            f"{lasting(overlap)}: {'; '.join(told)}.",
            advice=_ADVICE,
            calls=[call for call in calls if _build(call) in together],
        )


def _is_the_cni(call: ResourceCall) -> bool:
    return call.entry.actor.ipamd in _BY_IDENTITY and _build(call) is not None


def _build(call: ResourceCall) -> str | None:
    agent = call.entry.actor.agent
    return agent.version or agent.sdk


def _cluster(call: ResourceCall) -> str | None:
    return call.entry.cluster or call.entry.actor.cluster


def _nodes(stints: Iterable[list[ResourceCall]]) -> set[str]:
    return {stint[0].entry.instance or "" for stint in stints}


def _stints(calls: Iterable[ResourceCall]) -> Iterator[list[ResourceCall]]:
    """The calls of each node, cut where it changes its build."""
    for of_node in grouped(calls, lambda call: call.entry.instance).values():
        stint = of_node[:1]
        for before, call in pairwise(of_node):
            if _build(before) != _build(call):
                yield stint
                stint = []
            stint.append(call)
        yield stint


def _overlap(stints: Iterable[list[ResourceCall]]) -> tuple[timedelta, set[str | None]]:
    """How long, all together, more than one build was at work; and which were."""
    changes: list[tuple[datetime, int, str | None]] = []
    for stint in stints:
        changes += [(stint[0].time, 1, _build(stint[0])), (stint[-1].time, -1, _build(stint[0]))]
    at_work: Counter[str | None] = Counter()
    together: set[str | None] = set()
    total, since = timedelta(0), None
    for time, step, build in sorted(changes, key=lambda change: change[0]):
        if since is not None and len(+at_work) > 1 and time > since:
            total += time - since
            together |= set(+at_work)
        at_work[build] += step
        since = time
    return total, together
