"""The simulator itself obeys EC2's rules, writes what CloudTrail writes, and repeats itself."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from simulator import (
    ACCOUNTS,
    ACTIONS,
    IPV6,
    IPV6_PREFIX,
    LONGEST_DEATH,
    PREFIX,
    PRIMARY,
    SECONDARY,
    SILENT,
    START,
    STOLEN,
    TERMINATED,
    UNASSIGNED,
    WINDOW,
    Delivery,
    Eni,
    Holding,
    Losses,
    Record,
    Refused,
    Step,
    World,
    ask,
    deliver,
    deliveries,
    determined,
    file_name,
    kind_of,
    play,
    questions,
    random_steps,
    random_world,
    second_of,
    spell,
    steps,
    worlds,
    write,
)

quick = settings(max_examples=25, deadline=None)
FAILURES = 16


def second(world: World) -> int:
    """Return the current second of the world."""
    return world.now // 1000


def next_second(world: World) -> int:
    """Let time pass to the start of a new second, and return it."""
    world.wait(1000 - world.now % 1000)
    return second(world)


def last(world: World) -> Record:
    """Return the record of the last call."""
    return world.records[-1]


def holders(world: World) -> dict[tuple[str, str], str]:
    """Return the current holders: the ENI by VPC and address."""
    return {
        (subnet.vpc.id, text): holding.eni.id
        for subnet in world.subnets
        for text, holding in subnet.held.items()
    }


def picture(world: World) -> dict[str, Any]:
    """Return everything that a failed call must not change."""
    return {
        "held": holders(world),
        "ends": [(h.start, h.end) for h in world.holdings],
        "attached": [(a.id, a.end, a.delete_on_termination) for a in world.attachments],
        "states": [(i.id, i.state) for i in world.instances],
        "pools": [subnet.pool for subnet in world.subnets],
    }


def texts_in(value: Any) -> list[str]:
    """Return every string in a set, whatever its shape."""
    if isinstance(value, str):
        return [value]
    members = value.values() if isinstance(value, dict) else value or ()
    return [text for member in members if not isinstance(member, bool) for text in texts_in(member)]


class Replay:
    """A plain replay of records in their true order, which shows what the logs contain."""

    def __init__(self) -> None:
        self.held: dict[str, set[str]] = {}
        self.vpcs: dict[str, str] = {}
        self.joined: dict[str, tuple[str, str]] = {}
        self.goes: dict[str, bool] = {}

    def holder(self, vpc: str, ip: str) -> str | None:
        """Return the interface that holds an address in a VPC."""
        wanted = set(spell(ip))
        return next((e for e, h in self.held.items() if self.vpcs[e] == vpc and h & wanted), None)

    def take(self, eni: str, texts: Iterable[str]) -> None:
        """Give addresses to an ENI, and end the leases of other ENIs."""
        for text in texts:
            for other, held in self.held.items():
                if other != eni and self.vpcs[other] == self.vpcs.get(eni):
                    held -= {other for other in held if text in spell(other) or other in spell(text)}
            if eni in self.held:
                self.held[eni].add(text)

    def meet(self, shown: Record) -> None:
        """Learn an ENI from the response of its creation or launch."""
        eni = shown["networkInterfaceId"]
        self.vpcs[eni] = shown["vpcId"]
        self.held.setdefault(eni, set())
        names = ("privateIpAddressesSet", "ipv6AddressesSet", "ipv4PrefixSet", "ipv6PrefixSet")
        self.take(eni, [text for name in names for text in texts_in(shown.get(name))])
        if "attachment" in shown:
            attachment = shown["attachment"]["attachmentId"]
            self.goes[attachment] = shown["attachment"]["deleteOnTermination"]

    def end(self, instance: str) -> None:
        """End an instance, with the ENIs that are deleted on termination."""
        for attachment, (eni, where) in list(self.joined.items()):
            if where == instance:
                del self.joined[attachment]
                if self.goes.pop(attachment, False):
                    self.held.pop(eni, None)

    def read(self, record: Record) -> None:
        """Apply one record."""
        if "errorCode" in record:
            return
        asked, given = record["requestParameters"] or {}, record["responseElements"] or {}
        eni, name = asked.get("networkInterfaceId", ""), record["eventName"]
        if name == "CreateNetworkInterface":
            self.meet(given["networkInterface"])
        elif name == "RunInstances":
            for machine in given["instancesSet"]["items"]:
                for shown in machine["networkInterfaceSet"]["items"]:
                    self.meet(shown)
                    join = shown["attachment"]["attachmentId"]
                    self.joined[join] = (shown["networkInterfaceId"], machine["instanceId"])
        elif name == "AttachNetworkInterface":
            self.joined[given["attachmentId"]] = (eni, asked["instanceId"])
            self.goes[given["attachmentId"]] = False
        elif name == "ModifyNetworkInterfaceAttribute" and "attachment" in asked:
            change = asked["attachment"]
            self.goes[change["attachmentId"]] = change["deleteOnTermination"]
        elif name == "DetachNetworkInterface":
            self.joined.pop(asked["attachmentId"], None)
        elif name == "DeleteNetworkInterface":
            self.held.pop(eni, None)
        elif name.startswith("Assign"):
            sets = [value for key, value in given.items() if key.startswith("assigned")]
            self.take(eni, texts_in(sets))
        elif name.startswith("Unassign") and eni in self.held:
            sets = [value for key, value in asked.items() if key != "networkInterfaceId"]
            self.held[eni] -= {spell(text)[0] for text in texts_in(sets)}
        elif name == "TerminateInstances":
            for instance in texts_in(asked):
                self.end(instance)
        elif name == "BidEvictedEvent":
            for instance in record["serviceEventDetails"]["instanceIdSet"]:
                self.end(instance)


class TestAddresses:
    """Which ENIs may hold an address."""

    @quick
    @given(worlds())
    def test_no_two_enis_of_a_vpc_hold_an_address_at_one_instant(self, world: World) -> None:
        by_place: dict[tuple[str, str], list[Holding]] = {}
        for holding in world.holdings:
            for text in {holding.text, spell(holding.text)[1]}:
                by_place.setdefault((holding.vpc, text), []).append(holding)
        for (_, text), sharing in by_place.items():
            sharing.sort(key=lambda holding: holding.start)
            for one, two in pairwise(sharing):
                if text in (one.text, two.text):
                    assert one.end is not None
                    assert one.end <= two.start

    @quick
    @given(worlds())
    def test_a_holding_has_a_duration_within_the_life_of_its_eni(self, world: World) -> None:
        for holding in world.holdings:
            assert holding.eni.born <= holding.start
            assert holding.end is None or holding.start < holding.end
            assert holding.eni.alive or holding.end is not None

    def test_two_vpcs_may_hold_one_address_at_once(self) -> None:
        world = World(vpcs=2)
        here, there = world.subnets[0], world.subnets[-1]
        one = world.create(here, address="10.0.0.5")
        two = world.create(there, address="10.0.0.5")
        now = next_second(world)
        assert world.holders("10.0.0.5", now) == {
            (here.vpc.id, one.id),
            (there.vpc.id, two.id),
        }

    def test_the_address_that_was_released_last_is_assigned_first(self) -> None:
        world = World(vpcs=1)
        one, two = world.create(world.subnets[0]), world.create(world.subnets[0])
        (address,) = world.assign(one, count=1, choice=2)
        world.unassign(one, address)
        assert world.assign(two, count=1) == [address]
        assert second_of(world.records[-3]) == second_of(last(world))

    def test_an_assignment_to_the_holder_succeeds_and_changes_nothing(self) -> None:
        world = World(vpcs=1)
        eni = world.create(world.subnets[0], secondaries=1)
        before, text = picture(world), eni.holds(SECONDARY)[0]
        assert world.assign(eni, text) == [text]
        assert picture(world) == before
        assert texts_in(last(world)["responseElements"]["assignedPrivateIpAddressesSet"]) == [text]

    def test_a_prefix_and_an_address_in_it_exclude_each_other(self) -> None:
        world = World(vpcs=1)
        one, two = world.create(world.subnets[0]), world.create(world.subnets[0])
        inside = world.subnets[0].pool[SECONDARY][-1]
        block = spell(inside)[1]
        world.assign(one, inside)
        with pytest.raises(Refused):
            world.assign(two, block)
        world.unassign(one, inside)
        world.assign(two, block)
        with pytest.raises(Refused):
            world.assign(one, inside)

    def test_an_address_in_a_prefix_is_held_through_it(self) -> None:
        world = World(vpcs=1)
        eni = world.create(world.subnets[0], prefixes=1)
        (block,) = eni.holds(PREFIX)
        now = next_second(world)
        inside = str(ip_network(block)[8])
        assert inside not in eni.held
        assert world.holders_throughout(inside, now) == {(eni.subnet.vpc.id, eni.id)}
        assert world.holders_throughout(block, now) == {(eni.subnet.vpc.id, eni.id)}

    def test_ipv6_may_be_spelled_in_any_way(self) -> None:
        world = World(vpcs=1)
        eni = world.create(world.subnets[0])
        world.assign(eni, "FD80:0000:0000:0000:0000:0000:0000:0004")
        assert eni.holds(IPV6) == ["fd80::4"]
        now = next_second(world)
        assert world.holders("fd80:0::4", now) == {(eni.subnet.vpc.id, eni.id)}
        world.unassign(eni, "fd80:0:0::0004")
        assert eni.holds(IPV6) == []

    def test_an_ipv6_prefix_holds_its_addresses(self) -> None:
        world = World(vpcs=1)
        eni = world.create(world.subnets[0])
        (block,) = world.assign(eni, count=1, kind=IPV6_PREFIX)
        now = next_second(world)
        inside = str(ip_network(block)[0x1234])
        assert inside not in eni.held
        assert world.holders(inside, now) == {(eni.subnet.vpc.id, eni.id)}

    def test_a_primary_address_is_neither_unassigned_nor_moved(self) -> None:
        world = World(vpcs=1)
        one, two = world.create(world.subnets[0]), world.create(world.subnets[0])
        (primary,) = one.holds(PRIMARY)
        with pytest.raises(Refused):
            world.unassign(one, primary)
        with pytest.raises(Refused):
            world.assign(two, primary, allow_reassignment=True)
        assert one.holds(PRIMARY) == [primary]

    def test_an_address_outside_the_subnet_is_refused(self) -> None:
        world = World(vpcs=1)
        eni = world.create(world.subnets[0])
        for text in ("10.0.16.4", "192.0.2.1", "fd80:0:0:1::4", "10.0.16.16/28"):
            with pytest.raises(Refused):
                world.assign(eni, text)

    def test_a_full_subnet_assigns_nothing(self) -> None:
        world = World(vpcs=1, pool=3)
        eni = world.create(world.subnets[0], secondaries=3)
        with pytest.raises(Refused):
            world.assign(eni, count=1)
        with pytest.raises(Refused):
            world.run(world.subnets[0])
        assert last(world)["errorCode"] == "Client.InsufficientFreeAddressesInSubnet"


class TestReassignments:
    """Addresses that are taken from another ENI."""

    def story(self) -> tuple[World, Eni, Eni, str]:
        """Return a world with two ENIs and the secondary address of the first."""
        world = World(vpcs=3)
        victim = world.create(world.subnets[0], secondaries=1)
        thief = world.create(world.subnets[0])
        return world, victim, thief, victim.holds(SECONDARY)[0]

    def test_a_reassignment_moves_the_address_at_one_instant(self) -> None:
        world, victim, thief, text = self.story()
        world.assign(thief, text, allow_reassignment=True)
        lost, won = world.holdings[-3], world.holdings[-1]
        assert (lost.eni, won.eni) == (victim, thief)
        assert (lost.text, lost.end, lost.ending) == (text, won.start, STOLEN)
        assert lost.end_event == won.start_event == last(world)["eventID"]
        assert victim.holds(SECONDARY) == []
        assert victim.id not in json.dumps(last(world))

    def test_without_permission_nothing_moves(self) -> None:
        world, _, thief, text = self.story()
        before = picture(world)
        for allow in (None, False):
            with pytest.raises(Refused):
                world.assign(thief, text, allow_reassignment=allow)
        assert picture(world) == before

    def test_no_address_moves_between_accounts(self) -> None:
        world = World(vpcs=3)
        shared = world.subnets[-1]
        victim = world.create(shared, account=ACCOUNTS[0], secondaries=1)
        thief = world.create(shared, account=ACCOUNTS[1])
        with pytest.raises(Refused):
            world.assign(thief, victim.holds(SECONDARY)[0], allow_reassignment=True)
        assert last(world)["recipientAccountId"] == ACCOUNTS[1]

    def test_the_same_address_in_another_vpc_does_not_move(self) -> None:
        world, victim, _, text = self.story()
        stranger = world.create(world.subnets[2], address="10.0.0.9")
        world.assign(stranger, text, allow_reassignment=True)
        assert text in victim.held
        assert text in stranger.held

    def test_one_call_may_keep_assign_and_reassign(self) -> None:
        world, victim, thief, text = self.story()
        own, free = world.assign(thief, count=1)[0], world.subnets[0].free(SECONDARY)[0]
        assert world.assign(thief, own, text, free, allow_reassignment=True) == [own, text, free]
        assert thief.holds(SECONDARY) == [own, text, free]
        assert victim.holds(SECONDARY) == []


class TestEndings:
    """How ENIs and instances end, with and without an event."""

    def test_a_deletion_frees_all_addresses(self) -> None:
        world = World(vpcs=1)
        eni = world.create(world.subnets[0], secondaries=2, ipv6=1)
        world.delete(eni)
        assert holders(world) == {}
        assert {holding.end_event for holding in world.holdings} == {last(world)["eventID"]}

    def test_an_attached_eni_is_not_deleted(self) -> None:
        world = World(vpcs=1)
        (instance,) = world.run(world.subnets[0])
        eni = world.create(world.subnets[0])
        attachment = world.attach(eni, instance)
        with pytest.raises(Refused):
            world.delete(eni)
        world.detach(attachment)
        world.delete(eni)
        assert not eni.alive

    def test_the_primary_eni_is_not_detached(self) -> None:
        world = World(vpcs=1)
        (instance,) = world.run(world.subnets[0])
        with pytest.raises(Refused):
            world.detach(instance.devices[0])

    def test_a_termination_takes_its_enis_some_seconds_later(self) -> None:
        world = World(vpcs=1)
        (instance,) = world.run(world.subnets[0])
        (address,) = world.enis[0].held
        world.terminate(instance, delay=4_200)
        notice = world.now
        world.wait(4_199)
        assert holders(world)
        world.wait(1)
        assert not holders(world)
        (holding,) = world.holdings
        assert (holding.eni.notice, holding.end) == (notice, notice + 4_200)
        assert holding.ending == TERMINATED
        assert [r["eventName"] for r in world.records] == ["RunInstances", "TerminateInstances"]
        assert world.subnets[0].free(SECONDARY)[0] == address

    def test_an_eni_may_survive_its_instance_and_move(self) -> None:
        world = World(vpcs=1)
        one, two = world.run(world.subnets[0], count=2)
        eni = world.create(world.subnets[0])
        world.attach(eni, one)
        world.terminate(one)
        world.settle()
        assert eni.alive
        assert eni.attachment is None
        records = len(world.records)
        world.attach(eni, two)
        assert len(world.records) == records + 1
        now = next_second(world)
        assert world.attached(eni.id, now) == {two.id}
        assert world.attached_throughout(eni.id, now) == two.id

    def test_delete_on_termination_can_be_set_on_an_attachment(self) -> None:
        world = World(vpcs=1)
        (instance,) = world.run(world.subnets[0])
        eni = world.create(world.subnets[0])
        world.attach(eni, instance)
        world.modify(eni, True)
        world.terminate(instance)
        world.settle()
        assert not eni.alive

    def test_another_attachment_has_the_default_delete_on_termination(self) -> None:
        world = World(vpcs=1)
        one, two = world.run(world.subnets[0], count=2)
        eni = world.create(world.subnets[0])
        attachment = world.attach(eni, one)
        world.modify(eni, True)
        world.detach(attachment)
        world.attach(eni, two)
        world.terminate(two)
        world.settle()
        assert eni.alive

    def test_a_silent_termination_leaves_no_record(self) -> None:
        world = World(vpcs=1)
        (instance,) = world.run(world.subnets[0])
        world.vanish(instance, delay=700)
        world.settle()
        (holding,) = world.holdings
        assert len(world.records) == 1
        assert (holding.ending, holding.end_event, holding.eni.notice) == (SILENT, None, None)

    def test_an_eviction_writes_one_event_of_the_service(self) -> None:
        world = World(vpcs=1)
        world.evict(*world.run(world.subnets[0], count=2))
        world.settle()
        assert holders(world) == {}
        record = last(world)
        assert record["eventType"] == "AwsServiceEvent"
        assert record["requestParameters"] is record["responseElements"] is None
        assert len(record["serviceEventDetails"]["instanceIdSet"]) == 2
        assert "type" not in record["userIdentity"]

    def test_terminating_a_terminated_instance_changes_nothing(self) -> None:
        world = World(vpcs=1)
        one, two = world.run(world.subnets[0], count=2)
        eni = world.create(world.subnets[0])
        world.attach(eni, one)
        world.terminate(one)
        world.settle()
        world.attach(eni, two)
        world.modify(eni, True)
        before = picture(world)
        world.terminate(one)
        world.settle()
        assert picture(world) == before
        (state,) = last(world)["responseElements"]["instancesSet"]["items"]
        assert state["previousState"]["name"] == "terminated"

    def test_an_eni_of_a_terminating_instance_can_still_get_addresses(self) -> None:
        world = World(vpcs=1)
        (instance,) = world.run(world.subnets[0])
        world.terminate(instance, delay=3_000)
        (text,) = world.assign(world.enis[0], count=1)
        world.settle()
        holding = world.holdings[-1]
        assert holding.text == text
        assert holding.eni.notice is not None
        assert holding.eni.notice < holding.start

    def test_an_existing_eni_may_join_a_launch(self) -> None:
        world = World(vpcs=1)
        eni = world.create(world.subnets[0], secondaries=1, prefixes=1)
        held = list(eni.held)
        (instance,) = world.run(world.subnets[0], existing=eni)
        (machine,) = last(world)["responseElements"]["instancesSet"]["items"]
        shown = machine["networkInterfaceSet"]["items"][1]
        assert shown["networkInterfaceId"] == eni.id
        assert texts_in(shown["privateIpAddressesSet"]) + texts_in(shown["ipv4PrefixSet"]) == held
        assert shown["attachment"]["deleteOnTermination"] is False
        assert instance.devices[1].eni is eni
        world.terminate(instance)
        world.settle()
        assert eni.alive

    @quick
    @given(worlds())
    def test_an_eni_is_attached_to_one_instance_at_a_time(self, world: World) -> None:
        by_eni: dict[str, int] = {}
        for attachment in world.attachments:
            assert attachment.start >= by_eni.get(attachment.eni.id, 0)
            by_eni[attachment.eni.id] = attachment.end or 1 << 60

    @quick
    @given(worlds())
    def test_nothing_outlives_a_termination_by_more_than_five_seconds(self, world: World) -> None:
        for holding in world.holdings:
            if holding.ending == TERMINATED:
                assert holding.end is not None
                assert holding.eni.notice is not None
                assert 0 <= holding.end - holding.eni.notice <= LONGEST_DEATH


class TestFailures:
    """Calls that fail."""

    @pytest.mark.parametrize("how", range(FAILURES))
    def test_a_failed_call_changes_nothing(self, how: int) -> None:
        world = random_world(how, 300)
        before, records = picture(world), len(world.records)
        with pytest.raises(Refused):
            ACTIONS["fail"][0](world, Step("fail", which=how, how=how))
        assert picture(world) == before
        assert len(world.records) == records + 1
        assert last(world)["errorCode"].startswith("Client.")
        assert last(world)["responseElements"] is None

    @quick
    @given(st.lists(steps(), max_size=30), steps())
    def test_whatever_is_refused_changes_nothing(self, run: list[Step], step: Step) -> None:
        world = play(run)
        before, records = picture(world), len(world.records)
        try:
            ACTIONS[step.action][0](world, step)
        except Refused:
            # only what came before the refusal in the same step may have changed anything
            if len(world.records) == records + 1:
                assert picture(world) == before

    def test_invalid_values_stay_in_the_parameters(self) -> None:
        world = random_world(5, 4_000)
        failed = json.dumps([r for r in world.records if "errorCode" in r])
        for garbage in ("no address", "<eni>", '"secondaryPrivateIpAddressCount": -1', "null"):
            assert garbage in failed


class TestRecords:
    """What the simulated CloudTrail writes."""

    keys = (
        *("eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion"),
        *("sourceIPAddress", "userAgent", "requestParameters", "responseElements", "requestID"),
        *("eventID", "readOnly", "eventType", "managementEvent", "recipientAccountId"),
        "eventCategory",
    )

    @quick
    @given(worlds())
    def test_records_are_json_with_the_keys_of_cloudtrail(self, world: World) -> None:
        for record in world.records:
            assert json.loads(json.dumps(record)) == record
            extra = set(record).difference(self.keys)
            assert set(self.keys) <= set(record)
            assert extra <= {"errorCode", "errorMessage", "serviceEventDetails"}
            assert next(iter(record)) == "eventVersion"
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["eventTime"])

    @quick
    @given(worlds())
    def test_an_empty_set_has_no_member(self, world: World) -> None:
        body = json.dumps(world.records)
        assert '"items": []' not in body
        assert '"item": []' not in body

    def test_event_ids_are_unique_and_keep_no_order(self) -> None:
        ids = [record["eventID"] for record in random_world(1, 5_000).records]
        assert len(set(ids)) == len(ids)
        rising = sum(one < two for one, two in pairwise(ids))
        assert 0.45 < rising / len(ids) < 0.55
        shape = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
        assert all(shape.fullmatch(uuid) for uuid in ids)

    def test_the_event_time_is_the_second_of_the_action(self) -> None:
        world = World(vpcs=1)
        world.wait(1_998)
        world.create(world.subnets[0])
        world.create(world.subnets[0])
        assert [second_of(record) for record in world.records] == [START + 1, START + 2]

    def test_a_creation_has_the_vpc_and_wraps_its_addresses_in_item(self) -> None:
        world = World(vpcs=1)
        subnet = world.subnets[0]
        eni = world.create(subnet, secondaries=1, description="<b> & more")
        shown = last(world)["responseElements"]["networkInterface"]
        assert (shown["networkInterfaceId"], shown["vpcId"]) == (eni.id, subnet.vpc.id)
        assert shown["subnetId"] == last(world)["requestParameters"]["subnetId"] == subnet.id
        assert shown["privateIpAddressesSet"] == {
            "item": [
                {"privateIpAddress": text, "primary": holding.kind == PRIMARY}
                for text, holding in eni.held.items()
            ]
        }
        assert shown["ipv6AddressesSet"] == {}
        assert shown["description"] == "<b> & more"

    def test_an_explicit_creation_names_its_addresses_in_the_request(self) -> None:
        world = World(vpcs=1)
        eni = world.create(world.subnets[0], secondaries=1, explicit=True)
        asked = last(world)["requestParameters"]["privateIpAddressesSet"]["items"]
        assert [item["privateIpAddress"] for item in asked] == list(eni.held)

    def test_an_assignment_by_count_has_its_addresses_in_the_response_only(self) -> None:
        world = World(vpcs=1)
        eni = world.create(world.subnets[0])
        given_ = world.assign(eni, count=2)
        asked, response = last(world)["requestParameters"], last(world)["responseElements"]
        assert asked == {
            "networkInterfaceId": eni.id,
            "privateIpAddressesSet": {},
            "ipv4Prefixes": {},
            "secondaryPrivateIpAddressCount": 2,
        }
        assert response["assignedPrivateIpAddressesSet"] == {
            "assignedPrivateIpAddressSetType": [{"privateIpAddress": text} for text in given_]
        }
        assert response["assignedIpv4PrefixSet"] == {}
        assert response["_return"] is True

    def test_an_unassignment_has_its_addresses_in_the_request_only(self) -> None:
        world = World(vpcs=1)
        eni = world.create(world.subnets[0], secondaries=1)
        (text,) = eni.holds(SECONDARY)
        world.unassign(eni, text)
        asked, response = last(world)["requestParameters"], last(world)["responseElements"]
        assert asked["privateIpAddressesSet"] == {"items": [{"privateIpAddress": text}]}
        assert set(response) == {"requestId", "_return"}

    def test_a_detachment_names_only_the_attachment(self) -> None:
        world = World(vpcs=1)
        (instance,) = world.run(world.subnets[0])
        attachment = world.attach(world.create(world.subnets[0]), instance)
        assert last(world)["responseElements"]["attachmentId"] == attachment.id
        world.detach(attachment)
        assert last(world)["requestParameters"] == {"attachmentId": attachment.id}

    def test_a_termination_names_no_eni(self) -> None:
        world = World(vpcs=1)
        world.terminate(*world.run(world.subnets[0], count=2))
        assert "eni-" not in json.dumps(last(world))
        assert len(last(world)["responseElements"]["instancesSet"]["items"]) == 2

    def test_prefixes_and_ipv6_come_in_several_likely_shapes(self) -> None:
        records = random_world(3, 4_000).records
        shapes = Counter(
            (key, type(value).__name__, *sorted(value))
            for record in records
            for key, value in (record["responseElements"] or {}).items()
            if key in ("assignedIpv4PrefixSet", "assignedIpv6Addresses") and value
        )
        assert len(shapes) == 5

    @quick
    @given(worlds())
    def test_account_and_region_are_those_of_the_eni(self, world: World) -> None:
        owner = {e.id: (e.account, e.subnet.vpc.region) for e in {h.eni for h in world.holdings}}
        for record in world.records:
            eni = (record["requestParameters"] or {}).get("networkInterfaceId")
            if eni in owner:
                assert (record["recipientAccountId"], record["awsRegion"]) == owner[eni]

    @quick
    @given(worlds())
    def test_every_bound_with_an_event_is_in_the_second_of_its_record(self, world: World) -> None:
        seconds = {record["eventID"]: second_of(record) for record in world.records}
        for holding in world.holdings:
            assert seconds[holding.start_event] == holding.start // 1000
            if holding.end is not None and holding.end_event is not None:
                end = holding.eni.notice if holding.ending == TERMINATED else holding.end
                assert end is not None
                assert seconds[holding.end_event] == end // 1000

    @quick
    @given(worlds())
    def test_the_records_contain_every_end_that_was_not_silent(self, world: World) -> None:
        replay = Replay()
        for record in world.records:
            replay.read(record)
        for (vpc, text), eni in holders(world).items():
            assert replay.holder(vpc, text) == eni


class TestTruth:
    """Questions about the true timeline."""

    @quick
    @given(worlds(25), st.integers(0, 10_000))
    def test_holders_are_the_same_as_by_a_plain_search(self, world: World, pick: int) -> None:
        for holding in world.holdings:
            moment = holding.start // 1000 + pick % 4
            begin, block = moment * 1000, spell(holding.text)[1]
            some, whole = set(), set()
            for other in world.holdings:
                if other.text not in (holding.text, block):
                    continue
                end = 1 << 60 if other.end is None else other.end
                if other.start < begin + 1000 and end > begin:
                    some.add((other.vpc, other.eni.id))
                if other.start <= begin and end >= begin + 1000:
                    whole.add((other.vpc, other.eni.id))
            assert world.holders(holding.text, moment) == some
            assert world.holders_throughout(holding.text, moment) == whole

    def test_a_second_may_have_two_holders_and_neither_for_all_of_it(self) -> None:
        world = World(vpcs=1)
        one, two = world.create(world.subnets[0]), world.create(world.subnets[0])
        (text,) = world.assign(one, count=1)
        now = next_second(world)
        world.unassign(one, text)
        world.assign(two, text)
        vpc = world.vpcs[0].id
        assert world.holders(text, now) == {(vpc, one.id), (vpc, two.id)}
        assert world.holders_throughout(text, now) == set()
        assert world.holders_throughout(text, next_second(world)) == {(vpc, two.id)}

    def test_the_bounds_of_a_second_are_exact_to_the_millisecond(self) -> None:
        world = World(vpcs=1)
        one, two = world.create(world.subnets[0]), world.create(world.subnets[0])
        (text,) = world.assign(one, count=1)
        vpc, start = world.vpcs[0].id, next_second(world)
        world.wait(999)
        world.unassign(one, text)  # at the very start of the next second
        world.wait(998)
        world.assign(two, text)  # in its last millisecond
        assert [holding.end for holding in world.holdings[-2:]] == [(start + 1) * 1000, None]
        assert world.holdings[-1].start == (start + 2) * 1000 - 1
        assert world.holders_throughout(text, start) == {(vpc, one.id)}
        assert world.holders(text, start + 1) == {(vpc, two.id)}
        assert world.holders_throughout(text, start + 1) == set()
        assert world.holders_throughout(text, start + 2) == {(vpc, two.id)}

    def test_an_address_can_be_free_for_three_seconds_between_holders(self) -> None:
        world = World(vpcs=1)
        one, two = world.create(world.subnets[0]), world.create(world.subnets[0])
        (text,) = world.assign(one, count=1)
        world.unassign(one, text)
        gone = second(world)
        world.wait(3_000)
        world.assign(two, count=1)
        assert world.holders(text, gone + 1) == world.holders(text, gone + 2) == set()
        assert world.holders(text, gone + 3) == {(world.vpcs[0].id, two.id)}


class TestDelivery:
    """Which logs reach the reader."""

    def ids(self, delivery: Delivery) -> Counter[str]:
        """Count the delivered records of a world by their event id."""
        return Counter(r["eventID"] for r in delivery.records if not r["readOnly"])

    @quick
    @given(worlds())
    def test_without_losses_every_record_comes_once(self, world: World) -> None:
        delivery = deliver(world)
        assert self.ids(delivery) == Counter(r["eventID"] for r in world.records)
        assert delivery.complete
        assert not delivery.lost

    @quick
    @given(st.data(), worlds())
    def test_undelivered_records_are_known_as_lost(self, data: st.DataObject, world: World) -> None:
        drop = data.draw(st.booleans())
        delivery = data.draw(deliveries(world, drop_records=drop))
        assert drop or not delivery.losses.drop_records
        delivered = set(self.ids(delivery))
        assert delivered | delivery.lost == {record["eventID"] for record in world.records}
        assert not delivered & delivery.lost

    @quick
    @given(st.data(), worlds())
    def test_a_file_has_the_name_of_its_trail_and_no_record_from_after_its_stamp(
        self, data: st.DataObject, world: World
    ) -> None:
        layout = re.compile(
            r"AWSLogs/(\d+)/CloudTrail/([a-z0-9-]+)/(\d{4})/(\d\d)/(\d\d)/"
            r"\1_CloudTrail_\2_\3\4\5T(\d\d)(\d\d)Z_\w{16}\.json\.gz"
        )
        for name, records in data.draw(deliveries(world)).files:
            match = layout.fullmatch(name)
            assert match is not None
            account, region, *stamp = match.groups()
            stamped = "{}-{}-{}T{}:{}:00Z".format(*stamp)
            for record in records:
                assert (record["recipientAccountId"], record["awsRegion"]) == (account, region)
                assert record["eventTime"] < stamped

    def test_logs_that_begin_in_the_middle_lack_earlier_events(self) -> None:
        world = random_world(1, 200)
        begin = (START + second(world)) // 2
        delivery = deliver(world, Losses(begin=begin))
        assert min(second_of(record) for record in delivery.records) >= begin
        assert len(delivery.lost) == sum(second_of(r) < begin for r in world.records)
        assert delivery.old

    def test_logs_that_end_early_lack_later_events(self) -> None:
        world = random_world(1, 200)
        end = (START + second(world)) // 2
        delivery = deliver(world, Losses(end=end))
        assert max(second_of(record) for record in delivery.records) < end

    def test_a_log_gap_consists_of_missing_files(self) -> None:
        world = random_world(1, 2_000)
        hole = (START + 4 * WINDOW, START + 8 * WINDOW)
        whole, holed = deliver(world), deliver(world, Losses(holes=(hole,)))
        missing = {name for name, _ in whole.files} - {name for name, _ in holed.files}
        assert holed.files == [file for file in whole.files if file[0] not in missing]
        assert missing == {
            file_name(account, vpc.region, START // WINDOW + window)
            for vpc in world.vpcs
            for account in vpc.accounts
            for window in range(4, 8)
        }
        assert not any(hole[0] <= second_of(record) < hole[1] for record in holed.records)

    def test_a_late_record_is_found_in_a_much_later_file_only(self) -> None:
        world = random_world(1, 200)
        delivery = deliver(world, Losses(late=((7, 20),)))
        wanted = world.records[7]["eventID"]
        (name,) = [n for n, rs in delivery.files if wanted in {r["eventID"] for r in rs}]
        window = second_of(world.records[7]) // WINDOW + 20
        account, region = world.records[7]["recipientAccountId"], world.records[7]["awsRegion"]
        assert name == file_name(account, region, window)
        assert delivery.complete

    def test_a_late_record_survives_a_gap_in_its_own_window(self) -> None:
        world = random_world(1, 200)
        at = second_of(world.records[7])
        holes = ((at, at + 1),)
        assert world.records[7]["eventID"] in deliver(world, Losses(holes=holes)).lost
        saved = deliver(world, Losses(holes=holes, late=((7, 5),)))
        assert world.records[7]["eventID"] not in saved.lost

    def test_a_late_record_never_gets_lost_by_being_late(self) -> None:
        world = random_world(1, 200)
        at = second_of(world.records[7])
        holes = ((at + WINDOW, at + 30 * WINDOW),)
        delivery = deliver(world, Losses(holes=holes, late=((7, 5),)))
        assert world.records[7]["eventID"] not in delivery.lost

    def test_a_repeated_record_is_in_two_files(self) -> None:
        world = random_world(1, 200)
        for later in (0, 9):
            delivery = deliver(world, Losses(repeated=((7, later),)))
            wanted = world.records[7]["eventID"]
            assert self.ids(delivery)[wanted] == 2
            having = [n for n, rs in delivery.files if wanted in {r["eventID"] for r in rs}]
            assert len(having) == 2

    def test_a_missing_account_has_no_file(self) -> None:
        world = random_world(1, 200)
        delivery = deliver(world, Losses(accounts=frozenset(ACCOUNTS[1:])))
        assert delivery.files
        assert not any(ACCOUNTS[1] in name for name, _ in delivery.files)

    def test_a_single_record_can_be_dropped(self) -> None:
        world = random_world(1, 200)
        delivery = deliver(world, Losses(drop_records=frozenset({7})))
        assert delivery.lost == {world.records[7]["eventID"]}

    def test_every_window_of_every_trail_has_a_file(self) -> None:
        world = World(vpcs=4)
        world.wait(3_599_000)
        windows = {name.split("_")[3] for name, _ in deliver(world).files}
        assert len(windows) == 12
        assert len(deliver(world).files) == 3 * 12
        assert not deliver(world, heartbeat=False).files

    @pytest.mark.parametrize("compress", [True, False])
    def test_written_files_hold_what_was_delivered(self, tmp_path: Path, compress: bool) -> None:
        delivery = deliver(random_world(1, 300))
        paths = write(delivery.files, tmp_path, compress)
        assert len(paths) == len(delivery.files)
        for path, (name, records) in zip(paths, delivery.files, strict=True):
            assert str(path.relative_to(tmp_path)) == (name if compress else name[:-3])
            body = path.read_bytes()
            text = (gzip.decompress(body) if compress else body).decode()
            assert text.startswith('{"Records":[{"eventVersion":')
            assert json.loads(text) == {"Records": records}


class TestDetermination:
    """Which questions the delivered logs answer."""

    @quick
    @given(worlds(), st.integers(0, 1000))
    def test_a_determined_answer_is_true_for_the_whole_second(self, world: World, seed: int) -> None:
        for question in questions(world, count=30, seed=seed):
            some = {e for v, e in world.holders(question.ip, question.second) if v == question.vpc}
            whole = world.holders_throughout(question.ip, question.second)
            assert question.eni is None or (question.vpc, question.eni) in whole
            if question.determined:
                assert some == ({question.eni} if question.eni else set())

    @quick
    @given(worlds(), st.integers(0, 40), st.integers(0, 1000))
    def test_a_determined_answer_follows_from_the_delivered_records(
        self, world: World, first: int, seed: int
    ) -> None:
        seconds = [START, *map(second_of, world.records)]
        begin = seconds[first % len(seconds)] if first else None
        delivery = deliver(world, Losses(begin=begin, late=((3, 4),), repeated=((5, 6),)))
        arrived = [r for r in world.records if r["eventID"] not in delivery.lost]
        for question in questions(world, delivery, 30, seed):
            for until in (question.second - 1, question.second) if question.determined else ():
                replay = Replay()
                for record in arrived:
                    if second_of(record) <= until:
                        replay.read(record)
                assert replay.holder(question.vpc, question.ip) == question.eni

    @quick
    @given(st.data(), worlds())
    def test_a_loss_after_the_start_leaves_nothing_determined(
        self, data: st.DataObject, world: World
    ) -> None:
        delivery = data.draw(deliveries(world))
        if not delivery.lacks_only_the_begin:
            assert not any(q.determined for q in questions(world, delivery, 20))

    def test_a_boundary_second_is_not_determined(self) -> None:
        world = World(vpcs=1)
        eni = world.create(world.subnets[0])
        world.wait(2_000)
        (text,) = world.assign(eni, count=1)
        start = second(world)
        world.wait(5_000)
        world.unassign(eni, text)
        end = second(world)
        world.settle()
        answers = [determined(world, deliver(world), text, start + n) for n in range(-1, 8)]
        assert end == start + 5
        assert answers == [True, False, True, True, True, True, False, True, True]

    def test_nothing_is_determined_from_a_silent_end_until_the_address_is_seen_again(self) -> None:
        world = World(vpcs=1)
        (instance,) = world.run(world.subnets[0])
        (text,) = world.enis[0].held
        world.wait(5_000)
        world.vanish(instance)
        world.wait(5_000)
        empty = second(world) - 2
        eni = world.create(world.subnets[0], address=text)
        start = second(world)
        world.wait(5_000)
        delivery, vpc = deliver(world), world.vpcs[0].id
        assert not determined(world, delivery, text, START + 2)
        assert not determined(world, delivery, text, empty)
        assert ask(world, delivery, text, vpc, empty).eni is None
        assert ask(world, delivery, text, vpc, start + 2) == (text, vpc, start + 2, eni.id, True)

    def test_the_seconds_between_termination_and_release_are_not_determined(self) -> None:
        world = World(vpcs=1)
        (instance,) = world.run(world.subnets[0])
        (text,) = world.enis[0].held
        world.wait(5_000)
        world.terminate(instance, delay=3_000)
        notice = second(world)
        world.settle()
        answers = [determined(world, deliver(world), text, notice + n) for n in range(-1, 5)]
        assert answers == [True, False, False, False, False, True]

    def test_after_a_late_start_of_the_logs_only_newer_enis_are_determined(self) -> None:
        world = World(vpcs=1)
        old = world.create(world.subnets[0])
        world.wait(10_000)
        begin = second(world)
        world.wait(10_000)
        young = world.create(world.subnets[0])
        world.wait(10_000)
        delivery = deliver(world, Losses(begin=begin))
        now = second(world) - 3
        (before,), (after,) = old.held, young.held
        assert not determined(world, delivery, before, now)
        assert determined(world, delivery, after, now)

    def test_after_a_late_start_a_prefix_around_an_old_address_is_not_determined(self) -> None:
        world = World(vpcs=1)
        old, inside = world.create(world.subnets[0]), world.subnets[0].pool[SECONDARY][-1]
        world.assign(old, inside)
        begin = next_second(world)
        young = world.create(world.subnets[0])
        world.unassign(old, inside)
        world.assign(young, spell(inside)[1])
        world.wait(5_000)
        other, now = str(ip_network(spell(inside)[1])[9]), second(world) - 2
        assert world.holders_throughout(other, now) == {(world.vpcs[0].id, young.id)}
        assert determined(world, deliver(world), other, now)
        assert not determined(world, deliver(world, Losses(begin=begin)), other, now)

    def test_most_questions_of_an_undisturbed_world_are_determined(self) -> None:
        world = random_world(1, 3_000)
        asked = list(questions(world, count=1_000))
        assert sum(q.determined for q in asked) > 500
        assert sum(q.determined and q.eni is not None for q in asked) > 400


class TestDrawing:
    """Runs that are drawn, at random or by hypothesis."""

    def test_one_seed_gives_one_world(self) -> None:
        one, two = random_world(7, 1_000), random_world(7, 1_000)
        assert json.dumps(one.records) == json.dumps(two.records)
        assert deliver(one).files == deliver(two).files
        assert list(questions(one)) == [*questions(two)]
        assert random_world(8, 1_000).records != one.records

    def test_a_run_is_a_list_of_plain_numbers(self) -> None:
        run = list(random_steps(7, 200))
        assert play(run).records == play([Step(*step) for step in run]).records

    def test_a_sink_takes_the_records(self) -> None:
        taken: list[Record] = []
        world = random_world(7, 500, sink=taken.append)
        assert world.records == []
        assert taken == random_world(7, 500).records

    def test_a_random_world_has_every_kind_of_event(self) -> None:
        world = random_world(1, 5_000)
        assert {h.kind for h in world.holdings} == {PRIMARY, SECONDARY, PREFIX, IPV6, IPV6_PREFIX}
        assert {h.ending for h in world.holdings} >= {UNASSIGNED, STOLEN, TERMINATED, SILENT}
        names = {record["eventName"] for record in world.records}
        assert len(names) == 12
        assert {record["recipientAccountId"] for record in world.records} == set(ACCOUNTS)
        assert len({record["awsRegion"] for record in world.records}) == 2
        assert all(kind_of(h.text) == h.kind for h in world.holdings if h.kind != PRIMARY)

    def test_addresses_are_reused_within_the_second_and_within_three(self) -> None:
        gaps: Counter[int] = Counter()
        world = random_world(1, 5_000)
        latest: dict[tuple[str, str], Holding] = {}
        for holding in world.holdings:
            before = latest.get((holding.vpc, holding.text))
            if before is not None and before.end is not None and before.eni is not holding.eni:
                gaps[holding.start // 1000 - before.end // 1000] += 1
            latest[holding.vpc, holding.text] = holding
        assert min(gaps[0], gaps[1], gaps[2], gaps[3]) > 30

    def test_a_crowded_subnet_is_shared_by_two_accounts(self) -> None:
        world = random_world(1, 3_000)
        shared = {h.eni.account for h in world.holdings if h.eni.subnet.vpc is world.vpcs[2]}
        assert shared == set(ACCOUNTS)

    def test_a_failing_run_shrinks_to_the_few_steps_that_matter(self) -> None:
        def has_a_release(world: World) -> bool:
            return any(holding.ending == UNASSIGNED for holding in world.holdings)

        quiet = settings(max_examples=200, deadline=None, database=None, derandomize=True)
        world = find(worlds(6), has_a_release, settings=quiet)
        assert len(world.records) <= 3
        assert len(world.vpcs) == 1
