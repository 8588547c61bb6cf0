"""Errors that end a command, each with what failed, where, and what to try.

CnitrailError
├── UsageError      the command line asks for something that cannot be (exit 2)
├── AccountError    what was counted while reading does not add up: a fault of ours (exit 1)
└── SourceError     a source named on the command line cannot be read at all (exit 1)
    └── StoreError  a local store cannot be read or written (exit 1)

Anything smaller, a file or a record that cannot be read, is no error but a value:
``cnitrail.model.Skipped``.
"""


class CnitrailError(Exception):
    """The base of every error that is shown to the user as one sentence."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(CnitrailError):
    """The command line cannot be understood."""


class AccountingError(CnitrailError):
    """What was counted while reading does not add up, so no answer could be relied on."""


class SourceError(CnitrailError):
    """A source cannot be read at all: no such path, no credentials, no access."""


class StoreError(SourceError):
    """A local store cannot be opened, read or written."""
