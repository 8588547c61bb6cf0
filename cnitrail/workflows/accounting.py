"""What is counted while a source is read, and whether the sums add up."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct, field

from cnitrail.errors import AccountingError, SourceError
from cnitrail.model import (
    MAX_FILES,
    Extent,
    FileReport,
    FormReport,
    Skipped,
    SourceReport,
    StoredCounts,
)
from cnitrail.model.table import table_of
from cnitrail.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cnitrail.model.table import EngineReport
    from cnitrail.workflows.scan_pool import Scanned

_FAULT_HINT = (
    "this is a fault in cnitrail itself, and no answer is given because it could be wrong: please report "
    "this line, the command and cnitrail --version where you got cnitrail from"
)


def check_sum(uri: str, whole: str, number: int, parts: Mapping[str, int]) -> None:
    """Raise ``AccountingError`` if the parts of a number do not add up; ``whole`` is what it counts."""
    if number != sum(parts.values()):
        named = " + ".join(f"{part:,} {name}" for name, part in parts.items()) or "none"
        raise AccountingError(
            f"{uri}: what was read does not add up: {number:,} {whole}, but {named}", _FAULT_HINT
        )


FormAndCompression = tuple[str, tuple[str, ...] | None]
"""The form of records, and the compression of their file; None if it is not known, as for a merged store."""


class FormCounts(Struct):
    """The number of files and records in one layout."""

    files: int
    records: int


class SourceCounts(Struct, kw_only=True):
    """The counts of one source. Each number is counted where it happens, none is derived from another.

    ``found`` is the source's own count of files; ``passed_over`` and ``relevant`` are counted when records
    are decoded, ``kept``, ``duplicates`` and ``unreadable`` when they are stored.
    """

    found: int = 0
    files: int = 0
    table_parts: int = 0
    """How many of ``files`` are parts of tables."""
    tables: set[str] = field(default_factory=set)
    """The tables of these parts."""
    files_skipped: int = 0
    bytes: int = 0
    records: int = 0
    passed_over: int = 0
    relevant: int = 0
    kept: int = 0
    duplicates: int = 0
    unreadable: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    other_files: Counter[str] = field(default_factory=Counter)
    """Number of files that are not CloudTrail's, by kind."""
    forms: dict[FormAndCompression, FormCounts] = field(default_factory=dict)
    engines: list[EngineReport] = field(default_factory=list)
    """How query engines read tables: one, unless several sources are counted together."""
    first_files: list[FileReport] = field(default_factory=list)
    """The first files that were read, up to ``MAX_FILES``."""

    @property
    def is_empty(self) -> bool:
        """Whether no file of CloudTrail and nothing unreadable was found."""
        return self.files == self.records == 0 and not self.skipped

    def scanned(self, scanned: Scanned) -> None:
        """Count a file that was read: a document, or a member of an archive."""
        tally = scanned.tally
        table = table_of(scanned.uri)
        if table is not None:
            self.table_parts += 1
            self.tables.add(table)
        if tally.other_kind is None:
            self.files += 1
        else:
            self.other_files[tally.other_kind] += 1
        for form, records in tally.forms.items():
            self._add((form, tally.compression), 1, records)
        self.bytes += tally.bytes
        self.records += tally.records
        self.passed_over += tally.passed_over
        self.unreadable += tally.unlisted
        self.relevant += scanned.relevant

    def _add(self, layout: FormAndCompression, files: int, records: int) -> None:
        counts = self.forms.get(layout)
        if counts is None:
            self.forms[layout] = FormCounts(files, records)
        else:
            counts.files += files
            counts.records += records

    def list_file(self, scanned: Scanned, kept: int) -> None:
        """List a file that was read, with the number of events that no file before it had."""
        if len(self.first_files) < MAX_FILES:
            tally = scanned.tally
            self.first_files.append(
                FileReport(
                    source=scanned.uri,
                    forms=tally.forms,
                    compression=tally.compression,
                    records=tally.records,
                    kept=kept,
                    other_kind=tally.other_kind,
                )
            )

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
        self.table_parts += counts.table_parts
        self.tables.update(counts.tables)
        self.bytes += counts.bytes
        self.records += counts.records
        self.passed_over += counts.passed_over
        self.relevant += counts.relevant
        self.kept += counts.kept
        self.duplicates += counts.duplicates
        self.unreadable += counts.unreadable
        self.other_files.update(counts.other_files)
        for report in counts.forms:
            self._add((report.form, report.compression), report.files, report.records)
        self.first_files += counts.first_files[: MAX_FILES - len(self.first_files)]

    def check(self, uri: str) -> None:
        """Raise ``AccountingError`` if the counts of a source do not add up."""
        files = {"read": self.files, "skipped": self.files_skipped, **self.other_files}
        records = {"relevant": self.relevant, "passed over": self.passed_over}
        relevant = {"kept": self.kept, "duplicates": self.duplicates, "skipped": self.unreadable}
        check_sum(uri, "files found", self.found, files)
        check_sum(uri, "records read", self.records, records)
        check_sum(uri, "records read", self.records, self._records_by_form())
        check_sum(uri, "relevant records", self.relevant, relevant)

    def _records_by_form(self) -> Mapping[str, int]:
        by_form = Counter[str]()
        for (form, _), counts in self.forms.items():
            by_form[f"in form {form}"] += counts.records
        return by_form

    def report(self, uri: str) -> SourceReport:
        """Return the account for the answer. Raises ``AccountingError`` if it does not add up."""
        self.check(uri)
        return SourceReport(
            uri=uri,
            files=self.files,
            table_parts=self.table_parts,
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
            forms=tuple(self._forms()),
            other_files=dict(sorted(self.other_files.items())),
            engine=self.engines[-1] if self.engines else None,
        )

    def _forms(self) -> Iterator[FormReport]:
        for form, compression in sorted(self.forms, key=lambda key: (key[0], key[1] or ())):
            counts = self.forms[form, compression]
            yield FormReport(form=form, compression=compression, files=counts.files, records=counts.records)


