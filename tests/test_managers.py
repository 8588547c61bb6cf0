"""Who manages the addresses of an ENI and of a node, and how that is known."""

from dataclasses import replace

from attacker import create_tags
from callers import Role, iam_user, role_user
from calls import Eni, Instance, assign, assign_named, attach, create_network_interface
from cni import adds_eni, launch, of_cni, signs_in
from incidents import (
    ACCOUNT,
    ADA,
    AWS_NODE,
    CLUSTER,
    FULL,
    GO,
    NODE,
    NODE_ROLE,
    OTHER_NODE,
    SUBNET,
    Incident,
    asks,
    cilium,
    cni,
    controller,
    creation_refused,
    node,
    of_cilium,
    refused,
    second,
)

from cnitrail.model import Management, ManagementBasis, Manager, Strength


class TestEni:
    def test_the_vpc_cni_manages_what_it_created_for_its_node(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        eni = of_cni(second(), NODE, incident.time("10:01:00"))
        adds_eni(incident, ("10:01:00", "10:01:01", "10:01:02"), cni(incident), eni, NODE)
        assert incident.history().manager_of(eni.id) == Management(
            Manager.VPC_CNI, ManagementBasis.DESCRIPTION, Strength.OBSERVED
        )

    def test_the_vpc_cni_manages_the_first_eni_on_which_it_assigned_addresses(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), asks(first, 9))
        assert incident.history().manager_of(first.id) == Management(
            Manager.VPC_CNI, ManagementBasis.CALLS, Strength.OBSERVED
        )

    def test_a_tag_written_later_by_somebody_else_changes_nothing(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), asks(first, 9))
        tags = {"node.k8s.amazonaws.com/no_manage": "true", "io.cilium/cilium-managed": "true"}
        incident.log("10:02:00", ADA, create_tags(first.id, tags))
        assert incident.history().manager_of(first.id).manager is Manager.VPC_CNI

    def test_a_tag_of_its_creation_tells_the_vpc_cni_to_leave_it_alone(self) -> None:
        incident = Incident()
        eni = replace(second(), tags={"node.k8s.amazonaws.com/no_manage": "true"})
        incident.log("10:00:00", ADA, create_network_interface(eni))
        assert incident.history().manager_of(eni.id) == Management(
            Manager.NOT_KUBERNETES, ManagementBasis.TAG, Strength.CLAIMED
        )

    def test_cilium_manages_what_its_operator_created(self) -> None:
        incident = Incident()
        eni = of_cilium(second(), NODE)
        incident.log("10:00:00", cilium(incident), create_network_interface(eni))
        history = incident.history()
        assert history.interfaces[eni.id].kind == "cilium"
        assert history.manager_of(eni.id) == Management(
            Manager.CILIUM, ManagementBasis.DESCRIPTION, Strength.OBSERVED
        )

    def test_a_user_who_writes_cilium_s_description_only_claims_to_be_cilium(self) -> None:
        incident = Incident()
        eni = of_cilium(second(), NODE)
        incident.log("10:00:00", ADA, create_network_interface(eni))
        history = incident.history()
        assert history.interfaces[eni.id].kind == "other"
        assert history.manager_of(eni.id).strength is Strength.CLAIMED

    def test_eks_auto_mode_writes_the_cluster_and_the_node_into_tags(self) -> None:
        incident = Incident()
        tags = {"eks:eks-cluster-name": CLUSTER, "eks:kubernetes-cni-node-name": NODE}
        eni = replace(second(), tags=tags)
        role = role_user(Role(ACCOUNT, "cluster"), "x", incident.time("00:00:00"), "198.51.100.9", GO)
        incident.log("10:00:00", role, create_network_interface(eni))
        assert incident.history().manager_of(eni.id) == Management(
            Manager.AUTO_MODE, ManagementBasis.TAG, Strength.CLAIMED
        )

    def test_nobody_is_known_to_manage_the_eni_of_an_instance_without_kubernetes(self) -> None:
        incident = Incident()
        first = Eni("eni-0aaaaaaaaaaaaaaa1", SUBNET, "10.9.0.4", "eni-attach-0aaaaaaaaaaaaaaa1")
        launch(incident, "10:00:00", NODE_ROLE, Instance(NODE, "m5.large", first, {"Name": "db"}))
        assert incident.history().manager_of(first.id).manager is Manager.UNKNOWN
        assert incident.history().manager_of_node(NODE).manager is Manager.UNKNOWN


