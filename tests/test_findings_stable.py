"""What has nothing to do with a problem changes no finding about it.

Unrelated records are, by design:

* **another place**: records of another account, or of another Region with IDs of its own. EC2 limits calls
  per account and Region, resources belong to one, and the rules judge each by its own evidence (accounts
  can share a VPC, so an ENI of unknown VPC with the same address in the same Region is not unrelated);
* **a quiet neighbor**: a node of another cluster and VPC in the same account and Region, with its own role,
  whose calls succeed. Its calls are within the time that the evidence covers, since how long the evidence
  goes on is part of several findings; they are at least five minutes away from a throttled call, since all
  callers share EC2's token buckets; and the evidence covers less than a day, after which callers can be new;
* **other records**: calls that change no addresses, and the same records again, in any order.

A finding is the same if all that it says is the same. Only what distinguishes a caller may differ: if another
caller has the same name, each has its cluster or ARN beside it.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from callers import Role, auto_scaling, node_session
from calls import Call, Eni, Instance, Subnet, assign, run_instances
from cni import CNI_1_18, node_tags
from conftest import FIXTURES
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace
from simulator import World, deliver, worlds
from stories import RUNBOOK_STORIES
from stories import STORIES as TESTED_STORIES
from trail import Trail

import cnitrail
from cnitrail.answers.filters import Filter
from cnitrail.answers.findings import findings
from cnitrail.decode import decode
from cnitrail.history import Ledger, build, cover
from cnitrail.model import AccountRegion, Finding, Origin, Record, Sign
from cnitrail.sources.layout import log_name

ALL_STORIES = TESTED_STORIES | RUNBOOK_STORIES
STORIES = sorted(ALL_STORIES)
ELSEWHERE = "999900001111"
OTHER_REGION = "ap-southeast-2"
WHERE: dict[str, Callable[["Evidence"], tuple[str, str]]] = {
    "another account": lambda here: (ELSEWHERE, here.place[1]),
    "another Region": lambda here: (here.place[0], OTHER_REGION),
    "another account and Region": lambda _: (ELSEWHERE, OTHER_REGION),
}
"""Places that have nothing to do with that of some evidence."""

AWAY = timedelta(minutes=5)
"""How far a quiet neighbor is from a throttled call: a bucket is full again after 20 seconds."""

Entry = dict[str, Any]


class Evidence(Struct, frozen=True):
    """Records, and the timestamps of the log files that they were in."""

    entries: Sequence[Entry]
    signs: frozenset[Sign]

    @property
    def places(self) -> set[AccountRegion]:
        """Return the accounts and Regions of the log files."""
        return {(account, region) for account, region, _ in self.signs}

    @property
    def begin(self) -> datetime:
        """Return the timestamp of the first log file."""
        return min(time for _, _, time in self.signs)

    @property
    def place(self) -> tuple[str, str]:
        """Return the only account and Region of the log files."""
        ((account, region),) = self.places
        assert account is not None
        assert region is not None
        return account, region

    def plus(self, entries: Iterable[Entry], signs: Iterable[Sign] = ()) -> "Evidence":
        """Return the evidence with more of it."""
        return Evidence([*self.entries, *entries], self.signs | frozenset(signs))


class Judged(Struct, frozen=True):
    """The findings in evidence, and the names of all callers in it."""

    findings: tuple[Finding, ...]
    names: frozenset[str]

    def plain(self, places: set[AccountRegion], *, exact: bool) -> list[tuple[Finding, list[str]]]:
        """Return what findings about some accounts and Regions say, without where their events were read."""
        return [
            _plain(found, exact=exact) for found in self.findings if (found.account, found.region) in places
        ]


def _plain(found: Finding, *, exact: bool) -> tuple[Finding, list[str]]:
    keys = sorted(event.key for event in found.events)
    said = (found.sentence, found.advice)
    if not exact:
        said = (re.sub(r" \([^()]*\)", "", said[0]), re.sub(r" \([^()]*\)", "", said[1]))
    return replace(found, sentence=said[0], advice=said[1], events=()), keys


@cache
def evidence_of(story: str) -> Evidence:
    """Return the evidence of a story."""
    files = ALL_STORIES[story]()
    signs = frozenset((file.account, file.region, file.delivered) for file in files)
    return Evidence([record for file in files for record in file.records], signs)


def evidence_of_world(world: World) -> Evidence:
    """Return the evidence of a simulated world."""
    entries: list[Entry] = []
    signs: set[Sign] = set()
    for name, records in deliver(world).files:
        log = log_name(name)
        assert log is not None
        signs.add((log.account, log.region, log.delivered))
        entries += records
    return Evidence(entries, frozenset(signs))


def judged(evidence: Evidence) -> Judged:
    """Return the findings in evidence."""
    ledger = Ledger()
    for index, entry in enumerate(evidence.entries):
        fact = decode(Record((Origin("log.json.gz", index),), json.dumps(entry).encode())).fact
        if fact is not None:
            ledger.add(fact)
    history = build(ledger.events(), ledger.sessions())
    found = findings(history, cover(evidence.signs, history.events), Filter())
    return Judged(found, frozenset(event.actor.label for event in history.events))


@cache
def judged_story(story: str) -> Judged:
    """Return the findings in a story."""
    return judged(evidence_of(story))


def moved(evidence: Evidence, account: str, region: str, to: datetime) -> Evidence:
    """Return evidence as of another account and Region, with other IDs and at another time."""
    text = json.dumps(evidence.entries)
    for old_account, old_region in evidence.places:
        assert old_account is not None
        assert old_region is not None
        text = text.replace(old_account, account).replace(old_region, region)
    text = re.sub(r"\b(i|eni|eni-attach|subnet|vpc|sg|r)-[0-9a-f]{17}\b", lambda m: _other(m, account), text)
    text = re.sub(r"\b(ASIA|AKIA|AROA|AIDA)[A-Z0-9]{9,17}\b", lambda m: _other_key(m, account), text)
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", lambda m: _other_uuid(m, account), text)
    begin = evidence.begin
    entries = json.loads(text)
    for entry in entries:
        later = datetime.fromisoformat(entry["eventTime"]) - begin + to
        entry["eventTime"] = later.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Evidence(entries, frozenset((account, region, time - begin + to) for _, _, time in evidence.signs))


def _other(found: re.Match[str], salt: str) -> str:
    return f"{found[1]}-0{hashlib.sha256((found[0] + salt).encode()).hexdigest()[:16]}"


def _other_key(found: re.Match[str], salt: str) -> str:
    digest = hashlib.sha256((found[0] + salt).encode()).hexdigest().upper()
    return found[1] + digest[: len(found[0]) - 4]


def _other_uuid(found: re.Match[str], salt: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, found[0] + salt))


def neighbor(place: AccountRegion, times: Sequence[datetime]) -> list[Entry]:
    """Return the records of a quiet node: its launch, and an assignment of one address at each other time."""
    account, region = place
    assert account is not None
    assert region is not None
    trail = Trail("neighbor", account, region, "2026-01-01", "1.11")
    subnet = Subnet(
        "subnet-0eeeeeeeeeeeeeee1", "vpc-0eeeeeeeeeeeeeee1", account, f"{region}a", "sg-0eeeeeeeeeeeeee1"
    )
    primary = Eni("eni-0eeeeeeeeeeeeeee1", subnet, "10.251.0.4", "eni-attach-0eeeeeeeeeeeeeee1")
    node = Instance("i-0eeeeeeeeeeeeeee1", "m5.4xlarge", primary, node_tags("quiet", "still"))
    born, *later = sorted(times)
    cni = node_session(Role(account, "quiet-NodeInstanceRole"), node.id, born, "192.0.2.251", CNI_1_18).caller
    entries = [trail.record(born, auto_scaling(account, born), run_instances(node))]
    entries += [
        trail.record(time, cni, assign(primary.id, f"10.251.0.{number}"))
        for number, time in enumerate(later, 5)
    ]
    return [*entries, trail.record(born, cni, Call("CreateSecurityGroup", {"groupName": "quiet"}))]


def spare_times(evidence: Evidence, place: AccountRegion) -> list[datetime]:
    """Return minutes that the evidence of a place covers, away from throttled calls."""
    times = sorted(time for *of, time in evidence.signs if tuple(of) == place)
    throttled = [
        datetime.fromisoformat(entry["eventTime"])
        for entry in evidence.entries
        if "RequestLimitExceeded" in entry.get("errorCode", "")
    ]
    minutes = int((times[-1] - times[0]) / timedelta(minutes=1))
    spare = [times[0] + timedelta(minutes=minute, seconds=30) for minute in range(minutes)]
    return [time for time in spare if all(abs(time - call) >= AWAY for call in throttled)]


def assert_unchanged(evidence: Evidence, before: Judged, more: Evidence) -> None:
    """Assert that more evidence of other places changes no finding about the places of the first."""
    after = judged(evidence.plus(more.entries, more.signs))
    exact = before.names.isdisjoint(after.names - before.names | judged(more).names)
    assert after.plain(evidence.places, exact=exact) == before.plain(evidence.places, exact=exact)


@pytest.mark.parametrize("story", STORIES)
class TestStories:
    @pytest.mark.parametrize("where", WHERE)
    @settings(max_examples=8)
    @given(other=st.sampled_from(STORIES), late=st.integers(-3600, 3600))
    def test_another_incident_elsewhere_changes_nothing(
        self, story: str, where: str, other: str, late: int
    ) -> None:
        assume(other != story)
        evidence = evidence_of(story)
        more = moved(evidence_of(other), *WHERE[where](evidence), evidence.begin + timedelta(seconds=late))
        assert_unchanged(evidence, judged_story(story), more)

    @pytest.mark.parametrize("where", WHERE)
    def test_the_same_incident_at_the_same_time_elsewhere_changes_nothing(
        self, story: str, where: str
    ) -> None:
        evidence = evidence_of(story)
        more = moved(evidence, *WHERE[where](evidence), evidence.begin)
        assert_unchanged(evidence, judged_story(story), more)

    @settings(max_examples=8)
    @given(data=st.data())
    def test_a_quiet_neighbor_changes_nothing(self, story: str, data: st.DataObject) -> None:
        evidence = evidence_of(story)
        place = evidence.place
        times = data.draw(
            st.lists(st.sampled_from(spare_times(evidence, place)), min_size=1, max_size=9, unique=True)
        )
        after = judged(evidence.plus(neighbor(place, times)))
        assert after.plain(evidence.places, exact=True) == judged_story(story).plain(
            evidence.places, exact=True
        )

    @settings(max_examples=8)
    @given(data=st.data())
    def test_order_and_repetition_change_nothing(self, story: str, data: st.DataObject) -> None:
        evidence = evidence_of(story)
        chance = data.draw(st.randoms(use_true_random=False))
        entries = [*evidence.entries, *chance.choices(evidence.entries, k=20)]
        chance.shuffle(entries)
        after = judged(Evidence(entries, evidence.signs))
        assert after.plain(evidence.places, exact=True) == judged_story(story).plain(
            evidence.places, exact=True
        )

    def test_findings_and_report_agree(self, story: str) -> None:
        case = cnitrail.read(FIXTURES / story)
        assert tuple(shown.finding for shown in case.report().findings or ()) == case.findings()


class TestWorlds:
    @settings(max_examples=25)
    @given(data=st.data(), world=worlds(max_actions=30))
    def test_an_incident_in_another_account_changes_nothing(self, data: st.DataObject, world: World) -> None:
        evidence = evidence_of_world(world)
        other = evidence_of(data.draw(st.sampled_from(STORIES)))
        assert_unchanged(evidence, judged(evidence), moved(other, ELSEWHERE, OTHER_REGION, evidence.begin))

    @settings(max_examples=25)
    @given(data=st.data(), world=worlds(max_actions=30))
    def test_another_world_in_another_account_changes_nothing(
        self, data: st.DataObject, world: World
    ) -> None:
        evidence = evidence_of_world(world)
        other = evidence_of_world(data.draw(worlds(max_actions=30)))
        assert_unchanged(evidence, judged(evidence), moved(other, ELSEWHERE, OTHER_REGION, evidence.begin))

    @settings(max_examples=25)
    @given(data=st.data(), world=worlds(max_actions=30))
    def test_a_quiet_neighbor_changes_nothing(self, data: st.DataObject, world: World) -> None:
        evidence = evidence_of_world(world)
        place = data.draw(st.sampled_from(sorted(evidence.places, key=str)))
        times = spare_times(evidence, place)
        if not times:
            return
        drawn = data.draw(st.lists(st.sampled_from(times), min_size=1, max_size=9, unique=True))
        before, after = judged(evidence), judged(evidence.plus(neighbor(place, drawn)))
        assert after.plain(evidence.places, exact=True) == before.plain(evidence.places, exact=True)

    @settings(max_examples=25)
    @given(world=worlds(max_actions=40), chance=st.randoms(use_true_random=False))
    def test_order_and_repetition_change_nothing(self, world: World, chance: Any) -> None:
        evidence = evidence_of_world(world)
        entries = [*evidence.entries, *chance.choices(evidence.entries, k=20)]
        chance.shuffle(entries)
        after = judged(Evidence(entries, evidence.signs))
        assert after.plain(evidence.places, exact=True) == judged(evidence).plain(evidence.places, exact=True)
