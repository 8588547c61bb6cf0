"""The timeline as people read it: groups on a screen, one line a call when piped, and folded failures."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pytest
from conftest import FIXTURES, Run
from hypothesis import given, settings
from hypothesis import strategies as st
from records import ENI, INSTANCE, OTHER_ENI, addresses, failed, items, record, subject_of
from rich.console import Console
from stories import STORIES as ALL_STORIES

from cnitrail import read
from cnitrail.api import Case
from cnitrail.cli.terminal import Terminal
from cnitrail.model import Answer, AttributeChange, TimelineEntry
from cnitrail.render.safe import printable
from cnitrail.render.text import Group, GroupedTable
from cnitrail.render.timeline import sentence, write_table, write_wide

STORIES = sorted(ALL_STORIES)
WIDTHS = (60, 80, 120, 200)
IDENTIFIER = re.compile(
    r"\b(?:i|eni|eni-attach|vpc|subnet|sg|eipalloc)-[0-9a-f]{8,17}\b"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|\b[0-9]{12}\b|\b[0-9]+(?:\.[0-9]+){3}(?:/[0-9]+)?\b"
    r"|[0-9a-f]+:[0-9a-f:]*::(?:/[0-9]+)?|\barn:aws:[\w:/.@+=,-]+"
)


@cache
def case_of(story: str) -> Case:
    return read(FIXTURES / story)


def terminal(out: StringIO, width: int) -> Terminal:
    return Terminal(out, Console(file=out, width=width, force_terminal=True, color_system=None))


def drawn(case: Case, width: int, **asked: Any) -> str:
    """Return the timeline as a terminal of a width shows it, without color."""
    out = StringIO()
    answer = Answer(command="timeline", query={}, evidence=case.evidence, entries=case.timeline(**asked))
    write_table(answer, cast("Any", terminal(out, width)))
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def rows_of(screen: str) -> str:
    """Return a screen without its legend of principals."""
    return re.split(r"\n\nPRINCIPAL", screen)[0]


def case_with(folder: Path, *records: dict[str, Any]) -> Case:
    (folder / "events.json").write_text(json.dumps({"Records": records}))
    return read(folder)


def at(second: int, entry: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a call so many seconds after nine."""
    time = datetime(2024, 5, 14, 9, tzinfo=UTC) + timedelta(seconds=second)
    number = f"00000000-0000-4000-8000-{second:012}"
    return (
        entry | {"eventTime": f"{time:%Y-%m-%dT%H:%M:%SZ}", "eventID": number, "requestID": number} | fields
    )


def assigned(eni: str, *ips: str) -> dict[str, Any]:
    return record(
        "AssignPrivateIpAddresses",
        {"networkInterfaceId": eni, "secondaryPrivateIpAddressCount": len(ips)},
        {
            "networkInterfaceId": eni,
            "assignedPrivateIpAddressesSet": {
                "assignedPrivateIpAddressSetType": [
                    {"assignedPrivateIpAddress": ip, "privateIpAddress": ip} for ip in ips
                ]
            },
        },
    )


def refused(eni: str, message: str = "no free addresses") -> dict[str, Any]:
    entry = record(
        "AssignPrivateIpAddresses", {"networkInterfaceId": eni, "secondaryPrivateIpAddressCount": 5}
    )
    return failed(entry, "Client.InsufficientFreeAddressesInSubnet", message)


def attached(eni: str, instance: str) -> dict[str, Any]:
    return record(
        "AttachNetworkInterface",
        {"networkInterfaceId": eni, "instanceId": instance, "deviceIndex": 1},
        {"attachmentId": f"eni-attach-{eni[4:]}"},
    )


def modified(**attribute: Any) -> dict[str, Any]:
    return record(
        "ModifyNetworkInterfaceAttribute", {"networkInterfaceId": ENI} | attribute, {"_return": True}
    )


class TestScreens:
    @pytest.mark.parametrize("width", [*WIDTHS, 100])
    @pytest.mark.parametrize("story", STORIES)
    def test_no_identifier_is_broken_or_left_out(self, story: str, width: int) -> None:
        check_identifiers(story, width)

    @settings(max_examples=40)
    @given(st.sampled_from(STORIES), st.integers(20, 220))
    def test_nor_at_any_other_width(self, story: str, width: int) -> None:
        check_identifiers(story, width)

    @pytest.mark.parametrize("width", WIDTHS)
    def test_every_line_that_can_be_broken_fits(self, width: int) -> None:
        lines = rows_of(drawn(case_of("subnet-exhausted"), width)).splitlines()
        assert [line for line in lines if len(line) > width and len(line.split()) > 1] == []


