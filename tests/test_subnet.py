"""The subnet census: who holds a subnet's IPs, from the evidence alone and beside EC2."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Any

import pytest
from callers import Caller, aws_service, iam_user
from calls import (
    Call,
    Eni,
    Record,
    Subnet,
    assign,
    assign_ipv6_prefix,
    assign_named,
    assign_prefix,
    attach,
    create_network_interface,
    detach,
    terminate,
    unassign,
)
from cni import adds_eni, of_cni
from conftest import Run
from ec2_loopback import Ec2, ec2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incidents import (
    ACCOUNT,
    ADA,
    CLI,
    NODE,
    OTHER_NODE,
    SUBNET,
    Incident,
    cni,
    create_subnet,
    node,
    read,
    second,
)
from simulator import World, deliver, worlds
from trail import Trail

import cnitrail
from cnitrail.answers.filters import Filter
from cnitrail.answers.state import state
from cnitrail.answers.subnet import SubnetIndex, summary
from cnitrail.api import Case
from cnitrail.errors import UsageError
from cnitrail.model.subnet import AddressUse, SubnetCensus

OTHER = replace(SUBNET, id="subnet-0bbbbbbbbbbbbbbb1")
DAY = datetime(2026, 3, 2, tzinfo=UTC)


def at(clock: str) -> datetime:
    """Return a time on the day of the stories."""
    return DAY + timedelta(
        **dict(zip(("hours", "minutes", "seconds"), map(int, clock.split(":")), strict=True))
    )


def of_service(service: str, description: str, number: int) -> tuple[Caller, Call]:
    """Return a service, and the creation of one of its ENIs."""
    eni = Eni(f"eni-0c{number:015x}", SUBNET, f"10.9.0.{200 + number}", description=description)
    return aws_service(service), create_network_interface(eni)


class Story(Incident):
    """A trail that is written to a file, and read as a case."""

    def written(self, folder: Path, name: str = "trail.json") -> str:
        """Write the records to a file; return its path."""
        path = folder / name
        path.write_text(json.dumps({"Records": self._records}))
        return str(path)

    def case(self, folder: Path) -> Case:
        return cnitrail.read(self.written(folder))

    def census(self, folder: Path, clock: str, subnet: Subnet = SUBNET) -> SubnetCensus:
        (census,) = self.case(folder).subnet(subnet.id, at(clock))
        return census


def two_nodes() -> Story:
    """Two nodes in a subnet of 251 addresses; the first has a second ENI with 2 IPs and a prefix."""
    story = Story()
    story.log("09:00:00", ADA, create_subnet())
    node(story, "10:00:00")
    first = node(story, "10:00:00", OTHER_NODE)
    eni = of_cni(replace(second(), secondaries=("10.9.1.50", "10.9.1.51")), NODE, story.time("10:01:00"))
    adds_eni(story, ("10:01:00", "10:01:01", "10:01:02"), cni(story), eni, NODE)
    story.log("10:02:00", cni(story), assign_prefix(eni.id, "10.9.0.64/28", "item"))
    story.log("10:02:00", cni(story, OTHER_NODE), assign(first.id, "10.9.0.99"))
    return story


def groups(census: SubnetCensus) -> dict[tuple[str, str | None], int]:
    """Return the number of addresses by use and cluster."""
    return {(group.use.value, group.cluster): group.addresses for group in census.groups}


def jsonl(run: Run, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
    result = run("subnet", *arguments, "-o", "jsonl")
    assert result.exit_code == status, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


class TestCensus:
    def test_nodes_and_pods_are_counted_apart(self, tmp_path: Path) -> None:
        census = two_nodes().census(tmp_path, "11:00:00")
        assert groups(census) == {("pod", "quay"): 2 + 16 + 1, ("node", "quay"): 3}
        assert [(node.instance, node.enis, node.addresses) for node in census.nodes] == [
            (NODE, 2, 1 + 1 + 2 + 16),
            (OTHER_NODE, 1, 2),
        ]

    def test_the_size_leaves_out_what_aws_reserves(self, tmp_path: Path) -> None:
        census = two_nodes().census(tmp_path, "11:00:00")
        assert census.cidr == IPv4Network("10.9.0.0/24")
        assert (census.size, census.seen, census.unaccounted) == (251, 22, 229)

    def test_the_size_is_unknown_without_the_creation_of_the_subnet(self, tmp_path: Path) -> None:
        story = Story()
        node(story, "10:00:00")
        census = story.census(tmp_path, "11:00:00")
        assert (census.cidr, census.size, census.unaccounted, census.seen) == (None, None, None, 1)

    def test_a_failed_creation_says_nothing_about_a_subnet(self, tmp_path: Path) -> None:
        story = Story()
        conflict = ("Client.InvalidSubnet.Conflict", "The CIDR '10.9.0.0/24' conflicts with another subnet")
        story.log("09:00:00", ADA, replace(create_subnet(), response=None, error=conflict))
        node(story, "10:00:00")
        assert story.census(tmp_path, "11:00:00").size is None
        assert story.findings("09:00:00", "12:00:00") == []

    def test_it_is_of_the_time_asked_for(self, tmp_path: Path) -> None:
        story = two_nodes()
        story.log("10:30:00", cni(story), unassign(second().id, "10.9.1.50"))
        times = ("09:30:00", "10:00:30", "10:29:59", "10:30:00")
        assert [story.census(tmp_path, time).seen for time in times] == [0, 2, 22, 21]

    def test_ipv6_does_not_count(self, tmp_path: Path) -> None:
        story = Story()
        first = node(story, "10:00:00")
        story.log("10:01:00", cni(story), assign_ipv6_prefix(first.id, "2001:db8:0:1:a::/80"))
        assert story.census(tmp_path, "11:00:00").seen == 1

    def test_a_subnet_with_ipv6_only_has_no_ipv4_addresses(self, run: Run, tmp_path: Path) -> None:
        story = Story()
        made = {"subnetId": SUBNET.id, "vpcId": SUBNET.vpc, "ipv6Native": True}
        request = {"vpcId": SUBNET.vpc, "ipv6CidrBlock": "2001:db8:0:1::/64", "ipv6Native": True}
        story.log("09:00:00", ADA, Call("CreateSubnet", request, {"subnet": made}))
        census = story.census(tmp_path, "09:00:00")
        assert (census.cidr, census.size, census.seen, census.unaccounted) == (None, 0, 0, 0)
        text = run("subnet", SUBNET.id, story.written(tmp_path), "-q").stdout
        assert "It was created without IPv4 addresses; IPv6 addresses are not counted." in text
        assert "--live" not in text

    def test_another_subnet_does_not_count(self, tmp_path: Path) -> None:
        story = two_nodes()
        story.log("10:05:00", ADA, create_network_interface(Eni("eni-0d1", OTHER, "10.9.8.4")))
        assert story.census(tmp_path, "11:00:00").seen == 22
        assert groups(story.census(tmp_path, "11:00:00", OTHER)) == {("other", None): 1}

    def test_aws_services_are_named(self, tmp_path: Path) -> None:
        story = Story()
        for number, (service, description) in enumerate(
            [
                ("elasticloadbalancing.amazonaws.com", "ELB app/quay/0123456789abcdef"),
                ("elasticloadbalancing.amazonaws.com", "ELB net/quay/0123456789abcdef"),
                ("rds.amazonaws.com", "RDSNetworkInterface"),
                ("lambda.amazonaws.com", "AWS Lambda VPC ENI-orders-0123"),
                ("eks.amazonaws.com", "Amazon EKS quay"),
            ]
        ):
            story.log("10:00:00", *of_service(service, description, number))
        census = story.census(tmp_path, "11:00:00")
        assert groups(census) == {
            ("load-balancer", None): 2,
            ("lambda", None): 1,
            ("rds", None): 1,
            ("service", None): 1,
        }
        assert {group.service for group in census.groups} == {"elb", "lambda", "rds", "eks-control-plane"}
        assert census.reclaimable == ()
        assert summary(census) == (
            "Of the 5 addresses seen in it: load balancers 2, EKS control planes 1, Lambda 1, RDS 1. IPs "
            "that were assigned before the evidence begins are not among them."
        )

    def test_the_eni_of_a_person_is_neither_a_node_nor_reclaimable(self, tmp_path: Path) -> None:
        story = Story()
        story.log("10:00:00", ADA, create_network_interface(Eni("eni-0d1", SUBNET, "10.9.0.5")))
        census = story.census(tmp_path, "11:00:00")
        assert (groups(census), census.reclaimable) == ({("other", None): 1}, ())

    def test_an_address_on_two_enis_counts_once_and_is_uncertain(self, tmp_path: Path) -> None:
        story = Story()
        node(story, "10:00:00")
        first = node(story, "10:00:01", OTHER_NODE)
        story.log("10:01:00", cni(story), assign_prefix("eni-0aaaaaaaaaaaaaaa1", "10.9.0.64/28", "item"))
        story.log("10:02:00", ADA, assign_named(first.id, "10.9.0.65"))
        census = story.census(tmp_path, "11:00:00")
        assert sum(group.addresses for group in census.groups) == census.seen
        assert census.seen <= 2 + 16

    def test_every_cluster_has_its_own_groups(self, tmp_path: Path) -> None:
        story = two_nodes()
        node(story, "10:05:00", "i-0ddddddddddddddd1", cluster="pier")
        census = story.census(tmp_path, "11:00:00")
        assert groups(census)["node", "pier"] == 1
        assert summary(census) == (
            "Of the 23 addresses seen in it (of 251 in all): cluster quay 22, cluster pier 1. The other 228 "
            "were free, or held by ENIs that no event mentions."
        )

    def test_an_address_of_unknown_start_is_uncertain(self, tmp_path: Path) -> None:
        story = two_nodes()
        story.log("11:30:00", cni(story, OTHER_NODE), unassign(f"eni-{OTHER_NODE[2:]}", "10.9.0.177"))
        census = story.census(tmp_path, "11:00:00")
        assert (census.seen, census.uncertain) == (23, 1)
        assert [reason.code.value for reason in census.reasons] == ["warm-pool-unknown", "start-unknown"]


class TestResource:
    """``Subject.resource`` is a NAT gateway, a subnet or a role: none is taken for another."""

    def gateway(self) -> Call:
        address = {"networkInterfaceId": "eni-0fa", "privateIp": "10.9.0.20", "isPrimary": True}
        made = {
            "natGatewayId": "nat-0123456789abcdef0",
            "subnetId": SUBNET.id,
            "vpcId": SUBNET.vpc,
            "natGatewayAddressSet": {"item": address},
        }
        request = {"CreateNatGatewayRequest": {"SubnetId": SUBNET.id, "AllocationId": "eipalloc-1"}}
        return Call("CreateNatGateway", request, {"CreateNatGatewayResponse": {"natGateway": made}})

    def test_the_creation_of_a_subnet_owns_no_eni(self, tmp_path: Path) -> None:
        story = Story()
        story.log("09:00:00", ADA, create_subnet())
        story.log("10:00:00", ADA, self.gateway())
        gone = {"DeleteNatGatewayRequest": {"NatGatewayId": "nat-0123456789abcdef0"}}
        done = {"DeleteNatGatewayResponse": {"natGatewayId": "nat-0123456789abcdef0"}}
        story.log("11:00:00", ADA, Call("DeleteNatGateway", gone, done))
        assert groups(story.census(tmp_path, "10:30:00")) == {("nat-gateway", None): 1}
        assert story.census(tmp_path, "11:00:00").seen == 0

    def test_the_creation_of_a_nat_gateway_shows_no_block(self, tmp_path: Path) -> None:
        story = Story()
        story.log("10:00:00", ADA, self.gateway())
        assert story.history().subnets == {}
        assert story.census(tmp_path, "10:30:00").cidr is None

    def test_a_subnet_that_another_account_claims_to_have_created_stays_its_owners(self) -> None:
        story = two_nodes()
        other = Trail("other", "222222222222", "eu-west-1", "2026-03-02", "1.11")
        eve = iam_user("222222222222", "eve", "198.51.100.8", CLI)
        story.add(other.record(other.time("09:30:00"), eve, create_subnet(SUBNET, "10.9.0.0/28")))
        (known,) = story.history().subnets.values()
        assert (known.account, known.cidr) == (ACCOUNT, IPv4Network("10.9.0.0/24"))
        assert all(eni.account == ACCOUNT for eni in story.history().interfaces.values())


class TestReclaimable:
    def test_a_detached_eni_of_a_node_could_be_reclaimed_after_five_minutes(self, tmp_path: Path) -> None:
        story = two_nodes()
        eni = second()
        story.log("10:30:00", cni(story), detach(eni))
        assert story.census(tmp_path, "10:33:00").reclaimable == ()
        census = story.census(tmp_path, "10:35:00")
        (leak,) = census.reclaimable
        assert (leak.eni, leak.instance, leak.cluster, leak.addresses) == (eni.id, NODE, "quay", 19)
        assert leak.since == at("10:30:00")
        assert groups(census) == {("not-attached", "quay"): 19, ("node", "quay"): 2, ("pod", "quay"): 1}
        assert f" {eni.id} is attached to nothing and holds 86%. The other 229 were free" in summary(census)

    def test_an_eni_that_outlives_its_node_could_be_reclaimed(self, tmp_path: Path) -> None:
        story = Story()
        node(story, "10:00:00")
        eni = of_cni(replace(second(), secondaries=("10.9.1.50",)), NODE, story.time("10:01:00"))
        story.log("10:01:00", cni(story), create_network_interface(eni))
        story.log("10:01:01", cni(story), attach(eni, NODE, 1))
        story.log("10:30:00", ADA, terminate(NODE))
        census = story.census(tmp_path, "11:00:00")
        assert [(leak.eni, leak.addresses, leak.instance) for leak in census.reclaimable] == [
            (eni.id, 2, NODE)
        ]
        assert census.seen == 2

    def test_a_branch_eni_whose_association_was_not_logged_may_be_in_use(self, tmp_path: Path) -> None:
        story = two_nodes()
        branch = Eni("eni-0e1", SUBNET, "10.9.0.180", description="aws-k8s-branch-eni")
        story.log("10:05:00", cni(story), create_network_interface(branch))
        census = story.census(tmp_path, "11:00:00")
        assert census.reclaimable == ()
        assert groups(census)["branch", None] == 1

    def test_addresses_in_warm_pools_are_not_called_reclaimable(self, tmp_path: Path) -> None:
        census = two_nodes().census(tmp_path, "11:00:00")
        assert census.reclaimable == ()
        assert census.reasons[0].text == (
            "CloudTrail does not show pods: warm IPs cannot be distinguished from those of pods."
        )


class TestSums:
    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(world=worlds(), share=st.floats(0, 1))
    def test_every_census_adds_up_and_agrees_with_the_state(self, world: World, share: float) -> None:
        history, _ = read(deliver(world))
        index = SubnetIndex(history)
        if not history.events:
            return
        first, last = history.events[0].time, history.events[-1].time
        time = (first + (last - first) * share).replace(microsecond=0)
        for subnet in {eni.subnet for eni in history.interfaces.values() if eni.subnet is not None}:
            census = index.census(subnet, time)
            shown = set(addresses(state(history, time, Filter(subnet=(subnet,)))))
            assert census.seen == len(shown)
            assert sum(group.addresses for group in census.groups) == census.seen
            assert sum(group.uncertain for group in census.groups) == census.uncertain
            unattached = [group for group in census.groups if group.use is AddressUse.NOT_ATTACHED]
            assert sum(group.addresses for group in unattached) == sum(
                eni.addresses for eni in census.reclaimable
            )
            on_nodes = sum(node.addresses for node in census.nodes)
            assert on_nodes <= census.seen - sum(group.addresses for group in unattached)


def addresses(entries: Iterator[Any]) -> Iterator[str]:
    """Yield the IPv4 addresses of a state, one by one."""
    for entry in entries:
        for held in entry.addresses:
            if held.ip.version == 4:
                yield from map(str, ip_network(held.ip))


class TestApi:
    def test_the_default_is_the_end_of_the_evidence(self, tmp_path: Path) -> None:
        (census,) = two_nodes().case(tmp_path).subnet(SUBNET.id)
        assert (census.at, census.seen) == (at("10:02:00"), 22)

    def test_subnets_come_in_the_order_asked_for_and_unknown_ones_are_left_out(self, tmp_path: Path) -> None:
        story = two_nodes()
        story.log("10:05:00", ADA, create_subnet(OTHER, "10.9.8.0/28"))
        asked = [OTHER.id, "subnet-0ffffffffffffffff", SUBNET.id, OTHER.id]
        found = story.case(tmp_path).subnet(asked)
        assert [(census.subnet, census.size, census.seen) for census in found] == [
            (OTHER.id, 11, 0),
            (SUBNET.id, 251, 22),
        ]

    def test_a_number_is_not_a_subnet(self, tmp_path: Path) -> None:
        case = two_nodes().case(tmp_path)
        with pytest.raises(UsageError):
            case.subnet([7])  # type: ignore[list-item]


class TestCommand:
    def test_the_table_has_the_subnet_its_groups_and_what_could_be_reclaimed(
        self, run: Run, tmp_path: Path
    ) -> None:
        story = two_nodes()
        story.log("10:30:00", cni(story), detach(second()))
        result = run("subnet", SUBNET.id, story.written(tmp_path), "--at", "2026-03-02T11:00Z")
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            "SUBNET                    CIDR         AT                    SIZE  SEEN  UNACCOUNTED",
            f"{SUBNET.id}  10.9.0.0/24  2026-03-02 11:00:00Z   251    22          229",
            "",
            "CLUSTER  USE                 MANAGER  IPS     %  ENIS  NODES",
            "quay     not attached        VPC CNI   19  86.4     1      1",
            "quay     nodes               VPC CNI    2   9.1     2      2",
            "quay     pods and warm pool  VPC CNI    1   4.5     1      1",
            "",
            "COULD BE RECLAIMED     IPS  CLUSTER  NODE                 NOT ATTACHED SINCE",
            f"{second().id}   19  quay     {NODE}  2026-03-02 10:30:00Z",
            "",
            "229 of its 251 addresses are free, or held by ENIs that no event in the evidence mentions.",
            "CloudTrail does not show pods: warm IPs cannot be distinguished from those of pods.",
        ]

    def test_every_subnet_has_its_own_rows(self, run: Run, tmp_path: Path) -> None:
        story = two_nodes()
        story.log("10:05:00", ADA, create_subnet(OTHER, "10.9.8.0/28"))
        story.log("10:05:00", ADA, create_network_interface(Eni("eni-0d1", OTHER, "10.9.8.4")))
        result = run("subnet", SUBNET.id, OTHER.id, story.written(tmp_path), "-q")
        assert f"{OTHER.id}  -        other ENIs" in result.stdout
        assert f"{OTHER.id}: 10 of its 11 addresses are free" in result.stdout

    def test_a_shared_subnet_has_the_accounts_of_its_enis(self, run: Run, tmp_path: Path) -> None:
        story = two_nodes()
        other = Trail("other", "222222222222", "eu-west-1", "2026-03-02", "1.11")
        terraform = iam_user("222222222222", "terraform", "198.51.100.8", CLI)
        eni = Eni("eni-0d1", SUBNET, "10.9.0.90")
        story.add(other.record(other.time("10:01:30"), terraform, create_network_interface(eni)))
        lines = run("subnet", SUBNET.id, story.written(tmp_path), "-q").stdout.splitlines()
        assert lines[3].startswith("ACCOUNT       CLUSTER  USE")
        assert any(line.startswith("222222222222  -        other ENIs") for line in lines)
        assert any(line.startswith(f"{ACCOUNT}  quay     nodes") for line in lines)

    def test_other_services_have_their_names(self, run: Run, tmp_path: Path) -> None:
        story = Story()
        for number, (service, description) in enumerate(
            [
                ("elasticfilesystem.amazonaws.com", "EFS mount target for fs-1 (fsmt-1)"),
                ("eks.amazonaws.com", "Amazon EKS quay"),
                ("eks-fargate.amazonaws.com", ""),
                ("new.amazonaws.com", "of a service that nobody has heard of"),
            ]
        ):
            story.log("10:00:00", *of_service(service, description, number))
        text = run("subnet", SUBNET.id, story.written(tmp_path), "-q").stdout
        for name in ("EFS", "EKS control planes", "Fargate pods", "new.amazonaws.com"):
            assert f"-        {name}  " in text

    def test_json_has_the_schema_the_query_and_every_group(self, run: Run, tmp_path: Path) -> None:
        result = run("subnet", SUBNET.id, two_nodes().written(tmp_path), "-o", "json")
        answer = json.loads(result.stdout)
        assert (answer["schema"], answer["query"]["subnets"]) == ("cnitrail/subnet/v1", [SUBNET.id])
        (census,) = answer["entries"]
        assert (census["cidr"], census["at"], census["live"]) == ("10.9.0.0/24", "2026-03-02T10:02:00Z", None)
        assert census["groups"][0] == {
            "use": "pod",
            "account": ACCOUNT,
            "cluster": "quay",
            "manager": "vpc-cni",
            "service": None,
            "nodes": 2,
            "enis": 2,
            "addresses": 19,
            "share": 86.4,
            "uncertain": 0,
        }

    def test_csv_has_a_line_for_each_group(self, run: Run, tmp_path: Path) -> None:
        story = two_nodes()
        story.log("10:05:00", ADA, create_subnet(OTHER, "10.9.8.0/28"))
        text = run("subnet", SUBNET.id, OTHER.id, story.written(tmp_path), "-o", "csv").stdout
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [(row["subnet"], row["use"], row["addresses"], row["size"]) for row in rows] == [
            (SUBNET.id, "pod", "19", "251"),
            (SUBNET.id, "node", "3", "251"),
            (OTHER.id, "", "", "11"),
        ]

    def test_the_order_of_subnets_and_sources_is_free(self, run: Run, tmp_path: Path) -> None:
        (census,) = jsonl(run, two_nodes().written(tmp_path), SUBNET.id)
        assert census["seen"] == 22

    def test_a_subnet_without_an_event_has_no_answer_and_a_hint(self, run: Run, tmp_path: Path) -> None:
        result = run("subnet", OTHER.id, two_nodes().written(tmp_path))
        assert (result.exit_code, result.stdout) == (0, "")
        assert f"warning: nothing known of {OTHER.id}: no event shows it, or an ENI in it" in result.stderr
        assert "hint: check the ID, the account and the Region, or add --live to ask EC2" in result.stderr

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["ironman"], "SUBNET is required"),
            ([], "SUBNET is required"),
            (["subnet-xyz", "ironman"], "'subnet-xyz' is not a subnet ID"),
            (["subnet-0a1b2c3d4e5f6071", "ironman"], "'subnet-0a1b2c3d4e5f6071' is not a subnet ID"),
            ([SUBNET.id, "ironman", "--at", "never"], "--at: 'never' is not a time"),
        ],
    )
    def test_misuse_is_a_usage_error(self, run: Run, arguments: list[str], said: str) -> None:
        result = run("subnet", *arguments)
        assert result.exit_code == 2
        assert f"error: {said}" in result.stderr

    def test_a_directory_may_be_named_like_a_subnet(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "subnet-logs"
        folder.mkdir()
        two_nodes().written(folder)
        monkeypatch.chdir(tmp_path)
        (census,) = jsonl(run, SUBNET.id, "subnet-logs")
        assert census["seen"] == 22

    def test_a_time_outside_the_evidence_is_a_warning(self, run: Run, tmp_path: Path) -> None:
        result = run("subnet", SUBNET.id, two_nodes().written(tmp_path), "--at", "2026-03-05")
        assert (
            f"warning: the evidence of {ACCOUNT} in eu-west-1 ends at 2026-03-02 10:02:00Z" in result.stderr
        )

    def test_the_timeline_shows_the_creation_with_its_block(self, run: Run, tmp_path: Path) -> None:
        text = run("timeline", two_nodes().written(tmp_path), "-q").stdout
        (line,) = [line for line in text.splitlines() if "CreateSubnet" in line]
        assert line.endswith("  10.9.0.0/24")
        assert SUBNET.id in line


def described(subnet: Subnet = SUBNET, **fields: Any) -> Record:
    """A subnet as the AWS CLI prints it."""
    return {
        "SubnetId": subnet.id,
        "VpcId": subnet.vpc,
        "OwnerId": subnet.account,
        "CidrBlock": "10.9.0.0/24",
        "AvailableIpAddressCount": 180,
        "AvailabilityZone": subnet.zone,
        **fields,
    }


class TestSaved:
    """``--live FILE``."""

    def save(self, folder: Path, content: object) -> str:
        path = folder / "saved" / "listing.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
        return str(path)

    def test_saved_subnets_give_the_size_and_the_free_addresses(self, run: Run, tmp_path: Path) -> None:
        story = Story()
        node(story, "10:00:00")
        listing = self.save(tmp_path, {"Subnets": [described(), described(OTHER)]})
        (census,) = jsonl(run, SUBNET.id, story.written(tmp_path), "--live", listing)
        assert (census["size"], census["seen"], census["cidr"]) == (251, 1, "10.9.0.0/24")
        assert census["live"] == {
            "available": 180,
            "enis": None,
            "addresses": None,
            "only_in_ec2": [],
            "only_in_cloudtrail": [],
            "addresses_only_in_cloudtrail": 0,
            "unaccounted": 70,
        }

    def test_a_list_by_query_is_read_too(self, run: Run, tmp_path: Path) -> None:
        listing = self.save(tmp_path, [described()])
        (census,) = jsonl(run, SUBNET.id, two_nodes().written(tmp_path), "--live", listing)
        assert census["live"]["available"] == 180

    def test_a_subnet_that_only_ec2_knows_has_an_answer(self, run: Run, tmp_path: Path) -> None:
        listing = self.save(tmp_path, {"Subnets": [described(OTHER)]})
        (census,) = jsonl(run, OTHER.id, two_nodes().written(tmp_path), "--live", listing)
        assert (census["subnet"], census["seen"], census["region"]) == (OTHER.id, 0, "eu-west-1")

    def test_saved_enis_show_what_the_evidence_lacks(self, run: Run, tmp_path: Path) -> None:
        enis = [
            {
                "NetworkInterfaceId": name,
                "SubnetId": subnet.id,
                "PrivateIpAddresses": [{"PrivateIpAddress": ip}],
            }
            for name, subnet, ip in (
                ("eni-0aaaaaaaaaaaaaaa1", SUBNET, "10.9.0.4"),
                ("eni-0d000000000000001", SUBNET, "10.9.0.7"),
                ("eni-0d000000000000002", OTHER, "10.9.8.7"),
            )
        ]
        listing = self.save(tmp_path, {"NetworkInterfaces": enis})
        (census,) = jsonl(run, SUBNET.id, two_nodes().written(tmp_path), "--live", listing)
        assert census["live"] == {
            "available": None,
            "enis": 2,
            "addresses": 2,
            "only_in_ec2": ["eni-0d000000000000001"],
            "only_in_cloudtrail": [],
            "addresses_only_in_cloudtrail": 0,
            "unaccounted": None,
        }

    def test_state_refuses_a_list_of_subnets(self, run: Run, tmp_path: Path) -> None:
        listing = self.save(tmp_path, {"Subnets": [described()]})
        result = run("state", two_nodes().written(tmp_path), "--live", listing)
        assert result.exit_code == 1
        assert "only subnets, neither ENIs nor instances" in result.stderr


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ec2]:
    """EC2 on loopback, with made-up credentials."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setattr("cnitrail.sources.aws.MAX_ATTEMPTS", 1)
    with ec2() as server:
        yield server


