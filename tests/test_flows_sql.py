"""The SQL of ``docs/flows-sql.md`` says what ``cnitrail flows`` says of the same records."""

import random
import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import flow_records
import pytest
from conftest import FIXTURES
from flow_differences import DIFFERENCES, differences
from flow_records import FORMATS, TGW, V5, V10, no_traffic
from flow_tables import (
    COLUMNS,
    DOCS,
    VERSIONS,
    End,
    Ends,
    Logs,
    fill,
    in_flows,
    in_sql,
    logs_of,
    rows_of,
    statement,
    with_services,
    write_table,
)
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace
from simulator import deliver, deliveries, random_world, worlds, write
from trino_sql_validator import validate

import cnitrail
from cnitrail.answers.flows.ends import _FORWARDING
from cnitrail.answers.flows.kinds import _EVERYBODY, _FOR_PODS, address_of
from cnitrail.answers.flows.record import BEYOND_AWS, PEERED
from cnitrail.model.lease_answers import LeaseAnswer
from cnitrail.model.pods import ENIS_OF_ONE_POD

STORIES = sorted(path.parent.name for path in FIXTURES.glob("*/AWSLogs"))


class TestGeneratedRecords:
    """Every difference is one that the documentation names, and SQL is never surer."""

    @pytest.mark.parametrize("story", STORIES)
    def test_records_of_all_versions_in_one_table_have_the_ends_of_flows(
        self, story: str, tmp_path: Path
    ) -> None:
        leases = cnitrail.read(FIXTURES / story).leases()
        logs = logs_of(leases, random.Random(story), 40)
        flows = in_flows(FIXTURES / story, logs, tmp_path)
        sql = in_sql(FIXTURES / story, COLUMNS, logs, tmp_path)
        named, others = differences(logs.by_key(), flows, sql, leases)
        assert others == []
        assert named.total() < 0.05 * 2 * len(flows) or story == "prefix-delegation"

    @pytest.mark.parametrize("name", VERSIONS)
    @pytest.mark.parametrize("story", ["false-alarms", "prefix-delegation", "subnet-exhausted", "two-vpcs"])
    def test_a_table_with_only_the_columns_of_a_version_has_the_ends_of_flows(
        self, story: str, name: str, tmp_path: Path
    ) -> None:
        leases = cnitrail.read(FIXTURES / story).leases()
        logs = logs_of(leases, random.Random(f"{story} {name}"), 80, [name])
        columns = [field.replace("-", "_") for field in VERSIONS[name]]
        flows = in_flows(FIXTURES / story, logs, tmp_path)
        sql = in_sql(FIXTURES / story, columns, logs, tmp_path)
        assert differences(logs.by_key(), flows, sql, leases)[1] == []

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def test_simulated_worlds_with_enis_of_services_have_the_ends_of_flows(self, data: st.DataObject) -> None:
        delivery = data.draw(deliveries(data.draw(worlds())))
        assume(delivery.files)
        with TemporaryDirectory() as name:
            folder = Path(name)
            write([(file, with_services(records)) for file, records in delivery.files], folder / "trail")
            leases = cnitrail.read(folder / "trail").leases()
            logs = logs_of(leases, random.Random(data.draw(st.integers(0, 999))), 20)
            flows = in_flows(folder / "trail", logs, folder)
            sql = in_sql(folder / "trail", COLUMNS, logs, folder)
        assert differences(logs.by_key(), flows, sql, leases)[1] == []

    @pytest.mark.parametrize("seed", [6, 24])
    def test_larger_networks_have_the_ends_of_flows(self, seed: int, tmp_path: Path) -> None:
        files = deliver(random_world(seed, 40)).files
        write([(name, with_services(records)) for name, records in files], tmp_path / "trail")
        leases = cnitrail.read(tmp_path / "trail").leases()
        logs = logs_of(leases, random.Random(1), 150)
        flows = in_flows(tmp_path / "trail", logs, tmp_path)
        sql = in_sql(tmp_path / "trail", COLUMNS, logs, tmp_path)
        assert differences(logs.by_key(), flows, sql, leases)[1] == []

    def test_the_records_have_all_that_the_statement_distinguishes(self, tmp_path: Path) -> None:
        trails = [FIXTURES / "subnet-exhausted"]
        for seed in (8, 10):
            files = [
                (name, with_services(records)) for name, records in deliver(random_world(seed, 40)).files
            ]
            write(files, tmp_path / str(seed))
            trails.append(tmp_path / str(seed))
        leases = [lease for trail in trails for lease in cnitrail.read(trail).leases()]
        records = list(logs_of(leases, random.Random(1), 400).records())
        kinds = {lease.eni: lease.eni_kind for lease in leases}
        assert {one.get("traffic_path") for one in records} == {None, *"12345678"}
        assert {one["action"] for one in records} == {None, "ACCEPT", "REJECT"}
        assert {one["log_status"] for one in records} == {"OK", "NODATA", "SKIPDATA"}
        assert {one["version"] for one in records} == {"2", "3", "4", "5", "7", "8"}
        with_instance = {kinds.get(one["interface_id"] or "") for one in records if one.get("instance_id")}
        assert {"nat-gateway", "transit-gateway", "elb", "vpc-endpoint", "other"} <= with_instance


