"""Shared by all tests: the fixture stories, the command line, and golden files."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner, Result
from hypothesis import settings
from rich.console import Console

from cnitrail.cli import main
from cnitrail.cli.terminal import Terminal

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "fixtures"
GOLDEN = Path(__file__).parent / "golden"

Run = Callable[..., Result]
Show = Callable[..., str]

sys.path.append(str(ROOT))  # fuzz/ is not installed; the installed package comes first

# CI must be repeatable, so its inputs are always the same; ``nox -s search`` tries other ones
settings.register_profile("check", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=3000)
settings.load_profile("check")

# Processes that tests start inherit it, and the background jobs of scripts ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-golden",
        action="store_true",
        help="write the golden files anew; review them in the diff",
    )
    parser.addoption("--worlds", type=int, default=1000, help="how many small worlds are asked")
    parser.addoption("--first-world", type=int, default=0, help="the number of the first of them")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the number of generated inputs that were tried."""
    properties = [pair for report in terminalreporter.getreports("passed") for pair in report.user_properties]
    tried = sum(int(str(value)) for name, value in properties if name == "inputs")
    if tried:
        terminalreporter.write_line(f"fuzzing: {tried:,} inputs tried; python -m fuzz tries a million")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line among the fixture stories: ``run("timeline", "ironman")``."""
    monkeypatch.chdir(FIXTURES)
    monkeypatch.setenv("COLUMNS", "80")
    runner = CliRunner()

    def invoke(*arguments: str, **more: object) -> Result:
        result = runner.invoke(main, [*map(str, arguments)], **more)  # type: ignore[arg-type]
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def show(run: Run, monkeypatch: pytest.MonkeyPatch) -> Show:
    """Return what a command shows in a terminal of some width: ``show(80, "leases", "ironman")``."""

    def shown(width: int, *arguments: object, colors: str | None = None, status: int = 0) -> str:
        def terminal(out: IO[str]) -> Terminal:
            console = Console(file=out, width=width, force_terminal=True, color_system=colors)  # type: ignore[arg-type]
            return Terminal(out, console)

        with monkeypatch.context() as patch:
            patch.setattr("cnitrail.cli.writing.screen", terminal)
            result = run(*map(str, arguments))
        assert result.exit_code == status, result.stderr
        return result.stdout

    return shown


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a golden file; ``--rewrite-golden`` writes it instead."""

    def hold(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--rewrite-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return hold
