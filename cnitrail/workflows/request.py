"""What a command is asked for, as its options say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from datetime import timedelta

    from cnitrail.answers.filters import Filter


class Access(Struct, frozen=True):
    """How AWS is reached, and how far files are trusted.

    ``assume_complete`` is the user's word that the evidence lacks nothing but what could not be read.
    """

    profile: str | None
    endpoint_url: str | None
    lag: timedelta
    max_calls: int
    request_payer: str | None
    delivery_lag: timedelta
    max_ratio: int
    assume_complete: bool = False


class Request(Struct, frozen=True):
    """What a command is asked: of which sources, what to keep, and whether digests are to prove it.

    ``public_keys`` is the path of a file with the keys that digests are signed with.
    """

    sources: tuple[str, ...]
    wanted: Filter
    access: Access
    quiet: bool
    verify: bool = False
    public_keys: str | None = None
