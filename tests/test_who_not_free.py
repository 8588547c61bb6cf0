"""``free`` is refused if anything may have assigned the address: one small story for each way."""

from ipaddress import ip_address

from msgspec.structs import replace
from test_history import assign, at, call, create, history, holdings, shown, steal, unassign
from test_who_free import ACCOUNT, GIVEN_UP, HELD, OTHER, codes, files, verdict, who

from cnitrail.answers.filters import Filter
from cnitrail.answers.who import HolderIndex
from cnitrail.history import cover
from cnitrail.model import Details, Effect, Event, Fidelity, HoldingKind, Sign, Subject, WhoAnswer

NEXT = create(1, "eni-b")
FREE = ("free", "not-assigned-since")
BOTH = [*files(), *files(account=OTHER)]
GAP_OF_OTHER = [*files(), *files((300, 4800), account=OTHER)]


def of_other(event: Event) -> Event:
    """Return an event of another account."""
    return replace(event, account=OTHER)


def filtered(wanted: Filter, *events: Event, signs: list[Sign]) -> WhoAnswer:
    past = history(*events)
    return HolderIndex(past, cover(signs, past.events)).who(ip_address("10.0.0.5"), at(1200), wanted)


class TestSharedVpcs:
    def test_a_filter_by_account_does_not_hide_a_prefix_that_another_account_holds(self) -> None:
        other = (of_other(NEXT), of_other(assign(700, "eni-b", "10.0.0.0/28")))
        said = filtered(Filter(account=(ACCOUNT,)), *GIVEN_UP, *other, signs=BOTH)
        assert (said.verdict, said.reasons[0].code) == ("unknown", "outside-filter")
        assert said.last_holder is not None

    def test_a_filter_by_account_does_not_hide_an_address_that_another_account_holds(self) -> None:
        other = (of_other(NEXT), of_other(assign(700, "eni-b", "10.0.0.5")))
        said = filtered(Filter(account=(ACCOUNT,)), *GIVEN_UP, *other, signs=BOTH)
        assert (said.verdict, said.reasons[0].code) == ("unknown", "outside-filter")

    def test_a_gap_of_an_account_whose_eni_is_in_an_unknown_vpc(self) -> None:
        unknown = of_other(assign(20, "eni-b", "10.0.0.9"))
        assert verdict(1200, *GIVEN_UP, unknown, signs=GAP_OF_OTHER) == ("unknown", "log-gap")
        assert verdict(1200, *GIVEN_UP, unknown, signs=BOTH) == FREE

    def test_a_gap_of_an_account_of_which_only_a_failed_call_names_the_vpc(self) -> None:
        asked = Subject(subnet="subnet-1", vpc="vpc-1")
        failed = of_other(call(Effect.CREATE, 20, asked, ok=False))
        assert verdict(1200, *GIVEN_UP, failed, signs=GAP_OF_OTHER) == ("unknown", "log-gap")
        assert verdict(1200, *GIVEN_UP, failed, signs=BOTH) == FREE

    def test_a_gap_of_an_account_in_another_region_does_not_matter(self) -> None:
        elsewhere = replace(of_other(assign(20, "eni-b", "10.0.0.9")), region="us-east-1")
        signs = [*files(), *((OTHER, "us-east-1", time) for _, _, time in files((300, 4800)))]
        assert verdict(1200, *GIVEN_UP, elsewhere, signs=signs) == FREE


