"""Findings that name a culprit: who drained the bucket, who moved an address, who changed whose ENI."""

from dataclasses import replace

import pytest
from callers import (
    Caller,
    Irsa,
    Role,
    auto_scaling,
    iam_user,
    node_session,
    on_behalf,
    role_user,
    service_linked,
)
from calls import (
    Eni,
    Instance,
    Tags,
    assign,
    assign_named,
    attach,
    create_network_interface,
    run_instances,
    unassign,
)
from cni import CNI_1_21, adds_eni, node_tags, of_cni, sdk_of, signs_in
from incidents import (
    ACCOUNT,
    ADA,
    AWS_NODE,
    BOTO,
    CILIUM,
    CLI,
    CLUSTER,
    FULL,
    GO,
    NODE,
    NODE_ROLE,
    OTHER_NODE,
    REGION,
    SUBNET,
    THROTTLED,
    Incident,
    asks,
    cni,
    node,
    refused,
    second,
)
from trail import Trail

from cnitrail.model import SEVERITY_ORDER, Finding, Severity
from cnitrail.model.reason import MEANING, ReasonCode

GO_V1 = "aws-sdk-go/1.44.204 (go1.19; linux; amd64)"
NO_MANAGE = "node.k8s.amazonaws.com/no_manage"
CONTROLLER = f"amazon-vpc-resource-controller-k8s/v1.7.3 {GO_V1}"
VIP = "10.9.5.100"
DB = ("i-0dbdbdbdbdbdbdb01", "i-0dbdbdbdbdbdbdb02")
DB_ROLE = Role(ACCOUNT, "db-cluster-role")


def of_cluster(name: str, number: int) -> Irsa:
    """The VPC CNI of a cluster, with a role and an OIDC provider of its own."""
    return replace(
        AWS_NODE,
        role=Role(ACCOUNT, f"CniRole-{number}"),
        provider=f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.{REGION}.amazonaws.com/id/EXAMPLE{name.upper()}",
        agent=CNI_1_21,
        sdk=sdk_of(CNI_1_21),
    )


def by_role(incident: Incident, role: Role, instance: str, agent: str = CLI) -> Caller:
    """An instance as a caller with its own role."""
    return node_session(role, instance, incident.time("00:00:00"), "203.0.113.7", agent).caller


def host(incident: Incident, at: str, instance: str, number: int) -> Eni:
    """Launch an instance that is in no cluster; return its first ENI."""
    eni = Eni(f"eni-{instance[2:]}", SUBNET, f"10.9.5.{number}", f"eni-attach-{instance[2:]}")
    incident.log(
        at,
        role_user(Role(ACCOUNT, "deploy"), "ci", incident.time(at), "198.51.100.9", CLI),
        run_instances(Instance(instance, "m5.large", eni, {"Name": "db"})),
    )
    return eni


def grown(incident: Incident, instance: str = NODE, number: int = 1) -> Eni:
    """Launch a node, on which the CNI creates a second ENI with two addresses; return that ENI."""
    node(incident, "10:00:00", instance)
    eni = second(instance, number)
    eni = of_cni(
        replace(eni, secondaries=(f"10.9.{number}.50", f"10.9.{number}.51")),
        instance,
        incident.time("10:01:00"),
    )
    adds_eni(incident, ("10:01:00", "10:01:01", "10:01:02"), cni(incident, instance), eni, instance)
    return eni


def drain(incident: Incident, caller: Caller, enis: list[Eni], number: int = 120) -> None:
    """Let a caller take tokens of AssignPrivateIpAddresses, all in one second."""
    for index in range(number):
        incident.log("10:10:00", caller, assign(enis[index % len(enis)].id, f"10.9.7.{index}"))


def starve(incident: Incident, caller: Caller, eni: Eni, number: int = 6) -> None:
    """Let EC2 throttle a caller."""
    for index in range(number):
        incident.log(f"10:10:0{index // 2}", caller, refused(asks(eni, 1), THROTTLED))


def found(incident: Incident, rule: str) -> list[Finding]:
    return incident.found(rule, "09:00:00", "20:00:00")


def severe(incident: Incident) -> list[Finding]:
    """The findings for which ``--fail-on medium`` fails."""
    limit = SEVERITY_ORDER[Severity.MEDIUM]
    findings = incident.findings("09:00:00", "20:00:00")
    return [finding for finding in findings if SEVERITY_ORDER[finding.severity] <= limit]


def codes(finding: Finding) -> list[str]:
    return [doubt.code.value for doubt in finding.doubts]


