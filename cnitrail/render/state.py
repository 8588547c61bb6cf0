"""A state, alone or compared with EC2, as a table and as CSV."""

from collections.abc import Iterator
from typing import IO

from cnitrail.model import Answer, Basis, ComparedAddress, ComparedEntry, Held, HeldEntry, Match, StateEntry
from cnitrail.render.csv import Columns, table
from cnitrail.render.text import Part, Row, Table, draw

_ATTACHED = {
    True: "instance unknown",
    False: "not attached",
    None: "attachment unknown",
}


_COLUMNS: Columns = {
    "eni": lambda entry: entry.eni,
    "eni_kind": lambda entry: entry.eni_kind,
    "account": lambda entry: entry.account,
    "region": lambda entry: entry.region,
    "vpc": lambda entry: entry.vpc,
    "subnet": lambda entry: entry.subnet,
    "cluster": lambda entry: entry.cluster,
    "attached": lambda entry: entry.attached,
    "instance": lambda entry: entry.instance,
    "instance_basis": lambda entry: entry.instance_basis,
    "instance_type": lambda entry: entry.instance_type,
    "device_index": lambda entry: entry.device_index,
    "attachment": lambda entry: entry.attachment,
    "attached_since": lambda entry: entry.attached_since,
    "attached_basis": lambda entry: entry.attached_basis and entry.attached_basis.value,
    "unproven": lambda entry: entry.unproven,
    "manager": lambda entry: entry.management.manager.value,
    "manager_basis": lambda entry: entry.management.basis,
    "addresses": lambda entry: [address.ip for address in entry.addresses],
}


def _matching(entry: ComparedEntry, match: Match) -> list[Held]:
    return [address.ip for address in entry.addresses if address.match is match]


_COMPARED: Columns = {
    **_COLUMNS,
    "match": lambda entry: entry.match.value,
    "reasons": lambda entry: "; ".join(reason.text for reason in entry.reasons),
    "live_instance": lambda entry: entry.live_instance,
    "same": lambda entry: _matching(entry, Match.SAME),
    "missing": lambda entry: _matching(entry, Match.MISSING),
    "gone": lambda entry: _matching(entry, Match.GONE),
}

_STYLES = {
    Match.GONE: "bold red",
    Match.DIFFERS: "bold yellow",
    Match.MISSING: "bold yellow",
    Match.UNCHECKED: "dim",
    Match.SAME: "green",
}
MATCH_NAMES = {
    Match.GONE: "only in CloudTrail",
    Match.DIFFERS: "differs",
    Match.MISSING: "only in EC2",
    Match.UNCHECKED: "not checked",
    Match.SAME: "same",
}


def write_csv(answer: Answer[StateEntry], out: IO[str]) -> None:
    """Write one CSV line per ENI."""
    out.writelines(table(_COMPARED if answer.query["live"] else _COLUMNS, answer.entries))


def write_table(answer: Answer[StateEntry], out: IO[str]) -> None:
    """Write a table of the ENIs."""
    compared = [entry for entry in answer.entries if isinstance(entry, ComparedEntry)]
    columns = ("INSTANCE", "ENI", "ADDRESSES")
    if compared:
        rows = [_compared(entry) for entry in compared]
        draw(Table(("MATCH", *columns), rows, {"MATCH": 1, "ADDRESSES": 1}), out)
    elif answer.entries:
        draw(Table(columns, [_row(entry) for entry in answer.entries], {"ADDRESSES": 1}), out)


def _address(held: HeldEntry) -> str:
    """Return an address, with the basis of its start unless that was observed."""
    basis = "" if held.start_basis is Basis.OBSERVED else f" (start {held.start_basis.value})"
    return f"{held.ip}{basis}"


def _row(entry: StateEntry) -> Row:
    held = " ".join(map(_address, entry.addresses))
    return (*_where(entry), [(f"{len(entry.addresses)}: {held}" if held else "no known addresses", "")])


def _where(entry: StateEntry) -> tuple[list[Part], list[Part]]:
    kind = entry.eni_kind + (f", device {entry.device_index}" if entry.device_index is not None else "")
    eni: list[Part] = [(entry.eni, ""), (kind, "dim"), (entry.vpc or "VPC unknown", "dim")]
    instance: list[Part] = [
        (entry.instance or _ATTACHED[entry.attached], "cyan"),
        (entry.instance_type or "", "dim"),
    ]
    if entry.instance and entry.attached is False:
        instance.append((f"({_ATTACHED[False]})", "yellow"))
    return (
        instance,
        eni if entry.eni else [("ENI unknown", "")],
    )


def _compared(entry: ComparedEntry) -> Row:
    match: list[Part] = [(MATCH_NAMES[entry.match], _STYLES[entry.match])]
    reasons = [(reason.text, "dim") for reason in entry.reasons]
    return ([*match, *reasons], *_where(entry), list(_compared_addresses(entry.addresses)))


def _compared_addresses(addresses: tuple[ComparedAddress, ...]) -> Iterator[Part]:
    """Yield the addresses by how they compare, with the reasons."""
    for match in Match:
        alike = [address for address in addresses if address.match is match]
        if alike:
            listed = " ".join(str(address.ip) for address in alike)
            yield f"{len(alike)} {MATCH_NAMES[match]}: {listed}", _STYLES[match]
            for text in dict.fromkeys(address.reason.text for address in alike if address.reason):
                yield text, "dim"
