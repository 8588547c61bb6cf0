"""A subnet census as a table and as CSV."""

from collections.abc import Iterator, Sequence
from typing import IO

from msgspec import Struct

from cnitrail.model import MANAGER_NAMES, Answer, Manager
from cnitrail.model.subnet import SubnetCensus, SubnetGroup
from cnitrail.render.csv import Columns, table
from cnitrail.render.shared import context, shared
from cnitrail.render.text import Paragraph, Row, Screen, Table, draw, draw_blocks
from cnitrail.text import clock, counted, short_list

_UNKNOWN = "unknown"
_GROUP = ("CLUSTER", "USE", "MANAGER", "IPS", "%", "ENIS", "NODES")
_FOLDING = {"CLUSTER": 2, "USE": 1, "MANAGER": 1}
_MANAGERS = {
    manager: "-" if manager is Manager.UNKNOWN else name.removeprefix("the ").removeprefix("an ")
    for manager, name in MANAGER_NAMES.items()
}


class _Line(Struct):
    """A group, or None for a subnet without any, with its subnet."""

    census: SubnetCensus
    group: SubnetGroup | None


_COLUMNS: Columns = {
    "subnet": lambda line: line.census.subnet,
    "subnet_account": lambda line: line.census.account,
    "region": lambda line: line.census.region,
    "vpc": lambda line: line.census.vpc,
    "cidr": lambda line: line.census.cidr and str(line.census.cidr),
    "at": lambda line: line.census.at,
    "size": lambda line: line.census.size,
    "seen": lambda line: line.census.seen,
    "unaccounted": lambda line: line.census.unaccounted,
    "available": lambda line: line.census.live and line.census.live.available,
    "use": lambda line: line.group and line.group.use.value,
    "account": lambda line: line.group and line.group.account,
    "cluster": lambda line: line.group and line.group.cluster,
    "manager": lambda line: line.group and line.group.manager.value,
    "service": lambda line: line.group and line.group.service,
    "nodes": lambda line: line.group and line.group.nodes,
    "enis": lambda line: line.group and line.group.enis,
    "addresses": lambda line: line.group and line.group.addresses,
    "share": lambda line: line.group and str(line.group.share),
    "uncertain": lambda line: line.group and line.group.uncertain,
    "unaccounted_in_ec2": lambda line: line.census.live and line.census.live.unaccounted,
    "only_in_ec2": lambda line: line.census.live and line.census.live.only_in_ec2,
    "only_in_cloudtrail": lambda line: line.census.live and line.census.live.only_in_cloudtrail,
}


def write_csv(answer: Answer[SubnetCensus], out: IO[str]) -> None:
    """Write one CSV line for each group of addresses, or for a subnet in which none is seen."""
    lines = [_Line(census, group) for census in answer.entries for group in census.groups or (None,)]
    out.writelines(table(_COLUMNS, lines))


def write_table(answer: Answer[SubnetCensus], out: IO[str]) -> None:
    """Write a table of the subnets, one of the groups of addresses, and one of what could be reclaimed."""
    entries = answer.entries
    if not entries:
        return
    common = shared(entries, ("account", "region", "vpc")) if isinstance(out, Screen) else {}
    times = {clock(census.at) for census in entries}
    at = next(iter(times)) if isinstance(out, Screen) and len(times) == 1 else None
    draw_blocks([context(common, f"at {at}")] if at is not None else [], out)
    draw(_subnets(entries, with_time=at is None), out)
    for shown in (_groups(entries), _reclaimable(entries)):
        if shown.rows:
            out.write("\n")
            draw(shown, out)
    notes = list(dict.fromkeys(_notes(entries)))
    if notes:
        out.write("\n")
        draw_blocks([[Paragraph([(note, "")]) for note in notes]], out)


def _subnets(entries: Sequence[SubnetCensus], *, with_time: bool) -> Table:
    is_live = any(census.live is not None for census in entries)
    rows: list[Row] = []
    for census in entries:
        numbers = [census.size, census.seen, _unaccounted(census)]
        if is_live:
            numbers.append(census.live.available if census.live is not None else None)
        texts = (
            str(census.cidr or _UNKNOWN),
            *([clock(census.at)] if with_time else []),
            *(_UNKNOWN if number is None else f"{number:,}" for number in numbers),
        )
        rows.append([[(census.subnet, "bold")], *([(text, "")] for text in texts)])
    counts = ("SIZE", "SEEN", "UNACCOUNTED", *(("FREE IN EC2",) if is_live else ()))
    headings = ("SUBNET", "CIDR", *(("AT",) if with_time else ()), *counts)
    return Table(headings, rows, {}, right=counts)


