"""What ipamd, the VPC CNI's address manager, says of its own pool."""

from datetime import datetime

from msgspec import Struct

from cnitrail.model.event import Held


class KeptAddress(Struct, frozen=True):
    """An address that ipamd keeps on an interface.

    ``pod`` is ``namespace/name``; None where no pod has the address, or ipamd does not say which.
    ``assigned`` is since when it has it (aware, UTC).
    """

    ip: Held
    eni: str
    pod: str | None
    assigned: datetime | None


class IpamdPool(Struct, frozen=True):
    """The numbers of a pool, None where they are not told, and what it consists of.

    ``total`` counts addresses for pods (of a prefix 16), ``assigned`` those that pods have; neither
    counts an interface's primary address. ``enis`` includes the first interface. ``blocks`` are the
    addresses and prefixes of each of the ``interfaces``, as (ENI, address or prefix); ``addresses``
    are single ones, of a prefix those that a pod has or had.
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
