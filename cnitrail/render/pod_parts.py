"""What is shown of a pod beside an ENI or a call: its name, and from when to when it had an address."""

from datetime import datetime

from cnitrail.model import Basis
from cnitrail.model.pods import PodEntry
from cnitrail.text import exact


def name_of(entry: PodEntry) -> str:
    """Return the namespace and name of a pod, or that no record names it."""
    return f"{entry.namespace}/{entry.pod}" if entry.pod else "(not named)"


def moment(time: datetime | None) -> str | None:
    """Return a time of a pod in a cell, as in JSON: with its fraction of a second, if any."""
    return exact(time).replace(" ", "T") if time is not None else None


def start_of(entry: PodEntry) -> str:
    """Return when a pod got an address: a time, ``between … and …``, ``by …`` or ``unknown``."""
    if entry.start is None:
        return "unknown"
    is_exact = entry.start_basis is Basis.OBSERVED
    return _bounds(entry.start if is_exact else entry.start_not_before, entry.start)


def end_of(entry: PodEntry) -> str:
    """Return until when a pod had an address: a time, its bounds, or that no end was seen."""
    if entry.end is None:
        seen = f" (last seen with it at {exact(entry.end_not_before)})" if entry.end_not_before else ""
        return f"no end seen{seen}"
    is_exact = entry.end_basis is Basis.OBSERVED
    return _bounds(entry.end if is_exact else entry.end_not_before, entry.end)


def started(entry: PodEntry) -> str:
    """Return since when a pod had an address: ``from 2022-10-05 13:20:02.290Z``."""
    if entry.start is None:
        return "from an unknown time"
    return f"{'from' if entry.start_basis is Basis.OBSERVED else 'got it'} {start_of(entry)}"


def ended(entry: PodEntry) -> str:
    """Return until when a pod had an address: ``until 2022-10-05 14:30:30.101Z``."""
    if entry.end is None:
        return end_of(entry)
    return f"{'until' if entry.end_basis is Basis.OBSERVED else 'released it'} {end_of(entry)}"


def _bounds(earliest: datetime | None, latest: datetime) -> str:
    if earliest == latest:
        return exact(latest)
    if earliest is None:
        return f"by {exact(latest)}"
    first, last = exact(earliest), exact(latest)
    if earliest.date() == latest.date():
        first, last = first.removesuffix("Z"), last.split()[1]
    return f"between {first} and {last}"