def both(story: str, version: str, folder: Path, **values: object) -> tuple[Ends, Ends]:
    """What flows and SQL say of both ends of one record of a story."""
    logs = Logs({version: [flow_records.line(FORMATS[version], **values)]})
    (flows,) = in_flows(FIXTURES / story, logs, folder).values()
    (sql,) = in_sql(FIXTURES / story, COLUMNS, logs, folder).values()
    return flows, sql


def said(end: End) -> str:
    """An end in a line: verdict, kind, ENIs."""
    return " ".join(filter(None, (end.verdict, end.kind, end.eni)))


class TestDifferences:
    """What SQL says less, as the documentation says it: for each row an example."""

    def test_the_documentation_names_each_difference(self) -> None:
        rows = re.findall(
            r"^\| (.+?) \|", DOCS.read_text().partition("## What SQL leaves out")[2], re.MULTILINE
        )
        assert set(DIFFERENCES) <= set(rows)

    def test_a_peered_destination(self, tmp_path: Path) -> None:
        flows, sql = both(
            "logs-begin-in-the-middle",
            "v5",
            tmp_path,
            interface_id="eni-0fa1c6e2b8d4f7930",
            account_id="222222222222",
            srcaddr="10.128.2.11",
            dstaddr="10.128.3.40",
            pkt_dstaddr="10.128.3.40",
            start=1755774655,
            end=1755775254,
            flow_direction="egress",
            traffic_path=4,
        )
        assert said(flows[1]) == "likely node-or-pod eni-0fc2fbd7fdc9ec580"
        assert said(sql[1]) == "unknown outside-vpc"

    IN_PREFIX = "2001:db8:1234:1a10:5b1c::9b78"

    def of_prefix(self, folder: Path, **values: object) -> tuple[Ends, Ends]:
        """A record of an ENI that has an IPv6 prefix."""
        usual: dict[str, object] = {
            "interface_id": "eni-0f4d7aaf3b5e8b690",
            "account_id": "222222222222",
            "srcaddr": self.IN_PREFIX,
            "dstaddr": "2001:db8:ffff::1",
            "start": 1773216257,
            "flow_direction": "egress",
        }
        return both("prefix-delegation", "v5", folder, **(usual | values))

    def test_an_address_of_an_ipv6_prefix_and_a_public_one_beside_it(self, tmp_path: Path) -> None:
        flows, sql = self.of_prefix(tmp_path)
        assert [said(end) for end in flows] == ["likely pod eni-0f4d7aaf3b5e8b690", "unknown public"]
        assert [said(end) for end in sql] == ["unknown unknown", "unknown unknown"]

    def test_a_public_ipv4_address_stays_public(self, tmp_path: Path) -> None:
        flows, sql = self.of_prefix(tmp_path, dstaddr="203.0.113.9", pkt_dst_aws_service="S3")
        assert (said(flows[1]), said(sql[1])) == ("unknown aws-service", "unknown aws-service")

    def test_a_node_that_talks_with_an_address_of_an_ipv6_prefix(self, tmp_path: Path) -> None:
        shown = {"pkt_srcaddr": "10.112.17.5", "pkt_dstaddr": self.IN_PREFIX}
        flows, sql = self.of_prefix(tmp_path, interface_id="eni-0f93cff581a4dabe0", **shown)
        assert said(flows[0]) == "likely node eni-0f93cff581a4dabe0"
        assert said(sql[0]) == "likely node-or-pod eni-0f93cff581a4dabe0"

    def test_ipv6_without_a_direction_at_an_eni_with_an_ipv6_prefix(self, tmp_path: Path) -> None:
        shown = {"pkt_srcaddr": "2001:db8:ffff::1", "pkt_dstaddr": self.IN_PREFIX}
        flows, sql = self.of_prefix(tmp_path, flow_direction=None, **shown)
        assert said(flows[1]) == "likely pod eni-0f4d7aaf3b5e8b690"
        assert said(sql[1]) == "unknown unknown"

    def test_an_instance_id_at_an_interface_with_neither_address(self, tmp_path: Path) -> None:
        flows, sql = both(
            "false-alarms",
            "v3",
            tmp_path,
            interface_id="eni-0ad8fa1637b9ec08a",
            account_id="444455556666",
            srcaddr="10.66.2.86",
            dstaddr="10.99.99.9",
            pkt_dstaddr="10.66.4.10",
            instance_id="i-0fd8fa1637b9ec08a",
            start=1791964963,
            vpc_id="vpc-0f2d4f6b8c0e31579",
        )
        assert said(flows[1]) == "certain node-or-pod eni-0da5c7e30486b9d57"
        assert said(sql[1]) == "likely node-or-pod eni-0da5c7e30486b9d57"

    def test_an_interface_without_leases(self, tmp_path: Path) -> None:
        flows, sql = both(
            "ironman",
            "v3",
            tmp_path,
            interface_id="eni-0unknown",
            srcaddr="192.168.38.190",
            pkt_srcaddr="192.168.47.240",
            dstaddr="224.0.0.251",
            start=1664983183,
            vpc_id="vpc-0a2e8f6ad5c3b9714",
            subnet_id="subnet-0a1d7e59c4b2f8603",
        )
        assert said(flows[0]) == "certain pod eni-0bbea279695112970"
        assert said(sql[0]) == "likely pod eni-0bbea279695112970"

    def test_an_instance_that_forwards_packets(self, tmp_path: Path) -> None:
        flows, sql = both(
            "eni-outlives-instance",
            "v3",
            tmp_path,
            interface_id="eni-05d2f5e9a3b1c4860",
            srcaddr="172.20.17.58",
            pkt_srcaddr="172.20.17.33",
            dstaddr="224.0.0.251",
            start=1759846232,
            vpc_id="vpc-06b1e7c4d9a2f8350",
        )
        assert said(flows[0]) == "certain instance eni-05b1e4d8f2a9c3750"
        assert said(sql[0]) == "likely instance eni-05b1e4d8f2a9c3750"

    def test_the_own_address_of_an_eni_of_unknown_kind(self, tmp_path: Path) -> None:
        flows, sql = both(
            "false-alarms",
            "v3",
            tmp_path,
            interface_id="eni-0c94b6d2f375a8c46",
            account_id="444455556666",
            srcaddr="10.66.3.11",
            pkt_srcaddr="10.66.3.11",
            dstaddr="224.0.0.251",
            start=1791970377,
        )
        assert said(flows[0]) == "likely node eni-0c94b6d2f375a8c46"
        assert said(sql[0]) == "likely node-or-pod eni-0c94b6d2f375a8c46"

    def test_a_regional_nat_gateway(self, tmp_path: Path) -> None:
        logs = Logs({"v10": [flow_records.line(V10, **self.OF_GATEWAY)]})
        ((src, _),) = in_flows(FIXTURES / "ironman", logs, tmp_path).values()
        assert said(src) == "unknown nat-gateway"
        ((src, _),) = in_sql(FIXTURES / "ironman", COLUMNS, logs, tmp_path).values()
        assert said(src) == "unknown unknown"

    OF_GATEWAY: Mapping[str, object] = {
        "resource_id": "nat-0a",
        "srcaddr": "10.0.0.9",
        "dstaddr": "203.0.113.9",
        "flow_direction": "egress",
    }

    def test_records_of_transit_gateways_have_other_columns(self, tmp_path: Path) -> None:
        columns = [field.replace("-", "_") for field in TGW]
        with pytest.raises(duckdb.BinderException, match="interface_id"):
            in_sql(FIXTURES / "ironman", columns, Logs({}), tmp_path)

    def test_a_record_that_ends_before_it_starts(self, tmp_path: Path) -> None:
        times = ((1664978403, 1664978403), (1664978458, 1664978403))
        logs = Logs(
            {"v2": [flow_records.line(start=start, end=end, srcaddr="8.8.8.8") for start, end in times]}
        )
        flows = in_flows(FIXTURES / "ironman", logs, tmp_path, status=3)
        sql = in_sql(FIXTURES / "ironman", COLUMNS, logs, tmp_path)
        assert [said(src) for src, _ in flows.values()] == ["unknown public"]
        assert [said(src) for src, _ in sql.values()] == ["unknown public", ""]


