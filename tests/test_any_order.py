"""The same events give the same answers, however their files are shuffled, split and repeated."""

import gzip
import json
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import write as fixtures
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from stories import STORIES as ALL_STORIES

from cnitrail.cli import main
from cnitrail.decode import decode
from cnitrail.history import Ledger, build
from cnitrail.model import Event, IssuedSession, Lease, Origin, Record

RECORDS: dict[str, list[Any]] = {
    story: [record for text in fixtures.files(story).values() for record in json.loads(text)["Records"]]
    for story in ALL_STORIES
}


def answers(files: list[list[Any]]) -> tuple[list[Any], set[str], str]:
    """The timeline without origins, the ids of all events that have one, and the leases as printed."""
    with TemporaryDirectory() as folder:
        for number, records in enumerate(files):
            text = json.dumps({"Records": records}).encode()
            Path(folder, f"{number}.json.gz").write_bytes(gzip.compress(text) if number % 2 else text)
        result = CliRunner().invoke(main, ["timeline", folder, "-o", "jsonl"])
        leases = CliRunner().invoke(main, ["leases", folder, "-o", "jsonl"])
    assert (result.exit_code, leases.exit_code) == (0, 0), result.stderr
    entries = [json.loads(line) for line in result.stdout.splitlines()]
    with_origin = {entry["event_id"] for entry in entries if entry.pop("origins")}
    return entries, with_origin, leases.stdout


@pytest.mark.parametrize("story", sorted(RECORDS))
class TestAnyOrder:
    @settings(max_examples=12)
    @given(data=st.data())
    def test_shuffling_splitting_and_repeating_changes_nothing(self, story: str, data: st.DataObject) -> None:
        records = RECORDS[story]
        shuffled = data.draw(st.permutations(records))
        repeated = shuffled + data.draw(st.lists(st.sampled_from(records), max_size=10))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(repeated)), max_size=6)))
        files = [repeated[a:b] for a, b in zip([0, *cuts], [*cuts, len(repeated)], strict=True)]
        assert answers(files) == answers([records])


Copy = tuple[dict[str, Any], str, str | None]
"""A record, its form, and the field that this copy lacks."""

LACKING = (None, "userIdentity", "userAgent", "sourceIPAddress", "awsRegion", "eventID", "requestID")


def history_of(copies: list[Copy]) -> tuple[list[Event], list[IssuedSession], list[Lease]]:
    """The events, sessions and leases, without origins."""
    ledger = Ledger()
    for index, (record, form, lacking) in enumerate(copies):
        entry = {name: value for name, value in record.items() if name != lacking}
        fact = decode(Record((Origin("file", index, form),), json.dumps(entry).encode())).fact
        if fact is not None:
            ledger.add(fact)
    assert ledger.disputes() == []
    nowhere = (Origin("", 0),)
    events = [replace(event, origins=nowhere) for event in ledger.events()]
    sessions = [replace(session, origins=nowhere) for session in ledger.sessions()]
    return events, sessions, [*build(tuple(events), tuple(sessions)).leases]


@pytest.mark.parametrize("story", sorted(RECORDS))
class TestMixedForms:
    @settings(max_examples=6)
    @given(seed=st.integers(0, 2**32))
    def test_other_copies_among_raw_records_change_nothing(self, story: str, seed: int) -> None:
        chance = Random(seed)
        raw: list[Copy] = [(record, "trail", None) for record in RECORDS[story]]
        whole = [(record, "lookup-events", None) for record in chance.choices(RECORDS[story], k=5)]
        others = [
            (record, chance.choice(("athena", "security-lake", "sentinel")), chance.choice(LACKING))
            for record in chance.choices(RECORDS[story], k=40)
        ]
        mixed = [*raw, *whole, *others]
        chance.shuffle(mixed)
        assert history_of(mixed) == history_of(raw)

    @settings(max_examples=6)
    @given(seed=st.integers(0, 2**32))
    def test_the_order_of_copies_that_are_not_raw_changes_nothing(self, story: str, seed: int) -> None:
        chance = Random(seed)
        copies: list[Copy] = [
            (record, form, chance.choice(LACKING))
            for record in RECORDS[story]
            for form in ("athena", "security-lake", "sentinel")
        ]
        assert history_of(chance.sample(copies, len(copies))) == history_of(copies)


class TestRepeats:
    def test_a_repeated_event_is_one_entry_with_all_its_origins(self, tmp_path: Path) -> None:
        record = next(one for one in RECORDS["ironman"] if one["eventName"] == "AttachNetworkInterface")
        for name in ("a.json", "b.json"):
            (tmp_path / name).write_text(json.dumps({"Records": [record]}))
        result = CliRunner().invoke(main, ["timeline", str(tmp_path), "-o", "json"])
        answer = json.loads(result.stdout)
        (entry,) = answer["entries"]
        assert [Path(origin["source"]).name for origin in entry["origins"]] == ["a.json", "b.json"]
        (source,) = answer["evidence"]["sources"]
        assert (source["records"], source["relevant"], source["duplicates"]) == (2, 2, 1)

    def test_a_correction_replaces_the_event_that_it_corrects(self, tmp_path: Path) -> None:
        record = next(one for one in RECORDS["ironman"] if one["eventName"] == "AttachNetworkInterface")
        correction = json.loads(json.dumps(record))
        correction["eventID"] = "00000000-0000-4000-8000-000000000001"
        correction["requestParameters"]["deviceIndex"] = 2
        correction["addendum"] = {
            "reason": "UPDATED_DATA",
            "updatedFields": "requestParameters",
            "originalEventID": record["eventID"],
        }
        for files in ([record, correction], [correction, record]):
            (tmp_path / "log.json").write_text(json.dumps({"Records": files}))
            result = CliRunner().invoke(main, ["timeline", str(tmp_path), "-o", "jsonl"])
            (entry,) = map(json.loads, result.stdout.splitlines())
            assert (entry["event_id"], entry["device_index"]) == (correction["eventID"], 2)
