"""The saved output of the AWS CLI → its values.

The formats are JSON, YAML, text and tables
(https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-output-format.html). The columns of text have no
names, so only a list of addresses can be read. Windows PowerShell saves UTF-16.
"""

import json
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from typing import NoReturn

from cnitrail.jsontext import parse
from cnitrail.yamltext import BrokenYaml, RefusedYaml, documents

_MAX_YAML_BYTES = 32 << 20
"""Enough for several thousand ENIs; YAML is read about a hundred times more slowly than JSON."""

_YAML = re.compile(r"(?:---[ \t]*\n)?[ \t]*(?:- \S|[A-Za-z]\w*:(?:[ \t]+\S.*)?(?:\n|$))")
_TABLE = re.compile(r"-{5,}\s*\n\s*\|")
_TEXT_ROW = re.compile(r"(?:RESERVATIONS|INSTANCES|NETWORKINTERFACES|PRIVATEIPADDRESSES|ATTACHMENT)\t")
_ADDRESS_LIKE = re.compile(r"(?=.*\d)(?:[\d.]*\.|[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f.:/]*")
_NOTHING = "None"
"""What ``--output text`` prints for null."""


def values_of(saved: bytes) -> tuple[list[object], str | None]:
    """Return the values in saved output, and why the rest of it could not be read, if it could not.

    Raises ``ValueError`` with the reason if nothing could be read.
    """
    text = decoded(saved)
    start = text.lstrip()
    if not start:
        raise ValueError("it is empty")
    if start[0] not in '{["':
        if _TABLE.match(start):
            raise ValueError("it is a table, which wraps and cuts values")
        if _TEXT_ROW.match(start):
            raise ValueError("it is text whose columns have no names")
        words = start.split()
        if all(word == _NOTHING or _ADDRESS_LIKE.fullmatch(word) for word in words):
            addresses: list[object] = [word for word in words if word != _NOTHING]
            return addresses or [None], None
        if _YAML.match(start):
            return _yaml(text), None
    try:
        return [parse(text.encode("utf-8", "surrogatepass"))], None
    except ValueError as error:
        return _documents(text, str(error))


def decoded(saved: bytes) -> str:
    """Return the text of saved output, whose encoding a byte order mark shows; UTF-8 if there is none."""
    if saved.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return saved.decode("utf-16", "replace")
    return saved.removeprefix(BOM_UTF8).decode("utf-8", "replace")


def _documents(text: str, reason: str) -> tuple[list[object], str | None]:
    """Return the JSON values that follow one another in a text, and why the rest could not be read.

    Raises ``ValueError`` with ``reason`` if not even the first can be read.
    """
    decoder = json.JSONDecoder(parse_constant=_refuse)
    not_blank = re.compile(r"\S")
    values: list[object] = []
    end = 0
    while (start := not_blank.search(text, end)) is not None:
        try:
            value, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            if not values:
                raise ValueError(reason) from None
            return values, f"it is not JSON from character {start.start() + 1} on"
        values.append(value)
    return values, None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _yaml(text: str) -> list[object]:
    """Return the documents of a YAML text.

    Raises ``ValueError`` if it is not YAML, or not such as the AWS CLI prints.
    """
    if len(text) > _MAX_YAML_BYTES:
        raise ValueError(f"it is YAML of more than {_MAX_YAML_BYTES >> 20} MB")
    try:
        return documents(text)
    except RefusedYaml as error:
        raise ValueError(f"it is {error}, which the AWS CLI does not print") from None
    except BrokenYaml as error:
        where = "" if error.line is None else f" in line {error.line}"
        raise ValueError(f"it is neither JSON nor YAML{where}") from None