class TestSameAsFlows:
    def test_with_both_addresses_at_the_interface_and_no_direction_neither_end_is_settled(
        self, tmp_path: Path
    ) -> None:
        flows, sql = both(
            "reused-in-3-seconds",
            "v3",
            tmp_path,
            interface_id="eni-08a3e7c1f5d9b4860",
            srcaddr="10.80.4.99",
            dstaddr="10.80.4.17",
            start=1757412766,
        )
        assert flows == sql
        assert said(sql[0]) == "certain pod eni-08a3e7c1f5d9b4860"
        assert said(sql[1]) == "ambiguous pod eni-08a3e7c1f5d9b4860;eni-08b4f8d2a6e1c5970"

    def test_a_free_address_in_no_known_vpc_does_not_show_that_a_node_talks_within_its_vpc(
        self, tmp_path: Path
    ) -> None:
        record = {
            "srcaddr": "192.168.49.56",
            "pkt_srcaddr": "192.168.52.54",
            "dstaddr": "192.168.55.245",
            "pkt_dstaddr": "192.168.55.245",
            "start": 1664983361,
            "end": 1664983366,
        }
        flows, sql = both("ironman", "v3", tmp_path, **record)
        assert (said(sql[1]), flows) == ("likely node-or-pod eni-06d2f4a81c9b3e750", sql)

    def test_a_wrong_region_contradicts(self, tmp_path: Path) -> None:
        record = {
            "interface_id": "eni-0bbea279695112970",
            "srcaddr": "192.168.53.76",
            "pkt_srcaddr": "192.168.53.76",
            "dstaddr": "203.0.113.9",
            "start": 1664978403,
            "flow_direction": "egress",
        }
        flows, sql = both("ironman", "v5", tmp_path / "right", **record, region="eu-west-1")
        assert (said(flows[0]), flows) == ("certain pod eni-0bbea279695112970", sql)
        flows, sql = both("ironman", "v5", tmp_path / "wrong", **record, region="us-east-1")
        assert (said(flows[0]), flows) == ("likely pod eni-0bbea279695112970", sql)

    ELB: Mapping[str, object] = {
        "interface_id": "eni-0d01a2b3c4d5e6f71",
        "account_id": "111122223333",
        "start": 1791898000,
    }
    """A record of the ENI of a load balancer, whose address is 10.40.8.36."""

    UNKNOWN: Mapping[str, object] = {
        **ELB,
        "interface_id": "eni-0unknown",
        "vpc_id": "vpc-0c5e9f2a6b3c80470",
        "flow_direction": "egress",
    }

    @pytest.mark.parametrize(
        ("src", "dst", "record", "verdict"),
        [
            pytest.param(
                ("10.40.8.36", "10.99.9.9"),
                ("10.40.8.46", "10.40.8.46"),
                {**ELB, "flow_direction": "egress"},
                "certain",
                id="the address that the interface shows in place of the source",
            ),
            pytest.param(
                ("10.40.8.37", "10.99.9.9"),
                ("10.40.8.46", "10.40.8.46"),
                {**ELB, "flow_direction": "egress"},
                "likely",
                id="an address of another interface",
            ),
            pytest.param(
                ("10.40.8.46", "10.40.8.46"),
                ("10.40.8.36", "10.99.9.9"),
                {**ELB, "flow_direction": "ingress"},
                "certain",
                id="the address that the interface shows in place of the destination",
            ),
            pytest.param(
                ("10.40.8.46", "10.40.8.46"),
                ("10.40.8.36", "10.40.8.36"),
                {**ELB, "traffic_path": 8},
                "certain",
                id="a destination outside the VPC with the address of the interface",
            ),
            pytest.param(
                ("10.99.9.9", "10.40.8.46"),
                ("10.40.8.36", "10.40.8.36"),
                {**ELB, "traffic_path": 8},
                "likely",
                id="the same, if the source is the end at the interface",
            ),
            pytest.param(
                ("10.99.9.9", "10.99.9.9"),
                ("10.40.8.46", "10.40.8.46"),
                {**UNKNOWN, "subnet_id": "subnet-0c4d8e1f5a2b79360"},
                "certain",
                id="a subnet of the VPC of an unknown interface",
            ),
            pytest.param(
                ("10.99.9.9", "10.99.9.9"),
                ("10.40.8.46", "10.40.8.46"),
                UNKNOWN,
                "likely",
                id="a VPC of an unknown interface alone",
            ),
        ],
    )
    def test_what_confirms_the_vpc_of_a_pod(
        self,
        src: tuple[str, str],
        dst: tuple[str, str],
        record: Mapping[str, object],
        verdict: str,
        tmp_path: Path,
    ) -> None:
        ips = {"srcaddr": src[0], "pkt_srcaddr": src[1], "dstaddr": dst[0], "pkt_dstaddr": dst[1]}
        flows, sql = both("subnet-exhausted", "v5", tmp_path, **record, **ips)
        assert flows == sql
        assert f"{verdict} pod eni-0f54bac6edf70b8c5" in [said(end) for end in sql]

    @pytest.mark.parametrize("status", ["NODATA", "SKIPDATA"])
    def test_a_record_without_traffic_has_no_ends(self, status: str, tmp_path: Path) -> None:
        logs = Logs({"v5": [no_traffic(V5, status, interface_id="eni-0bbea279695112970")]})
        flows = in_flows(FIXTURES / "ironman", logs, tmp_path)
        assert list(flows.values()) == [(End(*[""] * 8), End(*[""] * 8))]
        assert in_sql(FIXTURES / "ironman", COLUMNS, logs, tmp_path) == flows


