"""What the CNI's plugin did, if nothing else shows it: ``plugin.log`` goes further back than ``ipamd.log``.

The log has a line when the kubelet asks for the network of a sandbox, one with the address that it got, and
one when the network is given back. Whether all of the network was set up it does not say, so these intervals
are never exact, and count only if no other witness shows the pod with the address.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct

from cnitrail.history.pods.bounds import implied, open_end
from cnitrail.model import Address
from cnitrail.model.pod_facts import PodRecord, SandboxNamed
from cnitrail.model.pods import CLOCKS, PodLease, PodName, Witness
from cnitrail.timeclamp import shifted


class _Sandbox(Struct, kw_only=True):
    """What the lines say of a sandbox."""

    pod: PodName | None = None
    uid: str | None = None
    ip: Address | None = None
    asked: datetime | None = None
    answered: PodRecord | None = None
    given_back: PodRecord | None = None


def plugin_intervals(records: Iterable[PodRecord], known: Iterable[PodLease]) -> Iterator[PodLease]:
    """Yield the intervals that no ``known`` lease of the address overlaps, of the same pod or of none."""
    shown: dict[tuple[Address, PodName | None], list[PodLease]] = {}
    for other in known:
        shown.setdefault((other.ip, other.pod), []).append(other)
    for name, sandbox in _sandboxes(records).items():
        found = _lease(name, sandbox)
        if found is None:
            continue
        rivals = (*shown.get((found.ip, found.pod), ()), *shown.get((found.ip, None), ()))
        if not any(found.may_overlap(rival) for rival in rivals):
            yield found


def _sandboxes(records: Iterable[PodRecord]) -> dict[str, _Sandbox]:
    found: dict[str, _Sandbox] = {}
    for record in records:
        for fact in record.facts:
            if not isinstance(fact, SandboxNamed) or fact.is_branch or record.time is None:
                continue
            sandbox = found.setdefault(fact.sandbox, _Sandbox())
            sandbox.pod, sandbox.uid = fact.pod or sandbox.pod, fact.uid or sandbox.uid
            if fact.released:
                sandbox.given_back = record
            elif fact.ip is not None and sandbox.answered is None:
                sandbox.ip, sandbox.answered = fact.ip, record
            elif sandbox.asked is None:
                sandbox.asked = record.time
    return found


def _lease(name: str, sandbox: _Sandbox) -> PodLease | None:
    answered, given_back = sandbox.answered, sandbox.given_back
    if sandbox.ip is None or sandbox.pod is None or answered is None or answered.time is None:
        return None
    end = open_end(None)
    if given_back is not None and given_back.time is not None and given_back.time >= answered.time:
        # The plugin logs that it is asked, and not always that ipamd has answered.
        end = implied(None, shifted(given_back.time, CLOCKS), Witness.CNI_PLUGIN, given_back.origins[0])
    return PodLease(
        ip=sandbox.ip,
        pod=sandbox.pod,
        uid=sandbox.uid,
        sandbox=name,
        cluster=answered.cluster,
        start=implied(sandbox.asked, answered.time, Witness.CNI_PLUGIN, answered.origins[0]),
        end=end,
        origins=tuple(sorted({*answered.origins, *(given_back.origins if given_back is not None else ())})),
    )
