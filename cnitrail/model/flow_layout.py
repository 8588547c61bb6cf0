"""Where in a record the fields are that differ from record to record."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

_OWN: Final = frozenset(("srcport", "dstport", "protocol", "packets", "bytes", "start", "end"))
"""The fields of a record itself, all of them numbers. The others say between whom a flow was, and where."""


class Middle(Struct, frozen=True, gc=False, kw_only=True):
    """The fields of a record itself, if all stand together, right before its action and its status.

    So they do in the orders of AWS, for versions 2 to 5 and 7 to 11. ``first`` is the place of the first one
    (at least 2), ``after`` that of the action. The others are places among them, the first one's being 1.
    """

    first: int
    after: int
    port: int
    packets: int
    size: int
    start: int
    end: int

    @property
    def width(self) -> int:
        """Number of fields."""
        return self.after - self.first


def middle_of(fields: Sequence[str]) -> Middle | None:
    """Return the middle of records with certain fields; None if they are in another order."""
    fields = tuple(fields)
    if not _OWN.issubset(fields) or "action" not in fields:
        return None
    after = fields.index("action")
    first = after - len(_OWN)
    together = fields[max(first, 0) : after]
    if first < 2 or set(together) != _OWN or fields[after + 1 : after + 2] != ("log-status",):
        return None
    places = {field: place for place, field in enumerate(together, 1)}
    return Middle(
        first=first,
        after=after,
        port=places["dstport"],
        packets=places["packets"],
        size=places["bytes"],
        start=places["start"],
        end=places["end"],
    )
