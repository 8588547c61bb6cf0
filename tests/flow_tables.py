"""The statements of ``docs/flows-sql.md``, flow logs as tables for them, and what ``cnitrail flows`` says."""

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple

import duckdb
from click.testing import CliRunner
from conftest import ROOT
from flow_records import FORMATS, V11, line, no_traffic, write
from simulator import Record

from cnitrail.cli import main
from cnitrail.model import LeaseEntry
from cnitrail.model.flow_fields import NUMBERS

DOCS = ROOT / "docs" / "flows-sql.md"
_BLOCK = re.compile(r"<!-- (?P<name>[a-z-]+) -->\n```sql\n(?P<sql>.*?)```", re.DOTALL)
VERSIONS = {name: FORMATS[name] for name in ("v2", "v3", "v4", "v5", "v7", "v8")}
"""The fields of the versions whose records the statement takes, each with those of the versions before."""

COLUMNS = tuple(field.replace("-", "_") for field in V11)
"""The columns of a table of all versions."""

ENGINE_STORIES = (
    "false-alarms",
    "ironman",
    "prefix-delegation",
    "stolen-address",
    "subnet-exhausted",
    "two-vpcs",
)
"""The stories whose records run on engines that take seconds for each."""

RECORD = ("interface_id", "srcaddr", "dstaddr", "bytes", "start", "end", "log_status")
NAMES = ("eni", "eni_kind", "instance", "cluster", "assigned_by")
Values = Mapping[str, str | None]
Key = tuple[str, ...]


class End(NamedTuple):
    """One end of a record; several names are sorted."""

    ip: str
    verdict: str
    kind: str
    eni: str
    eni_kind: str
    instance: str
    cluster: str
    assigned_by: str


Ends = tuple[End, End]


def statement(name: str) -> str:
    """A statement of the documentation by its name, which is in a comment above it."""
    found = {match["name"]: match["sql"] for match in _BLOCK.finditer(DOCS.read_text())}
    return found[name]


_OPTIONAL = (
    *("vpc_id", "subnet_id", "instance_id", "region", "pkt_srcaddr", "pkt_dstaddr", "pkt_src_aws_service"),
    *("pkt_dst_aws_service", "flow_direction"),
)


def without(sql: str, columns: Iterable[str]) -> str:
    """The join for a table that has only some columns, changed as the documentation says."""
    for column in set(_OPTIONAL).difference(columns):
        sql = re.sub(rf"\bf\.{column}\b", "CAST(NULL AS varchar)", sql)
    return sql if "traffic_path" in columns else sql.replace("f.traffic_path", "CAST(NULL AS bigint)")


def values_of(fields: Sequence[str], text: str) -> Values:
    """A record by the names of its columns; None for ``-``."""
    values = (None if value == "-" else value for value in text.split(" "))
    return dict(zip((field.replace("-", "_") for field in fields), values, strict=True))


class Logs(NamedTuple):
    """Lines of flow logs by the name of their version."""

    lines: Mapping[str, Sequence[str]]

    def records(self) -> Iterator[Values]:
        """Yield every record by the names of its columns."""
        for name, lines in self.lines.items():
            for text in lines:
                yield values_of(FORMATS[name], text)

    def by_key(self) -> dict[Key, Values]:
        """The records by what tells them apart."""
        return {_key(values): values for values in self.records()}


def in_flows(trail: Path, logs: Logs, folder: Path, status: int = 0) -> dict[Key, Ends]:
    """What ``cnitrail flows`` says of records, by the record."""
    for name, lines in logs.lines.items():
        write(folder / "flow-logs", lines, FORMATS[name], hash_=f"{name:0>8}")
    result = CliRunner().invoke(
        main, ["flows", str(folder / "flow-logs"), "--with", str(trail), "-o", "jsonl"]
    )
    assert result.exit_code == status, result.stderr
    return by_record(json.loads(text) for text in result.stdout.splitlines())


def write_table(trail: Path, table: Path) -> None:
    """Write the table of leases, as the command does."""
    result = CliRunner().invoke(main, ["leases", str(trail), "-o", "parquet"])
    assert result.exit_code == 0, result.stderr
    table.write_bytes(result.stdout_bytes)