class TestTablesWrittenByHand:
    """What ``leases`` never or seldom writes, and must not mislead all the same."""

    TO_FIRST: Mapping[str, object] = {
        "interface_id": "eni-2",
        "srcaddr": "10.0.0.6",
        "dstaddr": "10.0.0.5",
        "vpc_id": "vpc-1",
    }

    def test_an_address_that_is_free_for_a_part_of_the_time_is_ambiguous(self) -> None:
        first = [answer("10.0.0.5", 1000, 1049, "certain", "eni-1"), answer("10.0.0.5", 1050, 2000, "free")]
        second = [answer("10.0.0.6", 1000, 2000, "certain", "eni-2")]
        leases = [("eni-1", "primary", "vpc-1", first), ("eni-2", "primary", "vpc-1", second)]
        _, dst = of_table(leases, self.TO_FIRST)
        assert said(dst) == "ambiguous node eni-1"

    def test_seconds_that_no_answer_covers_are_unknown(self) -> None:
        first = [answer("10.0.0.5", 1000, 1159, "certain", "eni-1")]
        second = [answer("10.0.0.6", 1000, 2000, "certain", "eni-2")]
        leases = [("eni-1", "primary", "vpc-1", first), ("eni-2", "primary", "vpc-1", second)]
        _, dst = of_table(leases, self.TO_FIRST)
        assert said(dst) == "unknown node eni-1"

    def test_at_an_eni_with_an_ipv6_prefix_what_is_shown_does_not_tell_the_end_at_the_interface(self) -> None:
        """The source is its own address, and looks like the other end: the destination is not shown."""
        record = {
            "interface_id": "eni-1",
            "srcaddr": "2001:db8::5",
            "pkt_srcaddr": "2001:db8::5",
            "dstaddr": "2001:db8:9::1",
            "pkt_dstaddr": "2001:db8:9::2",
            "vpc_id": "vpc-1",
            "instance_id": "i-2",
        }
        own = [answer("2001:db8::5", 1000, 2000, "certain", "eni-1")]
        leases = [("eni-1", "ipv6-prefix", "vpc-1", []), ("eni-1", "ipv6", "vpc-1", own)]
        src, _ = of_table(leases, record)
        assert said(src) == "likely node eni-1"

    def test_an_address_of_an_interface_without_a_vpc_confirms_no_vpc_of_the_record(self) -> None:
        first = [answer("10.0.0.5", 1000, 2000, "certain", "eni-1")]
        second = [answer("10.0.0.6", 1000, 2000, "certain", "eni-2")]
        leases = [("eni-1", "primary", None, first), ("eni-2", "primary", "vpc-1", second)]
        _, dst = of_table(leases, {"interface_id": "eni-1", **self.TO_SECOND})
        assert said(dst) == "likely node-or-pod eni-2"

    TO_SECOND: Mapping[str, object] = {"srcaddr": "10.0.0.5", "dstaddr": "10.0.0.6", "vpc_id": "vpc-1"}

    def test_a_node_in_one_of_two_vpcs_may_send_for_pods(self) -> None:
        """The other end is in the VPC of the one, so the other one's address may be that of a pod."""
        first = [answer("10.0.0.5", 1000, 2000, "ambiguous", "eni-1")]
        second = [
            answer("10.0.0.5", 1000, 2000, "ambiguous", "eni-2", place=2),
            answer("10.0.0.6", 1000, 2000, "certain", "eni-2"),
        ]
        record = {"srcaddr": "10.0.0.5", "pkt_srcaddr": "10.0.0.5", "dstaddr": "10.0.0.6"}
        for vpcs in (("vpc-1", "vpc-2"), ("vpc-2", "vpc-1")):
            leases = [("eni-1", "primary", vpcs[0], first), ("eni-2", "primary", vpcs[1], second)]
            src, _ = of_table(leases, record, vpc=None)
            assert said(src) == "ambiguous node-or-pod eni-1;eni-2"


