"""Mistakes of one minute: the error says what to type instead."""

import json
from pathlib import Path

import pytest
from calls import assign_named, create_network_interface
from conftest import Run
from incidents import ADA, Incident, second

import cnitrail
from cnitrail.model import AttributeChange
from cnitrail.render.timeline_parts import value_of
from cnitrail.text import at_source


class TestWrongOrder:
    def test_who_with_the_source_first_gives_the_command_to_type(self, run: Run) -> None:
        result = run("who", "ironman", "192.168.53.76", "--at", "2022-10-05T14:00Z")
        assert result.exit_code == 2
        assert result.stderr == (
            "error: 'ironman' is a source: IP comes first\nhint: cnitrail who 192.168.53.76 ironman\n"
        )

    def test_who_answers_for_one_address_at_a_time(self, run: Run) -> None:
        result = run("who", "192.168.53.76", "192.168.53.77", "ironman")
        assert result.exit_code == 2
        assert result.stderr.startswith("error: 192.168.53.76 and 192.168.53.77: one address at a time\n")

    @pytest.mark.parametrize(
        ("given", "instead"),
        [
            ("i-03846c730abe852f4", "explain i-03846c730abe852f4 ironman"),
            (
                "ip-192-168-55-245.eu-west-1.compute.internal",
                "explain ip-192-168-55-245.eu-west-1.compute.internal ironman",
            ),
            ("192.168.53.0/24", "leases --ip 192.168.53.0/24 ironman"),
        ],
    )
    def test_who_names_the_command_for_what_is_no_address(self, run: Run, given: str, instead: str) -> None:
        result = run("who", given, "ironman")
        assert result.exit_code == 2
        assert result.stderr == f"error: {given!r} is not an IP address\nhint: cnitrail {instead}\n"

    def test_an_option_that_resembles_none_gets_no_wild_guess(self, run: Run) -> None:
        assert run("timeline", "--rule", "ironman").stderr == (
            "error: no such option --rule\nhint: see cnitrail timeline --help\n"
        )

    def test_explain_takes_one_target_at_a_time(self, run: Run) -> None:
        result = run("explain", "192.168.53.76", "192.168.53.77", "ironman")
        assert result.exit_code == 2
        assert result.stderr.startswith("error: 192.168.53.76 and 192.168.53.77: one TARGET at a time\n")

    @pytest.mark.parametrize(
        ("command", "given", "option"),
        [
            ("timeline", "i-03846c730abe852f4", "--instance"),
            ("findings", "eni-0bbea279695112970", "--eni"),
            ("leases", "192.168.53.0/24", "--ip"),
            ("state", "ip-192-168-55-245.eu-west-1.compute.internal", "--node"),
            ("pool", "eu-west-1", "--region"),
            ("verify", "111111111111", "--account"),
            ("doctor", "i-03846c730abe852f4", "--node"),
        ],
    )
    def test_a_value_without_its_option_is_not_only_a_file_that_is_missing(
        self, run: Run, command: str, given: str, option: str
    ) -> None:
        result = run(command, "ironman", given)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == (
            f"error: {given}: no such file or directory\nhint: did you mean {option} {given}?\n"
        )

    def test_a_file_may_have_the_name_of_an_instance(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "i-03846c730abe852f4").mkdir()
        result = run("timeline", "i-03846c730abe852f4")
        assert result.stderr.startswith("error: i-03846c730abe852f4: no files in it\n")


class TestRanges:
    def test_a_range_of_no_length_is_a_mistake(self, run: Run) -> None:
        result = run("timeline", "ironman", "--last", "0h")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == "error: --last must be longer than 0\nhint: for example --last 2h\n"

    def test_a_range_that_ends_before_it_begins_is_suggested_the_other_way(self, run: Run) -> None:
        result = run("timeline", "ironman", "--since", "2022-10-06", "--until", "2022-10-05")
        assert result.exit_code == 2
        assert result.stderr == (
            "error: --since must be before --until\n"
            "hint: did you mean --since 2022-10-05T00:00:00Z --until 2022-10-06T00:00:00Z?\n"
        )


