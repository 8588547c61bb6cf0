"""Leaked ENIs and their causes, ENIs of services, branch ENIs, and strangers at a plugin's ENIs."""

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from callers import Caller, Irsa, Role, assumed_role, on_behalf, role_user
from calls import (
    Call,
    Eni,
    Instance,
    assign,
    attach,
    create_network_interface,
    delete,
    delete_in_use,
    delete_on_termination,
    detach,
    done,
    run_instances,
    terminate,
    unassign,
)
from cni import CNI_1_18, CNI_1_20, adds_eni, frees_eni, of_cni, sdk_of, signs_in
from incidents import (
    ACCOUNT,
    ADA,
    AWS_NODE,
    BOTO,
    CILIUM,
    CLI,
    DENIED,
    NODE,
    OTHER_NODE,
    PROVIDER,
    SUBNET,
    Incident,
    cni,
    controller,
    node,
    of_cilium,
    refused,
    second,
)

from cnitrail.answers.filters import Filter
from cnitrail.answers.state import state
from cnitrail.answers.timeline import timeline
from cnitrail.answers.who import HolderIndex
from cnitrail.history import cover
from cnitrail.model import (
    Basis,
    Finding,
    Manager,
    Severity,
    TimelineEntry,
    Verdict,
    WhoAnswer,
)

STUDIO = "[DO NOT DELETE] ENI managed by SageMaker for Studio Domain (d-0abcdefabcde)"


class Place(Incident):
    """An incident that also answers other questions."""

    def timeline(self, **wanted: Any) -> list[TimelineEntry]:
        """Return the timeline, filtered."""
        return list(timeline(self.history(), Filter(**wanted)))

    def who(self, ip: str, clock: str) -> WhoAnswer:
        """Return who held an address, with log files from 8 to 12 o'clock."""
        history = self.history()
        coverage = cover(self._signs("08:00:00", "12:00:00", None), history.events)
        return HolderIndex(history, coverage).who(ip_address(ip), self.time(clock), Filter())


def reasons(answer: WhoAnswer) -> dict[str, str]:
    """Return the texts of an answer's reasons by their codes."""
    return {reason.code.value: reason.text for reason in answer.reasons}


TRUNK = Eni(
    "eni-0ddddddddddddddd1",
    SUBNET,
    "10.9.7.1",
    "eni-attach-0ddddddddddddddd1",
    description="aws-k8s-trunk-eni",
)


def trunk(place: Incident, instance: str = NODE, eni: Eni = TRUNK) -> None:
    """Give a node a trunk."""
    node(place, "09:00:00", instance)
    place.log("09:01:00", controller(place), create_network_interface(eni))
    place.log("09:01:01", controller(place), attach(eni, instance, 2))
    place.log("09:01:02", controller(place), delete_on_termination(eni))


def branch(
    place: Incident, clock: str, caller: Caller | None = None, of: str = TRUNK.id, number: int = 1
) -> Eni:
    """Create a branch ENI, as the VPC resource controller does for a pod; return it."""
    tags = {
        "eks:eni:owner": "eks-vpc-resource-controller",
        "vpcresources.k8s.aws/vlan-id": f"{number}",
        "vpcresources.k8s.aws/trunk-eni-id": of,
    }
    made = Eni(
        f"eni-0eeeeeeeeeeeeee{number:02}",
        SUBNET,
        f"10.9.8.{number}",
        description="aws-k8s-branch-eni",
        tags=tags,
    )
    place.log(clock, caller or controller(place), create_network_interface(made))
    return made


def associate(branch_eni: str, trunk_eni: str) -> Call:
    """The call that attaches a branch to a trunk."""
    request = {"branchInterfaceId": branch_eni, "trunkInterfaceId": trunk_eni, "vlanId": 1}
    return Call(
        "AssociateTrunkInterface",
        request,
        done(interfaceAssociation={"associationId": "trunk-assoc-0ddddddddddddddd1"}),
    )


def disassociate() -> Call:
    """The call that takes that branch off its trunk."""
    return Call("DisassociateTrunkInterface", {"associationId": "trunk-assoc-0ddddddddddddddd1"}, done())


def forced(call: Call) -> Call:
    """The same detachment with force."""
    return replace(call, request={**(call.request or {}), "force": True})


def used_by(service: str, place: Incident) -> Caller:
    """A customer's role that a service uses, as CloudTrail records Lambda's calls: without ``invokedBy``."""
    session = assumed_role(Role(ACCOUNT, "etl-role"), "job", place.time("08:00:00"), key="ASIAEXAMPLE")
    return Caller(session, service, service)


