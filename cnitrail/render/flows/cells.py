"""The cells that ``flows`` adds to a record: their names and texts."""

from collections.abc import Iterator

from cnitrail.model.flows import END_FIELDS, FlowEnd

COLUMNS = tuple(f"{side}_{field}" for side in ("src", "dst") for field in END_FIELDS)


def cells(*ends: FlowEnd) -> Iterator[str | None]:
    """Yield the texts of both ends, in the order of ``COLUMNS``; several names are separated by ``;``."""
    for end in ends:
        for field in END_FIELDS:
            value = getattr(end, field)
            if isinstance(value, tuple):
                yield ";".join(value) or None
            else:
                yield None if value is None else str(value)