def answer(
    ip: str, first: int, last: int, verdict: str, eni: str | None = None, place: int = 1
) -> LeaseAnswer:
    """An answer about an address that a node has, or nobody."""
    found = LeaseAnswer(
        ip=ip, vpc=None, first=first, last=last, verdict=verdict, certain_in_any_vpc=True, place=place, enis=1
    )
    return (
        replace(found, kind="node", eni=eni, eni_kind="node-primary", instance=f"i-{eni}") if eni else found
    )


def of_table(
    leases: Sequence[tuple[str, str, str | None, Sequence[LeaseAnswer]]],
    record: Mapping[str, object],
    vpc: str | None = "vpc-1",
) -> Ends:
    """Both ends of a record of the seconds 1040 to 1160, for leases of nodes and answers about a VPC.

    A lease is an ENI, what it holds, and its VPC.
    """
    db = duckdb.connect(config={"threads": 1})
    db.execute(
        "CREATE TABLE leases (eni text, kind text, vpc text, account text, region text, subnet text, "
        'eni_kind text, answers STRUCT(ip text, vpc text, "first" bigint, "last" bigint, verdict text, '
        "certain_in_any_vpc boolean, place bigint, enis bigint, kind text, eni text, eni_kind text, "
        "instance text, cluster text, assigned_by text)[])"
    )
    for eni, kind, own, answers in leases:
        rows = [asdict(replace(one, vpc=vpc)) for one in answers]
        db.execute(
            "INSERT INTO leases VALUES (?, ?, ?, NULL, NULL, NULL, 'node-primary', ?)", [eni, kind, own, rows]
        )
    db.execute(statement("duckdb-answers"))
    fill(db, COLUMNS, Logs({"v5": [flow_records.line(V5, start=1100, end=1160, **record)]}))
    (ends,) = rows_of(db.execute(statement("join"))).values()
    return ends


