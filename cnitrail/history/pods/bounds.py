"""The bounds of pod leases, and how old the state may be that a kubelet reports."""

from datetime import datetime, timedelta
from typing import Final

from cnitrail.model import Basis
from cnitrail.model.evidence import Origin
from cnitrail.model.pod_facts import PodRecord
from cnitrail.model.pods import PodBoundary, Witness
from cnitrail.timeclamp import shifted

KUBELET_DELAY: Final = timedelta(seconds=60)
"""Age of the state that a kubelet's status patch may still report.

It notices changes of sandboxes every second (genericPlegRelistPeriod in pkg/kubelet/kubelet.go) and sends
again what failed every 10 seconds (syncPeriod in pkg/kubelet/status/status_manager.go). The rest is for a
slow container runtime. The kubelet itself has the CNI release the address, so it knows of every release.
"""

_REST: Final = timedelta(microseconds=999_999)
"""Time for which a second goes on after it is written without a fraction."""


def latest_of(record: PodRecord, time: datetime) -> datetime:
    """Return the latest time at which a record with this time was written."""
    return shifted(time, _REST) if record.whole_second else time


def exact(time: datetime, witness: Witness, record: PodRecord) -> PodBoundary:
    """Return a bound that a record shows with its time."""
    return PodBoundary(
        earliest=time,
        latest=latest_of(record, time),
        basis=Basis.OBSERVED,
        witness=witness,
        origin=record.origins[0],
    )


def implied(
    earliest: datetime | None, latest: datetime | None, witness: Witness, origin: Origin | None
) -> PodBoundary:
    """Return a bound that lies between two times."""
    return PodBoundary(earliest=earliest, latest=latest, basis=Basis.IMPLIED, witness=witness, origin=origin)


def unknown_start(time: datetime, witness: Witness, record: PodRecord) -> PodBoundary:
    """Return a start of which only is known that it was not later than a record."""
    latest = latest_of(record, time)
    return PodBoundary(
        earliest=None, latest=latest, basis=Basis.UNKNOWN, witness=witness, origin=record.origins[0]
    )


def open_end(earliest: datetime | None) -> PodBoundary:
    """Return an end that no record shows; ``earliest`` is the last time of a surely held address."""
    return PodBoundary(earliest=earliest, latest=None, basis=Basis.OPEN)
