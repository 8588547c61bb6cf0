"""The subnets whose creation is in the evidence, with their blocks."""

from collections.abc import Iterable

from cnitrail.model import Effect, Event, Subnet

_CREATE = Effect.CREATE


def subnets_of(events: Iterable[Event]) -> dict[str, Subnet]:
    """Return the subnets that calls created, by ID. The block of a subnet never changes."""
    return {
        subject.subnet: Subnet(
            subnet=subject.subnet,
            account=event.account,
            region=event.region,
            vpc=subject.vpc,
            cidr=subject.details.cidr,
        )
        for event in events
        if event.effect is _CREATE and event.failure is None
        for subject in event.subjects
        if subject.subnet is not None and subject.details.resource == subject.subnet
    }