class TestLive:
    """``--live``: EC2 is asked."""

    def made(self, aws: Ec2, tmp_path: Path) -> tuple[str, Subnet, list[str]]:
        """Return the trail of a subnet in EC2 with two ENIs, only the first of which is logged."""
        client = aws.client("eu-west-1")
        vpc = client.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        made = client.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]
        subnet = Subnet(made["SubnetId"], vpc, ACCOUNT, "eu-west-1a", "sg-1")
        enis = [
            client.create_network_interface(SubnetId=subnet.id, PrivateIpAddress=ip)["NetworkInterface"]
            for ip in ("10.9.0.10", "10.9.0.11")
        ]
        story = Story()
        logged = Eni(enis[0]["NetworkInterfaceId"], subnet, "10.9.0.10")
        story.log("10:00:00", ADA, create_network_interface(logged))
        return story.written(tmp_path), subnet, [eni["NetworkInterfaceId"] for eni in enis]

    def test_free_addresses_and_unlogged_enis_are_shown(self, run: Run, aws: Ec2, tmp_path: Path) -> None:
        trail, subnet, (_, unlogged) = self.made(aws, tmp_path)
        (census,) = jsonl(run, subnet.id, trail, "--live", "--endpoint-url", aws.url)
        assert (census["size"], census["seen"], census["unaccounted"]) == (251, 1, 250)
        assert census["live"]["enis"] == census["live"]["addresses"] == 2
        assert census["live"]["only_in_ec2"] == [unlogged]
        assert census["live"]["available"] == 249
        assert aws.asked("eu-west-1")[-2:] == ["DescribeSubnets", "DescribeNetworkInterfaces"]

    def test_the_table_says_what_is_free_in_ec2(self, run: Run, aws: Ec2, tmp_path: Path) -> None:
        trail, subnet, (_, unlogged) = self.made(aws, tmp_path)
        text = run("subnet", subnet.id, trail, "--live", "--endpoint-url", aws.url, "-q").stdout
        assert text.splitlines()[0].endswith("SEEN  UNACCOUNTED  FREE IN EC2")
        assert f"1 ENI only in EC2: {unlogged}." in text

    def test_without_permission_for_subnets_the_enis_are_still_shown(
        self, run: Run, aws: Ec2, tmp_path: Path
    ) -> None:
        trail, subnet, _ = self.made(aws, tmp_path)
        aws.fault = lambda call: "UnauthorizedOperation" if call.action == "DescribeSubnets" else None
        (census,) = jsonl(run, subnet.id, trail, "--live", "--endpoint-url", aws.url, status=3)
        assert (census["size"], census["live"]["available"], census["live"]["enis"]) == (None, None, 2)