class TestWhoDrainedTheBucket:
    def two_clusters(self, incident: Incident) -> tuple[Caller, Caller, list[Eni], Eni]:
        """Two clusters with one name of a service account: the callers of batch and prod, and their ENIs."""
        batch = [node(incident, "09:30:00", f"i-0bbbbbbbbbbbbbb{n}0", cluster="batch") for n in (1, 2, 3)]
        prod = node(incident, "09:31:00", "i-0ccccccccccccccc1", cluster="prod")
        of_batch = signs_in(incident, "09:40:00", of_cluster("batch", 1), 1)
        of_prod = signs_in(incident, "09:40:00", of_cluster("prod", 2), 2)
        return of_batch, of_prod, batch, prod

    def test_two_clusters_with_one_service_account_name_are_told_apart(self) -> None:
        incident = Incident()
        batch, prod, nodes, victim = self.two_clusters(incident)
        drain(incident, batch, nodes, 150)
        starve(incident, prod, victim)
        (finding,) = found(incident, "api-throttled")
        assert finding.sentence == (
            "EC2 throttled 6 AssignPrivateIpAddresses calls by kube-system/aws-node of cluster prod (role "
            "CniRole-2) on 1 node within 2 s. 150 calls drained the token bucket (100 tokens, 5 per second): "
            "kube-system/aws-node of cluster batch (role CniRole-1) 150 (100%): assigning IPs on 3 nodes "
            "with amazon-vpc-cni-k8s v1.21.2. Cluster batch slowed cluster prod: they share the bucket of "
            f"{ACCOUNT} in {REGION}."
        )
        assert finding.clusters == ("batch", "prod")
        assert finding.advice.startswith("Set MINIMUM_IP_TARGET of the VPC CNI in cluster batch to the usual")

    def test_each_caller_has_its_share(self) -> None:
        incident = Incident()
        batch, prod, nodes, victim = self.two_clusters(incident)
        drain(incident, batch, nodes, 90)
        drain(incident, prod, [victim], 30)
        starve(incident, prod, victim)
        (finding,) = found(incident, "api-throttled")
        assert "cluster batch (role CniRole-1) 90 (75%)" in finding.sentence
        assert "cluster prod (role CniRole-2) 30 (25%)" in finding.sentence
        assert "Cluster batch slowed cluster prod" in finding.sentence

    def test_no_other_cluster_is_blamed_if_the_victim_took_most_tokens(self) -> None:
        incident = Incident()
        batch, prod, nodes, victim = self.two_clusters(incident)
        drain(incident, batch, nodes, 30)
        drain(incident, prod, [victim], 90)
        starve(incident, prod, victim)
        (finding,) = found(incident, "api-throttled")
        assert "slowed" not in finding.sentence

    def test_one_role_in_two_clusters_is_told_apart_by_the_oidc_provider(self) -> None:
        incident = Incident()
        shared = Role(ACCOUNT, "SharedCniRole")
        nodes = [node(incident, "09:30:00", f"i-0bbbbbbbbbbbbbb{n}0", cluster="batch") for n in (1, 2)]
        victim = node(incident, "09:31:00", "i-0ccccccccccccccc1", cluster="prod")
        batch = signs_in(incident, "09:40:00", replace(of_cluster("batch", 1), role=shared), 1)
        prod = signs_in(incident, "09:40:00", replace(of_cluster("prod", 2), role=shared), 2)
        drain(incident, batch, nodes)
        starve(incident, prod, victim)
        (finding,) = found(incident, "api-throttled")
        assert "by kube-system/aws-node of cluster prod (role SharedCniRole)" in finding.sentence
        assert "kube-system/aws-node of cluster batch (role SharedCniRole) 120 (100%)" in finding.sentence

    def test_clusters_of_unknown_name_are_told_apart_by_their_oidc_providers(self) -> None:
        incident = Incident()
        shared = Role(ACCOUNT, "SharedCniRole")
        enis = [second(f"i-0bbbbbbbbbbbbbb{n}0") for n in (1, 2)]
        batch = signs_in(incident, "09:40:00", replace(of_cluster("batch", 1), role=shared), 1)
        prod = signs_in(incident, "09:40:00", replace(of_cluster("prod", 2), role=shared), 2)
        drain(incident, batch, enis)
        starve(incident, prod, second())
        (finding,) = found(incident, "api-throttled")
        name = "kube-system/aws-node of the cluster with OIDC provider"
        assert f"calls by {name} EXAMPLEPROD (role SharedCniRole)" in finding.sentence
        assert f"{name} EXAMPLEBATCH (role SharedCniRole) 120 (100%)" in finding.sentence

    def test_nodes_with_one_role_are_one_entry_with_their_number(self) -> None:
        incident = Incident()
        names = [f"i-0bbbbbbbbbbbbbb{n}0" for n in range(1, 5)]
        for name in names:
            eni = node(incident, "09:30:00", name)
            drain(incident, cni(incident, name), [eni], 30)
        starve(incident, cni(incident, names[0]), eni)
        (finding,) = found(incident, "api-throttled")
        assert (
            "node role quay-NodeInstanceRole of cluster quay (4 nodes) 120 (100%): assigning IPs with "
            "amazon-vpc-cni-k8s v1.18.3."
        ) in finding.sentence

    def test_calls_of_another_account_or_region_never_count(self) -> None:
        incident = Incident()
        victim = node(incident, "09:30:00")
        for account, region in (("222222222222", REGION), (ACCOUNT, "us-east-1")):
            other = Trail("other", account, region, "2026-03-02", "1.11")
            caller = iam_user(account, "loud", "198.51.100.8", BOTO)
            records = [
                other.record(other.time("10:10:00"), caller, assign("eni-0fffffffffffffff1", f"10.9.7.{n}"))
                for n in range(130)
            ]
            incident.add(*records)
        starve(incident, cni(incident), victim)
        (finding,) = found(incident, "api-throttled")
        assert codes(finding) == ["bucket-not-drained"]
        assert "loud" not in finding.sentence

    def test_retries_of_throttled_calls_take_no_tokens(self) -> None:
        incident = Incident()
        victim = node(incident, "09:30:00")
        starve(incident, cni(incident), victim, 18)
        (finding,) = found(incident, "api-throttled")
        assert codes(finding) == ["bucket-not-drained"]
        assert "VPC CNI" not in finding.advice

    def test_failed_calls_take_tokens_and_are_counted(self) -> None:
        incident = Incident()
        first = node(incident, "09:30:00")
        for _ in range(110):
            incident.log("10:10:00", cni(incident), refused(asks(first, 1), FULL))
        starve(incident, cni(incident), first)
        (finding,) = found(incident, "api-throttled")
        assert "110 of them failed (InsufficientFreeAddressesInSubnet)" in finding.sentence

    @pytest.mark.parametrize(
        ("caller", "advice"),
        [
            (
                lambda at: iam_user(ACCOUNT, "rotator", "198.51.100.8", BOTO),
                "Let rotator (IAM user) call less often, and wait longer",
            ),
            (
                lambda at: role_user(
                    Role(ACCOUNT, "quay-cluster"), "controller", at, "203.0.113.1", CONTROLLER
                ),
                "Start fewer pods with security groups",
            ),
            (
                lambda at: role_user(
                    Role(ACCOUNT, "karp"), "1", at, "203.0.113.1", f"{GO} karpenter.sh-1.5.0"
                ),
                "Let Karpenter replace fewer nodes",
            ),
            (lambda at: auto_scaling(ACCOUNT, at), "Scale the Auto Scaling groups in smaller steps"),
        ],
    )
    def test_the_advice_is_the_drainers(self, caller: object, advice: str) -> None:
        incident = Incident()
        first = Eni("eni-0dddddddddddddddd", SUBNET, "10.9.4.4")
        drain(incident, caller(incident.time("09:00:00")), [first])  # type: ignore[operator]
        starve(incident, iam_user(ACCOUNT, "victim", "198.51.100.8", BOTO), first)
        (finding,) = found(incident, "api-throttled")
        assert finding.advice.startswith(advice)
        assert "IP_TARGET" not in finding.advice

    def test_the_cilium_operator_has_a_rate_limit_of_its_own(self) -> None:
        incident = Incident()
        first = node(incident, "09:30:00")
        operator = signs_in(incident, "09:40:00", CILIUM, 3)
        drain(incident, operator, [first])
        starve(incident, operator, first)
        (finding,) = found(incident, "api-throttled")
        assert "--limit-ipam-api-qps" in finding.advice
        assert "IP_TARGET" not in finding.advice

    def launches(self, incident: Incident, cluster: str, number: int, tags: Tags) -> None:
        """Let EC2 Fleet launch nodes for Karpenter within a second, and throttle it in the next."""
        karpenter = role_user(Role(ACCOUNT, "karp"), "1", incident.time("09:00:00"), "203.0.113.1", GO)
        fleet = on_behalf(karpenter.identity, "ec2fleet.amazonaws.com")
        for index in range(number):
            name = f"0d{len(cluster):02x}{index:013x}"
            eni = Eni(f"eni-{name}", SUBNET, f"10.9.4.{index + 4}")
            launched = Instance(f"i-{name}", "m5.large", eni, {**node_tags(cluster, "apps"), **tags})
            incident.log("10:10:00", fleet, run_instances(launched))
        incident.log("10:10:01", fleet, refused(run_instances(launched), THROTTLED))

    def test_launches_by_karpenter_are_known_by_their_tags_and_counted_by_cluster(self) -> None:
        incident = Incident()
        self.launches(incident, "batch", 8, {"karpenter.sh/nodepool": "default"})
        self.launches(incident, "prod", 4, {"karpenter.sh/nodepool": "default"})
        (finding,) = found(incident, "api-throttled")
        assert "12 calls drained the token bucket (5 tokens, 2 per second)" in finding.sentence
        assert "of cluster batch 8 (67%): launching instances on 8 nodes" in finding.sentence
        assert "of cluster prod 4 (33%)" in finding.sentence
        assert finding.advice.startswith("Let Karpenter in cluster batch replace fewer nodes at a time")

    def test_launches_of_others_are_not_karpenter_s(self) -> None:
        incident = Incident()
        self.launches(incident, "batch", 8, {})
        (finding,) = found(incident, "api-throttled")
        assert "Karpenter" not in finding.advice

    def test_the_tokens_of_one_second_are_not_many(self) -> None:
        incident = Incident()
        self.launches(incident, "batch", 2, {})
        (finding,) = found(incident, "api-throttled")
        assert codes(finding) == ["bucket-not-drained"]

    def test_a_single_caller_more_is_in_the_singular(self) -> None:
        incident = Incident()
        victim = node(incident, "09:30:00")
        for name in ("a", "b", "c", "d"):
            drain(incident, iam_user(ACCOUNT, name, "198.51.100.8", BOTO), [victim], 30)
        starve(incident, cni(incident), victim)
        (finding,) = found(incident, "api-throttled")
        assert finding.sentence.endswith("; 1 more caller.")

    @pytest.mark.parametrize(
        "code",
        [
            "Server.RequestLimitExceeded",
            "Client.Throttling",
            "ThrottlingException",
            "RequestThrottledException",
        ],
    )
    def test_every_code_of_a_throttled_call_counts(self, code: str) -> None:
        incident = Incident()
        victim = node(incident, "09:30:00")
        incident.log("10:10:00", cni(incident), refused(asks(victim, 1), (code, "Rate exceeded")))
        (finding,) = incident.findings("09:00:00", "20:00:00")
        assert (finding.rule, finding.severity) == ("api-throttled", Severity.LOW)

    def test_silent_without_throttling_however_many_calls(self) -> None:
        incident = Incident()
        batch, _, nodes, _ = self.two_clusters(incident)
        drain(incident, batch, nodes, 150)
        assert found(incident, "api-throttled") == []


