"""YAML: the JSON document, for people and tools that prefer YAML.

Every string that any parser, of YAML 1.1 or 1.2, could take for something else is in double quotes.
"""

from __future__ import annotations

import re
from io import StringIO
from typing import IO, TYPE_CHECKING, Any

import msgspec
import yaml

from cnitrail.render.writers import writer

if TYPE_CHECKING:
    from cnitrail.model import Answer, VerifyAnswer

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@+:-]*(?<!:)", re.ASCII)
_WORDS = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
"""The words that are no strings in some version of YAML."""


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes values of JSON: every value in full, where it is."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  its signature
        """Return True: JSON has no references."""
        return True


def _string(dumper: _Dumper, text: str) -> yaml.Node:
    is_plain = _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS
    node: yaml.Node = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')
    return node


_Dumper.add_representer(str, _string)


def write_document(answer: Answer[Any] | VerifyAnswer, out: IO[str]) -> None:
    """Write the document that ``-o json`` writes."""
    whole = StringIO()
    command = answer.command if hasattr(answer, "command") else "verify"
    writer(command, "json")(answer, whole)
    out.write(text(msgspec.json.decode(whole.getvalue())))


def text(value: object) -> str:
    """Return a value of JSON as YAML, with escapes for all but ASCII."""
    dumped: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=1 << 30)
    return dumped.removesuffix("...\n")
