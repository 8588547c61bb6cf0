"""The types of columns as Hive (``struct<a:string>``) and Trino (``row(a varchar)``) write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(r""""(?:[^"]|"")*"|`(?:[^`]|``)*`|'(?:[^'\\]|\\.|'')*'|[^\s<>(),:"'`]+|[<>(),:]""")
_SPACES = re.compile(r"\s*")
_PUNCTUATION: Final = ("<", ">", "(", ")", ",", ":", "")
_CLOSING: Final = {"<": ">", "(": ")"}
_STRUCTS: Final = ("struct", "row")
_COLLECTIONS: Final = {"array": 1, "map": 2}
"""The types that are made of others, with the number of those."""

_TEXTS: Final = ("string", "varchar", "char")
_INTEGERS: Final = ("tinyint", "smallint", "int", "integer", "bigint", "long")
_MAX_DEPTH: Final = 100
"""Types in types: a record of CloudTrail has about ten."""


class ColumnType(Struct, frozen=True):
    """A type: its name in lower case (``struct`` for a row), and what it is made of.

    The name has no parameters: ``decimal(10,2)`` is ``decimal``, ``timestamp(6) with time zone`` is
    ``timestamp with time zone``. ``members`` of a struct are its fields by name (in lower case), in order;
    those of an array are its elements (``""``), those of a map its keys and values.
    """

    name: str
    members: tuple[tuple[str, ColumnType], ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether it is a text of any length."""
        return self.name in _TEXTS

    @property
    def is_integer(self) -> bool:
        """Whether it is an integer of any size."""
        return self.name in _INTEGERS

    @property
    def is_timestamp(self) -> bool:
        """Whether it is a date with a time of day, with or without a zone."""
        return self.name.startswith("timestamp")

    @property
    def is_struct(self) -> bool:
        """Whether it has fields."""
        return self.name == "struct"

    @property
    def fields(self) -> dict[str, ColumnType]:
        """The fields of a struct, or of the elements of an array of structs, by their names."""
        if self.name == "array":
            return self.members[0][1].fields
        return dict(self.members) if self.is_struct else {}


def parse_type(text: str) -> ColumnType:
    """Return a type from its text. Raises ``ValueError`` if it is none."""
    tokens = _Tokens(text)
    found = _type(tokens, 0)
    if tokens.next:
        raise tokens.error()
    return found


def names_of(column: ColumnType) -> Iterator[str]:
    """Yield the names of all fields in a type, also of those in other fields."""
    for name, inner in column.members:
        if name:
            yield name
        yield from names_of(inner)


class _Tokens:
    """The tokens of a type's text, one after the other; ``next`` is empty after the last."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = 0
        self.next = ""
        self.take()

    def take(self) -> str:
        """Return the next token, and go on to the one after it."""
        taken = self.next
        start = _SPACES.match(self._text, self._end).end()  # type: ignore[union-attr]  # matches always
        token = _TOKEN.match(self._text, start)
        if token is None and start < len(self._text):
            raise self.error()
        self.next, self._end = (token[0], token.end()) if token else ("", start)
        return taken

    def following(self) -> str:
        """Return what comes after the next token: its first character, empty at the end."""
        start = _SPACES.match(self._text, self._end).end()  # type: ignore[union-attr]  # matches always
        return self._text[start : start + 1]

    def expect(self, *tokens: str) -> str:
        """Return the next token, which must be one of these."""
        if self.next not in tokens:
            raise self.error()
        return self.take()

    def error(self) -> ValueError:
        return ValueError(f"{self._text[:200]!r} is not a type")


def _type(tokens: _Tokens, depth: int) -> ColumnType:
    """Return the type at the next token, and go on to what follows it."""
    if depth > _MAX_DEPTH:
        raise tokens.error()
    name = _name(tokens)
    if tokens.next in _CLOSING:
        if name in _STRUCTS:
            return ColumnType("struct", _fields(tokens, depth + 1))
        if name in _COLLECTIONS:
            return ColumnType(name, _collected(tokens, _COLLECTIONS[name], depth + 1))
    elif name in (*_STRUCTS, *_COLLECTIONS):
        raise tokens.error()
    if tokens.next == "(":
        _skip_parameters(tokens)
    return ColumnType(_with_further_words(tokens, name))


def _with_further_words(tokens: _Tokens, name: str) -> str:
    """Return a type's name with what follows its parameters: ``timestamp(6) with time zone``."""
    words = [name]
    while tokens.next not in _PUNCTUATION and tokens.next.lower() != "comment" and tokens.next.isalpha():
        words.append(tokens.take().lower())
        if tokens.next == "(":
            _skip_parameters(tokens)
    return " ".join(words)


def _skip_parameters(tokens: _Tokens) -> None:
    """Go past ``(10,2)``."""
    tokens.expect("(")
    while tokens.next != ")":
        if not tokens.next.isdigit():
            raise tokens.error()
        tokens.take()
        if tokens.next != ")":
            tokens.expect(",")
    tokens.take()


def _fields(tokens: _Tokens, depth: int) -> tuple[tuple[str, ColumnType], ...]:
    """Return the fields of a struct, from its opening bracket to after its closing one."""
    opening = tokens.take()
    closing = _CLOSING[opening]
    fields: list[tuple[str, ColumnType]] = []
    while tokens.next != closing:
        if fields:
            tokens.expect(",")
        fields.append(_field(tokens, depth))
    tokens.take()
    if not fields:
        raise tokens.error()
    return tuple(fields)


def _field(tokens: _Tokens, depth: int) -> tuple[str, ColumnType]:
    name = _name(tokens)
    while tokens.next not in _PUNCTUATION and tokens.following() == ":":
        name += f" {_name(tokens)}"  # Glue writes a key with a blank as it is
    if tokens.next == ":":
        tokens.take()
    while tokens.next not in _PUNCTUATION and tokens.following() == ":":
        name += f":{_name(tokens)}"  # and aws:s3:arn:string
        tokens.take()
    found = _type(tokens, depth)
    if tokens.next.lower() == "comment":
        tokens.take()
        if not tokens.take().startswith("'"):
            raise tokens.error()
    return name, found


def _collected(tokens: _Tokens, number: int, depth: int) -> tuple[tuple[str, ColumnType], ...]:
    """Return what an array or a map is made of, from its opening bracket to after its closing one."""
    closing = _CLOSING[tokens.take()]
    members = [("", _type(tokens, depth))]
    while len(members) < number:
        tokens.expect(",")
        members.append(("", _type(tokens, depth)))
    tokens.expect(closing)
    return tuple(members)


def _name(tokens: _Tokens) -> str:
    """Return the name at the next token, without its quotes and in lower case."""
    if tokens.next in _PUNCTUATION or tokens.next.startswith("'"):
        raise tokens.error()
    name = tokens.take()
    if name.startswith('"'):
        name = name[1:-1].replace('""', '"')
    elif name.startswith("`"):
        name = name[1:-1].replace("``", "`")
    return name.lower()
