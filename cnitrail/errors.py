"""The exceptions that cnitrail raises, each with a message and, if there is one, a hint.

    CnitrailError           base class: catch this one to catch them all
    ├── UsageError          the request is invalid: a wrong value, a range that ends before it begins
    ├── SourceError         a source cannot be read at all: no such path, no credentials, access denied
    │   ├── EmptySourceError  a source can be read, and has no log file of the time asked for
    │   └── StoreError      a local store cannot be opened, read or written, or is damaged
    └── AccountingError     a bug in cnitrail: the counts of what was read do not add up, so no result is safe

The command line prints them as ``error: …`` and ``hint: …`` and exits with 2 for ``UsageError``, else with 1.

A single file or record that cannot be read raises nothing: it becomes a value (``cnitrail.model.Skipped``)
in the evidence of the result.
"""


class CnitrailError(Exception):
    """Base class of all errors: what failed (``message``), and what to do next (``hint``)."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(CnitrailError):
    """Raised if the request is invalid, before anything is read."""


class SourceError(CnitrailError):
    """Raised if a source cannot be read at all: no such path, no credentials, access denied."""


class EmptySourceError(SourceError):
    """Raised if a source can be read, and has no log file of what was asked for."""


class StoreError(SourceError):
    """Raised if a local store cannot be opened, read or written, or is damaged."""


class AccountingError(CnitrailError):
    """Raised if the counts of what was read do not add up, which is a bug: no result would be reliable."""
