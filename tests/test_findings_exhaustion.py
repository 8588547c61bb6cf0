"""Full subnets: what they lack, who holds them, for whom calls fail, and what to do about it."""

from dataclasses import replace

import pytest
from callers import (
    Caller,
    Irsa,
    Role,
    auto_scaling,
    aws_service,
    iam_user,
    node_session,
    role_user,
    service_linked,
)
from calls import (
    Call,
    Eni,
    Instance,
    Record,
    assign,
    assign_ipv6_prefix,
    assign_prefix,
    create_network_interface,
    failed,
    run_instances,
)
from cni import CNI_1_18, CNI_1_21, adds_eni, launch, node_tags, of_cni, sdk_of
from incidents import (
    ACCOUNT,
    ADA,
    CLI,
    FULL,
    GO,
    NODE,
    NODE_ROLE,
    OTHER_NODE,
    PROVIDER,
    REGION,
    SUBNET,
    Incident,
    asks,
    cilium,
    cni,
    controller,
    create_subnet,
    creation_refused,
    node,
    of_cilium,
    refused,
    second,
)
from trail import Trail

from cnitrail.model import Finding, Severity

FOR_OTHER_NODE = creation_refused(of_cilium(second(OTHER_NODE), OTHER_NODE), 8, FULL)
"""A request of the Cilium operator that names a node in its description."""

NO_PREFIX = ("Client.InvalidParameterValue", "There aren't sufficient free Ipv4 addresses or prefixes")
NO_BLOCK = (
    "Client.InsufficientCidrBlocks",
    "The specified subnet does not have enough free cidr blocks to satisfy the request.",
)


def exhausted(incident: Incident, until: str = "12:00:00") -> Finding:
    (finding,) = incident.found("subnet-exhausted", "09:00:00", until)
    return finding


def prefixes(eni: Eni, count: int) -> Call:
    """A creation of an ENI with prefixes."""
    blocks = tuple(f"10.9.{number}.0/28" for number in range(10, 10 + count))
    return create_network_interface(replace(eni, secondaries=(), prefixes=blocks))


