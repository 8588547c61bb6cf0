"""Decode: from one record to its ENIs and addresses, in every form that CloudTrail writes."""

import json
from copy import deepcopy
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import (
    ACCOUNT,
    ATTACHMENT,
    ENI,
    GOOD,
    IAM_USER,
    INSTANCE,
    OTHER_ENI,
    OTHER_INSTANCE,
    POD_IDENTITY,
    PROVIDER,
    SUBNET,
    VPC,
    WEB_IDENTITY,
    Entry,
    Path,
    addresses,
    attached,
    decoded,
    event_of,
    failed,
    interface,
    items,
    json_values,
    launched,
    paths_in,
    record,
    replaced,
    session_of,
    subject_of,
    subjects_of,
)

from cnitrail.decode import NAMES, Decoded, decode
from cnitrail.model import (
    BUCKET_CALLS,
    TRAIL_CALLS,
    AttributeChange,
    CallOutcome,
    CniMark,
    Details,
    Effect,
    Event,
    Failure,
    Held,
    Holding,
    HoldingKind,
    InstanceBasis,
    IssuedSession,
    Origin,
    Record,
    Subject,
)

every_event = pytest.mark.parametrize("entry", GOOD.values(), ids=GOOD.keys())


def held(*texts: str) -> tuple[Held, ...]:
    """Addresses and prefixes."""
    return tuple(ip_network(text) if "/" in text else ip_address(text) for text in texts)


def secondary(*texts: str) -> tuple[Holding, ...]:
    return tuple(Holding(address, HoldingKind.SECONDARY) for address in held(*texts))


def holding(kind: str, text: str) -> Holding:
    return Holding(held(text)[0], HoldingKind(kind))


def assign(request: Entry, response: Entry | None) -> Entry:
    return record("AssignPrivateIpAddresses", {"networkInterfaceId": ENI} | request, response)


def assigned(name: str, value: object) -> Entry:
    """A response of AssignPrivateIpAddresses."""
    return {"networkInterfaceId": ENI, "_return": True, name: value}


class TestAssignPrivateIpAddresses:
    def test_the_count_form_takes_the_addresses_from_the_response(self) -> None:
        assert subject_of(GOOD["AssignPrivateIpAddresses"]) == Subject(
            eni=ENI,
            added=secondary("10.0.1.12", "10.0.1.13"),
            requested=2,
            requested_kind=HoldingKind.SECONDARY,
        )

    def test_the_explicit_form_has_the_requested_and_the_assigned_addresses(self) -> None:
        given = addresses("10.0.1.12")
        entry = assign(
            {"privateIpAddressesSet": items(*given), "ipv4Prefixes": {}},
            assigned("assignedPrivateIpAddressesSet", {"assignedPrivateIpAddressSetType": given}),
        )
        assert subject_of(entry) == Subject(
            eni=ENI,
            added=secondary("10.0.1.12"),
            requested_kind=HoldingKind.SECONDARY,
            requested_addresses=("10.0.1.12",),
        )

    def test_an_address_may_be_taken_from_another_eni(self) -> None:
        given = addresses("10.0.1.12")
        entry = assign(
            {"privateIpAddressesSet": items(*given), "allowReassignment": True},
            assigned("assignedPrivateIpAddressesSet", {"assignedPrivateIpAddressSetType": given}),
        )
        assert subject_of(entry).reassign is True
        assert subject_of(GOOD["AssignPrivateIpAddresses"]).reassign is False

    @pytest.mark.parametrize("wrapper", ["assignedIpv4PrefixSetType", "item", "items"])
    def test_a_prefix_is_a_prefix_in_any_wrapper(self, wrapper: str) -> None:
        entry = assign(
            {"privateIpAddressesSet": {}, "ipv4PrefixCount": 1, "ipv4Prefixes": {}},
            assigned("assignedPrivateIpAddressesSet", {})
            | {"assignedIpv4PrefixSet": {wrapper: [{"ipv4Prefix": "10.0.1.16/28"}]}},
        )
        assert subject_of(entry) == Subject(
            eni=ENI,
            added=(holding("prefix", "10.0.1.16/28"),),
            requested=1,
            requested_kind=HoldingKind.PREFIX,
        )

    def test_a_prefix_may_be_requested_by_name(self) -> None:
        entry = assign(
            {"ipv4Prefixes": items({"ipv4Prefix": "10.0.1.16/28"})},
            assigned("assignedIpv4PrefixSet", [{"ipv4Prefix": "10.0.1.16/28"}]),
        )
        assert subject_of(entry) == Subject(
            eni=ENI,
            added=(holding("prefix", "10.0.1.16/28"),),
            requested_kind=HoldingKind.PREFIX,
            requested_addresses=("10.0.1.16/28",),
        )

    @pytest.mark.parametrize(
        "shape",
        [
            {"assignedPrivateIpAddressSetType": [{"privateIpAddress": "10.0.1.12"}]},
            {"assignedPrivateIpAddressSetType": {"privateIpAddress": "10.0.1.12"}},
            {"items": [{"privateIpAddress": "10.0.1.12"}]},
            {"item": [{"privateIpAddress": "10.0.1.12"}]},
            {"item": {"privateIpAddress": "10.0.1.12"}},
            {"member": [{"privateIpAddress": "10.0.1.12"}]},
            [{"privateIpAddress": "10.0.1.12"}],
            {"privateIpAddress": "10.0.1.12"},
            ["10.0.1.12"],
            {"item": "10.0.1.12"},
            "10.0.1.12",
        ],
        ids=json.dumps,
    )
    def test_a_set_may_have_any_shape(self, shape: object) -> None:
        entry = assign(
            {"secondaryPrivateIpAddressCount": 1}, assigned("assignedPrivateIpAddressesSet", shape)
        )
        assert subject_of(entry).added == secondary("10.0.1.12")

    @pytest.mark.parametrize("empty", [{}, [], "", {"items": []}, {"item": {}}, {"items": ""}, None])
    def test_an_empty_set_may_have_any_shape(self, empty: object) -> None:
        entry = assign(
            {"secondaryPrivateIpAddressCount": 1, "privateIpAddressesSet": empty},
            assigned("assignedPrivateIpAddressesSet", addresses("10.0.1.12"))
            | {"assignedIpv4PrefixSet": empty},
        )
        assert subject_of(entry).added == secondary("10.0.1.12")

    @pytest.mark.parametrize("count", [3, "3"])
    def test_a_count_may_be_written_as_a_string(self, count: object) -> None:
        entry = replaced(
            GOOD["AssignPrivateIpAddresses"], ("requestParameters", "secondaryPrivateIpAddressCount"), count
        )
        assert subject_of(entry).requested == 3

    @pytest.mark.parametrize("count", ["three", "--3", "-", "", "9" * 5000, 10**12, 1.5, True, None, [], {}])
    def test_a_count_that_is_not_a_number_is_ignored(self, count: object) -> None:
        entry = replaced(
            GOOD["AssignPrivateIpAddresses"], ("requestParameters", "secondaryPrivateIpAddressCount"), count
        )
        assert subject_of(entry).requested is None

    def test_without_a_response_the_requested_addresses_count_as_assigned(self) -> None:
        entry = assign({"privateIpAddressesSet": items(*addresses("10.0.1.12"))}, None)
        assert subject_of(entry).added == secondary("10.0.1.12")

    def test_without_a_response_a_count_is_a_problem(self) -> None:
        read = decoded(assign({"secondaryPrivateIpAddressCount": 2}, None))
        assert isinstance(read.fact, Event)
        assert len(read.problems) == 1
        assert read.problems[0].startswith("AssignPrivateIpAddresses: assignedPrivateIpAddressesSet is None")

    @pytest.mark.parametrize(
        "text",
        ["not-an-ip", "10.0.1", "10.0.1.12/28", "10.0.1.999", "", " 10.0.1.12", "2001:db8::1%$(reboot)"],
    )
    def test_a_malformed_address_is_a_problem_and_the_others_are_kept(self, text: str) -> None:
        given = assigned("assignedPrivateIpAddressesSet", items(*addresses(text, "10.0.1.13")))
        read = decoded(assign({"secondaryPrivateIpAddressCount": 2}, given))
        assert isinstance(read.fact, Event)
        assert read.fact.subjects[0].added == secondary("10.0.1.13")
        assert len(read.problems) == 1
        assert "privateIpAddressesSet.privateIpAddress is" in read.problems[0]

    @pytest.mark.parametrize(
        "text", ["10.0.1.17/28", "10.0.1.16", "10.0.1.16/99", "::/0/1", "2001:db8::%x/80"]
    )
    def test_a_malformed_prefix_is_a_problem(self, text: str) -> None:
        given = assigned("assignedIpv4PrefixSet", items({"ipv4Prefix": text}, {"ipv4Prefix": "10.0.2.0/28"}))
        read = decoded(assign({"ipv4PrefixCount": 2}, given))
        assert isinstance(read.fact, Event)
        assert read.fact.subjects[0].added == (holding("prefix", "10.0.2.0/28"),)
        assert len(read.problems) == 1


