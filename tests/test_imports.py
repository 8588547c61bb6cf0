"""What each command may import: start-up time matters at every call, so an import is a decision.

Everything else is imported where it is used: AWS's clients only to call AWS, rich only with
a terminal, SQLite only to read a store.
"""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from click import Context
from conftest import FIXTURES

from cnitrail.cli import main

STORY = str(FIXTURES / "ironman")
SIGNED = str(FIXTURES / "ironman-signed")
LISTING = str(FIXTURES / "ironman-interfaces.json")
FLOWS = str(FIXTURES / "ironman-flows.log")
AT = ("--at", "2022-10-05T14:00Z")

VALUES = ("msgspec", "ipaddress")
SCAN = ("zlib", "json", "deflate", "ahocorasick_rs", "stringzilla")
READ = (*VALUES, *SCAN, "bisect", "fnmatch", "gc")
PROCESSES = ("queue", "signal")
STORE = ("sqlite3", "pathlib", "math", "urllib.parse")
SIGNATURES = (
    *("hashlib", "base64", "concurrent.futures.thread"),
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "cryptography.hazmat.primitives.serialization",
)
PAGE = (
    *("jinja2", "importlib.resources", "importlib.readers", "zipimport", "heapq"),
    "importlib.resources._adapters",
    *("encodings.ascii", "encodings.unicode_escape"),
)

ALLOWED: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("--help",), ()),
    (("--version",), ()),
    (("timeline", "--help"), ()),
    (("timeline", STORY), READ),
    (("timeline", STORY, "-o", "jsonl"), READ),
    (("timeline", STORY, "-o", "csv"), (*READ, "csv")),
    (("timeline", "STORE"), (*READ, *STORE)),
    (("who", "192.168.53.76", STORY, *AT), (*READ, "csv")),
    (("flows", FLOWS, "--with", STORY), (*READ, *PROCESSES)),
    (("flows", FLOWS, "--with", STORY, "-o", "csv"), (*READ, *PROCESSES, "csv")),
    (("flows", FLOWS, "--with", STORY, "-o", "jsonl"), (*READ, *PROCESSES)),
    (("leases", STORY), READ),
    (("leases", "STORE"), (*READ, *STORE)),
    (("pods", STORY), READ),
    (("state", STORY, *AT), READ),
    (("state", STORY, *AT, "--live", LISTING), READ),
    (("subnet", "subnet-0a1d7e59c4b2f8603", STORY), READ),
    (("doctor", STORY), (*READ, *PAGE, "shlex")),
    (("explain", "192.168.53.76", STORY), (*READ, "shlex")),
    (("explain", "192.168.53.76", STORY, "-o", "md"), (*READ, *PAGE, "shlex")),
    (("findings", STORY), READ),
    (("findings", STORY, "-o", "ocsf"), READ),
    (("findings", STORY, "-o", "sarif"), (*READ, "urllib.parse")),
    (("report", STORY), (*READ, *PAGE)),
    (("report", STORY, "-o", "html"), (*READ, *PAGE, "base64", "hashlib")),
    (("pool", STORY), (*READ, "math")),
    (("pool", STORY, "-o", "csv"), (*READ, "csv", "math")),
    (("collect", STORY, "--to", "STORE"), (*READ, *STORE, "hashlib")),
    (("verify", SIGNED), (*READ, *SIGNATURES)),
    (("sync", "--help"), ()),
    (("completion", "fish"), ("click.shell_completion",)),
]

OF_FILES = {
    f"cnitrail.{name}"
    for name in (
        "sources.files",
        "sources.layout",
        "sources.table_names",
        "sources.trail_copy",
        "sources.trail_copy.format",
        "store.file_header",
    )
}
OF_A_STORE = OF_FILES | {
    f"cnitrail.store.{name}"
    for name in (
        "contemporaries",
        "index_columns",
        "period_selection",
        "reader",
        "schema",
        "selected",
        "selection",
    )
}
"""Which of the rooms that fetch evidence are entered."""

