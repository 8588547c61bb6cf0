"""Who held the addresses that were asked for."""

from collections.abc import Iterator
from datetime import datetime

from cnitrail.answers.coverage_text import clock
from cnitrail.answers.filters import Filter
from cnitrail.answers.leases import meets_time, takes_interface
from cnitrail.answers.report.principals import Principals
from cnitrail.answers.report.words import distinct
from cnitrail.model import Coverage, Ground, History, Interface, Lease, Tenure


def asked_leases(history: History, wanted: Filter) -> tuple[Lease, ...]:
    """The leases of the addresses that were asked for, by address and start; whoever assigned them."""
    if not wanted.ip:
        return ()
    return tuple(
        lease
        for lease in history.leases
        if wanted.takes_addresses((lease.held,))
        and takes_interface(wanted, history.interfaces[lease.eni])
        and meets_time(lease.reach(), lease.end.time, wanted)
    )


def tenures(
    history: History, asked: tuple[Lease, ...], cast: Principals, coverage: Coverage | None
) -> Iterator[Tenure]:
    """Each lease with the instances that its interface was on in this time.

    ``coverage`` is given where digests were asked.
    """
    last = max((citation.time for citation in cast.events), default=None)
    for lease in asked:
        interface = history.interfaces[lease.eni]
        time = Filter(since=lease.reach(), until=lease.end.time)
        yield Tenure(
            held=lease.held,
            eni=lease.eni,
            vpc=interface.vpc,
            instances=distinct(
                each.instance
                for each in interface.attachments
                if meets_time(each.start.time, each.end.time, time)
            ),
            start=cast.edge(lease.start),
            end=cast.edge(lease.end),
            doubt=_doubt(lease),
            rests_on=_ground(lease, interface, coverage, last) if coverage and last else None,
        )


def _ground(lease: Lease, interface: Interface, coverage: Coverage, last: datetime) -> Ground:
    """What a lease rests on; one without an end is told up to the last event of the report."""
    if lease.start.time is None:
        return Ground.MISSING
    end = lease.end.time or max(lease.start.time, last)
    return coverage.ground(interface.account, interface.region, lease.start.time, end)


def _doubt(lease: Lease) -> str | None:
    if lease.contested:
        return "the order of the calls in its first second is not known"
    if lease.doubt_from is not None:
        return (
            f"another interface may have taken the address at {clock(lease.doubt_from)}, if in the same VPC"
        )
    return None