class TestUnassignPrivateIpAddresses:
    def test_the_addresses_are_in_the_request(self) -> None:
        assert subject_of(GOOD["UnassignPrivateIpAddresses"]) == Subject(
            eni=ENI, removed=held("10.0.1.12"), requested_addresses=("10.0.1.12",)
        )

    def test_prefixes_are_released_like_addresses(self) -> None:
        entry = record(
            "UnassignPrivateIpAddresses",
            {
                "networkInterfaceId": ENI,
                "privateIpAddressesSet": {},
                "ipv4Prefixes": items({"ipv4Prefix": "10.0.1.16/28"}),
            },
            {"_return": True},
        )
        assert subject_of(entry).removed == held("10.0.1.16/28")

    def test_a_release_of_no_address_is_a_problem(self) -> None:
        entry = record("UnassignPrivateIpAddresses", {"networkInterfaceId": ENI, "privateIpAddressesSet": {}})
        assert len(decoded(entry).problems) == 1


class TestIpv6:
    def test_a_prefix_is_assigned(self) -> None:
        assert subject_of(GOOD["AssignIpv6Addresses"]) == Subject(
            eni=ENI,
            added=(holding("ipv6-prefix", "2001:db8:0:1:a::/80"),),
            requested=1,
            requested_kind=HoldingKind.IPV6_PREFIX,
        )

    def test_a_prefix_is_released(self) -> None:
        assert subject_of(GOOD["UnassignIpv6Addresses"]) == Subject(
            eni=ENI,
            removed=held("2001:db8:0:1:a::/80"),
            requested_addresses=("2001:db8:0:1:a::/80",),
        )

    @pytest.mark.parametrize(
        "shape",
        [
            {"item": ["2001:db8::5"]},
            {"item": "2001:db8::5"},
            {"items": [{"ipv6Address": "2001:db8::5"}]},
            ["2001:db8::5"],
            "2001:db8::5",
        ],
        ids=json.dumps,
    )
    def test_addresses_may_be_plain_or_under_a_key(self, shape: object) -> None:
        entry = record(
            "AssignIpv6Addresses",
            {"networkInterfaceId": ENI, "ipv6AddressCount": 1},
            {"networkInterfaceId": ENI, "assignedIpv6Addresses": shape},
        )
        assert subject_of(entry) == Subject(
            eni=ENI, added=(holding("ipv6", "2001:db8::5"),), requested=1, requested_kind=HoldingKind.IPV6
        )

    def test_the_query_envelope_is_opened(self) -> None:
        entry = record(
            "AssignIpv6Addresses",
            {"AssignIpv6AddressesRequest": {"NetworkInterfaceId": ENI, "Ipv6AddressCount": "1"}},
            {
                "AssignIpv6AddressesResponse": {
                    "networkInterfaceId": ENI,
                    "assignedIpv6Addresses": {"item": "2001:db8::5"},
                    "assignedIpv6PrefixSet": "",
                }
            },
        )
        assert subject_of(entry) == Subject(
            eni=ENI, added=(holding("ipv6", "2001:db8::5"),), requested=1, requested_kind=HoldingKind.IPV6
        )

    def test_an_address_may_be_spelled_in_any_way(self) -> None:
        entry = record(
            "UnassignIpv6Addresses",
            {"networkInterfaceId": ENI, "ipv6Addresses": ["2001:0DB8:0000:0000::0005"]},
            {"networkInterfaceId": ENI, "unassignedIpv6Addresses": ["2001:db8::5"]},
        )
        assert subject_of(entry).removed == held("2001:db8::5")

    def test_without_a_response_the_released_addresses_are_those_of_the_request(self) -> None:
        entry = record("UnassignIpv6Addresses", {"networkInterfaceId": ENI, "ipv6Addresses": ["2001:db8::5"]})
        assert subject_of(entry).removed == held("2001:db8::5")


