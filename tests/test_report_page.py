"""The report's HTML, opened from disk in a real browser: Debian's chromium.

Its script runs, it makes no requests, text from records stays text, and no other script can run.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import Run
from msgspec.structs import replace
from reports import crowd_of, written
from stories import STORIES as ALL_STORIES
from stories.ironman import ON_SECOND as NINE

import cnitrail.render.report
from cnitrail.render.report import html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

playwright = pytest.importorskip("playwright.sync_api", reason="nox -s browser installs it")

STORIES = sorted(ALL_STORIES)
STYLE = Path(cnitrail.render.report.__file__).parent / "templates" / "page.css"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium is installed (apt-get install chromium): no page is opened"
    ),
]


@dataclass
class Opened:
    """A page, with its console messages and its requests."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def rows(self) -> list[str]:
        """The visible calls of the timeline."""
        return [
            row.locator("td").nth(1).inner_text()
            for row in self.page.locator(".calls .rows tr:visible").all()
        ]

    def lane(self, title: str) -> Locator:
        """The lane of an ENI."""
        return self.page.get_by_role("img", name=title)

    def tip(self) -> list[str]:
        """The tooltip."""
        return self.page.locator("#tip p").all_inner_texts()


Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser, run: Run, tmp_path: Path) -> Iterator[Open]:
    """Open the report of a story, or a text, as a file from disk."""
    contexts = []

    def open_(story: str = "ironman", *arguments: str, text: str | None = None, **context: Any) -> Opened:
        path = tmp_path / f"{story}.html"
        path.write_text(text or run("report", story, *arguments, "-o", "html").stdout, encoding="utf-8")
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context}))
        contexts[-1].set_default_timeout(5_000)
        found = Opened(contexts[-1].new_page())
        found.page.on("console", lambda message: found.said.append(f"{message.type}: {message.text}"))
        found.page.on("pageerror", lambda error: found.said.append(f"error: {error}"))
        found.page.on("request", lambda request: found.asked.append(request.url))
        found.page.on("requestfailed", lambda request: found.stopped.append(request.url))
        found.page.goto(path.as_uri())
        if context.get("java_script_enabled", True):
            found.page.wait_for_function(
                "document.documentElement.dataset.ready || document.title === 'broken'"
            )
        return found

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def crowd() -> str:
    """The page of a thousand calls, mostly folded."""
    return written(crowd_of(1_000), "html")