def no_files(uri: str, other_files: Mapping[str, int]) -> SourceError:
    """Return the error for a source without any file of CloudTrail."""
    hint = "name the directory that holds the log files"
    kinds = other_files.keys()
    if not other_files:
        return SourceError(f"{uri}: no files in it", hint)
    known = _HINTS.get(next(iter(kinds))) if len(kinds) == 1 else None
    hint = known or f"{hint}; docs/sources.md lists the forms that can be read"
    what = "no CloudTrail log files or pod evidence in it"
    return SourceError(f"{uri}: {what}, only {named_kinds(other_files)}", hint)


_HINTS = {
    "cloudtrail-notifications": (
        "a notification has no records, only the names of log files: read these (s3://BUCKET/KEY)"
    ),
    "vpc-flow-logs": (
        "flow logs do not show who had an address; cnitrail flows FLOWS --with SOURCE adds that to them, "
        "with CloudTrail logs as SOURCE"
    ),
    "network-policy-logs": (
        "a log of network policies does not show who had an address; cnitrail flows adds that to VPC flow "
        """logs. For these: (echo ip,at; jq -r '[."Src IP" // empty, .ts] | select(length == 2) | @csv' """
        "FILE) > asked.csv, then cnitrail who --batch asked.csv with CloudTrail logs and pod evidence"
    ),
}
"""What to do about a source that has files of one kind only."""


def named_kinds(other_files: Mapping[str, int]) -> str:
    """Return how many files are not CloudTrail's: ``12 other files (8 vpc-flow-logs, 4 config)``."""
    kinds = sorted(other_files.items(), key=lambda kind: (-kind[1], kind[0]))
    named = ", ".join(f"{number:,} {kind}" for kind, number in kinds)
    return f"{counted(sum(other_files.values()), 'other file')} ({named})"
