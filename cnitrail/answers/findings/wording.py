"""Parts of sentences that several rules share."""

from collections.abc import Collection
from datetime import datetime

from cnitrail.model import MANAGER_NAMES, Manager
from cnitrail.text import clock, counted, short_list, time_range


def enis_managed_by(manager: Manager, number: int) -> str:
    """Return what manages some ENIs, to be put after them: ``(an ENI managed by the VPC CNI)``."""
    return f"({'an ENI' if number == 1 else 'ENIs'} managed by {MANAGER_NAMES[manager]})"


def enis_were(enis: Collection[str]) -> str:
    """Return ENIs as the subject of a sentence, with its verb: ``2 ENIs (eni-a and eni-b) were``."""
    names, number = short_list(enis), len(set(enis))
    return f"{names} was" if number == 1 else f"{counted(number, 'ENI')} ({names}) were"


def when(first: datetime, last: datetime) -> str:
    """Return when something happened: ``at`` a time, or ``from`` the first ``to`` the last."""
    return f"at {clock(first)}" if first == last else f"from {time_range(first, last)}"
