"""Help, shell completion and --debug."""

import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click import Context
from conftest import FIXTURES, Run

from cnitrail.cli import main

COMMANDS = main.list_commands(Context(main))
HEADINGS = ["Options", "Source", "Filter", "Output", "AWS", "Integrity", "Advanced"]
SHELLS = ("bash", "zsh", "fish")


def sections(text: str) -> dict[str, list[str]]:
    """Return the options and kinds of source under every heading of a help text."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if heading := re.match(r"^([A-Z]\w+):$", line):
            found[heading[1]] = []
        elif found and (row := re.match(r"^  (\S.*?)(?:  |$)", line)):
            found[list(found)[-1]].append(row[1])
    return found


class TestHelp:
    def test_options_are_grouped(self, run: Run) -> None:
        assert sections(run("state", "-h").stdout) == {
            "Options": ["--at TIME", "--live [FILE]"],
            "Source": [
                *("FILE, DIR", "s3://BUCKET[/PREFIX]", "athena://[CATALOG/]DATABASE.TABLE"),
                *(
                    "trino://[USER@]HOST[:PORT]/CATALOG/SCHEMA/TABLE",
                    "logs:LOG-GROUP",
                    "FILE.db",
                    "lookup:",
                    "-",
                ),
            ],
            "Filter": [
                *("--instance ID", "--node NODE", "--eni ID", "--ip ADDRESS", "--vpc ID", "--subnet ID"),
                *("--cluster NAME", "--account ID", "--region NAME"),
                *("--pod [NAMESPACE/]NAME", "--namespace NAME"),
                *("--since TIME", "--until TIME", "--last TIME"),
            ],
            "Output": [
                *("-o, --output FORMAT", "--query JMESPATH", "--color WHEN", "-q, --quiet", "-h, --help"),
            ],
            "AWS": [
                *("--profile NAME", "--endpoint-url URL", "--request-payer requester"),
                *("--work-group NAME", "--output-location S3-URI", "--max-scan SIZE"),
            ],
            "Integrity": ["--verify", "--public-keys FILE", "--assume-complete"],
            "Advanced": [
                *("--lag TIME", "--delivery-lag TIME", "--max-calls NUMBER"),
                *("--max-ratio NUMBER", "--workers NUMBER", "--debug"),
            ],
        }

    @pytest.mark.parametrize(
        ("command", "unused"),
        [
            ("collect", {"--assume-complete", "--verify"}),
            ("sync", {"--assume-complete", "--verify", "--max-ratio", "--lag", "--max-calls"}),
            ("verify", {"--assume-complete", "--verify", "--lag", "--max-calls"}),
            ("timeline", set()),
        ],
    )
    def test_an_option_that_makes_no_difference_is_not_offered(
        self, run: Run, command: str, unused: set[str]
    ) -> None:
        options = {"--assume-complete", "--verify", "--max-ratio", "--lag", "--max-calls"}
        help_text = run(command, "--help").stdout
        assert {option for option in options if f"  {option} " not in help_text} == unused

    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_option_is_in_one_group(self, run: Run, command: str) -> None:
        found = sections(run(command, "--help").stdout)
        assert [heading for heading in HEADINGS if heading in found] == [*found]
        shown = [
            option for rows in found.values() for option in rows if option.startswith("-") and option != "-"
        ]
        context = Context(main)
        options = [
            param
            for param in main.get_command(context, command).get_params(  # type: ignore[union-attr]
                Context(main, help_option_names=["-h", "--help"])
            )
            if param.param_type_name == "option"
        ]
        assert len(shown) == len(set(shown)) == len(options)

    @pytest.mark.parametrize("command", COMMANDS)
    def test_the_list_of_commands_has_the_first_line_of_their_help(self, run: Run, command: str) -> None:
        summary = run(command, "--help").stdout.splitlines()[2].strip()
        listed = re.search(rf"^  {command} +(.*)$", run("--help").stdout, re.MULTILINE)
        assert listed is not None
        assert summary == listed[1]

    @pytest.mark.parametrize("columns", ["30", "60", "80", "100", "200"])
    @pytest.mark.parametrize("command", COMMANDS)
    def test_no_name_is_broken_at_any_width(self, command: str, columns: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "cnitrail", command, "--help"],
            env={**os.environ, "COLUMNS": columns},
            capture_output=True,
            text=True,
            check=True,
        )
        assert not re.search(r"\w-$", done.stdout, re.MULTILINE)
        assert "\u2011" not in done.stdout

    def test_an_example_that_does_not_fit_goes_on_with_a_backslash(self, run: Run) -> None:
        assert (
            "    cnitrail who 192.168.43.87 trail/ audit/ ipamd.log --at \\\n"
            "        2022-10-05T14:00:05.250Z\n"
        ) in run("who", "--help").stdout


class TestCompletion:
    @pytest.mark.parametrize("shell", SHELLS)
    def test_a_script_is_printed(self, run: Run, shell: str) -> None:
        result = run("completion", shell)
        assert (result.exit_code, result.stderr) == (0, "")
        assert "_cnitrail_completion" in result.stdout
        assert f"_CNITRAIL_COMPLETE={shell}_complete" in result.stdout

    def test_other_shells_are_refused_with_a_list_of_the_supported_ones(self, run: Run) -> None:
        result = run("completion", "tcsh")
        assert result.exit_code == 2
        assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in result.stderr

    @pytest.mark.parametrize(
        ("words", "offered"),
        [
            (["ti"], ["plain,timeline"]),
            (["timeline", ""], ["file,"]),
            (["who", "10.0.1.25", "lo"], ["file,lo"]),
            (["timeline", "-o", "j"], ["plain,json", "plain,jsonl"]),
            (["timeline", "--ver"], ["plain,--verify"]),
            (["timeline", "--public-keys", "k"], ["file,k"]),
            (["collect", "--to", "t"], ["file,t"]),
            (["collect", "--export", "e"], ["file,e"]),
            (["sync", "--to", "c"], ["file,c"]),
            (["pool", "--pods", "p"], ["file,p"]),
            (["who", "--batch", "q"], ["file,q"]),
            (["state", "--live", "l"], ["file,l"]),
            (["completion", ""], ["plain,bash", "plain,zsh", "plain,fish"]),
        ],
    )
    def test_commands_options_and_values_are_completed(self, words: list[str], offered: list[str]) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "cnitrail"],
            env={
                **os.environ,
                "_CNITRAIL_COMPLETE": "bash_complete",
                "COMP_WORDS": " ".join(["cnitrail", *words]),
                "COMP_CWORD": str(len(words)),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == offered

    @pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
    def test_bash_completes_with_the_script(self, tmp_path: Path) -> None:
        program = tmp_path / "cnitrail"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cnitrail "$@"\n')
        program.chmod(0o755)
        session = (
            "source <(cnitrail completion bash); COMP_WORDS=(cnitrail timeline -o js) COMP_CWORD=3; "
            "_cnitrail_completion cnitrail; echo ${COMPREPLY[@]}"
        )
        done = subprocess.run(
            ["bash", "-c", session],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "json jsonl\n"


class TestDebug:
    @pytest.fixture
    def logs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A reader that logs a hostile file name."""

        def read(*_: object) -> None:
            logging.getLogger("cnitrail.workflows.verify").debug("reading %s", "a\x1b[2J\nerror: forged")
            raise FileNotFoundError(2, "No such file or directory", "keys.json")

        monkeypatch.setattr("cnitrail.workflows.verify.verify_sources", read)

    @pytest.mark.usefixtures("logs")
    def test_log_messages_go_to_stderr_in_one_line_each(self, run: Run) -> None:
        debug, error = run("verify", "ironman-signed", "--debug").stderr.splitlines()
        assert re.fullmatch(
            r"debug: \d+ ms cnitrail\.workflows\.verify: reading a\\x1b\[2J\\x0aerror: forged", debug
        )
        assert error == "error: keys.json: No such file or directory"

    @pytest.mark.usefixtures("logs")
    def test_without_it_there_are_no_log_messages_even_after_a_run_with_it(self, run: Run) -> None:
        run("verify", "ironman-signed", "--debug")
        result = run("verify", "ironman-signed")
        assert result.stderr == "error: keys.json: No such file or directory\n"
        assert logging.getLogger("cnitrail").handlers == []

    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_has_it(self, run: Run, command: str) -> None:
        assert "--debug" in run(command, "--help").stdout

    def test_logging_is_imported_only_with_it(self) -> None:
        code = (
            "import sys\nfrom cnitrail.cli import main\n"
            "try: main({!r})\nexcept SystemExit: print('logging' in sys.modules)"
        )
        imported = [
            subprocess.run(
                [sys.executable, "-c", code.format(["leases", "ironman", "-q", *debug])],
                cwd=FIXTURES,
                capture_output=True,
                text=True,
                check=True,
            ).stdout.splitlines()[-1]
            for debug in ([], ["--debug"])
        ]
        assert imported == ["False", "True"]
