"""What the CNI did, by its own logs: exact intervals in which the sandbox of a pod held an address."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.history.pods.bounds import exact, open_end, unknown_start
from cnitrail.model import Address
from cnitrail.model.pod_facts import PodRecord, SandboxAssigned, SandboxNamed, SandboxReleased
from cnitrail.model.pods import PodBoundary, PodLease, PodName, Witness

_FAILED_ADD: Final = timedelta(milliseconds=100)
"""An assignment that is undone within this time held nothing: ipamd could not write its checkpoint.

The plugin alone takes longer than that to set up the network of a sandbox.
"""

_RECOVERY: Final = timedelta(seconds=1)
"""Time from an assignment to the line that says that it was recovered from the checkpoint."""

_Step = tuple[datetime, PodRecord, SandboxAssigned | SandboxReleased]


def cni_intervals(records: Iterable[PodRecord]) -> Iterator[PodLease]:
    """Yield the intervals between the assignment and the release of an address; ``records`` are in order.

    A sandbox has an ID of its own in all clusters, so files of several nodes do not mix.
    """
    names: dict[str, _Name] = {}
    steps: dict[tuple[Address, str], list[_Step]] = {}
    branches: dict[str, set[Address]] = {}
    given_back: list[tuple[datetime, PodRecord, str]] = []
    for record in records:
        for fact in record.facts:
            if isinstance(fact, (SandboxAssigned, SandboxReleased, SandboxNamed)):
                _name(names, fact)
            if record.time is None:
                continue
            if isinstance(fact, (SandboxAssigned, SandboxReleased)):
                steps.setdefault((fact.ip, fact.sandbox), []).append((record.time, record, fact))
            elif isinstance(fact, SandboxNamed) and fact.released:
                given_back.append((record.time, record, fact.sandbox))
            elif isinstance(fact, SandboxNamed) and fact.is_branch and fact.ip is not None:
                given = SandboxAssigned(ip=fact.ip, sandbox=fact.sandbox)
                steps.setdefault((fact.ip, fact.sandbox), []).append((record.time, record, given))
                branches.setdefault(fact.sandbox, set()).add(fact.ip)
    for time, record, sandbox in given_back:
        for ip in branches.get(sandbox, ()):
            steps[ip, sandbox].append((time, record, SandboxReleased(ip=ip, sandbox=sandbox)))
    for (ip, sandbox), taken in steps.items():
        if sandbox in branches:
            taken.sort(key=lambda step: (step[0], step[1].key))
        named = names.get(sandbox, _NAMELESS)
        for lease in _intervals(ip, sandbox, named.pod, taken):
            yield replace(lease, uid=named.uid) if named.uid is not None else lease


class _Name(Struct, gc=False):
    """The pod of a sandbox, as far as lines name it."""

    pod: PodName | None = None
    uid: str | None = None


_NAMELESS: Final = _Name()


def _name(names: dict[str, _Name], fact: SandboxAssigned | SandboxReleased | SandboxNamed) -> None:
    uid = fact.uid if isinstance(fact, SandboxNamed) else None
    if fact.pod is not None or uid is not None:
        known = names.setdefault(fact.sandbox, _Name())
        known.pod, known.uid = fact.pod or known.pod, uid or known.uid


def _intervals(ip: Address, sandbox: str, pod: PodName | None, steps: list[_Step]) -> Iterator[PodLease]:
    recovered = [time for time, _, fact in steps if isinstance(fact, SandboxAssigned) and fact.recovered]
    held: PodLease | None = None
    was_released = False
    for time, group in groupby(steps, key=lambda step: step[0]):
        alike = list(group)
        release = next((record for _, record, fact in alike if isinstance(fact, SandboxReleased)), None)
        assign = next((record for _, record, fact in alike if isinstance(fact, SandboxAssigned)), None)
        if release is not None:
            if held is not None:
                ended = _ended(held, time, release)
                if not _is_failed_add(ended):
                    yield ended
            elif assign is not None and assign.whole_second:
                # It may have held the address for a part of this second.
                start, end = exact(time, Witness.IPAMD, assign), exact(time, Witness.IPAMD, release)
                yield _lease(ip, sandbox, pod, assign, start=start, end=end)
            elif assign is None and not was_released:
                start = unknown_start(time, Witness.IPAMD, release)
                end = exact(time, Witness.IPAMD, release)
                yield _lease(ip, sandbox, pod, release, start=start, end=end)
            held, was_released = None, True
        elif assign is not None:
            if held is not None:
                held = replace(held, end=open_end(time))
                continue
            is_old = any(time <= later <= time + _RECOVERY for later in recovered)
            bound = unknown_start if is_old else exact
            start = bound(time, Witness.IPAMD, assign)
            held = _lease(ip, sandbox, pod, assign, start=start, end=open_end(time))
    if held is not None:
        yield held


def _lease(
    ip: Address,
    sandbox: str,
    pod: PodName | None,
    record: PodRecord,
    *,
    start: PodBoundary,
    end: PodBoundary,
) -> PodLease:
    return PodLease(
        ip=ip,
        pod=pod,
        sandbox=sandbox,
        cluster=record.cluster,
        start=start,
        end=end,
        origins=record.origins,
    )


def _ended(lease: PodLease, time: datetime, record: PodRecord) -> PodLease:
    end = exact(time, Witness.IPAMD, record)
    return replace(lease, end=end, origins=(*lease.origins, *record.origins))


def _is_failed_add(lease: PodLease) -> bool:
    start, end = lease.start.earliest, lease.end.latest
    return start is not None and end is not None and end - start <= _FAILED_ADD
