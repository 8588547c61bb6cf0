"""Questions of fact that several rules ask, and that have one answer."""

import pytest
from calls import assign, failed
from incidents import ADA, FULL, NODE, OTHER_NODE, SUBNET, Incident, creation_refused, node, of_cilium, second

from cnitrail.model import Finding, Management, ManagementBasis, Manager, Strength

FOR_OTHER_NODE = creation_refused(of_cilium(second(OTHER_NODE), OTHER_NODE), 8, FULL)
QUOTA = ("Client.NetworkInterfaceLimitExceeded", "Limit exceeded")


def only(incident: Incident, rule: str) -> Finding:
    (finding,) = incident.found(rule, "09:00:00", "12:00:00")
    return finding


class TestWhoMadeACall:
    def test_a_description_does_not_make_a_person_the_operator_of_cilium(self) -> None:
        incident = Incident()
        for minute in range(4):
            incident.log(f"10:1{minute}:00", ADA, FOR_OTHER_NODE)
        finding = only(incident, "subnet-exhausted")
        assert finding.sentence == (
            f"{SUBNET.id} did not have enough free IPs: 4 calls failed, made by "
            "ada (IAM user, aws-cli 2.27.31)."
        )
        assert "Cilium" not in finding.advice


class TestTheClusterOfACall:
    def test_a_person_is_not_of_the_cluster_that_a_call_is_about(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for minute in range(10, 22):
            incident.log(f"10:{minute}:00", ADA, failed(assign(first.id, "10.9.3.3"), *QUOTA))
        finding = only(incident, "calls-keep-failing")
        assert finding.sentence.startswith(
            f"ada (IAM user, aws-cli 2.27.31) called AssignPrivateIpAddresses 12 times for {NODE}"
        )
        assert finding.clusters == ("quay",)


class TestHowAManagerIsKnown:
    @pytest.mark.parametrize(
        ("basis", "is_direct", "is_of_node"),
        [
            (ManagementBasis.CALLS, True, True),
            (ManagementBasis.TAG, True, True),
            (ManagementBasis.NODE, False, True),
            (ManagementBasis.CLUSTER, False, False),
            (None, False, False),
        ],
    )
    def test_only_evidence_about_the_eni_itself_is_direct(
        self, basis: ManagementBasis | None, is_direct: bool, is_of_node: bool
    ) -> None:
        managed = Management(Manager.VPC_CNI, basis, Strength.OBSERVED)
        assert (managed.is_direct, managed.is_of_node) == (is_direct, is_of_node)
