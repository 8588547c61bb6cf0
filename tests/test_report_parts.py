"""What a report opens with, its table of nodes, its links to the console, and its summary of ten lines."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from conftest import Run
from reports import crowd_of, written
from stories import STORIES as ALL_STORIES

from cnitrail.model import Citation, Report
from cnitrail.render.report.console_links import ConsoleLinks
from cnitrail.text import opening

STORIES = sorted(ALL_STORIES)
EVENT = "d9301749-acca-56ee-827d-627737f7bed8"


@pytest.fixture(scope="module")
def crowd() -> Report:
    return crowd_of(1_000)


class TestOpening:
    @pytest.mark.parametrize("output", ["md", "html"])
    def test_a_report_opens_with_findings_then_the_quality_of_the_evidence(
        self, output: str, run: Run
    ) -> None:
        page = run("report", "subnet-exhausted", "-o", output).stdout
        headings = ["Findings", "Evidence quality", "Summary", "Nodes"]
        found = re.findall(r"(?:^## |<h2>)([^<\n]+)", page, re.MULTILINE)
        assert found[:4] == headings

    def test_a_finding_says_what_to_do(self, run: Run) -> None:
        page = run("report", "subnet-exhausted").stdout
        assert "- **high: A subnet has no free IPs.** `subnet-0c4d8e1f5a2b79360` did not have enough" in page
        assert "\n  - What to do: Give the nodes a subnet with free IPs" in page

    def test_the_quality_says_what_was_read_and_that_it_is_not_verified(self, run: Run) -> None:
        page = run("report", "ironman").stdout
        quality = page.partition("## Evidence quality\n\n")[2].partition("\n\n")[0]
        assert quality.splitlines() == [
            (
                "- Events of `111111111111` in `eu-west-1` were read from 2022-10-05 13:10:00 to 15:40:00Z, "
                "without log gaps."
            ),
            "- Log integrity is not verified (add `--verify`).",
        ]

    def test_a_range_that_ends_after_the_evidence_is_stated(self, run: Run) -> None:
        page = run("report", "ironman", "--until", "2022-10-06").stdout
        assert (
            "- The evidence of `111111111111` in `eu-west-1` ends at 2022-10-05 15:40:00Z, so the last part "
            "of the range is missing: calls may be missing here.\n"
        ) in page


class TestNodes:
    def test_each_node_has_a_row_with_its_numbers(self, run: Run) -> None:
        page = run("report", "stolen-address").stdout
        assert (
            "| `i-0a7c3e9f1b5d28460` | m5.large | lighthouse | 14 of 30 | 10 | 14 | 3 | 9 | 1 | 1 |" in page
        )

    def test_a_report_of_one_instance_needs_no_table_of_nodes(self, run: Run) -> None:
        assert "## Nodes" not in run("report", "ironman").stdout

    def test_every_node_of_a_large_cluster_is_in_the_page(self, crowd: Report) -> None:
        page = written(crowd, "html")
        assert "21 more nodes" in page
        assert written(crowd, "md").count("| m5.large | crowd |") == 40
        assert "Not listed: 6 more." in written(crowd, "md")


class TestConsoleLinks:
    def test_a_report_has_no_links_unless_they_are_asked_for(self, run: Run) -> None:
        for output in ("md", "html"):
            assert "console.aws" not in run("report", "ironman", "-o", output).stdout

    def test_instances_enis_and_events_are_linked_in_their_region(self, run: Run) -> None:
        page = run("report", "ironman", "--console-links").stdout
        home = "https://eu-west-1.console.aws.amazon.com"
        instance = "i-03846c730abe852f4"
        eni = "eni-0bbea279695112970"
        assert (
            f"[`{instance}`]({home}/ec2/home?region=eu-west-1#InstanceDetails:instanceId={instance})" in page
        )
        assert f"({home}/ec2/home?region=eu-west-1#NetworkInterface:networkInterfaceId={eni})" in page
        assert f"({home}/cloudtrailv2/home?region=eu-west-1#/events/{EVENT})" in page

    @pytest.mark.parametrize(
        ("region", "host"),
        [
            ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
            ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
            ("eusc-de-east-1", "eusc-de-east-1.console.amazonaws-eusc.eu"),
        ],
    )
    def test_other_partitions_have_their_own_console(self, region: str, host: str) -> None:
        assert ConsoleLinks(enabled=True).event(event_in(region)) == (
            f"https://{host}/cloudtrailv2/home?region={region}#/events/{EVENT}"
        )

    def test_a_partition_without_a_public_console_has_no_links(self) -> None:
        assert ConsoleLinks(enabled=True).event(event_in("us-iso-east-1")) == ""

    @pytest.mark.parametrize("region", [None, "evil.example/", "eu-west-1.evil.example", "javascript:"])
    def test_a_region_that_is_none_is_not_linked(self, region: str | None) -> None:
        assert ConsoleLinks(enabled=True).event(event_in(region)) == ""

    def test_hostile_ids_are_not_linked(self, run: Run) -> None:
        page = run("report", "hostile", "-o", "html", "--console-links").stdout
        links = re.findall(r'<a href="(https?:[^"]*)"', page)
        assert links
        assert all(
            re.fullmatch(r"https://[a-z0-9-]+\.console\.aws\.amazon\.com/[\w/?=&#:.-]+", link)
            for link in links
        )


def event_in(region: str | None) -> Citation:
    return Citation(
        time=datetime(2026, 11, 29, tzinfo=UTC),
        event="RunInstances",
        event_id=EVENT,
        origins=(),
        principal=0,
        region=region,
    )


class TestSummary:
    @pytest.mark.parametrize("story", STORIES)
    def test_it_has_at_most_ten_lines_for_any_story(
        self, story: str, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        result = run("report", story, "-o", "summary", "-q")
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) <= 10
        golden(f"{story}/report-summary.txt", result.stdout)

    def test_it_says_that_no_calls_match(self, run: Run) -> None:
        result = run("report", "ironman", "--eni", "eni-00000000000000000", "-o", "summary", "-q")
        assert result.stdout.splitlines()[:3] == [
            "Private IP addresses on AWS",
            "No calls match.",
            "No findings.",
        ]

    def test_it_mentions_nobody(self, run: Run) -> None:
        """A session may be called ``@here``, which a chat program would take for a mention."""
        text = run("report", "hostile", "-o", "summary", "-q").stdout
        assert not re.search(r"(?<![`\w])@\w", re.sub(r"`[^`]*`", "", text))

    def test_a_text_is_cut_between_sentences_or_words(self) -> None:
        assert opening("One. Two three. Four.", 100) == "One. Two three. Four."
        assert opening("One. Two three. Four.", 16) == "One. Two three. …"
        assert opening("One two three", 9) == "One two …"