class TestValues:
    @pytest.mark.parametrize("written", ["EU-WEST-1", " eu-west-1 "])
    def test_a_region_may_be_written_in_capitals(self, run: Run, written: str) -> None:
        result = run("timeline", "ironman", "--region", written, "-o", "json")
        assert json.loads(result.stdout)["query"]["region"] == ["eu-west-1"]

    def test_a_region_with_underscores_is_suggested_with_hyphens(self, run: Run) -> None:
        result = run("timeline", "ironman", "--region", "eu_west_1")
        assert result.stderr == (
            "error: --region: 'eu_west_1' is not an AWS Region\nhint: did you mean eu-west-1?\n"
        )

    def test_an_account_may_be_written_as_in_the_console(self, run: Run) -> None:
        result = run("timeline", "ironman", "--account", "1111-2222-3333", "-o", "json")
        assert json.loads(result.stdout)["query"]["account"] == ["111122223333"]

    def test_a_misspelled_format_is_suggested_those_that_it_resembles(self, run: Run) -> None:
        assert run("timeline", "ironman", "-o", "jsn").stderr == (
            "error: --output: 'jsn' is not one of 'table', 'wide', 'json', 'jsonl', 'yaml', 'csv', '"
            "timesketch', 'perfetto'\nhint: did you mean json or jsonl?\n"
        )

    def test_a_number_of_rows_is_a_whole_number(self, run: Run) -> None:
        assert run("timeline", "ironman", "--limit", "x").stderr == (
            "error: --limit: 'x' is not a valid whole number\nhint: see cnitrail timeline --help\n"
        )

    def test_an_event_that_resembles_none_is_answered_by_what_there_is(self, run: Run) -> None:
        result = run("timeline", "ironman", "--event", "*Foo*")
        hint = result.stderr.splitlines()[1]
        assert hint.startswith("hint: it reads Assign*, Associate*, ")
        assert len(hint) < 200


class TestTheLastSecond:
    """Evidence of one file ends with its last event, and a change in that second may be ambiguous."""

    def test_an_address_that_is_assigned_last_is_explained_a_second_later(self, tmp_path: Path) -> None:
        trail, eni = Incident(), second()
        calls = [("10:00:00", create_network_interface(eni)), ("10:30:00", assign_named(eni.id, "10.9.3.3"))]
        records = [trail.record(trail.time(clock), ADA, call, "") for clock, call in calls]
        export = tmp_path / "export.json"
        export.write_text(json.dumps({"Records": records}), encoding="utf-8")
        case = cnitrail.read(export)
        assert case.who("10.9.3.3", trail.time("10:30:00")).verdict == "ambiguous"
        explained = case.explain("10.9.3.3")
        assert (explained.verdict, explained.enis) == ("likely", (eni.id,))
        assert case.who("10.9.3.3", explained.at).verdict == "likely"


class TestRefusals:
    @pytest.mark.parametrize("option", [("--raw",), ("--newest-first",), ("--limit", "3")])
    def test_watch_names_the_option_that_does_not_go_with_it(self, run: Run, option: tuple[str, ...]) -> None:
        result = run("timeline", "ironman", "--watch", *option)
        expected = f"error: {option[0]} cannot be used with --watch\nhint: leave out one of them\n"
        assert (result.exit_code, result.stderr) == (2, expected)


class TestTexts:
    @pytest.mark.parametrize("source", ["lookup:", "lookup"])
    def test_a_source_is_followed_by_one_colon(self, source: str) -> None:
        assert at_source(source, "access denied") == "lookup: access denied"

    def test_a_description_cannot_look_like_another_attribute_in_csv(self) -> None:
        change = AttributeChange("description", 'x sourceDestCheck=false "')
        assert value_of(change) == '"x sourceDestCheck=false \\""'
        assert value_of(AttributeChange("description", "plain")) == "plain"


class TestDoctor:
    def test_an_unreachable_aws_is_one_row(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        result = run("doctor", "--region", "eu-west-1", "--endpoint-url", "http://127.0.0.1:9", "-o", "json")
        document = json.loads(result.stdout)
        failed = [check for check in document["entries"] if check["status"] != "skipped"]
        assert [(check["code"], check["cause"]) for check in failed] == [("identity", "unreachable")]
        assert document["checkup"]["verdict"].endswith('"http://127.0.0.1:9/"). Other checks: 8 skipped')
        assert result.stderr == "skipped: lookup: not read: AWS cannot be reached\n"
        assert result.exit_code == 3

    def test_evidence_without_events_is_no_good_sign(self, run: Run, tmp_path: Path) -> None:
        empty = tmp_path / "empty.json"
        empty.write_text('{"Records": []}', encoding="utf-8")
        checks = json.loads(run("doctor", str(empty), "-o", "json").stdout)["entries"]
        by_code = {check["code"]: (check["status"], check["text"]) for check in checks}
        assert by_code["evidence"][0] == "warning"
        assert by_code["cni-calls"] == ("skipped", "Denied calls not checked: no event was seen")
        assert by_code["findings"] == ("skipped", "Findings not checked: no event was seen")
