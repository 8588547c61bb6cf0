"""What every command shows in a terminal of some width: read as reviewed, and no identifier is broken."""

import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import termios
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import FIXTURES, Run, Show
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnitrail.cli import main

WIDTHS = (60, 80, 120, 200)
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
"""The time at which doctor is run."""
STORIES = sorted(path.parent.name for path in FIXTURES.glob("*/AWSLogs"))
SIGNED = ("ironman-signed", "ironman-tampered")
IDENTIFIER = re.compile(
    r"\b(?:i|eni|vpc|subnet|sg|eni-attach|eipalloc)-[0-9a-f]{8,17}\b"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|\barn:aws[^\s\"]*"
    r"|\b\d+\.\d+\.\d+\.\d+(?:/\d+)?\b"
    r"|\b\d{12}\b"
)
WHOLE = re.compile(r"(?:i|eni|vpc|subnet|sg|eni-attach|eipalloc)-(?:[0-9a-f]{8}|[0-9a-f]{17})")
PART = re.compile(r"(?:i|eni|vpc|subnet|sg|eni-attach|eipalloc)-[0-9a-f]*")
PUNCTUATION = "()[],;:.'\"\\"
MIN_FRAGMENT = 7
"""Shorter fragments of an identifier may be words or numbers of their own."""


@cache
def answer(*arguments: str) -> str:
    """Return the answer of a command about a story as JSON, once."""
    return CliRunner().invoke(main, [*arguments, "-q", "-o", "json"]).stdout


def leases(story: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(answer("leases", story))["entries"]
    return entries


def calls(story: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(answer("timeline", story))["entries"]
    return entries


def end(story: str) -> str:
    """Return the time of the last event of a story."""
    last: str = json.loads(answer("leases", story))["evidence"]["last_event"]
    return last


def address(story: str) -> str:
    """Return an address that is held in a story: the one in the middle."""
    addresses = sorted(lease["ip"] for lease in leases(story) if "/" not in lease["ip"])
    return str(addresses[len(addresses) // 2])


def eni(story: str) -> str:
    """Return the ENI that most calls of a story are about."""
    enis = Counter(str(entry["eni"]) for entry in calls(story) if entry["eni"])
    return enis.most_common(1)[0][0]


def instance(story: str) -> str | None:
    """Return the instance that most calls of a story are about; None if it has none."""
    instances = Counter[str](entry["instance"] for entry in calls(story) if entry["instance"])
    return instances.most_common(1)[0][0] if instances else None


def cluster(story: str) -> str | None:
    """Return the first cluster that a story names; None if it names none."""
    return min((entry["cluster"] for entry in calls(story) if entry["cluster"]), default=None)


def with_pods(story: str) -> str | None:
    """Return a story that has pod evidence; None for any other."""
    return story if json.loads(answer("pods", story))["entries"] else None


def subnets(story: str) -> tuple[str, ...]:
    return tuple(sorted({lease["subnet"] for lease in leases(story) if lease["subnet"]}))


LISTINGS: dict[str, str] = {"ironman": "ironman-interfaces.json"}
"""The answer of EC2 that a story is compared with, if there is one."""

FLOW_LOGS: dict[str, str] = dict.fromkeys(("ironman", "pod-behind-an-address"), "ironman-flows.log")
"""The flow logs of a story, if there are some."""

Arguments = Callable[[str], tuple[str | None, ...]]

COMMANDS: dict[str, Arguments] = {
    "timeline": lambda story: ("timeline", story),
    "leases": lambda story: ("leases", story),
    "state": lambda story: ("state", story, "--at", end(story)),
    "state-live": lambda story: ("state", story, "--live", LISTINGS.get(story)),
    "pool": lambda story: ("pool", story),
    "findings": lambda story: ("findings", story),
    "pods": lambda story: ("pods", with_pods(story)),
    "flows": lambda story: ("flows", FLOW_LOGS.get(story), "--with", story),
    "timeline-pods": lambda story: ("timeline", with_pods(story), "--pod", "*"),
    "who": lambda story: ("who", address(story), story, "--at", end(story)),
    "subnet": lambda story: ("subnet", *(subnets(story) or (None,)), story),
    "explain-address": lambda story: ("explain", address(story), story),
    "explain-eni": lambda story: ("explain", eni(story), story),
    "explain-instance": lambda story: ("explain", instance(story), story),
    "explain-cluster": lambda story: ("explain", cluster(story), story),
    "doctor": lambda story: ("doctor", story),
    "doctor-cluster": lambda story: ("doctor", story, "--cluster", cluster(story)),
    "verify": lambda story: ("verify", story, "--public-keys", f"{story}/public-keys.json"),
}
"""The arguments of each command about a story; None in place of what the story does not have.

A command is added here, and nowhere else.
"""


def screens() -> Iterator[tuple[str, str]]:
    """Yield each command with each story that it can answer."""
    os.chdir(FIXTURES)
    for command, arguments in COMMANDS.items():
        for story in SIGNED if command == "verify" else STORIES:
            if None not in arguments(story):
                yield command, story


SCREENS = list(screens())


def status(story: str) -> int:
    return 1 if story == "ironman-tampered" else 0


_drawn: dict[tuple[int, str, str], str] = {}


def screen(show: Show, width: int, command: str, story: str) -> str:
    """Return what a command shows about a story, at a time that never changes."""
    asked = width, command, story
    if asked not in _drawn:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cnitrail.cli.commands.doctor._now", lambda: NOW)
            patch.setattr("cnitrail.__version__", "1.2.3")
            _drawn[asked] = show(width, *COMMANDS[command](story), "-q", status=status(story))
    return _drawn[asked]


def identifiers(text: str) -> set[str]:
    """Return the identifiers in a JSON document."""
    return {found.strip(PUNCTUATION) for found in IDENTIFIER.findall(text)}


def fragments(text: str, known: set[str]) -> list[str]:
    """Return the words of a screen that are parts of an identifier, but not all of it.

    The end of an ARN is a name that is shown by itself.
    """
    parts = {
        part
        for identifier in known
        for place in range(MIN_FRAGMENT, len(identifier))
        for part in (identifier[:place], *([] if identifier.startswith("arn:") else [identifier[-place:]]))
    }
    words = {word.strip(PUNCTUATION) for word in text.split()}
    unfinished = {word for word in words if PART.fullmatch(word) and not WHOLE.fullmatch(word)}
    return sorted((words & parts - known) | unfinished)


def is_breakable(line: str) -> bool:
    """Return whether a line could be two: not if it is one word, or a command to copy."""
    return len(line.split()) > 1 and not line.lstrip().startswith("$ ")


class TestScreens:
    @pytest.mark.parametrize(("command", "story"), SCREENS)
    def test_reads_as_reviewed(
        self, show: Show, golden: Callable[[str, str], None], command: str, story: str
    ) -> None:
        texts = [f"=== {width} columns\n{screen(show, width, command, story)}" for width in WIDTHS]
        golden(f"{story}/screens/{command}.txt", "\n".join(texts))

    @pytest.mark.parametrize(("command", "story"), SCREENS)
    def test_no_identifier_is_broken(self, show: Show, command: str, story: str) -> None:
        known = identifiers(answer(*COMMANDS[command](story)))
        assert known or command == "findings"
        for width in WIDTHS:
            assert fragments(screen(show, width, command, story), known) == []

    @given(st.sampled_from(SCREENS), st.integers(20, 220))
    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_no_identifier_is_broken_at_any_width(
        self, show: Show, command_and_story: tuple[str, str], width: int
    ) -> None:
        command, story = command_and_story
        known = identifiers(answer(*COMMANDS[command](story)))
        assert fragments(screen(show, width, command, story), known) == []

    @given(st.sampled_from(SCREENS), st.integers(60, 220))
    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_no_line_with_more_than_one_word_is_too_long(
        self, show: Show, command_and_story: tuple[str, str], width: int
    ) -> None:
        lines = screen(show, width, *command_and_story).splitlines()
        assert [line for line in lines if len(line) > width and is_breakable(line)] == []

    def test_a_broken_identifier_is_found(self) -> None:
        known = {"eni-0bbea279695112970", "192.168.53.76"}
        assert fragments("eni-0bbea2796\n  95112970  192.168.5\n  3.76", known) == [
            "192.168.5",
            "95112970",
            "eni-0bbea2796",
        ]


def terminal(width: int, *arguments: str, **environment: str) -> str:
    """Return what a command writes to a real terminal of some width."""
    control, device = os.openpty()
    fcntl.ioctl(device, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in COLOR_VARIABLES}
    with subprocess.Popen(
        [sys.executable, "-m", "cnitrail", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=device,
        stderr=device,
        cwd=FIXTURES,
        env={**kept, "TERM": "xterm-256color", **environment},
    ):
        os.close(device)
        written = b""
        while read := _read(control):
            written += read
    os.close(control)
    return written.decode().replace("\r\n", "\n")


def _read(control: int) -> bytes:
    try:
        return os.read(control, 65536)
    except OSError:  # the last writer has closed the terminal
        return b""


def pipe(*arguments: str, **environment: str) -> str:
    """Return what a command writes to a pipe, stdout and stderr together."""
    kept = {name: value for name, value in os.environ.items() if name not in COLOR_VARIABLES}
    done = subprocess.run(
        [sys.executable, "-m", "cnitrail", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=FIXTURES,
        env={**kept, **environment},
        check=False,
    )
    return done.stdout.decode()


COLOR_VARIABLES = {
    *("COLUMNS", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM"),
    *("TTY_COMPATIBLE", "TTY_INTERACTIVE"),
}
SGR = re.compile(r"\x1b\[[0-9;]*m")
ASKED = ("leases", "two-vpcs", "-q")


class TestRealTerminals:
    @pytest.mark.parametrize("width", [60, 120])
    def test_a_real_terminal_shows_the_same(self, show: Show, width: int) -> None:
        assert SGR.sub("", terminal(width, *ASKED)) == show(width, *ASKED)

    @pytest.mark.parametrize("command", ["", "leases", "state", "sync", "who"])
    def test_the_help_fits_60_columns(self, command: str) -> None:
        text = terminal(60, *filter(None, [command]), "--help")
        assert [line for line in text.splitlines() if len(line) > 60] == []

    def test_columns_sets_the_width(self, show: Show) -> None:
        assert SGR.sub("", terminal(80, *ASKED, COLUMNS="120")) == show(120, *ASKED)

    @pytest.mark.parametrize("command", [name for name, story in SCREENS if story == "hole-in-the-logs"])
    def test_warnings_hints_and_the_summary_break_no_identifier_either(self, command: str) -> None:
        asked = COMMANDS[command]("hole-in-the-logs")
        text = SGR.sub("", terminal(60, *map(str, asked)))
        assert fragments(text, identifiers(answer(*asked))) == []
        assert [line for line in text.splitlines() if len(line) > 60 and is_breakable(line)] == []

    def test_a_warning_is_wrapped(self) -> None:
        text = SGR.sub("", terminal(60, "leases", "hole-in-the-logs"))
        assert "\nwarning: log gap for 111111111111 in eu-north-1 from\n  2024-01-18 09:45:00Z to " in text
        assert [line for line in text.splitlines() if len(line) > 60] == []


class TestColor:
    """``--color``, and the variables of the environment."""

    @pytest.mark.parametrize(
        ("environment", "more", "colored"),
        [
            ({}, (), True),
            ({"NO_COLOR": "1"}, (), False),
            ({"NO_COLOR": ""}, (), True),
            ({"TERM": "dumb"}, (), False),
            ({"CLICOLOR": "0"}, (), False),
            ({}, ("--color", "never"), False),
            ({"NO_COLOR": "1", "TERM": "dumb"}, ("--color", "always"), True),
            ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, (), False),
        ],
    )
    def test_a_terminal(
        self, show: Show, environment: dict[str, str], more: tuple[str, ...], colored: bool
    ) -> None:
        text = terminal(80, *ASKED, *more, **environment)
        assert ("\x1b" in text) is colored
        assert SGR.sub("", text) == show(80, *ASKED)

    @pytest.mark.parametrize(
        ("environment", "more", "colored"),
        [
            ({}, (), False),
            ({"FORCE_COLOR": "1"}, (), True),
            ({"FORCE_COLOR": "0"}, (), False),
            ({"FORCE_COLOR": ""}, (), False),
            ({"CLICOLOR_FORCE": "1"}, (), True),
            ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, (), False),
            ({"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1", "COLUMNS": "40"}, (), False),
            ({"COLUMNS": "40"}, ("--color", "always"), True),
            ({"FORCE_COLOR": "1"}, ("--color", "never"), False),
            ({}, ("--color", "auto"), False),
        ],
    )
    def test_a_pipe_has_one_line_a_row_with_colors_or_without(
        self, run: Run, environment: dict[str, str], more: tuple[str, ...], colored: bool
    ) -> None:
        text = pipe(*ASKED, *more, **environment)
        assert ("\x1b" in text) is colored
        assert SGR.sub("", text) == run(*ASKED).stdout

    def test_it_may_stand_before_the_command(self) -> None:
        assert "\x1b" in pipe("--color", "always", *ASKED)
        assert "\x1b" not in pipe("--color", "always", *ASKED, "--color", "never")

    @pytest.mark.parametrize("command", ["timeline", "leases", "state", "pool", "findings"])
    def test_colors_change_no_text(self, run: Run, command: str) -> None:
        arguments = (
            COMMANDS[command]("stolen-address") if command in COMMANDS else (command, "stolen-address")
        )
        asked = (*arguments, "-q")
        colored = run("--color", "always", *asked).stdout
        assert "\x1b" in colored
        assert SGR.sub("", colored) == run(*asked).stdout

    @pytest.mark.parametrize("output", ["json", "jsonl", "csv"])
    def test_data_is_never_colored(self, run: Run, output: str) -> None:
        asked = ("leases", "two-vpcs", "-o", output)
        assert run(*asked, "--color", "always").stdout == run(*asked).stdout

    def test_errors_and_hints_are_labeled_in_color(self) -> None:
        text = terminal(200, "leases", "nowhere")
        assert text.splitlines()[0] == "\x1b[31m\x1b[1merror:\x1b[0m nowhere: no such file or directory"
        assert pipe("leases", "nowhere").startswith("error: nowhere: no such file")
        assert pipe("leases", "nowhere", FORCE_COLOR="1") == text

    def test_only_colors_that_can_be_read_on_light_and_dark_are_used(self, show: Show) -> None:
        """Bold yellow is bright yellow in many terminals; 90 to 97 are the bright colors."""
        for command, story in SCREENS:
            text = show(120, *COMMANDS[command](story), "-q", colors="standard", status=status(story))
            codes = {part for code in re.findall(r"\x1b\[([0-9;]*)m", text) for part in code.split(";")}
            assert codes <= {"0", "1", "2", "4", "31", "32", "35"}


class TestWide:
    @pytest.mark.parametrize("command", ["leases", "state"])
    def test_wide_is_the_piped_table_in_a_terminal(self, run: Run, show: Show, command: str) -> None:
        asked = (*COMMANDS[command]("two-vpcs"), "-q")
        assert show(80, *asked, "-o", "wide") == run(*asked).stdout