class TestOpening:
    @pytest.mark.parametrize("story", STORIES)
    def test_it_logs_nothing_and_requests_only_itself(self, story: str, opened: Open) -> None:
        found = opened(story)
        found.page.get_by_role("button", name="Zoom in").click()
        assert found.said == []
        assert [re.sub(r".*/", "", url) for url in found.asked] == [f"{story}.html"]

    def test_it_is_readable_without_scripts(self, opened: Open) -> None:
        page = opened(java_script_enabled=False).page
        assert page.get_by_text("The instance then had 20 of at most 30 IPs").is_visible()
        assert page.locator(".calls tbody tr:visible").count() == 14
        assert page.locator(".pool path").first.evaluate("(path) => path.getBoundingClientRect().width") > 500
        page.get_by_text("2 ENIs and the IPs held").click()
        assert page.get_by_role("cell", name="192.168.41.36 192.168.45.23").is_visible()
        assert page.locator("#tools, #theme").first.is_hidden()

    def test_a_narrow_screen_scrolls_in_one_direction_only(self, opened: Open) -> None:
        for story in ("ironman", "stolen-address", "hostile"):
            page = opened(story, viewport={"width": 400, "height": 800}).page
            assert page.evaluate("document.documentElement.scrollWidth") <= 400

    @pytest.mark.parametrize("story", ["hostile", "subnet-exhausted"])
    @pytest.mark.parametrize("width", [690, 900])
    def test_no_printed_table_is_cut_at_the_right_edge(self, story: str, width: int, opened: Open) -> None:
        page = opened(story, viewport={"width": width, "height": 1000}).page
        page.emulate_media(media="print")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        tables = page.locator("table").all()
        assert all((box := table.bounding_box()) is None or box["width"] <= width for table in tables)

    def test_no_printed_command_is_cut_at_the_right_edge(self, opened: Open) -> None:
        page = opened("subnet-exhausted", viewport={"width": 690, "height": 1000}).page
        page.emulate_media(media="print")
        command = page.locator(".command", has_text="Name=status,Values=available")
        assert command.evaluate("line => line.scrollWidth - line.clientWidth") == 0
        assert command.inner_text() == (
            "aws ec2 describe-network-interfaces --region us-west-2 --filters "
            "Name=subnet-id,Values=subnet-0c4d8e1f5a2b79360 Name=status,Values=available"
        )

    @pytest.mark.parametrize("width", [390, 690, 1440])
    def test_no_id_and_no_time_is_broken_across_lines(self, width: int, opened: Open) -> None:
        for story in ("ironman", "subnet-exhausted"):
            page = opened(story, viewport={"width": width, "height": 900}).page
            broken = (
                "[...document.querySelectorAll('h1 code, li > code, td code, time, .rule, .command span')]"
                ".filter(part => part.getClientRects().length > 1 || "
                "part.offsetHeight > 2 * parseFloat(getComputedStyle(part).fontSize))"
                ".map(part => part.textContent)"
            )
            assert page.evaluate(broken) == []

    @pytest.mark.parametrize("story", ["hostile", "subnet-exhausted"])
    def test_a_phone_scrolls_down_only(self, story: str, opened: Open) -> None:
        page = opened(story, viewport={"width": 390, "height": 844}).page
        assert page.evaluate("document.documentElement.scrollWidth") == 390

    def test_changed_attributes_are_in_the_rows_and_in_the_tooltip_data(self, opened: Open) -> None:
        page = opened("node-life").page
        rows = page.locator(".calls .rows tr", has_text="ModifyNetworkInterfaceAttribute").all()
        changes = [row.locator("td").nth(4).inner_text() for row in rows]
        assert "deleteOnTermination on" in changes

    def test_the_theme_follows_the_system_and_the_button(self, opened: Open) -> None:
        page = opened(color_scheme="dark").page
        background = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(background) == "rgb(13, 17, 23)"
        page.get_by_role("button", name="Light").click()
        assert page.evaluate(background) == "rgb(255, 255, 255)"
        assert page.get_by_role("button", name="Dark").is_visible()

    def test_the_printed_page_is_light_and_unfolded(self, opened: Open) -> None:
        page = opened(color_scheme="dark").page
        assert page.pdf().startswith(b"%PDF")
        assert page.locator("details.tables[open]").count() == 1
        page.emulate_media(media="print")
        assert page.locator("#tools").is_hidden()
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(31, 35, 40)"

    def test_its_colors_have_enough_contrast_in_both_themes(self) -> None:
        style = STYLE.read_text(encoding="utf-8")
        colors = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", style))
        pages = colors["page"].split(", ")
        for name, least in [("text", 7), ("muted", 4.5), ("link", 4.5), *((f"a{n}", 3) for n in range(7))]:
            for color, page in zip(colors[name].split(", "), pages, strict=True):
                assert contrast(color, page) >= least, (name, color, page)

    def test_its_links_differ_from_text_by_more_than_their_hue(self) -> None:
        style = STYLE.read_text(encoding="utf-8")
        colors = dict(re.findall(r"--(text|link): light-dark\((#\w{6}, #\w{6})\)", style))
        text, link = (colors[name].split(", ") for name in ("text", "link"))
        assert all(contrast(*pair) >= 3 for pair in zip(text, link, strict=True))


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


