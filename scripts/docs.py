"""Regenerate what the documentation quotes: command output, the command reference, and tables.

``python scripts/docs.py`` rewrites README.md and docs/*.md in place; ``--check`` changes nothing, shows
what differs, and exits with status 1 if anything does.

- In a ```console block, the lines below each ``$ `` line are replaced by what the command prints in a
  terminal of 100 columns. Commands run in a copy of fixtures/, in which fixtures/ itself appears as well,
  and the blocks of one page run one after the other. A command that needs AWS belongs in a ```sh block,
  except on docs/athena.md: its first table is served on loopback, with the log files of ``ironman``.
- docs/commands.md is written from click.
- ``<!-- table: fields TYPE -->`` and ``<!-- end -->`` enclose a table of the fields of a type of
  cnitrail.model, ``<!-- table: words ENUM -->`` one of the values of an enum. Their last column is
  written by hand, and kept; a new row has an empty one, which ``tests/test_docs.py`` refuses.
- ``<!-- table: forms -->`` has a last column written by hand, too: where people get a form of CloudTrail's
  records. ``<!-- table: envelopes -->``, ``<!-- table: reason-codes -->``, ``<!-- table: finding-rules -->``
  and ``<!-- table: schemas -->`` come from the code as a whole.
- ``<!-- example: RULE -->`` and ``<!-- end -->`` enclose a sentence of a finding of that rule, in the
  incident of ``tests/rule_examples.py``.
- ``<!-- statement -->`` and ``<!-- end -->`` enclose the statement that reads the first table whose DDL the
  page shows.
"""

from __future__ import annotations

import argparse
import difflib
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Collection, Mapping
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from fcntl import ioctl
from importlib import import_module
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from pkgutil import iter_modules
from tempfile import TemporaryDirectory
from textwrap import fill
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

import click
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "fixtures"
COMMANDS = ROOT / "docs" / "commands.md"
COLUMNS = 100
LINE = 120
"""Maximum length of a line of Markdown."""