def check_identifiers(story: str, width: int) -> None:
    """Assert that a screen has every identifier of the entries as a whole, and no part of one."""
    case = case_of(story)
    entries = case.timeline()
    shown = set(IDENTIFIER.findall(rows_of(drawn(case, width))))
    expected = {found for entry in entries for found in identifiers(entry)}
    assert sorted(expected - shown) == []
    known = {found for entry in entries for found in IDENTIFIER.findall(printable(str(entry)))}
    named = {str(held) for entry in entries for held in (*entry.added, *entry.removed, *entry.shown)}
    assert sorted(shown - known - named - {str(entry.cidr) for entry in entries}) == []


def identifiers(entry: TimelineEntry) -> Iterator[str]:
    """Yield what a screen has to show of an entry."""
    values = (entry.eni, entry.instance, entry.account, *entry.added, *entry.removed, *entry.shown)
    for value in values:
        if value is not None and IDENTIFIER.fullmatch(str(value)):
            yield str(value)


class TestDrawing:
    WORDS = st.text("ab-1:", min_size=1, max_size=30)
    CELLS = st.lists(
        st.tuples(st.lists(WORDS, max_size=5).map(" ".join), st.sampled_from(["", "bold"])), max_size=3
    )
    ROWS = st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), max_size=4)

    @given(st.lists(st.tuples(CELLS, ROWS), max_size=3), st.integers(1, 150))
    def test_no_word_is_cut_or_lost_at_any_width(self, groups: list[Any], width: int) -> None:
        table = GroupedTable(("A", "B", "C", "D"), [Group(header, rows) for header, rows in groups])
        out = StringIO()
        terminal(out, width).draw_groups(table)
        cells = [
            cell for header, rows in groups for cell in (header, *(cell for row in rows for cell in row))
        ]
        words = [word for cell in cells for text, _ in cell for word in text.split()]
        assert out.getvalue().split() == ["A", "B", "C", "D", *words]
        assert [line for line in out.getvalue().splitlines() if line != line.rstrip()] == []


class TestGroups:
    def test_one_node_has_one_header_and_a_line_for_each_call(self) -> None:
        lines = rows_of(drawn(case_of("ironman"), 200)).splitlines()
        assert lines[1:5] == [
            "",
            "i-03846c730abe852f4  m5.large  cluster ironman-2022  111111111111  eu-west-1  2022-10-05 UTC",
            "calls by kube-system/aws-node (IRSA) via amazon-vpc-cni-k8s unless noted",
            (
                "13:14:10  RunInstances                     eni-06d2f4a81c9b3e750  "
                "by autoscaling.amazonaws.com (AWS service); +1: 192.168.55.245; node-primary, device 0"
            ),
        ]
        assert len([line for line in lines if re.match(r"\d\d:\d\d:\d\d  ", line)]) == 14
        assert len(lines) == 4 + 14

    def test_a_call_that_does_not_fit_goes_on_below(self) -> None:
        assert (
            "13:15:46  AssignPrivateIpAddresses         eni-06d2f4a81c9b3e750\n"
            "          +9: 192.168.34.201 192.168.41.36 192.168.43.87 192.168.45.23\n"
            "          192.168.49.142 192.168.49.56 192.168.56.12 192.168.58.233\n"
            "          192.168.62.119\n"
        ) in drawn(case_of("ironman"), 80)

    def test_nodes_that_scale_at_once_share_a_header_and_have_a_column(self, tmp_path: Path) -> None:
        enis = [f"eni-{number:017x}" for number in range(20)]
        instances = [f"i-{number:017x}" for number in range(20)]
        calls = [at(number, attached(*pair)) for number, pair in enumerate(zip(enis, instances, strict=True))]
        calls += [at(100 + number, assigned(eni, f"10.0.0.{number}")) for number, eni in enumerate(enis)]
        lines = rows_of(drawn(case_with(tmp_path, *calls), 200)).splitlines()
        assert lines[0].split() == ["TIME", "API", "CALL", "INSTANCE", "ENI", "DETAILS"]
        assert lines[2] == "111122223333  eu-west-1  2024-05-14 UTC"
        assert lines[3] == "calls by ada (IAM user) via aws-cli 2.15.30"
        assert len(lines) == 4 + 40

    def test_the_usual_principal_is_named_once_and_any_other_in_its_row(self) -> None:
        screen = rows_of(drawn(case_of("stolen-address"), 200))
        assert screen.count("kube-system/aws-node") == 1
        assert "calls by kube-system/aws-node (IRSA) via amazon-vpc-cni-k8s v1.19.2 unless noted\n" in screen
        assert "by dana.reyes@example.com (Identity Center) via aws-cli 2.27.31; +1: 10.60.12.50; " in screen

    def test_without_a_usual_principal_every_row_names_its_own(self) -> None:
        screen = rows_of(drawn(case_of("two-vpcs"), 200))
        assert "calls by" not in screen
        assert screen.count("  by ") == 8

    def test_nodes_that_share_a_role_are_one_row_of_the_legend(self) -> None:
        screen = drawn(case_of("silent-death"), 200)
        assert (
            screen.count("calls by the instance's own role via amazon-vpc-cni-k8s v1.18.3 unless noted") == 2
        )
        assert (
            "2 instances (instance role)              instance-role; role breakwater-NodeInstanceRole; "
            "cluster breakwater (from a tag, claimed); its own instance (by ec2RoleDelivery); "
            "account 222222222222\n"
        ) in screen

    def test_a_new_day_begins_a_new_group(self, tmp_path: Path) -> None:
        calls = [
            at(day * 86400 + second, assigned(ENI, f"10.0.{day}.{second}"))
            for day in (0, 1)
            for second in (0, 60, 120)
        ]
        screen = rows_of(drawn(case_with(tmp_path, *calls), 120))
        assert re.findall(r".* UTC", screen) == [
            "no known instance  111122223333  eu-west-1  2024-05-14 UTC",
            "no known instance  111122223333  eu-west-1  2024-05-15 UTC",
        ]

    def test_another_program_of_the_same_principal_is_named_again(self, tmp_path: Path) -> None:
        calls = [
            at(0, assigned(ENI, "10.0.0.1")),
            at(60, assigned(ENI, "10.0.0.2")),
            at(120, assigned(ENI, "10.0.0.3"), userAgent="Boto3/1.34.20"),
            at(180, assigned(ENI, "10.0.0.4")),
        ]
        details = re.findall(r"(?:via \S+(?: \S+)?; )?\+1: .*", drawn(case_with(tmp_path, *calls), 200))
        assert details == [
            "+1: 10.0.0.1; other",
            "+1: 10.0.0.2",
            "via Boto3/1.34.20; +1: 10.0.0.3",
            "via aws-cli 2.15.30; +1: 10.0.0.4",
        ]


