"""What the metadata of a flow log record say about its interface, and whether the history agrees.

AWS calls them "best effort approximations", so agreement proves nothing, and disagreement only lowers trust.
https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
"""

from collections.abc import Set as AbstractSet

from cnitrail.answers.flows.record import FlowKey
from cnitrail.model import Interface


def compared(
    key: FlowKey, interface: Interface | None, instances: AbstractSet[str | None]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the metadata fields of a record that agree with the history of its interface, and the others.

    ``instances`` are those of the interface in the interval: it may have moved from one to another.
    """
    if interface is None:
        return (), ()
    confirmed: list[str] = []
    contradicted: list[str] = []
    for field, claimed, known in (
        ("account-id", _account(key.account), interface.account),
        ("region", key.region, interface.region),
        ("vpc-id", key.vpc, interface.vpc),
        ("subnet-id", key.subnet, interface.subnet),
    ):
        if claimed is not None and known is not None:
            (confirmed if claimed == known else contradicted).append(field)
    agrees = _agrees(key.instance, instances)
    if agrees is not None:
        (confirmed if agrees else contradicted).append("instance-id")
    return tuple(confirmed), tuple(contradicted)


def _account(claimed: str | None) -> str | None:
    """Return the account that a record names; None if none, as in ``unknown`` and a number like 1.11111E+11.

    An export of numbers has lost the zeros at its beginning.
    """
    return claimed.zfill(12) if claimed is not None and claimed.isdecimal() else None


def _agrees(claimed: str | None, known: AbstractSet[str | None]) -> bool | None:
    """Return whether a record names an instance of its interface; None if one of them is not known."""
    if claimed is None or not known:
        return None
    if claimed in known:
        return True
    return None if None in known else False
