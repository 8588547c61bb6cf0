"""The cells that ``flows`` adds to a record: their names and texts."""

from cnitrail.model.flows import END_FIELDS

COLUMNS = tuple(f"{side}_{field}" for side in ("src", "dst") for field in END_FIELDS)


def cell(value: object) -> str | None:
    """Return the text of one field of an end; None if it is empty."""
    if isinstance(value, tuple):
        return ";".join(value) or None
    return None if value is None else str(value)
