"""Flow log records as JSON lines: the fields of the file, then those of both ends."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from msgspec.structs import astuple

from cnitrail.model.flow_fields import NUMBERS, json_name
from cnitrail.model.flow_layout import middle_of
from cnitrail.model.flows import END_FIELDS, FlowEnd
from cnitrail.render.flows import PlainRow, Shared
from cnitrail.render.flows.cells import COLUMNS, cell
from cnitrail.render.json import line

_DIGITS = 18
"""Maximum length of a number: a longer one would not fit into 64 bits, and is written as a string."""

_KNOWN = 1 << 12
"""Number of ends that are remembered as JSON."""


class JsonLines:
    """Writes JSON lines."""

    def __init__(self, columns: tuple[str, ...], fields: tuple[str, ...]) -> None:
        self._names = list(map(json_name, columns))
        self._are_numbers = [field in NUMBERS for field in fields]
        self.without_ends = self._object(dict.fromkeys(COLUMNS))
        self._middle = middle_of(fields)
        middle = self._names[self._middle.first : self._middle.after] if self._middle is not None else []
        self._keys = [b',"%b":' % name.encode() for name in middle]
        """The keys of the middle."""

    def header(self) -> bytes:
        """Return nothing: every line names its fields."""
        return b""

    def ends(self, src: FlowEnd, dst: FlowEnd) -> bytes:
        """Return the members of both ends."""
        return b"%b%b}\n" % (_members("src", src), _members("dst", dst))

    def line(self, fields: Sequence[bytes], ends: bytes) -> bytes:
        """Return a record as an object."""
        values = map(_value, fields, self._are_numbers)
        return line(dict(zip(self._names, values, strict=True)))[:-2].encode() + ends

    def plain(self, text: bytes, separator: bytes) -> tuple[bytes, bytes]:
        """Return the records as they are: any can be written as a row."""
        return text, separator

    def shared(self, fields: Sequence[bytes], ends: bytes) -> Shared:
        """Return the members before and after the middle."""
        assert self._middle is not None
        values = list(zip(self._names, map(_value, fields, self._are_numbers), strict=True))
        before, after = dict(values[: self._middle.first]), dict(values[self._middle.after :])
        return line(before)[:-2].encode() + self._keys[0], b"," + line(after)[1:-2].encode() + ends

    def rows(self, rows: Iterable[PlainRow]) -> bytes:
        """Return records as objects."""
        texts: list[bytes] = []
        put = texts.extend
        _, k1, k2, k3, k4, k5, k6 = self._keys
        for written, parts, shared in rows:
            if shared is None:
                texts.append(written)
                continue
            before, after = shared
            numbers = parts[1:]
            if not b"".join(numbers).isdigit() or min(numbers) < b"1" or max(map(len, numbers)) > _DIGITS:
                numbers = list(map(_number, numbers))
            n0, n1, n2, n3, n4, n5, n6 = numbers
            put((before, n0, k1, n1, k2, n2, k3, n3, k4, n4, k5, n5, k6, n6, after))
        return b"".join(texts)

    def _object(self, values: dict[str, str | None]) -> bytes:
        return b"," + line(values)[1:].encode()


def _members(side: str, end: FlowEnd) -> bytes:
    """Return one end as members of an object."""
    ip, *others = astuple(end)
    return b"," + line({f"{side}_ip": ip})[1:-2].encode() + _other_members(side, tuple(others))


@lru_cache(maxsize=_KNOWN)
def _other_members(side: str, values: tuple[object, ...]) -> bytes:
    names = (f"{side}_{field}" for field in END_FIELDS[1:])
    return b"," + line(dict(zip(names, map(cell, values), strict=True)))[1:-2].encode()


def _number(field: bytes) -> bytes:
    return line(_value(field, is_number=True))[:-1].encode()


def _value(field: bytes, is_number: bool) -> str | int | None:
    if field == b"-":
        return None
    return (
        int(field)
        if is_number and field.isdigit() and len(field) <= _DIGITS
        else field.decode("utf-8", "replace")
    )