class TestCreateNetworkInterface:
    def test_the_response_has_everything_about_the_new_eni(self) -> None:
        assert subject_of(GOOD["CreateNetworkInterface"]) == Subject(
            eni=ENI,
            vpc=VPC,
            subnet=SUBNET,
            added=(holding("primary", "10.0.1.10"), holding("secondary", "10.0.1.11")),
            requested=1,
            requested_kind=HoldingKind.SECONDARY,
            details=Details(
                description=f"aws-K8S-{INSTANCE}",
                mark=CniMark(INSTANCE, InstanceBasis.DESCRIPTION),
                interface_type="interface",
                tags=(("node.k8s.amazonaws.com/instance_id", INSTANCE),),
            ),
        )

    def made(self, **fields: object) -> Subject:
        bare = {"description": "", "tagSet": {}} | fields
        return subject_of(
            record("CreateNetworkInterface", {"subnetId": SUBNET}, {"networkInterface": interface(**bare)})
        )

    def test_prefixes_and_ipv6_addresses_are_holdings(self) -> None:
        made = self.made(
            ipv4PrefixSet={"item": [{"ipv4Prefix": "10.0.1.16/28"}]},
            ipv6AddressesSet={"item": [{"ipv6Address": "2001:db8::5"}]},
            ipv6PrefixSet={"item": [{"ipv6Prefix": "2001:db8:0:1:a::/80"}]},
        )
        assert made.added == (
            holding("primary", "10.0.1.10"),
            holding("secondary", "10.0.1.11"),
            holding("prefix", "10.0.1.16/28"),
            holding("ipv6", "2001:db8::5"),
            holding("ipv6-prefix", "2001:db8:0:1:a::/80"),
        )

    @pytest.mark.parametrize("empty", [{}, None, [], ""])
    def test_a_primary_address_may_be_outside_a_set(self, empty: object) -> None:
        assert self.made(privateIpAddressesSet=empty).added == (holding("primary", "10.0.1.10"),)

    def test_a_primary_address_that_its_set_does_not_list_is_kept(self) -> None:
        made = self.made(privateIpAddressesSet={"item": addresses("10.0.1.11")})
        assert set(made.added) == {holding("primary", "10.0.1.10"), holding("secondary", "10.0.1.11")}

    def test_the_mark_of_the_cni_may_be_its_tag(self) -> None:
        tag = items({"key": "node.k8s.amazonaws.com/instance_id", "value": INSTANCE})
        assert self.made(tagSet=tag).details.mark == (INSTANCE, "tag")

    @pytest.mark.parametrize(
        "description", ["", "aws-K8S-", "aws-k8s-i-0abc", "x aws-K8S-i-0abc", "aws-K8S-x"]
    )
    def test_another_description_is_not_a_mark(self, description: str) -> None:
        assert self.made(description=description).details.mark is None

    @pytest.mark.parametrize("value", ["", "node-1", "i-", "i-0abc\x1b[31m", "eni-0a1b2c3d4e5f60718"])
    def test_a_tag_without_an_instance_is_not_a_mark(self, value: str) -> None:
        tag = items({"key": "node.k8s.amazonaws.com/instance_id", "value": value})
        assert self.made(tagSet=tag).details.mark is None

    def test_tags_that_only_the_request_has_are_kept(self) -> None:
        entry = deepcopy(GOOD["CreateNetworkInterface"])
        del entry["responseElements"]["networkInterface"]["tagSet"]
        assert subject_of(entry).details.tags == (("node.k8s.amazonaws.com/instance_id", INSTANCE),)

    def test_a_trunk_is_recognized(self) -> None:
        made = self.made(interfaceType="trunk", description="aws-k8s-trunk-eni")
        assert (made.details.interface_type, made.details.description) == ("trunk", "aws-k8s-trunk-eni")

    def test_a_service_that_manages_the_eni_is_named(self) -> None:
        assert self.made(requesterManaged=True, requesterId="amazon-elb").details.requester == "amazon-elb"
        assert self.made(requesterManaged=False, requesterId="AIDAEXAMPLE").details.requester is None

    def test_a_failed_call_keeps_its_request(self) -> None:
        entry = failed(
            record(
                "CreateNetworkInterface",
                {
                    "subnetId": SUBNET,
                    "privateIpAddress": "not-an-ip",
                    "description": "<eni>",
                    "privateIpAddressesSet": {},
                    "secondaryPrivateIpAddressCount": 4,
                },
            )
        )
        assert subject_of(entry) == Subject(
            subnet=SUBNET,
            requested=4,
            requested_kind=HoldingKind.SECONDARY,
            requested_addresses=("not-an-ip",),
            details=Details(description="<eni>"),
        )

    def test_an_eni_without_any_address_is_a_problem(self) -> None:
        bare = interface(privateIpAddress=None, privateIpAddressesSet={})
        read = decoded(record("CreateNetworkInterface", {"subnetId": SUBNET}, {"networkInterface": bare}))
        assert len(read.problems) == 1


class TestAttachAndDetach:
    def test_an_attachment_joins_an_eni_to_an_instance(self) -> None:
        assert subject_of(GOOD["AttachNetworkInterface"]) == Subject(
            eni=ENI, instance=INSTANCE, attachment=ATTACHMENT, details=Details(device_index=1)
        )

    def test_a_detachment_names_only_the_attachment(self) -> None:
        assert subject_of(GOOD["DetachNetworkInterface"]) == Subject(attachment=ATTACHMENT)

    def test_a_deletion_names_the_eni(self) -> None:
        assert subject_of(GOOD["DeleteNetworkInterface"]) == Subject(eni=ENI)


def modified(**attribute: object) -> Entry:
    return record(
        "ModifyNetworkInterfaceAttribute", {"networkInterfaceId": ENI} | attribute, {"_return": True}
    )


class TestModifyNetworkInterfaceAttribute:
    def test_it_may_set_delete_on_termination(self) -> None:
        assert subject_of(GOOD["ModifyNetworkInterfaceAttribute"]) == Subject(
            eni=ENI,
            attachment=ATTACHMENT,
            details=Details(
                delete_on_termination=True, changes=(AttributeChange("deleteOnTermination", value=True),)
            ),
        )

    @pytest.mark.parametrize(("written", "meant"), [(False, False), ("true", True), ("false", False)])
    def test_a_boolean_may_be_written_as_a_string(self, written: object, meant: bool) -> None:
        entry = modified(attachment={"attachmentId": ATTACHMENT, "deleteOnTermination": written})
        assert subject_of(entry).details.delete_on_termination is meant

    def test_it_may_set_a_description(self) -> None:
        assert subject_of(modified(description={"value": "mine now"})) == Subject(
            eni=ENI,
            details=Details(description="mine now", changes=(AttributeChange("description", "mine now"),)),
        )

    def test_it_may_remove_the_description(self) -> None:
        assert subject_of(modified(description={"value": ""})).details.description == ""

    def test_a_description_may_be_the_mark_of_the_cni(self) -> None:
        entry = modified(description={"value": f"aws-K8S-{INSTANCE}"})
        assert subject_of(entry).details.mark == (INSTANCE, "description")

    @pytest.mark.parametrize(
        ("attribute", "change"),
        [
            ({"groupSet": items({"groupId": "sg-1"})}, AttributeChange("groupSet", ("sg-1",))),
            ({"sourceDestCheck": {"value": False}}, AttributeChange("sourceDestCheck", value=False)),
        ],
    )
    def test_other_attributes_are_only_named(self, attribute: Entry, change: AttributeChange) -> None:
        assert subject_of(modified(**attribute)) == Subject(eni=ENI, details=Details(changes=(change,)))

    @pytest.mark.parametrize(
        "attribute",
        [
            {"attachment": 5},
            {"attachment": {"attachmentId": ATTACHMENT, "deleteOnTermination": "perhaps"}},
            {"attachment": {"attachmentId": ATTACHMENT, "deleteOnTermination": {}}},
            {"description": 5},
            {"description": {"value": 5}},
        ],
        ids=json.dumps,
    )
    def test_a_malformed_attribute_is_a_problem(self, attribute: Entry) -> None:
        assert len(decoded(modified(**attribute)).problems) == 1


def run(request: Entry, *instances: Entry) -> Entry:
    return record("RunInstances", request, {"instancesSet": items(*instances)})


