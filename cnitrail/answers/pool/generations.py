"""Generations of the VPC CNI: versions that treat the pool alike, and what their user agents look like."""

import re
from collections.abc import Sequence

from msgspec import Struct

from cnitrail.model import Actor


class Generation(Struct, frozen=True):
    """Versions from ``since`` to ``until`` (None: those of today), both included.

    What they do, in the order in which it came:
    ``fills_interfaces`` fill an interface that has room even where fewer addresses are wanted;
    ``prefixes`` can delegate prefixes;
    ``prescales_interfaces`` may make an interface before the first pod is served;
    ``asks_at_create`` ask for addresses in CreateNetworkInterface, and not in a call of its own;
    ``heeds_max_pods`` want no more addresses than the node may have pods;
    ``looks_for_subnets`` call DescribeSubnets before CreateNetworkInterface.
    """

    since: str
    until: str | None
    fills_interfaces: bool = False
    prefixes: bool = True
    prescales_interfaces: bool = True
    asks_at_create: bool = True
    heeds_max_pods: bool = True
    looks_for_subnets: bool = True

    def __str__(self) -> str:
        return f"{self.since} to {self.until}" if self.until else f"{self.since} or later"


GENERATIONS = (
    Generation(
        *("1.6", "1.7.10"),
        fills_interfaces=True,
        prefixes=False,
        prescales_interfaces=False,
        asks_at_create=False,
        heeds_max_pods=False,
        looks_for_subnets=False,
    ),
    Generation(
        *("1.8", "1.8"),
        prefixes=False,
        prescales_interfaces=False,
        asks_at_create=False,
        heeds_max_pods=False,
        looks_for_subnets=False,
    ),
    Generation(
        *("1.9", "1.12"),
        prescales_interfaces=False,
        asks_at_create=False,
        heeds_max_pods=False,
        looks_for_subnets=False,
    ),
    Generation("1.13", "1.15.3", asks_at_create=False, heeds_max_pods=False, looks_for_subnets=False),
    Generation("1.15.4", "1.16.2", heeds_max_pods=False, looks_for_subnets=False),
    Generation("1.16.3", "1.17", looks_for_subnets=False),
    Generation("1.18", "1.19.3"),
    Generation("1.19.4", "1.21.1"),
    Generation("1.21.2", None),
)
"""From the code and the changelog of amazon-vpc-cni-k8s; the last two differ in their user agent alone."""

LATEST = GENERATIONS[-1]

_PROGRAM = "amazon-vpc-cni-k8s"
_NAMED = re.compile(rf"^{_PROGRAM}/version/v?(?P<version>\d{{1,9}}(?:\.\d{{1,9}})*)")


def generations_of(actor: Actor) -> tuple[Generation, ...]:
    """The generations that call EC2 with the user agent of an actor who is the CNI.

    All of them where the text is like none that is known.
    """
    raw = actor.agent.raw or ""
    named = _NAMED.match(raw)
    if named and _PROGRAM not in raw[named.end() :]:
        return _of_version(_numbers(named["version"]))
    if raw.startswith(f"{_PROGRAM}/version/"):  # 1.7.9 and 1.7.10 end with the name as well
        return GENERATIONS[:1] if raw.rstrip().endswith(_PROGRAM) else _between("1.8", "1.18")
    if (actor.agent.sdk or "").startswith("aws-sdk-go-v2/"):
        return GENERATIONS[-1:] if _PROGRAM in raw else _between("1.19.4", "1.19.4")
    if (actor.agent.sdk or "").startswith("aws-sdk-go/") and raw.rstrip().endswith((_PROGRAM, ")")):
        return GENERATIONS[:1]
    return GENERATIONS


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _of_version(version: tuple[int, ...]) -> tuple[Generation, ...]:
    begun = [each for each in GENERATIONS if _numbers(each.since) <= version]
    return tuple(begun[-1:]) or GENERATIONS


def _between(since: str, until: str) -> tuple[Generation, ...]:
    first, last = _numbers(since), _numbers(until)
    return tuple(each for each in GENERATIONS if first <= _numbers(each.since) <= last)


def spans(generations: Sequence[Generation]) -> tuple[tuple[str, str | None], ...]:
    """The versions as spans without a hole between: (first, last or None for those of today)."""
    found: list[tuple[str, str | None]] = []
    for generation in GENERATIONS:
        if generation not in generations:
            continue
        before = GENERATIONS.index(generation) - 1
        if found and before >= 0 and GENERATIONS[before] in generations:
            found[-1] = (found[-1][0], generation.until)
        else:
            found.append((generation.since, generation.until))
    return tuple(found)
