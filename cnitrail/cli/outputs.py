"""``-o/--output`` and ``--query``: the formats that a command can write its answer in."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from cnitrail.cli.click_errors import BadValue
from cnitrail.cli.param_types import OneOf
from cnitrail.errors import UsageError
from cnitrail.render.writers import OUTPUTS, writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cnitrail.render.writers import Write

_QUERY = "cnitrail.query"

_QUERIED = ("json", "jsonl", "yaml")
"""The formats in which ``--query`` can print what it takes from the JSON document."""


class Expression(click.ParamType["Any"]):
    """A JMESPath expression, compiled."""

    name = "JMESPATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the expression, ready to search a document."""
        import jmespath
        from jmespath.exceptions import JMESPathError

        try:
            expression = jmespath.compile(value)
        except (JMESPathError, RecursionError) as error:
            raise BadValue(f"{value!r} is not JMESPath{_where(error)}", _EXAMPLE, param, ctx) from None
        known = jmespath.functions.Functions.FUNCTION_TABLE
        unknown = next((name for name in _functions(expression.parsed) if name not in known), None)
        if unknown is not None:
            hint = f"its functions are {', '.join(sorted(known))}"
            raise BadValue(f"JMESPath has no function {unknown}()", hint, param, ctx)
        return expression


def _functions(node: Any) -> Iterator[str]:
    """Yield the names of the functions in a parsed expression."""
    if node["type"] == "function_expression":
        yield node["value"]
    for child in node["children"]:
        if isinstance(child, dict):
            yield from _functions(child)


_EXAMPLE = "for example 'entries[].eni' or 'entries[?outcome==`failed`].[time, event]' (jmespath.org)"


def _where(error: Exception) -> str:
    """Return what is wrong with an expression, and at which character, counted from 1."""
    position = getattr(error, "lex_position", getattr(error, "lexer_position", None))
    where = f" (at character {position + 1})" if isinstance(position, int) else ""
    return f"{where}: it ends too early" if type(error).__name__ == "IncompleteExpressionError" else where


def output_option(command: str) -> Callable[[Any], Any]:
    """Add ``-o/--output`` with the formats of a command, and ``--query`` if JSON is one of them."""
    names = list(OUTPUTS[command])
    output = click.option(
        "-o",
        "--output",
        type=OneOf(names),
        default=names[0],
        show_default=True,
        metavar="FORMAT",
        help=f"Output format: {', '.join(names[:-1])} or {names[-1]}.",
    )
    if "json" not in names:
        return output
    query = click.option(
        "--query",
        type=Expression(),
        help="Print only what this JMESPath expression takes from the JSON document (as in the AWS CLI).",
    )

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def asked(*args: Any, query: Any, output: str, **options: Any) -> Any:
            if query is not None:
                if chosen_output() not in (None, *_QUERIED):
                    raise UsageError(
                        f"--query cannot be used with -o {output}", "use -o json, -o jsonl or -o yaml"
                    )
                output = chosen_output() or "json"
                click.get_current_context().meta[_QUERY] = query
            return function(*args, output=output, **options)

        return output_and_query(asked)

    def output_and_query(function: Callable[..., Any]) -> Callable[..., Any]:
        decorated: Callable[..., Any] = output(query(function))
        return decorated

    return decorate


def chosen_output() -> str | None:
    """Return the format that the command line names; None if it names none."""
    ctx = click.get_current_context()
    is_default = ctx.get_parameter_source("output") is click.core.ParameterSource.DEFAULT
    return None if is_default else ctx.params["output"]


def is_queried() -> bool:
    """Whether ``--query`` was given to the command that runs."""
    return _QUERY in click.get_current_context().meta


def answer_writer(command: str, output: str) -> Write:
    """Return the function that writes an answer, or what ``--query`` takes from it."""
    query = click.get_current_context().meta.get(_QUERY)
    if query is None:
        return writer(command, output)
    from cnitrail.render.query import query_writer

    return query_writer(query, output, writer(command, "json"))