class TestRunInstances:
    def test_an_instance_has_its_first_eni(self) -> None:
        assert subject_of(GOOD["RunInstances"]) == Subject(
            eni=ENI,
            instance=INSTANCE,
            attachment=ATTACHMENT,
            vpc=VPC,
            subnet=SUBNET,
            added=(holding("primary", "10.0.1.10"), holding("secondary", "10.0.1.11")),
            details=Details(
                device_index=0,
                delete_on_termination=True,
                interface_type="interface",
                instance_type="m5.large",
                tags=(("eks:cluster-name", "prod"),),
            ),
        )

    def test_every_eni_of_every_instance_is_a_subject(self) -> None:
        entry = run(
            {},
            launched(INSTANCE, attached(), attached(networkInterfaceId=OTHER_ENI)),
            launched(OTHER_INSTANCE, attached(networkInterfaceId="eni-3")),
        )
        assert [(subject.instance, subject.eni) for subject in subjects_of(entry)] == [
            (INSTANCE, ENI),
            (INSTANCE, OTHER_ENI),
            (OTHER_INSTANCE, "eni-3"),
        ]

    def test_an_existing_eni_is_marked_as_existing(self) -> None:
        request = {"networkInterfaceSet": items({"networkInterfaceId": ENI, "deviceIndex": 0})}
        entry = run(request, launched(INSTANCE, attached(), attached(networkInterfaceId=OTHER_ENI)))
        assert [subject.details.existing for subject in subjects_of(entry)] == [True, False]

    def test_an_instance_without_a_described_eni_is_a_subject(self) -> None:
        assert subject_of(run({}, launched(INSTANCE))) == Subject(
            instance=INSTANCE,
            vpc=VPC,
            subnet=SUBNET,
            added=(holding("primary", "10.0.1.10"),),
            details=Details(instance_type="m5.large", tags=(("eks:cluster-name", "prod"),)),
        )

    def test_a_single_item_may_replace_its_set(self) -> None:
        entry = record(
            "RunInstances",
            {},
            {"instancesSet": {"item": launched() | {"networkInterfaceSet": {"item": attached()}}}},
        )
        assert subject_of(entry).eni == ENI

    def test_a_failed_launch_keeps_its_request(self) -> None:
        request = {
            "instanceType": "m5.large",
            "networkInterfaceSet": items(
                {"networkInterfaceId": ENI, "deviceIndex": 0},
                {"subnetId": SUBNET, "deviceIndex": 1, "privateIpAddress": "10.0.1.99"},
            ),
        }
        assert subjects_of(failed(run(request))) == (
            Subject(eni=ENI, details=Details(device_index=0, instance_type="m5.large")),
            Subject(
                subnet=SUBNET,
                requested_addresses=("10.0.1.99",),
                details=Details(device_index=1, instance_type="m5.large"),
            ),
        )

    def test_a_failed_launch_into_a_subnet_keeps_the_subnet(self) -> None:
        entry = failed(run({"subnetId": SUBNET, "instanceType": "m5.large"}), "Client.DryRunOperation")
        assert subject_of(entry) == Subject(subnet=SUBNET, details=Details(instance_type="m5.large"))


class TestTheEndOfInstances:
    def test_a_termination_names_its_instances(self) -> None:
        both = items({"instanceId": INSTANCE}, {"instanceId": OTHER_INSTANCE})
        entry = record("TerminateInstances", {"instancesSet": both}, {"instancesSet": both})
        assert subjects_of(entry) == (Subject(instance=INSTANCE), Subject(instance=OTHER_INSTANCE))

    def test_without_a_response_the_request_names_them(self) -> None:
        entry = record("TerminateInstances", {"instancesSet": items({"instanceId": INSTANCE})})
        assert subject_of(entry) == Subject(instance=INSTANCE)

    def test_a_failed_termination_keeps_its_request(self) -> None:
        assert subject_of(failed(GOOD["TerminateInstances"])) == Subject(instance=INSTANCE)

    @pytest.mark.parametrize("shape", [[INSTANCE], {"items": [INSTANCE]}, items({"instanceId": INSTANCE})])
    def test_an_eviction_names_its_instances(self, shape: object) -> None:
        entry = GOOD["BidEvictedEvent"] | {"serviceEventDetails": {"instanceIdSet": shape}}
        assert subject_of(entry) == Subject(instance=INSTANCE, details=Details(previous_state="running"))

    def test_an_eviction_without_an_instance_is_a_problem(self) -> None:
        read = decoded(GOOD["BidEvictedEvent"] | {"serviceEventDetails": {}})
        assert read.fact is None
        assert len(read.problems) == 1


class TestCreateFleet:
    def test_an_instant_fleet_names_its_instances(self) -> None:
        assert subjects_of(GOOD["CreateFleet"]) == (
            Subject(instance=INSTANCE, details=Details(instance_type="m5.large")),
            Subject(instance=OTHER_INSTANCE, details=Details(instance_type="m5.large")),
        )

    def test_a_single_instance_may_replace_its_list(self) -> None:
        fleet = {"item": {"instanceIds": {"item": INSTANCE}, "instanceType": "m5.large"}}
        entry = GOOD["CreateFleet"] | {
            "responseElements": {"CreateFleetResponse": {"fleetInstanceSet": fleet}}
        }
        assert subject_of(entry) == Subject(instance=INSTANCE, details=Details(instance_type="m5.large"))

    @pytest.mark.parametrize("kind", ["maintain", "request", None])
    def test_any_other_fleet_is_irrelevant(self, kind: object) -> None:
        entry = replaced(GOOD["CreateFleet"], ("requestParameters", "CreateFleetRequest", "Type"), kind)
        assert decoded(entry) == Decoded(None)

    @pytest.mark.parametrize("fleet", ["", {}, None])
    def test_a_fleet_without_instances_is_irrelevant(self, fleet: object) -> None:
        entry = GOOD["CreateFleet"] | {
            "responseElements": {"CreateFleetResponse": {"errorSet": {"item": {}}, "fleetInstanceSet": fleet}}
        }
        assert decoded(entry) == Decoded(None)

    def test_a_failed_fleet_is_an_event(self) -> None:
        assert event_of(failed(GOOD["CreateFleet"])).failure == Failure("Client.UnauthorizedOperation", "no")


class TestTrunks:
    def test_an_association_joins_a_branch_to_its_trunk(self) -> None:
        assert subject_of(GOOD["AssociateTrunkInterface"]) == Subject(
            eni=ENI, details=Details(trunk=OTHER_ENI, association="trunk-assoc-0123456789abcdef0")
        )

    def test_the_same_without_a_query_envelope(self) -> None:
        entry = record(
            "AssociateTrunkInterface",
            {"branchInterfaceId": ENI, "trunkInterfaceId": OTHER_ENI, "vlanId": 7},
            {"interfaceAssociation": {"associationId": "trunk-assoc-0123456789abcdef0"}},
        )
        assert subject_of(entry) == subject_of(GOOD["AssociateTrunkInterface"])

    def test_a_disassociation_names_only_the_association(self) -> None:
        assert subject_of(GOOD["DisassociateTrunkInterface"]) == Subject(
            details=Details(association="trunk-assoc-0123456789abcdef0")
        )


def tagged(*resources: str) -> Entry:
    tag = {"key": "node.k8s.amazonaws.com/instance_id", "value": INSTANCE}
    return record(
        "CreateTags",
        {"resourcesSet": items(*({"resourceId": resource} for resource in resources)), "tagSet": items(tag)},
        {"_return": True},
    )


class TestCreateTags:
    def test_a_tag_on_an_eni_may_be_the_mark_of_the_cni(self) -> None:
        tags = (("node.k8s.amazonaws.com/instance_id", INSTANCE),)
        assert subject_of(tagged(ENI)) == Subject(
            eni=ENI, details=Details(tags=tags, mark=CniMark(INSTANCE, InstanceBasis.TAG))
        )

    def test_a_tag_on_an_instance_is_not_a_mark(self) -> None:
        tags = (("node.k8s.amazonaws.com/instance_id", INSTANCE),)
        assert subject_of(tagged(OTHER_INSTANCE)) == Subject(
            instance=OTHER_INSTANCE, details=Details(tags=tags)
        )

    def test_enis_and_instances_are_read_from_mixed_resources(self) -> None:
        subjects = subjects_of(tagged("vol-1", ENI, "igw-1", OTHER_INSTANCE, "ami-1"))
        assert [(subject.eni, subject.instance) for subject in subjects] == [
            (ENI, None),
            (None, OTHER_INSTANCE),
        ]

    def test_tags_on_other_resources_are_irrelevant(self) -> None:
        assert decoded(tagged("vol-1", "subnet-1")) == Decoded(None)

    def test_a_tag_may_have_no_value(self) -> None:
        entry = record(
            "CreateTags", {"resourcesSet": items({"resourceId": ENI}), "tagSet": items({"key": "spare"})}
        )
        assert subject_of(entry).details.tags == (("spare", ""),)