class TestVirtualIps:
    def failover(self, incident: Incident, *, moves: int = 5) -> tuple[Eni, Eni]:
        """Two hosts outside any cluster between which a VIP moves, each time by its new host."""
        hosts = host(incident, "09:00:00", DB[0], 11), host(incident, "09:00:10", DB[1], 12)
        for number in range(moves + 1):
            instance, eni = DB[number % 2], hosts[number % 2]
            taken = assign_named(eni.id, VIP, reassign=True)
            incident.log(f"{10 + number}:00:00", by_role(incident, DB_ROLE, instance), taken)
        return hosts

    def test_a_failover_is_one_finding_for_information(self) -> None:
        incident = Incident()
        one, other = self.failover(incident)
        (finding,) = incident.findings("09:00:00", "20:00:00")
        assert (finding.rule, finding.severity) == ("address-reassigned", Severity.INFO)
        assert finding.sentence == (
            f"A virtual IP: {VIP} moved 5 times between {DB[0]} and {DB[1]}, each time by the instance that "
            f"got it, with its own role, last at 2026-03-02 15:00:00Z. The ENIs are {one.id} and {other.id}. "
            "The instances used role db-cluster-role with aws-cli 2.27.31."
        )
        assert len(finding.events) == 6  # the first assignment as well
        assert (finding.instances, finding.enis) == (DB, (one.id, other.id))
        text = f"{finding.sentence} {finding.advice} {finding.commands}"
        assert not any(word in text for word in ("pod", "CNI", "no_manage", "kubectl"))

    def test_it_is_known_without_the_launches(self) -> None:
        incident = Incident()
        for number in range(4):
            eni = ("eni-0dbdbdbdbdbdbdb01", "eni-0dbdbdbdbdbdbdb02")[number % 2]
            caller = by_role(incident, DB_ROLE, DB[number % 2])
            incident.log(f"{10 + number}:00:00", caller, assign_named(eni, VIP, reassign=True))
        (finding,) = incident.findings("09:00:00", "20:00:00")
        assert finding.severity is Severity.INFO
        assert f"{VIP} moved 3 times between {DB[0]} and {DB[1]}" in finding.sentence

    def test_addresses_that_move_together_are_one_finding(self) -> None:
        incident = Incident()
        hosts = host(incident, "09:00:00", DB[0], 11), host(incident, "09:00:10", DB[1], 12)
        for number in range(3):
            taken = assign_named(hosts[number % 2].id, VIP, "10.9.5.101", reassign=True)
            incident.log(f"{10 + number}:00:00", by_role(incident, DB_ROLE, DB[number % 2]), taken)
        (finding,) = incident.findings("09:00:00", "20:00:00")
        assert finding.sentence.startswith(f"Virtual IPs: {VIP} and 10.9.5.101 moved 2 times between ")

    def test_a_program_that_moves_one_address_back_and_forth(self) -> None:
        incident = Incident()
        hosts = host(incident, "09:00:00", DB[0], 11), host(incident, "09:00:10", DB[1], 12)
        failover = role_user(
            Role(ACCOUNT, "vip-lambda"), "failover", incident.time("09:00:00"), "203.0.113.5", BOTO
        )
        for number in range(4):
            taken = assign_named(hosts[number % 2].id, VIP, reassign=True)
            incident.log(f"{10 + number}:00:00", failover, taken)
        (finding,) = incident.findings("09:00:00", "20:00:00")
        assert finding.severity is Severity.INFO
        assert "each time by vip-lambda/failover (assumed role, Boto3/1.34.20)" in finding.sentence

    def test_a_single_move_between_two_roles_is_one_low_finding(self) -> None:
        incident = Incident()
        hosts = host(incident, "09:00:00", DB[0], 11), host(incident, "09:00:10", DB[1], 12)
        for number in range(2):
            caller = by_role(incident, Role(ACCOUNT, f"firewall-{number}"), DB[number])
            incident.log(f"1{number}:00:00", caller, assign_named(hosts[number].id, VIP, reassign=True))
        (finding,) = incident.findings("09:00:00", "20:00:00")
        assert finding.severity is Severity.LOW
        assert finding.sentence.startswith(f"A virtual IP: {VIP} moved once between {DB[0]} and {DB[1]}")

    def test_a_takeover_by_a_third_instance_with_another_role_is_no_failover(self) -> None:
        incident = Incident()
        self.failover(incident)
        thief = host(incident, "09:00:20", "i-0eeeeeeeeeeeeeee1", 13)
        taken = assign_named(thief.id, VIP, reassign=True)
        incident.log("16:00:00", by_role(incident, Role(ACCOUNT, "web"), "i-0eeeeeeeeeeeeeee1"), taken)
        takeover, failover = found(incident, "address-reassigned")
        assert (takeover.severity, failover.severity) == (Severity.MEDIUM, Severity.INFO)
        assert takeover.instances == (*DB[1:], "i-0eeeeeeeeeeeeeee1")
        assert (
            f"Otherwise it moved 5 times between {DB[0]} and {DB[1]}, by the instance that"
            in takeover.sentence
        )

    def test_an_eni_of_the_cni_is_never_silenced(self) -> None:
        incident = Incident()
        one, other = grown(incident), grown(incident, OTHER_NODE, 2)
        for number in range(4):
            eni, instance = ((other, OTHER_NODE), (one, NODE))[number % 2]
            caller = by_role(incident, NODE_ROLE, instance)
            incident.log(f"{11 + number}:00:00", caller, assign_named(eni.id, "10.9.1.50", reassign=True))
        findings = found(incident, "address-reassigned")
        assert {finding.severity for finding in findings} == {Severity.HIGH}
        assert not any("virtual IP" in finding.sentence for finding in findings)

    def test_virtual_ips_of_nodes_without_a_known_plugin_are_low(self) -> None:
        incident = Incident()
        enis = node(incident, "10:00:00"), node(incident, "10:00:00", OTHER_NODE)
        for number in range(4):
            caller = by_role(incident, NODE_ROLE, (NODE, OTHER_NODE)[number % 2])
            incident.log(
                f"{11 + number}:00:00", caller, assign_named(enis[number % 2].id, VIP, reassign=True)
            )
        (finding,) = found(incident, "address-reassigned")
        assert finding.severity is Severity.LOW
        assert severe(incident) == []


