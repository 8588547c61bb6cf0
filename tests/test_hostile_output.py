"""Text from records and file names is untrusted and must have no effect in any output.

Every output of every command in ``render.writers`` is tried, so a new one needs no change here.
"""

import csv
import gzip
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from unicodedata import category

import audit_events
import pytest
from click.testing import Result
from conftest import FIXTURES, Run, Show
from stories import hostile
from test_render_safe import ACTS_OR_HIDES, begins_a_formula

from cnitrail.cli import stderr as stderr_module
from cnitrail.render.writers import OUTPUTS

Ask = Callable[..., Result]

OF_RECORDS = [command for command in OUTPUTS if command != "verify"]
"""``verify`` shows nothing of a record; what strangers write of it is tried in test_verify.py."""

EVERY_OUTPUT = [
    (command, output) for command in OF_RECORDS for output in OUTPUTS[command] if output != "parquet"
]
ARGUMENTS = {
    "explain": ("10.200.0.104",),
    "pool": ("--instance", "i-0ff1a2b3c4d5e6f70"),
    "state": ("--at", "2026-04-15T02:10:00Z"),
    "subnet": ("subnet-0ff4d5e6f7a8b9ca3",),
    "who": ("10.200.0.104", "--at", "2026-04-15T02:10:00Z"),
}
"""What a command must be asked beside the sources."""

EVENT_ID = (
    f"{hostile.FORMULA}{hostile.ESCAPES}{hostile.MARKUP}{hostile.BACKWARDS}{hostile.LINES}{hostile.HTML}"
)
FORGED = "2026-01-01T00:00:00Z forged entry"
FILE_NAME = f"=1+1\x1b[2J\x1b]0;title\x07[bold]\u202egnp\u200b\r\n{FORGED}\n<b>.json"


def hostile_pods() -> list[audit_events.Event]:
    """Return the audit events of a pod whose name, owner and node are hostile."""
    name = EVENT_ID.replace("/", "|")
    return audit_events.life(
        f"{name}/{name}",
        ips=["10.200.0.104"],
        bound="2026-04-15T02:05:00Z",
        reported="2026-04-15T02:05:03Z",
        node=EVENT_ID,
    )


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hostile story with hostile event ids and file names, and files that are not logs."""
    folder = tmp_path_factory.mktemp("logs") / FILE_NAME
    folder.mkdir()
    for number, log in enumerate(sorted((FIXTURES / "hostile").rglob("*.json.gz"))):
        records = json.loads(gzip.decompress(log.read_bytes()))["Records"]
        for record in records:
            record["eventID"] = f"{EVENT_ID}{record['eventID']}"
            record["userAgent"] = f"{record.get('userAgent')}\ud800\x00"
            if record["eventName"] == "AssignPrivateIpAddresses":
                record["requestParameters"]["allowReassignment"] = True  # a finding names who did that
        (folder / f"{number}{FILE_NAME}").write_text(json.dumps({"Records": records}))
    (folder / f"audit{FILE_NAME}").write_bytes(audit_events.lines(hostile_pods()))
    (folder / f"broken{FILE_NAME}").write_text(f"{EVENT_ID}{hostile.LONG}", encoding="utf-8")
    (folder / "torn\udcff\udc9b").write_text('{"Records":[{"eventName":"\x1b[2J')
    return folder


@pytest.fixture(scope="module")
def flow_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flow logs whose fields are hostile, between addresses that hostile records assign."""
    log = tmp_path_factory.mktemp("flows") / FILE_NAME
    header = "interface-id srcaddr dstaddr srcport dstport bytes packets action log-status start end"
    text = EVENT_ID.translate({ord(sign): "|" for sign in " \r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"})
    assigned = 1_776_219_000
    lines = [
        f"{text} 10.200.0.104 {text} {text} {text} {text} 1 REJECT OK {assigned} {assigned}",
        f"{text} 10.200.0.104 10.200.0.104 1 {text} 1 1 {text} OK {assigned} {assigned}",
        f"{text} {text} {text} {text} {text} {text} {text} {text} {text} {text} {text}",
    ]
    log.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return log


@pytest.fixture
def ask(run: Run, logs: Path, flow_logs: Path) -> Ask:
    """Return the answer of a command in an output."""

    def asked(command: str, output: str, **more: object) -> Result:
        result = run(command, *sources(command, logs, flow_logs), "-o", output, **more)
        assert result.exit_code == 3, result.stderr
        return result

    return asked


def sources(command: str, logs: Path, flow_logs: Path) -> tuple[str | Path, ...]:
    """Return the arguments of a command: what it is asked, and what it reads."""
    flows = (flow_logs, "--with") if command == "flows" else ()
    return (*ARGUMENTS.get(command, ()), *flows, logs)


