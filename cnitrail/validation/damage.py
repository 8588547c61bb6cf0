"""What keeps a file from being read as what it should be."""


class DamagedFile(Exception):
    """The reason, as the end of a sentence; ``ambiguous`` where it can be read in two ways."""

    def __init__(self, reason: str, *, ambiguous: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.ambiguous = ambiguous
