"""Filters: what each selects, what a typo gets, and what is said of a value that no event mentions."""

import gzip
import json
import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import jmespath
import pytest
import yaml
from cloudtrail_server import CloudTrail
from conftest import FIXTURES, Run
from test_lookup import REGION, other_nodes, served

import cnitrail
from cnitrail.decode.event_names import parse_event
from cnitrail.errors import UsageError
from cnitrail.sources.regions import known_regions, parse_region

NODE, ENI = "i-03846c730abe852f4", "eni-0bbea279695112970"
KEY = "ASIASQQRGOM32EXAMPLE"
ATTACH = "AttachNetworkInterface"
LOSER, WINNER = "eni-0a72f4d6c8e1b3950", "eni-0b85e1c7d3a9f4620"
LOST_BY, WON_BY = "i-0a7c3e9f1b5d28460", "i-0b6d2f8e4a1c97350"
STORIES = ("ironman", "stolen-address", "node-life", "two-vpcs", "prefix-delegation", "hand-assigned")

Entry = dict[str, Any]


def lines(run: Run, *arguments: str) -> list[Entry]:
    return [json.loads(line) for line in run(*arguments, "-q", "-o", "jsonl").stdout.splitlines()]


def warnings(run: Run, *arguments: str) -> list[str]:
    said = run(*arguments).stderr.splitlines()
    return [line.removeprefix("warning: ") for line in said if line.startswith("warning: ")]


class TestSelection:
    """Every filter keeps exactly the entries of the whole answer that have its value."""

    @pytest.mark.parametrize("story", STORIES)
    @pytest.mark.parametrize(
        ("option", "value_of"),
        [
            ("--access-key", lambda entry: entry["actor"]["access_key_id"]),
            ("--event-id", lambda entry: entry["event_id"]),
            ("--event", lambda entry: entry["event"]),
            ("--account", lambda entry: entry["account"]),
            ("--region", lambda entry: entry["region"]),
        ],
    )
    def test_it_keeps_the_entries_with_the_value(
        self, run: Run, story: str, option: str, value_of: Callable[[Entry], str | None]
    ) -> None:
        entries = lines(run, "timeline", story)
        for value in {value_of(entry) for entry in entries} - {None}:
            kept = lines(run, "timeline", story, option, str(value))
            assert kept == [entry for entry in entries if value_of(entry) == value]
            assert kept

    @pytest.mark.parametrize("story", STORIES)
    @pytest.mark.parametrize("block", ["0.0.0.0/0", "52.0.0.0/8", "203.0.113.90"])
    def test_a_source_address_is_compared_with_addresses_only(self, run: Run, story: str, block: str) -> None:
        def is_inside(entry: Entry) -> bool:
            try:
                return ip_address(entry["actor"]["source_ip"] or "") in ip_network(block)
            except ValueError:
                return False

        entries = lines(run, "timeline", story)
        kept = lines(run, "timeline", story, "--source-ip", block)
        assert kept == [entry for entry in entries if is_inside(entry)]

    def test_values_of_one_filter_are_alternatives_and_filters_add_up(self, run: Run) -> None:
        first, second, *_ = lines(run, "timeline", "ironman")
        ids = ("--event-id", first["event_id"], "--event-id", second["event_id"])
        assert lines(run, "timeline", "ironman", *ids) == [first, second]
        assert lines(run, "timeline", "ironman", *ids, "--event", second["event"]) == [second]

    def test_a_lease_is_found_by_the_call_that_assigned_or_released_it(self, run: Run) -> None:
        leases = lines(run, "leases", "ironman")
        for option, value_of in (
            ("--event-id", lambda lease: {lease["start_event"], lease["end_event"]}),
            ("--access-key", lambda lease: {_key(lease["assigned_by"]), _key(lease["released_by"])}),
        ):
            for value in {value for lease in leases for value in value_of(lease)} - {None}:
                kept = lines(run, "leases", "ironman", option, str(value))
                assert kept == [lease for lease in leases if value in value_of(lease)]

    def test_findings_and_reports_take_them(self, run: Run) -> None:
        (finding,) = lines(run, "findings", "stolen-address")
        assert lines(run, "findings", "stolen-address", "--event-id", finding["events"][0]["event_id"])
        assert not lines(run, "findings", "stolen-address", "--access-key", KEY)
        page = run("report", "ironman", "--access-key", KEY).stdout
        assert f"- Filter: access key `{KEY}`" in page


