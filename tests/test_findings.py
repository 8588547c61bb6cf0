"""What is out of the ordinary: for each rule a story where it speaks, and one alike where it is silent."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from callers import Role, aws_service, iam_user, on_behalf, role_user
from calls import (
    Eni,
    Instance,
    assign,
    assign_named,
    attach,
    create_network_interface,
    create_trail,
    delete,
    delete_on_termination,
    delete_trail,
    detach,
    on_bucket,
    put_advanced_selectors,
    put_event_selectors,
    run_instances,
    selector,
    start_logging,
    stop_logging,
    terminate,
    unassign,
    update_trail,
)
from cni import CNI_1_11, CNI_1_16, CNI_1_18, CNI_1_20, CNI_1_21, adds_eni, frees_eni, of_cni, signs_in
from conftest import Run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incidents import (
    ACCOUNT,
    AWS_NODE,
    BOTO,
    CLI,
    CLUSTER,
    FULL,
    NODE,
    OTHER_NODE,
    SUBNET,
    THROTTLED,
    Incident,
    asks,
    clock,
    cni,
    creation_refused,
    node,
    read,
    refused,
    second,
)
from simulator import STOLEN, Delivery, World, deliver, deliveries, worlds

from cnitrail.answers.filters import Filter
from cnitrail.answers.findings import findings
from cnitrail.model import SEVERITY_ORDER, Finding, Severity

ADA = iam_user(ACCOUNT, "ada", "198.51.100.7", CLI)


def grown(incident: Incident, at: tuple[str, str, str] = ("10:01:00", "10:01:01", "10:01:02")) -> Eni:
    """A node with a second interface that the CNI made; that interface."""
    node(incident, "10:00:00")
    eni = of_cni(replace(second(), secondaries=("10.9.1.50", "10.9.1.51")), NODE, incident.time(at[0]))
    adds_eni(incident, at, cni(incident), eni, NODE)
    return eni


class TestAssignedByHand:
    def test_addresses_by_name_on_an_interface_of_the_cni(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", ADA, assign_named(eni.id, "10.9.3.3", "10.9.3.4"))
        (finding,) = incident.found("address-assigned-by-hand", "09:00:00", "12:00:00")
        assert finding.severity is Severity.HIGH
        assert finding.sentence == (
            "ada (IAM user, aws-cli 2.27.31) assigned 10.9.3.3 and 10.9.3.4 by name, as the VPC CNI never "
            f"does, to {eni.id} of {NODE}, which the VPC CNI manages."
        )
        assert (finding.since, finding.until) == (incident.time("11:00:00"), None)
        assert (finding.instances, finding.enis, finding.clusters) == ((NODE,), (eni.id,), (CLUSTER,))

    def test_it_is_over_once_they_are_released(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", ADA, assign_named(eni.id, "10.9.3.3"))
        incident.log("11:20:00", ADA, unassign(eni.id, "10.9.3.3"))
        (finding,) = incident.found("address-assigned-by-hand", "09:00:00", "12:00:00")
        assert finding.until == incident.time("11:00:00")

    def test_so_many_addresses_through_another_program_matter_less(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", iam_user(ACCOUNT, "ops", "198.51.100.8", BOTO), assign(eni.id, "10.9.3.3"))
        (finding,) = incident.found("address-assigned-by-hand", "09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence == (
            f"ops (IAM user, Boto3/1.34.20) assigned 10.9.3.3 to {eni.id} of {NODE}, which "
            "the VPC CNI manages."
        )

    def test_a_call_that_only_names_itself_after_the_cni_is_found_out(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log(
            "11:00:00", iam_user(ACCOUNT, "eve", "198.51.100.8", CNI_1_18), assign_named(eni.id, "10.9.3.3")
        )
        (finding,) = incident.found("address-assigned-by-hand", "09:00:00", "12:00:00")
        assert finding.sentence.startswith(
            "eve (IAM user, amazon-vpc-cni-k8s v1.18.3) assigned 10.9.3.3 by name, as the VPC"
        )

    def test_several_calls_of_one_person_are_one_finding(self) -> None:
        incident = Incident()
        eni = grown(incident)
        for minute in range(5):
            incident.log(f"11:0{minute}:00", ADA, assign_named(eni.id, f"10.9.3.{minute}"))
        (finding,) = incident.found("address-assigned-by-hand", "09:00:00", "12:00:00")
        assert "assigned 10.9.3.0, 10.9.3.1, 10.9.3.2 and 2 more by name" in finding.sentence
        assert len(finding.events) == 5

    def test_silent_the_cni_without_a_name_asks_for_so_many(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident, agent=CNI_1_20), asks(first, 9))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_silent_floating_addresses_on_an_interface_of_ones_own(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        own = Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4", "eni-attach-0ccccccccccccccc1")
        incident.log("10:10:00", ADA, create_network_interface(own))
        incident.log("10:10:02", ADA, attach(own, NODE, 2))
        incident.log("10:20:00", ADA, assign_named(own.id, "10.9.4.5"))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_silent_an_aws_service_that_gives_its_own_name(self) -> None:
        incident = Incident()
        eni = grown(incident)
        role = Role(ACCOUNT, "quay-cluster")
        auto_mode = role_user(
            role, "aws-go-sdk-1", incident.time("10:00:00"), "eks.amazonaws.com", "eks.amazonaws.com"
        )
        incident.log("11:00:00", auto_mode, assign(eni.id, "10.9.3.3"))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_silent_where_the_call_failed(self) -> None:
        incident = Incident()
        eni = grown(incident)
        outside = ("Client.InvalidParameterValue", "Address does not fall within the subnet's address range")
        incident.log("11:00:00", ADA, refused(assign_named(eni.id, "10.8.3.3"), outside))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestReleasedByHand:
    def test_addresses_of_the_cni_released_by_a_person(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", ADA, unassign(eni.id, "10.9.1.50"))
        (finding,) = incident.found("address-released-by-hand", "09:00:00", "12:00:00")
        assert finding.severity is Severity.HIGH
        assert finding.sentence == (
            f"ada (IAM user, aws-cli 2.27.31) released 10.9.1.50 of {eni.id} of {NODE}, "
            "which the VPC CNI manages."
        )

    def test_silent_what_was_assigned_by_hand_is_released_by_hand(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", ADA, assign_named(eni.id, "10.9.3.3"))
        incident.log("11:20:00", ADA, unassign(eni.id, "10.9.3.3"))
        assert incident.found("address-released-by-hand", "09:00:00", "12:00:00") == []

    def test_nor_is_it_excused_by_an_assignment_to_another_interface(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", ADA, unassign(eni.id, "10.9.1.50"))
        incident.log("10:30:00", ADA, assign_named("eni-0f0f0f0f0f0f0f0f0", "10.9.1.50"))
        incident.log("11:20:00", ADA, assign_named(eni.id, "10.9.1.50"))
        (finding,) = incident.found("address-released-by-hand", "09:00:00", "12:00:00")
        assert finding.since == incident.time("11:00:00")

    def test_silent_the_cni_gives_back_what_it_has_too_many_of(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", cni(incident), unassign(eni.id, "10.9.1.50"))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestStolen:
    def test_an_address_of_the_cni_taken_by_another_interface(self) -> None:
        incident = Incident()
        eni = grown(incident)
        winner = Eni("eni-0dddddddddddddddd", SUBNET, "10.9.4.4")
        incident.log("10:50:00", ADA, create_network_interface(winner))
        incident.log("11:00:00", ADA, assign_named(winner.id, "10.9.1.50", reassign=True))
        incident.log("11:10:00", cni(incident), unassign(eni.id, "10.9.1.51"))
        (finding,) = incident.found("address-stolen", "09:00:00", "12:00:00")
        assert finding.severity is Severity.HIGH
        assert (
            finding.sentence
            == f"ada (IAM user, aws-cli 2.27.31) took 10.9.1.50 from {eni.id} for {winner.id}."
        )
        assert finding.enis == (winner.id, eni.id)

    def test_an_interface_that_is_not_seen_again_may_have_gone_before(self) -> None:
        incident = Incident()
        eni = grown(incident)
        winner = Eni("eni-0dddddddddddddddd", SUBNET, "10.9.4.4")
        incident.log("10:50:00", ADA, create_network_interface(winner))
        incident.log("11:00:00", ADA, assign_named(winner.id, "10.9.1.50", reassign=True))
        (finding,) = incident.found("address-stolen", "09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        assert finding.doubts == (
            f"{eni.id} had it by then, unless its instance ended unseen: no later event shows it.",
        )

    def test_who_may_have_lost_it_is_said_where_a_vpc_is_not_known(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", ADA, assign_named("eni-0dddddddddddddddd", "10.9.1.50", reassign=True))
        (finding,) = incident.found("address-stolen", "09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        assert finding.doubts == (
            f"{eni.id} had the same address until then; whether in the same VPC, nothing tells.",
        )

    def test_between_interfaces_that_are_not_the_cnis_it_may_be_meant(self) -> None:
        incident = Incident()
        one, other = (Eni(f"eni-0eeeeeeeeeeeeeee{n}", SUBNET, f"10.9.5.{n}") for n in (1, 2))
        for eni in (one, other):
            incident.log("10:00:00", ADA, create_network_interface(eni))
        incident.log("10:10:00", ADA, assign_named(one.id, "10.9.5.50"))
        incident.log("10:20:00", ADA, assign_named(other.id, "10.9.5.50", reassign=True))
        (finding,) = incident.found("address-stolen", "09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM

    def test_a_tool_that_moves_an_address_to_and_fro_is_one_finding(self) -> None:
        incident = Incident()
        one, other = (Eni(f"eni-0eeeeeeeeeeeeeee{n}", SUBNET, f"10.9.5.{n}") for n in (1, 2))
        for eni in (one, other):
            incident.log("10:00:00", ADA, create_network_interface(eni))
        incident.log("10:10:00", ADA, assign_named(one.id, "10.9.5.50"))
        for minute in range(20, 26):
            taker = (other, one)[minute % 2]
            incident.log(f"10:{minute}:00", ADA, assign_named(taker.id, "10.9.5.50", reassign=True))
        incident.log("10:30:00", ADA, assign_named(other.id, "10.9.5.51"))
        (finding,) = incident.found("address-stolen", "09:00:00", "12:00:00")
        assert finding.sentence == (
            f"ada (IAM user, aws-cli 2.27.31) took 10.9.5.50 from {one.id} and {other.id} for {one.id} and "
            f"{other.id}, 6 times."
        )

    def test_nobody_is_accused_where_the_order_within_a_second_is_open(self) -> None:
        incident = Incident()
        eni = grown(incident)
        winner = Eni("eni-0dddddddddddddddd", SUBNET, "10.9.4.4")
        incident.log("10:50:00", ADA, create_network_interface(winner))
        incident.log("11:00:00", cni(incident), unassign(eni.id, "10.9.1.50"))
        incident.log("11:00:00", ADA, assign_named(winner.id, "10.9.1.50", reassign=True))
        (finding,) = incident.found("address-stolen", "09:00:00", "12:00:00")
        assert finding.severity is not Severity.HIGH
        assert "taken from whoever had it" in finding.sentence

    def test_nobody_is_said_to_have_had_it_where_the_evidence_does_not(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", ADA, assign_named(eni.id, "10.9.3.3", reassign=True))
        (finding,) = incident.found("address-stolen", "09:00:00", "12:00:00")
        assert finding.severity is Severity.LOW
        assert finding.doubts == ("The evidence shows nobody who had it before.",)

    def test_silent_an_address_that_is_released_and_given_again(self) -> None:
        incident = Incident()
        eni = grown(incident)
        first = node(incident, "10:02:00", OTHER_NODE)
        incident.log("11:00:00", cni(incident), unassign(eni.id, "10.9.1.50"))
        incident.log("11:00:03", cni(incident, OTHER_NODE), assign(first.id, "10.9.1.50"))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestThrottled:
    def test_the_bucket_and_who_drained_it(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        script = iam_user(ACCOUNT, "rotator", "198.51.100.8", BOTO)
        for number in range(120):
            incident.log("10:10:00", script, assign(first.id, f"10.9.7.{number}"))
        for number in range(6):
            incident.log(f"10:10:0{number // 2}", cni(incident), refused(asks(first, 9), THROTTLED))
        (finding,) = incident.found("api-throttled", "09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence == (
            "EC2 throttled 6 calls of AssignPrivateIpAddresses on 1 instance within 2 s. Its bucket (100 at "
            "once and 5 a second) was drained by 120 calls: rotator (IAM user, Boto3/1.34.20) 120."
        )
        assert [event.name for event in finding.events] == ["AssignPrivateIpAddresses"] * 6
        assert finding.until == incident.time("10:10:02")

    def test_calls_that_are_too_few_to_drain_it_are_not_accused(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:10:00", cni(incident), refused(asks(first, 9), THROTTLED))
        (finding,) = incident.found("api-throttled", "09:00:00", "12:00:00")
        assert finding.severity is Severity.LOW
        assert finding.sentence == "EC2 throttled 1 call of AssignPrivateIpAddresses on 1 instance."
        (doubt,) = finding.doubts
        assert doubt == (
            "The calls in the evidence would not empty its bucket (100 at once and 5 a second): others were "
            "made that are not in it, or the account's rate is lower."
        )

    def test_calls_from_before_the_bucket_was_full_again_drained_nothing(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for number in range(50):
            incident.log("10:01:00", ADA, assign(first.id, f"10.9.6.{number}"))
        for number in range(100):
            incident.log("10:10:00", cni(incident), assign(first.id, f"10.9.7.{number}"))
        incident.log("10:10:00", cni(incident), refused(asks(first, 9), THROTTLED))
        (finding,) = incident.found("api-throttled", "09:00:00", "12:00:00")
        assert "drained by 100 calls" in finding.sentence
        assert "ada" not in finding.sentence

    def test_minutes_of_it_are_grave(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for minute in range(10, 17):
            incident.log(f"10:{minute}:00", cni(incident), refused(asks(first, 9), THROTTLED))
        (finding,) = incident.found("api-throttled", "09:00:00", "12:00:00")
        assert finding.severity is Severity.HIGH

    def test_it_still_goes_on_where_the_evidence_ends_in_it(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:10:00", cni(incident), refused(asks(first, 9), THROTTLED))
        (finding,) = incident.found("api-throttled", "09:00:00", "10:15:00")
        assert finding.until is None

    def test_silent_many_calls_that_nobody_refused(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for number in range(150):
            incident.log("10:10:00", cni(incident), assign(first.id, f"10.9.7.{number}"))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestSubnetExhausted:
    def test_the_cni_asks_for_several_then_for_one_in_vain(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), refused(asks(first, 9), FULL))
        incident.log("10:01:00", cni(incident), refused(asks(first, 1), FULL))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("subnet-exhausted", Severity.HIGH)
        assert finding.sentence == (
            f"{SUBNET.id} had too few free addresses: 2 calls failed for {NODE}. The VPC CNI asked for "
            "several addresses, then for one, once, in vain."
        )
        assert finding.subnets == (SUBNET.id,)

    @pytest.mark.parametrize(
        ("code", "message", "told"),
        [
            (
                "Client.InsufficientFreeAddressesInSubnet",
                "…",
                "too few free addresses: 1 call failed for {NODE}.",
            ),
            (
                "Client.InvalidParameterValue",
                "There aren't sufficient free Ipv4 addresses or prefixes",
                "too few free addresses: 1 call failed for {NODE} (as InvalidParameterValue).",
            ),
            (
                "",
                "insufficient free address to allocate 1 address",
                "too few free addresses: 1 call failed for {NODE} (as unknown).",
            ),
            (
                "Client.InsufficientCidrBlocks",
                "The specified subnet does not have enough free cidr blocks to satisfy the request.",
                "too few free /28 blocks: 1 call failed for {NODE}.",
            ),
        ],
    )
    def test_in_every_disguise(self, code: str, message: str, told: str) -> None:
        incident = Incident()
        incident.log("10:01:00", cni(incident), creation_refused(second(), 5, (code, message)))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.sentence == f"{SUBNET.id} had {told.format(NODE=NODE)}"

    def test_an_address_that_is_taken_from_another_interface_is_none_that_the_subnet_gives(self) -> None:
        incident = Incident()
        grown(incident)
        other = node(incident, "10:02:00", OTHER_NODE)
        incident.log("10:10:00", cni(incident, OTHER_NODE), refused(asks(other, 1), FULL))
        incident.log("10:15:00", ADA, assign_named(other.id, "10.9.1.50", reassign=True))
        (finding,) = incident.found("subnet-exhausted", "09:00:00", "12:00:00")
        assert finding.severity is Severity.HIGH
        assert "gave addresses again" not in finding.sentence

    def test_it_is_over_where_the_subnet_gives_addresses_again(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), refused(asks(first, 9), FULL))
        incident.log("10:01:01", cni(incident), assign(first.id, "10.9.9.9"))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence.endswith(
            "The VPC CNI asked for several addresses, then for one, once, and got that once. "
            "It gave addresses again at 2026-03-02 10:01:01Z."
        )
        assert finding.until == incident.time("10:01:00")

    def test_each_subnet_is_a_finding_of_its_own(self) -> None:
        incident = Incident()
        other = replace(SUBNET, id="subnet-0bbbbbbbbbbbbbbb1")
        incident.log("10:01:00", cni(incident), creation_refused(second(), 5, FULL))
        incident.log("10:01:01", cni(incident), creation_refused(replace(second(), subnet=other), 5, FULL))
        assert [each.subnets for each in incident.findings("09:00:00", "12:00:00")] == [
            (SUBNET.id,),
            (other.id,),
        ]

    def test_silent_an_interface_that_is_full_is_no_subnet(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        limit = ("Client.PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
        incident.log("10:01:00", cni(incident), refused(asks(first, 9), limit))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestSeveralThenOne:
    DENIED = ("Client.UnauthorizedOperation", "You are not authorized to perform this operation.")

    def test_another_error_behind_the_pair(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for minute in (1, 2):
            incident.log(f"10:0{minute}:00", cni(incident), refused(asks(first, 9), self.DENIED))
            incident.log(f"10:0{minute}:00", cni(incident), refused(asks(first, 1), self.DENIED))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("several-then-one", Severity.HIGH)
        assert finding.sentence == (
            f"The VPC CNI asked for several addresses for {NODE}, failed (UnauthorizedOperation), and asked "
            "for one, 2 times, 2 times in vain."
        )

    def test_silent_a_single_failure_tells_nothing_of_the_cni(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), refused(asks(first, 9), self.DENIED))
        incident.log("10:01:30", cni(incident), refused(asks(first, 1), self.DENIED))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_silent_a_person_who_tries_the_same(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", ADA, refused(asks(first, 9), self.DENIED))
        incident.log("10:01:01", ADA, refused(asks(first, 1), self.DENIED))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestChurn:
    def churning(self, incident: Incident, rounds: int, many: int = 1) -> None:
        first = node(incident, "10:00:00")
        for number in range(rounds):
            held = [f"10.9.7.{number * many + each}" for each in range(many)]
            incident.log(clock(36000 + 60 + number * 120), cni(incident), assign(first.id, *held))
            incident.log(clock(36000 + 120 + number * 120), cni(incident), unassign(first.id, *held))

    def test_an_address_taken_and_given_back_all_the_time(self) -> None:
        incident = Incident()
        self.churning(incident, 15)
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("address-churn", Severity.LOW)
        assert finding.sentence == (
            f"{NODE} took addresses and gave them back, at most 3 at a time, as with a low WARM_IP_TARGET: "
            "30 calls of one node in an hour."
        )

    def test_it_matters_more_while_calls_are_throttled(self) -> None:
        incident = Incident()
        self.churning(incident, 15)
        incident.log("10:20:00", cni(incident, OTHER_NODE), refused(asks(second(OTHER_NODE), 1), THROTTLED))
        (finding,) = incident.found("address-churn", "09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence.endswith("in an hour, while EC2 throttled calls.")

    def test_silent_a_few_rounds(self) -> None:
        incident = Incident()
        self.churning(incident, 9)
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_silent_larger_steps(self) -> None:
        incident = Incident()
        self.churning(incident, 15, many=4)
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_silent_a_node_that_only_grows(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for number in range(30):
            incident.log(clock(36000 + 60 * number), cni(incident), assign(first.id, f"10.9.7.{number}"))
        assert incident.findings("09:00:00", "12:00:00") == []


def elsewhere(incident: Incident) -> None:
    """Another node gets an interface and frees it: such calls are in the evidence."""
    node(incident, "08:00:00", OTHER_NODE)
    eni = of_cni(second(OTHER_NODE), OTHER_NODE, incident.time("08:01:00"))
    adds_eni(incident, ("08:01:00", "08:01:01", "08:01:02"), cni(incident, OTHER_NODE), eni, OTHER_NODE)
    frees_eni(incident, ("08:20:00", "08:20:02", "08:20:03"), cni(incident, OTHER_NODE), eni)


class TestNeverAttached:
    def made(self, incident: Incident, at: str = "10:00:00") -> Eni:
        elsewhere(incident)
        eni = of_cni(second(), NODE, incident.time(at))
        incident.log(at, cni(incident), create_network_interface(eni))
        return eni

    def test_an_interface_of_the_cni_that_no_instance_got(self) -> None:
        incident = Incident()
        eni = self.made(incident)
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("interface-never-attached", Severity.MEDIUM)
        assert finding.sentence == (
            f"{eni.id} was made by {NODE} (instance role, amazon-vpc-cni-k8s v1.18.3) and never attached."
        )
        assert (finding.since, finding.until) == (incident.time("10:00:00"), None)

    def test_while_a_cleanup_may_still_come_it_matters_less(self) -> None:
        incident = Incident()
        self.made(incident)
        (finding,) = incident.findings("09:00:00", "10:30:00")
        assert finding.severity is Severity.LOW
        assert finding.doubts == ("The cleanup that the CNI of every node does once an hour may still come.",)

    def test_where_logs_are_missing_it_matters_less(self) -> None:
        incident = Incident()
        self.made(incident)
        (finding,) = incident.findings("06:00:00", "14:00:00", hole=("11:00:00", "12:00:00"))
        assert finding.severity is Severity.LOW
        assert finding.doubts == (
            "Little or nothing was read between 2026-03-02 10:45:00Z and 2026-03-02 12:00:00Z.",
        )

    def test_where_nobody_attaches_anything_it_matters_less(self) -> None:
        incident = Incident()
        incident.log(
            "10:00:00",
            cni(incident),
            create_network_interface(of_cni(second(), NODE, incident.time("10:00:00"))),
        )
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.severity is Severity.LOW
        assert finding.doubts == (
            "No call to attach any interface is in the evidence: they may have been left out.",
        )

    def test_many_of_one_maker_are_one_finding(self) -> None:
        incident = Incident()
        elsewhere(incident)
        for number in range(1, 8):
            eni = of_cni(second(number=number), NODE, incident.time("10:00:00"))
            incident.log("10:00:00", cni(incident), create_network_interface(eni))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.sentence.startswith("7 interfaces (eni-1")
        assert finding.sentence.endswith(
            f" and 4 more) were made by {NODE} (instance role, amazon-vpc-cni-k8s v1.18.3) and "
            "never attached."
        )

    def test_silent_ten_seconds_before_the_evidence_ends(self) -> None:
        incident = Incident()
        self.made(incident, "11:59:50")
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_silent_an_instance_is_launched_on_it(self) -> None:
        incident = Incident()
        kept = Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4", "eni-attach-0ccccccccccccccc1")
        incident.log("10:00:00", ADA, create_network_interface(kept))
        launched = Instance(NODE, "m5.large", kept, {}, keeps_eni=True)
        incident.log("10:05:00", ADA, run_instances(launched, existing_eni=True))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_silent_a_service_attaches_what_it_makes_unseen(self) -> None:
        incident = Incident()
        eni = Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4", description="Amazon EKS quay")
        service = Role(ACCOUNT, "AWSServiceRoleForAmazonEKS", path="/aws-service-role/eks.amazonaws.com/")
        session = role_user(service, "AmazonEKS", incident.time("09:00:00"), "", "").identity
        incident.log("10:00:00", on_behalf(session, "eks.amazonaws.com"), create_network_interface(eni))
        mount = Eni("eni-0ccccccccccccccc2", SUBNET, "10.9.4.5", description="mine")
        by_ada = on_behalf(ADA.identity, "elasticfilesystem.amazonaws.com")
        incident.log("10:00:00", by_ada, create_network_interface(mount))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestNeverDeleted:
    def test_detached_and_never_deleted(self) -> None:
        incident = Incident()
        elsewhere(incident)
        eni = grown(incident)
        incident.log("10:20:00", cni(incident), detach(eni))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("interface-never-deleted", Severity.MEDIUM)
        assert finding.sentence == f"{eni.id} was detached and never deleted."
        assert (finding.since, finding.until) == (incident.time("10:20:00"), None)

    def test_with_the_deletions_that_failed(self) -> None:
        incident = Incident()
        elsewhere(incident)
        eni = grown(incident)
        incident.log("10:20:00", cni(incident), detach(eni))
        denied = ("Client.UnauthorizedOperation", "You are not authorized to perform this operation.")
        incident.log("10:20:03", cni(incident), refused(delete(eni), denied))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.sentence == (
            f"{eni.id} was detached and never deleted (1 call failed: UnauthorizedOperation)."
        )

    def test_left_behind_when_the_instance_ended_before_it_was_told_to_take_it_along(self) -> None:
        incident = Incident()
        elsewhere(incident)
        node(incident, "10:00:00")
        eni = of_cni(second(), NODE, incident.time("10:01:00"))
        incident.log("10:01:00", cni(incident), create_network_interface(eni))
        incident.log("10:01:01", cni(incident), attach(eni, NODE, 1))
        incident.log("10:20:00", ADA, terminate(NODE))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.sentence == (
            f"{eni.id} was left behind when its instance was terminated and never deleted."
        )

    def test_silent_it_is_told_to_go_with_its_instance(self) -> None:
        incident = Incident()
        grown(incident)
        incident.log("10:20:00", ADA, terminate(NODE))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_silent_the_cni_frees_an_interface(self) -> None:
        incident = Incident()
        eni = grown(incident)
        frees_eni(incident, ("10:20:00", "10:20:02", "10:20:03"), cni(incident), eni)
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_silent_detached_a_minute_before_the_evidence_ends(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:59:00", cni(incident), detach(eni))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_silent_an_interface_of_ones_own_that_is_kept(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        own = Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4", "eni-attach-0ccccccccccccccc1")
        incident.log("10:10:00", ADA, create_network_interface(own))
        incident.log("10:10:02", ADA, attach(own, NODE, 2))
        incident.log("10:10:03", ADA, delete_on_termination(own, yes=False))
        incident.log("10:20:00", ADA, terminate(NODE))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestDeletedByOthers:
    def test_another_node_cleans_up(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("10:20:00", cni(incident), detach(eni))
        incident.log("10:48:00", cni(incident, OTHER_NODE), delete(eni))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("interface-deleted-by-others", Severity.LOW)
        assert finding.sentence == f"{eni.id} was made for {NODE}, and deleted by {OTHER_NODE}."

    def test_a_cleanup_whose_node_nothing_names_is_known_by_its_time(self) -> None:
        incident = Incident()
        caller = signs_in(incident, "10:00:30", AWS_NODE, 1)
        eni = grown(incident)
        incident.log("10:20:00", caller, detach(eni))
        incident.log("10:48:00", caller, delete(eni))
        (finding,) = incident.found("interface-deleted-by-others", "09:00:00", "12:00:00")
        assert finding.sentence == (
            f"{eni.id} was made for {NODE}, and deleted more than 5 min after the last use, as a cleanup "
            "does."
        )

    def test_silent_its_own_node_deletes_it_at_the_second_try(self) -> None:
        incident = Incident()
        eni = grown(incident)
        frees_eni(incident, ("10:20:00", "10:20:02", "10:20:03"), cni(incident), eni)
        assert incident.findings("09:00:00", "12:00:00") == []


class TestAttachLimit:
    FULL_NODE = ("Client.AttachmentLimitExceeded", "Interface count exceeds the limit for m5.large.")

    def loop(self, incident: Incident, rounds: int) -> None:
        for number in range(1, rounds + 1):
            at = clock(37000 + number * 10)
            eni = of_cni(second(number=number), NODE, incident.time(at))
            incident.log(at, cni(incident), create_network_interface(eni))
            incident.log(at, cni(incident), refused(attach(eni, NODE, 1), self.FULL_NODE))
            incident.log(at, cni(incident), delete(eni))

    def test_interfaces_made_and_deleted_again_and_again(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        own = Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4", "eni-attach-0ccccccccccccccc1")
        incident.log("10:10:00", ADA, create_network_interface(own))
        incident.log("10:10:02", ADA, attach(own, NODE, 2))
        self.loop(incident, 6)
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("attach-limit-loop", Severity.HIGH)
        assert finding.sentence == (
            f"{NODE} (m5.large, at most 3 interfaces) took no more interfaces: 6 calls failed to attach "
            "eni-1aaaaaaaaaaaaaa01, eni-1aaaaaaaaaaaaaa02, eni-1aaaaaaaaaaaaaa03 and 3 more, while it had "
            f"{own.id}, which the VPC CNI did not make."
        )
        assert len(finding.events) == 18

    def test_once_is_no_loop(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        self.loop(incident, 1)
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.severity is Severity.LOW

    def test_silent_attachments_that_fail_for_other_reasons(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        gone = ("Client.InvalidNetworkInterfaceID.NotFound", "The networkInterface ID does not exist")
        for number in range(1, 6):
            incident.log(
                f"10:1{number}:00", cni(incident), refused(attach(second(number=number), NODE, 1), gone)
            )
        assert incident.findings("09:00:00", "12:00:00") == []


class TestNodeRoleBesideIrsa:
    def test_a_younger_node_that_falls_back_to_its_own_role(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:01", signs_in(incident, "10:01:00", AWS_NODE, 1), asks(first, 9))
        other = node(incident, "10:10:00", OTHER_NODE)
        incident.log("10:11:00", cni(incident, OTHER_NODE), asks(other, 8))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("node-role-beside-irsa", Severity.MEDIUM)
        assert finding.sentence == (
            f"{OTHER_NODE} of cluster quay made 1 call with the node role quay-NodeInstanceRole, though the "
            "VPC CNI there has eksctl-quay-addon-vpc-cni-Role1-AAAAAAAAAAAA (irsa) since 2026-03-02 "
            "10:01:01Z at the latest."
        )

    def test_an_older_node_during_the_rollout_matters_less(self) -> None:
        incident = Incident()
        first = node(incident, "09:30:00")
        other = node(incident, "09:31:00", OTHER_NODE)
        incident.log("10:01:01", signs_in(incident, "10:01:00", AWS_NODE, 1), asks(first, 9))
        incident.log("10:11:00", cni(incident, OTHER_NODE), asks(other, 8))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.severity is Severity.LOW

    def test_silent_a_node_that_comes_to_use_the_new_role(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), asks(first, 9))
        incident.log("10:31:01", signs_in(incident, "10:31:00", AWS_NODE, 1), assign(first.id, "10.9.7.7"))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_silent_two_clusters_in_one_vpc(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:01", signs_in(incident, "10:01:00", AWS_NODE, 1), asks(first, 9))
        other = node(incident, "10:10:00", OTHER_NODE, cluster="wharf")
        incident.log("10:11:00", cni(incident, OTHER_NODE), asks(other, 8))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_silent_a_cluster_that_has_no_other_role(self) -> None:
        incident = Incident()
        for name in (NODE, OTHER_NODE):
            incident.log("10:11:00", cni(incident, name), asks(node(incident, "10:10:00", name), 9))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestNeverSeenBefore:
    """Only what a day of evidence or more comes before can be new."""

    def used(self, incident: Incident, calls: int = 12) -> Eni:
        """A deployment role that makes an interface an hour, and deletes it."""
        deploy = role_user(
            Role(ACCOUNT, "deploy"), "ci", incident.time("00:00:00"), "198.51.100.20", "Terraform/1.9.0"
        )
        for number in range(calls // 2):
            eni = Eni(f"eni-0fffffffffffff{number:03}", SUBNET, f"10.9.8.{number}")
            incident.log(clock(3600 * number), deploy, create_network_interface(eni))
            incident.log(clock(3600 * number + 60), deploy, delete(eni))
        return Eni("eni-0ffffffffffffffff", SUBNET, "10.9.8.200")

    def test_a_user_that_the_evidence_before_does_not_have(self) -> None:
        incident = Incident()
        eni = self.used(incident)
        incident.log("30:00:00", ADA, create_network_interface(eni))
        incident.log("30:01:00", ADA, delete(eni))
        (finding,) = incident.findings("00:00:00", "31:00:00")
        assert (finding.rule, finding.severity) == ("never-seen-before", Severity.LOW)
        assert finding.sentence == (
            "ada (IAM user) is new: 2 calls through aws-cli 2.27.31 from 198.51.100.7, and none in the 1 d "
            "6 h of evidence before."
        )

    def test_it_matters_more_on_interfaces_of_the_cni(self) -> None:
        incident = Incident()
        eni = grown(incident)
        self.used(incident)
        incident.log("40:00:00", ADA, assign_named(eni.id, "10.9.3.3"))
        (finding,) = incident.found("never-seen-before", "00:00:00", "41:00:00")
        assert finding.severity is Severity.MEDIUM

    def test_a_role_through_a_program_that_it_never_used(self) -> None:
        incident = Incident()
        eni = self.used(incident)
        by_hand = role_user(Role(ACCOUNT, "deploy"), "ci", incident.time("29:00:00"), "198.51.100.20", CLI)
        incident.log("30:00:00", by_hand, create_network_interface(eni))
        incident.log("30:01:00", by_hand, delete(eni))
        (finding,) = incident.findings("00:00:00", "31:00:00")
        assert finding.sentence == (
            "Role deploy called through aws-cli 2.27.31 for the first time: in 12 calls since 2026-03-02 "
            "00:00:00Z it was terraform."
        )

    def test_a_role_from_an_address_that_it_never_used(self) -> None:
        incident = Incident()
        eni = self.used(incident)
        elsewhere = role_user(
            Role(ACCOUNT, "deploy"), "ci", incident.time("29:00:00"), "192.0.2.66", "Terraform/1.9.1"
        )
        incident.log("30:00:00", elsewhere, create_network_interface(eni))
        incident.log("30:01:00", elsewhere, delete(eni))
        (finding,) = incident.findings("00:00:00", "31:00:00")
        assert finding.sentence == (
            "Role deploy called from 192.0.2.66 for the first time: in 12 calls since 2026-03-02 00:00:00Z "
            "it was 198.51.100.20."
        )

    def test_silent_an_address_that_others_call_from(self) -> None:
        incident = Incident()
        eni = self.used(incident)
        stray = Eni("eni-0ddddddddddddddd1", SUBNET, "10.9.8.201")
        neighbour = iam_user(ACCOUNT, "bob", "192.0.2.66", CLI)
        incident.log("02:00:00", neighbour, create_network_interface(stray))
        incident.log("02:01:00", neighbour, delete(stray))
        moved = role_user(
            Role(ACCOUNT, "deploy"), "ci", incident.time("29:00:00"), "192.0.2.66", "Terraform/1.9.1"
        )
        incident.log("30:00:00", moved, create_network_interface(eni))
        incident.log("30:01:00", moved, delete(eni))
        assert incident.findings("00:00:00", "31:00:00") == []

    def test_a_nodes_credentials_used_elsewhere_matter_more(self) -> None:
        incident = Incident()
        first = node(incident, "00:00:00")
        for number in range(12):
            incident.log(clock(3600 * number), cni(incident), assign(first.id, f"10.9.7.{number}"))
        thief = replace(cni(incident), source_ip="192.0.2.66")
        incident.log("30:00:00", thief, assign(first.id, "10.9.7.99"))
        (finding,) = incident.findings("00:00:00", "31:00:00")
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence.startswith(f"{NODE} with its role called from 192.0.2.66 for the")

    def test_what_was_not_read_is_said(self) -> None:
        incident = Incident()
        eni = self.used(incident)
        incident.log("30:00:00", ADA, create_network_interface(eni))
        incident.log("30:01:00", ADA, delete(eni))
        (finding,) = incident.findings("00:00:00", "31:00:00", hole=("20:00:00", "22:00:00"))
        assert finding.doubts == (
            "Little or nothing was read between 2026-03-02 19:45:00Z and 2026-03-02 22:00:00Z.",
        )

    def test_silent_in_the_first_day_of_the_evidence(self) -> None:
        incident = Incident()
        eni = self.used(incident)
        incident.log("20:00:00", ADA, create_network_interface(eni))
        incident.log("20:01:00", ADA, delete(eni))
        assert incident.findings("00:00:00", "31:00:00") == []

    def test_silent_the_cni_is_upgraded_and_no_longer_names_itself(self) -> None:
        incident = Incident()
        first = node(incident, "00:00:00")
        for number in range(12):
            caller = signs_in(incident, clock(3600 * number), AWS_NODE, number)
            incident.log(clock(3600 * number + 1), caller, assign(first.id, f"10.9.7.{number}"))
        newer = replace(AWS_NODE, agent=CNI_1_20)
        incident.log("30:00:01", signs_in(incident, "30:00:00", newer, 99), assign(first.id, "10.9.7.99"))
        assert incident.findings("00:00:00", "31:00:00") == []

    def test_silent_a_node_that_is_launched_later(self) -> None:
        incident = Incident()
        first = node(incident, "00:00:00")
        for number in range(12):
            incident.log(clock(3600 * number), cni(incident), assign(first.id, f"10.9.7.{number}"))
        other = node(incident, "50:00:00", OTHER_NODE)
        incident.log("50:01:00", replace(cni(incident, OTHER_NODE), source_ip="203.0.113.8"), asks(other, 9))
        assert incident.findings("00:00:00", "60:00:00") == []

    def test_silent_evidence_that_holds_next_to_nothing_before(self) -> None:
        incident = Incident()
        eni = self.used(incident, calls=8)
        incident.log("30:00:00", ADA, create_network_interface(eni))
        incident.log("30:01:00", ADA, delete(eni))
        assert incident.findings("00:00:00", "31:00:00") == []

    def test_silent_a_person_who_calls_from_anywhere(self) -> None:
        incident = Incident()
        for number in range(14):
            eni = Eni(f"eni-0fffffffffffff{number:03}", SUBNET, f"10.9.8.{number}")
            somewhere = iam_user(ACCOUNT, "ada", f"198.51.100.{number}", CLI)
            incident.log(clock(7200 * number), somewhere, create_network_interface(eni))
            incident.log(clock(7200 * number + 60), somewhere, delete(eni))
        assert incident.findings("00:00:00", "31:00:00") == []

    def test_silent_an_aws_service(self) -> None:
        incident = Incident()
        self.used(incident)
        incident.log("30:00:00", aws_service("ec2.amazonaws.com"), terminate(NODE))
        assert incident.findings("00:00:00", "31:00:00") == []


class TestMixedVersions:
    def calls(self, incident: Incident, eni: Eni, instance: str, agent: str, *hours: int) -> None:
        for hour in hours:
            held = f"10.9.{int(instance[2:4], 16)}.{hour}"
            incident.log(clock(hour * 3600), cni(incident, instance, agent), assign(eni.id, held))

    def test_two_versions_at_work_at_once(self) -> None:
        incident = Incident()
        one, other = node(incident, "01:00:00"), node(incident, "01:00:00", OTHER_NODE)
        self.calls(incident, one, NODE, CNI_1_16, 2, 5, 8)
        self.calls(incident, other, OTHER_NODE, CNI_1_18, 3, 6, 9)
        (finding,) = incident.findings("00:00:00", "10:00:00")
        assert (finding.rule, finding.severity) == ("mixed-cni-versions", Severity.LOW)
        assert finding.sentence == (
            f"Cluster quay had 2 builds of the VPC CNI at work at once, for 5 h 0 min: v1.16.4 on {NODE}; "
            f"v1.18.3 on {OTHER_NODE}."
        )

    def test_a_build_that_was_gone_before_is_not_counted(self) -> None:
        incident = Incident()
        one, other = node(incident, "01:00:00"), node(incident, "01:00:00", OTHER_NODE)
        self.calls(incident, one, NODE, CNI_1_11, 1)
        self.calls(incident, one, NODE, CNI_1_16, 2, 5, 8)
        self.calls(incident, other, OTHER_NODE, CNI_1_18, 3, 6, 9)
        (finding,) = incident.findings("00:00:00", "10:00:00")
        assert finding.sentence == (
            f"Cluster quay had 2 builds of the VPC CNI at work at once, for 5 h 0 min: v1.16.4 on {NODE}; "
            f"v1.18.3 on {OTHER_NODE}."
        )

    def test_builds_without_a_version_differ_by_their_sdk(self) -> None:
        incident = Incident()
        one, other = node(incident, "01:00:00"), node(incident, "01:00:00", OTHER_NODE)
        self.calls(incident, one, NODE, CNI_1_11, 2, 5, 8)
        self.calls(incident, other, OTHER_NODE, CNI_1_21, 3, 6, 9)
        (finding,) = incident.findings("00:00:00", "10:00:00")
        assert f"aws-sdk-go/1.40.6 on {NODE}; v1.21.2 on {OTHER_NODE}" in finding.sentence

    def test_silent_an_upgrade_that_reaches_node_after_node(self) -> None:
        incident = Incident()
        one, other = node(incident, "01:00:00"), node(incident, "01:00:00", OTHER_NODE)
        self.calls(incident, one, NODE, CNI_1_16, 2, 3)
        self.calls(incident, other, OTHER_NODE, CNI_1_16, 2, 3)
        self.calls(incident, one, NODE, CNI_1_18, 4, 6)
        self.calls(incident, other, OTHER_NODE, CNI_1_18, 5, 7)
        assert incident.findings("00:00:00", "10:00:00") == []

    def test_silent_an_upgrade_that_is_taken_back(self) -> None:
        incident = Incident()
        one = node(incident, "01:00:00")
        for agent, hours in ((CNI_1_16, (2, 3)), (CNI_1_18, (4, 6)), (CNI_1_16, (7, 9))):
            self.calls(incident, one, NODE, agent, *hours)
        assert incident.findings("00:00:00", "10:00:00") == []

    def test_silent_two_clusters(self) -> None:
        incident = Incident()
        one = node(incident, "01:00:00")
        other = node(incident, "01:00:00", OTHER_NODE, cluster="wharf")
        self.calls(incident, one, NODE, CNI_1_16, 2, 5, 8)
        self.calls(incident, other, OTHER_NODE, CNI_1_18, 3, 6, 9)
        assert incident.findings("00:00:00", "10:00:00") == []


class TestOrderAndFilters:
    def told(self, wanted: Filter) -> list[str]:
        incident = Incident()
        elsewhere(incident)
        eni = grown(incident)
        incident.log("10:20:00", cni(incident), detach(eni))
        incident.log("11:00:00", ADA, creation_refused(second(OTHER_NODE), 5, FULL))
        stray = Eni("eni-0ddddddddddddddd1", SUBNET, "10.9.4.4")
        incident.log("10:05:00", ADA, create_network_interface(stray))
        return [each.rule for each in incident.findings("09:00:00", "12:00:00", wanted=wanted)]

    def test_the_gravest_first_then_by_time(self) -> None:
        assert self.told(Filter()) == [
            "subnet-exhausted",
            "interface-never-deleted",
            "interface-never-attached",
        ]

    def test_a_finding_is_kept_for_any_call_that_it_rests_on(self) -> None:
        assert self.told(Filter(instance=(NODE,))) == ["interface-never-deleted"]
        assert self.told(Filter(eni=("eni-0ddddddddddddddd1",))) == ["interface-never-attached"]
        assert self.told(Filter(actor=("ada",))) == ["subnet-exhausted", "interface-never-attached"]
        assert self.told(Filter(event=("Detach*",))) == ["interface-never-deleted"]
        assert self.told(Filter(ip=(ip_network("10.9.4.4/32"),))) == ["interface-never-attached"]
        assert self.told(Filter(cluster=("wharf",))) == []

    def test_what_goes_on_is_there_at_any_later_time(self) -> None:
        late = datetime(2026, 3, 2, 11, 30, tzinfo=UTC)
        assert self.told(Filter(since=late)) == ["interface-never-deleted", "interface-never-attached"]
        early = datetime(2026, 3, 2, 10, 10, tzinfo=UTC)
        assert self.told(Filter(until=early)) == ["interface-never-attached"]


class TestAgainstTheTruth:
    """A simulator that knows what really was: what is found is so, where nothing is missing."""

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(world=worlds())
    def test_what_is_found_is_so(self, world: World) -> None:
        for finding in of_world(deliver(world)):
            if finding.rule == "interface-never-attached":
                attached = {attachment.eni.id for attachment in world.attachments}
                alive = {eni.id for eni in world.enis if eni.alive}
                assert set(finding.enis) <= alive - attached
            if finding.rule == "address-stolen" and not finding.doubts:
                stolen = [holding for holding in world.holdings if holding.ending == STOLEN]
                lost = {(holding.end or 0) // 1000 for holding in stolen if holding.eni.id in finding.enis}
                assert {int(event.time.timestamp()) for event in finding.events} <= lost

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(data=st.data())
    def test_whatever_is_missing_each_rests_on_calls_and_the_gravest_come_first(
        self, data: st.DataObject
    ) -> None:
        found = of_world(data.draw(deliveries(data.draw(worlds()), drop_records=True)))
        assert all(finding.events and finding.since <= (finding.until or finding.since) for finding in found)
        assert [each.severity for each in found] == sorted(
            (each.severity for each in found), key=SEVERITY_ORDER.__getitem__
        )


def of_world(delivery: Delivery) -> list[Finding]:
    """What is found in the log files of a simulated world."""
    return list(findings(*read(delivery), Filter()))


class TestTrailStopped:
    def test_who_stopped_which_trail_until_when(self) -> None:
        incident = Incident()
        incident.log("10:00:00", ADA, stop_logging("main"))
        incident.log("10:30:00", ADA, start_logging("main"))
        (finding,) = incident.found("trail-stopped", "09:00:00", "12:00:00")
        assert finding.severity is Severity.HIGH
        assert finding.sentence == (
            "ada (IAM user, aws-cli 2.27.31) stopped the trail main (StopLogging): it did not record EC2's "
            "write calls from 2026-03-02 10:00:00Z until StartLogging at 2026-03-02 10:30:00Z."
        )
        assert (finding.since, finding.until) == (incident.time("10:00:00"), incident.time("10:30:00"))
        assert [event.name for event in finding.events] == ["StopLogging", "StartLogging"]
        assert (finding.account, finding.region) == (ACCOUNT, "eu-west-1")

    def test_who_deleted_it_and_it_goes_on(self) -> None:
        incident = Incident()
        incident.log("10:00:00", ADA, delete_trail("main"))
        (finding,) = incident.found("trail-stopped", "09:00:00", "12:00:00")
        assert finding.sentence == (
            "ada (IAM user, aws-cli 2.27.31) deleted the trail main (DeleteTrail): it did not record EC2's "
            "write calls from 2026-03-02 10:00:00Z on."
        )
        assert finding.until is None

    def test_silent_if_it_was_refused(self) -> None:
        incident = Incident()
        incident.log("10:00:00", ADA, refused(stop_logging("main"), ("AccessDenied", "not authorized")))
        incident.log("10:30:00", ADA, start_logging("main"))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestTrailNarrowed:
    def test_a_trail_of_reads_alone(self) -> None:
        incident = Incident()
        incident.log("10:00:00", ADA, put_event_selectors("main", selector("ReadOnly")))
        incident.log("10:30:00", ADA, put_event_selectors("main", selector("All")))
        (finding,) = incident.found("trail-narrowed", "09:00:00", "12:00:00")
        assert finding.severity is Severity.HIGH
        assert finding.sentence == (
            "ada (IAM user, aws-cli 2.27.31) narrowed the trail main (PutEventSelectors): it did not record "
            "EC2's write calls from 2026-03-02 10:00:00Z until PutEventSelectors at 2026-03-02 10:30:00Z."
        )

    def test_one_that_leaves_somebody_out_matters_less(self) -> None:
        incident = Incident()
        fields = {"eventCategory": {"equals": ["Management"]}, "userIdentity.arn": {"notEquals": ["arn:eve"]}}
        incident.log("10:00:00", ADA, put_advanced_selectors("main", fields))
        (finding,) = incident.found("trail-narrowed", "09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        assert "did not record some of EC2's write calls from" in finding.sentence
        assert finding.doubts[-1] == (
            "Some calls were still recorded, or the record does not show which ones."
        )

    def test_one_that_is_left_to_one_region(self) -> None:
        incident = Incident()
        incident.log("10:00:00", ADA, update_trail("main", isMultiRegionTrail=False))
        (finding,) = incident.found("trail-narrowed", "09:00:00", "12:00:00")
        assert "some of EC2's write calls outside of eu-west-1 from" in finding.sentence

    def test_silent_selectors_that_keep_all_writes(self) -> None:
        incident = Incident()
        keys = selector() | {"excludeManagementEventSources": ["kms.amazonaws.com"]}
        incident.log("10:00:00", ADA, put_event_selectors("main", keys))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestTrailBucketChanged:
    def test_the_policy_of_a_bucket_that_is_a_trails(self) -> None:
        incident = Incident()
        incident.log("09:30:00", ADA, create_trail("main", "audit-logs"))
        incident.log("10:00:00", ADA, on_bucket("DeleteBucketPolicy", "audit-logs"))
        incident.log("10:01:00", ADA, on_bucket("PutBucketLifecycle", "audit-logs"))
        (finding,) = incident.found("trail-bucket-changed", "09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence == (
            "ada (IAM user, aws-cli 2.27.31) called DeleteBucketPolicy and PutBucketLifecycle on audit-logs, "
            "a bucket of log files."
        )

    def test_a_trail_that_delivers_to_another_bucket(self) -> None:
        incident = Incident()
        incident.log("09:30:00", ADA, create_trail("main", "audit-logs"))
        incident.log("10:00:00", ADA, update_trail("main", s3BucketName="eves-bucket"))
        (finding,) = incident.found("trail-bucket-changed", "09:00:00", "12:00:00")
        assert finding.sentence == (
            "ada (IAM user, aws-cli 2.27.31) let the trail main deliver to eves-bucket, not to audit-logs."
        )

    def test_silent_a_bucket_of_something_else(self) -> None:
        incident = Incident()
        incident.log("09:30:00", ADA, create_trail("main", "audit-logs"))
        incident.log("10:00:00", ADA, on_bucket("DeleteBucketPolicy", "photos"))
        incident.log("10:01:00", ADA, update_trail("main", s3BucketName="audit-logs"))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestCommand:
    def test_json_cites_the_events_and_where_they_were_read(self, run: Run) -> None:
        answer = json.loads(run("findings", "hand-assigned", "-o", "json").stdout)
        assert (answer["schema"], answer["query"]["fail_on"]) == ("cnitrail/findings/v1", None)
        (entry,) = answer["entries"]
        assert {
            name: entry[name] for name in ("rule", "severity", "since", "until", "account", "region")
        } == {
            "rule": "address-assigned-by-hand",
            "severity": "high",
            "since": "2024-05-14T14:27:31Z",
            "until": None,
            "account": "222222222222",
            "region": "eu-central-1",
        }
        assert entry["addresses"] == ["10.40.41.10", "10.40.41.11"]
        (event,) = entry["events"]
        assert event["event_id"] == "ab1527cf-c15e-5b76-86ca-85c77b52b7ac"
        assert (event["event"], event["outcome"], event["error"]) == ("AssignPrivateIpAddresses", "ok", None)
        assert event["actor"] == "m.okafor"
        assert event["origins"][0]["source"].startswith("hand-assigned/AWSLogs/222222222222/")

    def test_csv_has_a_line_for_each_finding(self, run: Run) -> None:
        (row,) = csv.DictReader(io.StringIO(run("findings", "stolen-address", "-o", "csv").stdout))
        assert (row["severity"], row["rule"], row["addresses"]) == ("high", "address-stolen", "10.60.12.50")
        assert row["enis"] == "eni-0a72f4d6c8e1b3950 eni-0b85e1c7d3a9f4620"

    def test_a_piped_table_has_one_whole_line_for_each_finding(self, run: Run) -> None:
        _, line = run("findings", "stolen-address").stdout.splitlines()
        assert line.startswith("high      2025-06-17 11:47:25")
        assert (
            "dana.reyes@example.com (Identity Center, aws-cli 2.27.31) took 10.60.12.50 from "
            "eni-0a72f4d6c8e1b3950" in line
        )
        assert "address-stolen, by a1ab0d93-0cdc-5b46-a995-643cf9693a28" in line

    @pytest.mark.parametrize(
        ("story", "grave", "status"),
        [
            ("hand-assigned", "high", 5),
            ("pod-identity-and-node-role", "high", 0),
            ("pod-identity-and-node-role", "medium", 5),
            ("pod-identity-and-node-role", "low", 5),
            ("ironman", "low", 0),
        ],
    )
    def test_fail_on_ends_with_5_where_a_finding_is_as_grave(
        self, run: Run, story: str, grave: str, status: int
    ) -> None:
        result = run("findings", story, "--fail-on", grave)
        assert result.exit_code == status
        assert (f"--fail-on {grave}: 1 finding\n" in result.stderr) == (status == 5)

    def test_what_is_found_goes_before_what_could_not_be_read(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "note.txt").write_text("remember to rotate the logs\n")
        both = (str(tmp_path), "hand-assigned")
        assert run("findings", *both).exit_code == 3
        assert run("findings", *both, "--fail-on", "high").exit_code == 5
        assert run("findings", str(tmp_path), "ironman", "--fail-on", "low").exit_code == 3

    def test_filters_select_findings_and_not_what_is_read(self, run: Run) -> None:
        for kept in (
            ("--instance", "i-0e8b5a2c7d1f49036"),
            ("--actor", "okafor"),
            ("--agent", "aws-cli"),
            ("--ip", "10.40.41.0/24"),
            ("--cluster", "payments"),
            ("--since", "2024-05-14T14:30:00Z"),
        ):
            result = run("findings", "hand-assigned", *kept)
            assert "address-assigned-by-hand" in result.stdout
            assert "49 records read, 8 relevant" in result.stderr
        assert run("findings", "hand-assigned", "--actor", "nobody").stdout == ""

    def test_nothing_found_is_said(self, run: Run) -> None:
        result = run("findings", "ironman")
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.endswith("and nothing out of the ordinary was found in them\n")

    def test_holes_in_the_evidence_are_said(self, run: Run) -> None:
        assert run("findings", "hole-in-the-logs", "-q").stderr == (
            "beware: little or nothing of 111111111111 in eu-north-1 was read between "
            "2024-01-18 09:45:00Z and 2024-01-18 12:05:00Z\n"
        )
