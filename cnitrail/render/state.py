"""A state, alone or compared with EC2, as a table and as CSV."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import IO

from cnitrail.model import (
    Answer,
    Basis,
    ComparedAddress,
    ComparedEntry,
    Held,
    HeldEntry,
    Match,
    StateEntry,
)
from cnitrail.render.csv import Columns, table
from cnitrail.render.shared import aligned, context, shared
from cnitrail.render.text import Part, Screen, Table, draw_blocks, draw_fitting, draw_wide

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
    "doubted": lambda entry: [address.ip for address in entry.addresses if address.doubt],
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
    Match.DIFFERS: "bold magenta",
    Match.MISSING: "bold magenta",
    Match.UNCHECKED: "",
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
    """Write a table of the ENIs: fitted to a screen, or with everything in one line each."""
    if not isinstance(out, Screen):
        write_wide(answer, out)
    elif answer.entries:
        common = shared(answer.entries, ("account", "region", "vpc"))
        draw_blocks([context(common)] if common else [], out)
        draw_fitting(_layouts(answer.entries, common), out)


def write_wide(answer: Answer[StateEntry], out: IO[str]) -> None:
    """Write a table of the ENIs with everything in one line each."""
    if answer.entries:
        alone = (("IPS", _number), ("ADDRESSES", _addresses))
        compared = (("ADDRESSES", _compared_addresses),)
        is_compared = isinstance(answer.entries[0], ComparedEntry)
        columns: list[_Column] = [
            *([("MATCH", _reasoned)] if is_compared else []),
            *(("INSTANCE", _instance), ("TYPE", _type), ("ENI", _eni), ("KIND", _kind)),
            *(compared if is_compared else alone),
            *_PLACES.values(),
        ]
        draw_wide(_table(columns, answer.entries), out)


_Cell = Callable[[StateEntry], Iterable[Part]]
_Column = tuple[str, _Cell]


def _layouts(entries: Sequence[StateEntry], common: Collection[str]) -> Iterator[Table]:
    """Yield the layouts for a screen, from the widest to the narrowest: the last is one for blocks.

    What all ENIs have in common is left out.
    """
    place = [column for name, column in _PLACES.items() if name not in common]
    instance = _joined(("INSTANCE", _instance), ("", _type))
    eni = (("ENI", _eni), ("", _kind), *((f", {name}", cell) for name, cell in place))
    apart = (("INSTANCE", _instance), ("TYPE", _type), ("ENI", _eni), ("KIND", _kind), *place)
    if isinstance(entries[0], ComparedEntry):
        why = ("ADDRESSES", _compared_grid)
        for first in (
            [("MATCH", _match), instance, _joined(*eni)],
            [instance, _joined(*eni, (", MATCH", _match))],
        ):
            yield _table([*first, why], entries, {"ADDRESSES": 1})
        yield _table([("MATCH", _reasoned), *apart, ("ADDRESSES", _compared_addresses)], entries)
    else:
        addresses = [("IPS", _number), ("ADDRESSES", _grid)]
        yield _table([instance, _joined(*eni), *addresses], entries, {"ADDRESSES": 1})
        yield _table([*apart, ("ADDRESSES", _grid)], entries)


def _joined(*columns: _Column) -> _Column:
    """Return several columns as one, with their texts below each other."""
    heading = "".join(name for name, _ in columns)
    return heading, lambda entry: [part for _, cell in columns for part in cell(entry)]


def _table(
    columns: Sequence[_Column], entries: Sequence[StateEntry], shares: Mapping[str, int] | None = None
) -> Table:
    rows = [[list(cell(entry)) for _, cell in columns] for entry in entries]
    return Table(tuple(name for name, _ in columns), rows, shares or {}, right=["IPS"])


def _instance(entry: StateEntry) -> Iterator[Part]:
    yield entry.instance or ("AWS service" if entry.management.is_service else _ATTACHED[entry.attached]), ""
    if entry.instance and entry.attached is False:
        yield f"({_ATTACHED[False]})", "magenta"


def _type(entry: StateEntry) -> Iterator[Part]:
    yield entry.instance_type or "", ""


def _eni(entry: StateEntry) -> Iterator[Part]:
    yield entry.eni or "ENI unknown", ""


def _kind(entry: StateEntry) -> Iterator[Part]:
    if entry.eni:
        device = f", device {entry.device_index}" if entry.device_index is not None else ""
        yield f"{entry.eni_kind}{device}", ""


_PLACES: Mapping[str, _Column] = {
    "vpc": ("VPC", lambda entry: [(entry.vpc or "VPC unknown", "")] if entry.eni else []),
    "account": ("ACCOUNT", lambda entry: [(entry.account or "account unknown", "")]),
    "region": ("REGION", lambda entry: [(entry.region or "Region unknown", "")]),
}


def _number(entry: StateEntry) -> Iterator[Part]:
    yield str(len(entry.addresses)), ""


def _addresses(entry: StateEntry) -> Iterator[Part]:
    """Yield the addresses, each with what is not certain of it."""
    yield " ".join(map(_address, entry.addresses)) or "no known addresses", ""


def _address(held: HeldEntry) -> str:
    doubt = _doubt(held)
    return f"{held.ip} ({doubt})" if doubt else str(held.ip)


def _grid(entry: StateEntry) -> Iterator[Part]:
    """Yield the addresses by what is not certain of them, aligned below each other."""
    if not entry.addresses:
        yield "no known addresses", ""
    groups: dict[str, list[Held]] = defaultdict(list)
    for address in entry.addresses:
        groups[_doubt(address)].append(address.ip)
    for doubt, held in sorted(groups.items()):
        if doubt:
            yield f"{doubt}:", "magenta"
        yield aligned(held), ""


def _doubt(held: HeldEntry) -> str:
    """Return what is not certain of an address: why another ENI may have it, or the basis of its start."""
    if held.doubt:
        return held.doubt.value.replace("-", " ")
    return "" if held.start_basis is Basis.OBSERVED else f"start {held.start_basis.value}"


def _match(entry: StateEntry) -> Iterator[Part]:
    if isinstance(entry, ComparedEntry):
        yield MATCH_NAMES[entry.match], _STYLES[entry.match]


def _reasoned(entry: StateEntry) -> Iterator[Part]:
    """Yield how an ENI compares, and why."""
    yield from _match(entry)
    if isinstance(entry, ComparedEntry):
        yield from ((reason.text, "") for reason in entry.reasons)


def _compared_grid(entry: StateEntry) -> Iterator[Part]:
    """Yield the addresses by how they compare, aligned below each other, and all reasons."""
    if isinstance(entry, ComparedEntry):
        for match, alike in _by_match(entry):
            yield f"{len(alike)} {MATCH_NAMES[match]}:", _STYLES[match]
            yield aligned([address.ip for address in alike]), ""
            yield from _reasons(alike)
        yield from ((reason.text, "") for reason in entry.reasons)


def _compared_addresses(entry: StateEntry) -> Iterator[Part]:
    """Yield the addresses by how they compare, with the reasons."""
    if isinstance(entry, ComparedEntry):
        for match, alike in _by_match(entry):
            listed = " ".join(str(address.ip) for address in alike)
            yield f"{len(alike)} {MATCH_NAMES[match]}: {listed}", _STYLES[match]
            yield from _reasons(alike)


def _by_match(entry: ComparedEntry) -> Iterator[tuple[Match, list[ComparedAddress]]]:
    for match in Match:
        alike = [address for address in entry.addresses if address.match is match]
        if alike:
            yield match, alike


def _reasons(addresses: Iterable[ComparedAddress]) -> Iterator[Part]:
    """Yield why addresses differ, each reason once."""
    for text in dict.fromkeys(address.reason.text for address in addresses if address.reason):
        yield text, ""
