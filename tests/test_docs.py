"""The documentation: output as it is, links that lead somewhere, names that exist."""

import difflib
import gzip
import json
import re
import tomllib
from pathlib import Path

import click
import pytest
from conftest import FIXTURES, ROOT
from stories import RUNBOOK_STORIES
from write import files

import docs
from cnitrail.model.reason import ReasonCode
from cnitrail.scan.containers.compression import CODECS
from cnitrail.scan.containers.unicode_text import ENCODINGS

PAGES = [*docs.pages(), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
README = ROOT / "README.md"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose_of(page: Path) -> str:
    """The text of a page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = 0
        while (anchor := f"{slug}-{number}" if number else slug) in anchors:
            number += 1
        anchors.add(anchor)
    return anchors


def links_of(page: Path) -> list[str]:
    prose = re.sub(r"`[^`\n]*`", "", prose_of(page))
    return [*re.findall(r"\]\(([^)\s]+)\)", prose), *re.findall(r"^\[[^\]]+\]: (\S+)", prose, re.MULTILINE)]


def options_of(command: click.Command) -> set[str]:
    """The options of a command, also those that switch something off."""
    return {"--help"}.union(*([*option.opts, *option.secondary_opts] for option in command.params))


class TestOutput:
    @pytest.mark.parametrize("page", docs.pages(), ids=name_of)
    def test_a_page_quotes_what_the_commands_print(self, page: Path) -> None:
        today, should_be = page.read_text().splitlines(), docs.regenerated(page).splitlines()
        difference = "\n".join(difflib.unified_diff(today, should_be, "shown", "real", lineterm=""))
        assert not difference, f"{name_of(page)} is out of date: run python scripts/docs.py\n{difference}"

    @pytest.mark.parametrize("page", docs.pages(), ids=name_of)
    def test_console_blocks_run_cnitrail_alone_and_need_no_aws(self, page: Path) -> None:
        blocks = re.findall(r"^```console\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
        commands = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
        assert [line for line in commands if not line.startswith("$ cnitrail ")] == []
        assert [line for line in commands if re.search(r"s3://|lookup:|…", line)] == []

    @pytest.mark.parametrize("page", docs.pages(), ids=name_of)
    def test_no_console_block_is_indented_because_it_would_not_be_run(self, page: Path) -> None:
        assert re.findall(r"^[ \t]+```console$", page.read_text(), re.MULTILINE) == []

    @pytest.mark.parametrize("page", docs.pages(), ids=name_of)
    def test_every_row_of_a_table_from_the_code_has_a_meaning(self, page: Path) -> None:
        tables = re.findall(r"^<!-- table: .*?^<!-- end -->", page.read_text(), re.DOTALL | re.MULTILINE)
        assert [row for table in tables for row in table.splitlines() if row.endswith("|  |")] == []

    @pytest.mark.parametrize("story", sorted(RUNBOOK_STORIES))
    def test_the_stories_of_the_runbooks_are_written_from_their_modules(self, story: str) -> None:
        on_disk = {
            str(path.relative_to(FIXTURES / story)): gzip.decompress(path.read_bytes())
            for path in (FIXTURES / story).rglob("*.json.gz")
        }
        assert on_disk == files(story)


class TestLinks:
    @pytest.mark.parametrize("page", PAGES, ids=name_of)
    def test_every_relative_link_leads_to_a_file_and_a_heading(self, page: Path) -> None:
        broken = []
        for link in links_of(page):
            if re.match(r"[a-z]+:", link):
                continue
            target, _, anchor = link.partition("#")
            path = (page.parent / target).resolve() if target else page
            found = path.exists() and path.is_relative_to(ROOT)
            if not found or (anchor and anchor not in anchors_of(path)):
                broken.append(link)
        assert broken == []

    @pytest.mark.parametrize("page", PAGES, ids=name_of)
    def test_no_page_names_a_place_on_somebodys_machine(self, page: Path) -> None:
        assert re.findall(r"(?<![\w.])/(?:tmp|home|root|work|Users)/\S*", page.read_text()) == []

    @pytest.mark.parametrize("page", PAGES, ids=name_of)
    def test_files_of_the_source_that_a_page_names_exist(self, page: Path) -> None:
        if page.name == "CHANGELOG.md":
            return
        named = re.findall(r"`((?:[\w-]+/)+(?:[\w-]+\.\w+)?)`", prose_of(page))
        named += re.findall(r"`([\w-]+\.py)`", prose_of(page))
        folders = (ROOT, ROOT / "cnitrail", page.parent)
        code = {"cnitrail", "tests", "scripts", "fixtures", "fuzz", "benchmarks", "docs"}
        code |= {entry.name for entry in (ROOT / "cnitrail").iterdir() if entry.is_dir()}
        mine = [name for name in named if "/" not in name or name.split("/")[0] in code]
        assert [name for name in mine if not any((folder / name).exists() for folder in folders)] == []


class TestNames:
    @pytest.mark.parametrize("page", PAGES, ids=name_of)
    def test_the_options_in_the_commands_of_a_page_exist(self, page: Path) -> None:
        shown = re.findall(r"cnitrail ([a-z]+)\b([^\n`|>#]*)", page.read_text())
        options = {name: options_of(command) for name, command in docs.commands().items()}
        used = [(name, option) for name, rest in shown for option in re.findall(r"(?<!\S)--[a-z-]+", rest)]
        assert [use for use in used if use[1] not in options.get(use[0], set())] == []

    @pytest.mark.parametrize("page", PAGES, ids=name_of)
    def test_the_extras_that_a_page_installs_exist(self, page: Path) -> None:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert set(re.findall(r"\.\[(\w+)\]", page.read_text())) <= set(extras)

    def test_the_page_on_sources_names_every_compression_and_encoding(self) -> None:
        text = (ROOT / "docs" / "sources.md").read_text()
        names = {codec.name for codec in CODECS} | {encoding.name for encoding in ENCODINGS} | {"zip", "tar"}
        assert [name for name in names if not re.search(rf"\b{name}\b", text, re.IGNORECASE)] == []

    def test_the_json_reference_has_every_reason_code(self) -> None:
        text = (ROOT / "docs" / "json.md").read_text()
        documented = set(re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE))
        assert {code.value for code in ReasonCode} <= documented


class TestReadme:
    def test_it_has_at_most_160_lines(self) -> None:
        assert len(README.read_text().splitlines()) <= 160

    def test_its_two_commands_are_those_that_ci_runs(self) -> None:
        first, second = re.findall(r"^python3 -m venv .*$", README.read_text(), re.MULTILINE)
        assert first.endswith("cnitrail findings fixtures/subnet-exhausted")
        assert second.endswith(".venv/bin/nox")
        assert "pip install -q nox\n.venv/bin/nox\n" in (ROOT / ".ci" / "run").read_text()

    def test_its_iam_policy_allows_the_calls_of_the_sources_and_no_writes(self) -> None:
        (policy,) = re.findall(r"^```json\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)
        allowed = {action for statement in json.loads(policy)["Statement"] for action in statement["Action"]}
        reading = re.compile(r"\w+:(Get|List|Describe|Lookup|Filter)")
        assert [action for action in allowed if not reading.match(action)] == []
        sources = (ROOT / "cnitrail" / "sources").rglob("*.py")
        named = {name for path in sources for name in re.findall(r'"(\w+:[A-Z]\w+)"', path.read_text())}
        page = (ROOT / "docs" / "athena.md").read_text()
        others = set(re.findall(r'"((?:athena|glue|lakeformation):[A-Z]\w+)"', page))
        assert named - allowed - others <= {"sts:GetCallerIdentity"}, "which needs no permission"