COMMAND_LINE = """
import sys, click
@click.command()
@click.option("-o", type=click.Choice(["a"]))
def any_command(o): click.echo(o)
any_command(["-o", "a"], standalone_mode=False)
any_command(["--help"], standalone_mode=False)
"""
"""What a program with options needs in any case."""

_RUN = """
from cnitrail.cli import main
try: main({!r})
except SystemExit as end: assert end.code == 0
"""


@cache
def loaded(code: str) -> frozenset[str]:
    """Return the modules that a new interpreter has loaded after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(); print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return frozenset(done.stdout.splitlines()[-1].split())


def loaded_by(arguments: tuple[str, ...]) -> frozenset[str]:
    """Return the modules that a command has loaded at its end."""
    return loaded(_RUN.format(arguments))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("imports") / "trail.db"
    assert loaded_by(("collect", STORY, "--to", str(path)))
    return str(path)


class TestEachCommand:
    @pytest.mark.parametrize(("arguments", "allowed"), ALLOWED, ids=lambda row: " ".join(row[:1]))
    def test_imports_only_the_allowed_modules(
        self, arguments: tuple[str, ...], allowed: tuple[str, ...], store: str
    ) -> None:
        arguments = tuple(store if argument == "STORE" else argument for argument in arguments)
        known = loaded(COMMAND_LINE + "".join(f"import {name}\n" for name in allowed))
        more = {name for name in loaded_by(arguments) - known if not name.startswith("cnitrail")}
        named = sorted({name.partition(".")[0] for name in more if not name.startswith("_")})
        assert not named, (
            f"cnitrail {arguments[0]} now imports {', '.join(named)}: "
            "import it where it is used, or allow it in this file if every call needs it"
        )

    def test_is_listed_in_this_file(self) -> None:
        listed = {arguments[0] for arguments, _ in ALLOWED}
        missing = set(main.list_commands(Context(main))) - listed
        assert not missing, f"say in this file what these may import: {', '.join(sorted(missing))}"


class TestHelp:
    def test_on_all_commands_imports_none_of_them(self) -> None:
        commands = {f"cnitrail.cli.commands.{name}" for name in main.list_commands(Context(main))}
        assert not commands & loaded_by(("--help",))


class TestSources:
    def test_reading_files_imports_no_store(self) -> None:
        assert self.imported(STORY) == OF_FILES

    def test_reading_a_store_imports_no_aws_client(self, store: str) -> None:
        assert self.imported(store) == OF_A_STORE

    def imported(self, source: str) -> set[str]:
        rooms = ("cnitrail.sources.", "cnitrail.store.")
        return {name for name in loaded_by(("timeline", source)) if name.startswith(rooms)}


COMMAND_LINE_TESTS = {
    "fuzz/targets/texts.py",  # values and files of options
    "tests/conftest.py",
    "tests/test_batch.py",
    "tests/test_blocks.py",
    "tests/test_collect.py",
    "tests/test_hostile_output.py",
    "tests/test_imports.py",
    "tests/test_lookup_friendly.py",
    "tests/test_streamed.py",
    "tests/test_tables_cli.py",
    "tests/test_terminal.py",
    "tests/test_timeline.py",
}
"""Files that import more of the command line than ``main``, because they test it."""


class TestTools:
    """Tests, fuzz targets and benchmarks use the library: nothing of the command line but ``main``."""

    def test_only_tests_of_the_command_line_import_it(self) -> None:
        root = Path(__file__).parent.parent
        found = {
            str(path.relative_to(root))
            for folder in ("tests", "fuzz", "benchmarks")
            for path in (root / folder).rglob("*.py")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom)
            and (node.module or "").startswith("cnitrail.cli")
            and [alias.name for alias in node.names] != ["main"]
        }
        assert found <= COMMAND_LINE_TESTS