class TestRecordsThatNameNoAddress:
    def test_an_assignment_by_number_without_its_response(self) -> None:
        asked = assign(700, "eni-b", count=1)
        assert verdict(1200, *GIVEN_UP, NEXT, asked) == ("unknown", "unnamed-addresses")
        assert verdict(650, *GIVEN_UP, NEXT, asked) == FREE

    def test_but_not_one_in_another_vpc_or_before_the_release(self) -> None:
        elsewhere = create(1, "eni-c", vpc="vpc-2")
        assert verdict(1200, *GIVEN_UP, elsewhere, assign(700, "eni-c", count=1)) == FREE
        assert verdict(1200, *GIVEN_UP, NEXT, assign(500, "eni-b", count=1)) == FREE

    def test_an_assignment_that_shows_fewer_addresses_than_asked_for(self) -> None:
        asked = assign(700, "eni-b", "10.0.0.6", count=2)
        assert verdict(1200, *GIVEN_UP, NEXT, asked) == ("unknown", "unnamed-addresses")
        assert verdict(1200, *GIVEN_UP, NEXT, assign(700, "eni-b", "10.0.0.6", count=1)) == FREE

    def test_a_creation_or_launch_without_its_response(self) -> None:
        made = (
            call(Effect.CREATE, 700, Subject(subnet="subnet-1")),
            call(Effect.CREATE, 700, Subject(eni="eni-c", vpc="vpc-1")),
            call(Effect.LAUNCH, 700, Subject(subnet="subnet-1", requested=2)),
            call(Effect.LAUNCH, 700, Subject(instance="i-9", vpc="vpc-1")),
        )
        for event in made:
            assert verdict(1200, *GIVEN_UP, event) == ("unknown", "unnamed-addresses")

    def test_a_creation_whose_response_names_only_the_primary_address(self) -> None:
        asked = Subject(
            eni="eni-c",
            vpc="vpc-1",
            added=(replace(holdings(["10.0.0.9"])[0], kind=HoldingKind.PRIMARY),),
            requested=4,
            requested_kind=HoldingKind.SECONDARY,
        )
        assert verdict(1200, *GIVEN_UP, call(Effect.CREATE, 700, asked)) == ("unknown", "unnamed-addresses")

    def test_a_failed_call_or_a_launch_on_an_existing_eni_gives_no_address(self) -> None:
        failed = call(Effect.ASSIGN, 700, Subject(eni="eni-b", requested=1), ok=False)
        existing = call(
            Effect.LAUNCH,
            800,
            Subject(eni="eni-b", vpc="vpc-1", instance="i-9", details=Details(existing=True)),
        )
        subnet = call(
            Effect.CREATE, 900, Subject(vpc="vpc-1", subnet="subnet-9", details=Details(resource="subnet-9"))
        )
        assert verdict(1200, *GIVEN_UP, NEXT, failed, existing, subnet) == FREE

    def test_a_fleet_whose_instances_run_instances_describes(self) -> None:
        launched = shown(800, "eni-c", "10.0.0.9", instance="i-9")
        fleet = call(Effect.LAUNCH, 801, Subject(instance="i-9"), "CreateFleet")
        assert verdict(1200, *GIVEN_UP, launched, fleet) == FREE
        assert verdict(1200, *GIVEN_UP, fleet) == ("unknown", "unnamed-addresses")


class TestRecordsThatAreNotWhole:
    def test_a_damaged_record_may_have_named_the_address(self) -> None:
        damaged = replace(assign(700, "eni-b", "10.0.0.6"), damaged=True)
        assert verdict(1200, *GIVEN_UP, NEXT, damaged) == ("unknown", "damaged-file")
        assert verdict(650, *GIVEN_UP, NEXT, damaged) == FREE

    def test_so_may_a_copy_without_all_fields_even_if_the_user_says_that_nothing_is_missing(self) -> None:
        partial = replace(assign(700, "eni-b", "10.0.0.6"), fidelity=Fidelity.PARTIAL)
        assert verdict(1200, *GIVEN_UP, NEXT, partial, assume_complete=True) == ("unknown", "partial-copy")


class TestTheEndOfTheEvidence:
    def test_log_files_may_come_as_late_as_usual_unless_the_user_says_that_none_is_missing(self) -> None:
        last = create(720, "eni-z", "10.0.0.99")
        assert verdict(700, *GIVEN_UP, last, signs=[], assume_complete=True) == FREE
        assert verdict(721, *GIVEN_UP, last, signs=[], assume_complete=True) == ("unknown", "after-evidence")
        assert codes(who(700, *GIVEN_UP, last, signs=files(last=900)))[-1] == "after-evidence"


class TestOneSecond:
    def test_an_address_that_two_enis_got_and_one_released_is_not_free(self) -> None:
        calls = (
            create(1, "eni-b"),
            create(600, "eni-c", "10.0.0.5"),
            steal(600, "eni-b", "10.0.0.5"),
            unassign(600, "eni-b", "10.0.0.5"),
        )
        assert who(1200, *calls).verdict != "free"

    def test_a_chain_of_reassignments_ends_with_the_release_of_the_last(self) -> None:
        chain = (
            *HELD,
            NEXT,
            create(2, "eni-c"),
            steal(700, "eni-b", "10.0.0.5"),
            steal(800, "eni-c", "10.0.0.5"),
        )
        assert who(900, *chain, unassign(850, "eni-b", "10.0.0.5")).verdict != "free"
        assert verdict(1200, *chain, unassign(900, "eni-c", "10.0.0.5")) == FREE

    def test_a_late_release_of_a_part_of_a_prefix_is_none(self) -> None:
        prefix = (create(0, "eni-a"), assign(10, "eni-a", "10.0.0.0/28"))
        assert who(1200, *prefix, unassign(600, "eni-a", "10.0.0.5")).verdict != "free"
        taken = (*prefix, unassign(600, "eni-a", "10.0.0.0/28"), NEXT, assign(700, "eni-b", "10.0.0.5"))
        assert who(1200, *taken).verdict != "free"


class TestWhatAFilterLeavesOut:
    def test_an_answer_for_one_account_says_that_others_may_share_the_vpc(self) -> None:
        said = filtered(Filter(account=(ACCOUNT,)), *GIVEN_UP, signs=files())
        assert said.verdict == "free"
        assert "shared-vpc" in codes(said)
        assert "shared-vpc" not in codes(filtered(Filter(), *GIVEN_UP, signs=files()))