class TestPublicAddresses:
    def test_an_association_joins_a_public_address_to_an_eni(self) -> None:
        assert subject_of(GOOD["AssociateAddress"]) == Subject(
            eni=ENI,
            requested_addresses=("10.0.1.12",),
            details=Details(
                association="eipassoc-0123456789abcdef0", allocation="eipalloc-0123456789abcdef0"
            ),
        )

    def test_it_may_name_the_instance_and_the_address_instead(self) -> None:
        entry = record(
            "AssociateAddress", {"instanceId": INSTANCE, "publicIp": "203.0.113.9"}, {"_return": True}
        )
        assert subject_of(entry) == Subject(instance=INSTANCE, details=Details(public_address="203.0.113.9"))

    @pytest.mark.parametrize(
        ("request_", "subject"),
        [
            ({"associationId": "eipassoc-1"}, Subject(details=Details(association="eipassoc-1"))),
            ({"publicIp": "203.0.113.9"}, Subject(details=Details(public_address="203.0.113.9"))),
        ],
    )
    def test_a_disassociation_names_one_or_the_other(self, request_: Entry, subject: Subject) -> None:
        assert subject_of(record("DisassociateAddress", request_, {"_return": True})) == subject

    def test_it_adds_no_private_address(self) -> None:
        assert subject_of(GOOD["AssociateAddress"]).added == ()


class TestEvents:
    def test_every_event_has_a_good_record_here(self) -> None:
        others = {"AssumeRoleWithWebIdentity", "AssumeRole", *TRAIL_CALLS, *BUCKET_CALLS}
        assert {*GOOD, *others} == set(NAMES)

    @every_event
    def test_a_good_record_is_an_event_without_a_problem(self, entry: Entry) -> None:
        event = event_of(entry)
        assert event.name == entry["eventName"]
        assert event.failure is None
        assert event.time == datetime(2024, 5, 14, 9, 30, tzinfo=UTC)
        assert event.event_id == event.key == entry["eventID"]
        assert (event.account, event.region) == (ACCOUNT, "eu-west-1")
        assert event.origins == (Origin("file", 0),)
        assert event.corrects is False

    @pytest.mark.parametrize(
        ("effect", "names"),
        [
            ("launch", {"RunInstances", "CreateFleet"}),
            (
                "create",
                {
                    "CreateNetworkInterface",
                    "CreateNatGateway",
                    "CreateSubnet",
                    "CreateVpcEndpoint",
                    "CreateMountTarget",
                },
            ),
            ("attach", {"AttachNetworkInterface", "AssociateTrunkInterface"}),
            (
                "assign",
                {
                    "AssignPrivateIpAddresses",
                    "AssignIpv6Addresses",
                    "AssignPrivateNatGatewayAddress",
                    "AssociateNatGatewayAddress",
                    "ModifyVpcEndpoint",
                },
            ),
            (
                "modify",
                {"ModifyNetworkInterfaceAttribute", "CreateTags", "AssociateAddress", "DisassociateAddress"},
            ),
            (
                "unassign",
                {
                    "UnassignPrivateIpAddresses",
                    "UnassignIpv6Addresses",
                    "UnassignPrivateNatGatewayAddress",
                    "DisassociateNatGatewayAddress",
                },
            ),
            ("detach", {"DetachNetworkInterface", "DisassociateTrunkInterface"}),
            (
                "delete",
                {"DeleteNetworkInterface", "DeleteNatGateway", "DeleteMountTarget", "DeleteVpcEndpoints"},
            ),
            ("terminate", {"TerminateInstances", "BidEvictedEvent"}),
        ],
    )
    def test_every_event_has_its_effect(self, effect: str, names: set[str]) -> None:
        assert {name for name, entry in GOOD.items() if event_of(entry).effect is Effect(effect)} == names

    @every_event
    def test_the_same_name_of_another_service_is_irrelevant(self, entry: Entry) -> None:
        assert decoded(entry | {"eventSource": "lightsail.amazonaws.com"}) == Decoded(None)

    @every_event
    def test_capitals_in_the_name_of_the_service_change_nothing(self, entry: Entry) -> None:
        assert decoded(entry | {"eventSource": entry["eventSource"].upper()}) == decoded(entry)

    @every_event
    def test_a_record_that_does_not_name_its_service_is_read(self, entry: Entry) -> None:
        del (silent := deepcopy(entry))["eventSource"]
        assert event_of(silent).name == entry["eventName"]

    @pytest.mark.parametrize(
        "name",
        ["DescribeNetworkInterfaces", "ResetNetworkInterfaceAttribute", "StartInstances", "", 5, None, []],
    )
    def test_other_event_names_are_irrelevant(self, name: object) -> None:
        assert decoded(record("x") | {"eventName": name}) == Decoded(None)

    @pytest.mark.parametrize("text", ["{", "", "nonsense", '{"eventName":NaN}', "[" * 5000])
    def test_text_that_is_not_json_is_a_problem(self, text: str) -> None:
        read = decode(Record((Origin("file", 0),), text.encode()))
        assert read.fact is None
        assert len(read.problems) == 1
        assert read.problems[0].startswith("broken JSON (")

    @pytest.mark.parametrize("value", [None, 5, "a", [], [GOOD["DeleteNetworkInterface"]]])
    def test_a_value_that_is_not_an_object_is_a_problem(self, value: object) -> None:
        read = decoded(value)
        assert read.fact is None
        assert len(read.problems) == 1


class TestFailedCalls:
    @every_event
    def test_a_failed_call_changes_nothing(self, entry: Entry) -> None:
        for subject in subjects_of(failed(entry)):
            assert subject.added == ()
            assert subject.removed == ()

    @every_event
    def test_a_failed_call_with_missing_fields_is_no_problem(self, entry: Entry) -> None:
        assert decoded(failed(entry) | {"requestParameters": None}).problems == ()

    @pytest.mark.parametrize(
        "name",
        [
            "AssignPrivateIpAddresses",
            "UnassignPrivateIpAddresses",
            "AssignIpv6Addresses",
            "UnassignIpv6Addresses",
            "AttachNetworkInterface",
            "DetachNetworkInterface",
            "DeleteNetworkInterface",
            "ModifyNetworkInterfaceAttribute",
            "TerminateInstances",
            "CreateTags",
            "AssociateAddress",
            "DisassociateAddress",
        ],
    )
    def test_the_request_is_kept(self, name: str) -> None:
        asked, done = subject_of(failed(GOOD[name])), subject_of(GOOD[name])
        for field in ("eni", "instance", "requested", "requested_addresses"):
            assert getattr(asked, field) == getattr(done, field)
        assert asked.details.tags == done.details.tags
        assert asked.details.public_address == done.details.public_address

    def test_malformed_addresses_are_kept_as_written(self) -> None:
        entry = failed(
            assign(
                {
                    "privateIpAddressesSet": items(*addresses("not-an-ip", "<eni>")),
                    "secondaryPrivateIpAddressCount": -1,
                    "ipv4Prefixes": items({"ipv4Prefix": "10.0.0.0/99"}),
                },
                None,
            )
        )
        assert subject_of(entry) == Subject(
            eni=ENI,
            requested=-1,
            requested_kind=HoldingKind.SECONDARY,
            requested_addresses=("not-an-ip", "<eni>", "10.0.0.0/99"),
        )

    @pytest.mark.parametrize(
        ("code", "message", "failure"),
        [
            ("Client.InvalidParameterValue", "in use", Failure("Client.InvalidParameterValue", "in use")),
            ("Client.DryRunOperation", None, Failure("Client.DryRunOperation", None)),
            ("AccessDenied", "no", Failure("AccessDenied", "no")),
            ("Server.InternalError", 5, Failure("Server.InternalError", None)),
            (17, "no", Failure("unknown", "no")),
            ({}, {}, Failure("unknown", None)),
            (None, "no", Failure("unknown", "no")),
        ],
    )
    def test_why_it_failed_is_reported_in_the_words_of_the_record(
        self, code: object, message: object, failure: Failure
    ) -> None:
        refused = failed(GOOD["DeleteNetworkInterface"])
        entry = refused | {"errorCode": code, "errorMessage": message}
        assert event_of(entry).failure == failure

    @pytest.mark.parametrize("empty", ["", None, False, "null", "None", "\\N", "-", "success"])
    def test_what_an_export_writes_for_no_error_is_no_error(self, empty: object) -> None:
        for entry in (GOOD["AssignPrivateIpAddresses"], WEB_IDENTITY):
            assert decoded(entry | {"errorCode": empty, "errorMessage": empty}) == decoded(entry)

    def test_an_error_with_a_message_alone_has_no_code(self) -> None:
        entry = failed(GOOD["DeleteNetworkInterface"]) | {"errorCode": "null", "errorMessage": "in use"}
        assert event_of(entry).failure == Failure("unknown", "in use")


