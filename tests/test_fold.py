"""The calls of one second, step by step: grouped, ordered, and applied to the leases of a block."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from records import ec2_event

from cnitrail.history.draft import LeaseDraft, Slot
from cnitrail.history.fold import Fold
from cnitrail.history.seconds import (
    WHOLE_ENI,
    ActionKind,
    AddressAction,
    Second,
    contests,
    group,
    order,
    precedence,
)
from cnitrail.model import (
    UNKNOWN,
    Attachments,
    Basis,
    Bound,
    Effect,
    Event,
    HoldingKind,
    Interface,
    Subject,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

_EFFECTS = {
    ActionKind.ASSIGN: Effect.ASSIGN,
    ActionKind.SHOW: Effect.LAUNCH,
    ActionKind.RELEASE: Effect.UNASSIGN,
    ActionKind.DELETE_ENI: Effect.DELETE,
    ActionKind.TERMINATE: Effect.TERMINATE,
}


def at(second: int) -> datetime:
    return NOON + timedelta(seconds=second)


def call(key: str, effect: Effect, second: int, *, reassign: bool = False, count: int | None = None) -> Event:
    return ec2_event(key, effect, at(second), Subject(reassign=reassign, requested=count))


class Story:
    """Actions on the addresses of one VPC, each with the key of its call."""

    def __init__(self) -> None:
        self._slots: dict[str, Slot] = {}
        self.actions: list[AddressAction] = []
        self.deaths: dict[str, Event] = {}

    def slot(self, ip: str) -> Slot:
        if ip not in self._slots:
            held = ip_network(ip) if "/" in ip else ip_address(ip)
            kind = HoldingKind.PREFIX if "/" in ip else HoldingKind.SECONDARY
            self._slots[ip] = Slot(held=held, kind=kind)
        return self._slots[ip]

    def _add(
        self,
        key: str,
        action: ActionKind,
        second: int,
        eni: str,
        ip: str | None,
        *,
        reassign: bool = False,
        count: int | None = None,
    ) -> AddressAction:
        slot = WHOLE_ENI if ip is None else self.slot(ip)
        event = call(key, _EFFECTS[action], second, reassign=reassign, count=count)
        made = AddressAction(
            time=at(second),
            observed=Bound(at(second), Basis.OBSERVED, event),
            action=action,
            eni=eni,
            slot=slot,
            kind=slot.kind,
            reassigns=reassign,
        )
        self.actions.append(made)
        return made

    def assign(
        self, key: str, second: int, eni: str, ip: str = "10.0.0.5", *, count: int | None = None
    ) -> AddressAction:
        return self._add(key, ActionKind.ASSIGN, second, eni, ip, count=count)

    def reassign(self, key: str, second: int, eni: str, ip: str = "10.0.0.5") -> AddressAction:
        return self._add(key, ActionKind.ASSIGN, second, eni, ip, reassign=True)

    def show(self, key: str, second: int, eni: str, ip: str = "10.0.0.5") -> AddressAction:
        return self._add(key, ActionKind.SHOW, second, eni, ip)

    def release(self, key: str, second: int, eni: str, ip: str = "10.0.0.5") -> AddressAction:
        return self._add(key, ActionKind.RELEASE, second, eni, ip)

    def delete(self, key: str, second: int, eni: str) -> AddressAction:
        return self._add(key, ActionKind.DELETE_ENI, second, eni, None)

    def terminate(self, key: str, second: int, eni: str) -> AddressAction:
        made = self._add(key, ActionKind.TERMINATE, second, eni, None)
        self.deaths[eni] = made.event
        return made

    def holds(self, eni: str, ip: str = "10.0.0.5") -> None:
        """Give an ENI an address before the second."""
        slot = self.slot(ip)
        slot.open[eni] = LeaseDraft(held=slot.held, kind=slot.kind, eni=eni, start=UNKNOWN)

    def grouped(self) -> Second:
        return group(at(0), self.actions, self.deaths)

    def leases(self) -> list[str]:
        """Return the leases that the actions make, as lines of text."""
        enis = {action.eni for action in self.actions}
        interfaces = {eni: interface(eni) for eni in enis}
        slots = Fold(self._slots.values(), interfaces, self.deaths).read(self.actions)
        return [line(lease) for slot in slots for lease in slot.leases]


def interface(eni: str) -> Interface:
    return Interface(
        eni=eni,
        account="111111111111",
        region="eu-west-1",
        vpc="vpc-1",
        subnet=None,
        kind="other",
        created=UNKNOWN,
        deleted=UNKNOWN,
        mark=None,
        marked=None,
        tagged=(),
        attachments=Attachments(),
    )


def line(lease: LeaseDraft) -> str:
    rivals = f" against {','.join(sorted(lease.rivals - {lease.eni})) or 'itself'}" if lease.contested else ""
    return f"{lease.held} {lease.eni} {bound(lease.start)} to {bound(lease.end)}{rivals}"


def bound(one: Bound) -> str:
    second = "?" if one.time is None else str(int((one.time - NOON).total_seconds()))
    return second if one.basis is Basis.OBSERVED else f"{second} {one.basis.value}"


@pytest.fixture
def story() -> Story:
    return Story()


class TestGroup:
    def test_assignments_and_releases_are_grouped_by_eni_and_address(self, story: Story) -> None:
        first = story.assign("b", 0, "eni-a")
        second = story.assign("a", 0, "eni-a")
        other = story.release("c", 0, "eni-b", "10.0.0.6")
        found = story.grouped()
        assert found.assigned == {("eni-a", story.slot("10.0.0.5")): [second, first]}
        assert found.released == {("eni-b", story.slot("10.0.0.6")): [other]}

    def test_what_an_eni_had_before_is_noted(self, story: Story) -> None:
        story.holds("eni-a")
        story.assign("a", 0, "eni-a")
        story.assign("b", 0, "eni-b")
        assert story.grouped().held_before == {("eni-a", story.slot("10.0.0.5"))}

    def test_a_shown_address_that_the_eni_already_has_is_ignored(self, story: Story) -> None:
        story.holds("eni-a")
        story.show("a", 0, "eni-a")
        shown = story.show("b", 0, "eni-b")
        story.assign("c", 0, "eni-c")
        story.show("d", 0, "eni-c")
        slot = story.slot("10.0.0.5")
        found = story.grouped().assigned
        assert [kept.event.key for kept in found["eni-c", slot]] == ["c"]
        assert found["eni-b", slot] == [shown]
        assert ("eni-a", slot) not in found

    def test_deletions_and_terminations_are_by_eni(self, story: Story) -> None:
        deletion = story.delete("a", 0, "eni-a")
        termination = story.terminate("b", 0, "eni-b")
        found = story.grouped()
        assert found.deleted == {"eni-a": deletion}
        assert found.terminated == {"eni-b": termination.event}

    def test_a_termination_from_before_counts_and_a_later_one_does_not(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        story.assign("b", 0, "eni-b")
        story.deaths = {
            "eni-a": call("c", Effect.TERMINATE, -30),
            "eni-b": call("d", Effect.TERMINATE, 30),
        }
        assert set(story.grouped().terminated) == {"eni-a"}


class TestPrecedence:
    def test_reassignments_come_last_and_listings_come_after_assignments(self, story: Story) -> None:
        story.reassign("a", 0, "eni-a")
        story.show("b", 0, "eni-b")
        story.assign("d", 0, "eni-d")
        story.assign("c", 0, "eni-c")
        assert [action.eni for action in sorted(story.actions, key=precedence)] == [
            *("eni-c", "eni-d", "eni-b", "eni-a")
        ]


class TestOrder:
    @staticmethod
    def ordered(story: Story, *left: AddressAction) -> list[tuple[str, str | None]]:
        """Return the ENIs in order, each with the call that ends the assignment."""
        releases = {action.eni_slot: [action] for action in left}
        return [
            (gain.action.eni, gain.end.event.event_id if gain.end and gain.end.event else None)
            for gain in order(story.grouped(), releases)
        ]

    def test_a_lease_released_within_the_second_comes_before_one_that_is_kept(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        story.assign("b", 0, "eni-b")
        release = story.release("c", 0, "eni-b")
        assert self.ordered(story, release) == [("eni-b", "c"), ("eni-a", None)]

    def test_a_release_ends_only_one_lease(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        story.release("b", 0, "eni-a")
        assert self.ordered(story) == [("eni-a", None)]

    def test_a_reassignment_is_last_even_if_it_is_released_within_the_second(self, story: Story) -> None:
        story.reassign("a", 0, "eni-a")
        release = story.release("b", 0, "eni-a")
        story.assign("c", 0, "eni-c")
        assert self.ordered(story, release) == [("eni-c", None), ("eni-a", "b")]

    def test_no_lease_remains_on_a_deleted_or_terminated_eni(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        story.assign("b", 0, "eni-b")
        story.delete("c", 0, "eni-a")
        story.terminate("d", 0, "eni-b")
        assert self.ordered(story) == [("eni-a", "c"), ("eni-b", "d")]
        bases = [gain.end.basis for gain in order(story.grouped(), {}) if gain.end]
        assert bases == [Basis.OBSERVED, Basis.IMPLIED]

    def test_every_release_ends_one_of_several_assignments(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        story.assign("b", 0, "eni-a")
        release = story.release("c", 0, "eni-a")
        assert self.ordered(story, release) == [("eni-a", "c"), ("eni-a", None)]


class TestContests:
    @staticmethod
    def found(story: Story) -> list[list[str]]:
        second = story.grouped()
        return [sorted(enis) for _, enis in contests(second, order(second, {}))]

    def test_one_eni_has_no_rival(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        assert self.found(story) == []

    def test_two_enis_that_get_one_address_are_rivals(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        story.assign("b", 0, "eni-b")
        story.assign("c", 0, "eni-c", "10.0.0.6")
        assert self.found(story) == [["eni-a", "eni-b"]]

    def test_a_single_reassignment_came_last(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        story.assign("b", 0, "eni-b")
        story.reassign("c", 0, "eni-c")
        assert self.found(story) == []

    def test_either_of_two_reassignments_may_have_come_last(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        story.reassign("b", 0, "eni-b")
        story.reassign("c", 0, "eni-c")
        assert self.found(story) == [["eni-b", "eni-c"]]

    def test_an_eni_that_had_the_address_before_did_not_get_it_after_another_one(self, story: Story) -> None:
        story.holds("eni-a")
        story.assign("a", 0, "eni-a")
        story.assign("b", 0, "eni-b")
        assert self.found(story) == []

    def test_an_eni_with_an_assignment_and_a_release_may_or_may_not_still_hold_the_address(
        self, story: Story
    ) -> None:
        story.holds("eni-a")
        story.assign("a", 0, "eni-a")
        story.release("b", 0, "eni-a")
        assert self.found(story) == [["eni-a"]]


class TestApply:
    def test_the_holder_before_releases_first(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        story.assign("b", 10, "eni-b")
        story.release("c", 10, "eni-a")
        assert story.leases() == ["10.0.0.5 eni-a 0 to 10", "10.0.0.5 eni-b 10 to ? open"]

    def test_an_assignment_and_release_in_one_second_make_a_lease_without_length(self, story: Story) -> None:
        story.assign("a", 10, "eni-a")
        story.release("b", 10, "eni-a")
        assert story.leases() == ["10.0.0.5 eni-a 10 to 10"]

    def test_rivals_are_noted_on_each_others_leases(self, story: Story) -> None:
        story.assign("a", 10, "eni-a")
        story.assign("b", 10, "eni-b")
        assert story.leases() == [
            "10.0.0.5 eni-a 10 to 10 implied against eni-b",
            "10.0.0.5 eni-b 10 to ? open against eni-a",
        ]

    def test_a_later_release_shows_which_rival_was_last(self, story: Story) -> None:
        story.assign("a", 10, "eni-a")
        story.assign("b", 10, "eni-b")
        story.release("c", 20, "eni-a")
        assert story.leases() == ["10.0.0.5 eni-b 10 to 10 implied", "10.0.0.5 eni-a 10 to 20"]

    def test_it_shows_so_of_whichever_rival_releases(self, story: Story) -> None:
        story.assign("a", 10, "eni-a")
        story.assign("b", 10, "eni-b")
        story.release("c", 20, "eni-b")
        assert story.leases() == ["10.0.0.5 eni-a 10 to 10 implied", "10.0.0.5 eni-b 10 to 20"]

    def test_release_and_assignment_of_one_eni_in_one_second_have_no_known_order(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        story.release("b", 10, "eni-a")
        story.assign("c", 10, "eni-a")
        assert story.leases() == [
            "10.0.0.5 eni-a 0 to 10",
            "10.0.0.5 eni-a 10 to ? open against itself",
        ]

    def test_a_release_that_no_assignment_explains_is_a_lease_of_unknown_start(self, story: Story) -> None:
        story.release("a", 10, "eni-a")
        assert story.leases() == ["10.0.0.5 eni-a ? implied to 10"]

    def test_a_deletion_ends_all_addresses_of_the_eni(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        story.assign("b", 0, "eni-a", "10.0.0.6")
        story.delete("c", 10, "eni-a")
        assert story.leases() == ["10.0.0.5 eni-a 0 to 10", "10.0.0.6 eni-a 0 to 10"]

    def test_a_deletion_after_a_termination_shows_that_the_addresses_stayed(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        story.terminate("b", 10, "eni-a")
        assert story.leases() == ["10.0.0.5 eni-a 0 to 10 implied"]
        again = Story()
        again.assign("a", 0, "eni-a")
        again.terminate("b", 10, "eni-a")
        again.delete("c", 30, "eni-a")
        assert again.leases() == ["10.0.0.5 eni-a 0 to 30"]

    def test_a_prefix_and_an_address_in_it_exclude_each_other(self, story: Story) -> None:
        story.assign("a", 0, "eni-a", "10.0.0.0/28")
        story.assign("b", 10, "eni-b")
        assert story.leases() == ["10.0.0.0/28 eni-a 0 to 10 implied", "10.0.0.5 eni-b 10 to ? open"]

    def test_an_address_that_ec2_chose_was_free_before(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        story.assign("b", 10, "eni-a", count=1)
        assert story.leases() == ["10.0.0.5 eni-a 0 to 10 implied", "10.0.0.5 eni-a 10 to ? open"]

    def test_an_address_that_a_caller_named_may_have_stayed(self, story: Story) -> None:
        story.assign("a", 0, "eni-a")
        story.assign("b", 10, "eni-a")
        assert story.leases() == ["10.0.0.5 eni-a 0 to ? open"]