_CONSOLE = re.compile(r"(?P<open>^```console\n)(?P<body>.*?)(?P<close>^```$)", re.DOTALL | re.MULTILINE)
_TABLE = re.compile(
    r"(?P<open>^<!-- table: (?P<kind>[a-z-]+)(?: (?P<name>\w+))? -->\n)(?P<body>.*?)"
    r"(?P<close>^<!-- end -->$)",
    re.DOTALL | re.MULTILINE,
)
_EXAMPLE = re.compile(
    r"(?P<open>^<!-- example: (?P<rule>[a-z-]+) -->\n)(?P<body>.*?)(?P<close>^<!-- end -->$)",
    re.DOTALL | re.MULTILINE,
)
_STATEMENT = re.compile(
    r"(?P<open>^<!-- statement -->\n)(?P<body>.*?)(?P<close>^<!-- end -->$)", re.DOTALL | re.MULTILINE
)
_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def pages() -> list[Path]:
    """Return the pages with quoted output: README.md and docs/*.md."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def regenerated(page: Path) -> str:
    """Return the text that a page should have."""
    if page == COMMANDS:
        return command_reference()
    text = page.read_text()
    documented = {table["name"] for table in _TABLE.finditer(text)}
    text = _TABLE.sub(lambda table: table["open"] + _table_of(table, documented) + table["close"], text)
    text = _EXAMPLE.sub(
        lambda example: example["open"] + example_of(example["rule"]) + example["close"], text
    )
    text = _STATEMENT.sub(lambda found: found["open"] + statement_of(text) + found["close"], text)
    with story_directory() as directory, _served_table(text) as environment:
        return _CONSOLE.sub(
            lambda block: block["open"] + _transcript(block["body"], directory, environment) + block["close"],
            text,
        )


# Command output


def _transcript(body: str, directory: Path, environment: Mapping[str, str]) -> str:
    """Return a console block with the output of each of its commands."""
    commands = [line[2:] for line in body.splitlines() if line.startswith("$ ")]
    return "".join(f"$ {command}\n{output_of(command, directory, environment)}" for command in commands)


@contextmanager
def _served_table(page: str) -> Iterator[Mapping[str, str]]:
    """Serve the first table of a page if its commands read one; yield the environment that they need."""
    if not any("athena://" in block["body"] for block in _CONSOLE.finditer(page)):
        yield {}
        return
    _find_tests()
    from documented_table import documented_table
    from table_ddl import tables

    with documented_table(*next(tables(page)), FIXTURES / "ironman") as environment:
        yield environment


def _find_tests() -> None:
    """Let modules of the tests and the stories be imported."""
    sys.path[:0] = [name for name in (str(ROOT / "tests"), str(FIXTURES)) if name not in sys.path]


@contextmanager
def story_directory() -> Iterator[Path]:
    """Yield a writable directory with the stories of fixtures/, by name and below ``fixtures/``."""
    with TemporaryDirectory() as directory:
        for entry in (FIXTURES, *FIXTURES.iterdir()):
            (Path(directory) / entry.name).symlink_to(entry)
        yield Path(directory)


def output_of(command: str, directory: Path, more: Mapping[str, str] | None = None) -> str:
    """Return what a shell command prints in a terminal of 100 columns, without colors.

    ``more`` are further variables of its environment.
    """
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "TERM": "xterm",
        "NO_COLOR": "1",
        "PYTHONPATH": str(ROOT),
        "AWS_EC2_METADATA_DISABLED": "true",
        **(more or {}),
    }
    environment.pop("COLUMNS", None)
    script = f'cnitrail() {{ "{sys.executable}" -m cnitrail "$@"; }}\n{command}'
    with subprocess.Popen(
        ["/bin/sh", "-c", script], stdout=theirs, stderr=theirs, cwd=directory, env=environment
    ):
        os.close(theirs)
        printed = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    text = _ESCAPE_SEQUENCE.sub("", printed.decode()).replace("\r\n", "\n")
    if "Traceback (most recent call last)" in text:
        raise RuntimeError(f"{command}\n{text}")
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _read(terminal: int) -> bytes:
    """Return the next bytes of a terminal, or nothing if its last writer has closed it."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


# The command reference

_PREFACE = """\
# Command reference

<!-- Generated from the commands by scripts/docs.py; don't edit. -->

"""


class MarkdownFormatter(click.HelpFormatter):
    """A help formatter of click that writes Markdown: sections become headings, options become tables."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the usage line as a code block."""
        del prefix
        self.write(f"```text\n{prog} {args}\n```\n\n")

    def write_text(self, text: str) -> None:
        """Write paragraphs; those that click does not wrap become code blocks, below their first line."""
        for paragraph in text.split("\n\n"):
            if paragraph.startswith("\b\n"):
                self._write_examples(paragraph.removeprefix("\b\n"))
            else:
                self.write(_escaped(" ".join(paragraph.split())) + "\n\n")

    def _write_examples(self, paragraph: str) -> None:
        title, _, lines = paragraph.partition("\n")
        if not title.endswith(":"):
            title, lines = "", paragraph
        lines = "\n".join(line.removeprefix("  ") for line in lines.rstrip().split("\n"))
        self.write((f"{_escaped(title)}\n\n" if title else "") + f"```text\n{lines}\n```\n\n")

    def write_heading(self, heading: str) -> None:
        """Write a heading below that of the command."""
        self.write(f"**{heading}**\n\n")

    def write_paragraph(self) -> None:
        """Do nothing: every part ends with an empty line."""

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write a table of terms and their meaning."""
        del col_max, col_spacing
        lines = [
            f"| `{term.strip().replace('|', chr(92) + '|')}` | {_escaped(meaning)} |"
            for term, meaning in rows
        ]
        self.write("\n".join(["| | |", "|---|---|", *lines]) + "\n\n")


def _escaped(text: str) -> str:
    """Return text whose characters Markdown shows as they are."""
    return re.sub(r"([|*<])", r"\\\1", text.strip())


def commands() -> dict[str, click.Command]:
    """Return the commands of cnitrail by name."""
    from cnitrail.cli import main

    group = main.make_context("cnitrail", [], resilient_parsing=True)
    found = {name: main.get_command(group, name) for name in main.list_commands(group)}
    return {name: command for name, command in found.items() if command is not None}


def command_reference() -> str:
    """Return docs/commands.md: each command's usage, description and options."""
    from cnitrail.cli import main

    group = main.make_context("cnitrail", [], resilient_parsing=True)
    parts = [_PREFACE, _help_of(main, group)]
    for name, command in commands().items():
        context = click.Context(command, info_name=name, parent=group)
        parts.append(f"## {name}\n\n{_help_of(command, context)}")
    return "".join(parts).rstrip("\n") + "\n"