class TestNode:
    def test_the_vpc_cni_manages_a_node_for_which_its_calls_fail(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        caller = signs_in(incident, "10:00:30", AWS_NODE, 7)
        eni = of_cni(second(), NODE, incident.time("10:01:00"))
        incident.log("10:01:00", caller, creation_refused(eni, 9, FULL))
        assert incident.history().manager_of_node(NODE).manager is Manager.VPC_CNI

    def test_the_first_eni_of_a_node_is_managed_as_its_other_enis_are(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        eni = of_cilium(second(), NODE)
        caller = cilium(incident)
        incident.log("10:01:00", caller, create_network_interface(eni))
        incident.log("10:01:01", caller, attach(eni, NODE, 1, card=0))
        history = incident.history()
        assert history.manager_of_node(NODE).manager is Manager.CILIUM
        assert history.manager_of(first.id) == Management(
            Manager.CILIUM, ManagementBasis.NODE, Strength.OBSERVED
        )

    def test_a_node_without_calls_is_managed_as_the_others_of_its_cluster_are(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        other = node(incident, "10:00:00", OTHER_NODE)
        incident.log("10:01:00", cni(incident), asks(first, 9))
        assert incident.history().manager_of(other.id) == Management(
            Manager.VPC_CNI, ManagementBasis.CLUSTER, Strength.CLAIMED
        )

    def test_a_node_of_another_cluster_is_not(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        other = node(incident, "10:00:00", OTHER_NODE, cluster="mole")
        incident.log("10:01:00", cni(incident), asks(first, 9))
        assert incident.history().manager_of(other.id).manager is Manager.UNKNOWN

    def test_the_vpc_resource_controller_manages_the_only_eni_of_a_windows_node(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:03:00", controller(incident), asks(first, 3))
        history = incident.history()
        assert history.manager_of_node(NODE) == Management(
            Manager.RESOURCE_CONTROLLER, ManagementBasis.CALLS, Strength.CLAIMED
        )

    def test_the_vpc_cni_manages_a_node_that_has_a_trunk_as_well(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), asks(first, 9))
        trunk = replace(second(), description="aws-k8s-trunk-eni")
        incident.log("10:02:00", controller(incident), create_network_interface(trunk))
        incident.log("10:02:01", controller(incident), attach(trunk, NODE, 2, card=0))
        history = incident.history()
        assert history.manager_of_node(NODE).manager is Manager.VPC_CNI
        assert history.manager_of(trunk.id).manager is Manager.RESOURCE_CONTROLLER

    def test_openshift_manages_a_node_to_which_it_assigns_egress_addresses(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00", cluster="quay-x7k2p")
        operator = iam_user(ACCOUNT, "quay-x7k2p-openshift-cloud-network-abcde", "203.0.113.44", GO)
        incident.log("10:05:00", operator, assign_named(first.id, "10.9.0.60"))
        assert incident.history().manager_of_node(NODE) == Management(
            Manager.OPENSHIFT, ManagementBasis.CALLS, Strength.CLAIMED
        )

    def test_nobody_takes_a_node_of_the_vpc_cni_by_a_name_of_openshift(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), asks(first, 9))
        operator = iam_user(ACCOUNT, "quay-openshift-cloud-network-abcde", "203.0.113.44", GO)
        incident.log("10:05:00", operator, assign_named(first.id, "10.9.0.60"))
        assert incident.history().manager_of_node(NODE).manager is Manager.VPC_CNI

    def test_karpenter_alone_manages_a_node_that_it_launched_without_any_plugin(self) -> None:
        incident = Incident()
        first = Eni("eni-0aaaaaaaaaaaaaaa1", SUBNET, "10.9.0.4", "eni-attach-0aaaaaaaaaaaaaaa1")
        tags = {"karpenter.sh/nodepool": "default", f"kubernetes.io/cluster/{CLUSTER}": "owned"}
        launch(incident, "10:00:00", NODE_ROLE, Instance(NODE, "m5.large", first, tags))
        assert incident.history().manager_of_node(NODE) == Management(
            Manager.KARPENTER, ManagementBasis.TAG, Strength.CLAIMED
        )

    def test_a_failed_call_of_somebody_else_makes_nobody_a_manager(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        ada = ADA
        incident.log("10:01:00", ada, refused(assign(first.id, "10.9.1.1"), FULL))
        assert incident.history().manager_of_node(NODE).manager is Manager.UNKNOWN
