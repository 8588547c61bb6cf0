"""``who`` of a released address: ``free`` only if the logs since are complete, and nobody has it."""

import gzip
import json
import random
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from conftest import FIXTURES, Run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incidents import read
from msgspec.structs import replace
from simulator import (
    DELETED,
    UNASSIGNED,
    Delivery,
    Question,
    World,
    deliver,
    deliveries,
    questions,
    random_world,
    small_world,
    spell,
    worlds,
)
from test_history import (
    assign,
    at,
    attach,
    call,
    create,
    delete,
    history,
    steal,
    terminate,
    unassign,
)

from cnitrail.answers.filters import Filter
from cnitrail.answers.who import HolderIndex
from cnitrail.history import cover
from cnitrail.model import Details, Effect, Event, History, Lost, Proven, Sign, Subject, Verdict, WhoAnswer
from cnitrail.model.coverage import UncheckedTable
from cnitrail.model.reason import ReasonCode

thorough = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
DELIVERY, WINDOW = 600, 300
"""Seconds before the last log file of which events may still be missing, and between log files."""


def answer(index: HolderIndex, question: Question, wanted: Filter) -> WhoAnswer:
    return index.who(ip_address(question.ip), datetime.fromtimestamp(question.second, UTC), wanted)


def vpcs_shown(history: History, ip: str) -> set[str | None]:
    """Return the VPCs in which the evidence shows an address."""
    forms = {ip_address(ip), *(held for held in history.holders if str(held) in spell(ip))}
    return {lease.vpc for held in forms for group in history.holders.get(held, ()) for lease in group}


def never_wrong(world: World, delivery: Delivery) -> int:
    """Assert that nobody held an address that is free; return the number of these answers.

    Nothing shows the ENIs of an account whose trail is not there at all: it may share the VPC. Nor does
    anything show that logs end before a file which was delivered late: with CloudTrail, no logs do.
    """
    losses = delivery.losses
    if losses.end is not None and (losses.late or losses.repeated):
        return 0
    history, coverage = read(delivery)
    index = HolderIndex(history, coverage)
    accounts = {vpc.id: vpc.accounts for vpc in world.vpcs}
    free = 0
    for question in questions(world, delivery, count=80):
        for wanted in (Filter(vpc=(question.vpc,)), Filter()):
            said = answer(index, question, wanted)
            if said.verdict is not Verdict.FREE:
                continue
            assert said.holders == ()
            assert said.last_holder is not None
            free += 1
            asked = {question.vpc} if wanted.vpc else vpcs_shown(history, question.ip)
            held = {
                (vpc, eni)
                for vpc, eni in world.holders_throughout(question.ip, question.second)
                if vpc in asked and not losses.accounts.intersection(accounts[vpc])
            }
            assert not held, (question, said)
    return free


class TestNeverFreeIfSomebodyHoldsIt:
    @thorough
    @given(data=st.data())
    def test_whatever_the_logs_lack(self, data: st.DataObject) -> None:
        world: World = data.draw(worlds())
        never_wrong(world, data.draw(deliveries(world)))

    def test_in_many_small_worlds_whose_logs_lack_much(self, pytestconfig: pytest.Config) -> None:
        first, free = pytestconfig.getoption("--first-world"), 0
        for seed in range(first, first + pytestconfig.getoption("--worlds")):
            world, losses = small_world(seed)
            try:
                free += never_wrong(world, deliver(world, losses))
            except AssertionError as error:
                raise AssertionError(f"small_world({seed}): {losses}") from error
        assert free


