"""Generations of the VPC CNI: versions with the same pool behavior, and their user agents."""

import re
from collections.abc import Sequence

from msgspec import Struct

from cnitrail.model import Actor
from cnitrail.model.pool import Versions


class Generation(Struct, frozen=True, kw_only=True):
    """Versions from ``since`` to ``until`` (None: up to today), both included, and what they do.

    ``fills_interfaces``: fill an ENI that has room, even if fewer addresses are needed.
    ``prefixes``: can use prefix delegation.
    ``prescales_interfaces``: may create an ENI before the first pod is served.
    ``asks_at_create``: request addresses in CreateNetworkInterface, not in a separate call.
    ``heeds_max_pods``: request no more addresses than max-pods.
    ``looks_for_subnets``: call DescribeSubnets before CreateNetworkInterface.
    """

    since: str
    until: str | None
    fills_interfaces: bool = False
    prefixes: bool = True
    prescales_interfaces: bool = True
    asks_at_create: bool = True
    heeds_max_pods: bool = True
    looks_for_subnets: bool = True


GENERATIONS = (
    Generation(
        since="1.6",
        until="1.7.10",
        fills_interfaces=True,
        prefixes=False,
        prescales_interfaces=False,
        asks_at_create=False,
        heeds_max_pods=False,
        looks_for_subnets=False,
    ),
    Generation(
        since="1.8",
        until="1.8",
        prefixes=False,
        prescales_interfaces=False,
        asks_at_create=False,
        heeds_max_pods=False,
        looks_for_subnets=False,
    ),
    Generation(
        since="1.9",
        until="1.12",
        prescales_interfaces=False,
        asks_at_create=False,
        heeds_max_pods=False,
        looks_for_subnets=False,
    ),
    Generation(
        since="1.13", until="1.15.3", asks_at_create=False, heeds_max_pods=False, looks_for_subnets=False
    ),
    Generation(since="1.15.4", until="1.16.2", heeds_max_pods=False, looks_for_subnets=False),
    Generation(since="1.16.3", until="1.17", looks_for_subnets=False),
    Generation(since="1.18", until="1.19.3"),
    Generation(since="1.19.4", until="1.21.1"),
    Generation(since="1.21.2", until=None),
)
"""From the code and changelog of amazon-vpc-cni-k8s; the last two differ only in their user agent."""

LATEST = GENERATIONS[-1]

_PROGRAM = "amazon-vpc-cni-k8s"
_NAMED = re.compile(rf"^{_PROGRAM}/version/v?(?P<version>\d{{1,9}}(?:\.\d{{1,9}})*)")


def generations_of(actor: Actor) -> tuple[Generation, ...]:
    """Return the generations that call EC2 with the user agent of an actor who is the CNI.

    All of them if no generation is known to use it.
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
    begun = [generation for generation in GENERATIONS if _numbers(generation.since) <= version]
    return tuple(begun[-1:]) or GENERATIONS


def _between(since: str, until: str) -> tuple[Generation, ...]:
    first, last = _numbers(since), _numbers(until)
    return tuple(generation for generation in GENERATIONS if first <= _numbers(generation.since) <= last)


def spans(generations: Sequence[Generation]) -> tuple[Versions, ...]:
    """Return the versions of some generations as contiguous ranges."""
    found: list[Versions] = []
    for generation in GENERATIONS:
        if generation not in generations:
            continue
        before = GENERATIONS.index(generation) - 1
        if found and before >= 0 and GENERATIONS[before] in generations:
            found[-1] = Versions(found[-1].since, generation.until)
        else:
            found.append(Versions(generation.since, generation.until))
    return tuple(found)