class TestFolding:
    def test_identical_failures_are_one_row_however_far_apart(self, tmp_path: Path) -> None:
        calls = [at(number * 3600, refused(ENI)) for number in range(3)]
        calls += [at(600 + number * 3600, assigned(OTHER_ENI, f"10.0.0.{number}")) for number in range(3)]
        screen = rows_of(drawn(case_with(tmp_path, *calls), 200))
        assert screen.count("FAILED") == 1
        assert (
            "×3 until 11:00:00Z; InsufficientFreeAddressesInSubnet: no free addresses; requested 5" in screen
        )

    def test_equal_calls_with_failures_of_others_in_between_are_one_row(self, tmp_path: Path) -> None:
        calls = [
            at(0, refused(OTHER_ENI)),
            *(at(1 + number, assigned(ENI, "10.0.0.1")) for number in (0, 2, 4)),
            *(at(2 + number, refused(OTHER_ENI)) for number in (0, 2)),
        ]
        rows = re.findall(r"×3 until .*Z", rows_of(drawn(case_with(tmp_path, *calls), 200)))
        assert rows == ["×3 until 09:00:04Z", "×3 until 09:00:05Z"]

    def test_a_success_in_between_begins_a_new_row(self, tmp_path: Path) -> None:
        calls = [
            at(0, refused(ENI)),
            at(1, refused(ENI)),
            at(60, assigned(ENI, "10.0.0.1")),
            at(90, refused(ENI)),
        ]
        screen = rows_of(drawn(case_with(tmp_path, *calls), 200))
        assert re.findall(r"FAILED|×2 until 09:00:01Z|\+1: 10.0.0.1", screen) == [
            "FAILED",
            "×2 until 09:00:01Z",
            "+1: 10.0.0.1",
            "FAILED",
        ]

    def test_a_subnet_in_which_a_create_worked_in_between_is_no_lasting_failure(self, tmp_path: Path) -> None:
        asked = {"subnetId": "subnet-0123456789abcdef0"}
        refusal = failed(record("CreateNetworkInterface", asked), "Client.InsufficientFreeAddressesInSubnet")
        made = {
            "networkInterface": {
                "networkInterfaceId": ENI,
                "subnetId": "subnet-0123456789abcdef0",
                "vpcId": "vpc-0123456789abcdef0",
                "privateIpAddress": "10.0.0.9",
                "privateIpAddressesSet": items(*addresses("10.0.0.9")),
            }
        }
        calls = [at(0, refusal), at(60, record("CreateNetworkInterface", asked, made)), at(120, refusal)]
        assert rows_of(drawn(case_with(tmp_path, *calls), 200)).count("FAILED") == 2

    @pytest.mark.parametrize(
        "other",
        [
            refused(OTHER_ENI),
            refused(ENI, "something else"),
            refused(ENI) | {"errorCode": "Client.RequestLimitExceeded"},
            refused(ENI) | {"userAgent": "Boto3/1.34.20"},
            refused(ENI) | {"awsRegion": "eu-west-3"},
        ],
        ids=["ENI", "message", "code", "program", "Region"],
    )
    def test_other_failures_have_rows_of_their_own(self, other: dict[str, Any], tmp_path: Path) -> None:
        calls = [at(0, refused(ENI)), at(60, other)]
        assert rows_of(drawn(case_with(tmp_path, *calls), 200)).count("FAILED") == 2

    def test_denials_with_another_ciphertext_each_are_identical(self, tmp_path: Path) -> None:
        said = "You are not authorized. Encoded authorization failure message: "
        calls = [at(number * 60, refused(ENI, said + "xyz"[number] * 200)) for number in range(3)]
        assert "×3 until 09:02:00Z" in drawn(case_with(tmp_path, *calls), 200)

    def test_json_and_wide_fold_nothing(self, run: Run, tmp_path: Path) -> None:
        case_with(tmp_path, *(at(number, refused(ENI)) for number in range(3)))
        assert len(run("timeline", tmp_path, "-o", "jsonl").stdout.splitlines()) == 3
        assert run("timeline", tmp_path, "-o", "wide").stdout.count("FAILED") == 3

    def test_newest_first_the_row_is_where_the_last_failure_is(self, tmp_path: Path) -> None:
        calls = [at(number * 86400, refused(ENI)) for number in range(2)]
        screen = drawn(case_with(tmp_path, *calls), 200, newest_first=True)
        assert "×2 since 2024-05-14T09:00:00Z" in screen
        assert "2024-05-15 UTC" in screen


