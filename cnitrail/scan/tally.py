"""The counts of what is read of one document."""

from typing import Final

from msgspec import Struct, field

from cnitrail.model import Sign

UNREADABLE: Final = "unreadable"
"""In place of the form of a record that could not be read."""


class Tally(Struct, kw_only=True, gc=False):
    """Counts of what was read of one document, or of a member of an archive, updated while it is scanned."""

    bytes: int = 0
    records: int = 0
    passed_over: int = 0
    """Records that are not relevant."""
    unlisted: int = 0
    """Unreadable records that are counted, but not listed as a ``Skipped`` of their own."""
    damaged: bool = False
    """Whether the text is cut short, broken, or failed to be read: its content may have been altered."""
    signs: set[Sign] = field(default_factory=set)
    """(account, Region, minute) of the records that are not relevant, if asked for."""
    heard: set[tuple[str, str]] = field(default_factory=set)
    """(form, minute) of all records of pod evidence that have a time: ``2024-05-14T09:30``, UTC."""
    forms: dict[str, int] = field(default_factory=dict)
    """Number of records by form (a name in ``FORMS``)."""
    compression: tuple[str, ...] = ()
    """How the document is compressed or packed, outermost first, such as ``("zip", "gzip")``."""
    other_kind: str | None = None
    """The kind of a file that is not CloudTrail's, such as ``vpc-flow-logs``; it has no records."""

    def forms_read(self) -> set[str]:
        """Return the forms of the records that could be read."""
        return self.forms.keys() - {UNREADABLE}
