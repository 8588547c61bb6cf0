"""The error for a damaged file."""


class DamagedFile(Exception):
    """A file that cannot be read, and why; ``ambiguous`` if it can be read in two ways."""

    def __init__(self, reason: str, *, ambiguous: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.ambiguous = ambiguous
