"""Words out of a few, as the fields of values have them."""

from enum import StrEnum


class Word(StrEnum):
    """One of a few words. A dictionary finds it as fast as any text: ``Enum`` has a hash in Python."""

    __hash__ = str.__hash__
