"""Memory of a bounded size for what takes long to find, and is asked for again and again."""

from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedMemory(dict[Key, Value]):
    """What was found for up to ``most`` keys; all of it is forgotten before there are more."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: Key, value: Value) -> None:
        """Remember what was found for a key."""
        if len(self) >= self._most and key not in self:
            self.clear()
        super().__setitem__(key, value)