def in_sql(trail: Path, columns: Sequence[str], logs: Logs, folder: Path) -> dict[Key, Ends]:
    """What the statement says of records in a table of these columns, with those leases."""
    write_table(trail, folder / "leases.parquet")
    db = duckdb.connect(config={"threads": 1})  # tables are small, and tests run side by side
    db.execute(f"CREATE VIEW leases AS SELECT * FROM '{folder / 'leases.parquet'}'")
    db.execute(statement("duckdb-answers"))
    fill(db, columns, logs)
    return rows_of(db.execute(without(statement("join"), columns)))


def write_flow_logs(columns: Sequence[str], logs: Logs, table: Path) -> None:
    """Write records as a Parquet file with these columns."""
    db = duckdb.connect(config={"threads": 1})
    fill(db, columns, logs)
    db.execute(f"COPY flow_logs TO '{table}' (FORMAT parquet)")


def type_of(column: str) -> str:
    """The type of a column of flow logs."""
    return "bigint" if column.replace("_", "-") in NUMBERS else "varchar"


def fill(db: duckdb.DuckDBPyConnection, columns: Sequence[str], logs: Logs) -> None:
    """Create a table of flow logs with these columns, and put records into it."""
    typed = ", ".join(f'"{column}" {type_of(column)}' for column in columns)
    db.execute(f"CREATE TABLE flow_logs ({typed})")
    rows = [[values.get(column) for column in columns] for values in logs.records()]
    if rows:
        db.executemany(f"INSERT INTO flow_logs VALUES ({', '.join('?' * len(columns))})", rows)


def rows_of(result: duckdb.DuckDBPyConnection) -> dict[Key, Ends]:
    """The ends of each row of the join, by the record."""
    names = [description[0] for description in result.description or ()]
    return by_record(dict(zip(names, row, strict=True)) for row in result.fetchall())


def by_record(rows: Iterable[Mapping[str, object]]) -> dict[Key, Ends]:
    """The ends of rows of the join, or of records of ``flows``, by the record."""
    found: dict[Key, Ends] = {}
    for row in rows:
        key = _key(row)
        assert key not in found
        found[key] = (_end(row, "src"), _end(row, "dst"))
    return found


def _key(row: Mapping[str, object]) -> Key:
    return tuple("" if row[name] is None else str(row[name]) for name in RECORD)


def _end(row: Mapping[str, object], side: str) -> End:
    texts = ("" if (value := row[f"{side}_{name}"]) is None else str(value) for name in End._fields)
    return End(*(";".join(sorted(text.split(";"))) for text in texts))


INTERFACE_TYPES = (
    *("interface", "interface", "interface", "nat_gateway", "transit_gateway", "network_load_balancer"),
    *("vpc_endpoint", "branch", "trunk", "lambda"),
)


def with_services(records: Iterable[Record]) -> list[Record]:
    """Records of a simulated world in which some ENIs are those of services, and some instances are nodes."""
    changed = []
    for record in records:
        text = json.dumps(record)
        eni = (record["responseElements"] or {}).get("networkInterface", {}).get("networkInterfaceId")
        if eni:
            kind = INTERFACE_TYPES[int(eni[-3:], 16) % len(INTERFACE_TYPES)]
            text = text.replace('"interfaceType": "interface"', f'"interfaceType": "{kind}"')
        copy = json.loads(text)
        launched = (copy["responseElements"] or {}).get("instancesSet", {}).get("items", ())
        for instance in launched if copy["eventName"] == "RunInstances" else ():
            if int(instance["instanceId"][-2:], 16) % 3:
                instance["tagSet"] = {"items": [{"key": "eks:cluster-name", "value": "prod"}]}
        changed.append(copy)
    return changed


def logs_of(
    leases: Sequence[LeaseEntry], chance: random.Random, count: int, names: Iterable[str] = VERSIONS
) -> Logs:
    """Records of several versions: flows between addresses, mostly of leases, around their changes."""
    draws = _Draws(leases, chance)
    return Logs({name: draws.lines(VERSIONS[name], count, place) for place, name in enumerate(names)})