class TestEnisOfServices:
    @pytest.mark.parametrize(
        ("service", "description", "known_as"),
        [
            ("glue.amazonaws.com", "Attached to Glue using role: arn:aws:iam::1:role/etl", "glue"),
            ("sagemaker.amazonaws.com", STUDIO, "sagemaker"),
            ("lambda.amazonaws.com", "AWS Lambda VPC ENI-f", "lambda"),
            ("newservice.amazonaws.com", "anything", "newservice.amazonaws.com"),
        ],
    )
    def test_a_service_with_a_customers_role_manages_what_it_creates(
        self, service: str, description: str, known_as: str
    ) -> None:
        place = Place()
        eni = Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4", description=description)
        place.log("10:00:00", used_by(service, place), create_network_interface(eni))
        managed = place.history().manager_of(eni.id)
        assert (managed.manager, managed.service) == (Manager.AWS_SERVICE, known_as)
        assert place.findings("09:00:00", "12:00:00") == []

    def test_a_service_that_calls_what_somebody_ordered_manages_nothing(self) -> None:
        place = Place()
        eni = Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4")
        place.log("10:00:00", used_by("cloudformation.amazonaws.com", place), create_network_interface(eni))
        assert place.history().manager_of(eni.id).manager is Manager.UNKNOWN


class TestBranchByTag:
    def where(self, place: Place, eni: str, clock: str) -> tuple[bool | None, str | None, str | None]:
        (entry,) = (
            entry for entry in state(place.history(), place.time(clock), Filter()) if entry.eni == eni
        )
        return entry.attached, entry.instance, entry.instance_basis

    def test_the_tag_of_the_controller_puts_a_branch_on_the_node_of_its_trunk(self) -> None:
        place = Place()
        trunk(place)
        eni = branch(place, "09:30:00")
        (attachment,) = place.history().interfaces[eni.id].attachments
        assert (attachment.instance, attachment.how) == (NODE, "tag")
        assert (attachment.start.basis, attachment.end.basis) == (Basis.IMPLIED, Basis.OPEN)
        assert self.where(place, eni.id, "10:00:00") == (True, NODE, "tag")

    def test_who_names_the_node_with_the_tag_as_a_doubt(self) -> None:
        place = Place()
        trunk(place)
        branch(place, "09:30:00")
        answer = place.who("10.9.8.1", "10:00:00")
        assert answer.verdict is Verdict.LIKELY
        assert [holder.instance for holder in answer.holders] == [NODE]
        assert reasons(answer)["instance-inferred"] == (
            f"no event attaches the ENI to {NODE} by then: that is inferred from the tag by which the VPC "
            "resource controller names its trunk, which is attached there"
        )

    def test_an_association_in_the_evidence_wins(self) -> None:
        place = Place()
        trunk(place)
        eni = branch(place, "09:30:00")
        place.log("09:30:02", controller(place), associate(eni.id, TRUNK.id))
        (attachment,) = place.history().interfaces[eni.id].attachments
        assert (attachment.instance, attachment.how) == (NODE, "attach")
        assert (attachment.start.time, attachment.start.basis) == (place.time("09:30:02"), Basis.OBSERVED)

    def test_an_association_with_another_trunk_wins(self) -> None:
        place = Place()
        other = replace(TRUNK, id="eni-0ddddddddddddddd2", attachment="eni-attach-0ddddddddddddddd2")
        trunk(place)
        trunk(place, OTHER_NODE, other)
        eni = branch(place, "09:30:00")
        place.log("09:30:02", controller(place), associate(eni.id, other.id))
        assert self.where(place, eni.id, "10:00:00") == (True, OTHER_NODE, "attach")

    def test_it_ends_when_the_branch_is_deleted_or_its_node_is_terminated(self) -> None:
        place = Place()
        trunk(place)
        first, last = branch(place, "09:30:00"), branch(place, "09:31:00", number=2)
        place.log("10:00:00", controller(place), delete(first))
        place.log("10:30:00", controller(place), terminate(NODE))
        interfaces = place.history().interfaces
        ends = [interfaces[eni.id].attachments[0].end for eni in (first, last)]
        assert [(end.time, end.basis) for end in ends] == [
            (place.time("10:00:00"), Basis.IMPLIED),
            (place.time("10:30:00"), Basis.IMPLIED),
        ]

    def test_a_trunk_from_before_the_evidence_names_no_node(self) -> None:
        place = Place()
        eni = branch(place, "09:30:00")
        assert self.where(place, eni.id, "10:00:00") == (True, None, None)

    def test_somebody_elses_tag_names_no_node(self) -> None:
        place = Place()
        trunk(place)
        mallory = role_user(Role(ACCOUNT, "dev"), "mallory", place.time("06:00:00"), "198.51.100.66", CLI)
        eni = branch(place, "09:30:00", mallory)
        assert place.history().interfaces[eni.id].attachments == ()

    def test_a_copied_user_agent_with_another_role_names_no_node(self) -> None:
        place = Place()
        trunk(place)
        eni = branch(place, "09:30:00", controller(place, "dev"))
        assert place.history().instance_of(eni.id, place.time("10:00:00")) == (None, None)