class TestPicture:
    def test_a_lane_has_a_tooltip_for_every_holding(self, opened: Open) -> None:
        found = opened()
        found.lane("eni-0bbea279695112970").hover(position={"x": 300, "y": 40})
        what, addresses, start, end = found.tip()
        assert what == "9 IPs on eni-0bbea279695112970"
        assert addresses.split() == sorted(NINE)
        assert start == (
            "from 2022-10-05 13:16:06 by kube-system/aws-node (IRSA), E6 d9301749-acca-56ee-827d-627737f7bed8"
        )
        assert end == (
            "to 2022-10-05 15:21:23 by kube-system/aws-node (IRSA), E10 21e1557f-1f09-5445-9af6-bde997674eac"
        )

    def test_the_line_has_a_tooltip_with_the_number_of_addresses(self, opened: Open) -> None:
        found = opened()
        found.page.locator(".pool").hover(position={"x": 400, "y": 60})
        assert found.tip()[1] == "20 IPs on i-03846c730abe852f4"
        assert found.page.locator(".pool text").text_content() == "limit 30"

    def test_arrow_keys_move_between_calls_and_show_the_file_of_each(self, opened: Open) -> None:
        found = opened()
        found.lane("14 calls").focus()
        for _ in range(13):
            found.page.keyboard.press("ArrowRight")
        assert found.tip() == [
            "2022-10-05 15:22:23 DeleteNetworkInterface failed",
            "kube-system/aws-node (IRSA) on eni-0bbea279695112970",
            "Client.InvalidParameterValue",
            "E13 417661d8-0e92-584f-907f-1f5d1e79bf99",
            "111111111111_CloudTrail_eu-west-1_20221005T1525Z_4QfGjIPdtG17543f.json.gz, record 3",
        ]
        found.page.keyboard.press("Escape")
        assert found.page.locator("#tip").is_hidden()

    def test_all_lanes_zoom_together_by_button_key_and_drag(self, opened: Open) -> None:
        found = opened()
        ticks, line = found.page.locator(".axis span"), found.page.locator(".pool svg")
        whole = ticks.all_inner_texts(), line.get_attribute("viewBox")
        assert whole[0] == ["13:30", "14:00", "14:30", "15:00"]
        found.page.get_by_role("button", name="Zoom in").click()
        assert ticks.all_inner_texts()[:3] == ["13:40", "13:50", "14:00"]
        assert line.get_attribute("viewBox") != whole[1]
        found.page.keyboard.press("Tab")
        found.page.get_by_role("button", name="All").click()
        assert (ticks.all_inner_texts(), line.get_attribute("viewBox")) == whole
        found.lane("14 calls").focus()
        found.page.keyboard.press("+")
        assert ticks.all_inner_texts() != whole[0]
        found.page.keyboard.press("0")
        box = found.lane("14 calls").bounding_box()
        assert box is not None
        found.page.mouse.move(box["x"] + 10, box["y"] + 10)
        found.page.mouse.down()
        found.page.mouse.move(box["x"] + 40, box["y"] + 10)
        found.page.mouse.up()
        assert ticks.all_inner_texts()[:4] == ["13:13:00", "13:13:30", "13:14:00", "13:14:30"]

    def test_doubtful_holdings_and_log_gaps_are_marked(self, opened: Open) -> None:
        assert opened("silent-death").page.locator(".bar.soft").count() == 3
        assert opened("hole-in-the-logs").page.locator(".pool .hole").count() == 2
        assert opened("ironman").page.locator(".bar.soft, .hole").count() == 0

    def test_the_line_does_not_fall_to_zero_at_the_edges_of_the_chart(self, opened: Open) -> None:
        page = opened().page
        path = page.locator(".pool path:not(.limit)").first.get_attribute("d") or ""
        width = page.locator(".pool svg").first.evaluate("(svg) => svg.viewBox.baseVal.width")
        before, after = re.match(r"M(-\d+) ", path), re.search(r"H(\d+)V\d+$", path)
        assert before
        assert after
        assert int(before[1]) < 0
        assert int(after[1]) > width

    def test_what_the_bars_mean_is_in_the_legend(self, opened: Open) -> None:
        legend = opened("silent-death").page.locator(".legend li").all_inner_texts()
        assert legend[-3:] == ["start or end inferred", "log gap", "×failed call"]

    def test_hovering_over_a_row_shows_its_time_in_the_chart(self, opened: Open) -> None:
        found = opened()
        found.page.locator(".calls .rows tr").nth(9).hover()
        assert found.page.locator(".cross b").inner_text() == "15:21:23"


