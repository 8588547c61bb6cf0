"""The answers to ``who`` about the addresses of a lease, for a join in SQL."""

from typing import Final

from msgspec import Struct


class LeaseAnswer(Struct, frozen=True, gc=False, kw_only=True):
    """The seconds in which ``who`` has one answer about an address, for one of the holders it names.

    ``vpc`` is the VPC that the question names; None if it names none. ``first`` and ``last`` are Unix
    seconds, both included. An answer with several holders is there once for each of them: ``place`` counts
    them from 1, and ``enis`` is how many different ENIs they are. ``certain_in_any_vpc``: the holder is
    certain even if the question names no VPC. ``kind`` is what the holder is (``node``, ``pod``,
    ``load-balancer``, …).

    An address that is free has no holder: its answer is in the lease that ended last.
    """

    ip: str
    vpc: str | None
    first: int
    last: int
    verdict: str
    certain_in_any_vpc: bool
    place: int
    enis: int
    kind: str | None = None
    eni: str | None = None
    eni_kind: str | None = None
    instance: str | None = None
    cluster: str | None = None
    assigned_by: str | None = None


WHOLE_PREFIXES: Final = 28
"""The shortest IPv4 prefix whose addresses all have answers. An IPv6 prefix (/80) has too many."""