def active_characters(text: str) -> list[str]:
    """Return the active or hidden characters of a text, except line ends."""
    return [character for character in text.replace("\n", "") if category(character) in ACTS_OR_HIDES]


@pytest.mark.parametrize(("command", "output"), EVERY_OUTPUT)
class TestEveryOutput:
    def test_no_active_or_hidden_character_is_written(self, ask: Ask, command: str, output: str) -> None:
        result = ask(command, output)
        assert result.stdout
        assert active_characters(result.stdout) == []
        assert active_characters(result.stderr) == []

    def test_no_line_is_forged(self, ask: Ask, command: str, output: str) -> None:
        result = ask(command, output)
        for line in (*result.stdout.split("\n"), *result.stderr.split("\n")):
            assert not line.lstrip().startswith(FORGED)

    def test_every_unreadable_file_is_reported_in_one_line(self, ask: Ask, command: str, output: str) -> None:
        skipped = [line for line in ask(command, output).stderr.splitlines() if line.startswith("skipped: ")]
        assert len(skipped) == (4 if command == "flows" else 3)
        assert r"torn\xff\x9b: " in skipped[2]


def outputs(*wanted: str) -> pytest.MarkDecorator:
    """Return every command with one of these outputs."""
    return pytest.mark.parametrize(
        ("command", "output"), [(command, output) for command, output in EVERY_OUTPUT if output in wanted]
    )


class TestTable:
    @outputs("table")
    def test_a_terminal_gets_only_our_own_color_escapes(
        self, show: Show, logs: Path, flow_logs: Path, command: str, output: str
    ) -> None:
        for width in (40, 100, 30000):
            arguments = (command, *sources(command, logs, flow_logs), "-o", output)
            text = show(width, *arguments, colors="standard", status=3)
            assert "\x1b[" in text
            assert active_characters(re.sub(r"\x1b\[[0-9;]*m", "", text)) == []

    @outputs("table", "wide")
    def test_a_pipe_gets_only_our_own_color_escapes(self, ask: Ask, command: str, output: str) -> None:
        text = ask(command, output, env={"FORCE_COLOR": "1"}).stdout
        assert "\x1b[" in text
        assert active_characters(re.sub(r"\x1b\[[0-9;]*m", "", text)) == []

    def test_escapes_and_markup_are_shown_as_they_were_written(self, show: Show, logs: Path) -> None:
        text = show(60000, "timeline", logs, status=3)
        assert r"\x1b[2J\x1b[1;31mall clear\x1b[0m\x1b]0;title\x07\x1b]8;;https://example.com\x07link" in text
        assert "[bold red]not an error[/bold red] [link=https://example.com]click[/link] [/]" in text
        assert r"\u202egnp.exe\u202c \u2066isolated\u2069 zero\u200bwidth \ufeff" in text


class TestJson:
    @outputs("jsonl", "timesketch")
    def test_every_line_is_a_value_for_any_definition_of_a_line_end(
        self, ask: Ask, command: str, output: str
    ) -> None:
        text = ask(command, output).stdout
        assert text.splitlines() == text.removesuffix("\n").split("\n")
        assert all(isinstance(json.loads(line), dict) for line in text.splitlines())

    @outputs("json", "perfetto")
    def test_a_document_is_one_value(self, ask: Ask, command: str, output: str) -> None:
        assert isinstance(json.loads(ask(command, output).stdout), dict)

    def test_values_are_those_of_the_record(self, ask: Ask) -> None:
        entries = [json.loads(line) for line in ask("timeline", "jsonl").stdout.splitlines()]
        assert all(entry["event_id"].startswith(EVENT_ID) for entry in entries)
        assert {entry["actor"]["agent"]["raw"] for entry in entries} >= {
            f"{text}?\x00" for text in (hostile.HTML, hostile.ESCAPES, hostile.MARKUP, hostile.LINES)
        }
        assert hostile.LONG in {entry["error"]["message"] for entry in entries if entry["error"]}


class TestCsv:
    @outputs("csv")
    def test_no_cell_is_a_formula_for_any_separator(self, ask: Ask, command: str, output: str) -> None:
        text = ask(command, output).stdout
        for rows in (csv.reader(io.StringIO(text)), csv.reader(io.StringIO(text), delimiter=";")):
            assert [cell for row in rows for cell in row if begins_a_formula(cell)] == []

    @outputs("csv")
    def test_an_entry_is_one_line_with_a_cell_per_column(self, ask: Ask, command: str, output: str) -> None:
        text = ask(command, output).stdout
        rows = list(csv.reader(io.StringIO(text)))
        assert len(rows) == len(text.splitlines())
        assert {len(row) for row in rows} == {len(rows[0])}