def _key(actor: Entry | None) -> str | None:
    return actor["access_key_id"] if actor else None


class TestNodes:
    @pytest.mark.parametrize(
        "name",
        [
            "ip-192-168-55-245.eu-west-1.compute.internal",
            "IP-192-168-55-245.ec2.internal",
            f"{NODE}.eu-west-1.compute.internal",
            f"aws:///eu-west-1a/{NODE}",
            NODE,
        ],
    )
    @pytest.mark.parametrize("command", ["timeline", "leases", "state", "pool", "findings"])
    def test_a_node_selects_what_its_instance_does(self, run: Run, command: str, name: str) -> None:
        at = ("--at", "2022-10-05T14:00Z") if command == "state" else ()
        by_id = lines(run, command, "ironman", "--instance", NODE, *at)
        assert lines(run, command, "ironman", "--node", name, *at) == by_id
        assert by_id or command == "findings"

    def test_a_node_and_an_instance_must_be_the_same_one(self, run: Run) -> None:
        both = ("--node", "ip-192-168-55-245.ec2.internal", "--instance")
        assert lines(run, "timeline", "ironman", *both, NODE)
        assert not lines(run, "timeline", "ironman", *both, "i-0123456789abcdef0")

    def test_a_node_named_by_its_address_has_all_its_enis_in_a_store(self, run: Run, tmp_path: Path) -> None:
        store = str(tmp_path / "trail.db")
        run("collect", "ironman", "--to", store, "-q")
        by_id = [entry["event_id"] for entry in lines(run, "timeline", store, "--instance", NODE)]
        for name in ("ip-192-168-55-245.ec2.internal", NODE):
            found = lines(run, "timeline", store, "--node", name)
            assert [entry["event_id"] for entry in found] == by_id

    def test_the_library_takes_a_node(self) -> None:
        case = cnitrail.read(FIXTURES / "ironman", node="ip-192-168-55-245.ec2.internal")
        assert case.timeline() == case.timeline(node=(), instance=NODE)
        assert not case.timeline(node="ip-10-0-0-1.ec2.internal")
        with pytest.raises(UsageError, match="'worker-1' is not the name or providerID of an EC2 node"):
            case.timeline(node="worker-1")


class TestLosers:
    """Who loses an address to a reassignment has no event of its own."""

    LOSS = (
        ("--eni", LOSER),
        ("--instance", LOST_BY),
        ("--node", LOST_BY),
        ("--vpc", "vpc-0b3f7d1a9e5c28460"),
        ("--cluster", "lighthouse"),
    )

    @pytest.mark.parametrize("place", [pair for pair in LOSS if pair[0] != "--vpc"])
    def test_every_answer_finds_it(self, run: Run, place: tuple[str, str]) -> None:
        taken = ("--ip", "10.60.12.50")
        assert [entry["eni"] for entry in lines(run, "timeline", "stolen-address", *place, *taken)] == [
            *(LOSER, LOSER, WINNER),
        ]
        lost = lines(run, "leases", "stolen-address", *place, *taken)
        assert LOSER in {lease["eni"] for lease in lost}
        (finding,) = lines(run, "findings", "stolen-address", *place)
        assert finding["rule"] == "address-reassigned"
        assert "taken: " in run("report", "stolen-address", *place).stdout

    def test_a_trace_draws_the_call_that_took_the_address(self, run: Run) -> None:
        trace = run("timeline", "stolen-address", "--instance", LOST_BY, "-o", "perfetto", "-q").stdout
        names = [event.get("name") for event in json.loads(trace)["traceEvents"]]
        assert names.count("AssignPrivateIpAddresses") == 2, "the CNI's own, and the one that took an address"
        assert any(name.startswith(WON_BY) for name in names if name) or f"{WON_BY} m5.large" in trace