class TestAnAddressFollowsItsEni:
    def grown(self, place: Place) -> Eni:
        node(place, "09:00:00")
        eni = of_cni(replace(second(), secondaries=("10.9.1.50", "10.9.1.51")), NODE, place.time("09:01:00"))
        adds_eni(place, ("09:01:00", "09:01:01", "09:01:02"), cni(place), eni, NODE)
        return eni

    def events(self, place: Place, ip: str) -> list[str]:
        return [entry.event for entry in place.timeline(ip=(ip_network(ip),))]

    def test_a_filter_by_address_keeps_the_calls_that_attach_and_detach_its_eni(self) -> None:
        place = Place()
        frees_eni(place, ("10:00:00", "10:00:02", "10:00:03"), cni(place), self.grown(place))
        assert self.events(place, "10.9.1.50/32") == [
            *("CreateNetworkInterface", "AttachNetworkInterface"),
            *("DetachNetworkInterface", "DeleteNetworkInterface"),
        ]

    def test_it_leaves_out_those_before_the_address_came_and_after_it_went(self) -> None:
        place = Place()
        eni = self.grown(place)
        late = Call(
            "AssignPrivateIpAddresses",
            {"networkInterfaceId": eni.id, "secondaryPrivateIpAddressCount": 1},
            done(
                networkInterfaceId=eni.id,
                assignedPrivateIpAddressesSet={
                    "assignedPrivateIpAddressSetType": [{"privateIpAddress": "10.9.1.60"}]
                },
            ),
        )
        gone = Call(
            "UnassignPrivateIpAddresses",
            {
                "networkInterfaceId": eni.id,
                "privateIpAddressesSet": {"items": [{"privateIpAddress": "10.9.1.60"}]},
            },
            done(),
        )
        place.log("09:10:00", cni(place), late)
        place.log("09:20:00", cni(place), gone)
        place.log("10:00:00", cni(place), detach(eni))
        assert self.events(place, "10.9.1.60/32") == [
            "AssignPrivateIpAddresses",
            "UnassignPrivateIpAddresses",
        ]

    def test_the_addresses_are_carried_and_neither_added_nor_removed(self) -> None:
        place = Place()
        place.log("10:00:00", cni(place), forced(detach(self.grown(place))))
        (left,) = place.timeline(event=("DetachNetworkInterface",))
        assert [str(held) for held in left.carried] == ["10.9.1.1", "10.9.1.50", "10.9.1.51"]
        assert (left.added, left.removed, left.force) == ((), (), True)

    def test_a_failed_detachment_carries_nothing(self) -> None:
        place = Place()
        call = replace(
            detach(self.grown(place)), response=None, error=("Client.UnauthorizedOperation", "No.")
        )
        place.log("10:00:00", cni(place), call)
        assert self.events(place, "10.9.1.50/32") == ["CreateNetworkInterface", "AttachNetworkInterface"]

    def test_who_says_that_the_eni_left_its_instance_and_by_whom(self) -> None:
        place = Place()
        eni = self.grown(place)
        place.log("10:00:00", cni(place), forced(detach(eni)))
        place.log("10:10:00", cni(place), delete(eni))
        answer = place.who("10.9.1.50", "10:05:00")
        assert [(holder.eni, holder.instance) for holder in answer.holders] == [(eni.id, None)]
        assert reasons(answer)["eni-detached"].startswith(
            f"its ENI left {NODE} at 2026-03-02 10:00:00Z, detached by {NODE} (instance role) "
            "(forced, DetachNetworkInterface, event "
        )

    def test_who_does_not_say_so_before_it_left_or_after_it_came_back(self) -> None:
        place = Place()
        eni = self.grown(place)
        place.log("10:00:00", cni(place), detach(eni))
        place.log("10:10:00", cni(place), attach(replace(eni, attachment="eni-attach-2"), NODE, 1))
        for clock in ("09:30:00", "10:20:00"):
            answer = place.who("10.9.1.50", clock)
            assert "eni-detached" not in reasons(answer)
            assert [holder.instance for holder in answer.holders] == [NODE]

    def test_who_names_no_instance_after_the_termination_that_the_eni_survived(self) -> None:
        place = Place()
        eni = self.grown(place)
        place.log("09:30:00", ADA, delete_on_termination(eni, yes=False))
        place.log("10:00:00", ADA, terminate(NODE))
        answer = place.who("10.9.1.50", "10:05:00")
        assert [(holder.eni, holder.instance) for holder in answer.holders] == [(eni.id, None)]
        assert "instance-inferred" not in reasons(answer)
        assert reasons(answer)["eni-detached"].startswith(
            f"its ENI left {NODE} no later than 2026-03-02 10:00:00Z, terminated by ada (IAM user) ("
        )
        assert [holder.attached for holder in answer.holders] == [False]

    def test_an_eni_known_by_the_calls_of_its_node_is_not_there_before_the_launch(self) -> None:
        place = Place()
        node(place, "09:00:00")
        place.log("09:30:00", cni(place), unassign(second().id, "10.9.1.50"))
        held = {clock: place.who("10.9.1.50", clock).holders for clock in ("08:30:00", "09:10:00")}
        assert [holder.instance for holder in held["08:30:00"]] == [None]
        assert [holder.instance for holder in held["09:10:00"]] == [NODE]

    def test_an_eni_that_no_event_attaches_is_not_on_the_instance_of_its_mark_once_that_has_ended(
        self,
    ) -> None:
        place = Place()
        node(place, "09:00:00")
        eni = of_cni(second(), NODE, place.time("09:01:00"))
        place.log("09:01:00", cni(place), create_network_interface(eni))
        place.log("10:00:00", ADA, terminate(NODE))
        before, after = (place.who("10.9.1.1", clock) for clock in ("09:59:00", "10:05:00"))
        assert [holder.instance for holder in before.holders] == [NODE]
        assert [(holder.instance, holder.attached) for holder in after.holders] == [(None, False)]
        assert reasons(after)["instance-terminated"].startswith(
            f"the VPC CNI created its ENI for {NODE}, terminated no later than 2026-03-02 10:00:00Z by ada"
        )

    def test_a_launch_of_several_shows_the_address_on_the_one_eni_that_got_it(self) -> None:
        place = Place()
        gone = self.grown(place)
        got, other = Eni("eni-2", SUBNET, "10.9.1.50", "eni-attach-2"), Eni("eni-3", SUBNET, "10.9.1.70")
        launched = [Instance(f"i-{eni.id[4:]}", "m5.large", eni, {}) for eni in (got, other)]
        place.log("10:00:00", ADA, run_instances(*launched))
        answer = place.who("10.9.1.50", "09:30:00")
        assert [holder.eni for holder in answer.holders] == [gone.id]
        assert reasons(answer)["seen-elsewhere"] == (
            "ended no later than 2026-03-02 10:00:00Z: RunInstances by ada (IAM user) shows the address on "
            "eni-2"
        )

    def test_the_last_holder_keeps_the_instance_that_its_eni_left(self) -> None:
        place = Place()
        frees_eni(place, ("10:00:00", "10:00:02", "10:00:03"), cni(place), self.grown(place))
        answer = place.who("10.9.1.50", "10:30:00")
        assert answer.last_holder is not None
        assert (answer.last_holder.instance, answer.last_holder.end) == (NODE, place.time("10:00:03"))
        assert "eni-detached" in reasons(answer)