_PATHS = (None, None, "1", "1", "2", "3", "4", "5", "6", "7", "8")
_OTHERS = (
    *("203.0.113.9", "10.99.99.9", "100.64.1.1", "172.31.0.9", "172.32.0.9", "224.0.0.251", "52.218.0.1"),
    *("2001:db8:ffff::1", "fd00::1", "64:ff9b::a00:1", "ff02::1"),
)


class _Draws:
    """Draws records between the addresses of some leases."""

    def __init__(self, leases: Sequence[LeaseEntry], chance: random.Random) -> None:
        self._chance = chance
        self._leases = leases
        self._of_eni: dict[str, list[str]] = {}
        for lease in leases:
            self._of_eni.setdefault(lease.eni, []).extend(_some(lease, chance))
        self._ips = [*(ip for ips in self._of_eni.values() for ip in ips), *_OTHERS]
        self._times = [int(time.timestamp()) for lease in leases for time in (lease.start, lease.end) if time]
        self._instances = [one.instance for lease in leases for one in lease.attachments]

    def lines(self, fields: tuple[str, ...], count: int, place: int) -> list[str]:
        """Some records, told apart by their bytes, or by their start if they have none."""
        if not self._times:
            return []
        eni, start = self._leases[0].eni, self._times[0]
        empty = [
            no_traffic(fields, status, interface_id=eni, start=start - place, end=start + 59)
            for status in ("NODATA", "SKIPDATA")
        ]
        return [
            *empty,
            *(self._line(fields, number) for number in range(1000 * (place + 1), 1000 * (place + 1) + count)),
        ]

    def _line(self, fields: tuple[str, ...], number: int) -> str:
        chance = self._chance
        lease = chance.choice(self._leases)
        mine = self._of_eni[lease.eni]
        src = chance.choice(mine if chance.random() < 0.7 else self._ips)
        family = [ip for ip in self._ips if (":" in ip) == (":" in src)]
        near = [ip for ip in mine if ip in family]
        dst = chance.choice(near if near and chance.random() < 0.1 else family)
        if chance.random() < 0.5:
            src, dst = dst, src
        start = chance.choice(self._times) + chance.randrange(-130, 130)
        end = start + chance.choice((0, 1, 5, 55, 599))
        unit = 1000 if chance.random() < 0.1 else 1
        strangers = (*self._of_eni, "eni-0unknown", None)
        attached = [one.instance for one in lease.attachments]
        values: dict[str, object] = {
            "interface_id": lease.eni if chance.random() < 0.8 else chance.choice(strangers),
            "account_id": chance.choice((*[lease.account] * 9, "999999999999", "unknown")),
            "srcaddr": src if chance.random() < 0.9 else chance.choice(near or family),
            "dstaddr": dst if chance.random() < 0.9 else chance.choice(near or family),
            "bytes": number,
            "start": start * unit,
            "end": end * unit,
            "action": chance.choice(("ACCEPT", "ACCEPT", "REJECT")),
            "vpc_id": chance.choice((lease.vpc, lease.vpc, lease.vpc, None, "vpc-0other")),
            "subnet_id": chance.choice((lease.subnet, lease.subnet, lease.subnet, None, "subnet-0other")),
            "instance_id": chance.choice((None, None, *self._instances[:1], *attached, *attached)),
            "pkt_srcaddr": src if chance.random() < 0.8 else chance.choice((None, *family)),
            "pkt_dstaddr": dst if chance.random() < 0.8 else chance.choice((None, *family)),
            "region": chance.choice((*[lease.region] * 9, None, "xx-east-1")),
            "pkt_src_aws_service": chance.choice((None, None, "S3", "EC2")),
            "pkt_dst_aws_service": chance.choice((None, None, "S3", "AMAZON")),
            "flow_direction": chance.choice(("egress", "egress", "ingress", "ingress", None)),
            "traffic_path": chance.choice(_PATHS),
            "reject_reason": chance.choice((None, "BPA")),
        }
        return line(
            fields, **{name: value for name, value in values.items() if name.replace("_", "-") in fields}
        )


def _some(lease: LeaseEntry, chance: random.Random) -> list[str]:
    """Some addresses of a lease."""
    network = ip_network(lease.ip)
    size = min(network.num_addresses, 1 << 16)
    return [str(network[chance.randrange(size)]) for _ in range(min(4, size))]
