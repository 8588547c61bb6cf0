"""A state as a table and as CSV."""

from typing import IO

from cnitrail.model import Answer, Basis, HeldEntry, StateEntry
from cnitrail.render.csv import Columns, table
from cnitrail.render.text import Row, Table, draw

_ATTACHED = {
    True: "instance not known",
    False: "not attached",
    None: "attachment not known",
}

_COLUMNS: Columns = {
    "eni": lambda entry: entry.eni,
    "eni_kind": lambda entry: entry.eni_kind,
    "account": lambda entry: entry.account,
    "region": lambda entry: entry.region,
    "vpc": lambda entry: entry.vpc,
    "subnet": lambda entry: entry.subnet,
    "cluster": lambda entry: entry.cluster,
    "attached": lambda entry: None if entry.attached is None else str(entry.attached).lower(),
    "instance": lambda entry: entry.instance,
    "instance_type": lambda entry: entry.instance_type,
    "device_index": lambda entry: entry.device_index,
    "attachment": lambda entry: entry.attachment,
    "attached_since": lambda entry: entry.attached_since,
    "attached_basis": lambda entry: entry.attached_basis and entry.attached_basis.value,
    "addresses": lambda entry: [each.ip for each in entry.addresses],
}


def write_csv(answer: Answer[StateEntry], out: IO[str]) -> None:
    """Write a line of CSV for each interface."""
    out.writelines(table(_COLUMNS, answer.entries))


def write_table(answer: Answer[StateEntry], out: IO[str]) -> None:
    """Write a table of the interfaces."""
    if answer.entries:
        headings = ("INSTANCE", "INTERFACE", "ADDRESSES")
        draw(Table(headings, [_row(entry) for entry in answer.entries], shares={"ADDRESSES": 1}), out)


def _address(held: HeldEntry) -> str:
    """An address, and what its start rests on unless an event says so."""
    doubt = "" if held.start_basis is Basis.OBSERVED else f" (since: {held.start_basis.value})"
    return f"{held.ip}{doubt}"


def _row(entry: StateEntry) -> Row:
    kind = entry.eni_kind + (f", device {entry.device_index}" if entry.device_index is not None else "")
    held = " ".join(_address(each) for each in entry.addresses)
    return (
        [(entry.instance or _ATTACHED[entry.attached], "cyan"), (entry.instance_type or "", "dim")],
        [(entry.eni, ""), (kind, "dim"), (entry.vpc or "VPC not known", "dim")],
        [(f"{len(entry.addresses)}: {held}" if held else "none known", "")],
    )
