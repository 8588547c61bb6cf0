"""The postmortem: what it says of each story, what it cites, how it folds, and that nothing in it acts."""

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, Run
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from records import record
from reports import crowd_of, written
from stories import STORIES as ALL_STORIES

from cnitrail.answers.filters import Filter
from cnitrail.answers.report import report
from cnitrail.cli.progress import Progress
from cnitrail.history import build
from cnitrail.model import Report, Scope
from cnitrail.render.report.markdown import harmless
from cnitrail.render.report.row_folding import fold
from cnitrail.render.safe import printable
from cnitrail.workflows.read import read_evidence

STORIES = sorted(ALL_STORIES)
NODE = "i-03846c730abe852f4"
TEMPLATES = Path(__file__).parents[1] / "cnitrail" / "render" / "report" / "templates"


def told(story: str, wanted: Filter | None = None) -> Report:
    ledger, evidence = read_evidence((str(FIXTURES / story),), Scope(), Progress(quiet=True))
    return report(build(ledger.events(), ledger.sessions()), evidence, wanted or Filter())


def sentences(story: str, wanted: Filter | None = None) -> list[str]:
    return [statement.sentence for statement in told(story, wanted).summary]


def steps(found: Report, instance: str | None) -> list[tuple[str, int]]:
    (life,) = [life for life in found.instances if life.instance == instance]
    return [(f"{step.time:%H:%M:%S}", step.number) for step in life.steps]