class TestReassigned:
    def test_the_losing_node_eni_and_cluster_are_part_of_it(self) -> None:
        incident = Incident()
        eni = grown(incident)
        winner = host(incident, "10:30:00", DB[0], 11)
        incident.log("11:00:00", ADA, assign_named(winner.id, "10.9.1.50", reassign=True))
        incident.log("11:10:00", cni(incident), unassign(eni.id, "10.9.1.51"))
        (finding,) = found(incident, "address-reassigned")
        assert finding.severity is Severity.HIGH
        assert finding.instances == (NODE, DB[0])
        assert finding.clusters == (CLUSTER,)
        assert (
            f"from {eni.id} of {NODE} (cluster quay, managed by the VPC CNI) to {winner.id}"
            in finding.sentence
        )

    def test_no_pod_is_deleted_for_the_address_of_a_load_balancer(self) -> None:
        incident = Incident()
        elb = service_linked(
            ACCOUNT,
            "elasticloadbalancing.amazonaws.com",
            "ElasticLoadBalancing",
            "x",
            incident.time("09:00:00"),
        )
        losing = replace(second(OTHER_NODE, 9), description="ELB app/web/1")
        incident.log("09:00:00", elb, create_network_interface(losing))
        winner = grown(incident)
        incident.log("11:00:00", ADA, assign_named(winner.id, losing.address, reassign=True))
        (finding,) = found(incident, "address-reassigned")
        assert f"from {losing.id} (an ENI of load balancers) to {winner.id}" in finding.sentence
        assert "Delete the pod" not in finding.advice
        assert finding.commands[0].startswith("aws ec2 describe-network-interfaces ")

    def test_many_nodes_that_lose_addresses_are_critical(self) -> None:
        incident = Incident()
        winner = host(incident, "09:30:00", DB[0], 11)
        for number in (1, 2, 3):
            instance = f"i-0bbbbbbbbbbbbbb{number}0"
            eni = grown(incident, instance, number)
            incident.log(f"11:0{number}:00", ADA, assign_named(winner.id, f"10.9.{number}.50", reassign=True))
            incident.log("11:10:00", cni(incident, instance), unassign(eni.id, f"10.9.{number}.51"))
        (finding,) = found(incident, "address-reassigned")
        assert finding.severity is Severity.CRITICAL

    def test_one_story_is_not_split_by_doubts(self) -> None:
        incident = Incident()
        winner = host(incident, "09:30:00", DB[0], 11)
        eni = grown(incident)
        incident.log("11:00:00", ADA, assign_named(winner.id, "10.9.1.50", reassign=True))
        incident.log("11:10:00", cni(incident), assign(eni.id, "10.9.3.1"))
        incident.log("11:20:00", ADA, assign_named(winner.id, "10.9.1.51", reassign=True))
        incident.log("11:30:00", ADA, assign_named(winner.id, "10.9.8.8", reassign=True))
        (finding,) = found(incident, "address-reassigned")
        assert finding.severity is Severity.HIGH
        assert codes(finding) == ["loser-not-seen-again", "previous-holder-unknown"]

    def test_a_single_move_between_hosts_outside_kubernetes_is_low_and_names_no_pods(self) -> None:
        incident = Incident()
        one, other = host(incident, "09:00:00", DB[0], 11), host(incident, "09:00:10", DB[1], 12)
        incident.log("10:00:00", ADA, assign_named(one.id, VIP))
        incident.log("11:00:00", ADA, assign_named(other.id, VIP, reassign=True))
        (finding,) = incident.findings("09:00:00", "20:00:00")
        assert finding.severity is Severity.LOW
        assert "pod" not in finding.advice
        assert "no_manage" not in finding.advice
        assert finding.sentence.startswith(
            f"ada (IAM user, aws-cli 2.27.31) reassigned {VIP} from {one.id} of {DB[0]} to {other.id} of "
            f"{DB[1]}"
        )

    def test_silent_if_the_tool_may_not_take_addresses_from_others(self) -> None:
        incident = Incident()
        one = host(incident, "09:00:00", DB[0], 11)
        incident.log("10:00:00", by_role(incident, DB_ROLE, DB[0]), assign_named(one.id, VIP))
        assert incident.findings("09:00:00", "20:00:00") == []


