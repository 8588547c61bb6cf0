"""What is counted while a source is read, and whether the sums add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from cnitrail.errors import AccountingError
from cnitrail.model import Extent, Skipped, SourceReport, StoredCounts

if TYPE_CHECKING:
    from cnitrail.workflows.scan_pool import Scanned

_HINT = (
    "this is a fault in cnitrail itself, and no answer is given because it could be wrong: please report "
    "this line, the command and cnitrail --version where you got cnitrail from"
)


class SourceCounts(Struct, kw_only=True):
    """The counts of one source. Each number is counted where it happens, none is derived from another.

    ``found`` is the source's own count of files; ``passed_over`` and ``relevant`` are counted when records
    are decoded, ``kept``, ``duplicates`` and ``unreadable`` when they are stored.
    """

    found: int = 0
    files: int = 0
    files_skipped: int = 0
    bytes: int = 0
    records: int = 0
    passed_over: int = 0
    relevant: int = 0
    kept: int = 0
    duplicates: int = 0
    unreadable: int = 0
    skipped: list[Skipped] = field(default_factory=list)

    def scanned(self, scanned: Scanned) -> None:
        """Count a document that was read."""
        self.files += 1
        self.bytes += scanned.tally.bytes
        self.records += scanned.tally.records
        self.passed_over += scanned.tally.passed_over
        self.relevant += scanned.relevant
        self.unreadable += scanned.tally.unlisted

    def single(self, origins: int, *, matters: bool) -> None:
        """Count a record that the source delivers by itself, once for each of its origins."""
        self.records += origins
        self.relevant += origins if matters else 0
        self.passed_over += 0 if matters else origins

    def not_delivered(self, skipped: Skipped) -> None:
        """Count what a source could not deliver."""
        self.files_skipped += skipped.extent is Extent.FILE
        self.skipped.append(skipped)

    def lost(self, skipped: Skipped) -> None:
        """Count what could not be read of a document."""
        self.unreadable += skipped.extent is Extent.RECORD
        self.skipped.append(skipped)

    def take_over(self, counts: StoredCounts) -> None:
        """Add what the source itself has counted."""
        self.files += counts.files
        self.bytes += counts.bytes
        self.records += counts.records
        self.passed_over += counts.passed_over
        self.relevant += counts.relevant
        self.kept += counts.kept
        self.duplicates += counts.duplicates
        self.unreadable += counts.unreadable

    def check(self, uri: str) -> None:
        """Raise ``AccountingError`` if the counts of a source do not add up."""
        for whole, number, parts in (
            ("files found", self.found, {"read": self.files, "skipped": self.files_skipped}),
            ("records read", self.records, {"relevant": self.relevant, "passed over": self.passed_over}),
            (
                "relevant records",
                self.relevant,
                {"kept": self.kept, "duplicates": self.duplicates, "skipped": self.unreadable},
            ),
        ):
            if number != sum(parts.values()):
                named = " + ".join(f"{part:,} {name}" for name, part in parts.items())
                raise AccountingError(
                    f"{uri}: what was read does not add up: {number:,} {whole}, but {named}", _HINT
                )

    def report(self, uri: str) -> SourceReport:
        """Return the account for the answer. Raises ``AccountingError`` if it does not add up."""
        self.check(uri)
        return SourceReport(
            uri=uri,
            files=self.files,
            bytes=self.bytes,
            records=self.records,
            relevant=self.relevant,
            duplicates=self.duplicates,
            skipped=len(self.skipped),
            files_found=self.found,
            files_skipped=self.files_skipped,
            passed_over=self.passed_over,
            kept=self.kept,
            records_skipped=self.unreadable,
        )
