"""IDs that people give: what is taken for one, and what is a usage error."""

import json

import pytest
from conftest import FIXTURES, Run

import cnitrail
from cnitrail.errors import UsageError
from cnitrail.parse import parse_id

NODE = "i-03846c730abe852f4"
MALFORMED = [
    ("--eni", "foo", "'foo' is not an ENI ID", "for example eni-0abc1def2a3b4c5d6"),
    ("--eni", "eni-", "'eni-' is not an ENI ID", "for example eni-0abc1def2a3b4c5d6"),
    ("--eni", "eni-0abc1def2a3b4c5d60", "'eni-0abc1def2a3b4c5d60' is not an ENI ID", "for example"),
    ("--eni", NODE, f"'{NODE}' is not an ENI ID", "it is an instance ID"),
    ("--eni", "eni-a,eni-b", "'eni-a,eni-b' is not an ENI ID", "for example eni-0abc1def2a3b4c5d6"),
    ("--instance", "i-ZZZ", "'i-ZZZ' is not an instance ID", "for example i-0abc1def2a3b4c5d6"),
    ("--instance", "", "'' is not an instance ID", "for example i-0abc1def2a3b4c5d6"),
    (
        "--instance",
        f"arn:aws:ec2:eu-west-1:1:instance/{NODE}",
        "is not an instance ID, but an ARN",
        f"use {NODE}",
    ),
    ("--eni", f"arn:aws:ec2:eu-west-1:1:instance/{NODE}", "is not an ENI ID", "for example eni-0abc"),
    ("--vpc", "x", "'x' is not a VPC ID", "for example vpc-0abc1def2a3b4c5d6"),
    ("--subnet", "10.0.0.0/24", "'10.0.0.0/24' is not a subnet ID", "for example subnet-0abc1def2a3b4c5d6"),
    ("--subnet", "vpc-0abc", "'vpc-0abc' is not a subnet ID", "it is a VPC ID"),
    ("--account", "12", "'12' is not an account ID", "for example 111111111111"),
    ("--account", "all", "'all' is not an account ID", "for example 111111111111"),
    ("--account", "１１１１１１１１１１１１", "is not an account ID", "for example 111111111111"),
]
PLACES = ("timeline", "leases", "state", "pool", "findings", "report")


class TestMalformed:
    @pytest.mark.parametrize(("option", "value", "said", "hint"), MALFORMED)
    def test_it_is_a_usage_error_with_a_hint(
        self, run: Run, option: str, value: str, said: str, hint: str
    ) -> None:
        result = run("timeline", "ironman", option, value)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"error: {option}: " in result.stderr
        assert said in result.stderr
        assert f"hint: {hint}" in result.stderr

    @pytest.mark.parametrize("command", PLACES)
    @pytest.mark.parametrize("option", ["--instance", "--vpc", "--subnet", "--account"])
    def test_every_command_refuses_it(self, run: Run, command: str, option: str) -> None:
        result = run(command, "ironman", option, "nothing")
        assert result.exit_code == 2
        assert f"error: {option}: 'nothing' is not a" in result.stderr

    @pytest.mark.parametrize(
        "arguments",
        [
            ("verify", "ironman-signed"),
            ("collect", "ironman", "--to", "trail.db"),
            ("sync", "trail.db"),
            ("who", "10.0.1.25", "ironman", "--at", "2h"),
            ("subnet", "subnet-0a1d7e59c4b2f8603", "ironman"),
        ],
    )
    def test_commands_that_only_take_an_account_refuse_it_too(
        self, run: Run, arguments: tuple[str, ...]
    ) -> None:
        result = run(*arguments, "--account", "1234")
        assert result.exit_code == 2
        assert "error: --account: '1234' is not an account ID" in result.stderr

    def test_who_refuses_what_is_no_vpc(self, run: Run) -> None:
        result = run("who", "10.0.1.25", "ironman", "--at", "2h", "--vpc", NODE)
        assert (result.exit_code, "is not a VPC ID" in result.stderr) == (2, True)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("instance", "i-ZZZ"),
            ("eni", "foo"),
            ("vpc", "x"),
            ("subnet", "x"),
            ("account", ["111111111111", "1"]),
        ],
    )
    def test_the_api_raises_the_same(self, story: str, name: str, value: object) -> None:
        case = cnitrail.read(story)
        with pytest.raises(UsageError, match=f"^{name}: '.*' is not an? .* ID$") as caught:
            case.timeline(**{name: value})  # type: ignore[arg-type]
        assert caught.value.hint is not None

    def test_the_api_names_a_subnet_that_is_none(self, story: str) -> None:
        with pytest.raises(UsageError, match=r"^subnet: 'ironman' is not a subnet ID$"):
            cnitrail.read(story).subnet("ironman")

    def test_a_question_with_one_is_not_answered(self, run: Run) -> None:
        asked = "ip,at,vpc,account\n10.0.1.25,2026-02-10T10:00Z,two,\n10.0.1.25,2026-02-10T10:00Z,,1\n"
        result = run("who", "--batch", "-", "two-vpcs", "-o", "jsonl", input=asked)
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        assert result.exit_code == 3
        assert [answer["reasons"][0]["text"] for answer in answers] == [
            "line 2: vpc: 'two' is not a VPC ID",
            "line 3: account: '1' is not an account ID",
        ]


class TestAsPeoplePasteThem:
    @pytest.mark.parametrize(
        ("kind", "text", "read"),
        [
            ("eni", " eni-0ABC1DEF2A3B4C5D6\n", "eni-0abc1def2a3b4c5d6"),
            ("eni", "eni-1a2b3c4d", "eni-1a2b3c4d"),
            ("eni", "eni-a", "eni-a"),
            ("instance", "I-03846C730ABE852F4", NODE),
            ("vpc", "vpc-1", "vpc-1"),
            ("account", "1111-2222-3333", "111122223333"),
            ("account", "012345678901 ", "012345678901"),
        ],
    )
    def test_an_id_is_read_as_aws_writes_it(self, kind: str, text: str, read: str) -> None:
        assert parse_id(kind, text) == read

    def test_capitals_and_spaces_select_the_same_calls(self, run: Run) -> None:
        plain = run("timeline", "ironman", "--instance", NODE, "--account", "111111111111", "-q").stdout
        pasted = run(
            "timeline", "ironman", "--instance", f" {NODE.upper()} ", "--account", "1111-1111-1111", "-q"
        )
        assert pasted.stdout == plain != ""

    def test_a_subnet_is_found_by_a_pasted_id(self, run: Run) -> None:
        plain = run("subnet", "subnet-0a1d7e59c4b2f8603", "ironman", "-q").stdout
        assert run("subnet", " SUBNET-0A1D7E59C4B2F8603", "ironman", "-q").stdout == plain != ""

    def test_an_address_may_have_spaces_around_it(self, run: Run) -> None:
        plain = run("timeline", "ironman", "--ip", "192.168.53.76", "-q").stdout
        assert run("timeline", "ironman", "--ip", " 192.168.53.76 ", "-q").stdout == plain != ""

    def test_the_api_reads_them_as_the_options_do(self, story: str) -> None:
        case = cnitrail.read(story)
        assert case.timeline(instance=f" {NODE.upper()}") == case.timeline(instance=NODE) != []


@pytest.fixture
def story() -> str:
    """A trail with a node."""
    return str(FIXTURES / "ironman")