class TestQuestions:
    @pytest.mark.parametrize("output", OUTPUTS["who"])
    def test_questions_of_a_batch_are_untrusted(self, run: Run, output: str) -> None:
        asked = "\n".join(
            json.dumps({"ip": text, "at": text, "vpc": text})
            for text in (hostile.ESCAPES, hostile.FORMULA, hostile.LINES, hostile.BACKWARDS, "10.200.0.104")
        )
        result = run("who", "--batch", "-", "hostile", "-o", output, input=asked)
        assert result.exit_code == 3
        assert active_characters(result.stdout + result.stderr) == []
        assert len(re.findall("^not a question: ", result.stderr, re.MULTILINE)) == 5


class TestCollect:
    def test_an_export_is_one_value_per_line(self, run: Run, logs: Path) -> None:
        result = run("collect", logs, "--export", "-")
        assert active_characters(result.stdout + result.stderr) == []
        lines = result.stdout.splitlines()
        assert len(lines) == 11
        for line in lines:
            assert json.loads(json.loads(line)["CloudTrailEvent"])["eventID"].startswith(EVENT_ID)

    def test_a_store_prints_no_more_than_its_sources(self, run: Run, logs: Path, tmp_path: Path) -> None:
        first = run("collect", logs, "--to", tmp_path / "trail.db")
        asked = run("timeline", tmp_path / "trail.db")
        assert active_characters(first.stderr + asked.stdout + asked.stderr) == []
        assert asked.stderr.count("skipped: ") == 3


class TestMistakes:
    @pytest.mark.parametrize("command", OUTPUTS)
    def test_a_missing_source_is_named_harmlessly(self, run: Run, command: str) -> None:
        result = run(command, *ARGUMENTS.get(command, ()), f"no-such{FILE_NAME}")
        assert result.exit_code == 1
        assert active_characters(result.stderr) == []


class TestAccountAndRegion:
    """An account or Region is untrusted, too: in a log gap, in a file name, in an answer from AWS."""

    STEERING = "\x1b]0;OWNED\x07\x1b[2J\x1b]8;;https://evil.example\x07here\x1b]8;;\x07\u202e"

    @pytest.fixture
    def elsewhere(self, tmp_path: Path) -> Path:
        """Two calls an hour apart, with terminal escapes as account and Region."""
        create = json.loads(
            gzip.decompress(next((FIXTURES / "hand-assigned").rglob("*.json.gz")).read_bytes())
        )["Records"][0]
        records = []
        for hour in ("09", "10"):
            user = {**create["userIdentity"], "accountId": self.STEERING}
            where = {"awsRegion": self.STEERING, "recipientAccountId": self.STEERING, "userIdentity": user}
            assign = {
                "eventName": "AssignPrivateIpAddresses",
                "eventSource": "ec2.amazonaws.com",
                "eventTime": f"2025-03-04T{hour}:00:00Z",
                "eventID": f"00000000-0000-4000-8000-0000000000{hour}",
                "requestParameters": {"networkInterfaceId": "eni-0aaaaaaaaaaaaaaa1"},
                "responseElements": {
                    "networkInterfaceId": "eni-0aaaaaaaaaaaaaaa1",
                    "assignedPrivateIpAddressesSet": {
                        "assignedPrivateIpAddressSetType": [{"privateIpAddress": "10.0.0.9"}]
                    },
                },
            }
            records.append({**create, **where, **assign})
        log = tmp_path / f"{self.STEERING.replace('/', '-')}.json"
        log.write_text(json.dumps({"Records": records}))
        return tmp_path

    @pytest.mark.parametrize("command", OF_RECORDS)
    def test_their_escapes_never_reach_the_terminal(self, run: Run, elsewhere: Path, command: str) -> None:
        asked = {
            "state": ("--at", "2025-03-04T08:00:00Z"),
            "who": ("10.0.0.9", "--at", "2025-03-04T08:00:00Z"),
        }.get(command, ())
        result = run(command, *asked, elsewhere, env={"FORCE_COLOR": ""})
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert active_characters(result.stdout) == []
        assert active_characters(result.stderr) == []

    def test_a_log_gap_shows_them_escaped(self, run: Run, elsewhere: Path) -> None:
        stderr = run("state", "--at", "2025-03-04T08:00:00Z", elsewhere).stderr
        assert r"\x1b]0;OWNED\x07\x1b[2J\x1b]8;;https://evil.example\x07here\x1b]8;;\x07\u202e" in stderr

    def test_only_one_function_and_the_views_of_progress_write_to_stderr(self) -> None:
        rooms = Path(stderr_module.__file__).parent
        ways = {
            path.name for path in rooms.rglob("*.py") if re.search(r"err=True|sys\.stderr", path.read_text())
        }
        assert ways == {"lookup_progress.py", "progress.py", "query_progress.py", "stderr.py"}