class TestTypos:
    @pytest.mark.parametrize(
        ("option", "value", "said", "hint"),
        [
            ("--region", "eu-wset-1", "'eu-wset-1' is not an AWS Region", "did you mean eu-west-1?"),
            ("--region", "us-eats-1", "'us-eats-1' is not an AWS Region", "did you mean us-east-1?"),
            ("--region", "eu-west-1a", "'eu-west-1a' is not an AWS Region", "it is a zone of eu-west-1"),
            ("--region", "Ireland", "'Ireland' is not an AWS Region", "for example eu-west-1"),
            ("--region", "mars-north-1", "'mars-north-1' is not an AWS Region", "did you mean"),
            (
                "--event",
                "Asign*",
                "cnitrail reads no event that matches 'Asign*'",
                "did you mean 'Assign*' or 'Un",
            ),
            ("--event", "DescribeInstances", "cnitrail does not read 'DescribeInstances'", "it reads Assign"),
            (
                *("--event", "AssignPrivateIPAdresses"),
                "cnitrail does not read 'AssignPrivateIPAdresses'",
                "did you mean 'AssignPrivateIpAddresses' or",
            ),
            ("--access-key", "foo", "'foo' is not an access key ID", "for example ASIA"),
            ("--event-id", "17", "'17' is not an event ID", "for example 8ba6cfa0-"),
            ("--source-ip", "foo", "'foo' is not an IP address or CIDR block", "for example 10.0.1.25"),
            ("--node", "worker-1", "'worker-1' is not the name or providerID", "for example ip-10-0-1-25."),
            ("--last", "tomorrow", "'tomorrow' is not a length of time", "for example 90s"),
        ],
    )
    def test_it_is_a_usage_error_with_a_hint(
        self, run: Run, option: str, value: str, said: str, hint: str
    ) -> None:
        result = run("timeline", "ironman", option, value)
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in result.stderr
        assert f"hint: {hint}" in result.stderr

    @pytest.mark.parametrize(
        "wrong",
        [
            {"region": "eu-wset-1"},
            {"event": "Asign*"},
            {"access_key": "foo"},
            {"event_id": "17"},
            {"source_ip": "foo"},
        ],
    )
    def test_the_library_refuses_it_too(self, wrong: dict[str, Any]) -> None:
        case = cnitrail.read(FIXTURES / "ironman")
        with pytest.raises(UsageError):
            case.timeline(**wrong)
        with pytest.raises(UsageError) as caught:
            cnitrail.read(FIXTURES / "ironman", region="eu-wset-1")
        assert caught.value.hint == "did you mean eu-west-1?"

    @pytest.mark.parametrize("text", ["assignprivateipaddresses", "*Ip*", " RunInstances ", "[AU]*"])
    def test_capitals_of_an_event_name_do_not_matter_and_globs_may_match_any_part(self, text: str) -> None:
        assert parse_event(text) == text.strip()

    def test_every_region_that_botocore_knows_is_one(self) -> None:
        assert {parse_region(name) for name in known_regions()} == known_regions()
        assert {
            "us-east-1",
            "us-gov-west-1",
            "cn-north-1",
            "eusc-de-east-1",
            "us-isob-east-1",
        } <= known_regions()

    def test_a_region_that_only_the_evidence_knows_is_taken(self, run: Run, tmp_path: Path) -> None:
        (file,) = (FIXTURES / "ironman").rglob("*T1320Z*.gz")
        text = gzip.decompress(file.read_bytes()).replace(b"eu-west-1", b"mx-north-7")
        (tmp_path / "log.json").write_bytes(text)
        assert lines(run, "timeline", str(tmp_path), "--region", "mx-north-7")

    def test_last_is_since_counted_from_now(self, run: Run) -> None:
        result = run("timeline", "ironman", "--last", "2h")
        assert result.exit_code == 0
        assert (
            "warning: the evidence of 111111111111 in eu-west-1 ends at 2022-10-05 15:40:00Z, before the "
            "range\n" in result.stderr
        )
        assert lines(run, "timeline", "ironman", "--last", "2000w") == lines(run, "timeline", "ironman")
        for other in ("--since", "--until"):
            both = run("timeline", "ironman", "--last", "2h", other, "3h")
            assert both.exit_code == 2
            assert "--last cannot be used with --since or --until" in both.stderr


