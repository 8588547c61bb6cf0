"""The help of commands: options in groups, the kinds of SOURCE, and no line break inside a name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from cnitrail.cli.writing import writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_GROUPS = {
    "Source": ("with_", "format_", "pods", "metrics", "ipamd", "instance_types"),
    "Filter": (
        *("instance", "node", "eni", "ip", "vpc", "subnet", "cluster", "account", "region"),
        *("pod", "namespace"),
        *("actor", "agent", "access_key", "source_ip", "event", "event_id"),
        *("since", "until", "last", "failed", "rejected", "port"),
    ),
    "Output": (
        "to",
        "export",
        "output",
        "query",
        "raw",
        "watch",
        "newest_first",
        "limit",
        "fail_on",
        "color",
        "quiet",
        "help",
    ),
    "AWS": (
        *("profile", "endpoint_url", "request_payer"),
        *("work_group", "output_location", "max_scan"),
    ),
    "Integrity": ("verify", "public_keys", "assume_complete"),
    "Advanced": ("lag", "delivery_lag", "max_calls", "max_ratio", "workers", "debug"),
}
"""The headings of options, by name. Other options come first: they are what their command is about."""

_FIRST_COLUMN = 25
"""The width of the names of options, which leaves most of 80 columns to what they mean."""

_INDENT = 4
_HYPHEN = "\u2011"
"""Replaces hyphens while text is wrapped, so that names of commands and options are not broken."""


_COMMANDS = ("cnitrail ", "aws ", "kubectl ", "sqlite3 ")
"""How an example begins that can be pasted into a shell."""


class _Formatter(click.HelpFormatter):
    """A formatter that does not break lines at hyphens."""

    def write(self, string: str) -> None:
        lines = string.replace(_HYPHEN, "-").split("\n")
        super().write("\n".join(_fitted(line, self.width) for line in lines))

    def write_text(self, text: str) -> None:
        super().write_text(text.replace("-", _HYPHEN))

    def write_dl(self, rows: Iterable[tuple[str, str]], *args: Any, **widths: Any) -> None:
        super().write_dl([(term, text.replace("-", _HYPHEN)) for term, text in rows], *args, **widths)


def _fitted(line: str, width: int) -> str:
    """Return a line of examples or of a list as lines that fit; its second column stays one if it can.

    A command goes on with a backslash, so that it can be pasted.
    """
    if len(line) <= width:
        return line
    if line.lstrip().startswith(_COMMANDS) and "  " not in line.lstrip():
        return " \\\n".join(_fitted_text(line, width - 2).splitlines())
    return _fitted_text(line, width)


def _fitted_text(line: str, width: int) -> str:
    """Return a line that is too long as lines that fit."""
    from textwrap import TextWrapper

    columns = re.match(r"\s*\S.*?\s{2,}(?=\S)", line)
    margin = len(line) - len(line.lstrip())
    is_narrow = columns is not None and columns.end() > width // 2
    indent = margin + _INDENT if columns is None or is_narrow else columns.end()
    wrapper = TextWrapper(
        width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )
    if columns is None or not is_narrow:
        return wrapper.fill(line)
    wrapper.initial_indent = wrapper.subsequent_indent
    return f"{columns[0].rstrip()}\n{wrapper.fill(line[columns.end() :])}"


class HelpContext(click.Context):
    """A context whose help does not break lines at hyphens."""

    formatter_class = _Formatter


class Sources(click.Argument):
    """The SOURCE arguments of a command, with the kinds of source that it takes."""

    def __init__(self, *args: Any, kinds: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.kinds = kinds


class Command(click.Command):
    """A command whose options are grouped in its help."""

    context_class = HelpContext

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Parse the arguments; --help is written here."""
        with writing():
            return super().make_context(*args, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; every error knows its command, so that its hint can name the help."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under the headings of ``_GROUPS``, and the kinds of SOURCE with them."""
        arguments, help_option = self.get_params(ctx), self.get_help_option(ctx)
        options = [param for param in arguments if isinstance(param, click.Option)]
        params = {"help" if option is help_option else option.name: option for option in options}
        grouped = {name for names in _GROUPS.values() for name in names}
        column = min(_FIRST_COLUMN, formatter.width // 3)
        sections = {"Options": [name for name in params if name not in grouped], **_GROUPS}
        for heading, names in sections.items():
            records = [params[name].get_help_record(ctx) for name in names if name in params]
            rows = [record for record in records if record is not None]
            if heading == "Source":
                rows = [*_kinds(arguments), *rows]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl([(term.ljust(column), text) for term, text in rows], col_max=column)


def _kinds(params: Iterable[click.Parameter]) -> list[tuple[str, str]]:
    """Return the kinds of SOURCE with their meaning."""
    return [kind for param in params if isinstance(param, Sources) for kind in param.kinds.items()]
