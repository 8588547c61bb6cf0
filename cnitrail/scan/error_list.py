"""The errors of one document, as far as they are listed."""

from typing import Final

from cnitrail.model import Extent, Skipped
from cnitrail.scan.tally import Tally

MAX_ERRORS: Final = 1000
"""Maximum number of distinct errors that are listed for each document; the others are only counted."""


class ErrorList:
    """The errors of one document: each distinct one is listed, up to a maximum; the others are counted."""

    def __init__(self, uri: str, tally: Tally) -> None:
        self._uri = uri
        self._tally = tally
        self._listed: set[str] = set()
        self._more = 0

    def add(self, reason: str, extent: Extent, once: str | None = None) -> tuple[Skipped, ...]:
        """Return the error if it is to be listed; of those with the same ``once``, only the first one is."""
        kind = once or reason
        if len(self._listed) < MAX_ERRORS and kind not in self._listed:
            self._listed.add(kind)
            return (Skipped(self._uri, reason, extent),)
        self._more += 1
        self._tally.unlisted += extent is Extent.RECORD
        return ()

    def rest(self) -> tuple[Skipped, ...]:
        """Return how many errors were not listed, if any."""
        if not self._more:
            return ()
        return (Skipped(self._uri, f"{self._more:,} more unreadable parts", Extent.PART),)