class TestAbsent:
    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            (
                ("--instance", "i-0abc"),
                f"no event mentions i-0abc; instances in this evidence: {NODE}",
            ),
            (
                ("--eni", "eni-0bbea279695112971"),
                (
                    f"no event mentions eni-0bbea279695112971; ENIs in this evidence: {ENI} and "
                    "eni-06d2f4a81c9b3e750"
                ),
            ),
            (
                ("--vpc", "vpc-0"),
                "no event mentions vpc-0; VPCs in this evidence: vpc-0a2e8f6ad5c3b9714",
            ),
            (
                ("--subnet", "subnet-0"),
                "no event mentions subnet-0; subnets in this evidence: subnet-0a1d7e59c4b2f8603",
            ),
            (
                ("--cluster", "prod"),
                "no event mentions cluster prod; clusters in this evidence: ironman-2022",
            ),
            (("--region", "us-east-1"), "the evidence has nothing of Region us-east-1; it has eu-west-1"),
            (
                ("--actor", "mallory"),
                "no caller matches 'mallory'; callers: autoscaling.amazonaws.com and kube-system/aws-node",
            ),
            (
                ("--agent", "terraform"),
                (
                    "no user agent matches 'terraform'; user agents: autoscaling.amazonaws.com and "
                    "amazon-vpc-cni-k8s"
                ),
            ),
            (
                ("--source-ip", "52.210.231.139"),
                "no call came from 52.210.231.139; source addresses: 52.210.231.138",
            ),
            (
                ("--access-key", "ASIASQQRGOM33EXAMPLE"),
                (
                    "no call was signed with ASIASQQRGOM33EXAMPLE; access keys in this evidence: "
                    f"{KEY} and ASIARFOJZR2AZEXAMPLE"
                ),
            ),
            (
                ("--event-id", "8ba6cfa0-4d1b-4d9b-a2e4-5f1d6f3c2b1a"),
                "no event about ENIs and addresses has the ID 8ba6cfa0-4d1b-4d9b-a2e4-5f1d6f3c2b1a",
            ),
            (
                ("--node", "ip-192-168-55-24.ec2.internal"),
                (
                    "no event shows an instance with the primary address 192.168.55.24 (node "
                    "ip-192-168-55-24.ec2.internal); primary addresses in this evidence: 192.168.55.245 and "
                    "192.168.38.190"
                ),
            ),
        ],
    )
    def test_a_value_that_no_event_mentions_is_said_with_those_that_are(
        self, run: Run, asked: tuple[str, str], said: str
    ) -> None:
        result = run("timeline", "ironman", *asked, "-o", "json")
        assert (result.exit_code, json.loads(result.stdout)["entries"]) == (0, [])
        assert said in warnings(run, "timeline", "ironman", *asked)
        stated = [reason["text"] for reason in json.loads(result.stdout)["limitations"]]
        assert stated[0] == said

    def test_it_is_said_although_other_values_match(self, run: Run) -> None:
        both = ("--instance", NODE, "--instance", "i-0abc")
        assert lines(run, "timeline", "ironman", *both) == lines(
            run, "timeline", "ironman", "--instance", NODE
        )
        assert f"no event mentions i-0abc; instances in this evidence: {NODE}" in warnings(
            run, "timeline", "ironman", *both
        )

    @pytest.mark.parametrize("command", ["leases", "findings", "pool", "report", "state"])
    def test_every_command_says_it(self, run: Run, command: str) -> None:
        at = ("--at", "2022-10-05T14:00Z") if command == "state" else ()
        said = warnings(run, command, "ironman", "--instance", "i-0abc", *at)
        assert f"no event mentions i-0abc; instances in this evidence: {NODE}" in said

    def test_who_and_subnet_say_it(self, run: Run) -> None:
        (said, *_) = warnings(run, "who", "192.168.55.24", "ironman", "--at", "2022-10-05T14:00Z")
        assert said.startswith(
            "no event mentions 192.168.55.24; addresses in this evidence: 192.168.55.245, "
        )
        (said,) = warnings(run, "subnet", "subnet-0a1d7e59c4b2f8604", "ironman")
        assert said.endswith("; subnets in this evidence: subnet-0a1d7e59c4b2f8603")

    def test_what_a_filter_drops_is_mentioned_all_the_same(self, run: Run) -> None:
        asked = ("--instance", NODE, "--event", ATTACH, "--failed")
        assert lines(run, "timeline", "ironman", *asked) == []
        assert not [text for text in warnings(run, "timeline", "ironman", *asked) if "no event" in text]

    def test_of_a_store_that_delivers_only_what_was_asked_for_no_others_are_named(
        self, run: Run, tmp_path: Path
    ) -> None:
        store = str(tmp_path / "trail.db")
        run("collect", "ironman", "--to", store, "-q")
        assert "no event mentions i-0abc" in warnings(run, "timeline", store, "--instance", "i-0abc")
        asked = ("--instance", "i-0abc", "--vpc", "vpc-0a2e8f6ad5c3b9714")
        assert warnings(run, "timeline", store, *asked)[:2] == [
            "no event mentions i-0abc, of those that were read",
            "no event mentions vpc-0a2e8f6ad5c3b9714, of those that were read",
        ]

    def test_lookup_names_no_others(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody's")
        with served(CloudTrail()) as account:
            where = ("lookup:", "--region", "eu-west-1", "--endpoint-url", account.url)
            said = warnings(run, "timeline", *where, "--instance", "i-0123456789abcdef0")
        assert "no event mentions i-0123456789abcdef0, of those that were read" in said


class TestRaw:
    def test_every_selected_record_is_one_line_as_cloudtrail_wrote_it(self, run: Run) -> None:
        result = run("timeline", "ironman", "--raw", "--event", "Assign*", "-q")
        ids = [entry["event_id"] for entry in lines(run, "timeline", "ironman", "--event", "Assign*")]
        records = [json.loads(line) for line in result.stdout.splitlines()]
        assert [record["eventID"] for record in records] == ids
        whole = b"".join(gzip.decompress(path.read_bytes()) for path in (FIXTURES / "ironman").rglob("*.gz"))
        assert all(line.encode() in whole for line in result.stdout.splitlines())

    def test_a_store_and_standard_input_have_the_same_records(self, run: Run, tmp_path: Path) -> None:
        store = str(tmp_path / "trail.db")
        run("collect", "ironman", "--to", store, "-q")
        raw = run("timeline", "ironman", "--raw", "-q").stdout
        assert run("timeline", store, "--raw", "-q").stdout == raw
        assert run("timeline", "-", "--raw", "-q", input=raw).stdout == raw

    def test_lookup_events_has_whole_records(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody's")
        with served(CloudTrail()) as account:
            account.add(other_nodes(3))
            where = ("lookup:", "--region", REGION, "--endpoint-url", account.url)
            ids = [entry["event_id"] for entry in lines(run, "timeline", *where)]
            raw = [json.loads(line) for line in run("timeline", *where, "--raw", "-q").stdout.splitlines()]
        assert [record["eventID"] for record in raw] == list(dict.fromkeys(ids))
        assert all(record["userIdentity"] for record in raw)

    def test_a_record_that_was_put_together_again_is_said_to_be(self, run: Run, tmp_path: Path) -> None:
        first = json.loads(run("timeline", "ironman", "--raw", "-q").stdout.splitlines()[0])
        hit = {"location": "x", "data": {"integration": "aws", "aws": {**first, "source": "cloudtrail"}}}
        (tmp_path / "alerts.json").write_text(json.dumps(hit) + "\n")
        result = run("timeline", str(tmp_path), "--raw")
        assert "warning: 1 record rebuilt: the source does not have what CloudTrail wrote" in result.stderr

    def test_a_record_found_twice_is_printed_once(self, run: Run) -> None:
        once = run("timeline", "ironman", "--raw", "-q").stdout
        assert run("timeline", "ironman", "ironman-signed", "--raw", "-q").stdout == once

    def test_a_record_on_several_lines_becomes_one(self, run: Run, tmp_path: Path) -> None:
        first = run("timeline", "ironman", "--raw", "-q").stdout.splitlines()[0]
        (tmp_path / "log.json").write_text(json.dumps({"Records": [json.loads(first)]}, indent=2))
        assert run("timeline", str(tmp_path), "--raw", "-q").stdout == f"{first}\n"

    def test_of_records_that_differ_the_one_that_counts_is_printed(self, run: Run, tmp_path: Path) -> None:
        first = json.loads(run("timeline", "ironman", "--raw", "-q").stdout.splitlines()[0])
        original = json.dumps(first)
        addendum = first | {"addendum": {"reason": "DELIVERY_DELAY", "originalEventID": first["eventID"]}}
        (tmp_path / "a.json").write_text(json.dumps({"Records": [first | {"awsRegion": "eu-west-2"}]}))
        (tmp_path / "b.json").write_text(json.dumps({"Records": [addendum]}))
        (tmp_path / "c.json").write_text(f'{{"Records": [{original}]}}')
        (line,) = run("timeline", str(tmp_path), "--raw", "-q").stdout.splitlines()
        assert "addendum" in json.loads(line)

    @pytest.mark.parametrize("other", [("-o", "json"), ("-o", "table"), ("--query", "a")])
    def test_it_is_always_json_lines(self, run: Run, other: tuple[str, ...]) -> None:
        result = run("timeline", "ironman", "--raw", *other)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "--raw" in result.stderr


class TestYaml:
    COMMANDS = (
        ("timeline", "ironman"),
        ("leases", "ironman"),
        ("findings", "stolen-address"),
        ("pool", "ironman"),
        ("state", "ironman", "--at", "2022-10-05T14:00Z"),
        ("who", "192.168.53.76", "ironman", "--at", "2022-10-05T14:00Z"),
        ("subnet", "subnet-0a1d7e59c4b2f8603", "ironman"),
        ("verify", "ironman-signed"),
        ("timeline", "hostile"),
    )

    @pytest.mark.parametrize("command", COMMANDS)
    def test_it_is_the_json_document(self, run: Run, command: tuple[str, ...]) -> None:
        text = run(*command, "-o", "yaml").stdout
        assert yaml.safe_load(text) == json.loads(run(*command, "-o", "json").stdout)
        assert text.isascii()
        assert not any(line.lstrip(" -").startswith(("&", "*", "!")) for line in text.splitlines())

    @pytest.mark.parametrize(
        "text",
        [
            "no",
            "1e3",
            "0x1F",
            "12:30:45",
            "2022-10-05",
            "~",
            "",
            "null",
            "=",
            "- a",
            "a: b",
            "&a",
            "!x",
            "\x1b[1m",
        ],
    )
    def test_hostile_strings_stay_strings(self, text: str) -> None:
        from cnitrail.render.yaml import text as as_yaml

        assert yaml.safe_load(as_yaml({"name": text, text: [text, text]})) == {
            "name": text,
            text: [text, text],
        }
        assert as_yaml([text]) == f"- {json.dumps(text)}\n" or "\x1b" in text


class TestQuery:
    @pytest.mark.parametrize(
        "expression",
        [
            "entries[].[time, event]",
            "entries[?outcome=='failed'].error",
            "length(entries)",
            "nothing",
            "schema",
        ],
    )
    def test_it_prints_what_jmespath_takes_from_the_document(self, run: Run, expression: str) -> None:
        document = json.loads(run("timeline", "ironman", "-o", "json").stdout)
        taken = jmespath.search(expression, document)
        assert json.loads(run("timeline", "ironman", "--query", expression).stdout) == taken
        assert yaml.safe_load(run("timeline", "ironman", "--query", expression, "-o", "yaml").stdout) == taken
        rows = run("timeline", "ironman", "--query", expression, "-o", "jsonl").stdout.splitlines()
        assert [json.loads(row) for row in rows] == (taken if isinstance(taken, list) else [taken])

    @pytest.mark.parametrize(
        ("expression", "said"),
        [
            ("foo[*", "'foo[*' is not JMESPath (at character 6)"),
            ("a b", "'a b' is not JMESPath (at character 3)"),
            ("", "'' is not JMESPath"),
            ("entries[].nope(@)", "JMESPath has no function nope()"),
            ("sum(entries)", "--query: sum() takes array-number, not dict"),
        ],
    )
    def test_a_wrong_expression_is_a_usage_error(self, run: Run, expression: str, said: str) -> None:
        result = run("timeline", "ironman", "--query", expression)
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in result.stderr

    @pytest.mark.parametrize("output", ["table", "csv", "timesketch"])
    def test_it_goes_with_json_and_yaml_only(self, run: Run, output: str) -> None:
        result = run("timeline", "ironman", "--query", "entries", "-o", output)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"--query cannot be used with -o {output}" in result.stderr

    def test_verify_takes_it(self, run: Run) -> None:
        assert run("verify", "ironman-signed", "--query", "evidence.logs.valid").stdout == "14\n"


class TestReport:
    @pytest.mark.parametrize("asked", [(), ("--event", "DeleteNetworkInterface"), ("--instance", LOST_BY)])
    def test_every_numbered_event_is_listed(self, run: Run, asked: tuple[str, ...]) -> None:
        page = run("report", "stolen-address", *asked).stdout
        listed = [line for line in page.splitlines() if re.match(r"\| E[0-9]", line)]
        numbers = [int(line.split()[1][1:]) for line in listed]
        assert numbers == list(range(1, len(numbers) + 1))
        html = run("report", "stolen-address", *asked, "-o", "html").stdout
        assert all(f'id="e{number}"' in html for number in numbers)
        assert html.count('<tr id="e') == len(numbers)
