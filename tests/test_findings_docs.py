"""Every rule has a title, a section in docs/findings.md, and techniques that exist."""

import json
import re

import pytest
from conftest import ROOT, Run
from test_schemas import STORIES

import docs
from cnitrail.answers.findings import RULES
from cnitrail.model import SEVERITY_ORDER, Severity
from cnitrail.model.rules import RULE_DESCRIPTIONS
from cnitrail.model.techniques import ATTACK_VERSION, TECHNIQUES

PAGE = (ROOT / "docs" / "findings.md").read_text()
PARTS = ["Meaning", "Evidence", "False positives", "Remedy", "ATT&CK"]


def sections() -> dict[str, str]:
    """Return the sections of the page on rules, by the name of the rule."""
    found = re.findall(r"^## ([a-z0-9-]+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return dict(found)


class TestDescriptions:
    def test_every_rule_is_described_in_the_order_of_the_rules(self) -> None:
        assert list(RULE_DESCRIPTIONS) == list(RULES)

    @pytest.mark.parametrize("name", RULES)
    def test_a_title_is_a_phrase_and_a_meaning_is_a_sentence(self, name: str) -> None:
        rule = RULE_DESCRIPTIONS[name]
        assert re.fullmatch(r"[A-Z][^.]{10,80}", rule.title)
        assert re.fullmatch(r"[A-Z].*\.", rule.meaning)

    @pytest.mark.parametrize("story", STORIES)
    def test_no_finding_is_more_severe_than_its_rule_can_be(self, run: Run, story: str) -> None:
        for entry in json.loads(run("findings", story, "-o", "json", "-q").stdout)["entries"]:
            most = RULE_DESCRIPTIONS[entry["rule"]].severity
            assert SEVERITY_ORDER[Severity(entry["severity"])] >= SEVERITY_ORDER[most]


class TestSections:
    def test_every_rule_has_a_section_in_the_order_of_the_rules(self) -> None:
        assert list(sections()) == list(RULES)

    @pytest.mark.parametrize("name", RULES)
    def test_a_section_has_the_five_parts(self, name: str) -> None:
        assert re.findall(r"^\*\*([^*]+)\.\*\* \S", sections()[name], re.MULTILINE) == PARTS

    @pytest.mark.parametrize("name", RULES)
    def test_a_section_quotes_a_finding_of_its_rule(self, name: str) -> None:
        (quotation,) = re.findall(rf"<!-- example: {name} -->\n((?:> .+\n)+)<!-- end -->", sections()[name])
        assert docs.example_of(name) == quotation

    @pytest.mark.parametrize("name", RULES)
    def test_a_section_names_the_techniques_of_the_rule(self, name: str) -> None:
        (text,) = re.findall(r"^\*\*ATT&CK\.\*\* (.*)", sections()[name], re.DOTALL | re.MULTILINE)
        assert tuple(re.findall(r"T\d{4}(?:\.\d{3})?", text)) == RULE_DESCRIPTIONS[name].techniques
        assert text.startswith("None.") is not bool(RULE_DESCRIPTIONS[name].techniques)

    def test_the_page_has_the_severities_in_their_order(self) -> None:
        assert re.findall(r"^\| `([a-z]+)` \|", PAGE, re.MULTILINE) == [one.value for one in Severity]


class TestTechniques:
    def test_the_table_has_the_techniques_of_the_rules_and_no_others(self) -> None:
        used = {uid for rule in RULE_DESCRIPTIONS.values() for uid in rule.techniques}
        assert used == set(TECHNIQUES)

    def test_names_and_tactics_are_those_of_att_and_ck_19(self) -> None:
        assert ATTACK_VERSION == "19.0"
        assert {
            uid: (technique.name, [tactic.name for tactic in technique.tactics])
            for uid, technique in TECHNIQUES.items()
        } == {
            "T1078.004": (
                "Cloud Accounts",
                ["Initial Access", "Persistence", "Privilege Escalation", "Stealth"],
            ),
            "T1578": ("Modify Cloud Compute Infrastructure", ["Defense Impairment"]),
            "T1685.002": ("Disable or Modify Cloud Log", ["Defense Impairment"]),
        }

    def test_a_sub_technique_names_its_parent(self) -> None:
        for uid, technique in TECHNIQUES.items():
            parent = technique.parent.uid if technique.parent is not None else None
            assert uid.rpartition(".")[0] == (parent or "")
            assert technique.url == f"https://attack.mitre.org/techniques/{uid.replace('.', '/')}/"