class TestStrangersAtAnEni:
    def test_a_role_that_is_used_through_a_service_is_a_stranger(self) -> None:
        incident = Incident()
        eni = grown(incident)
        role = role_user(Role(ACCOUNT, "netops"), "Automation", incident.time("09:00:00"), "", "")
        for service in ("ssm.amazonaws.com", "states.amazonaws.com"):
            incident.log("11:00:00", on_behalf(role.identity, service), unassign(eni.id, "10.9.1.50"))
        assert {finding.severity for finding in found(incident, "address-released-by-hand")} == {
            Severity.HIGH
        }

    def test_silent_for_a_service_linked_role(self) -> None:
        incident = Incident()
        eni = grown(incident)
        caller = auto_scaling(ACCOUNT, incident.time("09:00:00"))
        incident.log("11:00:00", caller, unassign(eni.id, "10.9.1.50"))
        assert incident.findings("09:00:00", "20:00:00") == []

    def test_another_plugin_on_an_eni_of_the_cni(self) -> None:
        incident = Incident()
        eni = grown(incident)
        operator = signs_in(incident, "10:50:00", CILIUM, 3)
        incident.log("11:00:00", operator, assign(eni.id, "10.9.3.3", "10.9.3.4"))
        (finding,) = found(incident, "address-assigned-by-hand")
        assert finding.sentence == (
            "kube-system/cilium-operator (IRSA, role cilium-operator-quay, aws-sdk-go-v2/1.36.3) assigned "
            f"10.9.3.3 and 10.9.3.4 to {eni.id} of {NODE} (an ENI managed by the VPC CNI)."
        )
        assert finding.advice.startswith("Two network plugins manage one ENI: Cilium and the VPC CNI")

    @pytest.mark.parametrize(
        "caller",
        [
            iam_user(ACCOUNT, "x-openshift-cloud-network-y", "198.51.100.8", GO_V1),
            iam_user(ACCOUNT, "eve", "198.51.100.8", CONTROLLER),
            iam_user(ACCOUNT, "eve", "198.51.100.8", f"{GO_V1} cloud-network-config-controller"),
            role_user(
                Role(ACCOUNT, "x-openshift-cloud-network-y"),
                "amazon-vpc-resource-controller-k8s",
                Incident().time("09:00:00"),
                "198.51.100.8",
                CONTROLLER,
            ),
        ],
        ids=["user-name", "user-agent", "bare-word", "role-and-agent"],
    )
    @pytest.mark.parametrize("on_primary", [False, True])
    def test_no_name_silences_a_finding_on_an_eni_of_the_cni(
        self, caller: Caller, *, on_primary: bool
    ) -> None:
        incident = Incident()
        eni = grown(incident)
        name = f"eni-{NODE[2:]}" if on_primary else eni.id
        incident.log("11:00:00", caller, assign_named(name, "10.9.3.3"))
        (finding,) = found(incident, "address-assigned-by-hand")
        assert finding.severity is Severity.HIGH

    def test_a_name_silences_nothing_on_a_new_node_of_a_cluster_with_the_cni(self) -> None:
        incident = Incident()
        grown(incident)
        primary = node(incident, "10:30:00", OTHER_NODE)
        eve = iam_user(ACCOUNT, "x-openshift-cloud-network-y", "198.51.100.8", GO_V1)
        incident.log("11:00:00", eve, assign_named(primary.id, "10.9.3.3"))
        (finding,) = found(incident, "address-assigned-by-hand")
        assert finding.severity is Severity.MEDIUM

    def test_a_cluster_without_the_cni_is_at_most_low_and_says_so(self) -> None:
        incident = Incident()
        primary = node(incident, "10:00:00")
        tool = iam_user(ACCOUNT, "egress", "198.51.100.8", f"{GO_V1} egress-controller")
        incident.log("11:00:00", tool, assign_named(primary.id, "10.9.3.3"))
        incident.log("12:00:00", ADA, unassign(primary.id, "10.9.3.9"))
        findings = incident.findings("09:00:00", "20:00:00")
        assert [finding.severity for finding in findings] == [Severity.LOW, Severity.LOW]
        assert {finding.rule for finding in findings} == {
            "address-assigned-by-hand",
            "address-released-by-hand",
        }
        assert {tuple(codes(finding)) for finding in findings} == {("no-cni-seen",)}
        assert findings[0].doubts[0].text == "No call of the VPC CNI is in the evidence of cluster quay."
        assert ReasonCode.NO_CNI_SEEN in MEANING


