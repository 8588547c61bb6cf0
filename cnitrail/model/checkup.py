"""The answer of ``doctor``: one check after the other, and what they add up to."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from cnitrail.model.answer import Answer


class CheckStatus(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class CheckCause(StrEnum):
    """Why a check could not be made, or not in full."""

    ACCESS_DENIED = "access-denied"
    CREDENTIALS = "credentials"
    CLOCK = "clock"
    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    NO_ANSWER = "no-answer"
    """AWS answered with another error, or something that is not AWS answered."""
    OFFLINE = "offline"
    NOT_ASKED = "not-asked"
    """Nothing was named that the check could be about."""


class CheckCode(StrEnum):
    """What a check looks at, in the order in which checks are shown."""

    IDENTITY = "identity"
    CLOCK = "clock"
    PERMISSION = "permission"
    TRAIL = "trail"
    BUCKET = "bucket"
    NODE = "node"
    ENI = "eni"
    SUBNET = "subnet"
    EVIDENCE = "evidence"
    CNI_CALLS = "cni-calls"
    SIGN_INS = "sign-ins"
    FINDINGS = "findings"
    FINDING = "finding"


class Check(Struct, frozen=True, kw_only=True):
    """One check: how it ended, why (one sentence that can stand alone), and what to do next.

    ``resource`` is what it is about (an ENI, a subnet, a trail), ``action`` the IAM action that it needs,
    ``policy`` a statement that allows this. ``commands`` are shell commands that follow up the ``hint``.
    ``events`` are the IDs of the events that it rests on. ``cause`` is set if it could not be made.
    """

    code: CheckCode
    status: CheckStatus
    text: str
    hint: str | None = None
    commands: tuple[str, ...] = ()
    resource: str | None = None
    action: str | None = None
    policy: str | None = None
    cause: CheckCause | None = None
    rule: str | None = None
    events: tuple[str, ...] = ()

    @property
    def is_unmade(self) -> bool:
        """Return whether something should have been checked and could not be."""
        return self.status is CheckStatus.FAILED and self.cause is not None


class Caller(Struct, frozen=True, kw_only=True):
    """Whose credentials were used, in which Region, and where profile and Region come from.

    ``account`` and ``arn`` are None if AWS did not say. No part of it is secret.
    """

    account: str | None
    arn: str | None
    profile: str | None
    profile_source: str | None
    credentials: str | None
    region: str | None
    region_source: str | None


class Checkup(Struct, frozen=True, kw_only=True):
    """What all checks add up to, in one line, and what a ticket needs to know beside them.

    ``caller`` is None if AWS was not called. ``at`` is when the checks were made.
    """

    verdict: str
    status: CheckStatus
    at: datetime
    version: str
    caller: Caller | None


class CheckupAnswer(Answer[Check], frozen=True, kw_only=True):
    """The answer of ``doctor``: its entries are the checks."""

    checkup: Checkup