def listed(before: str, after: str) -> set[str]:
    """The texts that the statement compares with, in the one list between two of its texts."""
    (found,) = set(re.findall(rf"{re.escape(before)}\s*\(([^()]*)\){re.escape(after)}", statement("join")))
    return {text.strip().strip("'") for text in found.split(",")}


class TestListsInTheStatement:
    """What the statement lists is what the program lists."""

    def test_the_kinds_of_enis_that_forward_packets(self) -> None:
        assert listed("i.eni_kind IN", ", FALSE) AS may_forward") == set(_FORWARDING)

    def test_the_kinds_of_enis_that_belong_to_one_pod(self) -> None:
        assert listed("src_eni_kind NOT IN", " AND packet_src") == set(ENIS_OF_ONE_POD)
        assert listed("dst_eni_kind NOT IN", " AND packet_dst") == set(ENIS_OF_ONE_POD)

    def test_the_kinds_of_enis_that_a_network_plugin_adds(self) -> None:
        assert listed("a.eni_kind NOT IN", " AND NOT (a.ip LIKE") == set(_FOR_PODS)

    def test_the_services_whose_ranges_everybody_uses(self) -> None:
        assert listed("COALESCE(f.pkt_src_aws_service, '-') NOT IN", "") == {"-", *_EVERYBODY}
        assert listed("COALESCE(f.pkt_dst_aws_service, '-') NOT IN", "") == {"-", *_EVERYBODY}

    def test_the_traffic_paths_that_leave_the_vpc(self) -> None:
        assert "TRY_CAST(f.traffic_path AS bigint) BETWEEN 2 AND 8" in statement("join")
        assert {*"2345678"} == PEERED | BEYOND_AWS

    @given(st.ip_addresses())
    @example(ip_address("172.16.0.1"))
    @example(ip_address("172.32.0.1"))
    @example(ip_address("100.127.255.255"))
    @example(ip_address("100.128.0.0"))
    @example(ip_address("224.0.0.251"))
    @example(ip_address("255.255.255.255"))
    @example(ip_address("fe80::1"))
    @example(ip_address("fec0::1"))
    @example(ip_address("64:ff9b::a00:1"))
    @example(ip_address("100::1"))
    def test_the_addresses_that_the_internet_does_not_route(self, ip: IPv4Address | IPv6Address) -> None:
        assume(getattr(ip, "ipv4_mapped", None) is None)  # no flow log has ::ffff:10.0.0.1 for 10.0.0.1
        src, dst = map(private_pattern, ("src", "dst"))
        assert src == dst
        assert (re.search(src, str(ip)) is None) is address_of(str(ip))[1]