class TestUnrelatedRecords:
    def story(self, incident: Incident) -> None:
        """Throttling, a failover and a change by another plugin."""
        eni = grown(incident)
        operator = signs_in(incident, "10:05:00", CILIUM, 3)
        incident.log("11:00:00", operator, assign(eni.id, "10.9.3.3"))
        drain(incident, operator, [eni])
        starve(incident, operator, eni)
        TestVirtualIps().failover(incident)

    def test_callers_with_the_same_names_elsewhere_change_no_finding(self) -> None:
        alone, mixed = Incident(), Incident()
        self.story(alone)
        self.story(mixed)
        before = {finding.sentence for finding in alone.findings("09:00:00", "20:00:00")}
        for account, region in ((ACCOUNT, "us-east-1"), ("222222222222", REGION)):
            other = Trail("other", account, region, "2026-03-02", "1.11")
            irsa = replace(
                AWS_NODE, role=Role(account, "others"), service_account="kube-system:cilium-operator"
            )
            session = irsa.session(other.time("09:00:00"), 9)
            calls = [assign_named("eni-0fffffffffffffff1", VIP, reassign=True) for _ in range(5)]
            mixed.add(other.record(other.time("09:00:00"), *session.opened))
            mixed.add(*(other.record(other.time("10:10:00"), session.caller, call) for call in calls))
        after = {finding.sentence for finding in mixed.findings("09:00:00", "20:00:00")}
        assert len(before) == 3
        assert before <= after