class TestWhoHoldsIt:
    def story(self) -> Incident:
        """Two clusters, functions and a leaked ENI in one subnet, which is full at 11:00."""
        incident = Incident()
        node(incident, "10:00:00")
        eni = of_cni(
            replace(second(), secondaries=tuple(f"10.9.1.{number}" for number in range(50, 57))),
            NODE,
            incident.time("10:01:00"),
        )
        adds_eni(incident, ("10:01:00", "10:01:01", "10:01:02"), cni(incident), eni, NODE)
        node(incident, "10:02:00", OTHER_NODE, cluster="pier")
        leaked = of_cni(
            replace(second(NODE, 2), secondaries=("10.9.2.10", "10.9.2.11", "10.9.2.12")),
            NODE,
            incident.time("10:03:00"),
        )
        incident.log("10:03:00", cni(incident), create_network_interface(leaked))
        function = Eni("eni-0f1", SUBNET, "10.9.3.4", description="AWS Lambda VPC ENI-orders-0123")
        incident.log("10:04:00", aws_service("lambda.amazonaws.com"), create_network_interface(function))
        incident.log("11:00:00", cni(incident), refused(asks(Eni(f"eni-{NODE[2:]}", SUBNET, ""), 9), FULL))
        incident.log("11:00:00", cni(incident), refused(asks(Eni(f"eni-{NODE[2:]}", SUBNET, ""), 1), FULL))
        return incident

    def test_the_sentence_has_every_holder_and_the_share_of_leaked_enis(self) -> None:
        finding = exhausted(self.story())
        assert finding.sentence == (
            f"{SUBNET.id} did not have enough free IPs: 2 calls failed for {NODE}. The VPC CNI requested a "
            "batch, then a single IP, once; both failed. Of the 15 addresses seen in it: cluster quay 9, "
            "not attached 4, Lambda 1, cluster pier 1. "
            f"{second(NODE, 2).id} is attached to nothing and holds 27%. IPs that were assigned before the "
            "evidence begins are not among them."
        )
        assert "WARM_IP_TARGET" in finding.advice
        assert finding.advice.endswith("Check the subnet for leaked ENIs.")

    def test_the_finding_has_the_census_of_the_first_failure(self) -> None:
        incident = self.story()
        incident.log("11:30:00", cni(incident, OTHER_NODE), assign(f"eni-{OTHER_NODE[2:]}", "10.9.4.4"))
        census = exhausted(incident).census
        assert census is not None
        assert (census.subnet, census.at, census.seen) == (SUBNET.id, incident.time("11:00:00"), 15)
        assert [leak.eni for leak in census.reclaimable] == [second(NODE, 2).id]

    def test_the_creation_of_the_subnet_gives_its_size_and_frees_nothing(self) -> None:
        incident = self.story()
        incident.log("09:30:00", ADA, create_subnet(cidr="10.9.0.0/16"))
        incident.log("11:10:00", ADA, create_subnet(cidr="10.9.0.0/16"))
        finding = exhausted(incident)
        assert finding.severity is Severity.HIGH
        assert "Of the 15 addresses seen in it (of 65,531 in all): cluster quay 9" in finding.sentence
        assert (
            "holds 27%. The other 65,516 were free, or held by ENIs that no event mentions."
            in finding.sentence
        )
        assert "again" not in finding.sentence

    def test_other_findings_have_no_census(self) -> None:
        others = [
            one for one in self.story().findings("09:00:00", "12:00:00") if one.rule != "subnet-exhausted"
        ]
        assert [(one.rule, one.census) for one in others] == [("interface-never-attached", None)]

    def test_a_subnet_that_no_event_names_has_no_census(self) -> None:
        incident = Incident()
        incident.log("10:01:00", cni(incident), refused(asks(second(), 9), FULL))
        finding = exhausted(incident)
        assert finding.census is None
        assert finding.sentence.startswith(
            f"The subnet of {second().id} did not have enough free IPs: 1 call"
        )

    def test_what_happens_in_other_subnets_and_accounts_changes_nothing(self) -> None:
        before = exhausted(self.story())
        incident = self.story()
        other = replace(
            SUBNET, id="subnet-0bbbbbbbbbbbbbbb1", vpc="vpc-0bbbbbbbbbbbbbbb1", account="222233334444"
        )
        stranger = iam_user("222233334444", "eve", "198.51.100.9", CLI)
        incident.log("09:45:00", stranger, create_subnet(other, "10.9.0.0/24"))
        incident.log("09:50:00", stranger, create_network_interface(Eni("eni-0e1", other, "10.9.1.50")))
        after = exhausted(incident)
        assert (after.sentence, after.severity, after.census) == (
            before.sentence,
            before.severity,
            before.census,
        )

    def test_a_log_gap_before_the_failure_is_a_doubt(self) -> None:
        incident = self.story()
        (finding,) = incident.found("subnet-exhausted", "06:00:00", "12:00:00", hole=("06:10:00", "09:55:00"))
        assert [doubt.code.value for doubt in finding.doubts] == ["log-gap"]

    def test_without_a_gap_there_is_no_doubt(self) -> None:
        assert exhausted(self.story()).doubts == ()

    def test_holders_of_several_accounts_are_told_apart(self) -> None:
        incident = self.story()
        other = Trail("other", "222222222222", REGION, "2026-03-02", "1.11")
        terraform = iam_user("222222222222", "terraform", "198.51.100.8", CLI)
        eni = Eni("eni-0e2", SUBNET, "10.9.0.90", secondaries=("10.9.0.91",))
        incident.add(other.record(other.time("10:20:00"), terraform, create_network_interface(eni)))
        assert (
            f"Of the 17 addresses seen in it: cluster quay ({ACCOUNT}) 9, not attached ({ACCOUNT}) 4, other "
            f"ENIs (222222222222) 2, Lambda ({ACCOUNT}) 1, cluster pier ({ACCOUNT}) 1."
        ) in exhausted(incident).sentence


