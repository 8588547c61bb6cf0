"""The pool as ipamd, the VPC CNI's address manager, reports it."""

from datetime import datetime

from msgspec import Struct

from cnitrail.model.event import Held


class KeptAddress(Struct, frozen=True, kw_only=True):
    """An address in ipamd's pool.

    ``pod`` is ``namespace/name``; None if no pod has the address, or ipamd does not name it. ``assigned`` is
    since when the pod has it, or had it until it was ``released`` (aware, UTC).
    """

    ip: Held
    eni: str
    pod: str | None
    assigned: datetime | None
    released: datetime | None = None


class IpamdPool(Struct, frozen=True, kw_only=True):
    """The numbers of a pool, None if ipamd does not report them, and its interfaces and addresses.

    ``total`` counts addresses for pods (16 for a prefix), ``assigned`` those that pods have; neither counts
    the primary address of an interface. ``enis`` includes the first interface. ``blocks`` are the addresses
    and prefixes of each of the ``interfaces``, as (ENI, address or prefix); ``addresses`` are single
    addresses; of a prefix, those that a pod has or had.
    """

    total: int | None = None
    assigned: int | None = None
    prefixes: int | None = None
    enis: int | None = None
    most_enis: int | None = None
    most_addresses: int | None = None
    interfaces: tuple[str, ...] = ()
    blocks: tuple[tuple[str, Held], ...] = ()
    addresses: tuple[KeptAddress, ...] = ()