class TestLegitimateSetUps:
    """Set-ups in which ``--fail-on medium`` must not fail."""

    def test_egress_ips_of_openshift(self) -> None:
        incident = Incident()
        one, other = node(incident, "10:00:00"), node(incident, "10:00:00", OTHER_NODE)
        controller = iam_user(ACCOUNT, "ocp-x7k2p-openshift-cloud-network-abcde", "198.51.100.8", GO_V1)
        incident.log("11:00:00", controller, assign_named(one.id, "10.9.3.3"))
        incident.log("12:00:00", controller, unassign(one.id, "10.9.3.3"))
        incident.log("12:00:03", controller, assign_named(other.id, "10.9.3.3"))
        assert incident.findings("09:00:00", "20:00:00") == []

    def test_egress_ips_of_openshift_by_its_service_account(self) -> None:
        incident = Incident()
        primary = node(incident, "10:00:00")
        account = "openshift-cloud-network-config-controller:cloud-network-config-controller"
        irsa = replace(AWS_NODE, role=Role(ACCOUNT, "egress"), agent=GO_V1, service_account=account)
        incident.log(
            "11:00:00", signs_in(incident, "10:50:00", irsa, 3), assign_named(primary.id, "10.9.3.3")
        )
        assert incident.findings("09:00:00", "20:00:00") == []

    def test_interfaces_of_multus_whose_addresses_move(self) -> None:
        incident = Incident()
        multus = []
        for number, instance in enumerate((NODE, OTHER_NODE), start=1):
            grown(incident, instance, number)
            eni = Eni(f"eni-0aaaaaaa0000000{number}0", SUBNET, f"10.9.6.{number}", f"eni-attach-0a{number}")
            eni = replace(eni, tags={NO_MANAGE: "true"})
            incident.log("10:30:00", ADA, create_network_interface(eni))
            incident.log("10:30:05", ADA, attach(eni, instance, 2))
            multus.append((eni, instance))
        tool = role_user(
            Role(ACCOUNT, "whereabouts"),
            "sync",
            incident.time("09:00:00"),
            "203.0.113.5",
            f"{GO_V1} whereabouts",
        )
        for number in range(4):
            eni, instance = multus[number % 2]
            incident.log(f"{11 + number}:00:00", tool, assign_named(eni.id, "10.9.6.50", reassign=True))
            own = by_role(incident, NODE_ROLE, instance)
            incident.log(f"{11 + number}:30:00", own, assign_named(eni.id, "10.9.6.60", reassign=True))
        incident.log("16:00:00", tool, unassign(multus[1][0].id, "10.9.6.50"))
        assert severe(incident) == []
        assert {finding.severity for finding in incident.findings("09:00:00", "20:00:00")} == {Severity.INFO}

    def windows(self, incident: Incident) -> tuple[Eni, Caller]:
        """A Windows node beside a Linux node, and the resource controller as a caller."""
        grown(incident)
        primary = node(incident, "10:20:00", OTHER_NODE)
        role = Role(ACCOUNT, "quay-cluster-role")
        session = "amazon-vpc-resource-controller-k8s"
        return primary, role_user(role, session, incident.time("09:00:00"), "203.0.113.9", CONTROLLER)

    def test_a_windows_node(self) -> None:
        incident = Incident()
        primary, controller = self.windows(incident)
        incident.log("11:00:00", controller, assign(primary.id, "10.9.3.1", "10.9.3.2"))
        incident.log("12:00:00", controller, unassign(primary.id, "10.9.3.1"))
        assert incident.findings("09:00:00", "20:00:00") == []

    def test_churn_on_a_windows_node_has_the_advice_of_its_controller(self) -> None:
        incident = Incident()
        primary, controller = self.windows(incident)
        for minute in range(12):
            incident.log(f"11:{minute:02}:00", controller, assign(primary.id, f"10.9.3.{minute}"))
            incident.log(f"11:{minute:02}:30", controller, unassign(primary.id, f"10.9.3.{minute}"))
        (finding,) = incident.findings("09:00:00", "20:00:00")
        assert (finding.rule, finding.severity) == ("address-churn", Severity.LOW)
        assert "windows-warm-ip-target" in finding.advice
        assert "WARM_IP_TARGET" not in f"{finding.sentence} {finding.advice}"

    def test_silent_for_churn_by_eks_auto_mode(self) -> None:
        incident = Incident()
        primary = node(incident, "10:00:00")
        auto_mode = role_user(
            Role(ACCOUNT, "quay-cluster"),
            "x",
            incident.time("09:00:00"),
            "eks.amazonaws.com",
            "eks.amazonaws.com",
        )
        for minute in range(12):
            incident.log(f"11:{minute:02}:00", auto_mode, assign(primary.id, f"10.9.3.{minute}"))
            incident.log(f"11:{minute:02}:30", auto_mode, unassign(primary.id, f"10.9.3.{minute}"))
        assert incident.findings("09:00:00", "20:00:00") == []