class TestTime:
    @pytest.mark.parametrize(
        "written",
        [
            "2022-10-05T13:16:06Z",
            "2022-10-05 13:16:06",
            "2022-10-05T13:16:06.000Z",
            "2022-10-05T13:16:06+00:00",
            "2022-10-05T15:16:06+02:00",
            "2022-10-05 13:16:06.000",
            "20221005T131606Z",
        ],
    )
    def test_a_time_is_read_as_utc(self, written: str) -> None:
        event = event_of(GOOD["DeleteNetworkInterface"] | {"eventTime": written})
        assert event.time == datetime(2022, 10, 5, 13, 16, 6, tzinfo=UTC)
        assert event.time.tzinfo is UTC

    @pytest.mark.parametrize(
        "written",
        [
            None,
            "",
            "yesterday",
            5,
            1.5e9,
            [],
            {},
            "2022-13-05T13:16:06Z",
            "2022-10-05",
            "20221005",
            "2022-10-05T13:16Z",
            "2022-10-05 13:16",
            "9999-12-31T23:59:59-10:00",
            "Z" * 999,
        ],
    )
    @pytest.mark.parametrize("entry", [GOOD["DeleteNetworkInterface"], WEB_IDENTITY])
    def test_a_record_without_a_time_is_a_problem(self, written: object, entry: Entry) -> None:
        read = decoded(entry | {"eventTime": written})
        assert read.fact is None
        assert len(read.problems) == 1
        assert f"{entry['eventName']}: eventTime is " in read.problems[0]

    def test_a_problem_quotes_only_the_beginning_of_a_long_text(self) -> None:
        read = decoded(GOOD["DeleteNetworkInterface"] | {"eventTime": "x" * 1_000_000})
        assert len(read.problems[0]) < 200


class TestIdentity:
    def test_a_correction_has_the_id_of_the_corrected_event(self) -> None:
        addendum = {"reason": "UPDATED_DATA", "updatedFields": "x", "originalEventID": "the-first"}
        event = event_of(GOOD["DeleteNetworkInterface"] | {"addendum": addendum})
        assert event.key == "the-first"
        assert event.event_id == GOOD["DeleteNetworkInterface"]["eventID"]
        assert event.corrects is True

    @pytest.mark.parametrize("addendum", [{"reason": "DELIVERY_DELAY"}, {}, None, 5, {"originalEventID": 5}])
    def test_an_addendum_that_names_no_other_event_corrects_none(self, addendum: object) -> None:
        event = event_of(GOOD["DeleteNetworkInterface"] | {"addendum": addendum})
        assert event.key == event.event_id
        assert event.corrects is False

    @pytest.mark.parametrize("missing", [None, "", 5, {}])
    def test_a_record_without_an_id_is_identified_by_its_content(self, missing: object) -> None:
        entry = GOOD["DeleteNetworkInterface"] | {"eventID": missing}
        turned = dict(reversed(entry.items()))
        event = event_of(entry)
        assert event.event_id is None
        assert event.key == event_of(turned).key
        assert event.key != event_of(entry | {"eventTime": "2024-05-14T09:30:01Z"}).key

    def test_a_deep_record_without_an_id_is_read_or_reported(self) -> None:
        deep: Any = 1
        for _ in range(400):
            deep = {"a": deep}
        read = decoded(GOOD["DeleteNetworkInterface"] | {"eventID": None, "additionalEventData": deep})
        assert read.fact is not None or read.problems != ()


class TestAccount:
    def test_the_account_is_that_of_the_trail(self) -> None:
        assert event_of(GOOD["DeleteNetworkInterface"] | {"recipientAccountId": "9"}).account == "9"

    @pytest.mark.parametrize("missing", [None, "", 5])
    def test_without_it_the_account_is_that_of_the_caller(self, missing: object) -> None:
        assert event_of(GOOD["DeleteNetworkInterface"] | {"recipientAccountId": missing}).account == ACCOUNT

    def test_without_both_the_account_is_unknown(self) -> None:
        entry = GOOD["DeleteNetworkInterface"] | {"recipientAccountId": None, "userIdentity": {}}
        assert event_of(entry).account is None


