"""All commands agree in the second of a change: ``who`` answers for all of it, ``state`` for its end."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

from calls import (
    assign,
    assign_named,
    attach,
    create_network_interface,
    delete,
    delete_on_termination,
    detach,
    terminate,
    unassign,
)
from cni import adds_eni, of_cni
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incidents import ADA, NODE, OTHER_NODE, cni, node, read, second
from simulator import World, deliveries, worlds
from test_subnet import Story, at, groups

from cnitrail.answers.filters import Filter
from cnitrail.answers.state import state
from cnitrail.answers.subnet import SubnetIndex, summary
from cnitrail.answers.who import HolderIndex
from cnitrail.api import Case
from cnitrail.model import Coverage, History, Verdict, is_prefix
from cnitrail.model.explanation import SentenceCode

thorough = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

IP = "10.9.0.77"
FIRST, OTHER = f"eni-{NODE[2:]}", f"eni-{OTHER_NODE[2:]}"


def rivals() -> Story:
    """Two nodes whose ENIs take one address in one second."""
    story = Story()
    node(story, "10:00:00")
    node(story, "10:00:00", OTHER_NODE)
    for eni in (FIRST, OTHER):
        story.log("10:05:00", ADA, assign_named(eni, IP, reassign=True))
    return story


def shown(case: Case, clock: str, ip: str = IP) -> dict[str, str | None]:
    """Return the ENIs that hold an address by ``state``, each with the doubt about it."""
    return {
        entry.eni: address.doubt
        for entry in case.state(at(clock))
        for address in entry.addresses
        if str(address.ip) == ip
    }


def named(case: Case, clock: str, ip: str = IP) -> tuple[str, set[str]]:
    """Return the verdict of ``who`` and the holders that it names."""
    answer = case.who(ip, at(clock))
    return answer.verdict.value, {holder.eni for holder in answer.holders}


def now(case: Case, target: str, clock: str) -> str:
    """Return what ``explain`` says of a target at a time."""
    told = case.explain(target, at(clock))
    return " ".join(sentence.text for sentence in told.sentences if sentence.code is SentenceCode.NOW)


class TestTwoEnisThatTakeAnAddressInOneSecond:
    def test_state_shows_it_on_both_and_doubts_both(self, tmp_path: Path) -> None:
        case = rivals().case(tmp_path)
        both = {FIRST: "order-unknown", OTHER: "order-unknown"}
        for clock in ("10:05:00", "10:05:01", "11:00:00"):
            assert shown(case, clock) == both
            assert named(case, clock) == ("ambiguous", {FIRST, OTHER})
        assert {lease.eni: lease.doubt for lease in case.leases(ip=IP)} == both
        assert {holder.eni for holder in case.report(ip=IP).holders or () if holder.doubt} == {FIRST, OTHER}

    def test_a_subnet_counts_it_once_and_as_uncertain(self, tmp_path: Path) -> None:
        census = rivals().census(tmp_path, "11:00:00")
        assert (census.seen, census.uncertain) == (3, 1)

    def test_an_eni_that_releases_it_was_the_last(self, tmp_path: Path) -> None:
        story = rivals()
        story.log("10:10:00", ADA, unassign(OTHER, IP))
        case = story.case(tmp_path)
        assert shown(case, "10:09:59") == {OTHER: None}
        assert shown(case, "10:10:00") == {}
        assert named(case, "10:09:59")[1] == {OTHER}

    def test_an_eni_that_was_deleted_holds_nothing(self, tmp_path: Path) -> None:
        story = Story()
        enis = [replace(second(number=number), attachment="") for number in (1, 2)]
        for eni in enis:
            story.log("10:00:00", ADA, create_network_interface(eni))
            story.log("10:05:00", ADA, assign_named(eni.id, IP, reassign=True))
        story.log("10:10:00", ADA, delete(enis[0]))
        case = story.case(tmp_path)
        assert shown(case, "10:09:59").keys() == {eni.id for eni in enis}
        kept = shown(case, "10:10:00")
        assert kept in ({}, {enis[1].id: "order-unknown"})
        assert named(case, "10:10:01")[1] == set(kept)


class TestADetachment:
    def story(self) -> Story:
        story = Story()
        node(story, "10:00:00")
        eni = of_cni(second(), NODE, story.time("10:01:00"))
        adds_eni(story, ("10:01:00", "10:01:01", "10:01:02"), cni(story), eni, NODE)
        story.log("10:05:00", cni(story), detach(eni))
        return story

    def test_the_eni_is_on_no_instance_at_the_end_of_the_second(self, tmp_path: Path) -> None:
        case, eni = self.story().case(tmp_path), second().id
        for clock in ("10:05:00", "10:05:01"):
            (entry,) = case.state(at(clock), eni=eni)
            assert (entry.instance, entry.attached, entry.device_index) == (None, False, None)
            assert now(case, eni, clock).startswith(
                f"At 2026-03-02 {clock}Z it is attached to nothing and holds 1 IP: {NODE} "
            )
            assert "detached it from i-0aaaaaaaaaaaaaaa1 at 2026-03-02 10:05:00Z." in now(case, eni, clock)
            assert now(case, NODE, clock).startswith(
                f"At 2026-03-02 {clock}Z it has eni-0aaaaaaaaaaaaaaa1 with 1 IP"
            )
            assert "created for it" not in now(case, NODE, clock)

    def test_who_names_the_instance_of_that_second_and_doubts_it(self, tmp_path: Path) -> None:
        case, ip = self.story().case(tmp_path), "10.9.1.1"
        answer = case.who(ip, at("10:05:00"))
        assert [holder.instance for holder in answer.holders] == [NODE]
        assert answer.verdict is not Verdict.CERTAIN
        assert [holder.instance for holder in case.who(ip, at("10:05:01")).holders] == [None]

    def test_an_instance_does_not_count_the_addresses_of_an_eni_that_left_it(self, tmp_path: Path) -> None:
        story = self.story()
        for clock, addresses in (("10:04:59", 2), ("10:05:00", 1), ("10:09:00", 1)):
            (counted,) = story.census(tmp_path, clock).nodes
            assert (counted.instance, counted.addresses) == (NODE, addresses)


class TestATermination:
    def test_who_names_the_holder_of_that_second_and_state_none_at_its_end(self, tmp_path: Path) -> None:
        story = Story()
        first = node(story, "10:00:00")
        story.log("10:05:00", ADA, terminate(NODE))
        case = story.case(tmp_path)
        assert named(case, "10:05:00", first.address) == ("likely", {first.id})
        assert [reason.code.value for reason in case.who(first.address, at("10:05:00")).reasons][
            -1
        ] == "no-later-sign"
        assert shown(case, "10:05:00", first.address) == {}
        assert shown(case, "10:04:59", first.address) == {first.id: None}
        assert now(case, NODE, "10:05:00").startswith("It no longer exists at 2026-03-02 10:05:00Z")

    def test_an_eni_that_outlives_it_is_left_behind_at_once(self, tmp_path: Path) -> None:
        story = Story()
        node(story, "10:00:00")
        eni = second()
        story.log("10:01:00", ADA, create_network_interface(eni))
        story.log("10:01:01", ADA, attach(eni, NODE, 1))
        story.log("10:01:02", ADA, delete_on_termination(eni, yes=False))
        story.log("10:05:00", ADA, terminate(NODE))
        case = story.case(tmp_path)
        for clock in ("10:05:00", "10:05:01"):
            assert f"{eni.id} with 1 IP still exists" in now(case, NODE, clock)


class TestAnEniOfAPersonOnANode:
    def test_its_addresses_are_of_the_node_and_of_its_cluster(self, tmp_path: Path) -> None:
        story = Story()
        node(story, "10:00:00")
        eni = second()
        story.log("10:01:00", ADA, create_network_interface(eni))
        story.log("10:01:01", ADA, attach(eni, NODE, 1))
        story.log("10:02:00", ADA, assign(eni.id, IP))
        case = story.case(tmp_path)
        census = story.census(tmp_path, "11:00:00")
        assert groups(census) == {("node", "quay"): 2, ("node-other", "quay"): 1}
        assert summary(census).startswith("Of the 3 addresses seen in it: cluster quay 3.")
        assert case.who(IP, at("11:00:00")).holders[0].cluster == "quay"
        assert case.explain(IP, at("11:00:00")).clusters == ("quay",)


def changes(history: History) -> list[datetime]:
    """Return the seconds of changes, and those around them."""
    times = sorted({event.time for event in history.events if event.failure is None})
    return sorted({time + timedelta(seconds=shift) for time in times[-30:] for shift in (-1, 0, 1)})


def ended_in(history: History, second: datetime) -> Iterator[str]:
    """Yield the ENIs that lost an address in a second, or were deleted in it."""
    for lease in history.leases:
        if lease.end.time == second:
            yield from (lease.eni, *lease.certainty.rivals)
    for interface in history.interfaces.values():
        if interface.deleted.time == second:
            yield interface.eni


def agree(history: History, coverage: Coverage) -> None:
    """Assert that ``state`` has what ``who`` answers for the second that begins after it, and for its own."""
    index, census = HolderIndex(history, coverage), SubnetIndex(history)
    moments = {event.time for event in history.events}
    addresses = [held for held in history.holders if not is_prefix(held)]
    for time in changes(history):
        entries = {entry.eni: entry for entry in state(history, time, Filter())}
        lost = set(ended_in(history, time))
        for ip in addresses:
            holds = {eni for eni, entry in entries.items() if any(a.ip == ip for a in entry.addresses)}
            said = {holder.eni for holder in index.who(ip, time, Filter()).holders if holder.prefix is None}  # type: ignore[arg-type]
            assert holds <= said, (ip, time)
            assert said - lost <= holds, (ip, time)
            later = time + timedelta(seconds=1)
            if later in moments:
                continue
            following = index.who(ip, later, Filter())  # type: ignore[arg-type]
            assert {one.eni for one in following.holders if one.prefix is None} == holds, (ip, time)
            for holder in following.holders:
                entry = entries[holder.eni]
                assert (holder.instance, holder.attached, holder.device_index, holder.cluster) == (
                    entry.instance,
                    entry.attached,
                    entry.device_index,
                    entry.cluster,
                ), (ip, time)
        for subnet in {entry.subnet for entry in entries.values() if entry.subnet is not None}:
            counted = census.census(subnet, time)
            assert {one.instance for one in counted.nodes} <= {one.instance for one in entries.values()}
            networks = [
                ip_network(address.ip)
                for entry in entries.values()
                for address in entry.addresses
                if entry.subnet == subnet
            ]
            assert counted.seen == len({ip for one in networks if one.version == 4 for ip in one})


class TestInEveryWorld:
    @thorough
    @given(data=st.data())
    def test_state_is_what_who_answers_for_the_next_second(self, data: st.DataObject) -> None:
        world: World = data.draw(worlds())
        agree(*read(data.draw(deliveries(world))))
