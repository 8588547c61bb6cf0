"""From events to leases: the hard cases, one by one."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from itertools import count

import pytest
from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.answers.leases import leases as lease_entries
from cnitrail.answers.state import state
from cnitrail.answers.timeline import timeline
from cnitrail.answers.who import HolderIndex
from cnitrail.decode.actor import actor_of
from cnitrail.history import Ledger, build, cover
from cnitrail.model import (
    NO_DOUBTS,
    Actor,
    ActorKind,
    Certainty,
    CniMark,
    Details,
    Effect,
    Event,
    Failure,
    Held,
    History,
    Holding,
    HoldingKind,
    InstanceBasis,
    Lease,
    Origin,
    Sign,
    Subject,
    TimelineEntry,
    Verdict,
    WhoAnswer,
)
from cnitrail.model.reason import Reason, ReasonCode

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOMEBODY = actor_of({"userIdentity": {"type": "IAMUser", "userName": "somebody"}})
_numbers = count()


def at(second: int) -> datetime:
    return NOON + timedelta(seconds=second)


def held(text: str) -> Held:
    return ip_network(text) if "/" in text else ip_address(text)


def call(effect: Effect, second: int, subject: Subject, name: str = "", *, ok: bool = True) -> Event:
    key = f"{next(_numbers):08d}"
    return Event(
        time=at(second),
        key=key,
        event_id=key,
        name=name or effect.value,
        effect=effect,
        failure=None if ok else Failure("Client.Refused", None),
        account="111111111111",
        region="eu-west-1",
        actor=SOMEBODY,
        subjects=(subject,),
        origins=(Origin("file", 0),),
    )


def holdings(texts: Iterable[str]) -> tuple[Holding, ...]:
    return tuple(
        Holding(held(text), HoldingKind.PREFIX if "/" in text else HoldingKind.SECONDARY) for text in texts
    )


def create(second: int, eni: str, *ips: str, vpc: str = "vpc-1") -> Event:
    return call(Effect.CREATE, second, Subject(eni=eni, vpc=vpc, added=holdings(ips)))


def assign(second: int, eni: str, *ips: str, count: int | None = None) -> Event:
    return call(Effect.ASSIGN, second, Subject(eni=eni, added=holdings(ips), requested=count))


def steal(second: int, eni: str, *ips: str) -> Event:
    return call(Effect.ASSIGN, second, Subject(eni=eni, added=holdings(ips), reassign=True))


def unassign(second: int, eni: str, *ips: str) -> Event:
    return call(Effect.UNASSIGN, second, Subject(eni=eni, removed=tuple(map(held, ips))))


def delete(second: int, eni: str) -> Event:
    return call(Effect.DELETE, second, Subject(eni=eni))


def attach(second: int, eni: str, instance: str, attachment: str) -> Event:
    return call(Effect.ATTACH, second, Subject(eni=eni, instance=instance, attachment=attachment))


def detach(second: int, attachment: str) -> Event:
    return call(Effect.DETACH, second, Subject(attachment=attachment))


def dies_with_instance(second: int, eni: str, attachment: str, *, dies: bool = True) -> Event:
    subject = Subject(eni=eni, attachment=attachment, details=Details(delete_on_termination=dies))
    return call(Effect.MODIFY, second, subject)


def terminate(second: int, instance: str) -> Event:
    return call(Effect.TERMINATE, second, Subject(instance=instance))


def shown(second: int, eni: str, *ips: str, vpc: str = "vpc-1", instance: str = "i-1") -> Event:
    subject = Subject(
        eni=eni, vpc=vpc, instance=instance, added=holdings(ips), details=Details(existing=True)
    )
    return call(Effect.LAUNCH, second, subject)


def history(*events: Event) -> History:
    ledger = Ledger()
    for event in reversed(events):
        ledger.add(event)
    return build(ledger.events())


def leases(*events: Event) -> list[str]:
    """Return a line per lease: the ENI, and both bounds in seconds after noon with their basis."""
    return [_line(lease) for lease in history(*events).leases]


def _line(lease: Lease) -> str:
    def side(bound_time: datetime | None, basis: str) -> str:
        seconds = "?" if bound_time is None else f"{(bound_time - NOON).total_seconds():.0f}"
        return seconds if basis == "observed" else f"{seconds} {basis}"

    start, end = lease.start, lease.end
    return f"{lease.held} {lease.eni} {side(start.time, start.basis)} to {side(end.time, end.basis)}"


def who(
    second: int, *events: Event, ip: str = "10.0.0.5", signs: Iterable[Sign] = (), vpc: str = ""
) -> WhoAnswer:
    past = history(*events)
    index = HolderIndex(past, cover(signs, past.events, assume_complete=not signs))
    return index.who(ip_address(ip), at(second), Filter(vpc=(vpc,) if vpc else ()))


def verdict(second: int, *events: Event) -> tuple[str, list[str]]:
    answer = who(second, *events)
    return answer.verdict.value, sorted(holder.eni for holder in answer.holders)


class TestBounds:
    def test_an_assignment_and_its_release_are_both_observed(self) -> None:
        events = (create(0, "eni-a"), assign(10, "eni-a", "10.0.0.5"), unassign(20, "eni-a", "10.0.0.5"))
        assert leases(*events) == ["10.0.0.5 eni-a 10 to 20"]

    def test_an_unseen_end_is_open(self) -> None:
        assert leases(create(0, "eni-a", "10.0.0.5")) == ["10.0.0.5 eni-a 0 to ? open"]

    def test_a_deletion_ends_every_lease_of_the_eni(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5", "10.0.0.6"), delete(9, "eni-a"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to 9", "10.0.0.6 eni-a 0 to 9"]

    def test_assigning_an_address_again_is_not_a_second_assignment(self) -> None:
        events = (create(0, "eni-a"), assign(1, "eni-a", "10.0.0.5"), assign(5, "eni-a", "10.0.0.5"))
        assert leases(*events) == ["10.0.0.5 eni-a 1 to ? open"]

    def test_an_address_assigned_by_count_was_not_held_before(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), assign(5, "eni-a", "10.0.0.5", count=1))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to 5 implied", "10.0.0.5 eni-a 5 to ? open"]

    def test_a_failed_call_changes_nothing(self) -> None:
        refused = call(Effect.DELETE, 5, Subject(eni="eni-a"), ok=False)
        assert leases(create(0, "eni-a", "10.0.0.5"), refused) == ["10.0.0.5 eni-a 0 to ? open"]

    def test_a_later_start_elsewhere_in_the_vpc_ends_a_lease(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), create(30, "eni-b", "10.0.0.5"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to 30 implied", "10.0.0.5 eni-b 30 to ? open"]

    def test_a_later_start_in_another_vpc_ends_no_lease(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), create(30, "eni-b", "10.0.0.5", vpc="vpc-2"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to ? open", "10.0.0.5 eni-b 30 to ? open"]

    def test_a_release_without_an_assignment_proves_an_earlier_lease(self) -> None:
        assert leases(unassign(20, "eni-a", "10.0.0.5")) == ["10.0.0.5 eni-a ? implied to 20"]

    def test_an_earlier_lease_began_after_the_eni_was_created(self) -> None:
        events = (create(0, "eni-a"), unassign(20, "eni-a", "10.0.0.5"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 implied to 20"]

    def test_a_prefix_and_the_addresses_inside_it_exclude_each_other(self) -> None:
        events = (create(0, "eni-a", "10.0.0.16/28"), create(30, "eni-b", "10.0.0.20"))
        assert leases(*events) == ["10.0.0.16/28 eni-a 0 to 30 implied", "10.0.0.20 eni-b 30 to ? open"]


class TestTermination:
    def node(self, *, dies: bool) -> tuple[Event, ...]:
        return (
            create(0, "eni-a", "10.0.0.5"),
            attach(1, "eni-a", "i-1", "eni-attach-1"),
            dies_with_instance(2, "eni-a", "eni-attach-1", dies=dies),
            terminate(50, "i-1"),
        )

    def test_ends_the_leases_of_an_eni_with_delete_on_termination(self) -> None:
        assert leases(*self.node(dies=True)) == ["10.0.0.5 eni-a 0 to 50 implied"]

    def test_ends_no_lease_of_an_eni_that_survives(self) -> None:
        events = (*self.node(dies=False), attach(70, "eni-a", "i-2", "eni-attach-2"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to ? open"]
        stays = history(*events).interfaces["eni-a"].attachments
        assert [(attachment.instance, attachment.end.time, attachment.end.basis) for attachment in stays] == [
            ("i-1", at(50), "implied"),
            ("i-2", None, "open"),
        ]

    def test_followed_by_a_release_has_the_later_end(self) -> None:
        events = (*self.node(dies=True), unassign(53, "eni-a", "10.0.0.5"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to 53"]

    def test_ends_no_lease_of_an_eni_that_was_detached_before(self) -> None:
        events = (*self.node(dies=True)[:3], detach(40, "eni-attach-1"), terminate(50, "i-1"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to ? open"]


class TestOneSecondClock:
    def test_an_address_that_moves_within_a_second_is_released_first(self) -> None:
        events = (
            create(0, "eni-a", "10.0.0.5"),
            create(0, "eni-b"),
            assign(10, "eni-b", "10.0.0.5"),
            unassign(10, "eni-a", "10.0.0.5"),
        )
        assert leases(*events) == ["10.0.0.5 eni-a 0 to 10", "10.0.0.5 eni-b 10 to ? open"]

    def test_a_release_never_ends_the_lease_of_another_eni(self) -> None:
        events = (create(0, "eni-b"), assign(10, "eni-b", "10.0.0.5"), unassign(10, "eni-a", "10.0.0.5"))
        assert "10.0.0.5 eni-b 10 to ? open" in leases(*events)

    def test_an_address_assigned_and_released_within_a_second_leaves_no_lease(self) -> None:
        events = (create(0, "eni-a"), unassign(9, "eni-a", "10.0.0.5"), assign(9, "eni-a", "10.0.0.5"))
        assert leases(*events) == ["10.0.0.5 eni-a 9 to 9"]

    def test_two_reassignments_in_one_second_have_no_known_order(self) -> None:
        events = (
            *(create(0, "eni-a", "10.0.0.5"), create(0, "eni-b"), create(0, "eni-c")),
            *(steal(10, "eni-b", "10.0.0.5"), steal(10, "eni-c", "10.0.0.5")),
        )
        assert verdict(20, *events) == ("ambiguous", ["eni-b", "eni-c"])

    def test_a_release_shows_which_of_two_reassignments_was_last(self) -> None:
        events = (
            *(create(0, "eni-a", "10.0.0.5"), create(0, "eni-b"), create(0, "eni-c")),
            *(steal(10, "eni-b", "10.0.0.5"), steal(10, "eni-c", "10.0.0.5")),
            unassign(30, "eni-b", "10.0.0.5"),
        )
        assert verdict(20, *events) == ("certain", ["eni-b"])

    @pytest.mark.parametrize("last", ["eni-b", "eni-c"])
    def test_a_release_after_a_log_gap_does_not_show_which_reassignment_was_last(self, last: str) -> None:
        hours = 3600
        events = (
            *(create(0, "eni-a", "10.0.0.5"), create(0, "eni-b"), create(0, "eni-c")),
            *(steal(600, "eni-b", "10.0.0.5"), steal(600, "eni-c", "10.0.0.5")),
            unassign(4 * hours, last, "10.0.0.5"),
        )
        answer = who(900, *events, signs=TestCoverage.files(*TestCoverage.REGULAR))
        assert answer.verdict is Verdict.AMBIGUOUS
        assert {holder.eni for holder in answer.holders} == {"eni-b", "eni-c"}

    def test_nothing_is_made_up_if_both_rivals_were_shown_before_one_released(self) -> None:
        events = (
            *(create(0, "eni-a", "10.0.0.5"), create(0, "eni-b")),
            *(shown(10, "eni-b", "10.0.0.5"), unassign(10, "eni-a", "10.0.0.5")),
            *(steal(10, "eni-a", "10.0.0.5"), unassign(20, "eni-b", "10.0.0.5")),
        )
        said, enis = verdict(15, *events)
        assert (said, set(enis)) == ("ambiguous", {"eni-a", "eni-b"})

    def test_a_release_by_one_rival_leaves_both_if_the_other_was_only_shown(self) -> None:
        events = (
            *(create(0, "eni-a"), create(0, "eni-b")),
            *(shown(10, "eni-b", "10.0.0.5"), assign(10, "eni-a", "10.0.0.5")),
            unassign(20, "eni-a", "10.0.0.5"),
        )
        assert verdict(15, *events) == ("ambiguous", ["eni-a", "eni-b"])

    def test_a_release_in_the_second_of_a_third_reassignment_shows_no_order(self) -> None:
        events = (
            *(create(0, "eni-a", "10.0.0.5"), create(0, "eni-b"), create(0, "eni-c")),
            *(steal(10, "eni-b", "10.0.0.5"), steal(10, "eni-c", "10.0.0.5")),
            *(steal(30, "eni-c", "10.0.0.5"), unassign(30, "eni-c", "10.0.0.5")),
        )
        assert verdict(20, *events) == ("ambiguous", ["eni-b", "eni-c"])

    def test_a_question_about_a_boundary_second_is_ambiguous(self) -> None:
        events = (create(0, "eni-a"), assign(10, "eni-a", "10.0.0.5"), unassign(20, "eni-a", "10.0.0.5"))
        assert [verdict(second, *events)[0] for second in (9, 10, 11, 19, 20, 21)] == [
            *("unknown", "ambiguous", "certain", "certain", "ambiguous", "unknown")
        ]


class TestCertainty:
    """How reliable a lease is, apart from its bounds."""

    @staticmethod
    def certainties(*events: Event) -> dict[str, Certainty]:
        return {lease.eni: lease.certainty for lease in history(*events).leases}

    def test_a_release_proves_the_lease_since_the_last_assignment(self) -> None:
        events = (
            create(0, "eni-a", "10.0.0.5"),
            assign(5, "eni-a", "10.0.0.5"),
            unassign(9, "eni-a", "10.0.0.5"),
        )
        (lease,) = history(*events).leases
        assert (lease.last_seen, lease.released) == (at(9), True)
        assert lease.certainty == Certainty(assigned_again=at(5))

    def test_rivals_of_one_second_are_named_until_a_release_shows_the_last(self) -> None:
        rivals = (create(0, "eni-a"), create(0, "eni-b"), assign(5, "eni-a", "10.0.0.5"))
        events = (*rivals, assign(5, "eni-b", "10.0.0.5"))
        assert self.certainties(*events) == {
            "eni-a": Certainty(contested=True, rivals=frozenset({"eni-a", "eni-b"})),
            "eni-b": Certainty(contested=True, rivals=frozenset({"eni-a", "eni-b"})),
        }
        assert self.certainties(*events, unassign(9, "eni-b", "10.0.0.5"))["eni-b"] == Certainty(
            rivals=frozenset({"eni-a", "eni-b"}), settled_at=at(9)
        )

    def test_an_eni_of_unknown_vpc_may_have_taken_the_address(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), steal(20, "eni-old", "10.0.0.5"))
        found = self.certainties(*events)
        assert found["eni-a"] == Certainty(takeover_from=at(20))
        assert found["eni-old"] is NO_DOUBTS

    def test_an_address_that_is_only_shown_was_assigned_after_its_last_other_holder(self) -> None:
        events = (
            create(0, "eni-a", "10.0.0.5"),
            unassign(4, "eni-a", "10.0.0.5"),
            shown(9, "eni-b", "10.0.0.5"),
        )
        assert self.certainties(*events)["eni-b"] == Certainty(earliest_start=at(4))


class TestHolders:
    def test_leases_of_one_vpc_are_in_one_group_and_an_eni_of_unknown_vpc_has_its_own(self) -> None:
        found = history(
            create(0, "eni-c", "10.0.0.5", vpc="vpc-2"),
            assign(1, "eni-old", "10.0.0.5"),
            create(2, "eni-a", "10.0.0.5", "10.0.0.6"),
            create(9, "eni-b", "10.0.0.5"),
        ).holders
        assert [[lease.eni for lease in group] for group in found[held("10.0.0.5")]] == [
            ["eni-old"],
            ["eni-a", "eni-b"],
            ["eni-c"],
        ]
        assert list(found) == [held("10.0.0.5"), held("10.0.0.6")]

    def test_a_release_of_the_very_address_ended_a_lease_and_a_deletion_did_not(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5", "10.0.0.6"), unassign(5, "eni-a", "10.0.0.5"))
        found = history(*events, delete(9, "eni-a")).leases
        assert [(str(lease.held), lease.released) for lease in found] == [
            ("10.0.0.5", True),
            ("10.0.0.6", False),
        ]


class TestUnknownVpc:
    """An ENI created before the logs begin has no known VPC, and is never merged with another."""

    def test_makes_an_address_doubtful_that_it_may_have_taken(self) -> None:
        events = (
            assign(0, "eni-old", "10.0.0.5"),
            create(10, "eni-b"),
            steal(20, "eni-b", "10.0.0.5"),
            unassign(30, "eni-b", "10.0.0.5"),
            delete(40, "eni-old"),
        )
        assert verdict(10, *events) == ("certain", ["eni-old"])
        assert verdict(25, *events) == ("ambiguous", ["eni-b", "eni-old"])
        assert verdict(35, *events) == ("likely", ["eni-old"])

    def test_does_not_end_a_lease_in_a_known_vpc(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), assign(20, "eni-old", "10.0.0.5"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to ? open", "10.0.0.5 eni-old 20 to ? open"]

    def test_does_not_matter_in_another_region(self) -> None:
        taken = call(Effect.ASSIGN, 5, Subject(eni="eni-far", added=holdings(["10.0.0.5"])))
        events = (
            create(0, "eni-a", "10.0.0.5"),
            replace(taken, region="us-east-1"),
            replace(unassign(6, "eni-far", "10.0.0.5"), region="us-east-1"),
            delete(9, "eni-a"),
        )
        assert verdict(8, *events) == ("certain", ["eni-a"])

    def test_a_launch_with_an_existing_eni_shows_its_addresses_but_not_their_start(self) -> None:
        assert leases(shown(10, "eni-a", "10.0.0.5")) == ["10.0.0.5 eni-a ? unknown to ? open"]
        assert verdict(5, shown(10, "eni-a", "10.0.0.5")) == ("likely", ["eni-a"])


def entries_of(*events: Event) -> list[TimelineEntry]:
    return list(timeline(history(*events), Filter()))


class TestTimeline:
    def test_a_branch_eni_is_on_the_instance_of_its_trunk(self) -> None:
        trunk = Subject(eni="eni-trunk", vpc="vpc-1", details=Details(interface_type="trunk"))
        branch = Subject(eni="eni-branch", details=Details(trunk="eni-trunk", association="trunk-assoc-1"))
        entries = entries_of(
            call(Effect.CREATE, 0, trunk),
            attach(1, "eni-trunk", "i-1", "eni-attach-1"),
            call(
                Effect.CREATE, 5, Subject(eni="eni-branch", details=Details(description="aws-k8s-branch-eni"))
            ),
            call(Effect.ATTACH, 6, branch),
            assign(7, "eni-branch", "10.0.0.5"),
            call(Effect.DETACH, 9, Subject(details=Details(association="trunk-assoc-1"))),
        )
        assert [(entry.eni_kind, entry.instance) for entry in entries] == [
            *(("trunk", None), ("trunk", "i-1"), ("branch", None)),
            *(("branch", "i-1"), ("branch", "i-1"), ("branch", "i-1")),
        ]

    def test_a_call_belongs_to_the_instance_of_the_eni_at_that_time(self) -> None:
        entries = entries_of(
            create(0, "eni-a"),
            attach(1, "eni-a", "i-1", "eni-attach-1"),
            assign(2, "eni-a", "10.0.0.5"),
            detach(5, "eni-attach-1"),
            assign(6, "eni-a", "10.0.0.6"),
            attach(7, "eni-a", "i-2", "eni-attach-2"),
            assign(8, "eni-a", "10.0.0.7"),
        )
        assert [(entry.instance, entry.instance_basis) for entry in entries] == [
            *((None, None), ("i-1", "attach"), ("i-1", "attach"), ("i-1", "attach")),
            *((None, None), ("i-2", "attach"), ("i-2", "attach")),
        ]

    @staticmethod
    def made_by(caller: Actor) -> list[TimelineEntry]:
        made = Subject(
            eni="eni-a", vpc="vpc-1", details=Details(mark=CniMark("i-1", InstanceBasis.DESCRIPTION))
        )
        creation = replace(call(Effect.CREATE, 0, made), actor=caller)
        return entries_of(creation, assign(2, "eni-a", "10.0.0.5"))

    def test_the_description_by_the_cni_names_the_instance_if_no_attachment_is_known(self) -> None:
        node = replace(SOMEBODY, kind=ActorKind.INSTANCE_ROLE, instance="i-1")
        entries = self.made_by(node)
        assert [(entry.instance, entry.instance_basis) for entry in entries] == [("i-1", "description")] * 2
        assert [entry.eni_kind for entry in entries] == ["cni"] * 2

    def test_the_same_description_by_another_caller_is_only_a_claim(self) -> None:
        other_node = replace(SOMEBODY, kind=ActorKind.INSTANCE_ROLE, instance="i-2")
        for caller in (SOMEBODY, other_node):
            entries = self.made_by(caller)
            assert [entry.claimed_instance for entry in entries] == ["i-1"] * 2
            assert [entry.eni_kind for entry in entries] == ["other"] * 2
            assert "i-1" not in {entry.instance for entry in entries}

    def test_the_public_address_is_shown_when_associated_and_when_disassociated(self) -> None:
        given = Subject(eni="eni-a", details=Details(association="eipassoc-1", public_address="203.0.113.9"))
        taken = Subject(details=Details(association="eipassoc-1"))
        entries = entries_of(call(Effect.MODIFY, 0, given), call(Effect.MODIFY, 9, taken))
        assert [(entry.eni, entry.public_address) for entry in entries] == [
            ("eni-a", "203.0.113.9"),
            ("eni-a", None),
        ]

    def test_a_termination_has_an_entry_for_every_eni_that_it_deletes(self) -> None:
        (*_, gone) = entries_of(*TestTermination().node(dies=True))
        assert (gone.effect, gone.instance, gone.eni) == (Effect.TERMINATE, "i-1", "eni-a")
        assert gone.removed == (held("10.0.0.5"),)

    def test_a_termination_without_known_enis_has_one_entry_without_an_eni(self) -> None:
        (gone,) = entries_of(terminate(50, "i-9"))
        assert (gone.instance, gone.eni, gone.removed) == ("i-9", None, ())


class TestVerdicts:
    def test_certain_needs_both_bounds_observed(self) -> None:
        observed = (create(0, "eni-a", "10.0.0.5"), delete(20, "eni-a"))
        assert verdict(10, *observed) == ("certain", ["eni-a"])
        assert verdict(10, *observed[:1]) == ("likely", ["eni-a"])

    def test_two_vpcs_are_ambiguous_until_one_is_named(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), create(0, "eni-b", "10.0.0.5", vpc="vpc-2"))
        assert verdict(10, *events) == ("ambiguous", ["eni-a", "eni-b"])
        assert [holder.eni for holder in who(10, *events, vpc="vpc-2").holders] == ["eni-b"]

    def test_an_address_inside_a_prefix_is_held_through_the_prefix(self) -> None:
        events = (create(0, "eni-a", "10.0.0.16/28"), unassign(20, "eni-a", "10.0.0.16/28"))
        (holder,) = who(10, *events, ip="10.0.0.31").holders
        assert (holder.eni, holder.prefix, holder.kind) == ("eni-a", held("10.0.0.16/28"), "prefix")
        assert who(10, *events, ip="10.0.0.32").verdict is Verdict.UNKNOWN

    def test_the_reasons_name_the_releasing_caller_and_the_next_holder(self) -> None:
        events = (
            *(create(0, "eni-a", "10.0.0.5"), create(0, "eni-b")),
            *(unassign(20, "eni-a", "10.0.0.5"), assign(23, "eni-b", "10.0.0.5")),
        )
        reasons = " | ".join(reason.text for reason in who(10, *events).reasons)
        assert "released at 2026-03-01 12:00:20Z by somebody" in reasons
        assert "seen on eni-b 3 s later" in reasons

    def test_an_address_without_events_is_unknown_and_the_reason_says_so(self) -> None:
        answer = who(10, create(0, "eni-a", "10.0.0.5"), ip="10.9.9.9")
        assert answer.verdict is Verdict.UNKNOWN
        assert answer.reasons[0].code is ReasonCode.NEVER_SEEN
        assert answer.reasons[0].text == "no event in the evidence shows this address on an ENI"

    def test_one_account_of_a_shared_vpc_can_be_selected(self) -> None:
        theirs = (create(0, "eni-a", "10.0.0.5"), unassign(100, "eni-a", "10.0.0.5"))
        ours = (create(0, "eni-b"), assign(200, "eni-b", "10.0.0.5"), unassign(300, "eni-b", "10.0.0.5"))
        past = history(*theirs, *(replace(event, account="222222222222") for event in ours))
        index = HolderIndex(past, cover((), past.events, assume_complete=True))

        def asked(second: int, account: str) -> WhoAnswer:
            return index.who(ip_address("10.0.0.5"), at(second), Filter(account=(account,)))

        assert asked(50, "111111111111").verdict is Verdict.CERTAIN
        assert asked(250, "222222222222").verdict is Verdict.CERTAIN
        elsewhere = asked(50, "222222222222")
        assert (elsewhere.verdict, elsewhere.holders) == (Verdict.UNKNOWN, ())
        assert elsewhere.reasons[0].code is ReasonCode.OUTSIDE_FILTER
        assert elsewhere.reasons[0].text == (
            "the address was on eni-a of 111111111111 in eu-west-1 then, which the filter leaves out"
        )


class TestWhichInstance:
    """The instance in an answer must be as certain as the ENI."""

    def test_leases_of_an_instance_are_those_during_its_attachment_within_the_range(self) -> None:
        past = history(
            create(0, "eni-a", "10.0.0.5"),
            attach(10, "eni-a", "i-one", "attach-1"),
            detach(20, "attach-1"),
            attach(30, "eni-a", "i-two", "attach-2"),
        )

        def found(instance: str, *, since: int | None = None, until: int | None = None) -> int:
            wanted = Filter(
                instance=(instance,),
                since=at(since) if since is not None else None,
                until=at(until) if until is not None else None,
            )
            return len(list(lease_entries(past, wanted)))

        assert (found("i-one"), found("i-two")) == (1, 1)
        assert (found("i-one", until=15), found("i-two", until=15)) == (1, 0)
        assert (found("i-one", since=25), found("i-two", since=25)) == (0, 1)

    def test_a_tag_by_any_caller_names_no_instance(self) -> None:
        forged = call(
            Effect.MODIFY, 5, Subject(eni="eni-a", details=Details(mark=CniMark("i-9", InstanceBasis.TAG)))
        )
        events = (create(0, "eni-a", "10.0.0.5"), forged, delete(20, "eni-a"))
        (holder,) = who(10, *events).holders
        assert (holder.instance, holder.eni_kind) == (None, "other")
        entries = entries_of(*events)
        assert [entry.instance for entry in entries] == [None, None, None]
        assert [entry.claimed_instance for entry in entries] == [None, "i-9", "i-9"]

    def test_an_unseen_detachment_allows_no_certain_answer(self) -> None:
        events = (
            create(0, "eni-a", "10.0.0.5"),
            attach(1, "eni-a", "i-1", "eni-attach-1"),
            attach(50, "eni-a", "i-2", "eni-attach-2"),
            unassign(90, "eni-a", "10.0.0.5"),
        )
        answer = who(30, *events)
        assert answer.verdict is Verdict.LIKELY
        assert "the ENI left i-1 at an unknown time before" in answer.reasons[-1].text

    def test_the_second_of_a_move_between_instances_allows_no_certain_answer(self) -> None:
        events = (
            create(0, "eni-a", "10.0.0.5"),
            attach(1, "eni-a", "i-1", "eni-attach-1"),
            detach(50, "eni-attach-1"),
            attach(50, "eni-a", "i-2", "eni-attach-2"),
            unassign(90, "eni-a", "10.0.0.5"),
        )
        assert [who(second, *events).verdict.value for second in (49, 50, 51)] == [
            *("certain", "likely", "likely")  # no later event shows that i-2 was still running
        ]

    def test_an_attachment_that_begins_after_its_end_becomes_two(self) -> None:
        past = history(
            dies_with_instance(0, "eni-a", "eni-attach-1"),
            detach(10, "eni-attach-1"),
            attach(20, "eni-a", "i-1", "eni-attach-1"),
        )
        spans = [
            (attachment.start.time, attachment.end.time)
            for attachment in past.interfaces["eni-a"].attachments
        ]
        assert spans == [(None, at(10)), (at(20), None)]

    def test_addresses_of_an_existing_eni_are_shown_and_not_added(self) -> None:
        (_, launched) = entries_of(create(0, "eni-a", "10.0.0.5"), shown(10, "eni-a", "10.0.0.5"))
        assert (launched.added, launched.shown) == ((), (held("10.0.0.5"),))

    def test_an_eni_deleted_with_its_instance_is_in_no_later_state(self) -> None:
        past = history(*TestTermination().node(dies=True))
        assert [entry.eni for entry in state(past, at(40), Filter())] == ["eni-a"]
        assert list(state(past, at(60), Filter())) == []


class TestCoverage:
    @staticmethod
    def files(*minutes: int) -> list[Sign]:
        return [("111111111111", "eu-west-1", NOON + timedelta(minutes=minute)) for minute in minutes]

    REGULAR = (*range(-60, 60, 5), *range(180, 300, 5))
    HOUR = 3600

    def test_a_pause_that_breaks_the_delivery_rhythm_is_a_log_gap(self) -> None:
        (reach,) = cover(self.files(*self.REGULAR), ()).reaches
        (hole,) = reach.holes
        assert (hole.start, hole.end) == (NOON + timedelta(minutes=40), NOON + timedelta(minutes=180))

    def test_a_log_gap_begins_no_earlier_than_the_evidence(self) -> None:
        (reach,) = cover(self.files(0, 5, 120), ()).reaches
        assert [(hole.start, hole.end) for hole in reach.holes] == [(NOON, NOON + timedelta(minutes=120))]

    def test_a_slow_delivery_rhythm_has_no_log_gap(self) -> None:
        for minutes in (range(0, 600, 60), (0, 200, 500, 620, 900, 1100, 1250, 1500, 1700, 1950)):
            (reach,) = cover(self.files(*minutes), ()).reaches
            assert reach.holes == ()

    def test_many_log_gaps_do_not_become_the_rhythm(self) -> None:
        (reach,) = cover(self.files(0, 5, 10, 65, 70, 75, 130, 135, 140, 195, 200, 255), ()).reaches
        assert reach.holes

    def test_ten_usual_pauses_are_not_a_log_gap(self) -> None:
        regular = range(0, 600, 60)
        for late, holes in ((540 + 600, 0), (540 + 601, 1)):
            (reach,) = cover(self.files(*regular, late), ()).reaches
            assert len(reach.holes) == holes

    def test_few_files_are_compared_with_the_usual_rhythm_of_a_trail(self) -> None:
        for minutes in ((0, 25), (0, 5, 30), (0, 5, 30, 55, 60), (0, 25, 50, 75, 80, 85, 90, 95, 100)):
            (reach,) = cover(self.files(*minutes), ()).reaches
            assert reach.holes
        for usual in ((0, 5), (0, 15, 20), (0, 10, 20, 30)):
            (reach,) = cover(self.files(*usual), ()).reaches
            assert reach.holes == ()

    def test_a_deletion_after_a_log_gap_does_not_prove_the_time_between(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), delete(4 * self.HOUR, "eni-a"))
        signs = self.files(*self.REGULAR)
        assert who(600, *events, signs=signs).verdict is Verdict.CERTAIN
        for second in (2 * self.HOUR, 3 * self.HOUR + 600):
            answer = who(second, *events, signs=signs)
            assert answer.verdict is Verdict.LIKELY
            assert "log gap for 111111111111 in eu-west-1 from" in answer.reasons[-1].text

    def test_a_release_after_a_log_gap_proves_the_time_after_it(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), unassign(4 * self.HOUR, "eni-a", "10.0.0.5"))
        signs = self.files(*self.REGULAR)
        assert who(2 * self.HOUR, *events, signs=signs).verdict is Verdict.LIKELY
        assert who(3 * self.HOUR + 600, *events, signs=signs).verdict is Verdict.CERTAIN

    @pytest.mark.parametrize(
        ("later", "then"), [(0, Verdict.AMBIGUOUS), (1, Verdict.LIKELY), (60, Verdict.LIKELY)]
    )
    def test_a_release_after_a_new_assignment_proves_only_that_assignment(
        self, later: int, then: Verdict
    ) -> None:
        again = 4 * self.HOUR
        events = (
            create(0, "eni-a", "10.0.0.5"),
            assign(again, "eni-a", "10.0.0.5"),
            unassign(again + later, "eni-a", "10.0.0.5"),
        )
        signs = self.files(*self.REGULAR)
        assert who(3 * self.HOUR + 600, *events, signs=signs).verdict is Verdict.LIKELY
        assert who(again, *events, signs=signs).verdict is then
        if later > 1:
            assert who(again + 1, *events, signs=signs).verdict is Verdict.CERTAIN

    def test_an_answer_after_the_evidence_states_where_it_ends(self) -> None:
        answer = who(9999, create(0, "eni-a", "10.0.0.5"))
        assert answer.reasons[-1] == Reason(
            ReasonCode.AFTER_EVIDENCE,
            "the evidence of 111111111111 in eu-west-1 ends at 2026-03-01 12:00:00Z",
        )