KARPENTER = Irsa(
    Role(ACCOUNT, "KarpenterController"),
    PROVIDER,
    f"{CNI_1_20} karpenter.sh-1.5.0 m/h",
    sdk_of(CNI_1_20),
    "203.0.113.9",
    "kube-system:karpenter",
)
NOT_FOUND = ("Client.InvalidNetworkInterfaceID.NotFound", "The networkInterface ID does not exist")
PERIOD = "09:00:00", "12:00:00"


def grown(place: Place, instance: str = NODE, number: int = 1) -> Eni:
    """Give a node a second ENI with addresses, created by the CNI."""
    node(place, "09:00:00", instance)
    addresses = (f"10.9.1.{number + 100}", f"10.9.1.{number + 150}")
    eni = of_cni(replace(second(instance, number), secondaries=addresses), instance, place.time("09:01:00"))
    adds_eni(place, ("09:01:00", "09:01:01", "09:01:02"), cni(place, instance), eni, instance)
    return eni


def janitor(place: Place, role: str = "eni-janitor", agent: str = BOTO) -> Caller:
    """A clean-up job with a role of its own."""
    return role_user(Role(ACCOUNT, role), "sweep", place.time("08:00:00"), "203.0.113.50", agent)


def doubts(finding: Finding) -> list[str]:
    return [doubt.code.value for doubt in finding.doubts]


