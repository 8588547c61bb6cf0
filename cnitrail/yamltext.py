"""YAML text → values, for input that may be hostile: only what JSON has, too.

So no aliases, which could expand without limit, no tags, and times stay text. This is all that
``aws … --output yaml`` prints.
"""

import re
import sys
from collections.abc import Collection, Iterator
from typing import Any, Final

_DEEPEST: Final = 100
"""Maximum depth of nesting; AWS's answers have less than 20 levels."""

_NODE: Final = 64
"""Bytes that a value costs besides its text."""


class BrokenYaml(ValueError):
    """A text is not YAML. ``line`` is the number of the line from 1; None if it is not known."""

    def __init__(self, problem: str, line: int | None) -> None:
        super().__init__(problem if line is None else f"{problem} at line {line}")
        self.line = line


class RefusedYaml(ValueError):
    """A text is YAML, but has what JSON does not have, or too much of it."""


def documents(text: str) -> list[object]:
    """Return the values of the documents in a text.

    Raises ``BrokenYaml`` or ``RefusedYaml``.
    """
    return list(_Composer(_events(text), sys.maxsize).documents())


def elements(pieces: Iterator[str], long_lists: Collection[str], limit: int) -> Iterator[object]:
    """Yield the values of a text: its documents, but the elements of outermost lists one by one.

    So are those of a list under a key of ``long_lists`` in an outermost object; each is yielded in its
    envelope: ``{"Events": [element]}``. ``limit`` is the maximum size of a yielded value in bytes. Raises
    ``BrokenYaml`` or ``RefusedYaml``, and what ``pieces`` raises.
    """
    return _Composer(_events(_YamlStream(pieces, limit)), limit, long_lists).elements()


class _YamlStream:
    """A text as the YAML parser reads it; ``unparsed`` is the number of characters since the last event."""

    def __init__(self, pieces: Iterator[str], limit: int) -> None:
        self.unparsed = 0
        self._pieces = pieces
        self._limit = limit

    def read(self, _size: int = -1, /) -> str:
        """Return the next characters, none at the end; the parser keeps what is more than it asked for."""
        piece = next(self._pieces, "")
        self.unparsed += len(piece)
        if self.unparsed > self._limit:
            raise RefusedYaml(f"a text in YAML is longer than {self._limit >> 20} MB")
        return piece


def _events(text: str | _YamlStream) -> Iterator[Any]:
    """Yield the events of the YAML parser."""
    import yaml

    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(text, _YamlStream):
                text.unparsed = 0
            yield event
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "a character that YAML does not allow"
        raise BrokenYaml(problem, None if mark is None else mark.line + 1) from None


class _Composer:
    """Makes values of the events of a YAML parser."""

    def __init__(self, events: Iterator[Any], limit: int, long_lists: Collection[str] = ()) -> None:
        self._events = events
        self._limit = limit
        self._long_lists = long_lists
        self._size = 0

    def documents(self) -> Iterator[object]:
        """Yield the value of each document."""
        for event in self._events:
            if _kind(event) in ("SequenceStart", "MappingStart", "Scalar", "Alias"):
                yield self._outermost(event)

    def elements(self) -> Iterator[object]:
        """Yield the values of all documents; the elements of a list, and of long lists, one by one."""
        for event in self._events:
            match _kind(event):
                case "SequenceStart":
                    yield from self._list(event)
                case "MappingStart":
                    yield from self._object(event)
                case "Scalar" | "Alias":
                    yield self._outermost(event)

    def _outermost(self, event: Any) -> object:
        """Return a value that is yielded by itself."""
        self._size = 0
        return self._value(event, 1)

    def _list(self, start: Any) -> Iterator[object]:
        """Yield the elements of a list one by one."""
        _check(start)
        while _kind(event := next(self._events)) != "SequenceEnd":
            yield self._outermost(event)

    def _object(self, start: Any) -> Iterator[object]:
        """Yield an object; if it has long lists, their elements one by one instead."""
        _check(start)
        self._size = 0
        found: dict[str, object] = {}
        is_list = False
        while _kind(event := next(self._events)) != "MappingEnd":
            key, value = self._key(event, found), next(self._events)
            if key in self._long_lists and _kind(value) == "SequenceStart":
                is_list, size = True, self._size
                yield from ({key: [element]} for element in self._list(value))
                found[key], self._size = None, size
            else:
                found[key] = self._value(value, 2)
        if not is_list:
            yield found

    def _value(self, event: Any, depth: int) -> object:
        _check(event)
        self._size += _NODE + len(getattr(event, "value", ""))
        if self._size > self._limit:
            raise RefusedYaml(f"a value in YAML is larger than {self._limit >> 20} MB")
        if depth > _DEEPEST:
            raise RefusedYaml("YAML that is nested too deeply")
        if _kind(event) == "Scalar":
            return _scalar(event)
        if _kind(event) == "SequenceStart":
            listed: list[object] = []
            while _kind(element := next(self._events)) != "SequenceEnd":
                listed.append(self._value(element, depth + 1))
            return listed
        found: dict[str, object] = {}
        while _kind(entry := next(self._events)) != "MappingEnd":
            key = self._key(entry, found)
            found[key] = self._value(next(self._events), depth + 1)
        return found

    def _key(self, event: Any, others: dict[str, object]) -> str:
        _check(event)
        if _kind(event) != "Scalar":
            raise RefusedYaml("YAML with a key that is no text")
        if event.value in others:
            raise RefusedYaml(f"YAML that repeats the key {event.value[:60]!r}")
        self._size += _NODE + len(event.value)
        return str(event.value)


def _check(event: Any) -> None:
    """Refuse what JSON does not have."""
    if _kind(event) == "Alias":
        raise RefusedYaml("YAML with aliases")
    if event.tag is not None:
        raise RefusedYaml("YAML with tags")


def _kind(event: Any) -> str:
    """Return the kind of an event, without importing yaml."""
    return type(event).__name__.removesuffix("Event")


_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}")
_WORDS: Final = {"": None, "~": None, "null": None, "true": True, "false": False}


def _scalar(event: Any) -> object:
    """Return a text, or the null, Boolean or number that it is without quotes."""
    text = str(event.value)
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
