"""What a JMESPath expression takes from the JSON document of an answer."""

from __future__ import annotations

from io import StringIO
from typing import IO, TYPE_CHECKING, Any, Protocol

import msgspec

from cnitrail.errors import UsageError
from cnitrail.render import json
from cnitrail.text import shortened

if TYPE_CHECKING:
    from cnitrail.model import Answer, VerifyAnswer
    from cnitrail.render.writers import Write


_HINT = "look at the document with -o json first"
_LONGEST = 200
"""Maximum length of an error message of jmespath, which may quote the document."""


class CompiledQuery(Protocol):
    """A compiled expression of JMESPath."""

    expression: str

    def search(self, value: object) -> object:
        """Return what the expression takes from a value of JSON."""


def query_writer(query: CompiledQuery, output: str, write_json: Write) -> Write:
    """Return a function that writes what a query takes from an answer, as json, jsonl or yaml.

    ``write_json`` writes the document. Of a list, JSON lines has one element a line.
    """

    def write(answer: Answer[Any] | VerifyAnswer, out: IO[str]) -> None:
        whole = StringIO()
        write_json(answer, whole)
        found = _search(query, msgspec.json.decode(whole.getvalue()))
        if output == "yaml":
            from cnitrail.render.yaml import text

            out.write(text(found))
        elif output == "jsonl":
            out.writelines(map(json.line, found if isinstance(found, list) else [found]))
        else:
            out.write(json.document(found))

    return write


def _search(query: CompiledQuery, document: object) -> object:
    """Return what a query takes from a document. Raises ``UsageError`` if it does not fit."""
    from jmespath.exceptions import JMESPathError, JMESPathTypeError

    try:
        return query.search(document)
    except JMESPathTypeError as error:
        expected = " or ".join(error.expected_types)
        mistake = f"{error.function_name}() takes {expected}, not {error.actual_type}"
        raise UsageError(f"--query: {mistake}", _HINT) from None
    except (JMESPathError, RecursionError, TypeError, ValueError) as error:
        mistake = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"--query: {shortened(mistake, _LONGEST)}", _HINT) from None
