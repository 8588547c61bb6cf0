"""Who manages an ENI, strangers at the ENIs of network plugins, and no false alarms: what attackers try."""

from dataclasses import replace

import pytest
from attacker import create_tags
from callers import (
    Caller,
    PodIdentity,
    Role,
    auto_scaling,
    iam_user,
    node_session,
    on_behalf,
    resource_controller,
    role_user,
    service_linked,
)
from calls import (
    Call,
    Eni,
    assign,
    assign_named,
    attach,
    create_network_interface,
    delete,
    detach,
    done,
    failed,
    terminate,
    unassign,
)
from cni import CNI_1_18, CNI_1_20, adds_eni, of_cni, signs_in
from incidents import (
    ACCOUNT,
    AWS_NODE,
    BOTO,
    CLI,
    CLUSTER,
    FULL,
    GO,
    NODE,
    NODE_ROLE,
    OTHER_NODE,
    REGION,
    SUBNET,
    Incident,
    asks,
    cilium,
    cni,
    node,
    of_cilium,
    second,
)
from test_findings_culprit import DB, DB_ROLE, VIP, by_role, codes, found, grown, host, severe

from cnitrail.model import Finding, Manager, Severity, Strength

EVE = iam_user(ACCOUNT, "eve", "198.51.100.66", CLI)
NO_MANAGE = {"node.k8s.amazonaws.com/no_manage": "true"}
TERRAFORM = "HashiCorp Terraform/1.9.5 (+https://www.terraform.io) aws-sdk-go-v2/1.32.5 ua/2.1 os/linux"
THIRD = "i-0dbdbdbdbdbdbdb03"


def person(incident: Incident, role: str = "admin", agent: str = CLI, session: str = "eve") -> Caller:
    """A role session of a person."""
    return role_user(Role(ACCOUNT, role), session, incident.time("00:00:00"), "198.51.100.66", agent)


def all_found(incident: Incident) -> list[Finding]:
    return incident.findings("09:00:00", "20:00:00")


def told(findings: list[Finding]) -> list[str]:
    """Findings as a reader sees them first."""
    return [f"{finding.rule} {finding.severity.value}: {finding.sentence}" for finding in findings]


def on_node(incident: Incident, caller: Caller, eni: Eni, instance: str = NODE) -> None:
    """Log how a plugin creates an ENI and attaches it."""
    incident.log("10:01:00", caller, create_network_interface(eni))
    incident.log("10:01:02", caller, attach(eni, instance, 1, card=0))


def auto_mode(incident: Incident) -> Caller:
    """EKS Auto Mode, with the role of the cluster."""
    role = role_user(
        Role(ACCOUNT, "quay-auto-cluster"),
        "aws-go-sdk-1772431200",
        incident.time("00:00:00"),
        "eks.amazonaws.com",
        "eks.amazonaws.com",
    )
    return replace(role, tls=False)


def of_auto_mode(eni: Eni) -> Eni:
    tags = {"eks:eks-cluster-name": CLUSTER, "eks:kubernetes-cni-node-name": NODE}
    return replace(eni, tags=tags, secondaries=("10.9.1.50", "10.9.1.51"))


def assign_ipv6(eni: str, *addresses: str) -> Call:
    """Assign IPv6 addresses by name; there is no reassignment of these."""
    request = {
        "networkInterfaceId": eni,
        "ipv6Addresses": {"item": [{"ipv6Address": at} for at in addresses]},
    }
    return Call(
        "AssignIpv6Addresses",
        request,
        done(networkInterfaceId=eni, assignedIpv6Addresses={"item": list(addresses)}),
    )


def unassign_ipv6(eni: str, *, addresses: tuple[str, ...] = (), prefixes: tuple[str, ...] = ()) -> Call:
    """Release IPv6 addresses or prefixes."""
    request = {
        "networkInterfaceId": eni,
        "ipv6Addresses": {"item": list(addresses)} if addresses else {},
        "ipv6Prefixes": {"item": list(prefixes)} if prefixes else {},
    }
    return Call("UnassignIpv6Addresses", request, done(networkInterfaceId=eni))