class TestGolden:
    @pytest.mark.parametrize("story", STORIES)
    def test_the_markdown_of_each_story_reads_as_reviewed(
        self, story: str, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        result = run("report", story)
        assert result.exit_code == 0
        golden(f"{story}/report.md", result.stdout)

    @pytest.mark.parametrize("story", STORIES)
    def test_the_html_of_each_story_reads_as_reviewed_beside_its_style_and_script(
        self, story: str, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        result = run("report", story, "-o", "html")
        assert result.exit_code == 0
        page = re.sub(r"(?<=<style>).*?(?=</style>)", "page.css", result.stdout, flags=re.DOTALL)
        page = re.sub(r"(?<=<script>).*?(?=</script>)", "page.js", page, flags=re.DOTALL)
        golden(f"{story}/report.html", re.sub(r"sha256-[\w+/=]+", "sha256-…", page))

    def test_a_report_of_an_address_that_was_stolen_reads_as_reviewed(
        self, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        asked = ("--ip", "10.60.12.50", "--since", "2025-06-17T11:00Z")
        golden("stolen-address/report-of-10.60.12.50.md", run("report", "stolen-address", *asked).stdout)


class TestSummary:
    def test_the_ironman_node_grew_within_minutes_and_shrank_two_hours_later(self) -> None:
        assert sentences("ironman") == [
            (
                "2022-10-05 13:14:10 to 15:22:24Z: 14 calls, 1 of which failed, by 2 actors added "
                "20 addresses and removed 14 addresses, on 2 interfaces of 1 instance."
            ),
            (
                f"2022-10-05 13:14:10Z: autoscaling.amazonaws.com (AWS service) launched {NODE} (m5.large, "
                "cluster ironman-2022) with 192.168.55.245 on eni-06d2f4a81c9b3e750. "
                "The instance then had 1 address (m5.large: at most 30)."
            ),
            (
                f"2022-10-05 13:15:46 to 13:16:06Z: on {NODE}, kube-system/aws-node (IRSA, the VPC CNI by "
                "its user agent) added 18 addresses (9 to eni-06d2f4a81c9b3e750 and 9 to "
                "eni-0bbea279695112970), created eni-0bbea279695112970 with 192.168.38.190 and attached it "
                "as device 1. The instance then had 20 addresses (m5.large: at most 30)."
            ),
            (
                f"2022-10-05 15:21:18 to 15:22:24Z: on {NODE}, kube-system/aws-node (IRSA, the VPC CNI by "
                "its user agent) removed 13 addresses (9 from eni-0bbea279695112970 and 4 from "
                "eni-06d2f4a81c9b3e750), detached eni-0bbea279695112970, deleted it with 192.168.38.190 "
                "and made 1 call that failed. The instance then had 6 addresses (m5.large: at most 30)."
            ),
            (
                "2022-10-05 15:22:23Z: DeleteNetworkInterface by kube-system/aws-node (IRSA) failed with "
                "Client.InvalidParameterValue: the interface was still attached, as is usual when it has "
                "just been let go. It was deleted 1 s later."
            ),
        ]

    def test_a_failure_without_a_known_meaning_is_told_in_ec2s_words(self) -> None:
        assert sentences("hand-assigned")[-1] == (
            "2024-05-14 14:26:02Z: AssignPrivateIpAddresses by m.okafor (IAM user) failed with "
            "Client.InvalidParameterValue: EC2 said: \"Address does not fall within the subnet's address "
            'range". Asked for: 10.40.48.10.'
        )

    def test_a_nodes_role_is_called_so_and_a_person_is_named(self) -> None:
        _, _, cni, person, _, _ = sentences("hand-assigned")
        assert "(the nodes' role, the VPC CNI by its user agent) added 9 addresses" in cni
        assert (
            "m.okafor (IAM user, through aws-cli) added 10.40.41.10 and 10.40.41.11 to eni-0c92e7d4b1a6f8353"
            in person
        )

    def test_a_call_that_takes_an_address_says_from_where(self) -> None:
        (taken,) = [each for each in sentences("stolen-address") if "dana" in each]
        assert "added 10.60.12.50 to eni-0b85e1c7d3a9f4620 and thereby took 10.60.12.50 from " in taken

    def test_the_whole_counts_what_calls_took_from_others(self) -> None:
        assert (
            "added 28 addresses, thereby took 1 address from others and removed 3 addresses, on "
        ) in sentences("stolen-address")[0]

    def test_a_name_that_would_read_as_part_of_the_sentence_stands_in_quotes(self, tmp_path: Path) -> None:
        call = record(
            "AttachNetworkInterface",
            {"networkInterfaceId": "eni-1 and deleted eni-2", "instanceId": "i-1, eni-3", "deviceIndex": 1},
            {"attachmentId": "eni-attach-1"},
        )
        (tmp_path / "log.json").write_text(json.dumps({"Records": [call]}), encoding="utf-8")
        found = told(str(tmp_path))
        assert found.title == 'Private addresses of "i-1, eni-3", 2024-05-14'
        assert found.summary[1].sentence == (
            '2024-05-14 09:30:00Z: on "i-1, eni-3", ada (IAM user, through aws-cli) attached '
            '"eni-1 and deleted eni-2" as device 1.'
        )

    def test_a_hole_in_the_evidence_is_said(self) -> None:
        assert sentences("hole-in-the-logs")[-1] == (
            "Little or nothing of 111111111111 in eu-north-1 was read between 2024-01-18 09:45:00Z and "
            "2024-01-18 12:05:00Z: what happened there is not told here."
        )

    def test_prefixes_are_counted_as_such(self) -> None:
        assert "added 3 addresses and 4 prefixes and removed 1 prefix" in sentences("prefix-delegation")[0]

    def test_where_nothing_is_found_that_is_what_it_says(self) -> None:
        found = told("ironman", Filter(eni=("eni-00000000000000000",)))
        assert [each.sentence for each in found.summary] == ["No call in the evidence is what was asked for."]
        assert (found.calls, found.instances, found.start) == ((), (), None)

    def test_many_spells_are_told_by_who_made_them(self, crowd: Report) -> None:
        found = [each.sentence for each in crowd.summary]
        assert found[0].startswith("2026-01-01 00:00:00 to 01:30:40Z: 1,000 calls, 45 of which failed, by 2 ")
        assert re.match(r"crowd-NodeInstanceRole \(the nodes' role, .*\) made 909 calls: added ", found[1])
        assert found[2].startswith(
            "autoscaling.amazonaws.com (AWS service) made 91 calls: launched 46 instances with 46 "
        )
        assert found[3].startswith("Most was moved in the minute of 2026-01-01 ")
        assert re.match(r"Fullest was i-\w+ at .*, with \d+ addresses \(m5.large: at most 30\)\.", found[4])


class TestInstances:
    def test_the_ironman_node_had_twenty_addresses_at_most_and_six_in_the_end(self) -> None:
        assert steps(told("ironman"), NODE) == [
            ("13:14:10", 0),
            ("13:14:10", 1),
            ("13:15:46", 10),
            ("13:16:05", 11),
            ("13:16:06", 20),
            ("15:21:23", 11),
            ("15:21:24", 7),
            ("15:22:21", 6),
        ]

    def test_an_address_counts_while_its_interface_is_attached(self) -> None:
        (life,) = told("ironman").instances
        second = life.interfaces[1]
        assert [(f"{step.time:%H:%M:%S}", step.number) for step in second.steps] == [
            ("13:14:10", 0),
            ("13:16:04", 1),
            ("13:16:06", 10),
            ("15:21:23", 1),
            ("15:22:24", 0),
        ]

    def test_the_limit_is_that_of_the_type_where_both_are_known(self) -> None:
        limits = {
            life.instance: life.limits and life.limits.addresses
            for life in told("hole-in-the-logs").instances
        }
        assert limits == {"i-0ae4c8d2f6b1a9370": 18, "i-0ae6eaf4b8d3cb590": None}

    def test_addresses_that_came_and_went_together_are_one_holding(self) -> None:
        (life,) = told("ironman").instances
        found = [(len(each.held), each.start.event, each.end.event) for each in life.interfaces[0].holdings]
        assert found == [(1, 1, None), (4, 2, 11), (5, 2, None)]

    def test_an_interface_that_changes_its_instance_has_a_part_of_its_life_on_each(self) -> None:
        found = told("eni-outlives-instance")
        assert steps(found, "i-05a9d3c7e1f8b2640")[1:] == [
            ("14:05:10", 1),
            ("14:10:02", 4),
            ("15:02:41", 0),
        ]
        assert steps(found, "i-05c4f7b2d8e1a9360")[1:] == [
            ("15:06:20", 1),
            ("15:09:12", 4),
            ("15:20:05", 5),
        ]

    def test_what_a_filter_leaves_out_is_still_seen_on_the_instances_that_it_keeps(self) -> None:
        found = told("stolen-address", Filter(ip=(ip_network("10.60.12.50"),), actor=("dana",)))
        assert len(found.calls) == 1
        assert steps(found, "i-0a7c3e9f1b5d28460") == [("11:47:25", 14), ("11:47:25", 13)]
        assert steps(found, "i-0b6d2f8e4a1c97350") == [("11:47:25", 13), ("11:47:25", 14)]

    def test_interfaces_of_no_known_instance_are_told_last(self) -> None:
        found = told("logs-begin-in-the-middle")
        assert [life.instance for life in found.instances][-1] is None
        assert [each.eni for each in found.instances[-1].interfaces] == [
            "eni-0fa1c6e2b8d4f7930",
            "eni-0fe1ceaa3afc2f8b0",
        ]

    def test_what_is_not_beyond_doubt_is_marked(self) -> None:
        (dead,) = [life for life in told("silent-death").instances if life.instance == "i-0c5e9a7d3f1b86240"]
        doubted = [
            str(held)
            for each in dead.interfaces
            for span in each.holdings
            if span.doubted
            for held in span.held
        ]
        assert doubted == [
            *("10.96.8.14", "10.96.9.101", "10.96.10.17"),
            *("10.96.8.219", "10.96.11.160", "10.96.9.3"),
        ]


class TestActors:
    def test_sessions_of_one_service_account_are_one_actor(self) -> None:
        first, second = told("ironman").principals
        assert (first.name, len(first.events), first.added, first.removed) == (
            "kube-system/aws-node",
            13,
            19,
            14,
        )
        assert ("DeleteNetworkInterface", 1, 1) in first.calls
        assert (second.name, second.calls) == ("autoscaling.amazonaws.com", (("RunInstances", 1, 0),))

    def test_the_nodes_of_a_role_are_one_actor_that_knows_its_nodes(self) -> None:
        role = next(
            each for each in told("silent-death").principals if each.name == "breakwater-NodeInstanceRole"
        )
        assert role.instances == ("i-0c5e9a7d3f1b86240", "i-0d6f1b8e4a2c97350")

    def test_who_gave_what_is_in_the_picture_is_named_though_the_filter_left_it_out(self) -> None:
        found = told("stolen-address", Filter(actor=("dana",)))
        assert [(each.name, bool(each.calls)) for each in found.principals] == [
            ("dana.reyes@example.com", True),
            ("autoscaling.amazonaws.com", False),
            ("kube-system/aws-node", False),
        ]


class TestOutOfTheOrdinary:
    def test_what_the_rules_find_is_told_with_its_events(self, run: Run) -> None:
        (found,) = told("hand-assigned").findings or ()
        assert (found.finding.rule, found.events) == ("address-assigned-by-hand", (7,))
        assert (
            "- **high**: m.okafor (IAM user, aws-cli 2.15.38) assigned"
            in run("report", "hand-assigned").stdout
        )

    def test_that_nothing_was_found_is_said(self, run: Run) -> None:
        assert "Nothing was found by the rules of `cnitrail findings`." in run("report", "ironman").stdout

    def test_it_is_not_judged_where_only_a_part_was_read(self, run: Run, tmp_path: Path) -> None:
        store = tmp_path / "trail.db"
        run("collect", "hand-assigned", "--to", store)
        for output in ("md", "html"):
            page = run("report", store, "--instance", "i-0e8b5a2c7d1f49036", "-o", output).stdout
            assert "Not judged: of these places alone was read." in page
            assert "as the VPC CNI never does" in run("report", store, "-o", output).stdout


class TestHolders:
    def test_they_are_told_for_the_addresses_asked_for_alone(self) -> None:
        assert told("stolen-address").tenures is None
        found = told("stolen-address", Filter(ip=(ip_network("10.60.12.50"),))).tenures
        assert found is not None
        assert [(each.eni, each.instances, each.end.basis.value) for each in found] == [
            ("eni-0a72f4d6c8e1b3950", ("i-0a7c3e9f1b5d28460",), "implied"),
            ("eni-0b85e1c7d3a9f4620", ("i-0b6d2f8e4a1c97350",), "open"),
        ]

    def test_an_address_may_be_held_in_a_prefix(self) -> None:
        found = told("prefix-delegation", Filter(ip=(ip_network("10.112.64.50"),))).tenures
        assert found is not None
        assert [(str(each.held), each.eni) for each in found] == [
            ("10.112.64.48/28", "eni-0f2b5e8d1f3c69470")
        ]

    def test_what_another_interface_may_have_taken_is_doubtful(self) -> None:
        found = told("logs-begin-in-the-middle", Filter(ip=(ip_network("10.128.3.41"),))).tenures
        assert found is not None
        assert {each.eni: each.doubt for each in found} == {
            "eni-0fb2e9b5dba7ca360": (
                "another interface may have taken the address at 2025-08-21 10:50:00Z, if in the same VPC"
            ),
            "eni-0fe1ceaa3afc2f8b0": None,
        }


class TestCitations:
    @pytest.mark.parametrize("story", STORIES)
    def test_events_are_numbered_by_time_and_every_number_is_one_of_them(self, story: str) -> None:
        found = told(story)
        times = [event.time for event in found.events]
        assert times == sorted(times)
        numbers = {number for statement in found.summary for number in statement.events}
        numbers |= {number for finding in found.findings or () for number in finding.events}
        numbers |= {call.event for call in found.calls}
        assert numbers <= set(range(1, len(found.events) + 1))

    def test_a_statement_cites_the_events_that_it_is_about(self) -> None:
        assert [statement.events for statement in told("ironman").summary] == [
            tuple(range(1, 15)),
            (1,),
            (2, 3, 4, 5, 6, 7),
            (8, 9, 10, 11, 12, 13, 14),
            (13, 14),
        ]

    @pytest.mark.parametrize("story", STORIES)
    def test_every_event_that_is_cited_is_listed_with_its_id_and_file(self, story: str, run: Run) -> None:
        for output, cited, listed in (
            ("md", r"\bE(\d+)\b", r"(?m)^\| E(\d+) \| [^|]*\| \w+ \| `[0-9a-f-]{36}` \| F\d+, record \d+"),
            ("html", r'href="#e(\d+)"', r'<tr id="e(\d+)">.*[0-9a-f-]{36}.*href="#f\d+"'),
        ):
            page = run("report", story, "-o", output).stdout.replace("E1, E2 … are events", "")
            body, _, evidence = page.rpartition("Evidence</h2>" if output == "html" else "## Evidence")
            assert set(re.findall(cited, body)) <= set(re.findall(listed, evidence))

    def test_an_event_in_several_files_is_cited_with_all_of_them(self, run: Run, tmp_path: Path) -> None:
        (log,) = (FIXTURES / "ironman").rglob("*T1320Z*.json.gz")
        for name in ("one.json.gz", "two.json.gz"):
            (tmp_path / name).write_bytes(log.read_bytes())
        page = run("report", tmp_path, "--event", "AttachNetworkInterface").stdout
        assert "`408bf566-1932-5992-8d63-8ed14515bb19` | F1, record 7, F2, record 7 |" in page
        assert "- F1: `one.json.gz`\n- F2: `two.json.gz`\n" in page


@pytest.fixture(scope="module")
def crowd() -> Report:
    """Nodes that come and go, in a thousand calls."""
    return crowd_of(1_000)


class TestFolding:
    @given(most=st.integers(1, 1_200))
    def test_rows_are_fewer_and_hold_every_call(self, crowd: Report, most: int) -> None:
        folded = fold(crowd.calls, most)
        assert len(folded.rows) <= max(most, 20)
        assert sorted(map(id, (call for row in folded.rows for call in row.calls))) == sorted(
            map(id, crowd.calls)
        )

    @given(most=st.integers(1, 1_200))
    def test_a_row_never_mixes_what_worked_with_what_failed(self, crowd: Report, most: int) -> None:
        for row in fold(crowd.calls, most).rows:
            assert len({call.entry.error is None for call in row.calls}) == 1
            assert len({call.entry.event for call in row.calls}) == 1

    def test_a_few_calls_are_rows_of_their_own_but_for_bursts(self) -> None:
        calls = told("node-life").calls
        assert [len(row.calls) for row in fold(calls, 200).rows if len(row.calls) > 1] == [2]
        assert fold(calls, 200).rule == "on one interface within 10 seconds of each other"

    def test_markdown_fits_into_a_ticket_and_says_what_it_folds(self, crowd: Report) -> None:
        page = written(crowd, "md")
        assert len(page) < 65_536  # a comment on GitHub
        found = re.search(r"^(\d+) rows tell 1,000 calls: calls alike .* are one row", page, re.MULTILINE)
        assert found is not None
        timeline = page.split("## Timeline")[1].split("## Instances")[0]
        counts = re.findall(r"^\| (?!Time)[^|]*\| \w+(?: ×([\d,]+))?", timeline, re.MULTILINE)
        assert len(counts) == int(found[1])
        assert sum(int(count or 1) for count in counts) == 1_000
        assert "\nFolded: 34 more instances with " in page

    def test_ten_thousand_calls_are_less_than_a_megabyte_of_html(self) -> None:
        assert len(written(crowd_of(10_000), "html").encode()) < 1_000_000

    def test_the_html_holds_every_call_and_every_instance_though_it_shows_a_few(self, crowd: Report) -> None:
        page = written(crowd, "html")
        data = data_of(page)
        assert len(data["calls"]) == 1_000
        assert len(data["events"]) == len(crowd.events)
        assert len(data["lives"]) == len(crowd.instances)
        assert page.count('<section class="life">') + data["folded"].count('<section class="life">') == len(
            crowd.instances
        )


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script id="data" type="application/([\w-]+)">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    text = found[2] if found[1] == "json" else zlib.decompress(base64.b64decode(found[2]), wbits=-15)
    data: dict[str, Any] = json.loads(text)
    return data


class Inline(HTMLParser):
    """The tags of a page, with what could ask somebody for something, or act."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.asks: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.asks += [
            (name, value)
            for name, value in attrs
            if name in ("src", "href", "style", "srcset", "action", "background") or name.startswith("on")
        ]


class TestHtml:
    def test_the_policy_lets_its_own_style_and_script_act_and_nothing_else(self, run: Run) -> None:
        page = run("report", "ironman", "-o", "html").stdout
        found = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)">', page)
        assert found is not None
        hashes = [
            base64.b64encode(hashlib.sha256((TEMPLATES / name).read_bytes()).digest()).decode()
            for name in ("page.css", "page.js")
        ]
        assert found[1].replace("&#39;", "'") == (
            f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
            "base-uri 'none'; form-action 'none'"
        )
        assert found.start() < page.index("<style>")

    @pytest.mark.parametrize("story", STORIES)
    def test_it_asks_nobody_for_anything(self, story: str, run: Run) -> None:
        page = Inline(run("report", story, "-o", "html").stdout)
        assert all(name == "href" and (value or "").startswith("#") for name, value in page.asks)
        assert not page.tags & {
            "link",
            "img",
            "iframe",
            "object",
            "embed",
            "base",
            "image",
            "use",
            "b:script",
        }

    def test_the_same_evidence_makes_the_same_bytes(self, run: Run) -> None:
        pages = {run("report", "two-vpcs", "-o", "html").stdout for _ in range(2)}
        assert len(pages) == 1


class TestHostile:
    def test_html_shows_everything_as_text(self, run: Run) -> None:
        page = run("report", "hostile", "-o", "html").stdout
        assert Inline(page).tags == Inline(run("report", "ironman", "-o", "html").stdout).tags
        assert "&lt;script&gt;alert(&#39;cnitrail&#39;)&lt;/script&gt;" in page
        assert "</script>" not in page.split('id="data"')[1].split("</script>")[0]
        assert not [sign for sign in page if sign != "\n" and not sign.isprintable()]

    def test_markdown_shows_everything_as_text(self, run: Run) -> None:
        page = run("report", "hostile").stdout
        assert not [sign for sign in page if sign != "\n" and not sign.isprintable()]
        tokens = MarkdownIt("commonmark").enable("table").parse(page)
        inline = [child for token in tokens for child in token.children or []]
        assert {token.type for token in inline} <= {
            "text",
            "code_inline",
            "strong_open",
            "strong_close",
            "softbreak",
        }
        assert "html_block" not in {token.type for token in tokens}
        assert [token.tag for token in tokens if token.type == "heading_open"].count("h1") == 1
        columns = [token for token in tokens if token.type in ("tr_open", "td_open", "th_open", "tr_close")]
        assert columns
        text = "".join(token.content for token in inline if token.type == "text")
        assert not re.search(r"@octocat|https?://|#\d|<|\[x\]|`", text)

    @given(text=st.text())
    def test_any_text_reads_as_itself_and_does_nothing(self, text: str) -> None:
        row = f"| {harmless(text)} | end |"
        tokens = MarkdownIt("commonmark").enable("table").parse(f"| a | b |\n|---|---|\n{row}\n")
        cells = [token for token in tokens if token.type == "inline"][2:]
        assert [cell.content for cell in cells][-1] == "end"
        assert len(cells) == 2
        read = "".join(child.content for child in cells[0].children or [])
        assert {child.type for child in cells[0].children or []} <= {"text", "code_inline"}
        assert read.split() == printable(text).split() or len(text) > 300

    @example(text="( : :")
    @given(text=st.text(alphabet="`|\\ab1.-+*_[](){}<>#@!~&:/ =\n\t"))
    def test_above_all_what_means_something_to_markdown(self, text: str) -> None:
        tokens = MarkdownIt("commonmark").parse(f"- {harmless(text)}\n")
        inline = [child for token in tokens for child in token.children or []]
        assert {token.type for token in inline} <= {"text", "code_inline", "text_special"}
        assert [token.type for token in tokens if token.type.endswith("_open")] in (
            ["bullet_list_open", "list_item_open", "paragraph_open"],
            ["bullet_list_open", "list_item_open"],
        )
        assert "".join(token.content for token in inline).split() == printable(text).split()

    @pytest.mark.parametrize(
        "text",
        ["@octocat", "ops@example.com", "https://example.com", "www.example.com", "#12", "GH-12", "OPS-7"],
    )
    def test_what_means_something_to_a_ticket_is_code(self, text: str) -> None:
        assert harmless(f"by {text}.") == f"by `{text}`."


class TestCommand:
    def test_markdown_is_what_it_prints_unless_asked_otherwise(self, run: Run) -> None:
        result = run("report", "ironman")
        assert result.stdout.startswith(f"# Private addresses of `{NODE}`, 2022-10-05\n")
        assert result.stdout == run("report", "ironman", "-o", "md").stdout
        assert result.stderr.startswith("14 shown; 14 files with 56 records read, 17 relevant")

    def test_what_was_asked_for_is_said_as_the_command_line_takes_it(self, run: Run) -> None:
        page = run(
            *("report", "ironman", "--ip", "192.168.53.0/24", "--ip", "192.168.41.30"),
            *("--until", "2022-10-05 14:00", "--no-failed", "--actor", "aws-node"),
        ).stdout
        assert (
            "- Asked for: ip `192.168.53.0/24`, `192.168.41.30`; actor `aws-node`; "
            "until `2022-10-05T14:00:00Z`; failed `false`\n"
        ) in page

    def test_filters_that_keep_nothing_are_answered_and_said(self, run: Run) -> None:
        for output in ("md", "html"):
            result = run("report", "ironman", "--eni", "eni-00000000000000000", "-o", output)
            assert result.exit_code == 0
            assert "No call in the evidence is what was asked for." in result.stdout
            assert "and none of them is what was asked for" in result.stderr

    def test_what_could_not_be_read_is_listed_and_sets_the_exit_status(
        self, run: Run, tmp_path: Path
    ) -> None:
        (log,) = (FIXTURES / "ironman").rglob("*T1320Z*.json.gz")
        (tmp_path / "sound.json.gz").write_bytes(log.read_bytes())
        (tmp_path / "torn.json.gz").write_bytes(log.read_bytes()[:-400])
        for output in ("md", "html"):
            result = run("report", tmp_path, "-o", output)
            assert result.exit_code == 3
            assert "the gzip stream is cut short" in result.stdout
            assert "1 piece of the evidence could not be read" in result.stdout

    def test_other_outputs_are_wrong_usage(self, run: Run) -> None:
        result = run("report", "ironman", "-o", "json")
        assert result.exit_code == 2
        assert "'json' is not one of 'md', 'html'" in result.stderr