def _help_of(command: click.Command, context: click.Context) -> str:
    formatter = MarkdownFormatter()
    command.format_help(context, formatter)
    return re.sub(r"\n{3,}", "\n\n", formatter.getvalue())


# Tables from the code


def _table_of(found: re.Match[str], documented: Collection[str]) -> str:
    """Return the table that a marker asks for; hand-written cells are taken from the one that is there.

    ``documented`` are the types that have a table on the same page.
    """
    kind, name = found["kind"], found["name"]
    if kind == "reason-codes":
        return reason_table()
    if kind == "finding-rules":
        return rule_table()
    if kind == "envelopes":
        return envelope_table()
    if kind == "schemas":
        files = sorted((ROOT / "docs" / "schemas").glob("*.json"))
        return "".join(f"- [{file.name}](schemas/{file.name})\n" for file in files)
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found["body"].splitlines()
    ]
    meanings = {row[0]: row[-1] for row in rows[2:]}
    if kind == "forms":
        return form_table(meanings)
    named = _model_type(name)
    if kind == "words":
        return _table(("value", "meaning"), [(f"`{word}`", meanings.get(f"`{word}`", "")) for word in named])
    fields = [
        (f"`{field}`", type_name(hint, documented))
        for field, hint in get_type_hints(named).items()
        if field[0] != "_"
    ]
    return _table(("field", "type", "meaning"), [(*field, meanings.get(field[0], "")) for field in fields])


def _model_type(name: str) -> Any:
    """Return the type of that name from the modules of cnitrail.model."""
    import cnitrail.model

    for found in iter_modules(cnitrail.model.__path__):
        named = getattr(import_module(f"cnitrail.model.{found.name}"), name, None)
        if named is not None:
            return named
    raise LookupError(f"cnitrail.model has no type {name}: was it renamed? Change the marker of its table")


def type_name(hint: Any, documented: Collection[str]) -> str:
    """Return the name of a type as a reader of JSON knows it."""
    parts = get_args(hint)
    if isinstance(hint, UnionType) or get_origin(hint) is Union:
        return " or ".join(dict.fromkeys(type_name(part, documented) for part in parts))
    if get_origin(hint) in (tuple, frozenset):
        return f"list of {type_name(parts[0], documented)}"
    if get_origin(hint) in (dict, Mapping):
        return "object"
    if issubclass(hint, Struct):
        return f"[{hint.__name__}](#{hint.__name__.lower()})" if hint.__name__ in documented else "object"
    return next((name for kind, name in _JSON_NAMES.items() if issubclass(hint, kind)), "value")


_JSON_NAMES = {
    StrEnum: "word",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    datetime: "time",
    type(None): "null",
    IPv4Address: "address",
    IPv6Address: "address",
    IPv4Network: "prefix",
    IPv6Network: "prefix",
}


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def reason_table() -> str:
    """Return the reason codes of answers with their meaning."""
    from cnitrail.model import reason

    meanings: dict[Any, str] = getattr(reason, "MEANING", {})
    return _table(("code", "meaning"), [(f"`{code}`", _escaped(text)) for code, text in meanings.items()])