def _unaccounted(census: SubnetCensus) -> int | None:
    """Return the addresses that nothing accounts for: neither seen nor, as far as EC2 was asked, free."""
    in_ec2 = census.live.unaccounted if census.live is not None else None
    return census.unaccounted if in_ec2 is None else in_ec2


def _groups(entries: Sequence[SubnetCensus]) -> Table:
    """Return the groups of addresses, with subnet and account if there are several."""
    groups = [(census, group) for census in entries for group in census.groups]
    before = (len(entries) > 1, len({group.account for _, group in groups}) > 1)
    headings = [name for name, shown in zip(("SUBNET", "ACCOUNT"), before, strict=True) if shown]
    rows: list[Row] = []
    for census, group in groups:
        names = (census.subnet, group.account or _UNKNOWN)
        known = [[(name, "")] for name, shown in zip(names, before, strict=True) if shown]
        rows.append([*known, *_group_row(group)])
    return Table((*headings, *_GROUP), rows, _FOLDING, right=("IPS", "%", "ENIS", "NODES"))


def _group_row(group: SubnetGroup) -> Row:
    texts = (
        group.cluster or "-",
        group.use_name,
        _MANAGERS[group.manager],
        f"{group.addresses:,}",
        f"{group.share:.1f}",
        f"{group.enis:,}",
        f"{group.nodes:,}" if group.nodes else "-",
    )
    return [[(text, "")] for text in texts]


def _reclaimable(entries: Sequence[SubnetCensus]) -> Table:
    rows: list[Row] = [
        [
            [(eni.eni, "bold")],
            [(f"{eni.addresses:,}", "")],
            [(eni.cluster or "-", "")],
            [(eni.instance or "-", "")],
            [(clock(eni.since) if eni.since is not None else _UNKNOWN, "")],
        ]
        for census in entries
        for eni in census.reclaimable
    ]
    headings = ("COULD BE RECLAIMED", "IPS", "CLUSTER", "NODE", "NOT ATTACHED SINCE")
    return Table(headings, rows, {"CLUSTER": 1}, right=("IPS",))


def _notes(entries: Sequence[SubnetCensus]) -> Iterator[str]:
    """Yield what each census leaves open, and in what EC2 differs; with its subnet if there are several."""
    for census in entries:
        prefix = f"{census.subnet}: " if len(entries) > 1 else ""
        texts = (*_open(census), *_differences(census), *(reason.text for reason in census.reasons))
        yield from (prefix + text for text in texts)


def _open(census: SubnetCensus) -> Iterator[str]:
    """Yield which addresses of a subnet are not accounted for, or why that is unknown."""
    asked = census.live is not None and census.live.unaccounted is not None
    if not asked and census.unaccounted is not None and census.unaccounted > 0:
        number = f"{census.unaccounted:,} of its {census.size:,} addresses are"
        yield f"{number} free, or held by ENIs that no event in the evidence mentions."
    if census.size == 0:
        yield "It was created without IPv4 addresses; IPv6 addresses are not counted."
    if census.size is None:
        hint = "--live asks EC2" if census.live is None else "--live did not show it either"
        yield f"Its size is not in the evidence (CreateSubnet); {hint}."


def _differences(census: SubnetCensus) -> Iterator[str]:
    """Yield in what EC2 differs from the evidence."""
    live = census.live
    if live is None:
        return
    if live.only_in_ec2:
        yield f"{counted(len(live.only_in_ec2), 'ENI')} only in EC2: {short_list(live.only_in_ec2)}."
    if live.only_in_cloudtrail:
        enis = live.only_in_cloudtrail
        held = f"{live.addresses_only_in_cloudtrail:,} of the addresses seen"
        yield f"{counted(len(enis), 'ENI')} only in CloudTrail, with {held}: {short_list(enis)}."
    if live.unaccounted:
        is_in_use = live.unaccounted > 0
        number = f"At least {counted(abs(live.unaccounted), 'address')}"
        differs = "in use in EC2 now, but not seen" if is_in_use else "seen, but free in EC2 now"
        how = "assigned" if is_in_use else "released"
        yield f"{number} {differs}: {how} later, or by an event that is not in the evidence."