class TestFreeIfNobodyHasItSinceAnObservedRelease:
    @pytest.mark.parametrize("seed", range(3))
    def test_in_complete_logs(self, seed: int) -> None:
        world = random_world(seed, actions=2500)
        history, coverage = read(deliver(world))
        index = HolderIndex(history, coverage)
        last = (world.now // 1000 // WINDOW + 1) * WINDOW - DELIVERY
        asked = ambiguous = 0
        for question in questions(world, count=4000, seed=seed):
            holding = world.latest(question.ip, question.second, question.vpc)
            assert holding is not None or question.eni is None
            if holding is None or holding.end is None or holding.ending not in (UNASSIGNED, DELETED):
                continue
            if holding.end // 1000 < question.second <= last:
                asked += 1
                said = answer(index, question, Filter(vpc=(question.vpc,)))
                if said.verdict is Verdict.AMBIGUOUS or said.reasons[-1].code is ReasonCode.ORDER_UNKNOWN:
                    # calls of one second, whose order is not known
                    ambiguous += 1
                    continue
                assert said.verdict is Verdict.FREE, (question, said)
                assert said.last_holder is not None
                assert said.last_holder.eni == holding.eni.id
        assert asked > 100
        assert ambiguous <= asked // 10


HELD = (create(0, "eni-a"), assign(10, "eni-a", "10.0.0.5"))
GIVEN_UP = (*HELD, unassign(600, "eni-a", "10.0.0.5"))
ACCOUNT, REGION = "111111111111", "eu-west-1"
OTHER = "222222222222"


def files(*gaps: tuple[int, int], account: str = ACCOUNT, last: int = 14_400) -> list[Sign]:
    """Return the times of log files, one every five minutes for four hours, except in the gaps."""
    every = range(-3600, last + 1, 300)
    kept = [second for second in every if not any(start <= second < end for start, end in gaps)]
    return [(account, REGION, at(second)) for second in kept]


def who(
    second: int,
    *events: Event,
    signs: list[Sign] | None = None,
    vpc: str = "",
    ip: str = "10.0.0.5",
    tables: tuple[UncheckedTable, ...] = (),
    **more: object,
) -> WhoAnswer:
    past = history(*events)
    coverage = cover(files() if signs is None else signs, past.events, **more)  # type: ignore[arg-type]
    coverage = replace(coverage, tables=tables)
    index = HolderIndex(past, coverage, verified="proven" in more)
    return index.who(ip_address(ip), at(second), Filter(vpc=(vpc,) if vpc else ()))


def verdict(second: int, *events: Event, **more: object) -> tuple[str, str]:
    """Return the verdict, and the code of the last reason."""
    said = who(second, *events, **more)  # type: ignore[arg-type]
    return said.verdict.value, said.reasons[-1].code.value


class TestStories:
    def test_after_its_release_an_address_is_free_and_its_last_holder_is_named(self) -> None:
        said = who(1200, *GIVEN_UP)
        assert (said.verdict, said.holders, said.rests_on) == ("free", (), "merely_read")
        assert said.last_holder is not None
        assert (said.last_holder.eni, said.last_holder.end) == ("eni-a", at(600))
        assert said.reasons[-1].text == (
            "no event assigns it from 2026-03-01 12:10:00Z to 2026-03-01 12:20:00Z, "
            "and the logs of that time have no gap"
        )

    def test_in_the_second_of_the_release_it_is_ambiguous_and_after_the_next_assignment_certain(self) -> None:
        again = (
            *GIVEN_UP,
            create(1, "eni-b"),
            assign(900, "eni-b", "10.0.0.5"),
            unassign(950, "eni-b", "10.0.0.5"),
        )
        asked = [who(second, *again).verdict.value for second in (600, 601, 899, 900, 901, 950, 951)]
        assert asked == ["ambiguous", "free", "free", "ambiguous", "certain", "ambiguous", "free"]

    def test_after_the_deletion_of_its_eni_it_is_free(self) -> None:
        assert verdict(1200, *HELD, delete(600, "eni-a")) == ("free", "not-assigned-since")

    def test_a_termination_or_a_later_holder_elsewhere_shows_no_release(self) -> None:
        launched = (create(0, "eni-a", "10.0.0.5"), attach(1, "eni-a", "i-1", "eni-attach-1"))
        assert who(1200, *launched, terminate(600, "i-1")).verdict == "likely"
        moved = (*HELD, create(1, "eni-b"), steal(700, "eni-b", "10.0.0.5"))
        assert who(800, *moved, unassign(900, "eni-a", "10.0.0.5")).verdict != "free"

    def test_an_eni_launched_in_the_second_of_the_release_may_have_it(self) -> None:
        launched = (create(600, "eni-b", "10.0.0.5"), create(1, "eni-a"), steal(600, "eni-a", "10.0.0.5"))
        assert who(1200, *launched, unassign(600, "eni-a", "10.0.0.5")).verdict != "free"

    def test_an_assignment_in_the_second_of_the_release_may_have_come_after_it(self) -> None:
        once = (
            create(0, "eni-a", "10.0.0.9"),
            assign(600, "eni-a", "10.0.0.5"),
            unassign(600, "eni-a", "10.0.0.5"),
        )
        assert verdict(1200, *once) == ("free", "not-assigned-since")
        taken = (
            assign(10, "eni-a", "10.0.0.5"),
            create(1, "eni-b", "10.0.0.8"),
            steal(20, "eni-b", "10.0.0.5"),
        )
        for back in ((), (steal(20, "eni-a", "10.0.0.5"),)):
            assert verdict(1200, *once, *taken, *back)[1] == "order-unknown"

    def test_a_prefix_and_an_ipv6_address_are_free_after_their_release(self) -> None:
        for held, ip in (("10.0.0.0/28", "10.0.0.5"), ("2001:db8::5", "2001:db8::5")):
            events = (create(0, "eni-a"), assign(10, "eni-a", held), unassign(600, "eni-a", held))
            assert verdict(1200, *events, ip=ip) == ("free", "not-assigned-since")

    def test_an_address_held_through_a_prefix_since_its_release_is_not_free(self) -> None:
        taken = (*GIVEN_UP, create(1, "eni-b"), assign(700, "eni-b", "10.0.0.0/28"))
        assert who(1200, *taken).verdict != "free"


class TestWhatLeavesItUnknown:
    def test_a_gap_since_the_release_or_at_the_second(self) -> None:
        for second in (5000, 3000):
            assert verdict(second, *GIVEN_UP, signs=files((1500, 4800))) == ("unknown", "log-gap")
        assert verdict(1000, *GIVEN_UP, signs=files((3600, 7200))) == ("free", "not-assigned-since")

    def test_a_gap_before_the_release_matters_only_if_the_eni_was_deleted(self) -> None:
        before = files((100, 3900))
        late = (*HELD, unassign(5000, "eni-a", "10.0.0.5"))
        assert verdict(6000, *late, signs=before) == ("free", "not-assigned-since")
        assert verdict(6000, *HELD, delete(5000, "eni-a"), signs=before) == ("unknown", "log-gap")

    def test_the_end_of_the_evidence_and_the_minutes_before_it(self) -> None:
        asked = [verdict(second, *GIVEN_UP, signs=files(last=3600)) for second in (3000, 3001, 3600, 3601)]
        assert asked == [("free", "not-assigned-since"), *[("unknown", "after-evidence")] * 3]

    def test_an_unread_record_since_then(self) -> None:
        lost = Lost(account=ACCOUNT, region=REGION, start=at(700), end=at(700))
        assert verdict(1200, *GIVEN_UP, lost=[lost]) == ("unknown", "unread-file")

    def test_evidence_of_which_nothing_shows_that_it_is_complete(self) -> None:
        later = create(9000, "eni-z", "10.0.0.99")
        assert verdict(1200, *GIVEN_UP, later, signs=[]) == ("unknown", "coverage-unknown")

    def test_another_vpc_in_which_its_end_is_not_logged(self) -> None:
        other = (create(0, "eni-b", vpc="vpc-2"), assign(10, "eni-b", "10.0.0.5"))
        assert who(1200, *GIVEN_UP, *other).verdict == "likely"
        assert verdict(1200, *GIVEN_UP, *other, vpc="vpc-1") == ("free", "not-assigned-since")

    def test_an_eni_of_unknown_vpc_that_may_hold_it(self) -> None:
        unknown = assign(20, "eni-old", "10.0.0.5")
        assert verdict(1200, *GIVEN_UP, unknown, vpc="vpc-1") == ("unknown", "vpc-unknown")

    def test_a_gap_of_another_account_with_enis_in_the_vpc(self) -> None:
        shared = call_of(OTHER, 5, Subject(eni="eni-b", vpc="vpc-1"))
        complete = [*files(), *files(account=OTHER)]
        assert verdict(1200, *GIVEN_UP, shared, signs=complete) == ("free", "not-assigned-since")
        assert "shared-vpc" in codes(who(1200, *GIVEN_UP, shared, signs=complete))
        assert codes(who(1200, *GIVEN_UP, shared))[-2:] == ["after-evidence", "coverage-unknown"]
        gap = [*files(), *files((700, 4800), account=OTHER)]
        assert verdict(7000, *GIVEN_UP, shared, signs=gap) == ("unknown", "log-gap")

    def test_a_vpc_endpoint_whose_addresses_no_record_names(self) -> None:
        made = Subject(vpc="vpc-1", details=Details(resource="vpce-1", interface_type="vpc_endpoint"))
        endpoint = call(Effect.CREATE, 700, made, "CreateVpcEndpoint")
        assert verdict(1200, *GIVEN_UP, endpoint) == ("unknown", "unnamed-addresses")
        assert verdict(650, *GIVEN_UP, endpoint) == ("free", "not-assigned-since")

    def test_a_vpc_endpoint_that_gets_another_subnet(self) -> None:
        made = Subject(details=Details(resource="vpce-1", interface_type="vpc_endpoint"))
        endpoint = call(Effect.ASSIGN, 700, made, "ModifyVpcEndpoint")
        assert verdict(1200, *GIVEN_UP, endpoint) == ("unknown", "unnamed-addresses")

    def test_the_deletion_of_a_nat_gateway_which_deletes_its_eni_later(self) -> None:
        gateway = Subject(
            eni="eni-a", vpc="vpc-1", details=Details(resource="nat-1", interface_type="nat_gateway")
        )
        made = call(Effect.CREATE, 0, gateway, "CreateNatGateway")
        gone = call(Effect.DELETE, 600, Subject(details=Details(resource="nat-1")), "DeleteNatGateway")
        assert who(1200, made, assign(1, "eni-a", "10.0.0.5"), gone).verdict == "unknown"

    def test_digests_that_do_not_prove_the_time_since_the_release(self) -> None:
        proven = Proven(account=ACCOUNT, region=REGION, start=at(-3600), end=at(14_400))
        assert who(1200, *GIVEN_UP, proven=[proven]).verdict == "free"
        assert who(1200, *GIVEN_UP, proven=[proven]).rests_on == "proven"
        early = Proven(account=ACCOUNT, region=REGION, start=at(-3600), end=at(4000))
        said = who(1200, *GIVEN_UP, proven=[early])
        assert (said.verdict, said.rests_on, said.reasons[-1].code) == ("unknown", None, "not-proven")

    def test_rows_that_an_engine_left_out_may_have_assigned_it(self) -> None:
        table = (UncheckedTable("athena://default.logs"),)
        said = who(1200, *GIVEN_UP, tables=table)
        assert (said.verdict, codes(said)[-1]) == ("unknown", "table-not-checked")
        assert said.reasons[-1].text.startswith("nothing shows whether athena://default.logs returned all")
        assert who(1200, *GIVEN_UP, tables=table, assume_complete=True).verdict == "free"
        proven = Proven(account=ACCOUNT, region=REGION, start=at(-3600), end=at(14_400))
        assert who(1200, *GIVEN_UP, tables=table, proven=[proven]).verdict == "free"
        assert who(100, *GIVEN_UP, tables=table).verdict == "certain"


def codes(said: WhoAnswer) -> list[str]:
    return [reason.code.value for reason in said.reasons]


def call_of(account: str, second: int, subject: Subject) -> Event:
    """Return the creation of an ENI in an account."""
    return replace(call(Effect.CREATE, second, subject), account=account)


TWO_VPCS = FIXTURES / "two-vpcs"


@pytest.fixture
def records() -> list[dict[str, object]]:
    """Return the records of the story in no order, some of them twice."""
    found = [
        record
        for path in sorted(TWO_VPCS.rglob("*.json.gz"))
        for record in json.loads(gzip.decompress(path.read_bytes())).get("Records", [])
    ]
    found += found[:7]
    random.Random(1).shuffle(found)
    return found


class TestEveryForm:
    """The records of a story in every form of complete evidence, in any order and with duplicates."""

    def test_trail_files_and_a_store(self, run: Run, tmp_path: Path) -> None:
        store = tmp_path / "trail.db"
        assert run("collect", TWO_VPCS, "--to", store).exit_code == 0
        assert verdict_of(run, TWO_VPCS) == verdict_of(run, store) == "free"

    def test_an_export_of_lookup_events_that_the_user_calls_complete(
        self, run: Run, tmp_path: Path, records: list[dict[str, object]]
    ) -> None:
        export = tmp_path / "events.json"
        events = [{"EventId": record["eventID"], "CloudTrailEvent": json.dumps(record)} for record in records]
        export.write_text(json.dumps({"Events": events}))
        assert verdict_of(run, export, "--assume-complete") == "free"

    def test_records_one_a_line(self, run: Run, tmp_path: Path, records: list[dict[str, object]]) -> None:
        lines = tmp_path / "records.ndjson"
        lines.write_text("\n".join(map(json.dumps, records)))
        assert verdict_of(run, lines, "--assume-complete") == "free"


def verdict_of(run: Run, *source: object) -> str:
    """Return the verdict about the address 90 seconds after its release."""
    asked = ("10.0.1.26", "--vpc", "vpc-0b1e5a7c9d3f24680", "--at", "2026-02-10T10:56:32Z")
    result = run("who", *asked, *source, "-o", "json")
    return str(json.loads(result.stdout)["entries"][0]["verdict"])
