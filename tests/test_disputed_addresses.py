"""An address that another ENI may have: ``leases`` and ``state`` say so, in the word of ``who``."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from records import Entry
from test_evidence_rules import create, reassign

VIP = "10.0.1.50"
FIRST, SECOND = "eni-0a1a1a1a1a1a1a1a1", "eni-0b2b2b2b2b2b2b2b2"
SPLIT_BRAIN = (
    create("10:00:00", FIRST, "10.0.1.10"),
    create("10:00:01", SECOND, "10.0.1.11"),
    reassign("10:30:00", FIRST, VIP),
    reassign("10:30:00", SECOND, VIP),
)
"""Two nodes take the address of a failover pair in one second."""

TAKEN_BY_A_STRANGER = (
    create("10:00:00", FIRST, "10.0.1.10"),
    reassign("10:10:00", FIRST, VIP),
    reassign("10:30:00", SECOND, VIP),
)
"""No event shows the VPC of the second ENI."""


@pytest.fixture
def entries(run: Run, tmp_path: Path) -> Any:
    def entries(command: str, records: tuple[Entry, ...], *options: str) -> Any:
        (tmp_path / "log.json").write_text(json.dumps({"Records": records}))
        result = run(command, *options, str(tmp_path / "log.json"), "-o", "json")
        return json.loads(result.stdout)["entries"]

    return entries


def test_two_enis_that_took_an_address_in_one_second_are_both_in_doubt(entries: Any) -> None:
    leases = entries("leases", SPLIT_BRAIN, "--ip", VIP)
    assert [(lease["eni"], lease["end"], lease["doubt"]) for lease in leases] == [
        (FIRST, "2024-05-14T10:30:00Z", "order-unknown"),
        (SECOND, None, "order-unknown"),
    ]
    [answer] = entries("who", SPLIT_BRAIN, VIP, "--at", "2024-05-14T11:00:00Z")
    assert (answer["verdict"], {holder["eni"] for holder in answer["holders"]}) == (
        "ambiguous",
        {FIRST, SECOND},
    )
    assert "order-unknown" in [reason["code"] for reason in answer["reasons"]]


def test_the_state_has_it_at_both_and_doubts_that_address_only(entries: Any) -> None:
    for time in ("10:30:00", "11:00:00"):
        enis = entries("state", SPLIT_BRAIN, "--ip", VIP, "--at", f"2024-05-14T{time}Z")
        assert {
            eni["eni"]: [(address["ip"], address["doubt"]) for address in eni["addresses"]] for eni in enis
        } == {
            FIRST: [("10.0.1.10", None), (VIP, "order-unknown")],
            SECOND: [("10.0.1.11", None), (VIP, "order-unknown")],
        }


def test_an_eni_of_unknown_vpc_may_have_taken_an_address_from_then_on(entries: Any) -> None:
    [lease, stranger] = entries("leases", TAKEN_BY_A_STRANGER, "--ip", VIP)
    assert [lease["doubt"], stranger["doubt"]] == ["may-be-taken", None]
    for time, doubt in (("10:29:59", None), ("10:30:00", "may-be-taken")):
        [eni] = entries("state", TAKEN_BY_A_STRANGER, "--eni", FIRST, "--at", f"2024-05-14T{time}Z")
        assert [address["doubt"] for address in eni["addresses"]] == [None, doubt]


def test_a_table_says_it_beside_the_address(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(json.dumps({"Records": SPLIT_BRAIN}))
    leases = run("leases", "--ip", VIP, str(tmp_path / "log.json"))
    assert leases.stdout.count("order unknown: several calls of its first second moved it") == 2
    state = run("state", "--ip", VIP, "--at", "2024-05-14T11:00:00Z", str(tmp_path / "log.json"))
    assert f"10.0.1.10 {VIP} (order unknown)" in state.stdout
    assert f"10.0.1.11 {VIP} (order unknown)" in state.stdout


def test_csv_names_the_doubted_addresses_of_each_eni(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(json.dumps({"Records": SPLIT_BRAIN}))
    state = run("state", "--at", "2024-05-14T11:00:00Z", str(tmp_path / "log.json"), "-o", "csv")
    assert {line["eni"]: line["doubted"] for line in csv.DictReader(io.StringIO(state.stdout))} == {
        FIRST: VIP,
        SECOND: VIP,
    }
