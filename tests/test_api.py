"""The library: what the documentation shows is what happens, and the command line answers the same."""

import csv
import doctest
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, ROOT, Run

import cnitrail
from cnitrail import Case
from cnitrail.answers.findings import RULES
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.workflows.observer import Silent

NODE = "i-03846c730abe852f4"
CNI = "eni-0bbea279695112970"
IP = "192.168.53.76"
AT = "2022-10-05T14:00Z"


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.chdir(FIXTURES)
    return cnitrail.read("ironman")


class TestDocumentation:
    def test_every_example_does_what_it_shows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(FIXTURES)
        text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
        examples = "".join(block.partition("```")[0] for block in text.split("```python\n")[1:])
        test = doctest.DocTestParser().get_doctest(examples, {}, "docs/api.md", None, 0)
        failed, tried = doctest.DocTestRunner(verbose=False).run(test)
        assert (failed, tried > 15) == (0, True)


class TestImport:
    def test_of_the_package_alone_imports_nothing_else(self) -> None:
        code = "import sys; before = set(sys.modules); import cnitrail; print(*(set(sys.modules) - before))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert sorted(done.stdout.split()) == ["cnitrail", "cnitrail.version"]

    def test_of_the_library_knows_neither_the_command_line_nor_aws(self) -> None:
        story = str(FIXTURES / "ironman")
        code = f"import sys, cnitrail; cnitrail.read({story!r}).timeline(); print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert not {"click", "rich", "boto3", "botocore", "cnitrail.cli"} & set(done.stdout.split())

    @pytest.mark.parametrize("name", cnitrail.__all__)
    def test_every_public_name_is_there(self, name: str) -> None:
        assert getattr(cnitrail, name) is not None
        assert name in dir(cnitrail)

    def test_there_are_no_others(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'reed'"):
            _ = cnitrail.reed  # type: ignore[attr-defined]

    def test_types_are_published(self) -> None:
        assert Path(cnitrail.__file__).with_name("py.typed").exists()


QUESTIONS: list[tuple[tuple[str, ...], Callable[[Case], object]]] = [
    (("timeline",), lambda case: case.timeline()),
    (
        ("timeline", "--instance", NODE, "--event", "Assign*"),
        lambda case: case.timeline(instance=NODE, event="Assign*"),
    ),
    (("leases", "--ip", "192.168.0.0/18"), lambda case: case.leases(ip="192.168.0.0/18")),
    (("leases", "--until", AT), lambda case: case.leases(until=AT)),
    (("state", "--at", AT, "--eni", CNI), lambda case: case.state(AT, eni=[CNI])),
    (("pool",), lambda case: case.pool()),
]


class TestCase:
    @pytest.mark.parametrize(
        ("command", "ask"), QUESTIONS, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
    )
    def test_answers_as_the_command_line_does(
        self, run: Run, case: Case, command: tuple[str, ...], ask: Callable[[Case], object]
    ) -> None:
        answer = json.loads(run(*command, "ironman", "-o", "json").stdout)
        assert cnitrail.to_dicts(ask(case)) == answer["entries"]

    def test_says_who_held_an_address_as_the_command_line_does(self, run: Run, case: Case) -> None:
        (answer,) = json.loads(run("who", IP, "ironman", "--at", AT, "-o", "json").stdout)["entries"]
        assert cnitrail.to_dicts(case.who(IP, AT)) == [answer]

    def test_says_what_is_wrong_as_the_command_line_does(self, run: Run) -> None:
        answer = json.loads(run("findings", "throttled", "-o", "json").stdout)
        case = cnitrail.read("throttled")
        assert cnitrail.to_dicts(case.findings()) == answer["entries"]

    def test_takes_values_in_any_form(self, case: Case) -> None:
        at = datetime(2022, 10, 5, 14, tzinfo=UTC)
        answers = [case.who(ip, time) for ip in (IP, ip_address(IP), f"::ffff:{IP}") for time in (AT, at)]
        assert answers == [answers[0]] * 6
        blocks: list[Any] = ["192.168.53.76/32", ip_address(IP), ip_network(IP), [IP, "10.0.0.0/8"]]
        assert [len(case.leases(ip=block)) for block in blocks] == [1, 1, 1, 1]
        assert len(case.leases(eni=(eni for eni in [CNI]))) == len(case.leases(eni=CNI)) == 10

    def test_filters_given_to_read_are_the_defaults_of_questions(self, case: Case) -> None:
        narrow = cnitrail.read("ironman", eni=CNI, until=AT)
        assert narrow.timeline() == case.timeline(eni=CNI, until=AT)
        assert narrow.timeline(eni=(), until=None) == case.timeline()
        assert narrow.timeline(eni=None) == case.timeline(until=AT)  # type: ignore[arg-type]

    def test_the_rules_run_once_however_often_findings_are_asked_for(
        self, case: Case, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runs = []

        def rule(_context: FindingContext) -> Iterator[RuleMatch]:
            runs.append(1)
            yield from ()

        monkeypatch.setitem(RULES, "address-churn", rule)
        for _ in range(2):
            case.findings()
            case.findings(instance=NODE)
            case.explain(IP)
        assert runs == [1]

    def test_findings_of_narrowed_evidence_are_refused(self, run: Run, tmp_path: Path) -> None:
        store = tmp_path / "trail.db"
        run("collect", "hand-assigned", "--to", store)
        eni = "eni-0c92e7d4b1a6f8353"
        narrow = cnitrail.read(store, eni=eni)
        with pytest.raises(cnitrail.UsageError, match="findings need all events"):
            narrow.findings()
        assert narrow.report().findings is None
        whole = cnitrail.read(store)
        assert [finding.rule for finding in whole.findings(eni=eni)] == ["address-assigned-by-hand"]

    def test_proves_what_it_reads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(FIXTURES)
        case = cnitrail.read("ironman-signed", verify=True)
        assert case.evidence.verified
        assert case.who("192.168.55.245", AT).rests_on == "proven"

    def test_what_cannot_be_read_is_in_the_evidence(self, tmp_path: Path) -> None:
        (tmp_path / "log.json").write_text("{")
        (skipped,) = cnitrail.read(tmp_path).evidence.skipped
        assert skipped.source == str(tmp_path / "log.json")


class TestRows:
    def test_are_flat(self, case: Case) -> None:
        rows = cnitrail.to_dicts(case.leases(), flat=True)
        assert not any(isinstance(value, dict) for row in rows for value in row.values())
        assert {"assigned_by.label", "assigned_by.agent.name", "attachments"} <= rows[0].keys()

    def test_have_no_column_for_what_is_missing_as_a_whole(self, case: Case) -> None:
        rows = cnitrail.to_dicts(case.leases(), flat=True)
        assert any(lease.released_by is None for lease in case.leases())
        assert not any("released_by" in row for row in rows)

    @pytest.mark.parametrize("story", ["ironman", "stolen-address", "two-vpcs"])
    def test_are_what_a_csv_writer_takes(self, monkeypatch: pytest.MonkeyPatch, story: str) -> None:
        monkeypatch.chdir(FIXTURES)
        case = cnitrail.read(story)
        answers = [
            case.timeline(),
            case.leases(),
            case.state("2026-02-10T09:00Z"),
            case.pool(),
            case.findings(),
        ]
        for rows in (cnitrail.to_dicts(answer, flat=True) for answer in answers):
            writer = csv.DictWriter(io.StringIO(), list(rows[0]) if rows else [])
            writer.writerows(rows)
            assert all(row.keys() == rows[0].keys() for row in rows)

    def test_are_made_of_anything_that_yields_entries(self, case: Case) -> None:
        leases = case.leases()
        assert cnitrail.to_dicts(lease for lease in leases) == cnitrail.to_dicts(leases)


BEFORE_ALL = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
"""An aware time that has no time in UTC."""


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"since": "soon"}, "'soon' is not a time"),
            ({"since": datetime(2022, 10, 5)}, "2022-10-05T00:00:00 has no time zone"),  # noqa: DTZ001
            ({"since": "1h", "until": "2h"}, "since must be before until"),
            ({"lag": "long"}, "'long' is not a length of time"),
            ({"ip": "10.0.0.0/33"}, "'10.0.0.0/33' is not an IP address or CIDR block"),
            ({"public_keys": "keys.json"}, "public_keys is for verify=True"),
            ({"since": 5}, "5 is not a time"),
            ({"since": timedelta(hours=2)}, "datetime.timedelta(seconds=7200) is not a time"),
            ({"lag": 5}, "5 is not a length of time"),
            (
                {"delivery_lag": timedelta(-1)},
                "datetime.timedelta(days=-1) is not a length of time: it is negative",
            ),
            ({"account": 111111111111}, "account: 111111111111 is not text"),
            ({"eni": [1]}, "eni: 1 is not text"),
            ({"region": b"eu-west-1"}, "region: b'eu-west-1' is not text"),
            ({"ip": "fe80::1%eth0"}, "'fe80::1%eth0' is not an IP address or CIDR block"),
            ({"ip": 5.5}, "5.5 is not an IP address or CIDR block"),
            ({"max_ratio": 0}, "max_ratio: 0 is not a number of at least 1"),
            ({"max_calls": "5"}, "max_calls: '5' is not a number of at least 1"),
        ],
    )
    def test_a_value_that_makes_no_sense(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(cnitrail.UsageError) as raised:
            cnitrail.read(str(FIXTURES / "ironman"), **arguments)
        assert raised.value.message == message

    @pytest.mark.parametrize("source", [None, 5, b"logs", ["logs"], (path for path in ["logs"])])
    def test_a_source_that_is_none(self, source: Any) -> None:
        with pytest.raises(cnitrail.UsageError, match="is not a path or URI"):
            cnitrail.read(source)

    @pytest.mark.parametrize("at", [None, 5, "", object(), BEFORE_ALL])
    def test_a_time_that_is_none(self, case: Case, at: Any) -> None:
        with pytest.raises(cnitrail.UsageError, match="is not a time"):
            case.who(IP, at)

    @pytest.mark.parametrize("pods", [-1, "5", None])
    def test_a_count_of_pods_that_is_none(self, case: Case, pods: Any) -> None:
        with pytest.raises(cnitrail.UsageError, match="is not a number of at least 0"):
            case.pool(pods=[(AT, pods)])

    @pytest.mark.parametrize(
        ("what_if", "message"),
        [
            ([{"warm_ip_target": 2}], "{'warm_ip_target': 2} is not a Settings"),
            (cnitrail.Settings(warm_ip_target=-2), "warm_ip_target: -2 is not a number of at least 0"),
        ],
    )
    def test_settings_that_are_none(self, case: Case, what_if: Any, message: str) -> None:
        with pytest.raises(cnitrail.UsageError) as raised:
            case.pool(what_if=what_if)
        assert raised.value.message == message

    def test_a_filter_for_failed_calls_is_yes_or_no(self, case: Case) -> None:
        with pytest.raises(cnitrail.UsageError, match="'yes' is not True, False or None"):
            case.timeline(failed="yes")  # type: ignore[arg-type]

    def test_a_filter_that_does_not_exist(self, case: Case) -> None:
        with pytest.raises(TypeError, match="no filter is named color"):
            case.timeline(color="a")  # type: ignore[call-arg]

    def test_a_source_that_cannot_be_read(self) -> None:
        with pytest.raises(cnitrail.SourceError, match="no such file or directory"):
            cnitrail.read("nowhere")


class TestObserver:
    def test_sees_the_stages_and_how_far_they_are(self) -> None:
        class Watch(Silent):
            def __init__(self) -> None:
                self.stages: list[str] = []
                self.files = 0

            def stage(self, counted: str) -> None:
                self.stages.append(counted)

            def advance(self, files: int, _size: int, _counted: int) -> None:
                self.files = files

        watch = Watch()
        cnitrail.read(FIXTURES / "ironman-signed", verify=True, lag=timedelta(0), observer=watch)
        assert (watch.stages, watch.files) == (["faults", "relevant"], 17)
