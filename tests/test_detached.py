"""``who`` and ``timeline --ip``: ENIs that leave their instance, branches of trunks, calls of operators."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from callers import Caller, Role, iam_user, resource_controller, role_user
from calls import (
    Call,
    Eni,
    assign,
    assign_ipv6_prefix,
    attach,
    create_network_interface,
    create_tags,
    delete,
    detach,
    terminate,
)
from cni import CNI_1_18, adds_eni, of_cni
from conftest import Run
from incidents import (
    ACCOUNT,
    CLI,
    FULL,
    GO,
    NODE,
    OTHER_NODE,
    SUBNET,
    Incident,
    asks,
    cni,
    creation_refused,
    node,
    of_cilium,
    refused,
    second,
)

ADA = iam_user(ACCOUNT, "ada", "198.51.100.7", CLI)
TRUNK = Eni(
    "eni-0ccccccccccccccc1",
    SUBNET,
    "10.9.2.1",
    "eni-attach-0ccccccccccccccc1",
    description="aws-k8s-trunk-eni",
    type="trunk",
)
TRUNK_TAG = "vpcresources.k8s.aws/trunk-eni-id"
BRANCH = Eni(
    "eni-0ddddddddddddddd1",
    SUBNET,
    "10.9.2.11",
    description="aws-k8s-branch-eni",
    tags={"vpcresources.k8s.aws/vlan-id": "1", TRUNK_TAG: TRUNK.id},
)


def forced(eni: Eni) -> Call:
    """A detachment that does not wait for the instance."""
    call = detach(eni)
    return replace(call, request={**(call.request or {}), "force": True})


class Answers:
    """The answers of the command line about the records of an incident."""

    def __init__(self, run: Run, folder: Path, incident: Incident) -> None:
        self._run = run
        self._path = folder / "records.json"
        self._path.write_text(json.dumps({"Records": incident._records}))

    def who(self, ip: str, clock: str) -> dict[str, Any]:
        when = f"2026-03-02T{clock}Z"
        result = self._run("who", ip, str(self._path), "--at", when, "-o", "json", "-q", "--assume-complete")
        answers: list[dict[str, Any]] = json.loads(result.stdout)["entries"]
        return answers[0]

    def instance(self, ip: str, clock: str) -> str | None:
        """The instance of the only holder of an address."""
        holders: list[dict[str, str | None]] = self.who(ip, clock)["holders"]
        (holder,) = holders
        return holder["instance"]

    def explain(self, target: str, clock: str) -> str:
        when = f"2026-03-02T{clock}Z"
        result = self._run("explain", target, str(self._path), "--at", when, "-o", "json", "-q")
        (entry,) = json.loads(result.stdout)["entries"]
        return " ".join(sentence["text"] for sentence in entry["sentences"])

    def timeline(self, ip: str) -> list[tuple[str, str | None]]:
        result = self._run("timeline", str(self._path), "--ip", ip, "-o", "jsonl", "-q")
        entries = map(json.loads, result.stdout.splitlines())
        return [(entry["event"], entry["instance"]) for entry in entries]


def why(answer: dict[str, Any], code: str) -> list[str]:
    return [reason["text"] for reason in answer["reasons"] if reason["code"] == code]


@pytest.fixture
def moved() -> Incident:
    """An ENI of the CNI that ada takes from its node by force, gives to another node, and deletes."""
    incident = Incident()
    node(incident, "10:00:00")
    node(incident, "10:00:00", OTHER_NODE)
    eni = replace(second(), secondaries=("10.9.1.50",), prefixes=("10.9.8.0/28",))
    eni = of_cni(eni, NODE, incident.time("10:01:00"))
    adds_eni(incident, ("10:01:00", "10:01:01", "10:01:02"), cni(incident), eni, NODE)
    incident.log("10:02:00", cni(incident), assign_ipv6_prefix(eni.id, "2001:db8:0:1:a::/80"))
    incident.log("11:00:00", ADA, forced(eni))
    again = replace(eni, attachment="eni-attach-2aaaaaaaaaaaaaaaa")
    incident.log("11:10:00", ADA, attach(again, OTHER_NODE, 3))
    incident.log("11:20:00", ADA, detach(again))
    incident.log("11:30:00", ADA, delete(eni))
    return incident


class TestDetached:
    @pytest.mark.parametrize("ip", ["10.9.1.50", "10.9.8.5", "2001:db8:0:1:a::7"])
    def test_the_instance_of_an_address_is_that_of_its_eni_at_each_time(
        self, run: Run, tmp_path: Path, moved: Incident, ip: str
    ) -> None:
        answers = Answers(run, tmp_path, moved)
        clocks = ("10:30:00", "11:00:00", "11:00:01", "11:10:00", "11:15:00", "11:20:01", "11:29:59")
        found = [answers.instance(ip, clock) for clock in clocks]
        assert found == [NODE, NODE, None, OTHER_NODE, OTHER_NODE, None, None]
        assert answers.who(ip, "11:30:01")["holders"] == []

    def test_the_second_of_the_detachment_is_not_certain(
        self, run: Run, tmp_path: Path, moved: Incident
    ) -> None:
        answer = Answers(run, tmp_path, moved).who("10.9.8.5", "11:00:00")
        assert answer["verdict"] == "likely"
        assert why(answer, "attached-same-second")

    def test_a_forced_detachment_is_called_so_until_the_next_attachment(
        self, run: Run, tmp_path: Path, moved: Incident
    ) -> None:
        answers = Answers(run, tmp_path, moved)
        (left,) = why(answers.who("10.9.8.5", "11:05:00"), "eni-detached")
        assert left.startswith(
            f"its ENI left {NODE} at 2026-03-02 11:00:00Z, detached by ada (IAM user) (forced, Detach"
        )
        assert why(answers.who("10.9.8.5", "11:15:00"), "eni-detached") == []
        (left,) = why(answers.who("10.9.8.5", "11:25:00"), "eni-detached")
        assert left.startswith(
            f"its ENI left {OTHER_NODE} at 2026-03-02 11:20:00Z, detached by ada (IAM user)"
        )
        assert "forced" not in left

    @pytest.mark.parametrize("ip", ["10.9.1.50", "10.9.8.5"])
    def test_the_timeline_of_an_address_follows_its_eni(
        self, run: Run, tmp_path: Path, moved: Incident, ip: str
    ) -> None:
        assert Answers(run, tmp_path, moved).timeline(ip) == [
            ("CreateNetworkInterface", None),
            ("AttachNetworkInterface", NODE),
            ("DetachNetworkInterface", NODE),
            ("AttachNetworkInterface", OTHER_NODE),
            ("DetachNetworkInterface", OTHER_NODE),
            ("DeleteNetworkInterface", None),
        ]


class TestOperators:
    """A program that uses the role of its node, and calls for other nodes."""

    UNKNOWN = Eni("eni-0fffffffffffffff1", SUBNET, "")

    def story(self, *first: Call, agent: str = GO) -> Incident:
        """Calls by a program on a node, then two about an ENI that is older than the evidence."""
        incident = Incident()
        node(incident, "10:00:00")
        node(incident, "10:00:00", OTHER_NODE)
        caller = cni(incident, NODE, agent)
        for number, call in enumerate(first):
            incident.log(f"10:05:0{number}", caller, call)
        incident.log("10:10:00", caller, assign(self.UNKNOWN.id, "10.9.0.200"))
        incident.log("10:11:00", caller, refused(asks(self.UNKNOWN, 8), FULL))
        return incident

    @pytest.mark.parametrize(
        "first",
        [
            create_network_interface(of_cilium(second(OTHER_NODE), OTHER_NODE)),
            creation_refused(of_cilium(second(OTHER_NODE), OTHER_NODE), 8, FULL),
            attach(second(OTHER_NODE), OTHER_NODE, 1),
        ],
    )
    def test_its_calls_are_not_for_its_own_node(self, run: Run, tmp_path: Path, first: Call) -> None:
        incident = self.story(first)
        answers = Answers(run, tmp_path, incident)
        assert answers.instance("10.9.0.200", "10:10:30") is None
        assert ("AssignPrivateIpAddresses", None) in answers.timeline("10.9.0.200")
        found = incident.found("subnet-exhausted", "09:00:00", "12:00:00")[-1]
        assert found.sentence == (
            f"The subnet of {self.UNKNOWN.id} did not have enough free IPs: 1 call failed, made by {NODE} "
            "(instance role, aws-sdk-go-v2/1.36.3)."
        )
        assert found.instances == ()

    def test_its_advice_is_that_of_the_plugin_of_its_node(self) -> None:
        incident = self.story(creation_refused(of_cilium(second(OTHER_NODE), OTHER_NODE), 8, FULL))
        found = incident.found("subnet-exhausted", "09:00:00", "12:00:00")[-1]
        assert found.advice.startswith("Give Cilium a subnet with free IPs")

    @pytest.mark.parametrize("first", [(), (create_network_interface(of_cilium(second(NODE), NODE)),)])
    def test_a_program_that_calls_for_its_own_node_only_is_none(
        self, run: Run, tmp_path: Path, first: tuple[Call, ...]
    ) -> None:
        answers = Answers(run, tmp_path, self.story(*first))
        assert answers.instance("10.9.0.200", "10:10:30") == NODE

    def test_another_program_on_the_node_is_none(self, run: Run, tmp_path: Path) -> None:
        incident = self.story()
        operator = cni(incident, NODE, f"{GO} other")
        incident.log(
            "10:20:00", operator, create_network_interface(of_cilium(second(OTHER_NODE), OTHER_NODE))
        )
        assert Answers(run, tmp_path, incident).instance("10.9.0.200", "10:10:30") == NODE

    def test_the_vpc_cni_cannot_be_made_one_with_its_user_agent(self, run: Run, tmp_path: Path) -> None:
        first = create_network_interface(of_cilium(second(OTHER_NODE), OTHER_NODE))
        answers = Answers(run, tmp_path, self.story(first, agent=CNI_1_18))
        assert answers.instance("10.9.0.200", "10:10:30") == NODE


class TestBranches:
    def story(self, creator: Caller | None = None) -> Incident:
        """A branch of a trunk that is on a node; the controller creates it, or another caller does."""
        incident = Incident()
        node(incident, "10:00:00")
        node(incident, "10:00:00", OTHER_NODE)
        incident.log("10:01:00", self.controller(), create_network_interface(TRUNK))
        incident.log("10:01:05", self.controller(), attach(TRUNK, NODE, 2))
        incident.log("10:02:00", creator or self.controller(), create_network_interface(BRANCH))
        return incident

    def controller(self) -> Caller:
        return resource_controller(Role(ACCOUNT, "quay-cluster"), Incident().time("09:00:00"))

    def test_a_branch_is_on_the_instance_of_the_trunk_in_its_tag(self, run: Run, tmp_path: Path) -> None:
        answer = Answers(run, tmp_path, self.story()).who("10.9.2.11", "10:02:00")
        assert answer["holders"][0]["instance"] == NODE

    def test_the_tag_of_a_stranger_does_not_count(self, run: Run, tmp_path: Path) -> None:
        answers = Answers(run, tmp_path, self.story(ADA))
        assert answers.instance("10.9.2.11", "10:02:00") is None

    def test_the_tag_of_another_role_with_the_agent_of_the_controller_does_not_count(
        self, run: Run, tmp_path: Path
    ) -> None:
        agent = self.controller().agent
        impostor = role_user(Role(ACCOUNT, "ci"), "x", Incident().time("09:00:00"), "198.51.100.9", agent)
        answers = Answers(run, tmp_path, self.story(impostor))
        assert answers.instance("10.9.2.11", "10:02:00") is None

    def test_a_tag_that_is_written_later_does_not_count(self, run: Run, tmp_path: Path) -> None:
        incident = self.story()
        other = Eni("eni-0eeeeeeeeeeeeeee1", SUBNET, "10.9.2.14")
        incident.log("10:05:00", ADA, create_network_interface(other))
        incident.log("10:06:00", ADA, create_tags(other.id, {TRUNK_TAG: TRUNK.id}))
        assert Answers(run, tmp_path, incident).instance("10.9.2.14", "10:06:00") is None

    def test_a_branch_leaves_the_instance_with_its_trunk(self, run: Run, tmp_path: Path) -> None:
        incident = self.story()
        incident.log("12:00:00", ADA, detach(TRUNK))
        incident.log("12:01:00", ADA, attach(replace(TRUNK, attachment="eni-attach-3"), OTHER_NODE, 2))
        incident.log("12:30:00", ADA, terminate(OTHER_NODE))
        answers = Answers(run, tmp_path, incident)
        assert [answers.instance("10.9.2.11", clock) for clock in ("11:59:59", "12:00:30", "12:10:00")] == [
            *(NODE, None, None)
        ]
        (left,) = why(answers.who("10.9.2.11", "12:10:00"), "eni-detached")
        assert left.startswith(
            f"its ENI left {NODE} with its trunk at 2026-03-02 12:00:00Z, detached by ada (IAM user)"
        )
        assert f"ada (IAM user, aws-cli 2.27.31) detached its trunk from {NODE}" in answers.explain(
            BRANCH.id, "12:10:00"
        )

    def test_a_branch_whose_trunk_is_not_in_the_evidence_is_on_no_known_instance(
        self, run: Run, tmp_path: Path
    ) -> None:
        incident = Incident()
        incident.log("10:02:00", self.controller(), create_network_interface(BRANCH))
        assert Answers(run, tmp_path, incident).instance("10.9.2.11", "10:02:00") is None
        assert incident.findings("09:00:00", "12:00:00") == []
