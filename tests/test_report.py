"""The report: its sentences about each story, its citations, its folding, and its inert output."""

import base64
import hashlib
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, Run
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from msgspec.structs import replace
from records import record
from reports import crowd_of, written
from stories import STORIES as ALL_STORIES

import cnitrail
from cnitrail.answers.filters import Filter
from cnitrail.answers.report import report
from cnitrail.history import build
from cnitrail.model import Report, Scope
from cnitrail.render.report import html
from cnitrail.render.report.markdown import harmless
from cnitrail.render.report.row_folding import fold
from cnitrail.render.safe import printable
from cnitrail.workflows.read import read_evidence

STORIES = sorted(ALL_STORIES)
NODE = "i-03846c730abe852f4"
TEMPLATES = Path(__file__).parents[1] / "cnitrail" / "render" / "report" / "templates"


def report_on(story: str, wanted: Filter | None = None) -> Report:
    ledger, evidence = read_evidence((str(FIXTURES / story),), Scope())
    return report(build(ledger.events(), ledger.sessions()), evidence, wanted or Filter())


def sentences(story: str, wanted: Filter | None = None) -> list[str]:
    return [statement.sentence for statement in report_on(story, wanted).summary]


def steps(found: Report, instance: str | None) -> list[tuple[str, int]]:
    (shown,) = [shown for shown in found.instances if shown.instance == instance]
    return [(f"{step.time:%H:%M:%S}", step.number) for step in shown.steps]