class TestIssuedSessions:
    def test_a_web_identity_of_a_service_account_is_a_session(self) -> None:
        assert session_of(WEB_IDENTITY) == IssuedSession(
            time=datetime(2024, 5, 14, 9, 30, tzinfo=UTC),
            key=WEB_IDENTITY["eventID"],
            event_id=WEB_IDENTITY["eventID"],
            account=ACCOUNT,
            region="eu-west-1",
            access_key_id="ASIAEXAMPLEEXAMPLE12",
            role_arn=f"arn:aws:iam::{ACCOUNT}:role/cni",
            session="1715678999123456789",
            service_account="kube-system/aws-node",
            cluster=None,
            oidc_provider=PROVIDER,
            pod_identity=False,
            origins=(Origin("file", 0),),
        )

    def test_assume_role_for_a_pod_is_a_session(self) -> None:
        session = session_of(POD_IDENTITY)
        assert session.pod_identity is True
        assert session.service_account == "kube-system/aws-node"
        assert session.cluster == "prod"
        assert session.access_key_id == "ASIAEXAMPLEEXAMPLE34"
        assert session.session == "eks-prod-aws-node-x-b81f0fef-97e9-47da-97a2-948c5bbcd1b3"

    def test_assume_role_for_a_pod_without_tags_has_no_service_account(self) -> None:
        entry = deepcopy(POD_IDENTITY)
        del entry["requestParameters"]["tags"]
        assert session_of(entry).service_account is None

    @pytest.mark.parametrize(
        "name",
        [
            "repo:ada/tool:ref:refs/heads/main",
            "system:serviceaccount:kube-system",
            "system:serviceaccount::aws-node",
            "system:serviceaccount:a:b:c",
            "system:node:x:y",
            "",
            5,
            None,
        ],
    )
    def test_any_other_web_identity_is_irrelevant(self, name: object) -> None:
        entry = replaced(WEB_IDENTITY, ("userIdentity", "userName"), name)
        entry = replaced(entry, ("responseElements", "subjectFromWebIdentityToken"), name)
        assert decoded(entry) == Decoded(None)

    @pytest.mark.parametrize("name", ["user24", "***", "", None, 5])
    def test_if_the_user_name_is_redacted_the_subject_of_the_token_counts(self, name: object) -> None:
        session = session_of(replaced(WEB_IDENTITY, ("userIdentity", "userName"), name))
        assert session.service_account == "kube-system/aws-node"

    @pytest.mark.parametrize(
        "provider",
        [
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/evil.example.com",
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.evil.example.com/id/X",
            "arn:aws:iam::999999999999:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF",
        ],
    )
    def test_a_token_of_any_other_provider_names_no_service_account(self, provider: str) -> None:
        assert decoded(replaced(WEB_IDENTITY, ("responseElements", "provider"), provider)) == Decoded(None)

    @pytest.mark.parametrize("source", ["198.51.100.7", "2001:db8::7", "::1"])
    def test_a_role_that_a_caller_assumed_is_a_session_with_that_caller(self, source: str) -> None:
        session = session_of(POD_IDENTITY | {"userIdentity": IAM_USER, "sourceIPAddress": source})
        assert (session.assumer, session.pod_identity) == (IAM_USER["arn"], False)
        assert (session.service_account, session.cluster) == (None, None)
        assert session.access_key_id == "ASIAEXAMPLEEXAMPLE34"

    @pytest.mark.parametrize(
        "source", ["ec2.amazonaws.com", "AWS Internal", "cloudformation.amazonaws.com", "", None, 5]
    )
    def test_a_role_that_a_service_assumed_is_irrelevant(self, source: object) -> None:
        entry = POD_IDENTITY | {"userIdentity": IAM_USER, "sourceIPAddress": source}
        assert decoded(entry) == Decoded(None)

    @pytest.mark.parametrize("invoked_by", ["ec2.amazonaws.com", None, 5])
    def test_any_other_assume_role_is_irrelevant(self, invoked_by: object) -> None:
        assert decoded(replaced(POD_IDENTITY, ("userIdentity", "invokedBy"), invoked_by)) == Decoded(None)

    @pytest.mark.parametrize("entry", [WEB_IDENTITY, POD_IDENTITY])
    def test_a_failed_call_issues_no_session(self, entry: Entry) -> None:
        event = event_of(failed(entry, "AccessDenied"))
        assert (event.effect, event.outcome) == (Effect.SIGN_IN, CallOutcome.FAILED)
        assert event.actor.service_account == "kube-system/aws-node"

    def test_the_same_name_of_another_service_is_irrelevant(self) -> None:
        assert decoded(WEB_IDENTITY | {"eventSource": "ec2.amazonaws.com"}) == Decoded(None)


ID: tuple[object, ...] = ("", None, 5, True, 1.5, [], {}, ["eni-1"], {"value": "eni-1"})
ADDRESSES: tuple[object, ...] = (
    None,
    5,
    True,
    "nonsense",
    [],
    {},
    [5],
    [[]],
    items({}),
    items({"privateIpAddress": 5}),
    {"x": 1},
)
INSTANCES: tuple[object, ...] = (
    None,
    5,
    True,
    [],
    {},
    [5],
    [[]],
    items({}),
    items({"instanceId": 5}),
    {"x": 1},
)

ESSENTIAL: tuple[tuple[str, Path, tuple[object, ...]], ...] = (
    ("AssignPrivateIpAddresses", ("requestParameters", "networkInterfaceId"), ID),
    ("AssignPrivateIpAddresses", ("responseElements", "assignedPrivateIpAddressesSet"), ADDRESSES),
    ("AssignPrivateIpAddresses", ("responseElements",), ADDRESSES),
    ("AssignIpv6Addresses", ("requestParameters", "networkInterfaceId"), ID),
    ("AssignIpv6Addresses", ("responseElements", "assignedIpv6PrefixSet"), ADDRESSES),
    ("UnassignPrivateIpAddresses", ("requestParameters", "networkInterfaceId"), ID),
    ("UnassignPrivateIpAddresses", ("requestParameters", "privateIpAddressesSet"), ADDRESSES),
    ("UnassignPrivateIpAddresses", ("requestParameters",), ADDRESSES),
    ("UnassignIpv6Addresses", ("responseElements", "unassignedIpv6PrefixSet"), ADDRESSES),
    ("CreateNetworkInterface", ("responseElements",), ID),
    ("CreateNetworkInterface", ("responseElements", "networkInterface"), ID),
    ("CreateNetworkInterface", ("responseElements", "networkInterface", "networkInterfaceId"), ID),
    ("AttachNetworkInterface", ("requestParameters", "networkInterfaceId"), ID),
    ("AttachNetworkInterface", ("requestParameters", "instanceId"), ID),
    ("AttachNetworkInterface", ("responseElements", "attachmentId"), ID),
    ("DetachNetworkInterface", ("requestParameters", "attachmentId"), ID),
    ("DetachNetworkInterface", ("requestParameters",), ID),
    ("DeleteNetworkInterface", ("requestParameters", "networkInterfaceId"), ID),
    ("ModifyNetworkInterfaceAttribute", ("requestParameters", "networkInterfaceId"), ID),
    ("CreateMountTarget", ("responseElements",), ID),
    ("CreateMountTarget", ("responseElements", "networkInterfaceId"), ID),
    ("CreateMountTarget", ("responseElements", "ipAddress"), ADDRESSES),
    ("DeleteMountTarget", ("requestParameters", "mountTargetId"), ID),
    ("DeleteVpcEndpoints", ("requestParameters", "DeleteVpcEndpointsRequest", "VpcEndpointId"), INSTANCES),
    ("CreateNatGateway", ("responseElements",), ID),
    ("RunInstances", ("responseElements",), INSTANCES),
    ("RunInstances", ("responseElements", "instancesSet"), INSTANCES),
    ("RunInstances", ("responseElements", "instancesSet", "items", 0, "instanceId"), ID),
    (
        "RunInstances",
        (
            "responseElements",
            "instancesSet",
            "items",
            0,
            "networkInterfaceSet",
            "items",
            0,
            "networkInterfaceId",
        ),
        ID,
    ),
    (
        "RunInstances",
        ("responseElements", "instancesSet", "items", 0, "networkInterfaceSet", "items"),
        (5, True, "nonsense", [5], [[]], [{}]),
    ),
    ("BidEvictedEvent", ("serviceEventDetails",), INSTANCES),
    ("BidEvictedEvent", ("serviceEventDetails", "instanceIdSet"), INSTANCES),
    (
        "CreateFleet",
        ("responseElements", "CreateFleetResponse", "fleetInstanceSet"),
        (5, True, "nonsense", [5], [[]], {"x": 1}, items({})),
    ),
    (
        "CreateFleet",
        ("responseElements", "CreateFleetResponse", "fleetInstanceSet", "item", "instanceIds"),
        INSTANCES,
    ),
    (
        "AssociateTrunkInterface",
        ("requestParameters", "AssociateTrunkInterfaceRequest", "BranchInterfaceId"),
        ID,
    ),
    (
        "AssociateTrunkInterface",
        ("requestParameters", "AssociateTrunkInterfaceRequest", "TrunkInterfaceId"),
        ID,
    ),
    ("DisassociateTrunkInterface", ("requestParameters",), ID),
    ("CreateTags", ("requestParameters",), INSTANCES),
    ("CreateTags", ("requestParameters", "resourcesSet"), INSTANCES),
    ("CreateTags", ("requestParameters", "resourcesSet", "items", 0, "resourceId"), ID),
    ("AssociateAddress", ("requestParameters",), ID),
    ("AssociateAddress", ("requestParameters", "networkInterfaceId"), ID),
    ("DisassociateAddress", ("requestParameters",), ID),
    ("DisassociateAddress", ("requestParameters", "associationId"), ID),
)