class TestStrangersAtTheEnisOfOtherPlugins:
    def cilium_eni(self, incident: Incident) -> Eni:
        node(incident, "10:00:00")
        eni = replace(of_cilium(second(), NODE), secondaries=("10.9.1.50", "10.9.1.51"))
        on_node(incident, cilium(incident), eni)
        return eni

    def test_a_release_on_a_second_eni_of_cilium_is_high(self) -> None:
        incident = Incident()
        eni = self.cilium_eni(incident)
        incident.log("11:00:00", EVE, unassign(eni.id, "10.9.1.50"))
        (finding,) = all_found(incident)
        assert (finding.rule, finding.severity) == ("address-released-by-hand", Severity.HIGH)
        assert finding.sentence == (
            f"eve (IAM user, aws-cli 2.27.31) released 10.9.1.50 from {eni.id} of {NODE} (an "
            "ENI managed by Cilium)."
        )
        assert "VPC CNI" not in finding.advice

    def test_an_assignment_to_it_is_medium(self) -> None:
        incident = Incident()
        eni = self.cilium_eni(incident)
        incident.log("11:00:00", EVE, assign_named(eni.id, "10.9.1.90"))
        (finding,) = all_found(incident)
        assert (finding.rule, finding.severity) == ("address-assigned-by-hand", Severity.MEDIUM)

    def test_the_user_agent_of_the_resource_controller_hides_nobody(self) -> None:
        incident = Incident()
        eni = self.cilium_eni(incident)
        disguised = resource_controller(Role(ACCOUNT, "ci-runner"), incident.time("00:00:00"))
        incident.log("11:00:00", disguised, unassign(eni.id, "10.9.1.50"))
        (finding,) = all_found(incident)
        assert finding.severity is Severity.HIGH

    def test_silent_for_the_operator_itself(self) -> None:
        incident = Incident()
        eni = self.cilium_eni(incident)
        incident.log("11:00:00", cilium(incident), unassign(eni.id, "10.9.1.50"))
        incident.log("11:10:00", cilium(incident), assign(eni.id, "10.9.1.52"))
        assert all_found(incident) == []

    def kops_operator(self, incident: Incident, agent: str = GO) -> Caller:
        """The Cilium operator of kOps, with the role of a control plane node."""
        role, instance = Role(ACCOUNT, "masters.quay.example.net"), "i-0ccccccccccccccc9"
        return node_session(role, instance, incident.time("00:00:00"), "203.0.113.7", agent).caller

    def test_silent_for_an_operator_with_the_role_of_a_control_plane_node(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        operator = self.kops_operator(incident, f"{GO} cilium-operator/1.16.1")
        eni = of_cilium(second(), NODE)
        on_node(incident, operator, eni)
        for name in (eni.id, first.id):
            incident.log("11:00:00", operator, assign(name, f"10.9.3.{name[-1]}"))
            incident.log("11:10:00", operator, unassign(name, f"10.9.3.{name[-1]}"))
        assert all_found(incident) == []

    def test_silent_for_an_operator_whose_service_account_has_another_name(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        irsa = replace(AWS_NODE, role=Role(ACCOUNT, "cni"), agent=GO, service_account="net:operator")
        operator = signs_in(incident, "09:59:00", irsa, 5)
        eni = of_cilium(second(), NODE)
        on_node(incident, operator, eni)
        for name in (eni.id, first.id):
            incident.log("11:00:00", operator, assign(name, f"10.9.3.{name[-1]}"))
            incident.log("11:10:00", operator, unassign(name, f"10.9.3.{name[-1]}"))
        assert all_found(incident) == []

    def test_a_stranger_there_is_medium_because_cilium_is_only_claimed(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        eni = replace(of_cilium(second(), NODE), secondaries=("10.9.1.50",))
        on_node(incident, self.kops_operator(incident), eni)
        incident.log("11:00:00", EVE, unassign(eni.id, "10.9.1.50"))
        (finding,) = all_found(incident)
        assert finding.severity is Severity.MEDIUM

    def auto_eni(self, incident: Incident) -> Eni:
        node(incident, "10:00:00")
        eni = of_auto_mode(second())
        on_node(incident, auto_mode(incident), eni)
        return eni

    def test_an_eni_of_eks_auto_mode(self) -> None:
        incident = Incident()
        eni = self.auto_eni(incident)
        incident.log("11:00:00", EVE, unassign(eni.id, "10.9.1.50"))
        incident.log("12:00:00", EVE, detach(eni))
        rules = {finding.rule: finding.severity for finding in all_found(incident)}
        assert rules["address-released-by-hand"] is Severity.HIGH
        assert rules["cni-eni-removed"] is Severity.HIGH

    def test_silent_for_eks_itself(self) -> None:
        incident = Incident()
        eni = self.auto_eni(incident)
        incident.log("11:00:00", auto_mode(incident), assign(eni.id, "10.9.1.80"))
        incident.log("11:10:00", auto_mode(incident), unassign(eni.id, "10.9.1.50"))
        incident.log("12:00:00", auto_mode(incident), detach(eni))
        incident.log("12:00:05", auto_mode(incident), delete(eni))
        assert severe(incident) == []

    def windows(self, incident: Incident) -> tuple[Eni, Caller]:
        """A Windows node whose addresses the resource controller assigned."""
        first = node(incident, "10:00:00")
        caller = resource_controller(Role(ACCOUNT, "quay-cluster-role"), incident.time("00:00:00"))
        incident.log("10:03:00", caller, asks(first, 3))
        return first, caller

    def test_a_release_on_a_windows_node_is_medium(self) -> None:
        incident = Incident()
        first, _ = self.windows(incident)
        incident.log("11:00:00", EVE, unassign(first.id, "10.9.3.1"))
        (finding,) = all_found(incident)
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence.endswith("(an ENI managed by the VPC resource controller).")

    def test_silent_for_the_resource_controller_on_a_windows_node(self) -> None:
        incident = Incident()
        first, caller = self.windows(incident)
        incident.log("11:00:00", caller, unassign(first.id, "10.9.3.1"))
        assert all_found(incident) == []


class TestCallersThatLookLikeTheCni:
    @pytest.mark.parametrize("agent", [GO, CNI_1_18, CNI_1_20], ids=["no-name", "its-name", "newer"])
    def test_a_role_of_a_person_is_found_with_a_doubt(self, agent: str) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", person(incident, agent=agent), unassign(eni.id, "10.9.1.50"))
        (finding,) = all_found(incident)
        assert (finding.rule, finding.severity) == ("address-released-by-hand", Severity.MEDIUM)
        assert codes(finding) == ["caller-may-be-cni"]

    def test_silent_for_a_session_of_the_role_with_which_the_cni_calls(self) -> None:
        incident = Incident()
        eni = grown(incident)
        caller = role_user(NODE_ROLE, "kube2iam", incident.time("00:00:00"), "203.0.113.7", GO)
        incident.log("11:00:00", caller, unassign(eni.id, "10.9.1.50"))
        assert all_found(incident) == []

    def test_the_role_of_an_unknown_pod_is_not_taken_for_the_cni(self) -> None:
        incident = Incident()
        grown(incident)
        irsa = replace(AWS_NODE, role=Role(ACCOUNT, "some-pod"), agent=GO)
        pod = irsa.session(incident.time("10:50:00"), 3).caller  # which event issued it is not known
        incident.log("11:00:00", pod, unassign(second().id, "10.9.1.50"))
        history = incident.history()
        (last,) = [event for event in history.events if event.name == "UnassignPrivateIpAddresses"]
        assert history.actors[last.key].ipamd is None

    def test_a_node_never_changes_addresses_of_another_node(self) -> None:
        incident = Incident()
        eni = grown(incident)
        grown(incident, OTHER_NODE, 2)
        incident.log("11:00:00", cni(incident, OTHER_NODE), unassign(eni.id, "10.9.1.50"))
        (finding,) = all_found(incident)
        assert (finding.rule, finding.severity) == ("address-released-by-hand", Severity.HIGH)
        assert finding.sentence.startswith(f"{OTHER_NODE} (instance role, amazon-vpc-cni-k8s v1.18.3)")

    def test_nor_does_it_detach_an_eni_of_another_node(self) -> None:
        incident = Incident()
        eni = grown(incident)
        grown(incident, OTHER_NODE, 2)
        incident.log("11:00:00", cni(incident, OTHER_NODE), detach(eni))
        (finding,) = found(incident, "cni-eni-removed")
        assert (finding.severity, finding.doubts) == (Severity.HIGH, ())

    def test_silent_if_a_node_deletes_what_another_left_behind(self) -> None:
        incident = Incident()
        eni = grown(incident)
        grown(incident, OTHER_NODE, 2)
        incident.log("11:00:00", cni(incident), detach(eni))
        incident.log("11:20:00", cni(incident, OTHER_NODE), delete(eni))
        assert severe(incident) == []


class TestCnisOfOtherClusters:
    """aws-node calls for nodes of its own cluster only; the credentials of one reach all of an account."""

    CNI = AWS_NODE
    CNI_OF_DEV = replace(
        AWS_NODE, role=Role(ACCOUNT, "dev-cni"), provider=AWS_NODE.provider.replace("QUAY", "DEV")
    )

    def pod(self, incident: Incident, cluster: str, agent: str = CNI_1_18) -> Caller:
        """Return aws-node of a cluster with EKS Pod Identity."""
        role = Role(ACCOUNT, f"{cluster}-cni")
        pod = PodIdentity(
            role, cluster, REGION, f"aws-node-{cluster}", f"{cluster}-uid", f"{cluster}-session"
        )
        session = pod.session(incident.time("10:00:00"), "203.0.113.7", agent)
        incident.log("10:00:00", *session.opened)
        return session.caller

    def add(self, incident: Incident, caller: Caller) -> Eni:
        """Add an ENI to a node of the cluster, as its CNI does."""
        node(incident, "10:00:00")
        eni = of_cni(replace(second(), secondaries=("10.9.1.50",)), NODE, incident.time("10:01:00"))
        adds_eni(incident, ("10:01:00", "10:01:01", "10:01:02"), caller, eni, NODE)
        return eni

    def told(self, incident: Incident) -> list[tuple[str, Severity, str]]:
        return [
            (finding.rule, finding.severity, finding.sentence.partition(" of the VPC CNI")[0])
            for finding in all_found(incident)
        ]

    @pytest.mark.parametrize("agent", [CNI_1_18, CNI_1_20])
    def test_the_pod_of_another_cluster_takes_ips_and_enis_of_a_node(self, agent: str) -> None:
        incident = Incident()
        eni = self.add(incident, self.pod(incident, "quay"))
        stranger = self.pod(incident, "dev", agent)
        incident.log("11:00:00", stranger, unassign(eni.id, "10.9.1.50"))
        incident.log("11:00:10", stranger, detach(eni))
        incident.log("11:00:20", stranger, delete(eni))
        program = "amazon-vpc-cni-k8s v1.18.3" if agent == CNI_1_18 else "aws-sdk-go-v2/1.39.2"
        who = f"kube-system/aws-node (Pod Identity, cluster dev, {program})"
        assert self.told(incident) == [
            (
                "address-released-by-hand",
                Severity.HIGH,
                f"{who} released 10.9.1.50 from {eni.id} of {NODE} (an ENI managed by the VPC CNI).",
            ),
            ("cni-eni-removed", Severity.MEDIUM, f"{who} detached {eni.id}"),
        ]

    def test_so_does_one_whose_oidc_provider_is_another_clusters(self) -> None:
        incident = Incident()
        eni = self.add(incident, signs_in(incident, "10:00:30", self.CNI, 1))
        stranger = signs_in(incident, "10:50:00", self.CNI_OF_DEV, 2)
        incident.log("11:00:00", stranger, unassign(eni.id, "10.9.1.50"))
        (finding,) = all_found(incident)
        assert (finding.rule, finding.severity) == ("address-released-by-hand", Severity.HIGH)
        assert finding.sentence == (
            "kube-system/aws-node (IRSA, role dev-cni, amazon-vpc-cni-k8s v1.18.3) released 10.9.1.50 from "
            f"{eni.id} of {NODE} (an ENI managed by the VPC CNI)."
        )

    def test_the_tags_of_a_node_show_its_cluster_if_nothing_shows_who_created_the_eni(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", self.pod(incident, "quay"), asks(first, 2))
        incident.log("11:00:00", self.pod(incident, "dev"), unassign(first.id, "10.9.2.1"))
        assert [(rule, severity) for rule, severity, _ in self.told(incident)] == [
            ("address-released-by-hand", Severity.HIGH)
        ]

    def test_silent_for_a_cni_that_got_another_kind_of_role(self) -> None:
        incident = Incident()
        eni = self.add(incident, signs_in(incident, "10:00:30", self.CNI, 1))
        incident.log("11:00:00", self.pod(incident, "quay"), unassign(eni.id, "10.9.1.50"))
        incident.log("11:00:10", cni(incident), detach(eni))
        assert severe(incident) == []

    def test_silent_for_both_urls_of_one_oidc_provider(self) -> None:
        incident = Incident()
        eni = self.add(incident, signs_in(incident, "10:00:30", self.CNI, 1))
        dual_stack = self.CNI.provider.replace(
            "oidc.eks.eu-west-1.amazonaws.com", "oidc-eks.eu-west-1.api.aws"
        )
        caller = signs_in(incident, "10:50:00", replace(self.CNI, provider=dual_stack), 2)
        incident.log("11:00:00", caller, unassign(eni.id, "10.9.1.50"))
        assert all_found(incident) == []

    def test_silent_for_a_cni_that_deletes_what_the_cni_of_another_cluster_left_behind(self) -> None:
        incident = Incident()
        eni = self.add(incident, self.pod(incident, "quay"))
        incident.log("11:00:00", self.pod(incident, "quay"), detach(eni))
        incident.log("11:20:00", self.pod(incident, "dev"), delete(eni))
        assert severe(incident) == []


class TestOwnDetachments:
    def test_a_cni_without_a_name_is_known_by_the_eni_that_it_detaches(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", cni(incident, agent=GO), detach(eni))
        history = incident.history()
        (last,) = [event for event in history.events if event.name == "DetachNetworkInterface"]
        assert history.actors[last.key].ipamd == "eni-lineage"

    def test_a_node_that_detaches_an_eni_of_another_node_is_not_its_cni(self) -> None:
        incident = Incident()
        eni = grown(incident)
        grown(incident, OTHER_NODE, 2)
        incident.log("11:00:00", cni(incident, OTHER_NODE), detach(eni))
        incident.log("11:00:05", cni(incident, OTHER_NODE), delete(eni))
        history = incident.history()
        (last,) = [event for event in history.events if event.name == "DetachNetworkInterface"]
        assert history.actors[last.key].ipamd is None
        (finding,) = all_found(incident)
        assert (finding.severity, finding.doubts) == (Severity.HIGH, ())
        assert finding.sentence.endswith("with 3 IPs, and deleted it.")


class TestClaimsOfManagement:
    def two_nodes(self, incident: Incident) -> Eni:
        """Two nodes of a cluster, of which only one shows the VPC CNI; return the other's first ENI."""
        first, other = node(incident, "10:00:00"), node(incident, "10:00:10", OTHER_NODE)
        incident.log("10:01:00", cni(incident), asks(first, 9))
        return other

    def test_a_failed_creation_makes_no_node_of_the_vpc_cni_one_of_cilium(self) -> None:
        incident = Incident()
        other = self.two_nodes(incident)
        claim = failed(create_network_interface(of_cilium(second(), OTHER_NODE)), *FULL)
        for caller in (person(incident), cni(incident, OTHER_NODE, GO)):
            incident.log("10:05:00", caller, claim)
        incident.log("11:00:00", EVE, unassign(other.id, "10.9.4.7"))
        assert incident.history().manager_of_node(OTHER_NODE).manager is Manager.VPC_CNI
        (finding,) = found(incident, "address-released-by-hand")
        assert finding.severity is Severity.MEDIUM
        assert "Cilium" not in f"{finding.sentence} {finding.advice}"

    def test_nor_does_an_eni_of_another_node_that_looks_like_ciliums(self) -> None:
        incident = Incident()
        other = self.two_nodes(incident)
        node(incident, "10:00:20", "i-0eeeeeeeeeeeeeee1")
        fake = of_cilium(second(number=7), "i-0eeeeeeeeeeeeeee1")
        incident.log("10:05:00", person(incident), create_network_interface(fake))
        incident.log("10:05:05", person(incident), attach(fake, "i-0eeeeeeeeeeeeeee1", 1))
        incident.log("11:00:00", EVE, unassign(other.id, "10.9.4.7"))
        assert incident.history().manager_of_node(OTHER_NODE).manager is Manager.VPC_CNI
        (finding,) = found(incident, "address-released-by-hand")
        assert finding.severity is Severity.MEDIUM

    def test_a_failed_creation_makes_no_host_outside_kubernetes_a_node(self) -> None:
        incident = Incident()
        hosts = host(incident, "09:00:00", DB[0], 11), host(incident, "09:00:10", DB[1], 12)
        claim = failed(create_network_interface(of_cilium(second(), DB[0])), *FULL)
        incident.log("09:30:00", person(incident), claim)
        for number in range(4):
            caller = by_role(incident, DB_ROLE, DB[number % 2])
            incident.log(f"1{number}:00:00", caller, assign_named(hosts[number % 2].id, VIP, reassign=True))
        (finding,) = found(incident, "address-reassigned")
        assert finding.severity is Severity.INFO

    def test_the_service_account_of_cilium_is_believed_even_if_its_calls_fail(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        claim = failed(create_network_interface(of_cilium(second(), NODE)), *FULL)
        incident.log("10:05:00", cilium(incident), claim)
        managed = incident.history().manager_of_node(NODE)
        assert (managed.manager, managed.strength) == (Manager.CILIUM, Strength.OBSERVED)

    def test_the_role_of_a_node_is_believed_where_nothing_else_is_known(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        claim = failed(create_network_interface(of_cilium(second(), NODE)), *FULL)
        incident.log("10:05:00", cni(incident, OTHER_NODE, GO), claim)
        managed = incident.history().manager_of_node(NODE)
        assert (managed.manager, managed.strength) == (Manager.CILIUM, Strength.CLAIMED)

    def test_a_trunk_of_ecs_is_not_the_resource_controllers(self) -> None:
        incident = Incident()
        trunk = replace(second(), type="trunk")
        ecs = service_linked(ACCOUNT, "ecs.amazonaws.com", "ECS", "ecs", incident.time("00:00:00"))
        incident.log("10:00:00", ecs, create_network_interface(trunk))
        assert incident.history().manager_of(trunk.id).manager is Manager.AWS_SERVICE

    def test_a_trunk_that_somebody_creates_and_deletes_is_no_finding(self) -> None:
        incident = Incident()
        trunk = replace(second(), type="trunk")
        incident.log("10:00:00", EVE, create_network_interface(trunk))
        incident.log("12:00:00", EVE, delete(trunk))
        assert incident.history().manager_of(trunk.id).strength is Strength.CLAIMED
        assert found(incident, "cni-eni-removed") == []

    def test_a_later_takeover_by_cilium_changes_nothing_about_an_earlier_attack(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", EVE, unassign(eni.id, "10.9.1.50"))
        incident.log("12:00:00", cilium(incident), assign(eni.id, "10.9.1.60"))
        (finding,) = found(incident, "address-released-by-hand")
        assert finding.severity is Severity.HIGH


class TestMultus:
    def enis(self, incident: Incident, tagger: Caller | None) -> list[Eni]:
        """An ENI for Multus on each of two nodes; the tag is written later, by the creator or another."""
        creator = person(incident, "multus-lambda", BOTO, "attach")
        enis = []
        for number, instance in enumerate((NODE, OTHER_NODE), start=1):
            grown(incident, instance, number)
            eni = Eni(f"eni-0aaaaaaa0000000{number}0", SUBNET, f"10.9.6.{number}", f"eni-attach-0a{number}")
            incident.log("10:30:00", creator, create_network_interface(eni))
            incident.log("10:30:05", creator, attach(eni, instance, 2))
            incident.log("10:30:08", tagger or creator, create_tags(eni.id, NO_MANAGE))
            enis.append(eni)
        return enis

    def moves(self, incident: Incident, enis: list[Eni]) -> None:
        """A service account moves an address from one ENI to the other, once."""
        account = replace(AWS_NODE, role=Role(ACCOUNT, "whereabouts"), agent=BOTO, sdk=BOTO)
        caller = signs_in(incident, "10:50:00", replace(account, service_account="kube-system:multus"), 7)
        for clock, eni in zip(("11:00:00", "12:00:00"), enis, strict=True):
            incident.log(clock, caller, assign_named(eni.id, "10.9.6.50", reassign=True))

    def test_a_tag_that_the_creator_writes_after_the_creation_counts(self) -> None:
        incident = Incident()
        self.moves(incident, self.enis(incident, None))
        assert severe(incident) == []

    def test_a_tag_that_somebody_else_writes_does_not(self) -> None:
        incident = Incident()
        enis = self.enis(incident, EVE)
        assert incident.history().manager_of(enis[0].id).manager is Manager.UNKNOWN
        self.moves(incident, enis)
        assert [finding.severity for finding in severe(incident)] == [Severity.MEDIUM]

    def test_silent_for_whoever_detaches_such_an_eni(self) -> None:
        incident = Incident()
        (eni, _) = self.enis(incident, None)
        incident.log("12:00:00", EVE, detach(eni))
        incident.log("12:00:10", EVE, delete(eni))
        assert severe(incident) == []


class TestVirtualIps:
    def hosts(self, incident: Incident) -> tuple[Eni, Eni, Eni]:
        return (
            host(incident, "09:00:00", DB[0], 11),
            host(incident, "09:00:10", DB[1], 12),
            host(incident, "09:00:20", THIRD, 13),
        )

    def failover(self, incident: Incident, enis: tuple[Eni, ...], order: str, roles: str = "aaa") -> None:
        """Hosts take the virtual IP from each other, in an order, each with its role."""
        for number, index in enumerate(map(int, order)):
            caller = by_role(incident, Role(ACCOUNT, f"db-{roles[index]}"), (*DB, THIRD)[index])
            taken = assign_named(enis[index].id, VIP, reassign=True)
            incident.log(f"{10 + number}:00:00", caller, taken)

    def severities(self, incident: Incident) -> list[Severity]:
        return [finding.severity for finding in all_found(incident)]

    def test_three_hosts_with_one_role_are_a_group(self) -> None:
        incident = Incident()
        self.failover(incident, self.hosts(incident), "012021")
        assert self.severities(incident) == [Severity.INFO]

    def test_three_hosts_with_a_role_each_are_one_low_finding(self) -> None:
        incident = Incident()
        self.failover(incident, self.hosts(incident), "012021", "abc")
        assert self.severities(incident) == [Severity.LOW]

    def test_a_stranger_takes_it_to_another_eni(self) -> None:
        incident = Incident()
        enis = self.hosts(incident)
        self.failover(incident, enis, "0101")
        incident.log("15:00:00", EVE, assign_named(enis[2].id, VIP, reassign=True))
        incident.log("16:00:00", by_role(incident, Role(ACCOUNT, "db-a"), DB[1]), unassign(enis[1].id, VIP))
        theft, usual = all_found(incident)
        assert (theft.severity, usual.severity) == (Severity.MEDIUM, Severity.INFO)
        assert theft.sentence == (
            f"eve (IAM user, aws-cli 2.27.31) moved the virtual IP {VIP} from {enis[1].id} of {DB[1]} to "
            f"{enis[2].id} of {THIRD} at 2026-03-02 15:00:00Z. Otherwise it moved 3 times between "
            f"{DB[0]} and {DB[1]}, by the instance that got it, with its own role."
        )

    def test_the_order_of_habit_and_theft_does_not_matter(self) -> None:
        incident = Incident()
        enis = self.hosts(incident)
        incident.log("09:10:00", EVE, assign_named(enis[2].id, VIP, reassign=True))
        self.failover(incident, enis, "0101")
        assert self.severities(incident) == [Severity.MEDIUM, Severity.INFO]

    def test_a_theft_by_release_and_assignment_is_found_as_well(self) -> None:
        incident = Incident()
        enis = self.hosts(incident)
        self.failover(incident, enis, "0101")
        incident.log("15:00:00", EVE, unassign(enis[1].id, VIP))
        incident.log("15:00:03", EVE, assign_named(enis[2].id, VIP))
        assert self.severities(incident) == [Severity.MEDIUM, Severity.INFO]

    def test_a_person_who_moves_it_within_the_group_is_low(self) -> None:
        incident = Incident()
        enis = self.hosts(incident)
        self.failover(incident, enis, "0101")
        incident.log("15:00:00", EVE, assign_named(enis[0].id, VIP, reassign=True))
        assert self.severities(incident) == [Severity.LOW, Severity.INFO]

    def test_the_same_address_in_another_vpc_is_no_theft(self) -> None:
        incident = Incident()
        enis = self.hosts(incident)
        self.failover(incident, enis, "0101")
        elsewhere = replace(SUBNET, id="subnet-0cccccccccccccccc", vpc="vpc-0cccccccccccccccc")
        eni = Eni("eni-0cccccccccccccccc", elsewhere, "10.9.5.9")
        incident.log("14:00:00", EVE, create_network_interface(eni))
        incident.log("15:00:00", EVE, assign_named(eni.id, VIP))
        (finding,) = found(incident, "address-reassigned")
        assert finding.severity is Severity.INFO

    def test_addresses_that_move_in_one_call_each_are_one_finding(self) -> None:
        incident = Incident()
        enis = self.hosts(incident)
        for number in range(4):
            for index in range(3):
                taken = assign_named(enis[number % 2].id, f"10.9.5.10{index}", reassign=True)
                incident.log(f"1{number}:00:0{index}", by_role(incident, DB_ROLE, DB[number % 2]), taken)
        (finding,) = all_found(incident)
        assert finding.sentence.startswith(
            "Virtual IPs: 10.9.5.100, 10.9.5.101 and 10.9.5.102 moved 3 times between "
        )
        assert len(finding.events) == 12

    def test_sessions_that_only_look_like_instances_are_named_by_their_role(self) -> None:
        incident = Incident()
        enis = self.hosts(incident)
        for number in range(4):
            caller = role_user(DB_ROLE, DB[number % 2], incident.time("00:00:00"), "203.0.113.7", CLI)
            incident.log(f"1{number}:00:00", caller, assign_named(enis[number % 2].id, VIP, reassign=True))
        (finding,) = all_found(incident)
        assert finding.severity is Severity.INFO
        assert "each time by db-cluster-role (assumed role, aws-cli 2.27.31)" in finding.sentence

    def test_silent_for_ipv6_and_for_release_and_assignment_between_hosts(self) -> None:
        incident = Incident()
        enis = self.hosts(incident)
        for number in range(4):
            caller, eni = by_role(incident, DB_ROLE, DB[number % 2]), enis[number % 2].id
            incident.log(f"1{number}:00:00", caller, assign_ipv6(eni, "2001:db8::100"))
            incident.log(f"1{number}:00:01", caller, assign_named(eni, VIP))
            incident.log(f"1{number}:50:00", caller, unassign_ipv6(eni, addresses=("2001:db8::100",)))
            incident.log(f"1{number}:50:01", caller, unassign(eni, VIP))
        assert all_found(incident) == []


class TestIpv6:
    def test_a_single_address_on_an_eni_of_the_cni_is_low_for_pods_never_get_it(self) -> None:
        incident = Incident()
        eni = grown(incident)
        caller = by_role(incident, NODE_ROLE, NODE)
        incident.log("11:00:00", caller, assign_ipv6(eni.id, "2001:db8::100"))
        (finding,) = all_found(incident)
        assert finding.severity is Severity.LOW
        assert finding.advice.startswith("The VPC CNI does not assign single IPv6 addresses to pods")

    def test_a_prefix_that_a_stranger_releases_is_high(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", EVE, unassign_ipv6(eni.id, prefixes=("2001:db8:0:1::/80",)))
        (finding,) = all_found(incident)
        assert finding.severity is Severity.HIGH


class TestRemovals:
    @pytest.mark.parametrize("service", ["ssm.amazonaws.com", "cloudformation.amazonaws.com"])
    def test_a_customers_role_behind_a_service(self, service: str) -> None:
        incident = Incident()
        eni = grown(incident)
        caller = on_behalf(person(incident, "automation").identity, service)
        incident.log("11:00:00", caller, detach(eni))
        incident.log("11:00:05", caller, delete(eni))
        (finding,) = all_found(incident)
        assert finding.severity is Severity.HIGH
        assert finding.sentence == (
            f"automation/eve (assumed role, {service}) detached {eni.id} of the VPC CNI from {NODE} at "
            "2026-03-02 11:00:00Z, with 3 IPs, and deleted it."
        )

    def test_silent_for_service_linked_roles(self) -> None:
        incident = Incident()
        eni, other = grown(incident), grown(incident, OTHER_NODE, 2)
        incident.log("11:00:00", auto_scaling(ACCOUNT, incident.time("00:00:00")), detach(eni))
        spot = service_linked(ACCOUNT, "spot.amazonaws.com", "EC2Spot", "spot", incident.time("00:00:00"))
        incident.log("11:00:00", spot, detach(other))
        incident.log("11:00:05", spot, delete(other))
        assert found(incident, "cni-eni-removed") == []

    def test_silent_for_who_terminates_a_node(self) -> None:
        incident = Incident()
        grown(incident)
        karpenter = person(incident, "karpenter", f"{GO} karpenter.sh-1.5.0", "1772431200")
        incident.log("11:00:00", karpenter, terminate(NODE))
        assert severe(incident) == []

    def test_a_job_between_the_detachment_and_the_deletion_of_the_cni_harms_nothing(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", cni(incident), detach(eni))
        incident.log("11:00:01", person(incident, "janitor", BOTO, "sweep"), delete(eni))
        (finding,) = all_found(incident)
        assert (finding.rule, finding.severity) == ("cni-eni-removed", Severity.INFO)
        assert finding.sentence == (
            f"janitor/sweep (assumed role, Boto3/1.34.20) deleted {eni.id} of the VPC CNI, which the CNI "
            "itself had just detached."
        )
        assert finding.advice.startswith("Nothing was lost. The VPC CNI deletes such an ENI itself")

    def older(self, incident: Incident) -> Eni:
        """An ENI whose attachment is older than the evidence, with addresses of the CNI."""
        node(incident, "10:00:00")
        eni = second()
        incident.log("11:00:00", cni(incident), assign(eni.id, "10.9.1.50", "10.9.1.51"))
        return eni

    def test_a_deletion_right_after_a_detachment_that_names_no_eni(self) -> None:
        incident = Incident()
        eni = self.older(incident)
        incident.log("12:00:00", EVE, detach(eni))
        incident.log("12:00:08", EVE, delete(eni))
        (finding,) = found(incident, "cni-eni-removed")
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence == (
            f"eve (IAM user, aws-cli 2.27.31) deleted {eni.id} of the VPC CNI at 2026-03-02 12:00:08Z, soon "
            f"after it detached {eni.attachment}."
        )
        assert len(finding.events) == 2

    @pytest.mark.parametrize(("clock", "caller"), [("11:20:00", EVE), ("11:59:55", person(Incident()))])
    def test_one_long_before_or_by_another_caller_says_nothing(self, clock: str, caller: Caller) -> None:
        incident = Incident()
        eni = self.older(incident)
        incident.log(clock, caller, detach(eni))
        incident.log("12:00:08", EVE, delete(eni))
        (finding,) = found(incident, "cni-eni-removed")
        assert finding.severity is Severity.LOW

    def test_silent_for_a_detachment_of_which_nothing_shows_the_eni(self) -> None:
        incident = Incident()
        eni = self.older(incident)
        incident.log("12:00:00", EVE, detach(eni))
        assert severe(incident) == []


class TestOpenShift:
    ROLES = (
        "quay-x7-openshift-cloud-network-config-controller-cloud-credenti",
        "ROSA_quay-openshift-cloud-network-config-controller-cloud-creden",
    )

    def controller(self, incident: Incident, role: str) -> Caller:
        """The controller with a role of STS; the event that issued the session is not in the evidence."""
        irsa = replace(
            AWS_NODE,
            role=Role(ACCOUNT, role),
            agent="aws-sdk-go/1.44.204 (go1.19; linux; amd64)",
            service_account="openshift-cloud-network-config-controller:cloud-network-config-controller",
        )
        return irsa.session(incident.time("10:10:00"), 1).caller

    @pytest.mark.parametrize("role", ROLES)
    def test_silent_for_its_role(self, role: str) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("11:00:00", self.controller(incident, role), assign_named(first.id, "10.9.0.77"))
        incident.log("12:00:00", self.controller(incident, role), unassign(first.id, "10.9.0.77"))
        assert all_found(incident) == []

    def test_a_stranger_on_its_node_is_medium(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        caller = self.controller(incident, self.ROLES[0])
        incident.log("11:00:00", caller, assign_named(first.id, "10.9.0.77"))
        incident.log("12:00:00", EVE, unassign(first.id, "10.9.0.77"))
        (finding,) = all_found(incident)
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence.endswith("(an ENI managed by OpenShift).")
