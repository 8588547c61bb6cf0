"""A state, alone or compared with EC2, as a table and as CSV."""

from collections.abc import Iterator
from typing import IO

from cnitrail.model import Answer, Basis, ComparedAddress, ComparedEntry, HeldEntry, Match, StateEntry
from cnitrail.render.csv import Columns, table
from cnitrail.render.text import Part, Row, Table, draw

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
    "instance_basis": lambda entry: entry.instance_basis,
    "instance_type": lambda entry: entry.instance_type,
    "device_index": lambda entry: entry.device_index,
    "attachment": lambda entry: entry.attachment,
    "attached_since": lambda entry: entry.attached_since,
    "attached_basis": lambda entry: entry.attached_basis and entry.attached_basis.value,
    "unproven": lambda entry: entry.unproven,
    "addresses": lambda entry: [each.ip for each in entry.addresses],
}

_COMPARED: Columns = {
    **_COLUMNS,
    "match": lambda entry: entry.match.value,
    "reasons": lambda entry: "; ".join(entry.reasons),
    "live_instance": lambda entry: entry.live_instance,
    "same": lambda entry: [each.ip for each in entry.addresses if each.match is Match.SAME],
    "missing": lambda entry: [each.ip for each in entry.addresses if each.match is Match.MISSING],
    "gone": lambda entry: [each.ip for each in entry.addresses if each.match is Match.GONE],
}

_STYLES = {
    Match.GONE: "bold red",
    Match.DIFFERS: "bold yellow",
    Match.MISSING: "bold yellow",
    Match.UNCHECKED: "dim",
    Match.SAME: "green",
}
_MISSING_FROM = {Match.MISSING: "missing from the trail"}


def write_csv(answer: Answer[StateEntry], out: IO[str]) -> None:
    """Write a line of CSV for each interface."""
    out.writelines(table(_COMPARED if answer.query["live"] else _COLUMNS, answer.entries))


def write_table(answer: Answer[StateEntry], out: IO[str]) -> None:
    """Write a table of the interfaces."""
    compared = [entry for entry in answer.entries if isinstance(entry, ComparedEntry)]
    columns = ("INSTANCE", "INTERFACE", "ADDRESSES")
    if compared:
        rows = [_compared(entry) for entry in compared]
        draw(Table(("IN EC2", *columns), rows, {"IN EC2": 1, "ADDRESSES": 1}), out)
    elif answer.entries:
        draw(Table(columns, [_row(entry) for entry in answer.entries], {"ADDRESSES": 1}), out)


def _address(held: HeldEntry) -> str:
    """An address, and what its start rests on unless an event says so."""
    doubt = "" if held.start_basis is Basis.OBSERVED else f" (since: {held.start_basis.value})"
    return f"{held.ip}{doubt}"


def _row(entry: StateEntry) -> Row:
    held = " ".join(_address(each) for each in entry.addresses)
    return (*_where(entry), [(f"{len(entry.addresses)}: {held}" if held else "none known", "")])


def _where(entry: StateEntry) -> tuple[list[Part], list[Part]]:
    kind = entry.eni_kind + (f", device {entry.device_index}" if entry.device_index is not None else "")
    return (
        [(entry.instance or _ATTACHED[entry.attached], "cyan"), (entry.instance_type or "", "dim")],
        [(entry.eni, ""), (kind, "dim"), (entry.vpc or "VPC not known", "dim")],
    )


def _compared(entry: ComparedEntry) -> Row:
    match: list[Part] = [(_MISSING_FROM.get(entry.match, entry.match.value), _STYLES[entry.match])]
    reasons = [(reason, "dim") for reason in entry.reasons]
    return ([*match, *reasons], *_where(entry), list(_compared_addresses(entry.addresses)))


def _compared_addresses(addresses: tuple[ComparedAddress, ...]) -> Iterator[Part]:
    """The addresses that compare alike together, those that differ with why."""
    for match in Match:
        alike = [each for each in addresses if each.match is match]
        if alike:
            name = _MISSING_FROM.get(match, match.value)
            yield f"{len(alike)} {name}: {' '.join(str(each.ip) for each in alike)}", _STYLES[match]
            for reason in dict.fromkeys(each.reason for each in alike if each.reason):
                yield reason, "dim"