class TestBlocks:
    def test_requests_for_prefixes_lack_blocks_or_addresses(self) -> None:
        incident = Incident()
        for minute in range(3):
            incident.log(f"10:0{minute}:00", cni(incident), failed(prefixes(second(), 1), *NO_PREFIX))
        finding = exhausted(incident)
        assert finding.sentence == (
            f"{SUBNET.id} had too few free /28 blocks (or addresses): the calls requested prefixes. 3 calls "
            f"failed for {NODE} (with error code InvalidParameterValue)."
        )
        assert "create-subnet-cidr-reservation --reservation-type prefix" in finding.advice
        assert "WARM_IP_TARGET" not in finding.advice

    def test_if_ec2_says_so_it_lacks_blocks(self) -> None:
        incident = Incident()
        incident.log("10:01:00", cni(incident), failed(prefixes(second(), 1), *NO_BLOCK))
        sentence = exhausted(incident).sentence
        assert sentence == f"{SUBNET.id} did not have enough free /28 blocks: 1 call failed for {NODE}."

    def test_if_single_addresses_fail_too_it_lacks_addresses(self) -> None:
        incident = Incident()
        incident.log("10:01:00", cni(incident), failed(prefixes(second(), 1), *NO_PREFIX))
        incident.log("10:01:05", cni(incident), creation_refused(second(), 1, NO_PREFIX))
        finding = exhausted(incident)
        assert finding.sentence.startswith(f"{SUBNET.id} did not have enough free IPs: 2 calls failed")
        assert "create-subnet-cidr-reservation" not in finding.advice

    def test_a_launch_that_fails_needed_an_address(self) -> None:
        incident = Incident()
        incident.log("10:01:00", cni(incident), failed(prefixes(second(), 1), *NO_PREFIX))
        first = Eni("eni-0a2", SUBNET, "10.9.0.9")
        launches = run_instances(Instance(OTHER_NODE, "m5.large", first, node_tags("quay", "apps")))
        incident.log("10:02:00", ADA, failed(launches, *FULL))
        assert " did not have enough free IPs: " in exhausted(incident).sentence

    @pytest.mark.parametrize("address", ["10.9.7.7", "10.9.7.0/28"])
    def test_only_another_prefix_shows_that_there_are_blocks_again(self, address: str) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log(
            "10:01:00", cni(incident), failed(assign_prefix(first.id, "10.9.6.0/28", "item"), *NO_PREFIX)
        )
        gets = assign_prefix(first.id, address, "item") if "/" in address else assign(first.id, address)
        incident.log("10:02:00", cni(incident), gets)
        finding = exhausted(incident)
        assert ("It had free /28 blocks again at" in finding.sentence) is ("/" in address)
        assert finding.severity is (Severity.MEDIUM if "/" in address else Severity.HIGH)

    def test_the_fallback_to_a_single_prefix_is_called_so(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for count in (3, 1):
            asked: Record = {"networkInterfaceId": first.id, "ipv4PrefixCount": count}
            call = Call("AssignPrivateIpAddresses", asked, None, error=NO_BLOCK)
            incident.log("10:01:00", cni(incident), call)
        assert (
            "The VPC CNI requested a batch, then a single prefix, once; both failed."
            in exhausted(incident).sentence
        )

    def test_ipv6_prefixes_are_larger(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        call = failed(assign_ipv6_prefix(first.id, "2001:db8:0:1:a::/80"), *NO_BLOCK)
        incident.log("10:01:00", cni(incident), call)
        finding = exhausted(incident)
        assert (
            finding.sentence == f"{SUBNET.id} did not have enough free /80 blocks: 1 call failed for {NODE}."
        )
        assert "no contiguous /80" in finding.advice
        assert "ENABLE_PREFIX_DELEGATION" not in finding.advice  # pods with IPv6 need prefixes


class TestForWhom:
    def test_the_operator_of_cilium_works_for_the_node_in_its_requests(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        node(incident, "10:00:00", OTHER_NODE)
        operator = node_session(NODE_ROLE, NODE, incident.time("10:00:20"), "203.0.113.7", GO).caller
        for minute in range(4):
            incident.log(f"10:1{minute}:00", operator, FOR_OTHER_NODE)
        finding = exhausted(incident)
        assert finding.sentence == (
            f"{SUBNET.id} did not have enough free IPs: 4 calls failed for {OTHER_NODE} (by the description "
            f"in the requests), made by the Cilium operator on {NODE}. Of the 2 addresses seen in it: "
            "cluster quay 2. IPs that were assigned before the evidence begins are not among them."
        )
        assert "Cilium" in finding.advice
        assert "WARM_IP_TARGET" not in finding.advice
        assert NODE not in finding.instances

    def test_an_operator_with_a_service_account_is_on_no_known_node(self) -> None:
        incident = Incident()
        incident.log("10:10:00", cilium(incident), FOR_OTHER_NODE)
        assert exhausted(incident).sentence == (
            f"{SUBNET.id} did not have enough free IPs: 1 call failed for {OTHER_NODE} (by the description "
            "in the requests), made by the Cilium operator."
        )

    def test_a_node_of_the_vpc_cni_is_named_beside_those_of_cilium(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        incident.log("10:10:00", cilium(incident), FOR_OTHER_NODE)
        incident.log("10:11:00", cni(incident), refused(asks(Eni(f"eni-{NODE[2:]}", SUBNET, ""), 9), FULL))
        finding = exhausted(incident)
        assert f"for {NODE} and {OTHER_NODE} (by the description in the requests)" in finding.sentence
        assert "WARM_IP_TARGET" in finding.advice
        assert "CiliumNode" in finding.advice

    @pytest.mark.parametrize(
        ("caller", "name"),
        [
            (aws_service("elasticloadbalancing.amazonaws.com"), "elasticloadbalancing.amazonaws.com"),
            (
                service_linked(
                    ACCOUNT, "eks.amazonaws.com", "AmazonEKS", "AmazonEKS", Incident().time("09:00:00")
                ),
                "eks.amazonaws.com",
            ),
        ],
    )
    def test_a_service_that_got_no_ip_is_named(self, caller: Caller, name: str) -> None:
        incident = Incident()
        for minute in range(3):
            incident.log(f"10:0{minute}:00", caller, failed(create_network_interface(second()), *FULL))
        finding = exhausted(incident)
        assert finding.sentence == (
            f"{SUBNET.id} did not have enough free IPs: 3 calls failed, made by {name} (AWS service)."
        )
        assert "CNI" not in finding.advice
        assert finding.advice.startswith("Use a subnet with free IPs, or release IPs in this one.")

    def test_a_person_beside_a_node_is_counted_apart(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:10:00", cni(incident), refused(asks(first, 1), FULL))
        incident.log("10:11:00", ADA, failed(create_network_interface(second()), *FULL))
        assert (
            f"2 calls failed for {NODE}, 1 of them made by ada (IAM user, aws-cli 2.27.31)."
            in exhausted(incident).sentence
        )

    def test_launches_that_fail_are_named_so(self) -> None:
        incident = Incident()
        launches = run_instances(Instance(OTHER_NODE, "m5.large", second(), node_tags("quay", "apps")))
        for minute in range(2):
            caller = auto_scaling(ACCOUNT, incident.time("09:00:00"))
            incident.log(f"10:0{minute}:00", caller, failed(launches, *FULL))
        finding = exhausted(incident)
        assert "2 RunInstances calls failed, made by autoscaling.amazonaws.com (AWS serv" in finding.sentence
        assert finding.advice.startswith("Launch the instances in a subnet with free IPs")

    def test_enis_of_one_node_whose_subnets_are_unknown_are_one_finding(self) -> None:
        incident = Incident()
        for instance in (NODE, OTHER_NODE):
            for number in (1, 2):
                eni = second(instance, number)
                incident.log(f"10:0{number}:00", cni(incident, instance), refused(asks(eni, 1), FULL))
        found = incident.found("subnet-exhausted", "09:00:00", "12:00:00")
        assert [finding.sentence for finding in found] == [
            f"The subnets of {second(instance, 1).id} and {second(instance, 2).id} did not have enough free "
            f"IPs: 2 calls failed for {instance}."
            for instance in (NODE, OTHER_NODE)
        ]


class TestAdvice:
    def advice(self, caller: Caller, call: Call) -> str:
        incident = Incident()
        incident.log("10:01:00", caller, failed(call, *FULL))
        return exhausted(incident).advice

    def test_windows_nodes_have_settings_of_their_own(self) -> None:
        advice = self.advice(controller(Incident()), asks(second(), 3))
        assert "windows-warm-ip-target" in advice
        assert "WARM_IP_TARGET" not in advice

    def test_auto_mode_keeps_its_own_pool(self) -> None:
        cluster_role = role_user(
            Role(ACCOUNT, "quay-cluster"),
            "eks",
            Incident().time("09:00:00"),
            "eks.amazonaws.com",
            "eks.amazonaws.com",
        )
        advice = self.advice(cluster_role, create_network_interface(second()))
        assert "podSubnetSelectorTerms" in advice
        assert "WARM_IP_TARGET" not in advice

    def test_a_person_gets_no_settings_of_a_cni(self) -> None:
        advice = self.advice(ADA, create_network_interface(second()))
        assert advice == (
            "Use a subnet with free IPs, or release IPs in this one. Check the subnet for leaked ENIs."
        )

    def test_the_vpc_cni_has_its_warm_targets(self) -> None:
        caller = Irsa(Role(ACCOUNT, "quay-cni"), PROVIDER, CNI_1_21, sdk_of(CNI_1_21), "203.0.113.9")
        session = caller.session(Incident().time("09:00:00"), 1)
        assert "WARM_IP_TARGET" in self.advice(session.caller, create_network_interface(second()))


class TestSeverity:
    def full_for(self, nodes: int, clusters: tuple[str, ...] = ("quay",)) -> Incident:
        """A subnet without addresses for a number of nodes, from 11:00 to 11:10."""
        incident = Incident()
        for number in range(nodes):
            instance = f"i-0{number:015x}1"
            first = Eni(f"eni-0{number:015x}1", SUBNET, f"10.9.0.{number + 4}", f"eni-attach-0{number:015x}1")
            tags = node_tags(clusters[number % len(clusters)], "apps")
            launch(incident, "10:00:00", NODE_ROLE, Instance(instance, "m5.large", first, tags))
            incident.log(
                f"11:0{number % 10}:00", cni(incident, instance, CNI_1_18), refused(asks(first, 1), FULL)
            )
        return incident

    @pytest.mark.parametrize(
        ("nodes", "clusters", "until", "severity"),
        [
            (9, ("quay",), "11:10:00", Severity.HIGH),
            (10, ("quay",), "11:10:00", Severity.CRITICAL),
            (2, ("quay", "pier"), "11:10:00", Severity.CRITICAL),
            (10, ("quay",), "14:00:00", Severity.HIGH),
        ],
    )
    def test_it_is_critical_if_it_goes_on_for_many_nodes_or_several_clusters(
        self, nodes: int, clusters: tuple[str, ...], until: str, severity: Severity
    ) -> None:
        assert exhausted(self.full_for(nodes, clusters), until).severity is severity

    def test_a_subnet_that_is_full_twice_is_two_findings(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for hour, address in (("11", "10.9.5.5"), ("14", "")):
            for minute in (0, 2):
                incident.log(f"{hour}:0{minute}:00", cni(incident), refused(asks(first, 1), FULL))
            if address:
                incident.log(f"{hour}:10:00", cni(incident), assign(first.id, address))
        one, other = incident.found("subnet-exhausted", "09:00:00", "14:10:00")[::-1]
        assert (one.severity, other.severity) == (Severity.MEDIUM, Severity.HIGH)
        assert "It had free IPs again at 2026-03-02 11:10:00Z." in one.sentence
        assert (one.until, other.since) == (incident.time("11:02:00"), incident.time("14:00:00"))
        assert one.fingerprint != other.fingerprint

    @pytest.mark.parametrize(("clock", "frees"), [("11:20:00", True), ("14:00:00", False)])
    def test_it_is_one_finding_if_it_was_full_all_the_time_or_only_shortly_not(
        self, clock: str, frees: bool
    ) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("11:00:00", cni(incident), refused(asks(first, 1), FULL))
        if frees:
            incident.log("11:10:00", cni(incident), assign(first.id, "10.9.5.5"))
        incident.log(clock, cni(incident), refused(asks(first, 1), FULL))
        assert len(exhausted(incident, "16:00:00").events) == 2

    def test_it_is_medium_if_the_subnet_has_addresses_again(self) -> None:
        incident = self.full_for(10)
        incident.log(
            "11:20:00", cni(incident, "i-00000000000000001"), assign("eni-00000000000000001", "10.9.5.5")
        )
        assert exhausted(incident, "11:25:00").severity is Severity.MEDIUM


class TestSilent:
    def test_a_subnet_that_is_nearly_full_is_no_finding(self) -> None:
        incident = Incident()
        incident.log("09:30:00", ADA, create_subnet(cidr="10.9.0.0/28"))
        first = node(incident, "10:00:00")
        incident.log(
            "10:01:00", cni(incident), assign(first.id, *(f"10.9.0.{number}" for number in range(4, 13)))
        )
        assert incident.found("subnet-exhausted", "09:00:00", "12:00:00") == []

    def test_the_creation_of_a_subnet_in_a_vpc_without_space_is_no_finding(self) -> None:
        incident = Incident()
        error = ("Client.InsufficientCidrBlocks", "There are not enough free CIDR blocks.")
        incident.log("10:00:00", ADA, failed(create_subnet(), *error))
        assert incident.found("subnet-exhausted", "09:00:00", "12:00:00") == []