def rule_table() -> str:
    """Return the rules of ``cnitrail findings``: what each finds, how severe it can be, ATT&CK techniques."""
    from cnitrail.model.rules import RULE_DESCRIPTIONS
    from cnitrail.model.techniques import TECHNIQUES

    rows = [
        (
            f"[`{name}`](findings.md#{name})",
            _escaped(rule.title),
            rule.severity.value,
            ", ".join(f"[{uid}]({TECHNIQUES[uid].url})" for uid in rule.techniques) or "–",
        )
        for name, rule in RULE_DESCRIPTIONS.items()
    ]
    return _table(("rule", "finds", "up to", "ATT&CK"), rows)


def example_of(rule: str) -> str:
    """Return the sentence of a finding of a rule, as a quotation with lines of at most 120 characters."""
    _find_tests()
    from rule_examples import example

    return (
        fill(
            _escaped(example(rule)),
            LINE,
            initial_indent="> ",
            subsequent_indent="> ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        + "\n"
    )


def statement_of(page: str) -> str:
    """Return the statement for the first table of a page, and the hours of the story ``ironman``."""
    from table_ddl import tables

    from cnitrail.answers.filters import Filter
    from cnitrail.arguments import as_time
    from cnitrail.sources.sql.expressions import identifier
    from cnitrail.sources.sql.partitions import pruning
    from cnitrail.sources.sql.scope_conditions import scope_conditions
    from cnitrail.sources.sql.shapes import shape_of
    from cnitrail.sources.sql.statement import statement
    from cnitrail.workflows.request import Access, scope_of

    wanted = Filter(
        account=("111111111111",),
        region=("eu-west-1",),
        since=as_time("2022-10-05T13:00Z"),
        until=as_time("2022-10-05T16:00Z"),
    )
    scope = scope_of(wanted, Access())
    assert scope.relevant_calls is not None
    name, table = next(tables(page))
    quoted = ".".join(map(identifier, name.split(".")))
    query = statement(
        shape_of(table, name),
        table,
        quoted,
        scope.relevant_calls,
        pruning=pruning(table, scope).conditions,
        files=scope_conditions(scope),
    )
    return f"```sql\n{query.text}\n```\n"


def form_table(sources: Mapping[str, str]) -> str:
    """Return the forms of CloudTrail's records; ``sources`` says by the first cell where people get them."""
    from cnitrail.model import FORMS

    rows = [
        (
            f"`{name}`",
            _escaped(form.title),
            form.fidelity.name.lower(),
            form.losses or "nothing",
            sources.get(f"`{name}`", ""),
        )
        for name, form in FORMS.items()
    ]
    return _table(("form", "what it is", "kept as", "what it loses", "where you get it"), rows)


def envelope_table() -> str:
    """Return the paths to records in JSON, by form and by what is at their ends, without conversions."""
    from cnitrail.scan.envelopes import ENVELOPES, Content

    paths: dict[tuple[str, Content], dict[str, None]] = {}
    for envelope in ENVELOPES:
        path = re.sub(r"(?:\|[a-z0-9]+)+", "", envelope.path)
        paths.setdefault((envelope.form, envelope.content), {})[f"`{path or '.'}`"] = None
    rows = [(f"`{form}`", content.value, ", ".join(found)) for (form, content), found in paths.items()]
    return _table(("form", "what is there", "paths"), rows)


def main() -> None:
    """Rewrite the pages, or compare them with what they should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a page differs")
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="only these pages")
    options = parser.parse_args()
    differing = 0
    for page in [page.resolve() for page in options.pages] or sorted({*pages(), COMMANDS}):
        today, should_be = page.read_text() if page.exists() else "", regenerated(page)
        if today == should_be:
            continue
        differing += 1
        name = str(page.relative_to(ROOT))
        if options.check:
            sys.stdout.writelines(
                difflib.unified_diff(today.splitlines(True), should_be.splitlines(True), name, name)
            )
        else:
            page.write_text(should_be)
            sys.stdout.write(f"{name}: rewritten\n")
    sys.exit(1 if options.check and differing else 0)


if __name__ == "__main__":
    main()
