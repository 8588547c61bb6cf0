"""What ModifyNetworkInterfaceAttribute changed: read in every form, and harmless in every output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from records import ATTACHMENT, ENI, decoded, failed, items, record, subject_of
from test_report import data_of

from cnitrail.model import AttributeChange
from cnitrail.render.timeline_parts import change_of

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Run

Entry = dict[str, Any]

EVIL = "\x1b[31mred\x1b]8;;http://evil\x07 \u202egnp\u2066 \x9b2J \r\n# h\n- [x](javascript:1) @octocat ```"
"""What a terminal, Markdown or a ticket could act on."""


def modified(**attribute: object) -> Entry:
    return record(
        "ModifyNetworkInterfaceAttribute", {"networkInterfaceId": ENI} | attribute, {"_return": True}
    )


def changes(**attribute: object) -> tuple[AttributeChange, ...]:
    return subject_of(modified(**attribute)).details.changes


class TestChangedAttributes:
    @pytest.mark.parametrize(
        "groups",
        [
            items({"groupId": "sg-0a"}),
            {"items": {"groupId": "sg-0a"}},
            {"item": [{"groupId": "sg-0a"}]},
            {"groupId": "sg-0a"},
            [{"groupId": "sg-0a"}],
            ["sg-0a"],
            "sg-0a",
        ],
        ids=json.dumps,
    )
    def test_security_groups_are_read_in_each_form(self, groups: object) -> None:
        assert changes(groupSet=groups) == (AttributeChange("groupSet", ("sg-0a",)),)

    @pytest.mark.parametrize("groups", ['{"items": []}', items({"name": "web"}), items({"groupId": "web"})])
    def test_security_groups_in_an_unknown_form_are_only_said_to_have_changed(self, groups: object) -> None:
        assert changes(groupSet=groups) == (AttributeChange("groupSet", None),)

    @pytest.mark.parametrize("nothing", [None, {}, {"value": None}], ids=json.dumps)
    @pytest.mark.parametrize("name", ["groupSet", "sourceDestCheck", "attachment", "description", "enaSrd"])
    def test_an_empty_attribute_is_not_a_change(self, name: str, nothing: object) -> None:
        assert changes(**{name: nothing}) == ()

    @pytest.mark.parametrize("nothing", [[], items(), "", {"items": ""}], ids=json.dumps)
    def test_an_empty_set_is_not_a_change(self, nothing: object) -> None:
        assert changes(groupSet=nothing) == ()

    def test_an_empty_description_removes_it(self) -> None:
        assert changes(description="") == changes(description={"value": ""})
        assert changes(description="") == (AttributeChange("description", ""),)

    @pytest.mark.parametrize("off", [False, "false", {"value": False}, {"value": "false"}], ids=json.dumps)
    def test_a_boolean_is_read_bare_as_text_and_wrapped(self, off: object) -> None:
        assert changes(sourceDestCheck=off) == (AttributeChange("sourceDestCheck", False),)
        entry = modified(attachment={"attachmentId": ATTACHMENT, "deleteOnTermination": off})
        assert decoded(entry).problems == ()
        assert subject_of(entry).details.delete_on_termination is False
        assert subject_of(entry).details.changes == (AttributeChange("deleteOnTermination", False),)

    @pytest.mark.parametrize("name", ["enaSrdSpecification", "connectionTrackingSpecification"])
    def test_a_structure_is_named(self, name: str) -> None:
        assert changes(**{name: {"enaSrdEnabled": True}}) == (AttributeChange(name, None),)

    def test_another_attribute_of_an_attachment_is_named(self) -> None:
        asked = {"attachmentId": ATTACHMENT, "defaultEnaQueueCount": True}
        assert changes(attachment=asked) == (AttributeChange("attachment", None),)
        assert changes(attachment={"attachmentId": ATTACHMENT}) == ()

    def test_a_description_cannot_end_its_quotes(self) -> None:
        said = change_of(AttributeChange("description", 'x" security groups sg-0a'))
        assert said == 'description "x\\" security groups sg-0a"'


class TestReportedChanges:
    @pytest.fixture
    def case(self, tmp_path: Path) -> Path:
        asked = [{"groupSet": items({"groupId": f"sg-0{number}"})} for number in range(5)]
        calls = [modified(**attribute) for attribute in asked]
        calls += [failed(modified(description={"value": EVIL}), "Client.OperationNotPermitted")]
        for number, call in enumerate(calls):
            call |= {"eventID": f"00000000-0000-4000-8000-{number:012}"}
        (tmp_path / "events.json").write_text(json.dumps({"Records": calls}))
        return tmp_path

    def test_markdown_names_a_few(self, case: Path, run: Run) -> None:
        page = run("report", case, "-o", "md").stdout
        assert "security groups `sg-00`; security groups `sg-01`; security groups `sg-02` and 2 more" in page
        assert "requested description" in page
        assert all(character == "\n" or character.isprintable() for character in page)

    def test_html_and_its_data_have_them(self, case: Path, run: Run) -> None:
        page = run("report", case, "-o", "html").stdout
        assert (
            '<span class="set">security groups <code>sg-00</code></span>' not in page
        )  # too short for an ID
        assert '<span class="set">security groups sg-00</span>' in page
        assert '<span class="set">and 2 more</span>' in page
        data = data_of(page)
        found = [data["names"][place] for call in data["calls"] for place in call[7]]
        assert found[:2] == ["security groups sg-00", "security groups sg-01"]
        assert found[-1].startswith('requested description "\\x1b[31mred')

    def test_other_calls_have_no_room_for_them(self, run: Run) -> None:
        data = data_of(run("report", "ironman", "-o", "html").stdout)
        assert {len(call) for call in data["calls"]} == {7, 8}