class TestChanges:
    @pytest.mark.parametrize(
        ("attribute", "change", "said"),
        [
            (
                {"groupSet": items({"groupId": "sg-0a"}, {"groupId": "sg-0b"})},
                AttributeChange("groupSet", ("sg-0a", "sg-0b")),
                "security groups sg-0a, sg-0b",
            ),
            (
                {"sourceDestCheck": {"value": False}},
                AttributeChange("sourceDestCheck", False),
                "source/dest check off",
            ),
            (
                {"sourceDestCheck": {"value": "true"}},
                AttributeChange("sourceDestCheck", True),
                "source/dest check on",
            ),
            (
                {"description": {"value": "my own ENI"}},
                AttributeChange("description", "my own ENI"),
                'description "my own ENI"',
            ),
            ({"description": {"value": "off"}}, AttributeChange("description", "off"), 'description "off"'),
            ({"description": {"value": ""}}, AttributeChange("description", ""), 'description ""'),
            (
                {"attachment": {"attachmentId": "eni-attach-1", "deleteOnTermination": True}},
                AttributeChange("deleteOnTermination", True),
                "deleteOnTermination on",
            ),
            (
                {"enaSrdSpecification": {"enaSrdEnabled": True}},
                AttributeChange("enaSrdSpecification", None),
                "ENA Express changed",
            ),
            (
                {"associatePublicIpAddress": {"value": True}},
                AttributeChange("associatePublicIpAddress", True),
                "associatePublicIpAddress on",
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_a_call_changes_is_read_and_said(
        self, attribute: dict[str, Any], change: AttributeChange, said: str, tmp_path: Path
    ) -> None:
        assert subject_of(modified(**attribute)).details.changes == (change,)
        case = case_with(tmp_path, modified(**attribute))
        assert f"  {said};" in drawn(case, 200)
        assert sentence(case.timeline()[0]).endswith(f" on {ENI} other: {said}")

    def test_a_failed_call_shows_what_it_asked_for(self, tmp_path: Path) -> None:
        entry = failed(modified(groupSet=items({"groupId": "sg-0a"})), "Client.InvalidGroup.NotFound")
        assert "InvalidGroup.NotFound: no; requested security groups sg-0a" in drawn(
            case_with(tmp_path, entry), 200
        )

    def test_they_are_in_json_and_csv(self, run: Run, tmp_path: Path) -> None:
        case_with(tmp_path, modified(groupSet=items({"groupId": "sg-0a"}, {"groupId": "sg-0b"})))
        (entry,) = map(json.loads, run("timeline", tmp_path, "-o", "jsonl").stdout.splitlines())
        assert entry["changes"] == [{"attribute": "groupSet", "value": ["sg-0a", "sg-0b"]}]
        assert '"groupSet=sg-0a,sg-0b"' in run("timeline", tmp_path, "-o", "csv").stdout

    def test_a_long_description_is_shortened(self, tmp_path: Path) -> None:
        case = case_with(tmp_path, modified(description={"value": "x " * 300}))
        assert "… (600 characters)" in " ".join(drawn(case, 200).split())

    def test_a_description_that_names_an_instance_is_a_claim(self, tmp_path: Path) -> None:
        case = case_with(tmp_path, modified(description={"value": f"aws-K8S-{INSTANCE}"}))
        assert [entry.instance for entry in case.timeline()] == [None]


class TestLimit:
    def test_the_newest_entries_are_kept_in_the_order_of_the_evidence(self, run: Run) -> None:
        result = run("timeline", "ironman", "--limit", "2", "-o", "jsonl")
        times = [json.loads(line)["time"] for line in result.stdout.splitlines()]
        assert times == ["2022-10-05T15:22:23Z", "2022-10-05T15:22:24Z"]
        assert result.stderr.splitlines()[-1] == "12 earlier entries not shown (--limit 2)"

    def test_newest_first_turns_the_order_round(self, run: Run) -> None:
        result = run("timeline", "ironman", "--newest-first", "-o", "csv")
        times = [line.split(",")[0] for line in result.stdout.splitlines()[1:]]
        assert times == sorted(times, reverse=True)
        assert times[0] == "2022-10-05T15:22:24Z"

    def test_the_query_says_so(self, run: Run) -> None:
        answer = json.loads(run("timeline", "ironman", "--limit", "3", "--newest-first", "-o", "json").stdout)
        assert (answer["query"]["limit"], answer["query"]["newest_first"]) == (3, True)
        assert len(answer["entries"]) == 3

    def test_a_limit_that_hides_nothing_says_nothing(self, run: Run) -> None:
        result = run("timeline", "ironman", "--limit", "14")
        assert "not shown" not in result.stderr

    @pytest.mark.parametrize("option", [("--limit", "5"), ("--newest-first",)])
    def test_a_picture_of_time_has_neither(self, option: tuple[str, ...], run: Run) -> None:
        result = run("timeline", "ironman", "-o", "perfetto", *option)
        assert result.exit_code == 2
        assert result.stderr == (
            f"error: {option[0]} cannot be used with -o perfetto\n"
            "hint: it draws the whole time range: narrow it with --since and --until\n"
        )

    def test_a_limit_of_zero_is_an_error(self, run: Run) -> None:
        assert run("timeline", "ironman", "--limit", "0").exit_code == 2

    def test_the_library_has_both(self) -> None:
        case = case_of("ironman")
        assert case.timeline(limit=2) == case.timeline()[-2:]
        assert case.timeline(newest_first=True, limit=2) == case.timeline()[:-3:-1]


class TestLines:
    def test_a_piped_line_has_all_of_its_context(self, run: Run) -> None:
        lines = run("timeline", "ironman").stdout.split("\n\n")[0].splitlines()
        assert len(lines) == 1 + 14
        for line in lines[1:]:
            assert re.match(r"2022-10-05T\d\d:\d\d:\d\dZ  \w+", line)
            assert "i-03846c730abe852f4" in line
            assert "m5.large  ironman-2022  111111111111  eu-west-1" in line

    def test_wide_is_one_line_a_call_on_a_narrow_screen_as_well(self) -> None:
        case, out = case_of("ironman"), StringIO()
        answer = Answer(command="timeline", query={}, evidence=case.evidence, entries=case.timeline())
        write_wide(answer, cast("Any", terminal(out, 40)))
        lines = out.getvalue().split("\n\n")[0].splitlines()
        assert len(lines) == 1 + 14
        assert "vpc-0a2e8f6ad5c3b9714  subnet-0a1d7e59c4b2f8603" in lines[1]
        assert all(
            str(entry.event_id) in line for entry, line in zip(case.timeline(), lines[1:], strict=True)
        )