class TestProblems:
    @pytest.mark.parametrize(
        ("name", "path", "values"),
        [pytest.param(*case, id=".".join(map(str, (case[0], *case[1])))) for case in ESSENTIAL],
    )
    def test_a_call_without_a_required_field_is_a_problem(
        self, name: str, path: Path, values: tuple[object, ...]
    ) -> None:
        for value in values:
            problems = decoded(replaced(GOOD[name], path, value)).problems
            assert problems != (), value
            assert all(problem.startswith(f"{name}: ") for problem in problems)

    def test_one_malformed_instance_among_others_is_reported(self) -> None:
        broken = items({"instanceId": INSTANCE}, {"instanceId": 5})
        entry = record("TerminateInstances", {"instancesSet": broken}, {"instancesSet": broken})
        read = decoded(entry)
        assert isinstance(read.fact, Event)
        assert read.fact.subjects == (Subject(instance=INSTANCE),)
        assert len(read.problems) == 1

    def test_one_malformed_address_on_a_described_eni_is_reported(self) -> None:
        path = (
            "responseElements",
            "networkInterface",
            "privateIpAddressesSet",
            "item",
            1,
            "privateIpAddress",
        )
        read = decoded(replaced(GOOD["CreateNetworkInterface"], path, "10.0.1"))
        assert isinstance(read.fact, Event)
        assert read.fact.subjects[0].added == (holding("primary", "10.0.1.10"),)
        assert len(read.problems) == 1


RECORDS = [*GOOD.values(), WEB_IDENTITY, POD_IDENTITY]
PLACES = [(entry, path) for entry in RECORDS for path in paths_in(entry)]


class TestAnyInput:
    @pytest.mark.parametrize("entry", RECORDS, ids=lambda entry: entry["eventName"])
    @pytest.mark.parametrize("value", [None, True, 5, -1.5, "", "x", [], {}, [None], {"a": {}}, [[[[]]]]])
    def test_a_wrong_type_in_any_field_never_raises(self, entry: Entry, value: object) -> None:
        for call in (entry, failed(entry)):
            for path in paths_in(call):
                assert isinstance(decoded(replaced(call, path, value)), Decoded)

    @given(st.sampled_from(PLACES), json_values)
    @settings(max_examples=600)
    def test_any_value_in_any_field_never_raises(self, place: tuple[Entry, Path], value: object) -> None:
        entry, path = place
        read = decoded(replaced(entry, path, value))
        assert isinstance(read, Decoded)

    @given(
        st.sampled_from(RECORDS), st.lists(st.sampled_from(range(2000)), min_size=1, max_size=6), json_values
    )
    @settings(max_examples=300)
    def test_many_wrong_values_never_raise(self, entry: Entry, picks: list[int], value: object) -> None:
        for pick in picks:
            paths = list(paths_in(entry))
            entry = replaced(entry, paths[pick % len(paths)], value)
        assert isinstance(decoded(entry), Decoded)

    @pytest.mark.parametrize("depth", [200, 300, 600, 1000])
    @pytest.mark.parametrize("wrapper", ["items", "item", "a", None])
    def test_nesting_in_any_field_never_raises(self, depth: int, wrapper: str | None) -> None:
        text = "1"
        for _ in range(depth):
            text = f'{{"{wrapper}":{text}}}' if wrapper else f"[{text}]"
        for entry, path in PLACES[:: 7 if depth > 200 else 3]:
            payload = json.dumps(replaced(entry, path, "@")).replace('"@"', text)
            read = decode(Record((Origin("file", 0),), payload.encode()))
            assert isinstance(read, Decoded)

    @given(
        st.sampled_from(RECORDS), st.text() | st.sampled_from(["\ud800", "\x00", "\x1b[2J", "٣", "1" * 9999])
    )
    @settings(max_examples=300)
    def test_any_text_in_every_string_never_raises(self, entry: Entry, text: str) -> None:
        for path in paths_in(entry):
            if path[-1] not in ("eventName", "eventSource", "eventTime"):
                try:
                    entry = replaced(entry, path, text) if isinstance(_at(entry, path), str) else entry
                except (KeyError, TypeError):
                    continue
        assert isinstance(decoded(entry), Decoded)


def _at(entry: Entry, path: Path) -> object:
    place: Any = entry
    for key in path:
        place = place[key]
    return place


class TestCallsWithAnErrorAndAResponse:
    """CloudTrail has no response of a failed call, so it is unclear which of the two is wrong."""

    WHY = "an error, and a response as of a success, so it is unclear whether the call succeeded"

    @pytest.mark.parametrize("name", ["AssignPrivateIpAddresses", "DeleteNetworkInterface", "RunInstances"])
    def test_change_nothing_and_are_reported(self, name: str) -> None:
        found = decoded(GOOD[name] | {"errorCode": "Client.UnauthorizedOperation"})
        assert found.problems == (f"{name}: {self.WHY}",)
        assert isinstance(found.fact, Event)
        assert found.fact.failure == Failure("Client.UnauthorizedOperation", None)
        assert [(subject.added, subject.removed) for subject in found.fact.subjects] == [((), ())]

    def test_may_have_done_what_their_response_says(self) -> None:
        found = decoded(GOOD["CreateNetworkInterface"] | {"errorCode": "Client.Refused"})
        assert found.lost is not None
        assert (found.lost.enis, found.lost.addresses) == ((ENI,), ("10.0.1.10", "10.0.1.11"))

    def test_of_sts_issue_no_credentials_and_are_reported(self) -> None:
        found = decoded(WEB_IDENTITY | {"errorCode": "AccessDenied"})
        assert found.problems == (f"AssumeRoleWithWebIdentity: {self.WHY}",)
        assert not isinstance(found.fact, IssuedSession)

    @pytest.mark.parametrize(
        "response",
        [None, {}, {"requestId": "a"}, {"_return": False}, {"message": "no"}, {"Message": "no", "code": 4}],
    )
    def test_are_plain_failures_if_the_response_says_nothing_else(self, response: object) -> None:
        entry = failed(GOOD["DeleteNetworkInterface"]) | {"responseElements": response}
        assert decoded(entry) == decoded(failed(GOOD["DeleteNetworkInterface"]))


class TestEventSources:
    @pytest.mark.parametrize("source", ["ec2.amazonaws.com", "EC2.amazonaws.com", "ec2", None])
    def test_an_export_may_write_a_service_without_its_domain(self, source: str | None) -> None:
        entry = GOOD["AssignPrivateIpAddresses"]
        assert decoded(entry | {"eventSource": source}) == decoded(entry)

    @pytest.mark.parametrize("source", ["autoscaling.amazonaws.com", "autoscaling", "ec2.example.com", "e"])
    def test_a_call_of_another_service_with_the_same_name_is_none(self, source: str) -> None:
        assert decoded(GOOD["AssignPrivateIpAddresses"] | {"eventSource": source}) == Decoded(None)
