"""The holders of the addresses in the filter."""

from collections.abc import Iterator
from datetime import datetime

from cnitrail.answers.filters import Filter
from cnitrail.answers.leases import doubt_of, meets_time, overlaps, takes_interface
from cnitrail.answers.report.citation_index import CitationIndex
from cnitrail.model import AddressHolder, Coverage, Ground, History, Interface, Lease
from cnitrail.model.reason import ReasonCode
from cnitrail.text import clock, distinct
from cnitrail.timeclamp import LAST


def filtered_leases(history: History, wanted: Filter) -> tuple[Lease, ...]:
    """Return the leases of the addresses in the filter, by address and start, whoever assigned them."""
    if not wanted.ip:
        return ()
    return tuple(
        lease
        for lease in history.leases
        if wanted.takes_addresses((lease.held,))
        and takes_interface(wanted, history.interfaces[lease.eni])
        and meets_time(lease.possible_start(), lease.end.time, wanted)
    )


def holders(
    history: History, leases: tuple[Lease, ...], index: CitationIndex, coverage: Coverage | None
) -> Iterator[AddressHolder]:
    """Yield each lease with the instances that its ENI was on during that time.

    ``coverage`` is None if the evidence was not verified.
    """
    last = max((citation.time for citation in index.events), default=None)
    for lease in leases:
        interface = history.interfaces[lease.eni]
        yield AddressHolder(
            held=lease.held,
            eni=lease.eni,
            vpc=interface.vpc,
            instances=distinct(
                attachment.instance for attachment in interface.attachments if overlaps(attachment, lease)
            ),
            start=index.bound(lease.start),
            end=index.bound(lease.end),
            doubt=_doubt(lease),
            rests_on=_ground(lease, interface, coverage, last) if coverage and last else None,
        )


def _ground(lease: Lease, interface: Interface, coverage: Coverage, last: datetime) -> Ground:
    """Return the weakest evidence of a lease, up to the last event of the report if it has no end."""
    if lease.start.time is None:
        return Ground.MISSING
    end = lease.end.time or max(lease.start.time, last)
    return coverage.ground(interface.account, interface.region, lease.start.time, end)


def _doubt(lease: Lease) -> str | None:
    """Return why another interface may have the address, as a clause; None if nothing shows that."""
    taken = lease.certainty.takeover_from
    match doubt_of(lease, LAST):
        case ReasonCode.ORDER_UNKNOWN:
            return "the order of the calls in its first second is not known"
        case ReasonCode.MAY_BE_TAKEN if taken is not None:
            return f"another ENI may have taken the address at {clock(taken)}, if in the same VPC"
    return None
