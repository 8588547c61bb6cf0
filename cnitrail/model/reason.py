"""Why an answer is not beyond doubt: a code for programs, a sentence for people."""

from enum import StrEnum

from msgspec import Struct


class ReasonCode(StrEnum):
    """What lowers the confidence in an answer. The values are part of the JSON contract."""


class Reason(Struct, frozen=True, gc=False):
    """One reason: its code, the sentence shown, and the IDs of the events that it refers to."""

    code: ReasonCode
    text: str
    events: tuple[str, ...] = ()