class TestTheCauseOfALeak:
    CNI = f"{NODE} (instance role, amazon-vpc-cni-k8s v1.18.3)"

    def test_the_node_is_terminated_right_after_the_delete_was_refused(self) -> None:
        place = Place()
        karpenter = signs_in(place, "09:00:30", KARPENTER, 7)
        eni = grown(place)
        other = grown(place, OTHER_NODE, 2)
        frees_eni(place, ("09:20:00", "09:20:02", "09:20:03"), cni(place, OTHER_NODE), other)
        place.log("10:00:00", cni(place), detach(eni))
        place.log("10:00:02", cni(place), delete_in_use(eni))
        place.log("10:00:03", karpenter, terminate(NODE))
        (finding,) = place.found("interface-never-deleted", *PERIOD)
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence == (
            f"{eni.id} was detached by {self.CNI} at 2026-03-02 10:00:00Z and never deleted: its delete was "
            "refused once (still in use), and kube-system/karpenter (IRSA, role KarpenterController, "
            f"karpenter 1.5.0) terminated {NODE} 1 s later."
        )
        assert [event.name for event in finding.events] == [
            *("DetachNetworkInterface", "DeleteNetworkInterface", "TerminateInstances")
        ]
        assert finding.enis == (eni.id,)

    def test_a_termination_an_hour_later_is_no_cause(self) -> None:
        place = Place()
        eni = grown(place)
        place.log("10:00:00", cni(place), detach(eni))
        place.log("11:00:00", ADA, terminate(NODE))
        (finding,) = place.found("interface-never-deleted", *PERIOD)
        assert finding.sentence.endswith("never deleted: no event shows an attempt to delete it.")

    def test_who_turned_delete_on_termination_off_is_the_cause(self) -> None:
        place = Place()
        eni = grown(place)
        place.log("09:30:00", ADA, delete_on_termination(eni, yes=False))
        place.log("10:00:00", cni(place, OTHER_NODE), terminate(NODE))
        (finding,) = place.found("interface-never-deleted", *PERIOD)
        assert finding.since == place.time("10:00:00")
        assert finding.sentence.endswith(
            "and never deleted: ada (IAM user, aws-cli 2.27.31) turned deleteOnTermination off at 2026-03-02 "
            "09:30:00Z, and no event shows an attempt to delete it."
        )

    def test_a_launch_with_delete_on_termination_off_is_the_cause(self) -> None:
        place = Place()
        eni = grown(place)
        place.log("09:20:00", ADA, detach(eni))
        launched = Instance(
            OTHER_NODE, "m5.large", replace(eni, attachment="eni-attach-2"), {}, keeps_eni=True
        )
        place.log("09:30:00", ADA, run_instances(launched, existing_eni=True))
        place.log("10:00:00", ADA, terminate(OTHER_NODE))
        (finding,) = place.found("interface-never-deleted", *PERIOD)
        cause = "ada (IAM user, aws-cli 2.27.31) launched the instance with deleteOnTermination off at"
        assert f"{cause} 2026-03-02 09:30:00Z" in finding.sentence

    def test_a_role_that_may_not_delete_is_named_with_the_permission(self) -> None:
        place = Place()
        eni = grown(place)
        place.log("10:00:00", cni(place), detach(eni))
        for second_of_try in range(3):
            place.log(f"10:00:0{second_of_try + 2}", cni(place), refused(delete(eni), DENIED))
        (finding,) = place.found("interface-never-deleted", *PERIOD)
        assert finding.sentence.endswith(
            "its delete failed 3 times with UnauthorizedOperation (role quay-NodeInstanceRole lacks "
            "ec2:DeleteNetworkInterface)."
        )
        assert finding.advice.startswith("Allow ec2:DeleteNetworkInterface for role quay-NodeInstanceRole.")

    def test_leaks_with_one_cause_are_one_finding_and_another_cause_is_another(self) -> None:
        place = Place()
        caller = signs_in(place, "09:00:30", AWS_NODE, 1)
        node(place, "09:00:00")
        for number in (1, 2, 3):
            eni = of_cni(second(number=number), NODE, place.time("09:01:00"))
            adds_eni(place, ("09:01:00", "09:01:01", "09:01:02"), caller, eni, NODE)
            place.log(f"09:3{number}:00", caller, detach(eni))
            if number < 3:
                place.log(f"09:3{number}:02", caller, delete_in_use(eni))
        found = place.found("interface-never-deleted", *PERIOD)
        assert [(len(finding.enis), finding.sentence.partition("deleted: ")[2]) for finding in found] == [
            (2, "their deletes were refused 2 times (still in use)."),
            (1, "nobody tried to delete it."),
        ]

    def test_the_attachment_failed(self) -> None:
        place = Place()
        eni = of_cni(second(), NODE, place.time("09:10:00"))
        node(place, "09:00:00")
        place.log("09:10:00", cni(place), create_network_interface(eni))
        place.log("09:10:01", cni(place), refused(attach(eni, NODE, 1), DENIED))
        (finding,) = place.found("interface-never-attached", *PERIOD)
        assert finding.sentence == (
            f"{eni.id} was created by {self.CNI} and never attached: its attachment failed once with "
            "UnauthorizedOperation (role quay-NodeInstanceRole lacks ec2:AttachNetworkInterface), and "
            "nobody tried to delete it."
        )

    def test_the_node_is_terminated_right_after_the_creation(self) -> None:
        place = Place()
        grown(place, OTHER_NODE)
        node(place, "09:00:00")
        caller = signs_in(place, "09:00:30", AWS_NODE, 1)
        eni = of_cni(second(), NODE, place.time("09:10:00"))
        place.log("09:10:00", caller, create_network_interface(eni))
        place.log("09:10:02", ADA, terminate(NODE))
        (finding,) = place.found("interface-never-attached", *PERIOD)
        assert finding.sentence == (
            f"{eni.id} was created by kube-system/aws-node (IRSA, cluster quay, amazon-vpc-cni-k8s v1.18.3) "
            f"for {NODE} and never attached: ada (IAM user, aws-cli 2.27.31) terminated {NODE} 2 s after "
            "it was created."
        )

    def test_a_description_that_asks_not_to_delete_it_is_quoted_and_nobody_is_told_to(self) -> None:
        place = Place()
        grown(place)
        eni = Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4", description=STUDIO)
        place.log("09:10:00", ADA, create_network_interface(eni))
        (finding,) = place.findings(*PERIOD)
        assert (finding.rule, finding.severity) == ("interface-never-attached", Severity.LOW)
        assert finding.sentence.endswith(f'nobody tried to attach it. Its description says "{STUDIO}".')
        assert "delete it" not in finding.advice

    def test_nobody_is_told_to_delete_an_unused_eni_of_a_person(self) -> None:
        place = Place()
        grown(place)
        place.log("09:10:00", ADA, create_network_interface(Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4")))
        (finding,) = place.findings(*PERIOD)
        assert doubts(finding) == ["service-may-use-it"]
        assert "delete it" not in finding.advice


class TestLeaksOfBranches:
    def untagged(self, place: Place) -> Eni:
        eni = Eni("eni-0eeeeeeeeeeeeee99", SUBNET, "10.9.8.99", description="aws-k8s-branch-eni")
        place.log("09:40:00", controller(place), create_network_interface(eni))
        return eni

    def test_no_finding_for_a_branch_whose_tag_names_its_trunk(self) -> None:
        place = Place()
        trunk(place)
        place.log("09:35:00", controller(place), associate(branch(place, "09:30:00").id, TRUNK.id))
        branch(place, "09:31:00", number=2)
        assert place.findings(*PERIOD) == []

    def test_no_finding_without_any_association_in_the_evidence(self) -> None:
        place = Place()
        trunk(place)
        self.untagged(place)
        assert place.findings(*PERIOD) == []

    def test_a_branch_without_the_tag_beside_others_that_are_associated(self) -> None:
        place = Place()
        trunk(place)
        place.log("09:30:02", controller(place), associate(branch(place, "09:30:00").id, TRUNK.id))
        eni = self.untagged(place)
        (finding,) = place.findings(*PERIOD)
        assert (finding.rule, finding.enis) == ("interface-never-attached", (eni.id,))

    def test_a_branch_that_outlives_its_node_is_low_if_only_its_tag_names_the_node(self) -> None:
        place = Place()
        trunk(place)
        place.log("09:50:00", controller(place), delete(branch(place, "09:30:00", number=2)))
        eni = branch(place, "09:30:00")
        place.log("10:00:00", ADA, terminate(NODE))
        (finding,) = place.findings(*PERIOD)
        assert (finding.severity, finding.enis) == (Severity.LOW, (eni.id,))
        assert doubts(finding) == ["instance-inferred"]


class TestStrangers:
    RULE = "cni-eni-removed"

    def raced(self, place: Place, number: int, caller: Caller) -> Eni:
        """The CNI creates an ENI, somebody deletes it, and the attachment fails."""
        eni = of_cni(second(number=number), NODE, place.time(f"09:{number}0:00"))
        place.log(f"09:{number}0:00", cni(place), create_network_interface(eni))
        place.log(f"09:{number}0:02", caller, delete(eni))
        place.log(f"09:{number}0:03", cni(place), refused(attach(eni, NODE, 1), NOT_FOUND))
        return eni

    def test_a_job_deletes_enis_before_the_cni_can_attach_them(self) -> None:
        place = Place()
        node(place, "09:00:00")
        enis = [self.raced(place, number, janitor(place)).id for number in (1, 2, 3)]
        (finding,) = place.found(self.RULE, *PERIOD)
        assert finding.severity is Severity.HIGH
        assert finding.sentence == (
            "eni-janitor/sweep (assumed role, Boto3/1.34.20) deleted 3 ENIs of the VPC CNI "
            f"({enis[0]}, {enis[1]} and {enis[2]}), each 2 s after it was created and before it was "
            f"attached; the attachment by {NODE} (instance role, amazon-vpc-cni-k8s v1.18.3) then failed "
            "3 times with InvalidNetworkInterfaceID.NotFound."
        )
        assert [event.name for event in finding.events[:3]] == [
            *("CreateNetworkInterface", "DeleteNetworkInterface", "AttachNetworkInterface")
        ]

    def test_a_person_detaches_an_eni_with_force(self) -> None:
        place = Place()
        eni = grown(place)
        place.log("10:00:00", ADA, forced(detach(eni)))
        place.log("10:00:09", ADA, delete(eni))
        (finding,) = place.findings(*PERIOD)
        assert (finding.rule, finding.severity) == (self.RULE, Severity.HIGH)
        assert finding.sentence == (
            f"ada (IAM user, aws-cli 2.27.31) detached {eni.id} of the VPC CNI from {NODE} with force at "
            "2026-03-02 10:00:00Z, with 3 IPs, and deleted it."
        )
        assert [str(held) for held in finding.addresses] == ["10.9.1.1", "10.9.1.101", "10.9.1.151"]

    def test_it_is_critical_on_several_nodes(self) -> None:
        place = Place()
        enis = [grown(place), grown(place, OTHER_NODE, 2)]
        for eni in enis:
            place.log("10:00:00", ADA, detach(eni))
        (finding,) = place.found(self.RULE, *PERIOD)
        assert (finding.severity, finding.instances) == (Severity.CRITICAL, (NODE, OTHER_NODE))

    @pytest.mark.parametrize("service", ["ssm.amazonaws.com", "states.amazonaws.com"])
    def test_automation_with_a_customers_role_is_a_stranger(self, service: str) -> None:
        place = Place()
        eni = grown(place)
        place.log("10:00:00", on_behalf(janitor(place).identity, service), detach(eni))
        (finding,) = place.found(self.RULE, *PERIOD)
        assert finding.severity is Severity.HIGH

    def test_no_finding_for_a_service_linked_role(self) -> None:
        place = Place()
        eni = grown(place)
        service = "eks-nodegroup.amazonaws.com"
        role = Role(ACCOUNT, "AWSServiceRoleForAmazonEKSNodegroup", path=f"/aws-service-role/{service}/")
        session = assumed_role(role, "EKS", place.time("08:00:00"))
        place.log("10:00:00", on_behalf(session, service), detach(eni))
        place.log("10:00:05", on_behalf(session, service), delete(eni))
        assert place.findings(*PERIOD) == []

    @pytest.mark.parametrize("agent", [CNI_1_18, CNI_1_20])
    def test_no_finding_for_the_cni_itself(self, agent: str) -> None:
        place = Place()
        frees_eni(place, ("10:00:00", "10:00:02", "10:00:03"), cni(place, agent=agent), grown(place))
        assert place.findings(*PERIOD) == []

    def test_no_finding_for_the_cni_of_another_node_that_cleans_up(self) -> None:
        place = Place()
        eni = grown(place)
        place.log("10:00:00", cni(place), detach(eni))
        place.log("10:30:00", cni(place, OTHER_NODE), delete(eni))
        assert [finding.rule for finding in place.findings(*PERIOD)] == ["interface-deleted-by-others"]

    def test_no_finding_for_the_controller_that_cleans_up(self) -> None:
        place = Place()
        eni = grown(place)
        place.log("10:00:00", cni(place), detach(eni))
        place.log("10:30:00", controller(place), delete(eni))
        assert [finding.rule for finding in place.findings(*PERIOD)] == ["interface-deleted-by-others"]

    def test_a_copied_user_agent_of_the_controller_hides_nothing(self) -> None:
        place = Place()
        node(place, "09:00:00")
        self.raced(place, 1, controller(place, "dev"))
        place.log("10:00:00", controller(place, "dev"), detach(grown(place, OTHER_NODE, 2)))
        assert [finding.severity for finding in place.found(self.RULE, *PERIOD)] == [Severity.HIGH] * 2

    def test_no_finding_for_the_controller_at_its_own_trunk(self) -> None:
        place = Place()
        trunk(place)
        place.log("10:00:00", controller(place), detach(TRUNK))
        place.log("10:00:05", controller(place), delete(TRUNK))
        place.log("10:10:00", controller(place), delete(branch(place, "09:30:00")))
        assert place.findings(*PERIOD) == []

    def test_a_person_takes_a_trunk_off_its_node(self) -> None:
        place = Place()
        trunk(place)
        place.log("10:00:00", ADA, detach(TRUNK))
        (finding,) = place.found(self.RULE, *PERIOD)
        assert finding.severity is Severity.HIGH
        assert f"detached {TRUNK.id} of the VPC resource controller from {NODE}" in finding.sentence

    def test_the_pods_of_its_branches_lose_their_ips_with_the_trunk(self) -> None:
        place = Place()
        trunk(place)
        branch(place, "09:30:00")
        branch(place, "09:31:00", number=2)
        place.log("09:40:00", controller(place), delete(branch(place, "09:32:00", number=3)))
        place.log("10:00:00", ADA, detach(TRUNK))
        (finding,) = place.found(self.RULE, *PERIOD)
        assert finding.sentence == (
            f"ada (IAM user, aws-cli 2.27.31) detached {TRUNK.id} of the VPC resource controller from {NODE} "
            "at 2026-03-02 10:00:00Z, with 3 IPs."
        )
        of_branch = place.timeline(ip=(ip_network("10.9.8.1"),))
        assert [(entry.time, entry.event) for entry in of_branch] == [
            (place.time("09:30:00"), "CreateNetworkInterface"),
            (place.time("10:00:00"), "DetachNetworkInterface"),
        ]

    def test_a_branch_that_only_its_tag_attaches_may_be_a_pods_when_a_person_deletes_it(self) -> None:
        place = Place()
        trunk(place)
        place.log("10:00:00", ADA, delete(branch(place, "09:30:00")))
        (finding,) = place.found(self.RULE, *PERIOD)
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence == (
            "ada (IAM user, aws-cli 2.27.31) deleted eni-0eeeeeeeeeeeeee01 of the VPC resource controller at "
            "2026-03-02 10:00:00Z."
        )
        assert finding.advice.startswith("Ask the caller why. Pods with these IPs have no network")
        assert [doubt.text for doubt in finding.doubts] == [
            "No event shows whether anything used the ENI until then."
        ]

    def test_a_person_takes_a_branch_off_its_trunk(self) -> None:
        place = Place()
        trunk(place)
        place.log("09:30:02", controller(place), associate(branch(place, "09:30:00").id, TRUNK.id))
        place.log("10:00:00", ADA, disassociate())
        (finding,) = place.found(self.RULE, *PERIOD)
        assert finding.severity is Severity.HIGH
        assert finding.sentence == (
            "ada (IAM user, aws-cli 2.27.31) detached eni-0eeeeeeeeeeeeee01 of the VPC resource controller "
            f"from {NODE} at 2026-03-02 10:00:00Z, with 1 IP."
        )

    def test_no_finding_if_the_controller_takes_it_off_itself_or_from_an_account_of_aws(self) -> None:
        of_aws = Caller(
            {"type": "AWSAccount", "principalId": "AROAX", "accountId": "999999999999"}, "x", CNI_1_20
        )
        for caller in (controller(Place()), of_aws):
            place = Place()
            trunk(place)
            place.log("09:30:02", controller(place), associate(branch(place, "09:30:00").id, TRUNK.id))
            place.log("10:00:00", caller, disassociate())
            assert place.found(self.RULE, *PERIOD) == []

    def test_a_leak_that_somebody_cleans_up_is_only_information(self) -> None:
        place = Place()
        eni = grown(place)
        place.log("10:00:00", cni(place), detach(eni))
        place.log("11:00:00", ADA, delete(eni))
        (finding,) = place.findings(*PERIOD)
        assert (finding.rule, finding.severity) == (self.RULE, Severity.INFO)
        assert finding.sentence == (
            f"ada (IAM user, aws-cli 2.27.31) deleted {eni.id} of the VPC CNI, which nothing used any more."
        )

    def test_an_eni_of_a_terminated_node_is_a_leak_at_once(self) -> None:
        place = Place()
        node(place, "09:00:00")
        eni = of_cni(second(), NODE, place.time("09:10:00"))
        place.log("09:10:00", cni(place), create_network_interface(eni))
        place.log("09:10:02", ADA, terminate(NODE))
        place.log("09:10:30", ADA, delete(eni))
        assert [finding.severity for finding in place.found(self.RULE, *PERIOD)] == [Severity.INFO]

    def test_a_nameless_go_program_with_another_role_may_be_the_cni(self) -> None:
        place = Place()
        node(place, "09:00:00")
        self.raced(place, 1, janitor(place, agent=CNI_1_20))
        (finding,) = place.found(self.RULE, *PERIOD)
        assert (finding.severity, doubts(finding)) == (Severity.MEDIUM, ["caller-may-be-cni"])

    def test_so_may_a_pod_with_another_role_whose_service_account_no_event_shows(self) -> None:
        place = Place()
        node(place, "09:00:00")
        other = replace(AWS_NODE, role=replace(AWS_NODE.role, name="quay-eni-janitor"))
        pod = other.session(place.time("08:30:00"), 5).caller
        self.raced(place, 1, replace(pod, agent=CNI_1_20))
        (finding,) = place.found(self.RULE, *PERIOD)
        assert (finding.severity, doubts(finding)) == (Severity.MEDIUM, ["caller-may-be-cni"])

    def test_an_eni_of_a_cni_without_a_name_and_a_sign_in_is_the_cnis(self) -> None:
        place = Place()
        node(place, "09:00:00")
        pod = AWS_NODE.session(place.time("08:30:00"), 5).caller
        eni = of_cni(second(), NODE, place.time("09:10:00"))
        place.log("09:10:00", replace(pod, agent=CNI_1_20), create_network_interface(eni))
        place.log("09:10:02", janitor(place), delete(eni))
        assert place.history().manager_of(eni.id).manager is Manager.VPC_CNI
        assert [finding.severity for finding in place.found(self.RULE, *PERIOD)] == [Severity.HIGH]

    def test_an_eni_that_was_attached_before_the_evidence_may_have_been_a_leak(self) -> None:
        place = Place()
        eni = Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4")
        place.log("09:10:00", cni(place), assign(eni.id, "10.9.4.5"))
        place.log("10:00:00", ADA, delete(eni))
        (finding,) = place.found(self.RULE, *PERIOD)
        assert (finding.severity, doubts(finding)) == (Severity.LOW, ["detach-time-unknown"])

    def test_prefixes_are_counted_apart(self) -> None:
        place = Place()
        node(place, "09:00:00")
        eni = of_cni(replace(second(), prefixes=("10.9.64.0/28",)), NODE, place.time("09:01:00"))
        adds_eni(place, ("09:01:00", "09:01:01", "09:01:02"), cni(place), eni, NODE)
        place.log("10:00:00", ADA, detach(eni))
        (finding,) = place.found(self.RULE, *PERIOD)
        assert finding.severity is Severity.HIGH
        assert finding.sentence.endswith("at 2026-03-02 10:00:00Z, with 1 IP and 1 prefix.")

    def test_no_finding_for_an_eni_that_no_plugin_manages(self) -> None:
        place = Place()
        node(place, "09:00:00")
        own = Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4", "eni-attach-0ccccccccccccccc1")
        place.log("09:10:00", ADA, create_network_interface(own))
        place.log("09:10:02", ADA, attach(own, NODE, 2))
        place.log("10:00:00", janitor(place), forced(detach(own)))
        place.log("10:00:05", janitor(place), delete(own))
        assert place.findings(*PERIOD) == []

    def test_no_finding_for_a_refused_call(self) -> None:
        place = Place()
        eni = grown(place)
        place.log("10:00:00", ADA, refused(detach(eni), DENIED))
        assert place.found(self.RULE, *PERIOD) == []

    def test_enis_of_cilium_are_removed_by_its_operator_or_by_a_stranger(self) -> None:
        place = Place()
        caller = signs_in(place, "09:00:30", CILIUM, 3)
        node(place, "09:00:00")
        for number, remover in ((1, caller), (2, ADA)):
            eni = of_cilium(replace(second(number=number), secondaries=(f"10.9.1.{number + 100}",)))
            place.log("09:01:00", caller, create_network_interface(eni))
            place.log("09:01:01", caller, attach(eni, NODE, number))
            place.log("10:00:00", remover, detach(eni))
            place.log("10:00:03", remover, delete(eni))
        (finding,) = place.found(self.RULE, *PERIOD)
        assert finding.sentence.startswith(
            f"ada (IAM user, aws-cli 2.27.31) detached {second(number=2).id} of Cilium from {NODE} at "
        )
