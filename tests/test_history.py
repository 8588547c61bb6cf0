"""Facts → intervals: the traps that a history must not fall into, one by one."""

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
from cnitrail.decode.actor import actor
from cnitrail.history import Ledger, build, cover
from cnitrail.model import (
    Actor,
    ActorKind,
    Effect,
    Event,
    Failure,
    Held,
    History,
    Holding,
    HoldingKind,
    Lease,
    Origin,
    Sign,
    Subject,
    TimelineEntry,
    Verdict,
    WhoAnswer,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOMEBODY = actor({"userIdentity": {"type": "IAMUser", "userName": "somebody"}})
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
    subject = Subject(eni=eni, attachment=attachment, delete_on_termination=dies)
    return call(Effect.MODIFY, second, subject)


def terminate(second: int, instance: str) -> Event:
    return call(Effect.TERMINATE, second, Subject(instance=instance))


def shown(second: int, eni: str, *ips: str, vpc: str = "vpc-1", instance: str = "i-1") -> Event:
    subject = Subject(eni=eni, vpc=vpc, instance=instance, added=holdings(ips), existing=True)
    return call(Effect.LAUNCH, second, subject)


def history(*events: Event) -> History:
    ledger = Ledger()
    for event in reversed(events):
        ledger.add(event)
    return build(ledger.events())


def leases(*events: Event) -> list[str]:
    """Each lease in a line: the interface, and both bounds in seconds after noon with their basis."""
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
    witness = HolderIndex(past, cover(signs, past.events, assume_complete=not signs))
    return witness.who(ip_address(ip), at(second), Filter(vpc=(vpc,) if vpc else ()))


def verdict(second: int, *events: Event) -> tuple[str, list[str]]:
    answer = who(second, *events)
    return answer.verdict.value, sorted(holder.eni for holder in answer.holders)


class TestBounds:
    def test_an_assignment_and_its_release_are_both_observed(self) -> None:
        events = (create(0, "eni-a"), assign(10, "eni-a", "10.0.0.5"), unassign(20, "eni-a", "10.0.0.5"))
        assert leases(*events) == ["10.0.0.5 eni-a 10 to 20"]

    def test_an_end_not_seen_is_open(self) -> None:
        assert leases(create(0, "eni-a", "10.0.0.5")) == ["10.0.0.5 eni-a 0 to ? open"]

    def test_a_deletion_ends_every_address_of_the_interface(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5", "10.0.0.6"), delete(9, "eni-a"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to 9", "10.0.0.6 eni-a 0 to 9"]

    def test_assigning_an_address_again_is_no_second_assignment(self) -> None:
        events = (create(0, "eni-a"), assign(1, "eni-a", "10.0.0.5"), assign(5, "eni-a", "10.0.0.5"))
        assert leases(*events) == ["10.0.0.5 eni-a 1 to ? open"]

    def test_but_a_count_never_gives_what_is_held_already(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), assign(5, "eni-a", "10.0.0.5", count=1))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to 5 implied", "10.0.0.5 eni-a 5 to ? open"]

    def test_a_failed_call_changes_nothing(self) -> None:
        refused = call(Effect.DELETE, 5, Subject(eni="eni-a"), ok=False)
        assert leases(create(0, "eni-a", "10.0.0.5"), refused) == ["10.0.0.5 eni-a 0 to ? open"]

    def test_a_later_start_elsewhere_in_the_vpc_ends_a_holding(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), create(30, "eni-b", "10.0.0.5"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to 30 implied", "10.0.0.5 eni-b 30 to ? open"]

    def test_but_not_in_another_vpc(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), create(30, "eni-b", "10.0.0.5", vpc="vpc-2"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to ? open", "10.0.0.5 eni-b 30 to ? open"]

    def test_a_release_of_what_was_never_seen_assigned_proves_an_earlier_holding(self) -> None:
        assert leases(unassign(20, "eni-a", "10.0.0.5")) == ["10.0.0.5 eni-a ? implied to 20"]

    def test_which_began_after_the_interface_itself(self) -> None:
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

    def test_takes_along_what_is_deleted_on_termination(self) -> None:
        assert leases(*self.node(dies=True)) == ["10.0.0.5 eni-a 0 to 50 implied"]

    def test_but_an_interface_that_survives_keeps_its_addresses(self) -> None:
        events = (*self.node(dies=False), attach(70, "eni-a", "i-2", "eni-attach-2"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to ? open"]
        stays = history(*events).interfaces["eni-a"].attachments
        assert [(each.instance, each.end.time, each.end.basis) for each in stays] == [
            ("i-1", at(50), "implied"),
            ("i-2", None, "open"),
        ]

    def test_a_release_seconds_after_it_tells_the_end_better(self) -> None:
        events = (*self.node(dies=True), unassign(53, "eni-a", "10.0.0.5"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to 53"]

    def test_of_an_interface_that_was_detached_before_ends_nothing(self) -> None:
        events = (*self.node(dies=True)[:3], detach(40, "eni-attach-1"), terminate(50, "i-1"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to ? open"]


class TestOneSecondClock:
    def test_an_address_that_moves_within_a_second_is_let_go_first(self) -> None:
        events = (
            create(0, "eni-a", "10.0.0.5"),
            create(0, "eni-b"),
            assign(10, "eni-b", "10.0.0.5"),
            unassign(10, "eni-a", "10.0.0.5"),
        )
        assert leases(*events) == ["10.0.0.5 eni-a 0 to 10", "10.0.0.5 eni-b 10 to ? open"]

    def test_a_release_never_ends_the_lease_of_another_interface(self) -> None:
        events = (create(0, "eni-b"), assign(10, "eni-b", "10.0.0.5"), unassign(10, "eni-a", "10.0.0.5"))
        assert "10.0.0.5 eni-b 10 to ? open" in leases(*events)

    def test_what_is_taken_and_let_go_within_a_second_leaves_nothing_behind(self) -> None:
        events = (create(0, "eni-a"), unassign(9, "eni-a", "10.0.0.5"), assign(9, "eni-a", "10.0.0.5"))
        assert leases(*events) == ["10.0.0.5 eni-a 9 to 9"]

    def test_of_two_thefts_in_one_second_nobody_knows_the_last(self) -> None:
        events = (
            *(create(0, "eni-a", "10.0.0.5"), create(0, "eni-b"), create(0, "eni-c")),
            *(steal(10, "eni-b", "10.0.0.5"), steal(10, "eni-c", "10.0.0.5")),
        )
        assert verdict(20, *events) == ("ambiguous", ["eni-b", "eni-c"])

    def test_until_a_release_tells(self) -> None:
        events = (
            *(create(0, "eni-a", "10.0.0.5"), create(0, "eni-b"), create(0, "eni-c")),
            *(steal(10, "eni-b", "10.0.0.5"), steal(10, "eni-c", "10.0.0.5")),
            unassign(30, "eni-b", "10.0.0.5"),
        )
        assert verdict(20, *events) == ("certain", ["eni-b"])

    @pytest.mark.parametrize("last", ["eni-b", "eni-c"])
    def test_nor_a_release_behind_a_hole_in_which_either_may_have_taken_it_again(self, last: str) -> None:
        hours = 3600
        events = (
            *(create(0, "eni-a", "10.0.0.5"), create(0, "eni-b"), create(0, "eni-c")),
            *(steal(600, "eni-b", "10.0.0.5"), steal(600, "eni-c", "10.0.0.5")),
            unassign(4 * hours, last, "10.0.0.5"),
        )
        answer = who(900, *events, signs=TestCoverage.files(*TestCoverage.REGULAR))
        assert answer.verdict is Verdict.AMBIGUOUS
        assert {holder.eni for holder in answer.holders} == {"eni-b", "eni-c"}

    def test_where_both_rivals_were_shown_before_one_lets_go_nothing_is_made_up(self) -> None:
        events = (
            *(create(0, "eni-a", "10.0.0.5"), create(0, "eni-b")),
            *(shown(10, "eni-b", "10.0.0.5"), unassign(10, "eni-a", "10.0.0.5")),
            *(steal(10, "eni-a", "10.0.0.5"), unassign(20, "eni-b", "10.0.0.5")),
        )
        said, enis = verdict(15, *events)
        assert (said, set(enis)) == ("ambiguous", {"eni-a", "eni-b"})

    def test_where_one_rival_was_only_shown_a_release_of_the_other_leaves_both(self) -> None:
        events = (
            *(create(0, "eni-a"), create(0, "eni-b")),
            *(shown(10, "eni-b", "10.0.0.5"), assign(10, "eni-a", "10.0.0.5")),
            unassign(20, "eni-a", "10.0.0.5"),
        )
        assert verdict(15, *events) == ("ambiguous", ["eni-a", "eni-b"])

    def test_but_not_a_release_in_the_second_of_a_third_theft(self) -> None:
        events = (
            *(create(0, "eni-a", "10.0.0.5"), create(0, "eni-b"), create(0, "eni-c")),
            *(steal(10, "eni-b", "10.0.0.5"), steal(10, "eni-c", "10.0.0.5")),
            *(steal(30, "eni-c", "10.0.0.5"), unassign(30, "eni-c", "10.0.0.5")),
        )
        assert verdict(20, *events) == ("ambiguous", ["eni-b", "eni-c"])

    def test_a_question_on_a_boundary_second_is_ambiguous(self) -> None:
        events = (create(0, "eni-a"), assign(10, "eni-a", "10.0.0.5"), unassign(20, "eni-a", "10.0.0.5"))
        assert [verdict(second, *events)[0] for second in (9, 10, 11, 19, 20, 21)] == [
            *("unknown", "ambiguous", "certain", "certain", "ambiguous", "unknown")
        ]


class TestUnknownVpc:
    """An interface made before the logs begin has no known VPC, and is never merged with another."""

    def test_doubt_what_may_have_been_taken(self) -> None:
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

    def test_it_says_nothing_about_the_same_address_in_a_known_vpc(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), assign(20, "eni-old", "10.0.0.5"))
        assert leases(*events) == ["10.0.0.5 eni-a 0 to ? open", "10.0.0.5 eni-old 20 to ? open"]

    def test_unless_the_two_are_in_different_regions(self) -> None:
        taken = call(Effect.ASSIGN, 5, Subject(eni="eni-far", added=holdings(["10.0.0.5"])))
        events = (
            create(0, "eni-a", "10.0.0.5"),
            replace(taken, region="us-east-1"),
            replace(unassign(6, "eni-far", "10.0.0.5"), region="us-east-1"),
            delete(9, "eni-a"),
        )
        assert verdict(8, *events) == ("certain", ["eni-a"])

    def test_a_launch_with_an_existing_interface_shows_its_addresses_but_not_since_when(self) -> None:
        assert leases(shown(10, "eni-a", "10.0.0.5")) == ["10.0.0.5 eni-a ? unknown to ? open"]
        assert verdict(5, shown(10, "eni-a", "10.0.0.5")) == ("likely", ["eni-a"])


def told(*events: Event) -> list[TimelineEntry]:
    return list(timeline(history(*events), Filter()))


class TestTimeline:
    def test_a_branch_interface_is_on_the_instance_that_its_trunk_is_on(self) -> None:
        trunk = Subject(eni="eni-trunk", vpc="vpc-1", interface_type="trunk")
        branch = Subject(eni="eni-branch", trunk="eni-trunk", association="trunk-assoc-1")
        entries = told(
            call(Effect.CREATE, 0, trunk),
            attach(1, "eni-trunk", "i-1", "eni-attach-1"),
            call(Effect.CREATE, 5, Subject(eni="eni-branch", description="aws-k8s-branch-eni")),
            call(Effect.ATTACH, 6, branch),
            assign(7, "eni-branch", "10.0.0.5"),
            call(Effect.DETACH, 9, Subject(association="trunk-assoc-1")),
        )
        assert [(entry.eni_kind, entry.instance) for entry in entries] == [
            *(("trunk", None), ("trunk", "i-1"), ("branch", None)),
            *(("branch", "i-1"), ("branch", "i-1"), ("branch", "i-1")),
        ]

    def test_a_call_belongs_to_the_instance_that_the_interface_was_on_then(self) -> None:
        entries = told(
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
        made = Subject(eni="eni-a", vpc="vpc-1", mark=("i-1", "description"))
        creation = replace(call(Effect.CREATE, 0, made), actor=caller)
        return told(creation, assign(2, "eni-a", "10.0.0.5"))

    def test_the_cnis_description_names_the_instance_if_no_attachment_is_known(self) -> None:
        node = replace(SOMEBODY, kind=ActorKind.INSTANCE_ROLE, instance="i-1")
        entries = self.made_by(node)
        assert [(entry.instance, entry.instance_basis) for entry in entries] == [("i-1", "description")] * 2
        assert [entry.eni_kind for entry in entries] == ["cni"] * 2

    def test_the_same_description_by_anybody_else_is_only_a_claim(self) -> None:
        other_node = replace(SOMEBODY, kind=ActorKind.INSTANCE_ROLE, instance="i-2")
        for caller in (SOMEBODY, other_node):
            entries = self.made_by(caller)
            assert [entry.claimed_instance for entry in entries] == ["i-1"] * 2
            assert [entry.eni_kind for entry in entries] == ["other"] * 2
            assert "i-1" not in {entry.instance for entry in entries}

    def test_the_public_address_of_an_interface_is_told_when_it_comes_and_when_it_goes(self) -> None:
        given = Subject(eni="eni-a", association="eipassoc-1", public_address="203.0.113.9")
        taken = Subject(association="eipassoc-1")
        entries = told(call(Effect.MODIFY, 0, given), call(Effect.MODIFY, 9, taken))
        assert [(entry.eni, entry.public_address) for entry in entries] == [
            ("eni-a", "203.0.113.9"),
            ("eni-a", None),
        ]

    def test_a_termination_has_an_entry_for_each_interface_that_goes_with_it(self) -> None:
        (*_, gone) = told(*TestTermination().node(dies=True))
        assert (gone.effect, gone.instance, gone.eni) == (Effect.TERMINATE, "i-1", "eni-a")
        assert gone.removed == (held("10.0.0.5"),)

    def test_and_one_without_where_none_is_known(self) -> None:
        (gone,) = told(terminate(50, "i-9"))
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

    def test_reasons_say_who_let_it_go_and_where_it_turned_up(self) -> None:
        events = (
            *(create(0, "eni-a", "10.0.0.5"), create(0, "eni-b")),
            *(unassign(20, "eni-a", "10.0.0.5"), assign(23, "eni-b", "10.0.0.5")),
        )
        reasons = " | ".join(who(10, *events).reasons)
        assert "released at 2026-03-01 12:00:20Z by somebody" in reasons
        assert "seen again 3 s later on eni-b" in reasons

    def test_an_address_that_no_event_shows_is_unknown_and_says_so(self) -> None:
        answer = who(10, create(0, "eni-a", "10.0.0.5"), ip="10.9.9.9")
        assert answer.verdict is Verdict.UNKNOWN
        assert answer.reasons[0] == "no event in the evidence shows this address on an interface"

    def test_of_one_account_of_a_vpc_that_accounts_share(self) -> None:
        theirs = (create(0, "eni-a", "10.0.0.5"), unassign(100, "eni-a", "10.0.0.5"))
        ours = (create(0, "eni-b"), assign(200, "eni-b", "10.0.0.5"), unassign(300, "eni-b", "10.0.0.5"))
        past = history(*theirs, *(replace(event, account="222222222222") for event in ours))
        witness = HolderIndex(past, cover((), past.events, assume_complete=True))

        def asked(second: int, account: str) -> WhoAnswer:
            return witness.who(ip_address("10.0.0.5"), at(second), Filter(account=(account,)))

        assert asked(50, "111111111111").verdict is Verdict.CERTAIN
        assert asked(250, "222222222222").verdict is Verdict.CERTAIN
        elsewhere = asked(50, "222222222222")
        assert (elsewhere.verdict, elsewhere.holders) == (Verdict.UNKNOWN, ())
        assert elsewhere.reasons[0] == (
            "by the evidence it was on eni-a then, of 111111111111 in eu-west-1, which was not asked for"
        )


class TestWhichInstance:
    """The instance that an answer names must be as sure as the interface."""

    def test_leases_of_an_instance_are_those_of_its_time_in_the_range(self) -> None:
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

    def test_a_tag_that_somebody_writes_names_no_instance(self) -> None:
        forged = call(Effect.MODIFY, 5, Subject(eni="eni-a", mark=("i-9", "tag")))
        events = (create(0, "eni-a", "10.0.0.5"), forged, delete(20, "eni-a"))
        (holder,) = who(10, *events).holders
        assert (holder.instance, holder.eni_kind) == (None, "other")
        entries = told(*events)
        assert [entry.instance for entry in entries] == [None, None, None]
        assert [entry.claimed_instance for entry in entries] == [None, "i-9", "i-9"]

    def test_an_interface_that_left_unseen_is_no_certain_answer(self) -> None:
        events = (
            create(0, "eni-a", "10.0.0.5"),
            attach(1, "eni-a", "i-1", "eni-attach-1"),
            attach(50, "eni-a", "i-2", "eni-attach-2"),
            unassign(90, "eni-a", "10.0.0.5"),
        )
        answer = who(30, *events)
        assert answer.verdict is Verdict.LIKELY
        assert "the interface left i-1 at an unknown time before" in answer.reasons[-1]

    def test_nor_is_the_second_in_which_it_moved(self) -> None:
        events = (
            create(0, "eni-a", "10.0.0.5"),
            attach(1, "eni-a", "i-1", "eni-attach-1"),
            detach(50, "eni-attach-1"),
            attach(50, "eni-a", "i-2", "eni-attach-2"),
            unassign(90, "eni-a", "10.0.0.5"),
        )
        assert [who(second, *events).verdict.value for second in (49, 50, 51)] == [
            *("certain", "likely", "likely")  # from then on nothing shows that i-2 went on running
        ]

    def test_an_attachment_that_begins_after_its_end_is_two(self) -> None:
        past = history(
            dies_with_instance(0, "eni-a", "eni-attach-1"),
            detach(10, "eni-attach-1"),
            attach(20, "eni-a", "i-1", "eni-attach-1"),
        )
        spans = [(each.start.time, each.end.time) for each in past.interfaces["eni-a"].attachments]
        assert spans == [(None, at(10)), (at(20), None)]

    def test_addresses_of_an_existing_interface_are_shown_and_not_added(self) -> None:
        (_, launched) = told(create(0, "eni-a", "10.0.0.5"), shown(10, "eni-a", "10.0.0.5"))
        assert (launched.added, launched.shown) == ((), (held("10.0.0.5"),))

    def test_an_interface_that_went_with_its_instance_is_in_no_later_state(self) -> None:
        past = history(*TestTermination().node(dies=True))
        assert [entry.eni for entry in state(past, at(40), Filter())] == ["eni-a"]
        assert list(state(past, at(60), Filter())) == []


class TestCoverage:
    @staticmethod
    def files(*minutes: int) -> list[Sign]:
        return [("111111111111", "eu-west-1", NOON + timedelta(minutes=minute)) for minute in minutes]

    REGULAR = (*range(-60, 60, 5), *range(180, 300, 5))
    HOUR = 3600

    def test_a_gap_that_breaks_the_rhythm_is_a_hole(self) -> None:
        (reach,) = cover(self.files(*self.REGULAR), ()).reaches
        (hole,) = reach.holes
        assert (hole.start, hole.end) == (NOON + timedelta(minutes=40), NOON + timedelta(minutes=180))

    def test_a_hole_begins_no_earlier_than_the_evidence(self) -> None:
        (reach,) = cover(self.files(0, 5, 120), ()).reaches
        assert [(hole.start, hole.end) for hole in reach.holes] == [(NOON, NOON + timedelta(minutes=120))]

    def test_a_slow_rhythm_has_no_hole(self) -> None:
        for minutes in (range(0, 600, 60), (0, 200, 500, 620, 900, 1100, 1250, 1500, 1700, 1950)):
            (reach,) = cover(self.files(*minutes), ()).reaches
            assert reach.holes == ()

    def test_holes_are_told_from_the_rhythm_though_they_are_many(self) -> None:
        (reach,) = cover(self.files(0, 5, 10, 65, 70, 75, 130, 135, 140, 195, 200, 255), ()).reaches
        assert reach.holes

    def test_ten_usual_gaps_are_no_hole(self) -> None:
        regular = range(0, 600, 60)
        for late, holes in ((540 + 600, 0), (540 + 601, 1)):
            (reach,) = cover(self.files(*regular, late), ()).reaches
            assert len(reach.holes) == holes

    def test_few_files_tell_no_rhythm_and_are_held_to_that_of_a_trail(self) -> None:
        for minutes in ((0, 25), (0, 5, 30), (0, 5, 30, 55, 60), (0, 25, 50, 75, 80, 85, 90, 95, 100)):
            (reach,) = cover(self.files(*minutes), ()).reaches
            assert reach.holes
        for usual in ((0, 5), (0, 15, 20), (0, 10, 20, 30)):
            (reach,) = cover(self.files(*usual), ()).reaches
            assert reach.holes == ()

    def test_a_deletion_after_a_hole_does_not_prove_the_time_between(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), delete(4 * self.HOUR, "eni-a"))
        signs = self.files(*self.REGULAR)
        assert who(600, *events, signs=signs).verdict is Verdict.CERTAIN
        for second in (2 * self.HOUR, 3 * self.HOUR + 600):
            answer = who(second, *events, signs=signs)
            assert answer.verdict is Verdict.LIKELY
            assert "little or nothing of 111111111111 in eu-west-1 was read between" in answer.reasons[-1]

    def test_a_release_after_a_hole_proves_what_came_after_the_hole(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), unassign(4 * self.HOUR, "eni-a", "10.0.0.5"))
        signs = self.files(*self.REGULAR)
        assert who(2 * self.HOUR, *events, signs=signs).verdict is Verdict.LIKELY
        assert who(3 * self.HOUR + 600, *events, signs=signs).verdict is Verdict.CERTAIN

    @pytest.mark.parametrize(
        ("later", "then"), [(0, Verdict.AMBIGUOUS), (1, Verdict.LIKELY), (60, Verdict.LIKELY)]
    )
    def test_a_release_behind_a_new_assignment_proves_no_more_than_that(
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

    def test_an_open_lease_beyond_the_evidence_says_where_it_ends(self) -> None:
        answer = who(9999, create(0, "eni-a", "10.0.0.5"))
        assert answer.reasons[-1] == "the evidence of 111111111111 in eu-west-1 ends at 2026-03-01 12:00:00Z"
