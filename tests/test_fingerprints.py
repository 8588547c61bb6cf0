"""Fingerprints: one for each finding, and the same one whenever the finding is found again."""

import gzip
import json
from pathlib import Path

import pytest
from calls import stop_logging
from conftest import FIXTURES, Run
from incidents import ADA, FULL, Incident, asks, cni, node, refused
from test_schemas import STORIES

WITH_FINDINGS = ["full-subnet", "hand-assigned", "logs-begin-in-the-middle", "stolen-address", "throttled"]


def fingerprints(run: Run, *sources: str) -> list[str]:
    text = run("findings", *sources, "-o", "json", "-q").stdout
    return [entry["fingerprint"] for entry in json.loads(text)["entries"]]


def full_subnet(hours: int, *, with_others: bool = False) -> list[str]:
    """Return the fingerprints of a subnet that was full for some hours."""
    incident = Incident()
    eni = node(incident, "09:30:00")
    for hour in range(hours):
        incident.log(f"{10 + hour}:00:00", cni(incident), refused(asks(eni, 8), FULL))
    if with_others:
        incident.log("09:40:00", ADA, stop_logging("audit"))
    found = incident.findings("09:00:00", "16:00:00")
    return [finding.fingerprint for finding in found if finding.rule == "subnet-exhausted"]


class TestFingerprints:
    @pytest.mark.parametrize("story", STORIES)
    def test_no_two_findings_have_the_same(self, run: Run, story: str) -> None:
        found = fingerprints(run, story)
        assert len(set(found)) == len(found)
        assert all(len(fingerprint) == 32 for fingerprint in found)

    @pytest.mark.parametrize("story", WITH_FINDINGS)
    def test_evidence_in_another_order_and_other_files_gives_the_same(
        self, run: Run, story: str, tmp_path: Path
    ) -> None:
        paths = sorted((FIXTURES / story).rglob("*.json.gz"), reverse=True)
        for number, path in enumerate(paths):
            records = json.loads(gzip.decompress(path.read_bytes()))["Records"]
            (tmp_path / f"{number:03}.json").write_text(json.dumps({"Records": records[::-1]}))
        assert fingerprints(run, str(tmp_path)) == fingerprints(run, story) != []

    @pytest.mark.parametrize("story", WITH_FINDINGS)
    def test_evidence_that_is_read_twice_gives_the_same(self, run: Run, story: str) -> None:
        assert fingerprints(run, story, str(FIXTURES / story)) == fingerprints(run, story)

    def test_later_events_of_the_problem_and_other_findings_do_not_change_it(self) -> None:
        (fingerprint,) = full_subnet(1)
        assert full_subnet(3) == [fingerprint]
        assert full_subnet(3, with_others=True) == [fingerprint]

    def test_a_filter_does_not_change_it(self, run: Run) -> None:
        text = run("findings", "hand-assigned", "-o", "json", "-q", "--actor", "okafor").stdout
        (entry,) = json.loads(text)["entries"]
        assert [entry["fingerprint"]] == fingerprints(run, "hand-assigned")

    def test_csv_has_fingerprint_and_techniques(self, run: Run) -> None:
        header, row = run("findings", "hand-assigned", "-o", "csv", "-q").stdout.splitlines()
        assert header.endswith(",techniques,fingerprint")
        assert row.endswith(f",T1578,{fingerprints(run, 'hand-assigned')[0]}")