class TestFilters:
    def test_the_page_filters_by_actor(self, opened: Open) -> None:
        found = opened("hand-assigned")
        found.page.get_by_label("Principal").select_option("m.okafor (IAM user)")
        assert found.rows() == ["AssignPrivateIpAddresses failed", "AssignPrivateIpAddresses"]
        assert found.page.locator("#shown").inner_text() == "2 of 8 calls"
        assert found.page.locator(".bar:not(.faint)").count() == 1
        found.page.get_by_role("button", name="Clear").click()
        playwright.expect(found.page.locator(".calls tbody tr:visible")).to_have_count(8)

    def test_the_page_filters_by_address(self, opened: Open) -> None:
        found = opened()
        found.page.get_by_role("textbox", name="IP").fill("192.168.53.76")
        assert found.rows() == ["AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"]
        found.page.get_by_role("textbox", name="IP").fill("192.168.5")
        assert found.page.locator("#shown").inner_text() == "5 of 14 calls"

    def test_a_whole_address_is_not_the_beginning_of_others(self, opened: Open) -> None:
        found = opened("subnet-exhausted")
        address = found.page.get_by_role("textbox", name="IP")
        address.fill("10.40.8.11")
        assert found.rows() == ["CreateNetworkInterface"]

    def test_an_address_is_found_in_its_prefix_and_in_a_cidr_block(self, opened: Open) -> None:
        found = opened("prefix-delegation")
        address = found.page.get_by_role("textbox", name="IP")
        address.fill("10.112.64.55")
        assert found.rows() == ["AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"]
        address.fill("10.112.65.0/24")
        assert found.rows() == ["AssignPrivateIpAddresses"]

    def test_a_filter_that_keeps_nothing_says_so(self, opened: Open) -> None:
        found = opened("stolen-address")
        found.page.get_by_label("IP", exact=True).fill("10.99.")
        assert found.rows() == []
        assert found.page.get_by_text("No calls match.").is_visible()
        assert found.page.locator("#shown").inner_text() == "no calls match"

    def test_the_page_filters_by_instance(self, opened: Open) -> None:
        found = opened("stolen-address")
        found.page.get_by_label("Instance").fill("i-0b6d2f8e4a1c97350")
        assert found.page.locator(".instance:visible h3").all_inner_texts() == ["i-0b6d2f8e4a1c97350"]
        assert len(found.rows()) == 6

    def test_the_address_of_the_report_is_the_initial_filter(self, opened: Open) -> None:
        found = opened("stolen-address", "--ip", "10.60.12.50")
        assert found.page.get_by_role("textbox", name="IP").input_value() == "10.60.12.50"
        assert found.page.locator(".bar.faint").count() > 0


