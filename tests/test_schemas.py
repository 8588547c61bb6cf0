"""Every JSON output has a published schema and conforms to it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from schemas import FOLDER, text_of

from cnitrail.cli import main
from cnitrail.render.schemas import ENTRIES, schema_of
from cnitrail.render.writers import OUTPUTS

FIXTURES = Path(__file__).parent.parent / "fixtures"
STORIES = sorted(
    folder.name for folder in FIXTURES.iterdir() if folder.is_dir() and list(folder.rglob("*.gz"))
)
COMMANDS = [
    ["timeline"],
    ["leases"],
    ["doctor"],
    ["findings"],
    ["pool"],
    ["state", "--at", "2022-10-05T15:45Z"],
    ["subnet", "subnet-0a1d7e59c4b2f8603", "subnet-0e1d5b9a3c7f28460"],
    ["state", "--at", "2022-10-05T15:45Z", "--live", str(FIXTURES / "ironman-interfaces.json")],
    ["who", "192.168.53.76", "--at", "2022-10-05T14:00Z"],
    ["flows", str(FIXTURES / "ironman-flows.log"), "--with"],
]
OF_ENTRIES = [arguments for arguments in COMMANDS if arguments[0] != "flows"]
"""Those whose JSON lines are the entries of their JSON: the lines of flows are records."""


def printed(arguments: list[str], output: str) -> str:
    return CliRunner().invoke(main, [*arguments, "-o", output, "-q"]).stdout


def validator(command: str) -> Draft202012Validator:
    schema = schema_of(command, strict=True)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


class TestSchemas:
    @pytest.mark.parametrize("command", ENTRIES)
    def test_the_published_schema_is_that_of_the_model(self, command: str) -> None:
        assert (FOLDER / f"{command}.v1.json").read_text() == text_of(command)

    def test_every_command_with_json_has_a_schema(self) -> None:
        assert {name for name, outputs in OUTPUTS.items() if "json" in outputs} == set(ENTRIES)
        assert {path.name for path in FOLDER.iterdir()} == {f"{command}.v1.json" for command in ENTRIES}

    @pytest.mark.parametrize("field", ["schema", "query", "evidence", "entries"])
    def test_a_document_without_one_of_its_parts_is_rejected(self, field: str) -> None:
        document = json.loads(printed(["timeline", str(FIXTURES / "ironman")], "json"))
        assert validator("timeline").is_valid(document)
        del document[field]
        assert not validator("timeline").is_valid(document)

    def test_only_the_published_schema_allows_unknown_fields(self) -> None:
        document = json.loads(printed(["timeline", str(FIXTURES / "ironman")], "json"))
        document["entries"][0]["added_later"] = 1
        assert Draft202012Validator(schema_of("timeline")).is_valid(document)
        assert not validator("timeline").is_valid(document)


class TestOutputs:
    @pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments)[:40])
    @pytest.mark.parametrize("story", STORIES)
    def test_every_answer_about_a_story_conforms_to_its_schema(
        self, story: str, arguments: list[str]
    ) -> None:
        document = json.loads(printed([*arguments, str(FIXTURES / story)], "json"))
        errors = [error.message for error in validator(arguments[0]).iter_errors(document)]
        assert errors == []

    @pytest.mark.parametrize("story", ["ironman-signed", "ironman-tampered"])
    def test_a_verification_conforms_to_its_schema(self, story: str) -> None:
        document = json.loads(printed(["verify", str(FIXTURES / story)], "json"))
        assert [error.message for error in validator("verify").iter_errors(document)] == []

    @pytest.mark.parametrize("arguments", OF_ENTRIES, ids=lambda arguments: " ".join(arguments)[:40])
    def test_a_line_of_jsonl_is_an_entry(self, arguments: list[str]) -> None:
        command = arguments[0]
        schema = schema_of(command, strict=True)
        entry = Draft202012Validator({"$defs": schema["$defs"], **schema["properties"]["entries"]["items"]})
        lines = printed([*arguments, str(FIXTURES / "ironman")], "jsonl").splitlines()
        assert all(entry.is_valid(json.loads(line)) for line in lines)
        assert lines or command == "findings"