class TestGolden:
    @pytest.mark.parametrize("story", STORIES)
    def test_the_markdown_of_each_story_reads_as_reviewed(
        self, story: str, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        result = run("report", story)
        assert result.exit_code == 0
        golden(f"{story}/report.md", result.stdout)

    @pytest.mark.parametrize("story", STORIES)
    def test_the_html_of_each_story_reads_as_reviewed_except_for_style_and_script(
        self, story: str, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        result = run("report", story, "-o", "html")
        assert result.exit_code == 0
        page = re.sub(r"(?<=<style>).*?(?=</style>)", "page.css", result.stdout, flags=re.DOTALL)
        page = re.sub(r"(?<=<script>).*?(?=</script>)", "page.js", page, flags=re.DOTALL)
        golden(f"{story}/report.html", re.sub(r"sha256-[\w+/=]+", "sha256-…", page))

    def test_a_report_on_a_reassigned_address_reads_as_reviewed(
        self, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        asked = ("--ip", "10.60.12.50", "--since", "2025-06-17T11:00Z")
        golden("stolen-address/report-of-10.60.12.50.md", run("report", "stolen-address", *asked).stdout)


class TestSummary:
    def test_the_ironman_node_grew_within_minutes_and_shrank_two_hours_later(self) -> None:
        assert sentences("ironman") == [
            (
                "2022-10-05 13:14:10 to 15:22:24Z: 2 principals made 14 API calls (1 failed) on 2 ENIs of "
                "1 instance: 20 IPs assigned, 14 IPs released."
            ),
            (
                f"2022-10-05 13:14:10Z: autoscaling.amazonaws.com (AWS service) launched {NODE} (m5.large, "
                "cluster ironman-2022) with 192.168.55.245 on eni-06d2f4a81c9b3e750. "
                "The instance then had 1 of at most 30 IPs (m5.large)."
            ),
            (
                f"2022-10-05 13:15:46 to 13:16:06Z: on {NODE}, kube-system/aws-node (IRSA, the VPC CNI by "
                "its user agent) assigned 18 IPs (9 to eni-06d2f4a81c9b3e750 and 9 to "
                "eni-0bbea279695112970), created eni-0bbea279695112970 with 192.168.38.190 and attached it "
                "as device 1. The instance then had 20 of at most 30 IPs (m5.large)."
            ),
            (
                f"2022-10-05 15:21:18 to 15:22:24Z: on {NODE}, kube-system/aws-node (IRSA, the VPC CNI by "
                "its user agent) released 13 IPs (9 from eni-0bbea279695112970 and 4 from "
                "eni-06d2f4a81c9b3e750), detached eni-0bbea279695112970 and deleted it (releasing "
                "192.168.38.190); 1 call failed. The instance then had 6 of at most 30 IPs (m5.large)."
            ),
            (
                "2022-10-05 15:22:23Z: DeleteNetworkInterface by kube-system/aws-node (IRSA) failed with "
                "Client.InvalidParameterValue: the ENI was still detaching (normal right after "
                "DetachNetworkInterface). It was deleted 1 s later."
            ),
        ]

    def test_an_unknown_error_is_shown_with_ec2s_code(self) -> None:
        assert sentences("hand-assigned")[-1] == (
            "2024-05-14 14:26:02Z: AssignPrivateIpAddresses by m.okafor (IAM user) failed with "
            "Client.InvalidParameterValue: EC2 said: \"Address does not fall within the subnet's address "
            'range". Requested: 10.40.48.10.'
        )

    def test_a_node_role_is_called_a_node_role_and_a_person_is_named(self) -> None:
        _, _, cni, person, _, _ = sentences("hand-assigned")
        assert "(node role, the VPC CNI by its user agent) assigned 9 IPs" in cni
        assert (
            "m.okafor (IAM user, using aws-cli) assigned 10.40.41.10 and 10.40.41.11 to eni-0c92e7d4b1a6f8353"
            in person
        )

    def test_a_call_that_takes_an_address_names_the_eni_that_lost_it(self) -> None:
        (taken,) = [sentence for sentence in sentences("stolen-address") if "dana" in sentence]
        assert ("assigned 10.60.12.50 to eni-0b85e1c7d3a9f4620 (taken from eni-0a72f4d6c8e1b3950)") in taken

    def test_the_total_counts_addresses_taken_from_other_enis(self) -> None:
        assert sentences("stolen-address")[0].endswith(
            "28 IPs assigned, 1 of them taken from another ENI, 3 IPs released."
        )

    def test_a_name_that_could_read_as_part_of_the_sentence_is_quoted(self, tmp_path: Path) -> None:
        call = record(
            "AttachNetworkInterface",
            {"networkInterfaceId": "eni-1 and deleted eni-2", "instanceId": "i-1, eni-3", "deviceIndex": 1},
            {"attachmentId": "eni-attach-1"},
        )
        (tmp_path / "log.json").write_text(json.dumps({"Records": [call]}), encoding="utf-8")
        found = report_on(str(tmp_path))
        assert found.title == 'Private IP addresses of "i-1, eni-3", 2024-05-14'
        assert found.summary[1].sentence == (
            '2024-05-14 09:30:00Z: on "i-1, eni-3", ada (IAM user, using aws-cli) attached '
            '"eni-1 and deleted eni-2" as device 1.'
        )

    def test_a_log_gap_is_stated(self) -> None:
        found = report_on("hole-in-the-logs", Filter())
        assert found.quality[1].sentence == (
            "Log gap for 111111111111 in eu-north-1 from 2024-01-18 09:45:00Z to "
            "2024-01-18 12:05:00Z: calls may be missing here."
        )

    def test_prefixes_are_counted_as_prefixes(self) -> None:
        assert "3 IPs and 4 prefixes assigned, 1 prefix released" in sentences("prefix-delegation")[0]

    def test_a_report_without_matching_calls_says_so(self) -> None:
        found = report_on("ironman", Filter(eni=("eni-00000000000000000",)))
        assert [statement.sentence for statement in found.summary] == ["No calls match."]
        assert (found.calls, found.instances, found.start) == ((), (), None)

    def test_many_activities_are_summarized_by_principal(self, crowd: Report) -> None:
        found = [statement.sentence for statement in crowd.summary]
        assert found[0].startswith(
            "2026-01-01 00:00:00 to 01:30:40Z: 2 principals made 1,000 API calls (45 failed) on "
        )
        assert re.match(r"crowd-NodeInstanceRole \(node role, .*\) made 909 calls: assigned ", found[1])
        assert found[2].startswith(
            "autoscaling.amazonaws.com (AWS service) made 91 calls: launched 46 instances with 46 "
        )
        assert found[3].startswith("The busiest minute was 2026-01-01 ")
        assert re.match(
            r"The fullest instance was i-\w+ at .*, with \d+ of at most 30 IPs \(m5.large\)\.", found[4]
        )


class TestInstances:
    def test_the_ironman_node_had_at_most_twenty_addresses_and_six_at_the_end(self) -> None:
        assert steps(report_on("ironman"), NODE) == [
            ("13:14:10", 0),
            ("13:14:10", 1),
            ("13:15:46", 10),
            ("13:16:05", 11),
            ("13:16:06", 20),
            ("15:21:23", 11),
            ("15:21:24", 7),
            ("15:22:21", 6),
        ]

    def test_an_address_counts_while_its_eni_is_attached(self) -> None:
        (instance,) = report_on("ironman").instances
        second = instance.interfaces[1]
        assert [(f"{step.time:%H:%M:%S}", step.number) for step in second.steps] == [
            ("13:14:10", 0),
            ("13:16:04", 1),
            ("13:16:06", 10),
            ("15:21:23", 1),
            ("15:22:24", 0),
        ]

    def test_an_eni_that_was_never_attached_does_not_fill_the_instance_it_was_created_for(self) -> None:
        found = report_on("subnet-exhausted")
        assert steps(found, "i-0cba102c435d61e2b") == [
            ("13:04:10", 0),
            ("13:36:40", 1),
            ("13:37:51", 10),
            ("13:37:59", 0),
        ]
        (node,) = (report for report in found.instances if report.instance == "i-0cba102c435d61e2b")
        assert [(interface.eni, interface.unattached) for interface in node.interfaces] == [
            ("eni-0fba102c435d61e2b", False),
            ("eni-0c97e2a8d4f1b5360", True),
        ]

    def test_the_limit_is_that_of_the_instance_type_if_known(self) -> None:
        limits = {
            instance.instance: instance.limits and instance.limits.addresses
            for instance in report_on("hole-in-the-logs").instances
        }
        assert limits == {"i-0ae4c8d2f6b1a9370": 18, "i-0ae6eaf4b8d3cb590": None}

    def test_addresses_that_were_assigned_and_released_together_are_one_holding(self) -> None:
        (instance,) = report_on("ironman").instances
        holdings = instance.interfaces[0].holdings
        found = [(len(holding.held), holding.start.event, holding.end.event) for holding in holdings]
        assert found == [(1, 1, None), (4, 2, 11), (5, 2, None)]

    def test_an_eni_that_moves_is_listed_under_both_instances(self) -> None:
        found = report_on("eni-outlives-instance")
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

    def test_the_instances_of_a_filtered_report_show_all_their_addresses(self) -> None:
        found = report_on("stolen-address", Filter(ip=(ip_network("10.60.12.50"),), actor=("dana",)))
        assert len(found.calls) == 1
        assert steps(found, "i-0a7c3e9f1b5d28460") == [("11:47:25", 14), ("11:47:25", 13)]
        assert steps(found, "i-0b6d2f8e4a1c97350") == [("11:47:25", 13), ("11:47:25", 14)]

    def test_enis_without_a_known_instance_are_last(self) -> None:
        found = report_on("logs-begin-in-the-middle")
        assert [instance.instance for instance in found.instances][-1] is None
        assert [interface.eni for interface in found.instances[-1].interfaces] == [
            "eni-0fa1c6e2b8d4f7930",
            "eni-0fe1ceaa3afc2f8b0",
        ]

    def test_doubtful_holdings_are_marked(self) -> None:
        (dead,) = [
            instance
            for instance in report_on("silent-death").instances
            if instance.instance == "i-0c5e9a7d3f1b86240"
        ]
        doubted = [
            str(held)
            for interface in dead.interfaces
            for span in interface.holdings
            if span.doubted
            for held in span.held
        ]
        assert doubted == [
            *("10.96.8.14", "10.96.9.101", "10.96.10.17"),
            *("10.96.8.219", "10.96.11.160", "10.96.9.3"),
        ]


class TestPrincipals:
    def test_sessions_of_one_service_account_are_one_principal(self) -> None:
        first, second = report_on("ironman").principals
        assert (first.name, len(first.events), first.added, first.removed) == (
            "kube-system/aws-node",
            13,
            19,
            14,
        )
        assert ("DeleteNetworkInterface", 1, 1) in first.calls
        assert (second.name, second.calls) == ("autoscaling.amazonaws.com", (("RunInstances", 1, 0),))

    def test_the_nodes_of_a_role_are_one_principal_with_its_nodes(self) -> None:
        role = next(
            principal
            for principal in report_on("silent-death").principals
            if principal.name == "breakwater-NodeInstanceRole"
        )
        assert role.instances == ("i-0c5e9a7d3f1b86240", "i-0d6f1b8e4a2c97350")

    def test_the_principals_behind_the_chart_are_listed_even_if_filtered_out(self) -> None:
        found = report_on("stolen-address", Filter(actor=("dana",)))
        assert [(principal.name, bool(principal.calls)) for principal in found.principals] == [
            ("dana.reyes@example.com", True),
            ("autoscaling.amazonaws.com", False),
            ("kube-system/aws-node", False),
        ]


class TestReportedFindings:
    def test_a_finding_cites_its_events(self, run: Run) -> None:
        (found,) = report_on("hand-assigned").findings or ()
        assert (found.finding.rule, found.events) == ("address-assigned-by-hand", (7,))
        assert (
            "- **high: An IP was assigned by hand to an ENI of a network plugin.** m.okafor (IAM user, "
            "aws-cli 2.15.38) assigned" in run("report", "hand-assigned").stdout
        )

    def test_a_finding_names_its_rule(self, run: Run) -> None:
        assert " Rule: `address-assigned-by-hand`\n" in run("report", "hand-assigned").stdout
        page = run("report", "hand-assigned", "-o", "html").stdout
        assert "Rule: <code>address-assigned-by-hand</code>" in page

    def test_an_empty_list_of_findings_is_stated(self, run: Run) -> None:
        assert "## Findings\n\nNo findings.\n" in run("report", "ironman").stdout

    def test_findings_are_not_searched_if_only_some_evidence_was_read(self, run: Run, tmp_path: Path) -> None:
        store = tmp_path / "trail.db"
        run("collect", "hand-assigned", "--to", store)
        case = cnitrail.read(store, instance="i-0e8b5a2c7d1f49036")
        for output in ("md", "html"):
            page = written(case.report(), output)
            assert "Not evaluated: the source delivered only the resources in the filter." in page
            assert "which the VPC CNI never does" in run("report", store, "-o", output).stdout


class TestHolders:
    def test_holders_are_listed_only_for_the_addresses_of_the_filter(self) -> None:
        assert report_on("stolen-address").holders is None
        found = report_on("stolen-address", Filter(ip=(ip_network("10.60.12.50"),))).holders
        assert found is not None
        assert [(holder.eni, holder.instances, holder.end.basis.value) for holder in found] == [
            ("eni-0a72f4d6c8e1b3950", ("i-0a7c3e9f1b5d28460",), "implied"),
            ("eni-0b85e1c7d3a9f4620", ("i-0b6d2f8e4a1c97350",), "open"),
        ]

    def test_an_address_may_be_held_through_a_prefix(self) -> None:
        found = report_on("prefix-delegation", Filter(ip=(ip_network("10.112.64.50"),))).holders
        assert found is not None
        assert [(str(holder.held), holder.eni) for holder in found] == [
            ("10.112.64.48/28", "eni-0f2b5e8d1f3c69470")
        ]

    def test_an_address_that_another_eni_may_have_taken_is_doubtful(self) -> None:
        found = report_on("logs-begin-in-the-middle", Filter(ip=(ip_network("10.128.3.41"),))).holders
        assert found is not None
        assert {holder.eni: holder.doubt for holder in found} == {
            "eni-0fb2e9b5dba7ca360": (
                "another ENI may have taken the address at 2025-08-21 10:50:00Z, if in the same VPC"
            ),
            "eni-0fe1ceaa3afc2f8b0": None,
        }


class TestCitations:
    @pytest.mark.parametrize("story", STORIES)
    def test_events_are_numbered_by_time_and_every_citation_exists(self, story: str) -> None:
        found = report_on(story)
        times = [event.time for event in found.events]
        assert times == sorted(times)
        numbers = {number for statement in found.summary for number in statement.events}
        numbers |= {number for finding in found.findings or () for number in finding.events}
        numbers |= {call.event for call in found.calls}
        assert numbers <= set(range(1, len(found.events) + 1))

    def test_a_statement_cites_its_events(self) -> None:
        assert [statement.events for statement in report_on("ironman").summary] == [
            tuple(range(1, 15)),
            (1,),
            (2, 3, 4, 5, 6, 7),
            (8, 9, 10, 11, 12, 13, 14),
            (13, 14),
        ]

    @pytest.mark.parametrize("story", STORIES)
    def test_every_cited_event_is_listed_with_its_id_and_file(self, story: str, run: Run) -> None:
        for output, cited, listed in (
            ("md", r"\bE(\d+)\b", r"(?m)^\| E(\d+) \| [^|]*\| \w+ \| `[0-9a-f-]{36}` \| F\d+, record \d+"),
            ("html", r'href="#e(\d+)"', r'<tr id="e(\d+)">.*[0-9a-f-]{36}.*href="#f\d+"'),
        ):
            page = run("report", story, "-o", output).stdout.replace("E1, E2 … are events", "")
            body, _, evidence = page.rpartition("Evidence</h2>" if output == "html" else "## Evidence")
            assert set(re.findall(cited, body)) <= set(re.findall(listed, evidence))

    def test_an_event_in_several_files_is_listed_with_all_of_them(self, run: Run, tmp_path: Path) -> None:
        (log,) = (FIXTURES / "ironman").rglob("*T1320Z*.json.gz")
        for name in ("one.json.gz", "two.json.gz"):
            (tmp_path / name).write_bytes(log.read_bytes())
        page = run("report", tmp_path, "--event", "AttachNetworkInterface").stdout
        assert "`408bf566-1932-5992-8d63-8ed14515bb19` | F1, record 7, F2, record 7 |" in page
        assert "- F1: `one.json.gz`\n- F2: `two.json.gz`\n" in page


@pytest.fixture(scope="module")
def crowd() -> Report:
    """A report on a thousand calls of nodes that start and stop."""
    return crowd_of(1_000)


class TestFolding:
    @given(most=st.integers(1, 1_200))
    def test_there_are_fewer_rows_and_they_have_every_call(self, crowd: Report, most: int) -> None:
        folded = fold(crowd.calls, most)
        assert len(folded.rows) <= max(most, 20)
        assert sorted(map(id, (call for row in folded.rows for call in row.calls))) == sorted(
            map(id, crowd.calls)
        )

    @given(most=st.integers(1, 1_200))
    def test_a_row_never_mixes_successful_and_failed_calls(self, crowd: Report, most: int) -> None:
        for row in fold(crowd.calls, most).rows:
            assert len({call.entry.error is None for call in row.calls}) == 1
            assert len({call.entry.event for call in row.calls}) == 1

    def test_a_few_calls_have_a_row_each_except_in_bursts(self) -> None:
        calls = report_on("node-life").calls
        assert [len(row.calls) for row in fold(calls, 200).rows if len(row.calls) > 1] == [2]
        assert fold(calls, 200).rule == "on one ENI within 10 seconds of each other"

    def test_markdown_fits_into_a_ticket_and_states_what_it_folds(self, crowd: Report) -> None:
        page = written(crowd, "md")
        assert len(page) < 65_536  # a comment on GitHub
        found = re.search(r"^(\d+) rows for 1,000 calls: similar calls .* share a row", page, re.MULTILINE)
        assert found is not None
        timeline = page.split("## Timeline")[1].split("## Instances")[0]
        counts = re.findall(r"^\| (?!Time)[^|]*\| \w+(?: ×([\d,]+))?", timeline, re.MULTILINE)
        assert len(counts) == int(found[1])
        assert sum(int(count or 1) for count in counts) == 1_000
        assert "\nNot listed: 34 more instances with " in page

    def test_the_html_of_ten_thousand_calls_is_smaller_than_a_megabyte(self) -> None:
        assert len(written(crowd_of(10_000), "html").encode()) < 1_000_000

    def test_the_html_has_every_call_and_every_instance_even_if_folded(self, crowd: Report) -> None:
        page = written(crowd, "html")
        data = data_of(page)
        assert len(data["calls"]) == 1_000
        assert len(data["events"]) == len(crowd.events)
        assert len(data["instances"]) == len(crowd.instances)
        assert page.count('<section class="instance">') + data["folded"].count(
            '<section class="instance">'
        ) == len(crowd.instances)

    def test_without_libdeflate_the_html_has_the_same_data(
        self, crowd: Report, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = data_of(written(crowd, "html"))
        monkeypatch.setitem(sys.modules, "deflate", None)
        assert data_of(written(crowd, "html")) == data

    @pytest.fixture
    def page(self, crowd: Report, monkeypatch: pytest.MonkeyPatch) -> str:
        """The page of more calls than its scripts show."""
        monkeypatch.setattr(html, "_SIZES", replace(html._SIZES, calls=300))
        return written(crowd, "html")

    def test_of_too_many_calls_the_chart_has_the_busiest_instances_and_says_so(
        self, crowd: Report, page: str
    ) -> None:
        data = data_of(page)
        drawn = [name for name, _, _ in data["instances"]]
        assert drawn == [instance.instance for instance in crowd.instances[: len(drawn)]]
        assert sum(instance.calls for instance in crowd.instances[: len(drawn)]) <= 300
        assert sum(instance.calls for instance in crowd.instances[: len(drawn) + 1]) > 300
        assert page.count('<section class="instance">') + data["folded"].count(
            '<section class="instance">'
        ) == len(drawn)
        rest = crowd.instances[len(drawn) :]
        assert (
            f"Not drawn: {len(rest)} less busy instances with {sum(one.calls for one in rest)} calls" in page
        )
        assert f"have {len(data['calls'])} of 1,000 calls" in page

    def test_of_too_many_calls_each_row_has_its_first_and_all_events_of_the_chart_are_there(
        self, crowd: Report, page: str
    ) -> None:
        data = data_of(page)
        rows = page.partition('<tbody class="rows">')[2].partition("</tbody>")[0].count("<tr")
        assert {call[6] for call in data["calls"]} == set(range(rows))
        assert len(data["events"]) == len(crowd.events)
        named = {call[0] for call in data["calls"]} | set(bounds_of(data))
        assert [number for number, event in enumerate(data["events"], 1) if event] == sorted(named)


def bounds_of(data: dict[str, Any]) -> Iterator[int]:
    """The numbers of the events with which the attachments and holdings of a page start and end."""
    for _, _, interfaces in data["instances"]:
        for _, _, attachments, holdings, _ in interfaces:
            bounds = [bound for both in attachments for bound in both]
            bounds += [bound for _, _, start, end, _ in holdings for bound in (start, end)]
            numbers = (bound if isinstance(bound, int) else bound[2] for bound in bounds)
            yield from (number for number in numbers if number)


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script id="data" type="application/([\w-]+)">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    text = found[2] if found[1] == "json" else zlib.decompress(base64.b64decode(found[2]), wbits=-15)
    data: dict[str, Any] = json.loads(text)
    return data


class Inline(HTMLParser):
    """The tags of a page that could make a request or run a script."""

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
    def test_the_policy_allows_only_its_own_style_and_script(self, run: Run) -> None:
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
    def test_it_makes_no_requests(self, story: str, run: Run) -> None:
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

    def test_the_same_evidence_gives_the_same_bytes(self, run: Run) -> None:
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
    def test_any_text_is_shown_unchanged_and_inert(self, text: str) -> None:
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
    def test_text_with_markdown_syntax_is_shown_unchanged_and_inert(self, text: str) -> None:
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
    def test_text_that_a_ticket_would_link_is_code(self, text: str) -> None:
        assert harmless(f"by {text}.") == f"by `{text}`."


class TestCommand:
    def test_it_prints_markdown_by_default(self, run: Run) -> None:
        result = run("report", "ironman")
        assert result.stdout.startswith(f"# Private IP addresses of `{NODE}`, 2022-10-05\n")
        assert result.stdout == run("report", "ironman", "-o", "md").stdout
        assert result.stderr.startswith("14 shown; read 14 files with 56 events, 17 IP-related")

    def test_the_filter_is_shown_as_command_line_options(self, run: Run) -> None:
        page = run(
            *("report", "ironman", "--ip", "192.168.53.0/24", "--ip", "192.168.41.30"),
            *("--until", "2022-10-05 14:00", "--no-failed", "--actor", "aws-node"),
        ).stdout
        assert (
            "- Filter: ip `192.168.53.0/24`, `192.168.41.30`; actor `aws-node`; "
            "until `2022-10-05T14:00:00Z`; failed `false`\n"
        ) in page

    def test_filters_without_a_match_give_an_answer_that_says_so(self, run: Run) -> None:
        for output in ("md", "html"):
            result = run("report", "ironman", "--eni", "eni-00000000000000000", "-o", output)
            assert result.exit_code == 0
            assert "No calls match." in result.stdout
            assert "no matching events; read " in result.stderr

    def test_unreadable_files_are_listed_and_set_the_exit_status(self, run: Run, tmp_path: Path) -> None:
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
        assert "'json' is not one of 'md', 'html', 'summary'" in result.stderr