class TestFolding:
    def test_a_row_unfolds_into_its_calls_each_with_its_id_and_file(self, opened: Open, crowd: str) -> None:
        found = opened(text=crowd)
        row = found.page.locator(".calls tbody tr:has(button):not(.part)").first
        count = int(row.locator("td b").first.inner_text().removeprefix("×"))
        row.get_by_role("button").click()
        parts = found.page.locator(".calls .part")
        playwright.expect(parts).to_have_count(count)
        assert re.search(r"E\d+ [0-9a-f-]{36} 1{12}_CloudTrail_\S+, record \d+", parts.first.inner_text())
        row.get_by_role("button").click()
        playwright.expect(parts).to_have_count(0)

    def test_folded_instances_can_be_opened(self, opened: Open, crowd: str) -> None:
        found = opened(text=crowd)
        assert found.page.locator(".instance").count() == 46
        last = found.page.locator(".instance").last
        last.get_by_role("button", name="2 lanes").click()
        last.scroll_into_view_if_needed()
        found.page.wait_for_function("document.querySelector('.instance:last-of-type .bar')")
        assert found.said == []

    def test_too_many_calls_are_folded_and_the_page_works(
        self, opened: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(html, "_SIZES", replace(html._SIZES, calls=300))
        found = opened(text=written(crowd_of(1_000), "html"))
        assert found.page.locator(".instance").count() == 13
        rows = found.page.locator(".calls .rows > tr")
        for row in (rows.first, rows.last):
            row.hover()
        assert rows.count() == found.page.locator(".calls .rows > tr:visible").count()
        found.page.locator(".calls .rows button").first.click()
        playwright.expect(found.page.locator(".calls .part").first).to_be_visible()
        assert found.said == []


class TestNodes:
    def test_the_search_finds_nodes_among_those_that_are_folded(self, opened: Open, crowd: str) -> None:
        page = opened(text=crowd).page
        assert page.locator("#nodes tbody tr:visible").count() == 25
        name = page.locator("#nodes tbody tr").nth(40).locator("td").first.text_content() or ""
        page.get_by_label("Find").fill(name)
        assert page.locator("#nodes tbody tr:visible").count() == 1
        assert page.locator("#found-nodes").inner_text() == "1 of 46 nodes"


class TestHostile:
    def test_text_from_records_stays_text(self, opened: Open) -> None:
        found = opened("hostile")
        assert found.said == []
        assert found.page.locator("main img, main b:has-text('not an error'), main script").count() == 0
        assert found.page.get_by_text("<script>alert('cnitrail')</script>").first.is_visible()
        assert found.page.locator("a:not([href^='#'])").count() == 0
        found.lane("9 calls").focus()
        found.page.keyboard.press("ArrowRight")
        assert "<b>|`@octocat` #1 https://example.com/r" in found.tip()[1]
        assert "<img src=x" in " ".join(found.page.locator("#principal option").all_inner_texts())

    @pytest.mark.parametrize(
        "injected",
        [
            "<script>document.title = 'owned'</script>",
            "<img src='x' onerror=\"document.title = 'owned'\">",
            "<a id='x' href=\"javascript:document.title = 'owned'\">x</a>",
            "<link rel='stylesheet' href='https://example.com/x.css'>",
            "<iframe srcdoc=\"<script>parent.document.title = 'owned'</script>\"></iframe>",
            "<form action='https://example.com/'><button id='x'>x</button></form>",
            "<p style='position: fixed; inset: 0'>owned</p>",
        ],
    )
    def test_injected_markup_is_blocked_by_the_policy(self, injected: str, opened: Open, run: Run) -> None:
        text = run("report", "ironman", "-o", "html").stdout.replace("<main>", f"<main>{injected}")
        found = opened(text=text)
        if "id='x'" in injected:
            found.page.locator("#x").evaluate("(x) => x.click()")
        found.page.wait_for_timeout(100)
        assert "owned" not in found.page.title()
        assert all(url in found.stopped or url.startswith(("file:", "about:")) for url in found.asked)
        assert any("Content Security Policy" in said for said in found.said)
        styled = found.page.locator("p[style]").evaluate_all("(all) => all.map((p) => p.clientHeight)")
        assert all(height < 100 for height in styled)

    def test_a_modified_script_does_not_run(self, opened: Open, run: Run) -> None:
        text = run("report", "ironman", "-o", "html").stdout
        broken = text.replace('"use strict";', '"use strict"; document.title = "owned";')
        broken = re.sub("<title>.*?</title>", "<title>broken</title>", broken)
        found = opened(text=broken)
        assert found.page.title() == "broken"
        assert "Content Security Policy" in found.said[0]
        assert found.page.locator("#tools").is_hidden()
