"""Findings: for each rule, stories in which it matches and similar ones in which it does not."""

import csv
import io
import json
import re
import string
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
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
    ADA,
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
from cnitrail.answers.findings.commands import (
    bucket_policy,
    describe_enis,
    enis_of_instance,
    leaked_enis_of_subnet,
    pods_with,
    reservations_of_subnet,
    trail_status,
)
from cnitrail.model import SEVERITY_ORDER, Finding, Severity


def grown(incident: Incident, at: tuple[str, str, str] = ("10:01:00", "10:01:01", "10:01:02")) -> Eni:
    """Give a node a second ENI, created by the CNI; return that ENI."""
    node(incident, "10:00:00")
    eni = of_cni(replace(second(), secondaries=("10.9.1.50", "10.9.1.51")), NODE, incident.time(at[0]))
    adds_eni(incident, at, cni(incident), eni, NODE)
    return eni


def doubts(finding: Finding) -> dict[str, str]:
    """Return the texts of a finding's doubts by their codes."""
    return {doubt.code.value: doubt.text for doubt in finding.doubts}


class TestAssignedByHand:
    def test_addresses_assigned_by_name_to_an_eni_of_the_cni(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", ADA, assign_named(eni.id, "10.9.3.3", "10.9.3.4"))
        (finding,) = incident.found("address-assigned-by-hand", "09:00:00", "12:00:00")
        assert finding.severity is Severity.HIGH
        assert finding.sentence == (
            f"ada (IAM user, aws-cli 2.27.31) assigned 10.9.3.3 and 10.9.3.4 to {eni.id} of {NODE} (an "
            "ENI managed by the VPC CNI). The IPs were requested by name, which the VPC CNI never does."
        )
        assert (finding.since, finding.until) == (incident.time("11:00:00"), None)
        assert (finding.instances, finding.enis, finding.clusters) == ((NODE,), (eni.id,), (CLUSTER,))

    def test_it_ends_when_they_are_released(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", ADA, assign_named(eni.id, "10.9.3.3"))
        incident.log("11:20:00", ADA, unassign(eni.id, "10.9.3.3"))
        (finding,) = incident.found("address-assigned-by-hand", "09:00:00", "12:00:00")
        assert finding.until == incident.time("11:00:00")

    def test_addresses_assigned_by_count_are_less_severe(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", iam_user(ACCOUNT, "ops", "198.51.100.8", BOTO), assign(eni.id, "10.9.3.3"))
        (finding,) = incident.found("address-assigned-by-hand", "09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence == (
            f"ops (IAM user, Boto3/1.34.20) assigned 10.9.3.3 to {eni.id} of {NODE} (an "
            "ENI managed by the VPC CNI)."
        )

    def test_a_call_with_a_copied_user_agent_is_found(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log(
            "11:00:00", iam_user(ACCOUNT, "eve", "198.51.100.8", CNI_1_18), assign_named(eni.id, "10.9.3.3")
        )
        (finding,) = incident.found("address-assigned-by-hand", "09:00:00", "12:00:00")
        assert finding.sentence.startswith("eve (IAM user, amazon-vpc-cni-k8s v1.18.3) assigned 10.9.3.3 to ")
        assert finding.sentence.endswith("requested by name, which the VPC CNI never does.")

    def test_several_calls_of_one_person_are_one_finding(self) -> None:
        incident = Incident()
        eni = grown(incident)
        for minute in range(5):
            incident.log(f"11:0{minute}:00", ADA, assign_named(eni.id, f"10.9.3.{minute}"))
        (finding,) = incident.found("address-assigned-by-hand", "09:00:00", "12:00:00")
        assert "assigned 10.9.3.0, 10.9.3.1, 10.9.3.2 and 2 more to " in finding.sentence
        assert len(finding.events) == 5

    def test_no_finding_if_the_cni_without_a_name_assigns_by_count(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident, agent=CNI_1_20), asks(first, 9))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_no_finding_for_floating_addresses_on_a_callers_own_eni(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        own = Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4", "eni-attach-0ccccccccccccccc1")
        incident.log("10:10:00", ADA, create_network_interface(own))
        incident.log("10:10:02", ADA, attach(own, NODE, 2))
        incident.log("10:20:00", ADA, assign_named(own.id, "10.9.4.5"))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_no_finding_for_an_aws_service(self) -> None:
        incident = Incident()
        eni = grown(incident)
        role = Role(ACCOUNT, "quay-cluster")
        auto_mode = role_user(
            role, "aws-go-sdk-1", incident.time("10:00:00"), "eks.amazonaws.com", "eks.amazonaws.com"
        )
        incident.log("11:00:00", auto_mode, assign(eni.id, "10.9.3.3"))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_no_finding_if_the_call_failed(self) -> None:
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
            f"ada (IAM user, aws-cli 2.27.31) released 10.9.1.50 from {eni.id} of {NODE} "
            "(an ENI managed by the VPC CNI)."
        )

    def test_no_finding_if_the_address_was_assigned_by_hand(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", ADA, assign_named(eni.id, "10.9.3.3"))
        incident.log("11:20:00", ADA, unassign(eni.id, "10.9.3.3"))
        assert incident.found("address-released-by-hand", "09:00:00", "12:00:00") == []

    def test_an_assignment_by_hand_to_another_eni_is_no_excuse(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", ADA, unassign(eni.id, "10.9.1.50"))
        incident.log("10:30:00", ADA, assign_named("eni-0f0f0f0f0f0f0f0f0", "10.9.1.50"))
        incident.log("11:20:00", ADA, assign_named(eni.id, "10.9.1.50"))
        (finding,) = incident.found("address-released-by-hand", "09:00:00", "12:00:00")
        assert finding.since == incident.time("11:00:00")

    def test_no_finding_if_the_cni_releases_surplus_addresses(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", cni(incident), unassign(eni.id, "10.9.1.50"))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestReassigned:
    def test_an_address_of_the_cni_taken_by_another_eni(self) -> None:
        incident = Incident()
        eni = grown(incident)
        winner = Eni("eni-0dddddddddddddddd", SUBNET, "10.9.4.4")
        incident.log("10:50:00", ADA, create_network_interface(winner))
        incident.log("11:00:00", ADA, assign_named(winner.id, "10.9.1.50", reassign=True))
        incident.log("11:10:00", cni(incident), unassign(eni.id, "10.9.1.51"))
        (finding,) = incident.found("address-reassigned", "09:00:00", "12:00:00")
        assert finding.severity is Severity.HIGH
        assert finding.sentence == (
            f"ada (IAM user, aws-cli 2.27.31) reassigned 10.9.1.50 from {eni.id} of {NODE} (cluster quay, "
            f"managed by the VPC CNI) to {winner.id}."
        )
        assert (
            f"Traffic to 10.9.1.50 on {eni.id} of {NODE} stopped at 2026-03-02 11:00:00Z; CloudTrail logs no "
            "event for the ENI that loses an IP."
        ) in finding.advice
        assert finding.commands == ("kubectl get pods -A -o wide --field-selector status.podIP=10.9.1.50",)
        assert finding.enis == (winner.id, eni.id)

    def test_an_eni_that_is_not_seen_again_may_have_been_deleted_before(self) -> None:
        incident = Incident()
        eni = grown(incident)
        winner = Eni("eni-0dddddddddddddddd", SUBNET, "10.9.4.4")
        incident.log("10:50:00", ADA, create_network_interface(winner))
        incident.log("11:00:00", ADA, assign_named(winner.id, "10.9.1.50", reassign=True))
        (finding,) = incident.found("address-reassigned", "09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        text = f"{eni.id} had it, unless its instance ended before: no later event shows the ENI."
        assert doubts(finding) == {"loser-not-seen-again": text}

    def test_possible_losers_are_named_if_a_vpc_is_unknown(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", ADA, assign_named("eni-0dddddddddddddddd", "10.9.1.50", reassign=True))
        (finding,) = incident.found("address-reassigned", "09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        assert doubts(finding) == {
            "vpc-unknown": f"{eni.id} had the same IP until then; the evidence does not show if in the same "
            "VPC."
        }

    def test_a_move_between_enis_of_others_is_less_severe(self) -> None:
        incident = Incident()
        one, other = (Eni(f"eni-0eeeeeeeeeeeeeee{n}", SUBNET, f"10.9.5.{n}") for n in (1, 2))
        for eni in (one, other):
            incident.log("10:00:00", ADA, create_network_interface(eni))
        incident.log("10:10:00", ADA, assign_named(one.id, "10.9.5.50"))
        incident.log("10:20:00", ADA, assign_named(other.id, "10.9.5.50", reassign=True))
        (finding,) = incident.found("address-reassigned", "09:00:00", "12:00:00")
        assert finding.severity is Severity.LOW

    def test_a_tool_that_moves_an_address_back_and_forth_is_one_finding(self) -> None:
        incident = Incident()
        one, other = (Eni(f"eni-0eeeeeeeeeeeeeee{n}", SUBNET, f"10.9.5.{n}") for n in (1, 2))
        for eni in (one, other):
            incident.log("10:00:00", ADA, create_network_interface(eni))
        incident.log("10:10:00", ADA, assign_named(one.id, "10.9.5.50"))
        for minute in range(20, 26):
            taker = (other, one)[minute % 2]
            incident.log(f"10:{minute}:00", ADA, assign_named(taker.id, "10.9.5.50", reassign=True))
        incident.log("10:30:00", ADA, assign_named(other.id, "10.9.5.51"))
        (finding,) = incident.found("address-reassigned", "09:00:00", "12:00:00")
        assert finding.sentence == (
            f"A virtual IP: 10.9.5.50 moved 6 times between {one.id} and {other.id}, each time by ada (IAM "
            "user, aws-cli 2.27.31), last at 2026-03-02 10:25:00Z."
        )
        assert finding.severity is Severity.INFO

    def test_no_loser_is_named_if_the_order_within_a_second_is_unknown(self) -> None:
        incident = Incident()
        eni = grown(incident)
        winner = Eni("eni-0dddddddddddddddd", SUBNET, "10.9.4.4")
        incident.log("10:50:00", ADA, create_network_interface(winner))
        incident.log("11:00:00", cni(incident), unassign(eni.id, "10.9.1.50"))
        incident.log("11:00:00", ADA, assign_named(winner.id, "10.9.1.50", reassign=True))
        (finding,) = incident.found("address-reassigned", "09:00:00", "12:00:00")
        assert finding.severity is not Severity.HIGH
        assert finding.sentence.endswith("with AllowReassignment: any other ENI that had it lost it.")
        assert list(doubts(finding)) == ["previous-holder-unknown"]

    def test_no_loser_is_named_without_evidence(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:00:00", ADA, assign_named(eni.id, "10.9.3.3", reassign=True))
        (finding,) = incident.found("address-reassigned", "09:00:00", "12:00:00")
        assert finding.severity is Severity.HIGH
        assert finding.sentence == (
            f"ada (IAM user, aws-cli 2.27.31) assigned 10.9.3.3 to {eni.id} of {NODE} (an ENI managed by the "
            "VPC CNI), with AllowReassignment: any other ENI that had it lost it."
        )
        assert doubts(finding) == {"previous-holder-unknown": "No event shows which ENI had it before."}

    def test_no_finding_if_an_address_is_released_and_assigned_again(self) -> None:
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
            "EC2 throttled 6 AssignPrivateIpAddresses calls by node role quay-NodeInstanceRole of cluster "
            "quay (1 node) within 2 s. 120 calls drained the token bucket (100 tokens, 5 per second): "
            "rotator (IAM user) 120 (100%): assigning IPs on 1 instance with Boto3/1.34.20."
        )
        assert [event.name for event in finding.events] == ["AssignPrivateIpAddresses"] * 6
        assert finding.until == incident.time("10:10:02")

    def test_callers_with_too_few_calls_to_drain_it_are_not_named(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:10:00", cni(incident), refused(asks(first, 9), THROTTLED))
        (finding,) = incident.found("api-throttled", "09:00:00", "12:00:00")
        assert finding.severity is Severity.LOW
        assert finding.sentence == (
            "EC2 throttled 1 AssignPrivateIpAddresses call by node role quay-NodeInstanceRole of cluster "
            "quay (1 node)."
        )
        assert doubts(finding) == {
            "bucket-not-drained": "The calls in the evidence would not drain the token bucket (100 tokens, 5 "
            "per second): other calls are not in the evidence, or the account has a lower limit."
        }

    def test_calls_before_the_bucket_was_full_again_do_not_count(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for number in range(50):
            incident.log("10:01:00", ADA, assign(first.id, f"10.9.6.{number}"))
        for number in range(100):
            incident.log("10:10:00", cni(incident), assign(first.id, f"10.9.7.{number}"))
        incident.log("10:10:00", cni(incident), refused(asks(first, 9), THROTTLED))
        (finding,) = incident.found("api-throttled", "09:00:00", "12:00:00")
        assert "100 calls drained the token bucket" in finding.sentence
        assert "ada" not in finding.sentence

    def test_throttling_for_minutes_is_more_severe(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for minute in range(10, 17):
            incident.log(f"10:{minute}:00", cni(incident), refused(asks(first, 9), THROTTLED))
        (finding,) = incident.found("api-throttled", "09:00:00", "12:00:00")
        assert finding.severity is Severity.HIGH

    def test_it_is_ongoing_if_the_evidence_ends_during_it(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:10:00", cni(incident), refused(asks(first, 9), THROTTLED))
        (finding,) = incident.found("api-throttled", "09:00:00", "10:15:00")
        assert finding.until is None

    def test_no_finding_for_many_calls_without_throttling(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for number in range(150):
            incident.log("10:10:00", cni(incident), assign(first.id, f"10.9.7.{number}"))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestSubnetExhausted:
    def test_the_cni_requests_several_addresses_and_then_one_and_both_fail(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), refused(asks(first, 9), FULL))
        incident.log("10:01:00", cni(incident), refused(asks(first, 1), FULL))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("subnet-exhausted", Severity.HIGH)
        assert finding.sentence == (
            f"{SUBNET.id} did not have enough free IPs: 2 calls failed for {NODE}. The VPC CNI requested a "
            "batch, then a single IP, once; both failed. Of the 1 address seen in it: cluster quay 1. IPs "
            "that were assigned before the evidence begins are not among them."
        )
        leaked = f"--filters Name=subnet-id,Values={SUBNET.id} Name=status,Values=available"
        assert finding.commands == (
            f"aws ec2 describe-network-interfaces --region eu-west-1 {leaked}",
            f"aws ec2 describe-subnets --region eu-west-1 --subnet-ids {SUBNET.id}",
        )
        assert finding.subnets == (SUBNET.id,)

    @pytest.mark.parametrize(
        ("code", "message", "text"),
        [
            (
                "Client.InsufficientFreeAddressesInSubnet",
                "…",
                "free IPs: 1 call failed for {NODE}.",
            ),
            (
                "Client.InvalidParameterValue",
                "There aren't sufficient free Ipv4 addresses or prefixes",
                "free IPs: 1 call failed for {NODE} (with error code InvalidParameterValue).",
            ),
            (
                "",
                "insufficient free address to allocate 1 address",
                "free IPs: 1 call failed for {NODE} (with error code unknown).",
            ),
            (
                "Client.InsufficientCidrBlocks",
                "The specified subnet does not have enough free cidr blocks to satisfy the request.",
                "free /28 blocks: 1 call failed for {NODE}.",
            ),
        ],
    )
    def test_every_error_code_of_ec2_counts(self, code: str, message: str, text: str) -> None:
        incident = Incident()
        incident.log("10:01:00", cni(incident), creation_refused(second(), 5, (code, message)))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.sentence == f"{SUBNET.id} did not have enough {text.format(NODE=NODE)}"

    def test_an_address_taken_from_another_eni_does_not_end_it(self) -> None:
        incident = Incident()
        grown(incident)
        other = node(incident, "10:02:00", OTHER_NODE)
        incident.log("10:10:00", cni(incident, OTHER_NODE), refused(asks(other, 1), FULL))
        incident.log("10:15:00", ADA, assign_named(other.id, "10.9.1.50", reassign=True))
        (finding,) = incident.found("subnet-exhausted", "09:00:00", "12:00:00")
        assert finding.severity is Severity.HIGH
        assert "free IPs again" not in finding.sentence

    def test_it_ends_when_the_subnet_has_addresses_again(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), refused(asks(first, 9), FULL))
        incident.log("10:01:01", cni(incident), assign(first.id, "10.9.9.9"))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        assert (
            "The VPC CNI requested a batch, then a single IP, once; the single IP was assigned once. "
            "It had free IPs again at 2026-03-02 10:01:01Z."
        ) in finding.sentence
        assert finding.until == incident.time("10:01:00")

    def test_every_subnet_has_its_own_finding(self) -> None:
        incident = Incident()
        other = replace(SUBNET, id="subnet-0bbbbbbbbbbbbbbb1")
        incident.log("10:01:00", cni(incident), creation_refused(second(), 5, FULL))
        incident.log("10:01:01", cni(incident), creation_refused(replace(second(), subnet=other), 5, FULL))
        assert [finding.subnets for finding in incident.findings("09:00:00", "12:00:00")] == [
            (SUBNET.id,),
            (other.id,),
        ]

    def test_no_finding_if_only_an_eni_is_full(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        limit = ("Client.PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
        incident.log("10:01:00", cni(incident), refused(asks(first, 9), limit))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestSeveralThenOne:
    DENIED = ("Client.UnauthorizedOperation", "You are not authorized to perform this operation.")

    def test_a_pair_of_calls_with_another_error(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        error = ("Server.InternalError", "An internal error has occurred")
        incident.log("10:01:00", cni(incident), refused(asks(first, 9), error))
        incident.log("10:01:01", cni(incident), asks(first, 1))
        incident.log("10:02:00", cni(incident), refused(asks(first, 9), error))
        incident.log("10:02:01", cni(incident), refused(asks(first, 1), error))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("several-then-one", Severity.HIGH)
        assert finding.sentence == (
            f"Requests for a batch of IPs for {NODE} failed (InternalError). The VPC CNI requested a "
            "batch, then a single IP, 2 times; the single IP was assigned once."
        )

    def test_denied_calls_are_another_finding(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for minute in (1, 2):
            incident.log(f"10:0{minute}:00", cni(incident), refused(asks(first, 9), self.DENIED))
            incident.log(f"10:0{minute}:00", cni(incident), refused(asks(first, 1), self.DENIED))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("cni-call-denied", Severity.HIGH)

    def test_no_finding_for_a_single_failure(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), refused(asks(first, 9), self.DENIED))
        incident.log("10:01:30", cni(incident), refused(asks(first, 1), self.DENIED))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_no_finding_for_the_same_calls_of_a_person(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", ADA, refused(asks(first, 9), self.DENIED))
        incident.log("10:01:01", ADA, refused(asks(first, 1), self.DENIED))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestChurn:
    def churning(self, incident: Incident, rounds: int, many: int = 1) -> None:
        first = node(incident, "10:00:00")
        for number in range(rounds):
            held = [f"10.9.7.{number * many + last}" for last in range(many)]
            incident.log(clock(36000 + 60 + number * 120), cni(incident), assign(first.id, *held))
            incident.log(clock(36000 + 120 + number * 120), cni(incident), unassign(first.id, *held))

    def test_an_address_is_assigned_and_released_all_the_time(self) -> None:
        incident = Incident()
        self.churning(incident, 15)
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("address-churn", Severity.LOW)
        assert finding.sentence == (
            f"{NODE} kept assigning and releasing IPs, at most 3 at a time: 30 calls by one node in an hour. "
            "A low WARM_IP_TARGET does this."
        )

    def test_it_is_more_severe_while_calls_are_throttled(self) -> None:
        incident = Incident()
        self.churning(incident, 15)
        incident.log("10:20:00", cni(incident, OTHER_NODE), refused(asks(second(OTHER_NODE), 1), THROTTLED))
        (finding,) = incident.found("address-churn", "09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        assert "in an hour, while EC2 throttled calls." in finding.sentence

    def test_no_finding_for_a_few_rounds(self) -> None:
        incident = Incident()
        self.churning(incident, 9)
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_no_finding_for_larger_steps(self) -> None:
        incident = Incident()
        self.churning(incident, 15, many=4)
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_no_finding_for_a_node_that_only_grows(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for number in range(30):
            incident.log(clock(36000 + 60 * number), cni(incident), assign(first.id, f"10.9.7.{number}"))
        assert incident.findings("09:00:00", "12:00:00") == []


def elsewhere(incident: Incident) -> None:
    """Another node gets an ENI and deletes it, so that such calls are in the evidence."""
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

    def test_an_eni_of_the_cni_without_an_instance(self) -> None:
        incident = Incident()
        eni = self.made(incident)
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("interface-never-attached", Severity.MEDIUM)
        assert finding.sentence == (
            f"{eni.id} was created by {NODE} (instance role, amazon-vpc-cni-k8s v1.18.3) and never attached: "
            "nobody tried to attach it."
        )
        assert (finding.since, finding.until) == (incident.time("10:00:00"), None)

    def test_it_is_less_severe_while_a_cleanup_may_still_come(self) -> None:
        incident = Incident()
        self.made(incident)
        (finding,) = incident.findings("09:00:00", "10:30:00")
        assert finding.severity is Severity.LOW
        assert doubts(finding) == {
            "cleanup-pending": "The hourly leak cleanup of the VPC CNI may still delete it."
        }

    def test_it_is_less_severe_if_logs_are_missing(self) -> None:
        incident = Incident()
        self.made(incident)
        (finding,) = incident.findings("06:00:00", "14:00:00", hole=("11:00:00", "12:00:00"))
        assert finding.severity is Severity.LOW
        assert doubts(finding) == {"log-gap": "Log gap from 2026-03-02 10:45:00Z to 2026-03-02 12:00:00Z."}

    def test_it_is_less_severe_without_any_attachment_in_the_evidence(self) -> None:
        incident = Incident()
        incident.log(
            "10:00:00",
            cni(incident),
            create_network_interface(of_cni(second(), NODE, incident.time("10:00:00"))),
        )
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.severity is Severity.LOW
        assert doubts(finding) == {
            "no-such-calls": "The evidence has no call to attach any ENI: such calls may have been filtered "
            "out."
        }

    def test_many_enis_of_one_creator_are_one_finding(self) -> None:
        incident = Incident()
        elsewhere(incident)
        for number in range(1, 8):
            eni = of_cni(second(number=number), NODE, incident.time("10:00:00"))
            incident.log("10:00:00", cni(incident), create_network_interface(eni))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.sentence.startswith("7 ENIs (eni-1")
        assert finding.sentence.endswith(
            f" and 4 more) were created by {NODE} (instance role, amazon-vpc-cni-k8s v1.18.3) and "
            "never attached: nobody tried to attach them."
        )

    def test_no_finding_ten_seconds_before_the_evidence_ends(self) -> None:
        incident = Incident()
        self.made(incident, "11:59:50")
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_no_finding_if_an_instance_is_launched_with_it(self) -> None:
        incident = Incident()
        kept = Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4", "eni-attach-0ccccccccccccccc1")
        incident.log("10:00:00", ADA, create_network_interface(kept))
        launched = Instance(NODE, "m5.large", kept, {}, keeps_eni=True)
        incident.log("10:05:00", ADA, run_instances(launched, existing_eni=True))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_no_finding_for_a_service_that_attaches_enis_without_events(self) -> None:
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
    def test_an_eni_is_detached_and_never_deleted(self) -> None:
        incident = Incident()
        elsewhere(incident)
        eni = grown(incident)
        incident.log("10:20:00", cni(incident), detach(eni))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("interface-never-deleted", Severity.MEDIUM)
        assert finding.sentence == (
            f"{eni.id} was detached by {NODE} (instance role, amazon-vpc-cni-k8s v1.18.3) at "
            "2026-03-02 10:20:00Z and never deleted: nobody tried to delete it."
        )
        assert (finding.since, finding.until) == (incident.time("10:20:00"), None)

    def test_failed_deletions_are_part_of_the_finding(self) -> None:
        incident = Incident()
        elsewhere(incident)
        eni = grown(incident)
        incident.log("10:20:00", cni(incident), detach(eni))
        denied = ("Client.UnauthorizedOperation", "You are not authorized to perform this operation.")
        incident.log("10:20:03", cni(incident), refused(delete(eni), denied))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.sentence == (
            f"{eni.id} was detached by {NODE} (instance role, amazon-vpc-cni-k8s v1.18.3) at "
            "2026-03-02 10:20:00Z and never deleted: its delete failed once with UnauthorizedOperation (role "
            "quay-NodeInstanceRole lacks ec2:DeleteNetworkInterface)."
        )

    def test_an_eni_is_left_behind_if_the_instance_ends_before_delete_on_termination_is_set(self) -> None:
        incident = Incident()
        elsewhere(incident)
        node(incident, "10:00:00")
        eni = of_cni(second(), NODE, incident.time("10:01:00"))
        incident.log("10:01:00", cni(incident), create_network_interface(eni))
        incident.log("10:01:01", cni(incident), attach(eni, NODE, 1))
        incident.log("10:20:00", ADA, terminate(NODE))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.sentence == (
            f"{eni.id} was left behind when ada (IAM user, aws-cli 2.27.31) terminated {NODE} at "
            "2026-03-02 10:20:00Z and never deleted: deleteOnTermination was off, and nobody tried to delete "
            "it."
        )

    def test_no_finding_if_delete_on_termination_is_set(self) -> None:
        incident = Incident()
        grown(incident)
        incident.log("10:20:00", ADA, terminate(NODE))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_no_finding_if_the_cni_deletes_the_eni(self) -> None:
        incident = Incident()
        eni = grown(incident)
        frees_eni(incident, ("10:20:00", "10:20:02", "10:20:03"), cni(incident), eni)
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_no_finding_if_detached_a_minute_before_the_evidence_ends(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("11:59:00", cni(incident), detach(eni))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_no_finding_for_a_callers_own_eni(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        own = Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4", "eni-attach-0ccccccccccccccc1")
        incident.log("10:10:00", ADA, create_network_interface(own))
        incident.log("10:10:02", ADA, attach(own, NODE, 2))
        incident.log("10:10:03", ADA, delete_on_termination(own, yes=False))
        incident.log("10:20:00", ADA, terminate(NODE))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestDeletedByOthers:
    def test_another_node_deletes_the_eni(self) -> None:
        incident = Incident()
        eni = grown(incident)
        incident.log("10:20:00", cni(incident), detach(eni))
        incident.log("10:48:00", cni(incident, OTHER_NODE), delete(eni))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("interface-deleted-by-others", Severity.LOW)
        assert finding.sentence == f"{eni.id} was created for {NODE}, and deleted by {OTHER_NODE}."

    def test_a_cleanup_by_an_unknown_node_is_recognized_by_its_time(self) -> None:
        incident = Incident()
        caller = signs_in(incident, "10:00:30", AWS_NODE, 1)
        eni = grown(incident)
        incident.log("10:20:00", caller, detach(eni))
        incident.log("10:48:00", caller, delete(eni))
        (finding,) = incident.found("interface-deleted-by-others", "09:00:00", "12:00:00")
        assert finding.sentence == (
            f"{eni.id} was created for {NODE}, and deleted more than 5 min after its last use, as the CNI's "
            "leak cleanup does."
        )

    def test_no_finding_if_its_own_node_deletes_it_at_the_second_try(self) -> None:
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

    def test_enis_are_created_and_deleted_over_and_over(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        own = Eni("eni-0ccccccccccccccc1", SUBNET, "10.9.4.4", "eni-attach-0ccccccccccccccc1")
        incident.log("10:10:00", ADA, create_network_interface(own))
        incident.log("10:10:02", ADA, attach(own, NODE, 2))
        self.loop(incident, 6)
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("attach-limit-loop", Severity.HIGH)
        assert finding.sentence == (
            f"{NODE} (m5.large, at most 3 ENIs) could not attach more ENIs: 6 calls failed for "
            "eni-1aaaaaaaaaaaaaa01, eni-1aaaaaaaaaaaaaa02, eni-1aaaaaaaaaaaaaa03 and 3 more, while it had "
            f"{own.id}, which the VPC CNI did not create."
        )
        assert len(finding.events) == 18

    def test_once_is_not_a_loop(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        self.loop(incident, 1)
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.severity is Severity.LOW

    def test_no_finding_if_attachments_fail_for_other_reasons(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        gone = ("Client.InvalidNetworkInterfaceID.NotFound", "The networkInterface ID does not exist")
        for number in range(1, 6):
            incident.log(
                f"10:1{number}:00", cni(incident), refused(attach(second(number=number), NODE, 1), gone)
            )
        assert incident.found("attach-limit-loop", "09:00:00", "12:00:00") == []


class TestNodeRoleBesideIrsa:
    def test_a_newer_node_falls_back_to_its_own_role(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:01", signs_in(incident, "10:01:00", AWS_NODE, 1), asks(first, 9))
        other = node(incident, "10:10:00", OTHER_NODE)
        incident.log("10:11:00", cni(incident, OTHER_NODE), asks(other, 8))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert (finding.rule, finding.severity) == ("node-role-beside-irsa", Severity.MEDIUM)
        assert finding.sentence == (
            f"{OTHER_NODE} of cluster quay made 1 call with the node role quay-NodeInstanceRole, although "
            "the VPC CNI there has used eksctl-quay-addon-vpc-cni-Role1-AAAAAAAAAAAA (IRSA) since 2026-03-02 "
            "10:01:01Z or earlier."
        )
        assert doubts(finding) == {
            "other-process": "Any other process that uses the instance profile would look identical."
        }

    def test_an_older_node_during_the_rollout_is_less_severe(self) -> None:
        incident = Incident()
        first = node(incident, "09:30:00")
        other = node(incident, "09:31:00", OTHER_NODE)
        incident.log("10:01:01", signs_in(incident, "10:01:00", AWS_NODE, 1), asks(first, 9))
        incident.log("10:11:00", cni(incident, OTHER_NODE), asks(other, 8))
        (finding,) = incident.findings("09:00:00", "12:00:00")
        assert finding.severity is Severity.LOW

    def test_no_finding_if_the_node_changes_to_the_new_role(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), asks(first, 9))
        incident.log("10:31:01", signs_in(incident, "10:31:00", AWS_NODE, 1), assign(first.id, "10.9.7.7"))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_no_finding_for_two_clusters_in_one_vpc(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:01", signs_in(incident, "10:01:00", AWS_NODE, 1), asks(first, 9))
        other = node(incident, "10:10:00", OTHER_NODE, cluster="wharf")
        incident.log("10:11:00", cni(incident, OTHER_NODE), asks(other, 8))
        assert incident.findings("09:00:00", "12:00:00") == []

    def test_no_finding_for_a_cluster_without_another_role(self) -> None:
        incident = Incident()
        for name in (NODE, OTHER_NODE):
            incident.log("10:11:00", cni(incident, name), asks(node(incident, "10:10:00", name), 9))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestNeverSeenBefore:
    """A caller can be new only after a day of evidence."""

    def used(self, incident: Incident, calls: int = 12) -> Eni:
        """A deployment role creates and deletes an ENI every hour."""
        deploy = role_user(
            Role(ACCOUNT, "deploy"), "ci", incident.time("00:00:00"), "198.51.100.20", "Terraform/1.9.0"
        )
        for number in range(calls // 2):
            eni = Eni(f"eni-0fffffffffffff{number:03}", SUBNET, f"10.9.8.{number}")
            incident.log(clock(3600 * number), deploy, create_network_interface(eni))
            incident.log(clock(3600 * number + 60), deploy, delete(eni))
        return Eni("eni-0ffffffffffffffff", SUBNET, "10.9.8.200")

    def test_a_user_without_earlier_events(self) -> None:
        incident = Incident()
        eni = self.used(incident)
        incident.log("30:00:00", ADA, create_network_interface(eni))
        incident.log("30:01:00", ADA, delete(eni))
        (finding,) = incident.findings("00:00:00", "31:00:00")
        assert (finding.rule, finding.severity) == ("never-seen-before", Severity.LOW)
        assert finding.sentence == (
            "ada (IAM user) is new: 2 calls with aws-cli 2.27.31 from 198.51.100.7, and none in the 1 d 6 h "
            "of evidence before."
        )

    def test_it_is_more_severe_on_enis_of_the_cni(self) -> None:
        incident = Incident()
        eni = grown(incident)
        self.used(incident)
        incident.log("40:00:00", ADA, assign_named(eni.id, "10.9.3.3"))
        (finding,) = incident.found("never-seen-before", "00:00:00", "41:00:00")
        assert finding.severity is Severity.MEDIUM

    def test_a_role_with_a_new_program(self) -> None:
        incident = Incident()
        eni = self.used(incident)
        by_hand = role_user(Role(ACCOUNT, "deploy"), "ci", incident.time("29:00:00"), "198.51.100.20", CLI)
        incident.log("30:00:00", by_hand, create_network_interface(eni))
        incident.log("30:01:00", by_hand, delete(eni))
        (finding,) = incident.findings("00:00:00", "31:00:00")
        assert finding.sentence == (
            "Role deploy used aws-cli 2.27.31 for the first time; its 12 calls since 2026-03-02 00:00:00Z "
            "used terraform."
        )

    def test_a_role_with_a_new_source_address(self) -> None:
        incident = Incident()
        eni = self.used(incident)
        elsewhere = role_user(
            Role(ACCOUNT, "deploy"), "ci", incident.time("29:00:00"), "192.0.2.66", "Terraform/1.9.1"
        )
        incident.log("30:00:00", elsewhere, create_network_interface(eni))
        incident.log("30:01:00", elsewhere, delete(eni))
        (finding,) = incident.findings("00:00:00", "31:00:00")
        assert finding.sentence == (
            "Role deploy called from 192.0.2.66 for the first time; its 12 calls since 2026-03-02 00:00:00Z "
            "came from 198.51.100.20."
        )

    def test_no_finding_for_a_source_address_that_others_use(self) -> None:
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

    def test_node_credentials_used_elsewhere_are_more_severe(self) -> None:
        incident = Incident()
        first = node(incident, "00:00:00")
        for number in range(12):
            incident.log(clock(3600 * number), cni(incident), assign(first.id, f"10.9.7.{number}"))
        thief = replace(cni(incident), source_ip="192.0.2.66")
        incident.log("30:00:00", thief, assign(first.id, "10.9.7.99"))
        (finding,) = incident.findings("00:00:00", "31:00:00")
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence.startswith(f"{NODE} with its role called from 192.0.2.66 for the")

    def test_missing_evidence_is_stated(self) -> None:
        incident = Incident()
        eni = self.used(incident)
        incident.log("30:00:00", ADA, create_network_interface(eni))
        incident.log("30:01:00", ADA, delete(eni))
        (finding,) = incident.findings("00:00:00", "31:00:00", hole=("20:00:00", "22:00:00"))
        assert doubts(finding) == {"log-gap": "Log gap from 2026-03-02 19:45:00Z to 2026-03-02 22:00:00Z."}

    def test_no_finding_on_the_first_day_of_the_evidence(self) -> None:
        incident = Incident()
        eni = self.used(incident)
        incident.log("20:00:00", ADA, create_network_interface(eni))
        incident.log("20:01:00", ADA, delete(eni))
        assert incident.findings("00:00:00", "31:00:00") == []

    def test_no_finding_if_the_upgraded_cni_no_longer_names_itself(self) -> None:
        incident = Incident()
        first = node(incident, "00:00:00")
        for number in range(12):
            caller = signs_in(incident, clock(3600 * number), AWS_NODE, number)
            incident.log(clock(3600 * number + 1), caller, assign(first.id, f"10.9.7.{number}"))
        newer = replace(AWS_NODE, agent=CNI_1_20)
        incident.log("30:00:01", signs_in(incident, "30:00:00", newer, 99), assign(first.id, "10.9.7.99"))
        assert incident.findings("00:00:00", "31:00:00") == []

    def test_no_finding_for_a_node_that_is_launched_later(self) -> None:
        incident = Incident()
        first = node(incident, "00:00:00")
        for number in range(12):
            incident.log(clock(3600 * number), cni(incident), assign(first.id, f"10.9.7.{number}"))
        other = node(incident, "50:00:00", OTHER_NODE)
        incident.log("50:01:00", replace(cni(incident, OTHER_NODE), source_ip="203.0.113.8"), asks(other, 9))
        assert incident.findings("00:00:00", "60:00:00") == []

    def test_no_finding_with_almost_no_earlier_evidence(self) -> None:
        incident = Incident()
        eni = self.used(incident, calls=8)
        incident.log("30:00:00", ADA, create_network_interface(eni))
        incident.log("30:01:00", ADA, delete(eni))
        assert incident.findings("00:00:00", "31:00:00") == []

    def test_no_finding_for_a_person_who_calls_from_many_addresses(self) -> None:
        incident = Incident()
        for number in range(14):
            eni = Eni(f"eni-0fffffffffffff{number:03}", SUBNET, f"10.9.8.{number}")
            somewhere = iam_user(ACCOUNT, "ada", f"198.51.100.{number}", CLI)
            incident.log(clock(7200 * number), somewhere, create_network_interface(eni))
            incident.log(clock(7200 * number + 60), somewhere, delete(eni))
        assert incident.findings("00:00:00", "31:00:00") == []

    def test_no_finding_for_an_aws_service(self) -> None:
        incident = Incident()
        self.used(incident)
        incident.log("30:00:00", aws_service("ec2.amazonaws.com"), terminate(NODE))
        assert incident.findings("00:00:00", "31:00:00") == []


class TestMixedVersions:
    def calls(self, incident: Incident, eni: Eni, instance: str, agent: str, *hours: int) -> None:
        for hour in hours:
            held = f"10.9.{int(instance[2:4], 16)}.{hour}"
            incident.log(clock(hour * 3600), cni(incident, instance, agent), assign(eni.id, held))

    def test_two_versions_run_at_once(self) -> None:
        incident = Incident()
        one, other = node(incident, "01:00:00"), node(incident, "01:00:00", OTHER_NODE)
        self.calls(incident, one, NODE, CNI_1_16, 2, 5, 8)
        self.calls(incident, other, OTHER_NODE, CNI_1_18, 3, 6, 9)
        (finding,) = incident.findings("00:00:00", "10:00:00")
        assert (finding.rule, finding.severity) == ("mixed-cni-versions", Severity.LOW)
        assert finding.sentence == (
            f"Cluster quay ran 2 builds of the VPC CNI at the same time, for 5 h: v1.16.4 on {NODE}; "
            f"v1.18.3 on {OTHER_NODE}."
        )

    def test_a_build_that_was_replaced_before_is_not_counted(self) -> None:
        incident = Incident()
        one, other = node(incident, "01:00:00"), node(incident, "01:00:00", OTHER_NODE)
        self.calls(incident, one, NODE, CNI_1_11, 1)
        self.calls(incident, one, NODE, CNI_1_16, 2, 5, 8)
        self.calls(incident, other, OTHER_NODE, CNI_1_18, 3, 6, 9)
        (finding,) = incident.findings("00:00:00", "10:00:00")
        assert finding.sentence == (
            f"Cluster quay ran 2 builds of the VPC CNI at the same time, for 5 h: v1.16.4 on {NODE}; "
            f"v1.18.3 on {OTHER_NODE}."
        )

    def test_builds_without_a_version_differ_by_their_sdk(self) -> None:
        incident = Incident()
        one, other = node(incident, "01:00:00"), node(incident, "01:00:00", OTHER_NODE)
        self.calls(incident, one, NODE, CNI_1_11, 2, 5, 8)
        self.calls(incident, other, OTHER_NODE, CNI_1_21, 3, 6, 9)
        (finding,) = incident.findings("00:00:00", "10:00:00")
        assert f"aws-sdk-go/1.40.6 on {NODE}; v1.21.2 on {OTHER_NODE}" in finding.sentence

    def test_no_finding_for_a_rolling_upgrade(self) -> None:
        incident = Incident()
        one, other = node(incident, "01:00:00"), node(incident, "01:00:00", OTHER_NODE)
        self.calls(incident, one, NODE, CNI_1_16, 2, 3)
        self.calls(incident, other, OTHER_NODE, CNI_1_16, 2, 3)
        self.calls(incident, one, NODE, CNI_1_18, 4, 6)
        self.calls(incident, other, OTHER_NODE, CNI_1_18, 5, 7)
        assert incident.findings("00:00:00", "10:00:00") == []

    def test_no_finding_for_an_upgrade_that_is_rolled_back(self) -> None:
        incident = Incident()
        one = node(incident, "01:00:00")
        for agent, hours in ((CNI_1_16, (2, 3)), (CNI_1_18, (4, 6)), (CNI_1_16, (7, 9))):
            self.calls(incident, one, NODE, agent, *hours)
        assert incident.findings("00:00:00", "10:00:00") == []

    def test_no_finding_for_two_clusters(self) -> None:
        incident = Incident()
        one = node(incident, "01:00:00")
        other = node(incident, "01:00:00", OTHER_NODE, cluster="wharf")
        self.calls(incident, one, NODE, CNI_1_16, 2, 5, 8)
        self.calls(incident, other, OTHER_NODE, CNI_1_18, 3, 6, 9)
        assert incident.findings("00:00:00", "10:00:00") == []


class TestCommands:
    """Commands are pasted into a shell, and an attacker may have written the records."""

    PLACE = ("111111111111", "eu-west-1")

    def test_a_command_has_every_valid_id_once_and_sorted(self) -> None:
        enis = ("eni-0b85e1c7d3a9f4620", None, "eni-0a72f4d6c8e1b3950", "eni-0b85e1c7d3a9f4620")
        (command,) = describe_enis(self.PLACE, enis)
        assert command == (
            "aws ec2 describe-network-interfaces --region eu-west-1 "
            "--network-interface-ids eni-0a72f4d6c8e1b3950 eni-0b85e1c7d3a9f4620"
        )

    def test_there_is_no_command_without_an_id(self) -> None:
        assert describe_enis(self.PLACE, ()) == ()
        assert pods_with(()) == ()

    @pytest.mark.parametrize(
        "hostile",
        [
            "eni-0a72f4d6c8e1b3950; rm -rf ~",
            "$(id)",
            "`id`",
            "eni-0a72f4d6c8e1b3950\n",
            "--profile=prod",
            "eni-٠٠٠٠٠٠٠٠",
        ],
    )
    def test_a_command_has_no_other_text_from_records(self, hostile: str) -> None:
        assert describe_enis(self.PLACE, (hostile,)) == ()
        assert enis_of_instance(self.PLACE, hostile) == ()
        assert leaked_enis_of_subnet(self.PLACE, hostile) == ()
        assert reservations_of_subnet(self.PLACE, hostile) == ()
        assert trail_status(self.PLACE, hostile) == ()
        assert bucket_policy(self.PLACE, hostile) == ()
        assert enis_of_instance(("111111111111", hostile), NODE) == (
            f"aws ec2 describe-network-interfaces --filters Name=attachment.instance-id,Values={NODE}",
        )

    @given(st.text())
    def test_no_text_in_a_record_makes_a_command_do_anything_else(self, text: str) -> None:
        place = (text, text)
        for command in (
            *describe_enis(place, (text,)),
            *enis_of_instance(place, text),
            *leaked_enis_of_subnet(place, text),
            *reservations_of_subnet(place, text),
            *trail_status(place, text),
            *bucket_policy(place, text),
        ):
            assert set(command) <= set(string.ascii_letters + string.digits + " -_.,=")

    def test_pods_are_found_by_single_addresses_and_not_by_prefixes(self) -> None:
        held = (ip_address("10.9.1.51"), ip_network("10.9.2.0/28"), ip_address("10.9.1.50"))
        assert pods_with(held) == (
            "kubectl get pods -A -o wide --field-selector status.podIP=10.9.1.50",
            "kubectl get pods -A -o wide --field-selector status.podIP=10.9.1.51",
        )

    def test_pods_are_not_found_by_an_address_with_a_zone_which_may_be_any_text(self) -> None:
        assert pods_with((ip_address("fe80::1%$(reboot)"),)) == ()


class TestOrderAndFilters:
    def rules(self, wanted: Filter) -> list[str]:
        incident = Incident()
        elsewhere(incident)
        eni = grown(incident)
        incident.log("10:20:00", cni(incident), detach(eni))
        incident.log("11:00:00", ADA, creation_refused(second(OTHER_NODE), 5, FULL))
        stray = Eni("eni-0ddddddddddddddd1", SUBNET, "10.9.4.4")
        incident.log("10:05:00", ADA, create_network_interface(stray))
        return [finding.rule for finding in incident.findings("09:00:00", "12:00:00", wanted=wanted)]

    def test_findings_are_sorted_by_severity_and_then_by_time(self) -> None:
        assert self.rules(Filter()) == [
            "subnet-exhausted",
            "interface-never-deleted",
            "interface-never-attached",
        ]

    def test_a_filter_keeps_a_finding_if_it_matches_any_of_its_calls(self) -> None:
        assert self.rules(Filter(instance=(NODE,))) == ["interface-never-deleted"]
        assert self.rules(Filter(eni=("eni-0ddddddddddddddd1",))) == ["interface-never-attached"]
        assert self.rules(Filter(actor=("ada",))) == ["subnet-exhausted", "interface-never-attached"]
        assert self.rules(Filter(event=("Detach*",))) == ["interface-never-deleted"]
        assert self.rules(Filter(ip=(ip_network("10.9.4.4/32"),))) == ["interface-never-attached"]
        assert self.rules(Filter(cluster=("wharf",))) == []

    def test_an_ongoing_finding_matches_any_later_time(self) -> None:
        late = datetime(2026, 3, 2, 11, 30, tzinfo=UTC)
        assert self.rules(Filter(since=late)) == ["interface-never-deleted", "interface-never-attached"]
        early = datetime(2026, 3, 2, 10, 10, tzinfo=UTC)
        assert self.rules(Filter(until=early)) == ["interface-never-attached"]


class TestAgainstTheTruth:
    """Against a simulator: without missing logs, every finding is true."""

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(world=worlds())
    def test_every_finding_is_true(self, world: World) -> None:
        for finding in of_world(deliver(world)):
            if finding.rule == "interface-never-attached":
                attached = {attachment.eni.id for attachment in world.attachments}
                alive = {eni.id for eni in world.enis if eni.alive}
                assert set(finding.enis) <= alive - attached
            if "virtual IP" in finding.sentence and not finding.doubts:
                words = finding.sentence.replace(",", "").split()
                held = [
                    holding
                    for holding in world.holdings
                    if holding.eni.id in finding.enis and holding.text in words
                ]
                for event in finding.events:  # it gave the address to an ENI, or left it there
                    second = int(event.time.timestamp())
                    assert any(
                        holding.start // 1000 <= second
                        and (holding.end is None or second <= holding.end // 1000)
                        for holding in held
                    )
                if last := re.search(r"moved .* last at (.*Z)\.", finding.sentence):
                    starts = {datetime.fromtimestamp(holding.start // 1000, UTC) for holding in held}
                    assert datetime.fromisoformat(last[1]) in starts
            elif finding.rule == "address-reassigned" and not finding.doubts:
                stolen = [holding for holding in world.holdings if holding.ending == STOLEN]
                lost = {(holding.end or 0) // 1000 for holding in stolen if holding.eni.id in finding.enis}
                assert {int(event.time.timestamp()) for event in finding.events} <= lost

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(data=st.data())
    def test_with_missing_logs_every_finding_cites_calls_and_the_most_severe_come_first(
        self, data: st.DataObject
    ) -> None:
        found = of_world(data.draw(deliveries(data.draw(worlds()), drop_records=True)))
        assert all(finding.events and finding.since <= (finding.until or finding.since) for finding in found)
        assert [finding.severity for finding in found] == sorted(
            (finding.severity for finding in found), key=SEVERITY_ORDER.__getitem__
        )


def of_world(delivery: Delivery) -> list[Finding]:
    """Return the findings in the log files of a simulated world."""
    return list(findings(*read(delivery), Filter()))


class TestTrailStopped:
    def test_a_stopped_trail_with_the_caller_and_the_period(self) -> None:
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

    def test_a_deleted_trail_is_ongoing(self) -> None:
        incident = Incident()
        incident.log("10:00:00", ADA, delete_trail("main"))
        (finding,) = incident.found("trail-stopped", "09:00:00", "12:00:00")
        assert finding.sentence == (
            "ada (IAM user, aws-cli 2.27.31) deleted the trail main (DeleteTrail): it did not record EC2's "
            "write calls from 2026-03-02 10:00:00Z on."
        )
        assert finding.until is None

    def test_no_finding_if_the_call_was_refused(self) -> None:
        incident = Incident()
        incident.log("10:00:00", ADA, refused(stop_logging("main"), ("AccessDenied", "not authorized")))
        incident.log("10:30:00", ADA, start_logging("main"))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestTrailNarrowed:
    def test_a_trail_of_only_reads(self) -> None:
        incident = Incident()
        incident.log("10:00:00", ADA, put_event_selectors("main", selector("ReadOnly")))
        incident.log("10:30:00", ADA, put_event_selectors("main", selector("All")))
        (finding,) = incident.found("trail-narrowed", "09:00:00", "12:00:00")
        assert finding.severity is Severity.HIGH
        assert finding.sentence == (
            "ada (IAM user, aws-cli 2.27.31) narrowed the trail main (PutEventSelectors): it did not record "
            "EC2's write calls from 2026-03-02 10:00:00Z until PutEventSelectors at 2026-03-02 10:30:00Z."
        )

    def test_a_trail_that_excludes_a_caller_is_less_severe(self) -> None:
        incident = Incident()
        fields = {"eventCategory": {"equals": ["Management"]}, "userIdentity.arn": {"notEquals": ["arn:eve"]}}
        incident.log("10:00:00", ADA, put_advanced_selectors("main", fields))
        (finding,) = incident.found("trail-narrowed", "09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        assert "did not record some of EC2's write calls from" in finding.sentence
        assert list(doubts(finding)) == ["other-trail", "partly-recorded"]

    def test_a_trail_of_only_one_region(self) -> None:
        incident = Incident()
        incident.log("10:00:00", ADA, update_trail("main", isMultiRegionTrail=False))
        (finding,) = incident.found("trail-narrowed", "09:00:00", "12:00:00")
        assert "some of EC2's write calls outside eu-west-1 from" in finding.sentence

    def test_no_finding_for_selectors_that_keep_all_writes(self) -> None:
        incident = Incident()
        keys = selector() | {"excludeManagementEventSources": ["kms.amazonaws.com"]}
        incident.log("10:00:00", ADA, put_event_selectors("main", keys))
        assert incident.findings("09:00:00", "12:00:00") == []


class TestTrailBucketChanged:
    def test_the_policy_of_a_trails_bucket_is_changed(self) -> None:
        incident = Incident()
        incident.log("09:30:00", ADA, create_trail("main", "audit-logs"))
        incident.log("10:00:00", ADA, on_bucket("DeleteBucketPolicy", "audit-logs"))
        incident.log("10:01:00", ADA, on_bucket("PutBucketLifecycle", "audit-logs"))
        (finding,) = incident.found("trail-bucket-changed", "09:00:00", "12:00:00")
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence == (
            "ada (IAM user, aws-cli 2.27.31) called DeleteBucketPolicy and PutBucketLifecycle on audit-logs, "
            "a bucket with CloudTrail logs."
        )

    def test_a_trail_changes_its_bucket(self) -> None:
        incident = Incident()
        incident.log("09:30:00", ADA, create_trail("main", "audit-logs"))
        incident.log("10:00:00", ADA, update_trail("main", s3BucketName="eves-bucket"))
        (finding,) = incident.found("trail-bucket-changed", "09:00:00", "12:00:00")
        assert finding.sentence == (
            "ada (IAM user, aws-cli 2.27.31) changed the bucket of the trail main from audit-logs to "
            "eves-bucket."
        )

    def test_no_finding_for_another_bucket(self) -> None:
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
        (command,) = entry["commands"]
        assert command == (
            "aws ec2 describe-network-interfaces --region eu-central-1 "
            "--network-interface-ids eni-0c92e7d4b1a6f8353"
        )

    def test_json_has_the_doubts_with_their_codes(self, run: Run) -> None:
        answer = json.loads(run("findings", "pod-identity-and-node-role", "-o", "json").stdout)
        (entry,) = answer["entries"]
        assert entry["doubts"] == [
            {
                "code": "other-process",
                "text": "Any other process that uses the instance profile would look identical.",
                "events": [],
            }
        ]

    def test_csv_has_a_line_per_finding(self, run: Run) -> None:
        (row,) = csv.DictReader(io.StringIO(run("findings", "stolen-address", "-o", "csv").stdout))
        assert (row["severity"], row["rule"], row["addresses"]) == (
            "high",
            "address-reassigned",
            "10.60.12.50",
        )
        assert row["enis"] == "eni-0a72f4d6c8e1b3950 eni-0b85e1c7d3a9f4620"

    def test_a_piped_table_has_one_uncut_line_per_finding(self, run: Run) -> None:
        _, line = run("findings", "stolen-address").stdout.splitlines()
        assert line.startswith("high      2025-06-17 11:47:25")
        assert (
            "dana.reyes@example.com (Identity Center, aws-cli 2.27.31) reassigned 10.60.12.50 from "
            "eni-0a72f4d6c8e1b3950" in line
        )
        assert "address-reassigned, events a1ab0d93-0cdc-5b46-a995-643cf9693a28" in line

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
    def test_fail_on_exits_with_5_for_a_finding_of_that_severity(
        self, run: Run, story: str, grave: str, status: int
    ) -> None:
        result = run("findings", story, "--fail-on", grave)
        assert result.exit_code == status
        assert (f"--fail-on {grave}: 1 finding\n" in result.stderr) == (status == 5)

    def test_the_exit_status_of_findings_precedes_that_of_unreadable_files(
        self, run: Run, tmp_path: Path
    ) -> None:
        (tmp_path / "note.json").write_text("remember to rotate the logs\n")
        both = (str(tmp_path), "hand-assigned")
        assert run("findings", *both).exit_code == 3
        assert run("findings", *both, "--fail-on", "high").exit_code == 5
        assert run("findings", str(tmp_path), "ironman", "--fail-on", "low").exit_code == 3

    def test_filters_select_findings_and_not_evidence(self, run: Run) -> None:
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
            assert "49 events, 8 IP-related" in result.stderr
        assert run("findings", "hand-assigned", "--actor", "nobody").stdout == ""

    def test_no_findings_are_stated(self, run: Run) -> None:
        result = run("findings", "ironman")
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.startswith("no findings; read 14 files")

    def test_log_gaps_are_stated(self, run: Run) -> None:
        assert run("findings", "hole-in-the-logs", "-q").stderr == (
            "warning: log gap for 111111111111 in eu-north-1 from "
            "2024-01-18 09:45:00Z to 2024-01-18 12:05:00Z\n"
        )
