"""Leases as a Parquet table, with the answers to ``who`` that a join with flow logs needs."""

from collections.abc import Callable, Iterable
from typing import IO, Final

from msgspec import Struct

from cnitrail.model import LeaseEntry
from cnitrail.model.lease_answers import LeaseAnswer
from cnitrail.render.leases import COLUMNS
from cnitrail.render.parquet import Column, write_rows


class LeaseTableRow(Struct, frozen=True, gc=False):
    """A lease with its answers."""

    lease: LeaseEntry
    answers: tuple[LeaseAnswer, ...]


_TYPES: Final = {"start": "time", "end": "time", "unproven": "bool"}
_ATTACHMENT: Final = (
    Column("instance"),
    Column("device_index", "int"),
    Column("attachment"),
    Column("start", "time"),
    Column("start_basis", value=lambda entry: entry.start_basis.value),
    Column("end", "time"),
    Column("end_basis", value=lambda entry: entry.end_basis.value),
    Column("how"),
)
_ANSWER: Final = (
    Column("ip"),
    Column("vpc"),
    Column("first", "int"),
    Column("last", "int"),
    Column("verdict"),
    Column("certain_in_any_vpc", "bool"),
    Column("place", "int"),
    Column("enis", "int"),
    Column("kind"),
    Column("eni"),
    Column("eni_kind"),
    Column("instance"),
    Column("cluster"),
    Column("assigned_by"),
)


def _of_lease(cell: Callable[[LeaseEntry], object]) -> Callable[[LeaseTableRow], object]:
    return lambda row: cell(row.lease)


_TABLE: Final = (
    *(
        Column(name, _TYPES.get(name, "string"), _of_lease(cell))
        for name, cell in COLUMNS.items()
        if name != "instances"
    ),
    Column("attachments", value=lambda row: row.lease.attachments, members=_ATTACHMENT),
    Column("answers", members=_ANSWER),
)


def write_parquet(rows: Iterable[LeaseTableRow], out: IO[bytes]) -> None:
    """Write one row per lease, as they come."""
    write_rows(_TABLE, rows, out)