def private_pattern(side: str) -> str:
    """The expression for the addresses of an end that the Internet does not route."""
    text = statement("join").partition(f"regexp_like(r.{side}_ip,")[2].partition("AS is_")[0]
    return "".join(re.findall(r"'([^']*)'", text))


@pytest.mark.parametrize("name", ["trino-leases", "trino-answers", "join"])
def test_trinos_parser_accepts_the_statements(name: str) -> None:
    result = validate(statement(name).rstrip().rstrip(";"))
    assert result.valid, result.error


def test_duckdb_reads_the_files_of_s3_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = logs_of(cnitrail.read(FIXTURES / "node-life").leases(), random.Random(1), 40, ["v5"])
    shown = in_flows(FIXTURES / "node-life", logs, tmp_path)
    write_table(FIXTURES / "node-life", tmp_path / "leases.parquet")
    monkeypatch.chdir(tmp_path / "flow-logs")
    (tmp_path / "leases.parquet").rename("leases.parquet")
    db = duckdb.connect(config={"threads": 1})
    for name in ("duckdb-tables", "duckdb-answers"):
        db.execute(statement(name))
    leases = cnitrail.read(FIXTURES / "node-life").leases()
    assert differences(logs.by_key(), shown, rows_of(db.execute(statement("join"))), leases)[1] == []
