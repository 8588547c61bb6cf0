"""The statements of ``docs/flows-sql.md``, and flow logs as tables of DuckDB for them."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

import duckdb
from click.testing import CliRunner
from conftest import ROOT
from flow_records import line, no_traffic, write

from cnitrail.answers.flows.lease_answers import addresses_of
from cnitrail.cli import main
from cnitrail.model import LeaseEntry
from cnitrail.model.flow_fields import NUMBERS

DOCS = ROOT / "docs" / "flows-sql.md"
_BLOCK = re.compile(r"<!-- (?P<name>[a-z-]+) -->\n```sql\n(?P<sql>.*?)```", re.DOTALL)
ENDS = tuple(
    f"{side}_{name}"
    for side in ("src", "dst")
    for name in ("ip", "verdict", "kind", "eni", "eni_kind", "instance", "cluster", "assigned_by")
)
"""The columns that the statement adds."""


RECORD = ("interface_id", "srcaddr", "dstaddr", "bytes", "start", "end", "log_status")
FORWARDING = ("nat-gateway", "transit-gateway", "vpc-endpoint", "network-firewall", "elb", "other")
Row = tuple[str, ...]


def statement(name: str) -> str:
    """A statement of the documentation by its name, which is in a comment above it."""
    found = {match["name"]: match["sql"] for match in _BLOCK.finditer(DOCS.read_text())}
    return found[name]


def without(sql: str, fields: Sequence[str]) -> str:
    """The join for a table that has only some columns, changed as the documentation says."""
    columns = {field.replace("-", "_") for field in fields}
    for column in ("vpc_id", "subnet_id", "instance_id", "pkt_srcaddr", "pkt_dstaddr", "flow_direction"):
        if column not in columns:
            sql = sql.replace(f"f.{column}", "CAST(NULL AS varchar)")
    return sql if "traffic_path" in columns else sql.replace("f.traffic_path", "CAST(NULL AS integer)")


def in_flows(trail: Path, fields: Sequence[str], lines: Iterable[str], folder: Path) -> Counter[Row]:
    """What ``cnitrail flows`` says of records."""
    path = write(folder, lines, tuple(fields))
    result = CliRunner().invoke(main, ["flows", str(path), "--with", str(trail), "-o", "jsonl"])
    assert result.exit_code == 0, result.stderr
    return Counter(_row(json.loads(text)) for text in result.stdout.splitlines())


def write_table(trail: Path, table: Path) -> None:
    """Write the table of leases, as the command does."""
    result = CliRunner().invoke(main, ["leases", str(trail), "-o", "parquet"])
    assert result.exit_code == 0, result.stderr
    table.write_bytes(result.stdout_bytes)


def in_sql(trail: Path, fields: Sequence[str], lines: Iterable[str], folder: Path) -> Counter[Row]:
    """What the statement says of records, with the table that ``leases`` writes."""
    write_table(trail, folder / "leases.parquet")
    db = duckdb.connect(config={"threads": 1})  # tables are small, and tests run side by side
    db.execute(f"CREATE VIEW leases AS SELECT * FROM '{folder / 'leases.parquet'}'")
    db.execute(statement("duckdb-answers"))
    columns = ", ".join(
        f'"{field.replace("-", "_")}" {"BIGINT" if field in NUMBERS else "VARCHAR"}' for field in fields
    )
    db.execute(f"CREATE TABLE flow_logs ({columns})")
    rows = [[None if value == "-" else value for value in text.split(" ")] for text in lines]
    if rows:
        db.executemany(f"INSERT INTO flow_logs VALUES ({', '.join('?' * len(fields))})", rows)
    return rows_of(db.execute(without(statement("join"), fields)))


def compared(sql: Counter[Row], flows: Counter[Row]) -> tuple[object, object]:
    """What has to be the same of both: everything, except that the statement may say less of an end.

    It may be ``likely`` for ``certain``, ``unknown`` for ``free`` and ``node-or-pod`` for ``node``: SQL does
    not show all of the interface of a record. Pods are not in the table, so no pool is known to be warm.
    """
    in_sql, in_flows = map(_without_pods, (sql, flows))
    more = [row for row in _sure(in_sql) if row not in _sure(in_flows)]
    return (_weaker(in_sql), more), (_weaker(in_flows), [])


def equal_share(sql: Counter[Row], flows: Counter[Row]) -> float:
    """The share of records of which both say the same."""
    in_sql, in_flows = map(_without_pods, (sql, flows))
    return (in_sql & in_flows).total() / max(1, in_flows.total())


def _without_pods(rows: Counter[Row]) -> Counter[Row]:
    return Counter(tuple("pod" if cell == "warm-pool" else cell for cell in row) for row in rows.elements())


def _sure(rows: Counter[Row]) -> list[Row]:
    """Each end that is certain or free, by its record and its side."""
    places = [len(RECORD) + ENDS.index(f"{side}_verdict") for side in ("src", "dst")]
    return [
        (*row[: len(RECORD)], row[place], str(place))
        for row in rows
        for place in places
        if row[place] in ("certain", "free")
    ]


def _weaker(rows: Counter[Row]) -> Counter[Row]:
    less = {"certain": "likely", "free": "unknown", "node": "node-or-pod"}
    return Counter(tuple(less.get(cell, cell) for cell in row) for row in rows.elements())


def rows_of(result: duckdb.DuckDBPyConnection) -> Counter[Row]:
    """The rows of the join as both are compared."""
    names = [description[0] for description in result.description or ()]
    return Counter(_row(dict(zip(names, row, strict=True))) for row in result.fetchall())


def _row(values: Mapping[str, object]) -> Row:
    """A record as both show it; the order of several names differs."""
    texts = {name: "" if value is None else str(value) for name, value in values.items()}
    return (*(texts[name] for name in RECORD), *(";".join(sorted(texts[name].split(";"))) for name in ENDS))


def records_of(
    leases: Sequence[LeaseEntry], fields: Sequence[str], chance: random.Random, count: int
) -> list[str]:
    """Records of flows between addresses of leases and others, around the times when they changed hands.

    Some contradict the history. Left out is what the documentation says of the statement: records without a
    direction whose addresses were both at their interface, and instances of interfaces that forward packets.
    """
    ips = [str(ip) for lease in leases for ip in addresses_of(lease.ip)[:4]]
    prefixes = [ip_network(lease.ip) for lease in leases if not addresses_of(lease.ip)]
    ips = [ip for ip in ips if not any(ip_address(ip) in prefix for prefix in prefixes)]
    ips += ["203.0.113.9", "10.99.99.9", "100.64.1.1", "172.31.0.9", "2001:db8:ffff::1", "fd00::1"]
    of_eni: dict[str, set[str]] = {}
    for lease in leases:
        of_eni.setdefault(lease.eni, set()).update(map(str, addresses_of(lease.ip)))
    kinds = {lease.eni: lease.eni_kind for lease in leases}
    times = [int(time.timestamp()) for lease in leases for time in (lease.start, lease.end) if time]
    instances = [attachment.instance for lease in leases for attachment in lease.attachments]
    if not times:
        return []
    lines = [no_traffic(tuple(fields), interface_id="eni-0unknown", start=times[0], end=times[0] + 59)]
    while len(lines) < count:
        lease = chance.choice(leases)
        local = [str(ip) for ip in addresses_of(lease.ip)[:4] if str(ip) in ips] or ips
        src = chance.choice(local if chance.random() < 0.7 else ips)
        dst = chance.choice(ips)
        if chance.random() < 0.5:
            src, dst = dst, src
        interface = lease.eni if chance.random() < 0.8 else chance.choice([*of_eni, "eni-0unknown", None])
        start = chance.choice(times) + chance.randrange(-130, 130)
        seconds = chance.choice((0, 1, 5, 55, 599))
        values: dict[str, object] = {
            "interface_id": interface,
            "account_id": lease.account if chance.random() < 0.9 else "999999999999",
            "srcaddr": src,
            "dstaddr": dst,
            "start": start,
            "end": start + seconds,
            "vpc_id": chance.choice((lease.vpc, lease.vpc, lease.vpc, None, "vpc-0other")),
            "subnet_id": chance.choice((lease.subnet, lease.subnet, lease.subnet, None, "subnet-0other")),
            "instance_id": None
            if kinds.get(str(interface)) in FORWARDING
            else chance.choice((None, *instances[:1], *[one.instance for one in lease.attachments])),
            "pkt_srcaddr": src if chance.random() < 0.8 else chance.choice(ips),
            "pkt_dstaddr": dst if chance.random() < 0.8 else None,
            "flow_direction": chance.choice(("egress", "ingress")),
            "traffic_path": chance.choice((None, "1", "2", "8")),
        }
        kept = {name: value for name, value in values.items() if name.replace("_", "-") in fields}
        asked = {kept.get("pkt_srcaddr") or src, kept.get("pkt_dstaddr") or dst}
        if "flow-direction" in fields or not asked <= of_eni.get(str(interface), set()):
            lines.append(line(tuple(fields), **kept))
    return lines
